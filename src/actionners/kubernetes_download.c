// kubernetes:download: a file of the pod, into an output.
#include "actionners/target.h"

typedef struct {
    char *file;
} DownloadParams;

static const ParamRow download_rows[] = {
    PARAM_ROW_TEXT(DownloadParams, file, .required = true, .summary = "Full path of the file in the container."),
    PARAM_ROW_END,
};

static const char *const download_required[] = {TARGET_NEEDS_POD, TARGET_NEEDS_NAMESPACE, NULL};

static const PluginPermission download_permissions[] = {
    {"", "pods", "get", NULL},
    {"", "pods/exec", "get,create", NULL},
    {.resource = NULL},
};

const Actionner actionner_kubernetes_download = {
    .info = {.name = "kubernetes:download",
             .summary = "Downloads a file from the pod.",
             .description =
                 "Every byte of the file is streamed to the output as it is, whatever its size, up to the limits of "
                 "size and time. The container is the one that the event names, else the first that has the file.",
             .params = {.size = sizeof(DownloadParams), .rows = download_rows},
             .example = "- action: Get a file of the pod\n"
                        "  actionner: kubernetes:download\n"
                        "  parameters:\n"
                        "    file: /etc/passwd\n"
                        "  output:\n"
                        "    target: aws:s3\n"
                        "    parameters:\n"
                        "      bucket: my-bucket\n"
                        "      prefix: /files/\n",
             .planned = true,
             .permissions = download_permissions,
             .default_continue = true,
             .uses_contexts = true,
             .output = NEEDS_OUTPUT,
             .required_fields = download_required,
             .source = "syscalls",
             .long_running = true,
             .deadline_ms = 300000},
    .run = NULL,
};
