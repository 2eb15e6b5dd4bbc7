// kubernetes:log: the end of the pod's log, into an output or the log line.
#include "actionners/containers.h"
#include "actionners/params.h"
#include "actionners/plain_text.h"
#include "actionners/target.h"
#include "base/error.h"

#include <string.h>

typedef struct {
    int64_t tail_lines;
} LogParams;

static const ParamRow log_rows[] = {
    PARAM_ROW_INT(LogParams, tail_lines, .default_value = "20", PARAM_RANGE(1, 10000000), .unit = "lines",
                  .old_names = TEXTS("tailLines"), .summary = "How many lines from the end of the log."),
    PARAM_ROW_END,
};

// With its note, the text fits into a field of the log (16 KiB).
enum { LONGEST_TEXT = 16 * 1024 - 64, LINE_KEPT = 1024, STAMP_MAX = 64, LONGEST_COMPARED = 4096, CLOCKS_DIFFER_S = 5 };
#define END_US (5 * G_USEC_PER_SEC)

// The last line: its start, how long it is, and whether it has no end yet.
typedef struct {
    char text[LINE_KEPT];
    size_t kept, len;
    bool open;
} LastLine;

// Where the bytes go: the output where the rule has one, else the text for the log line.
typedef struct {
    ArtifactSink *sink;
    PlainText text;
    LastLine last;
    bool ended_line;
} LogTarget;

static void note_line(LastLine *line, const char *data, size_t len) {
    bool open = data[len - 1] != '\n';
    const char *end = data + len - !open;
    const char *newline = memrchr(data, '\n', (size_t)(end - data));
    if (newline || !line->open)
        line->kept = line->len = 0;
    const char *start = newline ? newline + 1 : data;
    size_t more = (size_t)(end - start), taken = MIN(more, sizeof line->text - line->kept);
    memcpy(line->text + line->kept, start, taken);
    line->kept += taken;
    line->len += more;
    line->open = open;
}

static bool take(const char *data, size_t len, void *user, GError **error) {
    LogTarget *target = user;
    if (len == 0)
        return true;
    target->ended_line = data[len - 1] == '\n';
    note_line(&target->last, data, len);
    if (target->sink)
        return target->sink->write(target->sink, data, len, error);
    plain_text_add(&target->text, data, len);
    return true;
}

// The log's last line as the kubelet has it now, after its time: "2026-01-02T15:04:05.123456789Z text".
typedef struct {
    char text[LINE_KEPT + STAMP_MAX];
    size_t len;
} Stamped;

static bool take_stamped(const char *data, size_t len, void *user, GError **error) {
    Stamped *line = user;
    size_t taken = MIN(len, sizeof line->text - 1 - line->len);
    memcpy(line->text + line->len, data, taken);
    line->len += taken;
    line->text[line->len] = '\0';
    return true;
}

// When it was written, in seconds since 1970; -1 when it does not say. `text` gets where the line itself starts.
static int64_t split_stamp(Stamped *line, const char **text, size_t *len) {
    char *space = memchr(line->text, ' ', MIN(line->len, (size_t)STAMP_MAX));
    *text = line->text;
    *len = line->len;
    if (!space)
        return -1;
    *space = '\0';
    g_autoptr(GDateTime) time = g_date_time_new_from_iso8601(line->text, NULL);
    *space = ' ';
    if (!time)
        return -1;
    *text = space + 1;
    *len = line->len - (size_t)(*text - line->text);
    return g_date_time_to_unix(time);
}

// Whether the last line that came can be the log's last one, or one that others have followed since.
static bool is_the_end(const LastLine *came, Stamped *now, int64_t asked_s) {
    const char *text;
    size_t len;
    int64_t written_s = split_stamp(now, &text, &len);
    size_t compared = MIN(came->kept, LINE_KEPT - (size_t)STAMP_MAX);
    bool starts = compared <= len && memcmp(came->text, text, compared) == 0;
    bool ends = came->open || came->len > compared || len == compared || text[compared] == '\n';
    // Of a long line the runtime makes several, so that the last one says nothing about its start.
    if (came->len > LONGEST_COMPARED || (starts && ends))
        return true;
    if (came->open)
        return false;
    // Another line. It was there when the log was asked for, and did not come; or the log has gone on, or begun anew.
    return written_s < 0 || written_s + CLOCKS_DIFFER_S >= asked_s;
}

