#include "net_test.h"

#include "base/cancel.h"
#include "base/error.h"
#include "base/thread.h"
#include "net/http_client.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static HttpClient *new_client(HttpClientOptions options) {
    g_autoptr(GError) error = NULL;
    HttpClient *client = http_client_new(&options, &error);
    g_assert_no_error(error);
    return client;
}

static char *url_of(uint16_t port, const char *path) {
    return g_strdup_printf("http://127.0.0.1:%u%s", port, path);
}

// --- Against a proper server ---

static void handle(HttpServerRequest *request, void *user) {
    size_t len = 0;
    const char *body = http_server_body(request, &len);
    const char *path = http_server_path(request);
    if (strcmp(path, "/busy") == 0) {
        const char *headers[] = {"Retry-After: 7", "Content-Type: text/plain; charset=utf-8", NULL};
        http_server_answer(request, 429, headers, "later", 5);
        return;
    }
    if (strcmp(path, "/busy-date") == 0) {
        g_autoptr(GDateTime) now = g_date_time_new_now_utc(), then = g_date_time_add_seconds(now, 100);
        g_autofree char *header = g_date_time_format(then, "Retry-After: %a, %d %b %Y %H:%M:%S GMT");
        const char *headers[] = {header, NULL};
        http_server_answer(request, 503, headers, NULL, 0);
        return;
    }
    const char *type = http_server_header(request, "Content-Type");
    const char *expect = http_server_header(request, "Expect");
    g_autofree char *text = g_strdup_printf("%s %s %s %s %.*s", http_server_method(request), path, type ? type : "-",
                                            expect ? expect : "-", (int)len, body);
    http_server_answer(request, 200, NULL, text, strlen(text));
}

static HttpServer *start_server(void) {
    HttpServerOptions options = {.address = "127.0.0.1", .handle = handle};
    g_autoptr(GError) error = NULL;
    HttpServer *server = http_server_start(&options, &error);
    g_assert_no_error(error);
    return server;
}

static void test_methods(void) {
    static const char *json[] = {"Content-Type: application/json", NULL};
    static const struct {
        const char *method, *body;
        const char *const *headers;
        const char *seen;
    } cases[] = {
        {"GET", NULL, NULL, "GET /p - - "},
        {"POST", "{}", json, "POST /p application/json - {}"},
        {"DELETE", NULL, NULL, "DELETE /p - - "},
        {"DELETE", "{\"a\":1}", json, "DELETE /p application/json - {\"a\":1}"},
        {"PATCH", "x", NULL, "PATCH /p - - x"},
        {"HEAD", NULL, NULL, ""},
        {"GET", NULL, json, "GET /p application/json - "},
        {"POST", NULL, NULL, "POST /p - - "},
        {"PUT", "", NULL, "PUT /p - - "},
        {"HEAD", NULL, NULL, ""},
        {"POST", "last", NULL, "POST /p - - last"},
    };
    HttpServer *server = start_server();
    g_autoptr(HttpClient) client = new_client((HttpClientOptions){0});
    g_autofree char *url = url_of(http_server_port(server), "/p");
    // Over one connection of the fast pool, then over the shared loop: the handle is set anew for each.
    for (int long_lived = 0; long_lived < 2; long_lived++)
        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
            HttpRequest request = {.method = cases[i].method,
                                   .url = url,
                                   .headers = cases[i].headers,
                                   .body = cases[i].body,
                                   .body_len = cases[i].body ? strlen(cases[i].body) : 0,
                                   .long_lived = long_lived};
            g_auto(Outcome) outcome = call(http_client_transport(client), &request);
            g_assert_no_error(outcome.error);
            g_assert_cmpint(outcome.response.status, ==, 200);
            g_assert_cmpstr(buf_text(&outcome.response.body), ==, cases[i].seen);
            g_assert_cmpint(outcome.response.retry_after_us, ==, -1);
            g_assert_true(outcome.response.sent);
        }
    HttpClientStats stats;
    http_client_stats(client, &stats);
    g_assert_cmpuint(stats.connections_opened, ==, 2);
    g_assert_cmpuint(stats.calls, ==, 2 * G_N_ELEMENTS(cases));
    http_server_stop(server);
}

