#include "actionners/deny_policy.h"

#include "actionners/pause.h"
#include "actionners/target.h"
#include "base/backoff.h"
#include "base/error.h"
#include "kube/kube_pod.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

// Between tries, when somebody else changed the policy at the same time: with many at once each round lets one through.
static const int64_t RACE_US = 20000, RACE_MOST_US = 500000;

typedef enum { POLICY_CREATED, POLICY_UPDATED, POLICY_SAME, POLICY_TAKEN, POLICY_RACED, POLICY_FAILED } Outcome;

// One run: what is to be denied, and for whom.
typedef struct {
    const ActionContext *context;
    const DenyKind *kind;
    const EgressTarget *target;
    const char *cidr;
    const char *remark;
} Deny;

// The network of one address: /32, or /128. An IPv4 address in IPv6's clothes is an IPv4 address.
static char *network_of(const char *ip) {
    struct in_addr v4;
    struct in6_addr v6;
    char text[INET6_ADDRSTRLEN];
    if (inet_pton(AF_INET, ip, &v4) == 1)
        return g_strdup_printf("%s/32", inet_ntop(AF_INET, &v4, text, sizeof text));
    if (inet_pton(AF_INET6, ip, &v6) != 1)
        return NULL;
    if (IN6_IS_ADDR_V4MAPPED(&v6))
        return g_strdup_printf("%s/32", inet_ntop(AF_INET, &v6.s6_addr[12], text, sizeof text));
    return g_strdup_printf("%s/128", inet_ntop(AF_INET6, &v6, text, sizeof text));
}

static void add_denied(const char *cidr, void *user) {
    GPtrArray *denied = user;
    if (!g_ptr_array_find_with_equal_func(denied, cidr, g_str_equal, NULL))
        g_ptr_array_add(denied, g_strdup(cidr));
}

// The policy as JSON; `same` tells that it says what `existing` (NULL: none) says already.
static char *policy_json(const Deny *deny, const char *name, yyjson_val *existing, bool *same, GError **error) {
    yyjson_val *old_spec = yyjson_obj_get(existing, "spec");
    g_autoptr(GPtrArray) denied = g_ptr_array_new_with_free_func(g_free);
    deny->kind->denied(old_spec, add_denied, denied);
    add_denied(deny->cidr, denied);
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    yyjson_mut_doc_set_root(doc, root);
    g_autofree char *version = g_strdup_printf("%s/%s", deny->kind->group, deny->kind->version);
    yyjson_mut_obj_add_str(doc, root, "apiVersion", version);
    yyjson_mut_obj_add_str(doc, root, "kind", deny->kind->kind);
    yyjson_mut_obj_add_val(doc, root, "metadata", egress_policy_metadata(doc, name, existing));
    yyjson_mut_val *spec = yyjson_is_obj(old_spec) ? yyjson_val_mut_copy(doc, old_spec) : yyjson_mut_obj(doc);
    yyjson_mut_obj_add_val(doc, root, "spec", spec);
    char *json = NULL;
    if (deny->kind->write(doc, spec, deny->target, denied, deny->context->params, error)) {
        yyjson_mut_val *before = yyjson_val_mut_copy(doc, old_spec);
        *same = before && yyjson_mut_equals(before, spec);
        char *written = yyjson_mut_write(doc, 0, NULL);
        json = g_strdup(written);
        free(written);
    }
    yyjson_mut_doc_free(doc);
    return json;
}

static KubePath policy_path(const Deny *deny, const char *name) {
    return (KubePath){
        deny->kind->group, deny->kind->version, deny->kind->plural, deny->context->event->pod_namespace, name, NULL};
}

static void note_remark(Deny *deny, yyjson_val *policy) {
    deny->remark = deny->kind->remark ? deny->kind->remark(yyjson_obj_get(policy, "spec")) : NULL;
}

static Outcome create_policy(Deny *deny, const char *name, GError **error) {
    bool same = false;
    g_autofree char *json = policy_json(deny, name, NULL, &same, error);
    if (!json)
        return POLICY_FAILED;
    KubePath path = policy_path(deny, NULL);
    KubeCall call = action_call(deny->context);
    g_auto(KubeObject) answer = {0};
    g_autoptr(GError) failed = NULL;
    if (kube_create(deny->context->clients->kube, &path, json, &call, &answer, &failed)) {
        note_remark(deny, answer.root);
        return POLICY_CREATED;
    }
    bool raced = stoop_error_is(failed, STOOP_ERROR_CONFLICT);
    // A namespace that is gone is NOT_FOUND too, and says so.
    if (stoop_error_is(failed, STOOP_ERROR_NOT_FOUND) && !strstr(failed->message, "namespaces \""))
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_NOT_FOUND, "the cluster has no resource '%s' of %s/%s: %s",
                    deny->kind->plural, deny->kind->group, deny->kind->version, deny->kind->missing);
    else
        g_propagate_error(error, g_steal_pointer(&failed));
    return raced ? POLICY_RACED : POLICY_FAILED;
}

