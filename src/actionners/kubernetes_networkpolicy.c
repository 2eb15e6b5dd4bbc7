// kubernetes:networkpolicy: a policy that lets nothing out of the pods of the pod's owner but what is allowed.
#include "actionners/cidr.h"
#include "actionners/egress.h"
#include "actionners/names.h"
#include "actionners/params.h"
#include "actionners/selector.h"
#include "actionners/target.h"
#include "base/error.h"

#include <string.h>

typedef struct {
    char **allow_cidr, **allow_namespaces;
} NetworkpolicyParams;

static const ParamRow networkpolicy_rows[] = {
    PARAM_ROW_LIST(NetworkpolicyParams, allow_cidr, .check = cidr_check, .old_names = TEXTS("allow", "allowCIDR"),
                   .summary = "Networks that the pods may still reach, IPv4 or IPv6."),
    PARAM_ROW_LIST(NetworkpolicyParams, allow_namespaces, .check = namespace_check,
                   .old_names = TEXTS("allowNamespaces"), .summary = "Namespaces that the pods may still reach."),
    PARAM_ROW_END,
};

// How often a policy is read anew when somebody else changes it at the same time.
enum { TRIES = 5, MOST_TOLD = 20 };

#define POLICY_PATH(space, policy) ((KubePath){"networking.k8s.io", "v1", "networkpolicies", (space), (policy), NULL})

typedef enum { POLICY_CREATED, POLICY_UPDATED, POLICY_TAKEN, POLICY_RACED, POLICY_FAILED } PolicyOutcome;

static PolicyOutcome create_policy(const ActionContext *context, const char *name, const EgressTarget *target,
                                   GError **error) {
    const NetworkpolicyParams *params = context->params;
    g_autofree char *json =
        egress_policy_json(name, yyjson_doc_get_root(target->selector), (const char *const *)params->allow_cidr,
                           (const char *const *)params->allow_namespaces, NULL);
    KubeCall call = action_call(context);
    g_auto(KubeObject) answer = {0};
    g_autoptr(GError) failed = NULL;
    if (kube_create(context->clients->kube, &POLICY_PATH(context->event->pod_namespace, NULL), json, &call, &answer,
                    &failed))
        return POLICY_CREATED;
    bool raced = stoop_error_is(failed, STOOP_ERROR_CONFLICT);
    g_propagate_error(error, g_steal_pointer(&failed));
    return raced ? POLICY_RACED : POLICY_FAILED;
}

static PolicyOutcome update_policy(const ActionContext *context, const char *name, yyjson_val *existing,
                                   GError **error) {
    const NetworkpolicyParams *params = context->params;
    // It keeps its selector: no pod that it holds is let go.
    g_autofree char *json = egress_policy_json(name, kube_object_get(existing, "spec", "podSelector", NULL),
                                               (const char *const *)params->allow_cidr,
                                               (const char *const *)params->allow_namespaces, existing);
    KubeCall call = action_call(context);
    g_auto(KubeObject) answer = {0};
    g_autoptr(GError) failed = NULL;
    if (kube_replace(context->clients->kube, &POLICY_PATH(context->event->pod_namespace, name), json, &call, &answer,
                     &failed))
        return POLICY_UPDATED;
    bool raced = stoop_error_is(failed, STOOP_ERROR_CONFLICT) || stoop_error_is(failed, STOOP_ERROR_NOT_FOUND);
    g_propagate_error(error, g_steal_pointer(&failed));
    return raced ? POLICY_RACED : POLICY_FAILED;
}

