#include "kube/kube_client.h"

#include "base/backoff.h"
#include "base/error.h"
#include "kube/kube_client_internal.h"

#include <string.h>

static const int64_t BACKOFF_BASE_US = 50000;
static const int64_t BACKOFF_MAX_US = 5000000;
static const int64_t LAST_TRY_US = 250000; // kept for a last try when the wait would outlast the deadline
static const int64_t TLS_CHECK_US = 10000000;
static const int64_t CONNECT_TIMEOUT_US = 5000000;
static const int64_t DEFAULT_DEADLINE_US = 10000000;

static bool apply_own_tls(KubeClient *client, const KubeTls *tls, GError **error) {
    return http_client_set_tls(client->own, tls->ca_pem, tls->cert_pem, tls->key_pem, error);
}

static bool make_transport(KubeClient *client, const KubeClientOptions *options, GError **error) {
    g_auto(KubeTls) tls = {0};
    if (!kube_config_tls(client->config, &tls, NULL, error))
        return false;
    client->own = http_client_new(
        &(HttpClientOptions){
            .ca_pem = tls.ca_pem,
            .client_cert_pem = tls.cert_pem,
            .client_key_pem = tls.key_pem,
            .insecure = tls.insecure,
            .server_name = tls.server_name,
            .proxy = tls.proxy,
            .max_in_flight = options->max_in_flight,
            .connect_timeout_us = CONNECT_TIMEOUT_US,
        },
        error);
    if (!client->own)
        return false;
    client->transport = http_client_transport(client->own);
    client->apply_tls = apply_own_tls;
    atomic_store(&client->tls_checked_us, clock_monotonic_us(client->clock));
    return true;
}

KubeClient *kube_client_new(const KubeClientOptions *options, GError **error) {
    g_autoptr(KubeClient) client = g_new0(KubeClient, 1);
    client->config = options->config;
    client->clock = options->clock ? options->clock : clock_system();
    client->random32 = options->random32 ? options->random32 : backoff_system_random32;
    client->wait_us = options->wait_us ? options->wait_us : backoff_system_wait_us;
    client->user = options->user;
    client->transport = options->transport;
    client->discovery = kube_discovery_new();
    mutex_init(&client->tls_lock);
    kube_config_set_clock(client->config, client->clock);
    if (!client->transport && !make_transport(client, options, error))
        return NULL;
    return g_steal_pointer(&client);
}

void kube_client_free(KubeClient *client) {
    if (!client)
        return;
    http_client_free(client->own);
    kube_discovery_free(client->discovery);
    mutex_destroy(&client->tls_lock);
    kube_config_free(client->config);
    g_free(client);
}

// Looks for rotated certificates when it is time, or at once. True when the transport took new ones. A failure is no
// reason to fail a call that may well succeed with what we have.
static bool follow_tls(KubeClient *client, int64_t now, bool at_once) {
    if (!client->apply_tls)
        return false;
    int64_t checked = atomic_load_explicit(&client->tls_checked_us, memory_order_relaxed);
    if (!at_once && now - checked < TLS_CHECK_US)
        return false;
    if (!atomic_compare_exchange_strong(&client->tls_checked_us, &checked, now) && !at_once)
        return false;
    mutex_lock(&client->tls_lock);
    g_auto(KubeTls) tls = {0};
    bool changed = false, taken = false;
    if (kube_config_tls(client->config, &tls, &changed, NULL) && (changed || client->tls_pending)) {
        taken = client->apply_tls(client, &tls, NULL);
        client->tls_pending = !taken;
    }
    mutex_unlock(&client->tls_lock);
    return taken;
}

KubeRequest kube_request_init(KubeClient *client, const char *method, const char *url, const KubeCall *call) {
    return (KubeRequest){
        .method = method,
        .url = url,
        .repeat = call && call->first_word ? KUBE_REPEAT_TOLD : KUBE_REPEAT_SAFE,
        .deadline_us =
            call && call->deadline_us ? call->deadline_us : clock_monotonic_us(client->clock) + DEFAULT_DEADLINE_US,
        .cancel = call ? call->cancel : NULL,
    };
}

