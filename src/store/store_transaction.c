// One commit: everything that was handed over, and a few steps of forgetting old history.
#include "store/store_private.h"

#include <errno.h>
#include <string.h>

#define PRUNE_STEP 64
#define PRUNE_SLACK 1024 // history may run over by this before forgetting rides along with accepts

static int step(Statement *statement) {
    int code = sqlite3_step(statement);
    sqlite3_reset(statement);
    return code == SQLITE_DONE || code == SQLITE_ROW ? SQLITE_OK : code;
}

static int64_t first_result(uint64_t id) {
    return (int64_t)(id << RESULT_BITS);
}

static int64_t last_result(uint64_t id) {
    return (int64_t)((id + 1) << RESULT_BITS) - 1;
}

static int bind_text(Statement *statement, int index, const char *text) {
    return sqlite3_bind_text(statement, index, text, -1, SQLITE_STATIC);
}

static int write_accept(Store *store, const Item *item) {
    const Event *event = item->accept.event;
    Statement *insert = store->statements[STATEMENT_EVENT], *pending = store->statements[STATEMENT_PENDING];
    sqlite3_bind_int64(insert, 1, (int64_t)item->id);
    sqlite3_bind_int64(insert, 2, item->accept.accepted_ns);
    bind_text(insert, 3, event->trace_id);
    sqlite3_bind_blob64(insert, 4, event->body, event->body_len, SQLITE_STATIC);
    int code = step(insert);
    if (code != SQLITE_OK)
        return code;
    sqlite3_bind_int64(pending, 1, (int64_t)item->id);
    sqlite3_bind_int64(pending, 2, -MAX(item->accept.accepted_ns, 1));
    return step(pending);
}

static int write_result(Store *store, const Item *item) {
    Statement *insert = store->statements[STATEMENT_RESULT];
    sqlite3_bind_int64(insert, 1, first_result(item->id));
    sqlite3_bind_int64(insert, 2, last_result(item->id));
    sqlite3_bind_int64(insert, 3, item->result.recorded_ns);
    sqlite3_bind_int64(insert, 4, item->result.action_index);
    bind_text(insert, 5, item->result.rule);
    bind_text(insert, 6, item->result.action);
    bind_text(insert, 7, item->result.actionner);
    bind_text(insert, 8, item->result.part);
    sqlite3_bind_int64(insert, 9, item->result.status);
    bind_text(insert, 10, item->result.text);
    sqlite3_bind_int64(insert, 11, item->result.duration_us);
    sqlite3_bind_int64(insert, 12, (int64_t)item->id);
    return step(insert);
}

static int write_done(Store *store, const Item *item, StoreWritten *written) {
    Statement *done = store->statements[STATEMENT_DONE];
    sqlite3_bind_int64(done, 1, (int64_t)item->id);
    sqlite3_bind_int64(done, 2, MAX(item->done_ns, 1));
    int code = step(done);
    // None: it was said twice, or of an event that could not be kept.
    if (code == SQLITE_OK)
        written->dones += (size_t)sqlite3_changes(store->writer_db);
    return code;
}

// The oldest done events, looked for behind those that went before; now and then from the start, for what was pending
// when its neighbours went.
static int oldest(Store *store, int64_t ids[PRUNE_STEP], int wanted, int *found) {
    Statement *select = store->statements[STATEMENT_OLDEST];
    int code = SQLITE_ROW;
    *found = 0;
    if (store->prunes++ % 64 == 0)
        store->pruned_upto = 0;
    sqlite3_bind_int(select, 1, wanted);
    sqlite3_bind_int64(select, 2, (int64_t)store->pruned_upto);
    while (*found < wanted && (code = sqlite3_step(select)) == SQLITE_ROW)
        ids[(*found)++] = sqlite3_column_int64(select, 0);
    sqlite3_reset(select);
    store->pruned_upto = *found > 0 ? (uint64_t)ids[*found - 1] : 0;
    return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}

static int forget(Store *store, int64_t id) {
    Statement *event = store->statements[STATEMENT_FORGET_EVENT];
    Statement *results = store->statements[STATEMENT_FORGET_RESULTS];
    Statement *state = store->statements[STATEMENT_FORGET_STATE];
    sqlite3_bind_int64(event, 1, id);
    sqlite3_bind_int64(results, 1, first_result((uint64_t)id));
    sqlite3_bind_int64(results, 2, last_result((uint64_t)id));
    sqlite3_bind_int64(state, 1, id);
    int code = step(event);
    if (code == SQLITE_OK)
        code = step(results);
    return code == SQLITE_OK ? step(state) : code;
}

static int prune(Store *store, bool somebody_waits, StoreWritten *written) {
    int64_t excess = store->done_events + (int64_t)written->dones - store->history_events;
    if (excess <= (somebody_waits ? PRUNE_SLACK : 0))
        return SQLITE_OK;
    int64_t ids[PRUNE_STEP];
    int found = 0;
    int code = oldest(store, ids, (int)MIN(excess, PRUNE_STEP), &found);
    for (int i = 0; i < found && code == SQLITE_OK; i++)
        code = forget(store, ids[i]);
    written->pruned = (size_t)found;
    return code;
}

static int write_items(Store *store, const ItemQueue *batch, StoreWritten *written) {
    int code = SQLITE_OK;
    for (const Item *item = batch->first; item && code == SQLITE_OK; item = item->next) {
        switch (item->kind) {
        case ITEM_ACCEPT:
            written->accepts++;
            code = write_accept(store, item);
            break;
        case ITEM_RESULT:
            written->results++;
            code = write_result(store, item);
            break;
        case ITEM_DONE:
            code = write_done(store, item, written);
            break;
        }
    }
    // An empty batch asks whether the disk takes anything again.
    if (code == SQLITE_OK && batch->count == 0)
        code = step(store->statements[STATEMENT_PROBE]);
    return code == SQLITE_OK ? prune(store, batch->accepts > 0, written) : code;
}

bool store_write(Store *store, const ItemQueue *batch, StoreWritten *written, GError **error) {
    *written = (StoreWritten){0};
    errno = 0;
    int code = step(store->statements[STATEMENT_BEGIN]);
    if (code == SQLITE_OK)
        code = write_items(store, batch, written);
    if (code == SQLITE_OK)
        code = step(store->statements[STATEMENT_COMMIT]);
    if (code != SQLITE_OK) {
        store_set_sqlite_error(error, store->writer_db, code, store->path, "cannot write to");
        if (!sqlite3_get_autocommit(store->writer_db))
            step(store->statements[STATEMENT_ROLLBACK]);
        return false;
    }
    store->done_events += (int64_t)written->dones - (int64_t)written->pruned;
    return true;
}
