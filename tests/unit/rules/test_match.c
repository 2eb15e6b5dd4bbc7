// Which events lead to which rules, through the index and against a walk over all rules.
#include "fake_catalogue.h"
#include "rules/rule_set.h"

#include <string.h>

static RuleSet *load(const char *text) {
    RuleText texts = {"rules.yaml", text, strlen(text)};
    g_autoptr(DiagList) diags = diag_list_new();
    RuleSet *set = rule_set_parse(&texts, 1, "", fake_catalogue(), diags);
    g_autofree char *findings = diag_list_text(diags);
    g_test_message("%s", findings);
    g_assert_nonnull(set);
    return set;
}

static Event *event_of(const char *body) {
    static const uint8_t random16[16] = {1};
    g_autoptr(GError) error = NULL;
    Event *event = event_parse(body, strlen(body), NULL, random16, &error);
    g_assert_no_error(error);
    return event;
}

// The names of the rules that match, with a comma behind each; checked against asking every rule.
static char *matches(const RuleSet *set, const Event *event) {
    const Rule *found[64];
    size_t count = rule_set_match(set, event, found, G_N_ELEMENTS(found));
    g_assert_cmpuint(count, <=, G_N_ELEMENTS(found));
    GString *names = g_string_new(NULL);
    for (size_t i = 0; i < count; i++)
        g_string_append_printf(names, "%s,", found[i]->name);
    g_autoptr(GString) walked = g_string_new(NULL);
    for (size_t i = 0; i < rule_set_count(set); i++) {
        const Rule *rule = rule_set_get(set, i);
        if (!rule_match_event(rule->match, event))
            continue;
        g_string_append_printf(walked, "%s,", rule->name);
        if (!rule->continue_)
            break;
    }
    g_assert_cmpstr(names->str, ==, walked->str);
    return g_string_free(names, FALSE);
}

#define ACTIONS "  actions: [{actionner: kubernetes:cordon}]\n"

static bool one_matches(const char *match, const char *body) {
    g_autofree char *text = g_strdup_printf("- rule: R\n  match:\n%s" ACTIONS, match);
    g_autoptr(RuleSet) set = load(text);
    g_autoptr(Event) event = event_of(body);
    g_autofree char *found = matches(set, event);
    return strcmp(found, "R,") == 0;
}

#define EVENT(...)                                                                                                     \
    "{\"rule\":\"Terminal shell in container\",\"priority\":\"Error\",\"source\":\"syscall\",\"tags\":[\"T1059\","     \
    "\"shell\"],\"output_fields\":{" __VA_ARGS__ "}}"

