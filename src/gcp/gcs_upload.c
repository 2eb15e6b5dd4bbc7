#include "gcp/gcs_upload.h"

#include "base/backoff.h"
#include "base/error.h"
#include "gcp/gcp_client_private.h"
#include "gcp/gcp_crc32c.h"

#include <openssl/evp.h>
#include <string.h>
#include <yyjson.h>

#define HOST "https://storage.googleapis.com"
enum { PART = 8 << 20, MD5_BYTES = 16, SESSION_MAX = 4096 };
static const int64_t ABORT_US = 10 * G_USEC_PER_SEC;
static const int64_t BACKOFF_BASE_US = 200000, BACKOFF_MAX_US = 10000000;

struct GcsUpload {
    GcpClient *client;
    GcpCall call;
    char *bucket, *name, *storage_class, *kms_key; // the last two may be NULL
    char *base;                                    // the place that is asked: Google's, or an emulator's
    GcpAuth auth;
    // The URL of the upload, which whoever knows it may write to: never said. NULL: not begun.
    char *session;
    Buf part;        // the newest bytes
    uint64_t start;  // where they begin
    uint64_t held;   // so many bytes the server has: `start` to the end of `part`
    uint32_t crc32c; // of everything
    bool done, failed;
    // An object may be there, though nobody has confirmed that it is what was sent.
    bool maybe;
};

static void upload_free(GcsUpload *upload) {
    g_free(upload->bucket);
    g_free(upload->name);
    g_free(upload->storage_class);
    g_free(upload->kms_key);
    g_free(upload->base);
    g_free(upload->session);
    buf_clear(&upload->part);
    g_free(upload);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(GcsUpload, upload_free)

bool gcs_bucket_is_valid(const char *name) {
    size_t len = strlen(name);
    return len >= 3 && len <= 222 && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == len &&
           g_ascii_isalnum(name[0]) && g_ascii_isalnum(name[len - 1]) && !strstr(name, "..");
}

static bool name_is_valid(const char *name) {
    return *name && strlen(name) <= 1024 && g_utf8_validate(name, -1, NULL) && !strpbrk(name, "\r\n") &&
           strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && !strstr(name, "/../") &&
           !g_str_has_prefix(name, "../") && !g_str_has_prefix(name, "/");
}

static bool take_text(char **into, const char *what, const char *text, GError **error) {
    if (!text || !*text)
        return true;
    for (const char *c = text; *c; c++)
        if (*c <= ' ' || *c >= 0x7f) {
            g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID, "'%s' cannot be the %s", text, what);
            return false;
        }
    *into = g_strdup(text);
    return true;
}

static char *base_url(const GcpClient *client) {
    const char *emulator = gcp_environment(client, "STORAGE_EMULATOR_HOST");
    if (!emulator)
        return g_strdup(HOST);
    char *url = strstr(emulator, "://") ? g_strdup(emulator) : g_strconcat("http://", emulator, NULL);
    while (g_str_has_suffix(url, "/"))
        url[strlen(url) - 1] = '\0';
    return url;
}

GcsUpload *gcs_upload_begin(GcpClient *client, const GcsObject *object, const GcpCall *call, GError **error) {
    if (!gcs_bucket_is_valid(object->bucket) || !name_is_valid(object->name)) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID, "'%s' in '%s' cannot be an object and its bucket",
                    object->name, object->bucket);
        return NULL;
    }
    g_autoptr(GcsUpload) upload = g_new0(GcsUpload, 1);
    upload->client = client;
    upload->call = (GcpCall){gcp_deadline_us(client, call), call->cancel};
    upload->bucket = g_strdup(object->bucket);
    upload->name = g_strdup(object->name);
    upload->auth = gcp_environment(client, "STORAGE_EMULATOR_HOST") ? GCP_ANONYMOUS : GCP_ACCESS;
    upload->part = (Buf)BUF_INIT(PART);
    upload->base = base_url(client);
    if (!take_text(&upload->storage_class, "storage class", object->storage_class, error) ||
        !take_text(&upload->kms_key, "name of a key", object->kms_key, error))
        return NULL;
    return g_steal_pointer(&upload);
}

