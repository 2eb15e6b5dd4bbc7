// The writer's thread: when to commit, whom to tell, and what to do while the disk takes nothing.
#include "store/store_private.h"

#include "base/error.h"

#define LINGER_US 20000  // results wait this long for an accept to ride along with
#define RETRY_US 1000000 // while the disk takes nothing
#define FULL_BATCH 1024  // items that end lingering
#define MAX_ITEMS 4096   // of one commit
#define MAX_BYTES (4 * 1024 * 1024)
// The log is copied in steps: large ones for little work, small ones under load, where a large one would keep the disk
// from the next commits.
#define CHECKPOINT_FRAMES 1024
#define CHECKPOINT_FRAMES_LOADED 256
#define LOADED_US 500000 // since the last copy

static int64_t now_us(void) {
    return clock_monotonic_us(clock_system());
}

// Returns when something is to be written: an accept at once, everything else within LINGER_US. Called and left with
// the lock held.
static void wait_for_work(Store *store) {
    while (!store->stopping) {
        int64_t now = now_us();
        if (!store->healthy) {
            if (now >= store->retry_at_us)
                break;
            cond_wait_until(&store->wake_writer, &store->lock, store->retry_at_us);
            continue;
        }
        if (store->queue.accepts > 0 || store->queue.count >= FULL_BATCH)
            break;
        if (now < store->linger_until_us) {
            store->writer_state = WRITER_LINGERING;
            cond_wait_until(&store->wake_writer, &store->lock, store->linger_until_us);
            continue;
        }
        if (store->queue.count > 0)
            break;
        store->writer_state = WRITER_IDLE;
        cond_wait(&store->wake_writer, &store->lock);
        store->linger_until_us = now_us() + LINGER_US;
    }
    store->writer_state = WRITER_BUSY;
}

static void take_batch(Store *store, ItemQueue *batch) {
    item_queue_init(batch);
    while (store->queue.first && batch->count < MAX_ITEMS && batch->bytes < MAX_BYTES)
        item_queue_push(batch, item_queue_pop(&store->queue));
}

static void finish(ItemQueue *batch, const GError *error) {
    for (Item *item; (item = item_queue_pop(batch));) {
        if (item->kind == ITEM_ACCEPT && item->accept.committed)
            item->accept.committed(item->id, error, item->accept.user);
        item_free(item);
    }
}

static void tell_health(Store *store, const GError *error) {
    if (store->health_changed)
        store->health_changed(error, store->user);
}

static void written_well(Store *store, ItemQueue *batch, const StoreWritten *written, int64_t took_us) {
    mutex_lock(&store->lock);
    bool recovered = !store->healthy;
    store->healthy = true;
    store->commits++;
    store->events += written->accepts;
    store->results += written->results;
    store->pending -= MIN(written->dones, store->pending);
    store->last_commit_us = took_us;
    store->wal_frames = store->hook_frames;
    if (store->wal_copied > store->wal_frames)
        store->wal_copied = 0; // the log has started over
    bool loaded = now_us() - store->copied_at_us < LOADED_US;
    int step = loaded ? CHECKPOINT_FRAMES_LOADED : CHECKPOINT_FRAMES;
    if (store->wal_frames - store->wal_copied >= step && !store->checkpointing) {
        store->checkpoint_wanted = true;
        cond_signal(&store->wake_checkpoint);
    }
    mutex_unlock(&store->lock);
    if (recovered)
        tell_health(store, NULL);
    finish(batch, NULL);
}

// Accepts are given back to their senders, who can still do something; results and dones wait for a better time.
static void written_badly(Store *store, ItemQueue *batch, const GError *error) {
    ItemQueue refused, kept;
    item_queue_init(&refused);
    item_queue_init(&kept);
    for (Item *item; (item = item_queue_pop(batch));)
        item_queue_push(item->kind == ITEM_ACCEPT ? &refused : &kept, item);
    mutex_lock(&store->lock);
    bool fell_ill = store->healthy;
    store->healthy = false;
    store->retry_at_us = now_us() + RETRY_US;
    for (Item *item; (item = item_queue_pop(&store->queue));)
        item_queue_push(item->kind == ITEM_ACCEPT ? &refused : &kept, item);
    item_queue_push_front(&store->queue, &kept);
    store->pending -= MIN(refused.count, store->pending);
    mutex_unlock(&store->lock);
    if (fell_ill)
        tell_health(store, error);
    finish(&refused, error);
}

void *store_writer_run(void *argument) {
    Store *store = argument;
    for (;;) {
        ItemQueue batch;
        mutex_lock(&store->lock);
        wait_for_work(store);
        bool last = store->stopping;
        take_batch(store, &batch);
        mutex_unlock(&store->lock);
        if (last && batch.count == 0)
            return NULL;

        g_autoptr(GError) error = NULL;
        StoreWritten written;
        int64_t start = now_us();
        bool ok = store_write(store, &batch, &written, &error);
        int64_t end = now_us();
        store->linger_until_us = end + LINGER_US;
        if (ok) {
            written_well(store, &batch, &written, end - start);
            store_checkpoint_from_writer(store);
        } else {
            written_badly(store, &batch, error);
            if (last)
                return NULL;
        }
    }
}
