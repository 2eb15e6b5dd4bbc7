// A thin client of AWS: a signed request in, an answer or an error out. Credentials and the region are found as the AWS
// SDKs find them. All calls block the caller and are safe from many threads.
#pragma once

#include "aws/aws_credentials.h"
#include "base/cancel.h"
#include "base/clock.h"
#include "net/http.h"

typedef struct AwsClient AwsClient;

typedef struct {
    // The configuration's; NULL and "" are none. Copied. A key without the other is INVALID.
    const char *access_key, *secret_key;
    const char *role_arn, *external_id; // assumed with whatever credentials were found
    const char *region;
    // Looks a variable of the environment up; NULL: none is set. Called at any time, from any thread.
    const char *(*environment)(const char *name, void *user);
    // For the services of AWS, and for what gives credentials inside of a machine (never through a proxy). NULL: real
    // ones are made; a single one given serves for both.
    HttpTransport *transport, *metadata_transport;
    const Clock *clock;               // NULL: the system's
    uint32_t (*random32)(void *user); // jitter; NULL: the system's
    // How the client waits between tries; NULL: sleeps, ending early when cancelled. Tests give theirs.
    void (*wait_us)(int64_t us, const Cancel *cancel, void *user);
    void *user;
} AwsClientOptions;

// Reads no credentials yet and asks nobody. INVALID: half a key pair; IO: AWS_CA_BUNDLE cannot be read.
AwsClient *aws_client_new(const AwsClientOptions *options, GError **error);
void aws_client_free(AwsClient *client);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AwsClient, aws_client_free)

// Every call takes one: by when it has ended, tries included.
typedef struct {
    int64_t deadline_us; // clock_monotonic_us; 0: 30 s from now
    const Cancel *cancel;
} AwsCall;

typedef enum {
    AWS_REPEAT_ALWAYS, // doing it twice is doing it once
    AWS_REPEAT_TOLD,   // only where it cannot have been done: refused connection, 429, throttled
} AwsRepeat;

typedef struct {
    const char *service, *region; // of the signature
    const char *method, *url;     // path and query escaped
    const char *const *headers;   // all are signed; may be NULL
    const char *body;             // may be NULL
    size_t body_len;
    // Known already, else NULL: the hex SHA-256 of the body.
    const char *body_sha256;
    bool s3; // the path is signed as it is, and the body's hash is a header
    AwsRepeat repeat;
    size_t max_response;                                                       // 0: 1 MiB
    void (*on_header)(const char *name, const char *value, void *header_user); // of every try; may be NULL
    void *header_user;
} AwsRequest;

// Signs and sends it, and tries again with backoff and jitter within the deadline: broken connections, 429, 500, 502,
// 503, 504, throttling in any form. Expired credentials are read anew, once. True for 200 to 299. Else the error is
// NOT_FOUND, FORBIDDEN, UNAUTHENTICATED, CONFLICT, INVALID, UNAVAILABLE, TIMEOUT, CANCELLED, TOO_LARGE or FAILED with
// what the service said, "NoSuchBucket: The specified bucket does not exist (404)", and `response` keeps the last
// answer (status 0: there was none). `sent` (may be NULL): set when a try that failed may have done it.
bool aws_client_request(AwsClient *client, const AwsRequest *request, const AwsCall *call, HttpResponse *response,
                        bool *sent, GError **error);

// `wanted` when it says something, else the configuration's, AWS_REGION, AWS_DEFAULT_REGION, the profile's, the
// instance's. NULL with INVALID when nobody knows. Caller frees.
char *aws_client_region(AwsClient *client, const char *wanted, const AwsCall *call, GError **error);

// "https://lambda.eu-west-1.amazonaws.com", or what AWS_ENDPOINT_URL_<SERVICE> or AWS_ENDPOINT_URL says, without a
// slash at its end; `own` (may be NULL) tells that it was one of these. Caller frees.
char *aws_client_endpoint(AwsClient *client, const char *service, const char *region, bool *own);

// The credentials in force: found once, read anew 5 minutes before they expire by one caller, while the others go on
// with the old. UNAUTHENTICATED when there are none; the text lists where they were looked for and what went wrong.
bool aws_client_credentials(AwsClient *client, const AwsCall *call, AwsCredentials *credentials, GError **error);
