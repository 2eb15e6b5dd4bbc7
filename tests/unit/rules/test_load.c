// From files to rules: what merges how, what is inherited, and which words say what is wrong.
#include "fake_catalogue.h"
#include "rules/rule_set.h"

#include <glib/gstdio.h>
#include <string.h>

static RuleSet *parse(const char *first, const char *second, char **findings) {
    RuleText texts[2] = {{"rules.yaml", first, strlen(first)}, {"more.yaml", second, second ? strlen(second) : 0}};
    g_autoptr(DiagList) diags = diag_list_new();
    RuleSet *set = rule_set_parse(texts, second ? 2 : 1, "", fake_catalogue(), diags);
    *findings = diag_list_text(diags);
    g_assert_true((set != NULL) == (diags->errors == 0));
    return set;
}

static RuleSet *parse_clean(const char *first, const char *second) {
    g_autofree char *findings = NULL;
    RuleSet *set = parse(first, second, &findings);
    g_assert_cmpstr(findings, ==, "");
    return set;
}

#define RULE                                                                                                           \
    "- rule: R\n"                                                                                                      \
    "  match: {rules: [X]}\n"
#define CORDON                                                                                                         \
    "  actions:\n"                                                                                                     \
    "    - actionner: kubernetes:cordon\n"

// What is said about a file, whole. Without an error the rules load all the same.
static const struct {
    const char *text, *findings;
} cases[] = {
    // The file as a whole.
    {"", "rules.yaml: error: no rule in rules.yaml: a rule starts with '- rule: NAME'\n"},
    {"# nothing but a comment\n", "rules.yaml: error: no rule in rules.yaml: a rule starts with '- rule: NAME'\n"},
    {"[]\n", "rules.yaml: error: no rule in rules.yaml: a rule starts with '- rule: NAME'\n"},
    {"- action: A\n  actionner: kubernetes:cordon\n",
     "rules.yaml: error: no rule in rules.yaml: only actions, which no rule uses\n"},
    {"rule: R\n", "rules.yaml:1:1: error: a rules file is a list of blocks, each starting with '- rule: NAME' or '- "
                  "action: NAME', found a map\n"},
    {"hello\n", "rules.yaml:1:1: error: a rules file is a list of blocks, each starting with '- rule: NAME' or '- "
                "action: NAME', found a text\n"},
    // Blocks.
    {RULE CORDON "- hello\n",
     "rules.yaml:5:3: error: a block must be a map that starts with 'rule: NAME' or 'action: NAME', found a text\n"},
    {RULE CORDON "- name: x\n",
     "rules.yaml:5:3: error: a block has 'rule: NAME' or 'action: NAME', this one has neither\n"},
    {RULE CORDON "- rules: x\n", "rules.yaml:5:3: error: a block has 'rule: NAME' or 'action: NAME', this one has "
                                 "neither: did you mean rule?\n"},
    {RULE CORDON "  action: A\n", "rules.yaml:1:3: error: a block is either a rule or an action: this one has both "
                                  "keys. The actions of a rule stand in its 'actions' list\n"},
    {RULE CORDON "- rule:\n" CORDON, "rules.yaml:5:8: error: the rule has no name: write 'rule: NAME'\n"},
    {RULE CORDON "- rule: [R]\n", "rules.yaml:5:9: error: rule must be a text, found a list\n"},
    {RULE CORDON RULE CORDON,
     "rules.yaml:5:9: warning: the rule \"R\" stands twice in this file, first at line 1: this one is merged over it, "
     "as one of a later file is\n"},
    {RULE "  actions: [{action: A}]\n- action: A\n  actionner: kubernetes:cordon\n- action: A\n",
     "rules.yaml:6:11: warning: the action \"A\" stands twice in this file, first at line 4: this one is merged over "
     "it, as one of a later file is\n"},
    {"- rule: R\n  match:\n    priority: !=Error\n" CORDON,
     "rules.yaml:3:15: error: \"!=Error\" is a tag of YAML here, and no value: put what starts with '!' in quotes\n"},
    // A rule and an action may share a name.
    {RULE "  actions: [{action: R}]\n- action: R\n  actionner: kubernetes:cordon\n", ""},
    // Keys.
    {RULE CORDON "  continu: false\n", "rules.yaml:5:3: warning: unknown key \"continu\" in rule: did you mean "
                                       "continue?\n"},
    {"- rule: R\n  match:\n    rulez: [X]\n    source: syscall\n" CORDON,
     "rules.yaml:3:5: warning: unknown key \"rulez\" in match: did you mean rules?\n"},
    {RULE CORDON "      paramters: {}\n", "rules.yaml:5:7: warning: unknown key \"paramters\" in action: did you mean "
                                          "parameters?\n"},
    {RULE CORDON "  enabled: true\n", "rules.yaml:5:3: warning: unknown key \"enabled\" in rule\n"},
    // Types.
    {RULE CORDON "  continue: maybe\n", "rules.yaml:5:13: error: continue must be true or false, found \"maybe\"\n"},
    {RULE CORDON "  dry_run: [true]\n", "rules.yaml:5:12: error: dry_run must be true or false, found a list\n"},
    {RULE CORDON "  notifiers: {slack: x}\n",
     "rules.yaml:5:14: error: notifiers must be a list, each item the name of a notifier, found a map\n"},
    {"- rule: R\n  match: [X]\n" CORDON, "rules.yaml:2:10: error: match must be a map of keys and values, found a "
                                         "list\n"},
    {"- rule: R\n  match:\n    output_fields: {a: b}\n" CORDON,
     "rules.yaml:3:20: error: output_fields must be a list, each item key=value or key!=value, found a map\n"
     "rules.yaml:3:5: warning: the rule has no criterion in 'match': it matches every event\n"},
    {"- rule: R\n  match:\n    output_fields:\n      - a: b\n" CORDON,
     "rules.yaml:4:9: error: item 1 of output_fields must be a text (key=value or key!=value), found a map\n"
     "rules.yaml:3:5: warning: the rule has no criterion in 'match': it matches every event\n"},
    {"- rule: R\n  match:\n    rules:\n      - X\n      -\n" CORDON,
     "rules.yaml:5:8: error: item 2 of rules is empty: write the name of a Falco rule\n"},
    {RULE "  actions: {actionner: kubernetes:cordon}\n",
     "rules.yaml:3:12: error: actions must be a list of blocks, each starting with '- ', found a map\n"},
    {RULE "  actions: [cordon]\n", "rules.yaml:3:13: error: item 1 of actions must be a block of keys and values, "
                                   "found a text\n"},
    {RULE CORDON "      parameters: 3\n",
     "rules.yaml:5:19: error: parameters must be a map of keys and values, found a text\n"},
    // Actions.
    {RULE, "rules.yaml:1:3: error: the rule has no actions\n"},
    {RULE "  actions: []\n", "rules.yaml:1:3: error: the rule has no actions\n"},
    {RULE "  actions:\n", "rules.yaml:1:3: error: the rule has no actions\n"},
    {RULE "  actions:\n    - action: Kil the pod\n- action: Kill the pod\n  actionner: kubernetes:terminate\n",
     "rules.yaml:4:15: error: no action \"Kil the pod\" is defined, and it has no 'actionner' of its own: did you mean "
     "Kill the pod?\n"},
    {RULE "  actions:\n    - parameters: {}\n", "rules.yaml:4:7: error: the action has no 'actionner'\n"},
    {RULE "  actions:\n    - actionner: kubernetes:terminat\n",
     "rules.yaml:4:18: error: unknown actionner \"kubernetes:terminat\": did you mean kubernetes:terminate?\n"},
    {RULE "  actions:\n    - actionner: Kubernetes:Cordon\n", ""},
    {RULE "  actions:\n    - actionner: kubernetes:label\n",
     "rules.yaml:4:7: error: kubernetes:label: labels is required: The labels.\n"},
    {RULE "  actions:\n    - actionner: kubernetes:label\n      parameters: {level: pood, labels: {a: b}}\n",
     "rules.yaml:5:27: error: kubernetes:label: level: must be one of pod, node, found \"pood\": did you mean pod?\n"},
    {RULE "  actions:\n    - actionner: kubernetes:label\n      parameters: {labels: [a]}\n",
     "rules.yaml:5:28: error: kubernetes:label: labels: must be a map, found a list\n"},
    {RULE CORDON "      additional_contexts: [aws]\n",
     "rules.yaml:5:28: error: kubernetes:cordon uses no additional_contexts\n"},
    {RULE CORDON "      additional_contexts: []\n", ""},
    {RULE "  actions:\n    - actionner: kubernetes:exec\n      parameters: {command: id}\n      additional_contexts: "
          "[k8snod]\n",
     "rules.yaml:6:29: error: unknown context \"k8snod\": did you mean k8snode?\n"},
    {RULE CORDON "      output: {target: local:file}\n",
     "rules.yaml:5:15: error: kubernetes:cordon makes no artifact: it takes no 'output'\n"},
    {RULE "  actions:\n    - actionner: kubernetes:tcpdump\n",
     "rules.yaml:4:7: error: kubernetes:tcpdump needs an 'output' with a 'target', where its artifact is stored\n"},
    {RULE "  actions:\n    - actionner: kubernetes:tcpdump\n      output: {parameters: {}}\n",
     "rules.yaml:5:15: error: the output has no 'target'\n"},
    {RULE "  actions:\n    - actionner: kubernetes:tcpdump\n      output: {target: local:files}\n",
     "rules.yaml:5:24: error: unknown output \"local:files\": did you mean local:file?\n"},
    {RULE "  actions:\n    - actionner: kubernetes:log\n      output: {target: local:file}\n",
     "rules.yaml:5:15: error: local:file: destination is required: Which folder.\n"},
    {RULE "  actions:\n    - actionner: kubernetes:sysdig\n      output: {target: aws:s3, parameters: {bucket: b}}\n",
     "rules.yaml:4:18: warning: the actionner kubernetes:sysdig is not in this version yet: the action will fail\n"},
    {RULE CORDON "  notifiers: [slak]\n", "rules.yaml:5:15: error: unknown notifier \"slak\": did you mean slack?\n"},
    {RULE CORDON "  notifiers: [slack, smtp]\n",
     "rules.yaml:5:22: warning: the notifier smtp is not in this version yet: what needs it will fail\n"},
    {RULE
     "  actions:\n    - {action: A, actionner: kubernetes:cordon}\n    - {action: A, actionner: kubernetes:delete}\n",
     "rules.yaml:5:16: warning: an action of this name stands in the rule before: it will run again\n"},
    // What is wrong with a reusable action is said once, however many rules use it, and also when none does.
    {RULE "  actions: [{action: A}]\n- rule: S\n  match: {rules: [X]}\n  actions: [{action: A}]\n"
          "- action: A\n  actionner: kubernetes:nothing_like_it\n",
     "rules.yaml:8:14: error: unknown actionner \"kubernetes:nothing_like_it\"\n"},
    {RULE CORDON "- action: A\n  actionner: kubernetes:corden\n",
     "rules.yaml:6:14: error: unknown actionner \"kubernetes:corden\": did you mean kubernetes:cordon?\n"},
    {RULE CORDON "- action: Needs its labels from a rule\n  actionner: kubernetes:label\n", ""},
    {RULE CORDON "- action: A\n  actionner: kubernetes:terminate\n  parameters: {ignore_daemonset: true}\n",
     "rules.yaml:7:16: warning: kubernetes:terminate: unknown key \"ignore_daemonset\": did you mean "
     "ignore_daemonsets?\n"},
    // Match.
    {"- rule: R\n" CORDON, "rules.yaml:1:3: warning: the rule has no criterion in 'match': it matches every event\n"},
    {"- rule: R\n  match:\n" CORDON,
     "rules.yaml:1:3: warning: the rule has no criterion in 'match': it matches every event\n"},
    {"- rule: R\n  match: {rules: []}\n" CORDON,
     "rules.yaml:2:10: warning: the rule has no criterion in 'match': it matches every event\n"},
    {"- rule: R\n  match: {priority: Warnin}\n" CORDON,
     "rules.yaml:2:21: error: priority: \"Warnin\" is no priority: did you mean Warning?\n"},
    {"- rule: R\n  match: {priority: <Debug}\n" CORDON, "rules.yaml:2:21: warning: no event has such a priority\n"},
    {"- rule: R\n  match: {tags: ['a,,b']}\n" CORDON, "rules.yaml:2:18: error: tags: an empty tag in \"a,,b\"\n"},
    {"- rule: R\n  match:\n    output_fields:\n      - a=b, c\n" CORDON,
     "rules.yaml:4:9: error: output_fields: \"c\" is no condition: write key=value or key!=value, and quote a value "
     "that "
     "holds a comma\n"},
    // All at once.
    {"- rule: R\n  match: {priority: x}\n  actions:\n    - actionner: y\n  notifiers: [z]\n",
     "rules.yaml:2:21: error: priority: \"x\" is no priority: it is one of Debug, Informational, Notice, Warning, "
     "Error, "
     "Critical, Alert, Emergency, with <, <=, > or >= before it or none\n"
     "rules.yaml:5:15: error: unknown notifier \"z\"\n"
     "rules.yaml:4:18: error: unknown actionner \"y\"\n"},
};

