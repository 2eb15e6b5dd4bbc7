// Ephemeral containers: a container more in a pod that runs. It can be added, and it can end, but never be removed:
// what runs in it must end by itself, whatever becomes of us.
// https://kubernetes.io/docs/concepts/workloads/pods/ephemeral-containers/
#pragma once

#include "kube/kube_client.h"

typedef struct {
    const char *name; // unique among all containers of the pod, those that have ended too
    const char *image;
    const char *target;              // the container whose processes it sees; NULL: none's
    const char *const *command;      // NULL-terminated
    const char *const *capabilities; // the only ones that it has, NULL-terminated; NULL: none
    int64_t run_as_user;             // -1: as the pod or the image says
    bool stdin_once;                 // its standard input is open until who attached first has gone
} KubeEphemeral;

typedef struct {
    int exit_code;
    char *reason; // "Completed", "Error", "OOMKilled"; NULL: none
} KubeEphemeralEnd;
void kube_ephemeral_end_clear(KubeEphemeralEnd *end);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(KubeEphemeralEnd, kube_ephemeral_end_clear)

// Adds the container to the pod with this UID (NULL: whatever pod has the name) and waits until it runs, or has run.
// Errors: as of kube_patch (CONFLICT: another pod now, or the name is taken; FORBIDDEN: also what a policy forbids);
// FAILED when it cannot start, with the kubelet's reason and message ("ErrImagePull: ..."), at the first such word: the
// kubelet itself may try on, and the container may start after all; NOT_FOUND when the pod is gone; TIMEOUT with the
// reason why it waits.
bool kube_ephemeral_start(KubeClient *client, const char *pod_namespace, const char *pod, const char *uid,
                          const KubeEphemeral *container, const KubeCall *call, GError **error);

// Waits until it has ended.
bool kube_ephemeral_wait_ended(KubeClient *client, const char *pod_namespace, const char *pod, const char *name,
                               const KubeCall *call, KubeEphemeralEnd *end, GError **error);