static char *crc32c_text(uint32_t crc) {
    unsigned char bytes[4] = {crc >> 24 & 0xff, crc >> 16 & 0xff, crc >> 8 & 0xff, crc & 0xff};
    return g_base64_encode(bytes, sizeof bytes);
}

static char *md5_text(const char *data, size_t len) {
    unsigned char md5[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    return EVP_Digest(data, len, md5, &size, EVP_md5(), NULL) == 1 && size == MD5_BYTES ? g_base64_encode(md5, size)
                                                                                        : NULL;
}

// --- The session ---

// What an answer says beside its body.
typedef struct {
    char *session;
    char range[64];
} Reply;

static void reply_clear(Reply *reply) {
    g_clear_pointer(&reply->session, g_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Reply, reply_clear)

static void take_header(const char *name, const char *value, void *header_user) {
    Reply *reply = header_user;
    if (g_ascii_strcasecmp(name, "Location") == 0) {
        g_free(reply->session);
        reply->session = strlen(value) <= SESSION_MAX ? g_strdup(value) : NULL;
    } else if (g_ascii_strcasecmp(name, "Range") == 0) {
        g_strlcpy(reply->range, value, sizeof reply->range);
    }
}

// What the object is to be. With everything at hand already, the server is told its checksums before, and makes no
// object of anything else.
static char *metadata(const GcsUpload *upload, bool whole) {
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    yyjson_mut_doc_set_root(doc, root);
    yyjson_mut_obj_add_str(doc, root, "name", upload->name);
    yyjson_mut_obj_add_str(doc, root, "contentType", "application/octet-stream");
    if (upload->storage_class)
        yyjson_mut_obj_add_str(doc, root, "storageClass", upload->storage_class);
    g_autofree char *crc = crc32c_text(upload->crc32c);
    g_autofree char *md5 = whole ? md5_text(buf_text(&upload->part), upload->part.len) : NULL;
    if (whole)
        yyjson_mut_obj_add_str(doc, root, "crc32c", crc);
    if (md5) // not where the machine's policy forbids it
        yyjson_mut_obj_add_str(doc, root, "md5Hash", md5);
    char *json = yyjson_mut_write(doc, 0, NULL);
    yyjson_mut_doc_free(doc);
    return json;
}

static bool begin_session(GcsUpload *upload, bool whole, GError **error) {
    g_autoptr(GString) url = g_string_new(upload->base);
    g_string_append_printf(url, "/upload/storage/v1/b/%s/o?uploadType=resumable", upload->bucket);
    if (upload->kms_key) {
        g_string_append(url, "&kmsKeyName=");
        http_append_escaped(url, upload->kms_key);
    }
    char *json = metadata(upload, whole);
    g_auto(Reply) reply = {0};
    GcpRequest request = {.method = "POST",
                          .url = url->str,
                          .headers = (const char *[]){"Content-Type: application/json",
                                                      "X-Upload-Content-Type: application/octet-stream", NULL},
                          .body = json,
                          .body_len = strlen(json),
                          .auth = upload->auth,
                          .on_header = take_header,
                          .header_user = &reply};
    g_auto(HttpResponse) response = {0};
    bool ok = gcp_request(upload->client, &request, &upload->call, &response, NULL, error);
    free(json);
    if (!ok)
        return false;
    const char *scheme = upload->auth == GCP_ANONYMOUS ? "http" : "https://";
    if (!reply.session || !g_str_has_prefix(reply.session, scheme)) {
        g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_FAILED, "the server named no session to upload to");
        return false;
    }
    upload->session = g_steal_pointer(&reply.session);
    return true;
}

// Takes note of "bytes=0-LAST": it can neither have lost what was let go here, nor have more than was sent.
static bool take_range(GcsUpload *upload, const char *range, GError **error) {
    guint64 last = 0;
    bool some = *range != '\0';
    bool known = !some || (g_str_has_prefix(range, "bytes=0-") &&
                           g_ascii_string_to_unsigned(range + strlen("bytes=0-"), 10, 0, G_MAXINT64, &last, NULL));
    uint64_t held = some ? last + 1 : 0;
    if (known && held >= upload->start && held <= upload->start + upload->part.len) {
        upload->held = held;
        return true;
    }
    g_set_error(error, STOOP_ERROR, STOOP_ERROR_FAILED,
                "the server says that it has '%.40s', which cannot be: %" G_GUINT64_FORMAT " bytes were sent", range,
                upload->start + upload->part.len);
    return false;
}

// Whether the server's checksum is that of what was sent.
static bool compare(const GcsUpload *upload, const HttpResponse *response, GError **error) {
    yyjson_doc *doc = response->body.len ? yyjson_read(response->body.data, response->body.len, 0) : NULL;
    yyjson_val *root = yyjson_doc_get_root(doc);
    g_autofree char *size = g_strdup_printf("%" G_GUINT64_FORMAT, upload->start + upload->part.len);
    g_autofree char *crc = crc32c_text(upload->crc32c);
    bool same =
        yyjson_equals_str(yyjson_obj_get(root, "size"), size) && yyjson_equals_str(yyjson_obj_get(root, "crc32c"), crc);
    yyjson_doc_free(doc);
    if (!same)
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_FAILED,
                    "the object '%s' in the bucket '%s' is not what was sent: its size or checksum is another",
                    upload->name, upload->bucket);
    return same;
}

