// Internal to gcp/.
#pragma once

#include "base/thread.h"
#include "gcp/gcp_client.h"
#include "net/http_client.h"

struct GcpClient {
    char *credentials_path;
    const char *(*environment)(const char *name, void *user);
    HttpTransport *transport, *metadata_transport;
    HttpClient *own, *own_metadata; // where the transports are ours
    const Clock *clock;
    uint32_t (*random32)(void *user);
    void (*wait_us)(int64_t us, const Cancel *cancel, void *user);
    void *user;

    Mutex lock;         // of what follows; not held during calls
    GHashTable *tokens; // audience ("": of access) to GcpToken
};

typedef struct {
    char *text;
    int64_t until_us; // clock_monotonic_us, with some time to spare
} GcpToken;

// A key file, or what stands for none.
typedef enum { GCP_KEY_SERVICE_ACCOUNT, GCP_KEY_USER, GCP_KEY_NONE } GcpKeyKind;
typedef struct {
    GcpKeyKind kind; // NONE: the metadata server
    char *email, *private_key, *private_key_id, *token_uri, *project;
    char *client_id, *client_secret, *refresh_token;
} GcpKey;
void gcp_key_clear(GcpKey *key);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(GcpKey, gcp_key_clear)

// Finds and reads the key file, anew each time: it may be replaced.
bool gcp_key_load(const GcpClient *client, GcpKey *key, GError **error);
// The JSON of a key file; `path` is for messages.
bool gcp_key_parse(const char *text, size_t len, const char *path, GcpKey *key, GError **error);

// A JWT for the token endpoint, signed with the key (RS256). `target_audience` NULL: for an access token. g_free.
char *gcp_jwt(const GcpKey *key, const char *target_audience, int64_t now_s, GError **error);

// One request with its repetitions; `bearer` may be NULL. `metadata`: to the metadata server.
bool gcp_send(GcpClient *client, const GcpRequest *request, const char *bearer, bool metadata, const GcpCall *call,
              HttpResponse *response, bool *uncertain, GError **error);
int64_t gcp_deadline_us(const GcpClient *client, const GcpCall *call);
