#include "net_test.h"

#include "base/error.h"
#include "net/http_client.h"

#include <openssl/sha.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FIN = 0x80, CONTINUATION = 0, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10 };

// --- A server ---

typedef struct {
    const char *answer; // instead of the upgrade; NULL: upgrades
    const char *accept; // instead of the right one
    const char *more;   // header lines of the upgrade
    void (*talk)(int fd, void *self);
    GString *heard; // payloads of the client's data frames, joined by '|'
    unsigned pongs, close_code;
    bool unmasked;
    char *request;
} Server;

static void server_clear(Server *server) {
    if (server->heard)
        g_string_free(server->heard, TRUE);
    g_free(server->request);
}

static bool send_frame(int fd, unsigned char first, const char *data, size_t len) {
    unsigned char head[10] = {first, (unsigned char)len};
    size_t head_len = 2;
    if (len > 65535) {
        head[1] = 127;
        for (int i = 0; i < 8; i++)
            head[2 + i] = (unsigned char)((uint64_t)len >> (56 - 8 * i));
        head_len = 10;
    } else if (len > 125) {
        head[1] = 126;
        head[2] = (unsigned char)(len >> 8);
        head[3] = (unsigned char)len;
        head_len = 4;
    }
    return raw_send(fd, (const char *)head, head_len) && raw_send(fd, data, len);
}

static bool read_exactly(int fd, void *into, size_t len) {
    for (size_t at = 0; at < len;) {
        ssize_t n = recv(fd, (char *)into + at, len - at, 0);
        if (n <= 0)
            return false;
        at += (size_t)n;
    }
    return true;
}

// Reads one frame of the client's and notes it; the opcode, or -1.
static int hear(Server *server, int fd) {
    unsigned char head[2], more[8], mask[4];
    if (!read_exactly(fd, head, 2))
        return -1;
    uint64_t len = head[1] & 0x7f;
    size_t extra = len == 126 ? 2 : len == 127 ? 8 : 0;
    if (!read_exactly(fd, more, extra))
        return -1;
    for (size_t i = 0; i < extra; i++)
        len = (i == 0 ? 0 : len << 8) | more[i];
    server->unmasked = server->unmasked || !(head[1] & 0x80);
    g_autofree char *payload = g_malloc(len + 1);
    if (!read_exactly(fd, mask, 4) || !read_exactly(fd, payload, len))
        return -1;
    for (uint64_t i = 0; i < len; i++)
        payload[i] = (char)(payload[i] ^ mask[i % 4]);
    int opcode = head[0] & 15;
    if (opcode == CLOSE && len >= 2)
        server->close_code = (unsigned)((unsigned char)payload[0] << 8 | (unsigned char)payload[1]);
    if (opcode == PONG)
        server->pongs++;
    if (opcode == BINARY || opcode == TEXT) {
        g_string_append_len(server->heard, payload, (gssize)len);
        g_string_append_c(server->heard, '|');
    }
    return opcode;
}

static char *accept_of(const char *request) {
    const char *key = strstr(request, "Sec-WebSocket-Key: ");
    g_assert_nonnull(key);
    key += strlen("Sec-WebSocket-Key: ");
    g_autofree char *text = g_strdup_printf("%.*s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", (int)strcspn(key, "\r"), key);
    unsigned char digest[SHA_DIGEST_LENGTH];
    SHA1((const unsigned char *)text, strlen(text), digest);
    return g_base64_encode(digest, sizeof digest);
}

static void play(Peer *peer, int fd, unsigned number) {
    Server *server = peer->user;
    g_free(server->request);
    server->request = peer_read_request(fd);
    if (!server->request)
        return;
    if (server->answer) {
        raw_send_text(fd, server->answer);
        return;
    }
    g_autofree char *accept = accept_of(server->request);
    g_autofree char *answer =
        g_strdup_printf("HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\nconnection: keep-alive, Upgrade\r\n"
                        "sec-websocket-accept: %s\r\n%s\r\n",
                        server->accept ? server->accept : accept, server->more ? server->more : "");
    raw_send_text(fd, answer);
    if (server->talk)
        server->talk(fd, server);
}

// --- A client ---

typedef struct {
    GString *got; // messages, each followed by '|'
    const char *const *messages;
    size_t bytes_left; // to be sent, in large messages
    unsigned stop_after;
    unsigned count;
} Handler;

static WebSocketNext on_message(const char *data, size_t len, void *user, GError **error) {
    Handler *self = user;
    g_string_append_len(self->got, data, (gssize)len);
    g_string_append_c(self->got, '|');
    self->count++;
    return self->stop_after && self->count >= self->stop_after ? WEBSOCKET_STOP : WEBSOCKET_MORE;
}

