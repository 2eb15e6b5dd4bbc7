// kubernetes:annotation: adds, changes and deletes annotations of the pod or of its node.
#include "actionners/metadata.h"
#include "actionners/names.h"
#include "actionners/params.h"
#include "actionners/target.h"

typedef struct {
    char *level;
    GPtrArray *annotations;
} AnnotationParams;

static const ParamRow annotation_rows[] = {
    PARAM_ROW_TEXT(AnnotationParams, level, .default_value = "pod", .choices = METADATA_LEVELS,
                   .summary = "What gets the annotations: the pod, or the node that it runs on."),
    PARAM_ROW_MAP(AnnotationParams, annotations, .required = true,
                  .summary = "The annotations, key to value; an empty value deletes the annotation."),
    PARAM_ROW_END,
};

static char *annotation_check(const void *params) {
    return annotations_check("annotations", ((const AnnotationParams *)params)->annotations);
}

static bool annotation_run(const ActionContext *context, ActionResult *result, GError **error) {
    const AnnotationParams *params = context->params;
    return metadata_patch(context, params->level, "annotations", params->annotations, result, error);
}

static const char *const annotation_required[] = {TARGET_NEEDS_POD, TARGET_NEEDS_NAMESPACE, NULL};

static const PluginPermission annotation_permissions[] = {
    {"", "pods", "patch", "with level pod"},
    {"", "pods", "get", "with level node, or with k8s.pod.uid in the event, to tell a namesake"},
    {"", "nodes", "patch", "with level node"},
    {.resource = NULL},
};

const Actionner actionner_kubernetes_annotation = {
    .info =
        {.name = "kubernetes:annotation",
         .summary = "Adds, changes or deletes annotations of the pod or of its node.",
         .description =
             "One merge patch: annotations that are not named stay as they are, and deleting one that is not there is "
             "fine. Keys and values are checked when the rules are loaded.\n"
             "\n"
             "With `k8s.pod.uid` in the event exactly that pod is changed; where another one took its name, the "
             "result is `stale`. With `level: node` the node is the event's `k8s.node.name`, else the one that the "
             "pod runs on.",
         .params = {.size = sizeof(AnnotationParams), .rows = annotation_rows, .check = annotation_check},
         .example = "- action: Annotate the pod\n"
                    "  actionner: kubernetes:annotation\n"
                    "  parameters:\n"
                    "    level: pod\n"
                    "    annotations:\n"
                    "      stoop.example.com/reason: a shell was spawned\n",
         .permissions = annotation_permissions,
         .dry_runs = true,
         .default_continue = true,
         .output = NEEDS_NO_OUTPUT,
         .required_fields = annotation_required,
         .source = "syscalls",
         .deadline_ms = 30000},
    .run = annotation_run,
};
