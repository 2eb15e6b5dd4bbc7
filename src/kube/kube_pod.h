// What actionners ask about a pod: who owns it, where it runs, which containers it has.
#pragma once

#include "kube/kube_client.h"

typedef struct {
    char *api_version, *kind, *name, *uid;
} KubeOwner;
void kube_owner_clear(KubeOwner *owner);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(KubeOwner, kube_owner_clear)

// The owner that controls `object` (a pod, a ReplicaSet), from its ownerReferences. False when there is none: a
// standalone pod. A mirror pod is owned by its Node.
bool kube_pod_owner(yyjson_val *object, KubeOwner *owner);

// Asks who stands above: a ReplicaSet of a Deployment becomes the Deployment, a Job of a CronJob the CronJob; any other
// owner stays, as does one that is gone already.
bool kube_owner_resolve(KubeClient *client, const char *object_namespace, KubeOwner *owner, const KubeCall *call,
                        GError **error);

// How many replicas a workload wants and how many are ready now. `kind`: ReplicaSet, StatefulSet, Deployment,
// ReplicationController or DaemonSet; INVALID for another.
bool kube_workload_replicas(KubeClient *client, const char *kind, const char *object_namespace, const char *name,
                            const KubeCall *call, int64_t *wanted, int64_t *ready, GError **error);

// "ErrImagePull: what the kubelet says": `reason` and `message` of a container's or pod's state, in one line; `none`
// where there is neither. g_free.
char *kube_state_reason(yyjson_val *state, const char *none);

// NULL while it is not scheduled.
const char *kube_pod_node(yyjson_val *pod);
const char *kube_object_uid(yyjson_val *object);
// One that a kubelet made from a file; deleting it through the API does nothing.
bool kube_pod_is_mirror(yyjson_val *pod);

// Calls `each` per label in their order, until it returns false.
void kube_object_labels(yyjson_val *object, bool (*each)(const char *key, const char *value, void *user), void *user);
const char *kube_object_label(yyjson_val *object, const char *key); // NULL: none

typedef enum { KUBE_CONTAINER_MAIN, KUBE_CONTAINER_INIT, KUBE_CONTAINER_EPHEMERAL } KubeContainerKind;
typedef struct {
    const char *name;  // the pod's, as the others
    const char *image; // NULL when unknown
    const char *id;    // without its "containerd://"; NULL while it has none
    KubeContainerKind kind;
    bool running;
} KubeContainer;

// The container that an event names: by its id (the first 12 characters or more, with or without the runtime's prefix)
// or, without an id that is found, by its name. Either may be NULL. False when the pod has no such container.
bool kube_pod_container(yyjson_val *pod, const char *name, const char *id, KubeContainer *container);
// The container at `index`, main ones first, then init, then ephemeral ones; false behind the last.
bool kube_pod_container_at(yyjson_val *pod, size_t index, KubeContainer *container);
