// A store that refuses, fails and is slow.
#include "fake_store.h"
#include "world.h"

#include <string.h>

static const char RULES[] =
    "- rule: ok\n  match: {rules: [ok]}\n  actions:\n    - {action: a, actionner: \"fake:ok\"}\n"
    "- rule: gate\n  match: {rules: [gate]}\n  actions:\n    - {action: g, actionner: \"fake:gate\"}\n";

static EngineVerdict offer(World *world, const char *rule, const char *pod, const char *output) {
    g_autoptr(Event) event = world_event(rule, pod, output);
    return world_offer_event(world, event);
}

static void wait_idle(World *world) {
    int64_t until_us = clock_monotonic_us(clock_system()) + 20 * G_USEC_PER_SEC;
    EngineStats stats;
    do {
        engine_stats(world->engine, &stats);
        g_assert_cmpint(clock_monotonic_us(clock_system()), <, until_us);
    } while (stats.events > 0);
}

static void test_refused_store_still_acts(void) {
    World *world = world_new(RULES);
    world->options.dedup_window_us = 5 * G_USEC_PER_SEC;
    world_start(world);
    fake_store_refuse(true);
    g_assert_cmpint(offer(world, "ok", "p", "1"), ==, ENGINE_UNKEPT);
    wait_ran(1);
    g_assert_cmpint(offer(world, "ok", "p", "1"), ==, ENGINE_DUPLICATE); // it did run
    g_assert_cmpuint(world_commits(), ==, 0);
    assert_has(world_metrics(world), "stoop_unkept_total 1");
    world_free(world);
}

static void test_refused_when_nothing_is_left(void) {
    World *world = world_new(RULES);
    world->options.max_events = 2;
    world->options.dedup_window_us = 5 * G_USEC_PER_SEC;
    world_start(world);
    gate_shut();
    g_assert_cmpint(offer(world, "gate", "p", "1"), ==, ENGINE_ACCEPTED);
    g_assert_cmpint(offer(world, "gate", "q", "2"), ==, ENGINE_ACCEPTED);
    fake_store_refuse(true);
    g_assert_cmpint(offer(world, "ok", "p", "3"), ==, ENGINE_REFUSED);
    fake_store_refuse(false);
    g_assert_cmpint(offer(world, "ok", "p", "3"), ==, ENGINE_ACCEPTED); // the refused one left no mark
    gate_open();
    world_drain(world);
    assert_text(ran_events("p"), "1 3");
    assert_has(world_metrics(world), "stoop_refused_total 1");
    world_free(world);
}

static void test_action_does_not_wait_for_the_commit(void) {
    World *world = world_new(RULES);
    world_start(world);
    fake_store_hold(true);
    g_assert_cmpint(offer(world, "ok", "p", "1"), ==, ENGINE_ACCEPTED);
    wait_ran(1);
    wait_idle(world);
    g_assert_cmpuint(world_commits(), ==, 0);
    fake_store_commit(1, false);
    g_assert_cmpuint(world_commits(), ==, 1);
    world_free(world);
}

static void test_failed_commit_in_memory(void) {
    World *world = world_new(RULES);
    world->options.dedup_window_us = 5 * G_USEC_PER_SEC;
    world_start(world);
    fake_store_hold(true);
    g_assert_cmpint(offer(world, "ok", "p", "1"), ==, ENGINE_ACCEPTED);
    fake_store_commit(1, true);
    g_assert_cmpuint(world_commit_errors(), ==, 1);
    wait_ran(1);
    g_assert_cmpint(offer(world, "ok", "p", "1"), ==, ENGINE_DUPLICATE);
    world_free(world);
}

// The reader must not pass ids whose commit is outstanding: it would take them for done.
static void test_backlog_waits_for_commits(void) {
    World *world = world_new(RULES);
    world->options.max_events = 1;
    world->options.dedup_window_us = 5 * G_USEC_PER_SEC;
    world_start(world);
    fake_store_hold(true);
    gate_shut();
    g_assert_cmpint(offer(world, "gate", "p", "1"), ==, ENGINE_ACCEPTED);
    g_assert_cmpint(offer(world, "ok", "p", "2"), ==, ENGINE_ACCEPTED); // on disk only from here on
    g_assert_cmpint(offer(world, "ok", "p", "3"), ==, ENGINE_ACCEPTED);
    g_assert_cmpint(offer(world, "ok", "p", "4"), ==, ENGINE_ACCEPTED);
    gate_open();
    wait_idle(world);
    g_assert_cmpuint(ran(), ==, 1);
    fake_store_commit(2, false);
    wait_ran(2);
    wait_idle(world);
    EngineStats stats;
    engine_stats(world->engine, &stats);
    g_assert_true(stats.backlog);
    fake_store_commit(3, true); // lost, and its sender knows
    g_assert_cmpint(offer(world, "ok", "p", "4"), ==, ENGINE_DUPLICATE);
    g_assert_cmpint(offer(world, "ok", "p", "3"), ==, ENGINE_ACCEPTED); // sent again
    fake_store_hold(false);
    world_drain(world);
    assert_text(ran_events("p"), "1 2 4 3");
    g_assert_cmpuint(world_commits(), ==, 5);
    g_assert_cmpuint(world_commit_errors(), ==, 1);
    assert_lacks(fake_store_read_log(), "1-4 ");
    world_free(world);
}

static unsigned commits_at_stop;

