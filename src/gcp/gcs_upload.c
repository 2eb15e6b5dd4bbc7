#include "gcp/gcs_upload.h"

#include "base/error.h"
#include "gcp/gcp_client_private.h"
#include "gcp/gcp_crc32c.h"
#include "gcp/gcs_parts.h"

#include <openssl/evp.h>
#include <string.h>
#include <yyjson.h>

#define HOST "https://storage.googleapis.com"
enum { PART = 8 << 20, MD5_BYTES = 16, LIST_MAX = 4 << 20 };
static const int64_t ABORT_US = 10 * G_USEC_PER_SEC;

struct GcsUpload {
    GcpClient *client;
    GcpCall call;
    char *bucket, *name, *url;
    GPtrArray *headers; // what the object is to be
    GcpAuth auth;
    char *id;        // of the upload in parts; NULL: not begun
    unsigned parts;  // that the server has
    Buf part;        // what was not sent yet
    uint32_t crc32c; // of everything
    uint64_t bytes;
    bool failed;
};

static void upload_free(GcsUpload *upload) {
    g_free(upload->bucket);
    g_free(upload->name);
    g_free(upload->url);
    g_free(upload->id);
    g_ptr_array_unref(upload->headers);
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

static bool add_header(GPtrArray *headers, const char *name, const char *value, GError **error) {
    if (!value || !*value)
        return true;
    for (const char *c = value; *c; c++)
        if (*c <= ' ' || *c >= 0x7f) {
            g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID, "'%s' cannot be the value of %s", value, name);
            return false;
        }
    g_ptr_array_add(headers, g_strdup_printf("%s: %s", name, value));
    return true;
}

// The place that is asked: Google's, or an emulator's.
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
    upload->headers = g_ptr_array_new_with_free_func(g_free);
    g_autofree char *base = base_url(client);
    GString *url = g_string_new(base);
    g_string_append_printf(url, "/%s", object->bucket);
    g_auto(GStrv) segments = g_strsplit(object->name, "/", -1);
    for (char **segment = segments; *segment; segment++) {
        g_string_append_c(url, '/');
        http_append_escaped(url, *segment);
    }
    upload->url = g_string_free(url, FALSE);
    if (!add_header(upload->headers, "Content-Type", "application/octet-stream", error) ||
        !add_header(upload->headers, "x-goog-storage-class", object->storage_class, error) ||
        !add_header(upload->headers, "x-goog-encryption-kms-key-name", object->kms_key, error))
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

// Sends what stands in `part`, with checksums that the server verifies.
static bool put(GcsUpload *upload, const char *url, bool whole, GError **error) {
    g_autoptr(GPtrArray) headers = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; whole && i < upload->headers->len; i++)
        g_ptr_array_add(headers, g_strdup(g_ptr_array_index(upload->headers, i)));
    const char *data = buf_text(&upload->part);
    g_autofree char *md5 = md5_text(data, upload->part.len);
    g_autofree char *crc = crc32c_text(gcp_crc32c(0, data, upload->part.len));
    if (md5) // not where the machine's policy forbids it
        g_ptr_array_add(headers, g_strdup_printf("Content-MD5: %s", md5));
    g_ptr_array_add(headers, g_strdup_printf("x-goog-hash: crc32c=%s", crc));
    g_ptr_array_add(headers, NULL);
    GcpRequest request = {.method = "PUT",
                          .url = url,
                          .headers = (const char *const *)headers->pdata,
                          .body = data,
                          .body_len = upload->part.len,
                          .auth = upload->auth};
    g_auto(HttpResponse) response = {0};
    return gcp_request(upload->client, &request, &upload->call, &response, NULL, error);
}

static bool begin_parts(GcsUpload *upload, GError **error) {
    g_autofree char *url = g_strconcat(upload->url, "?uploads", NULL);
    g_autoptr(GPtrArray) headers = g_ptr_array_new();
    for (guint i = 0; i < upload->headers->len; i++)
        g_ptr_array_add(headers, g_ptr_array_index(upload->headers, i));
    g_ptr_array_add(headers, NULL);
    GcpRequest request = {
        .method = "POST", .url = url, .headers = (const char *const *)headers->pdata, .body = "", .auth = upload->auth};
    g_auto(HttpResponse) response = {0};
    if (!gcp_request(upload->client, &request, &upload->call, &response, NULL, error))
        return false;
    upload->id = gcs_xml_text(buf_text(&response.body), "UploadId");
    if (upload->id && *upload->id)
        return true;
    g_clear_pointer(&upload->id, g_free);
    g_set_error(error, STOOP_ERROR, STOOP_ERROR_FAILED, "the server named no upload to send parts to");
    return false;
}

static char *upload_url(const GcsUpload *upload, const char *more) {
    GString *url = g_string_new(upload->url);
    g_string_append(url, "?uploadId=");
    http_append_escaped(url, upload->id);
    g_string_append(url, more);
    return g_string_free(url, FALSE);
}

static bool send_part(GcsUpload *upload, GError **error) {
    if (!upload->id && !begin_parts(upload, error))
        return false;
    if (upload->parts >= GCS_MOST_PARTS) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_TOO_LARGE, "the object is larger than %d parts of 8 MiB",
                    GCS_MOST_PARTS);
        return false;
    }
    g_autofree char *number = g_strdup_printf("&partNumber=%u", upload->parts + 1);
    g_autofree char *url = upload_url(upload, number);
    if (!put(upload, url, false, error))
        return false;
    upload->parts++;
    buf_reset(&upload->part);
    return true;
}

