// The merged rules as text: they load to the same set, and secrets stay hidden.
#include "fake_catalogue.h"
#include "rules/rule_set.h"

#include <string.h>

static RuleSet *parse(const char *text, char **findings) {
    RuleText texts = {"rules.yaml", text, strlen(text)};
    g_autoptr(DiagList) diags = diag_list_new();
    RuleSet *set = rule_set_parse(&texts, 1, "", fake_catalogue(), diags);
    *findings = diag_list_text(diags);
    return set;
}

static void assert_same_params(const PluginInfo *info, const void *a, const void *b) {
    for (const ParamRow *row = info->params.rows; row && row->name; row++) {
        if (row->secret)
            continue;
        g_autofree char *left = param_value_text(row, a), *right = param_value_text(row, b);
        g_assert_cmpstr(left, ==, right);
    }
}

static void assert_same_action(const RuleAction *a, const RuleAction *b) {
    g_assert_cmpstr(a->name, ==, b->name);
    g_assert_cmpstr(a->description, ==, b->description);
    g_assert_true(a->actionner == b->actionner);
    g_assert_true(a->continue_ == b->continue_);
    g_assert_true(a->ignore_errors == b->ignore_errors);
    g_assert_true(a->output == b->output);
    g_assert_cmpstr(a->params_json, ==, b->params_json);
    g_assert_cmpstr(a->output_params_json, ==, b->output_params_json);
    assert_same_params(a->actionner, a->params, b->params);
    if (a->output)
        assert_same_params(a->output, a->output_params, b->output_params);
}

// Prints the set, loads what was printed, compares the two, and returns the text.
static char *round_trip(const RuleSet *set) {
    g_autofree char *printed = rule_set_yaml(set), *findings = NULL;
    g_autoptr(RuleSet) again = parse(printed, &findings);
    g_test_message("%s%s", printed, findings);
    g_assert_nonnull(again);
    g_assert_cmpuint(rule_set_count(again), ==, rule_set_count(set));
    for (size_t i = 0; i < rule_set_count(set); i++) {
        const Rule *a = rule_set_get(set, i), *b = rule_set_get(again, i);
        g_assert_cmpstr(a->name, ==, b->name);
        g_assert_true(a->continue_ == b->continue_ && a->dry_run == b->dry_run);
        g_assert_cmpuint(a->action_count, ==, b->action_count);
        for (size_t k = 0; k < a->action_count; k++)
            assert_same_action(&a->actions[k], &b->actions[k]);
    }
    g_autofree char *twice = rule_set_yaml(again);
    g_assert_cmpstr(twice, ==, printed);
    return g_steal_pointer(&printed);
}

static void test_text(void) {
    g_autofree char *findings = NULL;
    g_autoptr(RuleSet) set = parse("- action: Save\n"
                                   "  actionner: kubernetes:log\n"
                                   "  parameters: {token: hush, tail_lines: 5}\n"
                                   "  output: {target: aws:s3, parameters: {bucket: b, secret_key: hush}}\n"
                                   "- rule: \"yes\"\n"
                                   "  description: 'a: b'\n"
                                   "  match:\n"
                                   "    rules: [X, \"1\"]\n"
                                   "    priority: '> = warning'\n"
                                   "    source: syscalls\n"
                                   "    tags: ['a,b', c]\n"
                                   "    output_fields:\n"
                                   "      - a=b, c!='d, \"e\"'\n"
                                   "      - f=\n"
                                   "  actions:\n"
                                   "    - action: Save\n"
                                   "      ignore_errors: true\n"
                                   "    - actionner: kubernetes:label\n"
                                   "      parameters: {labels: {a: true, b: \"true\", c: , d: 1.50, e: \"1\"}}\n"
                                   "  dry_run: true\n"
                                   "  notifiers: slack\n",
                                   &findings);
    g_assert_nonnull(set);
    g_autofree char *printed = round_trip(set);
    g_assert_cmpstr(printed, ==,
                    "- rule: \"yes\"\n"
                    "  description: \"a: b\"\n"
                    "  match:\n"
                    "    rules:\n"
                    "      - X\n"
                    "      - \"1\"\n"
                    "    priority: \">=Warning\"\n"
                    "    source: syscalls\n"
                    "    tags:\n"
                    "      - \"a, b\"\n"
                    "      - c\n"
                    "    output_fields:\n"
                    "      - \"a=b, c!=\\\"d, \\\"\\\"e\\\"\\\"\\\"\"\n"
                    "      - f=\n"
                    "  actions:\n"
                    "    - action: Save\n"
                    "      actionner: kubernetes:log\n"
                    "      continue: true\n"
                    "      ignore_errors: true\n"
                    "      parameters:\n"
                    "        token: \"********\"\n"
                    "        tail_lines: 5\n"
                    "      output:\n"
                    "        target: aws:s3\n"
                    "        parameters:\n"
                    "          bucket: b\n"
                    "          secret_key: \"********\"\n"
                    "    - actionner: kubernetes:label\n"
                    "      continue: true\n"
                    "      ignore_errors: false\n"
                    "      parameters:\n"
                    "        labels:\n"
                    "          a: true\n"
                    "          b: \"true\"\n"
                    "          c: null\n"
                    "          d: 1.50\n"
                    "          e: \"1\"\n"
                    "  continue: true\n"
                    "  dry_run: true\n"
                    "  notifiers:\n"
                    "    - slack\n");
}

