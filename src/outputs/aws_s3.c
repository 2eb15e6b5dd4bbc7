// aws:s3: an object in a bucket of AWS.
#include "outputs/output.h"

typedef struct {
    char *bucket, *prefix, *region;
} AwsS3Params;

static const ParamRow aws_s3_rows[] = {
    PARAM_ROW_TEXT(AwsS3Params, bucket, .required = true, .summary = "Name of the bucket."),
    PARAM_ROW_TEXT(AwsS3Params, prefix, .summary = "What the object's name begins with."),
    PARAM_ROW_TEXT(AwsS3Params, region,
                   .summary =
                       "Region of the bucket; absent: `aws.region` of the configuration, else the environment's."),
    PARAM_ROW_END,
};

static const char *const aws_s3_access[] = {"s3:PutObject", "s3:AbortMultipartUpload", NULL};

const Output output_aws_s3 = {
    .info = {.name = "aws:s3",
             .summary = "Stores the artifact in an AWS S3 bucket.",
             .description = "Big artifacts go up in parts; a failed upload is taken back, so that no part is left "
                            "behind.",
             .params = {.size = sizeof(AwsS3Params), .rows = aws_s3_rows},
             .example = "output:\n"
                        "  target: aws:s3\n"
                        "  parameters:\n"
                        "    bucket: my-bucket\n"
                        "    prefix: /captures/\n"
                        "    region: us-east-1\n",
             .planned = true,
             .access = aws_s3_access},
};
