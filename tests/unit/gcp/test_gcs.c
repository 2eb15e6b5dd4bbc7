// Uploads to Cloud Storage.
#include "base/error.h"
#include "fake_google.h"
#include "gcp/gcp_crc32c.h"
#include "gcp/gcs_parts.h"
#include "gcp/gcs_upload.h"

#include <string.h>

#define END                                                                                                            \
    { NULL, NULL, NULL, 0, NULL }
#define BASE "http://store.test"
#define OBJECT BASE "/bucket/a/b%20c"
#define LOOK "GET " BASE "/storage/v1/b/bucket/o/a%2Fb%20c"
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

static void test_small(void) {
    const Exchange exchanges[] = {{"PUT " OBJECT, "Content-MD5: XrY7u+Ae7tCTyyK7j1rNww==", "hello world", 503, "busy"},
                                  {"PUT " OBJECT, "x-goog-hash: crc32c=yZRlqg==", "hello world", 200, ""},
                                  {LOOK, NULL, NULL, 200, "{\"size\":\"11\",\"crc32c\":\"yZRlqg==\"}"},
                                  {"PUT " OBJECT, "x-goog-storage-class: NEARLINE", "", 200, ""},
                                  {LOOK, NULL, NULL, 403, ""}, // the server has verified it by itself
                                  {"PUT " OBJECT, NULL, "x", 200, ""},
                                  {LOOK, NULL, NULL, 200, "{\"size\":\"1\",\"crc32c\":\"AAAAAA==\"}"},
                                  END};
    FakeGoogle *fake = fake_google_new(exchanges, NULL, emulator);
    g_autoptr(GError) error = NULL;
    GcsUpload *upload = begin(fake, &object);
    g_assert_true(gcs_upload_write(upload, "hello ", 6, &error) && gcs_upload_write(upload, "world", 5, &error));
    gcs_upload_finish(upload, &error);
    g_assert_no_error(error);
    GcsObject near = object;
    near.storage_class = "NEARLINE";
    gcs_upload_finish(begin(fake, &near), &error);
    g_assert_no_error(error);
    upload = begin(fake, &object);
    g_assert_true(gcs_upload_write(upload, "x", 1, &error));
    g_assert_false(gcs_upload_finish(upload, &error));
    g_assert_nonnull(strstr(error->message, "is not what was sent"));
    fake_google_free(fake);
}

#define LIST(parts) "<?xml?><ListPartsResult xmlns='x'><IsTruncated>false</IsTruncated>" parts "</ListPartsResult>"
#define LISTED(number, etag, size)                                                                                     \
    "<Part><PartNumber>" number "</PartNumber><ETag>&quot;" etag "&quot;</ETag><Size>" size "</Size></Part>"
#define BEGIN                                                                                                          \
    { "POST " OBJECT "?uploads", NULL, "", 200, "<InitiateMultipartUploadResult><UploadId>id/1</UploadId></x>" }

// 8 MiB and `more` bytes.
static GcsUpload *write_big(FakeGoogle *fake, size_t more) {
    g_autoptr(GError) error = NULL;
    GcsUpload *upload = begin(fake, &object);
    g_autofree char *piece = g_malloc0(MIB);
    for (int i = 0; i < 8; i++)
        g_assert_true(gcs_upload_write(upload, piece, MIB, &error));
    if (more > 0)
        gcs_upload_write(upload, piece, more, &error);
    return upload;
}

static char *crc_of_zeros(size_t len) {
    g_autofree char *zeros = g_malloc0(len);
    uint32_t crc = gcp_crc32c(0, zeros, len);
    guchar bytes[4] = {crc >> 24 & 0xff, crc >> 16 & 0xff, crc >> 8 & 0xff, crc & 0xff};
    return g_base64_encode(bytes, 4);
}