// Puts what the server does not have yet; with `ask` nothing, to learn what it has. `again`: the failure may pass.
static bool put(GcsUpload *upload, bool last, bool ask, bool *again, int64_t *retry_after_us, GError **error) {
    uint64_t end = upload->start + upload->part.len;
    size_t skip = (size_t)(ask ? upload->part.len : upload->held - upload->start);
    size_t len = upload->part.len - skip;
    g_autofree char *total = last ? g_strdup_printf("%" G_GUINT64_FORMAT, end) : g_strdup("*");
    g_autofree char *range =
        len > 0 ? g_strdup_printf("Content-Range: bytes %" G_GUINT64_FORMAT "-%" G_GUINT64_FORMAT "/%s", upload->held,
                                  end - 1, total)
                : g_strdup_printf("Content-Range: bytes */%s", total);
    g_autofree char *crc = crc32c_text(upload->crc32c);
    g_autofree char *hash = g_strconcat("X-Goog-Hash: crc32c=", crc, NULL);
    g_auto(Reply) reply = {0};
    GcpRequest request = {.method = "PUT",
                          .url = upload->session,
                          .headers = (const char *[]){range, last ? hash : NULL, NULL},
                          .body = buf_text(&upload->part) + skip,
                          .body_len = len,
                          // Whose bytes may have arrived is not repeated before it was asked what did.
                          .once = !ask,
                          .on_header = take_header,
                          .header_user = &reply};
    g_auto(HttpResponse) response = {0};
    g_autoptr(GError) failure = NULL;
    bool done = gcp_request(upload->client, &request, &upload->call, &response, NULL, &failure);
    if (done) {
        upload->done = true;
        upload->maybe = !last || !compare(upload, &response, error);
        if (last)
            return !upload->maybe;
        g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_FAILED, "the server ended the upload before its end");
        return false;
    }
    if (response.status == 308)
        return take_range(upload, reply.range, error);
    if (last && (response.status ? response.status >= 500 : response.sent))
        upload->maybe = true;
    *again = stoop_error_is(failure, STOOP_ERROR_UNAVAILABLE);
    *retry_after_us = response.retry_after_us;
    g_propagate_error(error, g_steal_pointer(&failure));
    return false;
}

static bool has_time(const GcsUpload *upload, int64_t wait_us) {
    return !cancel_is_set(upload->call.cancel) &&
           clock_monotonic_us(upload->client->clock) + wait_us < upload->call.deadline_us;
}

