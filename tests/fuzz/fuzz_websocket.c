// What a server can send over a WebSocket: the answer to the upgrade and frames, or, past the upgrade, frames that
// carry an exec's channels and its Status. The first byte chooses: even: everything; odd: frames only.
#include "kube/kube_command.h"
#include "net/websocket_stream.h"

#include <string.h>

typedef struct {
    ByteStream stream; // first
    const char *data;
    size_t len, piece;
} Canned;

static StreamResult canned_receive(ByteStream *stream, char *data, size_t size, size_t *len, GError **error) {
    Canned *self = (Canned *)stream;
    size_t part = MIN(MIN(size, self->piece), self->len);
    if (part == 0)
        return STREAM_END;
    memcpy(data, self->data, part);
    self->data += part;
    self->len -= part;
    *len = part;
    return STREAM_OK;
}

static StreamResult canned_send(ByteStream *stream, const char *data, size_t len, size_t *sent, GError **error) {
    *sent = len;
    return STREAM_OK;
}

static void canned_wait(ByteStream *stream, bool to_send, int ms) {
}

static bool canned_stopped(ByteStream *stream) {
    return false;
}

static void canned_free(ByteStream *stream) {
}

static WebSocketNext on_message(const char *data, size_t len, void *user, GError **error) {
    g_auto(KubeCommandEnd) end = {0};
    if (len > 0 && data[0] == 3)
        kube_command_status(data + 1, len - 1, &end, NULL);
    return WEBSOCKET_MORE;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const protocols[] = {"v5.channel.k8s.io", "v4.channel.k8s.io", NULL};
    if (size < 1)
        return 0;
    Canned canned = {.stream = {canned_receive, canned_send, canned_wait, canned_stopped, canned_free},
                     .data = (const char *)data + 1,
                     .len = size - 1,
                     .piece = 1 + data[0] / 2};
    g_autoptr(WebSocket) socket = NULL;
    g_auto(HttpResponse) response = {0};
    g_autoptr(GError) error = NULL;
    if (data[0] & 1)
        socket = websocket_frames_new(&canned.stream, NULL, NULL, 0);
    else
        websocket_open(&canned.stream,
                       &(Handshake){.authority = "api.test", .target = "/", .protocols = protocols, .nonce = "nonce"},
                       &socket, &response, &error);
    WebSocketHandler handler = {.on_message = on_message};
    if (socket)
        socket->run(socket, &handler, 0, NULL, NULL);
    return 0;
}
