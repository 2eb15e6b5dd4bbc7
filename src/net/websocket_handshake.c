// The upgrade of an HTTP/1.1 connection. https://www.rfc-editor.org/rfc/rfc6455#section-4.1
#include "base/clock.h"
#include "base/error.h"
#include "net/client_call.h"
#include "net/websocket_stream.h"

#include <openssl/sha.h>
#include <string.h>

enum { HEAD_MAX = 32 * 1024, BODY_MAX = 64 * 1024, CHUNK = 8192 };
// A refusal whose body does not come is a refusal all the same.
static const int64_t BODY_US = 5 * G_USEC_PER_SEC;

typedef struct {
    ByteStream *stream;
    const Handshake *ask;
    Buf input; // all that came
    size_t head_len;
    char *key; // base64
} Exchange;

static bool invalid(GError **error, const char *text) {
    g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_INVALID, text);
    return false;
}

static bool write_request(Exchange *exchange, GString *out, GError **error) {
    const Handshake *ask = exchange->ask;
    exchange->key = g_base64_encode(ask->nonce, sizeof ask->nonce);
    g_string_append_printf(out,
                           "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                           "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n",
                           ask->target, ask->authority, exchange->key);
    if (ask->protocols && ask->protocols[0]) {
        g_autofree char *list = g_strjoinv(", ", (char **)ask->protocols);
        g_string_append_printf(out, "Sec-WebSocket-Protocol: %s\r\n", list);
    }
    for (const char *const *header = ask->headers; header && *header; header++)
        g_string_append_printf(out, "%s\r\n", *header);
    g_string_append(out, "\r\n");
    bool split = strpbrk(ask->target, " \r\n") || strpbrk(ask->authority, " \r\n");
    for (const char *const *header = ask->headers; header && *header; header++)
        split = split || strpbrk(*header, "\r\n");
    return !split || invalid(error, "a header or the address has a line break in it");
}

static bool send_all(Exchange *exchange, const GString *text, GError **error) {
    size_t at = 0;
    int wait_ms = 0;
    while (at < text->len) {
        if (!stream_may_go_on(exchange->stream, exchange->ask->deadline_us, exchange->ask->cancel, &wait_ms, error))
            return false;
        size_t sent = 0;
        StreamResult result = exchange->stream->send(exchange->stream, text->str + at, text->len - at, &sent, error);
        at += sent;
        if (result == STREAM_AGAIN)
            exchange->stream->wait(exchange->stream, true, wait_ms);
        else if (result != STREAM_OK)
            return false;
    }
    return true;
}

// Appends what comes next to the input. False at the end too, without an error.
static bool read_more(Exchange *exchange, int64_t deadline_us, GError **error) {
    char chunk[CHUNK];
    for (;;) {
        int wait_ms = 0;
        if (!stream_may_go_on(exchange->stream, deadline_us, exchange->ask->cancel, &wait_ms, error))
            return false;
        size_t len = 0;
        switch (exchange->stream->receive(exchange->stream, chunk, sizeof chunk, &len, error)) {
        case STREAM_OK:
            return buf_append(&exchange->input, chunk, len) || invalid(error, "the answer to the upgrade is too long");
        case STREAM_AGAIN:
            exchange->stream->wait(exchange->stream, false, wait_ms);
            break;
        default:
            return false;
        }
    }
}

// The length of the head with its empty line, 0: not all there.
static size_t head_length(const Buf *input) {
    const char *end = input->len >= 4 ? memmem(input->data, input->len, "\r\n\r\n", 4) : NULL;
    return end ? (size_t)(end - input->data) + 4 : 0;
}

static bool read_head(Exchange *exchange, GError **error) {
    GError *failure = NULL;
    while (!(exchange->head_len = head_length(&exchange->input))) {
        if (exchange->input.len > HEAD_MAX)
            return invalid(error, "the answer to the upgrade has too long a head");
        if (read_more(exchange, exchange->ask->deadline_us, &failure))
            continue;
        if (!failure)
            g_set_error_literal(&failure, STOOP_ERROR, STOOP_ERROR_UNAVAILABLE,
                                "the connection was closed before the upgrade was answered");
        g_propagate_error(error, failure);
        return false;
    }
    return true;
}

// The value of a header (g_free), all of its lines joined by commas; NULL when it is absent.
static char *header(const Exchange *exchange, const char *name) {
    GString *value = NULL;
    size_t name_len = strlen(name);
    const char *at = exchange->input.data, *end = at + exchange->head_len - 2;
    at = (const char *)memmem(at, (size_t)(end - at), "\r\n", 2) + 2;
    while (at < end) {
        const char *line_end = memmem(at, (size_t)(end + 2 - at), "\r\n", 2);
        size_t len = (size_t)(line_end - at);
        if (len > name_len && at[name_len] == ':' && g_ascii_strncasecmp(at, name, name_len) == 0) {
            if (value)
                g_string_append_c(value, ',');
            else
                value = g_string_new(NULL);
            g_autofree char *part = g_strstrip(g_strndup(at + name_len + 1, len - name_len - 1));
            g_string_append(value, part);
        }
        at = line_end + 2;
    }
    return value ? g_string_free(value, FALSE) : NULL;
}

// Whether a comma-separated list has the word.
static bool has_word(const char *list, const char *word) {
    g_auto(GStrv) parts = g_strsplit(list ? list : "", ",", 100);
    for (char **part = parts; *part; part++)
        if (g_ascii_strcasecmp(g_strstrip(*part), word) == 0)
            return true;
    return false;
}

