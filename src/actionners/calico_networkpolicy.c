// calico:networkpolicy: a Calico policy that denies the way to the event's remote IP.
#include "actionners/actionner.h"
#include "actionners/cidr.h"
#include "actionners/names.h"

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

static const char *const calico_networkpolicy_required[] = {"fd.rip|fd.sip", NULL};

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
                 "A `projectcalico.org/v3` NetworkPolicy for the pods of the pod's owner: first a Deny for the "
                 "remote IP of the event, then an Allow for what `allow_cidr` and `allow_namespaces` say. Events "
                 "about further IPs add theirs and lose none.",
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
             .planned = true,
             .permissions = calico_networkpolicy_permissions,
             .default_continue = true,
             .output = NEEDS_NO_OUTPUT,
             .required_fields = calico_networkpolicy_required,
             .source = "syscalls",
             .deadline_ms = 30000},
    .run = NULL,
};
