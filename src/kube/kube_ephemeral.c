#include "kube/kube_ephemeral.h"

#include "base/error.h"
#include "kube/kube_pod.h"

#include <string.h>

enum { PATCH_MAX = 256 * 1024 };

void kube_ephemeral_end_clear(KubeEphemeralEnd *end) {
    g_clear_pointer(&end->reason, g_free);
    end->exit_code = 0;
}

// --- The patch ---

static void add_text(Buf *patch, const char *key, const char *text) {
    buf_printf(patch, ",\"%s\":", key);
    buf_append_json_string(patch, text, strlen(text));
}

static void add_list(Buf *patch, const char *key, const char *const *texts) {
    buf_printf(patch, "\"%s\":[", key);
    for (size_t i = 0; texts[i]; i++) {
        if (i > 0)
            buf_append_char(patch, ',');
        buf_append_json_string(patch, texts[i], strlen(texts[i]));
    }
    buf_append_char(patch, ']');
}

static void add_security(Buf *patch, const KubeEphemeral *container) {
    buf_append_text(patch, ",\"securityContext\":{\"allowPrivilegeEscalation\":false,\"capabilities\":{");
    if (container->capabilities && container->capabilities[0]) {
        add_list(patch, "add", container->capabilities);
        buf_append_char(patch, ',');
    }
    buf_append_text(patch, "\"drop\":[\"ALL\"]}");
    if (container->run_as_user >= 0)
        buf_printf(patch, ",\"runAsUser\":%" G_GINT64_FORMAT ",\"runAsNonRoot\":%s", container->run_as_user,
                   container->run_as_user == 0 ? "false" : "true");
    buf_append_char(patch, '}');
}

static bool make_patch(Buf *patch, const char *uid, const KubeEphemeral *container, GError **error) {
    buf_append_char(patch, '{');
    if (uid) {
        // The server answers 409 when the pod is another one.
        buf_append_text(patch, "\"metadata\":{\"uid\":");
        buf_append_json_string(patch, uid, strlen(uid));
        buf_append_text(patch, "},");
    }
    buf_append_text(patch, "\"spec\":{\"ephemeralContainers\":[{\"name\":");
    buf_append_json_string(patch, container->name, strlen(container->name));
    add_text(patch, "image", container->image);
    buf_append_text(patch, ",\"imagePullPolicy\":\"IfNotPresent\",");
    add_list(patch, "command", container->command);
    if (container->target)
        add_text(patch, "targetContainerName", container->target);
    if (container->stdin_once)
        buf_append_text(patch, ",\"stdin\":true,\"stdinOnce\":true");
    add_security(patch, container);
    if (buf_append_text(patch, "}]}}"))
        return true;
    g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_TOO_LARGE, "the ephemeral container's command is too long");
    return false;
}

// --- What the kubelet says of it ---

typedef enum { STATE_WAITING, STATE_RUNNING, STATE_ENDED, STATE_REFUSED, STATE_GONE } State;

typedef struct {
    const char *name, *uid;
    bool until_ended;
    State state;
    char *text; // why it waits, or was refused
    KubeEphemeralEnd end;
} Waiting;

static void waiting_clear(Waiting *waiting) {
    g_free(waiting->text);
    kube_ephemeral_end_clear(&waiting->end);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Waiting, waiting_clear)

static bool is_refusal(const char *reason) {
    static const char *const reasons[] = {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
        "SignatureValidationFailed",
        "CreateContainerError",
        "CreateContainerConfigError",
        "RunContainerError",
        "CrashLoopBackOff",
        "PostStartHookError",
        "PreCreateHookError",
        "PreStartHookError",
    };
    for (size_t i = 0; i < G_N_ELEMENTS(reasons); i++)
        if (g_strcmp0(reason, reasons[i]) == 0)
            return true;
    return false;
}

static yyjson_val *status_of(yyjson_val *pod, const char *name) {
    size_t index, count;
    yyjson_val *status;
    yyjson_arr_foreach(kube_object_get(pod, "status", "ephemeralContainerStatuses", NULL), index, count, status) {
        if (g_strcmp0(kube_object_text(status, "name", NULL), name) == 0)
            return status;
    }
    return NULL;
}

