// Lambda functions. https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
#pragma once

#include "aws/aws_client.h"

typedef struct {
    const char *name;      // of the function, or its ARN, whose region then counts
    const char *qualifier; // alias or version; NULL or "": none
} AwsFunction;

// Whether there is such a function of that alias or version (GetFunction). NOT_FOUND, FORBIDDEN, …
bool aws_lambda_check(AwsClient *client, const AwsFunction *function, const AwsCall *call, GError **error);

typedef struct {
    int status;    // 200, 202, 204
    char *payload; // at most 1024 bytes in one line; "" for none
} AwsInvocation;
void aws_invocation_clear(AwsInvocation *invocation);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(AwsInvocation, aws_invocation_clear)

// Invokes it. `type`: "RequestResponse", "Event", "DryRun". Not repeated where it may have run, throttling and refused
// connections are. An error of the function itself is FAILED with its payload.
bool aws_lambda_invoke(AwsClient *client, const AwsFunction *function, const char *type, const char *json, size_t len,
                       const AwsCall *call, AwsInvocation *invocation, GError **error);

// The error that a function ended with: "errorType: errorMessage" in one line (g_free); NULL when the payload is no
// error's.
char *aws_lambda_function_error(const char *payload, size_t len);
