#include "s3_world.h"

World world_new(void) {
    World world = {.fake = fake_aws_new()};
    AwsClientOptions options = fake_aws_options(world.fake);
    options.access_key = "AK";
    options.secret_key = "s";
    options.region = "eu-west-1";
    world.aws = aws_client_new(&options, NULL);
    g_assert_nonnull(world.aws);
    world.client = s3_client_new_aws(world.aws);
    return world;
}

void world_clear(World *world) {
    s3_client_free(world->client);
    aws_client_free(world->aws);
    fake_aws_free(world->fake);
}

S3UploadOptions options_of(World *world) {
    return (S3UploadOptions){
        .bucket = "my-bucket",
        .key = "a/b.log",
        .deadline_us = world->fake->now_us + 60 * G_USEC_PER_SEC,
        .cancel = &world->fake->cancel,
        .clock = &world->fake->clock,
    };
}

S3Upload *open_upload(World *world) {
    S3UploadOptions options = options_of(world);
    g_autoptr(GError) error = NULL;
    S3Upload *upload = s3_upload_open(world->client, &options, &error);
    g_assert_no_error(error);
    return upload;
}

bool write_mib(S3Upload *upload, size_t count, GError **error) {
    g_autofree char *data = g_malloc(MIB);
    memset(data, 'x', MIB);
    for (size_t i = 0; i < count; i++)
        if (!s3_upload_write(upload, data, MIB, error))
            return false;
    return true;
}

void expect(World *world, FakeStep step) {
    fake_aws_expect(world->fake, step);
}

void expect_begin(World *world) {
    expect(world, (FakeStep){.method = "POST",
                             .url = OBJECT "?uploads=",
                             .headers = {"X-Amz-Checksum-Algorithm: SHA256"},
                             .status = 200,
                             .answer = BEGUN});
}

void expect_part(World *world, const char *url, size_t len, int status) {
    expect(world, (FakeStep){.method = "PUT", .url = url, .body_len = len, .status = status});
}

void expect_abort(World *world, int status) {
    expect(world, (FakeStep){.method = "DELETE", .url = OBJECT "?" ID, .status = status});
}

void expect_delete(World *world, int status) {
    expect(world, (FakeStep){.method = "DELETE", .url = OBJECT, .status = status, .answer = ERROR_XML("AccessDenied")});
}

void finish_well(S3Upload *upload) {
    g_autoptr(GError) error = NULL;
    g_autofree char *location = NULL;
    bool ok = s3_upload_finish(upload, &location, &error);
    g_assert_no_error(error);
    g_assert_true(ok);
    g_assert_cmpstr(location, ==, "s3://my-bucket/a/b.log");
}

char *finish_badly(S3Upload *upload, StoopError code) {
    g_autoptr(GError) error = NULL;
    g_autofree char *location = NULL;
    g_assert_false(s3_upload_finish(upload, &location, &error));
    g_assert_error(error, STOOP_ERROR, (int)code);
    g_assert_null(location);
    return g_strdup(error->message);
}

// Everything is expected before anything is sent, by a thread of its own: the caller writes.
S3Upload *two_parts(World *world) {
    S3Upload *upload = open_upload(world);
    expect_begin(world);
    expect_part(world, OBJECT "?partNumber=1&" ID, PART, 200);
    expect_part(world, OBJECT "?partNumber=2&" ID, MIB, 200);
    return upload;
}

void expect_complete(World *world, int status, const char *answer) {
    expect(world, (FakeStep){.method = "POST", .url = OBJECT "?" ID, .status = status, .answer = answer});
}
