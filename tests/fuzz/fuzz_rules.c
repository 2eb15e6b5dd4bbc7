// Any bytes as one or two rules files (a line `%%` stands between): either errors that are told, or a set that matches
// events as a walk over its rules would, and whose print loads to the same print.
#include "../unit/rules/fake_catalogue.c"
#include "rules/rule_set.h"

#include <stdlib.h>
#include <string.h>

static void check(bool good) {
    if (!good)
        abort();
}

static const char *const bodies[] = {
    "{}",
    "{\"rule\":\"X\",\"priority\":\"Error\",\"tags\":[\"a\",\"b\"]}",
    "{\"rule\":\"Terminal shell in container\",\"priority\":\"Notice\",\"source\":\"syscalls\",\"tags\":[\"shell\"],"
    "\"output_fields\":{\"a\":\"b\",\"k8s.ns.name\":\"default\",\"proc.aname[2]\":null,\"fd.rport\":443,\"l\":[1,\"x\"]"
    "}}",
};

static void check_matches(const RuleSet *set, const Event *event) {
    enum { MOST = 64 };
    const Rule *found[MOST];
    size_t count = rule_set_match(set, event, found, MOST), walked = 0;
    for (size_t i = 0; i < rule_set_count(set); i++) {
        const Rule *rule = rule_set_get(set, i);
        if (!rule_match_event(rule->match, event))
            continue;
        check(walked >= MOST || found[walked] == rule);
        walked++;
        if (!rule->continue_)
            break;
    }
    check(walked == count);
}

// What the printed form adds: a level of nesting, and quotes, which libyaml counts in its limit on keys.
static bool may_fail(const char *printed, const char *findings) {
    size_t longest = 0, at = 0;
    for (const char *line = printed; *line; line += at + (line[at] == '\n')) {
        at = strcspn(line, "\n");
        longest = MAX(longest, at);
    }
    return longest > 1000 || strstr(findings, "deep");
}

static void check_print(const RuleSet *set) {
    g_autofree char *printed = rule_set_yaml(set);
    RuleText text = {"printed", printed, strlen(printed)};
    g_autoptr(DiagList) diags = diag_list_new();
    g_autoptr(RuleSet) again = rule_set_parse(&text, 1, "", fake_catalogue(), diags);
    g_autofree char *findings = diag_list_text(diags);
    check(again || may_fail(printed, findings));
    if (!again)
        return;
    g_autofree char *twice = rule_set_yaml(again);
    check(strcmp(printed, twice) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *bytes = (const char *)data;
    const char *cut = memmem(data, size, "%%\n", 3);
    size_t first = cut ? (size_t)(cut - bytes) : size;
    RuleText texts[2] = {{"one", bytes, first}, {"two", cut ? cut + 3 : NULL, cut ? size - first - 3 : 0}};
    g_autoptr(DiagList) diags = diag_list_new();
    g_autoptr(RuleSet) set = rule_set_parse(texts, cut ? 2 : 1, "", fake_catalogue(), diags);
    check((set != NULL) == (diags->errors == 0));
    for (guint i = 0; i < diags->items->len; i++)
        check(g_utf8_validate(((const Diag *)g_ptr_array_index(diags->items, i))->message, -1, NULL));
    if (!set)
        return 0;
    check(rule_set_count(set) > 0);
    check_print(set);
    for (size_t i = 0; i < G_N_ELEMENTS(bodies); i++) {
        static const uint8_t random16[16] = {1};
        g_autoptr(Event) event = event_parse(bodies[i], strlen(bodies[i]), NULL, random16, NULL);
        check_matches(set, event);
    }
    return 0;
}
