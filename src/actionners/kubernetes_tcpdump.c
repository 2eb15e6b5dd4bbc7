// kubernetes:tcpdump: a capture of the pod's network traffic, into an output.
#include "actionners/capture.h"
#include "actionners/target.h"
#include "actionners/waiter.h"
#include "base/error.h"
#include "kube/kube_ephemeral.h"
#include "kube/kube_pod.h"

#include <string.h>
#include <sys/random.h>

typedef struct {
    int64_t duration, snaplen;
    char *image;
} TcpdumpParams;

// Of the longest capture; its parts have deadlines of their own.
enum { DEADLINE_MS = 3900000 };

static const ParamRow tcpdump_rows[] = {
    PARAM_ROW_INT(TcpdumpParams, duration, .default_value = "5", PARAM_RANGE(1, 3600), .unit = "s",
                  .summary = "How long the capture lasts."),
    PARAM_ROW_INT(TcpdumpParams, snaplen, .default_value = "4096", PARAM_RANGE(1, 262144), .unit = "bytes",
                  .summary = "How much of each packet is captured."),
    PARAM_ROW_TEXT(TcpdumpParams, image,
                   .summary = "Image of the container that captures; it needs `tcpdump` and a shell. Default: the "
                              "configuration's `images.tcpdump`."),
    PARAM_ROW_END,
};

// --- The container ---

static char *container_name(void) {
    uint32_t random[2] = {0};
    if (getrandom(random, sizeof random, 0) != sizeof random)
        random[0] = (uint32_t)g_get_real_time();
    return g_strdup_printf("stoop-tcpdump-%08x%04x", random[0], random[1] & 0xffff);
}

// A socket for packets is all that a capture needs: the pod's network is its own, and no interface is made promiscuous.
// But most tcpdumps insist on giving up their groups first.
static bool start_container(const ActionContext *context, yyjson_val *pod, const char *name, GError **error) {
    static const char *const capabilities[] = {"NET_RAW", "SETGID", NULL};
    const TcpdumpParams *params = context->params;
    const char *image = params->image ? params->image : context->clients->tcpdump_image;
    if (!image || !*image) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID,
                    "no image with tcpdump is named: give the parameter `image`, or `images.tcpdump` in the "
                    "configuration");
        return false;
    }
    ActionContext own = capture_until(context, CAPTURE_START_S);
    g_autofree char *seconds = capture_waiter_seconds(params->duration);
    const char *command[8];
    waiter_command(command, seconds);
    KubeEphemeral container = {
        .name = name, .image = image, .command = command, .capabilities = capabilities, .run_as_user = 0};
    KubeCall call = action_call(&own);
    if (kube_ephemeral_start(context->clients->kube, context->event->pod_namespace, context->event->pod,
                             kube_object_uid(pod), &container, &call, error))
        return true;
    target_explain(context, error);
    g_prefix_error(error, "the container that captures (image %s): ", image);
    return false;
}

// --- The capture ---

// A tcpdump that was built to become another user lacks the capability for that, and is told to stay who it is, which
// changes nothing: its container has no more than it needs. Whether it knows the option, an empty pcap tells.
static const char BEFORE[] =
    "z=; h='\\324\\303\\262\\241\\2\\0\\4\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\4\\0\\1\\0\\0\\0'\n"
    "if printf \"$h\" | tcpdump -Z root -r - >/dev/null 2>&1; then z='-Z root'; fi\n";

// "3 packets dropped by kernel": 3. What it does not say is 0.
static uint64_t dropped(const char *errors) {
    const char *found = errors ? g_strrstr(errors, " dropped by kernel") : NULL;
    const char *at = found;
    while (at && at > errors && at[-1] != '\n')
        at--;
    return at ? g_ascii_strtoull(at, NULL, 10) : 0;
}

static void tell(const ActionContext *context, const CaptureEnd *end, const char *how, ActionResult *result) {
    g_autofree char *name = target_name(context);
    uint64_t lost = dropped(end->errors);
    g_autofree char *losses = g_strdup_printf("; the kernel dropped %" G_GUINT64_FORMAT " more", lost);
    action_result_set(result, ACTION_SUCCESS, "%" G_GUINT64_FORMAT " packet%s of %s captured%s%s%s", end->records,
                      end->records == 1 ? " was" : "s", name, how, lost ? losses : "",
                      end->killed ? "; tcpdump did not end when told to, and was killed" : "");
}

static bool is_of_a_broken_pod(const GError *failure) {
    return stoop_error_is(failure, STOOP_ERROR_UNAVAILABLE) || stoop_error_is(failure, STOOP_ERROR_NOT_FOUND);
}

