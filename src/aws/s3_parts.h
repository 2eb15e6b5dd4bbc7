// The documents of an upload in parts. https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
#pragma once

#include "aws/s3_client.h"

#define S3_MOST_PARTS 10000

typedef struct {
    char etag[64]; // without quotes: what the server called the part
    uint8_t sha256[32];
    size_t size;
} S3Part;

// The body of CompleteMultipartUpload; `checksums`: with each part's SHA-256. Caller frees.
char *s3_parts_complete_body(const S3Part *parts, unsigned count, bool checksums);

// The upload's ID in the answer to CreateMultipartUpload (g_free); NULL and an error when there is none.
char *s3_parts_read_upload_id(const char *xml, size_t len, GError **error);

// The IDs of the uploads of just this key in the answer to ListMultipartUploads; empty when it is none. Caller frees.
GPtrArray *s3_parts_read_uploads(const char *xml, size_t len, const char *key);

// Reads the answer to CompleteMultipartUpload, which may be an error in spite of its 200: true when the object is
// there. `again`: the server asks to try again, or says nothing.
bool s3_parts_read_completed(const char *xml, size_t len, bool *again, GError **error);
