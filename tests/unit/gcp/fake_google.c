#include "fake_google.h"

#include "base/error.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <string.h>
#include <yyjson.h>

struct FakeGoogle {
    HttpTransport transport; // first: the transport is the fake
    const Exchange *next;
    const char *const *variables;
    GcpClient *client;
    char *last_body;
    Clock clock;
    int64_t passed_us;
};

static FakeGoogle *the_fake(const Clock *clock) {
    return (FakeGoogle *)((char *)clock - offsetof(FakeGoogle, clock));
}

static int64_t fake_monotonic(const Clock *clock) {
    return 1000000000 + the_fake(clock)->passed_us;
}

static int64_t fake_realtime(const Clock *clock) {
    return (1700000000 * (int64_t)1000000 + the_fake(clock)->passed_us) * 1000;
}

static void check(const char *got, const char *wanted) {
    size_t len = strlen(wanted);
    if (len > 0 && wanted[len - 1] == '*' && strncmp(got, wanted, len - 1) == 0)
        return;
    g_assert_cmpstr(got, ==, wanted);
}

static bool has_header(const HttpRequest *request, const char *header) {
    for (const char *const *h = request->headers; h && *h; h++)
        if (strcmp(*h, header) == 0)
            return true;
    return false;
}

// Gives the header that an answer begins with, and returns its body.
static const char *give_header(const HttpRequest *request, const char *answer) {
    static const char *const names[] = {"Location", "Range"};
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        size_t len = strlen(names[i]);
        if (strncmp(answer, names[i], len) != 0 || answer[len] != ':')
            continue;
        const char *end = strchrnul(answer, '\n');
        g_autofree char *value = g_strndup(answer + len + 2, (gsize)(end - answer) - len - 2);
        if (request->on_header)
            request->on_header(names[i], value, request->header_user);
        return *end ? end + 1 : end;
    }
    return answer;
}

static bool perform(HttpTransport *transport, const HttpRequest *request, HttpResponse *response, GError **error) {
    FakeGoogle *fake = (FakeGoogle *)transport;
    const Exchange *exchange = fake->next;
    g_autofree char *line = g_strdup_printf("%s %s", request->method, request->url);
    if (!exchange->request)
        g_error("a request too many: %s", line);
    check(line, exchange->request);
    if (exchange->header && !has_header(request, exchange->header)) {
        for (const char *const *h = request->headers; h && *h; h++)
            g_test_message("header: %s", *h);
        g_error("%s has no header %s", line, exchange->header);
    }
    g_free(fake->last_body);
    fake->last_body = g_strndup(request->body ? request->body : "", request->body_len);
    if (exchange->body)
        check(fake->last_body, exchange->body);
    fake->next++;
    response->sent = exchange->status != EXCHANGE_REFUSED;
    response->retry_after_us = -1;
    if (exchange->status <= 0) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_UNAVAILABLE, "the connection %s",
                    response->sent ? "broke" : "was refused");
        return false;
    }
    response->status = exchange->status;
    response->body.max = 1 << 20;
    g_assert_true(buf_append_text(&response->body, give_header(request, exchange->answer ? exchange->answer : "")));
    return true;
}

static const char *environment(const char *name, void *user) {
    FakeGoogle *fake = user;
    size_t len = strlen(name);
    for (const char *const *v = fake->variables; v && *v; v++)
        if (strncmp(*v, name, len) == 0 && (*v)[len] == '=')
            return *v + len + 1;
    return NULL;
}

static void no_wait(int64_t us, const Cancel *cancel, void *user) {
    (void)cancel;
    ((FakeGoogle *)user)->passed_us += us;
}

static uint32_t no_random(void *user) {
    (void)user;
    return 0;
}