// What the capture's end means: the pod may have taken it along.
static bool settle(const ActionContext *context, yyjson_val *pod, const CaptureEnd *end, bool begun, GError *failure,
                   ActionResult *result, GError **error) {
    const TcpdumpParams *params = context->params;
    g_autoptr(GError) kept = failure;
    if (!kept && end->exit_code == 0 && !end->early && !end->struck) {
        g_autofree char *how = g_strdup_printf(" in %" G_GINT64_FORMAT " s", params->duration);
        tell(context, end, how, result);
        return true;
    }
    if ((!kept || is_of_a_broken_pod(kept)) && begun && capture_pod_ended(context, kube_object_uid(pod))) {
        tell(context, end, " until the pod ended, which cut the capture short", result);
        return true;
    }
    if (!kept && end->exit_code == 0 && begun) {
        tell(context, end,
             end->struck ? " until tcpdump was killed by somebody, which cut the capture short"
                         : " until tcpdump was ended by somebody before its time, which cut the capture short",
             result);
        return true;
    }
    // At the action's own time limit the engine says so.
    if (kept && end->late && clock_monotonic_us(context->clock) < context->deadline_us) {
        tell(context, end, " until no end of it was seen in time, which cut the capture short", result);
        return true;
    }
    if (kept)
        g_propagate_error(error, g_steal_pointer(&kept));
    else
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_FAILED, "tcpdump ended with exit status %d%s%s", end->exit_code,
                    end->errors && *end->errors ? ": " : "", end->errors ? end->errors : "");
    return false;
}

static bool capture_packets(const ActionContext *context, yyjson_val *pod, const char *container, ActionResult *result,
                            GError **error) {
    const TcpdumpParams *params = context->params;
    g_autofree char *artifact = g_strconcat(context->event->pod, ".pcap", NULL);
    // Packets are handed over one by one and written at once: none of them is lost with the pod.
    g_autofree char *arguments =
        g_strdup_printf("$z -i any -n -p --immediate-mode -U -s %" G_GINT64_FORMAT " -w -", params->snaplen);
    Capture capture = {.pod_namespace = context->event->pod_namespace,
                       .pod = context->event->pod,
                       .container = container,
                       .tool = "tcpdump",
                       .before = BEFORE,
                       .arguments = arguments,
                       .duration_s = params->duration,
                       .artifact = artifact,
                       .kind = RECORDS_PCAP};
    g_auto(CaptureEnd) end = {0};
    GError *failure = NULL;
    if (!capture_run(context, &capture, &end, &failure))
        waiter_end(context, capture.pod_namespace, capture.pod, container);
    return settle(context, pod, &end, end.begun, failure, result, error);
}

static bool tcpdump_run(const ActionContext *context, ActionResult *result, GError **error) {
    if (!target_pod(context, result, error))
        return false;
    g_auto(KubeObject) pod = {0};
    if (!target_read_pod(context, result, &pod, error))
        return false;
    if (!pod.root) // another pod now
        return true;
    const char *phase = kube_object_text(pod.root, "status", "phase", NULL);
    if (g_strcmp0(phase, "Succeeded") == 0 || g_strcmp0(phase, "Failed") == 0) {
        g_autofree char *target = target_name(context);
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_NOT_FOUND, "%s has ended already", target);
        return false;
    }
    g_autofree char *name = container_name();
    action_result_add_object(result, "container", name);
    return start_container(context, pod.root, name, error) && capture_packets(context, pod.root, name, result, error);
}

static const char *const tcpdump_required[] = {TARGET_NEEDS_POD, TARGET_NEEDS_NAMESPACE, NULL};

static const PluginPermission tcpdump_permissions[] = {
    {"", "pods", "get,list,watch", NULL},
    {"", "pods/ephemeralcontainers", "patch", NULL},
    {"", "pods/exec", "get,create", NULL},
    {.resource = NULL},
};

const Actionner actionner_kubernetes_tcpdump = {
    .info =
        {.name = "kubernetes:tcpdump",
         .summary = "Captures the network traffic of the pod.",
         .description =
             "An ephemeral container of the pod captures the packets of all its interfaces, and they stream to the "
             "output while it runs. It runs as root with the capabilities NET_RAW and SETGID, with which tcpdump "
             "gives up its groups, and no other. A namespace whose Pod Security forbids this, as the standards "
             "`baseline` and `restricted` do, is a clear failure, and so is an image that cannot be pulled, with "
             "the kubelet's reason. Of a pod in the network of its node, these are the node's packets.\n"
             "\n"
             "The capture ends after `duration`, at the size limit of artifacts, at the action's time limit, or when "
             "the pod ends. Each time the artifact, `<pod>.pcap`, is a valid pcap file of whole packets, which "
             "Wireshark and `tcpdump -r` read, and the result says what cut it short, and how many packets the "
             "kernel dropped. A connection that breaks while the pod lives on is a failure. Starting may take up "
             "to two minutes beside `duration`, most of it the pull of an image.\n"
             "\n"
             "Captures of one pod wait for each other; those of several Stoops run side by side. The container "
             "ends with its capture, or by itself soon after `duration` when Stoop is gone, but Kubernetes keeps "
             "its entry in the pod. What it captures goes through an exec and not into its log, so nothing of it "
             "stays on the node.",
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
         .permissions = tcpdump_permissions,
         .default_continue = true,
         .output = NEEDS_OUTPUT,
         .required_fields = tcpdump_required,
         .source = "syscalls",
         .long_running = true,
         .deadline_ms = DEADLINE_MS},
    .run = tcpdump_run,
};
