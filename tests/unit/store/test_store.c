// Accepting, finishing, reading back, and what a start refuses.
#include "store_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static bool nothing_pending(const StoreStats *stats, uint64_t n) {
    return stats->pending == n && stats->queued == 0;
}

static bool results_written(const StoreStats *stats, uint64_t n) {
    return stats->results >= n && stats->queued == 0;
}

static void test_life(void) {
    Fixture f;
    fixture_begin(&f);
    fixture_open(&f);
    g_assert_cmpuint(store_last_id(f.store), ==, 0);
    for (unsigned i = 1; i <= 3; i++)
        g_assert_cmpuint(accept_numbered(&f, i), ==, i);
    wait_answers(&f, 3);
    g_assert_cmpuint(f.committed, ==, 3);
    g_assert_cmpuint(f.last_committed, ==, 3);
    record(&f, 2, 0, "Rule one", "action");
    record(&f, 2, 0, "Rule one", "output");
    record(&f, 2, 3, "Rule: two", "action");
    // A failure of either part is one of the action.
    store_result(f.store, 2,
                 &(StoreResult){.rule = "Rule one", .action_index = 1, .part = "action", .status = RESULT_FAILURE});
    record(&f, 2, 2, "Rule one", "action");
    store_result(f.store, 2,
                 &(StoreResult){.rule = "Rule one", .action_index = 2, .part = "output", .status = RESULT_FAILURE});
    record(&f, 3, 0, "r", "output");
    store_done(f.store, 1);
    store_done(f.store, 1);
    store_done(f.store, 99);
    wait_stats(&f, nothing_pending, 2);
    fixture_reopen(&f);

    g_assert_cmpuint(store_last_id(f.store), ==, 3);
    g_autoptr(GPtrArray) pending = pending_of(&f);
    g_assert_cmpuint(pending->len, ==, 2);
    StorePending *second = pending->pdata[0], *third = pending->pdata[1];
    g_assert_cmpuint(second->id, ==, 2);
    g_assert_cmpstr(second->body, ==, "{\"rule\":\"r\",\"output_fields\":{\"n\":2}}");
    g_assert_cmpuint(second->body_len, ==, strlen(second->body));
    g_assert_cmpstr(second->trace_id, ==, "07000000000000000000000000000000");
    g_assert_cmpint(second->accepted_ns, >, 1500000000000000000);
    g_assert_cmpuint(second->recorded->len, ==, 4);
    g_assert_cmpstr(second->recorded->pdata[0], ==, "0:Rule one");
    g_assert_cmpstr(second->recorded->pdata[1], ==, "1!:Rule one");
    g_assert_cmpstr(second->recorded->pdata[2], ==, "2!:Rule one");
    g_assert_cmpstr(second->recorded->pdata[3], ==, "3:Rule: two");
    g_assert_cmpuint(third->id, ==, 3);
    g_assert_null(third->recorded);
    StoreStats stats;
    store_stats(f.store, &stats);
    g_assert_true(stats.healthy);
    g_assert_cmpuint(stats.pending, ==, 2);
    g_assert_cmpuint(accept_numbered(&f, 4), ==, 4);
    fixture_end(&f);
}

static void test_pending_pages(void) {
    Fixture f;
    fixture_begin(&f);
    fixture_open(&f);
    for (unsigned i = 1; i <= 10; i++)
        accept_numbered(&f, i);
    wait_answers(&f, 10);
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) some = store_pending(f.store, 2, 8, 3, SIZE_MAX, &error);
    g_assert_no_error(error);
    g_assert_cmpuint(some->len, ==, 3);
    g_assert_cmpuint(((StorePending *)some->pdata[0])->id, ==, 3);
    g_autoptr(GPtrArray) rest = store_pending(f.store, 5, 8, 100, SIZE_MAX, &error);
    g_assert_cmpuint(rest->len, ==, 3);
    g_autoptr(GPtrArray) small = store_pending(f.store, 0, 100, 100, 50, &error);
    g_assert_cmpuint(small->len, ==, 2); // the second one goes over the 50 bytes
    g_autoptr(GPtrArray) none = store_pending(f.store, 10, 100, 100, SIZE_MAX, &error);
    g_assert_cmpuint(none->len, ==, 0);
    fixture_end(&f);
}

