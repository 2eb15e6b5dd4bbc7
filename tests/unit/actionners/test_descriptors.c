// The tables of all plug-ins: well formed, their examples load, and so do those of the page that the project was asked
// to honour.
#include "actionners/actionner.h"
#include "contexts/context.h"
#include "notifiers/notifier.h"
#include "outputs/output.h"

#include <string.h>

typedef void (*EachInfo)(const PluginInfo *info, PluginKind kind);

static void for_each(EachInfo each) {
    for (size_t i = 0; actionners_all[i]; i++)
        each(&actionners_all[i]->info, PLUGIN_ACTIONNER);
    for (size_t i = 0; outputs_all[i]; i++)
        each(&outputs_all[i]->info, PLUGIN_OUTPUT);
    for (size_t i = 0; notifiers_all[i]; i++)
        each(&notifiers_all[i]->info, PLUGIN_NOTIFIER);
    for (size_t i = 0; contexts_all[i]; i++)
        each(&contexts_all[i]->info, PLUGIN_CONTEXT);
}

static const PluginInfo *find(const char *name) {
    for (size_t i = 0; actionners_all[i]; i++)
        if (strcmp(actionners_all[i]->info.name, name) == 0)
            return &actionners_all[i]->info;
    for (size_t i = 0; outputs_all[i]; i++)
        if (strcmp(outputs_all[i]->info.name, name) == 0)
            return &outputs_all[i]->info;
    for (size_t i = 0; notifiers_all[i]; i++)
        if (strcmp(notifiers_all[i]->info.name, name) == 0)
            return &notifiers_all[i]->info;
    g_error("there is no plug-in %s", name);
}

static YamlDoc *parse(const char *yaml) {
    g_autoptr(DiagList) diags = diag_list_new();
    YamlDoc *doc = yaml_parse(yaml, strlen(yaml), "example", NULL, diags);
    if (!doc) {
        g_autofree char *text = diag_list_text(diags);
        g_error("%s\n%s", yaml, text);
    }
    return doc;
}

// Decodes and compares what was found with what was expected: "" for nothing.
static void decode(const char *name, const YamlNode *map, const char *expected) {
    const PluginInfo *info = find(name);
    g_autoptr(DiagList) diags = diag_list_new();
    void *params = param_decode(&info->params, map, map, info->name, diags);
    g_autofree char *text = diag_list_text(diags);
    g_test_message("%s: %s", name, text);
    if (expected[0] == '\0')
        g_assert_cmpstr(text, ==, "");
    else
        g_assert_nonnull(strstr(text, expected));
    g_assert_true((params == NULL) == (diags->errors > 0));
    if (params)
        param_free(&info->params, params);
}

static bool is_sentence(const char *text) {
    return text && g_ascii_isupper(text[0]) && g_str_has_suffix(text, ".");
}

static void check_shape(const PluginInfo *info, PluginKind kind) {
    g_test_message("%s", info->name);
    g_autofree char *problem = param_table_problem(&info->params);
    g_assert_cmpstr(problem, ==, NULL);
    g_assert_true(is_sentence(info->summary));
    g_assert_nonnull(info->description);
    g_assert_nonnull(info->example);
    g_assert_true(g_str_has_suffix(info->example, "\n"));
    for (const PluginPermission *p = info->permissions; p && p->resource; p++) {
        g_assert_nonnull(p->api_group);
        g_assert_nonnull(p->verbs);
        g_assert_null(strchr(p->verbs, ' '));
    }
    g_assert_true((strchr(info->name, ':') != NULL) == (kind == PLUGIN_ACTIONNER || kind == PLUGIN_OUTPUT));
    if (kind == PLUGIN_ACTIONNER) {
        g_assert_cmpint(info->deadline_ms, >, 0);
        g_assert_nonnull(info->source);
    }
}

