// A thin client of S3 and of servers that speak it.
#pragma once

#include "aws/aws_client.h"

typedef struct S3Client S3Client;

// Amazon's: region, endpoint and credentials are `aws`'s, which must outlive it. Where AWS_ENDPOINT_URL_S3 or
// AWS_ENDPOINT_URL names a server, buckets are parts of the path, else of the host's name where they can be.
S3Client *s3_client_new_aws(AwsClient *aws);

typedef struct {
    const char *endpoint; // "host:port", or a URL ("https://host:9000/base")
    bool use_tls;         // for an endpoint without a scheme
    const char *access_key, *secret_key;
    const char *region; // NULL: "us-east-1", which such servers take
    // As in AwsClientOptions; AWS_CA_BUNDLE of the environment names the CAs.
    const char *(*environment)(const char *name, void *user);
    HttpTransport *transport;
    const Clock *clock;
    uint32_t (*random32)(void *user);
    void (*wait_us)(int64_t us, const Cancel *cancel, void *user);
    void *user;
} S3ClientOptions;

// Another server, with keys of its own and buckets in the path. INVALID when the endpoint is none, or a key is missing.
S3Client *s3_client_new(const S3ClientOptions *options, GError **error);
void s3_client_free(S3Client *client);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(S3Client, s3_client_free)

// Whether the name can be a bucket's (3 to 63 lower-case letters, digits, dots and hyphens; old ones up to 255 with
// capitals and underscores).
bool s3_bucket_is_valid(const char *bucket);

// Where an object is, found once for many requests.
typedef struct {
    AwsClient *aws; // borrowed
    char *region;
    char *url, *bucket_url; // of the object, escaped; of its bucket, with a slash at its end
    bool amazon;            // takes Amazon's checksums; other servers get Content-MD5
} S3Object;
void s3_object_clear(S3Object *object);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(S3Object, s3_object_clear)

// `region` NULL or "": the client's own.
bool s3_object_init(S3Client *client, const char *bucket, const char *key, const char *region, const AwsCall *call,
                    S3Object *object, GError **error);

// One signed request on the object, or with `of_bucket` on its bucket. `query` escaped ("uploads="), NULL for none;
// `headers` as in AwsRequest.
typedef struct {
    bool of_bucket;
    const char *method, *query;
    const char *const *headers;
    const char *body;
    size_t body_len;
    const char *body_sha256;
    void (*on_header)(const char *name, const char *value, void *header_user); // as in AwsRequest
    void *header_user;
} S3Request;
bool s3_request(const S3Object *object, const S3Request *request, const AwsCall *call, HttpResponse *response,
                bool *sent, GError **error);
