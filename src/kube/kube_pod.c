#include "kube/kube_pod.h"

#include "base/error.h"
#include "base/one_line.h"

#include <string.h>

enum { ID_LEAST = 12, REASON_MAX = 1024 }; // ID_LEAST: characters of a container's id that events carry

void kube_owner_clear(KubeOwner *owner) {
    g_free(owner->api_version);
    g_free(owner->kind);
    g_free(owner->name);
    g_free(owner->uid);
    *owner = (KubeOwner){0};
}

bool kube_pod_owner(yyjson_val *object, KubeOwner *owner) {
    size_t index, count;
    yyjson_val *reference;
    yyjson_arr_foreach(kube_object_get(object, "metadata", "ownerReferences", NULL), index, count, reference) {
        const char *kind = kube_object_text(reference, "kind", NULL);
        const char *name = kube_object_text(reference, "name", NULL);
        if (!yyjson_get_bool(yyjson_obj_get(reference, "controller")) || !kind || !name)
            continue;
        *owner = (KubeOwner){
            .api_version = g_strdup(kube_object_text(reference, "apiVersion", NULL)),
            .kind = g_strdup(kind),
            .name = g_strdup(name),
            .uid = g_strdup(kube_object_text(reference, "uid", NULL)),
        };
        return true;
    }
    return false;
}

// Where the kinds live that we ask about.
static const struct {
    const char *kind, *group, *plural;
    const char *wanted, *ready; // of spec and status; NULL: has no replicas
} KINDS[] = {
    {"ReplicaSet", "apps", "replicasets", "replicas", "readyReplicas"},
    {"StatefulSet", "apps", "statefulsets", "replicas", "readyReplicas"},
    {"Deployment", "apps", "deployments", "replicas", "readyReplicas"},
    {"ReplicationController", "", "replicationcontrollers", "replicas", "readyReplicas"},
    {"DaemonSet", "apps", "daemonsets", NULL, "numberReady"},
};

bool kube_owner_resolve(KubeClient *client, const char *object_namespace, KubeOwner *owner, const KubeCall *call,
                        GError **error) {
    bool replica_set = g_strcmp0(owner->kind, "ReplicaSet") == 0, job = g_strcmp0(owner->kind, "Job") == 0;
    // Others call their kinds ReplicaSet and Job too (Argo Rollouts do not, but may).
    const char *version = owner->api_version ? owner->api_version : "";
    if (!(replica_set && g_str_has_prefix(version, "apps/")) && !(job && g_str_has_prefix(version, "batch/")))
        return true;
    KubePath path = {replica_set ? "apps" : "batch",
                     "v1",
                     replica_set ? "replicasets" : "jobs",
                     object_namespace,
                     owner->name,
                     NULL};
    g_auto(KubeObject) object = {0};
    GError *failure = NULL;
    if (!kube_get(client, &path, call, &object, &failure)) {
        if (!stoop_error_is(failure, STOOP_ERROR_NOT_FOUND)) {
            g_propagate_error(error, failure);
            return false;
        }
        g_error_free(failure);
        return true;
    }
    const char *uid = kube_object_uid(object.root);
    // Another one of the same name says nothing about our pod.
    if (owner->uid && g_strcmp0(owner->uid, uid) != 0)
        return true;
    KubeOwner above = {0};
    if (kube_pod_owner(object.root, &above)) {
        kube_owner_clear(owner);
        *owner = above;
    }
    return true;
}

bool kube_workload_replicas(KubeClient *client, const char *kind, const char *object_namespace, const char *name,
                            const KubeCall *call, int64_t *wanted, int64_t *ready, GError **error) {
    size_t k = 0;
    while (k < G_N_ELEMENTS(KINDS) && strcmp(KINDS[k].kind, kind) != 0)
        k++;
    if (k == G_N_ELEMENTS(KINDS)) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID, "a %s has no replicas that can be counted", kind);
        return false;
    }
    KubePath path = {KINDS[k].group, "v1", KINDS[k].plural, object_namespace, name, NULL};
    g_auto(KubeObject) object = {0};
    if (!kube_get(client, &path, call, &object, error))
        return false;
    yyjson_val *status = yyjson_obj_get(object.root, "status");
    yyjson_val *want = KINDS[k].wanted ? kube_object_get(object.root, "spec", KINDS[k].wanted, NULL)
                                       : yyjson_obj_get(status, "desiredNumberScheduled");
    yyjson_val *are = yyjson_obj_get(status, KINDS[k].ready);
    // The server fills spec.replicas in, and leaves readyReplicas out while it is 0.
    *wanted = yyjson_is_int(want) ? yyjson_get_sint(want) : 1;
    *ready = yyjson_is_int(are) ? yyjson_get_sint(are) : 0;
    return true;
}

