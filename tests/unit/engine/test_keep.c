// What is kept: overflow to disk, restart, crash, shutdown, a store that cannot write.
#include "world.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char RULES[] =
    "- rule: ok\n  match: {rules: [ok]}\n  actions:\n    - {action: a, actionner: \"fake:ok\"}\n"
    "- rule: two\n  match: {rules: [two]}\n  actions:\n"
    "    - {action: a, actionner: \"fake:ok\", parameters: {say: a}}\n"
    "    - {action: g, actionner: \"fake:gate\", parameters: {say: g}}\n"
    "    - {action: c, actionner: \"fake:ok\", parameters: {say: c}}\n"
    "- rule: gate\n  match: {rules: [gate]}\n  actions:\n    - {action: g, actionner: \"fake:gate\"}\n";

enum { MANY = 1000, MANY_PODS = 7 };

static void offer_many(World *world, unsigned from, unsigned to) {
    for (unsigned n = from; n < to; n++) {
        char pod[32], output[32];
        g_snprintf(pod, sizeof pod, "p-%u", n % MANY_PODS);
        g_snprintf(output, sizeof output, "%u", n);
        g_autoptr(Event) event = world_event(n < MANY_PODS ? "gate" : "ok", pod, output);
        g_assert_cmpint(world_offer_event(world, event), ==, ENGINE_ACCEPTED);
    }
}

static void assert_all_in_order(void) {
    for (unsigned pod = 0; pod < MANY_PODS; pod++) {
        g_autofree char *name = g_strdup_printf("p-%u", pod);
        GString *expected = g_string_new(NULL);
        for (unsigned n = pod; n < MANY; n += MANY_PODS)
            g_string_append_printf(expected, "%s%u", expected->len ? " " : "", n);
        assert_text(ran_events(name), expected->str);
        g_string_free(expected, TRUE);
    }
}

static void test_overflow_goes_to_disk(void) {
    World *world = world_new(RULES);
    world->options.max_events = 10;
    world_start(world);
    gate_shut();
    offer_many(world, 0, MANY / 2);
    wait_gate(MANY_PODS);
    EngineStats stats;
    engine_stats(world->engine, &stats);
    g_assert_true(stats.backlog);
    g_assert_cmpuint(stats.events, <=, 10);
    gate_open();
    offer_many(world, MANY / 2, MANY); // while it is being read back
    world_drain(world);
    g_assert_cmpuint(ran(), ==, MANY);
    assert_all_in_order();
    g_assert_cmpuint(world_commits(), ==, MANY);
    g_assert_cmpuint(world_commit_errors(), ==, 0);
    world_free(world);
}

static void test_overflow_by_bytes(void) {
    World *world = world_new(RULES);
    world->options.max_bytes = 20000;
    world_start(world);
    gate_shut();
    offer_many(world, 0, MANY);
    EngineStats stats;
    engine_stats(world->engine, &stats);
    g_assert_true(stats.backlog);
    g_assert_cmpuint(stats.bytes, <=, 20000);
    gate_open();
    world_drain(world);
    assert_all_in_order();
    world_free(world);
}

// One target's flood has its share of the memory, and no more: other targets do not notice it.
static void test_flood_of_one_target(void) {
    World *world = world_new(RULES);
    world->options.max_events = 64;
    world_start(world);
    gate_shut();
    for (unsigned n = 0; n < 500; n++) {
        g_autofree char *output = g_strdup_printf("%u", n);
        g_autoptr(Event) event = world_event(n == 0 ? "gate" : "ok", "flood", output);
        g_assert_cmpint(world_offer_event(world, event), ==, ENGINE_ACCEPTED);
    }
    wait_gate(1);
    EngineStats stats;
    engine_stats(world->engine, &stats);
    g_assert_cmpuint(stats.events, <=, 8);
    for (unsigned n = 0; n < 50; n++) {
        g_autofree char *pod = g_strdup_printf("calm-%u", n);
        g_assert_cmpint(world_offer(world, "ok", pod, "1"), ==, ENGINE_ACCEPTED);
    }
    wait_ran(51); // the flood still hangs
    g_assert_cmpuint(gate_waiting(), ==, 1);
    gate_open();
    for (unsigned n = 500; n < 700; n++) { // while it is being read back
        g_autofree char *output = g_strdup_printf("%u", n);
        g_autoptr(Event) event = world_event("ok", "flood", output);
        g_assert_cmpint(world_offer_event(world, event), ==, ENGINE_ACCEPTED);
    }
    world_drain(world);
    GString *expected = g_string_new("0");
    for (unsigned n = 1; n < 700; n++)
        g_string_append_printf(expected, " %u", n);
    assert_text(ran_events("flood"), expected->str);
    g_string_free(expected, TRUE);
    engine_stats(world->engine, &stats);
    g_assert_cmpuint(stats.lanes, ==, 0);
    world_free(world);
}

