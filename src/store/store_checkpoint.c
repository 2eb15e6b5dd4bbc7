// Copying the log into the database, beside the writer: SQLite's own automatic checkpoint would stop it for that time.
#include "store/store_private.h"

#define IDLE_US (30 * 1000000)
// Under steady load the thread below never quite catches up, and the log cannot start over. Beyond the first length the
// writer copies the rest itself when that is little, beyond the second in any case. (Frames of 4 KiB.)
#define LONG_FRAMES 1536
#define TOO_LONG_FRAMES 8192
#define LITTLE_FRAMES 256

static void copy(Store *store, Connection *db) {
    int frames = 0, copied = 0;
    int code = sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_PASSIVE, &frames, &copied);
    mutex_lock(&store->lock);
    store->checkpointing = false;
    // A failure (the disk is full) leaves the log as it is; the writer meets the same disk and reports it.
    if (code == SQLITE_OK && copied >= 0)
        store->wal_copied = copied;
    mutex_unlock(&store->lock);
}

void store_checkpoint_from_writer(Store *store) {
    mutex_lock(&store->lock);
    int left = store->wal_frames - store->wal_copied;
    bool now = !store->checkpointing &&
               ((store->wal_frames >= LONG_FRAMES && left <= LITTLE_FRAMES) || store->wal_frames >= TOO_LONG_FRAMES) &&
               left > 0;
    store->checkpointing |= now;
    mutex_unlock(&store->lock);
    if (now)
        copy(store, store->writer_db);
}

void *store_checkpoint_run(void *argument) {
    Store *store = argument;
    mutex_lock(&store->lock);
    while (!store->checkpoint_stopping) {
        uint64_t commits = store->commits;
        bool woken = store->checkpoint_wanted || cond_wait_until(&store->wake_checkpoint, &store->lock,
                                                                 clock_monotonic_us(clock_system()) + IDLE_US);
        bool idle = !woken && commits == store->commits && store->wal_frames > store->wal_copied;
        if ((!store->checkpoint_wanted && !idle) || store->checkpointing || store->checkpoint_stopping)
            continue;
        store->checkpoint_wanted = false;
        store->checkpointing = true;
        mutex_unlock(&store->lock);
        copy(store, store->checkpoint_db);
        mutex_lock(&store->lock);
    }
    mutex_unlock(&store->lock);
    return NULL;
}
