// The calls on one object, and streams.
#include "base/error.h"
#include "kube/kube_client_internal.h"

#include <string.h>

static const char JSON_CONTENT[] = "Content-Type: application/json";

static bool read_object(const KubeRequest *request, const HttpResponse *response, KubeObject *object, GError **error) {
    if (!object)
        return true;
    yyjson_read_err failure = {0};
    yyjson_doc *doc =
        response->body.len == 0 ? NULL : yyjson_read_opts(response->body.data, response->body.len, 0, NULL, &failure);
    if (!doc || !yyjson_is_obj(yyjson_doc_get_root(doc))) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_FAILED, "%s %s: the answer is no JSON object%s%s", request->method,
                    request->url, failure.msg ? ": " : "", failure.msg ? failure.msg : "");
        yyjson_doc_free(doc);
        return false;
    }
    *object = (KubeObject){.doc = doc, .root = yyjson_doc_get_root(doc)};
    return true;
}

static bool exchange(KubeClient *client, const KubeRequest *request, KubeObject *object, GError **error) {
    g_auto(HttpResponse) response = {0};
    return kube_request(client, request, &response, NULL, error) && read_object(request, &response, object, error);
}

static bool send(KubeClient *client, const char *method, GString *url, const char *content_type, const char *json,
                 KubeRepeat repeat, const KubeCall *call, KubeObject *object, GError **error) {
    if (call && call->dry_run)
        kube_url_query(url, "dryRun", "All");
    KubeRequest request = kube_request_init(client, method, url->str, call);
    request.content_type = content_type;
    request.body = json;
    request.body_len = strlen(json);
    request.repeat = repeat;
    return exchange(client, &request, object, error);
}

bool kube_get(KubeClient *client, const KubePath *path, const KubeCall *call, KubeObject *object, GError **error) {
    g_autoptr(GString) url = kube_path_url(client, path, KUBE_PATH_ANY, error);
    if (!url)
        return false;
    KubeRequest request = kube_request_init(client, "GET", url->str, call);
    return exchange(client, &request, object, error);
}

bool kube_create(KubeClient *client, const KubePath *path, const char *json, const KubeCall *call, KubeObject *object,
                 GError **error) {
    // A name only goes with a subresource: POST .../pods/NAME/eviction.
    KubePathKind kind = path->subresource ? KUBE_PATH_NAMED : KUBE_PATH_COLLECTION;
    g_autoptr(GString) url = kube_path_url(client, path, kind, error);
    return url && send(client, "POST", url, JSON_CONTENT, json, KUBE_REPEAT_TOLD, call, object, error);
}

bool kube_replace(KubeClient *client, const KubePath *path, const char *json, const KubeCall *call, KubeObject *object,
                  GError **error) {
    g_autoptr(GString) url = kube_path_url(client, path, KUBE_PATH_NAMED, error);
    return url && send(client, "PUT", url, JSON_CONTENT, json, KUBE_REPEAT_WRITE, call, object, error);
}

bool kube_patch(KubeClient *client, const KubePath *path, KubePatchType type, const char *json, const KubeCall *call,
                KubeObject *object, GError **error) {
    static const char *const content_types[] = {
        [KUBE_MERGE_PATCH] = "Content-Type: application/merge-patch+json",
        [KUBE_JSON_PATCH] = "Content-Type: application/json-patch+json",
        [KUBE_STRATEGIC_PATCH] = "Content-Type: application/strategic-merge-patch+json",
        [KUBE_APPLY_PATCH] = "Content-Type: application/apply-patch+yaml",
    };
    g_autoptr(GString) url = kube_path_url(client, path, KUBE_PATH_NAMED, error);
    if (!url)
        return false;
    // Not forced: a field that somebody else owns is a conflict that the caller hears of.
    if (type == KUBE_APPLY_PATCH)
        kube_url_query(url, "fieldManager", "stoop");
    // A JSON patch appends to lists; the others say what shall be, which is the same when said twice.
    KubeRepeat repeat = type == KUBE_JSON_PATCH ? KUBE_REPEAT_WRITE : KUBE_REPEAT_SAFE;
    return send(client, "PATCH", url, content_types[type], json, repeat, call, object, error);
}

