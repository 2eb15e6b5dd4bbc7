// The frames of a WebSocket, over wslay. https://www.rfc-editor.org/rfc/rfc6455#section-5
#include "base/clock.h"
#include "base/error.h"
#include "net/websocket_stream.h"

#include <string.h>
#include <sys/random.h>
#include <wslay/wslay.h>

enum {
    READ_SIZE = 64 * 1024,
    STEP_MAX = 512 * 1024, // bytes read before deadline and cancellation are looked at again
    QUEUE_MAX = 64,        // messages that wait to be sent: answers to pings of a peer that does not read them
    LOOK_MS = 50,
};

typedef struct {
    WebSocket socket; // first
    ByteStream *stream;
    wslay_event_context_ptr events;
    char *protocol;
    // Bytes that were read and not taken yet.
    char *input;
    size_t input_at, input_len;
    size_t step; // bytes taken in this step
    bool ended;  // the peer's bytes have ended
    GError *broken;
    // Of the run.
    const WebSocketHandler *handler;
    WebSocketNext next;
    GError *failure;
} Frames;

bool stream_may_go_on(ByteStream *stream, int64_t deadline_us, const Cancel *cancel, int *wait_ms, GError **error) {
    if (cancel_is_set(cancel) || stream->stopped(stream)) {
        g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_CANCELLED, "cancelled");
        return false;
    }
    // The owner's end is no event of the connection's, so it is looked for.
    *wait_ms = LOOK_MS;
    if (deadline_us > 0) {
        int64_t left_us = deadline_us - clock_monotonic_us(clock_system());
        if (left_us <= 0) {
            g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_TIMEOUT, "the time is over");
            return false;
        }
        *wait_ms = (int)MIN((int64_t)*wait_ms, left_us / 1000 + 1);
    }
    return true;
}

