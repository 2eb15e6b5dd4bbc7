// kubernetes:drain: evicts the pods of the node of the pod.
#include "actionners/drain.h"
#include "actionners/names.h"
#include "actionners/params.h"
#include "actionners/replicas.h"
#include "actionners/target.h"
#include "base/error.h"

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

enum { MOST_TOLD = 5 };
// How long refused evictions are repeated where the rule does not wait, and what is kept of the action's time to tell
// what was done.
static const int64_t REFUSED_US = 30 * G_USEC_PER_SEC, TELL_US = G_USEC_PER_SEC / 2;

typedef struct {
    unsigned evicted, ending, failed, refused, there;
    GString *reasons; // of the first few that did not go
    unsigned told;
} Count;

static void tell_reason(Count *count, const DrainPod *pod, const char *reason) {
    if (count->told++ < MOST_TOLD)
        g_string_append_printf(count->reasons, "; %s/%s: %s", pod->space, pod->name, reason);
}

static void count_pods(const DrainPods *pods, bool waited, Count *count) {
    for (guint i = 0; i < pods->pods->len; i++) {
        const DrainPod *pod = &g_array_index(pods->pods, DrainPod, i);
        bool going = pod->state == DRAIN_EVICTED || pod->state == DRAIN_ENDING;
        count->evicted += pod->state == DRAIN_EVICTED;
        count->ending += pod->state == DRAIN_ENDING;
        count->failed += pod->state == DRAIN_FAILED;
        count->refused += pod->state == DRAIN_TO_EVICT;
        if (!going)
            tell_reason(count, pod, pod->reason ? pod->reason : "there was no time left to try");
        if (going && waited && pod->awaited && !pod->gone) {
            count->there++;
            tell_reason(count, pod, "is not gone yet");
        }
    }
}

static void tell_kind(GString *text, unsigned number, const char *what, bool *first) {
    if (number == 0)
        return;
    g_string_append_printf(text, "%s%u %s", *first ? " (" : ", ", number, what);
    *first = false;
}

static void tell_ignored(GString *text, const DrainPods *pods) {
    g_string_append_printf(text, ", %u ignored",
                           pods->mirrors + pods->daemonsets + pods->statefulsets + pods->unhealthy);
    bool first = true;
    tell_kind(text, pods->mirrors, "static", &first);
    tell_kind(text, pods->daemonsets, "of DaemonSets", &first);
    tell_kind(text, pods->statefulsets, "of StatefulSets", &first);
    tell_kind(text, pods->unhealthy, "whose owners have too few healthy replicas", &first);
    if (!first)
        g_string_append_c(text, ')');
}

static bool tell_outcome(const ActionContext *context, ActionResult *result, const char *node, const DrainPods *pods,
                         GError **error) {
    const DrainParams *params = context->params;
    g_autoptr(GString) reasons = g_string_new(NULL), text = g_string_new(NULL);
    Count count = {.reasons = reasons};
    count_pods(pods, params->max_wait_period > 0, &count);
    bool whole = count.failed + count.refused + count.there == 0;
    g_string_append_printf(text, "the node '%s' is cordoned and %s drained: %u pod%s evicted", node,
                           whole ? "has been" : "could not be fully", count.evicted, count.evicted == 1 ? "" : "s");
    tell_ignored(text, pods);
    if (count.ending > 0)
        g_string_append_printf(text, ", %u ending already", count.ending);
    g_string_append_printf(text, ", %u failed, %u timed out%s", count.failed, count.refused + count.there,
                           reasons->str);
    if (count.told > MOST_TOLD)
        g_string_append_printf(text, "; and %u more", count.told - MOST_TOLD);
    if (whole || params->ignore_errors) {
        action_result_set(result, ACTION_SUCCESS, "%s", text->str);
        return true;
    }
    g_set_error(error, STOOP_ERROR, STOOP_ERROR_FAILED, "%s", text->str);
    return false;
}

