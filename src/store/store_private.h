// Shared between the files of this folder only.
//
// Tables: `events` holds the bodies, each written once and never moved; `state` has a small row for each event, so that
// a start reads few pages whatever the bodies' size: the time it was accepted, negative, while it is pending, and the
// time it was done after that (the same number of bytes: the row stays where it is); `results` is keyed by event id and
// a running number in one integer. All three grow at their end, so that a commit touches one page of each.
#pragma once

#include "base/thread.h"
#include "store/store.h"

#include <sqlite3.h>

#define STORE_VERSION 1
#define RESULT_BITS 16 // of a result's key: its number within the event

typedef enum { ITEM_ACCEPT, ITEM_RESULT, ITEM_DONE } ItemKind;

// Something handed over to the writer.
typedef struct Item Item;
struct Item {
    Item *next;
    ItemKind kind;
    uint64_t id;
    size_t size; // bytes that it holds, about
    union {
        struct {
            Event *event;
            StoreCommitted committed;
            void *user;
            int64_t accepted_ns;
        } accept;
        struct {
            unsigned action_index;
            ResultStatus status;
            int64_t duration_us, recorded_ns;
            const char *rule, *action, *actionner, *part, *text; // in `strings`
        } result;
        int64_t done_ns;
    };
    char strings[];
};
void item_free(Item *item);

typedef struct {
    Item *first, **last;                       // `last` points at the pointer that ends the list
    size_t count, accepts, bytes, small_bytes; // small: of results and dones
} ItemQueue;
void item_queue_init(ItemQueue *queue);
void item_queue_push(ItemQueue *queue, Item *item);
Item *item_queue_pop(ItemQueue *queue);
// Moves all of `front` before what is in `queue`.
void item_queue_push_front(ItemQueue *queue, ItemQueue *front);

// A connection. Each is used by one thread at a time.
typedef sqlite3 Connection;
typedef sqlite3_stmt Statement;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Connection, sqlite3_close)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Statement, sqlite3_finalize)

typedef enum {
    STATEMENT_BEGIN,
    STATEMENT_COMMIT,
    STATEMENT_ROLLBACK,
    STATEMENT_EVENT,
    STATEMENT_PENDING,
    STATEMENT_RESULT,
    STATEMENT_DONE,
    STATEMENT_OLDEST,
    STATEMENT_FORGET_EVENT,
    STATEMENT_FORGET_RESULTS,
    STATEMENT_FORGET_STATE,
    STATEMENT_PROBE,
    STATEMENT_COUNT
} StatementId;

typedef enum { WRITER_BUSY, WRITER_LINGERING, WRITER_IDLE } WriterState;

struct Store {
    char *path;
    int lock_fd;
    size_t max_pending, max_queue, max_queue_bytes;
    int64_t history_events;
    const Clock *clock;
    void (*health_changed)(const GError *error, void *user);
    void *user;

    Mutex lock; // guards from here to the next empty line
    Cond wake_writer, wake_checkpoint;
    ItemQueue queue;
    WriterState writer_state;
    bool healthy, stopping, checkpoint_wanted, checkpoint_stopping;
    uint64_t last_id;
    size_t pending;
    uint64_t commits, events, results;
    int64_t last_commit_us;
    int wal_frames;       // in the log after the last commit
    int wal_copied;       // of these, known to be in the database
    int64_t copied_at_us; // when the last copying ended
    bool checkpointing;

    // Of the writer's thread alone.
    Connection *writer_db;
    Statement *statements[STATEMENT_COUNT];
    int64_t linger_until_us, retry_at_us;
    int64_t done_events; // in the history
    uint64_t pruned_upto;
    unsigned prunes;
    int hook_frames; // set by SQLite within the commit

    Connection *checkpoint_db; // of the checkpoint's thread
    Connection *reader_db;     // of store_pending's caller
    pthread_t writer, checkpoint;
    bool has_writer, has_checkpoint;
};

// store_db.c
Connection *store_connect(const char *path, bool read_only, int cache_kib, GError **error);
// Makes the tables where there are none, and refuses what is not ours, newer or damaged.
bool store_prepare(Store *store, GError **error);
// Copies the log, where the disk takes it, and closes the writer's connection.
void store_disconnect(Store *store);
// Sets an error from a connection's last one: NO_SPACE when the disk is full, IO otherwise.
void store_set_sqlite_error(GError **error, Connection *db, int code, const char *path, const char *what);

// store_transaction.c: what one commit did
typedef struct {
    size_t accepts, results, dones, pruned;
} StoreWritten;
bool store_write(Store *store, const ItemQueue *batch, StoreWritten *written, GError **error);

void *store_writer_run(void *store);     // store_writer.c
void *store_checkpoint_run(void *store); // store_checkpoint.c
// Copies the rest of the log from the writer's thread when it has grown long, so that it can start over.
void store_checkpoint_from_writer(Store *store);
