// What an event's rules and actions do: order, continue, ignore_errors, dry_run, required fields, contexts, artifacts.
#include "world.h"

#include <string.h>

static World *run_once(const char *rules, const char *pod) {
    World *world = world_new(rules);
    world_start(world);
    g_assert_cmpint(world_offer(world, "R", pod, "1"), ==, ENGINE_ACCEPTED);
    world_drain(world);
    return world;
}

#define RULE(name, more, actions) "- rule: " name "\n  match:\n    rules: [R]\n" more "  actions:\n" actions
#define ACTION(actionner, say, more)                                                                                   \
    "    - actionner: " actionner "\n      action: A" say "\n      parameters: {say: " say "}\n" more

// Each row: the actions of one rule, and what ran.
static void test_sequence_table(void) {
    static const struct {
        const char *actions, *ran;
    } rows[] = {
        {ACTION("fake:ok", "a", "") ACTION("fake:ok", "b", ""), "a b"},
        {ACTION("fake:last", "a", "") ACTION("fake:ok", "b", ""), "a"},
        {ACTION("fake:last", "a", "      continue: true\n") ACTION("fake:ok", "b", ""), "a b"},
        {ACTION("fake:ok", "a", "      continue: false\n") ACTION("fake:ok", "b", ""), "a"},
        {ACTION("fake:fail", "a", "") ACTION("fake:ok", "b", ""), "a"},
        {ACTION("fake:fail", "a", "      continue: true\n") ACTION("fake:ok", "b", ""), "a"},
        {ACTION("fake:fail", "a", "      ignore_errors: true\n") ACTION("fake:ok", "b", ""), "a b"},
        {ACTION("fake:fail", "a", "      ignore_errors: true\n      continue: false\n") ACTION("fake:ok", "b", ""),
         "a"},
        {ACTION("fake:ignore", "a", "") ACTION("fake:ok", "b", ""), "a b"},
        {ACTION("fake:stale", "a", "") ACTION("fake:ok", "b", ""), "a b"},
        {ACTION("fake:planned", "a", "") ACTION("fake:ok", "b", ""), ""},
        {ACTION("fake:planned", "a", "      ignore_errors: true\n") ACTION("fake:ok", "b", ""), "b"},
        {ACTION("fake:stream", "a", "      output: {target: \"fake:torn\"}\n") ACTION("fake:ok", "b", ""), "a"},
        {ACTION("fake:stream", "a", "      output: {target: \"fake:torn\"}\n      ignore_errors: true\n")
             ACTION("fake:ok", "b", ""),
         "a b"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *rules = g_strconcat(RULE("one", "", ""), rows[i].actions, NULL);
        World *world = run_once(rules, "web");
        g_test_message("row %zu", i);
        assert_text(ran_text(), rows[i].ran);
        world_free(world);
    }
}

static void test_rules_go_on_after_a_failed_one(void) {
    World *world = run_once(RULE("one", "", ACTION("fake:fail", "a", "") ACTION("fake:ok", "b", ""))
                                RULE("two", "  continue: false\n", ACTION("fake:ok", "c", ""))
                                    RULE("three", "", ACTION("fake:ok", "d", "")),
                            "web");
    assert_text(ran_text(), "a c");
    world_free(world);
}

static void test_statuses_are_told_apart(void) {
    World *world = run_once(RULE("one", "  notifiers: [two]\n",
                                 ACTION("fake:ok", "a", "") ACTION("fake:ignore", "b", "") ACTION("fake:stale", "c", "")
                                     ACTION("fake:fail", "d", "")),
                            "web");
    assert_text(notices(), "two action success\ntwo action ignored\ntwo action stale\ntwo action failure\n");
    assert_has(world_log(world), "\"status\":\"ignored\"");
    assert_has(world_log(world), "\"error\":\"it broke\"");
    assert_has(world_log(world), "\"pod\":\"web\"");
    assert_has(world_metrics(world), "falcosecurity_falco_talon_actions_total{rule=\"one\",action=\"Ad\",actionner="
                                     "\"fake:fail\",status=\"failure\"} 1");
    assert_has(world_metrics(world), "status=\"stale\"} 1");
    assert_has(world_metrics(world), "stoop_reaction_seconds_count 1");
    world_free(world);
}

static void test_default_notifiers_come_once(void) {
    World *world = world_new(RULE("one", "  notifiers: [two]\n", ACTION("fake:ok", "a", "")));
    world->options.default_notifiers = (const char *const[]){"one", "two", NULL};
    world_start(world);
    world_offer(world, "R", "web", "1");
    world_drain(world);
    assert_text(notices(), "two action success\none action success\n");
    world_free(world);
}

static void test_unknown_default_notifier(void) {
    World *world = world_new(RULE("one", "", ACTION("fake:ok", "a", "")));
    world_start(world);
    EngineOptions options = world->options;
    options.default_notifiers = (const char *const[]){"pigeon", NULL};
    options.metrics = metrics_new();
    g_autoptr(GError) error = NULL;
    g_assert_null(engine_new(&options, &error));
    g_assert_nonnull(error);
    g_assert_nonnull(strstr(error->message, "pigeon"));
    metrics_free(options.metrics);
    world_free(world);
}

static void test_dry_run(void) {
    World *world = run_once(RULE("one", "  dry_run: true\n",
                                 ACTION("fake:ok", "a", "") ACTION("fake:last", "b", "") ACTION("fake:ok", "c", "")),
                            "web");
    assert_text(ran_text(), "");
    assert_has(world_log(world), "\"status\":\"dry_run\"");
    assert_has(world_log(world), "would run fake:ok with");
    assert_has(world_log(world), "\"action\":\"Ab\"");
    assert_lacks(world_log(world), "\"action\":\"Ac\"");
    world_free(world);
}

static void test_required_fields(void) {
    World *world =
        run_once(RULE("one", "", ACTION("fake:pod", "a", "")) RULE("two", "", ACTION("fake:ip", "b", "")), NULL);
    assert_text(ran_text(), "");
    assert_has(world_log(world), "the event has no k8s.pod.name, which fake:pod needs");
    assert_has(world_log(world), "the event has no fd.sip or fd.rip, which fake:ip needs");
    g_autoptr(Event) event =
        world_event_json("{\"rule\":\"R\",\"output\":\"2\",\"output_fields\":{\"ka.target.name\":\"p\","
                         "\"ka.target.namespace\":\"n\",\"ka.target.resource\":\"pods\",\"fd.rip\":\"10.0.0.1\"}}");
    g_assert_cmpint(world_offer_event(world, event), ==, ENGINE_ACCEPTED);
    world_drain(world);
    assert_text(ran_text(), "a b");
    world_free(world);
}

static void test_facts(void) {
    World *world =
        run_once(RULE("one", "", ACTION("fake:facts", "a", "      additional_contexts: [broken, node]\n")), "web");
    assert_has(last_facts(), "falco-talon.rule=one\n");
    assert_has(last_facts(), "falco-talon.action=Aa\n");
    assert_has(last_facts(), "falco-talon.actionner=fake:facts\n");
    assert_has(last_facts(), "falco-talon.rule.dry_run=false\n");
    assert_has(last_facts(), "node.role=worker\n");
    assert_lacks(last_facts(), "half");
    assert_has(world_log(world), "no metadata service");
    world_free(world);
}

#define STREAM(say, bytes, target)                                                                                     \
    "    - actionner: fake:stream\n      action: A" say "\n      parameters: {say: " say ", bytes: " bytes             \
    "}\n      output: {target: \"" target "\"}\n"

static void test_artifact_stored(void) {
    World *world = run_once(RULE("one", "", STREAM("/etc/../x", "10", "fake:memory")), "web");
    assert_has(artifacts(), "Z_default_web__etc_.__x 10\n");
    // printf 1234567123 | sha256sum
    assert_has(world_log(world), "10 bytes, sha256 ");
    assert_has(world_log(world), "1abbff1f242912380d02a62d709fb44e6842e26c7c2de018b3c6bf1d5232e194");
    assert_has(world_log(world), "\"output_target\":\"fake:memory\"");
    assert_has(world_metrics(world),
               "falcosecurity_falco_talon_outputs_total{rule=\"one\",action=\"A/etc/../x\",target="
               "\"fake:memory\",status=\"success\"} 1");
    world_free(world);
}

static void test_same_name_in_a_second(void) {
    World *world =
        run_once(RULE("one", "",
                      STREAM("x", "1", "fake:memory") STREAM("x", "2", "fake:memory") STREAM("x", "3", "fake:memory")),
                 "web");
    g_autofree char *text = artifacts();
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    g_assert_cmpuint(g_strv_length(lines), ==, 4);
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < i; j++)
            g_assert_false(strncmp(lines[i], lines[j], strlen(lines[i]) - 2) == 0 &&
                           strlen(lines[i]) == strlen(lines[j]));
    world_free(world);
}

