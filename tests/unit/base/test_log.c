// The three formats, what cannot be forged in them, and a descriptor that takes nothing.
#include "base/log.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yyjson.h>

static int64_t fixed_ns(const Clock *clock) {
    return 1767366245123456789; // 2026-01-02T15:04:05.123Z
}
static int64_t fixed_us(const Clock *clock) {
    return 0;
}
static const Clock fixed = {fixed_us, fixed_ns};

// What one line gives on a pipe.
static char *line_of(LogFormat format, LogLevel level, const char *message, const LogField *fields) {
    int ends[2];
    g_assert_cmpint(pipe(ends), ==, 0);
    Log *log = log_new(ends[1], format, LOG_DEBUG, &fixed);
    log_line(log, level, message, fields);
    // Long lines go through the queue; nothing may be lost when the log ends.
    fcntl(ends[0], F_SETPIPE_SZ, 1 << 20);
    log_free(log);
    close(ends[1]);
    GString *text = g_string_new(NULL);
    char bytes[4096];
    for (ssize_t n; (n = read(ends[0], bytes, sizeof bytes)) > 0;)
        g_string_append_len(text, bytes, n);
    close(ends[0]);
    g_assert_cmpuint(text->len, >, 0);
    g_assert_cmpint(text->str[text->len - 1], ==, '\n');
    return g_string_free(text, FALSE);
}

static const LogField usual[] = {
    {"status", "success"}, {"rule", "Terminal shell"}, {"left_out", NULL}, {"empty", ""}, {"eq", "a=b"}, {NULL, NULL}};

static void test_formats(void) {
    g_autofree char *text = line_of(LOG_FORMAT_TEXT, LOG_INFO, "action", usual);
    g_assert_cmpstr(
        text, ==, "2026-01-02T15:04:05.123Z INF action status=success rule=\"Terminal shell\" empty=\"\" eq=\"a=b\"\n");
    g_autofree char *json = line_of(LOG_FORMAT_JSON, LOG_WARNING, "action", usual);
    g_assert_cmpstr(json, ==,
                    "{\"level\":\"warn\",\"time\":\"2026-01-02T15:04:05.123Z\",\"message\":\"action\",\"status\":"
                    "\"success\",\"rule\":\"Terminal shell\",\"empty\":\"\",\"eq\":\"a=b\"}\n");
    g_autofree char *color = line_of(LOG_FORMAT_COLOR, LOG_ERROR, "init", (LogField[]){{"k", "v"}, {NULL, NULL}});
    g_assert_cmpstr(
        color, ==,
        "\x1b[90m2026-01-02T15:04:05.123Z\x1b[0m \x1b[31mERR\x1b[0m \x1b[1minit\x1b[0m \x1b[36mk=\x1b[0mv\n");
    g_autofree char *bare = line_of(LOG_FORMAT_TEXT, LOG_DEBUG, "rules", NULL);
    g_assert_cmpstr(bare, ==, "2026-01-02T15:04:05.123Z DBG rules\n");
}

// Everything that a value could use to look like another line, another field, or a terminal's command.
static void test_forgery(void) {
    static const char evil[] = "x\ny=\"z\"\r\t\\ \x1b[31m \x7f \xff\xc3( \xc2\x9b \xe2\x80\xae \xe2\x80\xa8 "
                               "\xf3\xa0\x80\x81 \xc3\xa9 \xf0\x9f\x98\x80";
    const LogField fields[] = {{"output", evil}, {NULL, NULL}};
    for (int format = LOG_FORMAT_TEXT; format <= LOG_FORMAT_JSON; format++) {
        g_autofree char *line = line_of((LogFormat)format, LOG_INFO, "event", fields);
        g_assert_true(g_utf8_validate(line, -1, NULL));
        const char *value = strstr(line, "x\\n");
        g_assert_nonnull(value);
        g_assert_true(g_str_has_prefix(value, "x\\ny=\\\"z\\\"\\r\\t\\\\ \\u001b[31m \\u007f \\ufffd\\ufffd( \\u009b "
                                              "\\u202e \\u2028 \\udb40\\udc01 \xc3\xa9 \xf0\x9f\x98\x80\""));
        g_assert_true(strchr(line, '\n') == line + strlen(line) - 1);
        g_assert_null(strchr(value, '\x1b'));
    }
}

