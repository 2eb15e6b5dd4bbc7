// k8snode: facts about the node that the pod runs on.
#include "contexts/context.h"

static const ParamRow no_rows[] = {PARAM_ROW_END};

static const PluginPermission k8snode_permissions[] = {
    {.api_group = "", .resource = "pods", .verbs = "get"},
    {.api_group = "", .resource = "nodes", .verbs = "get"},
    {.resource = NULL},
};

static const char *const k8snode_required[] = {"k8s.pod.name|ka.target.pod.name|ka.target.name",
                                               "k8s.ns.name|ka.target.namespace", NULL};

const Context context_k8snode = {
    .info = {.name = "k8snode",
             .summary = "Adds facts about the node that the pod runs on.",
             .description = "The keys are `node.hostname`, `node.instancetype`, `node.role`, `node.topology.region`, "
                            "`node.topology.zone` and `node.spec.providerid`; what the node does not say is left out.",
             .params = {.size = 1, .rows = no_rows},
             .example = "- action: Tell which node it is\n"
                        "  actionner: kubernetes:exec\n"
                        "  additional_contexts:\n"
                        "    - k8snode\n"
                        "  parameters:\n"
                        "    command: \"echo ${NODE_HOSTNAME}\"\n",
             .planned = true,
             .permissions = k8snode_permissions,
             .required_fields = k8snode_required},
};
