// An API server for tests: a script of expected requests and what happens to each, with a clock that only waits move.
#pragma once

#include "base/error.h"
#include "kube/kube_client.h"

typedef struct {
    // What must come. `path` is the URL after the server's name.
    const char *method, *path;
    const char *body;       // NULL: none
    const char *headers[6]; // each must be among the request's; "!Name:" must not be
    // What happens. `status` 0: the call fails with `failure` and `text`, after `sent`.
    int status;
    const char *answer;
    int64_t retry_after_us; // 0: none
    StoopError failure;
    const char *text;
    bool sent;
    int64_t takes_us;     // how far the clock moves
    size_t piece;         // on_data gets the answer in pieces of so many bytes; 0: whole
    bool breaks;          // after the answer's data the connection breaks
    void (*then)(void *); // called before the answer is given
    void *then_user;
} FakeStep;

typedef struct {
    HttpTransport transport;
    Clock clock;
    _Atomic int64_t now_us;
    FakeStep steps[64];
    unsigned count, next;
    int64_t waits[64];
    unsigned wait_count;
    uint32_t random;
    int64_t last_deadline_us;
    bool last_long_lived;
    Cancel cancel;
    unsigned cancel_at_wait; // 1: the first wait sets `cancel`
    KubeClient *client;
} FakeApi;

// With a static token "t0k3n"; the server is https://api.test:6443.
FakeApi *fake_api_new(void);
FakeApi *fake_api_new_with(KubeConfig *config); // taken over
void fake_api_free(FakeApi *api);               // also asserts that the whole script was played
G_DEFINE_AUTOPTR_CLEANUP_FUNC(FakeApi, fake_api_free)

void fake_api_expect(FakeApi *api, FakeStep step);
// A call whose deadline is so many seconds away.
KubeCall fake_api_call(FakeApi *api, int64_t seconds);

#define STATUS_JSON(code, reason, message)                                                                             \
    "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\",\"message\":\"" message         \
    "\",\"reason\":\"" reason "\",\"code\":" #code "}"

#define assert_text_has(text, part)                                                                                    \
    do {                                                                                                               \
        if (!strstr((text), (part))) {                                                                                 \
            g_test_message("'%s' is not in '%s'", (part), (text));                                                     \
            g_assert_nonnull(strstr((text), (part)));                                                                  \
        }                                                                                                              \
    } while (0)
