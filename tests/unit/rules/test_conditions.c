// The little languages of `match`: priorities, tags, conditions on fields.
#include "rules/rule_match.h"

#include <string.h>

#define BIT(priority) (1U << (priority))

static void test_priorities(void) {
    static const struct {
        const char *text, *normal;
        unsigned priorities;
    } cases[] = {
        {"Critical", "Critical", BIT(PRIORITY_CRITICAL)},
        {"critical", "Critical", BIT(PRIORITY_CRITICAL)},
        {" =Critical", "Critical", BIT(PRIORITY_CRITICAL)},
        {"== critical ", "Critical", BIT(PRIORITY_CRITICAL)},
        {">=Alert", ">=Alert", BIT(PRIORITY_ALERT) | BIT(PRIORITY_EMERGENCY)},
        {"> = ALERT", ">=Alert", BIT(PRIORITY_ALERT) | BIT(PRIORITY_EMERGENCY)},
        {">Alert", ">Alert", BIT(PRIORITY_EMERGENCY)},
        {"<Notice", "<Notice", BIT(PRIORITY_DEBUG) | BIT(PRIORITY_INFORMATIONAL)},
        {"<= info", "<=Informational", BIT(PRIORITY_DEBUG) | BIT(PRIORITY_INFORMATIONAL)},
        {"Info", "Informational", BIT(PRIORITY_INFORMATIONAL)},
        {"<Debug", "<Debug", 0},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        RuleMatch match = {0};
        char *problem = NULL;
        g_assert_true(rule_match_parse_priority(&match, cases[i].text, &problem));
        g_assert_cmpstr(match.priority_text, ==, cases[i].normal);
        g_assert_cmpuint(match.priorities, ==, cases[i].priorities);
        rule_match_clear(&match);
    }
}

