#include "aws/s3_undo.h"

#include "aws/s3_parts.h"
#include "net/http_client.h"

static void say_left(GString *left, const char *what, const GError *why) {
    g_string_append_printf(left, "%s%s (%s)", left->len ? "; " : "", what, why->message);
}

// True when it is gone, also when it was not there.
static bool delete_it(const S3Object *object, const char *query, const AwsCall *call, GError **error) {
    S3Request request = {.method = "DELETE", .query = query};
    g_auto(HttpResponse) response = {0};
    g_autoptr(GError) failure = NULL;
    if (s3_request(object, &request, call, &response, NULL, &failure) || response.status == 404)
        return true;
    g_propagate_error(error, g_steal_pointer(&failure));
    return false;
}

static bool end_upload(const S3Object *object, const char *id, const AwsCall *call, GError **error) {
    g_autoptr(GString) query = g_string_new("uploadId=");
    http_append_escaped(query, id);
    return delete_it(object, query->str, call, error);
}

// Those whose ID was in an answer that was lost.
static bool end_lost_uploads(const S3Object *object, const char *key, const AwsCall *call, GError **error) {
    g_autoptr(GString) query = g_string_new("uploads=&prefix=");
    http_append_escaped(query, key);
    S3Request request = {.of_bucket = true, .method = "GET", .query = query->str};
    g_auto(HttpResponse) response = {0};
    if (!s3_request(object, &request, call, &response, NULL, error))
        return false;
    g_autoptr(GPtrArray) ids = s3_parts_read_uploads(buf_text(&response.body), response.body.len, key);
    g_autoptr(GError) failure = NULL;
    for (guint i = 0; i < ids->len; i++)
        end_upload(object, ids->pdata[i], call, failure ? NULL : &failure);
    if (!failure)
        return true;
    g_propagate_error(error, g_steal_pointer(&failure));
    return false;
}

char *s3_undo(const S3Object *object, const S3Undo *undo, const AwsCall *call) {
    g_autoptr(GString) left = g_string_new(NULL);
    g_autoptr(GError) parts = NULL, lost = NULL, whole = NULL;
    if (undo->upload_id && !end_upload(object, undo->upload_id, call, &parts))
        say_left(left, "parts are left behind", parts);
    if (undo->lost_key && !end_lost_uploads(object, undo->lost_key, call, &lost))
        say_left(left, "an upload without parts may be left behind", lost);
    if (undo->object && !delete_it(object, NULL, call, &whole))
        say_left(left, "the object may be there", whole);
    return left->len ? g_strdup(left->str) : NULL;
}
