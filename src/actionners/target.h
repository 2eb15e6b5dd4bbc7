// What an event is about, for the actionners that act on a pod or its node: who it is, and whether it still is the one
// that the event saw. A pod of the same name may have taken its place (a StatefulSet's does so in seconds), and must
// not be punished for it.
#pragma once

#include "actionners/actionner.h"
#include "kube/kube_client.h"

// Either is satisfied by what a Kubernetes audit event calls it.
#define TARGET_NEEDS_POD "k8s.pod.name|ka.target.pod.name|ka.target.name"
#define TARGET_NEEDS_NAMESPACE "k8s.ns.name|ka.target.namespace"

KubeCall action_call(const ActionContext *context);

// Checks that there is a cluster and that the event names a pod and its namespace, and adds both to the result's
// objects. The names are then event->pod and event->pod_namespace.
bool target_pod(const ActionContext *context, ActionResult *result, GError **error);

// Reads the pod, after target_pod. True also when the pod is another one than the event says, by its UID: then `result`
// is ACTION_STALE and `pod` stays empty. That it is gone is an error (NOT_FOUND).
bool target_read_pod(const ActionContext *context, ActionResult *result, KubeObject *pod, GError **error);

// For calls that go by the pod's name: whether the pod that was read at `read_us` (clock_monotonic_us) still has it,
// asked anew where that was a while ago. False: another one has (`stale`, no error), or nobody can tell. True also when
// the name is nobody's now.
bool target_is_still(const ActionContext *context, yyjson_val *read, int64_t read_us, bool *stale, GError **error);

// The same at the end of a read, whose result it makes ACTION_STALE then. False: nobody can tell.
bool target_was_still(const ActionContext *context, yyjson_val *read, int64_t read_us, ActionResult *result,
                      GError **error);

// The name of the node: what the event says, else where the pod runs. Added to the result's objects. NULL in `node`
// (g_free) with true: as with target_read_pod.
bool target_node(const ActionContext *context, ActionResult *result, char **node, GError **error);

// Says that the pod is another one now.
void target_stale(const ActionContext *context, ActionResult *result);

// "the pod 'web-1' in the namespace 'default'"; g_free.
char *target_name(const ActionContext *context);

// Turns an API server's NOT_FOUND into a text that a user understands; other errors stay.
void target_explain(const ActionContext *context, GError **error);
