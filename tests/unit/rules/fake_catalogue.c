#include "fake_catalogue.h"

static const ParamRow terminate_rows[] = {
    PARAM_ROW_INT(FakeTerminate, grace_period_seconds, .summary = "Seconds until the end.", PARAM_RANGE(0, 86400)),
    PARAM_ROW_BOOL(FakeTerminate, ignore_daemonsets, .summary = "Leaves the pods of DaemonSets alone."),
    PARAM_ROW_BOOL(FakeTerminate, ignore_statefulsets, .summary = "Leaves the pods of StatefulSets alone."),
    PARAM_ROW_TEXT(FakeTerminate, min_healthy_replicas, .summary = "How many must be left."),
    PARAM_ROW_END,
};

static const char *const levels[] = {"pod", "node", NULL};
static const ParamRow label_rows[] = {
    PARAM_ROW_TEXT(FakeLabel, level, .summary = "What gets the labels.", .default_value = "pod", .choices = levels),
    PARAM_ROW_MAP(FakeLabel, labels, .summary = "The labels.", .required = true),
    PARAM_ROW_END,
};

static const char *const old_allow[] = {"allow", NULL};
static const ParamRow policy_rows[] = {
    PARAM_ROW_LIST(FakePolicy, allow_cidr, .summary = "Networks still allowed.", .old_names = old_allow),
    PARAM_ROW_LIST(FakePolicy, allow_namespaces, .summary = "Namespaces still allowed."),
    PARAM_ROW_INT(FakePolicy, order, .summary = "The order."),
    PARAM_ROW_END,
};

static const ParamRow exec_rows[] = {
    PARAM_ROW_TEXT(FakeRun, command, .summary = "What runs.", .required = true),
    PARAM_ROW_TEXT(FakeRun, shell, .summary = "What runs it.", .default_value = "/bin/sh"),
    PARAM_ROW_END,
};

static const ParamRow script_rows[] = {
    PARAM_ROW_TEXT(FakeRun, script, .summary = "What runs."),
    PARAM_ROW_TEXT(FakeRun, file, .summary = "Where it stands."),
    PARAM_ROW_TEXT(FakeRun, shell, .summary = "What runs it.", .default_value = "/bin/sh"),
    PARAM_ROW_END,
};

static const ParamRow log_rows[] = {
    PARAM_ROW_INT(FakeRun, tail_lines, .summary = "How many lines.", .default_value = "20"),
    PARAM_ROW_TEXT(FakeRun, token, .summary = "A secret.", .secret = true),
    PARAM_ROW_END,
};

static const ParamRow download_rows[] = {
    PARAM_ROW_TEXT(FakeRun, file, .summary = "Which file.", .required = true),
    PARAM_ROW_END,
};

static const ParamRow tcpdump_rows[] = {
    PARAM_ROW_INT(FakeRun, duration, .summary = "How long.", .default_value = "5", .unit = "s"),
    PARAM_ROW_INT(FakeRun, snaplen, .summary = "How much.", .default_value = "4096", .unit = "bytes"),
    PARAM_ROW_END,
};

static const ParamRow lambda_rows[] = {
    PARAM_ROW_TEXT(FakeLambda, aws_lambda_name, .summary = "Which function.", .required = true),
    PARAM_ROW_TEXT(FakeLambda, aws_lambda_alias_or_version, .summary = "Which one.", .default_value = "$LATEST"),
    PARAM_ROW_TEXT(FakeLambda, aws_lambda_invocation_type, .summary = "How."),
    PARAM_ROW_END,
};

static const ParamRow file_rows[] = {
    PARAM_ROW_TEXT(FakeOutput, destination, .summary = "Which folder.", .required = true),
    PARAM_ROW_END,
};

static const ParamRow s3_rows[] = {
    PARAM_ROW_TEXT(FakeOutput, bucket, .summary = "Which bucket.", .required = true),
    PARAM_ROW_TEXT(FakeOutput, prefix, .summary = "Before the name."),
    PARAM_ROW_TEXT(FakeOutput, secret_key, .summary = "A secret.", .secret = true),
    PARAM_ROW_END,
};

#define TABLE(type, table_rows)                                                                                        \
    { .size = sizeof(type), .rows = table_rows }

static const PluginInfo lambda = {.name = "aws:lambda",
                                  .summary = "Calls a function.",
                                  .params = TABLE(FakeLambda, lambda_rows),
                                  .default_continue = true,
                                  .uses_contexts = true};
