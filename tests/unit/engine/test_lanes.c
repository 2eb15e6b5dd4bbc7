// Who runs beside whom, and who after whom.
#include "world.h"

#include "base/thread.h"

#include <stdlib.h>
#include <string.h>

static const char RULES[] =
    "- rule: ok\n  match: {rules: [ok]}\n  actions:\n    - {action: a, actionner: \"fake:ok\"}\n"
    "- rule: gate\n  match: {rules: [gate]}\n  actions:\n    - {action: g, actionner: "
    "\"fake:gate\"}\n"
    "- rule: long\n  match: {rules: [long]}\n  actions:\n    - {action: l, actionner: "
    "\"fake:long\"}\n";

static unsigned workers_now(World *world) {
    EngineStats stats;
    engine_stats(world->engine, &stats);
    return stats.workers;
}

enum { PRODUCERS = 8, PODS = 20, EVENTS = 40 };

typedef struct {
    World *world;
    unsigned producer;
} Producer;

// Each producer has pods of its own, so that the order of each pod's events is known.
static void *produce(void *data) {
    const Producer *producer = data;
    for (unsigned n = 0; n < EVENTS; n++) {
        for (unsigned pod = producer->producer; pod < PODS; pod += PRODUCERS) {
            char name[32], output[32];
            g_snprintf(name, sizeof name, "pod-%u", pod);
            g_snprintf(output, sizeof output, "%u", n);
            g_autoptr(Event) event = world_event("ok", name, output);
            g_assert_cmpint(world_offer_event(producer->world, event), ==, ENGINE_ACCEPTED);
        }
    }
    return NULL;
}

static void test_order_within_a_lane(void) {
    World *world = world_new(RULES);
    world_start(world);
    pthread_t threads[PRODUCERS];
    Producer producers[PRODUCERS];
    for (unsigned i = 0; i < PRODUCERS; i++) {
        producers[i] = (Producer){world, i};
        g_assert_true(thread_start(&threads[i], "producer", 0, produce, &producers[i], NULL));
    }
    for (unsigned i = 0; i < PRODUCERS; i++)
        pthread_join(threads[i], NULL);
    world_drain(world);
    g_assert_cmpuint(ran(), ==, PODS * EVENTS);
    GString *expected = g_string_new("0");
    for (unsigned n = 1; n < EVENTS; n++)
        g_string_append_printf(expected, " %u", n);
    for (unsigned pod = 0; pod < PODS; pod++) {
        g_autofree char *name = g_strdup_printf("pod-%u", pod);
        assert_text(ran_events(name), expected->str);
    }
    g_string_free(expected, TRUE);
    world_free(world);
}

static void test_side_by_side(void) {
    World *world = world_new(RULES);
    world_start(world);
    gate_shut();
    for (unsigned i = 0; i < 10; i++) {
        g_autofree char *pod = g_strdup_printf("slow-%u", i);
        world_offer(world, "gate", pod, "1");
    }
    wait_gate(10);
    world_offer(world, "ok", "quick", "1"); // another pod: does not wait
    wait_ran(11);
    world_offer(world, "ok", "slow-3", "2"); // the same pod: waits
    g_assert_cmpuint(ran(), ==, 11);
    gate_open();
    world_drain(world);
    assert_text(ran_events("slow-3"), "1 2");
    world_free(world);
}

static void test_workers_have_a_limit(void) {
    World *world = world_new(RULES);
    world->options.workers = 3;
    world_start(world);
    gate_shut();
    for (unsigned i = 0; i < 10; i++) {
        g_autofree char *pod = g_strdup_printf("slow-%u", i);
        world_offer(world, "gate", pod, "1");
    }
    wait_gate(3);
    g_assert_cmpuint(workers_now(world), ==, 3);
    gate_open();
    world_drain(world);
    g_assert_cmpuint(ran(), ==, 10);
    world_free(world);
}

