// kubernetes:terminate: deletes the pod, unless a guard of the rule says to leave it alone.
#include "actionners/owner.h"
#include "actionners/params.h"
#include "actionners/replicas.h"
#include "actionners/target.h"
#include "base/error.h"

typedef struct {
    int64_t grace_period_seconds;
    bool ignore_daemonsets, ignore_statefulsets, ignore_standalone_pods;
    char *min_healthy_replicas;
} TerminateParams;

static const ParamRow terminate_rows[] = {
    PARAM_ROW_INT(TerminateParams, grace_period_seconds, .default_value = "-1", PARAM_RANGE(-1, G_MAXINT32),
                  .unit = "s", .old_names = TEXTS("gracePeriodSeconds"),
                  .summary = "How long the pod may take to end; 0 is at once, -1 as long as the pod itself says."),
    PARAM_ROW_BOOL(TerminateParams, ignore_daemonsets, .old_names = TEXTS("ignoreDaemonsets", "ignoreDaemonSets"),
                   .summary = "Leave pods of DaemonSets alone."),
    PARAM_ROW_BOOL(TerminateParams, ignore_statefulsets, .old_names = TEXTS("ignoreStatefulsets", "ignoreStatefulSets"),
                   .summary = "Leave pods of StatefulSets alone."),
    PARAM_ROW_BOOL(TerminateParams, ignore_standalone_pods,
                   .old_names = TEXTS("ignoreStandalonePods", "ignoreStandalonepods"),
                   .summary = "Leave pods alone that nothing would create anew."),
    PARAM_ROW_TEXT(TerminateParams, min_healthy_replicas, .check = replicas_check,
                   .old_names = TEXTS("minHealthyReplicas"),
                   .summary = "How many pods of the owner must be ready now for one to be terminated: a number, or a "
                              "percentage of the wanted replicas such as \"33%\", rounded up."),
    PARAM_ROW_END,
};

static bool has_guards(const TerminateParams *params) {
    return params->ignore_daemonsets || params->ignore_statefulsets || params->ignore_standalone_pods ||
           params->min_healthy_replicas;
}

static void leave_alone(const ActionContext *context, ActionResult *result, const char *reason) {
    g_autofree char *name = target_name(context);
    action_result_set(result, ACTION_IGNORED, "%s was left alone: %s", name, reason);
}

// Whether enough pods of the owner are ready; where not, `result` is ACTION_IGNORED.
static bool check_replicas(const ActionContext *context, ActionResult *result, const KubeOwner *owner, GError **error) {
    const TerminateParams *params = context->params;
    g_auto(KubeObject) object = {0};
    if (!owner_read(context, owner, &object, error)) {
        g_prefix_error(error, "the pod was not terminated, since its owner's healthy replicas cannot be counted: ");
        return false;
    }
    // Kubernetes leaves a zero out of the status, and takes absent wanted replicas as one.
    yyjson_val *wanted_value = kube_object_get(object.root, "spec", "replicas", NULL);
    int64_t wanted = wanted_value ? yyjson_get_sint(wanted_value) : 1;
    int64_t ready = yyjson_get_sint(kube_object_get(object.root, "status", "readyReplicas", NULL));
    int64_t needed = replicas_needed(params->min_healthy_replicas, wanted);
    if (ready >= needed)
        return true;
    g_autofree char *reason =
        g_strdup_printf("%s '%s' has %" G_GINT64_FORMAT " ready pods of %" G_GINT64_FORMAT
                        " wanted, and min_healthy_replicas (%s) asks for %" G_GINT64_FORMAT,
                        owner->kind, owner->name, ready, wanted, params->min_healthy_replicas, needed);
    leave_alone(context, result, reason);
    return true;
}

static bool refuse_static_pod(const ActionContext *context, GError **error) {
    g_autofree char *name = target_name(context);
    g_set_error(error, STOOP_ERROR, STOOP_ERROR_FAILED,
                "%s is a static pod: its node runs it from a file, and deleting it here would end nothing", name);
    return false;
}

// True with result->status still ACTION_SUCCESS when nothing speaks against it.
static bool check_guards(const ActionContext *context, ActionResult *result, yyjson_val *pod, GError **error) {
    const TerminateParams *params = context->params;
    if (kube_pod_is_mirror(pod))
        return refuse_static_pod(context, error);
    g_auto(KubeOwner) owner = {0};
    if (!kube_pod_owner(pod, &owner)) {
        if (params->ignore_standalone_pods)
            leave_alone(context, result, "nothing would create it anew, and ignore_standalone_pods is set");
        return true;
    }
    if (params->ignore_daemonsets && owner_is(&owner, "DaemonSet")) {
        leave_alone(context, result, "it belongs to a DaemonSet, and ignore_daemonsets is set");
        return true;
    }
    if (params->ignore_statefulsets && owner_is(&owner, "StatefulSet")) {
        leave_alone(context, result, "it belongs to a StatefulSet, and ignore_statefulsets is set");
        return true;
    }
    if (params->min_healthy_replicas && (owner_is(&owner, "ReplicaSet") || owner_is(&owner, "StatefulSet")))
        return check_replicas(context, result, &owner, error);
    return true;
}

