// Takes back what an upload that failed may have left on the server. Best effort: everything is tried.
#pragma once

#include "aws/s3_client.h"

typedef struct {
    const char *upload_id; // of the upload in parts; NULL: there is none
    const char *lost_key;  // uploads of just this object were begun whose ID is not known; NULL: none
    bool object;           // the object may be there
} S3Undo;

// By the deadline of `call`. NULL when nothing is left, else what may be, and why: "parts are left behind (…)". g_free.
char *s3_undo(const S3Object *object, const S3Undo *undo, const AwsCall *call);