// Stopped in the middle of a flood: nothing leaks, and all of it comes after the restart, once and in order.
static void test_flood_over_a_restart(void) {
    World *world = world_new(RULES);
    world->options.max_events = 64;
    world_start(world);
    gate_shut();
    for (unsigned n = 0; n < 100; n++) {
        g_autofree char *output = g_strdup_printf("%u", n);
        g_autoptr(Event) event = world_event(n == 50 ? "gate" : "ok", "flood", output);
        g_assert_cmpint(world_offer_event(world, event), ==, ENGINE_ACCEPTED);
    }
    wait_gate(1);
    world_stop_within(world, 0);
    ran_clear(); // opens the gate
    world_start(world);
    world_drain(world);
    GString *expected = g_string_new("50");
    for (unsigned n = 51; n < 100; n++)
        g_string_append_printf(expected, " %u", n);
    assert_text(ran_events("flood"), expected->str);
    g_string_free(expected, TRUE);
    world_free(world);
}

static void test_event_larger_than_memory_runs_alone(void) {
    World *world = world_new(RULES);
    world->options.max_bytes = 1;
    world_start(world);
    for (int i = 0; i < 5; i++)
        g_assert_cmpint(world_offer(world, "ok", "p", "1"), ==, ENGINE_ACCEPTED);
    world_drain(world);
    g_assert_cmpuint(ran(), ==, 5);
    world_free(world);
}

static void test_shutdown_leaves_what_waits(void) {
    World *world = world_new(RULES);
    world_start(world);
    gate_shut();
    world_offer(world, "two", "p", "1");
    world_offer(world, "two", "p", "2");
    wait_gate(1);
    int64_t before_us = clock_monotonic_us(clock_system());
    world_stop_within(world, 50000);
    g_assert_cmpint(clock_monotonic_us(clock_system()) - before_us, <, 5 * G_USEC_PER_SEC);
    assert_text(ran_text(), "a g");
    gate_open();
    world_start(world);
    world_drain(world);
    // The action that has a result is not repeated, the cancelled one is.
    assert_text(ran_text(), "a g g c a g c");
    assert_text(ran_events("p"), "1 1 1 1 2 2 2");
    world_free(world);
}

static void test_shutdown_lets_finish(void) {
    World *world = world_new(RULES);
    world->options.workers = 2;
    world_start(world);
    for (int i = 0; i < 200; i++) {
        g_autofree char *pod = g_strdup_printf("p-%d", i);
        g_autoptr(Event) event = world_event("ok", pod, "1");
        g_assert_cmpint(world_offer_event(world, event), ==, ENGINE_ACCEPTED);
    }
    world_stop(world);
    g_assert_cmpuint(world_commits(), ==, 200);
    g_autoptr(Event) late = world_event("ok", "late", "1");
    world_start(world);
    world_drain(world);
    g_assert_cmpuint(ran(), ==, 200); // each once: what had ended before is not repeated
    engine_stop(world->engine, 0, INT64_MAX);
    g_assert_cmpint(world_offer_event(world, late), ==, ENGINE_REFUSED);
    world_free(world);
}

