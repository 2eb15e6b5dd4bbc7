// Uploads to S3: one request, parts, what is tried again, what is taken back.
#include "s3_world.h"

// Of "hello".
#define HELLO_SHA256 "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="
#define HELLO_MD5 "XUFAKrxLKna5cZ2REBfFkg=="

static void test_small(void) {
    g_auto(World) world = world_new();
    S3UploadOptions options = options_of(&world);
    options.server_side_encryption = "aws:kms";
    options.kms_key_id = "alias/k";
    options.storage_class = "STANDARD_IA";
    S3Upload *upload = s3_upload_open(world.client, &options, NULL);
    g_assert_true(s3_upload_write(upload, "hel", 3, NULL));
    g_assert_true(s3_upload_write(upload, "lo", 2, NULL));
    expect(&world, (FakeStep){.method = "PUT",
                              .url = OBJECT,
                              .headers = {"X-Amz-Checksum-Sha256: " HELLO_SHA256,
                                          "!Content-MD5:", "X-Amz-Server-Side-Encryption: aws:kms",
                                          "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id: alias/k",
                                          "X-Amz-Storage-Class: STANDARD_IA",
                                          "X-Amz-Content-Sha256: "
                                          "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"},
                              .body = "hello",
                              .status = 200});
    finish_well(upload);
}

static void test_empty(void) {
    g_auto(World) world = world_new();
    expect(&world, (FakeStep){.method = "PUT", .url = OBJECT, .body = "", .status = 200});
    finish_well(open_upload(&world));
}

// One full part is one request still.
static void test_full(void) {
    g_auto(World) world = world_new();
    S3Upload *upload = open_upload(&world);
    g_assert_true(write_mib(upload, 6, NULL));
    expect_part(&world, OBJECT, PART, 200);
    finish_well(upload);
}

static void test_parts(void) {
    g_auto(World) world = world_new();
    S3Upload *upload = two_parts(&world);
    expect_complete(&world, 200, DONE);
    world.fake->steps[3].body =
        "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
        "<Part><PartNumber>1</PartNumber><ETag>&quot;3349dc700140d7f86a078484278075a9&quot;</ETag>"
        "<ChecksumSHA256>QCup/7CPx59nxQCC4ES1IYJ+X5+t6xWcjBb6Ryu8nd8=</ChecksumSHA256></Part>"
        "<Part><PartNumber>2</PartNumber><ETag>&quot;b561f87202d04959e37588ee05cf5b10&quot;</ETag>"
        "<ChecksumSHA256>j5kLoLV3tRzwCeoEk2jBa72hsh4bk74HqCR1i7JTw5s=</ChecksumSHA256></Part></"
        "CompleteMultipartUpload>";
    g_assert_true(write_mib(upload, 7, NULL));
    finish_well(upload);
}

static void test_trouble(void) {
    g_auto(World) world = world_new();
    S3Upload *upload = open_upload(&world);
    expect_begin(&world);
    const char *part = OBJECT "?partNumber=1&" ID;
    expect(&world, (FakeStep){.method = "PUT", .url = part, .status = 503, .answer = ERROR_XML("SlowDown")});
    expect(&world, (FakeStep){.method = "PUT", .url = part, .failure = STOOP_ERROR_UNAVAILABLE, .sent = true});
    expect(&world, (FakeStep){.method = "PUT", .url = part, .status = 500, .answer = ERROR_XML("InternalError")});
    expect(&world, (FakeStep){.method = "PUT", .url = part, .status = 429, .retry_after_us = 3000000});
    expect(&world, (FakeStep){.method = "PUT", .url = part, .status = 400, .answer = ERROR_XML("RequestTimeout")});
    expect_part(&world, part, PART, 200);
    // 200 with an error in it, and then an answer that is lost: the upload is no more, and the object is there.
    expect_part(&world, OBJECT "?partNumber=2&" ID, MIB, 200);
    expect_complete(&world, 200, ERROR_XML("InternalError"));
    expect_complete(&world, 0, NULL);
    world.fake->steps[world.fake->count - 1].failure = STOOP_ERROR_UNAVAILABLE;
    world.fake->steps[world.fake->count - 1].sent = true;
    expect_complete(&world, 404, ERROR_XML("NoSuchUpload"));
    expect(&world, (FakeStep){.method = "HEAD", .url = OBJECT, .status = 200, .header = {"content-length", "7340032"}});
    g_assert_true(write_mib(upload, 7, NULL));
    finish_well(upload);
    g_assert_cmpint(world.fake->waited_us, >=, 3000000);
}

