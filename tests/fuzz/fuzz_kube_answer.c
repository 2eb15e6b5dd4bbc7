// What an API server answers. The first byte chooses: a Status, a page of a list, lines of a watch in pieces, discovery
// documents, a credential of a plug-in, a pod.
#include "kube/kube_discover.h"
#include "kube/kube_list_parse.h"
#include "kube/kube_pod.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool on_item(yyjson_val *item, void *user) {
    return ++*(unsigned *)user < 100;
}

static bool on_event(const char *type, yyjson_val *object, void *user) {
    if (!type || !object)
        abort();
    return ++*(unsigned *)user < 100;
}

static void fuzz_status(const char *text, size_t len) {
    static const int codes[] = {301, 400, 404, 409, 429, 500, 503};
    g_autoptr(GError) error = NULL;
    kube_status_error("GET", "https://k/api", codes[len % G_N_ELEMENTS(codes)], text, len, &error);
    if (!error || !g_utf8_validate(error->message, -1, NULL) || strchr(error->message, '\n'))
        abort();
    int64_t wait = kube_status_retry_after_us(text, len);
    if (wait < -1 || wait > 86400 * (int64_t)1000000)
        abort();
}

static void fuzz_list(const char *text, size_t len) {
    unsigned count = 0;
    g_auto(KubeListPage) page = {0};
    g_autoptr(GError) error = NULL;
    if (kube_list_page_read(text, len, on_item, &count, &page, &error) == (error != NULL))
        abort();
}

static void fuzz_watch(const char *text, size_t len) {
    unsigned count = 0;
    KubeWatchReader reader;
    kube_watch_reader_init(&reader, "1", on_event, &count);
    g_autoptr(GError) error = NULL;
    bool ok = true;
    for (size_t at = 0, piece = 1; ok && at < len; at += piece, piece = piece * 3 % 61 + 1)
        ok = kube_watch_reader_feed(&reader, text + at, MIN(piece, len - at), &error);
    if (ok == (error != NULL))
        abort();
    kube_watch_reader_clear(&reader);
}

static void fuzz_discovery(const char *text, size_t len) {
    g_autoptr(yyjson_doc) doc = len ? yyjson_read(text, len, 0) : NULL;
    if (!doc)
        return;
    yyjson_val *root = yyjson_doc_get_root(doc);
    KubePool pool;
    kube_pool_init(&pool);
    KubeTable *table = kube_table_new(&pool);
    g_autoptr(GPtrArray) versions = g_ptr_array_new_with_free_func(g_free);
    if (!kube_table_add_aggregated(table, root) && !kube_table_add_resources(table, root))
        kube_group_versions(root, versions);
    static const char *const names[] = {"pods", "po", "deployments.apps", "x.v1.", "a.b.c.d", "."};
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        KubeResource resource = {0};
        if (kube_table_find(table, names[i], &resource) &&
            (!resource.group || !resource.version || !*resource.plural || strchr(resource.plural, '/')))
            abort();
        kube_table_nearest(table, names[i]);
    }
    kube_table_free(table);
    kube_pool_clear(&pool);
}

static void fuzz_credential(const char *text, size_t len) {
    KubeExec exec = {.command = (char *)"x", .api_version = (char *)"client.authentication.k8s.io/v1"};
    g_auto(KubeCredential) credential = {0};
    g_autoptr(GError) error = NULL;
    if (kube_exec_parse(&exec, text, len, &credential, &error) == (error != NULL))
        abort();
}

static void fuzz_pod(const char *text, size_t len) {
    g_autoptr(yyjson_doc) doc = len ? yyjson_read(text, len, 0) : NULL;
    yyjson_val *pod = yyjson_doc_get_root(doc);
    g_auto(KubeOwner) owner = {0};
    if (kube_pod_owner(pod, &owner) && (!owner.kind || !owner.name))
        abort();
    KubeContainer container;
    for (size_t i = 0; i < 100 && kube_pod_container_at(pod, i, &container); i++)
        if (!container.name)
            abort();
    kube_pod_container(pod, "web", "fa2df48fba46", &container);
    kube_pod_node(pod);
    kube_pod_is_mirror(pod);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    // A copy of its own, so that reading behind its end is seen.
    size_t len = size - 1;
    g_autofree char *text = g_memdup2(data + 1, len);
    switch (*data) {
    case 's':
        fuzz_status(text, len);
        break;
    case 'l':
        fuzz_list(text, len);
        break;
    case 'w':
        fuzz_watch(text, len);
        break;
    case 'd':
        fuzz_discovery(text, len);
        break;
    case 'c':
        fuzz_credential(text, len);
        break;
    default:
        fuzz_pod(text, len);
    }
    return 0;
}