static void test_artifact_ends_table(void) {
    static const struct {
        const char *say, *target, *artifacts, *action, *output;
    } rows[] = {
        {"broken", "fake:memory", " aborted\n", "\"status\":\"failure\"", NULL},
        {"ignored", "fake:memory", " aborted\n", "\"status\":\"ignored\"", NULL},
        {"fine", "fake:full", " aborted\n", "the disk is full", "\"message\":\"output\",\"status\":\"failure\""},
        {"fine", "fake:torn", " aborted\n", "\"status\":\"success\"", "the end was lost"},
        {"fine", "fake:someday", "", "the output fake:someday is not in this version", NULL},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *action =
            g_strdup_printf("    - actionner: fake:stream\n      action: A\n      parameters: {say: "
                            "%s}\n      output: {target: \"%s\"}\n",
                            rows[i].say, rows[i].target);
        g_autofree char *rules = g_strconcat(RULE("one", "", ""), action, NULL);
        g_test_message("row %zu", i);
        World *world = run_once(rules, "web");
        if (*rows[i].artifacts)
            assert_has(artifacts(), rows[i].artifacts);
        else
            assert_text(artifacts(), "");
        assert_has(world_log(world), rows[i].action);
        if (rows[i].output)
            assert_has(world_log(world), rows[i].output);
        else
            assert_lacks(world_log(world), "\"message\":\"output\"");
        world_free(world);
    }
}

