// aws: facts about the instance that Stoop runs on.
#include "contexts/context.h"

static const ParamRow no_rows[] = {PARAM_ROW_END};

const Context context_aws = {
    .info = {.name = "aws",
             .summary = "Adds facts about the AWS instance that Stoop runs on.",
             .description = "The keys are `aws.instance_profile_arn`, `aws.instance_profile_id` and `aws.region`, from "
                            "the instance's metadata service (IMDSv2).",
             .params = {.size = 1, .rows = no_rows},
             .example = "- action: Invoke Lambda function\n"
                        "  actionner: aws:lambda\n"
                        "  additional_contexts:\n"
                        "    - aws\n"
                        "  parameters:\n"
                        "    aws_lambda_name: sample-function\n",
             .planned = true},
};
