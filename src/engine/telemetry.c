// The engine's metrics. Names and labels are Talon's, without labels whose values have no bound (pods, output texts).
#include "engine/engine_private.h"

#define PREFIX "falcosecurity_falco_talon_"

static EngineStats read_engine(void *user) {
    EngineStats stats;
    engine_stats(user, &stats);
    return stats;
}

// Zeros once the engine has stopped: the store may be closed by then, and the page may still be asked for.
static StoreStats read_store(void *user) {
    Engine *engine = user;
    StoreStats stats = {0};
    mutex_lock(&engine->lock);
    if (!engine->stopped)
        store_stats(engine->options.store, &stats);
    mutex_unlock(&engine->lock);
    return stats;
}

static double gauge_events(void *user) {
    return (double)read_engine(user).events;
}

static double gauge_bytes(void *user) {
    return (double)read_engine(user).bytes;
}

static double gauge_lanes(void *user) {
    return read_engine(user).lanes;
}

static double gauge_workers(void *user) {
    return read_engine(user).workers;
}

static double gauge_busy(void *user) {
    return read_engine(user).busy;
}

static double gauge_long_running(void *user) {
    return read_engine(user).long_running;
}

static double gauge_long_waiting(void *user) {
    return read_engine(user).long_waiting;
}

static double gauge_backlog(void *user) {
    return read_engine(user).backlog;
}

static double gauge_store_pending(void *user) {
    return (double)read_store(user).pending;
}

static double gauge_store_queued(void *user) {
    return (double)read_store(user).queued;
}

static double gauge_store_healthy(void *user) {
    return read_store(user).healthy;
}

static Metric *plain_counter(Metrics *metrics, const char *name, const char *help) {
    return metric_series(metrics_counter(metrics, name, help, NULL), NULL);
}

static Metric *plain_histogram(Metrics *metrics, const char *name, const char *help) {
    return metric_series(metrics_histogram(metrics, name, help, NULL), NULL);
}

void engine_metrics_init(Engine *engine) {
    static const char *const event_labels[] = {"event", "priority", "source", NULL};
    static const char *const match_labels[] = {"rule", "event", "priority", "source", NULL};
    static const char *const action_labels[] = {"rule", "action", "actionner", "status", NULL};
    static const char *const output_labels[] = {"rule", "action", "target", "status", NULL};
    static const char *const actionner_labels[] = {"actionner", NULL};
    Metrics *metrics = engine->options.metrics;
    engine->metrics = (EngineMetrics){
        .events = metrics_counter(metrics, PREFIX "events_total", "Events received.", event_labels),
        .matches = metrics_counter(metrics, PREFIX "matches_total", "Events that a rule matched.", match_labels),
        .actions = metrics_counter(metrics, PREFIX "actions_total", "Results of actions.", action_labels),
        .outputs = metrics_counter(metrics, PREFIX "outputs_total", "Results of outputs.", output_labels),
        .action_seconds =
            metrics_histogram(metrics, "stoop_action_seconds", "Duration of an action.", actionner_labels),
        .duplicates =
            plain_counter(metrics, "stoop_duplicates_total", "Matched events left out because they repeat another."),
        .refused = plain_counter(metrics, "stoop_refused_total", "Matched events that could be neither kept nor run."),
        .unkept = plain_counter(metrics, "stoop_unkept_total", "Matched events that ran without being on disk."),
        .overdue =
            plain_counter(metrics, "stoop_overdue_actions_total", "Actions that did not return at their deadline."),
        .match_seconds = plain_histogram(metrics, "stoop_match_seconds", "Finding the rules of an event."),
        .reaction_seconds = plain_histogram(metrics, "stoop_reaction_seconds",
                                            "From an event's arrival to the end of its first action."),
    };
    metrics_gauge(metrics, "stoop_events_in_memory", "Events waiting or running.", gauge_events, engine);
    metrics_gauge(metrics, "stoop_events_in_memory_bytes", "Their size.", gauge_bytes, engine);
    metrics_gauge(metrics, "stoop_lanes", "Targets with events waiting or running.", gauge_lanes, engine);
    metrics_gauge(metrics, "stoop_workers", "Worker threads.", gauge_workers, engine);
    metrics_gauge(metrics, "stoop_workers_busy", "Worker threads that serve a lane.", gauge_busy, engine);
    metrics_gauge(metrics, "stoop_long_actions", "Long actions under way.", gauge_long_running, engine);
    metrics_gauge(metrics, "stoop_long_actions_waiting", "Lanes that wait for a long action's slot.",
                  gauge_long_waiting, engine);
    metrics_gauge(metrics, "stoop_backlog", "1 while events wait on disk only.", gauge_backlog, engine);
    metrics_gauge(metrics, "stoop_store_pending", "Events in the store that are not done.", gauge_store_pending,
                  engine);
    metrics_gauge(metrics, "stoop_store_queued", "Hand-overs waiting for the store's writer.", gauge_store_queued,
                  engine);
    metrics_gauge(metrics, "stoop_store_healthy", "1 while the store can write.", gauge_store_healthy, engine);
}