static bool cordon(const ActionContext *context, const char *node, GError **error) {
    KubeCall call = action_call(context);
    if (kube_patch(context->clients->kube, &KUBE_NODE(node), KUBE_MERGE_PATCH, "{\"spec\":{\"unschedulable\":true}}",
                   &call, NULL, error))
        return true;
    g_prefix_error(error, "the node '%s' cannot be cordoned, so no pod was evicted: ", node);
    return false;
}

static bool drain_run(const ActionContext *context, ActionResult *result, GError **error) {
    const DrainParams *params = context->params;
    if (!target_pod(context, result, error))
        return false;
    g_autofree char *node = NULL;
    if (!target_node(context, result, &node, error))
        return false;
    if (!node) // another pod now
        return true;
    DrainGuards guards = {.ignore_daemonsets = params->ignore_daemonsets,
                          .ignore_statefulsets = params->ignore_statefulsets,
                          .min_healthy_replicas = params->min_healthy_replicas,
                          .excluded_namespaces = (const char *const *)params->wait_period_excluded_namespaces};
    g_auto(DrainPods) pods = {0};
    if (!cordon(context, node, error) || !drain_pods_find(context, node, &guards, &pods, error))
        return false;
    int64_t wait_us = params->max_wait_period * G_USEC_PER_SEC;
    int64_t now_us = clock_monotonic_us(context->clock), last_us = context->deadline_us - TELL_US;
    int64_t refused_until_us = MIN(now_us + (wait_us > 0 ? wait_us : REFUSED_US), last_us);
    if (!drain_evict(context, &pods, params->grace_period_seconds, refused_until_us, last_us, error) ||
        (wait_us > 0 && !drain_wait(context, node, &pods, MIN(now_us + wait_us, last_us), error)))
        return false;
    return tell_outcome(context, result, node, &pods, error);
}

static const char *const drain_required[] = {TARGET_NEEDS_POD, TARGET_NEEDS_NAMESPACE, NULL};

static const PluginPermission drain_permissions[] = {
    {"", "pods", "get,list", NULL},
    {"", "pods", "watch", "with max_wait_period"},
    {"", "pods/eviction", "create", NULL},
    {"", "nodes", "patch", NULL},
    {"apps", "replicasets", "get", "with min_healthy_replicas"},
    {"apps", "statefulsets", "get", "with min_healthy_replicas"},
    {.resource = NULL},
};

const Actionner actionner_kubernetes_drain = {
    .info =
        {.name = "kubernetes:drain",
         .summary = "Drains the node of the pod.",
         .description =
             "The node is the event's `k8s.node.name`, else the one that the pod runs on. It is cordoned first, so "
             "that its pods do not come back to it; then every pod is evicted through the Eviction API, which "
             "respects PodDisruptionBudgets: several at a time, each by its UID, so that no pod is hit that took "
             "the name of another. Static pods stay, and, where asked, pods of DaemonSets and StatefulSets; "
             "without `ignore_daemonsets` pods of DaemonSets are evicted too, and come back at once. Pods without "
             "an owner are evicted and come back nowhere.\n"
             "\n"
             "`min_healthy_replicas` holds for pods of ReplicaSets and StatefulSets. The ready pods of an owner are "
             "read once, and each that is evicted counts as gone from then on.\n"
             "\n"
             "An eviction that a PodDisruptionBudget refuses is repeated until `max_wait_period` is over (30 "
             "seconds without it). With `max_wait_period` the action also waits until the evicted pods are gone, "
             "but for those of `wait_period_excluded_namespaces`. The result counts what was evicted, ignored, "
             "failed and timed out, and names the first pods that did not go. Any that failed or timed out makes "
             "the action a failure, unless `ignore_errors` is set. The list of pods is read page by page; a node "
             "may have 100,000 at most.",
         .params = {.size = sizeof(DrainParams), .rows = drain_rows},
         .example = "- action: Drain the node\n"
                    "  actionner: kubernetes:drain\n"
                    "  parameters:\n"
                    "    ignore_daemonsets: true\n"
                    "    max_wait_period: 60\n",
         .permissions = drain_permissions,
         .default_continue = true,
         .output = NEEDS_NO_OUTPUT,
         .required_fields = drain_required,
         .source = "syscalls",
         .long_running = true,
         .deadline_ms = 86700000},
    .run = drain_run,
};
