// What was accepted and is not done, read for the engine at its start and whenever its memory has room again.
#include "store/store_private.h"

#include <string.h>

void store_pending_free(StorePending *pending) {
    if (!pending)
        return;
    g_free(pending->body);
    if (pending->recorded)
        g_ptr_array_unref(pending->recorded);
    g_free(pending);
}

static void free_pending(gpointer data) {
    store_pending_free(data);
}

static StorePending *read_event(Statement *row) {
    StorePending *pending = g_new0(StorePending, 1);
    pending->id = (uint64_t)sqlite3_column_int64(row, 0);
    pending->accepted_ns = sqlite3_column_int64(row, 1);
    const char *trace = (const char *)sqlite3_column_text(row, 2);
    g_strlcpy(pending->trace_id, trace ? trace : "", sizeof pending->trace_id);
    const void *body = sqlite3_column_blob(row, 3);
    pending->body_len = (size_t)sqlite3_column_bytes(row, 3);
    pending->body = g_malloc(pending->body_len + 1);
    if (pending->body_len > 0)
        memcpy(pending->body, body, pending->body_len);
    pending->body[pending->body_len] = '\0';
    return pending;
}

// What RESULT_FAILURE is in the database: a text of SQL cannot take it from the enumeration.
#define RECORDED_FAILURE 1
G_STATIC_ASSERT(RECORDED_FAILURE == RESULT_FAILURE);

static int read_recorded(Statement *results, StorePending *pending) {
    int code;
    sqlite3_bind_int64(results, 1, (int64_t)(pending->id << RESULT_BITS));
    sqlite3_bind_int64(results, 2, (int64_t)((pending->id + 1) << RESULT_BITS) - 1);
    while ((code = sqlite3_step(results)) == SQLITE_ROW) {
        if (!pending->recorded)
            pending->recorded = g_ptr_array_new_with_free_func(g_free);
        const char *rule = (const char *)sqlite3_column_text(results, 1);
        g_ptr_array_add(pending->recorded,
                        g_strdup_printf("%d%s:%s", sqlite3_column_int(results, 0),
                                        sqlite3_column_int(results, 2) ? "!" : "", rule ? rule : ""));
    }
    sqlite3_reset(results);
    return code;
}

GPtrArray *store_pending(Store *store, uint64_t after, uint64_t upto, size_t limit, size_t max_bytes, GError **error) {
    Connection *db = store->reader_db;
    g_autoptr(Statement) events = NULL;
    g_autoptr(Statement) results = NULL;
    g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func(free_pending);
    // One transaction, so that an event and its results are of the same moment.
    int code = sqlite3_exec(db, "BEGIN", NULL, NULL, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_prepare_v2(
            db,
            "SELECT s.id, e.accepted_ns, e.trace, e.body FROM state s CROSS JOIN events e ON e.id = s.id "
            "WHERE s.id > ?1 AND s.id <= ?2 AND s.ns < 0 ORDER BY s.id LIMIT ?3",
            -1, &events, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_prepare_v2(
            db,
            "SELECT action_index, rule, max(status = " G_STRINGIFY(
                RECORDED_FAILURE) ") FROM results "
                                  "WHERE id BETWEEN ?1 AND ?2 GROUP BY action_index, rule HAVING max(part = 'action')",
            -1, &results, NULL);
    if (code == SQLITE_OK) {
        sqlite3_bind_int64(events, 1, (int64_t)MIN(after, (uint64_t)INT64_MAX));
        sqlite3_bind_int64(events, 2, (int64_t)MIN(upto, (uint64_t)INT64_MAX));
        sqlite3_bind_int64(events, 3, (int64_t)MIN(limit, (size_t)INT64_MAX));
        size_t bytes = 0;
        while (bytes < max_bytes && (code = sqlite3_step(events)) == SQLITE_ROW) {
            StorePending *pending = read_event(events);
            g_ptr_array_add(found, pending);
            bytes += pending->body_len;
            code = read_recorded(results, pending);
            if (code != SQLITE_DONE)
                break;
        }
    }
    bool ok = code == SQLITE_DONE || code == SQLITE_OK;
    if (!ok)
        store_set_sqlite_error(error, db, code, store->path, "cannot read");
    g_clear_pointer(&events, sqlite3_finalize);
    g_clear_pointer(&results, sqlite3_finalize);
    sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    return ok ? g_steal_pointer(&found) : NULL;
}
