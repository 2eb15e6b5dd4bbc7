// kubernetes:exec: runs a command in a container of the pod.
#include "actionners/target.h"

typedef struct {
    char *command, *shell;
} ExecParams;

static const ParamRow exec_rows[] = {
    PARAM_ROW_TEXT(ExecParams, command, .required = true, .summary = "Command that the shell runs."),
    PARAM_ROW_TEXT(ExecParams, shell, .default_value = "/bin/sh", .summary = "Shell that runs the command."),
    PARAM_ROW_END,
};

static const char *const exec_required[] = {TARGET_NEEDS_POD, TARGET_NEEDS_NAMESPACE, NULL};

static const PluginPermission exec_permissions[] = {
    {"", "pods", "get", NULL},
    {"", "pods/exec", "get,create", NULL},
    {.resource = NULL},
};

const Actionner actionner_kubernetes_exec = {
    .info = {.name = "kubernetes:exec",
             .summary = "Runs a command in the pod.",
             .description =
                 "The command runs in the container that the event names (`container.name`, or `container.id` found "
                 "in the pod's status), else in the first in which the shell runs. An exit status other than 0 is a "
                 "failure, with the status and the end of what the command wrote to its standard error.\n"
                 "\n"
                 "The event's values are environment variables of the command (`${FD_NAME}` for `fd.name`), which "
                 "the shell expands itself: put them in double quotes, and what an attacker writes into them is "
                 "only text.",
             .params = {.size = sizeof(ExecParams), .rows = exec_rows},
             .example = "- action: Exec a command into the pod\n"
                        "  actionner: kubernetes:exec\n"
                        "  parameters:\n"
                        "    shell: /bin/bash\n"
                        "    command: 'cat \"${FD_NAME}\"'\n",
             .planned = true,
             .permissions = exec_permissions,
             .default_continue = true,
             .uses_contexts = true,
             .output = NEEDS_NO_OUTPUT,
             .required_fields = exec_required,
             .source = "syscalls",
             .long_running = true,
             .deadline_ms = 60000},
    .run = NULL,
};
