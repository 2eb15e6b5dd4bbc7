// What both outputs that speak S3 share.
#pragma once

#include "aws/s3_upload.h"
#include "outputs/output.h"

typedef struct {
    const char *bucket, *prefix, *region, *server_side_encryption, *kms_key_id, *storage_class;
} S3StreamTarget;

// `client` is taken over when `owned`, also on failure.
OutputStream *s3_stream_open(S3Client *client, bool owned, const S3StreamTarget *target, const OutputJob *job,
                             GError **error);
// As in Output.
bool s3_stream_write(OutputStream *stream, const char *data, size_t len, GError **error);
bool s3_stream_finish(OutputStream *stream, char **location, GError **error);
void s3_stream_abort(OutputStream *stream);

// For ParamRow.check.
char *s3_stream_check_bucket(const char *text);