static Outcome update_policy(Deny *deny, const char *name, yyjson_val *existing, GError **error) {
    bool same = false;
    g_autofree char *json = policy_json(deny, name, existing, &same, error);
    if (!json)
        return POLICY_FAILED;
    note_remark(deny, existing);
    if (same)
        return POLICY_SAME;
    KubePath path = policy_path(deny, name);
    KubeCall call = action_call(deny->context);
    g_auto(KubeObject) answer = {0};
    g_autoptr(GError) failed = NULL;
    if (kube_replace(deny->context->clients->kube, &path, json, &call, &answer, &failed)) {
        note_remark(deny, answer.root);
        return POLICY_UPDATED;
    }
    bool raced = stoop_error_is(failed, STOOP_ERROR_CONFLICT) || stoop_error_is(failed, STOOP_ERROR_NOT_FOUND);
    g_propagate_error(error, g_steal_pointer(&failed));
    return raced ? POLICY_RACED : POLICY_FAILED;
}

// One try. TAKEN when the policy of that name is one of Stoop's own for other pods.
static Outcome put_policy(Deny *deny, const char *name, GError **error) {
    KubePath path = policy_path(deny, name);
    KubeCall call = action_call(deny->context);
    g_auto(KubeObject) existing = {0};
    g_autoptr(GError) failed = NULL;
    if (!kube_get(deny->context->clients->kube, &path, &call, &existing, &failed)) {
        if (stoop_error_is(failed, STOOP_ERROR_NOT_FOUND))
            return create_policy(deny, name, error);
        g_propagate_error(error, g_steal_pointer(&failed));
        return POLICY_FAILED;
    }
    if (!egress_policy_is_ours(existing.root)) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_CONFLICT,
                    "there is a %s '%s' in the namespace '%s' that Stoop did not make: it is left as it is, and %s is "
                    "not denied",
                    deny->kind->called, name, deny->context->event->pod_namespace, deny->cidr);
        return POLICY_FAILED;
    }
    if (!deny->kind->is_for(yyjson_obj_get(existing.root, "spec"), deny->target)) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_CONFLICT,
                    "the %s '%s' in the namespace '%s' is one of Stoop's for other pods", deny->kind->called, name,
                    deny->context->event->pod_namespace);
        return POLICY_TAKEN;
    }
    return update_policy(deny, name, existing.root, error);
}

static Outcome put_policy_patiently(Deny *deny, const char *name, GError **error) {
    Backoff backoff = {.base_us = RACE_US, .max_us = RACE_MOST_US};
    for (;;) {
        g_autoptr(GError) failed = NULL;
        Outcome outcome = put_policy(deny, name, &failed);
        if (outcome == POLICY_RACED &&
            action_pause(deny->context, backoff_next_us(&backoff, backoff_system_random32(NULL)),
                         deny->context->deadline_us))
            continue;
        if (outcome == POLICY_RACED && cancel_is_set(deny->context->cancel)) {
            // Not a failure: the next start goes on with it.
            g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_CANCELLED, "Stoop is leaving");
            return outcome;
        }
        if (failed)
            g_propagate_error(error, g_steal_pointer(&failed));
        return outcome;
    }
}

static bool put(Deny *deny, yyjson_val *pod, ActionResult *result, GError **error) {
    const EgressTarget *target = deny->target;
    // A Deployment and a StatefulSet may share a name; the second then has its kind in the policy's name.
    g_autofree char *name = g_strdup(target->name);
    g_autoptr(GError) failed = NULL;
    Outcome outcome = put_policy_patiently(deny, name, &failed);
    if (outcome == POLICY_TAKEN) {
        g_clear_error(&failed);
        g_autofree char *owner_kind = g_ascii_strdown(target->kind, -1);
        g_free(name);
        name = g_strdup_printf("%s-%s", target->name, owner_kind);
        outcome = put_policy_patiently(deny, name, &failed);
    }
    if (outcome != POLICY_CREATED && outcome != POLICY_UPDATED && outcome != POLICY_SAME) {
        g_propagate_error(error, g_steal_pointer(&failed));
        return false;
    }
    action_result_add_object(result, "networkpolicy", name);
    bool host_network = yyjson_get_bool(kube_object_get(pod, "spec", "hostNetwork", NULL));
    action_result_set(
        result, ACTION_SUCCESS, "the %s '%s' in the namespace '%s' %s %s%s%s%s", deny->kind->called, name,
        deny->context->event->pod_namespace,
        outcome == POLICY_CREATED   ? "has been created and denies"
        : outcome == POLICY_UPDATED ? "has been updated and denies"
                                    : "denied already",
        deny->cidr,
        host_network ? "; the pod shares its node's network, where network plug-ins apply no policy of a pod" : "",
        deny->remark ? "; " : "", deny->remark ? deny->remark : "");
    return true;
}

void deny_policy_put(yyjson_mut_doc *doc, yyjson_mut_val *spec, const char *key, yyjson_mut_val *value) {
    yyjson_mut_obj_put(spec, yyjson_mut_str(doc, key), value);
}

bool deny_policy_run(const ActionContext *context, const DenyKind *kind, ActionResult *result, GError **error) {
    if (!target_pod(context, result, error))
        return false;
    const char *ip = context->event->remote_ip;
    g_autofree char *cidr = ip ? network_of(ip) : NULL;
    if (!cidr) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID, "the event's %s is no IP address",
                    ip ? ip : "fd.rip or fd.sip");
        return false;
    }
    g_auto(KubeObject) pod = {0};
    if (!target_read_pod(context, result, &pod, error))
        return false;
    if (!pod.root) // another pod now
        return true;
    g_auto(EgressTarget) target = {0};
    if (!egress_target_find(context, pod.root, &target, error))
        return false;
    Deny deny = {.context = context, .kind = kind, .target = &target, .cidr = cidr};
    return put(&deny, pod.root, result, error);
}
