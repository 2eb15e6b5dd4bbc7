// kubernetes:sysdig: a capture of the system calls, into an output.
#include "actionners/params.h"
#include "actionners/target.h"

typedef struct {
    int64_t duration, buffer_size;
    char *scope, *image;
} SysdigParams;

static const ParamRow sysdig_rows[] = {
    PARAM_ROW_INT(SysdigParams, duration, .default_value = "5", PARAM_RANGE(1, 30), .unit = "s",
                  .summary = "How long the capture lasts."),
    PARAM_ROW_TEXT(SysdigParams, scope, .default_value = "pod", .choices = TEXTS("pod", "node"),
                   .summary = "Whose system calls: those of the pod, or all of its node."),
    PARAM_ROW_INT(SysdigParams, buffer_size, .default_value = "2048", PARAM_RANGE(128, 1073741824), .unit = "bytes",
                  .summary = "Size of the buffer between the kernel and sysdig."),
    PARAM_ROW_TEXT(SysdigParams, image, .summary = "Image with sysdig for the Job that captures."),
    PARAM_ROW_END,
};

static const char *const sysdig_required[] = {TARGET_NEEDS_POD, TARGET_NEEDS_NAMESPACE, NULL};

static const PluginPermission sysdig_permissions[] = {
    {"", "pods", "get,list", NULL},
    {"", "pods/log", "get", NULL},
    {"batch", "jobs", "get,create,delete", NULL},
    {.resource = NULL},
};

const Actionner actionner_kubernetes_sysdig = {
    .info = {.name = "kubernetes:sysdig",
             .summary = "Captures the system calls of the pod or its node.",
             .description =
                 "A privileged Job on the pod's node captures; it is removed afterwards. The capture opens in "
                 "sysdig and Stratoshark.",
             .params = {.size = sizeof(SysdigParams), .rows = sysdig_rows},
             .example = "- action: Capture the system calls of the pod\n"
                        "  actionner: kubernetes:sysdig\n"
                        "  parameters:\n"
                        "    duration: 10\n"
                        "    scope: pod\n"
                        "  output:\n"
                        "    target: aws:s3\n"
                        "    parameters:\n"
                        "      bucket: my-bucket\n"
                        "      prefix: /captures/\n",
             .planned = true,
             .permissions = sysdig_permissions,
             .default_continue = false,
             .output = NEEDS_OUTPUT,
             .required_fields = sysdig_required,
             .source = "syscalls",
             .long_running = true,
             .deadline_ms = 300000},
    .run = NULL,
};
