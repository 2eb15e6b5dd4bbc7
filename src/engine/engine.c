#include "engine/engine_private.h"

#include "base/error.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

// An event on its way into the store.
typedef struct {
    Engine *engine;
    StoreCommitted committed;
    void *user;
    EventKey key;
    bool keyed;   // has a mark in the window of duplicates
    bool to_disk; // is nowhere else
} Commit;

Engine *engine_new(const EngineOptions *options, GError **error) {
    Engine *engine = g_new0(Engine, 1);
    engine->options = *options;
    EngineOptions *own = &engine->options;
    own->workers = own->workers ? own->workers : 64;
    own->long_actions = own->long_actions ? own->long_actions : 32;
    own->max_events = own->max_events ? own->max_events : 8192;
    own->max_bytes = own->max_bytes ? own->max_bytes : 8 << 20;
    own->artifact_bytes = own->artifact_bytes > 0 ? own->artifact_bytes : (int64_t)1 << 30;
    // A share of 32 leaves room for 256 floods at once; of a small memory, at least something can be shared out.
    engine->lane_share = (unsigned)CLAMP(own->max_events / 256, (size_t)8, (size_t)1 << 20);
    mutex_init(&engine->accept);
    mutex_init(&engine->spawning);
    mutex_init(&engine->lock);
    mutex_init(&engine->names);
    cond_init(&engine->ended);
    cond_init(&engine->house_cond);
    engine->lanes = g_hash_table_new(g_str_hash, g_str_equal);
    engine->names_used = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    engine_metrics_init(engine);
    if (own->dedup_window_us > 0)
        engine->dedup = dedup_new(own->dedup_window_us, 0);
    bool ok = report_init(engine, error);
    if (ok && getrandom(engine->dedup_secret, sizeof engine->dedup_secret, 0) != sizeof engine->dedup_secret) {
        stoop_error_set_errno(error, errno, "no random bytes");
        ok = false;
    }
    ok = ok && lanes_start(engine, MIN(own->workers, (unsigned)ENGINE_MIN_WORKERS), error) &&
         backlog_start(engine, error);
    if (ok)
        return engine;
    engine_stop(engine, 0, INT64_MAX);
    engine_free(engine);
    return NULL;
}

// On the store's writer thread.
static void commit_ended(uint64_t id, const GError *error, void *user) {
    Commit *commit = user;
    Engine *engine = commit->engine;
    // An event that was to wait on disk and did not get there is lost: its sender is told, and may send it again.
    if (error && commit->to_disk && commit->keyed)
        dedup_forget(engine->dedup, commit->key);
    if (commit->committed)
        commit->committed(id, error, commit->user);
    g_free(commit);
    mutex_lock(&engine->lock);
    engine->committed_upto = MAX(engine->committed_upto, id);
    engine->commits_due--;
    if ((engine->backlog || engine->refill_head) && backlog_has_room(engine))
        cond_signal(&engine->house_cond);
    if (engine->stopping && engine->commits_due == 0)
        cond_broadcast(&engine->ended);
    mutex_unlock(&engine->lock);
}

static void count_event(const Engine *engine, const Event *event) {
    metric_add(metric_series(engine->metrics.events,
                             (const char *const[]){event->rule, priority_name(event->priority), event->source}),
               1);
}

static void count_matches(const Engine *engine, const Event *event, const Rule *const *matches, unsigned count) {
    for (unsigned i = 0; i < count; i++)
        metric_add(metric_series(engine->metrics.matches,
                                 (const char *const[]){matches[i]->name, event->rule, priority_name(event->priority),
                                                       event->source}),
                   1);
}

// To the store and to its lane, or to the store alone. Ids, lanes and the backlog's bounds come in one order for all
// offerers, because `accept` is held; workers never wait for it.
static EngineVerdict hand_over(Engine *engine, Job *job, Commit *commit) {
    LaneWake wake = {0};
    EngineVerdict verdict = ENGINE_REFUSED;
    mutex_lock(&engine->accept);
    mutex_lock(&engine->lock);
    bool stopping = engine->stopping;
    bool to_disk = engine->backlog;
    if (engine->events > 0) // an event larger than the whole limit still runs, alone
        to_disk |=
            engine->events >= engine->options.max_events || engine->bytes + job->bytes > engine->options.max_bytes;
    bool deep = !to_disk && lanes_overflow(engine, job);
    engine->commits_due += !stopping;
    mutex_unlock(&engine->lock);

    uint64_t id = 0;
    bool wake_store = false;
    if (!stopping) {
        commit->to_disk = to_disk || deep;
        id = store_accept_unwoken(engine->options.store, job->event, commit_ended, commit, &wake_store);
    }

    mutex_lock(&engine->lock);
    if (!stopping && id == 0) {
        engine->commits_due--;
        if (engine->stopping && engine->commits_due == 0)
            cond_broadcast(&engine->ended);
    }
    if (!stopping && !to_disk && !deep) {
        job->id = id;
        wake = lanes_push(engine, g_steal_pointer(&job));
        verdict = id > 0 ? ENGINE_ACCEPTED : ENGINE_UNKEPT;
    } else if (id > 0) {
        if (deep) {
            lanes_defer(engine, job, id);
        } else {
            if (!engine->backlog)
                engine->backlog_after = id - 1;
            engine->backlog = true;
            engine->backlog_last = id;
        }
        if (backlog_has_room(engine))
            cond_signal(&engine->house_cond);
        verdict = ENGINE_ACCEPTED;
    }
    mutex_unlock(&engine->lock);
    mutex_unlock(&engine->accept);
    // The action first: the sender waits for the disk anyway.
    lanes_wake(engine, wake);
    if (wake_store)
        store_wake(engine->options.store);
    if (job)
        job_free(job);
    if (id == 0)
        g_free(commit);
    return verdict;
}

