// AWS for tests: a script of expected requests and what happens to each, with a clock that only waits move, and an
// environment.
#pragma once

#include "aws/aws_client.h"
#include "base/error.h"
#include "base/thread.h"

#include <string.h>

typedef struct {
    // What must come.
    const char *method, *url;
    const char *headers[6]; // each must be among the request's; "!Name:" must not be; "Name: x*" is a prefix
    const char *body;       // NULL: not looked at
    size_t body_len;        // of a body of which only the length is known; 0: not looked at
    // What happens. `status` 0: the call fails with `failure`, after `sent`.
    int status;
    const char *answer;
    const char *header[4]; // of the answer: name and value, twice
    int64_t retry_after_us;
    StoopError failure;
    bool sent;
    void (*then)(void *user); // called before the answer is given
    void *user;
} FakeStep;

typedef struct {
    HttpTransport transport;
    Clock clock;
    _Atomic int64_t now_us;
    int64_t realtime_base_ns;
    FakeStep steps[64];
    unsigned count, next;
    unsigned waits;
    int64_t waited_us;
    Mutex mutex;
    GHashTable *environment;
    Cancel cancel;
    const Cancel *last_cancel; // of the last request
    int64_t last_deadline_us;
} FakeAws;

FakeAws *fake_aws_new(void);
void fake_aws_free(FakeAws *aws); // also asserts that the whole script was played
G_DEFINE_AUTOPTR_CLEANUP_FUNC(FakeAws, fake_aws_free)

void fake_aws_expect(FakeAws *aws, FakeStep step);
void fake_aws_set(FakeAws *aws, const char *name, const char *value);
// Options with everything of the fake.
AwsClientOptions fake_aws_options(FakeAws *aws);
AwsCall fake_aws_call(FakeAws *aws, int64_t seconds);

#define assert_text_has(text, part)                                                                                    \
    do {                                                                                                               \
        if (!strstr((text), (part))) {                                                                                 \
            g_test_message("'%s' is not in '%s'", (part), (text));                                                     \
            g_assert_nonnull(strstr((text), (part)));                                                                  \
        }                                                                                                              \
    } while (0)
