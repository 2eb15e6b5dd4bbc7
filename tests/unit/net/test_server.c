#include "net_test.h"

#include "base/error.h"
#include "base/thread.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// Answers with what it saw: "<method> <path> <bytes> <q>\n". Requests to /later are answered by a thread of their own
// when `release` is set.
typedef struct {
    HttpServer *server;
    uint16_t port;
    Mutex mutex;
    Cond changed;
    bool release;
    unsigned later;
    pthread_t threads[64];
    unsigned thread_count;
} Fixture;

static void answer_seen(HttpServerRequest *request) {
    size_t len = 0;
    const char *body = http_server_body(request, &len);
    g_assert_cmpuint(strlen(body), ==, len);
    const char *query = http_server_query(request, "q");
    char peer[64];
    g_assert_cmpstr(http_server_peer(request, peer, sizeof peer), ==, "127.0.0.1");
    const char *echo = http_server_header(request, "X-Echo");
    g_autofree char *header = echo ? g_strconcat("X-Echo: ", echo, NULL) : NULL;
    const char *headers[] = {"Content-Type: text/plain", header, NULL};
    g_autofree char *text = g_strdup_printf("%s %s %zu %s\n", http_server_method(request), http_server_path(request),
                                            len, query ? query : "-");
    http_server_answer(request, 200, headers, text, strlen(text));
}

typedef struct {
    Fixture *fixture;
    HttpServerRequest *request;
} Later;

static void *answer_later(void *argument) {
    Later *later = argument;
    mutex_lock(&later->fixture->mutex);
    while (!later->fixture->release)
        cond_wait(&later->fixture->changed, &later->fixture->mutex);
    mutex_unlock(&later->fixture->mutex);
    answer_seen(later->request);
    g_free(later);
    return NULL;
}

static void handle(HttpServerRequest *request, void *user) {
    Fixture *fixture = user;
    if (strcmp(http_server_path(request), "/empty") == 0) {
        http_server_answer(request, 204, NULL, NULL, 0);
        return;
    }
    if (strcmp(http_server_path(request), "/later") != 0) {
        answer_seen(request);
        return;
    }
    Later *later = g_new0(Later, 1);
    *later = (Later){fixture, request};
    mutex_lock(&fixture->mutex);
    fixture->later++;
    cond_broadcast(&fixture->changed);
    g_assert_cmpuint(fixture->thread_count, <, G_N_ELEMENTS(fixture->threads));
    g_assert_cmpint(pthread_create(&fixture->threads[fixture->thread_count++], NULL, answer_later, later), ==, 0);
    mutex_unlock(&fixture->mutex);
}

static void start(Fixture *fixture, HttpServerOptions options) {
    *fixture = (Fixture){0};
    mutex_init(&fixture->mutex);
    cond_init(&fixture->changed);
    options.address = "127.0.0.1";
    options.handle = handle;
    options.user = fixture;
    g_autoptr(GError) error = NULL;
    fixture->server = http_server_start(&options, &error);
    g_assert_no_error(error);
    fixture->port = http_server_port(fixture->server);
    g_assert_cmpuint(fixture->port, !=, 0);
}

static void release(Fixture *fixture) {
    mutex_lock(&fixture->mutex);
    fixture->release = true;
    cond_broadcast(&fixture->changed);
    mutex_unlock(&fixture->mutex);
}

static void stop(Fixture *fixture) {
    release(fixture);
    http_server_stop(fixture->server);
    for (unsigned i = 0; i < fixture->thread_count; i++)
        pthread_join(fixture->threads[i], NULL);
    mutex_destroy(&fixture->mutex);
    cond_destroy(&fixture->changed);
}

static void wait_for_later(Fixture *fixture, unsigned count) {
    mutex_lock(&fixture->mutex);
    while (fixture->later < count)
        g_assert_true(cond_wait_until(&fixture->changed, &fixture->mutex, test_now_us() + PATIENCE_US));
    mutex_unlock(&fixture->mutex);
}

// Sends `request` on a connection of its own and returns all that comes until the server closes.
static char *ask_to_end(const Fixture *fixture, const char *request) {
    int fd = raw_connect(fixture->port);
    raw_send_text(fd, request);
    char *answer = raw_read_to_end(fd);
    close(fd);
    return answer;
}

#define HOST "Host: localhost\r\n"

