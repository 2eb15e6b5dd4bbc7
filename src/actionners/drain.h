// The steps of a drain, each in a file of its own: which pods of the node are to go, their evictions, and the wait
// until they are gone.
#pragma once

#include "actionners/actionner.h"
#include "kube/kube_client.h"

typedef enum {
    DRAIN_TO_EVICT, // not evicted yet; after the last try: refused until the time was over
    DRAIN_EVICTED,  // the API server took the eviction, or the pod went by itself
    DRAIN_ENDING,   // was on its way out already
    DRAIN_FAILED,   // cannot be evicted; trying again changes nothing
} DrainState;

typedef struct {
    const char *space, *name, *uid; // in DrainPods.texts
    DrainState state;
    bool gone;    // seen to be gone
    bool awaited; // its namespace is not excluded from waiting
    char *reason; // why it was not evicted, so far; NULL
} DrainPod;

// What of the node is to go, and how much of it stays on purpose. A few hundred bytes a pod.
typedef struct {
    GArray *pods; // of DrainPod
    GStringChunk *texts;
    GHashTable *owners;                                    // of the pods that min_healthy_replicas looks at
    unsigned mirrors, daemonsets, statefulsets, unhealthy; // left alone, and why
} DrainPods;

void drain_pods_clear(DrainPods *pods);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(DrainPods, drain_pods_clear)

// What a rule says about which pods stay.
typedef struct {
    bool ignore_daemonsets, ignore_statefulsets;
    const char *min_healthy_replicas;       // NULL: does not matter
    const char *const *excluded_namespaces; // are not waited for
} DrainGuards;

// Finds the pods of `node`, page by page.
bool drain_pods_find(const ActionContext *context, const char *node, const DrainGuards *guards, DrainPods *pods,
                     GError **error);

// Evicts them, several at once, and again those that are refused for now, until none is left that is awaited or
// `refused_until_us` (clock_monotonic_us) has come; the first try of each may take until `last_us`. What became of each
// stands in its state. False only when cancelled.
bool drain_evict(const ActionContext *context, DrainPods *pods, int64_t grace_period_seconds, int64_t refused_until_us,
                 int64_t last_us, GError **error);

// Waits until every pod that is awaited and evicted is gone, or `until_us` has come: that is no error, `gone` tells.
bool drain_wait(const ActionContext *context, const char *node, DrainPods *pods, int64_t until_us, GError **error);
