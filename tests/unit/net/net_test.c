#include "net_test.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int64_t test_now_us(void) {
    return clock_monotonic_us(clock_system());
}

static void set_patience(int fd) {
    struct timeval patience = {.tv_sec = PATIENCE_US / G_USEC_PER_SEC};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
}

int raw_connect(uint16_t port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_assert_cmpint(fd, >=, 0);
    set_patience(fd);
    struct sockaddr_in place = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    g_assert_cmpint(connect(fd, (struct sockaddr *)&place, sizeof place), ==, 0);
    return fd;
}

bool raw_send(int fd, const char *data, size_t len) {
    while (len > 0) {
        ssize_t sent = send(fd, data, len, MSG_NOSIGNAL);
        if (sent < 0) {
            g_assert_true(errno == EPIPE || errno == ECONNRESET);
            return false;
        }
        data += sent;
        len -= (size_t)sent;
    }
    return true;
}

void raw_send_text(int fd, const char *text) {
    raw_send(fd, text, strlen(text));
}

unsigned count_text(const char *text, const char *needle) {
    unsigned count = 0;
    while ((text = strstr(text, needle))) {
        count++;
        text += strlen(needle);
    }
    return count;
}

char *raw_read_until(int fd, const char *needle, unsigned count) {
    GString *text = g_string_new(NULL);
    char piece[16384];
    while (!needle || count_text(text->str, needle) < count) {
        ssize_t got = recv(fd, piece, sizeof piece, 0);
        if (got < 0)
            g_assert_cmpint(errno, ==, ECONNRESET);
        if (got <= 0)
            break;
        g_string_append_len(text, piece, got);
    }
    return g_string_free(text, FALSE);
}

char *raw_read_to_end(int fd) {
    return raw_read_until(fd, NULL, 0);
}

static void *peer_run(void *argument) {
    Peer *peer = argument;
    while (!atomic_load(&peer->stop)) {
        int fd = accept4(peer->listen_fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            break;
        set_patience(fd);
        peer->play(peer, fd, atomic_fetch_add(&peer->connections, 1) + 1);
        close(fd);
    }
    return NULL;
}

static int listen_anywhere(uint16_t *port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in place = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof place;
    g_assert_cmpint(bind(fd, (struct sockaddr *)&place, len), ==, 0);
    g_assert_cmpint(listen(fd, 64), ==, 0);
    g_assert_cmpint(getsockname(fd, (struct sockaddr *)&place, &len), ==, 0);
    *port = ntohs(place.sin_port);
    return fd;
}

void peer_start(Peer *peer, void (*play)(Peer *peer, int fd, unsigned number), void *user) {
    *peer = (Peer){.play = play, .user = user};
    peer->listen_fd = listen_anywhere(&peer->port);
    g_assert_cmpint(pthread_create(&peer->thread, NULL, peer_run, peer), ==, 0);
}

void peer_stop(Peer *peer) {
    atomic_store(&peer->stop, true);
    shutdown(peer->listen_fd, SHUT_RDWR);
    pthread_join(peer->thread, NULL);
    close(peer->listen_fd);
}

char *peer_read_request(int fd) {
    GString *text = g_string_new(NULL);
    char piece[16384];
    size_t whole = 0;
    while (whole == 0 || text->len < whole) {
        ssize_t got = recv(fd, piece, sizeof piece, 0);
        if (got <= 0)
            break;
        g_string_append_len(text, piece, got);
        const char *end = strstr(text->str, "\r\n\r\n");
        if (!end)
            continue;
        const char *length = strstr(text->str, "Content-Length: ");
        whole = (size_t)(end + 4 - text->str) + (length && length < end ? g_ascii_strtoull(length + 16, NULL, 10) : 0);
    }
    if (text->len == 0) {
        g_string_free(text, TRUE);
        return NULL;
    }
    return g_string_free(text, FALSE);
}

void peer_wait_for_close(Peer *peer, int fd) {
    char piece[4096];
    int64_t until = test_now_us() + PATIENCE_US;
    while (!atomic_load(&peer->stop) && test_now_us() < until) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        if (poll(&wait, 1, 20) > 0 && recv(fd, piece, sizeof piece, 0) <= 0)
            return;
    }
}

uint16_t unused_port(void) {
    uint16_t port;
    close(listen_anywhere(&port));
    return port;
}

struct TestCa {
    X509 *certificate;
    EVP_PKEY *key;
    long serial;
};

static char *pem_text(BIO *bio) {
    char *data = NULL;
    long len = BIO_get_mem_data(bio, &data);
    char *text = g_strndup(data, (gsize)len);
    BIO_free(bio);
    return text;
}

static void add_extension(X509 *certificate, X509 *issuer, int nid, const char *value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    g_assert_nonnull(extension);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

static X509 *new_certificate(const char *name, EVP_PKEY *key, long serial, long from_s, long until_s) {
    X509 *certificate = X509_new();
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial);
    X509_gmtime_adj(X509_getm_notBefore(certificate), from_s);
    X509_gmtime_adj(X509_getm_notAfter(certificate), until_s);
    X509_set_pubkey(certificate, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8, (const unsigned char *)name, -1,
                               -1, 0);
    return certificate;
}

TestCa *test_ca_new(const char *name) {
    TestCa *ca = g_new0(TestCa, 1);
    ca->key = EVP_EC_gen("P-256");
    ca->certificate = new_certificate(name, ca->key, 1, -3600, 86400);
    X509_set_issuer_name(ca->certificate, X509_get_subject_name(ca->certificate));
    add_extension(ca->certificate, ca->certificate, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(ca->certificate, ca->certificate, NID_key_usage, "critical,keyCertSign");
    g_assert_cmpint(X509_sign(ca->certificate, ca->key, EVP_sha256()), >, 0);
    return ca;
}

void test_ca_free(TestCa *ca) {
    X509_free(ca->certificate);
    EVP_PKEY_free(ca->key);
    g_free(ca);
}

char *test_ca_pem(TestCa *ca) {
    BIO *bio = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(bio, ca->certificate);
    return pem_text(bio);
}

void test_ca_issue(TestCa *ca, const char *host, long from_s, long until_s, TestCertificate *certificate) {
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *issued = new_certificate(host, key, ++ca->serial + 1, from_s, until_s);
    X509_set_issuer_name(issued, X509_get_subject_name(ca->certificate));
    struct in_addr ignored;
    g_autofree char *names = g_strconcat(inet_pton(AF_INET, host, &ignored) == 1 ? "IP:" : "DNS:", host, NULL);
    add_extension(issued, ca->certificate, NID_subject_alt_name, names);
    g_assert_cmpint(X509_sign(issued, ca->key, EVP_sha256()), >, 0);
    BIO *bio = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(bio, issued);
    certificate->cert_pem = pem_text(bio);
    bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
    certificate->key_pem = pem_text(bio);
    certificate->ca_pem = test_ca_pem(ca);
    X509_free(issued);
    EVP_PKEY_free(key);
}

void test_certificate_clear(TestCertificate *certificate) {
    g_free(certificate->ca_pem);
    g_free(certificate->cert_pem);
    g_free(certificate->key_pem);
    *certificate = (TestCertificate){0};
}

void outcome_clear(Outcome *outcome) {
    http_response_clear(&outcome->response);
    g_clear_error(&outcome->error);
}

Outcome call(HttpTransport *transport, const HttpRequest *request) {
    Outcome outcome = {0};
    outcome.ok = http_perform(transport, request, &outcome.response, &outcome.error);
    g_assert_true(outcome.ok == (outcome.error == NULL));
    return outcome;
}
