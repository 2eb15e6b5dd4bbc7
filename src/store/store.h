// Accepted events, kept on disk until their actions ended, and the history of what was done: SQLite in WAL mode, one
// writer thread with group commit, one checkpoint. Nothing here waits for the disk but the writer.
#pragma once

#include "base/clock.h"
#include "event/event.h"

typedef enum {
    RESULT_SUCCESS,
    RESULT_FAILURE,
    RESULT_IGNORED, // left alone on purpose; the text says why
    RESULT_DRY_RUN, // would have run
    RESULT_STALE,   // the target is another one now
} ResultStatus;
const char *result_status_name(ResultStatus status); // "success", "failure", "ignored", "dry_run", "stale"

typedef struct {
    const char *path;       // of the database; its folder is made with mode 0700, the file with 0600
    size_t max_pending;     // events not done that may be kept; beyond it store_accept refuses (0: 1,000,000)
    size_t max_queue;       // hand-overs waiting for the writer (0: 16,384); beyond it store_accept refuses
    int64_t history_events; // done events kept for the history, oldest go first (0: 100,000)
    const Clock *clock;
    // Called on the writer's thread when the store stops (error) or starts (NULL) being able to write, once per change.
    void (*health_changed)(const GError *error, void *user);
    void *user;
} StoreOptions;

typedef struct Store Store;

// Opens or makes the database. Fails clearly when it is corrupt, is from a newer version, is in use by another process
// (a lock is held while open), or the folder cannot be written. What is pending from before is there: store_pending.
Store *store_open(const StoreOptions *options, GError **error);

// Writes all that was handed over, checkpoints, closes. NULL is fine.
void store_close(Store *store);

// Called once on the writer's thread: after the commit (error NULL), or when the event could not be kept.
typedef void (*StoreCommitted)(uint64_t id, const GError *error, void *user);

// Hands an event over; returns its id (from 1, rising, also over restarts) at once, or 0 when it is refused (the queue
// or the store is full, or the disk is: then the callback is not called). Thread-safe; never blocks on the disk.
uint64_t store_accept(Store *store, const Event *event, StoreCommitted committed, void *user);

typedef struct {
    const char *rule;      // Stoop's rule
    unsigned action_index; // within the rule
    const char *action, *actionner;
    const char *part; // "action" or "output"
    ResultStatus status;
    const char *text; // result or error; cut at 4 KiB
    int64_t duration_us;
} StoreResult;

// The same, but the writer is not woken: where `*wake` is then true the caller calls store_wake soon, once it has done
// what is more urgent.
uint64_t store_accept_unwoken(Store *store, const Event *event, StoreCommitted committed, void *user, bool *wake);
void store_wake(Store *store);

// Records a result; nobody waits. Written with the next commit, at the latest 20 ms later, or kept in memory and tried
// again while the disk is full. Thread-safe.
void store_result(Store *store, uint64_t id, const StoreResult *result);

// All actions of the event ended. Same promise as store_result.
void store_done(Store *store, uint64_t id);

typedef struct {
    uint64_t id;
    char *body; // body_len bytes
    size_t body_len;
    char trace_id[33];
    int64_t accepted_ns;
    GPtrArray *recorded; // char *: "<action_index>:<rule>" for each action with a result, "<action_index>!:<rule>"
                         // where that or its output's is a failure; or NULL
} StorePending;
void store_pending_free(StorePending *pending);

// Up to `limit` events (and about `max_bytes` of them) that are committed and not done, with id > after and id <= upto,
// in id order. NULL and an error when the store cannot be read. Uses a connection of its own; one caller at a time.
GPtrArray *store_pending(Store *store, uint64_t after, uint64_t upto, size_t limit, size_t max_bytes, GError **error);

// Highest id given out so far (0: none).
uint64_t store_last_id(Store *store);

typedef struct {
    bool healthy;
    size_t pending, queued; // not done; waiting for the writer
    uint64_t commits, events, results;
    int64_t last_commit_us; // duration
} StoreStats;
void store_stats(Store *store, StoreStats *stats);
