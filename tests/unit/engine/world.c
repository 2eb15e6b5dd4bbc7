#include "world.h"

#include "base/error.h"
#include "base/thread.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

void world_notify(const PluginInfo *notifier, const Notice *notice, void *user);

static atomic_llong clock_moved_us;
static atomic_uint commits, commit_errors;

static int64_t moved_monotonic(const Clock *clock) {
    return clock_monotonic_us(clock_system()) + atomic_load(&clock_moved_us);
}

static int64_t moved_realtime(const Clock *clock) {
    return clock_realtime_ns(clock_system());
}

void world_move_clock(World *world, int64_t us) {
    atomic_fetch_add(&clock_moved_us, us);
}

static RuleSet *load_rules(const World *world, const char *rules) {
    g_autofree char *file = g_build_filename(world->folder, "rules.yaml", NULL);
    g_assert_true(g_file_set_contents(file, rules, -1, NULL));
    g_autoptr(DiagList) diags = diag_list_new();
    RuleSet *set = rule_set_load((const char *const[]){file, NULL}, &world_catalogue, diags);
    if (!set) {
        g_autofree char *text = diag_list_text(diags);
        g_error("rules: %s", text);
    }
    return set;
}

World *world_new(const char *rules) {
    g_autoptr(GError) error = NULL;
    World *world = g_new0(World, 1);
    world->folder = g_dir_make_tmp("stoop-engine-XXXXXX", &error);
    g_assert_no_error(error);
    g_autofree char *log_file = g_build_filename(world->folder, "log", NULL);
    world->log_fd = open(log_file, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    g_assert_cmpint(world->log_fd, >=, 0);
    world->clock = (Clock){moved_monotonic, moved_realtime};
    world->log = log_new(world->log_fd, LOG_FORMAT_JSON, LOG_DEBUG, &world->clock);
    world->rules = rules_holder_new(load_rules(world, rules));
    world->options = (EngineOptions){
        .rules = world->rules,
        .clock = &world->clock,
        .log = world->log,
        .catalogue = &world_catalogue,
        .notify = world_notify,
    };
    atomic_store(&commits, 0);
    atomic_store(&commit_errors, 0);
    ran_clear();
    return world;
}

void world_set_rules(World *world, const char *rules) {
    rules_holder_swap(world->rules, load_rules(world, rules));
}

void world_start(World *world) {
    g_autoptr(GError) error = NULL;
    g_autofree char *path = g_build_filename(world->folder, "store.db", NULL);
    const StoreOptions store_options = {.path = path, .clock = clock_system()};
    world->store = store_open(&store_options, &error);
    g_assert_no_error(error);
    world->metrics = metrics_new();
    world->options.store = world->store;
    world->options.metrics = world->metrics;
    world->engine = engine_new(&world->options, &error);
    g_assert_no_error(error);
    g_assert_nonnull(world->engine);
}

void world_stop_within(World *world, int64_t us) {
    if (!world->engine)
        return;
    engine_stop(world->engine, clock_monotonic_us(clock_system()) + us, INT64_MAX);
    store_close(world->store);
    engine_free(world->engine);
    metrics_free(world->metrics);
    world->engine = NULL;
    world->store = NULL;
    world->metrics = NULL;
}

void world_stop(World *world) {
    world_stop_within(world, 10 * G_USEC_PER_SEC);
}

void world_free(World *world) {
    gate_open();
    world_stop(world);
    rules_holder_free(world->rules);
    log_free(world->log);
    close(world->log_fd);
    GDir *dir = g_dir_open(world->folder, 0, NULL);
    for (const char *name; dir && (name = g_dir_read_name(dir));) {
        g_autofree char *path = g_build_filename(world->folder, name, NULL);
        g_unlink(path);
    }
    if (dir)
        g_dir_close(dir);
    g_assert_cmpint(g_rmdir(world->folder), ==, 0);
    g_free(world->folder);
    g_free(world);
    ran_clear();
}

char *world_log(World *world) {
    g_autofree char *file = g_build_filename(world->folder, "log", NULL);
    char *text = NULL;
    g_assert_true(g_file_get_contents(file, &text, NULL, NULL));
    return text;
}

char *world_metrics(World *world) {
    GString *text = g_string_new("");
    metrics_text(world->metrics, text);
    return g_string_free(text, FALSE);
}

uint64_t world_pending(World *world) {
    StoreStats stats = {0};
    store_stats(world->store, &stats);
    return stats.pending;
}

void world_drain(World *world) {
    int64_t until_us = clock_monotonic_us(clock_system()) + 30 * G_USEC_PER_SEC;
    for (;;) {
        EngineStats stats;
        engine_stats(world->engine, &stats);
        if (stats.events == 0 && !stats.backlog && world_pending(world) == 0)
            return;
        if (clock_monotonic_us(clock_system()) > until_us)
            g_error("not drained: %zu events, backlog %d, pending %" G_GUINT64_FORMAT, stats.events, stats.backlog,
                    world_pending(world));
        g_usleep(1000);
    }
}

Event *world_event_json(const char *json) {
    g_autoptr(GError) error = NULL;
    const uint8_t random16[16] = {1, 2, 3};
    Event *event = event_parse(json, strlen(json), NULL, random16, &error);
    g_assert_no_error(error);
    return event;
}

Event *world_event(const char *rule, const char *pod, const char *output) {
    g_autofree char *fields =
        pod ? g_strdup_printf("\"k8s.pod.name\":\"%s\",\"k8s.ns.name\":\"default\",", pod) : g_strdup("");
    g_autofree char *json =
        g_strdup_printf("{\"rule\":\"%s\",\"output\":\"%s\",\"priority\":\"Notice\",\"source\":\"syscall\","
                        "\"hostname\":\"n1\",\"output_fields\":{%s\"evt.num\":\"%s\",\"which\":\"%s\"}}",
                        rule, output, fields, output, output);
    return world_event_json(json);
}

static void on_commit(uint64_t id, const GError *error, void *user) {
    if (error)
        atomic_fetch_add(&commit_errors, 1);
    atomic_fetch_add(&commits, 1);
}

unsigned world_commits(void) {
    return atomic_load(&commits);
}

unsigned world_commit_errors(void) {
    return atomic_load(&commit_errors);
}

EngineVerdict world_offer_event(World *world, const Event *event) {
    return engine_offer(world->engine, event, on_commit, NULL);
}

EngineVerdict world_offer(World *world, const char *rule, const char *pod, const char *output) {
    g_autoptr(Event) event = world_event(rule, pod, output);
    unsigned before = world_commits();
    EngineVerdict verdict = world_offer_event(world, event);
    int64_t until_us = clock_monotonic_us(clock_system()) + 20 * G_USEC_PER_SEC;
    while (verdict == ENGINE_ACCEPTED && world_commits() == before && clock_monotonic_us(clock_system()) < until_us)
        g_usleep(200);
    if (verdict == ENGINE_ACCEPTED)
        g_assert_cmpuint(world_commits(), >, before);
    return verdict;
}
