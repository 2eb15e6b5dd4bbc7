// kubernetes:drain: evicts the pods of the node of the pod.
#include "actionners/names.h"
#include "actionners/params.h"
#include "actionners/replicas.h"
#include "actionners/target.h"

typedef struct {
    int64_t grace_period_seconds, max_wait_period;
    bool ignore_daemonsets, ignore_statefulsets, ignore_errors;
    char *min_healthy_replicas;
    char **wait_period_excluded_namespaces;
} DrainParams;

static const ParamRow drain_rows[] = {
    PARAM_ROW_INT(DrainParams, grace_period_seconds, .default_value = "-1", PARAM_RANGE(-1, G_MAXINT32), .unit = "s",
                  .old_names = TEXTS("gracePeriodSeconds"),
                  .summary = "How long each pod may take to end; 0 is at once, -1 as long as the pod itself says."),
    PARAM_ROW_BOOL(DrainParams, ignore_daemonsets, .old_names = TEXTS("ignoreDaemonsets", "ignoreDaemonSets"),
                   .summary = "Leave pods of DaemonSets alone."),
    PARAM_ROW_BOOL(DrainParams, ignore_statefulsets, .old_names = TEXTS("ignoreStatefulsets", "ignoreStatefulSets"),
                   .summary = "Leave pods of StatefulSets alone."),
    PARAM_ROW_TEXT(DrainParams, min_healthy_replicas, .check = replicas_check, .old_names = TEXTS("minHealthyReplicas"),
                   .summary = "How many pods of an owner must be ready now for one to be evicted: a number, or a "
                              "percentage of the wanted replicas such as \"33%\", rounded up."),
    PARAM_ROW_BOOL(DrainParams, ignore_errors, .old_names = TEXTS("ignore_error", "ignoreErrors", "ignoreError"),
                   .summary = "Count the action as a success even where pods could not be evicted."),
    PARAM_ROW_INT(DrainParams, max_wait_period, PARAM_RANGE(0, 86400), .unit = "s", .old_names = TEXTS("maxWaitPeriod"),
                  .summary = "How long to wait until the evicted pods are gone; 0 does not wait."),
    PARAM_ROW_LIST(DrainParams, wait_period_excluded_namespaces, .check = namespace_check,
                   .old_names = TEXTS("waitPeriodExcludedNamespaces"),
                   .summary = "Namespaces whose pods are not waited for."),
    PARAM_ROW_END,
};

static const char *const drain_required[] = {TARGET_NEEDS_POD, TARGET_NEEDS_NAMESPACE, NULL};

static const PluginPermission drain_permissions[] = {
    {"", "pods", "get,list,watch", NULL},
    {"", "pods/eviction", "create", NULL},
    {"", "nodes", "get,patch", NULL},
    {"apps", "replicasets", "get", "with min_healthy_replicas"},
    {"apps", "statefulsets", "get", "with min_healthy_replicas"},
    {.resource = NULL},
};

const Actionner actionner_kubernetes_drain = {
    .info = {.name = "kubernetes:drain",
             .summary = "Drains the node of the pod.",
             .description =
                 "The node is cordoned first, so that its pods do not come back to it; then every pod is evicted "
                 "through the Eviction API, which respects PodDisruptionBudgets. Mirror pods stay, and, where "
                 "asked, pods of DaemonSets and StatefulSets. The result counts what was evicted, ignored, failed "
                 "and timed out.",
             .params = {.size = sizeof(DrainParams), .rows = drain_rows},
             .example = "- action: Drain the node\n"
                        "  actionner: kubernetes:drain\n"
                        "  parameters:\n"
                        "    ignore_daemonsets: true\n"
                        "    max_wait_period: 60\n",
             .planned = true,
             .permissions = drain_permissions,
             .default_continue = true,
             .output = NEEDS_NO_OUTPUT,
             .required_fields = drain_required,
             .source = "syscalls",
             .long_running = true,
             .deadline_ms = 300000},
    .run = NULL,
};