static void test_parts(void) {
    g_autofree char *crc = crc_of_zeros(PART + 5);
    g_autofree char *look = g_strdup_printf("{\"size\":\"8388613\",\"crc32c\":\"%s\"}", crc);
    const Exchange exchanges[] = {
        BEGIN,
        {"PUT " OBJECT "?uploadId=id%2F1&partNumber=1", NULL, NULL, 0, NULL}, // breaks, and is sent again
        {"PUT " OBJECT "?uploadId=id%2F1&partNumber=1", NULL, NULL, 200, ""},
        {"PUT " OBJECT "?uploadId=id%2F1&partNumber=2", NULL, NULL, 200, ""},
        {"GET " OBJECT "?uploadId=id%2F1", NULL, NULL, 200, LIST(LISTED("1", "aa", "8388608") LISTED("2", "bb", "5"))},
        {"POST " OBJECT "?uploadId=id%2F1", NULL,
         "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>&quot;aa&quot;</ETag></"
         "Part><Part><PartNumber>2"
         "</PartNumber><ETag>&quot;bb&quot;</ETag></Part></CompleteMultipartUpload>",
         503, ""},
        // The first try did it.
        {"POST " OBJECT "?uploadId=id%2F1", NULL, NULL, 404, "<Error><Code>NoSuchUpload</Code></Error>"},
        {LOOK, NULL, NULL, 200, look},
        END};
    FakeGoogle *fake = fake_google_new(exchanges, NULL, emulator);
    g_autoptr(GError) error = NULL;
    gcs_upload_finish(write_big(fake, 5), &error);
    g_assert_no_error(error);
    fake_google_free(fake);
}

static void test_just_one_part(void) {
    g_autofree char *crc = crc_of_zeros(PART);
    g_autofree char *look = g_strdup_printf("{\"size\":\"8388608\",\"crc32c\":\"%s\"}", crc);
    const Exchange exchanges[] = {{"PUT " OBJECT, NULL, NULL, 200, ""}, {LOOK, NULL, NULL, 200, look}, END};
    FakeGoogle *fake = fake_google_new(exchanges, NULL, emulator);
    g_autoptr(GError) error = NULL;
    gcs_upload_finish(write_big(fake, 0), &error);
    g_assert_no_error(error);
    fake_google_free(fake);
}

static void test_nothing_is_left(void) {
    const Exchange refused[] = {
        BEGIN,
        {"PUT " OBJECT "?uploadId=id%2F1&partNumber=1", NULL, NULL, 403, "<Error><Message>no</Message></Error>"},
        {"DELETE " OBJECT "?uploadId=id%2F1", NULL, NULL, 204, ""},
        END};
    FakeGoogle *fake = fake_google_new(refused, NULL, emulator);
    gcs_upload_abort(write_big(fake, 5));
    fake_google_free(fake);
    // A part that the server lost.
    const Exchange lost[] = {BEGIN,
                             {"PUT " OBJECT "?uploadId=id%2F1&partNumber=1", NULL, NULL, 200, ""},
                             {"PUT " OBJECT "?uploadId=id%2F1&partNumber=2", NULL, NULL, 200, ""},
                             {"GET " OBJECT "?uploadId=id%2F1", NULL, NULL, 200, LIST(LISTED("1", "aa", "8388608"))},
                             {"DELETE " OBJECT "?uploadId=id%2F1", NULL, NULL, 204, ""},
                             END};
    fake = fake_google_new(lost, NULL, emulator);
    g_autoptr(GError) error = NULL;
    g_assert_false(gcs_upload_finish(write_big(fake, 5), &error));
    g_assert_nonnull(strstr(error->message, "has 1 parts and not the 2"));
    fake_google_free(fake);
    // Nothing was begun: nothing is asked.
    const Exchange none[] = {END};
    fake = fake_google_new(none, NULL, emulator);
    gcs_upload_abort(write_big(fake, 0));
    fake_google_free(fake);
}

static void test_part_lists(void) {
    static const char *const bad[] = {
        "",
        "<html>",
        LIST(LISTED("2", "aa", "5")),
        LIST(LISTED("1", "a<b", "5")),
        LIST(LISTED("1", "", "5")),
        LIST(LISTED("1", "aa", "-5")),
        LIST("<Part><PartNumber>1</PartNumber></Part>"),
        "<ListPartsResult><IsTruncated>true</IsTruncated></ListPartsResult>",
    };
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(GArray) parts = g_array_new(FALSE, TRUE, sizeof(GcsPart));
        g_autoptr(GError) error = NULL;
        bool more = false;
        g_assert_false(gcs_parts_read(bad[i], parts, &more, &error));
        g_assert_nonnull(error);
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
    g_test_add_func("/gcp/gcs/parts", test_parts);
    g_test_add_func("/gcp/gcs/one-part", test_just_one_part);
    g_test_add_func("/gcp/gcs/nothing-left", test_nothing_is_left);
    g_test_add_func("/gcp/gcs/lists", test_part_lists);
    g_test_add_func("/gcp/gcs/names", test_names);
    return g_test_run();
}
