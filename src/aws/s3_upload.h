// An object written piece by piece in bounded memory: in one request up to 6 MiB, in parts beyond, of which one is sent
// (by a thread that lasts for that part) while the next one fills. Every request carries checksums that the server
// verifies. Used by one thread at a time.
#pragma once

#include "aws/s3_client.h"

typedef struct {
    const char *bucket, *key;
    const char *region;                     // NULL or "": the client's
    const char *server_side_encryption;     // "AES256", "aws:kms", …; NULL or "": the bucket's default
    const char *kms_key_id, *storage_class; // NULL or ""
    int64_t deadline_us;                    // clock_monotonic_us; 0: none
    const Cancel *cancel;                   // may be NULL
    const Clock *clock;                     // NULL: the system's; only to bound what aborting takes
} S3UploadOptions;

typedef struct S3Upload S3Upload;

// Asks nobody yet, except for the region. `client` must outlive it.
S3Upload *s3_upload_open(S3Client *client, const S3UploadOptions *options, GError **error);

// Also tells of a failure of the part before. After one only s3_upload_finish (which fails) or s3_upload_abort are of
// use.
bool s3_upload_write(S3Upload *upload, const char *data, size_t len, GError **error);

// True when the server has the whole object. `location`: "s3://bucket/key" (g_free). The upload is gone either way; on
// failure its parts were taken back, and the object where it may be there; that takes at most 10 s beyond the deadline.
// The error says so when they could not be. Uploads that an answer which was lost had begun are looked for, and ended,
// in the same time.
bool s3_upload_finish(S3Upload *upload, char **location, GError **error);

// Takes back what was sent, within 10 s of the end of the part under way (its deadline, or the cancellation), also when
// cancelled. The upload is gone. NULL is fine.
void s3_upload_abort(S3Upload *upload);

// How long part `number` (from 1) is: 6 MiB first, growing so that 10,000 parts hold 360 GiB.
size_t s3_part_size(unsigned number);