char *kube_state_reason(yyjson_val *state, const char *none) {
    const char *reason = kube_object_text(state, "reason", NULL), *message = kube_object_text(state, "message", NULL);
    g_autofree char *text =
        g_strconcat(reason ? reason : "", reason && message ? ": " : "", message ? message : "", NULL);
    return *text ? one_line(text, strlen(text), REASON_MAX) : g_strdup(none);
}

const char *kube_pod_node(yyjson_val *pod) {
    const char *node = kube_object_text(pod, "spec", "nodeName", NULL);
    return node && *node ? node : NULL;
}

const char *kube_object_uid(yyjson_val *object) {
    return kube_object_text(object, "metadata", "uid", NULL);
}

bool kube_pod_is_mirror(yyjson_val *pod) {
    return kube_object_get(pod, "metadata", "annotations", "kubernetes.io/config.mirror", NULL) != NULL;
}

void kube_object_labels(yyjson_val *object, bool (*each)(const char *key, const char *value, void *user), void *user) {
    size_t index, count;
    yyjson_val *key, *value;
    yyjson_obj_foreach(kube_object_get(object, "metadata", "labels", NULL), index, count, key, value) {
        const char *text = yyjson_get_str(value);
        if (text && !each(yyjson_get_str(key), text, user))
            return;
    }
}

const char *kube_object_label(yyjson_val *object, const char *key) {
    return kube_object_text(object, "metadata", "labels", key, NULL);
}

static const struct {
    const char *spec, *status;
    KubeContainerKind kind;
} GROUPS[] = {
    {"containers", "containerStatuses", KUBE_CONTAINER_MAIN},
    {"initContainers", "initContainerStatuses", KUBE_CONTAINER_INIT},
    {"ephemeralContainers", "ephemeralContainerStatuses", KUBE_CONTAINER_EPHEMERAL},
};

static const char *without_runtime(const char *id) {
    const char *colon = strstr(id, "://");
    return colon ? colon + 3 : id;
}

static yyjson_val *status_of(yyjson_val *pod, const char *list, const char *name) {
    size_t index, count;
    yyjson_val *status;
    yyjson_arr_foreach(kube_object_get(pod, "status", list, NULL), index, count, status) {
        if (g_strcmp0(kube_object_text(status, "name", NULL), name) == 0)
            return status;
    }
    return NULL;
}

bool kube_pod_container_at(yyjson_val *pod, size_t index, KubeContainer *container) {
    for (size_t g = 0; g < G_N_ELEMENTS(GROUPS); g++) {
        yyjson_val *list = kube_object_get(pod, "spec", GROUPS[g].spec, NULL);
        size_t count = yyjson_arr_size(list);
        if (index >= count) {
            index -= count;
            continue;
        }
        yyjson_val *spec = yyjson_arr_get(list, index);
        const char *name = kube_object_text(spec, "name", NULL);
        yyjson_val *status = status_of(pod, GROUPS[g].status, name);
        const char *id = kube_object_text(status, "containerID", NULL);
        *container = (KubeContainer){
            .name = name ? name : "",
            .image = kube_object_text(spec, "image", NULL),
            .id = id && *id ? without_runtime(id) : NULL,
            .kind = GROUPS[g].kind,
            .running = kube_object_get(status, "state", "running", NULL) != NULL,
        };
        return true;
    }
    return false;
}

bool kube_pod_container(yyjson_val *pod, const char *name, const char *id, KubeContainer *container) {
    KubeContainer candidate;
    const char *wanted = id ? without_runtime(id) : "";
    for (size_t i = 0; strlen(wanted) >= ID_LEAST && kube_pod_container_at(pod, i, &candidate); i++) {
        if (candidate.id && g_str_has_prefix(candidate.id, wanted)) {
            *container = candidate;
            return true;
        }
    }
    for (size_t i = 0; name && *name && kube_pod_container_at(pod, i, &candidate); i++) {
        if (strcmp(candidate.name, name) == 0) {
            *container = candidate;
            return true;
        }
    }
    return false;
}