static void append_delete_options(Buf *body, const KubeDeleteOptions *options, bool dry_run) {
    buf_append_text(body, "{\"kind\":\"DeleteOptions\",\"apiVersion\":\"v1\"");
    if (options->grace_period_seconds >= 0)
        buf_printf(body, ",\"gracePeriodSeconds\":%" G_GINT64_FORMAT, options->grace_period_seconds);
    if (options->propagation) {
        buf_append_text(body, ",\"propagationPolicy\":");
        buf_append_json_string(body, options->propagation, strlen(options->propagation));
    }
    if (dry_run)
        buf_append_text(body, ",\"dryRun\":[\"All\"]");
    if (options->uid) {
        buf_append_text(body, ",\"preconditions\":{\"uid\":");
        buf_append_json_string(body, options->uid, strlen(options->uid));
        buf_append_char(body, '}');
    }
    buf_append_char(body, '}');
}

bool kube_delete(KubeClient *client, const KubePath *path, const KubeDeleteOptions *options, const KubeCall *call,
                 GError **error) {
    static const KubeDeleteOptions plain = {.grace_period_seconds = -1};
    if (!options)
        options = &plain;
    g_autoptr(GString) url = kube_path_url(client, path, KUBE_PATH_NAMED, error);
    if (!url)
        return false;
    g_auto(Buf) body = BUF_INIT(4096);
    if ((options->uid && strlen(options->uid) > 256) || (options->propagation && strlen(options->propagation) > 64)) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID, "%s is too long",
                    options->uid ? "the UID" : "propagation");
        return false;
    }
    append_delete_options(&body, options, call && call->dry_run);
    KubeRequest request = kube_request_init(client, "DELETE", url->str, call);
    request.content_type = JSON_CONTENT;
    request.body = body.data;
    request.body_len = body.len;
    g_auto(HttpResponse) response = {0};
    bool uncertain = false;
    GError *failure = NULL;
    if (kube_request(client, &request, &response, &uncertain, &failure))
        return true; // what the answer holds is not read
    // An earlier try whose answer was lost has done it: the object is gone, or another one stands in its place.
    bool done = uncertain && (response.status == 404 || (response.status == 409 && options->uid));
    if (done)
        g_error_free(failure);
    else
        g_propagate_error(error, failure);
    return done;
}

bool kube_stream(KubeClient *client, const KubePath *path, const char *query, const KubeCall *call,
                 bool (*on_data)(const char *data, size_t len, void *user, GError **error), void *user,
                 GError **error) {
    g_autoptr(GString) url = kube_path_url(client, path, KUBE_PATH_ANY, error);
    if (!url)
        return false;
    if (query && *query)
        g_string_append_printf(url, "?%s", query);
    KubeRequest request = kube_request_init(client, "GET", url->str, call);
    request.accept = "Accept: */*";
    request.long_lived = true;
    request.on_data = on_data;
    request.user = user;
    g_auto(HttpResponse) response = {0};
    return kube_request(client, &request, &response, NULL, error);
}

static bool ping(KubeClient *client, const char *path, const KubeCall *call, int *status, GError **error) {
    g_autofree char *url = g_strconcat(kube_config_server(client->config), path, NULL);
    KubeRequest request = kube_request_init(client, "GET", url, call);
    request.accept = "Accept: */*";
    request.once = true;
    g_auto(HttpResponse) response = {0};
    bool ok = kube_request(client, &request, &response, NULL, error);
    *status = response.status;
    return ok;
}

bool kube_ping(KubeClient *client, const KubeCall *call, GError **error) {
    int status = 0;
    g_autoptr(GError) failure = NULL;
    if (ping(client, "/readyz", call, &status, &failure))
        return true;
    // Some clusters hide /readyz; /version is open to everybody who may ask anything.
    if (status == 403 || status == 404)
        return ping(client, "/version", call, &status, error);
    g_propagate_error(error, g_steal_pointer(&failure));
    return false;
}
