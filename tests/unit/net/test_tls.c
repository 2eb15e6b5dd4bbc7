#include "net_test.h"

#include "base/error.h"
#include "net/http_client.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

// A TLS server that answers each request with the name that the client asked for in its hello, the client certificate's
// name, and the Host header.
typedef struct {
    SSL_CTX *context;
    Peer peer;
} TlsPeer;

static void append_name(GString *text, X509 *certificate) {
    char name[128] = "-";
    if (certificate)
        X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name, sizeof name);
    g_string_append(text, name);
    X509_free(certificate);
}

static void play_tls(Peer *peer, int fd, unsigned number) {
    TlsPeer *self = peer->user;
    SSL *ssl = SSL_new(self->context);
    SSL_set_fd(ssl, fd);
    bool ok = SSL_accept(ssl) == 1;
    char request[8192];
    int len;
    while (ok && (len = SSL_read(ssl, request, sizeof request - 1)) > 0) {
        request[len] = '\0';
        const char *sni = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
        const char *host = strstr(request, "Host: ");
        GString *body = g_string_new(sni ? sni : "-");
        g_string_append_c(body, ' ');
        append_name(body, SSL_get1_peer_certificate(ssl));
        g_string_append_printf(body, " %.*s", (int)(host ? strcspn(host + 6, "\r") : 0), host ? host + 6 : "");
        g_autofree char *answer =
            g_strdup_printf("HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", body->len, body->str);
        ok = SSL_write(ssl, answer, (int)strlen(answer)) > 0;
        g_string_free(body, TRUE);
    }
    if (ok)
        SSL_shutdown(ssl);
    SSL_free(ssl);
    ERR_clear_error();
}

static void tls_peer_start(TlsPeer *self, const TestCertificate *certificate, const char *client_ca) {
    SSL_CTX *context = self->context = SSL_CTX_new(TLS_server_method());
    BIO *bio = BIO_new_mem_buf(certificate->cert_pem, -1);
    X509 *x509 = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    bio = BIO_new_mem_buf(certificate->key_pem, -1);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    BIO_free(bio);
    g_assert_cmpint(SSL_CTX_use_certificate(context, x509), ==, 1);
    g_assert_cmpint(SSL_CTX_use_PrivateKey(context, key), ==, 1);
    X509_free(x509);
    EVP_PKEY_free(key);
    SSL_CTX_set_session_id_context(context, (const unsigned char *)"t", 1);
    if (client_ca) {
        bio = BIO_new_mem_buf(client_ca, -1);
        x509 = PEM_read_bio_X509(bio, NULL, NULL, NULL);
        BIO_free(bio);
        X509_STORE_add_cert(SSL_CTX_get_cert_store(context), x509);
        X509_free(x509);
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    }
    peer_start(&self->peer, play_tls, self);
}

static void tls_peer_stop(TlsPeer *self) {
    peer_stop(&self->peer);
    SSL_CTX_free(self->context);
}

static HttpClient *new_client(HttpClientOptions options) {
    g_autoptr(GError) error = NULL;
    HttpClient *client = http_client_new(&options, &error);
    g_assert_no_error(error);
    return client;
}

static Outcome get(HttpClient *client, uint16_t port, bool long_lived) {
    g_autofree char *url = g_strdup_printf("https://127.0.0.1:%u/path", port);
    HttpRequest request = {
        .method = "GET", .url = url, .long_lived = long_lived, .deadline_us = test_now_us() + PATIENCE_US};
    return call(http_client_transport(client), &request);
}

static void check_refusal(HttpClient *client, uint16_t port, StoopError code, const char *part) {
    for (int long_lived = 0; long_lived < 2; long_lived++) {
        g_auto(Outcome) outcome = get(client, port, long_lived);
        g_assert_error(outcome.error, STOOP_ERROR, (int)code);
        g_assert_false(outcome.response.sent);
        g_assert_nonnull(strstr(outcome.error->message, "127.0.0.1"));
        if (!strstr(outcome.error->message, part))
            g_error("'%s' lacks '%s'", outcome.error->message, part);
    }
}

