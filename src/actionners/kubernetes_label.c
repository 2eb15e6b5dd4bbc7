// kubernetes:label: adds, changes and deletes labels of the pod or of its node.
#include "actionners/metadata.h"
#include "actionners/names.h"
#include "actionners/params.h"
#include "actionners/target.h"

typedef struct {
    char *level;
    GPtrArray *labels;
} LabelParams;

static const ParamRow label_rows[] = {
    PARAM_ROW_TEXT(LabelParams, level, .default_value = "pod", .choices = METADATA_LEVELS,
                   .summary = "What gets the labels: the pod, or the node that it runs on."),
    PARAM_ROW_MAP(LabelParams, labels, .required = true,
                  .summary = "The labels, key to value; an empty value deletes the label."),
    PARAM_ROW_END,
};

static char *label_check(const void *params) {
    return labels_check("labels", ((const LabelParams *)params)->labels);
}

static bool label_run(const ActionContext *context, ActionResult *result, GError **error) {
    const LabelParams *params = context->params;
    return metadata_patch(context, params->level, "labels", params->labels, result, error);
}

static const char *const label_required[] = {TARGET_NEEDS_POD, TARGET_NEEDS_NAMESPACE, NULL};

static const PluginPermission label_permissions[] = {
    {"", "pods", "patch", "with level pod"},
    {"", "pods", "get", "with level node, or with k8s.pod.uid in the event, to tell a namesake"},
    {"", "nodes", "patch", "with level node"},
    {.resource = NULL},
};

const Actionner actionner_kubernetes_label = {
    .info = {.name = "kubernetes:label",
             .summary = "Adds, changes or deletes labels of the pod or of its node.",
             .description =
                 "One merge patch: labels that are not named stay as they are, and deleting one that is not there is "
                 "fine. Keys and values are checked when the rules are loaded.\n"
                 "\n"
                 "With `k8s.pod.uid` in the event exactly that pod is changed; where another one took its name, the "
                 "result is `stale`. With `level: node` the node is the event's `k8s.node.name`, else the one that the "
                 "pod runs on.",
             .params = {.size = sizeof(LabelParams), .rows = label_rows, .check = label_check},
             .example = "- action: Label the pod\n"
                        "  actionner: kubernetes:label\n"
                        "  parameters:\n"
                        "    level: pod\n"
                        "    labels:\n"
                        "      suspicious: true\n"
                        "      owner: \"\"\n",
             .permissions = label_permissions,
             .dry_runs = true,
             .default_continue = true,
             .output = NEEDS_NO_OUTPUT,
             .required_fields = label_required,
             .source = "syscalls",
             .deadline_ms = 30000},
    .run = label_run,
};