static int status_of(const Exchange *exchange) {
    const char *text = exchange->input.data;
    if (exchange->head_len < 14 || strncmp(text, "HTTP/1.", 7) != 0 || text[8] != ' ')
        return 0;
    for (int i = 9; i < 12; i++)
        if (!g_ascii_isdigit(text[i]))
            return 0;
    return g_ascii_isdigit(text[12]) ? 0 : (text[9] - '0') * 100 + (text[10] - '0') * 10 + text[11] - '0';
}

// https://www.rfc-editor.org/rfc/rfc6455#section-1.3
static bool accept_matches(const Exchange *exchange) {
    g_autofree char *said = header(exchange, "Sec-WebSocket-Accept");
    g_autofree char *text = g_strconcat(exchange->key, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", NULL);
    unsigned char digest[SHA_DIGEST_LENGTH];
    SHA1((const unsigned char *)text, strlen(text), digest);
    g_autofree char *wanted = g_base64_encode(digest, sizeof digest);
    return g_strcmp0(said, wanted) == 0;
}

static bool take_upgrade(Exchange *exchange, WebSocket **socket, GError **error) {
    g_autofree char *upgrade = header(exchange, "Upgrade");
    g_autofree char *connection = header(exchange, "Connection");
    g_autofree char *protocol = header(exchange, "Sec-WebSocket-Protocol");
    g_autofree char *extensions = header(exchange, "Sec-WebSocket-Extensions");
    const char *const *offered = exchange->ask->protocols;
    if (!has_word(upgrade, "websocket") || !has_word(connection, "upgrade"))
        return invalid(error, "the server switched to something else than WebSocket");
    if (!accept_matches(exchange))
        return invalid(error, "the server's Sec-WebSocket-Accept is not of this request");
    if (extensions && *extensions)
        return invalid(error, "the server chose an extension that was not offered");
    if (protocol && !(offered && g_strv_contains(offered, protocol)))
        return invalid(error, "the server chose a protocol that was not offered");
    *socket = websocket_frames_new(exchange->stream, protocol, exchange->input.data + exchange->head_len,
                                   exchange->input.len - exchange->head_len);
    if (!*socket)
        g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_FAILED, "no memory for a WebSocket");
    return *socket != NULL;
}

// The body of chunks as far as it came.
static void take_chunks(const char *data, size_t len, Buf *body) {
    const char *end = data + len;
    for (;;) {
        const char *line_end = data < end ? memmem(data, (size_t)(end - data), "\r\n", 2) : NULL;
        if (!line_end)
            return;
        guint64 size = g_ascii_strtoull(data, NULL, 16);
        data = line_end + 2;
        if (size == 0)
            return;
        size_t part = (size_t)MIN(size, (guint64)(end - data));
        if (part == 0 || !buf_append(body, data, part) || (size_t)(end - data) - part < 2)
            return;
        data += part + 2;
    }
}

// What a server says with its refusal; as much of it as comes.
static void take_refusal(Exchange *exchange, HttpResponse *response) {
    g_autofree char *type = header(exchange, "Content-Type");
    g_autofree char *retry = header(exchange, "Retry-After");
    g_autofree char *length = header(exchange, "Content-Length");
    g_autofree char *coding = header(exchange, "Transfer-Encoding");
    bool chunked = has_word(coding, "chunked");
    g_strlcpy(response->content_type, type ? type : "", sizeof response->content_type);
    response->retry_after_us = client_retry_after_us(retry);
    size_t max = exchange->ask->max_response ? exchange->ask->max_response : BODY_MAX;
    guint64 wanted = length && !chunked ? g_ascii_strtoull(length, NULL, 10) : G_MAXUINT64;
    int64_t until_us = clock_monotonic_us(clock_system()) + BODY_US;
    if (exchange->ask->deadline_us > 0)
        until_us = MIN(until_us, exchange->ask->deadline_us);
    exchange->input.max = exchange->head_len + max + CHUNK;
    for (;;) {
        size_t have = exchange->input.len - exchange->head_len;
        bool whole =
            have >= wanted || have >= max ||
            (chunked && have >= 5 && memcmp(exchange->input.data + exchange->input.len - 5, "0\r\n\r\n", 5) == 0);
        if (whole || !read_more(exchange, until_us, NULL))
            break;
    }
    size_t have = exchange->input.len - exchange->head_len;
    response->body = (Buf)BUF_INIT(max);
    if (chunked)
        take_chunks(exchange->input.data + exchange->head_len, have, &response->body);
    else
        buf_append(&response->body, exchange->input.data + exchange->head_len, MIN(have, (size_t)MIN(wanted, max)));
}

static bool upgrade(Exchange *exchange, WebSocket **socket, HttpResponse *response, GError **error) {
    g_autoptr(GString) request = g_string_new(NULL);
    if (!write_request(exchange, request, error))
        return false;
    response->sent = true;
    if (!send_all(exchange, request, error) || !read_head(exchange, error))
        return false;
    int status = status_of(exchange);
    if (status < 100 || (status < 200 && status != 101))
        return invalid(error, "what answers is no HTTP/1.1 server");
    if (status == 101 && !take_upgrade(exchange, socket, error))
        return false;
    if (status != 101)
        take_refusal(exchange, response);
    response->status = status;
    return true;
}

bool websocket_open(ByteStream *stream, const Handshake *handshake, WebSocket **socket, HttpResponse *response,
                    GError **error) {
    Exchange exchange = {.stream = stream, .ask = handshake, .input = BUF_INIT(HEAD_MAX + BODY_MAX)};
    bool ok = upgrade(&exchange, socket, response, error);
    buf_clear(&exchange.input);
    g_free(exchange.key);
    return ok;
}
