// The door, spoken to over a socket.
#include "ingest/ingest.h"

#include "base/error.h"
#include "base/thread.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

typedef struct {
    Ingest *ingest;
    Log *log;
    Metrics *metrics;
    char *log_path;
    int log_fd;
    IngestVerdict verdict;
    int answer_error;  // for INGEST_LATER: answer with an error
    bool answer_first; // before offer returns
    char *not_ready;
    atomic_uint offered;
    char trace_id[33];
    char *output;
    void (*answer)(uint64_t id, const GError *error, void *token);
    void *token;
    pthread_t answerer;
    bool answerer_runs;
} Door;

static void give_answer(Door *door) {
    g_autoptr(GError) error =
        door->answer_error ? g_error_new(STOOP_ERROR, STOOP_ERROR_NO_SPACE, "the disk is full") : NULL;
    door->answer(7, error, door->token);
}

static void *answer_main(void *data) {
    give_answer(data);
    return NULL;
}

static IngestVerdict offer(const Event *event, void (*answer)(uint64_t id, const GError *error, void *token),
                           void *token, void *user) {
    Door *door = user;
    atomic_fetch_add(&door->offered, 1);
    g_strlcpy(door->trace_id, event->trace_id, sizeof door->trace_id);
    g_free(door->output);
    door->output = g_strdup(event->output);
    door->answer = answer;
    door->token = token;
    IngestVerdict verdict = door->verdict;
    if (verdict == INGEST_LATER) {
        if (door->answer_first) {
            give_answer(door);
        } else {
            g_assert_true(thread_start(&door->answerer, "answerer", 0, answer_main, door, NULL));
            door->answerer_runs = true;
        }
    }
    return verdict;
}

static char *not_ready(void *user) {
    return g_strdup(((Door *)user)->not_ready);
}

static Door *door_new(void) {
    g_autoptr(GError) error = NULL;
    Door *door = g_new0(Door, 1);
    door->log_fd = g_file_open_tmp("stoop-ingest-XXXXXX", &door->log_path, &error);
    g_assert_no_error(error);
    door->log = log_new(door->log_fd, LOG_FORMAT_JSON, LOG_DEBUG, clock_system());
    door->metrics = metrics_new();
    const IngestOptions options = {
        .address = "127.0.0.1",
        .max_body = 1 << 20,
        .clock = clock_system(),
        .log = door->log,
        .metrics = door->metrics,
        .offer = offer,
        .not_ready = not_ready,
        .user = door,
    };
    door->ingest = ingest_start(&options, &error);
    g_assert_no_error(error);
    return door;
}

static void door_free(Door *door) {
    if (door->answerer_runs)
        pthread_join(door->answerer, NULL);
    ingest_stop(door->ingest);
    log_free(door->log);
    metrics_free(door->metrics);
    close(door->log_fd);
    g_unlink(door->log_path);
    g_free(door->log_path);
    g_free(door->not_ready);
    g_free(door->output);
    g_free(door);
}

static int dial(const Door *door) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_assert_cmpint(fd, >=, 0);
    const struct timeval limit = {.tv_sec = 20};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(ingest_port(door->ingest)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    g_assert_cmpint(connect(fd, (const struct sockaddr *)&address, sizeof address), ==, 0);
    return fd;
}

// One request on a connection of its own; the whole answer.
static char *ask(const Door *door, const char *method, const char *path, const char *headers, const char *body) {
    int fd = dial(door);
    g_autofree char *request =
        body ? g_strdup_printf("%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%sContent-Length: %zu\r\n\r\n%s",
                               method, path, headers, strlen(body), body)
             : g_strdup_printf("%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s\r\n", method, path, headers);
    size_t len = strlen(request);
    g_assert_cmpint(send(fd, request, len, MSG_NOSIGNAL), ==, (ssize_t)len);
    GString *answer = g_string_new("");
    char buffer[4096];
    for (ssize_t got; (got = recv(fd, buffer, sizeof buffer, 0)) > 0;)
        g_string_append_len(answer, buffer, got);
    close(fd);
    return g_string_free(answer, FALSE);
}

static char *post(const Door *door, const char *body) {
    return ask(door, "POST", "/", "", body);
}

static void assert_answer(char *answer, int status, const char *part) {
    g_autofree char *text = answer;
    g_autofree char *start = g_strdup_printf("HTTP/1.1 %d ", status);
    if (!g_str_has_prefix(text, start) || (part && !strstr(text, part)))
        g_error("wanted %d and '%s', got: %s", status, part ? part : "", text);
}

