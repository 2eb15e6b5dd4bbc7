// kubernetes:script: runs a script in a container of the pod.
#include "actionners/shell.h"
#include "actionners/target.h"
#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SCRIPT_MAX = 16 << 20 };

typedef struct {
    char *script, *file, *shell;
} ScriptParams;

static char *script_check(const void *params) {
    const ScriptParams *own = params;
    if (own->script && own->file)
        return g_strdup("script and file cannot both be given: choose one");
    if (!own->script && !own->file)
        return g_strdup("either script or file is required");
    return NULL;
}

static const ParamRow script_rows[] = {
    PARAM_ROW_TEXT(ScriptParams, script, .summary = "The script itself; write it after a |."),
    PARAM_ROW_TEXT(ScriptParams, file, .summary = "File that holds the script, on the machine that Stoop runs on."),
    PARAM_ROW_TEXT(ScriptParams, shell, .default_value = "/bin/sh", .summary = "Shell that runs the script."),
    PARAM_ROW_END,
};

// The file is read anew for each run, as it is replaced where it is mounted.
static bool read_script(const char *file, Buf *script, GError **error) {
    int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat info;
    if (fd < 0 || fstat(fd, &info) != 0) {
        stoop_error_set_errno(error, errno, "the script '%s' cannot be opened", file);
        if (fd >= 0)
            close(fd);
        return false;
    }
    bool regular = S_ISREG(info.st_mode);
    int failed = regular ? buf_read_fd(script, fd) : 0;
    close(fd);
    if (!regular)
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID, "the script '%s' is no file", file);
    else if (failed == EFBIG)
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_TOO_LARGE, "the script '%s' has more than 16 MiB", file);
    else if (failed)
        stoop_error_set_errno(error, failed, "the script '%s' cannot be read", file);
    else if (memchr(buf_text(script), '\0', script->len))
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID, "the script '%s' has a NUL byte: it is no text", file);
    else
        return true;
    return false;
}

static bool script_run(const ActionContext *context, ActionResult *result, GError **error) {
    const ScriptParams *params = context->params;
    if (!params->file)
        return shell_action(context, result, "script", params->shell, params->script, strlen(params->script), error);
    g_auto(Buf) script = BUF_INIT(SCRIPT_MAX);
    return read_script(params->file, &script, error) &&
           shell_action(context, result, "script", params->shell, buf_text(&script), script.len, error);
}

static const char *const script_required[] = {TARGET_NEEDS_POD, TARGET_NEEDS_NAMESPACE, NULL};

static const PluginPermission script_permissions[] = {
    {"", "pods", "get", NULL},
    {"", "pods/exec", "get,create", NULL},
    {.resource = NULL},
};

const Actionner actionner_kubernetes_script = {
    .info =
        {.name = "kubernetes:script",
         .summary = "Runs a script in the pod.",
         .description =
             "The script runs like the command of `kubernetes:exec`: in the container that the event names, "
             "with the event's values as environment variables, and with the same limits. Exactly one of `script` and "
             "`file` is given; a file is read anew for each run, and may have 16 MiB. The script goes to the shell "
             "over its standard input, so that it leaves no file in the container and runs where none can be "
             "written. Its first line (`#!...`) is a comment: the parameter `shell` says what runs it.",
         .params = {.size = sizeof(ScriptParams), .rows = script_rows, .check = script_check},
         .example = "- action: Run a script into the pod\n"
                    "  actionner: kubernetes:script\n"
                    "  parameters:\n"
                    "    shell: /bin/bash\n"
                    "    script: |\n"
                    "      ps awxuf\n"
                    "      netstat -lpauten\n"
                    "      top -n 1\n"
                    "      cat \"${FD_NAME}\"\n",
         .permissions = script_permissions,
         .default_continue = true,
         .uses_contexts = true,
         .output = NEEDS_NO_OUTPUT,
         .required_fields = script_required,
         .source = "syscalls",
         .long_running = true,
         .deadline_ms = 60000},
    .run = script_run,
};