static void test_answer_headers(void) {
    HttpServer *server = start_server();
    g_autoptr(HttpClient) client = new_client((HttpClientOptions){0});
    g_autofree char *busy = url_of(http_server_port(server), "/busy");
    g_auto(Outcome) seconds = call(http_client_transport(client), &(HttpRequest){.method = "GET", .url = busy});
    g_assert_cmpint(seconds.response.status, ==, 429);
    g_assert_cmpint(seconds.response.retry_after_us, ==, 7 * G_USEC_PER_SEC);
    g_assert_cmpstr(seconds.response.content_type, ==, "text/plain; charset=utf-8");
    g_assert_cmpstr(buf_text(&seconds.response.body), ==, "later");

    g_autofree char *dated = url_of(http_server_port(server), "/busy-date");
    g_auto(Outcome) date = call(http_client_transport(client), &(HttpRequest){.method = "GET", .url = dated});
    g_assert_cmpint(date.response.status, ==, 503);
    g_assert_cmpint(date.response.retry_after_us, >, 80 * G_USEC_PER_SEC);
    g_assert_cmpint(date.response.retry_after_us, <=, 100 * G_USEC_PER_SEC);
    g_assert_cmpstr(date.response.content_type, ==, "");
    http_server_stop(server);
}

typedef struct {
    HttpClient *client;
    const char *url;
    unsigned calls;
} Load;

static void *run_load(void *argument) {
    const Load *load = argument;
    for (unsigned i = 0; i < load->calls; i++) {
        HttpRequest request = {.method = "POST",
                               .url = load->url,
                               .body = "b",
                               .body_len = 1,
                               .deadline_us = test_now_us() + PATIENCE_US,
                               .long_lived = i % 5 == 4};
        g_auto(Outcome) outcome = call(http_client_transport(load->client), &request);
        g_assert_no_error(outcome.error);
        g_assert_cmpstr(buf_text(&outcome.response.body), ==, "POST /p - - b");
    }
    return NULL;
}

// More callers than connections and turns.
static void test_many_callers(void) {
    HttpServer *server = start_server();
    g_autoptr(HttpClient) client = new_client((HttpClientOptions){.fast_connections = 2, .max_in_flight = 6});
    g_autofree char *url = url_of(http_server_port(server), "/p");
    Load load = {client, url, 40};
    pthread_t threads[12];
    for (size_t i = 0; i < G_N_ELEMENTS(threads); i++)
        g_assert_cmpint(pthread_create(&threads[i], NULL, run_load, &load), ==, 0);
    for (size_t i = 0; i < G_N_ELEMENTS(threads); i++)
        pthread_join(threads[i], NULL);
    HttpClientStats stats;
    http_client_stats(client, &stats);
    g_assert_cmpuint(stats.calls, ==, 12 * 40);
    g_assert_cmpuint(stats.fast_in_use + stats.multiplexed + stats.long_lived + stats.waiting, ==, 0);
    http_server_stop(server);
}

static void test_escape(void) {
    GString *url = g_string_new("/a/");
    http_append_escaped(url, "a-z.A_Z~09 /?#%:\xc3\xa9\x01");
    g_assert_cmpstr(url->str, ==, "/a/a-z.A_Z~09%20%2F%3F%23%25%3A%C3%A9%01");
    g_string_free(url, TRUE);
}

// --- Against peers that misbehave ---

static void play_text(Peer *peer, int fd, unsigned number) {
    g_autofree char *request = peer_read_request(fd);
    if (request && peer->user)
        raw_send_text(fd, peer->user);
}

