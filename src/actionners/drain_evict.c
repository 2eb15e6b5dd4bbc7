// Evicts pods through the Eviction API, which respects PodDisruptionBudgets.
// https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/
#include "actionners/drain.h"
#include "actionners/pause.h"
#include "base/error.h"
#include "base/thread.h"
#include "kube/kube_pod.h"

#include <string.h>

enum { WORKERS = 8, BODY_MAX = 4096 };
// How long one try may take: a refusal is repeated by the client within that time, and the next pod must not wait long
// for it. Grows where the API server is slow.
static const int64_t TRY_US = 1000000, TRY_MOST_US = 30000000;
// Between rounds, as kubectl's five seconds at most.
static const int64_t PAUSE_US = 1000000, PAUSE_MOST_US = 5000000;

// One round: each pod that is to be evicted is tried once.
typedef struct {
    const ActionContext *context;
    DrainPods *pods;
    int64_t grace_period_seconds, try_us, until_us;
    Mutex lock;
    guint next; // under lock
    bool slow;  // under lock: a try ran out of its time
} Round;

static void write_eviction(Buf *body, const DrainPod *pod, int64_t grace_period_seconds) {
    buf_append_text(body, "{\"apiVersion\":\"policy/v1\",\"kind\":\"Eviction\",\"metadata\":{\"name\":");
    buf_append_json_string(body, pod->name, strlen(pod->name));
    buf_append_text(body, ",\"namespace\":");
    buf_append_json_string(body, pod->space, strlen(pod->space));
    buf_append_text(body, "},\"deleteOptions\":{");
    if (grace_period_seconds >= 0)
        buf_printf(body, "\"gracePeriodSeconds\":%" G_GINT64_FORMAT ",", grace_period_seconds);
    buf_append_text(body, "\"preconditions\":{\"uid\":");
    buf_append_json_string(body, pod->uid, strlen(pod->uid));
    buf_append_text(body, "}}}");
}

// After a conflict: whether the pod is still the one that was to go.
static bool is_still_there(const Round *round, const DrainPod *pod) {
    KubeCall call = {.deadline_us = clock_monotonic_us(round->context->clock) + round->try_us,
                     .cancel = round->context->cancel};
    g_auto(KubeObject) object = {0};
    g_autoptr(GError) failed = NULL;
    if (!kube_get(round->context->clients->kube, &KUBE_POD(pod->space, pod->name), &call, &object, &failed))
        return !stoop_error_is(failed, STOOP_ERROR_NOT_FOUND);
    return g_strcmp0(kube_object_uid(object.root), pod->uid) == 0;
}

static bool is_worth_another_try(const GError *error) {
    // The one refusal of the API server that only looks as if it could pass.
    return (stoop_error_is_retryable(error) && !strstr(error->message, "more than one PodDisruptionBudget")) ||
           stoop_error_is(error, STOOP_ERROR_CANCELLED) || stoop_error_is(error, STOOP_ERROR_CONFLICT);
}

static void note_refusal(Round *round, DrainPod *pod, const GError *error) {
    if (stoop_error_is(error, STOOP_ERROR_NOT_FOUND) ||
        (stoop_error_is(error, STOOP_ERROR_CONFLICT) && !is_still_there(round, pod))) {
        pod->state = DRAIN_EVICTED;
        pod->gone = true;
        return;
    }
    if (stoop_error_is(error, STOOP_ERROR_FORBIDDEN) && strstr(error->message, "it is being terminated")) {
        pod->state = DRAIN_ENDING; // with its whole namespace
        return;
    }
    if (!is_worth_another_try(error))
        pod->state = DRAIN_FAILED;
    g_free(pod->reason);
    pod->reason = g_strdup(error->message);
    if (!stoop_error_is(error, STOOP_ERROR_TIMEOUT))
        return;
    mutex_lock(&round->lock);
    round->slow = true;
    mutex_unlock(&round->lock);
}

static void evict(Round *round, DrainPod *pod) {
    g_auto(Buf) body = BUF_INIT(BODY_MAX);
    write_eviction(&body, pod, round->grace_period_seconds);
    int64_t now = clock_monotonic_us(round->context->clock);
    KubeCall call = {.deadline_us = MIN(now + round->try_us, round->until_us), .cancel = round->context->cancel};
    KubePath path = {"", "v1", "pods", pod->space, pod->name, "eviction"};
    g_autoptr(GError) failed = NULL;
    if (kube_create(round->context->clients->kube, &path, buf_text(&body), &call, NULL, &failed)) {
        pod->state = DRAIN_EVICTED;
        g_clear_pointer(&pod->reason, g_free);
        return;
    }
    note_refusal(round, pod, failed);
}

static bool is_over(const ActionContext *context, int64_t until_us) {
    return cancel_is_set(context->cancel) || clock_monotonic_us(context->clock) >= until_us;
}

static DrainPod *next_pod(Round *round) {
    DrainPod *found = NULL;
    mutex_lock(&round->lock);
    while (!found && round->next < round->pods->pods->len) {
        DrainPod *pod = &g_array_index(round->pods->pods, DrainPod, round->next++);
        found = pod->state == DRAIN_TO_EVICT ? pod : NULL;
    }
    mutex_unlock(&round->lock);
    return found;
}

static void *work(void *user) {
    Round *round = user;
    // A pod is its worker's alone, until the round has ended.
    while (!is_over(round->context, round->until_us)) {
        DrainPod *pod = next_pod(round);
        if (!pod)
            break;
        evict(round, pod);
    }
    return NULL;
}

static void run_round(Round *round, unsigned left) {
    pthread_t threads[WORKERS - 1];
    unsigned count = 0, wanted = MIN(left, WORKERS) - 1;
    round->next = 0;
    round->slow = false;
    // With fewer threads than wanted it only takes longer.
    while (count < wanted && thread_start(&threads[count], "drain", 0, work, round, NULL))
        count++;
    work(round);
    for (unsigned i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
}

static unsigned count_left(const DrainPods *pods, bool awaited_only) {
    unsigned left = 0;
    for (guint i = 0; i < pods->pods->len; i++) {
        const DrainPod *pod = &g_array_index(pods->pods, DrainPod, i);
        left += pod->state == DRAIN_TO_EVICT && (pod->awaited || !awaited_only);
    }
    return left;
}

bool drain_evict(const ActionContext *context, DrainPods *pods, int64_t grace_period_seconds, int64_t refused_until_us,
                 int64_t last_us, GError **error) {
    Round round = {.context = context,
                   .pods = pods,
                   .grace_period_seconds = grace_period_seconds,
                   .try_us = TRY_US,
                   .until_us = last_us};
    mutex_init(&round.lock);
    unsigned left = count_left(pods, false);
    for (int64_t pause = PAUSE_US; left > 0; pause = MIN(2 * pause, PAUSE_MOST_US)) {
        run_round(&round, left);
        left = count_left(pods, false);
        round.until_us = refused_until_us;
        if (count_left(pods, true) == 0 || is_over(context, refused_until_us))
            break;
        if (round.slow)
            round.try_us = MIN(2 * round.try_us, TRY_MOST_US);
        if (!action_pause(context, pause, refused_until_us))
            break;
    }
    mutex_destroy(&round.lock);
    if (!cancel_is_set(context->cancel))
        return true;
    g_set_error(error, STOOP_ERROR, STOOP_ERROR_CANCELLED, "the drain was stopped");
    return false;
}
