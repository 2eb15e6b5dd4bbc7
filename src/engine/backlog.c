// Events that wait on disk only: what was pending at the start, and what came while memory was full. While there are
// any, new events go to disk only too, so that each target's order holds; the house thread reads them back in the order
// of their ids, and never beyond an id whose commit is outstanding: it would miss that event. A lane that has its share
// of the memory has a backlog of its own, so that the others need not wait for it.
#include "base/error.h"
#include "engine/engine_private.h"

#include <string.h>

enum { PAGE = 256, LANE_PAGE = 64, LANE_PAGE_BYTES = 1 << 20 };

static const int64_t TICK_US = G_USEC_PER_SEC;
static const int64_t RETRY_US = G_USEC_PER_SEC;

static void trace_bytes(const char *hex, uint8_t bytes[16]) {
    memset(bytes, 0, 16);
    for (size_t i = 0; i < 32 && g_ascii_isxdigit(hex[i]); i++)
        bytes[i / 2] = (uint8_t)(bytes[i / 2] << 4 | g_ascii_xdigit_value(hex[i]));
}

static Event *read_event(Engine *engine, const StorePending *pending) {
    uint8_t bytes[16];
    trace_bytes(pending->trace_id, bytes);
    g_autoptr(GError) error = NULL;
    Event *event = event_parse(pending->body, pending->body_len, NULL, bytes, &error);
    if (!event) {
        log_text(engine->options.log, LOG_ERROR, "event", "event %" G_GUINT64_FORMAT " of the store cannot be read: %s",
                 pending->id, error->message);
        store_done(engine->options.store, pending->id);
    }
    return event;
}

// NULL when the rules of today have nothing for it: then it is done.
static Job *make_job(Engine *engine, const Event *event, StorePending *pending) {
    g_autoptr(RuleSet) set = rules_holder_get(engine->options.rules);
    const Rule *matches[ENGINE_MAX_MATCHES];
    size_t count = MIN(rule_set_match(set, event, matches, ENGINE_MAX_MATCHES), (size_t)ENGINE_MAX_MATCHES);
    if (count == 0) {
        report_event(engine, LOG_WARNING, event, "no rule matches it any more");
        store_done(engine->options.store, pending->id);
        return NULL;
    }
    Job *job = job_new(event, set, matches, (unsigned)count);
    job->id = pending->id;
    job->recorded = g_steal_pointer(&pending->recorded);
    return job;
}

// Brings one event back to its lane, or leaves it to the lane's own backlog.
static void restore(Engine *engine, StorePending *pending) {
    g_autoptr(Event) event = read_event(engine, pending);
    Job *job = event ? make_job(engine, event, pending) : NULL;
    if (!job)
        return;
    LaneWake wake = {0};
    mutex_lock(&engine->lock);
    bool overflow = lanes_overflow(engine, job);
    if (overflow)
        lanes_defer(engine, job, job->id);
    else
        wake = lanes_push(engine, job);
    mutex_unlock(&engine->lock);
    lanes_wake(engine, wake);
    if (overflow)
        job_free(job);
}

static void free_page(GPtrArray *page) {
    for (guint i = 0; i < page->len; i++)
        store_pending_free(page->pdata[i]);
    g_ptr_array_set_free_func(page, NULL);
    g_ptr_array_unref(page);
}

// Reads the next page into the lanes. `lock` is held, and let go meanwhile.
static bool read_page(Engine *engine, GError **error) {
    uint64_t after = engine->backlog_after, upto = engine->committed_upto;
    size_t room = MIN(engine->options.max_events - engine->events, (size_t)PAGE);
    size_t bytes = engine->options.max_bytes - engine->bytes;
    mutex_unlock(&engine->lock);
    GPtrArray *page = store_pending(engine->options.store, after, upto, room, bytes, error);
    uint64_t last = upto;
    for (guint i = 0; page && i < page->len; i++) {
        last = ((StorePending *)page->pdata[i])->id;
        restore(engine, page->pdata[i]);
    }
    if (page)
        free_page(page);
    mutex_lock(&engine->lock);
    if (page)
        engine->backlog_after = last;
    return page != NULL;
}

// One event out of a lane's range: into the lane if it is the lane's. False when the lane or the memory is full.
static bool refill_with(Engine *engine, Lane *lane, StorePending *pending) {
    g_autoptr(Event) event = read_event(engine, pending);
    char scratch[640];
    g_autofree char *owned = NULL;
    const char *key = event ? lane_key(event, scratch, sizeof scratch, &owned) : NULL;
    if (!key || strcmp(key, lane->key) != 0)
        return true;
    Job *job = make_job(engine, event, pending);
    if (!job)
        return true;
    LaneWake wake = {0};
    mutex_lock(&engine->lock);
    bool fits = lane->length < engine->lane_share && backlog_has_room(engine);
    if (fits)
        wake = lanes_push(engine, job);
    mutex_unlock(&engine->lock);
    lanes_wake(engine, wake);
    if (!fits)
        job_free(job);
    return fits;
}

