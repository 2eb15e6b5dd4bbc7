#include "net/http.h"
#include "net/http_client.h"

void http_response_clear(HttpResponse *response) {
    buf_clear(&response->body);
    response->status = 0;
    response->retry_after_us = -1;
    response->content_type[0] = '\0';
    response->sent = false;
}

StoopError http_status_error(int status) {
    switch (status) {
    case 401:
        return STOOP_ERROR_UNAUTHENTICATED;
    case 403:
        return STOOP_ERROR_FORBIDDEN;
    case 404:
        return STOOP_ERROR_NOT_FOUND;
    case 409:
    case 412:
        return STOOP_ERROR_CONFLICT;
    case 413:
        return STOOP_ERROR_TOO_LARGE;
    case 408:
    case 429:
    case 500:
    case 502:
    case 503:
    case 504:
        return STOOP_ERROR_UNAVAILABLE;
    default:
        return status >= 300 && status < 500 ? STOOP_ERROR_INVALID : STOOP_ERROR_FAILED;
    }
}

void http_append_escaped(GString *url, const char *text) {
    static const char hex[] = "0123456789ABCDEF";
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (g_ascii_isalnum(*c) || *c == '-' || *c == '.' || *c == '_' || *c == '~') {
            g_string_append_c(url, (char)*c);
        } else {
            g_string_append_c(url, '%');
            g_string_append_c(url, hex[*c >> 4]);
            g_string_append_c(url, hex[*c & 15]);
        }
    }
}
