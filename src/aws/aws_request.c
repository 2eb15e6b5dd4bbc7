// Signing, sending, trying again, and saying what went wrong.
#include "aws/aws_client_private.h"
#include "aws/aws_text.h"
#include "base/backoff.h"
#include "base/error.h"
#include "base/one_line.h"

#include <string.h>

#define MAX_RESPONSE ((size_t)1024 * 1024)
#define MAX_TRIES 8
#define BACKOFF_BASE_US (100 * 1000)
#define BACKOFF_MAX_US (5 * G_USEC_PER_SEC)

static bool is_one_of(const char *text, const char *const *list) {
    for (; text && *list; list++)
        if (strcmp(text, *list) == 0)
            return true;
    return false;
}

static bool is_throttled(const char *code) {
    static const char *const codes[] = {"SlowDown",
                                        "Throttling",
                                        "ThrottlingException",
                                        "ThrottledException",
                                        "RequestLimitExceeded",
                                        "RequestThrottled",
                                        "RequestThrottledException",
                                        "TooManyRequestsException",
                                        "BandwidthLimitExceeded",
                                        "EC2ThrottledException",
                                        "ProvisionedThroughputExceededException",
                                        NULL};
    return is_one_of(code, codes);
}

static bool is_expired(const char *code) {
    static const char *const codes[] = {"ExpiredToken", "ExpiredTokenException", "RequestExpired",
                                        "TokenRefreshRequired", NULL};
    return is_one_of(code, codes);
}

bool aws_says_expired(const HttpResponse *response) {
    if (response->status != 400 && response->status != 401 && response->status != 403)
        return false;
    g_auto(AwsProblem) problem = {0};
    return aws_problem_read(buf_text(&response->body), response->body.len, &problem) && is_expired(problem.code);
}

// --- Errors ---

static StoopError code_of(int status, const char *code) {
    if (is_throttled(code))
        return STOOP_ERROR_UNAVAILABLE;
    static const char *const unknown[] = {"InvalidAccessKeyId",
                                          "InvalidClientTokenId",
                                          "UnrecognizedClientException",
                                          "SignatureDoesNotMatch",
                                          "InvalidToken",
                                          "MissingAuthenticationToken",
                                          "MissingAuthenticationTokenException",
                                          NULL};
    if (is_one_of(code, unknown) || is_expired(code))
        return STOOP_ERROR_UNAUTHENTICATED;
    return http_status_error(status);
}

void aws_set_status_error(const AwsRequest *request, const HttpResponse *response, GError **error) {
    g_auto(AwsProblem) problem = {0};
    const char *body = buf_text(&response->body);
    if (!aws_problem_read(body, response->body.len, &problem) && response->body.len > 0)
        problem.message = one_line(body, response->body.len, 200);
    g_autoptr(GString) text = g_string_new(problem.code);
    if (problem.message)
        g_string_append_printf(text, "%s%s", text->len ? ": " : "", problem.message);
    if (text->len == 0)
        g_string_append_printf(text, "%s answered", request->service);
    g_string_append_printf(text, " (%d)", response->status);
    bool elsewhere = problem.region && strcmp(problem.region, request->region) != 0;
    if (elsewhere)
        g_string_append_printf(text, "; the bucket is in the region %s, not %s", problem.region, request->region);
    else if (response->status == 301 || response->status == 307)
        g_string_append_printf(text, "; the bucket is not in the region %s", request->region);
    g_set_error_literal(error, STOOP_ERROR, elsewhere ? STOOP_ERROR_INVALID : code_of(response->status, problem.code),
                        text->str);
}

// --- One try ---

