// Signatures: the official test suite, and the examples in the documentation of S3.
#include "aws/aws_sigv4.h"
#include "base/error.h"
#include "sigv4_vectors.h"

#include <string.h>

static const AwsKeys doc_keys = {.access_key = "AKIAIOSFODNN7EXAMPLE",
                                 .secret_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"};

static void test_vector(gconstpointer data) {
    const SigV4Vector *vector = data;
    char hash[AWS_SHA256_HEX];
    aws_sha256_hex(vector->body, strlen(vector->body), hash);
    g_autofree char *url = g_strconcat("https://example.amazonaws.com", vector->target, NULL);
    AwsSignInput input = {
        .method = vector->method,
        .url = url,
        .headers = vector->headers,
        .body_sha256 = hash,
        .region = "us-east-1",
        .service = "service",
        .realtime_ns = 1440938160 * G_GINT64_CONSTANT(1000000000) + 999999999,
    };
    AwsKeys keys = {"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", vector->token};
    g_autoptr(GPtrArray) headers = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GError) error = NULL;
    g_assert_true(aws_sign(&input, &keys, headers, &error));
    g_assert_no_error(error);
    g_assert_cmpstr(headers->pdata[0], ==, "X-Amz-Date: 20150830T123600Z");
    g_autofree char *want = g_strdup_printf("Authorization: AWS4-HMAC-SHA256 "
                                            "Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
                                            "SignedHeaders=%s, Signature=%s",
                                            vector->signed_headers, vector->signature);
    g_assert_cmpstr(headers->pdata[headers->len - 1], ==, want);
    g_assert_cmpuint(headers->len, ==, vector->token ? 3 : 2);
}

static void check_s3(const char *method, const char *target, const char *const *headers, const char *body,
                     const char *signature) {
    char hash[AWS_SHA256_HEX];
    aws_sha256_hex(body, strlen(body), hash);
    g_autofree char *hash_header = g_strconcat("x-amz-content-sha256: ", hash, NULL);
    const char *all[6] = {hash_header};
    for (size_t i = 0; headers && headers[i]; i++)
        all[i + 1] = headers[i];
    g_autofree char *url = g_strconcat("https://examplebucket.s3.amazonaws.com", target, NULL);
    AwsSignInput input = {
        .method = method,
        .url = url,
        .headers = all,
        .body_sha256 = hash,
        .region = "us-east-1",
        .service = "s3",
        .realtime_ns = 1369353600 * G_GINT64_CONSTANT(1000000000),
        .plain_path = true,
    };
    g_autoptr(GPtrArray) signed_headers = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GError) error = NULL;
    g_assert_true(aws_sign(&input, &doc_keys, signed_headers, &error));
    const char *authorization = signed_headers->pdata[signed_headers->len - 1];
    g_assert_cmpstr(strstr(authorization, "Signature=") + 10, ==, signature);
}

static void test_s3_get_object(void) {
    check_s3("GET", "/test.txt", (const char *[]){"Range: bytes=0-9", NULL}, "",
             "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

static void test_s3_put_object(void) {
    check_s3("PUT", "/test%24file.text",
             (const char *[]){"Date: Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class: REDUCED_REDUNDANCY", NULL},
             "Welcome to Amazon S3.", "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

static void test_s3_lifecycle(void) {
    check_s3("GET", "?lifecycle", NULL, "", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
}

static void test_s3_list(void) {
    check_s3("GET", "/?prefix=J&max-keys=2", NULL, "",
             "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

static void test_paths(void) {
    static const struct {
        const char *url, *plain, *normal;
    } cases[] = {
        {"https://h/a%2Fb//c/./d", "/a%2Fb//c/./d", "/a%252Fb/c/d"},
        {"https://h", "/", "/"},
        {"http://h:9000/x%3Ay/", "/x%3Ay/", "/x%253Ay/"},
        {"https://h/../..", "/../..", "/"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        for (int plain = 0; plain < 2; plain++) {
            AwsSignInput input = {"GET", cases[i].url, NULL, "h", "r", "s", 0, plain};
            g_autofree char *text = aws_canonical_request(&input, "d", NULL, NULL, NULL);
            g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
            g_assert_cmpstr(lines[1], ==, plain ? cases[i].plain : cases[i].normal);
        }
}

// As libcurl sends it: without the port that the scheme has anyway.
static void test_host(void) {
    static const struct {
        const char *url, *host;
    } cases[] = {
        {"https://minio.test:443/b", "host:minio.test"},
        {"http://minio.test:80", "host:minio.test"},
        {"https://minio.test:80/", "host:minio.test:80"},
        {"http://minio.test:443/", "host:minio.test:443"},
        {"http://minio.test:9000/", "host:minio.test:9000"},
        {"https://minio.test:4430/", "host:minio.test:4430"},
        {"https://[fe80::443]/", "host:[fe80::443]"},
        {"https://[::1]:443/", "host:[::1]"},
        {"HTTPS://h:443/", "host:h"},
        {"https://h:/", "host:h"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        AwsSignInput input = {"GET", cases[i].url, NULL, "h", "r", "s", 0, true};
        g_autofree char *text = aws_canonical_request(&input, "d", NULL, NULL, NULL);
        g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
        g_assert_cmpstr(lines[3], ==, cases[i].host);
    }
}

static void test_query(void) {
    AwsSignInput input = {"GET", "https://h/?b=2&a&b=1&c=a+b%2f%zz=&&uploadId=x%3D", NULL, "h", "r", "s", 0, true};
    g_autofree char *text = aws_canonical_request(&input, "d", NULL, NULL, NULL);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    g_assert_cmpstr(lines[2], ==, "a=&b=1&b=2&c=a%2Bb%2F%25zz%3D&uploadId=x%3D");
}

static void test_refused(void) {
    AwsSignInput input = {"GET", "h/x", NULL, "h", "r", "s", 0, true};
    g_autoptr(GPtrArray) headers = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GError) error = NULL;
    g_assert_false(aws_sign(&input, &doc_keys, headers, &error));
    g_assert_error(error, STOOP_ERROR, STOOP_ERROR_INVALID);
    g_clear_error(&error);
    input.url = "https://h/x";
    AwsKeys forged = {"AK", "s", "token\r\nX-Evil: 1"};
    g_assert_false(aws_sign(&input, &forged, headers, &error));
    g_assert_error(error, STOOP_ERROR, STOOP_ERROR_INVALID);
    g_assert_cmpuint(headers->len, ==, 0);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(sigv4_vectors); i++) {
        g_autofree char *path = g_strconcat("/sigv4/suite/", sigv4_vectors[i].name, NULL);
        g_test_add_data_func(path, &sigv4_vectors[i], test_vector);
    }
    g_test_add_func("/sigv4/s3/get-object", test_s3_get_object);
    g_test_add_func("/sigv4/s3/put-object", test_s3_put_object);
    g_test_add_func("/sigv4/s3/lifecycle", test_s3_lifecycle);
    g_test_add_func("/sigv4/s3/list", test_s3_list);
    g_test_add_func("/sigv4/paths", test_paths);
    g_test_add_func("/sigv4/host", test_host);
    g_test_add_func("/sigv4/query", test_query);
    g_test_add_func("/sigv4/refused", test_refused);
    return g_test_run();
}
