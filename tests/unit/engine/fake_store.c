#include "fake_store.h"

#include "base/error.h"
#include "base/thread.h"

#include <string.h>

typedef struct {
    uint64_t id;
    Event *event;
    StoreCommitted committed;
    void *user;
    bool on_disk, failed, done;
    GPtrArray *recorded;
} Item;

struct Store {
    pthread_t writer;
};

static struct {
    Mutex lock;
    Cond changed;
    GPtrArray *items; // by id
    bool hold, refuse, closing;
    GString *reads;
} fake;

static void __attribute__((constructor)) fake_init(void) {
    mutex_init(&fake.lock);
    cond_init(&fake.changed);
    fake.items = g_ptr_array_new();
    fake.reads = g_string_new("");
}

const char *result_status_name(ResultStatus status) {
    static const char *const names[] = {"success", "failure", "ignored", "dry_run", "stale"};
    return names[status];
}

static Item *next_uncommitted(void) {
    for (guint i = 0; i < fake.items->len; i++) {
        Item *item = fake.items->pdata[i];
        if (!item->on_disk && !item->failed)
            return item;
    }
    return NULL;
}

static void commit(Item *item, bool fail) { // with the lock held, let go for the callback
    item->on_disk = !fail;
    item->failed = fail;
    mutex_unlock(&fake.lock);
    g_autoptr(GError) error = fail ? g_error_new(STOOP_ERROR, STOOP_ERROR_NO_SPACE, "the disk is full") : NULL;
    item->committed(item->id, error, item->user);
    mutex_lock(&fake.lock);
}

static void *write_all(void *data) {
    mutex_lock(&fake.lock);
    for (;;) {
        Item *item = fake.hold && !fake.closing ? NULL : next_uncommitted();
        if (item)
            commit(item, false);
        else if (fake.closing)
            break;
        else
            cond_wait(&fake.changed, &fake.lock);
    }
    mutex_unlock(&fake.lock);
    return NULL;
}

void fake_store_hold(bool hold) {
    mutex_lock(&fake.lock);
    fake.hold = hold;
    cond_broadcast(&fake.changed);
    mutex_unlock(&fake.lock);
}

void fake_store_commit(uint64_t upto, bool fail) {
    mutex_lock(&fake.lock);
    for (Item *item; (item = next_uncommitted()) && item->id <= upto;)
        commit(item, fail);
    mutex_unlock(&fake.lock);
}

void fake_store_refuse(bool refuse) {
    mutex_lock(&fake.lock);
    fake.refuse = refuse;
    mutex_unlock(&fake.lock);
}

char *fake_store_read_log(void) {
    mutex_lock(&fake.lock);
    char *copy = g_strdup(fake.reads->str);
    mutex_unlock(&fake.lock);
    return copy;
}

Store *store_open(const StoreOptions *options, GError **error) {
    Store *store = g_new0(Store, 1);
    fake.closing = fake.hold = fake.refuse = false;
    g_string_truncate(fake.reads, 0);
    g_assert_true(thread_start(&store->writer, "fake-store", 0, write_all, NULL, error));
    return store;
}

// Empty afterwards: it is memory.
void store_close(Store *store) {
    mutex_lock(&fake.lock);
    fake.closing = true;
    cond_broadcast(&fake.changed);
    mutex_unlock(&fake.lock);
    pthread_join(store->writer, NULL);
    g_free(store);
    for (guint i = 0; i < fake.items->len; i++) {
        event_unref(((Item *)fake.items->pdata[i])->event);
        g_ptr_array_unref(((Item *)fake.items->pdata[i])->recorded);
        g_free(fake.items->pdata[i]);
    }
    g_ptr_array_set_size(fake.items, 0);
}

void store_wake(Store *store) {
}

uint64_t store_accept_unwoken(Store *store, const Event *event, StoreCommitted committed, void *user, bool *wake) {
    *wake = false;
    mutex_lock(&fake.lock);
    uint64_t id = 0;
    if (!fake.refuse) {
        Item *item = g_new0(Item, 1);
        *item = (Item){.id = fake.items->len + 1, .event = event_ref(event), .committed = committed, .user = user};
        item->recorded = g_ptr_array_new_with_free_func(g_free);
        g_ptr_array_add(fake.items, item);
        id = item->id;
        cond_broadcast(&fake.changed);
    }
    mutex_unlock(&fake.lock);
    return id;
}

void store_result(Store *store, uint64_t id, const StoreResult *result) {
    mutex_lock(&fake.lock);
    g_ptr_array_add(
        ((Item *)fake.items->pdata[id - 1])->recorded,
        g_strdup_printf("%u%s:%s", result->action_index, result->status == RESULT_FAILURE ? "!" : "", result->rule));
    mutex_unlock(&fake.lock);
}

void store_done(Store *store, uint64_t id) {
    mutex_lock(&fake.lock);
    ((Item *)fake.items->pdata[id - 1])->done = true;
    mutex_unlock(&fake.lock);
}

void store_pending_free(StorePending *pending) {
    g_free(pending->body);
    if (pending->recorded)
        g_ptr_array_unref(pending->recorded);
    g_free(pending);
}

GPtrArray *store_pending(Store *store, uint64_t after, uint64_t upto, size_t limit, size_t max_bytes, GError **error) {
    GPtrArray *page = g_ptr_array_new();
    mutex_lock(&fake.lock);
    g_string_append_printf(fake.reads, "%" G_GUINT64_FORMAT "-%" G_GUINT64_FORMAT " ", after, upto);
    for (guint i = 0; i < fake.items->len && page->len < limit; i++) {
        const Item *item = fake.items->pdata[i];
        if (item->id <= after || item->id > upto || !item->on_disk || item->done)
            continue;
        StorePending *pending = g_new0(StorePending, 1);
        pending->id = item->id;
        pending->body = g_memdup2(item->event->body, item->event->body_len + 1);
        pending->body_len = item->event->body_len;
        g_strlcpy(pending->trace_id, item->event->trace_id, sizeof pending->trace_id);
        pending->recorded = g_ptr_array_new_with_free_func(g_free);
        for (guint j = 0; j < item->recorded->len; j++)
            g_ptr_array_add(pending->recorded, g_strdup(item->recorded->pdata[j]));
        g_ptr_array_add(page, pending);
    }
    mutex_unlock(&fake.lock);
    return page;
}

uint64_t store_last_id(Store *store) {
    mutex_lock(&fake.lock);
    uint64_t last = fake.items->len;
    mutex_unlock(&fake.lock);
    return last;
}

void store_stats(Store *store, StoreStats *stats) {
    *stats = (StoreStats){.healthy = true};
    mutex_lock(&fake.lock);
    for (guint i = 0; i < fake.items->len; i++) {
        const Item *item = fake.items->pdata[i];
        stats->pending += !item->done && !item->failed;
    }
    mutex_unlock(&fake.lock);
}