static void set_broken(const char *why, GError **error) {
    g_set_error(error, STOOP_ERROR, STOOP_ERROR_UNAVAILABLE,
                "the connection to the node broke before the end of the log was seen%s%s", why ? ": " : "",
                why ? why : "");
}

// When its connection to the kubelet breaks, the API server ends the log as if that were all of it. So the kubelet must
// still be there afterwards, and must have no other last line than the one that came, or a new one.
static bool end_was_seen(const ActionContext *context, const KubePath *path, const char *container,
                         const LastLine *last, int64_t asked_s, GError **error) {
    g_autofree char *query =
        g_strdup_printf("container=%s&tailLines=1&timestamps=true&limitBytes=%d", container, LINE_KEPT);
    KubeCall call = action_call(context);
    call.deadline_us = MIN(call.deadline_us, clock_monotonic_us(context->clock) + END_US);
    call.first_word = true; // a kubelet that comes back soon was gone all the same
    Stamped now = {.len = 0};
    g_autoptr(GError) failure = NULL;
    if (kube_stream(context->clients->kube, path, query, &call, take_stamped, &now, &failure)) {
        if (is_the_end(last, &now, asked_s))
            return true;
        set_broken(NULL, error);
        return false;
    }
    // The pod went, or the container begins anew: that was after its log was read, since the node answers.
    if (stoop_error_is(failure, STOOP_ERROR_NOT_FOUND) || stoop_error_is(failure, STOOP_ERROR_INVALID))
        return true;
    if (stoop_error_is(failure, STOOP_ERROR_CANCELLED))
        g_propagate_error(error, g_steal_pointer(&failure));
    else
        set_broken(failure->message, error);
    return false;
}

static bool stream_container(const ActionContext *context, const char *container, LogTarget *target, GError **error) {
    const LogParams *params = context->params;
    const Event *event = context->event;
    KubePath path = KUBE_POD(event->pod_namespace, event->pod);
    path.subresource = "log";
    g_autofree char *escaped = g_uri_escape_string(container, NULL, FALSE);
    g_autofree char *query = g_strdup_printf("container=%s&tailLines=%" G_GINT64_FORMAT, escaped, params->tail_lines);
    KubeCall call = action_call(context);
    target->last = (LastLine){.len = 0};
    int64_t asked_s = clock_realtime_ns(context->clock) / 1000000000;
    if (kube_stream(context->clients->kube, &path, query, &call, take, target, error) &&
        end_was_seen(context, &path, escaped, &target->last, asked_s, error))
        return true;
    target_explain(context, error);
    g_prefix_error(error, "the log of the container '%s': ", container);
    return false;
}

static bool header(LogTarget *target, const char *container, bool first, GError **error) {
    g_autofree char *line =
        g_strdup_printf("%s==> container %s <==\n", first ? "" : (target->ended_line ? "\n" : "\n\n"), container);
    return take(line, strlen(line), target, error);
}

// All containers, one after another. One whose log cannot be had is named in its place; that no log could be had at
// all, or that the output refuses, is an error.
static bool stream_all(const ActionContext *context, GPtrArray *containers, LogTarget *target, unsigned *failures,
                       GError **error) {
    for (guint i = 0; i < containers->len; i++) {
        const char *container = g_ptr_array_index(containers, i);
        if (!header(target, container, i == 0, error))
            return false;
        g_autoptr(GError) failed = NULL;
        if (stream_container(context, container, target, &failed))
            continue;
        // A refusal of the API server is about this container only; all else ends it.
        bool refused = stoop_error_is(failed, STOOP_ERROR_INVALID) || stoop_error_is(failed, STOOP_ERROR_NOT_FOUND);
        if (!refused || ++*failures == containers->len) {
            g_propagate_error(error, g_steal_pointer(&failed));
            return false;
        }
        g_autofree char *note = g_strdup_printf("[%s]\n", failed->message);
        if (!take(note, strlen(note), target, error))
            return false;
    }
    return true;
}

