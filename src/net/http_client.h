// The real transport, over libcurl. A short call runs on the caller's own thread over a kept connection of a small pool
// (no hop between threads, HTTP/1.1); when all of these are busy, and for long-lived calls, the call goes to one I/O
// thread that multiplexes (multi interface, HTTP/2). Calls with on_data have a connection of their own there, so that a
// slow reader holds nobody else up. Idle connections are kept. CAs are parsed once and shared (X509_STORE).
#pragma once

#include "net/http.h"

typedef struct {
    // PEM texts, copied; NULL: the system's CAs, no client certificate.
    const char *ca_pem;
    const char *client_cert_pem;
    const char *client_key_pem;
    bool insecure;              // no verification
    const char *server_name;    // SNI and name to verify instead of the URL's host; NULL
    const char *proxy;          // as CURLOPT_PROXY; NULL: from the environment as curl does
    unsigned fast_connections;  // pool of the callers' threads (0: 4)
    unsigned max_in_flight;     // calls at once, long-lived ones apart; further callers wait for their turn (0: 64)
    bool http1;                 // never HTTP/2
    int64_t connect_timeout_us; // 0: 10 s
} HttpClientOptions;

typedef struct HttpClient HttpClient;

HttpClient *http_client_new(const HttpClientOptions *options, GError **error);

// Takes new TLS material for connections made from now on; idle ones are closed, calls under way finish. Thread-safe.
// On failure the old material stays.
bool http_client_set_tls(HttpClient *client, const char *ca_pem, const char *client_cert_pem,
                         const char *client_key_pem, GError **error);

// Ends what is under way with STOOP_ERROR_CANCELLED and joins the I/O thread. No call may start afterwards.
void http_client_free(HttpClient *client);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(HttpClient, http_client_free)

HttpTransport *http_client_transport(HttpClient *client);

typedef struct {
    unsigned fast_in_use, multiplexed, long_lived, waiting;
    uint64_t calls, connections_opened;
} HttpClientStats;
void http_client_stats(HttpClient *client, HttpClientStats *stats);

// Appends `text` to `url` with everything but unreserved characters percent-encoded (RFC 3986 section 2.3).
void http_append_escaped(GString *url, const char *text);
