// calico:networkpolicy: a Calico policy that denies the way to the event's remote IP.
#include "actionners/cidr.h"
#include "actionners/deny_policy.h"
#include "actionners/names.h"
#include "actionners/target.h"
#include "base/error.h"

#include <string.h>

typedef struct {
    int64_t order;
    char **allow_cidr, **allow_namespaces;
} CalicoNetworkpolicyParams;

static const ParamRow calico_networkpolicy_rows[] = {
    PARAM_ROW_INT(CalicoNetworkpolicyParams, order,
                  .summary = "Order of the policy among the others of Calico; low ones come first."),
    PARAM_ROW_LIST(CalicoNetworkpolicyParams, allow_cidr, .check = cidr_check, .default_value = "0.0.0.0/0",
                   .summary = "Networks that the pods may still reach, IPv4 or IPv6."),
    PARAM_ROW_LIST(CalicoNetworkpolicyParams, allow_namespaces, .check = namespace_check,
                   .summary = "Namespaces that the pods may still reach."),
    PARAM_ROW_END,
};

// Calico's strings have no escapes, so one with a quote in it cannot be said. Labels never have one.
static bool append_quoted(GString *out, const char *text) {
    g_string_append_printf(out, "'%s'", text);
    return text[strcspn(text, "'\"")] == '\0';
}

static bool append_label(GString *out, const char *key, const char *value) {
    g_string_append_printf(out, "%s%s == ", out->len ? " && " : "", key);
    return append_quoted(out, value);
}

static bool append_values(GString *out, const char *key, const char *is_in, yyjson_val *values) {
    g_string_append_printf(out, "%s %s {", key, is_in);
    bool good = true;
    size_t i, max;
    yyjson_val *value;
    yyjson_arr_foreach(values, i, max, value) {
        g_string_append(out, i > 0 ? ", " : "");
        good = yyjson_is_str(value) && append_quoted(out, yyjson_get_str(value)) && good;
    }
    g_string_append_c(out, '}');
    return good;
}

static bool append_expression(GString *out, yyjson_val *expression) {
    const char *key = yyjson_get_str(yyjson_obj_get(expression, "key"));
    const char *is = yyjson_get_str(yyjson_obj_get(expression, "operator"));
    if (!key || !is)
        return false;
    g_string_append(out, out->len ? " && " : "");
    if (strcmp(is, "In") == 0 || strcmp(is, "NotIn") == 0)
        return append_values(out, key, is[0] == 'I' ? "in" : "not in", yyjson_obj_get(expression, "values"));
    g_string_append_printf(out, "%shas(%s)", strcmp(is, "DoesNotExist") == 0 ? "!" : "", key);
    return strcmp(is, "DoesNotExist") == 0 || strcmp(is, "Exists") == 0;
}

// The target's selector in Calico's words; NULL where it cannot be said in them.
static char *selector_text(const EgressTarget *target) {
    g_autoptr(GString) out = g_string_new(NULL);
    yyjson_val *selector = yyjson_doc_get_root(target->selector);
    bool good = true;
    size_t i, max;
    yyjson_val *key, *value, *expression;
    yyjson_obj_foreach(yyjson_obj_get(selector, "matchLabels"), i, max, key, value) {
        good = yyjson_is_str(value) && append_label(out, yyjson_get_str(key), yyjson_get_str(value)) && good;
    }
    yyjson_arr_foreach(yyjson_obj_get(selector, "matchExpressions"), i, max, expression) {
        good = append_expression(out, expression) && good;
    }
    return good ? g_string_free(g_steal_pointer(&out), FALSE) : NULL;
}

static bool calico_is_for(yyjson_val *spec, const EgressTarget *target) {
    g_autofree char *selector = selector_text(target);
    return selector && yyjson_equals_str(yyjson_obj_get(spec, "selector"), selector);
}

static void calico_denied(yyjson_val *spec, void (*each)(const char *cidr, void *user), void *user) {
    size_t i, max, j, count;
    yyjson_val *rule, *net;
    yyjson_arr_foreach(yyjson_obj_get(spec, "egress"), i, max, rule) {
        if (!yyjson_equals_str(yyjson_obj_get(rule, "action"), "Deny"))
            continue;
        yyjson_arr_foreach(kube_object_get(rule, "destination", "nets", NULL), j, count, net) {
            if (yyjson_is_str(net))
                each(yyjson_get_str(net), user);
        }
    }
}

// Calico refuses a rule with networks of both families, so each has its own.
static void add_nets(yyjson_mut_doc *doc, yyjson_mut_val *egress, const char *action, const char *const *cidrs,
                     size_t count, bool v6) {
    yyjson_mut_val *nets = yyjson_mut_arr(doc);
    for (size_t i = 0; i < count; i++)
        if ((strchr(cidrs[i], ':') != NULL) == v6)
            yyjson_mut_arr_add_strcpy(doc, nets, cidrs[i]);
    if (yyjson_mut_arr_size(nets) == 0)
        return;
    yyjson_mut_val *rule = yyjson_mut_arr_add_obj(doc, egress);
    yyjson_mut_obj_add_str(doc, rule, "action", action);
    yyjson_mut_obj_add_val(doc, yyjson_mut_obj_add_obj(doc, rule, "destination"), "nets", nets);
}

