#include "actionners/capture_job.h"

#include "actionners/capture.h"
#include "actionners/pause.h"
#include "actionners/target.h"
#include "actionners/waiter.h"
#include "base/error.h"
#include "base/one_line.h"
#include "kube/kube_pod.h"

#include <string.h>

enum { JOB_MAX = 16 * 1024, TTL_S = 30, REMOVE_S = 5, MESSAGE_MAX = 1024, REPLACE_TRIES = 20 };

#define POLL_US (G_USEC_PER_SEC / 4)
#define EVENTS_AFTER_US G_USEC_PER_SEC
#define LABELS "\"app.kubernetes.io/managed-by\":\"stoop\",\"app.kubernetes.io/component\":\"capture\""
#define NO_REASON "no reason is given"
#define SELECTOR "app.kubernetes.io/managed-by=stoop,app.kubernetes.io/component=capture"

static KubePath job_path(const CaptureJob *job, bool named) {
    return (KubePath){"batch", "v1", "jobs", job->job_namespace, named ? job->name : NULL, NULL};
}

// --- What is created ---

static void add_text(Buf *json, const char *text) {
    buf_append_json_string(json, text, strlen(text));
}

static void add_container(Buf *json, const CaptureJob *job) {
    g_autofree char *seconds = capture_waiter_seconds(job->duration_s);
    const char *command[8];
    waiter_command(command, seconds);
    buf_append_text(json, "{\"name\":\"" CAPTURE_JOB_CONTAINER "\",\"imagePullPolicy\":\"IfNotPresent\",\"image\":");
    add_text(json, job->image);
    buf_append_text(json, ",\"command\":[");
    for (size_t i = 0; command[i]; i++) {
        if (i > 0)
            buf_append_char(json, ',');
        add_text(json, command[i]);
    }
    // Where sysdig looks for the node's processes and for the sockets of container runtimes.
    buf_append_text(json, "],\"env\":[{\"name\":\"HOST_ROOT\",\"value\":\"/host\"},"
                          "{\"name\":\"SYSDIG_HOST_ROOT\",\"value\":\"/host\"}],"
                          "\"securityContext\":{\"privileged\":true,\"runAsUser\":0,\"runAsNonRoot\":false},"
                          "\"volumeMounts\":["
                          "{\"name\":\"proc\",\"mountPath\":\"/host/proc\",\"readOnly\":true},"
                          "{\"name\":\"run\",\"mountPath\":\"/host/run\",\"readOnly\":true},"
                          "{\"name\":\"run\",\"mountPath\":\"/host/var/run\",\"readOnly\":true}]}");
}

char *capture_job_text(const CaptureJob *job) {
    g_auto(Buf) json = BUF_INIT(JOB_MAX);
    buf_append_text(&json, "{\"apiVersion\":\"batch/v1\",\"kind\":\"Job\",\"metadata\":{\"name\":");
    add_text(&json, job->name);
    buf_printf(&json,
               ",\"labels\":{" LABELS "}},\"spec\":{\"backoffLimit\":0,\"activeDeadlineSeconds\":%" G_GINT64_FORMAT
               ",\"ttlSecondsAfterFinished\":%d,\"template\":{\"metadata\":{\"labels\":{" LABELS "}},\"spec\":{",
               CAPTURE_START_S + job->duration_s + CAPTURE_END_S, TTL_S);
    // The node is named, so that no scheduler, cordon or taint stands between.
    buf_append_text(&json, "\"nodeName\":");
    add_text(&json, job->node);
    buf_append_text(&json, ",\"tolerations\":[{\"operator\":\"Exists\"}],\"restartPolicy\":\"Never\","
                           "\"automountServiceAccountToken\":false,\"terminationGracePeriodSeconds\":1,"
                           "\"volumes\":[{\"name\":\"proc\",\"hostPath\":{\"path\":\"/proc\"}},"
                           "{\"name\":\"run\",\"hostPath\":{\"path\":\"/run\"}}],\"containers\":[");
    add_container(&json, job);
    return buf_append_text(&json, "]}}}}") ? buf_steal(&json) : NULL;
}

// --- Removing ---

// `uid` may be NULL: whichever has the name.
static bool delete_job(const ActionContext *context, const KubePath *path, const char *uid, const KubeCall *call,
                       GError **error) {
    KubeDeleteOptions options = {.grace_period_seconds = -1, .uid = uid, .propagation = "Background"};
    g_autoptr(GError) failure = NULL;
    if (kube_delete(context->clients->kube, path, &options, call, &failure) ||
        stoop_error_is(failure, STOOP_ERROR_NOT_FOUND) || (uid && stoop_error_is(failure, STOOP_ERROR_CONFLICT)))
        return true;
    g_propagate_error(error, g_steal_pointer(&failure));
    return false;
}