// One try to have the policy `name` hold the pod. TAKEN when there is one of Stoop's own for other pods.
static PolicyOutcome put_policy(const ActionContext *context, const char *name, yyjson_val *pod,
                                const EgressTarget *target, GError **error) {
    KubeCall call = action_call(context);
    g_auto(KubeObject) existing = {0};
    g_autoptr(GError) failed = NULL;
    if (!kube_get(context->clients->kube, &POLICY_PATH(context->event->pod_namespace, name), &call, &existing,
                  &failed)) {
        if (stoop_error_is(failed, STOOP_ERROR_NOT_FOUND))
            return create_policy(context, name, target, error);
        g_propagate_error(error, g_steal_pointer(&failed));
        return POLICY_FAILED;
    }
    if (!egress_policy_is_ours(existing.root)) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_CONFLICT,
                    "there is a network policy '%s' in the namespace '%s' that Stoop did not make: it is left as it "
                    "is, and the pod is not isolated",
                    name, context->event->pod_namespace);
        return POLICY_FAILED;
    }
    yyjson_val *selector = kube_object_get(existing.root, "spec", "podSelector", NULL);
    if (selector_is_empty(selector) || !selector_selects(selector, kube_object_get(pod, "metadata", "labels", NULL))) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_CONFLICT,
                    "the network policy '%s' in the namespace '%s' is one of Stoop's for other pods", name,
                    context->event->pod_namespace);
        return POLICY_TAKEN;
    }
    return update_policy(context, name, existing.root, error);
}

static PolicyOutcome put_policy_patiently(const ActionContext *context, const char *name, yyjson_val *pod,
                                          const EgressTarget *target, GError **error) {
    for (unsigned i = 1;; i++) {
        g_autoptr(GError) failed = NULL;
        PolicyOutcome outcome = put_policy(context, name, pod, target, &failed);
        if (outcome == POLICY_RACED && i < TRIES)
            continue;
        if (failed)
            g_propagate_error(error, g_steal_pointer(&failed));
        return outcome;
    }
}

typedef struct {
    yyjson_val *labels;
    const char *own_name;
    GString *names;
    unsigned count;
} LeakSearch;

static bool look_at_policy(yyjson_val *policy, void *user) {
    LeakSearch *search = user;
    const char *name = kube_object_text(policy, "metadata", "name", NULL);
    if (!name || strcmp(name, search->own_name) == 0 || !egress_policy_lets_out(policy, search->labels))
        return true;
    search->count++;
    if (search->count <= MOST_TOLD)
        g_string_append_printf(search->names, "%s%s", search->names->len ? ", " : "", name);
    return true;
}

static void forget_policies(void *user) {
    LeakSearch *search = user;
    search->count = 0;
    g_string_truncate(search->names, 0);
}

// Policies add up: what any of them lets out gets out. Appends what that means here to `text`.
static void tell_leaks(const ActionContext *context, const char *own_name, yyjson_val *pod, GString *text) {
    g_autoptr(GString) names = g_string_new(NULL);
    LeakSearch search = {
        .labels = kube_object_get(pod, "metadata", "labels", NULL), .own_name = own_name, .names = names};
    KubeList list = {.each = look_at_policy, .restart = forget_policies, .user = &search};
    KubeCall call = action_call(context);
    g_autoptr(GError) failed = NULL;
    if (!kube_list(context->clients->kube, &POLICY_PATH(context->event->pod_namespace, NULL), &list, &call, NULL,
                   &failed)) {
        g_string_append_printf(text, "; whether another policy still lets the pod out could not be told: %s",
                               failed->message);
        return;
    }
    if (search.count > 0)
        g_string_append_printf(text, "; still let the pod out: %s%s", names->str,
                               search.count > MOST_TOLD ? ", and more" : "");
}