static void test_criteria(void) {
    static const char plain[] = EVENT("\"k8s.ns.name\":\"default\",\"proc.pname\":null,\"user.uid\":0,\"fd.rport\":443,"
                                      "\"evt.time\":1783703521152497084,\"big\":18446744073709551615,\"on\":true,"
                                      "\"ka.user.groups\":[\"a\",\"b\"],\"proc.cmdline\":\"dd if=/x, of=/y\","
                                      "\"proc.aname[2]\":\"bash\",\"empty\":\"\",\"load\":0.5");
    static const struct {
        const char *match;
        bool matches;
    } cases[] = {
        {"    rules: [Terminal shell in container]\n", true},
        {"    rules: Terminal shell in container\n", true},
        {"    rules: [Terminal shell]\n", false},
        {"    rules: [terminal shell in container]\n", false},
        {"    rules: [Other, Terminal shell in container]\n", true},
        {"    priority: Error\n", true},
        {"    priority: error\n", true},
        {"    priority: Critical\n", false},
        {"    priority: '>=Warning'\n", true},
        {"    priority: '> = Warning'\n", true},
        {"    priority: '>Error'\n", false},
        {"    priority: <Error\n", false},
        {"    priority: <=Error\n", true},
        {"    source: syscall\n", true},
        {"    source: syscalls\n", true},
        {"    source: k8s_audit\n", false},
        {"    tags: [shell]\n", true},
        {"    tags: ['shell, T1059']\n", true},
        {"    tags: ['shell, T1060']\n", false},
        {"    tags: ['shell, T1060', T1059]\n", true},
        {"    tags: [Shell]\n", false},
        {"    output_fields: [k8s.ns.name=default]\n", true},
        {"    output_fields: k8s.ns.name=default\n", true},
        {"    output_fields: [k8s.ns.name=Default]\n", false},
        {"    output_fields: [k8s.ns.name=defaul]\n", false},
        {"    output_fields: [k8s.ns.name!=default]\n", false},
        {"    output_fields: [k8s.ns.name!=kube-system]\n", true},
        {"    output_fields: ['k8s.ns.name!=kube-system, k8s.ns.name!=default']\n", false},
        {"    output_fields: [k8s.ns.name=x, user.uid=0]\n", true},
        {"    output_fields: [k8s.ns.name=x, 'user.uid=0, k8s.ns.name=y']\n", false},
        // Missing and null.
        {"    output_fields: [absent=x]\n", false},
        {"    output_fields: [absent=]\n", false},
        {"    output_fields: [absent!=x]\n", true},
        {"    output_fields: [proc.pname=]\n", false},
        {"    output_fields: [proc.pname=null]\n", false},
        {"    output_fields: [proc.pname!=x]\n", true},
        {"    output_fields: [empty=]\n", true},
        {"    output_fields: [empty!=]\n", false},
        // Values of every type, by their text.
        {"    output_fields: [fd.rport=443]\n", true},
        {"    output_fields: [fd.rport=44]\n", false},
        {"    output_fields: [evt.time=1783703521152497084]\n", true},
        {"    output_fields: [evt.time=1783703521152497085]\n", false},
        {"    output_fields: [big=18446744073709551615]\n", true},
        {"    output_fields: ['on=true']\n", true},
        {"    output_fields: ['on!=true']\n", false},
        {"    output_fields: [load=0.5]\n", true},
        {"    output_fields: ['ka.user.groups=[a b]']\n", true},
        {"    output_fields: ['ka.user.groups=a']\n", false},
        {"    output_fields: ['proc.aname[2]=bash']\n", true},
        // Talon drops the condition and matches every event.
        {"    output_fields: ['proc.cmdline=\"dd if=/x, of=/y\"']\n", true},
        {"    output_fields: ['proc.cmdline=dd if=/x']\n", false},
        {"    output_fields: ['proc.cmdline!=\"dd if=/x, of=/y\"']\n", false},
        // All criteria must hold.
        {"    rules: [Terminal shell in container]\n    priority: Error\n    source: syscalls\n    tags: [shell]\n"
         "    output_fields: [user.uid=0]\n",
         true},
        {"    rules: [Terminal shell in container]\n    tags: [nothing]\n", false},
        {"    output_fields: [user.uid=0]\n    rules: [Other]\n", false},
        {"    output_fields: [user.uid=0]\n    priority: Debug\n", false},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        if (one_matches(cases[i].match, plain) != cases[i].matches)
            g_error("%s should%s match", cases[i].match, cases[i].matches ? "" : " not");
}

static void test_sparse_events(void) {
    g_assert_true(one_matches("    source: syscalls\n", "{}"));
    g_assert_true(one_matches("    source: syscall\n", "{\"source\":\"syscalls\"}"));
    g_assert_false(one_matches("    source: syscal\n", "{}"));
    g_assert_false(one_matches("    source: syscallss\n", "{}"));
    g_assert_true(one_matches("    output_fields: [a!=b]\n", "{}"));
    g_assert_false(one_matches("    output_fields: [a=b]\n", "{}"));
    g_assert_false(one_matches("    tags: [a]\n", "{}"));
    // An unknown priority is neither below nor above any other.
    g_assert_false(one_matches("    priority: '>=Debug'\n", "{\"priority\":\"Loud\"}"));
    g_assert_false(one_matches("    priority: '<=Emergency'\n", "{}"));
    g_assert_true(one_matches("    rules: []\n", "{}"));
}

static void test_long_list_is_not_cut(void) {
    g_autoptr(GString) body = g_string_new("{\"output_fields\":{\"list\":[");
    g_autoptr(GString) text = g_string_new("    output_fields: ['list=[");
    for (int i = 0; i < 400; i++) {
        g_string_append_printf(body, "%s\"abc\"", i > 0 ? "," : "");
        g_string_append_printf(text, "%sabc", i > 0 ? " " : "");
    }
    g_string_append(body, "]}}");
    g_string_truncate(text, strlen("    output_fields: ['list=") + MATCH_SCRATCH - 1);
    g_string_append(text, "']\n");
    g_assert_false(one_matches(text->str, body->str));
}

static const char ordered[] =
    "- rule: one\n  match: {output_fields: [k8s.ns.name=a]}\n" ACTIONS
    "- rule: two\n  match: {rules: [X, X, Y]}\n" ACTIONS "- rule: three\n  match: {priority: Error}\n" ACTIONS
    "- rule: four\n  match: {output_fields: [k8s.ns.name=a, 'k8s.ns.name=a, u=1', u=1]}\n" ACTIONS
    "- rule: five\n  match: {rules: [X], tags: [last]}\n  continue: false\n" ACTIONS
    "- rule: six\n  match: {rules: [X]}\n" ACTIONS;

static void test_order(void) {
    static const struct {
        const char *body, *found;
    } cases[] = {
        {"{}", ""},
        {"{\"rule\":\"X\"}", "two,six,"},
        {"{\"rule\":\"Y\"}", "two,"},
        {"{\"rule\":\"X\",\"priority\":\"Error\",\"output_fields\":{\"k8s.ns.name\":\"a\",\"u\":1}}",
         "one,two,three,four,six,"},
        {"{\"rule\":\"X\",\"priority\":\"Error\",\"tags\":[\"last\"]}", "two,three,five,"},
        {"{\"output_fields\":{\"u\":1}}", "four,"},
        {"{\"output_fields\":{\"k8s.ns.name\":\"b\"}}", ""},
    };
    g_autoptr(RuleSet) set = load(ordered);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(Event) event = event_of(cases[i].body);
        g_autofree char *found = matches(set, event);
        g_assert_cmpstr(found, ==, cases[i].found);
    }
}