static void expect_receipt(World *world, const char *name, const char *value) {
    expect(world, (FakeStep){.method = "PUT",
                             .url = OBJECT "?partNumber=1&" ID,
                             .body_len = PART,
                             .status = 200,
                             .header = {name, value}});
}

// What the server calls a part, it is called in the end: with a key of KMS that is not the MD5 that we know.
static void test_other_etags(void) {
    g_auto(World) world = world_new();
    S3Upload *upload = open_upload(&world);
    expect_begin(&world);
    expect_receipt(&world, "ETag", "\"aaa-1<\"");
    expect_part(&world, OBJECT "?partNumber=2&" ID, MIB, 200);
    expect_complete(&world, 200, DONE);
    world.fake->steps[3].body =
        "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
        "<Part><PartNumber>1</PartNumber><ETag>&quot;aaa-1&lt;&quot;</ETag>"
        "<ChecksumSHA256>QCup/7CPx59nxQCC4ES1IYJ+X5+t6xWcjBb6Ryu8nd8=</ChecksumSHA256></Part>"
        "<Part><PartNumber>2</PartNumber><ETag>&quot;b561f87202d04959e37588ee05cf5b10&quot;</ETag>"
        "<ChecksumSHA256>j5kLoLV3tRzwCeoEk2jBa72hsh4bk74HqCR1i7JTw5s=</ChecksumSHA256></Part></"
        "CompleteMultipartUpload>";
    g_assert_true(write_mib(upload, 7, NULL));
    finish_well(upload);
}

// A part that did not arrive as it was sent is sent again.
static void test_damaged(void) {
    g_auto(World) world = world_new();
    S3Upload *upload = open_upload(&world);
    expect_begin(&world);
    expect_receipt(&world, "x-amz-checksum-sha256", HELLO_SHA256);
    expect_receipt(&world, "etag", "\"3349dc700140d7f86a078484278075a8\"");
    expect_receipt(&world, "X-Amz-Checksum-Sha256", "QCup/7CPx59nxQCC4ES1IYJ+X5+t6xWcjBb6Ryu8nd8=");
    expect_abort(&world, 204);
    g_assert_true(write_mib(upload, 7, NULL));
    s3_upload_abort(upload);
    // And at last given up.
    upload = open_upload(&world);
    expect_begin(&world);
    for (int i = 0; i < 3; i++)
        expect_receipt(&world, "x-amz-checksum-sha256", HELLO_SHA256);
    expect_abort(&world, 204);
    g_assert_true(write_mib(upload, 7, NULL));
    g_autofree char *text = finish_badly(upload, STOOP_ERROR_FAILED);
    assert_text_has(text, "part 1: what the server says that it has is not what was sent");
}

