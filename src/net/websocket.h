// A WebSocket that a transport opened (RFC 6455), as a small table of functions, so that tests hand in their own. It
// belongs to one thread: everything happens inside `run`, on the caller's.
#pragma once

#include "base/buf.h"
#include "base/cancel.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

enum { WEBSOCKET_MESSAGE_MAX = 1 << 20 }; // bytes of one message that comes or goes; more is STOOP_ERROR_TOO_LARGE

typedef enum {
    WEBSOCKET_MORE,
    WEBSOCKET_STOP,   // the caller has what it wanted
    WEBSOCKET_FAILED, // with an error set
} WebSocketNext;

typedef struct {
    // One whole message, text or binary. May take its time over a slow sink: nothing is read meanwhile, so that the
    // peer's sending comes to a stop.
    WebSocketNext (*on_message)(const char *data, size_t len, void *user, GError **error);
    // Asked when all that was sent before is on its way: puts the next message, a binary one, into `message`, which is
    // empty and takes up to WEBSOCKET_MESSAGE_MAX. Left empty, it is not asked again. NULL: nothing is to be sent.
    WebSocketNext (*next_message)(Buf *message, void *user, GError **error);
    void *user;
} WebSocketHandler;

typedef struct WebSocket WebSocket;
struct WebSocket {
    const char *protocol; // that the server chose, one of those offered; NULL: none
    // Sends and receives until the peer closes or the handler wants no more (true), or until it fails: UNAVAILABLE when
    // the connection breaks or the peer closes it with another code than 1000, TIMEOUT, CANCELLED, TOO_LARGE, INVALID
    // (the peer breaks the protocol), or the handler's own. Pings are answered. To be called once.
    bool (*run)(WebSocket *socket, const WebSocketHandler *handler, int64_t deadline_us, const Cancel *cancel,
                GError **error);
    // Tells the peer, where that takes no time, closes the connection and frees everything.
    void (*close)(WebSocket *socket);
};

static inline void websocket_close(WebSocket *socket) {
    if (socket)
        socket->close(socket);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(WebSocket, websocket_close)
