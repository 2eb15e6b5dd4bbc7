#include "actionners/capture.h"

#include "actionners/pause.h"
#include "actionners/shell.h"
#include "actionners/target.h"
#include "actionners/waiter.h"
#include "base/error.h"
#include "kube/kube_command.h"
#include "kube/kube_pod.h"

#include <signal.h>
#include <string.h>

enum { BEGIN_S = 30, END_S = 10 };

#define POD_WORD_US (5 * G_USEC_PER_SEC)
#define POLL_US (G_USEC_PER_SEC / 4)

void capture_end_clear(CaptureEnd *end) {
    g_clear_pointer(&end->errors, g_free);
    end->begun = false;
    end->records = 0;
    end->exit_code = 0;
    end->killed = end->struck = end->early = end->late = false;
}

ActionContext capture_until(const ActionContext *context, int64_t seconds) {
    ActionContext own = *context;
    own.deadline_us = MIN(context->deadline_us, clock_monotonic_us(context->clock) + seconds * G_USEC_PER_SEC);
    return own;
}

// --- The container that waits ---

char *capture_waiter_seconds(int64_t duration_s) {
    return g_strdup_printf("%" G_GINT64_FORMAT, BEGIN_S + duration_s + END_S);
}

// --- The capture ---

enum { END_NO_TOOL = 120, END_KILLED = 121, END_EARLY = 122 };

// The tool is ended by its own container, so that it ends in time although nobody tells it to. It does not write to
// the artifact before it is asked to, and its end is the shell's. One that does not end when it is asked to (a kernel
// under load can hold it for seconds) is killed, which is told apart from a kill by somebody else; so is an end before
// its time.
static char *script_of(const Capture *capture) {
    return g_strdup_printf("trap '" WAITER_DONE "' EXIT\n"
                           "PATH=$PATH:/usr/sbin:/sbin\n"
                           "command -v %s >/dev/null 2>&1 || exit %d\n"
                           "%s"
                           "%s %s &\n"
                           "p=$!\n"
                           "(sleep %" G_GINT64_FORMAT "; trap 'exit 8' TERM; kill -TERM $p; sleep 3 & wait\n"
                           "trap '' TERM; kill -KILL $p; exit 9) >/dev/null 2>&1 &\n"
                           "k=$!\n"
                           "wait $p\n"
                           "s=$?\n"
                           "kill $k 2>/dev/null\n"
                           "wait $k 2>/dev/null\n"
                           "case $s,$? in\n"
                           "137,9) s=%d ;;\n"
                           "0,[89] | 143,[89]) s=0 ;;\n"
                           "0,* | 143,*) s=%d ;;\n"
                           "esac\n"
                           "exit $s\n",
                           capture->tool, END_NO_TOOL, capture->before ? capture->before : "", capture->tool,
                           capture->arguments, capture->duration_s, END_KILLED, END_EARLY);
}

typedef struct {
    ArtifactSink *sink;
    const char *name;
    bool begun;
    Records records;
} Stream;

// The artifact begins with the file's header, so that a tool that fails at once leaves nothing behind.
static bool write_records(const char *data, size_t len, void *user, GError **error) {
    Stream *stream = user;
    if (!stream->begun && !stream->sink->begin(stream->sink, stream->name, error))
        return false;
    stream->begun = true;
    return stream->sink->write(stream->sink, data, len, error);
}

static bool take(const char *data, size_t len, void *user, GError **error) {
    return records_add(&((Stream *)user)->records, data, len, error);
}

static bool judge(const Capture *capture, const Stream *stream, ShellEnd *shell, CaptureEnd *end, GError **error) {
    end->killed = shell->exit_code == END_KILLED;
    end->early = shell->exit_code == END_EARLY;
    end->struck = stream->begun && shell->exit_code == 128 + SIGKILL;
    end->exit_code = end->killed || end->early || end->struck ? 0 : shell->exit_code;
    end->errors = g_steal_pointer(&shell->errors);
    if (!shell->ran)
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_FAILED, "the image has no shell `sh`: %s", shell->why);
    else if (end->exit_code == END_NO_TOOL && !stream->begun)
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_FAILED, "the image has no program `%s`", capture->tool);
    else
        return true;
    return false;
}

bool capture_run(const ActionContext *context, const Capture *capture, CaptureEnd *end, GError **error) {
    ActionContext own = capture_until(context, BEGIN_S + capture->duration_s + CAPTURE_END_S);
    g_autofree char *script = script_of(capture);
    Stream stream = {.sink = context->sink, .name = capture->artifact};
    context->sink->whole_pieces = true;
    records_init(&stream.records, capture->kind, write_records, &stream);
    ShellJob job = {.pod_namespace = capture->pod_namespace,
                    .pod = capture->pod,
                    .shell = "sh",
                    .script = script,
                    .script_len = strlen(script),
                    .on_stdout = take,
                    .user = &stream};
    g_auto(ShellEnd) shell = {0};
    g_autoptr(GError) failure = NULL;
    bool ok =
        shell_run(&own, capture->container, &job, &shell, &failure) && judge(capture, &stream, &shell, end, &failure);
    end->begun = stream.begun;
    end->late = end->begun && stoop_error_is(failure, STOOP_ERROR_TIMEOUT);
    if (!ok)
        g_propagate_error(error, g_steal_pointer(&failure));
    end->records = records_count(&stream.records);
    records_clear(&stream.records);
    return ok;
}

// --- The pod ---

static bool has_ended(yyjson_val *pod, const char *uid) {
    const char *phase = kube_object_text(pod, "status", "phase", NULL);
    return g_strcmp0(kube_object_uid(pod), uid) != 0 || kube_object_text(pod, "metadata", "deletionTimestamp", NULL) ||
           g_strcmp0(phase, "Succeeded") == 0 || g_strcmp0(phase, "Failed") == 0;
}

bool capture_pod_ended(const ActionContext *context, const char *uid) {
    const Event *event = context->event;
    int64_t until_us = MIN(context->deadline_us, clock_monotonic_us(context->clock) + POD_WORD_US);
    do {
        KubeCall call = {.deadline_us = until_us, .cancel = context->cancel};
        g_auto(KubeObject) pod = {0};
        g_autoptr(GError) failure = NULL;
        if (kube_get(context->clients->kube, &KUBE_POD(event->pod_namespace, event->pod), &call, &pod, &failure)) {
            if (has_ended(pod.root, uid))
                return true;
        } else if (stoop_error_is(failure, STOOP_ERROR_NOT_FOUND)) {
            return true;
        }
    } while (action_pause(context, POLL_US, until_us));
    return false;
}