static void test_receipts(void) {
    static const struct {
        const char *name, *value, *encryption;
        bool good;
    } receipts[] = {
        {"ETag", "\"5d41402abc4b2a76b9719d911017c592\"", NULL, true},
        {"ETag", "5D41402ABC4B2A76B9719D911017C592", NULL, true},
        {"ETag", "\"00000000000000000000000000000000\"", NULL, false},
        {"ETag", "\"00000000000000000000000000000000-1\"", NULL, true}, // no MD5
        {"ETag", "\"00000000000000000000000000000000\"", "aws:kms", true},
        {"ETag", "\"00000000000000000000000000000000\"", "AES256", false},
        {"x-amz-checksum-sha256", HELLO_SHA256, NULL, true},
        {"x-amz-checksum-sha256", HELLO_MD5, NULL, false},
        {"x-amz-checksum-sha256", HELLO_MD5, "aws:kms", false},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(receipts); i++) {
        g_auto(World) world = world_new();
        S3Upload *upload = open_upload(&world);
        g_assert_true(s3_upload_write(upload, "hello", 5, NULL));
        for (int try = 0; try < (receipts[i].good ? 1 : 3); try++)
            expect(&world, (FakeStep){.method = "PUT",
                                      .url = OBJECT,
                                      .status = 200,
                                      .header = {receipts[i].name, receipts[i].value,
                                                 receipts[i].encryption ? "x-amz-server-side-encryption" : NULL,
                                                 receipts[i].encryption}});
        if (receipts[i].good) {
            finish_well(upload);
            continue;
        }
        expect_delete(&world, 204);
        g_free(finish_badly(upload, STOOP_ERROR_FAILED));
    }
}

static void test_refused(void) {
    g_auto(World) world = world_new();
    S3Upload *upload = two_parts(&world);
    world.fake->steps[2].status = 403;
    world.fake->steps[2].answer = ERROR_XML("AccessDenied");
    expect_abort(&world, 503);
    expect_abort(&world, 204); // taking back is tried again
    g_assert_true(write_mib(upload, 7, NULL));
    g_autofree char *text = finish_badly(upload, STOOP_ERROR_FORBIDDEN);
    g_assert_cmpstr(text, ==, "s3://my-bucket/a/b.log: part 2: AccessDenied: m (403)");
}

// A cancellation ends the upload, not the taking back.
static void test_cancelled(void) {
    g_auto(World) world = world_new();
    S3Upload *upload = open_upload(&world);
    expect_begin(&world);
    expect(
        &world,
        (FakeStep){.method = "PUT", .url = OBJECT "?partNumber=1&" ID, .failure = STOOP_ERROR_CANCELLED, .sent = true});
    expect_abort(&world, 204);
    // The next part waits for the one before, and tells what became of it.
    g_autoptr(GError) error = NULL;
    g_assert_false(write_mib(upload, 13, &error));
    g_assert_error(error, STOOP_ERROR, STOOP_ERROR_CANCELLED);
    cancel_set(&world.fake->cancel);
    g_clear_error(&error);
    g_assert_false(s3_upload_write(upload, "x", 1, &error));
    s3_upload_abort(upload);
    g_assert_null(world.fake->last_cancel);
    g_assert_cmpint(world.fake->last_deadline_us, ==, world.fake->now_us + 10 * G_USEC_PER_SEC);
}

static void test_abort_before_parts(void) {
    g_auto(World) world = world_new();
    S3Upload *upload = open_upload(&world);
    g_assert_true(write_mib(upload, 6, NULL));
    s3_upload_abort(upload); // asks nobody
    s3_upload_abort(NULL);
}

static void test_deadline(void) {
    g_auto(World) world = world_new();
    S3Upload *upload = open_upload(&world);
    for (int i = 0; i < 3; i++)
        expect(&world, (FakeStep){.method = "PUT", .url = OBJECT, .status = 503, .retry_after_us = 25000000});
    expect_delete(&world, 404);
    g_autofree char *text = finish_badly(upload, STOOP_ERROR_UNAVAILABLE);
    assert_text_has(text, "after 3 tries");
}

