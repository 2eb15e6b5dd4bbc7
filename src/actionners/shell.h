// A shell in a container that is fed a script by its standard input, with the event's values in its environment. The
// script travels there, and not among the arguments, so that neither has a limit of its size, and leaves no file.
#pragma once

#include "actionners/actionner.h"

#include <yyjson.h>

typedef struct {
    const char *pod_namespace, *pod; // where; NULL: the event's
    const char *shell;               // a POSIX shell: a path, or a name for the container's PATH
    const char *script;
    size_t script_len;
    const GPtrArray *variables; // of variables_of; NULL: none
    // Takes what the script writes to its standard output; NULL: it goes into the end's `output`.
    bool (*on_stdout)(const char *data, size_t len, void *user, GError **error);
    void *user;
    // The event's pod as it was read, and when (clock_monotonic_us): it is looked at again before the script is handed
    // over, where that took a while. NULL: not.
    yyjson_val *read;
    int64_t read_us;
} ShellJob;

typedef struct {
    bool ran;      // false: the container has no such shell; nothing ran, and `why` says what the runtime said
    int exit_code; // of the script
    char *output;  // what it wrote, standard error too, as plain text; of a long one the last 16 KiB after a note
    char *errors;  // the end of its standard error, as plain text
    char *why;
    bool stopped; // then: because the container does not run
    bool stale;   // then: because the pod is another one now
} ShellEnd;
void shell_end_clear(ShellEnd *end);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(ShellEnd, shell_end_clear)

// The bytes for the shell: exports, a mark on standard error that it began, the script with /dev/null as its standard
// input, and a mark with its exit status, on standard output too where that is text for the end's `output`. `trace`
// makes the marks this run's own.
GString *shell_input(const ShellJob *job, const char *trace);

// Runs it in one container. With marks on both streams it is over once both were seen: what the script left running in
// the background is not waited for. True when it came to its end or could not begin. Errors as of kube_command_run;
// UNAVAILABLE also when the end was not seen, whatever the API server calls that.
bool shell_run(const ActionContext *context, const char *container, const ShellJob *job, ShellEnd *end, GError **error);

// Runs it in the container that the event names, else in the first that runs and has the shell. `container` gets its
// name, a string of the pod's. FAILED, with what to do, when none has the shell; the same where nothing of the pod
// runs.
bool shell_run_in_pod(const ActionContext *context, yyjson_val *pod, const ShellJob *job, const char **container,
                      ShellEnd *end, GError **error);

// kubernetes:exec and kubernetes:script, once they know their script: a non-zero exit is a failure.
bool shell_action(const ActionContext *context, ActionResult *result, const char *what, const char *shell,
                  const char *script, size_t script_len, GError **error);