static WebSocketNext next_message(Buf *message, void *user, GError **error) {
    Handler *self = user;
    if (self->messages && *self->messages)
        buf_append_text(message, *self->messages++);
    for (size_t part = MIN(self->bytes_left, (size_t)32768); part > 0; part--, self->bytes_left--)
        buf_append_char(message, 'x');
    return WEBSOCKET_MORE;
}

static const char *const protocols[] = {"v5.test", "v4.test", NULL};

typedef struct {
    bool opened, ok;
    char *protocol;
    HttpResponse response;
    GString *got;
    GError *error;
} Result;

static void result_clear(Result *result) {
    http_response_clear(&result->response);
    g_clear_error(&result->error);
    g_free(result->protocol);
    g_string_free(result->got, TRUE);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Result, result_clear)

// Opens a socket to the server, runs it and closes everything.
static Result talk_to(Server *server, Handler *handler, int64_t deadline_us, const Cancel *cancel) {
    Peer peer = {0};
    server->heard = g_string_new(NULL);
    peer_start(&peer, play, server);
    g_autoptr(GError) made = NULL;
    HttpClient *client = http_client_new(&(HttpClientOptions){0}, &made);
    g_assert_no_error(made);
    HttpTransport *transport = http_client_transport(client);
    g_autofree char *url = g_strdup_printf("http://127.0.0.1:%u/exec?command=a%%20b", peer.port);
    const char *headers[] = {"Authorization: Bearer t0k3n", NULL};
    HttpRequest request = {.url = url,
                           .headers = headers,
                           .deadline_us = deadline_us ? deadline_us : test_now_us() + PATIENCE_US,
                           .cancel = cancel};
    Result result = {.got = g_string_new(NULL)};
    handler->got = result.got;
    WebSocket *socket = NULL;
    result.opened = transport->open_websocket(transport, &request, protocols, &socket, &result.response, &result.error);
    if (socket) {
        WebSocketHandler functions = {.on_message = on_message, .next_message = next_message, .user = handler};
        result.protocol = g_strdup(socket->protocol);
        result.ok = socket->run(socket, &functions, request.deadline_us, cancel, &result.error);
        websocket_close(socket);
    }
    HttpClientStats stats;
    http_client_stats(client, &stats);
    g_assert_cmpuint(stats.long_lived, ==, 0);
    http_client_free(client);
    peer_stop(&peer);
    return result;
}

// --- Tests ---

static void talk_all(int fd, void *user) {
    Server *server = user;
    send_frame(fd, FIN | PING, "beat", 4);
    send_frame(fd, BINARY, "frag", 4);
    send_frame(fd, FIN | PING, "", 0); // in between, as is allowed
    send_frame(fd, CONTINUATION, "men", 3);
    send_frame(fd, FIN | CONTINUATION, "ted", 3);
    send_frame(fd, FIN | TEXT, "text", 4);
    send_frame(fd, FIN | BINARY, "", 0);
    g_autofree char *big = g_strnfill(70000, 'b');
    send_frame(fd, FIN | BINARY, big, 70000);
    while (count_text(server->heard->str, "|") < 2 || server->pongs < 2)
        if (hear(server, fd) < 0)
            return;
    send_frame(fd, FIN | CLOSE, "\x03\xe8", 2);
    while (hear(server, fd) >= 0)
        continue;
}

static void test_messages(void) {
    Server server = {.more = "Sec-WebSocket-Protocol: v4.test\r\n", .talk = talk_all};
    const char *messages[] = {"one", "two", NULL};
    Handler handler = {.messages = messages};
    g_auto(Result) result = talk_to(&server, &handler, 0, NULL);
    g_assert_no_error(result.error);
    g_assert_true(result.opened && result.ok);
    g_assert_cmpint(result.response.status, ==, 101);
    g_assert_cmpstr(result.protocol, ==, "v4.test");
    g_assert_true(g_str_has_prefix(result.got->str, "fragmented|text||bbb"));
    g_assert_cmpuint(result.got->len, ==, strlen("fragmented|text||") + 70001);
    g_assert_cmpstr(server.heard->str, ==, "one|two|");
    g_assert_cmpuint(server.pongs, ==, 2);
    g_assert_false(server.unmasked);
    g_assert_true(g_str_has_prefix(server.request, "GET /exec?command=a%20b HTTP/1.1\r\nHost: 127.0.0.1:"));
    g_assert_nonnull(strstr(server.request, "\r\nAuthorization: Bearer t0k3n\r\n"));
    g_assert_nonnull(strstr(server.request, "\r\nSec-WebSocket-Protocol: v5.test, v4.test\r\n"));
    server_clear(&server);
}

