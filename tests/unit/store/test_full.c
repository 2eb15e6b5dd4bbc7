// A disk that takes nothing any more, and takes again: played with the process's limit on file sizes.
#include "store_fixture.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

static void limit_files(rlim_t bytes) {
    struct rlimit limit;
    g_assert_cmpint(getrlimit(RLIMIT_FSIZE, &limit), ==, 0);
    limit.rlim_cur = MIN(bytes, limit.rlim_max);
    g_assert_cmpint(setrlimit(RLIMIT_FSIZE, &limit), ==, 0);
}

static void wait_health(Fixture *f, unsigned ill, unsigned well) {
    int64_t deadline = clock_monotonic_us(clock_system()) + FIXTURE_WAIT_US;
    mutex_lock(&f->lock);
    while (f->ill < ill || f->well < well)
        g_assert_true(cond_wait_until(&f->changed, &f->lock, deadline));
    mutex_unlock(&f->lock);
}

static bool written(const StoreStats *stats, uint64_t n) {
    return stats->queued == 0 && stats->pending == n;
}

static void test_full(void) {
    Fixture f;
    fixture_begin(&f);
    fixture_open(&f);
    uint64_t first = accept_numbered(&f, 1), second = accept_numbered(&f, 2);
    wait_answers(&f, 2);

    // No byte anywhere: not even what is there may be written over.
    limit_files(0);
    record(&f, first, 0, "r", "action"); // in the very commit that fails, with the accept
    store_done(f.store, second);
    uint64_t lost = accept_numbered(&f, 3);
    g_assert_cmpuint(lost, ==, 3);
    wait_health(&f, 1, 0);
    wait_answers(&f, 3);
    g_assert_cmpuint(f.failed, ==, 1);
    g_assert_cmpint(f.last_code, ==, STOOP_ERROR_NO_SPACE);
    g_assert_cmpint(f.ill_code, ==, STOOP_ERROR_NO_SPACE);
    // Refused at once from now on; what is finished meanwhile is kept.
    g_assert_cmpuint(accept_numbered(&f, 4), ==, 0);
    StoreStats stats;
    store_stats(f.store, &stats);
    g_assert_false(stats.healthy);
    g_assert_cmpuint(stats.pending, ==, 2);
    record(&f, first, 1, "r", "action");
    record(&f, lost, 0, "r", "action");
    store_done(f.store, lost);
    store_stats(f.store, &stats);
    g_assert_cmpuint(stats.queued, ==, 5);
    g_autoptr(GPtrArray) readable = pending_of(&f);
    g_assert_cmpuint(readable->len, ==, 2);

    limit_files(RLIM_INFINITY);
    wait_health(&f, 1, 1);
    wait_stats(&f, written, 1);
    g_assert_cmpuint(accept_numbered(&f, 5), ==, 4);
    wait_answers(&f, 4);
    g_assert_cmpuint(f.committed, ==, 3);
    fixture_reopen(&f);
    g_autoptr(GPtrArray) pending = pending_of(&f);
    g_assert_cmpuint(pending->len, ==, 2);
    StorePending *one = pending->pdata[0], *two = pending->pdata[1];
    g_assert_cmpuint(one->id, ==, first);
    g_assert_cmpuint(one->recorded->len, ==, 2);
    g_assert_cmpuint(two->id, ==, 4);
    g_assert_null(two->recorded);
    g_assert_cmpuint(f.ill, ==, 1);
    g_assert_cmpuint(f.well, ==, 1);
    fixture_end(&f);
}

// Closing while nothing can be written ends all the same, and leaves what was committed.
static void test_full_close(void) {
    Fixture f;
    fixture_begin(&f);
    fixture_open(&f);
    accept_numbered(&f, 1);
    wait_answers(&f, 1);
    limit_files(0);
    accept_numbered(&f, 2);
    wait_answers(&f, 2);
    store_done(f.store, 1);
    store_close(f.store);
    limit_files(RLIM_INFINITY);
    fixture_open(&f);
    g_autoptr(GPtrArray) pending = pending_of(&f);
    g_assert_cmpuint(pending->len, ==, 1);
    g_assert_cmpuint(((StorePending *)pending->pdata[0])->id, ==, 1);
    fixture_end(&f);
}

// The log cannot grow, but there is room in the database: as when a small volume fills up slowly.
static void test_full_slowly(void) {
    Fixture f;
    fixture_begin(&f);
    fixture_open(&f);
    limit_files(8 * 1024 * 1024);
    g_autofree char *text = g_strnfill(60000, 'x');
    g_autofree char *body = g_strdup_printf("{\"rule\":\"%s\"}", text);
    static const uint8_t random16[16] = {0};
    g_autoptr(Event) event = event_parse(body, strlen(body), NULL, random16, NULL);
    unsigned handed = 0;
    while (f.ill == 0 && handed < 1000)
        if (store_accept(f.store, event, fixture_committed, &f) > 0)
            wait_answers(&f, ++handed);
    g_assert_cmpuint(f.ill, ==, 1);
    g_assert_cmpint(f.ill_code, ==, STOOP_ERROR_NO_SPACE);
    limit_files(RLIM_INFINITY);
    wait_health(&f, 1, 1);
    fixture_reopen(&f);
    g_autoptr(GPtrArray) pending = pending_of(&f);
    g_assert_cmpuint(pending->len, ==, f.committed);
    for (guint i = 0; i < pending->len; i++)
        g_assert_cmpstr(((StorePending *)pending->pdata[i])->body, ==, body);
    fixture_end(&f);
}

// Under steady load the log stays bounded, and the database takes what was in it.
static void test_log_bounded(void) {
    Fixture f;
    fixture_begin(&f);
    f.options.history_events = 50;
    fixture_open(&f);
    g_autofree char *text = g_strnfill(20000, 'x');
    g_autofree char *body = g_strdup_printf("{\"rule\":\"%s\"}", text);
    static const uint8_t random16[16] = {0};
    g_autoptr(Event) event = event_parse(body, strlen(body), NULL, random16, NULL);
    g_autofree char *wal = g_strconcat(f.path, "-wal", NULL);
    struct stat status = {.st_size = 0};
    for (unsigned i = 1; i <= 5000; i++) { // 100 MB
        uint64_t id = store_accept(f.store, event, fixture_committed, &f);
        g_assert_cmpuint(id, ==, i);
        store_done(f.store, id);
        if (i % 20 == 0)
            wait_answers(&f, i);
    }
    wait_stats(&f, written, 0);
    g_assert_cmpint(stat(wal, &status), ==, 0);
    g_assert_cmpint(status.st_size, <, 72 * 1024 * 1024);
    g_assert_cmpint(stat(f.path, &status), ==, 0);
    g_assert_cmpint(status.st_size, <, 64 * 1024 * 1024);
    fixture_end(&f);
}

int main(int argc, char **argv) {
    signal(SIGXFSZ, SIG_IGN);
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/store/full/full", test_full);
    g_test_add_func("/store/full/close", test_full_close);
    g_test_add_func("/store/full/slowly", test_full_slowly);
    g_test_add_func("/store/full/log-bounded", test_log_bounded);
    return g_test_run();
}
