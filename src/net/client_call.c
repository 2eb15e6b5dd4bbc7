#include "net/client_call.h"

#include "base/error.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define DEFAULT_MAX_RESPONSE ((size_t)16 * 1024 * 1024)
#define MAX_HEADERS 256
// libcurl 7.88 spins on a full HTTP/2 window while it sends; bodies that may fill one go over HTTP/1.1.
#define LARGE_BODY ((size_t)1024 * 1024)
// An unanswered connection counts as broken after this, where otherwise only the kernel's 15 minutes would end it.
#define PEER_SILENT_MS 30000

typedef enum { METHOD_NONE, METHOD_GET, METHOD_HEAD, METHOD_BODY } MethodKind;

struct ClientHandle {
    const ClientSettings *settings;
    TlsMaterial *tls;
    CURL *easy;
    ClientCall *call;
    char error_text[CURL_ERROR_SIZE];
    // What the handle is set to, so that the next call sets only what differs.
    MethodKind kind;
    long version;
    GString *headers_key; // the caller's headers, a line each
    struct curl_slist *headers;
    struct curl_slist *connect_to;
    char *authority; // that connect_to is for
};

// --- Callbacks ---

int64_t client_retry_after_us(const char *value) {
    if (!value)
        return -1;
    if (g_ascii_isdigit(*value))
        return (int64_t)MIN(g_ascii_strtoull(value, NULL, 10), (guint64)G_MAXINT32) * G_USEC_PER_SEC;
    time_t when = curl_getdate(value, NULL);
    if (when < 0)
        return -1;
    return MAX((int64_t)when * G_USEC_PER_SEC - g_get_real_time(), 0);
}

// The value of `line` when it is the header `name`, else NULL. It is trimmed in `scratch`.
static const char *header_value(const char *line, size_t len, const char *name, char *scratch, size_t size) {
    size_t name_len = strlen(name);
    if (len <= name_len || line[name_len] != ':' || g_ascii_strncasecmp(line, name, name_len) != 0)
        return NULL;
    const char *value = line + name_len + 1, *end = line + len;
    while (value < end && g_ascii_isspace(*value))
        value++;
    while (end > value && g_ascii_isspace(end[-1]))
        end--;
    size_t value_len = MIN((size_t)(end - value), size - 1);
    memcpy(scratch, value, value_len);
    scratch[value_len] = '\0';
    return scratch;
}

// Hands "Name: value" up.
static void tell_header(const HttpRequest *request, const char *line, size_t len) {
    const char *colon = request->on_header ? memchr(line, ':', len) : NULL;
    if (!colon || colon == line)
        return;
    g_autofree char *name = g_strndup(line, (size_t)(colon - line));
    g_autofree char *value = g_strndup(colon + 1, len - (size_t)(colon + 1 - line));
    request->on_header(name, g_strstrip(value), request->header_user);
}

static size_t on_header(char *line, size_t size, size_t count, void *user) {
    ClientCall *call = ((ClientHandle *)user)->call;
    HttpResponse *response = &call->response;
    size_t len = size * count;
    char value[128];
    if (len > 5 && memcmp(line, "HTTP/", 5) == 0) {
        // A new status line: the ones before were of interim answers.
        const char *blank = memchr(line, ' ', len);
        response->status = blank ? (int)strtol(blank, NULL, 10) : 0;
        response->retry_after_us = -1;
        response->content_type[0] = '\0';
        call->streaming = call->request->on_data && response->status >= 200 && response->status < 300;
    } else if (header_value(line, len, "Retry-After", value, sizeof value)) {
        response->retry_after_us = client_retry_after_us(value);
    } else if (header_value(line, len, "Content-Type", value, sizeof value)) {
        g_strlcpy(response->content_type, value, sizeof response->content_type);
    }
    tell_header(call->request, line, len);
    return len;
}

