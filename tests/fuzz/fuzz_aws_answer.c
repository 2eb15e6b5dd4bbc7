// What AWS answers. The first byte chooses: an error, parts of an upload, credentials of STS or of a machine, a
// function's payload, a shared profile file, a URL that is signed.
#include "aws/aws_credentials.h"
#include "aws/aws_lambda_client.h"
#include "aws/aws_profile.h"
#include "aws/aws_text.h"
#include "aws/s3_parts.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_line(const char *text, size_t max) {
    if (text && (!g_utf8_validate(text, -1, NULL) || strchr(text, '\n') || strlen(text) > 3 * max + 8))
        abort();
}

static void fuzz_problem(const char *text, size_t len) {
    g_auto(AwsProblem) problem = {0};
    if (aws_problem_read(text, len, &problem) != (problem.code || problem.message))
        abort();
    check_line(problem.code, 512);
    check_line(problem.message, 512);
    check_line(problem.region, 512);
}

static void fuzz_parts(const char *text, size_t len) {
    g_autoptr(GError) error = NULL;
    g_autofree char *id = s3_parts_read_upload_id(text, len, &error);
    if (!id == !error)
        abort();
    g_clear_error(&error);
    g_autoptr(GPtrArray) ids = s3_parts_read_uploads(text, len, "k");
    for (guint i = 0; i < ids->len; i++)
        if (!*(const char *)ids->pdata[i])
            abort();
    bool again = false;
    if (s3_parts_read_completed(text, len, &again, &error) == (error != NULL))
        abort();
    g_clear_error(&error);
    S3Part parts[3] = {{.size = 1}, {.size = 2}, {.size = 3}};
    for (size_t i = 0, to = 0; i < len && to < sizeof parts[0].etag - 1; i++)
        if (text[i] > ' ' && text[i] < 0x7f)
            parts[0].etag[to++] = text[i];
    g_autofree char *body = s3_parts_complete_body(parts, 3, true);
    g_autofree char *etag = aws_xml_text(body, strlen(body), "CompleteMultipartUpload/Part/ETag");
    g_autofree char *want = g_strdup_printf("\"%s\"", parts[0].etag);
    if (g_strcmp0(etag, want) != 0)
        abort();
}

static void fuzz_credentials(const char *text, size_t len, bool sts) {
    g_auto(AwsCredentials) credentials = {0};
    g_autoptr(GError) error = NULL;
    bool ok = sts ? aws_credentials_read_sts("AssumeRole", text, len, &credentials, &error)
                  : aws_credentials_read_json(text, len, &credentials, &error);
    if (ok == (error != NULL) || ok != (credentials.access_key != NULL) || credentials.expires_ns < 0)
        abort();
}

static void fuzz_payload(const char *text, size_t len) {
    g_autofree char *failed = aws_lambda_function_error(text, len);
    check_line(failed, 1024);
}

static void fuzz_profile(const char *text, size_t len) {
    for (int config = 0; config < 2; config++) {
        g_autoptr(GHashTable) profile = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
        if (!aws_profile_parse(text, len, "default", config, profile) && g_hash_table_size(profile) > 0)
            abort();
    }
}

static void fuzz_url(const char *text, size_t len) {
    g_autofree char *url = g_strconcat("https://h", text, NULL);
    for (int plain = 0; plain < 2; plain++) {
        AwsSignInput input = {"GET", url, NULL, "h", "r", "s", 0, plain};
        g_autoptr(GPtrArray) headers = g_ptr_array_new_with_free_func(g_free);
        AwsKeys keys = {"AK", "s", NULL};
        g_autoptr(GError) error = NULL;
        if (aws_sign(&input, &keys, headers, &error) == (error != NULL))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    // A copy of its own, so that reading behind its end is seen.
    size_t len = size - 1;
    g_autofree char *text = g_memdup2(data + 1, len);
    g_autofree char *ended = g_strndup(text ? text : "", len);
    switch (*data) {
    case 'p':
        fuzz_parts(text, len);
        break;
    case 's':
        fuzz_credentials(text, len, true);
        break;
    case 'c':
        fuzz_credentials(text, len, false);
        break;
    case 'l':
        fuzz_payload(text, len);
        break;
    case 'i':
        fuzz_profile(text, len);
        break;
    case 'u':
        fuzz_url(ended, len);
        break;
    default:
        fuzz_problem(text, len);
    }
    return 0;
}