// What has happened to one request so far.
typedef struct {
    const KubeRequest *request;
    Backoff backoff;
    unsigned tries;
    bool refreshed;    // the credential, after a 401
    bool tls_followed; // after a certificate did not verify
    bool uncertain;    // a try may have been acted on
    bool data_came;
    int64_t retry_after_us; // -1: the server named none
} Progress;

typedef enum { NEXT_DONE, NEXT_FAIL, NEXT_NOW, NEXT_LATER } Next;

static bool note_data(const char *data, size_t len, void *user, GError **error) {
    Progress *progress = user;
    progress->data_came = true;
    return progress->request->on_data(data, len, progress->request->user, error);
}

static Next after_failure(KubeClient *client, Progress *progress, const HttpResponse *response, GError *failure) {
    const KubeRequest *request = progress->request;
    bool in_time = clock_monotonic_us(client->clock) < request->deadline_us;
    bool lost =
        stoop_error_is(failure, STOOP_ERROR_UNAVAILABLE) || (stoop_error_is(failure, STOOP_ERROR_TIMEOUT) && in_time);
    if (response->sent && stoop_error_is_retryable(failure))
        progress->uncertain = true;
    if (stoop_error_is(failure, STOOP_ERROR_INVALID) && !response->sent && !progress->tls_followed) {
        progress->tls_followed = true;
        return follow_tls(client, clock_monotonic_us(client->clock), true) ? NEXT_NOW : NEXT_FAIL;
    }
    if (!lost || progress->data_came || request->once)
        return NEXT_FAIL;
    return !response->sent || request->repeat == KUBE_REPEAT_SAFE ? NEXT_LATER : NEXT_FAIL;
}

static Next after_status(KubeClient *client, Progress *progress, const HttpResponse *response) {
    const KubeRequest *request = progress->request;
    int status = response->status;
    if (status == 429 || status == 503) {
        progress->retry_after_us = response->retry_after_us;
        if (progress->retry_after_us < 0)
            progress->retry_after_us = kube_status_retry_after_us(response->body.data, response->body.len);
    }
    if (request->once)
        return NEXT_FAIL;
    if (status == 429)
        return NEXT_LATER;
    if (status == 503 && progress->retry_after_us >= 0)
        return NEXT_LATER;
    if (status == 503)
        return request->repeat == KUBE_REPEAT_TOLD ? NEXT_FAIL : NEXT_LATER;
    if ((status == 500 || status == 502 || status == 504) && request->repeat == KUBE_REPEAT_SAFE) {
        progress->uncertain = true;
        return NEXT_LATER;
    }
    return NEXT_FAIL;
}

// A 401 is worth another try only with another credential.
static Next after_401(KubeClient *client, Progress *progress, KubeAuth *had) {
    if (progress->refreshed)
        return NEXT_FAIL;
    progress->refreshed = true;
    const KubeRequest *request = progress->request;
    g_autoptr(KubeAuth) auth = NULL;
    bool ok = kube_config_auth(client->config, true, had, request->deadline_us, request->cancel, &auth, NULL);
    bool tls = ok && follow_tls(client, clock_monotonic_us(client->clock), true);
    return ok && (auth != had || tls) ? NEXT_NOW : NEXT_FAIL;
}

static bool perform(KubeClient *client, Progress *progress, const KubeAuth *auth, HttpResponse *response,
                    GError **error) {
    const KubeRequest *request = progress->request;
    int64_t deadline_us = request->deadline_us;
    if (request->try_limit_us)
        deadline_us = MIN(deadline_us, clock_monotonic_us(client->clock) + request->try_limit_us);
    const char *headers[5];
    size_t count = 0;
    headers[count++] = request->accept ? request->accept : "Accept: application/json";
    headers[count++] = "User-Agent: stoop/" STOOP_VERSION;
    if (request->content_type)
        headers[count++] = request->content_type;
    if (auth)
        headers[count++] = auth->line;
    headers[count] = NULL;
    HttpRequest http = {
        .method = request->method,
        .url = request->url,
        .headers = headers,
        .body = request->body,
        .body_len = request->body_len,
        .deadline_us = deadline_us,
        .cancel = request->cancel,
        .long_lived = request->long_lived,
        .on_data = request->on_data ? note_data : NULL,
        .user = progress,
    };
    if (!request->socket)
        return http_perform(client->transport, &http, response, error);
    if (client->transport->open_websocket)
        return client->transport->open_websocket(client->transport, &http, request->protocols, request->socket,
                                                 response, error);
    g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_FAILED, "this transport opens no WebSockets");
    return false;
}

