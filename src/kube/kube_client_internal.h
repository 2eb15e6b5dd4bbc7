// Internal to kube/: one request with its repetitions, that all calls are made of.
#pragma once

#include "kube/kube_client.h"
#include "kube/kube_config_internal.h"
#include "net/http_client.h"

// Which answers and failures allow a request to be sent again. Refused connections, 429 and an unread 401 allow it
// always: the server did nothing.
typedef enum {
    KUBE_REPEAT_TOLD,  // also 503 with Retry-After (POST)
    KUBE_REPEAT_WRITE, // also any 503 (PUT, JSON patch)
    KUBE_REPEAT_SAFE,  // also broken connections, 500, 502, 504 (GET, DELETE, other patches)
} KubeRepeat;

typedef struct {
    const char *method, *url;
    const char *accept;       // header line; NULL: application/json
    const char *content_type; // header line; NULL: no body
    const char *body;
    size_t body_len;
    KubeRepeat repeat;
    bool once;            // never repeated (but for a 401)
    int64_t deadline_us;  // of everything
    int64_t try_limit_us; // how long one try may take; 0: until the deadline
    const Cancel *cancel;
    bool long_lived;
    bool (*on_data)(const char *data, size_t len, void *user, GError **error);
    void *user;
    // When set, the request opens a WebSocket with one of `protocols`; the deadline is that of the opening.
    WebSocket **socket;
    const char *const *protocols;
} KubeRequest;

typedef struct KubeDiscovery KubeDiscovery;

struct KubeClient {
    KubeConfig *config;
    HttpTransport *transport;
    HttpClient *own; // the transport, when it is ours
    const Clock *clock;
    uint32_t (*random32)(void *user);
    void (*wait_us)(int64_t us, const Cancel *cancel, void *user);
    void *user;

    // Follows rotated certificates. NULL: the transport is not ours. Tests put their own here.
    bool (*apply_tls)(KubeClient *client, const KubeTls *tls, GError **error);
    Mutex tls_lock;
    _Atomic int64_t tls_checked_us;
    bool tls_pending; // the last material was not taken; under tls_lock

    KubeDiscovery *discovery;
};

// True when a 2xx came; then `response` is filled. `uncertain` (may be NULL) tells that a try before the last one may
// have been acted on, whatever this returns.
bool kube_request(KubeClient *client, const KubeRequest *request, HttpResponse *response, bool *uncertain,
                  GError **error);

// A request with what `call` says filled in.
KubeRequest kube_request_init(KubeClient *client, const char *method, const char *url, const KubeCall *call);

// The URL of `path` on this server. Refuses parts that could lead elsewhere: empty, ".", "..", with '/' or '%'.
// `collection`: the path must have no name; else it must have one.
typedef enum { KUBE_PATH_COLLECTION, KUBE_PATH_NAMED, KUBE_PATH_ANY } KubePathKind;
GString *kube_path_url(KubeClient *client, const KubePath *path, KubePathKind kind, GError **error);
// Appends "?key=value" or "&key=value", escaped. A NULL value appends nothing.
void kube_url_query(GString *url, const char *key, const char *value);

// Makes an error of an answer that is no success.
void kube_status_error(const char *method, const char *url, int status, const char *body, size_t len, GError **error);
// From a Status object, as watches send it; `status`: the HTTP code if the object has none.
void kube_status_object_error(yyjson_val *object, int status, GError **error);
// What the Status asks to wait before the next try, -1: nothing.
int64_t kube_status_retry_after_us(const char *body, size_t len);

KubeDiscovery *kube_discovery_new(void);
void kube_discovery_free(KubeDiscovery *discovery);

G_DEFINE_AUTOPTR_CLEANUP_FUNC(yyjson_doc, yyjson_doc_free)