// One process makes both sides, hence one peer at a time: it plays one connection after the other, and a client keeps
// its connection open until it is freed.
static void with_peer(TestCertificate *certificate, const char *client_ca, HttpClientOptions options,
                      const char *answer, StoopError code, const char *refusal) {
    TlsPeer peer;
    tls_peer_start(&peer, certificate, client_ca);
    for (int long_lived = 0; long_lived < 2; long_lived++) {
        g_autoptr(HttpClient) client = new_client(options);
        if (!answer) {
            check_refusal(client, peer.peer.port, code, refusal);
            continue;
        }
        g_auto(Outcome) outcome = get(client, peer.peer.port, long_lived);
        g_assert_no_error(outcome.error);
        g_autofree char *text = g_strdup_printf("%s 127.0.0.1:%u", answer, peer.peer.port);
        g_assert_cmpstr(buf_text(&outcome.response.body), ==, text);
    }
    tls_peer_stop(&peer);
}

static void test_verification(void) {
    TestCa *ca = test_ca_new("Good CA"), *other = test_ca_new("Other CA");
    TestCertificate good, expired, early, wrong_name, named;
    test_ca_issue(ca, "127.0.0.1", -3600, 3600, &good);
    test_ca_issue(ca, "127.0.0.1", -7200, -3600, &expired);
    test_ca_issue(ca, "127.0.0.1", 3600, 7200, &early);
    test_ca_issue(ca, "192.0.2.1", -3600, 3600, &wrong_name);
    test_ca_issue(ca, "kubernetes.default", -3600, 3600, &named);
    g_autofree char *other_pem = test_ca_pem(other);
    g_autofree char *both = g_strconcat(other_pem, good.ca_pem, NULL);

    with_peer(&good, NULL, (HttpClientOptions){.ca_pem = good.ca_pem}, "- -", 0, NULL);
    with_peer(&good, NULL, (HttpClientOptions){.ca_pem = both}, "- -", 0, NULL);
    with_peer(&good, NULL, (HttpClientOptions){.ca_pem = other_pem}, NULL, STOOP_ERROR_INVALID, "Good CA");
    with_peer(&good, NULL, (HttpClientOptions){0}, NULL, STOOP_ERROR_INVALID, "does not verify");
    with_peer(&good, NULL, (HttpClientOptions){.ca_pem = other_pem, .insecure = true}, "- -", 0, NULL);
    with_peer(&expired, NULL, (HttpClientOptions){.ca_pem = good.ca_pem}, NULL, STOOP_ERROR_INVALID, "expired");
    with_peer(&early, NULL, (HttpClientOptions){.ca_pem = good.ca_pem}, NULL, STOOP_ERROR_INVALID, "not yet valid");
    with_peer(&wrong_name, NULL, (HttpClientOptions){.ca_pem = good.ca_pem}, NULL, STOOP_ERROR_INVALID,
              "does not verify");

    // Another name for TLS than the URL's: verified, sent in the hello, and the Host header stays the URL's.
    HttpClientOptions by_name = {.ca_pem = good.ca_pem, .server_name = "kubernetes.default"};
    with_peer(&named, NULL, by_name, "kubernetes.default -", 0, NULL);
    with_peer(&good, NULL, by_name, NULL, STOOP_ERROR_INVALID, "kubernetes.default");

    test_certificate_clear(&good);
    test_certificate_clear(&expired);
    test_certificate_clear(&early);
    test_certificate_clear(&wrong_name);
    test_certificate_clear(&named);
    test_ca_free(ca);
    test_ca_free(other);
}

static void test_client_certificate(void) {
    TestCa *ca = test_ca_new("Server CA"), *client_ca = test_ca_new("Client CA");
    TestCertificate server, client, stranger;
    test_ca_issue(ca, "127.0.0.1", -3600, 3600, &server);
    test_ca_issue(client_ca, "stoop", -3600, 3600, &client);
    test_ca_issue(ca, "stranger", -3600, 3600, &stranger);
    with_peer(&server, client.ca_pem,
              (HttpClientOptions){
                  .ca_pem = server.ca_pem, .client_cert_pem = client.cert_pem, .client_key_pem = client.key_pem},
              "- stoop", 0, NULL);

    // TLS 1.3 tells of a missing or unknown client certificate only after the handshake.
    TlsPeer peer;
    tls_peer_start(&peer, &server, client.ca_pem);
    for (int i = 0; i < 2; i++) {
        g_autoptr(HttpClient) refused = new_client((HttpClientOptions){
            .ca_pem = server.ca_pem,
            .client_cert_pem = i == 1 ? stranger.cert_pem : NULL,
            .client_key_pem = i == 1 ? stranger.key_pem : NULL,
        });
        g_auto(Outcome) outcome = get(refused, peer.peer.port, false);
        g_assert_nonnull(outcome.error);
    }
    tls_peer_stop(&peer);

    static const struct {
        bool cert, key, swapped;
    } bad[] = {{true, false, false}, {false, true, false}, {true, true, true}};
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        HttpClientOptions options = {
            .client_cert_pem = bad[i].cert ? client.cert_pem : NULL,
            .client_key_pem = !bad[i].key      ? NULL
                              : bad[i].swapped ? stranger.key_pem
                                               : client.key_pem,
        };
        g_autoptr(GError) error = NULL;
        g_assert_null(http_client_new(&options, &error));
        g_assert_error(error, STOOP_ERROR, STOOP_ERROR_INVALID);
    }
    test_certificate_clear(&server);
    test_certificate_clear(&client);
    test_certificate_clear(&stranger);
    test_ca_free(ca);
    test_ca_free(client_ca);
}

