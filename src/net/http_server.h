// A small HTTP/1.1 server over libmicrohttpd: N epoll threads on one port (SO_REUSEPORT), a body limit, deadlines for
// slow clients, and answers that may come later from another thread.
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct HttpServer HttpServer;
typedef struct HttpServerRequest HttpServerRequest; // valid until it is answered

typedef struct {
    const char *address;      // IPv4 or IPv6 literal or a host name; "0.0.0.0", "::"
    uint16_t port;            // 0: a free one, see http_server_port
    unsigned threads;         // 0: 2
    size_t max_body;          // bytes; a longer body is answered 413 without being kept (0: 1 MiB)
    unsigned max_connections; // 0: 16,384, cut to what the limit of open files allows
    int64_t
        request_timeout_us;  // from a request's first byte to its last (0: 10 s); slower clients are cut off with 408
    int64_t idle_timeout_us; // between requests (0: 10 min)
    // Called on a server thread for each complete request; must not block. The handler answers with http_server_answer,
    // at once or later from any thread, exactly once. `traceparent` may be NULL. Path without query.
    void (*handle)(HttpServerRequest *request, void *user);
    void *user;
} HttpServerOptions;

// Listens and serves; fails with a text that names address and port.
HttpServer *http_server_start(const HttpServerOptions *options, GError **error);
uint16_t http_server_port(const HttpServer *server);

// No new connections from here on; kept connections end after their answer.
void http_server_quiesce(HttpServer *server);

// Waits for requests under way to be answered (the owner must see to that), then closes everything.
void http_server_stop(HttpServer *server);

// What a handler may ask of its request. Strings live until the answer.
const char *http_server_method(const HttpServerRequest *request);
const char *http_server_path(const HttpServerRequest *request);
const char *http_server_query(const HttpServerRequest *request, const char *name);          // decoded value or NULL
const char *http_server_header(const HttpServerRequest *request, const char *name);         // or NULL
const char *http_server_body(const HttpServerRequest *request, size_t *len);                // followed by a NUL
const char *http_server_peer(const HttpServerRequest *request, char *scratch, size_t size); // address as text

// `headers`: "Name: value", NULL-terminated, may be NULL; bodies are copied. Thread-safe.
void http_server_answer(HttpServerRequest *request, unsigned status, const char *const *headers, const char *body,
                        size_t body_len);

typedef struct {
    unsigned connections;
    uint64_t requests, rejected; // rejected: by the server itself (413, 408, 400, 501, 503), without
                                 // what libmicrohttpd refuses before a request is whole (a bad first line, 431)
} HttpServerStats;
void http_server_stats(HttpServer *server, HttpServerStats *stats);