static ssize_t on_receive(wslay_event_context_ptr events, uint8_t *data, size_t len, int flags, void *user) {
    Frames *self = user;
    if (self->step >= STEP_MAX || self->next != WEBSOCKET_MORE) {
        wslay_event_set_error(events, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    if (self->input_at == self->input_len) {
        self->input_at = self->input_len = 0;
        StreamResult result =
            self->stream->receive(self->stream, self->input, READ_SIZE, &self->input_len, &self->broken);
        if (result != STREAM_OK) {
            self->ended = result != STREAM_AGAIN;
            wslay_event_set_error(events, self->ended ? WSLAY_ERR_CALLBACK_FAILURE : WSLAY_ERR_WOULDBLOCK);
            return -1;
        }
    }
    size_t part = MIN(len, self->input_len - self->input_at);
    memcpy(data, self->input + self->input_at, part);
    self->input_at += part;
    self->step += part;
    return (ssize_t)part;
}

static ssize_t on_send(wslay_event_context_ptr events, const uint8_t *data, size_t len, int flags, void *user) {
    Frames *self = user;
    size_t sent = 0;
    g_autoptr(GError) broken = NULL;
    switch (self->stream->send(self->stream, (const char *)data, len, &sent, &broken)) {
    case STREAM_OK:
        return (ssize_t)sent;
    case STREAM_AGAIN:
        wslay_event_set_error(events, WSLAY_ERR_WOULDBLOCK);
        return -1;
    default:
        if (!self->broken)
            self->broken = g_steal_pointer(&broken);
        wslay_event_set_error(events, WSLAY_ERR_CALLBACK_FAILURE);
        return -1;
    }
}

static int on_mask(wslay_event_context_ptr events, uint8_t *data, size_t len, void *user) {
    if (getrandom(data, len, 0) == (ssize_t)len)
        return 0;
    wslay_event_set_error(events, WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

static void on_message(wslay_event_context_ptr events, const struct wslay_event_on_msg_recv_arg *message, void *user) {
    Frames *self = user;
    if (wslay_is_ctrl_frame(message->opcode) || self->next != WEBSOCKET_MORE)
        return;
    const char *data = message->msg ? (const char *)message->msg : "";
    self->next = self->handler->on_message(data, message->msg_length, self->handler->user, &self->failure);
    if (self->next != WEBSOCKET_MORE)
        wslay_event_shutdown_read(events);
}

// Asks for the next message where nothing waits to be sent.
static void ask_for_more(Frames *self, bool *asking) {
    if (!*asking || self->next != WEBSOCKET_MORE || wslay_event_get_queued_msg_count(self->events) > 0)
        return;
    g_auto(Buf) message = BUF_INIT(WEBSOCKET_MESSAGE_MAX);
    self->next = self->handler->next_message(&message, self->handler->user, &self->failure);
    *asking = self->next == WEBSOCKET_MORE && message.len > 0;
    if (!*asking)
        return;
    struct wslay_event_msg out = {
        .opcode = WSLAY_BINARY_FRAME, .msg = (const uint8_t *)message.data, .msg_length = message.len};
    // Refused only when a closing frame is under way, which the run sees next.
    *asking = wslay_event_queue_msg(self->events, &out) == 0;
}

static bool broke(Frames *self, GError **error) {
    const char *why = self->broken ? self->broken->message : "the peer ended it without closing";
    g_set_error(error, STOOP_ERROR, STOOP_ERROR_UNAVAILABLE, "the connection broke: %s", why);
    return false;
}

static bool read_failed(Frames *self, int code, GError **error) {
    if (code == WSLAY_ERR_NOMEM) {
        g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_FAILED, "out of memory");
        return false;
    }
    return broke(self, error);
}

// What wslay makes of a peer that breaks the rules is a closing frame of ours.
static bool own_close(Frames *self, GError **error) {
    wslay_event_send(self->events); // only then its code is told
    if (wslay_event_get_status_code_sent(self->events) == WSLAY_CODE_MESSAGE_TOO_BIG)
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_TOO_LARGE, "the peer sent a message of more than %d bytes",
                    WEBSOCKET_MESSAGE_MAX);
    else
        g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_INVALID, "the peer breaks the WebSocket protocol");
    return false;
}

static bool peer_closed(Frames *self, GError **error) {
    uint16_t code = wslay_event_get_status_code_received(self->events);
    if (code == WSLAY_CODE_NORMAL_CLOSURE || code == WSLAY_CODE_NO_STATUS_RCVD)
        return true;
    g_set_error(error, STOOP_ERROR, STOOP_ERROR_UNAVAILABLE, "the peer closed the connection with code %u", code);
    return false;
}

static bool run(WebSocket *socket, const WebSocketHandler *handler, int64_t deadline_us, const Cancel *cancel,
                GError **error) {
    Frames *self = (Frames *)socket;
    self->handler = handler;
    bool asking = handler->next_message != NULL;
    int wait_ms = 0;
    while (stream_may_go_on(self->stream, deadline_us, cancel, &wait_ms, error)) {
        ask_for_more(self, &asking);
        // What cannot be sent is told by what was read before the connection broke: a server may refuse all input, say
        // why and close.
        bool cannot_send = wslay_event_want_write(self->events) && wslay_event_send(self->events) != 0;
        self->step = 0;
        int code = self->next == WEBSOCKET_MORE && !self->ended ? wslay_event_recv(self->events) : 0;
        if (self->next == WEBSOCKET_FAILED)
            g_propagate_error(error, g_steal_pointer(&self->failure));
        if (self->next != WEBSOCKET_MORE)
            return self->next == WEBSOCKET_STOP;
        if (wslay_event_get_close_received(self->events))
            return peer_closed(self, error);
        if (code != 0 || self->ended)
            return read_failed(self, code, error);
        if (!wslay_event_get_read_enabled(self->events))
            return own_close(self, error);
        if (cannot_send && self->step == 0)
            return broke(self, error);
        if (wslay_event_get_queued_msg_count(self->events) > QUEUE_MAX) {
            g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_INVALID, "the peer sends pings and reads no answers");
            return false;
        }
        bool more_to_send = asking && wslay_event_get_queued_msg_count(self->events) == 0;
        if (self->step == 0 && !more_to_send)
            self->stream->wait(self->stream, wslay_event_want_write(self->events), wait_ms);
    }
    return false;
}

static void close_frames(WebSocket *socket) {
    Frames *self = (Frames *)socket;
    if (!self->ended && !self->broken) {
        wslay_event_queue_close(self->events, WSLAY_CODE_NORMAL_CLOSURE, NULL, 0);
        wslay_event_send(self->events);
    }
    wslay_event_context_free(self->events);
    self->stream->free(self->stream);
    g_clear_error(&self->broken);
    g_clear_error(&self->failure);
    g_free(self->protocol);
    g_free(self->input);
    g_free(self);
}

WebSocket *websocket_frames_new(ByteStream *stream, const char *protocol, const char *early, size_t early_len) {
    static const struct wslay_event_callbacks callbacks = {
        .recv_callback = on_receive,
        .send_callback = on_send,
        .genmask_callback = on_mask,
        .on_msg_recv_callback = on_message,
    };
    Frames *self = g_new0(Frames, 1);
    if (wslay_event_context_client_init(&self->events, &callbacks, self) != 0) {
        g_free(self);
        return NULL;
    }
    self->stream = stream;
    self->protocol = g_strdup(protocol);
    self->input = g_malloc(MAX((size_t)READ_SIZE, early_len));
    self->input_len = early_len;
    if (early_len > 0)
        memcpy(self->input, early, early_len);
    wslay_event_config_set_max_recv_msg_length(self->events, WEBSOCKET_MESSAGE_MAX);
    self->socket = (WebSocket){.protocol = self->protocol, .run = run, .close = close_frames};
    return &self->socket;
}