static size_t on_body(char *data, size_t size, size_t count, void *user) {
    ClientCall *call = ((ClientHandle *)user)->call;
    size_t len = size * count;
    if (len == 0)
        return 0;
    if (!call->streaming) {
        if (buf_append(&call->response.body, data, len))
            return len;
        call->refused = true;
        g_set_error(&call->error, STOOP_ERROR, STOOP_ERROR_TOO_LARGE, "the answer is longer than %zu bytes",
                    call->response.body.max);
        return CURL_WRITEFUNC_ERROR;
    }
    switch (call->take_piece(call, data, len)) {
    case PIECE_TAKEN:
        return len;
    case PIECE_LATER:
        return CURL_WRITEFUNC_PAUSE;
    case PIECE_FAILED:
    default:
        call->refused = true;
        return CURL_WRITEFUNC_ERROR;
    }
}

static CURLcode on_tls_context(CURL *easy, void *context, void *user) {
    return tls_material_apply(((ClientHandle *)user)->tls, context) ? CURLE_OK : CURLE_SSL_CERTPROBLEM;
}

static int on_socket(void *user, curl_socket_t fd, curlsocktype purpose) {
    unsigned silent_ms = PEER_SILENT_MS;
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &silent_ms, sizeof silent_ms);
    return CURL_SOCKOPT_OK;
}

// --- Handles ---

ClientHandle *client_handle_new(const ClientSettings *settings, TlsMaterial *tls) {
    ClientHandle *handle = g_new0(ClientHandle, 1);
    handle->settings = settings;
    handle->tls = tls_material_ref(tls);
    handle->headers_key = g_string_new(NULL);
    CURL *easy = handle->easy = curl_easy_init();
    if (!easy)
        g_error("curl_easy_init: out of memory"); // lint: glib-log ok: as g_malloc does
    curl_easy_setopt(easy, CURLOPT_PRIVATE, handle);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, handle->error_text);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); // a name server that hangs does not hold up a cancelled call
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "stoop/" STOOP_VERSION);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, handle);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, handle);
    curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, 16L * 1024);
    curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, 16L * 1024);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)(settings->connect_timeout_us / 1000));
    // Connections stay for as long as the peer keeps them: the first call after a quiet hour should not pay for TLS.
    curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, 3600L);
    curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, 30L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, 15L);
    curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, on_socket);
    if (settings->proxy)
        curl_easy_setopt(easy, CURLOPT_PROXY, settings->proxy);
    // Otherwise each connection would parse the system's bundle: 22 ms and 1 MB.
    curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
    curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, on_tls_context);
    curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, handle);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, settings->insecure ? 0L : 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, settings->insecure ? 0L : 2L);
    return handle;
}

void client_handle_free(ClientHandle *handle) {
    if (!handle)
        return;
    curl_easy_cleanup(handle->easy);
    curl_slist_free_all(handle->headers);
    curl_slist_free_all(handle->connect_to);
    g_string_free(handle->headers_key, TRUE);
    g_free(handle->authority);
    tls_material_unref(handle->tls);
    g_free(handle);
}

CURL *client_handle_easy(ClientHandle *handle) {
    return handle->easy;
}

ClientHandle *client_handle_of(CURL *easy) {
    char *handle = NULL;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &handle);
    return (ClientHandle *)(void *)handle;
}

ClientCall *client_handle_call(const ClientHandle *handle) {
    return handle->call;
}

// Whether `key`, lines of the headers set before, has the same headers.
static bool same_headers(const GString *key, const char *const *headers) {
    const char *at = key->str;
    for (; headers && *headers; headers++) {
        size_t len = strlen(*headers);
        if (strncmp(at, *headers, len) != 0 || at[len] != '\n')
            return false;
        at += len + 1;
    }
    return *at == '\0';
}

static void append_header(struct curl_slist **list, const char *header) {
    struct curl_slist *longer = curl_slist_append(*list, header);
    if (!longer)
        g_error("curl_slist_append: out of memory"); // lint: glib-log ok: as g_malloc does
    *list = longer;
}

