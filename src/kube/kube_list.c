// Lists in pages. https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks
#include "base/error.h"
#include "kube/kube_list_parse.h"

#include <string.h>

enum { PAGE = 500, RESTARTS_MAX = 5 };

bool kube_list_page_read(const char *body, size_t len, bool (*each)(yyjson_val *item, void *user), void *user,
                         KubeListPage *page, GError **error) {
    g_autoptr(yyjson_doc) doc = len ? yyjson_read(body, len, 0) : NULL;
    yyjson_val *root = yyjson_doc_get_root(doc);
    yyjson_val *metadata = yyjson_obj_get(root, "metadata");
    yyjson_val *items = yyjson_obj_get(root, "items");
    if (!yyjson_is_obj(metadata) || (items && !yyjson_is_arr(items) && !yyjson_is_null(items))) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_FAILED, "the answer is no list of Kubernetes objects");
        return false;
    }
    bool stopped = false;
    size_t index, count;
    yyjson_val *item;
    yyjson_arr_foreach(items, index, count, item) {
        stopped = !each(item, user);
        if (stopped)
            break;
    }
    const char *next = yyjson_get_str(yyjson_obj_get(metadata, "continue"));
    page->next = next && *next ? g_strdup(next) : NULL;
    page->resource_version = g_strdup(yyjson_get_str(yyjson_obj_get(metadata, "resourceVersion")));
    page->stopped = stopped;
    return true;
}

void kube_list_page_clear(KubeListPage *page) {
    g_free(page->next);
    g_free(page->resource_version);
    *page = (KubeListPage){0};
}

// One list under way.
typedef struct {
    KubeClient *client;
    const char *url;
    const KubeList *list;
    KubeCall call;
    unsigned limit, restarts;
    char *next; // continue token; NULL: the first page
} Listing;

static bool ask_page(Listing *listing, KubeListPage *page, int *status, GError **error) {
    g_autofree char *limit = g_strdup_printf("%u", listing->limit);
    g_autoptr(GString) url = g_string_new(listing->url);
    kube_url_query(url, "limit", limit);
    kube_url_query(url, "labelSelector", listing->list->label_selector);
    kube_url_query(url, "fieldSelector", listing->list->field_selector);
    kube_url_query(url, "continue", listing->next);
    KubeRequest request = kube_request_init(listing->client, "GET", url->str, &listing->call);
    g_auto(HttpResponse) response = {0};
    bool ok = kube_request(listing->client, &request, &response, NULL, error);
    *status = response.status;
    if (!ok)
        return false;
    if (kube_list_page_read(response.body.data, response.body.len, listing->list->each, listing->list->user, page,
                            error))
        return true;
    g_prefix_error(error, "GET %s: ", url->str);
    return false;
}

// After a failed page: whether the list can go on, with smaller pages or from its start.
static bool mend(Listing *listing, int status, const GError *failure) {
    // Pages of very large objects: nothing of this one was given to the caller yet.
    if (stoop_error_is(failure, STOOP_ERROR_TOO_LARGE) && status < 400 && listing->limit > 1) {
        listing->limit = MAX(1, listing->limit / 4);
        return true;
    }
    if (status != 410 || !listing->next || ++listing->restarts > RESTARTS_MAX)
        return false;
    g_clear_pointer(&listing->next, g_free);
    if (listing->list->restart)
        listing->list->restart(listing->list->user);
    return true;
}

bool kube_list(KubeClient *client, const KubePath *path, const KubeList *list, const KubeCall *call,
               char **resource_version, GError **error) {
    g_autoptr(GString) url = kube_path_url(client, path, KUBE_PATH_COLLECTION, error);
    if (!url)
        return false;
    // The deadline is of the whole list.
    KubeRequest timed = kube_request_init(client, "GET", url->str, call);
    Listing listing = {
        .client = client,
        .url = url->str,
        .list = list,
        .call = {.deadline_us = timed.deadline_us, .cancel = timed.cancel},
        .limit = list->page ? list->page : PAGE,
    };
    for (;;) {
        g_auto(KubeListPage) page = {0};
        int status = 0;
        GError *failure = NULL;
        if (!ask_page(&listing, &page, &status, &failure)) {
            if (mend(&listing, status, failure)) {
                g_error_free(failure);
                continue;
            }
            g_free(listing.next);
            g_propagate_error(error, failure);
            return false;
        }
        g_free(listing.next);
        listing.next = g_steal_pointer(&page.next);
        if (page.stopped || !listing.next) {
            if (resource_version)
                *resource_version = g_steal_pointer(&page.resource_version);
            g_free(listing.next);
            return true;
        }
    }
}