static int number_of(const char *path, const char *sql) {
    sqlite3 *db = NULL;
    sqlite3_stmt *row = NULL;
    g_assert_cmpint(sqlite3_open(path, &db), ==, SQLITE_OK);
    g_assert_cmpint(sqlite3_prepare_v2(db, sql, -1, &row, NULL), ==, SQLITE_OK);
    g_assert_cmpint(sqlite3_step(row), ==, SQLITE_ROW);
    int number = sqlite3_column_int(row, 0);
    sqlite3_finalize(row);
    sqlite3_close(db);
    return number;
}

// Results of an event that is done, or was never kept, leave nothing that a later event could inherit.
static void test_orphans(void) {
    Fixture f;
    fixture_begin(&f);
    fixture_open(&f);
    record(&f, 1, 0, "r", "action");
    record(&f, 2, 0, "r", "action");
    wait_stats(&f, results_written, 2);
    accept_numbered(&f, 1);
    accept_numbered(&f, 2);
    wait_answers(&f, 2);
    store_done(f.store, 1);
    record(&f, 1, 0, "r", "action");
    wait_stats(&f, results_written, 3);
    g_autoptr(GPtrArray) pending = pending_of(&f);
    g_assert_cmpuint(pending->len, ==, 1);
    g_assert_null(((StorePending *)pending->pdata[0])->recorded);
    store_close(f.store);
    f.store = NULL;
    g_assert_cmpint(number_of(f.path, "SELECT count(*) FROM results"), ==, 0);
    fixture_end(&f);
}

static void test_limits(void) {
    Fixture f;
    fixture_begin(&f);
    f.options.max_pending = 3;
    fixture_open(&f);
    for (unsigned i = 1; i <= 3; i++)
        g_assert_cmpuint(accept_numbered(&f, i), ==, i);
    g_assert_cmpuint(accept_numbered(&f, 4), ==, 0);
    wait_answers(&f, 3);
    store_done(f.store, 2);
    wait_stats(&f, nothing_pending, 2);
    g_assert_cmpuint(accept_numbered(&f, 4), ==, 4);
    g_assert_cmpuint(accept_numbered(&f, 5), ==, 0);
    wait_answers(&f, 4);
    fixture_reopen(&f);
    g_assert_cmpuint(accept_numbered(&f, 5), ==, 0);
    fixture_end(&f);
}

// The writer hangs in a callback: the queue fills up and further events are refused, at once.
static void block(uint64_t id, const GError *error, void *user) {
    Fixture *f = user;
    mutex_lock(&f->lock);
    f->last_committed = id;
    cond_broadcast(&f->changed);
    while (f->well == 0)
        cond_wait(&f->changed, &f->lock);
    mutex_unlock(&f->lock);
}

static void test_queue_full(void) {
    Fixture f;
    fixture_begin(&f);
    f.options.max_queue = 4;
    fixture_open(&f);
    g_autoptr(Event) event = event_numbered(1);
    g_assert_cmpuint(store_accept(f.store, event, block, &f), ==, 1);
    mutex_lock(&f.lock);
    while (f.last_committed == 0)
        cond_wait(&f.changed, &f.lock);
    mutex_unlock(&f.lock);
    for (unsigned i = 2; i <= 5; i++)
        g_assert_cmpuint(accept_numbered(&f, i), ==, i);
    g_assert_cmpuint(accept_numbered(&f, 6), ==, 0);
    StoreStats stats;
    store_stats(f.store, &stats);
    g_assert_cmpuint(stats.queued, ==, 4);
    mutex_lock(&f.lock);
    f.well = 1;
    cond_broadcast(&f.changed);
    mutex_unlock(&f.lock);
    wait_answers(&f, 4);
    // What was refused took no id.
    g_assert_cmpuint(accept_numbered(&f, 6), ==, 6);
    fixture_end(&f);
}

