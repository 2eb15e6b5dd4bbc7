// Copying the log into the database, beside the writer: SQLite's own automatic checkpoint would stop it for that time.
#include "store/store_private.h"

#define IDLE_US (30 * 1000000)
// Under steady load the thread below never catches up quite, and the log cannot start over. Beyond the first length the
// writer copies the rest itself when that is little, beyond the second in any case. It waits for the disk meanwhile,
// and so do its clients: a long log makes that rare. (Frames of 4 KiB.)
#define LONG_FRAMES 12288
#define TOO_LONG_FRAMES 32768
#define LITTLE_FRAMES 384

// True when some of the log was copied.
static bool copy(Store *store, Connection *db) {
    int frames = 0, copied = 0;
    int code = sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_PASSIVE, &frames, &copied);
    mutex_lock(&store->lock);
    store->checkpointing = false;
    store->copied_at_us = clock_monotonic_us(clock_system());
    // A failure (the disk is full) leaves the log as it is; the writer meets the same disk and reports it.
    bool progress = code == SQLITE_OK && copied > store->wal_copied;
    if (progress)
        store->wal_copied = copied;
    mutex_unlock(&store->lock);
    return progress;
}

void store_checkpoint_from_writer(Store *store) {
    mutex_lock(&store->lock);
    int left = store->wal_frames - store->wal_copied;
    bool now = !store->checkpointing && left > 0 &&
               ((store->wal_frames >= LONG_FRAMES && left <= LITTLE_FRAMES) || store->wal_frames >= TOO_LONG_FRAMES);
    store->checkpointing |= now;
    mutex_unlock(&store->lock);
    if (now)
        copy(store, store->writer_db);
}

// Sleeps until there is something to copy; false when it is time to go. Called and left with the lock held.
static bool wait_for_log(Store *store, bool go_on) {
    while (!store->checkpoint_stopping) {
        bool much_left =
            store->wal_frames >= LONG_FRAMES && store->wal_frames - store->wal_copied > LITTLE_FRAMES && go_on;
        if ((store->checkpoint_wanted || much_left) && !store->checkpointing)
            return true;
        uint64_t commits = store->commits;
        int64_t until = clock_monotonic_us(clock_system()) + IDLE_US;
        bool woken = cond_wait_until(&store->wake_checkpoint, &store->lock, until);
        go_on = false;
        // A quiet time is a good time, whatever the length.
        if (!woken && commits == store->commits && store->wal_frames > store->wal_copied)
            store->checkpoint_wanted = true;
    }
    return false;
}

void *store_checkpoint_run(void *argument) {
    Store *store = argument;
    bool go_on = false;
    mutex_lock(&store->lock);
    while (wait_for_log(store, go_on)) {
        store->checkpoint_wanted = false;
        store->checkpointing = true;
        mutex_unlock(&store->lock);
        go_on = copy(store, store->checkpoint_db); // each pass has less to do than the one before
        mutex_lock(&store->lock);
    }
    mutex_unlock(&store->lock);
    return NULL;
}
