#include "gcp/gcp_client.h"

#include "base/backoff.h"
#include "base/error.h"
#include "base/one_line.h"
#include "gcp/gcp_client_private.h"

#include <string.h>
#include <yyjson.h>

enum { TEXT_MAX = 500, RESPONSE_MAX = 1 << 20 };
static const int64_t DEFAULT_US = 30 * G_USEC_PER_SEC;
static const int64_t BACKOFF_BASE_US = 200000, BACKOFF_MAX_US = 10000000;

static void token_free(void *data) {
    GcpToken *token = data;
    g_free(token->text);
    g_free(token);
}

// Large bodies go over HTTP/1.1. The metadata server is never asked through a proxy.
static bool make_transports(GcpClient *client, const GcpClientOptions *options, GError **error) {
    client->transport = options->transport;
    client->metadata_transport = options->metadata_transport ? options->metadata_transport : options->transport;
    if (!client->transport) {
        client->own = http_client_new(&(HttpClientOptions){.http1 = true}, error);
        if (!client->own)
            return false;
        client->transport = http_client_transport(client->own);
    }
    if (!client->metadata_transport) {
        client->own_metadata = http_client_new(
            &(HttpClientOptions){.http1 = true, .proxy = "", .connect_timeout_us = 2 * G_USEC_PER_SEC}, error);
        if (!client->own_metadata)
            return false;
        client->metadata_transport = http_client_transport(client->own_metadata);
    }
    return true;
}

GcpClient *gcp_client_new(const GcpClientOptions *options, GError **error) {
    g_autoptr(GcpClient) client = g_new0(GcpClient, 1);
    bool has_path = options->credentials_path && *options->credentials_path;
    client->credentials_path = g_strdup(has_path ? options->credentials_path : NULL);
    client->environment = options->environment;
    client->clock = options->clock ? options->clock : clock_system();
    client->random32 = options->random32 ? options->random32 : backoff_system_random32;
    client->wait_us = options->wait_us ? options->wait_us : backoff_system_wait_us;
    client->user = options->user;
    client->tokens = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, token_free);
    mutex_init(&client->lock);
    if (!make_transports(client, options, error))
        return NULL;
    return g_steal_pointer(&client);
}

void gcp_client_free(GcpClient *client) {
    if (!client)
        return;
    http_client_free(client->own);
    http_client_free(client->own_metadata);
    g_hash_table_unref(client->tokens);
    mutex_destroy(&client->lock);
    g_free(client->credentials_path);
    g_free(client);
}

const char *gcp_environment(const GcpClient *client, const char *name) {
    const char *value = client->environment ? client->environment(name, client->user) : NULL;
    return value && *value ? value : NULL;
}

int64_t gcp_deadline_us(const GcpClient *client, const GcpCall *call) {
    return call && call->deadline_us ? call->deadline_us : clock_monotonic_us(client->clock) + DEFAULT_US;
}

// --- Errors ---

static StoopError code_of(int status) {
    return status == 410 ? STOOP_ERROR_NOT_FOUND : http_status_error(status);
}

static bool is_worth_another_try(int status) {
    return code_of(status) == STOOP_ERROR_UNAVAILABLE;
}

// {"error": {"message": …}} of the APIs, {"error": …, "error_description": …} of the token endpoint.
static char *message_of_json(const char *body, size_t len) {
    yyjson_doc *doc = len ? yyjson_read(body, len, 0) : NULL;
    yyjson_val *error = yyjson_obj_get(yyjson_doc_get_root(doc), "error");
    const char *message = yyjson_get_str(yyjson_obj_get(error, "message"));
    const char *described = yyjson_get_str(yyjson_obj_get(yyjson_doc_get_root(doc), "error_description"));
    char *text = NULL;
    if (message)
        text = g_strdup(message);
    else if (yyjson_is_str(error))
        text =
            described ? g_strdup_printf("%s: %s", yyjson_get_str(error), described) : g_strdup(yyjson_get_str(error));
    yyjson_doc_free(doc);
    return text;
}

static void set_status_error(const GcpRequest *request, const HttpResponse *response, GError **error) {
    const char *body = buf_text(&response->body);
    g_autofree char *message = message_of_json(body, response->body.len);
    g_autofree char *text =
        message ? one_line(message, strlen(message), TEXT_MAX) : one_line(body, response->body.len, TEXT_MAX);
    const char *query = strchr(request->url, '?');
    g_set_error(error, STOOP_ERROR, code_of(response->status), "%s %.*s: HTTP %d%s%s", request->method,
                (int)(query ? query - request->url : (ptrdiff_t)strlen(request->url)), request->url, response->status,
                *text ? ": " : "", text);
}