bool capture_job_remove(const ActionContext *context, const CaptureJob *job, GError **error) {
    KubePath path = job_path(job, true);
    KubeCall call = {.deadline_us = clock_monotonic_us(context->clock) + REMOVE_S * G_USEC_PER_SEC};
    // A request that is late, as after a restart of ours, must not take the next one of that name.
    return delete_job(context, &path, job->uid, &call, error);
}

typedef struct {
    const CaptureJob *job;
    int64_t now_s;
    GPtrArray *names;
} Leftovers;

static bool is_over(yyjson_val *job, int64_t now_s) {
    size_t index, count;
    yyjson_val *condition;
    yyjson_arr_foreach(kube_object_get(job, "status", "conditions", NULL), index, count, condition) {
        const char *type = kube_object_text(condition, "type", NULL);
        bool end = g_strcmp0(type, "Complete") == 0 || g_strcmp0(type, "Failed") == 0;
        if (end && g_strcmp0(kube_object_text(condition, "status", NULL), "True") == 0)
            return true;
    }
    const char *created = kube_object_text(job, "metadata", "creationTimestamp", NULL);
    g_autoptr(GDateTime) time = created ? g_date_time_new_from_iso8601(created, NULL) : NULL;
    int64_t lasts = yyjson_get_sint(kube_object_get(job, "spec", "activeDeadlineSeconds", NULL));
    return time && g_date_time_to_unix(time) + lasts + TTL_S < now_s;
}

static bool look_at_leftover(yyjson_val *item, void *user) {
    Leftovers *leftovers = user;
    const char *name = kube_object_text(item, "metadata", "name", NULL);
    if (name && strcmp(name, leftovers->job->name) != 0 && is_over(item, leftovers->now_s))
        g_ptr_array_add(leftovers->names, g_strdup(name));
    return true;
}

// What a Stoop left behind that is no more. Nothing depends on it: the Jobs go by themselves, only later.
static void sweep(const ActionContext *context, const CaptureJob *job, const KubeCall *call) {
    g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
    Leftovers leftovers = {.job = job, .now_s = clock_realtime_ns(context->clock) / 1000000000, .names = names};
    KubeList list = {.label_selector = SELECTOR, .each = look_at_leftover, .user = &leftovers};
    KubePath all = job_path(job, false);
    if (!kube_list(context->clients->kube, &all, &list, call, NULL, NULL))
        return;
    for (guint i = 0; i < names->len; i++) {
        CaptureJob old = {.job_namespace = job->job_namespace, .name = g_ptr_array_index(names, i)};
        KubePath path = job_path(&old, true);
        delete_job(context, &path, NULL, call, NULL);
    }
}

// --- Starting ---

// One of that name is of the same action before a crash of ours.
static bool create(const ActionContext *context, const CaptureJob *job, const KubeCall *call, char **uid,
                   GError **error) {
    g_autofree char *text = capture_job_text(job);
    if (!text) {
        g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_TOO_LARGE, "the Job's text is too long");
        return false;
    }
    KubePath all = job_path(job, false), one = job_path(job, true);
    for (int tries = 0;; tries++) {
        g_auto(KubeObject) created = {0};
        g_autoptr(GError) failure = NULL;
        if (kube_create(context->clients->kube, &all, text, call, &created, &failure)) {
            *uid = g_strdup(kube_object_uid(created.root));
            return true;
        }
        bool again = stoop_error_is(failure, STOOP_ERROR_CONFLICT) && tries < REPLACE_TRIES;
        if (!again) {
            g_propagate_error(error, g_steal_pointer(&failure));
            return false;
        }
        if (!delete_job(context, &one, NULL, call, error))
            return false;
        if (tries > 0)
            action_pause(context, POLL_US, call->deadline_us);
    }
}

typedef struct {
    const char *uid; // the Job's
    char *pod;
    bool seen, runs;
    char *refusal, *waits; // why it does not run
} Start;

static void start_clear(Start *start) {
    g_free(start->pod);
    g_free(start->refusal);
    g_free(start->waits);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Start, start_clear)