static void test_shape(void) {
    for_each(check_shape);
    for (size_t i = 0; actionners_all[i]; i++) {
        g_assert_true(actionners_all[i]->info.planned == (actionners_all[i]->run == NULL));
        if (i > 0)
            g_assert_cmpstr(actionners_all[i - 1]->info.name, <, actionners_all[i]->info.name);
    }
    for (size_t i = 0; outputs_all[i]; i++)
        g_assert_true(outputs_all[i]->info.planned == (outputs_all[i]->open == NULL));
}

static void check_action(const YamlNode *action) {
    const YamlNode *name = yaml_get(action, "actionner");
    decode(name->text, yaml_get(action, "parameters"), "");
    const YamlNode *output = yaml_get(action, "output");
    if (output)
        decode(yaml_get(output, "target")->text, yaml_get(output, "parameters"), "");
    g_assert_true((find(name->text)->output == NEEDS_OUTPUT) <= (output != NULL));
}

static void check_example(const PluginInfo *info, PluginKind kind) {
    g_autoptr(YamlDoc) doc = parse(info->example);
    const YamlNode *root = yaml_root(doc);
    if (kind == PLUGIN_ACTIONNER || kind == PLUGIN_CONTEXT) {
        g_assert_cmpint(root->kind, ==, YAML_LIST);
        check_action(root->items[0]);
    } else if (kind == PLUGIN_OUTPUT) {
        const YamlNode *output = yaml_get(root, "output");
        g_assert_cmpstr(yaml_get(output, "target")->text, ==, info->name);
        decode(info->name, yaml_get(output, "parameters"), "");
    } else if (yaml_get(root, "notifiers")) {
        decode(info->name, yaml_get(yaml_get(root, "notifiers"), info->name), "");
    }
    g_assert_true(kind != PLUGIN_ACTIONNER || strcmp(yaml_get(root->items[0], "actionner")->text, info->name) == 0);
}

static void test_examples(void) {
    for_each(check_example);
}

// The parameters of the examples on the page, and what is to be said of them.
static void test_page(void) {
    static const struct {
        const char *name, *params, *says;
    } cases[] = {
        {"kubernetes:terminate",
         "grace_period_seconds: 5\nignore_daemonsets: true\nignore_statefulsets: true\nmin_healthy_replicas: 33%\n",
         ""},
        {"kubernetes:label", "level: pod\nlabels:\n  suspicious: true\n", ""},
        {"kubernetes:networkpolicy",
         "allow_cidr:\n  - \"192.168.1.0/24\"\n  - \"172.17.0.0/16\"\nallow_namespaces:\n  - \"green-ns\"\n  - "
         "\"blue-ns\"\n",
         ""},
        {"kubernetes:exec", "shell: /bin/bash\ncommand: \"cat ${FD_NAME}\"\n", ""},
        {"kubernetes:script", "shell: /bin/bash\nscript: |\n  ps awxuf\n  cat ${FD_NAME}\n", ""},
        {"kubernetes:log", "tail_lines: 200\n", ""},
        {"kubernetes:download", "tail_lines: 200\n", "error: kubernetes:download: file is required"},
        {"kubernetes:tcpdump", "duration: 10\nsnaplen: 1024\n", ""},
        {"kubernetes:delete", "tail_lines: 200\n", "warning: kubernetes:delete: unknown key"},
        {"kubernetes:cordon", "{}", ""},
        {"kubernetes:drain", "{}", ""},
        {"calico:networkpolicy",
         "order: 20\nallow_cidr:\n  - \"192.168.1.0/24\"\n  - \"172.17.0.0/16\"\nallow_namespaces:\n  - "
         "\"green-ns\"\n  - \"blue-ns\"\n",
         ""},
        {"aws:lambda",
         "aws_lambda_name: sample-function\naws_lambda_alias_or_version: $LATEST\n"
         "aws_lambda_invocation_type: RequestResponse\n",
         ""},
        {"aws:s3", "bucket: my-bucket\nprefix: /logs/\n", ""},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(YamlDoc) doc = parse(cases[i].params);
        decode(cases[i].name, yaml_root(doc), cases[i].says);
    }
}