static void test_wrong_region(void) {
    g_auto(World) world = world_new();
    expect(&world, (FakeStep){.method = "PUT",
                              .url = OBJECT,
                              .status = 301,
                              .answer = "<Error><Code>PermanentRedirect</Code><Message>Elsewhere.</Message><Endpoint>"
                                        "my-bucket.s3-us-west-2.amazonaws.com</Endpoint></Error>"});
    g_autofree char *text = finish_badly(open_upload(&world), STOOP_ERROR_INVALID);
    assert_text_has(text, "the bucket is in the region us-west-2, not eu-west-1");
    expect(&world, (FakeStep){.method = "PUT",
                              .url = OBJECT,
                              .status = 400,
                              .answer = "<Error><Code>AuthorizationHeaderMalformed</Code><Message>m</Message>"
                                        "<Region>ap-south-1</Region></Error>"});
    g_autofree char *other = finish_badly(open_upload(&world), STOOP_ERROR_INVALID);
    assert_text_has(other, "the region ap-south-1");
}

// Expired credentials are read anew, once.
static void test_expired(void) {
    g_auto(World) world = world_new();
    expect(&world, (FakeStep){.method = "PUT", .url = OBJECT, .status = 400, .answer = ERROR_XML("ExpiredToken")});
    expect(&world, (FakeStep){.method = "PUT", .url = OBJECT, .status = 200});
    finish_well(open_upload(&world));
    expect(&world, (FakeStep){.method = "PUT", .url = OBJECT, .status = 400, .answer = ERROR_XML("ExpiredToken")});
    expect(&world, (FakeStep){.method = "PUT", .url = OBJECT, .status = 400, .answer = ERROR_XML("ExpiredToken")});
    g_autofree char *text = finish_badly(open_upload(&world), STOOP_ERROR_UNAUTHENTICATED);
    assert_text_has(text, "ExpiredToken");
}

static char *url_of(World *world, S3Client *client, const char *bucket, const char *key) {
    g_auto(S3Object) object = {0};
    AwsCall call = fake_aws_call(world->fake, 5);
    g_autoptr(GError) error = NULL;
    bool ok = s3_object_init(client, bucket, key, NULL, &call, &object, &error);
    g_assert_true(ok == (error == NULL));
    return ok ? g_strdup(object.url) : g_strconcat("!", error->message, NULL);
}

static void assert_url(World *world, S3Client *client, const char *bucket, const char *key, const char *url) {
    g_autofree char *made = url_of(world, client, bucket, key);
    g_assert_cmpstr(made, ==, url);
}

static void test_urls(void) {
    g_auto(World) world = world_new();
    assert_url(&world, world.client, "b-1", "a b/ü%/c+d~",
               "https://b-1.s3.eu-west-1.amazonaws.com/a%20b/%C3%BC%25/c%2Bd~");
    assert_url(&world, world.client, "with.dot", "k", "https://s3.eu-west-1.amazonaws.com/with.dot/k");
    fake_aws_set(world.fake, "AWS_ENDPOINT_URL_S3", "http://s3.test:9000/");
    assert_url(&world, world.client, "b-1", "k", "http://s3.test:9000/b-1/k");
    g_auto(S3Object) object = {0};
    AwsCall call = fake_aws_call(world.fake, 5);
    g_assert_true(s3_object_init(world.client, "b-1", "a/k", NULL, &call, &object, NULL));
    g_assert_cmpstr(object.bucket_url, ==, "http://s3.test:9000/b-1/");
    static const char *const bad[][2] = {
        {"b", "k"}, {"b/../x", "k"}, {"bucket", ""}, {"bucket", "a/../b"}, {"bucket", "\xff"}};
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autofree char *made = url_of(&world, world.client, bad[i][0], bad[i][1]);
        g_assert_cmpint(*made, ==, '!');
    }
}