static bool networkpolicy_run(const ActionContext *context, ActionResult *result, GError **error) {
    if (!target_pod(context, result, error))
        return false;
    g_auto(KubeObject) pod = {0};
    if (!target_read_pod(context, result, &pod, error))
        return false;
    if (!pod.root) // another pod now
        return true;
    g_auto(EgressTarget) target = {0};
    if (!egress_target_find(context, pod.root, &target, error))
        return false;

    // A Deployment and a StatefulSet may share a name; the second then has its kind in the policy's name.
    g_autofree char *name = g_strdup(target.name);
    g_autoptr(GError) failed = NULL;
    PolicyOutcome outcome = put_policy_patiently(context, name, pod.root, &target, &failed);
    if (outcome == POLICY_TAKEN) {
        g_clear_error(&failed);
        g_autofree char *kind = g_ascii_strdown(target.kind, -1);
        g_free(name);
        name = g_strdup_printf("%s-%s", target.name, kind);
        outcome = put_policy_patiently(context, name, pod.root, &target, &failed);
    }
    if (outcome != POLICY_CREATED && outcome != POLICY_UPDATED) {
        g_propagate_error(error, g_steal_pointer(&failed));
        return false;
    }
    action_result_add_object(result, "networkpolicy", name);
    g_autoptr(GString) text = g_string_new(NULL);
    g_string_append_printf(text, "the network policy '%s' in the namespace '%s' has been %s", name,
                           context->event->pod_namespace, outcome == POLICY_CREATED ? "created" : "updated");
    if (yyjson_get_bool(kube_object_get(pod.root, "spec", "hostNetwork", NULL)))
        g_string_append(text, "; the pod shares its node's network, where network plug-ins apply no policy");
    tell_leaks(context, name, pod.root, text);
    action_result_set(result, ACTION_SUCCESS, "%s", text->str);
    return true;
}

static const char *const networkpolicy_required[] = {TARGET_NEEDS_POD, TARGET_NEEDS_NAMESPACE, NULL};

static const PluginPermission networkpolicy_permissions[] = {
    {"", "pods", "get", NULL},
    {"apps", "replicasets", "get", NULL},
    {"apps", "statefulsets", "get", NULL},
    {"apps", "daemonsets", "get", NULL},
    {"networking.k8s.io", "networkpolicies", "get,list,create,update", NULL},
    {.resource = NULL},
};

const Actionner actionner_kubernetes_networkpolicy = {
    .info = {.name = "kubernetes:networkpolicy",
             .summary = "Creates or updates a network policy that blocks what leaves the pod and its siblings.",
             .description =
                 "The policy is called after the pod's owner (the Deployment, StatefulSet, ...; a pod that nothing "
                 "owns gives its own name) and selects all pods of that owner by the owner's labels, without those of "
                 "one generation or one pod. It carries the label `app.kubernetes.io/managed-by: stoop`. Without "
                 "`allow_cidr` and `allow_namespaces` nothing gets out, DNS neither; what is in either list gets "
                 "out.\n"
                 "\n"
                 "Repeating it updates the policy. A policy of that name that Stoop did not make is never changed: "
                 "the action fails and says so. Where the name belongs to one of Stoop's policies for other pods (a "
                 "Deployment and a StatefulSet of one name), the kind is added to the name. Pods without any label "
                 "cannot be selected, which is a failure too.\n"
                 "\n"
                 "Policies add up, so the result names every other policy of the namespace that still lets the pod "
                 "out. Success means that the API server has the policy; the cluster's network plug-in must support "
                 "network policies for it to have an effect, and some leave connections alone that are open already.",
             .params = {.size = sizeof(NetworkpolicyParams), .rows = networkpolicy_rows},
             .example = "- action: Create a network policy\n"
                        "  actionner: kubernetes:networkpolicy\n"
                        "  parameters:\n"
                        "    allow_cidr:\n"
                        "      - \"192.168.1.0/24\"\n"
                        "      - \"172.17.0.0/16\"\n"
                        "    allow_namespaces:\n"
                        "      - \"green-ns\"\n"
                        "      - \"blue-ns\"\n",
             .permissions = networkpolicy_permissions,
             .dry_runs = true,
             .default_continue = true,
             .output = NEEDS_NO_OUTPUT,
             .required_fields = networkpolicy_required,
             .source = "syscalls",
             .deadline_ms = 30000},
    .run = networkpolicy_run,
};
