// What keeps a pod alive, read so that it can be asked about its pods.
#pragma once

#include "actionners/actionner.h"
#include "kube/kube_pod.h"

bool owner_is(const KubeOwner *owner, const char *kind);

// Reads the owner of the event's pod, which must be of the kind ReplicaSet, StatefulSet or DaemonSet, whatever its API
// group. NOT_FOUND also when the one of that name is another one (by its UID).
bool owner_read(const ActionContext *context, const KubeOwner *owner, KubeObject *object, GError **error);
// The same for a pod of another namespace.
bool owner_read_in(const ActionContext *context, const char *owner_namespace, const KubeOwner *owner,
                   KubeObject *object, GError **error);
