// minio:s3: an object in a bucket of MinIO, or of what speaks S3.
#include "outputs/output.h"

typedef struct {
    char *bucket, *prefix;
} MinioS3Params;

static const ParamRow minio_s3_rows[] = {
    PARAM_ROW_TEXT(MinioS3Params, bucket, .required = true, .summary = "Name of the bucket."),
    PARAM_ROW_TEXT(MinioS3Params, prefix, .summary = "What the object's name begins with."),
    PARAM_ROW_END,
};

static const char *const minio_s3_access[] = {"s3:PutObject", "s3:AbortMultipartUpload", NULL};

const Output output_minio_s3 = {
    .info = {.name = "minio:s3",
             .summary = "Stores the artifact in a bucket of MinIO or another server that speaks S3.",
             .description = "The server and its keys stand in the configuration, under `minio:`. Big artifacts go up "
                            "in parts; a failed upload is taken back.",
             .params = {.size = sizeof(MinioS3Params), .rows = minio_s3_rows},
             .example = "output:\n"
                        "  target: minio:s3\n"
                        "  parameters:\n"
                        "    bucket: my-bucket\n"
                        "    prefix: /captures/\n",
             .planned = true,
             .access = minio_s3_access},
};