static bool is_success(const KubeRequest *request, int status) {
    return request->socket ? status == 101 : status >= 200 && status < 300;
}

static Next try_once(KubeClient *client, Progress *progress, HttpResponse *response, GError **error) {
    const KubeRequest *request = progress->request;
    int64_t now = clock_monotonic_us(client->clock);
    if (cancel_is_set(request->cancel)) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_CANCELLED, "%s %s: stopped", request->method, request->url);
        return NEXT_FAIL;
    }
    if (now >= request->deadline_us) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_TIMEOUT, "%s %s: no time is left", request->method, request->url);
        return NEXT_FAIL;
    }
    g_autoptr(KubeAuth) auth = NULL;
    if (!kube_config_auth(client->config, false, NULL, request->deadline_us, request->cancel, &auth, error))
        return NEXT_FAIL;
    follow_tls(client, now, false);

    progress->tries++;
    progress->retry_after_us = -1;
    GError *failure = NULL;
    if (!perform(client, progress, auth, response, &failure)) {
        Next next = after_failure(client, progress, response, failure);
        // What the caller's own function said needs no address.
        if (!progress->data_came)
            g_prefix_error(&failure, "%s %s: ", request->method, request->url);
        g_propagate_error(error, failure);
        return next;
    }
    if (is_success(request, response->status))
        return NEXT_DONE;
    kube_status_error(request->method, request->url, response->status, response->body.data, response->body.len, error);
    return response->status == 401 ? after_401(client, progress, auth) : after_status(client, progress, response);
}

// How long to wait before the next try; -1: there is no time for one.
static int64_t next_wait_us(KubeClient *client, Progress *progress) {
    int64_t left = progress->request->deadline_us - clock_monotonic_us(client->clock);
    uint32_t random = client->random32(client->user);
    int64_t wait = backoff_next_us(&progress->backoff, random);
    if (progress->retry_after_us > 0) {
        // Somewhat later than asked, so that all who were told the same do not come back together.
        wait = progress->retry_after_us;
        wait += (int64_t)((double)wait * 0.1 * ((double)random / (double)UINT32_MAX));
        return wait < left ? wait : -1;
    }
    if (wait < left)
        return wait;
    return left > LAST_TRY_US ? left - LAST_TRY_US : -1;
}

bool kube_request(KubeClient *client, const KubeRequest *request, HttpResponse *response, bool *uncertain,
                  GError **error) {
    Progress progress = {
        .request = request, .backoff = {.base_us = BACKOFF_BASE_US, .max_us = BACKOFF_MAX_US}, .retry_after_us = -1};
    for (;;) {
        GError *failure = NULL;
        Next next = try_once(client, &progress, response, &failure);
        if (uncertain)
            *uncertain = progress.uncertain;
        if (next == NEXT_DONE)
            return true;
        int64_t wait = next == NEXT_LATER ? next_wait_us(client, &progress) : 0;
        if (next == NEXT_FAIL || wait < 0) {
            if (progress.tries > 1) {
                g_autofree char *text = g_strdup_printf("%s (tried %u times)", failure->message, progress.tries);
                g_set_error_literal(error, failure->domain, failure->code, text);
                g_error_free(failure);
            } else {
                g_propagate_error(error, failure);
            }
            return false;
        }
        g_error_free(failure);
        http_response_clear(response);
        *response = (HttpResponse){0};
        if (wait > 0)
            client->wait_us(wait, request->cancel, client->user);
    }
}