static void test_new_material(void) {
    TestCa *ca = test_ca_new("Old CA"), *next = test_ca_new("New CA");
    TestCertificate before, after;
    test_ca_issue(ca, "127.0.0.1", -3600, 3600, &before);
    test_ca_issue(next, "127.0.0.1", -3600, 3600, &after);
    TlsPeer old_peer, new_peer;
    tls_peer_start(&old_peer, &before, NULL);
    tls_peer_start(&new_peer, &after, NULL);
    g_autoptr(HttpClient) client = new_client((HttpClientOptions){.ca_pem = before.ca_pem});
    g_auto(Outcome) first = get(client, old_peer.peer.port, false);
    g_assert_no_error(first.error);

    // Broken material changes nothing.
    static const char *broken[] = {"", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"};
    for (size_t i = 0; i < G_N_ELEMENTS(broken); i++) {
        g_autoptr(GError) error = NULL;
        g_assert_false(http_client_set_tls(client, broken[i], NULL, NULL, &error));
        g_assert_error(error, STOOP_ERROR, STOOP_ERROR_INVALID);
    }
    g_auto(Outcome) second = get(client, old_peer.peer.port, false);
    g_assert_no_error(second.error);
    g_assert_cmpuint(atomic_load(&old_peer.peer.connections), ==, 1);

    // New material: the old server's kept connection and its session are worth nothing any more.
    g_autoptr(GError) error = NULL;
    g_assert_true(http_client_set_tls(client, after.ca_pem, NULL, NULL, &error));
    check_refusal(client, old_peer.peer.port, STOOP_ERROR_INVALID, "Old CA");
    g_auto(Outcome) third = get(client, new_peer.peer.port, false);
    g_assert_no_error(third.error);

    g_assert_true(http_client_set_tls(client, before.ca_pem, NULL, NULL, &error));
    g_auto(Outcome) fourth = get(client, old_peer.peer.port, true);
    g_assert_no_error(fourth.error);
    g_assert_true(http_client_set_tls(client, after.ca_pem, NULL, NULL, &error));
    check_refusal(client, old_peer.peer.port, STOOP_ERROR_INVALID, "Old CA");

    g_clear_pointer(&client, http_client_free);
    tls_peer_stop(&old_peer);
    tls_peer_stop(&new_peer);
    test_certificate_clear(&before);
    test_certificate_clear(&after);
    test_ca_free(ca);
    test_ca_free(next);
}

static void play_plain(Peer *peer, int fd, unsigned number) {
    char hello[4096];
    g_assert_cmpint(recv(fd, hello, sizeof hello, 0), >, 0);
    raw_send_text(fd, peer->user);
}

static void test_no_tls_there(void) {
    Peer peer;
    peer_start(&peer, play_plain, (void *)"HTTP/1.1 400 Bad Request\r\n\r\n");
    g_autoptr(HttpClient) client = new_client((HttpClientOptions){.insecure = true});
    check_refusal(client, peer.port, STOOP_ERROR_INVALID, "");
    peer_stop(&peer);
    // A server that is just going down.
    peer_start(&peer, play_plain, (void *)"");
    check_refusal(client, peer.port, STOOP_ERROR_UNAVAILABLE, "");
    peer_stop(&peer);
}

int main(int argc, char **argv) {
    // OpenSSL's own sockets, on the test's server side, raise it when the client is gone. The client's must not need
    // this.
    signal(SIGPIPE, SIG_IGN);
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/net/tls/verification", test_verification);
    g_test_add_func("/net/tls/client-certificate", test_client_certificate);
    g_test_add_func("/net/tls/new-material", test_new_material);
    g_test_add_func("/net/tls/no-tls-there", test_no_tls_there);
    return g_test_run();
}
