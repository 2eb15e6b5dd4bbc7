// cilium:networkpolicy: a Cilium policy that denies the way to the event's remote IP.
#include "actionners/cidr.h"
#include "actionners/deny_policy.h"
#include "actionners/names.h"
#include "actionners/target.h"

typedef struct {
    char **allow_cidr, **allow_namespaces;
} CiliumNetworkpolicyParams;

static const ParamRow cilium_networkpolicy_rows[] = {
    PARAM_ROW_LIST(CiliumNetworkpolicyParams, allow_cidr, .check = cidr_check,
                   .summary = "Networks that the pods may still reach, IPv4 or IPv6."),
    PARAM_ROW_LIST(CiliumNetworkpolicyParams, allow_namespaces, .check = namespace_check,
                   .summary = "Namespaces that the pods may still reach."),
    PARAM_ROW_END,
};

// What Cilium calls the namespace of an endpoint.
#define NAMESPACE_LABEL "k8s:io.kubernetes.pod.namespace"

static bool cilium_is_for(yyjson_val *spec, const EgressTarget *target) {
    return yyjson_equals(yyjson_obj_get(spec, "endpointSelector"), yyjson_doc_get_root(target->selector));
}

static void cilium_denied(yyjson_val *spec, void (*each)(const char *cidr, void *user), void *user) {
    size_t i, max, j, count;
    yyjson_val *rule, *net;
    yyjson_arr_foreach(yyjson_obj_get(spec, "egressDeny"), i, max, rule) {
        yyjson_arr_foreach(yyjson_obj_get(rule, "toCIDR"), j, count, net) {
            if (yyjson_is_str(net))
                each(yyjson_get_str(net), user);
        }
    }
}

static void add_networks(yyjson_mut_doc *doc, yyjson_mut_val *rules, const char *const *cidrs, size_t count) {
    if (count == 0)
        return;
    yyjson_mut_val *nets = yyjson_mut_obj_add_arr(doc, yyjson_mut_arr_add_obj(doc, rules), "toCIDR");
    for (size_t i = 0; i < count; i++)
        yyjson_mut_arr_add_strcpy(doc, nets, cidrs[i]);
}

static void add_namespaces(yyjson_mut_doc *doc, yyjson_mut_val *rules, char **namespaces) {
    if (!namespaces[0])
        return;
    yyjson_mut_val *endpoints = yyjson_mut_obj_add_arr(doc, yyjson_mut_arr_add_obj(doc, rules), "toEndpoints");
    yyjson_mut_val *expressions =
        yyjson_mut_obj_add_arr(doc, yyjson_mut_arr_add_obj(doc, endpoints), "matchExpressions");
    yyjson_mut_val *expression = yyjson_mut_arr_add_obj(doc, expressions);
    yyjson_mut_obj_add_str(doc, expression, "key", NAMESPACE_LABEL);
    yyjson_mut_obj_add_str(doc, expression, "operator", "In");
    yyjson_mut_val *values = yyjson_mut_obj_add_arr(doc, expression, "values");
    for (size_t i = 0; namespaces[i]; i++)
        yyjson_mut_arr_add_strcpy(doc, values, namespaces[i]);
}

static bool cilium_write(yyjson_mut_doc *doc, yyjson_mut_val *spec, const EgressTarget *target, const GPtrArray *denied,
                         const void *user, GError **error) {
    const CiliumNetworkpolicyParams *params = user;
    yyjson_mut_val *deny = yyjson_mut_arr(doc), *allow = yyjson_mut_arr(doc);
    add_networks(doc, deny, (const char *const *)denied->pdata, denied->len);
    add_networks(doc, allow, (const char *const *)params->allow_cidr, g_strv_length(params->allow_cidr));
    add_namespaces(doc, allow, params->allow_namespaces);
    bool allows = yyjson_mut_arr_size(allow) > 0;
    deny_policy_put(doc, spec, "endpointSelector", yyjson_val_mut_copy(doc, yyjson_doc_get_root(target->selector)));
    deny_policy_put(doc, spec, "egressDeny", deny);
    if (allows)
        deny_policy_put(doc, spec, "egress", allow);
    else
        yyjson_mut_obj_remove_key(spec, "egress");
    // A policy with rules about egress denies all that none of them allows, unless it says otherwise. Without a list
    // only the one way is to be blocked, while an Allow for everything would open what other policies close.
    yyjson_mut_val *default_deny = yyjson_mut_obj(doc);
    yyjson_mut_obj_add_bool(doc, default_deny, "egress", allows);
    deny_policy_put(doc, spec, "enableDefaultDeny", default_deny);
    return true;
}

