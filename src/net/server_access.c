#include "net/server_private.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

// For how many bytes a refused peer may go on sending so that it comes to read the refusal.
#define LINGER_BYTES (4 * 1024 * 1024)

// --- Connections ---

void server_on_connection(void *user, struct MHD_Connection *mhd, void **context,
                          enum MHD_ConnectionNotificationCode code) {
    Worker *worker = user;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
        Connection *connection = g_new0(Connection, 1);
        connection->request.mhd = mhd;
        connection->request.worker = worker;
        *context = connection;
        conn_table_add(&worker->table, &connection->base, info->connect_fd, server_now_us(worker->server));
        server_wake_reaper(worker->server);
        return;
    }
    Connection *connection = *context;
    conn_table_remove(&worker->table, &connection->base);
    body_clear(&connection->request.body, &worker->server->budget);
    g_free(connection);
}

// The first line of a request is there. What is returned comes back as the request's context.
void *server_on_request_line(void *user, const char *uri, struct MHD_Connection *mhd) {
    Worker *worker = user;
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    Connection *connection = info->socket_context;
    int64_t now = server_now_us(worker->server);
    mutex_lock(&worker->table.mutex);
    if (connection->base.state != CONN_CUT)
        conn_set_state_locked(&worker->table, &connection->base, CONN_HEADERS, now);
    mutex_unlock(&worker->table.mutex);
    return connection;
}

// The shared answers stay the server's.
static void release_response(const HttpServer *server, struct MHD_Response *response) {
    if (response && response != server->empty && response != server->empty_close)
        MHD_destroy_response(response);
}

// The request's end: sent whole, or broken off.
void server_on_completed(void *user, struct MHD_Connection *mhd, void **context, enum MHD_RequestTerminationCode code) {
    Worker *worker = user;
    Connection *connection = *context;
    if (!connection)
        return;
    HttpServerRequest *request = &connection->request;
    body_clear(&request->body, &worker->server->budget);
    int64_t now = server_now_us(worker->server);
    mutex_lock(&worker->table.mutex);
    struct MHD_Response *unsent = g_steal_pointer(&request->response);
    if (request->counted && --worker->unfinished == 0)
        cond_broadcast(&worker->changed);
    request->counted = false;
    if (connection->base.state != CONN_CUT)
        conn_set_state_locked(&worker->table, &connection->base, CONN_IDLE, now);
    mutex_unlock(&worker->table.mutex);
    release_response(worker->server, unsent);
}

// --- Requests ---

typedef struct {
    const char *content_length, *transfer_encoding;
    unsigned content_lengths, transfer_encodings;
    bool expects;
    bool malformed;
} Framing;

// libmicrohttpd takes the blank of `Content-Length : 5` for a part of the name, and a value that stands on the next
// line too, so that there is none left; another reader would not. RFC 9112 sections 5.1 and 5.2 want such a request
// refused.
static bool same_name(Framing *framing, const char *name, const char *value, const char *wanted) {
    size_t len = strlen(wanted);
    if (g_ascii_strncasecmp(name, wanted, len) != 0)
        return false;
    if (g_ascii_isspace(name[len]) || !value || !*value)
        framing->malformed = true;
    return name[len] == '\0';
}

static enum MHD_Result note_framing(void *user, enum MHD_ValueKind kind, const char *name, const char *value) {
    Framing *framing = user;
    switch (name[0]) {
    case 'C':
    case 'c':
        if (same_name(framing, name, value, "Content-Length")) {
            framing->content_length = value;
            framing->content_lengths++;
        }
        break;
    case 'T':
    case 't':
        if (same_name(framing, name, value, "Transfer-Encoding")) {
            framing->transfer_encoding = value;
            framing->transfer_encodings++;
        }
        break;
    case 'E':
    case 'e':
        if (same_name(framing, name, value, "Expect"))
            framing->expects = true;
        break;
    default:
        break;
    }
    return MHD_YES;
}

// Digits only; what does not fit is as good as endless.
static bool parse_length(const char *text, uint64_t *length) {
    size_t digits = text ? strspn(text, "0123456789") : 0;
    if (digits == 0 || text[digits] != '\0')
        return false;
    errno = 0;
    *length = g_ascii_strtoull(text, NULL, 10);
    return true;
}

// 0: the request may go on, else the status to refuse it with (RFC 9112 sections 6.1 and 6.3). `length` is 0 when
// unknown.
static unsigned check_framing(const Framing *framing, const char *version, size_t max_body, uint64_t *length) {
    *length = 0;
    if (framing->malformed)
        return 400;
    if (framing->transfer_encodings > 0) {
        if (framing->content_lengths > 0 || framing->transfer_encodings > 1 || strcmp(version, "HTTP/1.0") == 0)
            return 400;
        return g_ascii_strcasecmp(framing->transfer_encoding, "chunked") == 0 ? 0 : 501;
    }
    if (framing->content_lengths == 0)
        return 0;
    if (framing->content_lengths > 1 || !parse_length(framing->content_length, length))
        return 400;
    return *length > max_body ? 413 : 0;
}