static bool look_at_pod(yyjson_val *pod, void *user) {
    Start *start = user;
    KubeOwner owner = {0};
    bool is_ours = kube_pod_owner(pod, &owner) && g_strcmp0(owner.uid, start->uid) == 0;
    kube_owner_clear(&owner);
    if (!is_ours)
        return true;
    start->seen = true;
    g_free(start->pod);
    start->pod = g_strdup(kube_object_text(pod, "metadata", "name", NULL));
    const char *phase = kube_object_text(pod, "status", "phase", NULL);
    yyjson_val *state =
        yyjson_obj_get(yyjson_arr_get_first(kube_object_get(pod, "status", "containerStatuses", NULL)), "state");
    yyjson_val *waiting = yyjson_obj_get(state, "waiting"), *ended = yyjson_obj_get(state, "terminated");
    const char *why = kube_object_text(waiting, "reason", NULL);
    g_clear_pointer(&start->waits, g_free);
    start->waits = kube_state_reason(waiting ? waiting : yyjson_obj_get(pod, "status"), NO_REASON);
    start->runs = yyjson_obj_get(state, "running") != NULL;
    if (ended || g_strcmp0(phase, "Failed") == 0 || g_strcmp0(phase, "Succeeded") == 0)
        start->refusal = kube_state_reason(ended ? ended : yyjson_obj_get(pod, "status"), NO_REASON);
    else if (why && strcmp(why, "ContainerCreating") != 0 && strcmp(why, "PodInitializing") != 0)
        start->refusal = g_strdup(start->waits);
    return false;
}

static bool look_at_event(yyjson_val *event, void *user) {
    char **message = user;
    const char *text = kube_object_text(event, "message", NULL);
    if (text)
        *message = one_line(text, strlen(text), MESSAGE_MAX);
    return !text;
}

// Why the Job has no pod: only an event tells. NULL: nobody says, or we may not read it.
static char *why_no_pod(const ActionContext *context, const CaptureJob *job, const Start *start, const KubeCall *call) {
    char *message = NULL;
    g_autofree char *field = g_strdup_printf("involvedObject.uid=%s,reason=FailedCreate", start->uid);
    KubeList list = {.field_selector = field, .each = look_at_event, .user = &message};
    KubePath events = {"", "v1", "events", job->job_namespace, NULL, NULL};
    kube_list(context->clients->kube, &events, &list, call, NULL, NULL);
    return message;
}

static bool refused(const Start *start, const CaptureJob *job, const char *no_pod, GError **error) {
    if (no_pod)
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_FORBIDDEN,
                    "the namespace '%s' does not take the privileged pod of the capture; the parameter `namespace` can "
                    "name another: %s",
                    job->job_namespace, no_pod);
    else
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_FAILED, "the Job's container (image %s) does not run: %s",
                    job->image, start->refusal);
    return false;
}

static bool wait_running(const ActionContext *context, const CaptureJob *job, Start *start, const KubeCall *call,
                         GError **error) {
    g_autofree char *selector = g_strdup_printf("job-name=%s", job->name);
    KubeList list = {.label_selector = selector, .each = look_at_pod, .user = start};
    KubePath pods = {"", "v1", "pods", job->job_namespace, NULL, NULL};
    int64_t events_at_us = clock_monotonic_us(context->clock) + EVENTS_AFTER_US;
    do {
        if (!kube_list(context->clients->kube, &pods, &list, call, NULL, error))
            return false;
        if (start->refusal)
            return refused(start, job, NULL, error);
        if (start->runs)
            return true;
        if (!start->seen && clock_monotonic_us(context->clock) >= events_at_us) {
            g_autofree char *why = why_no_pod(context, job, start, call);
            if (why)
                return refused(start, job, why, error);
            events_at_us += 2 * EVENTS_AFTER_US;
        }
    } while (action_pause(context, POLL_US, call->deadline_us));
    if (cancel_is_set(context->cancel))
        g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_CANCELLED, "Stoop is leaving");
    else
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_TIMEOUT, "the Job's container does not run in time: %s",
                    start->waits ? start->waits : "the Job has no pod yet");
    return false;
}

bool capture_job_start(const ActionContext *context, CaptureJob *job, char **pod, GError **error) {
    ActionContext own = capture_until(context, CAPTURE_START_S);
    KubeCall call = action_call(&own);
    sweep(&own, job, &call);
    if (!create(&own, job, &call, &job->uid, error))
        return false;
    g_auto(Start) start = {.uid = job->uid};
    if (!wait_running(&own, job, &start, &call, error))
        return false;
    *pod = g_steal_pointer(&start.pod);
    return true;
}