static void test_bad_priorities(void) {
    static const struct {
        const char *text, *problem;
    } cases[] = {
        {"Critcal", "\"Critcal\" is no priority: did you mean Critical?"},
        {">= waning", "\"waning\" is no priority: did you mean Warning?"},
        {"=>Error", "\"=>Error\" starts with no comparator that is known: use <, <=, > or >="},
        {"!=Error", "\"!=Error\" starts with no comparator that is known: use <, <=, > or >="},
        {">>=Error", "\">>=Error\" starts with no comparator that is known: use <, <=, > or >="},
        {">=", "\">=\" names no priority"},
        {"3", "\"3\" is no priority: it is one of Debug, Informational, Notice, Warning, Error, Critical, Alert, "
              "Emergency, with <, <=, > or >= before it or none"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        RuleMatch match = {0};
        g_autofree char *problem = NULL;
        g_assert_false(rule_match_parse_priority(&match, cases[i].text, &problem));
        g_assert_cmpstr(problem, ==, cases[i].problem);
        g_assert_null(match.priority_text);
    }
}

static void test_tags(void) {
    TagSet set = {0};
    g_autofree char *problem = NULL;
    g_assert_true(tag_set_parse(&set, " shell ,T1059,mitre execution", &problem));
    g_assert_cmpuint(set.count, ==, 3);
    g_assert_cmpstr(set.tags[0], ==, "shell");
    g_assert_cmpstr(set.tags[1], ==, "T1059");
    g_assert_cmpstr(set.tags[2], ==, "mitre execution");
    tag_set_clear(&set);
    g_assert_false(tag_set_parse(&set, "shell,,T1059", &problem));
    g_assert_cmpstr(problem, ==, "an empty tag in \"shell,,T1059\"");
}

static char *conditions_text(const char *text) {
    ConditionSet set = {0};
    g_autofree char *problem = NULL;
    if (!condition_set_parse(&set, text, &problem))
        return g_strdup_printf("error: %s", problem);
    GString *out = g_string_new(NULL);
    for (size_t i = 0; i < set.count; i++) {
        const Condition *condition = &set.conditions[i];
        g_assert_cmpuint(condition->field.len, ==, strlen(condition->field.text));
        g_assert_cmpuint(condition->value.len, ==, strlen(condition->value.text));
        g_string_append_printf(out, "%s[%s]%s[%s]", i > 0 ? " & " : "", condition->field.text,
                               condition->op == CONDITION_EQUALS ? "is" : "not", condition->value.text);
    }
    condition_set_clear(&set);
    return g_string_free(out, FALSE);
}

static const struct {
    const char *text, *parsed;
} conditions[] = {
    {"k8s.ns.name=default", "[k8s.ns.name]is[default]"},
    {"k8s.ns.name!=kube-system, k8s.ns.name!=falco", "[k8s.ns.name]not[kube-system] & [k8s.ns.name]not[falco]"},
    {" a = b c ,d != e ", "[a]is[b c] & [d]not[e]"},
    {"a==b", "[a]is[b]"},
    {"a=", "[a]is[]"},
    {"a=,b=c", "[a]is[] & [b]is[c]"},
    // Talon dropped a condition whose value holds an equals sign, and the rule then matched everything.
    {"proc.cmdline=dd if=/dev/zero of=/x", "[proc.cmdline]is[dd if=/dev/zero of=/x]"},
    {"proc.cmdline!=env A=b!=c", "[proc.cmdline]not[env A=b!=c]"},
    {"proc.cmdline=\"sh -c a,b=c\", x=y", "[proc.cmdline]is[sh -c a,b=c] & [x]is[y]"},
    {"proc.cmdline='say \"hi\", you'", "[proc.cmdline]is[say \"hi\", you]"},
    {"a=\"say \"\"hi\"\"\"", "[a]is[say \"hi\"]"},
    {"a=' '", "[a]is[ ]"},
    {"a=\"\"", "[a]is[]"},
    {"a=\"=b\"", "[a]is[=b]"},
    {"a=it's", "[a]is[it's]"},
    {"a=\"C:\\x\\\"", "[a]is[C:\\x\\]"},
    {"proc.aname[2]=bash", "[proc.aname[2]]is[bash]"},
    {"ka.uri.param[command]!=sh", "[ka.uri.param[command]]not[sh]"},
    {"jevt.value[/a/b=c,d]=x", "[jevt.value[/a/b=c,d]]is[x]"},
    {"toupper(proc.name)=SH", "[toupper(proc.name)]is[SH]"},
    {"a=!b", "[a]is[!b]"},
    {"a!==b", "[a]not[=b]"},
    {"a", "error: \"a\" is no condition: write key=value or key!=value, and quote a value that holds a comma"},
    {"a=b,c", "error: \"c\" is no condition: write key=value or key!=value, and quote a value that holds a comma"},
    {"", "error: an empty condition: write key=value or key!=value"},
    {"a=b,", "error: an empty condition: write key=value or key!=value"},
    {"a=b,,c=d", "error: an empty condition: write key=value or key!=value"},
    {"=b", "error: no field before \"=b\""},
    {"!=b", "error: no field before \"!=b\""},
    {"a>=3", "error: \"a>\" is no name of a field: only = and != compare"},
    {"a b=c", "error: \"a b\" is no name of a field: only = and != compare"},
    {"\"a=b\"", "error: \"\"a\" is no name of a field: only = and != compare"},
    {"proc.aname[2=bash", "error: a bracket stays open in \"proc.aname[2=bash\""},
    {"a='b", "error: the quote is not closed in \"'b\""},
    {"a='b' c", "error: after a quoted value comes a comma or the end, found \"c\""},
};

static void test_conditions(void) {
    for (size_t i = 0; i < G_N_ELEMENTS(conditions); i++) {
        g_autofree char *parsed = conditions_text(conditions[i].text);
        g_assert_cmpstr(parsed, ==, conditions[i].parsed);
    }
}

static void test_written_conditions_read_back(void) {
    for (size_t i = 0; i < G_N_ELEMENTS(conditions); i++) {
        ConditionSet set = {0};
        g_autofree char *problem = NULL;
        if (!condition_set_parse(&set, conditions[i].text, &problem))
            continue;
        g_autoptr(GString) written = g_string_new(NULL);
        for (size_t c = 0; c < set.count; c++) {
            g_string_append(written, c > 0 ? ", " : "");
            condition_append(written, &set.conditions[c]);
        }
        condition_set_clear(&set);
        g_autofree char *again = conditions_text(written->str);
        g_assert_cmpstr(again, ==, conditions[i].parsed);
    }
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/rules/conditions/priorities", test_priorities);
    g_test_add_func("/rules/conditions/bad-priorities", test_bad_priorities);
    g_test_add_func("/rules/conditions/tags", test_tags);
    g_test_add_func("/rules/conditions/fields", test_conditions);
    g_test_add_func("/rules/conditions/read-back", test_written_conditions_read_back);
    return g_test_run();
}