static char *door_log(const Door *door) {
    char *text = NULL;
    g_assert_true(g_file_get_contents(door->log_path, &text, NULL, NULL));
    return text;
}

static const char EVENT[] = "{\"rule\":\"R\",\"output\":\"o\",\"priority\":\"Notice\"}\n";

static void test_accepted(void) {
    Door *door = door_new();
    door->verdict = INGEST_DONE;
    g_autofree char *answer = post(door, EVENT);
    g_assert_true(g_str_has_prefix(answer, "HTTP/1.1 200 "));
    g_assert_true(g_str_has_suffix(answer, "\r\n\r\n")); // an empty body
    g_assert_cmpuint(door->offered, ==, 1);
    g_assert_cmpstr(door->output, ==, "o");
    GString *page = g_string_new("");
    metrics_text(door->metrics, page);
    g_assert_nonnull(strstr(page->str, "stoop_accept_seconds_count 1"));
    g_assert_nonnull(strstr(page->str, "stoop_answers_total{code=\"200\"} 1"));
    g_string_free(page, TRUE);
    door_free(door);
}

static void test_later_table(void) {
    for (int first = 0; first < 2; first++) {
        for (int failed = 0; failed < 2; failed++) {
            Door *door = door_new();
            door->verdict = INGEST_LATER;
            door->answer_first = first;
            door->answer_error = failed;
            g_test_message("first %d failed %d", first, failed);
            assert_answer(post(door, EVENT), failed ? 503 : 200, failed ? "Retry-After: 1" : NULL);
            door_free(door);
        }
    }
}

static void test_refused(void) {
    Door *door = door_new();
    door->verdict = INGEST_REFUSED;
    assert_answer(post(door, EVENT), 503, "Retry-After: 1\r\n");
    door_free(door);
}

static void test_bad_bodies(void) {
    static const char *const bodies[] = {"", "{", "[]", "null", "{\"rule\":", "{\"output_fields\":[]}", "plain text\n"};
    Door *door = door_new();
    for (size_t i = 0; i < G_N_ELEMENTS(bodies); i++) {
        g_test_message("body %zu", i);
        assert_answer(post(door, bodies[i]), 400, "not an event: ");
    }
    g_assert_cmpuint(door->offered, ==, 0);
    g_autofree char *log = door_log(door);
    g_assert_nonnull(strstr(log, "\"peer\":\"127.0.0.1"));
    g_assert_null(strstr(log, "plain text"));
    assert_answer(post(door, EVENT), 200, NULL); // it goes on
    door_free(door);
}

static void test_warnings_are_limited(void) {
    Door *door = door_new();
    for (int i = 0; i < 60; i++)
        assert_answer(post(door, "nonsense"), 400, NULL);
    g_autofree char *log = door_log(door);
    unsigned lines = 0;
    for (const char *at = log; (at = strstr(at, "rejected\"")); at++)
        lines++;
    g_assert_cmpuint(lines, >=, 10);
    g_assert_cmpuint(lines, <, 60);
    door_free(door);
}

static void test_routes_table(void) {
    static const struct {
        const char *method, *path;
        int status;
        const char *part;
    } rows[] = {
        {"GET", "/", 405, "Allow: POST\r\n"},
        {"PUT", "/", 405, "Allow: POST\r\n"},
        {"POST", "/healthz", 405, "Allow: GET, HEAD\r\n"},
        {"DELETE", "/metrics", 405, "Allow: GET, HEAD\r\n"},
        {"POST", "/other", 404, NULL},
        {"GET", "/other", 404, NULL},
        {"GET", "/healthz", 200, "{\"status\": \"ok\"}"},
        {"GET", "/readyz", 200, "{\"status\": \"ok\"}"},
        {"HEAD", "/healthz", 200, NULL},
        {"GET", "/metrics", 200, "Content-Type: text/plain; version=0.0.4"},
        {"GET", "/metrics", 200, "stoop_accept_seconds_count 0"},
        {"POST", "/?token=x", 200, NULL},
    };
    Door *door = door_new();
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_test_message("row %zu", i);
        assert_answer(ask(door, rows[i].method, rows[i].path, "", strcmp(rows[i].method, "GET") ? EVENT : NULL),
                      rows[i].status, rows[i].part);
    }
    g_assert_cmpuint(door->offered, ==, 1);
    door_free(door);
}