bool gcs_upload_write(GcsUpload *upload, const char *data, size_t len, GError **error) {
    upload->crc32c = gcp_crc32c(upload->crc32c, data, len);
    upload->bytes += len;
    while (len > 0) {
        // Sent only when more comes: an object of just 8 MiB goes up in one request.
        if (upload->part.len == PART && !send_part(upload, error)) {
            upload->failed = true;
            return false;
        }
        size_t piece = MIN(len, PART - upload->part.len);
        if (!buf_append(&upload->part, data, piece))
            return false;
        data += piece;
        len -= piece;
    }
    return true;
}

static bool list_parts(GcsUpload *upload, GArray *parts, GError **error) {
    for (bool more = true; more;) {
        g_autofree char *from = parts->len > 0 ? g_strdup_printf("&part-number-marker=%u", parts->len) : g_strdup("");
        g_autofree char *url = upload_url(upload, from);
        GcpRequest request = {.method = "GET", .url = url, .auth = upload->auth, .max_response = LIST_MAX};
        g_auto(HttpResponse) response = {0};
        if (!gcp_request(upload->client, &request, &upload->call, &response, NULL, error) ||
            !gcs_parts_read(buf_text(&response.body), parts, &more, error))
            return false;
    }
    uint64_t bytes = 0;
    for (guint i = 0; i < parts->len; i++)
        bytes += g_array_index(parts, GcsPart, i).size;
    if (parts->len == upload->parts && bytes == upload->bytes)
        return true;
    g_set_error(error, STOOP_ERROR, STOOP_ERROR_FAILED, "the server has %u parts and not the %u that were sent",
                parts->len, upload->parts);
    return false;
}

// `confirmed`: false where the answer was lost, so that the object must tell.
static bool complete_parts(GcsUpload *upload, bool *confirmed, GError **error) {
    g_autoptr(GArray) parts = g_array_new(FALSE, TRUE, sizeof(GcsPart));
    if (!list_parts(upload, parts, error))
        return false;
    g_autofree char *body = gcs_parts_write(parts);
    g_autofree char *url = upload_url(upload, "");
    GcpRequest request = {.method = "POST",
                          .url = url,
                          .headers = (const char *[]){"Content-Type: application/xml", NULL},
                          .body = body,
                          .body_len = strlen(body),
                          .auth = upload->auth};
    g_auto(HttpResponse) response = {0};
    g_autoptr(GError) failed = NULL;
    bool uncertain = false;
    bool done = gcp_request(upload->client, &request, &upload->call, &response, &uncertain, &failed);
    *confirmed = done;
    if (!done && !(uncertain && stoop_error_is(failed, STOOP_ERROR_NOT_FOUND))) {
        g_propagate_error(error, g_steal_pointer(&failed));
        return false;
    }
    if (done && strstr(buf_text(&response.body), "<Error>")) {
        g_autofree char *message = gcs_xml_text(buf_text(&response.body), "Message");
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_FAILED, "the parts were not joined: %s", message ? message : "");
        return false;
    }
    return true;
}

// Where the server's checksum is that of what was sent.
static bool compare(const GcsUpload *upload, const HttpResponse *response, GError **error) {
    yyjson_doc *doc = response->body.len ? yyjson_read(response->body.data, response->body.len, 0) : NULL;
    yyjson_val *root = yyjson_doc_get_root(doc);
    g_autofree char *size = g_strdup_printf("%" G_GUINT64_FORMAT, upload->bytes);
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

// `needed`: false where the server has confirmed everything, so that not being allowed to look is no failure.
static bool verify(GcsUpload *upload, bool needed, GError **error) {
    g_autofree char *base = base_url(upload->client);
    g_autoptr(GString) url = g_string_new(base);
    g_string_append_printf(url, "/storage/v1/b/%s/o/", upload->bucket);
    http_append_escaped(url, upload->name);
    GcpRequest request = {.method = "GET", .url = url->str, .auth = upload->auth};
    g_auto(HttpResponse) response = {0};
    g_autoptr(GError) failed = NULL;
    if (gcp_request(upload->client, &request, &upload->call, &response, NULL, &failed))
        return compare(upload, &response, error);
    if (!needed && stoop_error_is(failed, STOOP_ERROR_FORBIDDEN))
        return true;
    g_propagate_error(error, g_steal_pointer(&failed));
    return false;
}

static bool finish(GcsUpload *upload, GError **error) {
    if (!upload->id)
        return put(upload, upload->url, true, error) && verify(upload, false, error);
    bool confirmed = false;
    return (upload->part.len == 0 || send_part(upload, error)) && complete_parts(upload, &confirmed, error) &&
           verify(upload, !confirmed, error);
}

bool gcs_upload_finish(GcsUpload *upload, GError **error) {
    if (upload->failed || !finish(upload, error)) {
        if (error && !*error)
            g_set_error(error, STOOP_ERROR, STOOP_ERROR_FAILED, "the upload had failed before");
        gcs_upload_abort(upload);
        return false;
    }
    upload_free(upload);
    return true;
}

void gcs_upload_abort(GcsUpload *upload) {
    if (upload->id) {
        // A time of its own, and no cancellation: parts that are left cost money.
        GcpCall call = {.deadline_us = clock_monotonic_us(upload->client->clock) + ABORT_US};
        g_autofree char *url = upload_url(upload, "");
        GcpRequest request = {.method = "DELETE", .url = url, .auth = upload->auth};
        g_auto(HttpResponse) response = {0};
        gcp_request(upload->client, &request, &call, &response, NULL, NULL);
    }
    upload_free(upload);
}