static void check_fails(const char *answer, bool long_lived, StoopError code) {
    Peer peer;
    peer_start(&peer, play_text, (void *)answer);
    g_autoptr(HttpClient) client = new_client((HttpClientOptions){0});
    g_autofree char *url = url_of(peer.port, "/");
    HttpRequest request = {.method = "POST",
                           .url = url,
                           .body = "x",
                           .body_len = 1,
                           .max_response = 1000,
                           .deadline_us = test_now_us() + PATIENCE_US,
                           .long_lived = long_lived};
    g_auto(Outcome) outcome = call(http_client_transport(client), &request);
    g_assert_error(outcome.error, STOOP_ERROR, (int)code);
    g_assert_true(outcome.response.sent);
    peer_stop(&peer);
}

static void test_broken_answers(void) {
    for (int long_lived = 0; long_lived < 2; long_lived++) {
        check_fails(NULL, long_lived, STOOP_ERROR_UNAVAILABLE);
        check_fails("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", long_lived, STOOP_ERROR_UNAVAILABLE);
        check_fails("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", long_lived,
                    STOOP_ERROR_UNAVAILABLE);
        check_fails("HTTP/1.1 200", long_lived, STOOP_ERROR_UNAVAILABLE);
        check_fails("SSH-2.0-OpenSSH\r\n\r\n", long_lived, STOOP_ERROR_INVALID);
        g_autofree char *body = g_strnfill(1001, 'x');
        g_autofree char *large = g_strconcat("HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n", body, NULL);
        check_fails(large, long_lived, STOOP_ERROR_TOO_LARGE);
        g_autofree char *chunked =
            g_strconcat("HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n", body, "\r\n0\r\n\r\n", NULL);
        check_fails(chunked, long_lived, STOOP_ERROR_TOO_LARGE);
    }
}

static void test_refused(void) {
    g_autoptr(HttpClient) client = new_client((HttpClientOptions){0});
    g_autofree char *url = url_of(unused_port(), "/");
    for (int long_lived = 0; long_lived < 2; long_lived++) {
        HttpRequest request = {.method = "GET", .url = url, .long_lived = long_lived};
        g_auto(Outcome) outcome = call(http_client_transport(client), &request);
        g_assert_error(outcome.error, STOOP_ERROR, STOOP_ERROR_UNAVAILABLE);
        g_assert_false(outcome.response.sent);
        g_assert_nonnull(strstr(outcome.error->message, "127.0.0.1"));
    }
    static const char *bad[] = {"ftp://127.0.0.1/", "file:///etc/passwd", "http://", "nonsense://x", ""};
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_auto(Outcome) outcome = call(http_client_transport(client), &(HttpRequest){.method = "GET", .url = bad[i]});
        g_assert_error(outcome.error, STOOP_ERROR, STOOP_ERROR_INVALID);
        g_assert_false(outcome.response.sent);
    }
}

static void play_once_and_close(Peer *peer, int fd, unsigned number) {
    g_autofree char *request = peer_read_request(fd);
    if (request)
        raw_send_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"); // and no word of closing
}

static void test_stale_connection(void) {
    Peer peer;
    peer_start(&peer, play_once_and_close, NULL);
    g_autoptr(HttpClient) client = new_client((HttpClientOptions){0});
    g_autofree char *url = url_of(peer.port, "/");
    for (unsigned i = 1; i <= 3; i++) {
        HttpRequest request = {.method = "POST", .url = url, .body = "x", .body_len = 1};
        g_auto(Outcome) outcome = call(http_client_transport(client), &request);
        g_assert_no_error(outcome.error);
        g_assert_cmpuint(atomic_load(&peer.connections), ==, i);
    }
    peer_stop(&peer);
}

static atomic_uint posts;

