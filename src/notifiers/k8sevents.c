// k8sevents: the result as a Kubernetes Event on the pod.
#include "notifiers/notifier.h"

static const ParamRow no_rows[] = {PARAM_ROW_END};

static const PluginPermission k8sevents_permissions[] = {
    {.api_group = "", .resource = "events", .verbs = "create"},
    {.resource = NULL},
};

const Notifier notifier_k8sevents = {
    .info = {.name = "k8sevents",
             .summary = "Writes a Kubernetes Event on the pod, in its namespace.",
             .description = "`kubectl describe pod` and `kubectl get events` show it. Kubernetes forgets events after "
                            "an hour by default.",
             .params = {.size = 1, .rows = no_rows},
             .example = "default_notifiers:\n"
                        "  - k8sevents\n",
             .planned = true,
             .permissions = k8sevents_permissions},
};