static void test_json_is_json(void) {
    GString *all = g_string_new(NULL);
    for (int c = 1; c < 256; c++)
        g_string_append_c(all, (char)c);
    g_autofree char *owned = g_string_free(all, FALSE);
    g_autofree char *line = line_of(LOG_FORMAT_JSON, LOG_INFO, owned, (LogField[]){{"k", owned}, {NULL, NULL}});
    yyjson_doc *doc = yyjson_read(line, strlen(line), 0);
    g_assert_nonnull(doc);
    g_assert_true(strncmp(yyjson_get_str(yyjson_obj_get(yyjson_doc_get_root(doc), "k")), owned, 126) == 0);
    yyjson_doc_free(doc);
}

static void test_long_values(void) {
    g_autofree char *exact = g_strnfill(16384, 'x');
    g_autofree char *longer = g_strdup_printf("%s\xe2\x82\xac", exact);
    longer[16382] = '\xe2';
    longer[16383] = '\x82';
    longer[16384] = '\xac';
    g_autofree char *whole =
        line_of(LOG_FORMAT_JSON, LOG_INFO, "m", (LogField[]){{"a", exact}, {"b", longer}, {"c", "end"}, {NULL, NULL}});
    yyjson_doc *doc = yyjson_read(whole, strlen(whole), 0);
    g_assert_nonnull(doc);
    yyjson_val *root = yyjson_doc_get_root(doc);
    g_assert_cmpstr(yyjson_get_str(yyjson_obj_get(root, "a")), ==, exact);
    const char *cut = yyjson_get_str(yyjson_obj_get(root, "b"));
    g_assert_nonnull(cut);
    g_assert_true(g_str_has_suffix(cut, "x [cut: 16382 of 16387 bytes]"));
    g_assert_cmpstr(yyjson_get_str(yyjson_obj_get(root, "c")), ==, "end");
    yyjson_doc_free(doc);
}

static void test_levels(void) {
    g_autofree char *path = NULL;
    int fd = g_file_open_tmp("stoop-log-XXXXXX", &path, NULL);
    {
        g_autoptr(Log) log = log_new(fd, LOG_FORMAT_TEXT, LOG_WARNING, &fixed);
        g_assert_false(log_enabled(log, LOG_INFO));
        g_assert_true(log_enabled(log, LOG_WARNING));
        log_text(log, LOG_INFO, "init", "not %d", 1);
        log_text(log, LOG_WARNING, "init", "seen %d", 2);
        log_text(log, LOG_ERROR, "rules", "bad %s", "x y");
    }
    close(fd);
    g_autofree char *text = NULL;
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_cmpstr(text, ==,
                    "2026-01-02T15:04:05.123Z WRN init error=\"seen 2\"\n"
                    "2026-01-02T15:04:05.123Z ERR rules error=\"bad x y\"\n");
    g_unlink(path);
}

typedef struct {
    int fd;
    GString *text;
} Reader;

static void *read_all(void *argument) {
    Reader *reader = argument;
    char bytes[65536];
    for (ssize_t n; (n = read(reader->fd, bytes, sizeof bytes)) > 0;)
        g_string_append_len(reader->text, bytes, n);
    return NULL;
}