// Sends what stands in `part` until the server has all of it, going on where it says that it stands.
static bool send_part(GcsUpload *upload, bool last, GError **error) {
    if (!upload->session && !begin_session(upload, last, error))
        return false;
    Backoff backoff = {.base_us = BACKOFF_BASE_US, .max_us = BACKOFF_MAX_US};
    while (last ? !upload->done : upload->held < upload->start + upload->part.len) {
        g_autoptr(GError) failure = NULL;
        bool again = false;
        int64_t retry_after_us = 0;
        uint64_t before = upload->held;
        bool ok = put(upload, last, false, &again, &retry_after_us, &failure);
        if (ok && (upload->done || upload->held > before)) {
            backoff.attempt = 0;
            continue;
        }
        // It failed in a way that may pass, or the server took nothing.
        int64_t wait_us = backoff_next_us(&backoff, upload->client->random32(upload->client->user));
        if (retry_after_us > wait_us)
            wait_us = retry_after_us;
        if ((!ok && !again) || !has_time(upload, wait_us)) {
            if (ok)
                g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_TIMEOUT, "the server takes no more bytes");
            else
                g_propagate_error(error, g_steal_pointer(&failure));
            return false;
        }
        upload->client->wait_us(wait_us, upload->call.cancel, upload->client->user);
        if (!ok && !put(upload, last, true, &again, &retry_after_us, error))
            return false;
    }
    upload->start += upload->part.len;
    buf_reset(&upload->part);
    return true;
}

bool gcs_upload_write(GcsUpload *upload, const char *data, size_t len, GError **error) {
    while (len > 0) {
        // Sent only when more comes: the last part says that it is the last.
        if (upload->part.len == PART && !send_part(upload, false, error)) {
            upload->failed = true;
            return false;
        }
        size_t piece = MIN(len, PART - upload->part.len);
        if (!buf_append(&upload->part, data, piece)) {
            g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_FAILED, "the part's buffer is full");
            upload->failed = true;
            return false;
        }
        upload->crc32c = gcp_crc32c(upload->crc32c, data, piece);
        data += piece;
        len -= piece;
    }
    return true;
}

// --- The end ---

// 499, "the client closed the request", says that it is over and has become no object.
static bool end_session(GcsUpload *upload, const GcpCall *call) {
    GcpRequest request = {.method = "DELETE", .url = upload->session};
    g_auto(HttpResponse) response = {0};
    gcp_request(upload->client, &request, call, &response, NULL, NULL);
    return response.status == 499;
}

// True when it is gone, also when it was not there.
static bool delete_object(GcsUpload *upload, const GcpCall *call, GError **error) {
    g_autoptr(GString) url = g_string_new(upload->base);
    g_string_append_printf(url, "/storage/v1/b/%s/o/", upload->bucket);
    http_append_escaped(url, upload->name);
    GcpRequest request = {.method = "DELETE", .url = url->str, .auth = upload->auth};
    g_auto(HttpResponse) response = {0};
    g_autoptr(GError) failure = NULL;
    if (gcp_request(upload->client, &request, call, &response, NULL, &failure) || response.status == 404)
        return true;
    g_propagate_error(error, g_steal_pointer(&failure));
    return false;
}

// False with an error when the object may be there in spite of it.
static bool take_back(GcsUpload *upload, GError **error) {
    // A time of its own, and no cancellation.
    GcpCall call = {.deadline_us = clock_monotonic_us(upload->client->clock) + ABORT_US};
    if (upload->session && !upload->done && end_session(upload, &call))
        return true;
    return !upload->maybe || delete_object(upload, &call, error);
}

bool gcs_upload_finish(GcsUpload *upload, GError **error) {
    GError *failure = NULL;
    if (upload->failed)
        g_set_error_literal(&failure, STOOP_ERROR, STOOP_ERROR_FAILED, "the upload had failed before");
    else
        send_part(upload, true, &failure);
    g_autoptr(GError) left = NULL;
    if (failure && !take_back(upload, &left))
        g_prefix_error(&failure, "the object may be there (%s): ", left->message);
    upload_free(upload);
    if (!failure)
        return true;
    g_propagate_error(error, failure);
    return false;
}

void gcs_upload_abort(GcsUpload *upload) {
    take_back(upload, NULL);
    upload_free(upload);
}
