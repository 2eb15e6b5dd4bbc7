#include "aws/s3_upload.h"

#include "aws/s3_parts.h"
#include "aws/s3_undo.h"
#include "base/error.h"
#include "base/thread.h"
#include "net/http_client.h"

#include <openssl/evp.h>
#include <string.h>

// Amazon's least is 5 MiB; two of them are in memory.
#define FIRST_PART ((size_t)6 * 1024 * 1024)
#define PARTS_OF_A_SIZE 2000
#define ABORT_US (10 * G_USEC_PER_SEC)
#define COMPLETE_TRIES 4
// A part that did not arrive as it was sent is sent again.
#define SEND_TRIES 3

struct S3Upload {
    S3Object object;
    char *bucket, *key;
    GPtrArray *headers; // what the object is to be: encryption, storage class
    int64_t deadline_us;
    const Cancel *cancel;
    const Clock *clock;
    Buf part;        // fills
    unsigned handed; // so many parts were full and were handed over
    bool failed;
    // While `sender` runs, what follows is its own.
    bool has_sender;
    pthread_t sender;
    char *id;      // of the upload in parts; NULL: not begun
    bool lost;     // an upload may have been begun whose ID is not known
    bool maybe;    // an object may be there, though nobody has confirmed that it is what was sent
    Buf sending;   // the part on its way
    GArray *parts; // S3Part, those that the server has
    GError *failure;
};

size_t s3_part_size(unsigned number) {
    return FIRST_PART << ((number - 1) / PARTS_OF_A_SIZE);
}