static char *seed(const char *name) {
    g_autofree char *path = g_build_filename(FIXTURES, "seeds", name, NULL);
    char *text = NULL;
    g_autoptr(GError) error = NULL;
    g_file_get_contents(path, &text, NULL, &error);
    g_assert_no_error(error);
    return text;
}

// Every example of Talon's page of actionners.
static void test_seeds(void) {
    static const struct {
        const char *file, *params, *findings;
    } cases[] = {
        {"kubernetes_terminate.yaml",
         "{\"grace_period_seconds\":5,\"ignore_daemonsets\":true,\"ignore_statefulsets\":true,\"min_healthy_replicas\":"
         "\"33%\"}",
         ""},
        {"kubernetes_label.yaml", "{\"level\":\"pod\",\"labels\":{\"suspicious\":true}}", ""},
        {"kubernetes_networkpolicy.yaml",
         "{\"allow_cidr\":[\"192.168.1.0/24\",\"172.17.0.0/16\"],\"allow_namespaces\":[\"green-ns\",\"blue-ns\"]}", ""},
        {"kubernetes_exec.yaml", "{\"shell\":\"/bin/bash\",\"command\":\"cat ${FD_NAME}\"}", ""},
        {"kubernetes_script.yaml",
         "{\"shell\":\"/bin/bash\",\"script\":\"ps awxuf\\nnetstat -lpauten\\ntop -n 1\\ncat ${FD_NAME}\\n\"}", ""},
        {"kubernetes_log.yaml", "{\"tail_lines\":200}", ""},
        {"kubernetes_download.yaml", NULL, "kubernetes:download: file is required"},
        {"kubernetes_tcpdump.yaml", "{\"duration\":10,\"snaplen\":1024}", ""},
        {"kubernetes_delete.yaml", "{\"tail_lines\":200}", "warning: kubernetes:delete: unknown key \"tail_lines\""},
        {"kubernetes_cordon.yaml", "{}", ""},
        {"kubernetes_drain.yaml", "{}", ""},
        {"calico_networkpolicy.yaml",
         "{\"order\":20,\"allow_cidr\":[\"192.168.1.0/24\",\"172.17.0.0/16\"],\"allow_namespaces\":[\"green-ns\","
         "\"blue-ns\"]}",
         ""},
        {"aws_lambda.yaml",
         "{\"aws_lambda_name\":\"sample-function\",\"aws_lambda_alias_or_version\":\"$LATEST\","
         "\"aws_lambda_invocation_type\":\"RequestResponse\"}",
         ""},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *text = seed(cases[i].file), *findings = NULL;
        g_autoptr(RuleSet) set = parse(text, &findings);
        g_test_message("%s: %s", cases[i].file, findings);
        if (cases[i].findings[0])
            g_assert_nonnull(strstr(findings, cases[i].findings));
        else
            g_assert_cmpstr(findings, ==, "");
        g_assert_true((set != NULL) == (cases[i].params != NULL));
        if (!set)
            continue;
        g_assert_cmpstr(rule_set_get(set, 0)->actions[0].params_json, ==, cases[i].params);
        g_free(round_trip(set));
    }
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rules/print/text", test_text);
    g_test_add_func("/rules/print/seeds", test_seeds);
    return g_test_run();
}