static void set_headers(ClientHandle *handle, const char *const *headers, bool authority_changed) {
    if (handle->headers && !authority_changed && same_headers(handle->headers_key, headers))
        return;
    struct curl_slist *list = NULL;
    bool content_type = false;
    append_header(&list, "Expect:");
    if (handle->authority) {
        g_autofree char *host = g_strconcat("Host: ", handle->authority, NULL);
        append_header(&list, host);
    }
    g_string_truncate(handle->headers_key, 0);
    for (; headers && *headers; headers++) {
        append_header(&list, *headers);
        g_string_append(handle->headers_key, *headers);
        g_string_append_c(handle->headers_key, '\n');
        content_type = content_type || g_ascii_strncasecmp(*headers, "Content-Type:", 13) == 0;
    }
    if (!content_type)
        append_header(&list, "Content-Type:"); // libcurl would call a body a form
    curl_easy_setopt(handle->easy, CURLOPT_HTTPHEADER, list);
    curl_slist_free_all(handle->headers);
    handle->headers = list;
}

static MethodKind kind_of(const HttpRequest *request) {
    if (request->body)
        return METHOD_BODY;
    if (strcmp(request->method, "HEAD") == 0)
        return METHOD_HEAD;
    bool wants_body = strcmp(request->method, "POST") == 0 || strcmp(request->method, "PUT") == 0 ||
                      strcmp(request->method, "PATCH") == 0;
    return wants_body ? METHOD_BODY : METHOD_GET;
}

static void set_method(ClientHandle *handle, const HttpRequest *request) {
    CURL *easy = handle->easy;
    MethodKind kind = kind_of(request);
    if (kind != handle->kind) {
        curl_easy_setopt(easy, CURLOPT_NOBODY, kind == METHOD_HEAD ? 1L : 0L);
        if (kind == METHOD_GET)
            curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
        else if (kind == METHOD_BODY)
            curl_easy_setopt(easy, CURLOPT_POST, 1L);
        handle->kind = kind;
    }
    if (kind == METHOD_BODY) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body ? request->body : "");
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_len);
    }
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
}

// With a name of its own for TLS, the URL carries that name, the connection goes to the URL's host, and the Host header
// names the latter. True when the host is another one than before.
static bool set_url(ClientHandle *handle, const char *url) {
    const char *name = handle->settings->server_name;
    if (!name || !g_str_has_prefix(url, "https://")) {
        curl_easy_setopt(handle->easy, CURLOPT_URL, url);
        return false;
    }
    const char *authority = url + strlen("https://");
    size_t len = strcspn(authority, "/?#");
    const char *last = g_strrstr_len(authority, (gssize)len, ":");
    bool has_port = last && !memchr(last, ']', len - (size_t)(last - authority));
    size_t host_len = has_port ? (size_t)(last - authority) : len;
    const char *port = has_port ? last + 1 : "443";
    int port_len = has_port ? (int)(len - host_len - 1) : 3;
    g_autofree char *named = g_strdup_printf("https://%s:%.*s%s", name, port_len, port, authority + len);
    curl_easy_setopt(handle->easy, CURLOPT_URL, named);

    if (handle->authority && strlen(handle->authority) == len && memcmp(handle->authority, authority, len) == 0)
        return false;
    g_free(handle->authority);
    handle->authority = g_strndup(authority, len);
    g_autofree char *target = g_strdup_printf("::%.*s:%.*s", (int)host_len, authority, port_len, port);
    struct curl_slist *list = NULL;
    append_header(&list, target);
    curl_easy_setopt(handle->easy, CURLOPT_CONNECT_TO, list);
    curl_slist_free_all(handle->connect_to);
    handle->connect_to = list;
    return true;
}

