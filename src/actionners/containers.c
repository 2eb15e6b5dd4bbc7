#include "actionners/containers.h"

#include "kube/kube_client.h"

#include <string.h>

static const char *const spec_keys[] = {"initContainers", "containers", "ephemeralContainers"};
static const char *const status_keys[] = {"initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"};

static const char *by_name(yyjson_val *pod, const char *wanted, size_t len) {
    for (size_t k = 0; k < G_N_ELEMENTS(spec_keys); k++) {
        size_t i, max;
        yyjson_val *container;
        yyjson_arr_foreach(kube_object_get(pod, "spec", spec_keys[k], NULL), i, max, container) {
            yyjson_val *name = yyjson_obj_get(container, "name");
            if (yyjson_equals_strn(name, wanted, len))
                return yyjson_get_str(name);
        }
    }
    return NULL;
}

// "containerd://0123…" has the id that an event cuts to its first 12 digits.
static bool has_id(yyjson_val *status, const char *id) {
    const char *full = yyjson_get_str(yyjson_obj_get(status, "containerID"));
    const char *digits = full ? strstr(full, "://") : NULL;
    return digits && g_str_has_prefix(digits + strlen("://"), id);
}

static const char *by_id(yyjson_val *pod, const char *id) {
    enum { SHORTEST_ID = 8 }; // a shorter prefix could be another container's
    if (strlen(id) < SHORTEST_ID)
        return NULL;
    for (size_t k = 0; k < G_N_ELEMENTS(status_keys); k++) {
        size_t i, max;
        yyjson_val *status;
        yyjson_arr_foreach(kube_object_get(pod, "status", status_keys[k], NULL), i, max, status) {
            if (has_id(status, id))
                return yyjson_get_str(yyjson_obj_get(status, "name"));
        }
    }
    return NULL;
}

const char *container_of_event(const Event *event, yyjson_val *pod) {
    const char *found = event->container_id ? by_id(pod, event->container_id) : NULL;
    if (found || !event->container_name)
        return found;
    found = by_name(pod, event->container_name, strlen(event->container_name));
    // Docker's names: k8s_<container>_<pod>_<namespace>_<uid>_<attempt>.
    const char *docker = g_str_has_prefix(event->container_name, "k8s_") ? event->container_name + strlen("k8s_") : "";
    return found ? found : by_name(pod, docker, strcspn(docker, "_"));
}

static bool has_run(yyjson_val *status) {
    return kube_object_get(status, "state", "running", NULL) || kube_object_get(status, "state", "terminated", NULL) ||
           kube_object_get(status, "lastState", "terminated", NULL);
}

GPtrArray *containers_started(yyjson_val *pod) {
    GPtrArray *names = g_ptr_array_new();
    for (size_t k = 0; k < G_N_ELEMENTS(status_keys); k++) {
        size_t i, max;
        yyjson_val *status;
        yyjson_arr_foreach(kube_object_get(pod, "status", status_keys[k], NULL), i, max, status) {
            const char *name = yyjson_get_str(yyjson_obj_get(status, "name"));
            if (name && has_run(status))
                g_ptr_array_add(names, (char *)name);
        }
    }
    return names;
}