static const char *cilium_remark(yyjson_val *spec) {
    bool unknown = yyjson_obj_get(spec, "egressDeny") && !yyjson_obj_get(spec, "enableDefaultDeny");
    return unknown ? "this version of Cilium knows no enableDefaultDeny: all that the policy does not allow is denied"
                   : NULL;
}

static const DenyKind cilium_kind = {
    .group = "cilium.io",
    .version = "v2",
    .plural = "ciliumnetworkpolicies",
    .kind = "CiliumNetworkPolicy",
    .called = "Cilium network policy",
    .missing = "Cilium is not installed there, or its CRD is not",
    .denied = cilium_denied,
    .is_for = cilium_is_for,
    .write = cilium_write,
    .remark = cilium_remark,
};

static bool cilium_networkpolicy_run(const ActionContext *context, ActionResult *result, GError **error) {
    return deny_policy_run(context, &cilium_kind, result, error);
}

static const char *const cilium_networkpolicy_required[] = {TARGET_NEEDS_POD, TARGET_NEEDS_NAMESPACE, "fd.rip|fd.sip",
                                                            NULL};

static const PluginPermission cilium_networkpolicy_permissions[] = {
    {"", "pods", "get", NULL},
    {"apps", "replicasets", "get", NULL},
    {"apps", "statefulsets", "get", NULL},
    {"apps", "daemonsets", "get", NULL},
    {"cilium.io", "ciliumnetworkpolicies", "get,create,update", NULL},
    {.resource = NULL},
};

const Actionner actionner_cilium_networkpolicy = {
    .info = {.name = "cilium:networkpolicy",
             .summary = "Creates or updates a Cilium network policy that blocks the way to the remote IP.",
             .description =
                 "A `cilium.io/v2` CiliumNetworkPolicy, called after the pod's owner and for all of its pods: an "
                 "`egressDeny` for the remote IP of the event (`fd.rip`, else `fd.sip`), and an `egress` for what "
                 "`allow_cidr` and `allow_namespaces` say. With either list nothing else gets out; without any only "
                 "the remote IP is blocked (`enableDefaultDeny`, which Cilium has since 1.16: where it is missing the "
                 "result says so). Events about further IPs add theirs and lose none, however many come at once.\n"
                 "\n"
                 "A policy of that name that Stoop did not make is never changed: the action fails and says so. Where "
                 "the name belongs to one of Stoop's policies for other pods, the owner's kind is added to the name. "
                 "Success means that the API server has the policy. In Cilium's eyes a CIDR is outside of the cluster: "
                 "pods are not reached or blocked by one.",
             .params = {.size = sizeof(CiliumNetworkpolicyParams), .rows = cilium_networkpolicy_rows},
             .example = "- action: Create Cilium netpol\n"
                        "  actionner: cilium:networkpolicy\n"
                        "  parameters:\n"
                        "    allow_cidr:\n"
                        "      - \"192.168.1.0/24\"\n"
                        "      - \"172.17.0.0/16\"\n"
                        "    allow_namespaces:\n"
                        "      - \"green-ns\"\n"
                        "      - \"blue-ns\"\n",
             .permissions = cilium_networkpolicy_permissions,
             .dry_runs = true,
             .default_continue = true,
             .output = NEEDS_NO_OUTPUT,
             .required_fields = cilium_networkpolicy_required,
             .source = "syscalls",
             .deadline_ms = 30000},
    .run = cilium_networkpolicy_run,
};
