// The Security Token Service: who we are. https://docs.aws.amazon.com/STS/latest/APIReference/
#pragma once

#include "aws/aws_client.h"

// The ARN of who we are to AWS (g_free). Asked once; the answer is kept, an error is not.
char *aws_sts_identity(AwsClient *client, const AwsCall *call, GError **error);
