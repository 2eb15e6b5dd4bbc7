#include "net/websocket_client.h"

#include "base/error.h"
#include "net/websocket_stream.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/random.h>

// A connection of libcurl's that is used for bytes of our own. It stays in its multi handle, whose cache holds it.
typedef struct {
    ByteStream stream; // first
    WebSocketOwner owner;
    TlsMaterial *tls;
    CURLM *multi;
    ClientHandle *handle;
    CURL *easy;
    curl_socket_t fd;
    bool opened;
} CurlStream;

static bool lost(CurlStream *self, CURLcode code, GError **error) {
    g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_UNAVAILABLE, curl_easy_strerror(code));
    return false;
}

static StreamResult stream_receive(ByteStream *stream, char *data, size_t size, size_t *len, GError **error) {
    CurlStream *self = (CurlStream *)stream;
    CURLcode code = curl_easy_recv(self->easy, data, size, len);
    if (code == CURLE_OK)
        return *len > 0 ? STREAM_OK : STREAM_END;
    *len = 0;
    if (code == CURLE_AGAIN)
        return STREAM_AGAIN;
    lost(self, code, error);
    return STREAM_FAILED;
}

static StreamResult stream_send(ByteStream *stream, const char *data, size_t len, size_t *sent, GError **error) {
    CurlStream *self = (CurlStream *)stream;
    CURLcode code = curl_easy_send(self->easy, data, len, sent);
    if (code == CURLE_OK)
        return STREAM_OK;
    *sent = 0;
    if (code == CURLE_AGAIN)
        return STREAM_AGAIN;
    lost(self, code, error);
    return STREAM_FAILED;
}

static void stream_wait(ByteStream *stream, bool to_send, int ms) {
    CurlStream *self = (CurlStream *)stream;
    struct pollfd fd = {.fd = self->fd, .events = (short)(POLLIN | (to_send ? POLLOUT : 0))};
    poll(&fd, 1, ms);
}

static bool stream_stopped(ByteStream *stream) {
    CurlStream *self = (CurlStream *)stream;
    return self->owner.stopped(self->owner.owner);
}

static void stream_free(ByteStream *stream) {
    CurlStream *self = (CurlStream *)stream;
    if (self->handle)
        curl_multi_remove_handle(self->multi, self->easy);
    curl_multi_cleanup(self->multi); // closes the connection, which may look at the handle's settings
    client_handle_free(self->handle);
    tls_material_unref(self->tls);
    if (self->opened)
        self->owner.released(self->owner.owner);
    g_free(self);
}

static bool connect_now(CurlStream *self, const HttpRequest *request, HttpResponse *response, GError **error) {
    HttpRequest plain = {.method = "GET", .url = request->url};
    ClientCall call = {.request = &plain};
    client_handle_prepare(self->handle, &call, false);
    curl_easy_setopt(self->easy, CURLOPT_CONNECT_ONLY, 1L);
    curl_easy_setopt(self->easy, CURLOPT_HTTPPROXYTUNNEL, 1L);
    curl_multi_add_handle(self->multi, self->easy);
    int running = 0, wait_ms = 0, left = 0;
    bool waiting = true;
    curl_multi_perform(self->multi, &running);
    while (running > 0 &&
           (waiting = stream_may_go_on(&self->stream, request->deadline_us, request->cancel, &wait_ms, error))) {
        curl_multi_poll(self->multi, NULL, 0, wait_ms, NULL);
        curl_multi_perform(self->multi, &running);
    }
    const CURLMsg *message = curl_multi_info_read(self->multi, &left);
    CURLcode code = message && message->msg == CURLMSG_DONE ? message->data.result : CURLE_OK;
    if (waiting && code != CURLE_OK)
        return client_handle_finish(self->handle, &call, code, response, error);
    client_handle_abandon(self->handle, &call, response);
    if (!waiting)
        return false;
    self->fd = CURL_SOCKET_BAD;
    curl_easy_getinfo(self->easy, CURLINFO_ACTIVESOCKET, &self->fd);
    return self->fd != CURL_SOCKET_BAD || lost(self, CURLE_COULDNT_CONNECT, error);
}

// The parts of the URL that the upgrade names: no user and password, no fragment.
static void split_url(const char *url, char **authority, char **target) {
    const char *start = strstr(url, "://");
    start = start ? start + 3 : url;
    size_t len = strcspn(start, "/?#");
    const char *rest = start + len;
    const char *at = memchr(start, '@', len);
    if (at) {
        len -= (size_t)(at + 1 - start);
        start = at + 1;
    }
    *authority = g_strndup(start, len);
    g_autofree char *path = g_strndup(rest, strcspn(rest, "#"));
    *target = g_strconcat(*path == '/' ? "" : "/", path, NULL);
}

static bool ask(CurlStream *self, const HttpRequest *request, const char *const *protocols, WebSocket **socket,
                HttpResponse *response, GError **error) {
    g_autofree char *authority = NULL, *target = NULL;
    split_url(request->url, &authority, &target);
    Handshake handshake = {
        .authority = authority,
        .target = target,
        .headers = request->headers,
        .protocols = protocols,
        .max_response = request->max_response,
        .deadline_us = request->deadline_us,
        .cancel = request->cancel,
    };
    if (getrandom(handshake.nonce, sizeof handshake.nonce, 0) != sizeof handshake.nonce) {
        stoop_error_set_errno(error, errno, "cannot get random numbers");
        return false;
    }
    if (websocket_open(&self->stream, &handshake, socket, response, error))
        return true;
    g_prefix_error(error, "%s: ", authority);
    return false;
}

bool websocket_connect(const WebSocketOwner *owner, const HttpRequest *request, const char *const *protocols,
                       WebSocket **socket, HttpResponse *response, GError **error) {
    *socket = NULL;
    CurlStream *self = g_new0(CurlStream, 1);
    self->stream = (ByteStream){.receive = stream_receive,
                                .send = stream_send,
                                .wait = stream_wait,
                                .stopped = stream_stopped,
                                .free = stream_free};
    self->owner = *owner;
    self->tls = tls_material_ref(owner->tls);
    self->multi = curl_multi_init();
    self->handle = client_handle_new(owner->settings, owner->tls);
    self->easy = client_handle_easy(self->handle);
    bool ok = connect_now(self, request, response, error) && ask(self, request, protocols, socket, response, error);
    self->opened = ok && *socket;
    if (!self->opened)
        stream_free(&self->stream);
    return ok;
}
