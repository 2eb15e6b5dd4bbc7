// Events that wait on disk only: what was pending at the start, and what came while memory was full. While there are
// any, new events go to disk only too, so that each target's order holds; the house thread reads them back in the order
// of their ids, and never beyond an id whose commit is outstanding: it would miss that event.
#include "base/error.h"
#include "engine/engine_private.h"

#include <string.h>

enum { PAGE = 256 };

static const int64_t TICK_US = 5 * G_USEC_PER_SEC;
static const int64_t RETRY_US = G_USEC_PER_SEC;

static void trace_bytes(const char *hex, uint8_t bytes[16]) {
    memset(bytes, 0, 16);
    for (size_t i = 0; i < 32 && g_ascii_isxdigit(hex[i]); i++)
        bytes[i / 2] = (uint8_t)(bytes[i / 2] << 4 | g_ascii_xdigit_value(hex[i]));
}

// Brings one event back to its lane.
static void restore(Engine *engine, StorePending *pending) {
    const EngineOptions *options = &engine->options;
    uint8_t bytes[16];
    trace_bytes(pending->trace_id, bytes);
    g_autoptr(GError) error = NULL;
    g_autoptr(Event) event = event_parse(pending->body, pending->body_len, NULL, bytes, &error);
    if (!event) {
        log_text(options->log, LOG_ERROR, "event", "event %" G_GUINT64_FORMAT " of the store cannot be read: %s",
                 pending->id, error->message);
        store_done(options->store, pending->id);
        return;
    }
    g_autoptr(RuleSet) set = rules_holder_get(options->rules);
    const Rule *matches[ENGINE_MAX_MATCHES];
    size_t count = MIN(rule_set_match(set, event, matches, ENGINE_MAX_MATCHES), (size_t)ENGINE_MAX_MATCHES);
    if (count == 0) {
        report_event(engine, LOG_WARNING, event, "no rule matches it any more");
        store_done(options->store, pending->id);
        return;
    }
    Job *job = job_new(event, set, matches, (unsigned)count);
    job->id = pending->id;
    job->recorded = g_steal_pointer(&pending->recorded);
    mutex_lock(&engine->lock);
    engine->events++;
    engine->bytes += job->bytes;
    mutex_unlock(&engine->lock);
    lanes_wake(engine, lanes_push(engine, job));
}

// Reads the next page into the lanes. `lock` is held, and let go meanwhile.
static bool read_page(Engine *engine, GError **error) {
    uint64_t after = engine->backlog_after, upto = engine->committed_upto;
    size_t room = MIN(engine->options.max_events - engine->events, (size_t)PAGE);
    size_t bytes = engine->options.max_bytes - engine->bytes;
    mutex_unlock(&engine->lock);
    g_autoptr(GPtrArray) page = store_pending(engine->options.store, after, upto, room, bytes, error);
    uint64_t last = upto;
    for (guint i = 0; page && i < page->len; i++) {
        StorePending *pending = page->pdata[i];
        last = pending->id;
        restore(engine, pending);
        store_pending_free(pending);
        page->pdata[i] = NULL;
    }
    if (page) {
        g_ptr_array_set_free_func(page, NULL);
        g_ptr_array_set_size(page, 0);
    }
    mutex_lock(&engine->lock);
    if (page)
        engine->backlog_after = last;
    return page != NULL;
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
        int64_t now_us = clock_monotonic_us(clock_system());
        if (engine->backlog && engine->backlog_after >= engine->backlog_last) {
            leave_backlog(engine);
        } else if (engine->backlog && engine->backlog_after < engine->committed_upto && backlog_has_room(engine) &&
                   now_us >= retry_us) {
            g_autoptr(GError) error = NULL;
            if (!read_page(engine, &error)) {
                retry_us = now_us + RETRY_US;
                log_text(engine->options.log, LOG_ERROR, "event", "events on disk cannot be read: %s",
                         error ? error->message : "no reason given");
            }
        } else {
            int64_t until_us = retry_us > now_us ? retry_us : now_us + TICK_US;
            if (!cond_wait_until(&engine->house_cond, &engine->lock, until_us) && !engine->stopping) {
                mutex_unlock(&engine->lock);
                lanes_watch(engine);
                mutex_lock(&engine->lock);
            }
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
