// kubernetes:sysdig: a capture of the system calls, into an output.
#include "actionners/capture.h"
#include "actionners/capture_job.h"
#include "actionners/names.h"
#include "actionners/params.h"
#include "actionners/target.h"
#include "actionners/variables.h"
#include "base/error.h"
#include "kube/kube_pod.h"

#include <string.h>

// sysdig looks at the clock only when a system call comes: then it is told to end.
enum { SLACK_S = 2 };
#define REMOVE_US (5 * G_USEC_PER_SEC)

typedef struct {
    int64_t duration, buffer_size;
    char *scope, *image, *job_namespace;
} SysdigParams;

static const ParamRow sysdig_rows[] = {
    PARAM_ROW_INT(SysdigParams, duration, .default_value = "5", PARAM_RANGE(1, 30), .unit = "s",
                  .summary = "How long the capture lasts."),
    PARAM_ROW_TEXT(SysdigParams, scope, .default_value = "pod", .choices = TEXTS("pod", "node"),
                   .summary = "Whose system calls: those of the pod, or all of its node."),
    PARAM_ROW_INT(SysdigParams, buffer_size, .default_value = "2048", PARAM_RANGE(128, 1073741824), .unit = "bytes",
                  .summary = "How much of the data of each system call is captured."),
    PARAM_ROW_TEXT(SysdigParams, image,
                   .summary = "Image of the Job that captures; it needs `sysdig` and a shell. Default: the "
                              "configuration's `images.sysdig`."),
    PARAM_ROW_NAMED(SysdigParams, job_namespace, "namespace", PARAM_TEXT, char *, .check = namespace_check,
                    .summary = "Namespace of the Job. Default: the pod's."),
    PARAM_ROW_END,
};

// --- The filter ---

// The containers by their ids, which sysdig reads from their cgroups, and the pod by its name, which it learns from the
// runtime: for containers that start meanwhile.
static char *filter_of(const ActionContext *context, yyjson_val *pod) {
    g_autoptr(GString) filter = g_string_new(NULL);
    KubeContainer container;
    for (size_t i = 0; kube_pod_container_at(pod, i, &container); i++) {
        // Nothing but an id: it becomes a part of the filter.
        if (!container.id || strlen(container.id) < 12 || strspn(container.id, "0123456789abcdef") < 12)
            continue;
        g_string_append_printf(filter, "%s%.12s", filter->len ? "," : "container.id in (", container.id);
    }
    if (filter->len)
        g_string_append(filter, ") or ");
    g_string_append_printf(filter, "(k8s.ns.name=%s and k8s.pod.name=%s)", context->event->pod_namespace,
                           context->event->pod);
    return g_string_free(g_steal_pointer(&filter), FALSE);
}

static char *arguments_of(const ActionContext *context, yyjson_val *pod) {
    const SysdigParams *params = context->params;
    g_autoptr(GString) arguments = g_string_new(NULL);
    // Named as a file, since not every version takes '-' for its output.
    g_string_append_printf(arguments, "--modern-bpf -s %" G_GINT64_FORMAT " -M %" G_GINT64_FORMAT " -w /dev/stdout",
                           params->buffer_size, params->duration);
    if (strcmp(params->scope, "pod") == 0) {
        g_autofree char *filter = filter_of(context, pod);
        g_string_append_c(arguments, ' ');
        shell_quote(arguments, filter, strlen(filter));
    }
    return g_string_free(g_steal_pointer(&arguments), FALSE);
}

// --- The Job ---

// Of one event always the same: when it is taken up again after a crash, what is left of it is found.
static char *job_name(const Event *event) {
    g_autofree char *text = g_strjoin("\n", event->trace_id, event->pod_namespace, event->pod, NULL);
    g_autofree char *sum = g_compute_checksum_for_string(G_CHECKSUM_SHA256, text, -1);
    return g_strdup_printf("stoop-sysdig-%.20s", sum);
}

static const char *image_of(const ActionContext *context, GError **error) {
    const SysdigParams *params = context->params;
    const char *image = params->image ? params->image : context->clients->sysdig_image;
    if (image && *image)
        return image;
    g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID,
                "no image with sysdig is named: give the parameter `image`, or `images.sysdig` in the configuration");
    return NULL;
}

