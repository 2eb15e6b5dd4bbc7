// The store's doors: opening, closing, and handing over to the writer.
#include "store/store_private.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_TEXT 4096
// What may wait while the disk is full: results first give way, dones are small.
#define MAX_RESULT_BYTES (8 * 1024 * 1024)
#define MAX_DONE_BYTES (24 * 1024 * 1024)
#define FULL_BATCH 1024 // items that nobody waits for, after which lingering ends early

const char *result_status_name(ResultStatus status) {
    static const char *const names[] = {"success", "failure", "ignored", "dry_run", "stale"};
    return (unsigned)status < G_N_ELEMENTS(names) ? names[status] : "";
}

void item_free(Item *item) {
    if (item->kind == ITEM_ACCEPT)
        event_unref(item->accept.event);
    g_free(item);
}

void item_queue_init(ItemQueue *queue) {
    *queue = (ItemQueue){.first = NULL};
    queue->last = &queue->first;
}

void item_queue_push(ItemQueue *queue, Item *item) {
    item->next = NULL;
    *queue->last = item;
    queue->last = &item->next;
    queue->count++;
    queue->accepts += item->kind == ITEM_ACCEPT;
    queue->bytes += item->size;
    queue->small_bytes += item->kind == ITEM_ACCEPT ? 0 : item->size;
}

Item *item_queue_pop(ItemQueue *queue) {
    Item *item = queue->first;
    if (!item)
        return NULL;
    queue->first = item->next;
    if (!queue->first)
        queue->last = &queue->first;
    queue->count--;
    queue->accepts -= item->kind == ITEM_ACCEPT;
    queue->bytes -= item->size;
    queue->small_bytes -= item->kind == ITEM_ACCEPT ? 0 : item->size;
    return item;
}

void item_queue_push_front(ItemQueue *queue, ItemQueue *front) {
    if (!front->first)
        return;
    *front->last = queue->first;
    if (!queue->first)
        queue->last = front->last;
    queue->first = front->first;
    queue->count += front->count;
    queue->accepts += front->accepts;
    queue->bytes += front->bytes;
    queue->small_bytes += front->small_bytes;
    item_queue_init(front);
}

static bool make_folder(const char *path, GError **error) {
    g_autofree char *folder = g_path_get_dirname(path);
    if (g_mkdir_with_parents(folder, 0700) == 0)
        return true;
    stoop_error_set_errno(error, errno, "cannot make the store's folder %s", folder);
    return false;
}

// Made here, so that SQLite makes nothing with wider rights; its log and index take this file's.
static bool make_file(const char *path, GError **error) {
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        stoop_error_set_errno(error, errno, "cannot open the store %s", path);
        return false;
    }
    bool ours = fchmod(fd, 0600) == 0;
    int err = errno;
    close(fd);
    if (!ours) {
        stoop_error_set_errno(error, err, "cannot take the store %s for ourselves alone (mode 0600)", path);
        return false;
    }
    return true;
}

// Held while the store is open; the kernel lets go of it when the process ends in whatever way.
static bool take_lock(Store *store, GError **error) {
    g_autofree char *path = g_strconcat(store->path, ".lock", NULL);
    store->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (store->lock_fd < 0) {
        stoop_error_set_errno(error, errno, "cannot open the store's lock %s", path);
        return false;
    }
    if (flock(store->lock_fd, LOCK_EX | LOCK_NB) == 0) {
        // It only serves the message below; a full disk may have no room for it.
        char pid[32];
        int len = g_snprintf(pid, sizeof pid, "%-10ld\n", (long)getpid());
        ssize_t noted G_GNUC_UNUSED = pwrite(store->lock_fd, pid, (size_t)len, 0);
        return true;
    }
    if (errno != EWOULDBLOCK) {
        stoop_error_set_errno(error, errno, "cannot lock the store %s", path);
        return false;
    }
    char holder[32] = "";
    ssize_t len = pread(store->lock_fd, holder, sizeof holder - 1, 0);
    holder[len > 0 ? len : 0] = '\0';
    g_strstrip(holder);
    g_set_error(error, STOOP_ERROR, STOOP_ERROR_CONFLICT,
                "the store %s is in use by another process%s%s: each Stoop needs a store.path of its own", store->path,
                holder[0] ? ", " : "", holder);
    return false;
}

static bool start(Store *store, GError **error) {
    if (!make_folder(store->path, error) || !take_lock(store, error) || !make_file(store->path, error) ||
        !store_prepare(store, error))
        return false;
    store->checkpoint_db = store_connect(store->path, false, 64, error);
    store->reader_db = store->checkpoint_db ? store_connect(store->path, true, 256, error) : NULL;
    if (!store->reader_db)
        return false;
    store->has_writer = thread_start(&store->writer, "store", 256, store_writer_run, store, error);
    store->has_checkpoint =
        store->has_writer && thread_start(&store->checkpoint, "checkpoint", 256, store_checkpoint_run, store, error);
    return store->has_checkpoint;
}

Store *store_open(const StoreOptions *options, GError **error) {
    Store *store = g_new0(Store, 1);
    store->path = g_strdup(options->path);
    store->lock_fd = -1;
    store->max_pending = options->max_pending ? options->max_pending : 1000000;
    store->max_queue = options->max_queue ? options->max_queue : 16384;
    store->max_queue_bytes = MAX(store->max_queue * 4096, (size_t)4 * 1024 * 1024);
    store->history_events = options->history_events > 0 ? options->history_events : 100000;
    store->clock = options->clock;
    store->health_changed = options->health_changed;
    store->user = options->user;
    store->healthy = true;
    mutex_init(&store->lock);
    cond_init(&store->wake_writer);
    cond_init(&store->wake_checkpoint);
    item_queue_init(&store->queue);
    if (start(store, error))
        return store;
    store_close(store);
    return NULL;
}