// History is cut from its old end, pending events stay, and ids go on rising.
static void test_history(void) {
    Fixture f;
    fixture_begin(&f);
    f.options.history_events = 10;
    fixture_open(&f);
    for (unsigned i = 1; i <= 500; i++) {
        uint64_t id = accept_numbered(&f, i);
        record(&f, id, 0, "r", "action");
        if (id != 3)
            store_done(f.store, id);
    }
    wait_stats(&f, nothing_pending, 1);
    for (unsigned i = 501; i <= 520; i++) { // forgetting goes in steps that ride along
        uint64_t id = accept_numbered(&f, i);
        wait_answers(&f, i);
        store_done(f.store, id);
        wait_stats(&f, nothing_pending, 1);
    }
    store_close(f.store);
    f.store = NULL;
    sqlite3 *db = NULL;
    sqlite3_stmt *row = NULL;
    g_assert_cmpint(sqlite3_open(f.path, &db), ==, SQLITE_OK);
    g_assert_cmpint(sqlite3_prepare_v2(db,
                                       "SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM results),"
                                       " (SELECT min(id) FROM events), (SELECT max(id) FROM events),"
                                       " (SELECT count(*) FROM state), (SELECT * FROM pragma_integrity_check)",
                                       -1, &row, NULL),
                    ==, SQLITE_OK);
    g_assert_cmpint(sqlite3_step(row), ==, SQLITE_ROW);
    g_assert_cmpint(sqlite3_column_int(row, 0), ==, 11);
    g_assert_cmpint(sqlite3_column_int(row, 1), ==, 1); // of the pending one; the last 20 had none
    g_assert_cmpint(sqlite3_column_int(row, 2), ==, 3);
    g_assert_cmpint(sqlite3_column_int(row, 3), ==, 520);
    g_assert_cmpint(sqlite3_column_int(row, 4), ==, 11);
    g_assert_cmpstr((const char *)sqlite3_column_text(row, 5), ==, "ok");
    sqlite3_finalize(row);
    sqlite3_close(db);
    fixture_open(&f);
    g_assert_cmpuint(accept_numbered(&f, 521), ==, 521);
    fixture_end(&f);
}

static void test_long_text(void) {
    Fixture f;
    fixture_begin(&f);
    fixture_open(&f);
    uint64_t id = accept_numbered(&f, 1);
    g_autofree char *text = g_strnfill(100000, 'x');
    StoreResult result = {.rule = "r", .part = "action", .status = RESULT_FAILURE, .text = text};
    store_result(f.store, id, &result);
    store_close(f.store);
    f.store = NULL;
    sqlite3 *db = NULL;
    sqlite3_stmt *row = NULL;
    g_assert_cmpint(sqlite3_open(f.path, &db), ==, SQLITE_OK);
    sqlite3_prepare_v2(db, "SELECT length(text), actionner, status FROM results", -1, &row, NULL);
    g_assert_cmpint(sqlite3_step(row), ==, SQLITE_ROW);
    g_assert_cmpint(sqlite3_column_int(row, 0), ==, 4096);
    g_assert_cmpstr((const char *)sqlite3_column_text(row, 1), ==, "");
    g_assert_cmpint(sqlite3_column_int(row, 2), ==, RESULT_FAILURE);
    sqlite3_finalize(row);
    sqlite3_close(db);
    fixture_end(&f);
}