static void test_old_names(void) {
    static const struct {
        const char *name, *params, *says;
    } cases[] = {
        {"kubernetes:networkpolicy", "allow: [10.0.0.0/8]", "warning: kubernetes:networkpolicy: allow is an old name"},
        {"kubernetes:terminate", "ignoreDaemonsets: true", "warning: kubernetes:terminate: ignoreDaemonsets"},
        {"kubernetes:terminate", "ignoreStatefulsets: true", "ignoreStatefulsets is an old name"},
        {"kubernetes:terminate", "ignoreStandalonePods: true", "ignoreStandalonePods is an old name"},
        {"kubernetes:terminate", "minHealthyReplicas: 33%", "minHealthyReplicas is an old name"},
        {"kubernetes:terminate", "gracePeriodSeconds: 5", "gracePeriodSeconds is an old name"},
        {"kubernetes:drain", "ignore_error: true", "warning: kubernetes:drain: ignore_error is an old name"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(YamlDoc) doc = parse(cases[i].params);
        decode(cases[i].name, yaml_root(doc), cases[i].says);
    }
}

static void test_bad_values(void) {
    static const struct {
        const char *name, *params, *says;
    } cases[] = {
        {"kubernetes:terminate", "min_healthy_replicas: abc", "error: kubernetes:terminate: min_healthy_replicas"},
        {"kubernetes:terminate", "min_healthy_replicas: -1", "error"},
        {"kubernetes:terminate", "min_healthy_replicas: 150%", "error"},
        {"kubernetes:terminate", "grace_period_seconds: -2", "error"},
        {"kubernetes:terminate", "grace_period_seconds: soon", "error"},
        {"kubernetes:terminate", "ignore_daemonsets: maybe", "error"},
        {"kubernetes:label", "level: pod", "error: kubernetes:label: labels is required"},
        {"kubernetes:label", "labels: {}", "error: kubernetes:label: labels"},
        {"kubernetes:label", "labels: {a: b c}", "error: kubernetes:label: 'labels' gives 'a' the value 'b c'"},
        {"kubernetes:label", "{level: cluster, labels: {a: b}}", "error: kubernetes:label: level: must be one of"},
        {"kubernetes:annotation", "annotations: {a b: c}", "error: kubernetes:annotation: 'annotations' has the key"},
        {"kubernetes:networkpolicy", "allow_cidr: [10.0.0.1]", "write it as 10.0.0.1/32"},
        {"kubernetes:networkpolicy", "allow_namespaces: [A_B]", "is no name of a namespace"},
        {"kubernetes:exec", "shell: /bin/sh", "command is required"},
        {"kubernetes:script", "shell: /bin/sh", "either script or file is required"},
        {"kubernetes:script", "{script: a, file: b}", "cannot both be given"},
        {"kubernetes:log", "tail_lines: 0", "error"},
        {"kubernetes:sysdig", "duration: 31", "from 1 to 30"},
        {"kubernetes:sysdig", "buffer_size: 127", "error"},
        {"kubernetes:sysdig", "scope: cluster", "error"},
        {"aws:lambda", "{}", "aws_lambda_name is required"},
        {"aws:lambda", "{aws_lambda_name: a, aws_lambda_invocation_type: Later}", "must be one of"},
        {"gcp:function", "gcp_function_name: a", "gcp_function_location is required"},
        {"local:file", "{}", "destination is required"},
        {"slack", "{}", "webhook_url is required"},
        {"slack", "{webhook_url: a, format: tall}", "must be one of"},
        {"elasticsearch", "{url: a, suffix: hourly}", "must be one of"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(YamlDoc) doc = parse(cases[i].params);
        decode(cases[i].name, yaml_root(doc), cases[i].says);
    }
}

// "name: default" of every parameter, required ones with a star: the contract as a list.
static void append_defaults(GString *out, const PluginInfo *info) {
    g_string_append_printf(out, "%s%s%s%s\n", info->name, info->default_continue ? " continue" : "",
                           info->uses_contexts ? " contexts" : "",
                           info->output == NEEDS_OUTPUT      ? " output"
                           : info->output == MAY_HAVE_OUTPUT ? " output?"
                                                             : "");
    for (const ParamRow *row = info->params.rows; row->name; row++)
        g_string_append_printf(out, "  %s%s %s\n", row->name, row->required ? "*" : "",
                               row->default_value ? row->default_value : "-");
}

static void test_contract(void) {
    g_autoptr(GString) out = g_string_new(NULL);
    for (size_t i = 0; actionners_all[i]; i++)
        append_defaults(out, &actionners_all[i]->info);
    g_assert_cmpstr(out->str, ==,
                    "aws:lambda continue contexts\n"
                    "  aws_lambda_name* -\n"
                    "  aws_lambda_alias_or_version $LATEST\n"
                    "  aws_lambda_invocation_type RequestResponse\n"
                    "calico:networkpolicy continue\n"
                    "  order -\n"
                    "  allow_cidr 0.0.0.0/0\n"
                    "  allow_namespaces -\n"
                    "cilium:networkpolicy continue\n"
                    "  allow_cidr -\n"
                    "  allow_namespaces -\n"
                    "gcp:function continue contexts\n"
                    "  gcp_function_name* -\n"
                    "  gcp_function_location* -\n"
                    "  gcp_function_timeout -\n"
                    "kubernetes:annotation continue\n"
                    "  level pod\n"
                    "  annotations* -\n"
                    "kubernetes:cordon continue\n"
                    "kubernetes:delete\n"
                    "kubernetes:download continue contexts output\n"
                    "  file* -\n"
                    "  image -\n"
                    "kubernetes:drain continue\n"
                    "  grace_period_seconds -1\n"
                    "  ignore_daemonsets -\n"
                    "  ignore_statefulsets -\n"
                    "  min_healthy_replicas -\n"
                    "  ignore_errors -\n"
                    "  max_wait_period -\n"
                    "  wait_period_excluded_namespaces -\n"
                    "kubernetes:exec continue contexts\n"
                    "  command* -\n"
                    "  shell /bin/sh\n"
                    "kubernetes:label continue\n"
                    "  level pod\n"
                    "  labels* -\n"
                    "kubernetes:log continue output?\n"
                    "  tail_lines 20\n"
                    "kubernetes:networkpolicy continue\n"
                    "  allow_cidr -\n"
                    "  allow_namespaces -\n"
                    "kubernetes:script continue contexts\n"
                    "  script -\n"
                    "  file -\n"
                    "  shell /bin/sh\n"
                    "kubernetes:sysdig output\n"
                    "  duration 5\n"
                    "  scope pod\n"
                    "  buffer_size 2048\n"
                    "  image -\n"
                    "  namespace -\n"
                    "kubernetes:tcpdump continue output\n"
                    "  duration 5\n"
                    "  snaplen 4096\n"
                    "  image -\n"
                    "kubernetes:terminate\n"
                    "  grace_period_seconds -1\n"
                    "  ignore_daemonsets -\n"
                    "  ignore_statefulsets -\n"
                    "  ignore_standalone_pods -\n"
                    "  min_healthy_replicas -\n");
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/descriptors/shape", test_shape);
    g_test_add_func("/descriptors/examples", test_examples);
    g_test_add_func("/descriptors/page", test_page);
    g_test_add_func("/descriptors/old-names", test_old_names);
    g_test_add_func("/descriptors/bad-values", test_bad_values);
    g_test_add_func("/descriptors/contract", test_contract);
    return g_test_run();
}