static void test_more_than_asked_for(void) {
    g_autoptr(RuleSet) set = load(ordered);
    g_autoptr(Event) event = event_of("{\"rule\":\"X\",\"priority\":\"Error\",\"tags\":[\"last\"]}");
    const Rule *found[2] = {NULL, NULL};
    g_assert_cmpuint(rule_set_match(set, event, found, 1), ==, 3);
    g_assert_cmpstr(found[0]->name, ==, "two");
    g_assert_null(found[1]);
}

static unsigned pick(GRand *random, unsigned below) {
    return (unsigned)g_rand_int_range(random, 0, (gint32)below);
}

static void append_random_rule(GString *text, GRand *random, unsigned number) {
    g_string_append_printf(text, "- rule: r%u\n  match:\n    source: syscall\n", number);
    if (pick(random, 3) == 0)
        g_string_append_printf(text, "    rules: [F%u, F%u]\n", pick(random, 4), pick(random, 4));
    if (pick(random, 4) == 0)
        g_string_append_printf(text, "    tags: ['t%u, t%u', t%u]\n", pick(random, 3), pick(random, 3),
                               pick(random, 3));
    unsigned items = pick(random, 4);
    g_string_append(text, items > 0 ? "    output_fields:\n" : "");
    for (unsigned i = 0; i < items; i++)
        g_string_append_printf(text, "      - f%u%s%u, f%u%s%u\n", pick(random, 12),
                               pick(random, 3) ? "=" : "!=", pick(random, 3), pick(random, 12),
                               pick(random, 2) ? "=" : "!=", pick(random, 3));
    g_string_append_printf(text, "  continue: %s\n" ACTIONS, pick(random, 20) ? "true" : "false");
}

static Event *random_event(GRand *random) {
    g_autoptr(GString) body = g_string_new(NULL);
    g_string_append_printf(body, "{\"rule\":\"F%u\",\"tags\":[\"t%u\",\"t%u\"],\"output_fields\":{", pick(random, 5),
                           pick(random, 2), pick(random, 3));
    const char *comma = "";
    for (unsigned i = 0; i < 12; i++) {
        if (pick(random, 3) == 0)
            continue;
        g_string_append_printf(body, pick(random, 2) ? "%s\"f%u\":%u" : "%s\"f%u\":\"%u\"", comma, i, pick(random, 3));
        comma = ",";
    }
    g_string_append(body, "}}");
    return event_of(body->str);
}

static void test_index_agrees_with_a_walk(void) {
    g_autoptr(GRand) random = g_rand_new_with_seed(20261124);
    for (int round = 0; round < 20; round++) {
        g_autoptr(GString) text = g_string_new(NULL);
        unsigned rules = 1 + pick(random, 40);
        for (unsigned i = 0; i < rules; i++)
            append_random_rule(text, random, i);
        g_autoptr(RuleSet) set = load(text->str);
        for (int e = 0; e < 50; e++) {
            g_autoptr(Event) event = random_event(random);
            g_free(matches(set, event));
        }
    }
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rules/match/criteria", test_criteria);
    g_test_add_func("/rules/match/sparse-events", test_sparse_events);
    g_test_add_func("/rules/match/long-list", test_long_list_is_not_cut);
    g_test_add_func("/rules/match/order", test_order);
    g_test_add_func("/rules/match/more-than-asked-for", test_more_than_asked_for);
    g_test_add_func("/rules/match/index", test_index_agrees_with_a_walk);
    return g_test_run();
}
