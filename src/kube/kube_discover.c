#include "kube/kube_discover.h"

#include "base/error.h"
#include "kube/kube_client_internal.h"

#include <string.h>

static const int64_t FRESH_US = 600000000;
static const int64_t ASK_AGAIN_US = 5000000; // after a miss

static const char AGGREGATED[] = "Accept: application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
                                 "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,"
                                 "application/json";

struct KubeDiscovery {
    Mutex lock;
    Cond asked;
    bool asking; // some thread asks the server; others wait for it
    KubeTable *table;
    int64_t asked_us;
    KubePool pool;
};

KubeDiscovery *kube_discovery_new(void) {
    KubeDiscovery *discovery = g_new0(KubeDiscovery, 1);
    mutex_init(&discovery->lock);
    cond_init(&discovery->asked);
    kube_pool_init(&discovery->pool);
    return discovery;
}

void kube_discovery_free(KubeDiscovery *discovery) {
    if (!discovery)
        return;
    kube_table_free(discovery->table);
    kube_pool_clear(&discovery->pool);
    cond_destroy(&discovery->asked);
    mutex_destroy(&discovery->lock);
    g_free(discovery);
}

static yyjson_doc *ask(KubeClient *client, const char *path, const KubeCall *call, GError **error) {
    g_autofree char *url = g_strconcat(kube_config_server(client->config), path, NULL);
    KubeRequest request = kube_request_init(client, "GET", url, call);
    request.accept = AGGREGATED;
    g_auto(HttpResponse) response = {0};
    if (!kube_request(client, &request, &response, NULL, error))
        return NULL;
    yyjson_doc *doc = response.body.len ? yyjson_read(response.body.data, response.body.len, 0) : NULL;
    if (!doc)
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_FAILED, "GET %s: the answer is not JSON", url);
    return doc;
}

// The old way: a document for each version of each group.
static bool ask_each(KubeClient *client, const KubeCall *call, yyjson_val *groups, GPtrArray *docs, GError **error) {
    g_autoptr(GPtrArray) group_versions = g_ptr_array_new_with_free_func(g_free);
    if (!kube_group_versions(groups, group_versions)) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_FAILED, "GET /apis: the answer is no discovery document");
        return false;
    }
    for (guint i = 0; i < group_versions->len; i++) {
        const char *group_version = group_versions->pdata[i];
        if (strstr(group_version, "..") || strpbrk(group_version, "?#% \\"))
            continue;
        g_autofree char *path = g_strconcat("/apis/", group_version, NULL);
        g_autoptr(GError) failure = NULL;
        yyjson_doc *doc = ask(client, path, call, &failure);
        if (doc) {
            g_ptr_array_add(docs, doc);
        } else if (stoop_error_is(failure, STOOP_ERROR_CANCELLED) || stoop_error_is(failure, STOOP_ERROR_TIMEOUT)) {
            g_propagate_error(error, g_steal_pointer(&failure));
            return false;
        }
        // Otherwise a group whose own server is down: the others are served nevertheless.
    }
    return true;
}

static bool is_aggregated(yyjson_doc *doc) {
    return yyjson_equals_str(yyjson_obj_get(yyjson_doc_get_root(doc), "kind"), "APIGroupDiscoveryList");
}

// Fetches the documents, core first.
static bool ask_all(KubeClient *client, const KubeCall *call, GPtrArray *docs, GError **error) {
    yyjson_doc *core = ask(client, "/api", call, error);
    if (!core)
        return false;
    if (!is_aggregated(core)) {
        yyjson_doc_free(core);
        core = ask(client, "/api/v1", call, error);
        if (!core)
            return false;
    }
    g_ptr_array_add(docs, core);
    yyjson_doc *groups = ask(client, "/apis", call, error);
    if (!groups)
        return false;
    if (is_aggregated(groups)) {
        g_ptr_array_add(docs, groups);
        return true;
    }
    bool ok = ask_each(client, call, yyjson_doc_get_root(groups), docs, error);
    yyjson_doc_free(groups);
    return ok;
}

// With the lock held, which is let go while the server is asked.
static bool renew(KubeClient *client, const KubeCall *call, GError **error) {
    KubeDiscovery *discovery = client->discovery;
    g_autoptr(GPtrArray) docs = g_ptr_array_new_with_free_func((GDestroyNotify)yyjson_doc_free);
    discovery->asking = true;
    mutex_unlock(&discovery->lock);
    bool ok = ask_all(client, call, docs, error);
    mutex_lock(&discovery->lock);
    discovery->asking = false;
    cond_broadcast(&discovery->asked);
    if (!ok)
        return false;
    KubeTable *table = kube_table_new(&discovery->pool);
    for (guint i = 0; i < docs->len; i++) {
        yyjson_val *root = yyjson_doc_get_root(docs->pdata[i]);
        if (!kube_table_add_aggregated(table, root))
            kube_table_add_resources(table, root);
    }
    kube_table_free(discovery->table);
    discovery->table = table;
    discovery->asked_us = clock_monotonic_us(client->clock);
    return true;
}

static bool find_or_ask(KubeClient *client, const char *name, const KubeCall *call, KubeResource *resource,
                        GError **error) {
    KubeDiscovery *discovery = client->discovery;
    for (;;) {
        int64_t age = clock_monotonic_us(client->clock) - discovery->asked_us;
        bool found = discovery->table && kube_table_find(discovery->table, name, resource);
        if (found && age < FRESH_US)
            return true;
        if (discovery->table && !found && age < ASK_AGAIN_US) {
            const char *near = kube_table_nearest(discovery->table, name);
            g_set_error(error, STOOP_ERROR, STOOP_ERROR_NOT_FOUND, "the API server knows no resource '%s'%s%s%s", name,
                        near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
            return false;
        }
        if (discovery->asking) {
            if (cond_wait_until(&discovery->asked, &discovery->lock, call->deadline_us) || !discovery->asking)
                continue;
            g_set_error(error, STOOP_ERROR, STOOP_ERROR_TIMEOUT, "the discovery of '%s' took too long", name);
            return false;
        }
        GError *failure = NULL;
        if (renew(client, call, &failure))
            continue;
        // What was true ten minutes ago is most likely true still; better than nothing while the server is away.
        found = discovery->table && kube_table_find(discovery->table, name, resource);
        if (found)
            g_error_free(failure);
        else
            g_propagate_prefixed_error(error, failure, "discovery of '%s': ", name);
        return found;
    }
}

bool kube_discover(KubeClient *client, const char *name, const KubeCall *call, KubeResource *resource, GError **error) {
    KubeRequest timed = kube_request_init(client, "GET", "", call);
    KubeCall bounded = {.deadline_us = timed.deadline_us, .cancel = timed.cancel};
    if (!*name || strlen(name) > 512) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID, "no resource has such a name");
        return false;
    }
    mutex_lock(&client->discovery->lock);
    bool ok = find_or_ask(client, name, &bounded, resource, error);
    mutex_unlock(&client->discovery->lock);
    return ok;
}
