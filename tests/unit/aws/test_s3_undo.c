// What an upload that failed leaves on the server: nothing.
#include "s3_world.h"

static void test_not_completed(void) {
    g_auto(World) world = world_new();
    S3Upload *upload = two_parts(&world);
    expect_complete(&world, 200, ERROR_XML("EntityTooSmall"));
    expect_abort(&world, 403);
    g_assert_true(write_mib(upload, 7, NULL));
    g_autofree char *text = finish_badly(upload, STOOP_ERROR_FAILED);
    assert_text_has(text, "parts are left behind");
    assert_text_has(text, "EntityTooSmall: m");
}

// What was sent in one request and then told as failed does not stay.
static void test_object_taken_back(void) {
    static const FakeStep puts[] = {
        {.failure = STOOP_ERROR_TIMEOUT, .sent = true}, // a late answer
        {.failure = STOOP_ERROR_CANCELLED, .sent = true},
        {.failure = STOOP_ERROR_TIMEOUT}, // nothing was sent
        {.status = 403, .answer = ERROR_XML("AccessDenied")},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(puts); i++) {
        g_auto(World) world = world_new();
        FakeStep put = puts[i];
        put.method = "PUT";
        put.url = OBJECT;
        expect(&world, put);
        if (put.sent)
            expect_delete(&world, 204);
        g_autofree char *text = finish_badly(open_upload(&world), put.status ? STOOP_ERROR_FORBIDDEN : put.failure);
        g_assert_null(strstr(text, "may be there"));
    }
    g_auto(World) world = world_new();
    expect(&world, (FakeStep){.method = "PUT", .url = OBJECT, .failure = STOOP_ERROR_TIMEOUT, .sent = true});
    expect_delete(&world, 403);
    g_autofree char *text = finish_badly(open_upload(&world), STOOP_ERROR_TIMEOUT);
    g_assert_cmpstr(text, ==,
                    "the object may be there (AccessDenied: m (403)): s3://my-bucket/a/b.log: "
                    "scripted");
    g_assert_cmpint(world.fake->last_deadline_us, ==, world.fake->now_us + 10 * G_USEC_PER_SEC);
}

static void expect_head(World *world, const char *length) {
    expect(world, (FakeStep){.method = "HEAD", .url = OBJECT, .status = 200, .header = {"Content-Length", length}});
}

// The answer to the end was lost, and what is there is not what was sent.
static void test_other_length(void) {
    static const char *const lengths[] = {"7340031", "-1", "x"};
    for (size_t i = 0; i < G_N_ELEMENTS(lengths); i++) {
        g_auto(World) world = world_new();
        S3Upload *upload = two_parts(&world);
        expect_complete(&world, 200, "<CompleteMultipartUploadRes");
        expect_complete(&world, 404, ERROR_XML("NoSuchUpload"));
        expect_head(&world, lengths[i]);
        expect_abort(&world, 404);
        expect_delete(&world, 204);
        g_assert_true(write_mib(upload, 7, NULL));
        g_free(finish_badly(upload, STOOP_ERROR_NOT_FOUND));
    }
    // An answer that is cut off, of an end that was reached.
    g_auto(World) world = world_new();
    S3Upload *upload = two_parts(&world);
    expect_complete(&world, 200, "");
    expect_complete(&world, 404, ERROR_XML("NoSuchUpload"));
    expect_head(&world, "7340032");
    g_assert_true(write_mib(upload, 7, NULL));
    finish_well(upload);
}

#define LIST "https://my-bucket.s3.eu-west-1.amazonaws.com/?uploads=&prefix=a%2Fb.log"
#define LISTED(key, id)                                                                                                \
    "<Upload><Key>" key "</Key><UploadId>" id "</UploadId><Initiator><ID>x</ID></Initiator></Upload>"

static void expect_lost_begin(World *world) {
    expect(world,
           (FakeStep){.method = "POST", .url = OBJECT "?uploads=", .failure = STOOP_ERROR_UNAVAILABLE, .sent = true});
}

static void expect_list(World *world, int status, const char *answer) {
    expect(world, (FakeStep){.method = "GET", .url = LIST, .status = status, .answer = answer});
}

// An upload whose ID was in a lost answer is looked for and ended.
static void test_lost_begin(void) {
    g_auto(World) world = world_new();
    S3Upload *upload = open_upload(&world);
    expect_lost_begin(&world);
    expect_begin(&world);
    expect_part(&world, OBJECT "?partNumber=1&" ID, PART, 403);
    expect_abort(&world, 204);
    expect_list(&world, 200,
                "<ListMultipartUploadsResult><Bucket>my-bucket</Bucket>" LISTED("a/b.log", "l1")
                    LISTED("a/b.log.gz", "other") "<Upload><UploadId>l2</UploadId><Key>a/b.log</Key></Upload>"
                                                  "<Upload><Key>a/b.log</Key></Upload></ListMultipartUploadsResult>");
    expect(&world, (FakeStep){.method = "DELETE", .url = OBJECT "?uploadId=l1", .status = 204});
    expect(&world, (FakeStep){.method = "DELETE", .url = OBJECT "?uploadId=l2", .status = 404});
    g_assert_true(write_mib(upload, 7, NULL));
    g_autofree char *text = finish_badly(upload, STOOP_ERROR_FORBIDDEN);
    g_assert_null(strstr(text, "left behind"));
}

static void test_begin_without_id(void) {
    g_auto(World) world = world_new();
    S3Upload *upload = open_upload(&world);
    expect(&world, (FakeStep){.method = "POST", .url = OBJECT "?uploads=", .status = 200, .answer = "<x/>"});
    expect_list(&world, 403, ERROR_XML("AccessDenied"));
    g_assert_true(write_mib(upload, 7, NULL));
    g_autofree char *text = finish_badly(upload, STOOP_ERROR_FAILED);
    g_assert_true(g_str_has_prefix(text, "an upload without parts may be left behind (AccessDenied: m (403)): "));
    // Refused: nothing was begun.
    upload = open_upload(&world);
    expect(&world, (FakeStep){.method = "POST", .url = OBJECT "?uploads=", .status = 403});
    g_assert_true(write_mib(upload, 7, NULL));
    g_free(finish_badly(upload, STOOP_ERROR_FORBIDDEN));
}

// One that was lost does not stay either when the next one went well.
static void test_lost_begin_then_well(void) {
    g_auto(World) world = world_new();
    S3Upload *upload = open_upload(&world);
    expect_lost_begin(&world);
    expect_begin(&world);
    expect_part(&world, OBJECT "?partNumber=1&" ID, PART, 200);
    expect_part(&world, OBJECT "?partNumber=2&" ID, MIB, 200);
    expect_complete(&world, 200, DONE);
    expect_list(&world, 403, ERROR_XML("AccessDenied")); // best effort
    g_assert_true(write_mib(upload, 7, NULL));
    finish_well(upload);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/s3/undo/not-completed", test_not_completed);
    g_test_add_func("/s3/undo/object-taken-back", test_object_taken_back);
    g_test_add_func("/s3/undo/other-length", test_other_length);
    g_test_add_func("/s3/undo/lost-begin", test_lost_begin);
    g_test_add_func("/s3/undo/begin-without-id", test_begin_without_id);
    g_test_add_func("/s3/undo/lost-begin-then-well", test_lost_begin_then_well);
    return g_test_run();
}
