// What the API server says went wrong, as an error of ours.
// https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
#include "base/error.h"
#include "base/one_line.h"
#include "kube/kube_client_internal.h"

#include <string.h>

enum { STATUS_MAX = 1 << 20, TEXT_MAX = 2048, RAW_MAX = 200 };

static StoopError code_of(int status) {
    if (status == 410) // a list or watch that is too old
        return STOOP_ERROR_CONFLICT;
    if (status < 400) // a redirection by something in between: it says nothing about the request
        return STOOP_ERROR_FAILED;
    return status >= 500 ? STOOP_ERROR_UNAVAILABLE : http_status_error(status);
}

static const char *phrase_of(int status) {
    static const struct {
        int status;
        const char *phrase;
    } phrases[] = {
        {400, "BadRequest"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "NotFound"},
        {405, "MethodNotAllowed"},
        {406, "NotAcceptable"},
        {408, "RequestTimeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {412, "Conflict"},
        {413, "RequestEntityTooLarge"},
        {415, "UnsupportedMediaType"},
        {422, "Invalid"},
        {429, "TooManyRequests"},
        {500, "InternalError"},
        {502, "BadGateway"},
        {503, "ServiceUnavailable"},
        {504, "Timeout"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(phrases); i++)
        if (phrases[i].status == status)
            return phrases[i].phrase;
    return "";
}

void kube_status_object_error(yyjson_val *object, int status, GError **error) {
    yyjson_val *message = yyjson_obj_get(object, "message");
    const char *reason = yyjson_get_str(yyjson_obj_get(object, "reason"));
    yyjson_val *code = yyjson_obj_get(object, "code");
    if (yyjson_is_int(code) && yyjson_get_sint(code) >= 100 && yyjson_get_sint(code) <= 599)
        status = (int)yyjson_get_sint(code);
    if (!reason || !*reason)
        reason = phrase_of(status);
    g_autofree char *said = yyjson_is_str(message)
                                ? one_line(yyjson_get_str(message), yyjson_get_len(message), TEXT_MAX)
                                : g_strdup("the API server gave no reason");
    g_autofree char *why = one_line(reason, strlen(reason), 100);
    g_set_error(error, STOOP_ERROR, code_of(status), "%s (%d%s%s)", said, status, *why ? " " : "", why);
}

void kube_status_error(const char *method, const char *url, int status, const char *body, size_t len, GError **error) {
    g_autoptr(yyjson_doc) doc = len > 0 && len <= STATUS_MAX ? yyjson_read(body, len, 0) : NULL;
    yyjson_val *root = yyjson_doc_get_root(doc);
    if (yyjson_is_str(yyjson_obj_get(root, "message"))) {
        kube_status_object_error(root, status, error);
        return;
    }
    // Not from the API server, or from something in front of it: then it helps to see who was asked what.
    g_autofree char *said = one_line(body ? body : "", len, RAW_MAX);
    const char *phrase = phrase_of(status);
    g_set_error(error, STOOP_ERROR, code_of(status), "%s %s: HTTP %d%s%s%s%s", method, url, status, *phrase ? " " : "",
                phrase, *said ? ": " : "", said);
}

int64_t kube_status_retry_after_us(const char *body, size_t len) {
    g_autoptr(yyjson_doc) doc = len > 0 && len <= STATUS_MAX ? yyjson_read(body, len, 0) : NULL;
    yyjson_val *details = yyjson_obj_get(yyjson_doc_get_root(doc), "details");
    yyjson_val *seconds = yyjson_obj_get(details, "retryAfterSeconds");
    if (!yyjson_is_int(seconds) || yyjson_get_sint(seconds) < 0 || yyjson_get_sint(seconds) > 86400)
        return -1;
    return yyjson_get_sint(seconds) * 1000000;
}
