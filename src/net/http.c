#include "net/http.h"
#include "net/http_client.h"

void http_response_clear(HttpResponse *response) {
    buf_clear(&response->body);
    response->status = 0;
    response->retry_after_us = -1;
    response->content_type[0] = '\0';
    response->sent = false;
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
