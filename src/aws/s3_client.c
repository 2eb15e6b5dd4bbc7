#include "aws/s3_client.h"

#include "base/error.h"
#include "net/http_client.h"

#include <string.h>

struct S3Client {
    AwsClient *aws;
    AwsClient *own; // NULL: `aws` is somebody else's
    char *endpoint; // NULL: Amazon's; else a URL without a slash at its end
    char *region;   // of an endpoint
};

S3Client *s3_client_new_aws(AwsClient *aws) {
    S3Client *client = g_new0(S3Client, 1);
    client->aws = aws;
    return client;
}

static char *endpoint_url(const S3ClientOptions *options, GError **error) {
    const char *given = options->endpoint ? options->endpoint : "";
    bool has_scheme = g_str_has_prefix(given, "http://") || g_str_has_prefix(given, "https://");
    g_autofree char *url =
        has_scheme ? g_strdup(given) : g_strconcat(options->use_tls ? "https://" : "http://", given, NULL);
    size_t len = strlen(url);
    while (len > 0 && url[len - 1] == '/')
        url[--len] = '\0';
    const char *host = strstr(url, "//");
    // No user, query or fragment, and no character that would end the host early.
    if (!host || !host[2] || host[2] == '/' || host[2] == ':' || strpbrk(url, " \t\r\n?#@\\") ||
        strstr(host + 2, "://")) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID, "'%s' is no endpoint: write it as host:port", given);
        return NULL;
    }
    return g_steal_pointer(&url);
}

S3Client *s3_client_new(const S3ClientOptions *options, GError **error) {
    g_autoptr(S3Client) client = g_new0(S3Client, 1);
    client->endpoint = endpoint_url(options, error);
    if (!client->endpoint)
        return NULL;
    if (!options->access_key || !*options->access_key || !options->secret_key || !*options->secret_key) {
        g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_INVALID, "the access key or the secret key is missing");
        return NULL;
    }
    client->region = g_strdup(options->region && *options->region ? options->region : "us-east-1");
    AwsClientOptions own = {
        .access_key = options->access_key,
        .secret_key = options->secret_key,
        .region = client->region,
        .environment = options->environment,
        .transport = options->transport,
        .clock = options->clock,
        .random32 = options->random32,
        .wait_us = options->wait_us,
        .user = options->user,
    };
    client->own = client->aws = aws_client_new(&own, error);
    return client->aws ? g_steal_pointer(&client) : NULL;
}

void s3_client_free(S3Client *client) {
    if (!client)
        return;
    aws_client_free(client->own);
    g_free(client->endpoint);
    g_free(client->region);
    g_free(client);
}

// --- Objects ---

bool s3_bucket_is_valid(const char *bucket) {
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_";
    size_t len = strlen(bucket);
    return len >= 3 && len <= 255 && strspn(bucket, allowed) == len && bucket[0] != '.' && bucket[len - 1] != '.' &&
           !strstr(bucket, "..");
}

// A name with a dot does not match the certificate of Amazon's hosts, one with a capital is no host.
static bool can_be_host(const char *bucket) {
    size_t len = strlen(bucket);
    return len <= 63 && strspn(bucket, "abcdefghijklmnopqrstuvwxyz0123456789-") == len && bucket[0] != '-' &&
           bucket[len - 1] != '-';
}

// A key is escaped once; its slashes are kept.
static void append_key(GString *url, const char *key) {
    g_auto(GStrv) parts = g_strsplit(key, "/", -1);
    for (char **part = parts; *part; part++) {
        g_string_append_c(url, '/');
        // "." and ".." as a part of a path would be cut on the way, also when they are escaped.
        http_append_escaped(url, *part);
    }
}

static bool has_dot_part(const char *key) {
    g_auto(GStrv) parts = g_strsplit(key, "/", -1);
    return g_strv_contains((const char *const *)parts, ".") || g_strv_contains((const char *const *)parts, "..");
}

void s3_object_clear(S3Object *object) {
    g_clear_pointer(&object->region, g_free);
    g_clear_pointer(&object->url, g_free);
    g_clear_pointer(&object->bucket_url, g_free);
}

static bool check_names(const char *bucket, const char *key, GError **error) {
    if (!s3_bucket_is_valid(bucket)) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID, "'%s' is no name of a bucket", bucket);
        return false;
    }
    if (!*key || strlen(key) > 1024 || !g_utf8_validate(key, -1, NULL) || has_dot_part(key)) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID,
                    "the object's name is empty, longer than 1024 bytes, no UTF-8, or has '.' or '..' between slashes");
        return false;
    }
    return true;
}

bool s3_object_init(S3Client *client, const char *bucket, const char *key, const char *region, const AwsCall *call,
                    S3Object *object, GError **error) {
    if (!check_names(bucket, key, error))
        return false;
    g_auto(S3Object) made = {.aws = client->aws, .amazon = client->endpoint == NULL};
    made.region = client->endpoint ? g_strdup(client->region) : aws_client_region(client->aws, region, call, error);
    if (!made.region)
        return false;
    bool own = client->endpoint != NULL;
    g_autofree char *endpoint =
        own ? g_strdup(client->endpoint) : aws_client_endpoint(client->aws, "s3", made.region, &own);
    g_autoptr(GString) url = g_string_new(NULL);
    if (!own && can_be_host(bucket))
        g_string_printf(url, "https://%s.%s", bucket, endpoint + strlen("https://"));
    else
        g_string_printf(url, "%s/%s", endpoint, bucket);
    made.bucket_url = g_strconcat(url->str, "/", NULL);
    append_key(url, key);
    made.url = g_strdup(url->str);
    *object = made;
    made = (S3Object){0};
    return true;
}

bool s3_request(const S3Object *object, const S3Request *request, const AwsCall *call, HttpResponse *response,
                bool *sent, GError **error) {
    const char *query = request->query;
    g_autofree char *url =
        g_strconcat(request->of_bucket ? object->bucket_url : object->url, query ? "?" : "", query, NULL);
    AwsRequest aws = {
        .service = "s3",
        .region = object->region,
        .method = request->method,
        .url = url,
        .headers = request->headers,
        .body = request->body,
        .body_len = request->body_len,
        .body_sha256 = request->body_sha256,
        .s3 = true,
        .repeat = AWS_REPEAT_ALWAYS,
        .on_header = request->on_header,
        .header_user = request->header_user,
    };
    return aws_client_request(object->aws, &aws, call, response, sent, error);
}