static void test_other_server(void) {
    g_auto(World) world = world_new();
    AwsClientOptions base = fake_aws_options(world.fake);
    S3ClientOptions options = {.endpoint = "minio.test:9000",
                               .access_key = "MK",
                               .secret_key = "s",
                               .environment = base.environment,
                               .transport = base.transport,
                               .clock = base.clock,
                               .random32 = base.random32,
                               .wait_us = base.wait_us,
                               .user = base.user};
    // Amazon's variables are not this server's.
    fake_aws_set(world.fake, "AWS_ENDPOINT_URL", "http://no.test");
    fake_aws_set(world.fake, "AWS_REGION", "eu-north-1");
    g_autoptr(S3Client) client = s3_client_new(&options, NULL);
    S3UploadOptions upload = options_of(&world);
    upload.region = NULL;
    S3Upload *made = s3_upload_open(client, &upload, NULL);
    g_assert_true(s3_upload_write(made, "hello", 5, NULL));
    expect(&world, (FakeStep){.method = "PUT",
                              .url = "http://minio.test:9000/my-bucket/a/b.log",
                              .headers = {"Content-MD5: " HELLO_MD5, "!X-Amz-Checksum",
                                          "Authorization: AWS4-HMAC-SHA256 Credential=MK/20260101/us-east-1/s3/*"},
                              .status = 200});
    finish_well(made);
    options.use_tls = true;
    g_autoptr(S3Client) tls = s3_client_new(&options, NULL);
    assert_url(&world, tls, "bucket", "k", "https://minio.test:9000/bucket/k");
    options.endpoint = "http://h/base/";
    g_autoptr(S3Client) based = s3_client_new(&options, NULL);
    assert_url(&world, based, "bucket", "k", "http://h/base/bucket/k");
    static const char *const bad[] = {"", NULL, "a b", "user@host", "h?x", ":9000", "ftp://h"};
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        options.endpoint = bad[i];
        g_autoptr(GError) error = NULL;
        g_assert_null(s3_client_new(&options, &error));
        g_assert_error(error, STOOP_ERROR, STOOP_ERROR_INVALID);
    }
    options.endpoint = "h";
    options.secret_key = "";
    g_assert_null(s3_client_new(&options, NULL));
}

static void test_header_values(void) {
    g_auto(World) world = world_new();
    S3UploadOptions options = options_of(&world);
    options.storage_class = "X\r\nX-Evil: 1";
    g_autoptr(GError) error = NULL;
    g_assert_null(s3_upload_open(world.client, &options, &error));
    g_assert_error(error, STOOP_ERROR, STOOP_ERROR_INVALID);
}

static void test_sizes(void) {
    uint64_t sum = 0;
    for (unsigned number = 1; number <= S3_MOST_PARTS; number++)
        sum += s3_part_size(number);
    g_assert_cmpuint(s3_part_size(1), ==, PART);
    g_assert_cmpuint(s3_part_size(2000), ==, PART);
    g_assert_cmpuint(s3_part_size(2001), ==, 2 * PART);
    g_assert_cmpuint(sum >> 30, >=, 360);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/s3/small", test_small);
    g_test_add_func("/s3/empty", test_empty);
    g_test_add_func("/s3/full", test_full);
    g_test_add_func("/s3/parts", test_parts);
    g_test_add_func("/s3/trouble", test_trouble);
    g_test_add_func("/s3/other-etags", test_other_etags);
    g_test_add_func("/s3/damaged", test_damaged);
    g_test_add_func("/s3/receipts", test_receipts);
    g_test_add_func("/s3/refused", test_refused);
    g_test_add_func("/s3/cancelled", test_cancelled);
    g_test_add_func("/s3/abort-before-parts", test_abort_before_parts);
    g_test_add_func("/s3/deadline", test_deadline);
    g_test_add_func("/s3/wrong-region", test_wrong_region);
    g_test_add_func("/s3/expired", test_expired);
    g_test_add_func("/s3/urls", test_urls);
    g_test_add_func("/s3/other-server", test_other_server);
    g_test_add_func("/s3/header-values", test_header_values);
    g_test_add_func("/s3/sizes", test_sizes);
    return g_test_run();
}