static void test_rules_gone_at_restart(void) {
    World *world = world_new(RULES);
    world_start(world);
    gate_shut();
    world_offer(world, "gate", "p", "1");
    wait_gate(1);
    world_stop_within(world, 0);
    gate_open();
    world_set_rules(world, "- rule: other\n  match: {rules: [other]}\n  actions:\n    - {action: a, actionner: "
                           "\"fake:ok\"}\n");
    world_start(world);
    world_drain(world);
    g_assert_cmpuint(ran(), ==, 1);
    assert_has(world_log(world), "no rule matches it any more");
    world_free(world);
}

static void test_trace_id_survives(void) {
    World *world = world_new(RULES);
    world_start(world);
    gate_shut();
    world_offer(world, "two", "p", "1");
    wait_gate(1);
    world_stop_within(world, 0);
    gate_open();
    world_start(world);
    world_drain(world);
    g_autofree char *log = world_log(world);
    unsigned count = 0;
    for (const char *at = log; (at = strstr(at, "01020300000000000000000000000000")); at++)
        count++;
    // event, match and action before; event, match and two actions after.
    g_assert_cmpuint(count, ==, 7);
    world_free(world);
}

// A child accepts events, runs an action of each, hangs in the next, and is killed.
static void test_crash(void) {
    enum { COUNT = 25 };
    World *world = world_new(RULES);
    int ready[2];
    g_assert_cmpint(pipe2(ready, O_CLOEXEC), ==, 0);
    pid_t child = fork();
    g_assert_cmpint(child, >=, 0);
    if (child == 0) {
        gate_shut();
        world_start(world);
        for (unsigned n = 0; n < COUNT; n++) {
            g_autofree char *pod = g_strdup_printf("p-%u", n);
            world_offer(world, "two", pod, "1");
        }
        wait_gate(COUNT);
        StoreStats stats = {0};
        while (stats.results < COUNT) {
            g_usleep(1000);
            store_stats(world->store, &stats);
        }
        // Counted may be a moment before it is committed; one more accepted event comes after it.
        world_offer(world, "two", "last", "1");
        if (write(ready[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    char byte;
    ssize_t got;
    do
        got = read(ready[0], &byte, 1);
    while (got < 0 && errno == EINTR);
    g_assert_cmpint(got, ==, 1);
    g_assert_cmpint(kill(child, SIGKILL), ==, 0);
    g_assert_cmpint(waitpid(child, NULL, 0), ==, child);
    close(ready[0]);
    close(ready[1]);

    world_start(world);
    world_drain(world);
    for (unsigned n = 0; n < COUNT; n++) {
        g_autofree char *pod = g_strdup_printf("p-%u", n);
        assert_text(ran_events(pod), "1 1"); // g and c; a has a result
    }
    g_assert_cmpuint(ran(), >=, 2 * COUNT + 2);
    g_assert_cmpuint(ran(), <=, 2 * COUNT + 3);
    world_stop(world);
    ran_clear();
    world_start(world);
    world_drain(world);
    g_assert_cmpuint(ran(), ==, 0);
    world_free(world);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/engine/keep/overflow-goes-to-disk", test_overflow_goes_to_disk);
    g_test_add_func("/engine/keep/overflow-by-bytes", test_overflow_by_bytes);
    g_test_add_func("/engine/keep/flood-of-one-target", test_flood_of_one_target);
    g_test_add_func("/engine/keep/flood-over-a-restart", test_flood_over_a_restart);
    g_test_add_func("/engine/keep/event-larger-than-memory-runs-alone", test_event_larger_than_memory_runs_alone);
    g_test_add_func("/engine/keep/shutdown-leaves-what-waits", test_shutdown_leaves_what_waits);
    g_test_add_func("/engine/keep/shutdown-lets-finish", test_shutdown_lets_finish);
    g_test_add_func("/engine/keep/rules-gone-at-restart", test_rules_gone_at_restart);
    g_test_add_func("/engine/keep/trace-id-survives", test_trace_id_survives);
    g_test_add_func("/engine/keep/crash", test_crash);
    return g_test_run();
}
