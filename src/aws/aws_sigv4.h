// AWS Signature Version 4, in the Authorization header.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AWS_SHA256_HEX 65

typedef struct {
    const char *method;
    const char *url; // absolute, as it is sent: path and query escaped, no fragment
    const char *const
        *headers;            // "Name: value", NULL-terminated, all are signed; may be NULL. Not Host, nor X-Amz-Date.
    const char *body_sha256; // hex, of the body as it is sent
    const char *region, *service;
    int64_t realtime_ns;
    // S3: the path is signed as it is sent. Elsewhere it is normalised and escaped once more.
    bool plain_path;
} AwsSignInput;

typedef struct {
    const char *access_key, *secret_key;
    const char *session_token; // NULL: none
} AwsKeys;

// Appends "X-Amz-Date: …", "X-Amz-Security-Token: …" (where there is a session token) and "Authorization: …" to
// `headers`, each g_malloc'ed. Fails with INVALID when the URL has no host or a key cannot be in a header.
bool aws_sign(const AwsSignInput *input, const AwsKeys *keys, GPtrArray *headers, GError **error);

// The canonical request, for tests. `date` is X-Amz-Date, `token` may be NULL; `signed_headers` (g_free) may be NULL.
char *aws_canonical_request(const AwsSignInput *input, const char *date, const char *token, char **signed_headers,
                            GError **error);

void aws_sha256_hex(const void *data, size_t len, char hex[AWS_SHA256_HEX]);
void aws_sha256(const void *data, size_t len, uint8_t hash[32]);
// "20150830T123600Z"
void aws_date(int64_t realtime_ns, char date[17]);
