// The small ones: backoff, errors, lines, threads.
#include "base/backoff.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/one_line.h"
#include "base/thread.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

static void test_backoff(void) {
    Backoff backoff = {.base_us = 100, .max_us = 1000};
    static const int64_t tops[] = {100, 200, 400, 800, 1000, 1000};
    for (unsigned i = 0; i < G_N_ELEMENTS(tops); i++)
        g_assert_cmpint(backoff_next_us(&backoff, UINT32_MAX), ==, tops[i]);
    backoff.attempt = 0;
    for (unsigned i = 0; i < G_N_ELEMENTS(tops); i++)
        g_assert_cmpint(backoff_next_us(&backoff, 0), ==, tops[i] / 2);
    // Neither the number of attempts nor large bounds overflow.
    backoff = (Backoff){.base_us = 100, .max_us = 1000, .attempt = UINT32_MAX - 1};
    g_assert_cmpint(backoff_next_us(&backoff, UINT32_MAX), ==, 1000);
    backoff = (Backoff){.base_us = 1, .max_us = INT64_MAX / 4, .attempt = 500};
    int64_t wait = backoff_next_us(&backoff, UINT32_MAX / 2);
    g_assert_cmpint(wait, >=, INT64_MAX / 8);
    g_assert_cmpint(wait, <=, INT64_MAX / 4);
    backoff = (Backoff){.base_us = 5000, .max_us = 1000};
    g_assert_cmpint(backoff_next_us(&backoff, UINT32_MAX), ==, 1000);
}

static void test_error(void) {
    g_autoptr(GError) error = NULL;
    g_assert_false(stoop_error_is(NULL, STOOP_ERROR_FAILED));
    g_assert_false(stoop_error_is_retryable(NULL));
    stoop_error_set_errno(&error, ENOSPC, "cannot write %s", "x");
    g_assert_error(error, STOOP_ERROR, STOOP_ERROR_NO_SPACE);
    g_assert_true(g_str_has_prefix(error->message, "cannot write x: "));
    g_assert_true(stoop_error_is(error, STOOP_ERROR_NO_SPACE));
    g_assert_false(stoop_error_is(error, STOOP_ERROR_IO));
    g_clear_error(&error);
    stoop_error_set_errno(&error, EACCES, "cannot write");
    g_assert_error(error, STOOP_ERROR, STOOP_ERROR_IO);
    g_clear_error(&error);
    for (int code = STOOP_ERROR_FAILED; code <= STOOP_ERROR_NO_SPACE; code++) {
        g_set_error_literal(&error, STOOP_ERROR, code, "x");
        g_assert_cmpint(stoop_error_is_retryable(error), ==,
                        code == STOOP_ERROR_UNAVAILABLE || code == STOOP_ERROR_TIMEOUT);
        g_clear_error(&error);
    }
    g_set_error_literal(&error, G_FILE_ERROR, STOOP_ERROR_UNAVAILABLE, "another domain's");
    g_assert_false(stoop_error_is_retryable(error));
}

static void test_one_line(void) {
    static const struct {
        const char *text;
        size_t len, max;
        const char *wanted;
    } cases[] = {{"", 0, 10, ""},
                 {" a\n\tb\x7f\r\n", 8, 10, "a  b"},
                 {"a\0b", 3, 10,
                  "a\xef\xbf\xbd"
                  "b"},
                 {"a\xff", 2, 10, "a\xef\xbf\xbd"},
                 {"0123456789", 10, 10, "0123456789"},
                 {"0123456789", 10, 9, "012345678\xe2\x80\xa6"}};
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *line = one_line(cases[i].text, cases[i].len, cases[i].max);
        g_assert_cmpstr(line, ==, cases[i].wanted);
    }
}

typedef struct {
    Mutex lock;
    Cond changed;
    bool ready;
    char name[16];
    bool signals_blocked;
} Shared;

static void *work(void *argument) {
    Shared *shared = argument;
    sigset_t mask;
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    mutex_lock(&shared->lock);
    pthread_getname_np(pthread_self(), shared->name, sizeof shared->name);
    shared->signals_blocked = sigismember(&mask, SIGTERM) == 1 && sigismember(&mask, SIGINT) == 1;
    shared->ready = true;
    cond_signal(&shared->changed);
    mutex_unlock(&shared->lock);
    return shared;
}

static void test_thread(void) {
    Shared shared = {.ready = false};
    mutex_init(&shared.lock);
    cond_init(&shared.changed);
    int64_t start = clock_monotonic_us(clock_system());
    mutex_lock(&shared.lock);
    bool woken = cond_wait_until(&shared.changed, &shared.lock, start + 20000);
    mutex_unlock(&shared.lock);
    g_assert_true(woken || clock_monotonic_us(clock_system()) - start >= 20000);

    pthread_t thread;
    g_autoptr(GError) error = NULL;
    g_assert_true(thread_start(&thread, "a name that is too long", 1, work, &shared, &error));
    g_assert_no_error(error);
    mutex_lock(&shared.lock);
    while (!shared.ready)
        g_assert_true(cond_wait_until(&shared.changed, &shared.lock, start + 20 * 1000000));
    mutex_unlock(&shared.lock);
    void *result = NULL;
    g_assert_cmpint(pthread_join(thread, &result), ==, 0);
    g_assert_true(result == &shared);
    g_assert_cmpstr(shared.name, ==, "a name that is ");
    g_assert_true(shared.signals_blocked);
    sigset_t mask;
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    g_assert_cmpint(sigismember(&mask, SIGTERM), ==, 0);
    cond_destroy(&shared.changed);
    mutex_destroy(&shared.lock);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/base/backoff", test_backoff);
    g_test_add_func("/base/error", test_error);
    g_test_add_func("/base/one-line", test_one_line);
    g_test_add_func("/base/thread", test_thread);
    return g_test_run();
}
