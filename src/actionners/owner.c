#include "actionners/owner.h"

#include "actionners/target.h"
#include "base/error.h"

#include <string.h>

bool owner_of(yyjson_val *object, Owner *owner) {
    yyjson_val *references = kube_object_get(object, "metadata", "ownerReferences", NULL);
    size_t i, max;
    yyjson_val *reference;
    yyjson_arr_foreach(references, i, max, reference) {
        if (!yyjson_get_bool(yyjson_obj_get(reference, "controller")))
            continue;
        Owner found = {.api_version = yyjson_get_str(yyjson_obj_get(reference, "apiVersion")),
                       .kind = yyjson_get_str(yyjson_obj_get(reference, "kind")),
                       .name = yyjson_get_str(yyjson_obj_get(reference, "name")),
                       .uid = yyjson_get_str(yyjson_obj_get(reference, "uid"))};
        if (!found.api_version || !found.kind || !found.name || !found.uid)
            continue;
        *owner = found;
        return true;
    }
    return false;
}

bool owner_is(const Owner *owner, const char *kind) {
    return strcmp(owner->kind, kind) == 0;
}

bool owner_read(const ActionContext *context, const Owner *owner, KubeObject *object, GError **error) {
    // These kinds are called after themselves: "ReplicaSet" lives under "replicasets". Other projects have kinds of
    // the same name in groups of their own, so the group is the reference's.
    g_autofree char *lower = g_ascii_strdown(owner->kind, -1);
    g_autofree char *plural = g_strconcat(lower, "s", NULL);
    const char *slash = strchr(owner->api_version, '/');
    g_autofree char *group = slash ? g_strndup(owner->api_version, (gsize)(slash - owner->api_version)) : g_strdup("");
    KubePath path = {.group = group,
                     .version = slash ? slash + 1 : owner->api_version,
                     .plural = plural,
                     .resource_namespace = context->event->pod_namespace,
                     .name = owner->name};
    KubeCall call = action_call(context);
    g_auto(KubeObject) read = {0};
    if (!kube_get(context->clients->kube, &path, &call, &read, error)) {
        g_prefix_error(error, "%s '%s', the owner of the pod: ", owner->kind, owner->name);
        return false;
    }
    const char *uid = kube_object_text(read.root, "metadata", "uid", NULL);
    if (g_strcmp0(uid, owner->uid) != 0) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_NOT_FOUND, "%s '%s', the owner of the pod, is another one now",
                    owner->kind, owner->name);
        return false;
    }
    *object = read;
    memset(&read, 0, sizeof read);
    return true;
}