static void test_findings(void) {
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *findings = NULL;
        g_autoptr(RuleSet) set = parse(cases[i].text, NULL, &findings);
        if (strcmp(findings, cases[i].findings) != 0) {
            g_test_message("%s\nsaid:     %s\nexpected: %s", cases[i].text, findings, cases[i].findings);
            g_test_fail();
        }
        g_assert_true((set != NULL) == (strstr(findings, " error: ") == NULL));
    }
}

static void test_all_keys(void) {
    g_autoptr(RuleSet) set = parse_clean("- rule: Everything\n"
                                         "  description: All keys\n"
                                         "  match: {rules: [X]}\n"
                                         "  continue: \"false\"\n"
                                         "  dry_run: yes\n"
                                         "  notifiers: [slack, k8sevents, slack]\n"
                                         "  actions:\n"
                                         "    - action: Read\n"
                                         "      description: Reads a file\n"
                                         "      actionner: kubernetes:download\n"
                                         "      continue: 'no'\n"
                                         "      ignore_errors: \"True\"\n"
                                         "      parameters: {file: /etc/passwd}\n"
                                         "      additional_contexts: aws\n"
                                         "      output:\n"
                                         "        target: aws:s3\n"
                                         "        parameters: {bucket: b, prefix: 20}\n",
                                         NULL);
    g_assert_cmpuint(rule_set_count(set), ==, 1);
    g_assert_null(rule_set_get(set, 1));
    const Rule *rule = rule_set_get(set, 0);
    g_assert_cmpstr(rule->name, ==, "Everything");
    g_assert_cmpstr(rule->description, ==, "All keys");
    g_assert_cmpstr(rule->file, ==, "rules.yaml");
    g_assert_cmpuint(rule->line, ==, 1);
    g_assert_false(rule->continue_);
    g_assert_true(rule->dry_run);
    g_assert_cmpstr(rule->notifiers[0]->name, ==, "slack");
    g_assert_cmpstr(rule->notifiers[1]->name, ==, "k8sevents");
    g_assert_null(rule->notifiers[2]);
    g_assert_cmpuint(rule->action_count, ==, 1);
    const RuleAction *action = &rule->actions[0];
    g_assert_cmpstr(action->name, ==, "Read");
    g_assert_cmpstr(action->description, ==, "Reads a file");
    g_assert_cmpstr(action->actionner->name, ==, "kubernetes:download");
    g_assert_false(action->continue_);
    g_assert_true(action->ignore_errors);
    g_assert_cmpstr(((const FakeRun *)action->params)->file, ==, "/etc/passwd");
    g_assert_cmpstr(action->params_json, ==, "{\"file\":\"/etc/passwd\"}");
    g_assert_cmpstr(action->contexts[0]->name, ==, "aws");
    g_assert_null(action->contexts[1]);
    g_assert_cmpstr(action->output->name, ==, "aws:s3");
    g_assert_cmpstr(((const FakeOutput *)action->output_params)->prefix, ==, "20");
    g_assert_cmpstr(action->output_params_json, ==, "{\"bucket\":\"b\",\"prefix\":20}");
}

