// Which pods of a node are to go.
#include "actionners/drain.h"
#include "actionners/owner.h"
#include "actionners/replicas.h"
#include "actionners/target.h"
#include "base/error.h"
#include "kube/kube_pod.h"

#include <string.h>

enum { MOST_PODS = 100000 };

// The health of one owner. It is read once a drain: every pod that is to be evicted then counts as no longer ready,
// since the owner's own status follows only later.
typedef struct {
    int64_t ready, needed;
    char *reason; // why it is not known; NULL
} OwnerHealth;

static void owner_health_free(void *health) {
    g_free(((OwnerHealth *)health)->reason);
    g_free(health);
}

typedef struct {
    const ActionContext *context;
    const DrainGuards *guards;
    DrainPods *pods;
    bool too_many;
} Search;

static void clear_pod(void *pod) {
    g_free(((DrainPod *)pod)->reason);
}

static void pods_init(DrainPods *pods) {
    *pods = (DrainPods){
        .pods = g_array_new(FALSE, TRUE, sizeof(DrainPod)),
        .texts = g_string_chunk_new(4096),
        .owners = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, owner_health_free),
    };
    g_array_set_clear_func(pods->pods, clear_pod);
}

void drain_pods_clear(DrainPods *pods) {
    g_clear_pointer(&pods->pods, g_array_unref);
    g_clear_pointer(&pods->texts, g_string_chunk_free);
    g_clear_pointer(&pods->owners, g_hash_table_unref);
}

static bool is_ready(yyjson_val *pod) {
    size_t i, max;
    yyjson_val *condition;
    yyjson_arr_foreach(kube_object_get(pod, "status", "conditions", NULL), i, max, condition) {
        if (yyjson_equals_str(yyjson_obj_get(condition, "type"), "Ready"))
            return yyjson_equals_str(yyjson_obj_get(condition, "status"), "True");
    }
    return false;
}

static bool is_finished(yyjson_val *pod) {
    yyjson_val *phase = kube_object_get(pod, "status", "phase", NULL);
    return yyjson_equals_str(phase, "Succeeded") || yyjson_equals_str(phase, "Failed");
}

static OwnerHealth *health_of(Search *search, const char *space, const KubeOwner *owner) {
    g_autofree char *key =
        g_strdup_printf("%s %s %s %s", space, owner->kind, owner->name, owner->uid ? owner->uid : "");
    OwnerHealth *health = g_hash_table_lookup(search->pods->owners, key);
    if (health)
        return health;
    health = g_new0(OwnerHealth, 1);
    g_hash_table_insert(search->pods->owners, g_steal_pointer(&key), health);
    g_auto(KubeObject) object = {0};
    g_autoptr(GError) failed = NULL;
    if (!owner_read_in(search->context, space, owner, &object, &failed)) {
        health->reason = g_strdup_printf("its owner's healthy replicas cannot be counted: %s", failed->message);
        return health;
    }
    // Kubernetes leaves a zero out of the status, and takes absent wanted replicas as one.
    yyjson_val *wanted = kube_object_get(object.root, "spec", "replicas", NULL);
    health->ready = yyjson_get_sint(kube_object_get(object.root, "status", "readyReplicas", NULL));
    health->needed = replicas_needed(search->guards->min_healthy_replicas, wanted ? yyjson_get_sint(wanted) : 1);
    return health;
}

// Whether the pod may go as far as its owner's health is concerned; where that is not known, `reason` is set.
static bool owner_can_spare(Search *search, yyjson_val *pod, const char *space, const KubeOwner *owner,
                            const char **reason) {
    if (!search->guards->min_healthy_replicas || !(owner_is(owner, "ReplicaSet") || owner_is(owner, "StatefulSet")))
        return true;
    OwnerHealth *health = health_of(search, space, owner);
    *reason = health->reason;
    if (health->reason)
        return true;
    if (health->ready < health->needed)
        return false;
    if (is_ready(pod))
        health->ready--;
    return true;
}

// Whether the pod stays, which is then counted.
static bool stays(Search *search, yyjson_val *pod, const char *space, const char **reason) {
    if (kube_pod_is_mirror(pod)) {
        search->pods->mirrors++;
        return true;
    }
    g_auto(KubeOwner) owner = {0};
    if (!kube_pod_owner(pod, &owner))
        return false;
    if (search->guards->ignore_daemonsets && owner_is(&owner, "DaemonSet")) {
        search->pods->daemonsets++;
        return true;
    }
    if (search->guards->ignore_statefulsets && owner_is(&owner, "StatefulSet")) {
        search->pods->statefulsets++;
        return true;
    }
    bool is_ending = kube_object_text(pod, "metadata", "deletionTimestamp", NULL) != NULL;
    if (is_ending || is_finished(pod) || owner_can_spare(search, pod, space, &owner, reason))
        return false;
    search->pods->unhealthy++;
    return true;
}

static bool look_at_pod(yyjson_val *item, void *user) {
    Search *search = user;
    DrainPods *pods = search->pods;
    const char *space = kube_object_text(item, "metadata", "namespace", NULL);
    const char *name = kube_object_text(item, "metadata", "name", NULL);
    const char *uid = kube_object_uid(item), *reason = NULL;
    if (!space || !name || !uid || stays(search, item, space, &reason))
        return !cancel_is_set(search->context->cancel);
    DrainPod pod = {
        .space = g_string_chunk_insert_const(pods->texts, space),
        .name = g_string_chunk_insert(pods->texts, name),
        .uid = g_string_chunk_insert(pods->texts, uid),
        .state = reason ? DRAIN_FAILED : DRAIN_TO_EVICT,
        .awaited = !search->guards->excluded_namespaces || !g_strv_contains(search->guards->excluded_namespaces, space),
        .reason = g_strdup(reason),
    };
    if (kube_object_text(item, "metadata", "deletionTimestamp", NULL))
        pod.state = DRAIN_ENDING;
    g_array_append_val(pods->pods, pod);
    search->too_many = pods->pods->len > MOST_PODS;
    return !search->too_many && !cancel_is_set(search->context->cancel);
}

static void forget_pods(void *user) {
    Search *search = user;
    drain_pods_clear(search->pods);
    pods_init(search->pods);
}

bool drain_pods_find(const ActionContext *context, const char *node, const DrainGuards *guards, DrainPods *pods,
                     GError **error) {
    g_auto(DrainPods) found = {0};
    pods_init(&found);
    Search search = {.context = context, .guards = guards, .pods = &found};
    g_autofree char *selector = g_strdup_printf("spec.nodeName=%s", node);
    KubeList list = {.field_selector = selector, .each = look_at_pod, .restart = forget_pods, .user = &search};
    KubeCall call = action_call(context);
    if (!kube_list(context->clients->kube, &KUBE_POD(NULL, NULL), &list, &call, NULL, error)) {
        g_prefix_error(error, "the pods of the node '%s' cannot be listed: ", node);
        return false;
    }
    if (search.too_many || cancel_is_set(context->cancel)) {
        g_set_error(error, STOOP_ERROR, search.too_many ? STOOP_ERROR_TOO_LARGE : STOOP_ERROR_CANCELLED, "%s",
                    search.too_many ? "the node has too many pods" : "stopped");
        return false;
    }
    *pods = found;
    memset(&found, 0, sizeof found);
    return true;
}
