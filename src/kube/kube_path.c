// URLs of resources. https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris
#include "base/error.h"
#include "kube/kube_client_internal.h"

#include <string.h>

// The API server splits the decoded path, so a slash in a name would name something else even when it is escaped, and
// an empty name would turn the deletion of one object into that of all.
static bool append_part(GString *url, const char *what, const char *part, GError **error) {
    bool bad = !*part || strcmp(part, ".") == 0 || strcmp(part, "..") == 0 || strpbrk(part, "/%") || strlen(part) > 253;
    if (bad) {
        g_autofree char *shown = g_strescape(part, NULL);
        if (strlen(shown) > 100)
            shown[100] = '\0';
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID, "'%s' cannot be the %s of a Kubernetes resource", shown,
                    what);
        return false;
    }
    g_string_append_c(url, '/');
    http_append_escaped(url, part);
    return true;
}

static bool append_path(GString *url, const KubePath *path, GError **error) {
    bool core = !path->group || !*path->group;
    g_string_append(url, core ? "/api" : "/apis");
    if (!core && !append_part(url, "group", path->group, error))
        return false;
    if (!append_part(url, "version", path->version ? path->version : "", error))
        return false;
    if (path->resource_namespace) {
        g_string_append(url, "/namespaces");
        if (!append_part(url, "namespace", path->resource_namespace, error))
            return false;
    }
    return append_part(url, "type", path->plural ? path->plural : "", error) &&
           (!path->name || append_part(url, "name", path->name, error)) &&
           (!path->subresource || append_part(url, "subresource", path->subresource, error));
}

GString *kube_path_url(KubeClient *client, const KubePath *path, KubePathKind kind, GError **error) {
    if ((kind == KUBE_PATH_NAMED && !path->name) || (kind == KUBE_PATH_COLLECTION && path->name) ||
        (path->subresource && !path->name)) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID, "this call takes %s name of a resource",
                    kind == KUBE_PATH_COLLECTION ? "no" : "the");
        return NULL;
    }
    GString *url = g_string_sized_new(255);
    g_string_append(url, kube_config_server(client->config));
    if (append_path(url, path, error))
        return url;
    g_string_free(url, TRUE);
    return NULL;
}

void kube_url_query(GString *url, const char *key, const char *value) {
    if (!value)
        return;
    g_string_append_c(url, strchr(url->str, '?') ? '&' : '?');
    g_string_append(url, key);
    g_string_append_c(url, '=');
    http_append_escaped(url, value);
}
