// Who keeps a pod alive: the controller among its owner references, and what that one says of its pods.
#pragma once

#include "actionners/actionner.h"
#include "kube/kube_client.h"

// The texts belong to the object that was looked at.
typedef struct {
    const char *api_version, *kind, *name, *uid;
} Owner;

// The controller of `object`; false when nothing controls it.
bool owner_of(yyjson_val *object, Owner *owner);

// Reads the owner, which must be of the kind ReplicaSet, StatefulSet, DaemonSet or Deployment. NOT_FOUND also when the
// one of that name has another UID.
bool owner_read(const ActionContext *context, const Owner *owner, KubeObject *object, GError **error);

bool owner_is(const Owner *owner, const char *kind);
