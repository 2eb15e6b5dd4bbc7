// cilium:networkpolicy: a Cilium policy that denies the way to the event's remote IP.
#include "actionners/actionner.h"
#include "actionners/cidr.h"
#include "actionners/names.h"

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

static const char *const cilium_networkpolicy_required[] = {"fd.rip|fd.sip", NULL};

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
                 "A `cilium.io/v2` CiliumNetworkPolicy for the pods of the pod's owner: an `egressDeny` for the "
                 "remote IP of the event, and an `egress` for what `allow_cidr` and `allow_namespaces` say. Events "
                 "about further IPs add theirs and lose none.",
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
             .planned = true,
             .permissions = cilium_networkpolicy_permissions,
             .default_continue = true,
             .output = NEEDS_NO_OUTPUT,
             .required_fields = cilium_networkpolicy_required,
             .source = "syscalls",
             .deadline_ms = 30000},
    .run = NULL,
};
