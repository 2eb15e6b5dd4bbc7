// Uploads to Cloud Storage.
#include "base/error.h"
#include "fake_google.h"
#include "gcp/gcp_crc32c.h"
#include "gcp/gcs_upload.h"

#include <string.h>

#define END                                                                                                            \
    { NULL, NULL, NULL, 0, NULL }
#define BASE "http://store.test"
#define START "POST " BASE "/upload/storage/v1/b/bucket/o?uploadType=resumable"
#define SESSION BASE "/session?upload_id=secret"
#define BEGUN                                                                                                          \
    { START, NULL, NULL, 200, "Location: " SESSION }
#define PUT(range, status, answer)                                                                                     \
    { "PUT " SESSION, "Content-Range: bytes " range, NULL, status, answer }
#define DELETED(status)                                                                                                \
    { "DELETE " BASE "/storage/v1/b/bucket/o/a%2Fb%20c", NULL, "", status, "{\"error\":{\"message\":\"no\"}}" }
#define TAKEN_BACK                                                                                                     \
    { "DELETE " SESSION, NULL, "", 499, "" }
static const char *const emulator[] = {"STORAGE_EMULATOR_HOST=store.test", NULL};
static const GcsObject object = {"bucket", "a/b c", NULL, NULL};
enum { MIB = 1 << 20, PART = 8 * MIB };

static void test_crc32c(void) {
    g_assert_cmphex(gcp_crc32c(0, "123456789", 9), ==, 0xe3069283);
    g_assert_cmphex(gcp_crc32c(0, "", 0), ==, 0);
    const char text[] = "The quick brown fox jumps over the lazy dog";
    uint32_t whole = gcp_crc32c(0, text, strlen(text));
    g_assert_cmphex(whole, ==, 0x22620404);
    for (size_t cut = 0; cut <= strlen(text); cut++)
        g_assert_cmphex(gcp_crc32c(gcp_crc32c(0, text, cut), text + cut, strlen(text) - cut), ==, whole);
}

static GcsUpload *begin(FakeGoogle *fake, const GcsObject *of) {
    g_autoptr(GError) error = NULL;
    GcsUpload *upload = gcs_upload_begin(fake_google_client(fake), of, &(GcpCall){0}, &error);
    g_assert_no_error(error);
    return upload;
}

static void finish_well(GcsUpload *upload) {
    g_autoptr(GError) error = NULL;
    gcs_upload_finish(upload, &error);
    g_assert_no_error(error);
}

static void finish_badly(GcsUpload *upload, const char *why) {
    g_autoptr(GError) error = NULL;
    g_assert_false(gcs_upload_finish(upload, &error));
    if (!strstr(error->message, why))
        g_error("'%s' is not in '%s'", why, error->message);
    g_assert_null(strstr(error->message, "secret"));
}

static void test_small(void) {
    const Exchange exchanges[] = {
        // Everything is at hand: the server is told what it must get.
        {START, "Content-Type: application/json",
         "{\"name\":\"a/b c\",\"contentType\":\"application/octet-stream\",\"crc32c\":\"yZRlqg==\",\"md5Hash\":"
         "\"XrY7u+Ae7tCTyyK7j1rNww==\"}",
         503, "busy"},
        BEGUN,
        {"PUT " SESSION, "Content-Range: bytes 0-10/11", "hello world", 200,
         "{\"size\":\"11\",\"crc32c\":\"yZRlqg==\"}"},
        // Nothing at all.
        {START "&kmsKeyName=projects%2Fp%2Fk", NULL,
         "{\"name\":\"a/b c\",\"contentType\":\"application/octet-stream\",\"storageClass\":\"NEARLINE\",\"crc32c\":"
         "\"AAAAAA==\",\"md5Hash\":\"1B2M2Y8AsgTpgAmY7PhCfg==\"}",
         200, "Location: " SESSION},
        {"PUT " SESSION, "Content-Range: bytes */0", "", 201, "{\"size\":\"0\",\"crc32c\":\"AAAAAA==\"}"},
        // Not what was sent.
        BEGUN,
        {"PUT " SESSION, "X-Goog-Hash: crc32c=qTxfkw==", "x", 200, "{\"size\":\"1\",\"crc32c\":\"AAAAAA==\"}"},
        DELETED(204),
        END};
    FakeGoogle *fake = fake_google_new(exchanges, NULL, emulator);
    g_autoptr(GError) error = NULL;
    GcsUpload *upload = begin(fake, &object);
    g_assert_true(gcs_upload_write(upload, "hello ", 6, &error) && gcs_upload_write(upload, "world", 5, &error));
    finish_well(upload);
    GcsObject near = object;
    near.storage_class = "NEARLINE";
    near.kms_key = "projects/p/k";
    finish_well(begin(fake, &near));
    upload = begin(fake, &object);
    g_assert_true(gcs_upload_write(upload, "x", 1, &error));
    finish_badly(upload, "is not what was sent");
    fake_google_free(fake);
}