EngineVerdict engine_offer(Engine *engine, const Event *event, StoreCommitted committed, void *user) {
    const EngineOptions *options = &engine->options;
    int64_t now_us = clock_monotonic_us(options->clock);
    g_autoptr(RuleSet) set = rules_holder_get(options->rules);
    const Rule *matches[ENGINE_MAX_MATCHES];
    size_t found = rule_set_match(set, event, matches, ENGINE_MAX_MATCHES);
    metric_observe_us(engine->metrics.match_seconds, clock_monotonic_us(options->clock) - now_us);
    count_event(engine, event);
    if (found == 0) {
        if (options->print_all_events)
            report_event(engine, LOG_INFO, event, NULL);
        return ENGINE_UNMATCHED;
    }
    unsigned count = (unsigned)MIN(found, (size_t)ENGINE_MAX_MATCHES);
    if (found > count)
        log_text(options->log, LOG_WARNING, "match", "the event of trace %s matches %zu rules: only the first %u run",
                 event->trace_id, found, count);

    EventKey key = {0};
    if (engine->dedup) {
        key = event_dedup_key(event, options->volatile_fields, engine->dedup_secret);
        if (!dedup_mark(engine->dedup, key, now_us)) {
            metric_add(engine->metrics.duplicates, 1);
            report_event(engine, LOG_DEBUG, event, "duplicate");
            return ENGINE_DUPLICATE;
        }
    }
    Commit *commit = g_new(Commit, 1);
    *commit =
        (Commit){.engine = engine, .committed = committed, .user = user, .key = key, .keyed = engine->dedup != NULL};
    Job *job = job_new(event, set, matches, count);
    job->offered_us = now_us;
    EngineVerdict verdict = hand_over(engine, job, commit);
    if (verdict == ENGINE_REFUSED) {
        if (engine->dedup)
            dedup_forget(engine->dedup, key);
        metric_add(engine->metrics.refused, 1);
        report_event(engine, LOG_ERROR, event, "refused");
        return verdict;
    }
    if (verdict == ENGINE_UNKEPT)
        metric_add(engine->metrics.unkept, 1);
    count_matches(engine, event, matches, count);
    return verdict;
}

bool engine_stop(Engine *engine, int64_t deadline_us, int64_t last_us) {
    if (engine->stopped)
        return true;
    mutex_lock(&engine->accept);
    mutex_lock(&engine->lock);
    engine->stopping = true;
    mutex_unlock(&engine->lock);
    mutex_unlock(&engine->accept);
    backlog_stop(engine);
    if (!lanes_stop(engine, deadline_us, last_us))
        return false;
    mutex_lock(&engine->lock);
    while (engine->commits_due > 0 && clock_monotonic_us(clock_system()) < last_us)
        cond_wait_until(&engine->ended, &engine->lock, last_us);
    bool kept = engine->commits_due == 0;
    mutex_unlock(&engine->lock);
    if (!kept)
        return false;
    unsigned unkept = lanes_clear(engine);
    if (unkept > 0)
        log_text(engine->options.log, LOG_ERROR, "init", "%u events that were not on disk are lost", unkept);
    mutex_lock(&engine->lock);
    engine->stopped = true;
    mutex_unlock(&engine->lock);
    return true;
}

void engine_free(Engine *engine) {
    if (!engine)
        return;
    lanes_free(engine);
    dedup_free(engine->dedup);
    g_hash_table_destroy(engine->lanes);
    g_hash_table_destroy(engine->names_used);
    cond_destroy(&engine->ended);
    cond_destroy(&engine->house_cond);
    mutex_destroy(&engine->accept);
    mutex_destroy(&engine->spawning);
    mutex_destroy(&engine->lock);
    mutex_destroy(&engine->names);
    g_free(engine->default_notifiers);
    g_free(engine);
}

void engine_stats(Engine *engine, EngineStats *stats) {
    mutex_lock(&engine->lock);
    *stats = (EngineStats){
        .events = engine->events,
        .bytes = engine->bytes,
        .lanes = engine->lane_count,
        .workers = engine->threads,
        .busy = engine->busy,
        .long_running = engine->slots,
        .long_waiting = engine->parked.length,
        .backlog = engine->backlog || engine->deep_lanes > 0,
    };
    mutex_unlock(&engine->lock);
}