// --- Requests ---

static bool perform(GcpClient *client, const GcpRequest *request, const char *bearer, bool metadata,
                    const GcpCall *call, int64_t deadline_us, HttpResponse *response, GError **error) {
    g_autoptr(GPtrArray) headers = g_ptr_array_new_with_free_func(g_free);
    for (const char *const *header = request->headers; header && *header; header++)
        g_ptr_array_add(headers, g_strdup(*header));
    if (bearer)
        g_ptr_array_add(headers, g_strconcat("Authorization: Bearer ", bearer, NULL));
    g_ptr_array_add(headers, NULL);
    HttpRequest http = {.method = request->method,
                        .url = request->url,
                        .headers = (const char *const *)headers->pdata,
                        .body = request->body,
                        .body_len = request->body_len,
                        .deadline_us = deadline_us,
                        .cancel = call ? call->cancel : NULL,
                        .once = request->once,
                        .max_response = request->max_response ? request->max_response : RESPONSE_MAX,
                        .on_header = request->on_header,
                        .header_user = request->header_user};
    if (http_perform(metadata ? client->metadata_transport : client->transport, &http, response, error))
        return true;
    g_prefix_error(error, "%s: ", request->method);
    return false;
}

// After a try: whether there may be another. Sets `uncertain` when this one may have been acted on.
static bool may_repeat(const GcpRequest *request, bool answered, const HttpResponse *response, const GError *failure,
                       bool *uncertain) {
    if (answered) {
        if (response->status >= 500)
            *uncertain = true;
        // Of a function also 429 may be its own word, after it did something.
        return is_worth_another_try(response->status) && !request->once;
    }
    if (!stoop_error_is_retryable(failure))
        return false;
    *uncertain = *uncertain || response->sent;
    return !request->once || !response->sent;
}

bool gcp_send(GcpClient *client, const GcpRequest *request, const char *bearer, bool metadata, const GcpCall *call,
              HttpResponse *response, bool *uncertain, GError **error) {
    int64_t deadline_us = gcp_deadline_us(client, call);
    Backoff backoff = {.base_us = BACKOFF_BASE_US, .max_us = BACKOFF_MAX_US};
    bool unsure = false;
    for (;;) {
        GError *failure = NULL;
        bool answered = perform(client, request, bearer, metadata, call, deadline_us, response, &failure);
        if (answered && response->status >= 200 && response->status < 300)
            return true;
        if (answered)
            set_status_error(request, response, &failure);
        bool again = may_repeat(request, answered, response, failure, &unsure);
        if (uncertain)
            *uncertain = unsure;
        int64_t left_us = deadline_us - clock_monotonic_us(client->clock);
        int64_t wait_us = backoff_next_us(&backoff, client->random32(client->user));
        if (response->retry_after_us > wait_us)
            wait_us = response->retry_after_us;
        if (!again || wait_us >= left_us || cancel_is_set(call ? call->cancel : NULL)) {
            g_propagate_error(error, failure);
            return false;
        }
        g_error_free(failure);
        http_response_clear(response);
        *response = (HttpResponse){0};
        client->wait_us(wait_us, call ? call->cancel : NULL, client->user);
    }
}

static bool get_bearer(GcpClient *client, const GcpRequest *request, const GcpCall *call, char **token,
                       GError **error) {
    switch (request->auth) {
    case GCP_ACCESS:
        return gcp_access_token(client, call, token, error);
    case GCP_IDENTITY:
        return gcp_id_token(client, request->audience, call, token, error);
    default:
        return true;
    }
}

bool gcp_request(GcpClient *client, const GcpRequest *request, const GcpCall *call, HttpResponse *response,
                 bool *uncertain, GError **error) {
    for (unsigned round = 0;; round++) {
        g_autofree char *token = NULL;
        g_autoptr(GError) failure = NULL;
        if (!get_bearer(client, request, call, &token, error))
            return false;
        if (gcp_send(client, request, token, false, call, response, uncertain, &failure))
            return true;
        bool refused = token && response->status == 401;
        if (refused)
            gcp_forget_tokens(client);
        if (round > 0 || !refused || request->once) {
            g_propagate_error(error, g_steal_pointer(&failure));
            return false;
        }
        http_response_clear(response);
        *response = (HttpResponse){0};
    }
}