static bool stream_pod(const ActionContext *context, yyjson_val *pod, LogTarget *target, ActionResult *result,
                       GError **error) {
    const char *named = container_of_event(context->event, pod);
    g_autoptr(GPtrArray) containers = named ? NULL : containers_started(pod);
    g_autofree char *name = target_name(context);
    if (containers && containers->len == 0) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_FAILED, "no container of %s has started: there is no log", name);
        return false;
    }
    if (target->sink) {
        g_autofree char *artifact = g_strconcat(context->event->pod, ".log", NULL);
        if (!target->sink->begin(target->sink, artifact, error))
            return false;
    }
    if (containers && containers->len == 1)
        named = g_ptr_array_index(containers, 0);
    unsigned failures = 0;
    if (named ? !stream_container(context, named, target, error)
              : !stream_all(context, containers, target, &failures, error))
        return false;
    if (named) {
        action_result_add_object(result, "container", named);
        action_result_set(result, ACTION_SUCCESS, "the log of %s, container '%s', was read", name, named);
    } else if (failures > 0) {
        action_result_set(result, ACTION_SUCCESS, "the log of %s was read, but for %u of its %u containers", name,
                          failures, containers->len);
    } else {
        action_result_set(result, ACTION_SUCCESS, "the log of %s, %u containers, was read", name, containers->len);
    }
    return true;
}

static bool log_run(const ActionContext *context, ActionResult *result, GError **error) {
    if (!target_pod(context, result, error))
        return false;
    g_auto(KubeObject) pod = {0};
    int64_t read_us = clock_monotonic_us(context->clock);
    if (!target_read_pod(context, result, &pod, error))
        return false;
    if (!pod.root) // another pod now
        return true;
    LogTarget target = {.sink = context->sink, .text = PLAIN_TEXT_INIT(LONGEST_TEXT)};
    bool ok = stream_pod(context, pod.root, &target, result, error) &&
              target_was_still(context, pod.root, read_us, result, error);
    if (ok && !context->sink && result->status == ACTION_SUCCESS)
        result->log = plain_text_take(&target.text);
    plain_text_clear(&target.text);
    return ok;
}

static const char *const log_required[] = {TARGET_NEEDS_POD, TARGET_NEEDS_NAMESPACE, NULL};

static const PluginPermission log_permissions[] = {
    {"", "pods", "get", NULL},
    {"", "pods/log", "get", NULL},
    {.resource = NULL},
};

const Actionner actionner_kubernetes_log = {
    .info =
        {.name = "kubernetes:log",
         .summary = "Gets the end of the pod's log.",
         .description =
             "The container is the one that the event names (`container.id`, `container.name`); where it names "
             "none of the pod's, the logs of all containers that have started follow each other, each after a "
             "line with its name.\n"
             "\n"
             "With an output the log is streamed there as `<pod>.log`, whatever its size, byte by byte as it is, "
             "up to the limits of size and time. Without an output the last 16 KiB stand in the field `output` of "
             "the log line, without terminal codes. With `k8s.pod.uid` in the event, the log of a namesake is not "
             "taken for the pod's: the result is `stale`. A connection to the node that breaks before the end of the "
             "log is a failure.",
         .params = {.size = sizeof(LogParams), .rows = log_rows},
         .example = "- action: Get logs of the pod\n"
                    "  actionner: kubernetes:log\n"
                    "  parameters:\n"
                    "    tail_lines: 200\n"
                    "  output:\n"
                    "    target: local:file\n"
                    "    parameters:\n"
                    "      destination: /var/lib/stoop/artifacts\n",
         .permissions = log_permissions,
         .default_continue = true,
         .output = MAY_HAVE_OUTPUT,
         .required_fields = log_required,
         .source = "syscalls",
         .long_running = true,
         .deadline_ms = 60000},
    .run = log_run,
};
