#include "aws/s3_parts.h"

#include "aws/aws_text.h"
#include "base/error.h"

#include <string.h>

char *s3_parts_complete_body(const S3Part *parts, unsigned count, bool checksums) {
    GString *body = g_string_new("<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    for (unsigned i = 0; i < count; i++) {
        g_string_append_printf(body, "<Part><PartNumber>%u</PartNumber><ETag>&quot;", i + 1);
        aws_xml_append_escaped(body, parts[i].etag);
        g_string_append(body, "&quot;</ETag>");
        if (checksums) {
            g_autofree char *checksum = g_base64_encode(parts[i].sha256, sizeof parts[i].sha256);
            g_string_append_printf(body, "<ChecksumSHA256>%s</ChecksumSHA256>", checksum);
        }
        g_string_append(body, "</Part>");
    }
    g_string_append(body, "</CompleteMultipartUpload>");
    return g_string_free(body, FALSE);
}

char *s3_parts_read_upload_id(const char *xml, size_t len, GError **error) {
    g_autofree char *id = aws_xml_text(xml, len, "InitiateMultipartUploadResult/UploadId");
    if (id && *id && strlen(id) <= 2048)
        return g_steal_pointer(&id);
    g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_FAILED, "the answer has no upload ID");
    return NULL;
}

static bool see_root(const char *path, const char *text, void *user) {
    if (!strchr(path, '/'))
        *(bool *)user = strcmp(path, "CompleteMultipartUploadResult") == 0;
    return true;
}

bool s3_parts_read_completed(const char *xml, size_t len, bool *again, GError **error) {
    *again = false;
    bool done = false;
    g_autoptr(GError) broken = NULL;
    if (aws_xml_read(xml, len, see_root, &done, &broken) && done)
        return true;
    g_auto(AwsProblem) problem = {0};
    if (!aws_problem_read(xml, len, &problem)) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_FAILED, "the end of the upload was not confirmed%s%s",
                    broken ? ": " : "", broken ? broken->message : "");
        return false;
    }
    static const char *const passing[] = {"InternalError", "SlowDown", "ServiceUnavailable", "RequestTimeout", NULL};
    *again = problem.code && g_strv_contains(passing, problem.code);
    g_set_error(error, STOOP_ERROR, *again ? STOOP_ERROR_UNAVAILABLE : STOOP_ERROR_FAILED, "%s: %s",
                problem.code ? problem.code : "error", problem.message ? problem.message : "");
    return false;
}

typedef struct {
    S3Part *parts;
    unsigned count;
    guint64 number, size;
    char *etag, *checksum;
    char *marker;
    bool truncated, differs;
} ListReader;

static void replace(char **into, const char *text) {
    g_free(*into);
    *into = g_strdup(text);
}

static bool is_plain(const char *text) {
    for (; *text; text++)
        if (*text <= ' ' || *text >= 0x7f)
            return false;
    return true;
}

static void take_part(ListReader *reader) {
    if (reader->number < 1 || reader->number > reader->count || !reader->etag)
        return;
    S3Part *part = &reader->parts[reader->number - 1];
    g_autofree char *ours = g_base64_encode(part->sha256, sizeof part->sha256);
    if (reader->size != part->size || (reader->checksum && strcmp(reader->checksum, ours) != 0))
        reader->differs = true;
    size_t len = strlen(reader->etag);
    bool quoted = len >= 2 && reader->etag[0] == '"' && reader->etag[len - 1] == '"';
    g_autofree char *bare = quoted ? g_strndup(reader->etag + 1, len - 2) : g_strdup(reader->etag);
    if (strlen(bare) < sizeof part->etag && is_plain(bare))
        g_strlcpy(part->etag, bare, sizeof part->etag);
}

static bool take_list(const char *path, const char *text, void *user) {
    ListReader *reader = user;
    if (!g_str_has_prefix(path, "ListPartsResult/"))
        return true;
    const char *name = path + strlen("ListPartsResult/");
    if (strcmp(name, "Part/PartNumber") == 0) {
        reader->number = g_ascii_strtoull(text, NULL, 10);
    } else if (strcmp(name, "Part/Size") == 0) {
        reader->size = g_ascii_strtoull(text, NULL, 10);
    } else if (strcmp(name, "Part/ETag") == 0) {
        replace(&reader->etag, text);
    } else if (strcmp(name, "Part/ChecksumSHA256") == 0) {
        replace(&reader->checksum, text);
    } else if (strcmp(name, "NextPartNumberMarker") == 0) {
        replace(&reader->marker, text);
    } else if (strcmp(name, "IsTruncated") == 0) {
        reader->truncated = strcmp(text, "true") == 0;
    } else if (strcmp(name, "Part") == 0) {
        take_part(reader);
        g_clear_pointer(&reader->etag, g_free);
        g_clear_pointer(&reader->checksum, g_free);
        reader->number = reader->size = 0;
    }
    return true;
}

bool s3_parts_read_list(const char *xml, size_t len, S3Part *parts, unsigned count, unsigned *next, GError **error) {
    ListReader reader = {.parts = parts, .count = count};
    bool ok = aws_xml_read(xml, len, take_list, &reader, error);
    guint64 marker = reader.marker ? g_ascii_strtoull(reader.marker, NULL, 10) : 0;
    g_free(reader.etag);
    g_free(reader.checksum);
    g_free(reader.marker);
    if (ok && reader.differs) {
        g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_FAILED, "a part that the server has is not what was sent");
        return false;
    }
    *next = reader.truncated && marker > 0 && marker < S3_MOST_PARTS ? (unsigned)marker : 0;
    return ok;
}
