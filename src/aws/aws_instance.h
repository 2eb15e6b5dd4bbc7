// Facts about the instance that Stoop runs on.
#pragma once

#include "aws/aws_client.h"

typedef struct {
    char *profile_arn, *profile_id; // NULL: the instance has no profile
    char *region;
} AwsInstance;
void aws_instance_clear(AwsInstance *instance);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(AwsInstance, aws_instance_clear)

// Asks its metadata service (IMDSv2).
bool aws_instance_read(AwsClient *client, const AwsCall *call, AwsInstance *instance, GError **error);