void client_handle_prepare(ClientHandle *handle, ClientCall *call, bool multiplexed) {
    const HttpRequest *request = call->request;
    handle->call = call;
    handle->error_text[0] = '\0';
    call->response = (HttpResponse){
        .body = BUF_INIT(request->max_response ? request->max_response : DEFAULT_MAX_RESPONSE), .retry_after_us = -1};
    bool authority_changed = set_url(handle, request->url);
    set_headers(handle, request->headers, authority_changed);
    set_method(handle, request);
    curl_easy_setopt(handle->easy, CURLOPT_FRESH_CONNECT, request->once ? 1L : 0L);

    // HTTP/2 is for calls that share a connection: for one at a time it costs half as much CPU again (115 µs a call
    // against 72) and 0.1 ms of waiting. A stream that its reader pauses would hold up all others of its connection.
    bool alone = !multiplexed || handle->settings->http1 || request->on_data || request->body_len > LARGE_BODY;
    long version = alone ? CURL_HTTP_VERSION_1_1 : CURL_HTTP_VERSION_2TLS;
    if (version != handle->version) {
        curl_easy_setopt(handle->easy, CURLOPT_HTTP_VERSION, version);
        curl_easy_setopt(handle->easy, CURLOPT_PIPEWAIT, alone ? 0L : 1L);
        handle->version = version;
    }
}

// --- Results ---

static void note_transfer(ClientHandle *handle, HttpResponse *response) {
    long sent = 0, connects = 0;
    curl_easy_getinfo(handle->easy, CURLINFO_REQUEST_SIZE, &sent);
    curl_easy_getinfo(handle->easy, CURLINFO_NUM_CONNECTS, &connects);
    response->sent = sent > 0;
    atomic_fetch_add_explicit(handle->settings->connections_opened, (uint64_t)connects, memory_order_relaxed);
    handle->call = NULL;
}

static char *host_of(const ClientHandle *handle, const ClientCall *call) {
    if (handle->authority)
        return g_strdup(handle->authority);
    const char *start = strstr(call->request->url, "://");
    start = start ? start + 3 : call->request->url;
    // Never a user and password.
    size_t len = strcspn(start, "/?#");
    const char *at = memchr(start, '@', len);
    return at ? g_strndup(at + 1, len - (size_t)(at + 1 - start)) : g_strndup(start, len);
}

static StoopError error_code(CURLcode code, const char *text) {
    switch (code) {
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_BAD_FUNCTION_ARGUMENT:
        return STOOP_ERROR_INVALID;
    case CURLE_SSL_CONNECT_ERROR:
        // The peer speaks no TLS, or says itself that it does not want ours; otherwise the connection broke.
        return strstr(text, "wrong version number") || strstr(text, "alert") ? STOOP_ERROR_INVALID
                                                                             : STOOP_ERROR_UNAVAILABLE;
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_OUT_OF_MEMORY:
        return STOOP_ERROR_FAILED;
    default:
        return STOOP_ERROR_UNAVAILABLE;
    }
}

static void set_error(ClientHandle *handle, const ClientCall *call, CURLcode code, GError **error) {
    const char *text = handle->error_text[0] ? handle->error_text : curl_easy_strerror(code);
    g_autofree char *host = host_of(handle, call);
    StoopError kind = error_code(code, text);
    if (code == CURLE_PEER_FAILED_VERIFICATION) {
        g_autofree char *failure = tls_material_take_failure(handle->tls);
        g_set_error(error, STOOP_ERROR, kind, "the certificate of %s does not verify: %s", host,
                    failure ? failure : text);
        return;
    }
    g_set_error(error, STOOP_ERROR, kind, "%s: %s", host, text);
}

bool client_handle_finish(ClientHandle *handle, ClientCall *call, CURLcode code, HttpResponse *response,
                          GError **error) {
    note_transfer(handle, response);
    if (code == CURLE_OK && call->response.status >= 100) {
        call->response.sent = response->sent;
        *response = call->response;
        call->response = (HttpResponse){0};
        return true;
    }
    buf_clear(&call->response.body);
    if (call->refused)
        g_propagate_error(error, g_steal_pointer(&call->error));
    else
        set_error(handle, call, code == CURLE_OK ? CURLE_WEIRD_SERVER_REPLY : code, error);
    return false;
}

void client_handle_abandon(ClientHandle *handle, ClientCall *call, HttpResponse *response) {
    note_transfer(handle, response);
    buf_clear(&call->response.body);
    g_clear_error(&call->error);
}