static void stop_threads(Store *store) {
    mutex_lock(&store->lock);
    store->stopping = true;
    cond_signal(&store->wake_writer);
    mutex_unlock(&store->lock);
    if (store->has_writer)
        pthread_join(store->writer, NULL);
    mutex_lock(&store->lock);
    store->checkpoint_stopping = true;
    cond_signal(&store->wake_checkpoint);
    mutex_unlock(&store->lock);
    if (store->has_checkpoint)
        pthread_join(store->checkpoint, NULL);
}

void store_close(Store *store) {
    if (!store)
        return;
    stop_threads(store);
    for (Item *item; (item = item_queue_pop(&store->queue));)
        item_free(item); // only what the disk would not take
    g_clear_pointer(&store->reader_db, sqlite3_close);
    g_clear_pointer(&store->checkpoint_db, sqlite3_close);
    store_disconnect(store);
    if (store->lock_fd >= 0)
        close(store->lock_fd);
    cond_destroy(&store->wake_writer);
    cond_destroy(&store->wake_checkpoint);
    mutex_destroy(&store->lock);
    g_free(store->path);
    g_free(store);
}

uint64_t store_accept(Store *store, const Event *event, StoreCommitted committed, void *user) {
    bool wake = false;
    uint64_t id = store_accept_unwoken(store, event, committed, user, &wake);
    if (wake)
        store_wake(store);
    return id;
}

void store_wake(Store *store) {
    cond_signal(&store->wake_writer);
}

uint64_t store_accept_unwoken(Store *store, const Event *event, StoreCommitted committed, void *user, bool *wake) {
    Item *item = g_malloc(sizeof(Item));
    item->kind = ITEM_ACCEPT;
    item->size = sizeof(Item) + event->memory;
    item->accept.event = event_ref(event);
    item->accept.committed = committed;
    item->accept.user = user;
    item->accept.accepted_ns = clock_realtime_ns(store->clock);

    mutex_lock(&store->lock);
    bool refused = !store->healthy || store->stopping || store->queue.count >= store->max_queue ||
                   store->queue.bytes >= store->max_queue_bytes || store->pending >= store->max_pending;
    uint64_t id = 0;
    if (!refused) {
        id = item->id = ++store->last_id;
        store->pending++;
        item_queue_push(&store->queue, item);
    }
    *wake = !refused && store->writer_state != WRITER_BUSY;
    mutex_unlock(&store->lock);
    if (refused)
        item_free(item);
    return id;
}

// For what nobody waits for: the writer is only woken when it sleeps without a time to get up.
static void hand_over(Store *store, Item *item, size_t max_bytes) {
    mutex_lock(&store->lock);
    bool fits = store->queue.small_bytes + item->size <= max_bytes;
    if (fits)
        item_queue_push(&store->queue, item);
    bool wake = fits && (store->writer_state == WRITER_IDLE ||
                         (store->writer_state == WRITER_LINGERING && store->queue.count == FULL_BATCH));
    mutex_unlock(&store->lock);
    if (wake)
        cond_signal(&store->wake_writer);
    if (!fits)
        item_free(item);
}

static const char *keep_text(char **to, const char *text, size_t len) {
    char *kept = *to;
    memcpy(kept, text, len);
    kept[len] = '\0';
    *to += len + 1;
    return kept;
}

static size_t text_length(const char *text) {
    size_t len = strnlen(text, MAX_TEXT + 1);
    if (len <= MAX_TEXT)
        return len;
    len = MAX_TEXT;
    while (len > MAX_TEXT - 4 && ((unsigned char)text[len] & 0xc0) == 0x80)
        len--;
    return len;
}

void store_result(Store *store, uint64_t id, const StoreResult *result) {
    const char *texts[] = {result->rule, result->action, result->actionner, result->part, result->text};
    size_t lengths[G_N_ELEMENTS(texts)], total = 0;
    for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++) {
        texts[i] = texts[i] ? texts[i] : "";
        lengths[i] = text_length(texts[i]);
        total += lengths[i] + 1;
    }
    Item *item = g_malloc(sizeof(Item) + total);
    item->kind = ITEM_RESULT;
    item->id = id;
    item->size = sizeof(Item) + total;
    item->result.action_index = result->action_index;
    item->result.status = result->status;
    item->result.duration_us = result->duration_us;
    item->result.recorded_ns = clock_realtime_ns(store->clock);
    char *to = item->strings;
    item->result.rule = keep_text(&to, texts[0], lengths[0]);
    item->result.action = keep_text(&to, texts[1], lengths[1]);
    item->result.actionner = keep_text(&to, texts[2], lengths[2]);
    item->result.part = keep_text(&to, texts[3], lengths[3]);
    item->result.text = keep_text(&to, texts[4], lengths[4]);
    hand_over(store, item, MAX_RESULT_BYTES);
}

void store_done(Store *store, uint64_t id) {
    Item *item = g_malloc(sizeof(Item));
    item->kind = ITEM_DONE;
    item->id = id;
    item->size = sizeof(Item);
    item->done_ns = clock_realtime_ns(store->clock);
    hand_over(store, item, MAX_DONE_BYTES);
}

uint64_t store_last_id(Store *store) {
    mutex_lock(&store->lock);
    uint64_t id = store->last_id;
    mutex_unlock(&store->lock);
    return id;
}

void store_stats(Store *store, StoreStats *stats) {
    mutex_lock(&store->lock);
    *stats = (StoreStats){
        .healthy = store->healthy,
        .pending = store->pending,
        .queued = store->queue.count,
        .commits = store->commits,
        .events = store->events,
        .results = store->results,
        .last_commit_us = store->last_commit_us,
    };
    mutex_unlock(&store->lock);
}
