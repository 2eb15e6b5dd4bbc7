// An API server made of a list: each request must be the next one of the list, to the byte, and gets its answer. The
// Kubernetes client before it is the real one. A name with a random end ("stoop-tcpdump-" and 12 hexadecimal digits) is
// "stoop-tcpdump-RANDOM" in the list, and its RANDOM in an answer is the last one that was seen.
#pragma once

#include "actionners/actionner.h"
#include "net/http.h"

typedef struct {
    const char *request; // "GET /api/v1/pods?limit=500"
    const char *body;    // exactly; NULL: must be none
    int status;
    const char *answer; // JSON, or a stream's bytes
    // Runs before the answer is given; may be NULL.
    void (*meanwhile)(void *user);
} Exchange;

typedef struct FakeApi FakeApi;

// `exchanges` ends with a row whose request is NULL and must live as long as the fake.
FakeApi *fake_api_new(const Exchange *exchanges);
// Asserts that every exchange has happened.
void fake_api_free(FakeApi *fake);
void fake_api_set_user(FakeApi *fake, void *user);
// What the client calls, for more functions than `perform`; it is the fake itself.
HttpTransport *fake_api_transport(FakeApi *fake);
void *fake_api_user(HttpTransport *transport);
// The client before it.
struct KubeClient *fake_api_kube(FakeApi *fake);

// One run of an actionner: `event` is JSON, `params` YAML (NULL: none). What was returned stands in `ok`.
typedef struct {
    bool ok;
    ActionResult result;
    GError *error;
} Run;
void run_clear(Run *run);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Run, run_clear)

void fake_api_run(FakeApi *fake, const char *actionner, const char *event, const char *params, ArtifactSink *sink,
                  Run *run);

// Runs against `exchanges` and asserts that all happened.
void run_against(const Exchange *exchanges, const char *actionner, const char *event, const char *params, Run *run);

// The actionner of that name; asserts that it is there.
const Actionner *find_actionner(const char *name);

// The name of an object of the result's, or NULL.
const char *object_of(const Run *run, const char *kind);

// Asserts that `text` is there and contains `part`.
#define assert_contains(text, part)                                                                                    \
    do {                                                                                                               \
        const char *whole_ = (text);                                                                                   \
        if (!whole_ || !strstr(whole_, (part)))                                                                        \
            g_error("%s:%d: '%s' does not contain '%s'", __FILE__, __LINE__, whole_ ? whole_ : "(null)", (part));      \
    } while (0)

// Asserts a failure with this code and a text that contains `part`.
#define assert_failed(run, error_code, part)                                                                           \
    do {                                                                                                               \
        g_assert_false((run)->ok);                                                                                     \
        g_assert_error((run)->error, STOOP_ERROR, error_code);                                                         \
        assert_contains((run)->error->message, part);                                                                  \
    } while (0)

// Asserts a result with this status and a text that contains `part`.
#define assert_result(run, wanted_status, part)                                                                        \
    do {                                                                                                               \
        g_assert_no_error((run)->error);                                                                               \
        g_assert_true((run)->ok);                                                                                      \
        g_assert_cmpint((run)->result.status, ==, wanted_status);                                                      \
        assert_contains((run)->result.text, part);                                                                     \
    } while (0)
