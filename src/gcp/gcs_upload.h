// Uploads to Google Cloud Storage, piece by piece, in bounded memory: a resumable session gets chunks of 8 MiB, each
// going on where the server says that it stands. In the end the object's size and CRC32C are compared with what was
// sent; up to 8 MiB the server knows the checksums before, and refuses anything else.
// https://cloud.google.com/storage/docs/performing-resumable-uploads
#pragma once

#include "gcp/gcp_client.h"

typedef struct {
    const char *bucket, *name;           // of the object
    const char *storage_class, *kms_key; // NULL and "": the bucket's
} GcsObject;

typedef struct GcsUpload GcsUpload;

// Asks nobody yet. INVALID: a bad name or parameter. `call` is of the whole upload.
GcsUpload *gcs_upload_begin(GcpClient *client, const GcsObject *object, const GcpCall *call, GError **error);
// After a failure only gcs_upload_abort is left.
bool gcs_upload_write(GcsUpload *upload, const char *data, size_t len, GError **error);
// True when the server confirmed the whole object. The upload is gone either way; on failure nothing is
// left behind, or the error says so.
bool gcs_upload_finish(GcsUpload *upload, GError **error);
// Gives up: takes back what was sent, also an object that may be there. The upload is gone.
void gcs_upload_abort(GcsUpload *upload);

// Whether this can be the name of a bucket.
bool gcs_bucket_is_valid(const char *name);
