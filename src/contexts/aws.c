// aws: facts about the instance that Stoop runs on.
#include "aws/aws_instance.h"
#include "base/error.h"
#include "contexts/context.h"

static const ParamRow no_rows[] = {PARAM_ROW_END};

static void add(GPtrArray *facts, const char *name, const char *value) {
    if (!value)
        return;
    g_ptr_array_add(facts, g_strdup(name));
    g_ptr_array_add(facts, g_strdup(value));
}

static bool gather_aws(const Event *event, const ActionClients *clients, int64_t deadline_us, const Cancel *cancel,
                       GPtrArray *facts, GError **error) {
    if (!clients->aws) {
        g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_INVALID, "there is no client of AWS");
        return false;
    }
    g_auto(AwsInstance) instance = {0};
    AwsCall call = {deadline_us, cancel};
    if (!aws_instance_read(clients->aws, &call, &instance, error))
        return false;
    add(facts, "aws.instance_profile_arn", instance.profile_arn);
    add(facts, "aws.instance_profile_id", instance.profile_id);
    add(facts, "aws.region", instance.region);
    return true;
}

const Context context_aws = {
    .info = {.name = "aws",
             .summary = "Adds facts about the AWS instance that Stoop runs on.",
             .description = "The keys are `aws.instance_profile_arn`, `aws.instance_profile_id` and `aws.region`, from "
                            "the instance's metadata service (IMDSv2). An instance without a profile has the region "
                            "alone. In a pod, the instance must let its metadata be asked from two hops away "
                            "(`HttpPutResponseHopLimit` of 2). Where nobody answers, the action goes on without the "
                            "facts after 2 s.",
             .params = {.size = 1, .rows = no_rows},
             .example = "- action: Invoke Lambda function\n"
                        "  actionner: aws:lambda\n"
                        "  additional_contexts:\n"
                        "    - aws\n"
                        "  parameters:\n"
                        "    aws_lambda_name: sample-function\n"},
    .gather = gather_aws,
};
