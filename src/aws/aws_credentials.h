// Who we are to AWS. Where credentials come from is a chain, tried in order; see aws_chain.h.
#pragma once

#include "aws/aws_sigv4.h"

typedef struct {
    char *access_key, *secret_key;
    char *session_token; // NULL: none
    int64_t expires_ns;  // realtime; 0: never
    const char *source;  // "environment", …; static text
    char *assumed_role;  // the ARN of the role that these are of, where one was assumed to get them; NULL
} AwsCredentials;

void aws_credentials_clear(AwsCredentials *credentials);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(AwsCredentials, aws_credentials_clear)

void aws_credentials_copy(const AwsCredentials *from, AwsCredentials *to);
AwsKeys aws_credentials_keys(const AwsCredentials *credentials);

// Reads what STS answers to `action` ("AssumeRole", "AssumeRoleWithWebIdentity").
bool aws_credentials_read_sts(const char *action, const char *xml, size_t len, AwsCredentials *credentials,
                              GError **error);
// Reads the JSON of a container's or an instance's credentials.
bool aws_credentials_read_json(const char *json, size_t len, AwsCredentials *credentials, GError **error);