// Reads on for one lane. `lock` is held, and let go meanwhile; only this thread ends a lane's backlog, so the lane
// lives.
static bool refill(Engine *engine, Lane *lane, GError **error) {
    uint64_t after = lane->deep_after, upto = MIN(lane->deep_last, engine->committed_upto);
    mutex_unlock(&engine->lock);
    GPtrArray *page = store_pending(engine->options.store, after, upto, LANE_PAGE, LANE_PAGE_BYTES, error);
    uint64_t last = page && page->len == 0 ? upto : after;
    for (guint i = 0; page && i < page->len; i++) {
        StorePending *pending = page->pdata[i];
        if (!refill_with(engine, lane, pending))
            break;
        last = pending->id;
    }
    if (page)
        free_page(page);
    mutex_lock(&engine->lock);
    lane->deep_after = last;
    return page != NULL;
}

// Ends the lane's backlog, if no offer came in between. `lock` is held, and let go meanwhile.
static void leave_deep(Engine *engine, Lane *lane) {
    lane->refilling = true; // so that nobody queues it meanwhile
    mutex_unlock(&engine->lock);
    mutex_lock(&engine->accept);
    mutex_lock(&engine->lock);
    lane->refilling = false;
    if (lane->deep_after < lane->deep_last) {
        lanes_queue_refill(engine, lane);
    } else {
        lane->deep = false;
        engine->deep_lanes--;
        if (!lane->head)
            lanes_drop(engine, lane);
    }
    mutex_unlock(&engine->accept);
}

// One step for the first lane in the queue that can do one. False when none can, or the disk cannot be read.
static bool refill_step(Engine *engine, GError **error) {
    Lane *last = engine->refill_tail;
    for (Lane *lane; engine->refill_head;) {
        lane = lanes_pop_refill(engine);
        if (lane->deep_after >= lane->deep_last) {
            leave_deep(engine, lane);
            return true;
        }
        if (lane->deep_after < engine->committed_upto && backlog_has_room(engine)) {
            bool ok = refill(engine, lane, error);
            if (lane->length <= engine->lane_share / 2 || lane->deep_after >= lane->deep_last)
                lanes_queue_refill(engine, lane);
            return ok;
        }
        lanes_queue_refill(engine, lane);
        if (lane == last)
            break;
    }
    return false;
}

// Back to memory, if no offer came in between. `lock` is held, and let go meanwhile.
static void leave_backlog(Engine *engine) {
    mutex_unlock(&engine->lock);
    mutex_lock(&engine->accept);
    mutex_lock(&engine->lock);
    if (engine->backlog_after >= engine->backlog_last)
        engine->backlog = false;
    mutex_unlock(&engine->accept);
}

static void *house_main(void *data) {
    Engine *engine = data;
    int64_t retry_us = 0;
    mutex_lock(&engine->lock);
    while (!engine->stopping) {
        g_autoptr(GError) error = NULL;
        int64_t now_us = clock_monotonic_us(clock_system());
        bool worked = false, may_read = now_us >= retry_us;
        if (engine->backlog && engine->backlog_after >= engine->backlog_last) {
            leave_backlog(engine);
            worked = true;
        } else if (engine->backlog && may_read && engine->backlog_after < engine->committed_upto &&
                   backlog_has_room(engine)) {
            worked = read_page(engine, &error);
        }
        if (may_read && !error)
            worked |= refill_step(engine, &error);
        if (error) {
            retry_us = now_us + RETRY_US;
            log_text(engine->options.log, LOG_ERROR, "event", "events on disk cannot be read: %s", error->message);
        }
        if (worked || engine->stopping)
            continue;
        int64_t until_us = retry_us > now_us ? retry_us : now_us + TICK_US;
        if (!cond_wait_until(&engine->house_cond, &engine->lock, until_us) && !engine->stopping) {
            mutex_unlock(&engine->lock);
            lanes_watch(engine);
            mutex_lock(&engine->lock);
        }
    }
    mutex_unlock(&engine->lock);
    return NULL;
}

bool backlog_start(Engine *engine, GError **error) {
    Store *store = engine->options.store;
    uint64_t last = store_last_id(store);
    GPtrArray *first = store_pending(store, 0, last, 1, 1, error);
    if (!first)
        return false;
    engine->backlog = first->len > 0;
    engine->backlog_last = engine->committed_upto = last;
    StoreStats stats = {0};
    store_stats(store, &stats);
    if (engine->backlog)
        log_text(engine->options.log, LOG_INFO, "init", "takes up %zu events from before", stats.pending);
    for (guint i = 0; i < first->len; i++)
        store_pending_free(first->pdata[i]);
    g_ptr_array_set_free_func(first, NULL);
    g_ptr_array_unref(first);
    engine->house_started = thread_start(&engine->house, "stoop-backlog", 0, house_main, engine, error);
    return engine->house_started;
}

void backlog_stop(Engine *engine) {
    if (!engine->house_started)
        return;
    mutex_lock(&engine->lock);
    cond_broadcast(&engine->house_cond);
    mutex_unlock(&engine->lock);
    pthread_join(engine->house, NULL);
    engine->house_started = false;
}
