// gcp:gcs: an object in a bucket of Google Cloud Storage.
#include "base/error.h"
#include "gcp/gcs_upload.h"
#include "outputs/output.h"

typedef struct {
    char *bucket, *prefix, *storage_class, *kms_key;
} GcpGcsParams;

static char *bucket_check(const char *text) {
    return gcs_bucket_is_valid(text) ? NULL
                                     : g_strdup("is no name of a bucket: 3 to 222 small letters, digits, '-', '_' and "
                                                "'.'");
}

static const ParamRow gcp_gcs_rows[] = {
    PARAM_ROW_TEXT(GcpGcsParams, bucket, .required = true, .check = bucket_check, .summary = "Name of the bucket."),
    PARAM_ROW_TEXT(GcpGcsParams, prefix, .summary = "What the object's name begins with."),
    PARAM_ROW_TEXT(GcpGcsParams, storage_class, .summary = "Storage class of the object, such as NEARLINE."),
    PARAM_ROW_TEXT(GcpGcsParams, kms_key,
                   .summary = "Name of the Cloud KMS key that encrypts the object, as projects/P/locations/L/..."),
    PARAM_ROW_END,
};

static const char *const gcp_gcs_access[] = {"storage.objects.create", "storage.objects.delete", NULL};

struct OutputStream {
    GcsUpload *upload;
    char *location;
};

static void stream_free(OutputStream *stream) {
    g_free(stream->location);
    g_free(stream);
}

static OutputStream *gcp_gcs_open(const void *params, const OutputJob *job, GError **error) {
    const GcpGcsParams *own = params;
    if (!job->clients || !job->clients->gcp) {
        g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_INVALID, "there is no client of Google Cloud");
        return NULL;
    }
    const char *prefix = own->prefix ? own->prefix : "";
    while (*prefix == '/')
        prefix++;
    g_autofree char *name = g_strconcat(prefix, job->name, NULL);
    GcsObject object = {own->bucket, name, own->storage_class, own->kms_key};
    GcpCall call = {job->deadline_us, job->cancel};
    GcsUpload *upload = gcs_upload_begin(job->clients->gcp, &object, &call, error);
    if (!upload)
        return NULL;
    OutputStream *stream = g_new0(OutputStream, 1);
    *stream = (OutputStream){upload, g_strdup_printf("gs://%s/%s", own->bucket, name)};
    return stream;
}

static bool gcp_gcs_write(OutputStream *stream, const char *data, size_t len, GError **error) {
    return gcs_upload_write(stream->upload, data, len, error);
}

static bool gcp_gcs_finish(OutputStream *stream, char **location, GError **error) {
    bool ok = gcs_upload_finish(stream->upload, error);
    if (ok)
        *location = g_steal_pointer(&stream->location);
    stream_free(stream);
    return ok;
}

static void gcp_gcs_abort(OutputStream *stream) {
    gcs_upload_abort(stream->upload);
    stream_free(stream);
}

const Output output_gcp_gcs = {
    .info = {.name = "gcp:gcs",
             .summary = "Stores the artifact in a Google Cloud Storage bucket.",
             .description =
                 "Goes up in chunks of 8 MiB of a resumable upload, each going on where the server says that it "
                 "stands after a failure. In the end the size and the CRC32C that the server has are compared with "
                 "what was sent; up to 8 MiB it knows the checksums before and refuses anything else. A failed "
                 "upload is taken back; should Stoop itself be killed, the server forgets it within a week. An "
                 "object that was not confirmed, and may be there, is deleted with `storage.objects.delete`, which "
                 "replacing an object of the same name needs as well.\n"
                 "\n"
                 "Stoop signs in with the key file of `gcp.credentials_path` or GOOGLE_APPLICATION_CREDENTIALS, "
                 "else as the metadata server of the machine or pod says. STORAGE_EMULATOR_HOST names another "
                 "server, which is asked without signing in. `limits.artifact_bytes` (1 GiB by default) bounds "
                 "what goes up, `limits.action_seconds` how long it may take.",
             .params = {.size = sizeof(GcpGcsParams), .rows = gcp_gcs_rows},
             .example = "output:\n"
                        "  target: gcp:gcs\n"
                        "  parameters:\n"
                        "    bucket: my-bucket\n"
                        "    prefix: /captures/\n",
             .access = gcp_gcs_access},
    .open = gcp_gcs_open,
    .write = gcp_gcs_write,
    .finish = gcp_gcs_finish,
    .abort = gcp_gcs_abort,
};
