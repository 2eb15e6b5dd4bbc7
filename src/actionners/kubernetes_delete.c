// kubernetes:delete: deletes the object that an audit event is about, of whatever kind.
#include "actionners/names.h"
#include "actionners/target.h"
#include "base/error.h"

#include <string.h>

static const ParamRow no_rows[] = {PARAM_ROW_END};

// The text of a field; NULL where the event does not know it.
static const char *known_text(const Event *event, const char *field) {
    const char *text = yyjson_get_str(event_field(event, field));
    return text && text[0] != '\0' && strcmp(text, "<NA>") != 0 ? text : NULL;
}

// Two API groups may serve a resource of one name ("ingresses", "events"). What was called stands in the audit event's
// URI or reference, where the rule's output has it; else discovery takes the group that the server prefers.
static char *resource_name(const Event *event) {
    const char *group = known_text(event, "jevt.value[/objectRef/apiGroup]");
    if (group)
        return g_strconcat(event->target_resource, ".", group, NULL);
    const char *uri = known_text(event, "ka.uri");
    const char *start = uri && g_str_has_prefix(uri, "/apis/") ? uri + strlen("/apis/") : NULL;
    const char *end = start ? strchr(start, '/') : NULL;
    if (!end || end == start)
        return g_strdup(event->target_resource);
    return g_strdup_printf("%s.%.*s", event->target_resource, (int)(end - start), start);
}

static bool check_event(const Event *event, GError **error) {
    if (!event->target_resource || !event->target_name) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID, "the event does not say what to delete: it has no %s",
                    event->target_resource ? "ka.target.name" : "ka.target.resource");
        return false;
    }
    if (!is_object_name(event->target_name) || !is_dns_name(event->target_resource)) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID, "%s '%s' cannot be the name of an object",
                    event->target_resource, event->target_name);
        return false;
    }
    return true;
}

static bool delete_object(const ActionContext *context, ActionResult *result, const KubeResource *resource,
                          GError **error) {
    const Event *event = context->event;
    const char *space = resource->namespaced ? event->target_namespace : NULL;
    if (resource->namespaced && !space) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID,
                    "%s stand in namespaces, and the event has no ka.target.namespace", resource->plural);
        return false;
    }
    if (space && !is_dns_name(space)) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID, "'%s' cannot be the name of a namespace", space);
        return false;
    }
    if (space)
        action_result_add_object(result, "namespace", space);
    g_autofree char *where = space ? g_strdup_printf(" in the namespace '%s'", space) : g_strdup("");
    KubePath path = {.group = resource->group,
                     .version = resource->version,
                     .plural = resource->plural,
                     .resource_namespace = space,
                     .name = event->target_name};
    // Background: what the object owns goes with it. Some old kinds would orphan it by default.
    KubeDeleteOptions options = {.grace_period_seconds = -1,
                                 .uid = known_text(event, "jevt.value[/objectRef/uid]"),
                                 .propagation = "Background"};
    KubeCall call = action_call(context);
    g_autoptr(GError) failed = NULL;
    if (kube_delete(context->clients->kube, &path, &options, &call, &failed)) {
        action_result_set(result, ACTION_SUCCESS, "%s '%s'%s has been deleted", resource->kind, event->target_name,
                          where);
        return true;
    }
    if (options.uid && stoop_error_is(failed, STOOP_ERROR_CONFLICT)) {
        action_result_set(result, ACTION_STALE, "%s '%s'%s is another one now: the one of the event (UID %s) is gone",
                          resource->kind, event->target_name, where, options.uid);
        return true;
    }
    if (stoop_error_is(failed, STOOP_ERROR_NOT_FOUND))
        g_prefix_error(&failed, "%s '%s'%s is gone: ", resource->kind, event->target_name, where);
    g_propagate_error(error, g_steal_pointer(&failed));
    return false;
}

static bool delete_run(const ActionContext *context, ActionResult *result, GError **error) {
    const Event *event = context->event;
    if (!context->clients || !context->clients->kube) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_UNAVAILABLE, "there is no Kubernetes cluster to act on");
        return false;
    }
    if (!check_event(event, error))
        return false;
    action_result_add_object(result, "resource", event->target_resource);
    action_result_add_object(result, "name", event->target_name);
    g_autofree char *name = resource_name(event);
    KubeCall call = action_call(context);
    KubeResource resource;
    if (!kube_discover(context->clients->kube, name, &call, &resource, error))
        return false;
    return delete_object(context, result, &resource, error);
}

static const char *const delete_required[] = {"ka.target.resource", "ka.target.name", NULL};

static const PluginPermission delete_permissions[] = {
    {"*", "*", "delete", "grant only the resources that the rules mean to delete"},
    {.resource = NULL},
};

const Actionner actionner_kubernetes_delete = {
    .info = {.name = "kubernetes:delete",
             .summary = "Deletes the object that a Kubernetes audit event is about.",
             .description =
                 "Any kind that the API server serves, custom ones too, in a namespace or not: Stoop asks the API "
                 "server what `ka.target.resource` is. For kinds that stand in namespaces the event needs "
                 "`ka.target.namespace` too. An event about a subresource (an exec into a pod, say) deletes the object "
                 "itself. What the object owns is deleted with it.\n"
                 "\n"
                 "Where several API groups serve a resource of that name, `ka.uri` or "
                 "`jevt.value[/objectRef/apiGroup]` in the rule's output says which is meant; else it is the one that "
                 "the API server prefers. With `jevt.value[/objectRef/uid]` exactly that object is deleted. An object "
                 "that is gone already is a failure.",
             .params = {.size = 1, .rows = no_rows},
             .example = "- action: Delete the suspicious resource\n"
                        "  actionner: kubernetes:delete\n",
             .permissions = delete_permissions,
             .dry_runs = true,
             .default_continue = false,
             .output = NEEDS_NO_OUTPUT,
             .required_fields = delete_required,
             .source = "k8saudit",
             .deadline_ms = 30000},
    .run = delete_run,
};
