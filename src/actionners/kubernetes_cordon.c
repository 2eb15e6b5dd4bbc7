// kubernetes:cordon: no new pod is scheduled on the node of the pod.
#include "actionners/target.h"

static const ParamRow no_rows[] = {PARAM_ROW_END};

static bool is_cordoned(yyjson_val *node) {
    return yyjson_get_bool(kube_object_get(node, "spec", "unschedulable", NULL));
}

static bool cordon_run(const ActionContext *context, ActionResult *result, GError **error) {
    if (!target_pod(context, result, error))
        return false;
    g_autofree char *node = NULL;
    if (!target_node(context, result, &node, error))
        return false;
    if (!node)
        return true;
    KubeCall call = action_call(context);
    g_auto(KubeObject) object = {0};
    if (!kube_get(context->clients->kube, &KUBE_NODE(node), &call, &object, error))
        return false;
    if (is_cordoned(object.root)) {
        action_result_set(result, ACTION_SUCCESS, "the node '%s' was cordoned already", node);
        return true;
    }
    if (!kube_patch(context->clients->kube, &KUBE_NODE(node), KUBE_MERGE_PATCH, "{\"spec\":{\"unschedulable\":true}}",
                    &call, NULL, error))
        return false;
    action_result_set(result, ACTION_SUCCESS, "the node '%s' has been cordoned", node);
    return true;
}

static const char *const cordon_required[] = {TARGET_NEEDS_POD, TARGET_NEEDS_NAMESPACE, NULL};

static const PluginPermission cordon_permissions[] = {
    {"", "pods", "get", "where the event has no k8s.node.name"},
    {"", "nodes", "get,patch", NULL},
    {.resource = NULL},
};

const Actionner actionner_kubernetes_cordon = {
    .info = {.name = "kubernetes:cordon",
             .summary = "Cordons the node of the pod, so that no new pod is scheduled there.",
             .description =
                 "The node is the event's `k8s.node.name`, else the one that the pod runs on. Pods that run there go "
                 "on. A node that is cordoned already stays so, which is a success whose text says it. "
                 "`kubectl uncordon` takes it back.",
             .params = {.size = 1, .rows = no_rows},
             .example = "- action: Cordon the node\n"
                        "  actionner: kubernetes:cordon\n",
             .permissions = cordon_permissions,
             .dry_runs = true,
             .default_continue = true,
             .output = NEEDS_NO_OUTPUT,
             .required_fields = cordon_required,
             .source = "syscalls",
             .deadline_ms = 30000},
    .run = cordon_run,
};
