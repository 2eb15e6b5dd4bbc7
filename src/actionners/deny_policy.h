// Network policies of Calico and Cilium that deny the way to addresses, one policy for all pods of an owner. They
// differ in how a policy is written; how one is found, made and added to is the same, and stands here.
#pragma once

#include "actionners/actionner.h"
#include "actionners/egress.h"

typedef struct {
    const char *group, *version, *plural; // of the resource
    const char *kind;                     // "CiliumNetworkPolicy"
    const char *called;                   // in texts: "Cilium network policy"
    const char *missing;                  // what to do where the cluster does not have the resource
    // The networks that `spec` denies, for `each`.
    void (*denied)(yyjson_val *spec, void (*each)(const char *cidr, void *user), void *user);
    // Whether the policy with this spec is about the target's pods.
    bool (*is_for)(yyjson_val *spec, const EgressTarget *target);
    // Writes into `spec`, which is empty or a copy of the one that it takes the place of. False with an error when the
    // target cannot be said in this kind of policy.
    bool (*write)(yyjson_mut_doc *doc, yyjson_mut_val *spec, const EgressTarget *target, const GPtrArray *denied,
                  const void *params, GError **error);
    // May be NULL. Something to tell about the policy as the API server keeps it; NULL for nothing. Static.
    const char *(*remark)(yyjson_val *spec);
} DenyKind;

// Sets a key of the spec to `value`, whatever it was.
void deny_policy_put(yyjson_mut_doc *doc, yyjson_mut_val *spec, const char *key, yyjson_mut_val *value);

// Has the policy of the pod's owner deny the event's remote IP, next to all that it denies already, however many do the
// same at the same time.
bool deny_policy_run(const ActionContext *context, const DenyKind *kind, ActionResult *result, GError **error);
