#include "actionners/egress.h"

#include "actionners/owner.h"
#include "actionners/selector.h"
#include "base/error.h"

#include <stdlib.h>
#include <string.h>

#define MANAGED_BY "app.kubernetes.io/managed-by"
#define NAMESPACE_LABEL "kubernetes.io/metadata.name"

void egress_target_clear(EgressTarget *target) {
    g_clear_pointer(&target->name, g_free);
    g_clear_pointer(&target->kind, g_free);
    g_clear_pointer(&target->selector, yyjson_doc_free);
}

// Labels that tell one pod, or one generation of pods, from the others of the same owner.
static bool is_of_few_pods(const char *label) {
    static const char *const labels[] = {
        "pod-template-hash",
        "pod-template-generation",
        "controller-revision-hash",
        "statefulset.kubernetes.io/pod-name",
        "apps.kubernetes.io/pod-index",
        "batch.kubernetes.io/job-completion-index",
    };
    for (size_t i = 0; i < G_N_ELEMENTS(labels); i++)
        if (strcmp(label, labels[i]) == 0)
            return true;
    return false;
}

static yyjson_mut_val *labels_of_all(yyjson_mut_doc *doc, yyjson_val *labels) {
    yyjson_mut_val *kept = yyjson_mut_obj(doc);
    size_t i, max;
    yyjson_val *key, *value;
    yyjson_obj_foreach(labels, i, max, key, value) {
        if (!is_of_few_pods(yyjson_get_str(key)))
            yyjson_mut_obj_add(kept, yyjson_val_mut_copy(doc, key), yyjson_val_mut_copy(doc, value));
    }
    return kept;
}

static yyjson_doc *make_selector(yyjson_val *labels, yyjson_val *expressions) {
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    yyjson_mut_doc_set_root(doc, root);
    yyjson_mut_val *kept = labels_of_all(doc, labels);
    if (yyjson_mut_obj_size(kept) > 0)
        yyjson_mut_obj_add_val(doc, root, "matchLabels", kept);
    if (yyjson_arr_size(expressions) > 0)
        yyjson_mut_obj_add_val(doc, root, "matchExpressions", yyjson_val_mut_copy(doc, expressions));
    yyjson_doc *selector = yyjson_mut_doc_imut_copy(doc, NULL);
    yyjson_mut_doc_free(doc);
    return selector;
}

static bool says_whom_it_selects(const KubeOwner *owner) {
    return owner_is(owner, "ReplicaSet") || owner_is(owner, "StatefulSet") || owner_is(owner, "DaemonSet");
}

// The owner's own selector: it never changes, while a pod may have got labels since (from kubernetes:label, say) that
// the owner's other pods do not have. A ReplicaSet is one generation of what owns it, so the name is that one's.
static bool target_of_owner(const ActionContext *context, const KubeOwner *owner, EgressTarget *target,
                            GError **error) {
    g_auto(KubeObject) object = {0};
    if (!owner_read(context, owner, &object, error))
        return false;
    g_auto(KubeOwner) above = {0};
    bool is_generation = owner_is(owner, "ReplicaSet") && kube_pod_owner(object.root, &above);
    target->name = g_strdup(is_generation ? above.name : owner->name);
    target->kind = g_strdup(is_generation ? above.kind : owner->kind);
    target->selector = make_selector(kube_object_get(object.root, "spec", "selector", "matchLabels", NULL),
                                     kube_object_get(object.root, "spec", "selector", "matchExpressions", NULL));
    return true;
}

bool egress_target_find(const ActionContext *context, yyjson_val *pod, EgressTarget *target, GError **error) {
    g_auto(EgressTarget) found = {0};
    g_auto(KubeOwner) owner = {0};
    bool owned = kube_pod_owner(pod, &owner);
    if (owned && says_whom_it_selects(&owner)) {
        if (!target_of_owner(context, &owner, &found, error))
            return false;
    } else {
        found.name = g_strdup(owned ? owner.name : context->event->pod);
        found.kind = g_strdup(owned ? owner.kind : "Pod");
        found.selector = make_selector(kube_object_get(pod, "metadata", "labels", NULL), NULL);
    }
    if (selector_is_empty(yyjson_doc_get_root(found.selector))) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_FAILED,
                    "%s '%s' has no labels that a network policy could select its pods by: an empty selector would cut "
                    "off the whole namespace",
                    found.kind, found.name);
        return false;
    }
    *target = found;
    memset(&found, 0, sizeof found);
    return true;
}