static void test_defaults(void) {
    g_autoptr(RuleSet) set = parse_clean(RULE "  actions:\n"
                                              "    - actionner: kubernetes:cordon\n"
                                              "    - actionner: kubernetes:terminate\n",
                                         NULL);
    const Rule *rule = rule_set_get(set, 0);
    g_assert_true(rule->continue_);
    g_assert_false(rule->dry_run);
    g_assert_null(rule->notifiers[0]);
    g_assert_cmpstr(rule->actions[0].name, ==, "");
    g_assert_true(rule->actions[0].continue_);
    g_assert_false(rule->actions[1].continue_);
    g_assert_false(rule->actions[0].ignore_errors);
    g_assert_cmpstr(rule->actions[0].params_json, ==, "{}");
    g_assert_null(rule->actions[0].contexts[0]);
    g_assert_null(rule->actions[0].output);
}

static void test_inheritance(void) {
    // The action stands behind the rule that uses it, and the rule's own words are laid over it.
    g_autoptr(RuleSet) set = parse_clean("- rule: R\n"
                                         "  match: {rules: [X]}\n"
                                         "  actions:\n"
                                         "    - action: Cut off\n"
                                         "      description: More\n"
                                         "      parameters:\n"
                                         "        allow_cidr: 10.0.0.0/8\n"
                                         "        order: 7\n"
                                         "- rule: S\n"
                                         "  match: {rules: [X]}\n"
                                         "  actions:\n"
                                         "    - action: Cut off\n"
                                         "      description:\n"
                                         "      continue: false\n"
                                         "- action: Cut off\n"
                                         "  description: Plain\n"
                                         "  actionner: kubernetes:networkpolicy\n"
                                         "  parameters:\n"
                                         "    allow_cidr: [192.168.0.0/16]\n"
                                         "    allow_namespaces: [green]\n"
                                         "    order: 3\n",
                                         NULL);
    const RuleAction *over = &rule_set_get(set, 0)->actions[0], *plain = &rule_set_get(set, 1)->actions[0];
    const FakePolicy *params = over->params;
    g_assert_cmpstr(over->description, ==, "More");
    g_assert_cmpstr(params->allow_cidr[0], ==, "192.168.0.0/16");
    g_assert_cmpstr(params->allow_cidr[1], ==, "10.0.0.0/8");
    g_assert_null(params->allow_cidr[2]);
    g_assert_cmpstr(params->allow_namespaces[0], ==, "green");
    g_assert_cmpint(params->order, ==, 7);
    g_assert_true(over->continue_);
    g_assert_cmpstr(
        over->params_json, ==,
        "{\"allow_cidr\":[\"192.168.0.0/16\",\"10.0.0.0/8\"],\"allow_namespaces\":[\"green\"],\"order\":7}");
    params = plain->params;
    g_assert_cmpstr(plain->description, ==, "Plain");
    g_assert_cmpstr(params->allow_cidr[0], ==, "192.168.0.0/16");
    g_assert_null(params->allow_cidr[1]);
    g_assert_cmpint(params->order, ==, 3);
    g_assert_false(plain->continue_);
}