static void add_namespaces(yyjson_mut_doc *doc, yyjson_mut_val *egress, char **namespaces) {
    if (!namespaces[0])
        return;
    g_autofree char *names = g_strjoinv("', '", namespaces);
    g_autofree char *selector = g_strdup_printf("kubernetes.io/metadata.name in {'%s'}", names);
    yyjson_mut_val *rule = yyjson_mut_arr_add_obj(doc, egress);
    yyjson_mut_obj_add_str(doc, rule, "action", "Allow");
    yyjson_mut_obj_add_strcpy(doc, yyjson_mut_obj_add_obj(doc, rule, "destination"), "namespaceSelector", selector);
}

static bool calico_write(yyjson_mut_doc *doc, yyjson_mut_val *spec, const EgressTarget *target, const GPtrArray *denied,
                         const void *user, GError **error) {
    const CalicoNetworkpolicyParams *params = user;
    g_autofree char *selector = selector_text(target);
    if (!selector) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID,
                    "the selector of %s '%s' cannot be written as a selector of Calico", target->kind, target->name);
        return false;
    }
    yyjson_mut_val *egress = yyjson_mut_arr(doc), *types = yyjson_mut_arr(doc);
    const char *const *networks = (const char *const *)denied->pdata;
    const char *const *allowed = (const char *const *)params->allow_cidr;
    yyjson_mut_arr_add_str(doc, types, "Egress");
    // The first rule that fits decides.
    for (int v6 = 0; v6 < 2; v6++)
        add_nets(doc, egress, "Deny", networks, denied->len, v6);
    for (int v6 = 0; v6 < 2; v6++)
        add_nets(doc, egress, "Allow", allowed, g_strv_length(params->allow_cidr), v6);
    add_namespaces(doc, egress, params->allow_namespaces);
    deny_policy_put(doc, spec, "order", yyjson_mut_sint(doc, params->order));
    deny_policy_put(doc, spec, "selector", yyjson_mut_strcpy(doc, selector));
    deny_policy_put(doc, spec, "types", types);
    deny_policy_put(doc, spec, "egress", egress);
    return true;
}

static const DenyKind calico_kind = {
    .group = "projectcalico.org",
    .version = "v3",
    .plural = "networkpolicies",
    .kind = "NetworkPolicy",
    .called = "Calico network policy",
    .missing = "Calico is not installed there, or its API server (Installation, APIServer) is not",
    .denied = calico_denied,
    .is_for = calico_is_for,
    .write = calico_write,
};

static bool calico_networkpolicy_run(const ActionContext *context, ActionResult *result, GError **error) {
    return deny_policy_run(context, &calico_kind, result, error);
}

static const char *const calico_networkpolicy_required[] = {TARGET_NEEDS_POD, TARGET_NEEDS_NAMESPACE, "fd.rip|fd.sip",
                                                            NULL};

static const PluginPermission calico_networkpolicy_permissions[] = {
    {"", "pods", "get", NULL},
    {"apps", "replicasets", "get", NULL},
    {"apps", "statefulsets", "get", NULL},
    {"apps", "daemonsets", "get", NULL},
    {"projectcalico.org", "networkpolicies", "get,create,update", NULL},
    {"projectcalico.org", "tiers", "get", NULL},
    {.resource = NULL},
};

const Actionner actionner_calico_networkpolicy = {
    .info = {.name = "calico:networkpolicy",
             .summary = "Creates or updates a Calico network policy that blocks the way to the remote IP.",
             .description =
                 "A `projectcalico.org/v3` NetworkPolicy, called after the pod's owner and for all of its pods: first "
                 "a Deny for the remote IP of the event (`fd.rip`, else `fd.sip`), then an Allow for what `allow_cidr` "
                 "and `allow_namespaces` say; what neither says is denied, and with the default `allow_cidr` that is "
                 "all of IPv6. Events about further IPs add theirs and lose none, however many come at once.\n"
                 "\n"
                 "A policy of that name that Stoop did not make is never changed: the action fails and says so. Where "
                 "the name belongs to one of Stoop's policies for other pods, the owner's kind is added to the name. "
                 "Success means that the API server has the policy. Needs Calico with its API server, which is what "
                 "serves `projectcalico.org/v3`.",
             .params = {.size = sizeof(CalicoNetworkpolicyParams), .rows = calico_networkpolicy_rows},
             .example = "- action: Create Calico netpol\n"
                        "  actionner: calico:networkpolicy\n"
                        "  parameters:\n"
                        "    order: 20\n"
                        "    allow_cidr:\n"
                        "      - \"192.168.1.0/24\"\n"
                        "      - \"172.17.0.0/16\"\n"
                        "    allow_namespaces:\n"
                        "      - \"green-ns\"\n"
                        "      - \"blue-ns\"\n",
             .permissions = calico_networkpolicy_permissions,
             .dry_runs = true,
             .default_continue = true,
             .output = NEEDS_NO_OUTPUT,
             .required_fields = calico_networkpolicy_required,
             .source = "syscalls",
             .deadline_ms = 30000},
    .run = calico_networkpolicy_run,
};
