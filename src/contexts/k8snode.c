// k8snode: facts about the node that the pod runs on.
#include "base/error.h"
#include "contexts/context.h"
#include "kube/kube_pod.h"

#include <string.h>

static const ParamRow no_rows[] = {PARAM_ROW_END};

static const PluginPermission k8snode_permissions[] = {
    {.api_group = "", .resource = "pods", .verbs = "get", .when = "where the event has no k8s.node.name"},
    {.api_group = "", .resource = "nodes", .verbs = "get"},
    {.resource = NULL},
};

static const char *const k8snode_required[] = {"k8s.pod.name|ka.target.pod.name|ka.target.name",
                                               "k8s.ns.name|ka.target.namespace", NULL};

#define ROLE_LABEL "node-role.kubernetes.io/"

// The labels that a fact is read from: what it is called now, and what it was called before.
static const struct {
    const char *fact, *label, *old_label;
} label_facts[] = {
    {"node.hostname", "kubernetes.io/hostname", NULL},
    {"node.instancetype", "node.kubernetes.io/instance-type", "beta.kubernetes.io/instance-type"},
    {"node.topology.region", "topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/region"},
    {"node.topology.zone", "topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone"},
};

static void add_fact(GPtrArray *facts, const char *key, const char *value) {
    if (!value || !*value)
        return;
    g_ptr_array_add(facts, g_strdup(key));
    g_ptr_array_add(facts, g_strdup(value));
}

static bool add_role(const char *key, const char *value, void *user) {
    GString *roles = user;
    if (g_str_has_prefix(key, ROLE_LABEL) && key[strlen(ROLE_LABEL)])
        g_string_append_printf(roles, "%s%s", roles->len ? "," : "", key + strlen(ROLE_LABEL));
    return true;
}

static void add_node_facts(GPtrArray *facts, yyjson_val *node) {
    for (size_t i = 0; i < G_N_ELEMENTS(label_facts); i++) {
        const char *value = kube_object_label(node, label_facts[i].label);
        if (!value && label_facts[i].old_label)
            value = kube_object_label(node, label_facts[i].old_label);
        add_fact(facts, label_facts[i].fact, value);
    }
    g_autoptr(GString) roles = g_string_new(NULL);
    kube_object_labels(node, add_role, roles);
    add_fact(facts, "node.role", roles->len ? roles->str : kube_object_label(node, "kubernetes.io/role"));
    add_fact(facts, "node.spec.providerid", kube_object_text(node, "spec", "providerID", NULL));
}

// The kubelet gives a static pod a UID of its own, which its mirror in the API names in an annotation.
static bool is_of_event(const Event *event, yyjson_val *pod) {
    const char *mirrored = kube_object_text(pod, "metadata", "annotations", "kubernetes.io/config.mirror", NULL);
    return !event->pod_uid || g_strcmp0(event->pod_uid, kube_object_uid(pod)) == 0 ||
           g_strcmp0(event->pod_uid, mirrored) == 0;
}

static char *node_of_pod(const Event *event, KubeClient *kube, const KubeCall *call, GError **error) {
    g_auto(KubeObject) pod = {0};
    if (!kube_get(kube, &KUBE_POD(event->pod_namespace, event->pod), call, &pod, error)) {
        g_prefix_error(error, "the pod '%s' in the namespace '%s': ", event->pod, event->pod_namespace);
        return NULL;
    }
    const char *node = is_of_event(event, pod.root) ? kube_pod_node(pod.root) : NULL;
    if (!node)
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_NOT_FOUND, "the pod '%s' in the namespace '%s' %s", event->pod,
                    event->pod_namespace,
                    is_of_event(event, pod.root) ? "is on no node yet" : "is another one than the event's now");
    return g_strdup(node);
}

static bool k8snode_gather(const Event *event, const ActionClients *clients, int64_t deadline_us, const Cancel *cancel,
                           GPtrArray *facts, GError **error) {
    if (!clients || !clients->kube || !event->pod || !event->pod_namespace) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID, "%s",
                    clients && clients->kube ? "the event names no pod and namespace"
                                             : "there is no Kubernetes cluster to ask");
        return false;
    }
    KubeCall call = {.deadline_us = deadline_us, .cancel = cancel};
    const char *named = yyjson_get_str(event_field(event, "k8s.node.name"));
    g_autofree char *node = named && *named && strcmp(named, "<NA>") != 0 ? g_strdup(named) : NULL;
    if (!node)
        node = node_of_pod(event, clients->kube, &call, error);
    g_auto(KubeObject) object = {0};
    if (!node || !kube_get(clients->kube, &KUBE_NODE(node), &call, &object, error))
        return false;
    add_node_facts(facts, object.root);
    return true;
}

const Context context_k8snode = {
    .info = {.name = "k8snode",
             .summary = "Adds facts about the node that the pod runs on.",
             .description =
                 "The node is the event's `k8s.node.name`, else the one that the pod runs on. The keys are "
                 "`node.hostname`, `node.instancetype`, `node.role`, `node.topology.region`, "
                 "`node.topology.zone` and `node.spec.providerid`; what the node does not say is left out, and "
                 "several roles stand with commas between them.",
             .params = {.size = 1, .rows = no_rows},
             .example = "- action: Tell which node it is\n"
                        "  actionner: kubernetes:exec\n"
                        "  additional_contexts:\n"
                        "    - k8snode\n"
                        "  parameters:\n"
                        "    command: \"echo ${NODE_HOSTNAME}\"\n",
             .permissions = k8snode_permissions,
             .required_fields = k8snode_required},
    .gather = k8snode_gather,
};