static void test_inherited_labels(void) {
    g_autoptr(RuleSet) set =
        parse_clean("- action: Label\n"
                    "  actionner: kubernetes:label\n"
                    "  parameters: {labels: {suspicious: true, by: stoop, old: x}}\n" RULE "  actions:\n"
                    "    - action: Label\n"
                    "      parameters: {level: node, labels: {suspicious: \"no\", old: , new: 1}}\n",
                    NULL);
    const FakeLabel *params = rule_set_get(set, 0)->actions[0].params;
    static const char *const expected[][2] = {{"suspicious", "no"}, {"by", "stoop"}, {"old", ""}, {"new", "1"}};
    g_assert_cmpstr(params->level, ==, "node");
    g_assert_cmpuint(params->labels->len, ==, G_N_ELEMENTS(expected));
    for (guint i = 0; i < params->labels->len; i++) {
        const ParamPair *pair = g_ptr_array_index(params->labels, i);
        g_assert_cmpstr(pair->key, ==, expected[i][0]);
        g_assert_cmpstr(pair->value, ==, expected[i][1]);
    }
}

static void test_later_files_override(void) {
    // Also the last of the rules merges: Talon's loop missed it.
    g_autoptr(RuleSet) set = parse_clean("- action: Cut off\n"
                                         "  actionner: kubernetes:networkpolicy\n"
                                         "  parameters: {allow_cidr: [192.168.0.0/16], order: 3}\n"
                                         "- rule: First\n"
                                         "  description: one\n"
                                         "  match: {rules: [A], priority: Error, tags: [t]}\n"
                                         "  actions: [{action: Cut off}]\n"
                                         "  notifiers: [slack]\n"
                                         "- rule: Last\n"
                                         "  match: {rules: [B]}\n"
                                         "  actions: [{action: Later}]\n"
                                         "  dry_run: false\n",
                                         "- rule: New\n"
                                         "  match: {rules: [C]}\n"
                                         "  actions: [{action: Cut off}]\n"
                                         "- action: Later\n"
                                         "  actionner: kubernetes:cordon\n"
                                         "- action: Cut off\n"
                                         "  parameters: {allow_cidr: [10.0.0.0/8], order: 4}\n"
                                         "- rule: First\n"
                                         "  description: two\n"
                                         "  match: {rules: B, priority: \">=Alert\"}\n"
                                         "  actions: [{actionner: kubernetes:delete}]\n"
                                         "  notifiers: [k8sevents]\n"
                                         "- rule: Last\n"
                                         "  dry_run: true\n");
    g_assert_cmpuint(rule_set_count(set), ==, 3);
    const Rule *first = rule_set_get(set, 0), *last = rule_set_get(set, 1), *new = rule_set_get(set, 2);
    g_assert_cmpstr(first->name, ==, "First");
    g_assert_cmpstr(first->file, ==, "rules.yaml");
    g_assert_cmpstr(first->description, ==, "two");
    g_assert_cmpuint(first->match->rule_count, ==, 2);
    g_assert_cmpstr(first->match->rules[0].text, ==, "A");
    g_assert_cmpstr(first->match->rules[1].text, ==, "B");
    g_assert_cmpstr(first->match->priority_text, ==, ">=Alert");
    g_assert_cmpuint(first->match->tag_count, ==, 1);
    g_assert_cmpuint(first->action_count, ==, 2);
    g_assert_cmpstr(first->actions[1].actionner->name, ==, "kubernetes:delete");
    g_assert_cmpstr(first->notifiers[0]->name, ==, "slack");
    g_assert_cmpstr(first->notifiers[1]->name, ==, "k8sevents");
    const FakePolicy *params = first->actions[0].params;
    g_assert_cmpint(params->order, ==, 4);
    g_assert_cmpstr(params->allow_cidr[0], ==, "192.168.0.0/16");
    g_assert_cmpstr(params->allow_cidr[1], ==, "10.0.0.0/8");
    g_assert_cmpstr(last->name, ==, "Last");
    g_assert_true(last->dry_run);
    g_assert_cmpstr(last->actions[0].actionner->name, ==, "kubernetes:cordon");
    g_assert_cmpstr(new->name, ==, "New");
    g_assert_cmpstr(new->file, ==, "more.yaml");
    g_assert_cmpuint(new->line, ==, 1);
}

