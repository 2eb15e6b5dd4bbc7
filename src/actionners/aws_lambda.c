// aws:lambda: invokes a Lambda function with the event.
#include "actionners/actionner.h"
#include "actionners/params.h"

typedef struct {
    char *aws_lambda_name, *aws_lambda_alias_or_version, *aws_lambda_invocation_type;
} AwsLambdaParams;

static const ParamRow aws_lambda_rows[] = {
    PARAM_ROW_TEXT(AwsLambdaParams, aws_lambda_name, .required = true,
                   .summary = "Name of the function, in the region of the configuration or the environment."),
    PARAM_ROW_TEXT(AwsLambdaParams, aws_lambda_alias_or_version, .default_value = "$LATEST",
                   .summary = "Alias or version of the function."),
    PARAM_ROW_TEXT(AwsLambdaParams, aws_lambda_invocation_type, .default_value = "RequestResponse",
                   .choices = TEXTS("RequestResponse", "Event", "DryRun"),
                   .summary = "Whether to wait for the answer, to only hand the event over, or to only check."),
    PARAM_ROW_END,
};

static const char *const aws_lambda_access[] = {"sts:GetCallerIdentity", "lambda:InvokeFunction", "lambda:GetFunction",
                                                NULL};

const Actionner actionner_aws_lambda = {
    .info = {.name = "aws:lambda",
             .summary = "Invokes an AWS Lambda function with the event.",
             .description =
                 "Stoop signs in as the AWS SDKs do: keys of the configuration, `role_arn`, environment, web "
                 "identity, IMDSv2. The function gets the event with its `context`. The answers 200, 202 and 204 "
                 "are success; an error of the function is a failure with its payload.",
             .params = {.size = sizeof(AwsLambdaParams), .rows = aws_lambda_rows},
             .example = "- action: Invoke Lambda function\n"
                        "  actionner: aws:lambda\n"
                        "  parameters:\n"
                        "    aws_lambda_name: sample-function\n"
                        "    aws_lambda_alias_or_version: $LATEST\n"
                        "    aws_lambda_invocation_type: RequestResponse\n",
             .planned = true,
             .access = aws_lambda_access,
             .default_continue = true,
             .uses_contexts = true,
             .output = NEEDS_NO_OUTPUT,
             .source = "any",
             .long_running = true,
             .deadline_ms = 60000},
    .run = NULL,
};
