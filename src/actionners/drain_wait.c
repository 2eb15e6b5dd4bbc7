// Waits until pods are gone: a list tells which are there, and a watch from there on which go.
#include "actionners/drain.h"
#include "actionners/target.h"
#include "base/error.h"
#include "kube/kube_pod.h"

#include <string.h>

static const int64_t LIST_US = 10 * G_USEC_PER_SEC;

// Pods that are waited for, by UID.
typedef struct {
    GHashTable *awaited; // UID to DrainPod
    GHashTable *listed;  // the UIDs of `awaited` that the list had
} Wait;

static bool look_at_listed(yyjson_val *item, void *user) {
    Wait *wait = user;
    const char *uid = kube_object_uid(item);
    DrainPod *pod = uid ? g_hash_table_lookup(wait->awaited, uid) : NULL;
    if (pod)
        g_hash_table_add(wait->listed, (char *)pod->uid);
    return true;
}

static void forget_listed(void *user) {
    g_hash_table_remove_all(((Wait *)user)->listed);
}

static gboolean is_not_listed(void *uid, void *pod, void *user) {
    bool gone = !g_hash_table_contains(user, uid);
    if (gone)
        ((DrainPod *)pod)->gone = true;
    return gone;
}

static bool look_at_change(const char *type, yyjson_val *object, void *user) {
    Wait *wait = user;
    const char *uid = kube_object_uid(object);
    DrainPod *pod = uid && strcmp(type, "DELETED") == 0 ? g_hash_table_lookup(wait->awaited, uid) : NULL;
    if (pod) {
        pod->gone = true;
        g_hash_table_remove(wait->awaited, uid);
    }
    return g_hash_table_size(wait->awaited) > 0;
}

static bool list_and_watch(const ActionContext *context, const char *selector, int64_t until_us, Wait *wait,
                           GError **error) {
    // What is gone is told also where refused evictions took all of the time.
    int64_t now = clock_monotonic_us(context->clock);
    KubeCall list_call = {.deadline_us = MIN(MAX(until_us, now + LIST_US), context->deadline_us),
                          .cancel = context->cancel};
    KubePath path = KUBE_POD(NULL, NULL);
    g_autofree char *version = NULL;
    KubeList list = {.field_selector = selector, .each = look_at_listed, .restart = forget_listed, .user = wait};
    forget_listed(wait);
    if (!kube_list(context->clients->kube, &path, &list, &list_call, &version, error))
        return false;
    g_hash_table_foreach_remove(wait->awaited, is_not_listed, wait->listed);
    if (g_hash_table_size(wait->awaited) == 0 || clock_monotonic_us(context->clock) >= until_us)
        return true;
    KubeCall watch_call = {.deadline_us = until_us, .cancel = context->cancel};
    KubeWatch watch = {.field_selector = selector, .resource_version = version, .each = look_at_change, .user = wait};
    return kube_watch(context->clients->kube, &path, &watch, &watch_call, error);
}

bool drain_wait(const ActionContext *context, const char *node, DrainPods *pods, int64_t until_us, GError **error) {
    g_autoptr(GHashTable) awaited = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(GHashTable) listed = g_hash_table_new(g_str_hash, g_str_equal);
    for (guint i = 0; i < pods->pods->len; i++) {
        DrainPod *pod = &g_array_index(pods->pods, DrainPod, i);
        bool going = pod->state == DRAIN_EVICTED || pod->state == DRAIN_ENDING;
        if (going && pod->awaited && !pod->gone)
            g_hash_table_insert(awaited, (char *)pod->uid, pod);
    }
    if (g_hash_table_size(awaited) == 0)
        return true;
    Wait wait = {awaited, listed};
    g_autofree char *selector = g_strdup_printf("spec.nodeName=%s", node);
    for (;;) {
        g_autoptr(GError) failed = NULL;
        if (list_and_watch(context, selector, until_us, &wait, &failed) ||
            (stoop_error_is(failed, STOOP_ERROR_TIMEOUT) && clock_monotonic_us(context->clock) >= until_us))
            return true;
        if (stoop_error_is(failed, STOOP_ERROR_CONFLICT)) // the version is too old by now
            continue;
        g_propagate_prefixed_error(error, g_steal_pointer(&failed), "whether the pods are gone cannot be told: ");
        return false;
    }
}
