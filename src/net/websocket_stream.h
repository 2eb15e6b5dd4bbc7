// WebSockets over any stream of bytes. Inside of net/ and for its tests.
#pragma once

#include "net/http.h"
#include "net/websocket.h"

typedef enum { STREAM_OK, STREAM_AGAIN, STREAM_END, STREAM_FAILED } StreamResult;

// A connection that is there already, which never blocks but in `wait`.
typedef struct ByteStream ByteStream;
struct ByteStream {
    // STREAM_OK: at least one byte. STREAM_FAILED: with an error.
    StreamResult (*receive)(ByteStream *stream, char *data, size_t size, size_t *len, GError **error);
    StreamResult (*send)(ByteStream *stream, const char *data, size_t len, size_t *sent, GError **error);
    // Waits until something came, or until something can be sent, or the time is over.
    void (*wait)(ByteStream *stream, bool to_send, int ms);
    bool (*stopped)(ByteStream *stream); // its owner wants everything to end
    void (*free)(ByteStream *stream);
};

typedef struct {
    const char *authority;        // of the Host header
    const char *target;           // "/path?query"
    const char *const *headers;   // "Name: value", NULL-terminated; may be NULL
    const char *const *protocols; // offered, the liked ones first, NULL-terminated; may be NULL
    size_t max_response;          // of the body of a refusal; 0: 64 KiB
    int64_t deadline_us;          // clock_monotonic_us; 0: none
    const Cancel *cancel;
    uint8_t nonce[16]; // random
} Handshake;

// Asks for the upgrade. True when an answer came, then `response` is filled: with status 101 there is a `socket`, and
// `stream` belongs to it; with any other the body says why. False: UNAVAILABLE, TIMEOUT, CANCELLED, or INVALID (what
// answers is no WebSocket server, or not the one asked). `stream` stays the caller's unless there is a socket.
bool websocket_open(ByteStream *stream, const Handshake *handshake, WebSocket **socket, HttpResponse *response,
                    GError **error);

// Between the files of this: frames over a stream whose upgrade is done. `early`: bytes that came with the answer.
// NULL where there is no memory for it; then the stream stays the caller's.
WebSocket *websocket_frames_new(ByteStream *stream, const char *protocol, const char *early, size_t early_len);

// False with an error when there is no time left or it was cancelled; else waits at most until something happens.
bool stream_may_go_on(ByteStream *stream, int64_t deadline_us, const Cancel *cancel, int *wait_ms, GError **error);
