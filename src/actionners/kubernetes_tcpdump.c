// kubernetes:tcpdump: a capture of the pod's network traffic, into an output.
#include "actionners/target.h"

typedef struct {
    int64_t duration, snaplen;
    char *image;
} TcpdumpParams;

static const ParamRow tcpdump_rows[] = {
    PARAM_ROW_INT(TcpdumpParams, duration, .default_value = "5", PARAM_RANGE(1, 3600), .unit = "s",
                  .summary = "How long the capture lasts."),
    PARAM_ROW_INT(TcpdumpParams, snaplen, .default_value = "4096", PARAM_RANGE(1, 262144), .unit = "bytes",
                  .summary = "How much of each packet is captured."),
    PARAM_ROW_TEXT(TcpdumpParams, image, .summary = "Image with tcpdump for the container that captures."),
    PARAM_ROW_END,
};

static const char *const tcpdump_required[] = {TARGET_NEEDS_POD, TARGET_NEEDS_NAMESPACE, NULL};

static const PluginPermission tcpdump_permissions[] = {
    {"", "pods", "get", NULL},
    {"", "pods/ephemeralcontainers", "patch", NULL},
    {"", "pods/attach", "get,create", NULL},
    {.resource = NULL},
};

const Actionner actionner_kubernetes_tcpdump = {
    .info = {.name = "kubernetes:tcpdump",
             .summary = "Captures the network traffic of the pod.",
             .description =
                 "An ephemeral container of the pod captures, with the capabilities that it needs and no more; the "
                 "capture streams to the output while it runs. The result is a pcap file. Kubernetes keeps the "
                 "ended container in the pod's list until the pod ends.",
             .params = {.size = sizeof(TcpdumpParams), .rows = tcpdump_rows},
             .example = "- action: Capture the packets of the pod\n"
                        "  actionner: kubernetes:tcpdump\n"
                        "  parameters:\n"
                        "    duration: 10\n"
                        "    snaplen: 1024\n"
                        "  output:\n"
                        "    target: aws:s3\n"
                        "    parameters:\n"
                        "      bucket: my-bucket\n"
                        "      prefix: /captures/\n",
             .planned = true,
             .permissions = tcpdump_permissions,
             .default_continue = true,
             .output = NEEDS_OUTPUT,
             .required_fields = tcpdump_required,
             .source = "syscalls",
             .long_running = true,
             .deadline_ms = 300000},
    .run = NULL,
};