// 8 MiB and `more` bytes; `fails`: the last write does.
static GcsUpload *write_big(FakeGoogle *fake, size_t more, bool fails) {
    g_autoptr(GError) error = NULL;
    GcsUpload *upload = begin(fake, &object);
    g_autofree char *piece = g_malloc0(MIB);
    for (int i = 0; i < 8; i++)
        g_assert_true(gcs_upload_write(upload, piece, MIB, &error));
    g_assert_true((more == 0 || gcs_upload_write(upload, piece, more, &error)) == !fails);
    g_assert_true((error != NULL) == fails);
    return upload;
}

static char *stored_zeros(size_t len) {
    g_autofree char *zeros = g_malloc0(len);
    uint32_t crc = gcp_crc32c(0, zeros, len);
    guchar bytes[4] = {crc >> 24 & 0xff, crc >> 16 & 0xff, crc >> 8 & 0xff, crc & 0xff};
    g_autofree char *text = g_base64_encode(bytes, 4);
    return g_strdup_printf("{\"size\":\"%" G_GSIZE_FORMAT "\",\"crc32c\":\"%s\"}", len, text);
}

static void test_chunks(void) {
    g_autofree char *stored = stored_zeros(PART + 5);
    const Exchange exchanges[] = {
        {START, NULL, "{\"name\":\"a/b c\",\"contentType\":\"application/octet-stream\"}", 200, "Location: " SESSION},
        PUT("0-8388607/*", 0, NULL),                           // breaks
        PUT("*/*", 503, "busy"),                               // what did arrive?
        PUT("*/*", 308, "Range: bytes=0-262143"),              // a part of it
        PUT("262144-8388607/*", 503, "busy"),                  // again
        PUT("*/*", 308, "Range: bytes=0-262143"),              // nothing of it
        PUT("262144-8388607/*", 308, "Range: bytes=0-524287"), // a part, without a failure
        PUT("524288-8388607/*", 308, "Range: bytes=0-524287"), // nothing, without a failure
        PUT("524288-8388607/*", 308, "Range: bytes=0-8388607"),
        {"PUT " SESSION, "Content-Range: bytes 8388608-8388612/8388613", NULL, 0, NULL},
        PUT("*/8388613", 308, "Range: bytes=0-8388612"), // has it all, and has not ended
        PUT("*/8388613", 200, stored),
        END};
    FakeGoogle *fake = fake_google_new(exchanges, NULL, emulator);
    finish_well(write_big(fake, 5, false));
    fake_google_free(fake);
}

// The answer to the end was lost.
static void test_lost_end(void) {
    g_autofree char *stored = stored_zeros(PART);
    const Exchange exchanges[] = {BEGUN, PUT("0-8388607/8388608", 500, ""), PUT("*/8388608", 200, stored), END};
    FakeGoogle *fake = fake_google_new(exchanges, NULL, emulator);
    finish_well(write_big(fake, 0, false));
    fake_google_free(fake);
}

// The end was sent, and what became of it is not known.
static void test_object_taken_back(void) {
#define LAST(status) PUT("0-0/1", status, "")
#define ASKED(status) PUT("*/1", status, "")
#define CANCELLED(status)                                                                                              \
    { "DELETE " SESSION, NULL, "", status, "" }
    static const struct {
        Exchange exchanges[8];
        const char *text;
    } cases[] = {
        // The session is over without an object.
        {{BEGUN, LAST(0), ASKED(403), CANCELLED(499), END}, "PUT"},
        // It is over otherwise.
        {{BEGUN, LAST(0), ASKED(410), CANCELLED(404), DELETED(204), END}, "PUT"},
        {{BEGUN, LAST(503), ASKED(410), CANCELLED(410), DELETED(404), END}, "PUT"},
        {{BEGUN, LAST(500), ASKED(410), CANCELLED(400), DELETED(403), END},
         "the object may be there (DELETE " BASE "/storage/v1/b/bucket/o/a%2Fb%20c: HTTP 403: no): PUT"},
        // Nothing has arrived, or was refused.
        {{BEGUN, LAST(EXCHANGE_REFUSED), LAST(403), CANCELLED(404), END}, "PUT"},
        // What is there is not what was sent.
        {{BEGUN, LAST(200), DELETED(403), END}, "the object may be there ("},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        FakeGoogle *fake = fake_google_new(cases[i].exchanges, NULL, emulator);
        GcsUpload *upload = begin(fake, &object);
        g_assert_true(gcs_upload_write(upload, "x", 1, NULL));
        g_autoptr(GError) error = NULL;
        g_assert_false(gcs_upload_finish(upload, &error));
        if (!g_str_has_prefix(error->message, cases[i].text))
            g_error("'%s' does not begin with '%s'", error->message, cases[i].text);
        g_assert_null(strstr(error->message, "secret"));
        fake_google_free(fake);
    }
}