static void upload_free(S3Upload *upload) {
    s3_object_clear(&upload->object);
    buf_clear(&upload->part);
    buf_clear(&upload->sending);
    g_clear_error(&upload->failure);
    g_free(upload->bucket);
    g_free(upload->key);
    g_free(upload->id);
    g_ptr_array_unref(upload->headers);
    g_array_unref(upload->parts);
    g_free(upload);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(S3Upload, upload_free)

static AwsCall upload_call(const S3Upload *upload) {
    return (AwsCall){upload->deadline_us, upload->cancel};
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

S3Upload *s3_upload_open(S3Client *client, const S3UploadOptions *options, GError **error) {
    g_autoptr(S3Upload) upload = g_new0(S3Upload, 1);
    upload->headers = g_ptr_array_new_with_free_func(g_free);
    upload->parts = g_array_new(FALSE, TRUE, sizeof(S3Part));
    upload->bucket = g_strdup(options->bucket);
    upload->key = g_strdup(options->key);
    upload->deadline_us = options->deadline_us;
    upload->cancel = options->cancel;
    upload->clock = options->clock ? options->clock : clock_system();
    upload->part = (Buf)BUF_INIT(FIRST_PART);
    AwsCall call = upload_call(upload);
    if (!add_header(upload->headers, "X-Amz-Server-Side-Encryption", options->server_side_encryption, error) ||
        !add_header(upload->headers, "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id", options->kms_key_id, error) ||
        !add_header(upload->headers, "X-Amz-Storage-Class", options->storage_class, error) ||
        !s3_object_init(client, options->bucket, options->key, options->region, &call, &upload->object, error))
        return NULL;
    return g_steal_pointer(&upload);
}

// --- Parts ---

// What a body is sent with. Amazon and its like verify all of it; X-Amz-Content-Sha256, which is part of the
// signature, everybody.
typedef struct {
    S3Part part; // its tag: the MD5 at first
    char sha256_hex[AWS_SHA256_HEX];
    char *sha256_base64, *checksum_header;
} BodySums;

static void body_sums_clear(BodySums *sums) {
    g_clear_pointer(&sums->sha256_base64, g_free);
    g_clear_pointer(&sums->checksum_header, g_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(BodySums, body_sums_clear)

static bool sum_up(const S3Upload *upload, const Buf *body, BodySums *sums, GError **error) {
    const char *data = buf_text(body);
    uint8_t md5[16];
    if (!EVP_Digest(data, body->len, md5, NULL, EVP_md5(), NULL)) {
        g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_FAILED, "OpenSSL has no MD5, which S3 names parts by");
        return false;
    }
    for (size_t i = 0; i < sizeof md5; i++)
        g_snprintf(sums->part.etag + 2 * i, 3, "%02x", md5[i]);
    aws_sha256(data, body->len, sums->part.sha256);
    for (size_t i = 0; i < sizeof sums->part.sha256; i++)
        g_snprintf(sums->sha256_hex + 2 * i, 3, "%02x", sums->part.sha256[i]);
    sums->part.size = body->len;
    sums->sha256_base64 = g_base64_encode(sums->part.sha256, sizeof sums->part.sha256);
    g_autofree char *md5_base64 = g_base64_encode(md5, sizeof md5);
    sums->checksum_header = upload->object.amazon ? g_strconcat("X-Amz-Checksum-Sha256: ", sums->sha256_base64, NULL)
                                                  : g_strconcat("Content-MD5: ", md5_base64, NULL);
    return true;
}

// What the server says that it has.
typedef struct {
    char etag[64], sha256[64], encryption[64];
} Receipt;

// Without its quotes; what becomes no text of XML, or is too long, is none.
static void take_etag(Receipt *receipt, const char *value) {
    size_t len = strlen(value);
    bool quoted = len >= 2 && value[0] == '"' && value[len - 1] == '"';
    g_autofree char *bare = quoted ? g_strndup(value + 1, len - 2) : g_strdup(value);
    bool good = strlen(bare) < sizeof receipt->etag;
    for (const char *c = bare; *c; c++)
        good = good && *c > ' ' && *c < 0x7f;
    g_strlcpy(receipt->etag, good ? bare : "", sizeof receipt->etag);
}

static void take_header(const char *name, const char *value, void *header_user) {
    Receipt *receipt = header_user;
    if (g_ascii_strcasecmp(name, "ETag") == 0) {
        take_etag(receipt, value);
    } else if (g_ascii_strcasecmp(name, "x-amz-checksum-sha256") == 0) {
        g_strlcpy(receipt->sha256, value, sizeof receipt->sha256);
    } else if (g_ascii_strcasecmp(name, "x-amz-server-side-encryption") == 0) {
        g_strlcpy(receipt->encryption, value, sizeof receipt->encryption);
    }
}

// The tag of what is encrypted with somebody's key is no MD5; with Amazon's own it is. Other servers differ.
static bool etag_is_md5(const S3Upload *upload, const Receipt *receipt) {
    bool plain = !*receipt->encryption || (upload->object.amazon && strcmp(receipt->encryption, "AES256") == 0);
    return plain && strlen(receipt->etag) == 32 && strspn(receipt->etag, "0123456789abcdefABCDEF") == 32;
}

static bool matches(const S3Upload *upload, const BodySums *sums, const Receipt *receipt) {
    if (*receipt->sha256)
        return strcmp(receipt->sha256, sums->sha256_base64) == 0;
    return !etag_is_md5(upload, receipt) || g_ascii_strcasecmp(receipt->etag, sums->part.etag) == 0;
}

// Sends what stands in `sending`, until the server confirms just that. `maybe`: it failed, but the server may have
// taken it.
static bool put(S3Upload *upload, const char *query, bool with_headers, BodySums *sums, bool *maybe, GError **error) {
    if (!sum_up(upload, &upload->sending, sums, error))
        return false;
    g_autoptr(GPtrArray) headers = g_ptr_array_new();
    g_ptr_array_add(headers, sums->checksum_header);
    if (with_headers)
        g_ptr_array_extend(headers, upload->headers, NULL, NULL);
    g_ptr_array_add(headers, NULL);
    for (unsigned try = 1; try <= SEND_TRIES; try++) {
        Receipt receipt = {0};
        S3Request request = {
            .method = "PUT",
            .query = query,
            .headers = (const char *const *)headers->pdata,
            .body = buf_text(&upload->sending),
            .body_len = upload->sending.len,
            .body_sha256 = sums->sha256_hex,
            .on_header = take_header,
            .header_user = &receipt,
        };
        AwsCall call = upload_call(upload);
        g_auto(HttpResponse) response = {0};
        if (!s3_request(&upload->object, &request, &call, &response, maybe, error))
            return false;
        if (!matches(upload, sums, &receipt)) {
            *maybe = true;
            continue;
        }
        if (*receipt.etag)
            g_strlcpy(sums->part.etag, receipt.etag, sizeof sums->part.etag);
        return true;
    }
    g_set_error(error, STOOP_ERROR, STOOP_ERROR_FAILED,
                "what the server says that it has is not what was sent: another checksum (%d tries)", SEND_TRIES);
    return false;
}

static bool begin_parts(S3Upload *upload, GError **error) {
    g_autoptr(GPtrArray) headers = g_ptr_array_new();
    g_ptr_array_extend(headers, upload->headers, NULL, NULL);
    if (upload->object.amazon)
        g_ptr_array_add(headers, (char *)"X-Amz-Checksum-Algorithm: SHA256");
    g_ptr_array_add(headers, NULL);
    S3Request request = {.method = "POST", .query = "uploads=", .headers = (const char *const *)headers->pdata};
    AwsCall call = upload_call(upload);
    g_auto(HttpResponse) response = {0};
    // A try whose answer was lost may have begun one, too.
    bool answered = s3_request(&upload->object, &request, &call, &response, &upload->lost, error);
    if (answered)
        upload->id = s3_parts_read_upload_id(buf_text(&response.body), response.body.len, error);
    upload->lost = upload->lost || (answered && !upload->id);
    return upload->id != NULL;
}

static char *part_query(const S3Upload *upload, const char *before) {
    g_autoptr(GString) query = g_string_new(before);
    g_string_append(query, "uploadId=");
    http_append_escaped(query, upload->id);
    return g_strdup(query->str);
}

static bool send_part(S3Upload *upload, GError **error) {
    if (!upload->id && !begin_parts(upload, error)) {
        g_prefix_error(error, "beginning the upload: ");
        return false;
    }
    unsigned number = upload->parts->len + 1;
    g_autofree char *before = g_strdup_printf("partNumber=%u&", number);
    g_autofree char *query = part_query(upload, before);
    g_auto(BodySums) sums = {0};
    bool maybe = false; // goes with the upload
    if (!put(upload, query, false, &sums, &maybe, error)) {
        g_prefix_error(error, "part %u: ", number);
        return false;
    }
    g_array_append_val(upload->parts, sums.part);
    return true;
}

static void *sender_main(void *data) {
    S3Upload *upload = data;
    send_part(upload, &upload->failure);
    return NULL;
}

// Waits for the part that is on its way; false when it did not arrive.
static bool settle(S3Upload *upload, GError **error) {
    if (upload->has_sender)
        pthread_join(upload->sender, NULL);
    upload->has_sender = false;
    if (!upload->failure)
        return true;
    g_propagate_error(error, g_steal_pointer(&upload->failure));
    return false;
}

static void hand_over(S3Upload *upload) {
    Buf empty = upload->sending;
    upload->sending = upload->part;
    upload->part = empty;
    buf_reset(&upload->part);
    upload->handed++;
    upload->part.max = s3_part_size(upload->handed + 1);
}

// Sends the full part while the next one fills: where bytes come from waits for no server.
static bool send_aside(S3Upload *upload, GError **error) {
    if (!settle(upload, error))
        return false;
    hand_over(upload);
    upload->has_sender = thread_start(&upload->sender, "s3-part", 0, sender_main, upload, NULL);
    return upload->has_sender || send_part(upload, error);
}

static bool write_pieces(S3Upload *upload, const char *data, size_t len, GError **error) {
    while (len > 0) {
        // A full part is sent when more comes, so that what fits into one is one request.
        if (upload->part.len == upload->part.max) {
            if (upload->handed == S3_MOST_PARTS - 1) {
                g_set_error(error, STOOP_ERROR, STOOP_ERROR_TOO_LARGE, "an object has at most %d parts", S3_MOST_PARTS);
                return false;
            }
            if (!send_aside(upload, error))
                return false;
        }
        size_t taken = MIN(len, upload->part.max - upload->part.len);
        if (!buf_append(&upload->part, data, taken)) {
            g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_FAILED, "the part's buffer is full");
            return false;
        }
        data += taken;
        len -= taken;
    }
    return true;
}

bool s3_upload_write(S3Upload *upload, const char *data, size_t len, GError **error) {
    if (!upload->failed && write_pieces(upload, data, len, error))
        return true;
    if (upload->failed)
        g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_FAILED, "the upload has failed already");
    upload->failed = true;
    g_prefix_error(error, "s3://%s/%s: ", upload->bucket, upload->key);
    return false;
}

// --- The end ---

static void take_length(const char *name, const char *value, void *header_user) {
    guint64 *length = header_user;
    if (g_ascii_strcasecmp(name, "Content-Length") == 0 &&
        !g_ascii_string_to_unsigned(value, 10, 0, G_MAXINT64, length, NULL))
        *length = G_MAXUINT64;
}

// Whether the object is there, as long as what was sent.
static bool object_exists(S3Upload *upload) {
    guint64 sent = 0, length = G_MAXUINT64;
    for (guint i = 0; i < upload->parts->len; i++)
        sent += g_array_index(upload->parts, S3Part, i).size;
    S3Request request = {.method = "HEAD", .on_header = take_length, .header_user = &length};
    AwsCall call = upload_call(upload);
    g_auto(HttpResponse) response = {0};
    return s3_request(&upload->object, &request, &call, &response, NULL, NULL) && length == sent;
}

typedef enum { COMPLETED, COMPLETE_AGAIN, COMPLETE_FAILED } Completion;

static Completion complete_once(S3Upload *upload, bool *uncertain, GError **error) {
    g_autofree char *body =
        s3_parts_complete_body((const S3Part *)(void *)upload->parts->data, upload->parts->len, upload->object.amazon);
    g_autofree char *query = part_query(upload, "");
    static const char *const headers[] = {"Content-Type: application/xml", NULL};
    S3Request request = {.method = "POST", .query = query, .headers = headers, .body = body, .body_len = strlen(body)};
    AwsCall call = upload_call(upload);
    g_auto(HttpResponse) response = {0};
    if (s3_request(&upload->object, &request, &call, &response, uncertain, error)) {
        bool again = false;
        if (s3_parts_read_completed(buf_text(&response.body), response.body.len, &again, error))
            return COMPLETED;
        *uncertain = *uncertain || again;
        return again ? COMPLETE_AGAIN : COMPLETE_FAILED;
    }
    // An earlier try whose answer was lost has done it: then the upload is no more, and the object is there.
    return response.status == 404 && *uncertain && object_exists(upload) ? COMPLETED : COMPLETE_FAILED;
}

static bool complete(S3Upload *upload, GError **error) {
    for (unsigned try = 1;; try++) {
        g_autoptr(GError) failure = NULL;
        Completion completion = complete_once(upload, &upload->maybe, &failure);
        if (completion == COMPLETED)
            return true;
        if (completion == COMPLETE_FAILED || try == COMPLETE_TRIES) {
            g_propagate_prefixed_error(error, g_steal_pointer(&failure), "ending the upload: ");
            return false;
        }
    }
}

// `whole`: nothing but what was begun and lost on the way, as the object is confirmed. What is left behind in spite of
// it; NULL: nothing. g_free.
static char *take_back(S3Upload *upload, bool whole) {
    settle(upload, NULL);
    S3Undo undo = {
        .upload_id = whole ? NULL : upload->id,
        .lost_key = upload->lost ? upload->key : NULL,
        .object = !whole && upload->maybe,
    };
    // Also when everything else is over: what is left behind costs money until somebody finds it.
    AwsCall call = {.deadline_us = clock_monotonic_us(upload->clock) + ABORT_US};
    return s3_undo(&upload->object, &undo, &call);
}

static bool send_rest(S3Upload *upload, GError **error) {
    if (upload->failed) {
        g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_FAILED, "the upload has failed already");
        return false;
    }
    if (!settle(upload, error))
        return false;
    hand_over(upload);
    if (!upload->id) {
        g_auto(BodySums) sums = {0};
        return put(upload, NULL, true, &sums, &upload->maybe, error);
    }
    return send_part(upload, error) && complete(upload, error);
}

bool s3_upload_finish(S3Upload *upload, char **location, GError **error) {
    GError *failure = NULL;
    bool ok = send_rest(upload, &failure);
    if (ok) {
        g_free(take_back(upload, true));
        *location = g_strdup_printf("s3://%s/%s", upload->bucket, upload->key);
    } else {
        g_autofree char *left = take_back(upload, false);
        g_prefix_error(&failure, "s3://%s/%s: ", upload->bucket, upload->key);
        if (left)
            g_prefix_error(&failure, "%s: ", left);
        g_propagate_error(error, failure);
    }
    upload_free(upload);
    return ok;
}

void s3_upload_abort(S3Upload *upload) {
    if (!upload)
        return;
    g_free(take_back(upload, false));
    upload_free(upload);
}