static void test_files(void) {
    Fixture f;
    fixture_begin(&f);
    fixture_open(&f);
    accept_numbered(&f, 1);
    wait_answers(&f, 1);
    struct stat status;
    g_autofree char *folder = g_path_get_dirname(f.path);
    g_assert_cmpint(stat(folder, &status), ==, 0);
    g_assert_cmpint(status.st_mode & 0777, ==, 0700);
    static const char *const ends[] = {"", "-wal", "-shm", ".lock"};
    for (unsigned i = 0; i < G_N_ELEMENTS(ends); i++) {
        g_autofree char *name = g_strconcat(f.path, ends[i], NULL);
        g_assert_cmpint(stat(name, &status), ==, 0);
        g_assert_cmpint(status.st_mode & 0777, ==, 0600);
    }
    fixture_end(&f);
}

static void assert_refused(Fixture *f, StoopError code, const char *words) {
    g_autoptr(GError) error = NULL;
    Store *store = store_open(&f->options, &error);
    g_assert_null(store);
    g_assert_error(error, STOOP_ERROR, (int)code);
    if (!strstr(error->message, words) || !strstr(error->message, f->path))
        g_error("'%s' lacks '%s' or the path", error->message, words);
}

static void test_second(void) {
    Fixture f;
    fixture_begin(&f);
    fixture_open(&f);
    g_autofree char *words = g_strdup_printf("in use by another process, %ld", (long)getpid());
    assert_refused(&f, STOOP_ERROR_CONFLICT, words);
    // The one that was there first is not disturbed.
    accept_numbered(&f, 1);
    wait_answers(&f, 1);
    g_assert_cmpuint(f.committed, ==, 1);
    fixture_reopen(&f);
    fixture_end(&f);
}

static void run_sql(const char *path, const char *sql) {
    sqlite3 *db = NULL;
    g_assert_cmpint(sqlite3_open(path, &db), ==, SQLITE_OK);
    g_assert_cmpint(sqlite3_exec(db, sql, NULL, NULL, NULL), ==, SQLITE_OK);
    sqlite3_close(db);
}

static void test_refused(void) {
    Fixture f;
    fixture_begin(&f);
    fixture_open(&f);
    accept_numbered(&f, 1);
    store_close(f.store);
    f.store = NULL;
    run_sql(f.path, "PRAGMA user_version=7");
    assert_refused(&f, STOOP_ERROR_INVALID, "newer Stoop (its version is 7, this Stoop knows up to 1)");
    run_sql(f.path, "PRAGMA user_version=1");
    fixture_open(&f);
    store_close(f.store);
    f.store = NULL;

    // Every page torn in its middle, then a file that never was a database, then one of another program.
    g_autofree char *bytes = NULL;
    gsize len = 0;
    g_assert_true(g_file_get_contents(f.path, &bytes, &len, NULL));
    g_autofree char *wal = g_strconcat(f.path, "-wal", NULL);
    g_unlink(wal);
    for (gsize page = 4096; page + 4096 <= len; page += 4096)
        memset(bytes + page, 0xa5, 4096);
    int fd = open(f.path, O_WRONLY);
    g_assert_cmpint(write(fd, bytes, len), ==, (ssize_t)len);
    close(fd);
    assert_refused(&f, STOOP_ERROR_IO, "is damaged");
    fd = open(f.path, O_WRONLY | O_TRUNC);
    g_assert_cmpint(write(fd,
                          "no database at all, but a text of some length, longer than 100 bytes, so that it "
                          "cannot be taken for an empty file",
                          115),
                    ==, 115);
    close(fd);
    assert_refused(&f, STOOP_ERROR_IO, "is damaged");
    g_unlink(f.path);
    run_sql(f.path, "CREATE TABLE theirs(x)");
    assert_refused(&f, STOOP_ERROR_INVALID, "database of another program");
    g_unlink(f.path);
    // An empty file is a new store.
    fd = open(f.path, O_WRONLY | O_CREAT, 0644);
    close(fd);
    fixture_open(&f);
    accept_numbered(&f, 1);
    wait_answers(&f, 1);
    g_assert_cmpuint(f.committed, ==, 1);
    fixture_end(&f);
}