// Answers a GET and keeps the connection until there is another, or takes a POST and closes without a word.
static void play_and_break(Peer *peer, int fd, unsigned number) {
    for (;;) {
        struct pollfd fds[] = {{.fd = fd, .events = POLLIN}, {.fd = peer->listen_fd, .events = POLLIN}};
        if (poll(fds, 2, (int)(PATIENCE_US / 1000)) <= 0 || !fds[0].revents)
            return;
        g_autofree char *request = peer_read_request(fd);
        if (!request)
            return;
        if (g_str_has_prefix(request, "POST ")) {
            atomic_fetch_add(&posts, 1);
            return;
        }
        raw_send_text(fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    }
}

static void test_once(void) {
    for (int long_lived = 0; long_lived < 2; long_lived++) {
        Peer peer;
        peer_start(&peer, play_and_break, NULL);
        g_autoptr(HttpClient) client = new_client((HttpClientOptions){0});
        HttpTransport *transport = http_client_transport(client);
        g_autofree char *url = url_of(peer.port, "/");
        g_auto(Outcome) first = call(transport, &(HttpRequest){.method = "GET", .url = url, .long_lived = long_lived});
        g_assert_no_error(first.error);
        atomic_store(&posts, 0);
        HttpRequest request = {
            .method = "POST", .url = url, .body = "x", .body_len = 1, .once = true, .long_lived = long_lived};
        g_auto(Outcome) outcome = call(transport, &request);
        g_assert_error(outcome.error, STOOP_ERROR, STOOP_ERROR_UNAVAILABLE);
        g_assert_true(outcome.response.sent);
        g_assert_cmpuint(atomic_load(&posts), ==, 1);
        peer_stop(&peer);
    }
}

static void test_interim_answers(void) {
    Peer peer;
    peer_start(&peer, play_text,
               (void *)"HTTP/1.1 103 Early Hints\r\nRetry-After: 5\r\nContent-Type: a/b\r\n\r\n"
                       "HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok");
    g_autoptr(HttpClient) client = new_client((HttpClientOptions){0});
    g_autofree char *url = url_of(peer.port, "/");
    g_auto(Outcome) outcome = call(http_client_transport(client), &(HttpRequest){.method = "GET", .url = url});
    g_assert_no_error(outcome.error);
    g_assert_cmpint(outcome.response.status, ==, 201);
    g_assert_cmpint(outcome.response.retry_after_us, ==, -1);
    g_assert_cmpstr(outcome.response.content_type, ==, "");
    peer_stop(&peer);
}

static void test_no_redirect(void) {
    Peer peer;
    peer_start(&peer, play_text,
               (void *)"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n");
    g_autoptr(HttpClient) client = new_client((HttpClientOptions){0});
    g_autofree char *url = url_of(peer.port, "/");
    g_auto(Outcome) outcome = call(http_client_transport(client), &(HttpRequest){.method = "GET", .url = url});
    g_assert_no_error(outcome.error);
    g_assert_cmpint(outcome.response.status, ==, 302);
    peer_stop(&peer);
}

// --- Ends that are ours ---

static void play_silence(Peer *peer, int fd, unsigned number) {
    g_autofree char *request = peer_read_request(fd);
    if (request)
        peer_wait_for_close(peer, fd);
}

static void test_deadline(void) {
    for (int long_lived = 0; long_lived < 2; long_lived++) {
        Peer peer;
        peer_start(&peer, play_silence, NULL);
        g_autoptr(HttpClient) client = new_client((HttpClientOptions){0});
        g_autofree char *url = url_of(peer.port, "/");
        int64_t began = test_now_us();
        HttpRequest request = {
            .method = "GET", .url = url, .deadline_us = began + 200 * 1000, .long_lived = long_lived};
        g_auto(Outcome) outcome = call(http_client_transport(client), &request);
        int64_t took = test_now_us() - began;
        g_assert_error(outcome.error, STOOP_ERROR, STOOP_ERROR_TIMEOUT);
        g_assert_true(outcome.response.sent);
        g_assert_cmpint(took, >=, 200 * 1000);
        g_assert_cmpint(took, <, 2 * G_USEC_PER_SEC);

        // A deadline that passed already: nothing is sent.
        request.deadline_us = began;
        g_auto(Outcome) late = call(http_client_transport(client), &request);
        g_assert_error(late.error, STOOP_ERROR, STOOP_ERROR_TIMEOUT);
        g_assert_false(late.response.sent);
        peer_stop(&peer);
    }
}

typedef struct {
    HttpClient *client;
    HttpRequest request;
    Outcome outcome;
    int64_t ended_us;
    pthread_t thread;
} Background;

static void *run_background(void *argument) {
    Background *background = argument;
    background->outcome = call(http_client_transport(background->client), &background->request);
    background->ended_us = test_now_us();
    return NULL;
}

static void background_start(Background *background, HttpClient *client, HttpRequest request) {
    *background = (Background){.client = client, .request = request};
    g_assert_cmpint(pthread_create(&background->thread, NULL, run_background, background), ==, 0);
}

static void wait_for_connections(Peer *peer, unsigned count) {
    int64_t until = test_now_us() + PATIENCE_US;
    while (atomic_load(&peer->connections) < count) {
        g_assert_cmpint(test_now_us(), <, until);
        g_usleep(1000);
    }
}

static void test_cancel(void) {
    for (int long_lived = 0; long_lived < 2; long_lived++) {
        Peer peer;
        peer_start(&peer, play_silence, NULL);
        g_autoptr(HttpClient) client = new_client((HttpClientOptions){0});
        g_autofree char *url = url_of(peer.port, "/");
        Cancel cancel = {0};
        Background background;
        background_start(&background, client,
                         (HttpRequest){.method = "GET", .url = url, .cancel = &cancel, .long_lived = long_lived});
        wait_for_connections(&peer, 1);
        int64_t began = test_now_us();
        cancel_set(&cancel);
        pthread_join(background.thread, NULL);
        g_assert_error(background.outcome.error, STOOP_ERROR, STOOP_ERROR_CANCELLED);
        g_assert_cmpint(background.ended_us - began, <, 1 * G_USEC_PER_SEC);
        outcome_clear(&background.outcome);
        peer_stop(&peer);
    }
}

static void test_free_under_way(void) {
    Peer peer;
    peer_start(&peer, play_silence, NULL);
    HttpClient *client = new_client((HttpClientOptions){.fast_connections = 1, .max_in_flight = 1});
    g_autofree char *url = url_of(peer.port, "/");
    // One under way, one waiting for its turn, one on the loop; none has a deadline.
    Background backgrounds[3];
    for (int i = 0; i < 3; i++)
        background_start(&backgrounds[i], client, (HttpRequest){.method = "GET", .url = url, .long_lived = i == 2});
    HttpClientStats stats = {0};
    int64_t until = test_now_us() + PATIENCE_US;
    while (stats.calls < 3 || stats.waiting < 1 || stats.fast_in_use < 1) {
        g_assert_cmpint(test_now_us(), <, until);
        g_usleep(1000);
        http_client_stats(client, &stats);
    }
    // libcurl wakes up by itself 200 ms after it began to connect; later, only we wake it.
    g_usleep(300 * 1000); // lint: test-sleep ok: libcurl offers no sign of it
    int64_t began = test_now_us();
    http_client_free(client);
    g_assert_cmpint(test_now_us() - began, <, 5 * G_USEC_PER_SEC);
    for (int i = 0; i < 3; i++) {
        pthread_join(backgrounds[i].thread, NULL);
        g_assert_error(backgrounds[i].outcome.error, STOOP_ERROR, STOOP_ERROR_CANCELLED);
        outcome_clear(&backgrounds[i].outcome);
    }
    peer_stop(&peer);
}

static void test_turns(void) {
    Peer peer;
    peer_start(&peer, play_silence, NULL);
    g_autoptr(HttpClient) client = new_client((HttpClientOptions){.max_in_flight = 1});
    g_autofree char *url = url_of(peer.port, "/");
    Cancel cancel = {0};
    Background first;
    background_start(&first, client, (HttpRequest){.method = "GET", .url = url, .cancel = &cancel});
    wait_for_connections(&peer, 1);
    g_auto(Outcome) second =
        call(http_client_transport(client),
             &(HttpRequest){.method = "GET", .url = url, .deadline_us = test_now_us() + 100 * 1000});
    g_assert_error(second.error, STOOP_ERROR, STOOP_ERROR_TIMEOUT);
    g_assert_false(second.response.sent);

    // A long-lived call needs no turn.
    g_auto(Outcome) third = call(
        http_client_transport(client),
        &(HttpRequest){.method = "GET", .url = url, .deadline_us = test_now_us() + 300 * 1000, .long_lived = true});
    g_assert_error(third.error, STOOP_ERROR, STOOP_ERROR_TIMEOUT);
    g_assert_true(third.response.sent);
    cancel_set(&cancel);
    pthread_join(first.thread, NULL);
    outcome_clear(&first.outcome);

    // The place is free again.
    g_auto(Outcome) fourth =
        call(http_client_transport(client),
             &(HttpRequest){.method = "GET", .url = url, .deadline_us = test_now_us() + 300 * 1000});
    g_assert_true(fourth.response.sent);
    peer_stop(&peer);
}

// --- Streams ---

#define STREAM_BYTES ((size_t)24 * 1024 * 1024)

typedef struct {
    atomic_size_t sent;
    atomic_bool stuck; // the client takes no more
} Flood;

static void play_flood(Peer *peer, int fd, unsigned number) {
    Flood *flood = peer->user;
    g_autofree char *request = peer_read_request(fd);
    g_assert_nonnull(request);
    g_autofree char *piece = g_strnfill(65536, 'f');
    raw_send_text(fd, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
    size_t sent = 0;
    while (sent < STREAM_BYTES) {
        struct pollfd wait = {.fd = fd, .events = POLLOUT};
        if (poll(&wait, 1, 300) == 0) {
            atomic_store(&flood->stuck, true);
            g_assert_cmpint(poll(&wait, 1, PATIENCE_US / 1000), ==, 1);
        }
        ssize_t n = send(fd, piece, MIN((size_t)65536, STREAM_BYTES - sent), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN)
            return;
        sent += n > 0 ? (size_t)n : 0;
        atomic_store(&flood->sent, sent);
    }
}

typedef struct {
    Mutex mutex;
    Cond changed;
    bool open;
    size_t got;
    size_t stop_at; // 0: never
} Sink;

static bool take(const char *data, size_t len, void *user, GError **error) {
    Sink *sink = user;
    mutex_lock(&sink->mutex);
    while (!sink->open)
        cond_wait(&sink->changed, &sink->mutex);
    sink->got += len;
    bool more = sink->stop_at == 0 || sink->got < sink->stop_at;
    mutex_unlock(&sink->mutex);
    if (!more)
        g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_NO_SPACE, "the sink is full");
    return more;
}

static void sink_init(Sink *sink, bool open) {
    *sink = (Sink){.open = open};
    mutex_init(&sink->mutex);
    cond_init(&sink->changed);
}

static void sink_clear(Sink *sink) {
    mutex_destroy(&sink->mutex);
    cond_destroy(&sink->changed);
}

static void test_backpressure(void) {
    Flood slow_flood = {0}, fast_flood = {0};
    Peer slow, fast;
    peer_start(&slow, play_flood, &slow_flood);
    peer_start(&fast, play_flood, &fast_flood);
    g_autoptr(HttpClient) client = new_client((HttpClientOptions){0});
    g_autofree char *slow_url = url_of(slow.port, "/"), *fast_url = url_of(fast.port, "/");
    Sink shut, open;
    sink_init(&shut, false);
    sink_init(&open, true);
    Background background;
    background_start(
        &background, client,
        (HttpRequest){.method = "GET", .url = slow_url, .long_lived = true, .on_data = take, .user = &shut});
    int64_t until = test_now_us() + PATIENCE_US;
    while (!atomic_load(&slow_flood.stuck)) {
        g_assert_cmpint(test_now_us(), <, until);
        g_usleep(1000);
    }
    // What the kernel buffers on both sides, and 256 KiB of ours.
    g_assert_cmpuint(atomic_load(&slow_flood.sent), <, 16 * 1024 * 1024);

    // Meanwhile another stream runs freely.
    g_auto(Outcome) other =
        call(http_client_transport(client),
             &(HttpRequest){.method = "GET", .url = fast_url, .long_lived = true, .on_data = take, .user = &open});
    g_assert_no_error(other.error);
    g_assert_cmpuint(open.got, ==, STREAM_BYTES);
    g_assert_cmpuint(other.response.body.len, ==, 0);

    mutex_lock(&shut.mutex);
    shut.open = true;
    cond_broadcast(&shut.changed);
    mutex_unlock(&shut.mutex);
    pthread_join(background.thread, NULL);
    g_assert_no_error(background.outcome.error);
    g_assert_cmpuint(shut.got, ==, STREAM_BYTES);
    outcome_clear(&background.outcome);
    peer_stop(&slow);
    peer_stop(&fast);
    sink_clear(&shut);
    sink_clear(&open);
}

static void test_sink_ends(void) {
    for (int long_lived = 0; long_lived < 2; long_lived++) {
        Flood flood = {0};
        Peer peer;
        peer_start(&peer, play_flood, &flood);
        g_autoptr(HttpClient) client = new_client((HttpClientOptions){0});
        g_autofree char *url = url_of(peer.port, "/");
        Sink sink;
        sink_init(&sink, true);
        sink.stop_at = 1000000;
        HttpRequest request = {.method = "GET", .url = url, .long_lived = long_lived, .on_data = take, .user = &sink};
        g_auto(Outcome) outcome = call(http_client_transport(client), &request);
        g_assert_error(outcome.error, STOOP_ERROR, STOOP_ERROR_NO_SPACE);
        g_assert_cmpuint(sink.got, >=, 1000000);
        g_assert_cmpuint(sink.got, <, 2000000);
        peer_stop(&peer);
        sink_clear(&sink);
    }
}

static void test_stream_of_an_error(void) {
    for (int long_lived = 0; long_lived < 2; long_lived++) {
        Peer peer;
        peer_start(&peer, play_text, (void *)"HTTP/1.1 404 No\r\nContent-Length: 7\r\n\r\nno such");
        g_autoptr(HttpClient) client = new_client((HttpClientOptions){0});
        g_autofree char *url = url_of(peer.port, "/");
        Sink sink;
        sink_init(&sink, true);
        HttpRequest request = {.method = "GET", .url = url, .long_lived = long_lived, .on_data = take, .user = &sink};
        g_auto(Outcome) outcome = call(http_client_transport(client), &request);
        g_assert_no_error(outcome.error);
        g_assert_cmpint(outcome.response.status, ==, 404);
        g_assert_cmpstr(buf_text(&outcome.response.body), ==, "no such");
        g_assert_cmpuint(sink.got, ==, 0);
        peer_stop(&peer);
        sink_clear(&sink);
    }
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/net/client/methods", test_methods);
    g_test_add_func("/net/client/answer-headers", test_answer_headers);
    g_test_add_func("/net/client/many-callers", test_many_callers);
    g_test_add_func("/net/client/escape", test_escape);
    g_test_add_func("/net/client/broken-answers", test_broken_answers);
    g_test_add_func("/net/client/refused", test_refused);
    g_test_add_func("/net/client/stale-connection", test_stale_connection);
    g_test_add_func("/net/client/once", test_once);
    g_test_add_func("/net/client/interim-answers", test_interim_answers);
    g_test_add_func("/net/client/no-redirect", test_no_redirect);
    g_test_add_func("/net/client/deadline", test_deadline);
    g_test_add_func("/net/client/cancel", test_cancel);
    g_test_add_func("/net/client/free-under-way", test_free_under_way);
    g_test_add_func("/net/client/turns", test_turns);
    g_test_add_func("/net/client/backpressure", test_backpressure);
    g_test_add_func("/net/client/sink-ends", test_sink_ends);
    g_test_add_func("/net/client/stream-of-an-error", test_stream_of_an_error);
    return g_test_run();
}
