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

static bool is_upload_id(const char *id) {
    return id && *id && strlen(id) <= 2048;
}

char *s3_parts_read_upload_id(const char *xml, size_t len, GError **error) {
    g_autofree char *id = aws_xml_text(xml, len, "InitiateMultipartUploadResult/UploadId");
    if (is_upload_id(id))
        return g_steal_pointer(&id);
    g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_FAILED, "the answer has no upload ID");
    return NULL;
}

typedef struct {
    const char *key;
    char *found_key, *found_id; // of the upload that is being read
    GPtrArray *ids;
} UploadSearch;

static bool see_upload(const char *path, const char *text, void *user) {
    static const char root[] = "ListMultipartUploadsResult/Upload";
    UploadSearch *search = user;
    if (strncmp(path, root, strlen(root)) != 0)
        return true;
    const char *rest = path + strlen(root);
    if (strcmp(rest, "/Key") == 0) {
        g_free(search->found_key);
        search->found_key = g_strdup(text);
    } else if (strcmp(rest, "/UploadId") == 0) {
        g_free(search->found_id);
        search->found_id = g_strdup(text);
    } else if (*rest == '\0') {
        bool ours = g_strcmp0(search->found_key, search->key) == 0 && is_upload_id(search->found_id);
        if (ours)
            g_ptr_array_add(search->ids, g_steal_pointer(&search->found_id));
        g_clear_pointer(&search->found_key, g_free);
        g_clear_pointer(&search->found_id, g_free);
    }
    return true;
}

GPtrArray *s3_parts_read_uploads(const char *xml, size_t len, const char *key) {
    UploadSearch search = {.key = key, .ids = g_ptr_array_new_with_free_func(g_free)};
    aws_xml_read(xml, len, see_upload, &search, NULL);
    g_free(search.found_key);
    g_free(search.found_id);
    return search.ids;
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
        *again = true; // it says nothing: asked again, the server tells what became of it
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