static void test_kills_pass_hanging_captures(void) {
    World *world = world_new(RULES);
    world->options.workers = 2;
    world_start(world);
    gate_shut();
    for (unsigned i = 0; i < 40; i++) {
        g_autofree char *pod = g_strdup_printf("slow-%u", i);
        world_offer(world, "long", pod, "1");
    }
    wait_gate(32);
    EngineStats stats;
    do
        engine_stats(world->engine, &stats);
    while (stats.long_waiting < 8);
    g_assert_cmpuint(stats.long_running, ==, 32);
    for (unsigned i = 0; i < 50; i++) {
        g_autofree char *pod = g_strdup_printf("quick-%u", i);
        world_offer(world, "ok", pod, "1");
    }
    wait_ran(32 + 50);
    g_assert_cmpuint(gate_waiting(), ==, 32);
    assert_has(world_log(world), "in_progress");
    world_offer(world, "ok", "slow-39", "2"); // its lane waits for a slot, and so does this
    gate_open();
    world_drain(world);
    g_assert_cmpuint(ran(), ==, 40 + 50 + 1);
    assert_text(ran_events("slow-39"), "1 2");
    engine_stats(world->engine, &stats);
    g_assert_cmpuint(stats.long_running, ==, 0);
    g_assert_cmpuint(stats.long_waiting, ==, 0);
    g_assert_cmpuint(stats.lanes, ==, 0);
    g_assert_cmpuint(stats.workers, <=, 2);
    world_free(world);
}

static void test_slots_are_handed_on(void) {
    World *world = world_new("- rule: long\n  match: {rules: [long]}\n  actions:\n"
                             "    - {action: l, actionner: \"fake:long\"}\n"
                             "    - {action: o, actionner: \"fake:ok\"}\n"
                             "    - {action: m, actionner: \"fake:long\"}\n");
    world->options.workers = 4;
    world->options.long_actions = 2;
    world_start(world);
    for (unsigned i = 0; i < 30; i++) {
        g_autofree char *pod = g_strdup_printf("p-%u", i);
        world_offer(world, "long", pod, "1");
    }
    world_drain(world);
    g_assert_cmpuint(ran(), ==, 90);
    world_free(world);
}

// Events about the same thing share a lane, events about nothing known have one each.
static void test_keys(void) {
    static const struct {
        const char *first, *second;
        bool together;
    } rows[] = {
        {"\"k8s.pod.name\":\"p\",\"k8s.ns.name\":\"n\"",
         "\"ka.target.resource\":\"pods\",\"ka.target.name\":\"p\",\"ka.target.namespace\":\"n\"", true},
        {"\"k8s.pod.name\":\"p\",\"k8s.ns.name\":\"n\"", "\"k8s.pod.name\":\"p\",\"k8s.ns.name\":\"m\"", false},
        {"\"ka.target.resource\":\"deployments\",\"ka.target.name\":\"p\",\"ka.target.namespace\":\"n\"",
         "\"ka.target.resource\":\"pods\",\"ka.target.name\":\"p\",\"ka.target.namespace\":\"n\"", false},
        {"\"ka.target.resource\":\"deployments\",\"ka.target.name\":\"p\",\"ka.target.namespace\":\"n\"",
         "\"ka.target.resource\":\"deployments\",\"ka.target.name\":\"p\",\"ka.target.namespace\":\"n\"", true},
        {"\"a\":\"b\"", "\"a\":\"b\"", false},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        World *world = world_new(RULES);
        world_start(world);
        gate_shut();
        const char *both[] = {rows[i].first, rows[i].second};
        for (int j = 0; j < 2; j++) {
            g_autofree char *json =
                g_strdup_printf("{\"rule\":\"gate\",\"output\":\"%d\",\"output_fields\":{%s}}", j, both[j]);
            g_autoptr(Event) event = world_event_json(json);
            g_assert_cmpint(world_offer_event(world, event), ==, ENGINE_ACCEPTED);
        }
        g_test_message("row %zu", i);
        wait_gate(rows[i].together ? 1 : 2);
        EngineStats stats;
        engine_stats(world->engine, &stats);
        g_assert_cmpuint(stats.lanes, ==, rows[i].together ? 1 : 2);
        gate_open();
        world_drain(world);
        world_free(world);
    }
}

static void test_long_names(void) {
    World *world = world_new(RULES);
    world_start(world);
    g_autofree char *pod = g_strnfill(2000, 'p');
    g_assert_cmpint(world_offer(world, "ok", pod, "1"), ==, ENGINE_ACCEPTED);
    world_drain(world);
    assert_text(ran_events(pod), "1");
    world_free(world);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/engine/lanes/order-within-a-lane", test_order_within_a_lane);
    g_test_add_func("/engine/lanes/side-by-side", test_side_by_side);
    g_test_add_func("/engine/lanes/workers-have-a-limit", test_workers_have_a_limit);
    g_test_add_func("/engine/lanes/kills-pass-hanging-captures", test_kills_pass_hanging_captures);
    g_test_add_func("/engine/lanes/slots-are-handed-on", test_slots_are_handed_on);
    g_test_add_func("/engine/lanes/keys", test_keys);
    g_test_add_func("/engine/lanes/long-names", test_long_names);
    return g_test_run();
}