static void test_plain(void) {
    Fixture f;
    start(&f, (HttpServerOptions){0});
    int fd = raw_connect(f.port);
    raw_send_text(fd, "POST /a/b?q=x%20y&z=1 HTTP/1.1\r\n" HOST "X-Echo: yes\r\nContent-Length: 5\r\n\r\nhello");
    g_autofree char *first = raw_read_until(fd, "x y\n", 1);
    g_assert_true(g_str_has_prefix(first, "HTTP/1.1 200 "));
    g_assert_nonnull(strstr(first, "X-Echo: yes\r\n"));
    g_assert_nonnull(strstr(first, "POST /a/b 5 x y\n"));
    g_assert_null(strstr(first, "Server:"));

    raw_send_text(fd,
                  "HEAD /h HTTP/1.1\r\n" HOST "\r\nGET /empty HTTP/1.1\r\n" HOST "\r\nGET /g HTTP/1.1\r\n" HOST "\r\n");
    g_autofree char *second = raw_read_until(fd, "GET /g 0 -\n", 1);
    g_assert_nonnull(strstr(second, "HTTP/1.1 204 "));
    g_assert_null(strstr(second, "HEAD /h"));
    close(fd);

    HttpServerStats stats;
    http_server_stats(f.server, &stats);
    g_assert_cmpuint(stats.requests, ==, 4);
    g_assert_cmpuint(stats.rejected, ==, 0);
    stop(&f);
}

static void test_chunked(void) {
    Fixture f;
    start(&f, (HttpServerOptions){.max_body = 10});
    int fd = raw_connect(f.port);
    raw_send_text(fd,
                  "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n");
    g_autofree char *text = raw_read_until(fd, "POST / 10 -\n", 1);
    g_assert_nonnull(strstr(text, "POST / 10 -\n"));
    close(fd);
    stop(&f);
}

static void test_pipelining(void) {
    Fixture f;
    start(&f, (HttpServerOptions){0});
    release(&f);
    GString *all = g_string_new(NULL);
    for (int i = 0; i < 20; i++)
        g_string_append_printf(all, "POST %s?q=%d HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc",
                               i % 3 == 0 ? "/later" : "/now", i);
    int fd = raw_connect(f.port);
    raw_send_text(fd, all->str);
    g_autofree char *text = raw_read_until(fd, " 3 19\n", 1);
    const char *at = text;
    for (int i = 0; i < 20; i++) {
        g_autofree char *line = g_strdup_printf("POST %s 3 %d\n", i % 3 == 0 ? "/later" : "/now", i);
        at = strstr(at, line);
        g_assert_nonnull(at);
    }
    close(fd);
    g_string_free(all, TRUE);
    stop(&f);
}

static void test_body_limit(void) {
    Fixture f;
    start(&f, (HttpServerOptions){.max_body = 1024 * 1024});
    size_t max = 1024 * 1024;
    g_autofree char *body = g_malloc(max + 1);
    memset(body, 'x', max + 1);
    int fd = raw_connect(f.port);
    raw_send_text(fd, "POST / HTTP/1.1\r\n" HOST "Content-Length: 1048576\r\n\r\n");
    raw_send(fd, body, max);
    g_autofree char *fits = raw_read_until(fd, "POST / 1048576 -\n", 1);
    g_assert_nonnull(strstr(fits, "POST / 1048576 -\n"));

    // On the same connection one byte more: refused, though the client sends all of it before it reads.
    raw_send_text(fd, "POST / HTTP/1.1\r\n" HOST "Content-Length: 1048577\r\n\r\n");
    raw_send(fd, body, max + 1);
    g_autofree char *refused = raw_read_to_end(fd);
    g_assert_true(g_str_has_prefix(refused, "HTTP/1.1 413 "));
    close(fd);

    // A chunked body shows its length only as it grows.
    fd = raw_connect(f.port);
    raw_send_text(fd, "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 17; i++) {
        raw_send_text(fd, "10000\r\n");
        raw_send(fd, body, 65536);
        raw_send_text(fd, "\r\n");
    }
    g_autofree char *grown = raw_read_to_end(fd);
    g_assert_true(g_str_has_prefix(grown, "HTTP/1.1 413 "));
    close(fd);

    // Who asks first is told before sending anything.
    g_autofree char *asked =
        ask_to_end(&f, "POST / HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 1048577\r\n\r\n");
    g_assert_true(g_str_has_prefix(asked, "HTTP/1.1 413 "));
    g_assert_null(strstr(asked, "100 Continue"));

    HttpServerStats stats;
    http_server_stats(f.server, &stats);
    g_assert_cmpuint(stats.rejected, ==, 3);
    stop(&f);
}