// A full pipe: log_line comes back all the same, counts what does not fit, and tells of it once there is room.
static void test_stuck(void) {
    int ends[2];
    g_assert_cmpint(pipe(ends), ==, 0);
    g_autofree char *value = g_strnfill(1000, 'v');
    Log *log = log_new(ends[1], LOG_FORMAT_JSON, LOG_DEBUG, clock_system());
    char number[16];
    unsigned lines = 3000;
    int64_t start = clock_monotonic_us(clock_system());
    for (unsigned i = 0; i < lines; i++) {
        g_snprintf(number, sizeof number, "%u", i);
        log_line(log, LOG_INFO, "event", (LogField[]){{"n", number}, {"v", value}, {NULL, NULL}});
    }
    g_assert_cmpint(clock_monotonic_us(clock_system()) - start, <, 10 * 1000000);
    guint64 dropped = log_dropped(log);
    g_assert_cmpuint(dropped, >, 1000);
    g_assert_cmpuint(dropped, <, 2500);

    Reader reader = {.fd = ends[0], .text = g_string_new(NULL)};
    pthread_t thread;
    g_assert_cmpint(pthread_create(&thread, NULL, read_all, &reader), ==, 0);
    // The report goes out with the first line that finds room.
    int64_t deadline = clock_monotonic_us(clock_system()) + 10 * 1000000;
    guint64 seen = dropped;
    unsigned more = 0;
    do {
        seen = log_dropped(log);
        log_line(log, LOG_INFO, "after", NULL);
        more++;
    } while (log_dropped(log) > seen && clock_monotonic_us(clock_system()) < deadline);
    dropped = log_dropped(log);
    log_free(log);
    close(ends[1]);
    pthread_join(thread, NULL);
    close(ends[0]);

    guint64 got = 0, told = 0;
    g_auto(GStrv) rows = g_strsplit(reader.text->str, "\n", -1);
    guint64 last = 0;
    for (char **row = rows; **row; row++) {
        yyjson_doc *doc = yyjson_read(*row, strlen(*row), 0);
        g_assert_nonnull(doc); // every line is whole
        yyjson_val *root = yyjson_doc_get_root(doc);
        const char *n = yyjson_get_str(yyjson_obj_get(root, "n"));
        if (n) {
            guint64 at = g_ascii_strtoull(n, NULL, 10);
            g_assert_true(got == 0 || at > last);
            last = at;
            got++;
        } else if (g_str_equal(yyjson_get_str(yyjson_obj_get(root, "message")), "after")) {
            got++;
        } else {
            told += g_ascii_strtoull(yyjson_get_str(yyjson_obj_get(root, "error")), NULL, 10);
        }
        yyjson_doc_free(doc);
    }
    g_assert_cmpuint(told, ==, dropped);
    g_assert_cmpuint(got + dropped, ==, lines + more);
    g_string_free(reader.text, TRUE);
}

// Nobody ever reads: the end comes all the same, within the promised 2 s.
static void test_stuck_end(void) {
    int ends[2];
    g_assert_cmpint(pipe(ends), ==, 0);
    g_autofree char *value = g_strnfill(4000, 'v');
    Log *log = log_new(ends[1], LOG_FORMAT_TEXT, LOG_DEBUG, clock_system());
    for (unsigned i = 0; i < 100; i++)
        log_line(log, LOG_INFO, "event", (LogField[]){{"v", value}, {NULL, NULL}});
    int64_t start = clock_monotonic_us(clock_system());
    log_free(log);
    int64_t took = clock_monotonic_us(clock_system()) - start;
    g_assert_cmpint(took, >, 1000000);
    g_assert_cmpint(took, <, 5 * 1000000);
    close(ends[0]);
    close(ends[1]);
}

static void test_reader_gone(void) {
    int ends[2];
    g_assert_cmpint(pipe(ends), ==, 0);
    close(ends[0]);
    Log *log = log_new(ends[1], LOG_FORMAT_TEXT, LOG_DEBUG, clock_system());
    for (int i = 0; i < 10; i++)
        log_line(log, LOG_INFO, "event", NULL);
    g_assert_cmpuint(log_dropped(log), >=, 10);
    log_free(log);
    close(ends[1]);
}