static void test_nothing_is_left(void) {
    static const struct {
        Exchange put;
        const char *why;
    } bad[] = {
        {PUT("0-8388607/*", 403, "{\"error\":{\"message\":\"no\"}}"), "HTTP 403: no"},
        {PUT("0-8388607/*", 410, ""), "HTTP 410"}, // the session is over
        {PUT("0-8388607/*", 308, "Range: bytes=0-8388608"), "which cannot be"},
        {PUT("0-8388607/*", 308, "Range: bytes=1-5"), "which cannot be"},
        {PUT("0-8388607/*", 308, "Range: bytes=0--5"), "which cannot be"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        const Exchange exchanges[] = {BEGUN, bad[i].put, TAKEN_BACK, END};
        FakeGoogle *fake = fake_google_new(exchanges, NULL, emulator);
        g_autofree char *piece = g_malloc0(PART);
        GcsUpload *upload = begin(fake, &object);
        g_autoptr(GError) error = NULL;
        g_assert_true(gcs_upload_write(upload, piece, PART, &error));
        g_assert_false(gcs_upload_write(upload, piece, 1, &error));
        g_assert_nonnull(strstr(error->message, bad[i].why));
        g_assert_null(strstr(error->message, "secret"));
        if (i % 2)
            gcs_upload_abort(upload);
        else
            finish_badly(upload, "had failed before");
        fake_google_free(fake);
    }
    // What was let go here is lost there.
    const Exchange lost[] = {BEGUN, PUT("0-8388607/*", 308, "Range: bytes=0-8388607"),
                             PUT("8388608-8388612/8388613", 308, "Range: bytes=0-262143"), TAKEN_BACK, END};
    FakeGoogle *fake = fake_google_new(lost, NULL, emulator);
    finish_badly(write_big(fake, 5, false), "which cannot be");
    fake_google_free(fake);
    // Ended by the server: what is there is not what was sent.
    const Exchange ended[] = {BEGUN, PUT("0-8388607/*", 200, "{}"), DELETED(404), END};
    fake = fake_google_new(ended, NULL, emulator);
    finish_badly(write_big(fake, 5, true), "had failed before");
    fake_google_free(fake);
    // Nothing was begun: nothing is asked.
    const Exchange none[] = {END};
    fake = fake_google_new(none, NULL, emulator);
    gcs_upload_abort(write_big(fake, 0, false));
    fake_google_free(fake);
}

// A server that never takes anything ends with the upload's time: 30 s, and waits of 0.1 s doubling to 5 s.
static void test_stuck(void) {
    Exchange exchanges[16] = {BEGUN};
    size_t count = 1;
    for (; count < 12; count++)
        exchanges[count] = (Exchange)PUT("0-8388607/*", 308, "");
    exchanges[count] = (Exchange)TAKEN_BACK;
    FakeGoogle *fake = fake_google_new(exchanges, NULL, emulator);
    g_autoptr(GError) error = NULL;
    GcsUpload *upload = begin(fake, &object);
    g_autofree char *piece = g_malloc0(PART);
    g_assert_true(gcs_upload_write(upload, piece, PART, &error));
    g_assert_false(gcs_upload_write(upload, piece, 1, &error));
    g_assert_error(error, STOOP_ERROR, STOOP_ERROR_TIMEOUT);
    gcs_upload_abort(upload);
    fake_google_free(fake);
}

static void test_no_session(void) {
    static const char *const bad[] = {"", "Location: ftp://x", "Location: "};
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        const Exchange exchanges[] = {{START, NULL, NULL, 200, bad[i]}, END};
        FakeGoogle *fake = fake_google_new(exchanges, NULL, emulator);
        finish_badly(begin(fake, &object), "named no session");
        fake_google_free(fake);
    }
}

static void test_names(void) {
    static const GcsObject bad[] = {{"b", "x", NULL, NULL},          {"Bucket", "x", NULL, NULL},
                                    {"bucket", "", NULL, NULL},      {"bucket", "../x", NULL, NULL},
                                    {"bucket", "a\nb", NULL, NULL},  {"a..b", "x", NULL, NULL},
                                    {"bucket", "x", "A\r\nB", NULL}, {"bucket", "x", NULL, "a b"}};
    const Exchange none[] = {END};
    FakeGoogle *fake = fake_google_new(none, NULL, emulator);
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GError) error = NULL;
        g_assert_null(gcs_upload_begin(fake_google_client(fake), &bad[i], &(GcpCall){0}, &error));
        g_assert_error(error, STOOP_ERROR, STOOP_ERROR_INVALID);
    }
    fake_google_free(fake);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/gcp/crc32c", test_crc32c);
    g_test_add_func("/gcp/gcs/small", test_small);
    g_test_add_func("/gcp/gcs/chunks", test_chunks);
    g_test_add_func("/gcp/gcs/lost-end", test_lost_end);
    g_test_add_func("/gcp/gcs/nothing-left", test_nothing_is_left);
    g_test_add_func("/gcp/gcs/object-taken-back", test_object_taken_back);
    g_test_add_func("/gcp/gcs/stuck", test_stuck);
    g_test_add_func("/gcp/gcs/no-session", test_no_session);
    g_test_add_func("/gcp/gcs/names", test_names);
    return g_test_run();
}