static bool capture_calls(const ActionContext *context, yyjson_val *pod, const CaptureJob *job, const char *job_pod,
                          ActionResult *result, GError **error) {
    const SysdigParams *params = context->params;
    g_autofree char *artifact = g_strconcat(context->event->pod, ".scap", NULL);
    g_autofree char *arguments = arguments_of(context, pod);
    Capture capture = {.pod_namespace = job->job_namespace,
                       .pod = job_pod,
                       .container = CAPTURE_JOB_CONTAINER,
                       .tool = "sysdig",
                       .arguments = arguments,
                       .duration_s = params->duration + SLACK_S,
                       .artifact = artifact,
                       .kind = RECORDS_SCAP};
    g_auto(CaptureEnd) end = {0};
    g_autoptr(GError) failure = NULL;
    bool ok = capture_run(context, &capture, &end, &failure);
    if (!ok && !end.late) {
        g_propagate_error(error, g_steal_pointer(&failure));
        return false;
    }
    if (ok && (end.exit_code != 0 || !end.begun)) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_FAILED, "sysdig ended with exit status %d%s%s%s", end.exit_code,
                    end.begun ? "" : " and captured nothing", *end.errors ? ": " : "", end.errors);
        return false;
    }
    bool of_node = strcmp(params->scope, "node") == 0;
    g_autofree char *target = of_node ? g_strdup_printf("the node '%s'", job->node) : target_name(context);
    g_autofree char *span = end.late     ? g_strdup("until the time limit, which cut the capture short")
                            : end.struck ? g_strdup("until sysdig was killed by somebody, which cut the capture short")
                                         : g_strdup_printf("for %" G_GINT64_FORMAT " s", params->duration);
    action_result_set(result, ACTION_SUCCESS, "the system calls of %s were captured %s%s", target, span,
                      end.killed ? "; sysdig did not end when told to, and was killed: the last calls may be missing"
                                 : "");
    return true;
}

static bool capture_on(const ActionContext *context, yyjson_val *pod, CaptureJob *job, ActionResult *result,
                       GError **error) {
    g_autofree char *job_pod = NULL;
    // What comes after has time left.
    ActionContext own = *context;
    own.deadline_us -= REMOVE_US;
    bool ok = capture_job_start(&own, job, &job_pod, error);
    ok = ok && capture_calls(&own, pod, job, job_pod, result, error);
    g_autoptr(GError) failure = NULL;
    if (capture_job_remove(context, job, &failure))
        return ok;
    g_autofree char *left =
        g_strdup_printf("the Job '%s' in the namespace '%s' was not removed, and ends by itself: %s", job->name,
                        job->job_namespace, failure->message);
    if (ok)
        action_result_set(result, ACTION_SUCCESS, "%s; %s", result->text, left);
    else
        g_prefix_error(error, "%s; ", left);
    return ok;
}

static bool sysdig_run(const ActionContext *context, ActionResult *result, GError **error) {
    const SysdigParams *params = context->params;
    if (!target_pod(context, result, error))
        return false;
    g_auto(KubeObject) pod = {0};
    const char *image = image_of(context, error);
    if (!image || !target_read_pod(context, result, &pod, error))
        return false;
    if (!pod.root) // another pod now
        return true;
    const char *node = kube_pod_node(pod.root);
    if (!node) {
        g_autofree char *target = target_name(context);
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_FAILED, "%s is on no node yet", target);
        return false;
    }
    action_result_add_object(result, "node", node);
    g_autofree char *name = job_name(context->event);
    CaptureJob job = {.job_namespace = params->job_namespace ? params->job_namespace : context->event->pod_namespace,
                      .name = name,
                      .node = node,
                      .image = image,
                      .duration_s = params->duration + SLACK_S};
    bool ok = capture_on(context, pod.root, &job, result, error);
    g_free(job.uid);
    return ok;
}

static const char *const sysdig_required[] = {TARGET_NEEDS_POD, TARGET_NEEDS_NAMESPACE, NULL};

static const PluginPermission sysdig_permissions[] = {
    {"", "pods", "get,list", NULL},
    {"", "pods/exec", "get,create", NULL},
    {"batch", "jobs", "create,delete", NULL},
    {"batch", "jobs", "list", "to remove what a crash left behind"},
    {"", "events", "list", "to tell why the Job has no pod"},
    {.resource = NULL},
};

const Actionner actionner_kubernetes_sysdig = {
    .info =
        {.name = "kubernetes:sysdig",
         .summary = "Captures the system calls of the pod or its node.",
         .description =
             "A Job on the pod's node captures, and the capture streams to the output while it runs. The artifact, "
             "`<pod>.scap`, opens in sysdig, Stratoshark and Falco. The image that is meant is "
             "`docker.io/sysdig/sysdig`, the official one; it is run as `sysdig --modern-bpf`, which needs a kernel "
             "with BTF (5.8 or newer) and no kernel module. Scope `pod` captures what the pod's containers do, `node` "
             "all of the node, containers of other pods too.\n"
             "\n"
             "The Job's container is privileged and sees the node's `/proc` and `/run`, read-only. It stands in the "
             "pod's namespace, where whoever may exec into pods can reach it while it runs: `namespace` names a "
             "better one. A namespace whose Pod Security or quota forbids it is a clear failure, and so is an image "
             "that cannot be pulled, with the kubelet's reason.\n"
             "\n"
             "The Job is deleted however the capture ends. When Stoop is gone, its container ends soon after "
             "`duration` and Kubernetes deletes the Job half a minute later; an event that is taken up again "
             "replaces its Job, and every capture removes what is left of others in the namespace.\n"
             "\n"
             "A capture that the size limit or the time limit cut ends with a whole block, and the result says so. A "
             "connection that breaks is a failure. Starting may take up to two minutes beside `duration`.",
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
         .permissions = sysdig_permissions,
         .default_continue = false,
         .output = NEEDS_OUTPUT,
         .required_fields = sysdig_required,
         .source = "syscalls",
         .long_running = true,
         .deadline_ms = 300000},
    .run = sysdig_run,
};