// Lines of a batch come out together, when flushed, in order, with those that fit no piece between them.
static void test_batch(void) {
    int ends[2];
    g_assert_cmpint(pipe2(ends, O_NONBLOCK), ==, 0);
    Log *log = log_new(ends[1], LOG_FORMAT_TEXT, LOG_INFO, &fixed);
    LogBatch batch;
    log_batch_init(&batch, log);
    log_batch_line(&batch, LOG_INFO, "one", NULL);
    log_batch_line(&batch, LOG_DEBUG, "unseen", NULL);
    log_batch_line(&batch, LOG_INFO, "two", NULL);
    char bytes[16384];
    g_assert_cmpint(read(ends[0], bytes, sizeof bytes), ==, -1); // nothing yet
    log_batch_flush(&batch);
    ssize_t n = read(ends[0], bytes, sizeof bytes - 1);
    g_assert_cmpint(n, >, 0);
    bytes[n] = '\0';
    g_assert_cmpstr(bytes, ==, "2026-01-02T15:04:05.123Z INF one\n2026-01-02T15:04:05.123Z INF two\n");

    g_autofree char *large = g_strnfill(6000, 'x');
    log_batch_line(&batch, LOG_INFO, "before", NULL);
    log_batch_line(&batch, LOG_INFO, "large", (LogField[]){{"k", large}, {NULL, NULL}});
    log_batch_line(&batch, LOG_INFO, "after", NULL);
    log_batch_flush(&batch);
    log_batch_clear(&batch);
    log_free(log); // writes what was queued
    n = read(ends[0], bytes, sizeof bytes - 1);
    g_assert_cmpint(n, >, 6000);
    bytes[n] = '\0';
    const char *before = strstr(bytes, "INF before\n"), *middle = strstr(bytes, "INF large k="),
               *after = strstr(bytes, "INF after\n");
    g_assert_true(before && middle && after && before < middle && middle < after);
    close(ends[0]);
    close(ends[1]);
}

static void *log_many(void *argument) {
    g_autofree char *value = g_strnfill(700, 'w');
    for (int i = 0; i < 500; i++)
        log_line(argument, LOG_INFO, "event", (LogField[]){{"v", value}, {NULL, NULL}});
    return NULL;
}

static void test_threads(void) {
    int ends[2];
    g_assert_cmpint(pipe(ends), ==, 0);
    Log *log = log_new(ends[1], LOG_FORMAT_JSON, LOG_DEBUG, clock_system());
    Reader reader = {.fd = ends[0], .text = g_string_new(NULL)};
    pthread_t thread, writers[4];
    g_assert_cmpint(pthread_create(&thread, NULL, read_all, &reader), ==, 0);
    for (int i = 0; i < 4; i++)
        g_assert_cmpint(pthread_create(&writers[i], NULL, log_many, log), ==, 0);
    for (int i = 0; i < 4; i++)
        pthread_join(writers[i], NULL);
    guint64 dropped = log_dropped(log);
    log_free(log);
    close(ends[1]);
    pthread_join(thread, NULL);
    close(ends[0]);
    g_auto(GStrv) rows = g_strsplit(reader.text->str, "\n", -1);
    guint64 events = 0;
    for (char **row = rows; **row; row++) {
        g_assert_true(g_str_has_prefix(*row, "{\"level\":") && g_str_has_suffix(*row, "\"}"));
        events += strstr(*row, "\"message\":\"event\"") != NULL;
    }
    g_assert_cmpuint(events + dropped, ==, 2000);
    g_string_free(reader.text, TRUE);
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN);
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/log/formats", test_formats);
    g_test_add_func("/log/forgery", test_forgery);
    g_test_add_func("/log/json-is-json", test_json_is_json);
    g_test_add_func("/log/long-values", test_long_values);
    g_test_add_func("/log/levels", test_levels);
    g_test_add_func("/log/stuck", test_stuck);
    g_test_add_func("/log/stuck-end", test_stuck_end);
    g_test_add_func("/log/reader-gone", test_reader_gone);
    g_test_add_func("/log/batch", test_batch);
    g_test_add_func("/log/threads", test_threads);
    return g_test_run();
}
