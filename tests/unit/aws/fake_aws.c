#include "fake_aws.h"

static bool has_header(const HttpRequest *request, const char *wanted) {
    size_t len = strlen(wanted);
    bool prefix = len > 0 && wanted[len - 1] == '*';
    for (const char *const *header = request->headers; header && *header; header++)
        if (prefix ? strncmp(*header, wanted, len - 1) == 0 : strcmp(*header, wanted) == 0)
            return true;
    return false;
}

static bool has_name(const HttpRequest *request, const char *name) {
    for (const char *const *header = request->headers; header && *header; header++)
        if (g_ascii_strncasecmp(*header, name, strlen(name)) == 0)
            return true;
    return false;
}

static void check_headers(const FakeStep *step, const HttpRequest *request) {
    for (size_t i = 0; i < G_N_ELEMENTS(step->headers) && step->headers[i]; i++) {
        const char *wanted = step->headers[i];
        bool good = *wanted == '!' ? !has_name(request, wanted + 1) : has_header(request, wanted);
        if (!good) {
            g_autofree char *all = g_strjoinv(" | ", (char **)(void *)request->headers);
            g_test_message("%s %s: header '%s'; there are: %s", request->method, request->url, wanted, all);
        }
        g_assert_true(good);
    }
}

static bool perform(HttpTransport *transport, const HttpRequest *request, HttpResponse *response, GError **error) {
    FakeAws *aws = (FakeAws *)transport;
    mutex_lock(&aws->mutex);
    if (aws->next >= aws->count)
        g_test_message("nobody expected %s %s", request->method, request->url);
    g_assert_cmpuint(aws->next, <, aws->count);
    const FakeStep *step = &aws->steps[aws->next++];
    aws->last_cancel = request->cancel;
    aws->last_deadline_us = request->deadline_us;
    mutex_unlock(&aws->mutex);
    g_assert_cmpstr(request->method, ==, step->method);
    g_assert_cmpstr(request->url, ==, step->url);
    check_headers(step, request);
    if (step->body) {
        g_autofree char *body = g_strndup(request->body ? request->body : "", request->body_len);
        g_assert_cmpstr(body, ==, step->body);
    }
    if (step->body_len)
        g_assert_cmpuint(request->body_len, ==, step->body_len);
    if (step->then)
        step->then(step->user);
    response->sent = step->sent || step->status;
    response->retry_after_us = step->retry_after_us ? step->retry_after_us : -1;
    if (step->status == 0) {
        g_set_error_literal(error, STOOP_ERROR, (int)step->failure, "scripted");
        return false;
    }
    response->status = step->status;
    for (size_t i = 0; i < G_N_ELEMENTS(step->header) && step->header[i] && request->on_header; i += 2)
        request->on_header(step->header[i], step->header[i + 1], request->header_user);
    response->body = (Buf)BUF_INIT(1024 * 1024);
    g_assert_true(buf_append_text(&response->body, step->answer ? step->answer : ""));
    return true;
}

static int64_t monotonic_us(const Clock *clock) {
    return ((const FakeAws *)((const char *)clock - offsetof(FakeAws, clock)))->now_us;
}

static int64_t realtime_ns(const Clock *clock) {
    const FakeAws *aws = (const FakeAws *)((const char *)clock - offsetof(FakeAws, clock));
    return aws->realtime_base_ns + aws->now_us * 1000;
}

static uint32_t random32(void *user) {
    return 0;
}

static void wait_us(int64_t us, const Cancel *cancel, void *user) {
    FakeAws *aws = user;
    aws->waits++;
    aws->waited_us += us;
    aws->now_us += us;
}

static const char *look_up(const char *name, void *user) {
    return g_hash_table_lookup(((FakeAws *)user)->environment, name);
}

FakeAws *fake_aws_new(void) {
    FakeAws *aws = g_new0(FakeAws, 1);
    aws->transport.perform = perform;
    aws->clock = (Clock){monotonic_us, realtime_ns};
    aws->now_us = 1000000;
    aws->realtime_base_ns = G_GINT64_CONSTANT(1767225600000000000); // 2026-01-01T00:00:00Z
    aws->environment = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    mutex_init(&aws->mutex);
    return aws;
}

void fake_aws_free(FakeAws *aws) {
    if (aws->next < aws->count)
        g_test_message("%s %s did not come", aws->steps[aws->next].method, aws->steps[aws->next].url);
    g_assert_cmpuint(aws->next, ==, aws->count);
    g_hash_table_unref(aws->environment);
    mutex_destroy(&aws->mutex);
    g_free(aws);
}

void fake_aws_expect(FakeAws *aws, FakeStep step) {
    g_assert_cmpuint(aws->count, <, G_N_ELEMENTS(aws->steps));
    aws->steps[aws->count++] = step;
}

void fake_aws_set(FakeAws *aws, const char *name, const char *value) {
    g_hash_table_insert(aws->environment, g_strdup(name), g_strdup(value));
}

AwsClientOptions fake_aws_options(FakeAws *aws) {
    return (AwsClientOptions){
        .environment = look_up,
        .transport = &aws->transport,
        .clock = &aws->clock,
        .random32 = random32,
        .wait_us = wait_us,
        .user = aws,
    };
}

AwsCall fake_aws_call(FakeAws *aws, int64_t seconds) {
    return (AwsCall){aws->now_us + seconds * G_USEC_PER_SEC, &aws->cancel};
}
