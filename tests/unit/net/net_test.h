// What the tests of src/net share: raw sockets on both sides, and certificates.
#pragma once

#include "net/http.h"
#include "net/http_server.h"

#include <glib.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

// Every wait of these tests ends after this, with a failure.
#define PATIENCE_US (20 * G_USEC_PER_SEC)

int64_t test_now_us(void);

// --- A client without manners ---
int raw_connect(uint16_t port);
// False when the peer takes no more.
bool raw_send(int fd, const char *data, size_t len);
void raw_send_text(int fd, const char *text);
// Reads until `needle` was seen (`count` times) or the peer closed; what was read, NUL-terminated.
char *raw_read_until(int fd, const char *needle, unsigned count);
// Reads until the peer closes or resets; what was read.
char *raw_read_to_end(int fd);
unsigned count_text(const char *text, const char *needle);

// --- A server without manners ---
typedef struct Peer Peer;
struct Peer {
    uint16_t port;
    int listen_fd;
    pthread_t thread;
    atomic_uint connections;
    atomic_bool stop;
    // Plays one connection; `number` counts from 1. The descriptor is closed afterwards.
    void (*play)(Peer *peer, int fd, unsigned number);
    void *user;
};
void peer_start(Peer *peer, void (*play)(Peer *peer, int fd, unsigned number), void *user);
void peer_stop(Peer *peer);
// Reads one request's headers (and a body by Content-Length); NULL when the client closed.
char *peer_read_request(int fd);
// Blocks until the client closes, or the peer is stopped.
void peer_wait_for_close(Peer *peer, int fd);
uint16_t unused_port(void);

// --- Certificates ---
typedef struct {
    char *ca_pem, *cert_pem, *key_pem;
} TestCertificate;
typedef struct TestCa TestCa;
TestCa *test_ca_new(const char *name);
void test_ca_free(TestCa *ca);
char *test_ca_pem(TestCa *ca);
// A certificate for `host` (a DNS name or an address), valid from and until so many seconds from now.
void test_ca_issue(TestCa *ca, const char *host, long from_s, long until_s, TestCertificate *certificate);
void test_certificate_clear(TestCertificate *certificate);

// --- Calls ---
typedef struct {
    bool ok;
    HttpResponse response;
    GError *error;
} Outcome;
void outcome_clear(Outcome *outcome);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Outcome, outcome_clear)
Outcome call(HttpTransport *transport, const HttpRequest *request);