static void test_expect(void) {
    Fixture f;
    start(&f, (HttpServerOptions){0});
    int fd = raw_connect(f.port);
    raw_send_text(fd, "POST / HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    g_autofree char *interim = raw_read_until(fd, "\r\n\r\n", 1);
    g_assert_true(g_str_has_prefix(interim, "HTTP/1.1 100 "));
    raw_send_text(fd, "hello");
    g_autofree char *text = raw_read_until(fd, "POST / 5 -\n", 1);
    g_assert_true(g_str_has_prefix(text, "HTTP/1.1 200 "));
    close(fd);
    stop(&f);
}

static void test_ambiguous_framing(void) {
    static const struct {
        const char *headers, *status;
    } cases[] = {
        {"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "400"},
        {"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "400"},
        {"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "400"},
        // Where libmicrohttpd refuses it before we see it, it says 400.
        {"Transfer-Encoding: gzip, chunked\r\n", "501 400"},
        {"Transfer-Encoding: identity\r\n", "501 400"},
        {"Content-Length: 5\r\nContent-Length: 6\r\n", "400"},
        {"Content-Length: 5\r\ncontent-length: 5\r\n", "400"},
        {"Content-Length: 5x\r\n", "400"},
        {"Content-Length: -5\r\n", "400"},
        {"Content-Length: +5\r\n", "400"},
        {"Content-Length: 0x5\r\n", "400"},
        {"Content-Length:\r\n", "400"},
        {"Content-Length : 5\r\n", "400"},
        {"Transfer-Encoding : chunked\r\n", "400"},
        {"Transfer-Encoding:\r\n chunked\r\nContent-Length: 5\r\n", "400"},
        {"Transfer-Encoding:\r\n chunked\r\n", "400"},
        {"Content-Length:\r\n 5\r\n", "400"},
        {"Content-Length:\r\n", "400"},
        {"Content-Length: 99999999999999999999999999\r\n", "413 400"},
        {"Content-Length: 18446744073709551616\r\n", "413 400"},
        {"Content-Length: 18446744073709551615\r\n", "413 400"},
    };
    Fixture f;
    start(&f, (HttpServerOptions){0});
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        // The body is a proper one by either reading, so that nothing but the headers can be refused.
        g_autofree char *request =
            g_strconcat("POST / HTTP/1.1\r\n" HOST, cases[i].headers, "\r\n5\r\nhello\r\n0\r\n\r\n", NULL);
        g_autofree char *answer = ask_to_end(&f, request);
        g_assert_true(g_str_has_prefix(answer, "HTTP/1.1 "));
        g_autofree char *status = g_strndup(answer + strlen("HTTP/1.1 "), 3);
        if (!strstr(cases[i].status, status))
            g_error("%s gave %.40s", cases[i].headers, answer);
    }
    g_autofree char *old =
        ask_to_end(&f, "POST / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
    g_assert_true(g_str_has_prefix(old, "HTTP/1.1 400 ") || g_str_has_prefix(old, "HTTP/1.0 400 "));
    HttpServerStats stats;
    http_server_stats(f.server, &stats);
    g_assert_cmpuint(stats.requests, ==, 0);
    stop(&f);
}

static void test_garbage(void) {
    static const char *cases[] = {
        "\x16\x03\x01\x02\x01\r\n\r\n", "hello\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "GET\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",       "\r\n\r\n\r\n",
    };
    Fixture f;
    start(&f, (HttpServerOptions){.request_timeout_us = 300 * 1000});
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *answer = ask_to_end(&f, cases[i]);
        g_assert_null(strstr(answer, "HTTP/1.1 2"));
    }
    g_autofree char *long_value = g_strnfill(100000, 'a');
    g_autofree char *request = g_strconcat("GET / HTTP/1.1\r\n" HOST "X: ", long_value, "\r\n\r\n", NULL);
    g_autofree char *answer = ask_to_end(&f, request);
    g_assert_null(strstr(answer, "HTTP/1.1 2"));
    g_autofree char *fine = ask_to_end(&f, "GET /ok HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    g_assert_nonnull(strstr(fine, "GET /ok 0 -\n"));
    stop(&f);
}

// Sends a byte now and then until the server cuts the connection; what it said.
static char *dribble(const Fixture *fixture, const char *head, int64_t *took_us) {
    int fd = raw_connect(fixture->port);
    int64_t began = test_now_us();
    raw_send_text(fd, head);
    char piece[1024];
    for (;;) {
        g_assert_cmpint(test_now_us() - began, <, PATIENCE_US);
        if (!raw_send(fd, "a", 1) || recv(fd, piece, 1, MSG_PEEK | MSG_DONTWAIT) >= 0)
            break;
        g_usleep(10 * 1000); // lint: test-sleep ok: this sender is slow on purpose
    }
    *took_us = test_now_us() - began;
    char *answer = raw_read_to_end(fd);
    close(fd);
    return answer;
}

static void test_slow_loris(void) {
    Fixture f;
    start(&f, (HttpServerOptions){.request_timeout_us = 400 * 1000});
    int64_t took;
    g_autofree char *in_body = dribble(&f, "POST / HTTP/1.1\r\n" HOST "Content-Length: 100000\r\n\r\n", &took);
    g_assert_true(g_str_has_prefix(in_body, "HTTP/1.1 408 "));
    g_assert_cmpint(took, >=, 350 * 1000);
    g_assert_cmpint(took, <, 5 * G_USEC_PER_SEC);

    g_autofree char *in_headers = dribble(&f, "POST / HTTP/1.1\r\n" HOST "X: ", &took);
    g_assert_cmpstr(in_headers, ==, "");
    g_assert_cmpint(took, >=, 350 * 1000);

    g_autofree char *in_first_line = dribble(&f, "POST /", &took);
    g_assert_cmpstr(in_first_line, ==, "");
    g_assert_cmpint(took, >=, 350 * 1000);

    // The same on a connection that has served a request before.
    int fd = raw_connect(f.port);
    raw_send_text(fd, "GET /x HTTP/1.1\r\n" HOST "\r\n");
    g_autofree char *served = raw_read_until(fd, "GET /x 0 -\n", 1);
    g_assert_nonnull(strstr(served, "GET /x 0 -\n"));
    g_usleep(100 * 1000); // lint: test-sleep ok: longer than the server's looks at idle connections are apart
    int64_t began = test_now_us();
    raw_send_text(fd, "GET /");
    g_autofree char *rest = raw_read_to_end(fd);
    g_assert_cmpstr(rest, ==, "");
    g_assert_cmpint(test_now_us() - began, <, 5 * G_USEC_PER_SEC);
    close(fd);

    HttpServerStats stats;
    http_server_stats(f.server, &stats);
    g_assert_cmpuint(stats.rejected, ==, 4);
    g_assert_cmpuint(stats.requests, ==, 1);
    stop(&f);
}

static void test_idle_timeout(void) {
    Fixture f;
    start(&f, (HttpServerOptions){.idle_timeout_us = 300 * 1000});
    int silent = raw_connect(f.port), kept = raw_connect(f.port);
    raw_send_text(kept, "GET /x HTTP/1.1\r\n" HOST "\r\n");
    g_autofree char *served = raw_read_until(kept, "GET /x 0 -\n", 1);
    g_assert_nonnull(strstr(served, "GET /x 0 -\n"));
    g_autofree char *a = raw_read_to_end(silent), *b = raw_read_to_end(kept);
    g_assert_cmpstr(a, ==, "");
    g_assert_cmpstr(b, ==, "");
    close(silent);
    close(kept);
    stop(&f);
}

static void test_many_idle(void) {
    enum { IDLE = 2000 };
    Fixture f;
    // Fewer are allowed than come: old idle ones make room.
    start(&f, (HttpServerOptions){.max_connections = 1000});
    int *fds = g_new(int, IDLE);
    for (int i = 0; i < IDLE; i++)
        fds[i] = raw_connect(f.port);
    int64_t began = test_now_us();
    g_autofree char *answer = ask_to_end(&f, "GET /new HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    g_assert_nonnull(strstr(answer, "GET /new 0 -\n"));
    g_assert_cmpint(test_now_us() - began, <, 2 * G_USEC_PER_SEC);
    HttpServerStats stats;
    http_server_stats(f.server, &stats);
    g_assert_cmpuint(stats.connections, <=, 1000);
    for (int i = 0; i < IDLE; i++)
        close(fds[i]);
    g_free(fds);
    stop(&f);
}

// Half-sent requests must not keep others out either.
static void test_many_half(void) {
    enum { HALF = 300 };
    Fixture f;
    start(&f, (HttpServerOptions){.max_connections = 200, .request_timeout_us = 2 * G_USEC_PER_SEC});
    int *fds = g_new(int, HALF);
    for (int i = 0; i < HALF; i++) {
        fds[i] = raw_connect(f.port);
        raw_send_text(fds[i], "POST / HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\nhalf");
    }
    g_autofree char *answer = ask_to_end(&f, "GET /new HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    g_assert_nonnull(strstr(answer, "GET /new 0 -\n"));
    for (int i = 0; i < HALF; i++)
        close(fds[i]);
    g_free(fds);
    stop(&f);
}

static void test_later_answers(void) {
    enum { CLIENTS = 20 };
    Fixture f;
    start(&f, (HttpServerOptions){0});
    int fds[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        fds[i] = raw_connect(f.port);
        raw_send_text(fds[i], "POST /later?q=1 HTTP/1.1\r\n" HOST "Content-Length: 4\r\n\r\nbody");
    }
    wait_for_later(&f, CLIENTS);
    // Others are served meanwhile; one of the waiting clients gives up.
    g_autofree char *now = ask_to_end(&f, "GET /now HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    g_assert_nonnull(strstr(now, "GET /now 0 -\n"));
    close(fds[0]);
    release(&f);
    for (int i = 1; i < CLIENTS; i++) {
        g_autofree char *text = raw_read_until(fds[i], "POST /later 4 1\n", 1);
        g_assert_nonnull(strstr(text, "POST /later 4 1\n"));
        close(fds[i]);
    }
    stop(&f);
}

static void *stop_server(void *server) {
    http_server_stop(server);
    return NULL;
}

static void test_stop_under_way(void) {
    Fixture f;
    start(&f, (HttpServerOptions){0});
    int waiting = raw_connect(f.port), kept = raw_connect(f.port);
    raw_send_text(waiting, "POST /later HTTP/1.1\r\n" HOST "Content-Length: 4\r\n\r\nbody");
    raw_send_text(kept, "GET /x HTTP/1.1\r\n" HOST "\r\n");
    g_autofree char *served = raw_read_until(kept, "GET /x 0 -\n", 1);
    g_assert_null(strstr(served, "Connection: close"));
    wait_for_later(&f, 1);

    http_server_quiesce(f.server);
    raw_send_text(kept, "GET /y HTTP/1.1\r\n" HOST "\r\n");
    g_autofree char *last = raw_read_to_end(kept);
    g_assert_nonnull(strstr(last, "Connection: close"));
    g_assert_nonnull(strstr(last, "GET /y 0 -\n"));

    pthread_t stopper;
    g_assert_cmpint(pthread_create(&stopper, NULL, stop_server, f.server), ==, 0);
    release(&f);
    g_autofree char *answer = raw_read_to_end(waiting);
    g_assert_nonnull(strstr(answer, "POST /later 4 -\n"));
    pthread_join(stopper, NULL);
    close(waiting);
    close(kept);
    for (unsigned i = 0; i < f.thread_count; i++)
        pthread_join(f.threads[i], NULL);
    mutex_destroy(&f.mutex);
    cond_destroy(&f.changed);
}

static void test_addresses(void) {
    Fixture f;
    start(&f, (HttpServerOptions){0});
    // Taken: by name of address and port, though the sockets could share it.
    HttpServerOptions options = {.address = "127.0.0.1", .port = f.port, .handle = handle};
    g_autoptr(GError) error = NULL;
    g_assert_null(http_server_start(&options, &error));
    g_autofree char *port = g_strdup_printf("127.0.0.1 port %u", f.port);
    g_assert_nonnull(strstr(error->message, port));
    g_clear_error(&error);
    stop(&f);

    static const char *good[] = {"::1", "::", "0.0.0.0", "localhost"};
    for (size_t i = 0; i < G_N_ELEMENTS(good); i++) {
        options = (HttpServerOptions){.address = good[i], .handle = handle};
        HttpServer *server = http_server_start(&options, &error);
        g_assert_no_error(error);
        http_server_stop(server);
    }
    static const char *bad[] = {"no such host", "300.1.2.3", "192.0.2.1"};
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        options = (HttpServerOptions){.address = bad[i], .handle = handle};
        g_assert_null(http_server_start(&options, &error));
        g_assert_nonnull(strstr(error->message, bad[i]));
        g_clear_error(&error);
    }
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/net/server/plain", test_plain);
    g_test_add_func("/net/server/chunked", test_chunked);
    g_test_add_func("/net/server/pipelining", test_pipelining);
    g_test_add_func("/net/server/body-limit", test_body_limit);
    g_test_add_func("/net/server/expect", test_expect);
    g_test_add_func("/net/server/ambiguous-framing", test_ambiguous_framing);
    g_test_add_func("/net/server/garbage", test_garbage);
    g_test_add_func("/net/server/slow-loris", test_slow_loris);
    g_test_add_func("/net/server/idle-timeout", test_idle_timeout);
    g_test_add_func("/net/server/many-idle", test_many_idle);
    g_test_add_func("/net/server/many-half", test_many_half);
    g_test_add_func("/net/server/later-answers", test_later_answers);
    g_test_add_func("/net/server/stop-under-way", test_stop_under_way);
    g_test_add_func("/net/server/addresses", test_addresses);
    return g_test_run();
}
