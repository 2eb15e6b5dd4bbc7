#include "actionners/containers.h"

#include "kube/kube_pod.h"

#include <string.h>

const char *container_of_event(const Event *event, yyjson_val *pod) {
    KubeContainer container;
    if (kube_pod_container(pod, event->container_name, event->container_id, &container))
        return container.name;
    // Docker's names: k8s_<container>_<pod>_<namespace>_<uid>_<attempt>.
    if (!event->container_name || !g_str_has_prefix(event->container_name, "k8s_"))
        return NULL;
    const char *start = event->container_name + strlen("k8s_");
    g_autofree char *name = g_strndup(start, strcspn(start, "_"));
    return kube_pod_container(pod, name, NULL, &container) ? container.name : NULL;
}

GPtrArray *containers_started(yyjson_val *pod) {
    GPtrArray *names = g_ptr_array_new();
    KubeContainer container;
    for (size_t i = 0; kube_pod_container_at(pod, i, &container); i++)
        if (container.id)
            g_ptr_array_add(names, (char *)container.name);
    return names;
}
