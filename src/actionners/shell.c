#include "actionners/shell.h"

#include "actionners/containers.h"
#include "actionners/plain_text.h"
#include "actionners/shell_marks.h"
#include "actionners/target.h"
#include "actionners/variables.h"
#include "base/error.h"
#include "kube/kube_command.h"
#include "kube/kube_pod.h"

#include <string.h>

// With its note, the output fits into a field of the log (16 KiB).
enum { OUTPUT_MAX = 16 * 1024 - 64, ERRORS_MAX = 2 * 1024 };

void shell_end_clear(ShellEnd *end) {
    g_free(end->output);
    g_free(end->errors);
    g_free(end->why);
    *end = (ShellEnd){0};
}

GString *shell_input(const ShellJob *job, const char *trace) {
    GString *input = g_string_sized_new(job->script_len + 4096);
    for (guint i = 0; job->variables && i + 1 < job->variables->len; i += 2) {
        const char *value = g_ptr_array_index(job->variables, i + 1);
        g_string_append_printf(input, "export %s=", (const char *)g_ptr_array_index(job->variables, i));
        shell_quote(input, value, strlen(value));
        g_string_append_c(input, '\n');
    }
    g_string_append_printf(input, "echo '[stoop %s began]' >&2\n", trace);
    // A subshell, so that `exit`, traps and redirections of the script leave the last line to be run. The whole script
    // is one word of this line: the shell has read it all before it runs any of it.
    g_string_append(input, "(eval ");
    // With a '-' at its start it would be an option.
    if (job->script_len > 0 && job->script[0] == '-')
        g_string_append(input, "' '");
    shell_quote(input, job->script, job->script_len);
    g_string_append(input, ") </dev/null\n");
    // In one line, which the shell reads whole: nothing is left that could be taken for the next command.
    g_string_append(input, "set -- $?; ");
    if (!job->on_stdout)
        g_string_append_printf(input, "echo \"[stoop %s $1]\"; ", trace);
    g_string_append_printf(input, "echo \"[stoop %s $1]\" >&2; exit $1\n", trace);
    return input;
}

// --- One run ---

typedef struct {
    const ShellJob *job;
    GString *input;
    size_t sent;
    PlainText output, errors;
    ShellMarks marks, output_marks; // of standard error; of standard output where that is text
    const ActionContext *context;
    bool stale;
} Run;

static bool on_stdin(Buf *data, void *user, GError **error) {
    Run *run = user;
    // The shell waits in whichever pod has the name now.
    if (run->sent == 0 && run->job->read &&
        !target_is_still(run->context, run->job->read, run->job->read_us, &run->stale, error)) {
        if (run->stale)
            g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_CONFLICT, "the pod is another one now");
        return false;
    }
    size_t part = MIN(data->max, run->input->len - run->sent);
    buf_append(data, run->input->str + run->sent, part);
    run->sent += part;
    return true;
}

static bool on_stdout(const char *data, size_t len, void *user, GError **error) {
    Run *run = user;
    if (run->job->on_stdout)
        return run->job->on_stdout(data, len, run->job->user, error);
    shell_marks_add(&run->output_marks, data, len);
    return true;
}

static void on_output_text(const char *data, size_t len, void *user) {
    plain_text_add(&((Run *)user)->output, data, len);
}

static void on_error_text(const char *data, size_t len, void *user) {
    Run *run = user;
    plain_text_add(&run->errors, data, len);
    if (!run->job->on_stdout)
        plain_text_add(&run->output, data, len);
}

static bool on_stderr(const char *data, size_t len, void *user, GError **error) {
    Run *run = user;
    shell_marks_add(&run->marks, data, len);
    return true;
}

static bool is_over(void *user) {
    const Run *run = user;
    return run->marks.ended && run->output_marks.ended;
}

// What the marks and the server say together.
static bool judge(Run *run, const KubeCommandEnd *told, ShellEnd *end, GError **error) {
    shell_marks_end(&run->marks);
    shell_marks_end(&run->output_marks);
    bool seen = run->marks.ended && (run->job->on_stdout || run->output_marks.ended);
    if (run->marks.begun && !seen && told->exit_code == 0) {
        g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_UNAVAILABLE,
                            "the connection to the node broke before the end of the script was seen");
        return false;
    }
    if (!run->marks.begun && told->started && told->exit_code == 0) {
        g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_UNAVAILABLE,
                            "the connection to the node broke, or the shell does not read its standard input: the "
                            "script was not seen to begin");
        return false;
    }
    end->ran = run->marks.begun;
    end->exit_code = run->marks.ended ? run->marks.exit_code : told->exit_code;
    end->errors = g_strchomp(plain_text_take(&run->errors));
    end->output = plain_text_take(&run->output);
    end->stopped = told->stopped;
    if (!end->ran)
        end->why = g_strdup(told->started && *end->errors ? end->errors : told->message ? told->message : "no reason");
    return true;
}

