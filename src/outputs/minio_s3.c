// minio:s3: an object in a bucket of MinIO, or of what speaks S3.
#include "base/error.h"
#include "outputs/output.h"
#include "outputs/s3_stream.h"

typedef struct {
    char *bucket, *prefix, *server_side_encryption, *kms_key_id, *storage_class;
} MinioS3Params;

static const char *const encryptions[] = {"AES256", "aws:kms", NULL};

static const ParamRow minio_s3_rows[] = {
    PARAM_ROW_TEXT(MinioS3Params, bucket, .required = true, .check = s3_stream_check_bucket,
                   .summary = "Name of the bucket."),
    PARAM_ROW_TEXT(MinioS3Params, prefix, .summary = "What the object's name begins with."),
    PARAM_ROW_TEXT(MinioS3Params, server_side_encryption, .choices = encryptions,
                   .summary = "How the server encrypts the object; absent: as the bucket says."),
    PARAM_ROW_TEXT(MinioS3Params, kms_key_id,
                   .summary = "The key for `server_side_encryption: aws:kms`; absent: the server's own."),
    PARAM_ROW_TEXT(MinioS3Params, storage_class, .summary = "Storage class of the object, such as STANDARD_IA."),
    PARAM_ROW_END,
};

static const char *const minio_s3_access[] = {"s3:PutObject",    "s3:AbortMultipartUpload",       "s3:GetObject",
                                              "s3:DeleteObject", "s3:ListBucketMultipartUploads", NULL};

// Rows against each other.
static char *check(const void *params) {
    const MinioS3Params *own = params;
    bool kms = own->server_side_encryption && g_str_has_prefix(own->server_side_encryption, "aws:kms");
    return own->kms_key_id && !kms ? g_strdup("kms_key_id needs server_side_encryption: aws:kms.") : NULL;
}

static OutputStream *minio_s3_open(const void *params, const OutputJob *job, GError **error) {
    const MinioS3Params *own = params;
    if (!job->clients->minio) {
        g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_INVALID,
                            "the configuration has no minio.endpoint, minio.access_key and minio.secret_key");
        return NULL;
    }
    S3StreamTarget target = {own->bucket,     own->prefix,       NULL, own->server_side_encryption,
                             own->kms_key_id, own->storage_class};
    return s3_stream_open(job->clients->minio, false, &target, job, error);
}

const Output output_minio_s3 = {
    .info = {.name = "minio:s3",
             .summary = "Stores the artifact in a bucket of MinIO or another server that speaks S3.",
             .description =
                 "The server and its keys stand in the configuration, under `minio:`; buckets are part of the "
                 "path. Up to 6 MiB go up in one request, more in parts of 6 MiB and longer, each with checksums "
                 "that the server verifies, and what it answers is compared; at most 360 GiB. Parts are tried "
                 "again; a failed upload is taken back, so that no part is left behind. If Stoop itself is killed, "
                 "parts stay: give the bucket a lifecycle rule with `AbortIncompleteMultipartUpload`. Success "
                 "means that the server has confirmed the whole object; where that answer is lost, Stoop looks "
                 "whether the object is there, as long as what was sent, which is what `s3:GetObject` is for. An "
                 "object that was not confirmed, and may be there, is deleted with `s3:DeleteObject`. Where the "
                 "answer to the begin of an upload in parts is lost, Stoop looks for it with "
                 "`s3:ListBucketMultipartUploads` and ends it.\n"
                 "\n"
                 "AWS_CA_BUNDLE names a file of CAs that replace the system's; other variables of AWS do not count "
                 "here. `limits.artifact_bytes` (1 GiB by default) bounds what goes up, `limits.action_seconds` "
                 "how long it may take.",
             .params = {.size = sizeof(MinioS3Params), .rows = minio_s3_rows, .check = check},
             .example = "output:\n"
                        "  target: minio:s3\n"
                        "  parameters:\n"
                        "    bucket: my-bucket\n"
                        "    prefix: /captures/\n",
             .access = minio_s3_access},
    .open = minio_s3_open,
    .write = s3_stream_write,
    .finish = s3_stream_finish,
    .abort = s3_stream_abort,
};