// What is kept of the policy that is replaced: everything of its metadata but the bookkeeping of who set which field,
// which may be large.
yyjson_mut_val *egress_policy_metadata(yyjson_mut_doc *doc, const char *name, yyjson_val *existing) {
    yyjson_val *old = yyjson_obj_get(existing, "metadata");
    yyjson_mut_val *metadata = old ? yyjson_val_mut_copy(doc, old) : yyjson_mut_obj(doc);
    yyjson_mut_obj_remove_key(metadata, "managedFields");
    if (!old) {
        yyjson_mut_obj_add_str(doc, metadata, "name", name);
        yyjson_mut_val *labels = yyjson_mut_obj_add_obj(doc, metadata, "labels");
        yyjson_mut_obj_add_str(doc, labels, MANAGED_BY, "stoop");
    }
    return metadata;
}

static void add_peers(yyjson_mut_doc *doc, yyjson_mut_val *peers, const char *const *allow_cidr,
                      const char *const *allow_namespaces) {
    for (size_t i = 0; allow_cidr[i]; i++) {
        yyjson_mut_val *block = yyjson_mut_obj_add_obj(doc, yyjson_mut_arr_add_obj(doc, peers), "ipBlock");
        yyjson_mut_obj_add_str(doc, block, "cidr", allow_cidr[i]);
    }
    if (!allow_namespaces[0])
        return;
    yyjson_mut_val *selector = yyjson_mut_obj_add_obj(doc, yyjson_mut_arr_add_obj(doc, peers), "namespaceSelector");
    yyjson_mut_val *expressions = yyjson_mut_obj_add_arr(doc, selector, "matchExpressions");
    yyjson_mut_val *expression = yyjson_mut_arr_add_obj(doc, expressions);
    yyjson_mut_obj_add_str(doc, expression, "key", NAMESPACE_LABEL);
    yyjson_mut_obj_add_str(doc, expression, "operator", "In");
    yyjson_mut_val *values = yyjson_mut_obj_add_arr(doc, expression, "values");
    for (size_t i = 0; allow_namespaces[i]; i++)
        yyjson_mut_arr_add_str(doc, values, allow_namespaces[i]);
}

char *egress_policy_json(const char *name, yyjson_val *selector, const char *const *allow_cidr,
                         const char *const *allow_namespaces, yyjson_val *existing) {
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    yyjson_mut_doc_set_root(doc, root);
    yyjson_mut_obj_add_str(doc, root, "apiVersion", "networking.k8s.io/v1");
    yyjson_mut_obj_add_str(doc, root, "kind", "NetworkPolicy");
    yyjson_mut_obj_add_val(doc, root, "metadata", egress_policy_metadata(doc, name, existing));
    yyjson_mut_val *spec = yyjson_mut_obj_add_obj(doc, root, "spec");
    yyjson_mut_obj_add_val(doc, spec, "podSelector", yyjson_val_mut_copy(doc, selector));
    yyjson_mut_arr_add_str(doc, yyjson_mut_obj_add_arr(doc, spec, "policyTypes"), "Egress");
    // No rule lets nothing out, while a rule without peers would let everything out.
    yyjson_mut_val *egress = yyjson_mut_obj_add_arr(doc, spec, "egress");
    if (allow_cidr[0] || allow_namespaces[0]) {
        yyjson_mut_val *rule = yyjson_mut_arr_add_obj(doc, egress);
        add_peers(doc, yyjson_mut_obj_add_arr(doc, rule, "to"), allow_cidr, allow_namespaces);
    }
    char *written = yyjson_mut_write(doc, 0, NULL);
    yyjson_mut_doc_free(doc);
    char *json = g_strdup(written);
    free(written);
    return json;
}

bool egress_policy_is_ours(yyjson_val *policy) {
    return g_strcmp0(kube_object_text(policy, "metadata", "labels", MANAGED_BY, NULL), "stoop") == 0;
}

static bool is_about_egress(yyjson_val *spec) {
    yyjson_val *types = yyjson_obj_get(spec, "policyTypes");
    // Absent, it follows from what the policy has. The API server fills it in, so this is for old objects.
    if (yyjson_arr_size(types) == 0)
        return yyjson_arr_size(yyjson_obj_get(spec, "egress")) > 0;
    size_t i, max;
    yyjson_val *type;
    yyjson_arr_foreach(types, i, max, type) {
        if (yyjson_equals_str(type, "Egress"))
            return true;
    }
    return false;
}

bool egress_policy_lets_out(yyjson_val *policy, yyjson_val *labels) {
    yyjson_val *spec = yyjson_obj_get(policy, "spec");
    return is_about_egress(spec) && yyjson_arr_size(yyjson_obj_get(spec, "egress")) > 0 &&
           selector_selects(yyjson_obj_get(spec, "podSelector"), labels);
}
