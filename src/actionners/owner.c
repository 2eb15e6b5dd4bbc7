#include "actionners/owner.h"

#include "actionners/target.h"
#include "base/error.h"

#include <string.h>

bool owner_is(const KubeOwner *owner, const char *kind) {
    return strcmp(owner->kind, kind) == 0;
}

bool owner_read(const ActionContext *context, const KubeOwner *owner, KubeObject *object, GError **error) {
    return owner_read_in(context, context->event->pod_namespace, owner, object, error);
}

bool owner_read_in(const ActionContext *context, const char *owner_namespace, const KubeOwner *owner,
                   KubeObject *object, GError **error) {
    // These kinds are called after themselves: "ReplicaSet" lives under "replicasets". Other projects have kinds of
    // the same name in groups of their own, so the group is the reference's.
    const char *api_version = owner->api_version ? owner->api_version : "apps/v1";
    g_autofree char *lower = g_ascii_strdown(owner->kind, -1);
    g_autofree char *plural = g_strconcat(lower, "s", NULL);
    const char *slash = strchr(api_version, '/');
    g_autofree char *group = slash ? g_strndup(api_version, (gsize)(slash - api_version)) : g_strdup("");
    KubePath path = {.group = group,
                     .version = slash ? slash + 1 : api_version,
                     .plural = plural,
                     .resource_namespace = owner_namespace,
                     .name = owner->name};
    KubeCall call = action_call(context);
    g_auto(KubeObject) read = {0};
    if (!kube_get(context->clients->kube, &path, &call, &read, error)) {
        g_prefix_error(error, "%s '%s', the owner of the pod: ", owner->kind, owner->name);
        return false;
    }
    if (owner->uid && g_strcmp0(kube_object_uid(read.root), owner->uid) != 0) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_NOT_FOUND, "%s '%s', the owner of the pod, is another one now",
                    owner->kind, owner->name);
        return false;
    }
    *object = read;
    memset(&read, 0, sizeof read);
    return true;
}