static struct MHD_Response *text_response(unsigned status) {
    g_autofree char *text = g_strdup_printf("%s\n", conn_reason(status));
    struct MHD_Response *response = MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_COPY);
    MHD_add_response_header(response, "Content-Type", "text/plain");
    MHD_add_response_header(response, "Connection", "close");
    if (status == 503)
        MHD_add_response_header(response, "Retry-After", "1");
    return response;
}

// libmicrohttpd cannot answer in the middle of a body, and closes at once after an answer before it, which makes a peer
// that is still sending lose the answer. So the text goes out past it, and the rest of the body into the void.
static enum MHD_Result refuse_and_linger(Connection *connection, unsigned status) {
    Worker *worker = connection->request.worker;
    int64_t now = server_now_us(worker->server);
    body_clear(&connection->request.body, &worker->server->budget);
    mutex_lock(&worker->table.mutex);
    if (connection->base.state != CONN_CUT) {
        worker->table.rejected++;
        conn_send_text(connection->base.fd, status);
        shutdown(connection->base.fd, SHUT_WR);
        connection->request.lingered = 0;
        conn_set_state_locked(&worker->table, &connection->base, CONN_LINGERING, now);
    }
    mutex_unlock(&worker->table.mutex);
    return MHD_YES;
}

// For a request that has no body under way.
static enum MHD_Result refuse_and_close(Connection *connection, unsigned status) {
    Worker *worker = connection->request.worker;
    int64_t now = server_now_us(worker->server);
    mutex_lock(&worker->table.mutex);
    worker->table.rejected++;
    worker->unfinished++;
    connection->request.counted = true;
    conn_set_state_locked(&worker->table, &connection->base, CONN_ANSWERING, now);
    mutex_unlock(&worker->table.mutex);
    struct MHD_Response *response = text_response(status);
    enum MHD_Result result = MHD_queue_response(connection->request.mhd, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result headers_complete(Connection *connection, const char *url, const char *method,
                                        const char *version) {
    HttpServerRequest *request = &connection->request;
    Worker *worker = request->worker;
    request->method = method;
    request->path = url;

    Framing framing = {0};
    MHD_get_connection_values(request->mhd, MHD_HEADER_KIND, note_framing, &framing);
    uint64_t length = 0;
    unsigned refusal = check_framing(&framing, version, worker->server->options.max_body, &length);
    if (refusal != 0)
        return framing.expects ? refuse_and_close(connection, refusal) : refuse_and_linger(connection, refusal);
    request->expected = (size_t)length;

    mutex_lock(&worker->table.mutex);
    bool cut = connection->base.state == CONN_CUT;
    if (!cut)
        connection->base.state = CONN_BODY;
    mutex_unlock(&worker->table.mutex);
    return cut ? MHD_NO : MHD_YES;
}

static enum MHD_Result body_piece(Connection *connection, const char *bytes, size_t len) {
    HttpServerRequest *request = &connection->request;
    HttpServer *server = request->worker->server;
    switch (body_append(&request->body, &server->budget, request->expected, server->options.max_body, bytes, len)) {
    case BODY_OK:
        return MHD_YES;
    case BODY_TOO_LARGE:
        return refuse_and_linger(connection, 413);
    case BODY_NO_MEMORY:
    default:
        return refuse_and_linger(connection, 503);
    }
}

static enum MHD_Result linger(Connection *connection, size_t len) {
    connection->request.lingered += len;
    return len == 0 || connection->request.lingered > LINGER_BYTES ? MHD_NO : MHD_YES;
}

static enum MHD_Result send_answer(Connection *connection) {
    HttpServerRequest *request = &connection->request;
    Worker *worker = request->worker;
    int64_t now = server_now_us(worker->server);
    mutex_lock(&worker->table.mutex);
    struct MHD_Response *response = g_steal_pointer(&request->response);
    unsigned status = request->status;
    conn_set_state_locked(&worker->table, &connection->base, CONN_ANSWERING, now);
    mutex_unlock(&worker->table.mutex);
    enum MHD_Result result = MHD_queue_response(request->mhd, status, response);
    release_response(worker->server, response);
    return result;
}

static enum MHD_Result request_complete(Connection *connection) {
    HttpServerRequest *request = &connection->request;
    Worker *worker = request->worker;
    mutex_lock(&worker->table.mutex);
    bool cut = connection->base.state == CONN_CUT;
    bool stopping = worker->stopping;
    if (!cut && !stopping) {
        connection->base.state = CONN_HANDLING;
        worker->unanswered++;
        worker->unfinished++;
        request->counted = true;
        worker->requests++;
    }
    mutex_unlock(&worker->table.mutex);
    if (cut)
        return MHD_NO;
    if (stopping)
        return refuse_and_close(connection, 503);

    worker->server->options.handle(request, worker->server->options.user);

    mutex_lock(&worker->table.mutex);
    bool answered = request->response != NULL;
    if (!answered) {
        // Under the lock, so that an answer from another thread comes either before this or after it.
        MHD_suspend_connection(request->mhd);
        request->suspended = true;
    }
    mutex_unlock(&worker->table.mutex);
    return answered ? send_answer(connection) : MHD_YES;
}

// libmicrohttpd calls this when the headers are there, for each piece of the body, at its end, and again after a
// suspended connection was resumed.
enum MHD_Result server_on_access(void *user, struct MHD_Connection *mhd, const char *url, const char *method,
                                 const char *version, const char *data, size_t *len, void **context) {
    Connection *connection = *context;
    Worker *worker = user;
    mutex_lock(&worker->table.mutex);
    ConnState state = connection->base.state;
    mutex_unlock(&worker->table.mutex);

    size_t piece = *len;
    switch (state) {
    case CONN_HEADERS:
        return headers_complete(connection, url, method, version);
    case CONN_BODY:
        *len = 0;
        return piece > 0 ? body_piece(connection, data, piece) : request_complete(connection);
    case CONN_LINGERING:
        *len = 0;
        return linger(connection, piece);
    case CONN_HANDLING:
        return send_answer(connection);
    case CONN_IDLE:
    case CONN_ANSWERING:
    case CONN_CUT:
    default:
        return MHD_NO;
    }
}

// --- The handler's side ---

const char *http_server_method(const HttpServerRequest *request) {
    return request->method;
}

const char *http_server_path(const HttpServerRequest *request) {
    return request->path;
}

const char *http_server_query(const HttpServerRequest *request, const char *name) {
    return MHD_lookup_connection_value(request->mhd, MHD_GET_ARGUMENT_KIND, name);
}

const char *http_server_header(const HttpServerRequest *request, const char *name) {
    return MHD_lookup_connection_value(request->mhd, MHD_HEADER_KIND, name);
}

const char *http_server_body(const HttpServerRequest *request, size_t *len) {
    *len = request->body.len;
    return request->body.data ? request->body.data : "";
}

const char *http_server_peer(const HttpServerRequest *request, char *scratch, size_t size) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(request->mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const char *text = NULL;
    if (info && info->client_addr && info->client_addr->sa_family == AF_INET) {
        text = inet_ntop(AF_INET, &((const struct sockaddr_in *)info->client_addr)->sin_addr, scratch, (socklen_t)size);
    } else if (info && info->client_addr && info->client_addr->sa_family == AF_INET6) {
        const struct in6_addr *address = &((const struct sockaddr_in6 *)info->client_addr)->sin6_addr;
        // A dual-stack socket shows IPv4 peers as ::ffff:a.b.c.d; people look for a.b.c.d.
        text = IN6_IS_ADDR_V4MAPPED(address) ? inet_ntop(AF_INET, &address->s6_addr[12], scratch, (socklen_t)size)
                                             : inet_ntop(AF_INET6, address, scratch, (socklen_t)size);
    }
    return text ? text : "";
}

static struct MHD_Response *make_response(const HttpServer *server, const char *const *headers, const char *body,
                                          size_t body_len) {
    bool close_after = atomic_load_explicit(&server->quiesced, memory_order_relaxed);
    if (body_len == 0 && (!headers || !headers[0]))
        return close_after ? server->empty_close : server->empty;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(body_len, (void *)(body_len ? body : ""), MHD_RESPMEM_MUST_COPY);
    for (const char *const *header = headers; header && *header; header++) {
        const char *colon = strchr(*header, ':');
        if (!colon)
            continue;
        g_autofree char *name = g_strndup(*header, (gsize)(colon - *header));
        MHD_add_response_header(response, name, colon + 1 + strspn(colon + 1, " "));
    }
    if (close_after)
        MHD_add_response_header(response, "Connection", "close");
    return response;
}

void http_server_answer(HttpServerRequest *request, unsigned status, const char *const *headers, const char *body,
                        size_t body_len) {
    Worker *worker = request->worker;
    struct MHD_Response *response = make_response(worker->server, headers, body, body_len);
    mutex_lock(&worker->table.mutex);
    request->response = response;
    request->status = status;
    if (request->suspended) {
        request->suspended = false;
        MHD_resume_connection(request->mhd);
    }
    if (--worker->unanswered == 0 && worker->stopping)
        cond_broadcast(&worker->changed);
    mutex_unlock(&worker->table.mutex);
}