bool shell_run(const ActionContext *context, const char *container, const ShellJob *job, ShellEnd *end,
               GError **error) {
    const Event *event = context->event;
    Run run = {.job = job,
               .input = shell_input(job, event->trace_id),
               .context = context,
               .output = PLAIN_TEXT_INIT(OUTPUT_MAX),
               .errors = PLAIN_TEXT_INIT(ERRORS_MAX)};
    shell_marks_init(&run.marks, event->trace_id, on_error_text, &run);
    shell_marks_init(&run.output_marks, event->trace_id, on_output_text, &run);
    const char *argv[] = {job->shell, "-s", NULL};
    KubeCommand command = {.container = container,
                           .argv = argv,
                           .on_stdin = on_stdin,
                           .on_stdout = on_stdout,
                           .on_stderr = on_stderr,
                           .is_over = is_over,
                           .user = &run};
    KubeCall call = action_call(context);
    g_auto(KubeCommandEnd) told = {0};
    g_autoptr(GError) failure = NULL;
    bool ok = kube_command_run(context->clients->kube, job->pod ? job->pod_namespace : event->pod_namespace,
                               job->pod ? job->pod : event->pod, &command, &call, &told, &failure) &&
              judge(&run, &told, end, &failure);
    if (run.stale) {
        end->stale = true;
        ok = true;
    } else if (!ok) {
        g_propagate_error(error, g_steal_pointer(&failure));
    }
    g_string_free(run.input, TRUE);
    plain_text_clear(&run.output);
    plain_text_clear(&run.errors);
    shell_marks_clear(&run.marks);
    shell_marks_clear(&run.output_marks);
    return ok;
}

// --- The container ---

// One container of the pod. True also when it has no such shell.
static bool try_container(const ActionContext *context, const char *container, const ShellJob *job, ShellEnd *end,
                          GError **error) {
    if (shell_run(context, container, job, end, error))
        return true;
    target_explain(context, error);
    g_prefix_error(error, "the container '%s': ", container);
    return false;
}

static bool no_shell(const ActionContext *context, const ShellJob *job, const char *tried, const char *why,
                     bool stopped, GError **error) {
    g_autofree char *name = target_name(context);
    if (tried && stopped)
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_FAILED, "the container %s of %s does not run (%s)", tried, name,
                    why);
    else if (tried)
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_FAILED,
                    "%s has no shell '%s' that runs (container %s): give the parameter `shell` one that the image has; "
                    "kubernetes:download needs none (%s)",
                    name, job->shell, tried, why);
    else
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_FAILED, "no container of %s runs", name);
    return false;
}

bool shell_run_in_pod(const ActionContext *context, yyjson_val *pod, const ShellJob *job, const char **container,
                      ShellEnd *end, GError **error) {
    const char *named = container_of_event(context->event, pod);
    g_autoptr(GString) tried = g_string_new(NULL);
    g_autofree char *why = NULL;
    bool stopped = false;
    KubeContainer candidate;
    for (size_t i = 0; kube_pod_container_at(pod, i, &candidate); i++) {
        bool wanted =
            named ? strcmp(candidate.name, named) == 0 : candidate.running && candidate.kind == KUBE_CONTAINER_MAIN;
        if (!wanted)
            continue;
        g_auto(ShellEnd) one = {0};
        if (!try_container(context, candidate.name, job, &one, error))
            return false;
        if (one.ran || one.stale) {
            *container = candidate.name;
            *end = one;
            memset(&one, 0, sizeof one);
            return true;
        }
        g_string_append_printf(tried, "%s'%s'", tried->len ? ", " : "", candidate.name);
        g_free(why);
        why = g_steal_pointer(&one.why);
        stopped = one.stopped;
    }
    return no_shell(context, job, tried->len ? tried->str : NULL, why, stopped, error);
}

bool shell_action(const ActionContext *context, ActionResult *result, const char *what, const char *shell,
                  const char *script, size_t script_len, GError **error) {
    if (!target_pod(context, result, error))
        return false;
    g_auto(KubeObject) pod = {0};
    int64_t read_us = clock_monotonic_us(context->clock);
    if (!target_read_pod(context, result, &pod, error))
        return false;
    if (!pod.root) // another pod now
        return true;
    g_autoptr(GPtrArray) variables = variables_of(context);
    ShellJob job = {.shell = shell,
                    .script = script,
                    .script_len = script_len,
                    .variables = variables,
                    .read = pod.root,
                    .read_us = read_us};
    g_auto(ShellEnd) end = {0};
    const char *container = NULL;
    if (!shell_run_in_pod(context, pod.root, &job, &container, &end, error))
        return false;
    if (end.stale) {
        target_stale(context, result);
        return true;
    }
    action_result_add_object(result, "container", container);
    if (end.output && *end.output)
        result->log = g_steal_pointer(&end.output);
    if (end.exit_code != 0) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_FAILED, "the %s ended with exit status %d%s%s", what, end.exit_code,
                    *end.errors ? ": " : "", end.errors);
        return false;
    }
    g_autofree char *name = target_name(context);
    action_result_set(result, ACTION_SUCCESS, "the %s ran in %s, container '%s'", what, name, container);
    return true;
}
