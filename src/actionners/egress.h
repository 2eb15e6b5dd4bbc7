// The Kubernetes NetworkPolicy that stops what leaves a pod: which one it is, and what it says.
#pragma once

#include "actionners/actionner.h"
#include "kube/kube_client.h"

// Whom a policy holds, and what it is called: after the pod's owner, so that it holds all pods of the owner, those to
// come too.
typedef struct {
    char *name, *kind;    // of the owner ("web", "Deployment"), or of the pod where nothing owns it
    yyjson_doc *selector; // podSelector; never an empty one, which would hold the whole namespace
} EgressTarget;

void egress_target_clear(EgressTarget *target);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(EgressTarget, egress_target_clear)

// Reads the pod's owner where it has one.
bool egress_target_find(const ActionContext *context, yyjson_val *pod, EgressTarget *target, GError **error);

// A policy called `name` with `selector` that lets through only what the two lists allow. `existing` (may be NULL) is
// the policy that it takes the place of: its metadata are kept. g_free.
char *egress_policy_json(const char *name, yyjson_val *selector, const char *const *allow_cidr,
                         const char *const *allow_namespaces, yyjson_val *existing);

// The metadata of a policy that takes the place of `existing` (NULL: of none): what is kept of that one, with its
// resourceVersion, which makes the API server refuse when somebody else was faster.
yyjson_mut_val *egress_policy_metadata(yyjson_mut_doc *doc, const char *name, yyjson_val *existing);

// Whether Stoop made this policy.
bool egress_policy_is_ours(yyjson_val *policy);

// Whether the policy holds pods with these labels and lets something out of them.
bool egress_policy_lets_out(yyjson_val *policy, yyjson_val *labels);
