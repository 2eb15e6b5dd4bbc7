// A thin client of the Kubernetes API: a request in, a typed answer or an error out. All calls block the caller and are
// safe from many threads. https://kubernetes.io/docs/reference/using-api/api-concepts/
#pragma once

#include "base/cancel.h"
#include "base/clock.h"
#include "kube/kube_config.h"
#include "net/http.h"

#include <yyjson.h>

typedef struct KubeClient KubeClient;

typedef struct {
    KubeConfig *config; // taken over, also on failure
    HttpTransport
        *transport; // NULL: a real one is made from config (and its TLS follows rotated files); tests give theirs
    const Clock *clock;
    uint32_t (*random32)(void *user); // jitter; NULL: the system's
    // How the client waits between tries; NULL: sleeps, ending early when cancelled. Tests give theirs.
    void (*wait_us)(int64_t us, const Cancel *cancel, void *user);
    void *user;
    unsigned max_in_flight; // 0: 64
} KubeClientOptions;

KubeClient *kube_client_new(const KubeClientOptions *options, GError **error);
void kube_client_free(KubeClient *client);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KubeClient, kube_client_free)

// Every call takes one: by when it has ended, tries included.
typedef struct {
    int64_t deadline_us; // clock_monotonic_us; 0: 10 s from now
    const Cancel *cancel;
    // The API server does all but keep what a POST, PATCH, PUT or DELETE changes: it checks, admits and answers.
    // https://kubernetes.io/docs/reference/using-api/api-concepts/#dry-run
    bool dry_run;
    bool first_word; // a 500, 502 or 503 of a GET is the answer, and not tried again: the node's state now is asked for
} KubeCall;

// Where a resource lives. `group` "" is the core group (/api/v1). `plural` as in URLs ("pods"). `resource_namespace`
// NULL for cluster-scoped ones. `name` NULL for the collection, `subresource` NULL for none.
typedef struct {
    const char *group, *version, *plural, *resource_namespace, *name, *subresource;
} KubePath;

#define KUBE_POD(ns, pod) ((KubePath){"", "v1", "pods", (ns), (pod), NULL})
#define KUBE_NODE(node) ((KubePath){"", "v1", "nodes", NULL, (node), NULL})

// An answer: a JSON document.
typedef struct {
    yyjson_doc *doc;
    yyjson_val *root;
} KubeObject;
void kube_object_clear(KubeObject *object);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(KubeObject, kube_object_clear)
// The text at a path of keys ("metadata", "uid", NULL), or NULL.
const char *kube_object_text(yyjson_val *root, ...) G_GNUC_NULL_TERMINATED;
yyjson_val *kube_object_get(yyjson_val *root, ...) G_GNUC_NULL_TERMINATED;

// Errors of every call: NOT_FOUND, CONFLICT (409, 410), FORBIDDEN, UNAUTHENTICATED, INVALID (400, 422), UNAVAILABLE
// (connection, 429, 5xx after all tries), TIMEOUT, CANCELLED, TOO_LARGE. The text is the Status message of the API
// server with its reason, e.g. `pods "web" is forbidden: User "x" cannot delete ... (403 Forbidden)`. Tried again with
// backoff and jitter, within the deadline: GET always; DELETE, PATCH and PUT after a refused connection, 429 or 503
// (Retry-After obeyed), and DELETE also after a broken one and 500, 502, 504 (repeating it is safe: a 404, and with a
// UID precondition also a 409, then means done), as PATCH but for a JSON patch (said twice is said once); POST only
// where the server said that it did nothing (429, 503 with Retry-After, refused connection). A 401 makes the client
// read its token anew, once. A path part that is empty, "." or
// "..", or has '/' or '%' in it is INVALID without asking: the server would take it for another path. `object` may be
// NULL wherever only success matters. An apply patch is not forced: another manager's field is a CONFLICT.
bool kube_get(KubeClient *client, const KubePath *path, const KubeCall *call, KubeObject *object, GError **error);
bool kube_create(KubeClient *client, const KubePath *path, const char *json, const KubeCall *call, KubeObject *object,
                 GError **error);
bool kube_replace(KubeClient *client, const KubePath *path, const char *json, const KubeCall *call, KubeObject *object,
                  GError **error);
typedef enum { KUBE_MERGE_PATCH, KUBE_JSON_PATCH, KUBE_STRATEGIC_PATCH, KUBE_APPLY_PATCH } KubePatchType;
bool kube_patch(KubeClient *client, const KubePath *path, KubePatchType type, const char *json, const KubeCall *call,
                KubeObject *object, GError **error); // object may be NULL

typedef struct {
    int64_t grace_period_seconds; // -1: the object's own
    const char *uid;              // precondition; NULL: none
    const char *propagation;      // "Background", …; NULL: the server's default
} KubeDeleteOptions;
// True also when the server answers 202. NOT_FOUND when it is gone; CONFLICT when its UID is another.
bool kube_delete(KubeClient *client, const KubePath *path, const KubeDeleteOptions *options, const KubeCall *call,
                 GError **error);

// Lists page by page (limit, continue), in bounded memory: `each` is called per item and returns false to stop early
// (that is no error). label_selector and field_selector may be NULL. When the continue token expired (410) the list
// starts anew: then `restart` (may be NULL) is called first, so that the caller forgets what it counted.
// `resource_version` (may be NULL) receives the list's (g_free), for a watch from there.
typedef struct {
    const char *label_selector, *field_selector;
    unsigned page; // 0: 500
    bool (*each)(yyjson_val *item, void *user);
    void (*restart)(void *user);
    void *user;
} KubeList;
bool kube_list(KubeClient *client, const KubePath *path, const KubeList *list, const KubeCall *call,
               char **resource_version, GError **error);

// Watches from `resource_version`; `each` gets the event's type ("ADDED", "MODIFIED", "DELETED", "BOOKMARK") and object
// and returns false to end it (then true is returned). Reconnects from the last version seen; STOOP_ERROR_CONFLICT when
// the version is too old (410): list again.
typedef struct {
    const char *label_selector, *field_selector, *resource_version;
    bool (*each)(const char *type, yyjson_val *object, void *user);
    void *user;
} KubeWatch;
bool kube_watch(KubeClient *client, const KubePath *path, const KubeWatch *watch, const KubeCall *call, GError **error);

// Streams a GET (a log) to `on_data` in bounded memory. `query`: "a=b&c=d", escaped, or NULL. Not repeated once data
// came.
bool kube_stream(KubeClient *client, const KubePath *path, const char *query, const KubeCall *call,
                 bool (*on_data)(const char *data, size_t len, void *user, GError **error), void *user, GError **error);

// Finds a resource by what an audit event or a user calls it ("deployments", "deployment", "deploy", "Deployment",
// "deployments.apps") through the server's discovery (kept for 10 minutes, asked anew on a miss). Ambiguous plain names
// take the group that the server prefers: core first, then in its order. The strings are the client's, for as long as
// it lives.
typedef struct {
    const char *group, *version, *plural, *kind;
    bool namespaced;
} KubeResource;
bool kube_discover(KubeClient *client, const char *name, const KubeCall *call, KubeResource *resource, GError **error);

// Asks /readyz or /version once; for start-up and readiness.
bool kube_ping(KubeClient *client, const KubeCall *call, GError **error);
