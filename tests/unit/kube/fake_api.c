#include "fake_api.h"

#include "base/error.h"
#include "kube/kube_config_parse.h"

#include <string.h>

#define SERVER "https://api.test:6443"

static bool has_header(const char *const *headers, const char *wanted) {
    bool absent = *wanted == '!';
    const char *text = absent ? wanted + 1 : wanted;
    for (size_t i = 0; headers && headers[i]; i++)
        if (absent ? g_str_has_prefix(headers[i], text) : strcmp(headers[i], text) == 0)
            return !absent;
    return absent;
}

static bool give_data(const FakeStep *step, const HttpRequest *request, GError **error) {
    size_t len = step->answer ? strlen(step->answer) : 0, piece = step->piece ? step->piece : len;
    for (size_t at = 0; at < len; at += piece)
        if (!request->on_data(step->answer + at, MIN(piece, len - at), request->user, error))
            return false;
    return true;
}

static bool fake_perform(HttpTransport *transport, const HttpRequest *request, HttpResponse *response, GError **error) {
    FakeApi *api = (FakeApi *)transport;
    if (api->next == api->count)
        g_error("unexpected %s %s", request->method, request->url);
    const FakeStep *step = &api->steps[api->next++];
    g_assert_cmpstr(request->method, ==, step->method);
    g_assert_true(g_str_has_prefix(request->url, SERVER));
    g_assert_cmpstr(request->url + strlen(SERVER), ==, step->path);
    if (step->body)
        g_assert_cmpmem(request->body, request->body_len, step->body, strlen(step->body));
    else
        g_assert_cmpuint(request->body_len, ==, 0);
    for (size_t i = 0; i < G_N_ELEMENTS(step->headers) && step->headers[i]; i++)
        if (!has_header(request->headers, step->headers[i]))
            g_error("%s %s: header %s", request->method, request->url, step->headers[i]);
    api->last_deadline_us = request->deadline_us;
    api->last_long_lived = request->long_lived;
    g_assert_cmpint(response->status, ==, 0);
    g_assert_null(response->body.data);
    if (step->then)
        step->then(step->then_user);
    api->now_us += step->takes_us;
    response->sent = step->sent || step->status != 0;
    if (step->status == 0) {
        g_set_error_literal(error, STOOP_ERROR, (gint)step->failure, step->text ? step->text : "broken");
        return false;
    }
    response->status = step->status;
    response->retry_after_us = step->retry_after_us ? step->retry_after_us : -1;
    if (request->on_data && step->status < 300) {
        if (!give_data(step, request, error))
            return false;
    } else {
        response->body = (Buf)BUF_INIT(16 << 20);
        if (step->answer)
            g_assert_true(buf_append_text(&response->body, step->answer));
    }
    if (step->breaks) {
        g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_UNAVAILABLE, "the connection broke");
        return false;
    }
    return true;
}

static FakeApi *api_of(const Clock *clock) {
    return (FakeApi *)((char *)(uintptr_t)clock - offsetof(FakeApi, clock));
}

static int64_t fake_monotonic_us(const Clock *clock) {
    return api_of(clock)->now_us;
}

// The realtime clock stands at 2026-01-01T00:00:00Z when the monotonic one shows 1,000 s.
static int64_t fake_realtime_ns(const Clock *clock) {
    return (1767225600LL - 1000) * 1000000000 + api_of(clock)->now_us * 1000;
}

static void fake_wait(int64_t us, const Cancel *cancel, void *user) {
    FakeApi *api = user;
    g_assert_cmpint(us, >, 0);
    g_assert_cmpuint(api->wait_count, <, G_N_ELEMENTS(api->waits));
    api->waits[api->wait_count++] = us;
    api->now_us += us;
    if (api->wait_count == api->cancel_at_wait)
        cancel_set(&api->cancel);
}

static uint32_t fake_random(void *user) {
    return ((FakeApi *)user)->random;
}

FakeApi *fake_api_new_with(KubeConfig *config) {
    FakeApi *api = g_new0(FakeApi, 1);
    api->transport.perform = fake_perform;
    api->clock = (Clock){.monotonic_us = fake_monotonic_us, .realtime_ns = fake_realtime_ns};
    api->now_us = 1000000000;
    GError *error = NULL;
    api->client = kube_client_new(
        &(KubeClientOptions){
            .config = config,
            .transport = &api->transport,
            .clock = &api->clock,
            .random32 = fake_random,
            .wait_us = fake_wait,
            .user = api,
        },
        &error);
    g_assert_no_error(error);
    return api;
}

FakeApi *fake_api_new(void) {
    static const char text[] = "current-context: c\n"
                               "contexts: [{name: c, context: {cluster: k, user: u}}]\n"
                               "clusters: [{name: k, cluster: {server: '" SERVER "/'}}]\n"
                               "users: [{name: u, user: {token: t0k3n}}]\n";
    GError *error = NULL;
    KubeConfig *config = kube_config_parse(text, strlen(text), "kubeconfig", &error);
    g_assert_no_error(error);
    return fake_api_new_with(config);
}

void fake_api_free(FakeApi *api) {
    if (api->next != api->count)
        g_error("%s %s never came", api->steps[api->next].method, api->steps[api->next].path);
    kube_client_free(api->client);
    g_free(api);
}

void fake_api_expect(FakeApi *api, FakeStep step) {
    g_assert_cmpuint(api->count, <, G_N_ELEMENTS(api->steps));
    api->steps[api->count++] = step;
}

KubeCall fake_api_call(FakeApi *api, int64_t seconds) {
    return (KubeCall){.deadline_us = api->now_us + seconds * 1000000, .cancel = &api->cancel};
}