static void test_no_folder(void) {
    Fixture f;
    fixture_begin(&f);
    StoreOptions options = f.options;
    g_autofree char *file = g_build_filename(f.folder, "file", NULL);
    g_assert_true(g_file_set_contents(file, "x", 1, NULL));
    g_autofree char *path = g_build_filename(file, "store.db", NULL);
    options.path = path;
    g_autoptr(GError) error = NULL;
    g_assert_null(store_open(&options, &error));
    g_assert_error(error, STOOP_ERROR, STOOP_ERROR_IO);
    g_assert_nonnull(strstr(error->message, "file"));
    g_unlink(file);
    fixture_open(&f);
    fixture_end(&f);
}

// Handed over and closed at once: nothing is lost.
static void test_close_writes(void) {
    Fixture f;
    fixture_begin(&f);
    fixture_open(&f);
    for (unsigned i = 1; i <= 5000; i++) {
        uint64_t id = accept_numbered(&f, i);
        g_assert_cmpuint(id, ==, i);
        if (i % 2)
            record(&f, id, 0, "r", "action");
        if (i % 5 == 0)
            store_done(f.store, id);
    }
    fixture_reopen(&f);
    g_assert_cmpuint(f.committed, ==, 5000);
    g_autoptr(GPtrArray) pending = pending_of(&f);
    g_assert_cmpuint(pending->len, ==, 4000);
    for (guint i = 0; i < pending->len; i++) {
        StorePending *one = pending->pdata[i];
        g_assert_cmpuint(one->recorded != NULL, ==, one->id % 2);
    }
    fixture_end(&f);
}

typedef struct {
    Fixture *f;
    unsigned first;
} Producer;

static void *produce(void *argument) {
    Producer *producer = argument;
    for (unsigned i = 0; i < 300; i++) {
        uint64_t id = accept_numbered(producer->f, producer->first + i);
        g_assert_cmpuint(id, >, 0);
        record(producer->f, id, 0, "r", "action");
        store_done(producer->f->store, id);
    }
    return NULL;
}

// Several threads hand over while another one reads what is pending.
static void test_threads(void) {
    Fixture f;
    fixture_begin(&f);
    fixture_open(&f);
    Producer producers[4];
    pthread_t threads[4];
    for (unsigned i = 0; i < 4; i++) {
        producers[i] = (Producer){&f, i * 1000};
        g_assert_cmpint(pthread_create(&threads[i], NULL, produce, &producers[i]), ==, 0);
    }
    for (int i = 0; i < 20; i++)
        g_ptr_array_unref(pending_of(&f));
    for (unsigned i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    wait_answers(&f, 1200);
    wait_stats(&f, nothing_pending, 0);
    g_assert_cmpuint(f.committed, ==, 1200);
    StoreStats stats;
    store_stats(f.store, &stats);
    g_assert_cmpuint(stats.events, ==, 1200);
    g_assert_cmpuint(stats.results, ==, 1200);
    g_assert_cmpuint(stats.commits, <, 1200); // they shared
    fixture_end(&f);
}

static void test_names(void) {
    g_assert_cmpstr(result_status_name(RESULT_SUCCESS), ==, "success");
    g_assert_cmpstr(result_status_name(RESULT_STALE), ==, "stale");
    g_assert_cmpstr(result_status_name((ResultStatus)99), ==, "");
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/store/life", test_life);
    g_test_add_func("/store/pending-pages", test_pending_pages);
    g_test_add_func("/store/orphans", test_orphans);
    g_test_add_func("/store/limits", test_limits);
    g_test_add_func("/store/queue-full", test_queue_full);
    g_test_add_func("/store/history", test_history);
    g_test_add_func("/store/long-text", test_long_text);
    g_test_add_func("/store/files", test_files);
    g_test_add_func("/store/second", test_second);
    g_test_add_func("/store/refused", test_refused);
    g_test_add_func("/store/no-folder", test_no_folder);
    g_test_add_func("/store/close-writes", test_close_writes);
    g_test_add_func("/store/threads", test_threads);
    g_test_add_func("/store/names", test_names);
    return g_test_run();
}