static void test_artifact_cut_by_size(void) {
    World *world = world_new(RULE("one", "", STREAM("big", "1000", "fake:memory") ACTION("fake:ok", "b", "")));
    world->options.artifact_bytes = 100;
    world_start(world);
    world_offer(world, "R", "web", "1");
    world_drain(world);
    assert_has(artifacts(), "_big 100\n");
    assert_has(world_log(world), "cut short by the size limit");
    assert_text(ran_text(), "big b");
    world_free(world);
}

static void test_artifact_cut_by_time(void) {
    World *world = world_new(RULE("one", "", STREAM("late", "14", "fake:memory")));
    world->options.action_us = 50000;
    world_start(world);
    world_offer(world, "R", "web", "1");
    world_drain(world);
    assert_has(artifacts(), "_late 14\n");
    assert_has(world_log(world), "cut short by the time limit");
    world_free(world);
}

static void test_unmatched_leaves_no_trace(void) {
    World *world = world_new(RULE("one", "", ACTION("fake:ok", "a", "")));
    world_start(world);
    g_assert_cmpint(world_offer(world, "other", "web", "1"), ==, ENGINE_UNMATCHED);
    assert_lacks(world_log(world), "\"message\":\"event\"");
    assert_has(world_metrics(world),
               "falcosecurity_falco_talon_events_total{event=\"other\",priority=\"Notice\",source=\"syscall\"} 1");
    g_assert_cmpuint(store_last_id(world->store), ==, 0);
    world_stop(world);
    world->options.print_all_events = true;
    world_start(world);
    g_assert_cmpint(world_offer(world, "other", "web", "1"), ==, ENGINE_UNMATCHED);
    assert_has(world_log(world), "\"message\":\"event\"");
    world_free(world);
}

static void test_lines_of_an_event(void) {
    World *world = run_once(RULE("one", "", ACTION("fake:ok", "a", "")), "web");
    g_autofree char *log = world_log(world);
    const char *event = strstr(log, "\"message\":\"event\""), *match = strstr(log, "\"message\":\"match\""),
               *action = strstr(log, "\"message\":\"action\"");
    g_assert_true(event && match && action && event < match && match < action);
    g_assert_null(strstr(log, "in_progress"));
    world_free(world);
}

static void test_duplicates(void) {
    World *world = world_new(RULE("one", "", ACTION("fake:ok", "a", "")));
    world->options.dedup_window_us = 5 * G_USEC_PER_SEC;
    world->options.volatile_fields = (const char *const[]){"evt.num", NULL};
    world_start(world);
    g_assert_cmpint(world_offer(world, "R", "web", "1"), ==, ENGINE_ACCEPTED);
    g_assert_cmpint(world_offer(world, "R", "web", "1"), ==, ENGINE_DUPLICATE);
    g_assert_cmpint(world_offer(world, "R", "web", "2"), ==, ENGINE_ACCEPTED);
    world_move_clock(world, 5 * G_USEC_PER_SEC);
    g_assert_cmpint(world_offer(world, "R", "web", "1"), ==, ENGINE_ACCEPTED);
    world_drain(world);
    g_assert_cmpuint(ran(), ==, 3);
    assert_has(world_metrics(world), "stoop_duplicates_total 1");
    world_free(world);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/engine/run/sequence-table", test_sequence_table);
    g_test_add_func("/engine/run/rules-go-on-after-a-failed-one", test_rules_go_on_after_a_failed_one);
    g_test_add_func("/engine/run/statuses-are-told-apart", test_statuses_are_told_apart);
    g_test_add_func("/engine/run/default-notifiers-come-once", test_default_notifiers_come_once);
    g_test_add_func("/engine/run/unknown-default-notifier", test_unknown_default_notifier);
    g_test_add_func("/engine/run/dry-run", test_dry_run);
    g_test_add_func("/engine/run/required-fields", test_required_fields);
    g_test_add_func("/engine/run/facts", test_facts);
    g_test_add_func("/engine/run/artifact-stored", test_artifact_stored);
    g_test_add_func("/engine/run/same-name-in-a-second", test_same_name_in_a_second);
    g_test_add_func("/engine/run/artifact-ends-table", test_artifact_ends_table);
    g_test_add_func("/engine/run/artifact-cut-by-size", test_artifact_cut_by_size);
    g_test_add_func("/engine/run/artifact-cut-by-time", test_artifact_cut_by_time);
    g_test_add_func("/engine/run/unmatched-leaves-no-trace", test_unmatched_leaves_no_trace);
    g_test_add_func("/engine/run/lines-of-an-event", test_lines_of_an_event);
    g_test_add_func("/engine/run/duplicates", test_duplicates);
    return g_test_run();
}
