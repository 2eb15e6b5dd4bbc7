// The HTTP transport that every API client is given: a small table of functions, so that tests hand in their own.
#pragma once

#include "base/buf.h"
#include "base/cancel.h"
#include "base/error.h"
#include "net/websocket.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct {
    const char *method;
    const char *url;            // absolute, path parts already escaped
    const char *const *headers; // "Name: value", NULL-terminated; may be NULL
    const char *body;           // may be NULL
    size_t body_len;
    int64_t deadline_us;  // clock_monotonic_us by which the whole call has ended, connecting included; 0: none
    const Cancel *cancel; // may be NULL
    size_t max_response;  // bytes of body kept; more is STOOP_ERROR_TOO_LARGE (0: 16 MiB). Not for `on_data`.
    // Sent at most once, on a connection of its own: libcurl sends by itself a second time what a kept connection broke
    // under before an answer, which the peer may have done all the same.
    bool once;
    bool long_lived; // a stream or a watch: takes no place among the fast connections
    // When set, a 2xx body goes here piece by piece, in bounded memory, and is not kept. Returning false ends the call
    // with the error that it set. Called on the transport's thread or the caller's; must not block for long on anything
    // but the sink. A body of another status is kept as usual, so that errors can be read.
    bool (*on_data)(const char *data, size_t len, void *user, GError **error);
    void *user;
    // When set, each header of the answer goes here, on the transport's thread or the caller's, before `perform`
    // returns; an interim or repeated answer's come too, so that the last of a name counts. Both texts are gone
    // afterwards.
    void (*on_header)(const char *name, const char *value, void *header_user);
    void *header_user;
} HttpRequest;

typedef struct {
    int status;             // 100 to 599
    Buf body;               // up to max_response
    int64_t retry_after_us; // from Retry-After (seconds or a date), -1 when absent
    char content_type[128]; // "" when absent
    // Set on failure too: whether the server may have received (a part of) the request. False means that repeating the
    // call cannot do anything twice.
    bool sent;
} HttpResponse;

void http_response_clear(HttpResponse *response);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(HttpResponse, http_response_clear)

// What a status that is no success means to a caller, where the service gives it no meaning of its own. RFC 9110
// section 15, RFC 6585.
StoopError http_status_error(int status);

typedef struct HttpTransport HttpTransport;
struct HttpTransport {
    // Performs one call, blocking the caller; safe from many threads. True when a whole answer came, whatever its
    // status; then `response` (zeroed by the caller) is filled. False and an error otherwise: UNAVAILABLE when the
    // request cannot have been acted on (no connection, refused stream) or the connection broke, TIMEOUT, CANCELLED,
    // TOO_LARGE, INVALID (bad URL, TLS that does not verify: the text names certificate and host), or on_data's own.
    bool (*perform)(HttpTransport *transport, const HttpRequest *request, HttpResponse *response, GError **error);
    // Opens a WebSocket by a GET of an http(s) URL, offering `protocols` (NULL-terminated, the liked ones first). True
    // when an answer came: with status 101 there is a `socket`, to be closed before the transport ends; with any other
    // the body of `response` says why not. Method, body, long_lived and on_data of the request are not looked at; its
    // deadline is that of the opening. Errors as of perform. NULL: this transport opens none.
    bool (*open_websocket)(HttpTransport *transport, const HttpRequest *request, const char *const *protocols,
                           WebSocket **socket, HttpResponse *response, GError **error);
};

static inline bool http_perform(HttpTransport *transport, const HttpRequest *request, HttpResponse *response,
                                GError **error) {
    return transport->perform(transport, request, response, error);
}
