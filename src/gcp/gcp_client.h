// A thin client of Google Cloud: a request in, an answer or an error out. It signs in as Google's libraries do: a key
// file of a service account or of a user (`gcloud auth application-default login`), else the metadata server of the
// machine or pod. All calls block the caller and are safe from many threads.
// https://cloud.google.com/docs/authentication/application-default-credentials
#pragma once

#include "base/cancel.h"
#include "base/clock.h"
#include "net/http.h"

typedef struct GcpClient GcpClient;

typedef struct {
    const char *credentials_path; // the configuration's; NULL and "" are none. Copied.
    // Looks a variable of the environment up; NULL: none is set. Called at any time, from any thread.
    // GOOGLE_APPLICATION_CREDENTIALS, GOOGLE_CLOUD_PROJECT, GCE_METADATA_HOST, STORAGE_EMULATOR_HOST (asked without
    // signing in), CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDFUNCTIONS, HOME.
    const char *(*environment)(const char *name, void *user);
    // For Google's services, and for the metadata server (never through a proxy). NULL: real ones are made; a single
    // one given serves for both.
    HttpTransport *transport, *metadata_transport;
    const Clock *clock;               // NULL: the system's
    uint32_t (*random32)(void *user); // jitter; NULL: the system's
    // How the client waits between tries; NULL: sleeps, ending early when cancelled. Tests give theirs.
    void (*wait_us)(int64_t us, const Cancel *cancel, void *user);
    void *user;
} GcpClientOptions;

// Reads no credentials yet and asks nobody.
GcpClient *gcp_client_new(const GcpClientOptions *options, GError **error);
void gcp_client_free(GcpClient *client);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(GcpClient, gcp_client_free)

// Every call takes one: by when it has ended, tries included.
typedef struct {
    int64_t deadline_us; // clock_monotonic_us; 0: 30 s from now
    const Cancel *cancel;
} GcpCall;

// A token for Google's APIs, kept until shortly before its end. g_free.
bool gcp_access_token(GcpClient *client, const GcpCall *call, char **token, GError **error);
// A token that tells who we are to whoever is called `audience` (the URL of a function), kept likewise. A user's
// credentials give none. g_free.
bool gcp_id_token(GcpClient *client, const char *audience, const GcpCall *call, char **token, GError **error);
// The project of GOOGLE_CLOUD_PROJECT, of the key file, or of the machine. g_free.
bool gcp_project(GcpClient *client, const GcpCall *call, char **project, GError **error);
// Forgets tokens, after an answer said that one is not good any more.
void gcp_forget_tokens(GcpClient *client);

typedef enum { GCP_ANONYMOUS, GCP_ACCESS, GCP_IDENTITY } GcpAuth;

typedef struct {
    const char *method, *url;   // escaped
    const char *const *headers; // NULL-terminated; may be NULL
    const char *body;           // may be NULL
    size_t body_len;
    GcpAuth auth;
    const char *audience; // GCP_IDENTITY
    bool once;            // doing it twice is not doing it once: repeated only where nothing was sent
    size_t max_response;  // 0: 1 MiB
    void (*on_header)(const char *name, const char *value, void *header_user); // of every try; may be NULL
    void *header_user;
} GcpRequest;

// Signs and sends it, and tries again with backoff and jitter within the deadline: broken connections, 408, 429, 500,
// 502, 503, 504. After a 401 the token is forgotten, and asked for anew, once. True for 200 to 299. Else the error is
// NOT_FOUND, FORBIDDEN, UNAUTHENTICATED, CONFLICT (409, 412), INVALID, UNAVAILABLE, TIMEOUT, CANCELLED, TOO_LARGE or
// FAILED with what Google says; `response` is filled where an answer came. `uncertain` (may be NULL) tells that a try
// before the last may have been acted on.
bool gcp_request(GcpClient *client, const GcpRequest *request, const GcpCall *call, HttpResponse *response,
                 bool *uncertain, GError **error);

// The value of a variable of the environment; NULL when it is not set or empty.
const char *gcp_environment(const GcpClient *client, const char *name);