static void *stop_engine(void *data) {
    engine_stop(((World *)data)->engine, clock_monotonic_us(clock_system()) + 10 * G_USEC_PER_SEC, INT64_MAX);
    commits_at_stop = world_commits();
    return NULL;
}

static void test_stop_waits_for_commits(void) {
    World *world = world_new(RULES);
    world_start(world);
    fake_store_hold(true);
    for (int i = 0; i < 20; i++)
        g_assert_cmpint(offer(world, "ok", "p", "1"), ==, ENGINE_ACCEPTED);
    wait_ran(20);
    pthread_t thread;
    g_assert_cmpint(pthread_create(&thread, NULL, stop_engine, world), ==, 0);
    EngineStats stats;
    int64_t until_us = clock_monotonic_us(clock_system()) + 20 * G_USEC_PER_SEC;
    do
        engine_stats(world->engine, &stats);
    while (stats.workers > 0 && clock_monotonic_us(clock_system()) < until_us);
    g_assert_cmpuint(stats.workers, ==, 0);
    fake_store_commit(20, false);
    pthread_join(thread, NULL);
    g_assert_cmpuint(commits_at_stop, ==, 20);
    g_assert_cmpint(offer(world, "ok", "p", "1"), ==, ENGINE_REFUSED);
    world_free(world);
}

// An action that is deaf to everything holds engine_stop up, is named in the log, and nothing is freed under its feet.
static void *open_when_named(void *data) {
    int64_t until_us = clock_monotonic_us(clock_system()) + 20 * G_USEC_PER_SEC;
    for (bool named = false; !named && clock_monotonic_us(clock_system()) < until_us;) {
        g_usleep(1000);
        g_autofree char *log = world_log(data);
        named = strstr(log, "which does not end") != NULL;
    }
    gate_open();
    return NULL;
}

static void test_deaf_action_is_named(void) {
    World *world = world_new(RULES);
    world_start(world);
    gate_shut();
    gate_deaf(true);
    g_assert_cmpint(offer(world, "gate", "p", "1"), ==, ENGINE_ACCEPTED);
    wait_gate(1);
    pthread_t thread;
    g_assert_cmpint(pthread_create(&thread, NULL, open_when_named, world), ==, 0);
    engine_stop(world->engine, 0, INT64_MAX);
    pthread_join(thread, NULL);
    assert_has(world_log(world), "waiting for fake:gate of rule 'gate', which does not end");
    g_assert_cmpuint(world_pending(world), ==, 0); // it ended with success after all
    world_free(world);
}

// It is not waited for beyond the last moment.
static void test_deaf_action_is_left(void) {
    World *world = world_new(RULES);
    world_start(world);
    gate_shut();
    gate_deaf(true);
    g_assert_cmpint(offer(world, "gate", "p", "1"), ==, ENGINE_ACCEPTED);
    wait_gate(1);
    int64_t began_us = clock_monotonic_us(clock_system());
    g_assert_false(engine_stop(world->engine, 0, began_us + G_USEC_PER_SEC / 4));
    g_assert_cmpint(clock_monotonic_us(clock_system()) - began_us, <, 5 * G_USEC_PER_SEC);
    assert_has(world_log(world), "waiting for fake:gate of rule 'gate', which does not end");
    g_assert_cmpuint(world_pending(world), ==, 1);
    gate_open();
    g_assert_true(engine_stop(world->engine, 0, INT64_MAX));
    world_free(world);
}

// A recorded failure ends the rule's sequence after a restart as it did before.
static void test_recorded_failure_stays_one(void) {
    static const char rules[] = "- rule: r\n  match: {rules: [two]}\n  actions:\n"
                                "    - {action: f, actionner: \"fake:fail\", parameters: {say: f}}\n"
                                "    - {action: c, actionner: \"fake:ok\", parameters: {say: c}}\n"
                                "- rule: s\n  match: {rules: [two]}\n  actions:\n"
                                "    - {action: g, actionner: \"fake:gate\", parameters: {say: g}}\n";
    World *world = world_new(rules);
    world_start(world);
    gate_shut();
    g_assert_cmpint(offer(world, "two", "p", "1"), ==, ENGINE_ACCEPTED);
    wait_gate(1);
    engine_stop(world->engine, 0, INT64_MAX);
    engine_free(world->engine);
    metrics_free(world->metrics);
    assert_text(ran_text(), "f g");
    gate_open();
    world->options.metrics = world->metrics = metrics_new();
    world->engine = engine_new(&world->options, NULL);
    g_assert_nonnull(world->engine);
    world_drain(world);
    assert_text(ran_text(), "f g g");
    world_free(world);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/engine/refuse/refused-store-still-acts", test_refused_store_still_acts);
    g_test_add_func("/engine/refuse/refused-when-nothing-is-left", test_refused_when_nothing_is_left);
    g_test_add_func("/engine/refuse/action-does-not-wait-for-the-commit", test_action_does_not_wait_for_the_commit);
    g_test_add_func("/engine/refuse/failed-commit-in-memory", test_failed_commit_in_memory);
    g_test_add_func("/engine/refuse/backlog-waits-for-commits", test_backlog_waits_for_commits);
    g_test_add_func("/engine/refuse/stop-waits-for-commits", test_stop_waits_for_commits);
    g_test_add_func("/engine/refuse/deaf-action-is-named", test_deaf_action_is_named);
    g_test_add_func("/engine/refuse/deaf-action-is-left", test_deaf_action_is_left);
    g_test_add_func("/engine/refuse/recorded-failure-stays-one", test_recorded_failure_stays_one);
    return g_test_run();
}
