// aws:lambda: invokes a Lambda function with the event.
#include "actionners/actionner.h"
#include "actionners/event_json.h"
#include "actionners/params.h"
#include "aws/aws_lambda_client.h"
#include "aws/aws_sts.h"
#include "base/error.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    char *aws_lambda_name, *aws_lambda_alias_or_version, *aws_lambda_invocation_type;
} AwsLambdaParams;

static const ParamRow aws_lambda_rows[] = {
    PARAM_ROW_TEXT(AwsLambdaParams, aws_lambda_name, .required = true,
                   .summary =
                       "Name of the function, in the region of the configuration or the environment, or its ARN."),
    PARAM_ROW_TEXT(AwsLambdaParams, aws_lambda_alias_or_version, .default_value = "$LATEST",
                   .summary = "Alias or version of the function."),
    PARAM_ROW_TEXT(AwsLambdaParams, aws_lambda_invocation_type, .default_value = "RequestResponse",
                   .choices = TEXTS("RequestResponse", "Event", "DryRun"),
                   .summary = "Whether to wait for the answer, to only hand the event over, or to only check."),
    PARAM_ROW_END,
};

static const char *const aws_lambda_access[] = {"sts:GetCallerIdentity", "lambda:InvokeFunction", "lambda:GetFunction",
                                                NULL};

static bool invoke(const ActionContext *context, ActionResult *result, GError **error) {
    const AwsLambdaParams *params = context->params;
    struct AwsClient *aws = context->clients->aws;
    AwsCall call = {context->deadline_us, context->cancel};
    AwsFunction function = {params->aws_lambda_name, params->aws_lambda_alias_or_version};
    g_autofree char *identity = aws_sts_identity(aws, &call, error);
    if (!identity || !aws_lambda_check(aws, &function, &call, error))
        return false;
    size_t len = 0;
    char *json = action_event_json(context, &len, error);
    if (!json)
        return false;
    g_auto(AwsInvocation) invocation = {0};
    bool ok =
        aws_lambda_invoke(aws, &function, params->aws_lambda_invocation_type, json, len, &call, &invocation, error);
    free(json); // yyjson's
    if (!ok)
        return false;
    action_result_add_object(result, "function", params->aws_lambda_name);
    action_result_set(result, ACTION_SUCCESS, "the function '%s' was %s with status %d%s%s", params->aws_lambda_name,
                      invocation.status == 204   ? "checked"
                      : invocation.status == 202 ? "handed the event"
                                                 : "invoked",
                      invocation.status, *invocation.payload ? ": " : "", invocation.payload);
    return true;
}

static bool have_aws(const ActionClients *clients, GError **error) {
    if (!clients->aws)
        g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_INVALID, "there is no client of AWS");
    return clients->aws != NULL;
}

static bool check_aws_lambda(const ActionClients *clients, int64_t deadline_us, const Cancel *cancel, char **who,
                             GError **error) {
    AwsCall call = {deadline_us, cancel};
    *who = have_aws(clients, error) ? aws_sts_identity(clients->aws, &call, error) : NULL;
    return *who != NULL;
}

static bool run_aws_lambda(const ActionContext *context, ActionResult *result, GError **error) {
    return have_aws(context->clients, error) && invoke(context, result, error);
}

const Actionner actionner_aws_lambda = {
    .info = {.name = "aws:lambda",
             .summary = "Invokes an AWS Lambda function with the event.",
             .description =
                 "Stoop signs in as the AWS SDKs do: the keys of the configuration, the environment, a web identity, "
                 "the shared profile, the container, the instance (IMDSv2); then it assumes `aws.role_arn`, where that "
                 "is set. It checks at the start of Stoop who it is (`sts:GetCallerIdentity`), which the log tells, "
                 "and before "
                 "each call that the function "
                 "exists in that alias or version. The function gets the event with its `context`. The answers 200, "
                 "202 and 204 are success; an error of the function is a failure with its message. `Event` only hands "
                 "the event over: what the function then does is not seen. `DryRun` needs nothing but the permission. "
                 "What is throttled is tried again; what may have run is not. The event may be 6 MB (`Event`: 1 MB) "
                 "long.\n"
                 "\n"
                 "AWS_ENDPOINT_URL_LAMBDA and AWS_ENDPOINT_URL_STS, else AWS_ENDPOINT_URL, name other servers; "
                 "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS=true sets them aside. AWS_CA_BUNDLE names a file of CAs that "
                 "replace the system's. `limits.action_seconds` bounds how long it may take, else the deadline below.",
             .params = {.size = sizeof(AwsLambdaParams), .rows = aws_lambda_rows},
             .example = "- action: Invoke Lambda function\n"
                        "  actionner: aws:lambda\n"
                        "  parameters:\n"
                        "    aws_lambda_name: sample-function\n"
                        "    aws_lambda_alias_or_version: $LATEST\n"
                        "    aws_lambda_invocation_type: RequestResponse\n",
             .access = aws_lambda_access,
             .default_continue = true,
             .uses_contexts = true,
             .output = NEEDS_NO_OUTPUT,
             .source = "any",
             .long_running = true,
             .deadline_ms = 60000},
    .run = run_aws_lambda,
    .check = check_aws_lambda,
};
