#include "gcp/gcp_function_client.h"

#include "base/error.h"
#include "base/one_line.h"
#include "gcp/gcp_client_private.h"

#include <string.h>
#include <yyjson.h>

#define HOST "https://cloudfunctions.googleapis.com"
enum { ANSWER_SHOWN = 1000, ANSWER_MAX = 8 << 20 };

bool gcp_function_name_is_valid(const char *name) {
    size_t len = strlen(name);
    return len >= 1 && len <= 63 &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == len;
}

static const char *text_at(yyjson_val *root, const char *object, const char *key) {
    return yyjson_get_str(yyjson_obj_get(object ? yyjson_obj_get(root, object) : root, key));
}

// The second generation's, the first generation's as the second API tells it, the first API's.
static const char *url_of(yyjson_val *root) {
    const char *url = text_at(root, "serviceConfig", "uri");
    if (!url)
        url = text_at(root, NULL, "url");
    return url ? url : text_at(root, "httpsTrigger", "url");
}

static bool look_up(GcpClient *client, const char *version, const char *path, const GcpCall *call, char **url,
                    GError **error) {
    const char *host = gcp_environment(client, "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDFUNCTIONS");
    g_autofree char *base = g_strdup(host ? host : HOST);
    while (g_str_has_suffix(base, "/"))
        base[strlen(base) - 1] = '\0';
    g_autofree char *full = g_strdup_printf("%s/%s/%s", base, version, path);
    GcpRequest request = {.method = "GET", .url = full, .auth = GCP_ACCESS};
    g_auto(HttpResponse) response = {0};
    if (!gcp_request(client, &request, call, &response, NULL, error))
        return false;
    yyjson_doc *doc = response.body.len ? yyjson_read(response.body.data, response.body.len, 0) : NULL;
    const char *found = url_of(yyjson_doc_get_root(doc));
    // The token is for whoever answers there: over the open network only where the API itself is asked so.
    bool good = found && (g_str_has_prefix(found, "https://") || (host && g_str_has_prefix(found, "http://")));
    if (good)
        *url = g_strdup(found);
    else
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID, "the function is not called by HTTP: it has no URL");
    yyjson_doc_free(doc);
    return good;
}

bool gcp_function_url(GcpClient *client, const char *name, const char *location, const GcpCall *call, char **url,
                      GError **error) {
    if (!gcp_function_name_is_valid(name) || !gcp_function_name_is_valid(location)) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID, "'%s' in '%s' cannot be a function and its location", name,
                    location);
        return false;
    }
    g_autofree char *project = NULL;
    if (!gcp_project(client, call, &project, error))
        return false;
    g_autoptr(GString) path = g_string_new("projects/");
    http_append_escaped(path, project);
    g_string_append_printf(path, "/locations/%s/functions/%s", location, name);
    g_autoptr(GError) failed = NULL;
    if (look_up(client, "v2", path->str, call, url, &failed))
        return true;
    // An old function, or a role that knows the first API only.
    bool other = stoop_error_is(failed, STOOP_ERROR_NOT_FOUND) || stoop_error_is(failed, STOOP_ERROR_FORBIDDEN);
    if (other && look_up(client, "v1", path->str, call, url, NULL))
        return true;
    g_propagate_prefixed_error(error, g_steal_pointer(&failed), "the function '%s' in '%s': ", name, location);
    return false;
}

// The end of an answer, or its start, as text of one line.
static char *shown(const HttpResponse *response, bool its_end) {
    size_t len = response->body.len, from = its_end && len > ANSWER_SHOWN ? len - ANSWER_SHOWN : 0;
    return one_line(buf_text(&response->body) + from, len - from, ANSWER_SHOWN);
}

bool gcp_function_call(GcpClient *client, const char *url, const char *json, size_t len, const GcpCall *call,
                       int *status, char **answer, GError **error) {
    GcpRequest request = {.method = "POST",
                          .url = url,
                          .headers = (const char *[]){"Content-Type: application/json", NULL},
                          .body = json,
                          .body_len = len,
                          .auth = GCP_IDENTITY,
                          .audience = url,
                          .once = true,
                          .max_response = ANSWER_MAX};
    g_auto(HttpResponse) response = {0};
    g_autoptr(GError) failed = NULL;
    if (gcp_request(client, &request, call, &response, NULL, &failed)) {
        *status = response.status;
        *answer = shown(&response, false);
        return true;
    }
    if (response.status >= 300) {
        g_autofree char *end = shown(&response, true);
        g_set_error(error, STOOP_ERROR, failed->code, "the function answered %d%s%s", response.status, *end ? ": " : "",
                    end);
    } else {
        g_propagate_error(error, g_steal_pointer(&failed));
    }
    return false;
}
