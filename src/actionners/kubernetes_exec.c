// kubernetes:exec: runs a command in a container of the pod.
#include "actionners/shell.h"
#include "actionners/target.h"

#include <string.h>

typedef struct {
    char *command, *shell;
} ExecParams;

static const ParamRow exec_rows[] = {
    PARAM_ROW_TEXT(ExecParams, command, .required = true, .summary = "Command that the shell runs."),
    PARAM_ROW_TEXT(ExecParams, shell, .default_value = "/bin/sh", .summary = "Shell that runs the command."),
    PARAM_ROW_END,
};

static bool exec_run(const ActionContext *context, ActionResult *result, GError **error) {
    const ExecParams *params = context->params;
    return shell_action(context, result, "command", params->shell, params->command, strlen(params->command), error);
}

static const char *const exec_required[] = {TARGET_NEEDS_POD, TARGET_NEEDS_NAMESPACE, NULL};

static const PluginPermission exec_permissions[] = {
    {"", "pods", "get", NULL},
    {"", "pods/exec", "get,create", NULL},
    {.resource = NULL},
};

const Actionner actionner_kubernetes_exec = {
    .info =
        {.name = "kubernetes:exec",
         .summary = "Runs a command in the pod.",
         .description =
             "The command runs in the container that the event names (`container.id` found in the pod's status, or "
             "`container.name`), else in the first in which the shell runs. An exit status other than 0 is a "
             "failure, with the status and the end (2 KiB) of what the command wrote to its standard error. What "
             "it wrote stands in the field `output` of the log line, without terminal codes; of more than 16 KiB "
             "the end, after a note. Where no container has the shell, the failure says so.\n"
             "\n"
             "The event's values are environment variables of the command (`${FD_NAME}` for `fd.name`, `PRIORITY`, "
             "`HOSTNAME`, `RULE`, `SOURCE`, `TAGS`, and the context: `FALCO_TALON_RULE`, `NODE_ROLE`), which the "
             "shell expands itself: put them in double quotes, and what an attacker writes into them is only text. "
             "Values are cut at 64 KiB each, and at 1 MiB in all. A field whose name means something to shells, the "
             "loader or interpreters (`path`, `ifs`, `ld.preload`, `bash.env`) becomes no variable.\n"
             "\n"
             "The shell must be a POSIX shell. It gets the command through its standard input; the command itself "
             "reads `/dev/null`. A connection that breaks before the command's end was seen is a failure, never a "
             "success; the command may then run on, as it may after the action's deadline.",
         .params = {.size = sizeof(ExecParams), .rows = exec_rows},
         .example = "- action: Exec a command into the pod\n"
                    "  actionner: kubernetes:exec\n"
                    "  parameters:\n"
                    "    shell: /bin/bash\n"
                    "    command: 'cat \"${FD_NAME}\"'\n",
         .permissions = exec_permissions,
         .default_continue = true,
         .uses_contexts = true,
         .output = NEEDS_NO_OUTPUT,
         .required_fields = exec_required,
         .source = "syscalls",
         .long_running = true,
         .deadline_ms = 60000},
    .run = exec_run,
};