// The API server refused because of the UID, or so it seems: the pod as it is now tells. It is another one, unless it
// is a static pod, whose UID in the API is not the one that Falco sees, or the conflict was about something else.
static bool tell_conflict(const ActionContext *context, ActionResult *result, const char *uid, GError **conflict,
                          GError **error) {
    g_auto(KubeObject) pod = {0};
    bool read = target_read_pod(context, result, &pod, NULL);
    if (read && pod.root && kube_pod_is_mirror(pod.root))
        return refuse_static_pod(context, error);
    if (read && pod.root && g_strcmp0(kube_object_uid(pod.root), uid) == 0) {
        g_propagate_error(error, g_steal_pointer(conflict));
        return false;
    }
    target_stale(context, result);
    return true;
}

static bool delete_pod(const ActionContext *context, ActionResult *result, const char *uid, GError **error) {
    const TerminateParams *params = context->params;
    const Event *event = context->event;
    KubeDeleteOptions options = {.grace_period_seconds = params->grace_period_seconds, .uid = uid};
    KubeCall call = action_call(context);
    g_autoptr(GError) failed = NULL;
    if (kube_delete(context->clients->kube, &KUBE_POD(event->pod_namespace, event->pod), &options, &call, &failed)) {
        g_autofree char *name = target_name(context);
        action_result_set(result, ACTION_SUCCESS, "%s has been terminated", name);
        return true;
    }
    if (uid && stoop_error_is(failed, STOOP_ERROR_CONFLICT))
        return tell_conflict(context, result, uid, &failed, error);
    target_explain(context, &failed);
    g_propagate_error(error, g_steal_pointer(&failed));
    return false;
}

static bool terminate_run(const ActionContext *context, ActionResult *result, GError **error) {
    if (!target_pod(context, result, error))
        return false;
    // The common case is one call: the API server itself compares the UID where the event has one.
    if (!has_guards(context->params))
        return delete_pod(context, result, context->event->pod_uid, error);
    g_auto(KubeObject) pod = {0};
    if (!target_read_pod(context, result, &pod, error))
        return false;
    if (!pod.root) // another pod now
        return true;
    if (!check_guards(context, result, pod.root, error))
        return false;
    if (result->status != ACTION_SUCCESS)
        return true;
    return delete_pod(context, result, kube_object_uid(pod.root), error);
}

static const char *const terminate_required[] = {TARGET_NEEDS_POD, TARGET_NEEDS_NAMESPACE, NULL};

static const PluginPermission terminate_permissions[] = {
    {"", "pods", "delete", NULL},
    {"", "pods", "get", "with ignore_* or min_healthy_replicas"},
    {"apps", "replicasets", "get", "with min_healthy_replicas"},
    {"apps", "statefulsets", "get", "with min_healthy_replicas"},
    {.resource = NULL},
};

const Actionner actionner_kubernetes_terminate = {
    .info = {.name = "kubernetes:terminate",
             .summary = "Terminates the pod.",
             .description =
                 "The pod is deleted; what owns it (a ReplicaSet, a StatefulSet, ...) creates a new one. Without "
                 "`ignore_*` and `min_healthy_replicas` this is one API call.\n"
                 "\n"
                 "With the pod's UID known (`k8s.pod.uid` in the event, or the pod read first because a guard needs "
                 "it) exactly that pod is deleted: where another one took its name, the result is `stale` and nothing "
                 "is touched. A pod that is left alone because of a guard gives `ignored`, with the reason. A pod that "
                 "is gone already is a failure.\n"
                 "\n"
                 "`min_healthy_replicas` holds for pods of ReplicaSets (so of Deployments) and StatefulSets, and "
                 "counts the pods that are ready now, this one included. Success means that Kubernetes accepted the "
                 "deletion; the pod then ends within its grace period. Deleting a static "
                 "pod in the API ends nothing, since its node runs it from a file: with a guard or a UID in the event "
                 "Stoop sees that it is one, and fails.",
             .params = {.size = sizeof(TerminateParams), .rows = terminate_rows},
             .example = "- action: Terminate the pod\n"
                        "  actionner: kubernetes:terminate\n"
                        "  parameters:\n"
                        "    grace_period_seconds: 5\n"
                        "    ignore_daemonsets: true\n"
                        "    ignore_statefulsets: true\n"
                        "    min_healthy_replicas: \"33%\"\n",
             .permissions = terminate_permissions,
             .dry_runs = true,
             .default_continue = false,
             .output = NEEDS_NO_OUTPUT,
             .required_fields = terminate_required,
             .source = "syscalls",
             .deadline_ms = 30000},
    .run = terminate_run,
};