static void check_refusal(const char *answer, int status, const char *body) {
    Server server = {.answer = answer};
    Handler handler = {0};
    g_auto(Result) result = talk_to(&server, &handler, 0, NULL);
    g_assert_no_error(result.error);
    g_assert_true(result.opened);
    g_assert_null(result.protocol);
    g_assert_cmpint(result.response.status, ==, status);
    g_assert_cmpstr(buf_text(&result.response.body), ==, body);
    server_clear(&server);
}

static void test_refusals(void) {
    check_refusal("HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nno!!more", 403, "no!!");
    check_refusal("HTTP/1.1 404 Not Found\r\n\r\nuntil the end", 404, "until the end");
    check_refusal("HTTP/1.1 400 Bad\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nbad\r\nA\r\n0123456789\r\n0\r\n\r\n", 400,
                  "bad0123456789");
    check_refusal("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, "");
    check_refusal("HTTP/1.1 500 X\r\nContent-Length: 99999999999999999999\r\n\r\nshort", 500, "short");
}

static void check_failure(Server server, StoopError code, const char *text) {
    Handler handler = {0};
    g_auto(Result) result = talk_to(&server, &handler, 0, NULL);
    g_assert_error(result.error, STOOP_ERROR, (gint)code);
    if (!strstr(result.error->message, text))
        g_error("'%s' is not in '%s'", text, result.error->message);
    server_clear(&server);
}

static void test_handshakes_that_are_none(void) {
    check_failure((Server){.accept = "x3JJHMbDL1EzLkh9GBhXDw=="}, STOOP_ERROR_INVALID, "Accept");
    check_failure((Server){.more = "Sec-WebSocket-Protocol: other\r\n"}, STOOP_ERROR_INVALID, "protocol");
    check_failure((Server){.more = "Sec-WebSocket-Extensions: permessage-deflate\r\n"}, STOOP_ERROR_INVALID,
                  "extension");
    check_failure((Server){.answer = "HTTP/1.1 101 x\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"},
                  STOOP_ERROR_INVALID, "something else");
    check_failure((Server){.answer = "SSH-2.0-x\r\n\r\n"}, STOOP_ERROR_INVALID, "no HTTP/1.1 server");
    check_failure((Server){.answer = "\r\n\r\n"}, STOOP_ERROR_INVALID, "no HTTP/1.1 server");
    check_failure((Server){.answer = "HTTP/1.1 101 x\r\n"}, STOOP_ERROR_UNAVAILABLE, "closed before");
    check_failure((Server){.answer = ""}, STOOP_ERROR_UNAVAILABLE, "closed before");
    g_autofree char *long_line = g_strnfill(200000, 'x');
    g_autofree char *long_head = g_strconcat("HTTP/1.1 101 x\r\nX: ", long_line, "\r\n\r\n", NULL);
    check_failure((Server){.answer = long_head}, STOOP_ERROR_INVALID, "too long");
}

static void talk_break(int fd, void *user) {
    send_frame(fd, FIN | BINARY, "one", 3);
}
static void talk_half(int fd, void *user) {
    raw_send(fd,
             "\x82\x05"
             "he",
             4);
}
static void talk_error(int fd, void *user) {
    send_frame(fd, FIN | CLOSE, "\x03\xf3", 2);
    hear(user, fd);
}
static void talk_masked(int fd, void *user) {
    raw_send(fd,
             "\x82\x81"
             "1234"
             "x",
             7);
    hear(user, fd);
}
static void talk_reserved(int fd, void *user) {
    raw_send(fd, "\xf2\x01x", 3);
    hear(user, fd);
}
static void talk_too_long(int fd, void *user) {
    g_autofree char *big = g_malloc0((2 << 20) + 1);
    send_frame(fd, FIN | BINARY, big, (2 << 20) + 1);
    hear(user, fd);
}
static void talk_without_end(int fd, void *user) {
    g_autofree char *piece = g_malloc0(65536);
    send_frame(fd, BINARY, "x", 1);
    while (send_frame(fd, CONTINUATION, piece, 65536))
        continue;
}
static void talk_pings(int fd, void *user) {
    static const char beat[125];
    while (send_frame(fd, FIN | PING, beat, sizeof beat))
        continue;
}

static void test_peers_that_fail(void) {
    check_failure((Server){.talk = talk_break}, STOOP_ERROR_UNAVAILABLE, "broke");
    check_failure((Server){.talk = talk_half}, STOOP_ERROR_UNAVAILABLE, "broke");
    check_failure((Server){.talk = talk_error}, STOOP_ERROR_UNAVAILABLE, "code 1011");
    check_failure((Server){.talk = talk_masked}, STOOP_ERROR_INVALID, "protocol");
    check_failure((Server){.talk = talk_reserved}, STOOP_ERROR_INVALID, "protocol");
    check_failure((Server){.talk = talk_too_long}, STOOP_ERROR_TOO_LARGE, "more than");
    check_failure((Server){.talk = talk_without_end}, STOOP_ERROR_TOO_LARGE, "more than");
    check_failure((Server){.talk = talk_pings}, STOOP_ERROR_INVALID, "pings");
}

// The server reads nothing until it has sent everything: a client that only sends would wait for ever.
static void talk_flood_first(int fd, void *user) {
    Server *server = user;
    g_autofree char *piece = g_malloc0(65536);
    for (unsigned i = 0; i < 256; i++)
        send_frame(fd, FIN | BINARY, piece, 65536);
    while (server->heard->len < (8 << 20))
        if (hear(server, fd) < 0)
            return;
    send_frame(fd, FIN | CLOSE, "\x03\xe8", 2);
    hear(server, fd);
}

static void test_both_ways_at_once(void) {
    Server server = {.talk = talk_flood_first};
    Handler handler = {.bytes_left = 8 << 20};
    g_auto(Result) result = talk_to(&server, &handler, 0, NULL);
    g_assert_no_error(result.error);
    g_assert_cmpuint(result.got->len, ==, 256 * 65537);
    g_assert_cmpuint(server.heard->len, ==, (8 << 20) + 256);
    server_clear(&server);
}

static void talk_and_listen(int fd, void *user) {
    send_frame(fd, FIN | BINARY, "one", 3);
    while (hear(user, fd) >= 0)
        continue;
}

static void test_stop(void) {
    Server server = {.talk = talk_and_listen};
    Handler handler = {.stop_after = 1};
    g_auto(Result) result = talk_to(&server, &handler, 0, NULL);
    g_assert_no_error(result.error);
    g_assert_true(result.ok);
    g_assert_cmpstr(result.got->str, ==, "one|");
    g_assert_cmpuint(server.close_code, ==, 1000);
    server_clear(&server);
}

static void test_deadline(void) {
    Server server = {.talk = talk_and_listen};
    Handler handler = {0};
    int64_t began = test_now_us();
    g_auto(Result) result = talk_to(&server, &handler, began + 200000, NULL);
    g_assert_error(result.error, STOOP_ERROR, STOOP_ERROR_TIMEOUT);
    g_assert_cmpint(test_now_us() - began, >=, 200000);
    g_assert_cmpint(test_now_us() - began, <, 5000000);
    server_clear(&server);
}

static void test_cancel(void) {
    Cancel cancel = {0};
    cancel_set(&cancel);
    Server server = {.talk = talk_and_listen};
    Handler handler = {0};
    g_auto(Result) early = talk_to(&server, &handler, 0, &cancel);
    g_assert_error(early.error, STOOP_ERROR, STOOP_ERROR_CANCELLED);
    server_clear(&server);
}

// The server itself sets the flag, while the client waits for a message.
static Cancel under_way;
static void talk_then_cancel(int fd, void *user) {
    cancel_set(&under_way);
    while (hear(user, fd) >= 0)
        continue;
}

static void test_cancel_under_way(void) {
    Server server = {.talk = talk_then_cancel};
    Handler handler = {0};
    int64_t began = test_now_us();
    g_auto(Result) result = talk_to(&server, &handler, 0, &under_way);
    g_assert_error(result.error, STOOP_ERROR, STOOP_ERROR_CANCELLED);
    g_assert_cmpint(test_now_us() - began, <, 5000000);
    server_clear(&server);
}

static void test_nobody_there(void) {
    g_autoptr(GError) error = NULL;
    g_autoptr(HttpClient) client = http_client_new(&(HttpClientOptions){0}, &error);
    g_autofree char *url = g_strdup_printf("http://127.0.0.1:%u/", unused_port());
    HttpRequest request = {.url = url, .deadline_us = test_now_us() + PATIENCE_US};
    WebSocket *socket = NULL;
    g_auto(HttpResponse) response = {0};
    HttpTransport *transport = http_client_transport(client);
    g_assert_false(transport->open_websocket(transport, &request, protocols, &socket, &response, &error));
    g_assert_error(error, STOOP_ERROR, STOOP_ERROR_UNAVAILABLE);
    g_assert_null(socket);
    g_assert_false(response.sent);
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN);
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/websocket/messages", test_messages);
    g_test_add_func("/websocket/refusals", test_refusals);
    g_test_add_func("/websocket/handshakes-that-are-none", test_handshakes_that_are_none);
    g_test_add_func("/websocket/peers-that-fail", test_peers_that_fail);
    g_test_add_func("/websocket/both-ways-at-once", test_both_ways_at_once);
    g_test_add_func("/websocket/stop", test_stop);
    g_test_add_func("/websocket/deadline", test_deadline);
    g_test_add_func("/websocket/cancel", test_cancel);
    g_test_add_func("/websocket/cancel-under-way", test_cancel_under_way);
    g_test_add_func("/websocket/nobody-there", test_nobody_there);
    return g_test_run();
}
