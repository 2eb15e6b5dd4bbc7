// gcp:gcs: an object in a bucket of Google Cloud Storage.
#include "outputs/output.h"

typedef struct {
    char *bucket, *prefix;
} GcpGcsParams;

static const ParamRow gcp_gcs_rows[] = {
    PARAM_ROW_TEXT(GcpGcsParams, bucket, .required = true, .summary = "Name of the bucket."),
    PARAM_ROW_TEXT(GcpGcsParams, prefix, .summary = "What the object's name begins with."),
    PARAM_ROW_END,
};

static const char *const gcp_gcs_access[] = {"storage.objects.create", NULL};

const Output output_gcp_gcs = {
    .info = {.name = "gcp:gcs",
             .summary = "Stores the artifact in a Google Cloud Storage bucket.",
             .description = "Big artifacts go up as a resumable upload; a failed one is taken back.",
             .params = {.size = sizeof(GcpGcsParams), .rows = gcp_gcs_rows},
             .example = "output:\n"
                        "  target: gcp:gcs\n"
                        "  parameters:\n"
                        "    bucket: my-bucket\n"
                        "    prefix: /captures/\n",
             .planned = true,
             .access = gcp_gcs_access},
};