FakeGoogle *fake_google_new(const Exchange *exchanges, const char *credentials_path, const char *const *variables) {
    FakeGoogle *fake = g_new0(FakeGoogle, 1);
    fake->transport.perform = perform;
    fake->next = exchanges;
    fake->variables = variables;
    fake->clock = (Clock){fake_monotonic, fake_realtime};
    g_autoptr(GError) error = NULL;
    GcpClientOptions options = {.credentials_path = credentials_path,
                                .environment = environment,
                                .transport = &fake->transport,
                                .clock = &fake->clock,
                                .random32 = no_random,
                                .wait_us = no_wait,
                                .user = fake};
    fake->client = gcp_client_new(&options, &error);
    g_assert_no_error(error);
    return fake;
}

void fake_google_free(FakeGoogle *fake) {
    g_assert_cmpstr(fake->next->request, ==, NULL);
    gcp_client_free(fake->client);
    g_free(fake->last_body);
    g_free(fake);
}

GcpClient *fake_google_client(FakeGoogle *fake) {
    return fake->client;
}

const char *fake_google_last_body(FakeGoogle *fake) {
    return fake->last_body;
}

void fake_google_pass(FakeGoogle *fake, int64_t seconds) {
    fake->passed_us += seconds * 1000000;
}

char *make_key_file(const char *folder, const char *token_uri) {
    EVP_PKEY *key = EVP_RSA_gen(2048);
    BIO *bio = BIO_new(BIO_s_mem());
    g_assert_cmpint(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), ==, 1);
    char *data = NULL;
    long len = BIO_get_mem_data(bio, &data);
    g_autofree char *pem = g_strndup(data, (gsize)len);
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    yyjson_mut_doc_set_root(doc, root);
    yyjson_mut_obj_add_str(doc, root, "type", "service_account");
    yyjson_mut_obj_add_str(doc, root, "project_id", "proj");
    yyjson_mut_obj_add_str(doc, root, "private_key_id", "kid-1");
    yyjson_mut_obj_add_str(doc, root, "private_key", pem);
    yyjson_mut_obj_add_str(doc, root, "client_email", "stoop@proj.iam");
    yyjson_mut_obj_add_str(doc, root, "token_uri", token_uri);
    char *json = yyjson_mut_write(doc, 0, NULL);
    char *path = g_build_filename(folder, "key.json", NULL);
    g_assert_true(g_file_set_contents(path, json, -1, NULL));
    free(json);
    yyjson_mut_doc_free(doc);
    BIO_free(bio);
    EVP_PKEY_free(key);
    return path;
}

static guchar *from_base64url(const char *text, gsize *len) {
    g_autoptr(GString) padded = g_string_new(text);
    for (char *c = padded->str; *c; c++)
        *c = (char)(*c == '-' ? '+' : *c == '_' ? '/' : *c);
    while (padded->len % 4 != 0)
        g_string_append_c(padded, '=');
    return g_base64_decode(padded->str, len);
}

char *check_jwt(const char *key_file, const char *jwt) {
    g_autofree char *json = NULL;
    g_assert_true(g_file_get_contents(key_file, &json, NULL, NULL));
    yyjson_doc *doc = yyjson_read(json, strlen(json), 0);
    BIO *bio = BIO_new_mem_buf(yyjson_get_str(yyjson_obj_get(yyjson_doc_get_root(doc), "private_key")), -1);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    g_auto(GStrv) parts = g_strsplit(jwt, ".", -1);
    g_assert_cmpuint(g_strv_length(parts), ==, 3);
    g_autofree char *signed_text = g_strdup_printf("%s.%s", parts[0], parts[1]);
    gsize len = 0, claims_len = 0;
    g_autofree guchar *signature = from_base64url(parts[2], &len);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    g_assert_cmpint(EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key), ==, 1);
    g_assert_cmpint(EVP_DigestVerify(context, signature, len, (const guchar *)signed_text, strlen(signed_text)), ==, 1);
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(key);
    BIO_free(bio);
    yyjson_doc_free(doc);
    g_autofree guchar *claims = from_base64url(parts[1], &claims_len);
    return g_strndup((char *)claims, claims_len);
}