static const PluginInfo calico = {.name = "calico:networkpolicy",
                                  .summary = "Blocks an address.",
                                  .params = TABLE(FakePolicy, policy_rows),
                                  .default_continue = true};
static const PluginInfo cordon = {
    .name = "kubernetes:cordon", .summary = "Closes a node.", .params = {0}, .default_continue = true};
static const PluginInfo delete = {.name = "kubernetes:delete", .summary = "Deletes.", .params = {0}};
static const PluginInfo download = {.name = "kubernetes:download",
                                    .summary = "Fetches a file.",
                                    .params = TABLE(FakeRun, download_rows),
                                    .default_continue = true,
                                    .uses_contexts = true,
                                    .output = NEEDS_OUTPUT};
static const PluginInfo drain = {.name = "kubernetes:drain",
                                 .summary = "Empties a node.",
                                 .params = TABLE(FakeTerminate, terminate_rows),
                                 .default_continue = true};
static const PluginInfo exec = {.name = "kubernetes:exec",
                                .summary = "Runs a command.",
                                .params = TABLE(FakeRun, exec_rows),
                                .default_continue = true,
                                .uses_contexts = true};
static const PluginInfo label = {
    .name = "kubernetes:label", .summary = "Labels.", .params = TABLE(FakeLabel, label_rows), .default_continue = true};
static const PluginInfo log_ = {.name = "kubernetes:log",
                                .summary = "Gathers the log.",
                                .params = TABLE(FakeRun, log_rows),
                                .default_continue = true,
                                .output = MAY_HAVE_OUTPUT};
static const PluginInfo policy = {.name = "kubernetes:networkpolicy",
                                  .summary = "Cuts off.",
                                  .params = TABLE(FakePolicy, policy_rows),
                                  .default_continue = true};
static const PluginInfo script = {.name = "kubernetes:script",
                                  .summary = "Runs a script.",
                                  .params = TABLE(FakeRun, script_rows),
                                  .default_continue = true,
                                  .uses_contexts = true};
static const PluginInfo sysdig = {.name = "kubernetes:sysdig",
                                  .summary = "Captures system calls.",
                                  .params = TABLE(FakeRun, tcpdump_rows),
                                  .output = NEEDS_OUTPUT,
                                  .planned = true};
static const PluginInfo tcpdump = {.name = "kubernetes:tcpdump",
                                   .summary = "Captures packets.",
                                   .params = TABLE(FakeRun, tcpdump_rows),
                                   .default_continue = true,
                                   .output = NEEDS_OUTPUT};
static const PluginInfo terminate = {
    .name = "kubernetes:terminate", .summary = "Deletes the pod.", .params = TABLE(FakeTerminate, terminate_rows)};

static const PluginInfo s3 = {.name = "aws:s3", .summary = "A bucket.", .params = TABLE(FakeOutput, s3_rows)};
static const PluginInfo file = {.name = "local:file", .summary = "A folder.", .params = TABLE(FakeOutput, file_rows)};
static const PluginInfo k8sevents = {.name = "k8sevents", .summary = "Events."};
static const PluginInfo slack = {.name = "slack", .summary = "Slack."};
static const PluginInfo smtp = {.name = "smtp", .summary = "Mail.", .planned = true};
static const PluginInfo aws = {.name = "aws", .summary = "The instance."};
static const PluginInfo k8snode = {.name = "k8snode", .summary = "The node."};

const Catalogue *fake_catalogue(void) {
    static const PluginInfo *const actionners[] = {&lambda, &calico, &cordon,  &delete,    &download,
                                                   &drain,  &exec,   &label,   &log_,      &policy,
                                                   &script, &sysdig, &tcpdump, &terminate, NULL};
    static const PluginInfo *const outputs[] = {&s3, &file, NULL};
    static const PluginInfo *const notifiers[] = {&k8sevents, &slack, &smtp, NULL};
    static const PluginInfo *const contexts[] = {&aws, &k8snode, NULL};
    static const Catalogue catalogue = {.plugins = {[PLUGIN_ACTIONNER] = actionners,
                                                    [PLUGIN_OUTPUT] = outputs,
                                                    [PLUGIN_NOTIFIER] = notifiers,
                                                    [PLUGIN_CONTEXT] = contexts}};
    return &catalogue;
}