bool aws_send(AwsClient *client, const AwsRequest *request, const AwsCredentials *credentials, const AwsCall *call,
              HttpResponse *response, GError **error) {
    char own_hash[AWS_SHA256_HEX];
    const char *hash = request->body_sha256;
    if (!hash) {
        aws_sha256_hex(request->body ? request->body : "", request->body_len, own_hash);
        hash = own_hash;
    }
    g_autoptr(GPtrArray) headers = g_ptr_array_new_with_free_func(g_free);
    for (const char *const *header = request->headers; header && *header; header++)
        g_ptr_array_add(headers, g_strdup(*header));
    if (request->s3)
        g_ptr_array_add(headers, g_strconcat("X-Amz-Content-Sha256: ", hash, NULL));
    g_ptr_array_add(headers, NULL);
    if (credentials) {
        AwsSignInput input = {
            .method = request->method,
            .url = request->url,
            .headers = (const char *const *)headers->pdata,
            .body_sha256 = hash,
            .region = request->region,
            .service = request->service,
            .realtime_ns = clock_realtime_ns(client->clock),
            .plain_path = request->s3,
        };
        AwsKeys keys = aws_credentials_keys(credentials);
        g_autoptr(GPtrArray) more = g_ptr_array_new_with_free_func(g_free);
        if (!aws_sign(&input, &keys, more, error))
            return false;
        g_ptr_array_set_size(headers, (int)headers->len - 1);
        for (guint i = 0; i < more->len; i++)
            g_ptr_array_add(headers, g_steal_pointer(&more->pdata[i]));
        g_ptr_array_add(headers, NULL);
    }
    HttpRequest http = {
        .method = request->method,
        .url = request->url,
        .headers = (const char *const *)headers->pdata,
        .body = request->body,
        .body_len = request->body_len,
        .deadline_us = call->deadline_us,
        .cancel = call->cancel,
        .once = request->repeat == AWS_REPEAT_TOLD,
        .max_response = request->max_response ? request->max_response : MAX_RESPONSE,
        .on_header = request->on_header,
        .header_user = request->header_user,
    };
    return http_perform(client->transport, &http, response, error);
}

// --- Many tries ---

// A server that says 500, 502, 503 or 504 may have done it, or the one behind it.
static bool answer_may_change(const AwsRequest *request, const HttpResponse *response) {
    static const int passing[] = {500, 502, 503, 504};
    bool always = request->repeat == AWS_REPEAT_ALWAYS;
    if (response->status == 429)
        return true;
    for (size_t i = 0; always && i < G_N_ELEMENTS(passing); i++)
        if (response->status == passing[i])
            return true;
    g_auto(AwsProblem) problem = {0};
    if (response->status < 400 || !aws_problem_read(buf_text(&response->body), response->body.len, &problem))
        return false;
    return is_throttled(problem.code) || (always && g_strcmp0(problem.code, "RequestTimeout") == 0);
}

static bool may_try_again(const AwsRequest *request, const HttpResponse *response, const GError *failure) {
    if (!failure)
        return answer_may_change(request, response);
    return stoop_error_is(failure, STOOP_ERROR_UNAVAILABLE) &&
           (request->repeat == AWS_REPEAT_ALWAYS || !response->sent);
}

// Waits before the next try; false when there is no time for one.
static bool pause_before_next(AwsClient *client, Backoff *backoff, const HttpResponse *response, const AwsCall *call) {
    int64_t wait = backoff_next_us(backoff, client->random32(client->user));
    if (response->status && response->retry_after_us > 0)
        wait = MAX(wait, response->retry_after_us);
    if (call->deadline_us > 0 && clock_monotonic_us(client->clock) + wait >= call->deadline_us)
        return false;
    client->wait_us(wait, call->cancel, client->user);
    return !cancel_is_set(call->cancel);
}

bool aws_request_as(AwsClient *client, const AwsRequest *request, const AwsCredentials *credentials,
                    const AwsCall *call, HttpResponse *response, bool *sent, GError **error) {
    Backoff backoff = {.base_us = BACKOFF_BASE_US, .max_us = BACKOFF_MAX_US};
    for (unsigned try = 1;; try++) {
        g_autoptr(GError) failure = NULL;
        http_response_clear(response);
        bool answered = aws_send(client, request, credentials, call, response, &failure);
        if (answered && response->status >= 200 && response->status < 300)
            return true;
        // Also an answer of 5xx may come from a server that did it all the same.
        if (sent && (answered ? response->status >= 500 : response->sent))
            *sent = true;
        bool again = try < MAX_TRIES && may_try_again(request, response, failure);
        if (again && pause_before_next(client, &backoff, response, call))
            continue;
        if (answered)
            aws_set_status_error(request, response, &failure);
        if (try > 1)
            g_prefix_error(&failure, "after %u tries: ", try);
        g_propagate_error(error, g_steal_pointer(&failure));
        return false;
    }
}
