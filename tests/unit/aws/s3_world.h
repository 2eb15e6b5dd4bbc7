// An upload to Amazon's S3 for tests: the object that it is, what is expected of it, and how it ends.
#pragma once

#include "aws/s3_parts.h"
#include "aws/s3_upload.h"
#include "fake_aws.h"

#define MIB ((size_t)1024 * 1024)
#define PART (6 * MIB)
#define OBJECT "https://my-bucket.s3.eu-west-1.amazonaws.com/a/b.log"
#define BEGUN                                                                                                          \
    "<?xml version=\"1.0\"?><InitiateMultipartUploadResult><UploadId>i/d+</UploadId></InitiateMultipartUploadResult>"
#define ID "uploadId=i%2Fd%2B"
#define DONE "\n<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>"
#define ERROR_XML(code) "<Error><Code>" code "</Code><Message>m</Message></Error>"

typedef struct {
    FakeAws *fake;
    AwsClient *aws;
    S3Client *client;
} World;
World world_new(void);
void world_clear(World *world);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(World, world_clear)

S3UploadOptions options_of(World *world);
S3Upload *open_upload(World *world);
// Writes `count` MiB of 'x'.
bool write_mib(S3Upload *upload, size_t count, GError **error);
void expect(World *world, FakeStep step);
void expect_begin(World *world);
void expect_part(World *world, const char *url, size_t len, int status);
void expect_abort(World *world, int status);
void expect_delete(World *world, int status);
void finish_well(S3Upload *upload);
char *finish_badly(S3Upload *upload, StoopError code);
// Two parts, 6 MiB and 1 MiB, that arrive.
S3Upload *two_parts(World *world);
void expect_complete(World *world, int status, const char *answer);
