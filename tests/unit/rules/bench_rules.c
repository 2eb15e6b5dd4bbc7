// How long rules take to load and to match, with 10 and with 10,000 of them. Not a test: run it by hand.
#include "fake_catalogue.h"
#include "rules/rule_set.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

// CPU time: what else the machine does counts less than by the wall's clock.
static int64_t cpu_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static RuleSet *make(unsigned count, const char *match, double *load_ms) {
    g_autoptr(GString) text = g_string_new("- action: Label\n  actionner: kubernetes:label\n"
                                           "  parameters: {labels: {suspicious: true}}\n");
    for (unsigned i = 0; i < count; i++) {
        g_string_append_printf(text, "- rule: Rule %u\n  description: What it is for\n  match:\n", i);
        g_string_append_printf(text, match, i);
        g_string_append(text, "    priority: \">=Notice\"\n  actions:\n    - action: Label\n      parameters:\n"
                              "        level: pod\n    - action: End it\n      actionner: kubernetes:terminate\n"
                              "      parameters:\n        grace_period_seconds: 5\n");
    }
    RuleText texts = {"rules.yaml", text->str, text->len};
    g_autoptr(DiagList) diags = diag_list_new();
    int64_t before = cpu_ns();
    RuleSet *set = rule_set_parse(&texts, 1, "", fake_catalogue(), diags);
    *load_ms = (double)(cpu_ns() - before) / 1e6;
    g_autofree char *findings = diag_list_text(diags);
    if (!set)
        g_error("%s", findings);
    return set;
}

// Nanoseconds a match, over events that each match one rule.
static double match_ns(const RuleSet *set, unsigned count) {
    enum { EVENTS = 512, ROUNDS = 1000 };
    static Event *events[EVENTS];
    for (unsigned i = 0; i < EVENTS; i++) {
        unsigned n = (i * 7919U) % count;
        g_autofree char *body = g_strdup_printf(
            "{\"hostname\":\"node-3\",\"output\":\"x\",\"output_fields\":{\"container.id\":\"fa2df48fba46\","
            "\"evt.time\":1783703521152497084,\"evt.type\":\"execve\",\"k8s.ns.name\":\"ns-%u\",\"k8s.pod.name\":"
            "\"web-5d4c8b7f9-abcde\",\"proc.cmdline\":\"sh -lc\",\"proc.name\":\"sh\",\"proc.pname\":null,"
            "\"user.uid\":0},\"priority\":\"Notice\",\"rule\":\"Falco rule %u\",\"source\":\"syscall\",\"tags\":"
            "[\"T1059\",\"container\"],\"time\":\"2026-07-10T17:12:01Z\"}",
            n, n);
        static const uint8_t random16[16] = {1};
        events[i] = event_parse(body, strlen(body), NULL, random16, NULL);
    }
    const Rule *found[16];
    size_t total = 0;
    int64_t best = INT64_MAX;
    // The quickest round is the one that was disturbed least.
    for (int round = 0; round < ROUNDS; round++) {
        int64_t before = cpu_ns();
        for (unsigned i = 0; i < EVENTS; i++)
            total += rule_set_match(set, events[i], found, 16);
        best = MIN(best, cpu_ns() - before);
    }
    g_assert_cmpuint(total, ==, (size_t)EVENTS * ROUNDS);
    for (unsigned i = 0; i < EVENTS; i++)
        event_unref(events[i]);
    return (double)best / EVENTS;
}

int main(void) {
    static const struct {
        const char *what, *match;
    } cases[] = {
        {"by Falco rule name", "    rules: [Falco rule %u]\n"},
        {"by a field", "    output_fields: [k8s.ns.name=ns-%u]\n"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        for (unsigned count = 10; count <= 10000; count *= 10) {
            double load_ms = 0;
            g_autoptr(RuleSet) set = make(count, cases[i].match, &load_ms);
            printf("%-20s %6u rules: load %7.1f ms, match %6.1f ns\n", cases[i].what, count, load_ms,
                   match_ns(set, count));
        }
    return 0;
}
