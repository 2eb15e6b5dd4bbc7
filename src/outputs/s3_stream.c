#include "outputs/s3_stream.h"

struct OutputStream {
    S3Client *owned; // NULL: somebody else's
    S3Upload *upload;
};

static void stream_free(OutputStream *stream) {
    s3_client_free(stream->owned);
    g_free(stream);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(OutputStream, stream_free)

char *s3_stream_check_bucket(const char *text) {
    return s3_bucket_is_valid(text) ? NULL
                                    : g_strdup("is no name of a bucket: 3 to 63 small letters, digits, '.' and '-'");
}

OutputStream *s3_stream_open(S3Client *client, bool owned, const S3StreamTarget *target, const OutputJob *job,
                             GError **error) {
    g_autoptr(OutputStream) stream = g_new0(OutputStream, 1);
    stream->owned = owned ? client : NULL;
    const char *prefix = target->prefix ? target->prefix : "";
    while (*prefix == '/')
        prefix++;
    g_autofree char *key = g_strconcat(prefix, job->name, NULL);
    S3UploadOptions options = {
        .bucket = target->bucket,
        .key = key,
        .region = target->region,
        .server_side_encryption = target->server_side_encryption,
        .kms_key_id = target->kms_key_id,
        .storage_class = target->storage_class,
        .deadline_us = job->deadline_us,
        .cancel = job->cancel,
    };
    stream->upload = s3_upload_open(client, &options, error);
    return stream->upload ? g_steal_pointer(&stream) : NULL;
}

bool s3_stream_write(OutputStream *stream, const char *data, size_t len, GError **error) {
    return s3_upload_write(stream->upload, data, len, error);
}

bool s3_stream_finish(OutputStream *stream, char **location, GError **error) {
    bool ok = s3_upload_finish(stream->upload, location, error);
    stream_free(stream);
    return ok;
}

void s3_stream_abort(OutputStream *stream) {
    s3_upload_abort(stream->upload);
    stream_free(stream);
}