static void test_not_ready(void) {
    Door *door = door_new();
    door->not_ready = g_strdup("no \"rules\"");
    assert_answer(ask(door, "GET", "/readyz", "", NULL), 503,
                  "{\"status\": \"unavailable\", \"reason\": \"no \\\"rules\\\"\"}");
    assert_answer(ask(door, "GET", "/healthz", "", NULL), 200, NULL);
    door_free(door);
}

static void test_trace_ids(void) {
    Door *door = door_new();
    assert_answer(
        ask(door, "POST", "/", "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n", EVENT), 200,
        NULL);
    g_assert_cmpstr(door->trace_id, ==, "0af7651916cd43dd8448eb211c80319c");
    g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    for (int i = 0; i < 100; i++) { // beyond one batch of random bytes
        assert_answer(post(door, EVENT), 200, NULL);
        g_assert_cmpuint(strlen(door->trace_id), ==, 32);
        g_assert_true(g_hash_table_add(seen, g_strdup(door->trace_id)));
    }
    door_free(door);
}

static void test_kept_connection(void) {
    Door *door = door_new();
    int fd = dial(door);
    for (int i = 0; i < 3; i++) {
        g_autofree char *request =
            g_strdup_printf("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s", strlen(EVENT), EVENT);
        g_assert_cmpint(send(fd, request, strlen(request), MSG_NOSIGNAL), ==, (ssize_t)strlen(request));
        GString *answer = g_string_new("");
        char buffer[1024];
        while (!strstr(answer->str, "\r\n\r\n")) {
            ssize_t got = recv(fd, buffer, sizeof buffer, 0);
            g_assert_cmpint(got, >, 0);
            g_string_append_len(answer, buffer, got);
        }
        g_assert_true(g_str_has_prefix(answer->str, "HTTP/1.1 200 "));
        g_string_free(answer, TRUE);
    }
    close(fd);
    g_assert_cmpuint(door->offered, ==, 3);
    door_free(door);
}

static void test_quiesced(void) {
    Door *door = door_new();
    int fd = dial(door);
    g_autofree char *request =
        g_strdup_printf("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n%s", strlen(EVENT), EVENT);
    g_autoptr(GString) answer = g_string_new("");
    char buffer[1024];
    for (int i = 0; i < 2; i++) {
        g_assert_cmpint(send(fd, request, strlen(request), MSG_NOSIGNAL), ==, (ssize_t)strlen(request));
        ssize_t got = recv(fd, buffer, sizeof buffer, 0);
        g_assert_cmpint(got, >, 0);
        g_string_truncate(answer, 0);
        g_string_append_len(answer, buffer, got);
        g_assert_true(g_str_has_prefix(answer->str, i == 0 ? "HTTP/1.1 200 " : "HTTP/1.1 503 "));
        if (i == 0)
            ingest_quiesce(door->ingest);
    }
    close(fd);
    g_assert_cmpuint(door->offered, ==, 1);
    door_free(door);
}

static void test_port_in_use(void) {
    Door *door = door_new();
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    g_assert_cmpint(bind(fd, (const struct sockaddr *)&address, size), ==, 0);
    g_assert_cmpint(listen(fd, 1), ==, 0);
    g_assert_cmpint(getsockname(fd, (struct sockaddr *)&address, &size), ==, 0);
    const IngestOptions options = {.address = "127.0.0.1",
                                   .port = ntohs(address.sin_port),
                                   .clock = clock_system(),
                                   .log = door->log,
                                   .metrics = door->metrics,
                                   .offer = offer,
                                   .user = door};
    g_autoptr(GError) error = NULL;
    g_assert_null(ingest_start(&options, &error));
    g_assert_nonnull(error);
    close(fd);
    door_free(door);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/ingest/accepted", test_accepted);
    g_test_add_func("/ingest/later-table", test_later_table);
    g_test_add_func("/ingest/refused", test_refused);
    g_test_add_func("/ingest/bad-bodies", test_bad_bodies);
    g_test_add_func("/ingest/warnings-are-limited", test_warnings_are_limited);
    g_test_add_func("/ingest/routes-table", test_routes_table);
    g_test_add_func("/ingest/not-ready", test_not_ready);
    g_test_add_func("/ingest/trace-ids", test_trace_ids);
    g_test_add_func("/ingest/kept-connection", test_kept_connection);
    g_test_add_func("/ingest/quiesced", test_quiesced);
    g_test_add_func("/ingest/port-in-use", test_port_in_use);
    return g_test_run();
}
