// What the store's tests share: a folder of their own, events, and waiting for commits.
#pragma once

#include "base/error.h"
#include "base/thread.h"
#include "store/store.h"

#include <glib/gstdio.h>
#include <string.h>

typedef struct {
    char *folder, *path;
    Store *store;
    StoreOptions options;
    Mutex lock;
    Cond changed;
    unsigned committed, failed;
    uint64_t last_committed;
    int last_code;
    unsigned ill, well; // calls of health_changed
    int ill_code;
} Fixture;

static inline void fixture_health(const GError *error, void *user) {
    Fixture *f = user;
    mutex_lock(&f->lock);
    if (error) {
        f->ill++;
        f->ill_code = error->code;
    } else {
        f->well++;
    }
    cond_broadcast(&f->changed);
    mutex_unlock(&f->lock);
}

static inline void fixture_committed(uint64_t id, const GError *error, void *user) {
    Fixture *f = user;
    mutex_lock(&f->lock);
    if (error) {
        f->failed++;
        f->last_code = error->code;
    } else {
        f->committed++;
        f->last_committed = id;
    }
    cond_broadcast(&f->changed);
    mutex_unlock(&f->lock);
}

static inline void fixture_open(Fixture *f) {
    g_autoptr(GError) error = NULL;
    f->store = store_open(&f->options, &error);
    g_assert_no_error(error);
    g_assert_nonnull(f->store);
}

static inline void fixture_reopen(Fixture *f) {
    store_close(f->store);
    fixture_open(f);
}

static inline void fixture_begin(Fixture *f) {
    memset(f, 0, sizeof *f);
    f->folder = g_dir_make_tmp("stoop-store-XXXXXX", NULL);
    g_assert_nonnull(f->folder);
    f->path = g_build_filename(f->folder, "sub", "store.db", NULL);
    mutex_init(&f->lock);
    cond_init(&f->changed);
    f->options = (StoreOptions){.path = f->path, .clock = clock_system(), .health_changed = fixture_health, .user = f};
}

static inline void fixture_end(Fixture *f) {
    store_close(f->store);
    static const char *const ends[] = {"", "-wal", "-shm", ".lock", "-journal"};
    for (unsigned i = 0; i < G_N_ELEMENTS(ends); i++) {
        g_autofree char *name = g_strconcat(f->path, ends[i], NULL);
        g_unlink(name);
    }
    g_autofree char *sub = g_path_get_dirname(f->path);
    g_rmdir(sub);
    g_assert_cmpint(g_rmdir(f->folder), ==, 0);
    g_free(f->path);
    g_free(f->folder);
    cond_destroy(&f->changed);
    mutex_destroy(&f->lock);
}

static inline Event *event_numbered(unsigned number) {
    static const uint8_t random16[16] = {7};
    g_autofree char *body = g_strdup_printf("{\"rule\":\"r\",\"output_fields\":{\"n\":%u}}", number);
    g_autoptr(GError) error = NULL;
    Event *event = event_parse(body, strlen(body), NULL, random16, &error);
    g_assert_no_error(error);
    return event;
}

static inline uint64_t accept_numbered(Fixture *f, unsigned number) {
    g_autoptr(Event) event = event_numbered(number);
    return store_accept(f->store, event, fixture_committed, f);
}

#define FIXTURE_WAIT_US (20 * 1000000)

// Waits until so many accepts were answered in either way.
static inline void wait_answers(Fixture *f, unsigned answers) {
    int64_t deadline = clock_monotonic_us(clock_system()) + FIXTURE_WAIT_US;
    mutex_lock(&f->lock);
    while (f->committed + f->failed < answers)
        g_assert_true(cond_wait_until(&f->changed, &f->lock, deadline));
    mutex_unlock(&f->lock);
}

static inline void record(Fixture *f, uint64_t id, unsigned action, const char *rule, const char *part) {
    StoreResult result = {.rule = rule,
                          .action_index = action,
                          .action = "a",
                          .actionner = "kubernetes:terminate",
                          .part = part,
                          .status = RESULT_SUCCESS,
                          .text = "text",
                          .duration_us = 5};
    store_result(f->store, id, &result);
}

static inline GPtrArray *pending_of(Fixture *f) {
    g_autoptr(GError) error = NULL;
    GPtrArray *pending = store_pending(f->store, 0, UINT64_MAX, 1000000, SIZE_MAX, &error);
    g_assert_no_error(error);
    g_assert_nonnull(pending);
    return pending;
}

// Waits until the number of commits has risen: results and dones have no callback.
static inline void wait_stats(Fixture *f, bool (*enough)(const StoreStats *stats, uint64_t n), uint64_t n) {
    int64_t deadline = clock_monotonic_us(clock_system()) + FIXTURE_WAIT_US;
    StoreStats stats;
    for (;;) {
        store_stats(f->store, &stats);
        if (enough(&stats, n))
            return;
        g_assert_cmpint(clock_monotonic_us(clock_system()), <, deadline);
        g_usleep(1000);
    }
}
