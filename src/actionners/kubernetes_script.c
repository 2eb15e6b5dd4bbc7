// kubernetes:script: runs a script in a container of the pod.
#include "actionners/target.h"

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

static const char *const script_required[] = {TARGET_NEEDS_POD, TARGET_NEEDS_NAMESPACE, NULL};

static const PluginPermission script_permissions[] = {
    {"", "pods", "get", NULL},
    {"", "pods/exec", "get,create", NULL},
    {.resource = NULL},
};

const Actionner actionner_kubernetes_script = {
    .info = {.name = "kubernetes:script",
             .summary = "Runs a script in the pod.",
             .description =
                 "The script runs like the command of `kubernetes:exec`: in the container that the event names, "
                 "with the event's values as environment variables. Exactly one of `script` and `file` is given.",
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
             .planned = true,
             .permissions = script_permissions,
             .default_continue = true,
             .uses_contexts = true,
             .output = NEEDS_NO_OUTPUT,
             .required_fields = script_required,
             .source = "syscalls",
             .long_running = true,
             .deadline_ms = 60000},
    .run = NULL,
};
