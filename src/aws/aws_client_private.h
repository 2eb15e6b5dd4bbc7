// What the files of the client share.
#pragma once

#include "aws/aws_client.h"
#include "aws/aws_profile.h"
#include "base/thread.h"
#include "net/http_client.h"

struct AwsClient {
    char *access_key, *secret_key, *role_arn, *external_id, *region; // NULL: none
    const char *(*environment)(const char *name, void *user);
    HttpTransport *transport, *metadata;
    HttpClient *own, *own_metadata; // NULL: the transports were given
    const Clock *clock;
    uint32_t (*random32)(void *user);
    void (*wait_us)(int64_t us, const Cancel *cancel, void *user);
    void *user;

    Mutex mutex;
    Cond refreshed;
    // Guarded by the mutex:
    AwsCredentials credentials; // access_key NULL: none yet
    bool refreshing;
    bool outdated;         // AWS called them expired
    int64_t next_us;       // no refresh before this: the last one failed
    GError *failure;       // of the last refresh
    char *instance_region; // of the metadata service; NULL: not asked
    char *identity;        // the ARN of who we are; NULL: not asked
};

// A variable's text; NULL when it is not set, or empty.
const char *aws_env(const AwsClient *client, const char *name);

// Signs with these credentials and sends once. False only when no answer came.
bool aws_send(AwsClient *client, const AwsRequest *request, const AwsCredentials *credentials, const AwsCall *call,
              HttpResponse *response, GError **error);
// The same with tries, and with given credentials (NULL: not signed). What aws_client_request promises, without new
// credentials.
bool aws_request_as(AwsClient *client, const AwsRequest *request, const AwsCredentials *credentials,
                    const AwsCall *call, HttpResponse *response, bool *sent, GError **error);
// The error of an answer that is none of 200 to 299.
void aws_set_status_error(const AwsRequest *request, const HttpResponse *response, GError **error);
bool aws_says_expired(const HttpResponse *response);

// Goes the whole chain, role included.
bool aws_chain_find(AwsClient *client, const AwsCall *call, AwsCredentials *credentials, GError **error);
// The profile that AWS_PROFILE names (else "default"); NULL when there is none.
AwsProfile *aws_chain_profile(AwsClient *client, const char *name);

typedef struct {
    const char *role_arn, *external_id, *region;
    const char *web_identity_token; // NULL: AssumeRole with `credentials`
    const char *session_name;       // NULL: "stoop"
} AwsAssume;
bool aws_sts_assume(AwsClient *client, const AwsAssume *assume, const AwsCredentials *credentials, const AwsCall *call,
                    AwsCredentials *assumed, GError **error);

// Asks the metadata service of the instance for `path` ("/latest/meta-data/…"), with a token. Caller frees.
char *aws_imds_get(AwsClient *client, const char *path, const AwsCall *call, GError **error);
bool aws_imds_credentials(AwsClient *client, const AwsCall *call, AwsCredentials *credentials, GError **error);
bool aws_container_credentials(AwsClient *client, const AwsCall *call, AwsCredentials *credentials, GError **error);
// The text of a file that holds a token, without the end of its line; at most 64 KiB.
char *aws_read_token_file(const char *path, GError **error);