static void look_at(Waiting *waiting, yyjson_val *pod) {
    const char *uid = kube_object_uid(pod);
    if (waiting->uid && g_strcmp0(uid, waiting->uid) != 0) {
        waiting->state = STATE_GONE;
        return;
    }
    const char *phase = kube_object_text(pod, "status", "phase", NULL);
    yyjson_val *state = yyjson_obj_get(status_of(pod, waiting->name), "state");
    yyjson_val *ended = yyjson_obj_get(state, "terminated"), *waits = yyjson_obj_get(state, "waiting");
    if (ended) {
        waiting->state = STATE_ENDED;
        kube_ephemeral_end_clear(&waiting->end);
        waiting->end = (KubeEphemeralEnd){.exit_code = (int)yyjson_get_sint(yyjson_obj_get(ended, "exitCode")),
                                          .reason = g_strdup(kube_object_text(ended, "reason", NULL))};
    } else if (yyjson_obj_get(state, "running")) {
        waiting->state = STATE_RUNNING;
    } else if (g_strcmp0(phase, "Succeeded") == 0 || g_strcmp0(phase, "Failed") == 0) {
        waiting->state = STATE_GONE;
    } else if (waits) {
        g_free(waiting->text);
        waiting->text = kube_state_reason(waits, "the kubelet gives no reason");
        waiting->state = is_refusal(kube_object_text(waits, "reason", NULL)) ? STATE_REFUSED : STATE_WAITING;
    }
}

static bool is_over(const Waiting *waiting) {
    return waiting->state != STATE_WAITING && !(waiting->state == STATE_RUNNING && waiting->until_ended);
}

static bool on_event(const char *type, yyjson_val *pod, void *user) {
    Waiting *waiting = user;
    if (strcmp(type, "BOOKMARK") == 0)
        return true;
    // The last state is in the deleted object too.
    look_at(waiting, pod);
    if (strcmp(type, "DELETED") == 0 && !is_over(waiting))
        waiting->state = STATE_GONE;
    return !is_over(waiting);
}

static bool not_in_time(const Waiting *waiting, GError **error) {
    if (waiting->until_ended)
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_TIMEOUT, "the ephemeral container '%s' has not ended in time",
                    waiting->name);
    else
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_TIMEOUT, "the ephemeral container '%s' has not started in time: %s",
                    waiting->name, waiting->text ? waiting->text : "the kubelet has not said anything of it");
    return false;
}

static bool outcome(const Waiting *waiting, GError **error) {
    switch (waiting->state) {
    case STATE_RUNNING:
    case STATE_ENDED:
        return true;
    case STATE_REFUSED:
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_FAILED, "the ephemeral container '%s' cannot start: %s",
                    waiting->name, waiting->text);
        return false;
    default:
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_NOT_FOUND,
                    "the pod ended, or is another one, while the ephemeral container '%s' was waited for",
                    waiting->name);
        return false;
    }
}

// Looks at the pod as it is, then watches it from there; anew when the version was too old.
static bool wait_for(KubeClient *client, const char *pod_namespace, const char *pod, Waiting *waiting,
                     const KubeCall *call, GError **error) {
    KubePath all = KUBE_POD(pod_namespace, NULL);
    g_autofree char *field = g_strconcat("metadata.name=", pod, NULL);
    for (;;) {
        g_auto(KubeObject) now = {0};
        if (!kube_get(client, &KUBE_POD(pod_namespace, pod), call, &now, error))
            return false;
        look_at(waiting, now.root);
        if (is_over(waiting))
            return outcome(waiting, error);
        KubeWatch watch = {.field_selector = field,
                           .resource_version = kube_object_text(now.root, "metadata", "resourceVersion", NULL),
                           .each = on_event,
                           .user = waiting};
        g_autoptr(GError) failure = NULL;
        if (kube_watch(client, &all, &watch, call, &failure))
            return outcome(waiting, error);
        if (stoop_error_is(failure, STOOP_ERROR_TIMEOUT))
            return not_in_time(waiting, error);
        if (!stoop_error_is(failure, STOOP_ERROR_CONFLICT)) {
            g_propagate_error(error, g_steal_pointer(&failure));
            return false;
        }
    }
}

bool kube_ephemeral_start(KubeClient *client, const char *pod_namespace, const char *pod, const char *uid,
                          const KubeEphemeral *container, const KubeCall *call, GError **error) {
    g_auto(Buf) patch = BUF_INIT(PATCH_MAX);
    if (!make_patch(&patch, uid, container, error))
        return false;
    KubePath path = KUBE_POD(pod_namespace, pod);
    path.subresource = "ephemeralcontainers";
    if (!kube_patch(client, &path, KUBE_STRATEGIC_PATCH, buf_text(&patch), call, NULL, error))
        return false;
    g_auto(Waiting) waiting = {.name = container->name, .uid = uid};
    return wait_for(client, pod_namespace, pod, &waiting, call, error);
}

bool kube_ephemeral_wait_ended(KubeClient *client, const char *pod_namespace, const char *pod, const char *name,
                               const KubeCall *call, KubeEphemeralEnd *end, GError **error) {
    g_auto(Waiting) waiting = {.name = name, .until_ended = true};
    if (!wait_for(client, pod_namespace, pod, &waiting, call, error))
        return false;
    *end = waiting.end;
    waiting.end = (KubeEphemeralEnd){0};
    return true;
}