static void test_error_names_the_right_file(void) {
    g_autofree char *findings = NULL;
    g_autoptr(RuleSet) set = parse(RULE CORDON, "- rule: R\n  match: {priority: Eror}\n", &findings);
    g_assert_null(set);
    g_assert_cmpstr(findings, ==, "more.yaml:2:21: error: priority: \"Eror\" is no priority: did you mean Error?\n");
}

static void test_empty_file_beside_another(void) {
    g_autoptr(RuleSet) set = parse_clean(RULE CORDON, "# nothing yet\n");
    g_assert_cmpuint(rule_set_count(set), ==, 1);
}

static char *params_of(const char *actionner, const char *params) {
    g_autofree char *findings = NULL;
    g_autofree char *text =
        g_strdup_printf(RULE "  actions:\n    - actionner: %s\n      parameters: {%s}\n", actionner, params);
    g_autoptr(RuleSet) set = parse(text, NULL, &findings);
    g_test_message("%s", findings);
    g_assert_nonnull(set);
    g_assert_null(strstr(findings, "hush"));
    return g_strdup(rule_set_get(set, 0)->actions[0].params_json);
}

static void test_parameters_as_configured(void) {
    static const struct {
        const char *actionner, *params, *json;
    } params[] = {
        {"kubernetes:drain", "grace_period_seconds: 0x10, ignore_daemonsets: 'yes'",
         "{\"grace_period_seconds\":\"0x10\",\"ignore_daemonsets\":\"yes\"}"},
        {"kubernetes:delete", "other: [1.50, -3, 1e5, 007, \"8\", true, True, ~, \"~\", {a: \"x\\ty\"}]",
         "{\"other\":[1.50,-3,1e5,\"007\",\"8\",true,\"True\",null,\"~\",{\"a\":\"x\\ty\"}]}"},
        {"kubernetes:delete", "n: [-, 1., .5, 1e, 1e+, -0, 0.0, 1E-7, +1, 1_000]",
         "{\"n\":[\"-\",\"1.\",\".5\",\"1e\",\"1e+\",-0,0.0,1E-7,\"+1\",\"1_000\"]}"},
        // Secrets, and what may be a misspelt one.
        {"kubernetes:log", "tail_lines: 5, token: hush", "{\"tail_lines\":5,\"token\":\"********\"}"},
        {"kubernetes:log", "tokn: hush, x: [hush, {y: hush}]",
         "{\"tokn\":\"********\",\"x\":[\"********\",{\"y\":\"********\"}]}"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(params); i++) {
        g_autofree char *json = params_of(params[i].actionner, params[i].params);
        g_assert_cmpstr(json, ==, params[i].json);
    }
}

static void test_old_name(void) {
    g_autofree char *findings = NULL;
    g_autoptr(RuleSet) set =
        parse(RULE "  actions:\n    - actionner: kubernetes:networkpolicy\n      parameters: {allow: [10.0.0.0/8]}\n",
              NULL, &findings);
    g_assert_nonnull(set);
    g_assert_cmpstr(((const FakePolicy *)rule_set_get(set, 0)->actions[0].params)->allow_cidr[0], ==, "10.0.0.0/8");
    g_assert_nonnull(strstr(findings, "rules.yaml:5:20: warning: kubernetes:networkpolicy: allow is an old name"));
}

static void test_files(void) {
    g_autofree char *folder = g_dir_make_tmp("stoop-rules-XXXXXX", NULL);
    g_autofree char *one = g_build_filename(folder, "one.yaml", NULL), *two = g_build_filename(folder, "two", NULL);
    g_assert_true(g_file_set_contents(one, RULE CORDON, -1, NULL));
    g_autoptr(DiagList) diags = diag_list_new();
    const char *const good[] = {one, NULL}, *const bad[] = {one, two, folder, NULL};
    g_autoptr(RuleSet) set = rule_set_load(good, fake_catalogue(), diags);
    g_assert_nonnull(set);
    g_autofree char *fingerprint = rules_fingerprint(good);
    g_assert_cmpstr(set->fingerprint, ==, fingerprint);
    g_assert_null(rule_set_load(bad, fake_catalogue(), diags));
    g_autofree char *findings = diag_list_text(diags);
    g_autofree char *expected = g_strdup_printf(
        "%s: error: cannot be read: No such file or directory\n%s: error: cannot be read: Is a directory\n", two,
        folder);
    g_assert_cmpstr(findings, ==, expected);
    g_unlink(one);
    g_rmdir(folder);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rules/load/findings", test_findings);
    g_test_add_func("/rules/load/all-keys", test_all_keys);
    g_test_add_func("/rules/load/defaults", test_defaults);
    g_test_add_func("/rules/load/inheritance", test_inheritance);
    g_test_add_func("/rules/load/inherited-labels", test_inherited_labels);
    g_test_add_func("/rules/load/later-files", test_later_files_override);
    g_test_add_func("/rules/load/right-file", test_error_names_the_right_file);
    g_test_add_func("/rules/load/empty-file", test_empty_file_beside_another);
    g_test_add_func("/rules/load/as-configured", test_parameters_as_configured);
    g_test_add_func("/rules/load/old-name", test_old_name);
    g_test_add_func("/rules/load/files", test_files);
    return g_test_run();
}
