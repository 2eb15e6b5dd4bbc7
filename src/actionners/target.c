#include "actionners/target.h"

#include "actionners/names.h"
#include "base/error.h"
#include "kube/kube_pod.h"

#include <string.h>

KubeCall action_call(const ActionContext *context) {
    return (KubeCall){.deadline_us = context->deadline_us, .cancel = context->cancel, .dry_run = context->dry_run};
}

char *target_name(const ActionContext *context) {
    return g_strdup_printf("the pod '%s' in the namespace '%s'", context->event->pod, context->event->pod_namespace);
}

// Where an event names no pod, its ka.target.name stands in, which is a pod only where the resource says so: a
// Deployment and a pod may share a name.
static bool is_about_a_pod(const Event *event) {
    return !event->target_resource || !event->target_name || strcmp(event->target_resource, "pods") == 0 ||
           strcmp(event->pod, event->target_name) != 0;
}

bool target_pod(const ActionContext *context, ActionResult *result, GError **error) {
    const Event *event = context->event;
    if (!context->clients || !context->clients->kube) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_UNAVAILABLE, "there is no Kubernetes cluster to act on");
        return false;
    }
    if (!event->pod || !event->pod_namespace) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID, "the event names no %s: it has neither %s",
                    event->pod ? "namespace" : "pod",
                    event->pod ? "k8s.ns.name nor ka.target.namespace"
                               : "k8s.pod.name nor ka.target.pod.name nor ka.target.name");
        return false;
    }
    if (!is_about_a_pod(event)) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID, "the event is about %s '%s', which is no pod",
                    event->target_resource, event->target_name);
        return false;
    }
    if (!is_dns_name(event->pod) || !is_dns_name(event->pod_namespace)) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID, "'%s' in '%s' cannot be the name of a pod and namespace",
                    event->pod, event->pod_namespace);
        return false;
    }
    action_result_add_object(result, "pod", event->pod);
    action_result_add_object(result, "namespace", event->pod_namespace);
    return true;
}

void target_stale(const ActionContext *context, ActionResult *result) {
    g_autofree char *name = target_name(context);
    action_result_set(result, ACTION_STALE, "%s is another one now: the one of the event (UID %s) is gone", name,
                      context->event->pod_uid ? context->event->pod_uid : "that was read before");
}

void target_explain(const ActionContext *context, GError **error) {
    if (!error || !stoop_error_is(*error, STOOP_ERROR_NOT_FOUND))
        return;
    g_autofree char *name = target_name(context);
    g_autofree char *was = g_strdup((*error)->message);
    g_clear_error(error);
    g_set_error(error, STOOP_ERROR, STOOP_ERROR_NOT_FOUND, "%s is gone: %s", name, was);
}

// The kubelet gives a static pod a UID of its own, which is what Falco sees; its mirror in the API has another, and
// names the first in an annotation.
static bool is_of_event(const Event *event, yyjson_val *pod, const char *uid) {
    const char *mirrored = kube_object_text(pod, "metadata", "annotations", "kubernetes.io/config.mirror", NULL);
    return !event->pod_uid || strcmp(event->pod_uid, uid) == 0 || g_strcmp0(event->pod_uid, mirrored) == 0;
}

bool target_read_pod(const ActionContext *context, ActionResult *result, KubeObject *pod, GError **error) {
    const Event *event = context->event;
    KubeCall call = action_call(context);
    g_auto(KubeObject) read = {0};
    if (!kube_get(context->clients->kube, &KUBE_POD(event->pod_namespace, event->pod), &call, &read, error)) {
        target_explain(context, error);
        return false;
    }
    const char *uid = kube_object_uid(read.root);
    if (!uid) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_FAILED, "the API server's answer about the pod '%s' has no UID",
                    event->pod);
        return false;
    }
    if (!is_of_event(event, read.root, uid)) {
        target_stale(context, result);
        return true;
    }
    *pod = read;
    memset(&read, 0, sizeof read);
    return true;
}

// No pod ends and has one of its name running in its place within this time.
#define SURE_US (G_USEC_PER_SEC / 2)

bool target_is_still(const ActionContext *context, yyjson_val *read, int64_t read_us, bool *stale, GError **error) {
    if (clock_monotonic_us(context->clock) - read_us < SURE_US)
        return true;
    const Event *event = context->event;
    KubeCall call = action_call(context);
    g_auto(KubeObject) now = {0};
    g_autoptr(GError) failure = NULL;
    if (kube_get(context->clients->kube, &KUBE_POD(event->pod_namespace, event->pod), &call, &now, &failure)) {
        *stale = g_strcmp0(kube_object_uid(now.root), kube_object_uid(read)) != 0;
        return !*stale;
    }
    if (stoop_error_is(failure, STOOP_ERROR_NOT_FOUND))
        return true;
    g_propagate_prefixed_error(error, g_steal_pointer(&failure), "whether the pod is still the same: ");
    return false;
}

bool target_was_still(const ActionContext *context, yyjson_val *read, int64_t read_us, ActionResult *result,
                      GError **error) {
    bool stale = false;
    bool ok = target_is_still(context, read, read_us, &stale, error);
    if (stale)
        target_stale(context, result);
    return ok || stale;
}

static bool node_of_pod(const ActionContext *context, ActionResult *result, char **node, GError **error) {
    g_auto(KubeObject) pod = {0};
    if (!target_read_pod(context, result, &pod, error))
        return false;
    if (!pod.root)
        return true;
    const char *name = kube_pod_node(pod.root);
    if (!name) {
        g_autofree char *target = target_name(context);
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_FAILED, "%s is on no node yet", target);
        return false;
    }
    *node = g_strdup(name);
    return true;
}

bool target_node(const ActionContext *context, ActionResult *result, char **node, GError **error) {
    yyjson_val *field = event_field(context->event, "k8s.node.name");
    const char *named = yyjson_get_str(field);
    g_autofree char *name = named && is_dns_name(named) ? g_strdup(named) : NULL;
    if (!name && !node_of_pod(context, result, &name, error))
        return false;
    if (name)
        action_result_add_object(result, "node", name);
    *node = g_steal_pointer(&name);
    return true;
}
