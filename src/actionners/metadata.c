#include "actionners/metadata.h"

#include "actionners/target.h"
#include "base/error.h"
#include "kube/kube_pod.h"

#include <stdlib.h>
#include <string.h>

// The UID in a patch is a precondition: it can never change, so the API server refuses the patch of another object.
static char *patch_json(const char *uid, const char *field, const GPtrArray *pairs) {
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    yyjson_mut_doc_set_root(doc, root);
    yyjson_mut_val *metadata = yyjson_mut_obj_add_obj(doc, root, "metadata");
    if (uid)
        yyjson_mut_obj_add_str(doc, metadata, "uid", uid);
    yyjson_mut_val *values = yyjson_mut_obj_add_obj(doc, metadata, field);
    for (guint i = 0; i < pairs->len; i++) {
        const ParamPair *pair = g_ptr_array_index(pairs, i);
        if (pair->value[0] == '\0')
            yyjson_mut_obj_add_null(doc, values, pair->key);
        else
            yyjson_mut_obj_add_str(doc, values, pair->key, pair->value);
    }
    char *written = yyjson_mut_write(doc, 0, NULL);
    yyjson_mut_doc_free(doc);
    char *json = g_strdup(written);
    free(written);
    return json;
}

// "labels set: a, b; deleted: c"
static char *told(const char *field, const GPtrArray *pairs) {
    g_autoptr(GString) set = g_string_new(NULL);
    g_autoptr(GString) deleted = g_string_new(NULL);
    for (guint i = 0; i < pairs->len; i++) {
        const ParamPair *pair = g_ptr_array_index(pairs, i);
        GString *list = pair->value[0] == '\0' ? deleted : set;
        g_string_append_printf(list, "%s%s", list->len ? ", " : "", pair->key);
    }
    return g_strdup_printf("%s%s%s%s%s%s", field, set->len ? " set: " : "", set->str,
                           set->len && deleted->len ? ";" : "", deleted->len ? " deleted: " : "", deleted->str);
}

static bool patch_with_uid(const ActionContext *context, const char *uid, const char *field, const GPtrArray *pairs,
                           GError **error) {
    const Event *event = context->event;
    g_autofree char *json = patch_json(uid, field, pairs);
    KubeCall call = action_call(context);
    return kube_patch(context->clients->kube, &KUBE_POD(event->pod_namespace, event->pod), KUBE_MERGE_PATCH, json,
                      &call, NULL, error);
}

// The API server answers the patch of a namesake with 422 or 409, as it answers other faults: only the pod itself
// tells. A static pod is known to Falco by another UID than to the API server; it is patched with the latter.
static bool patch_after_refusal(const ActionContext *context, const char *field, const GPtrArray *pairs,
                                ActionResult *result, GError **error) {
    const char *event_uid = context->event->pod_uid;
    if (!event_uid || !(stoop_error_is(*error, STOOP_ERROR_INVALID) || stoop_error_is(*error, STOOP_ERROR_CONFLICT)))
        return false;
    g_auto(KubeObject) pod = {0};
    if (!target_read_pod(context, result, &pod, NULL))
        return false;
    if (!pod.root) {
        g_clear_error(error);
        return true;
    }
    const char *uid = kube_object_uid(pod.root);
    if (strcmp(uid, event_uid) == 0)
        return false;
    g_clear_error(error);
    return patch_with_uid(context, uid, field, pairs, error);
}

static bool patch_pod(const ActionContext *context, const char *field, const GPtrArray *pairs, ActionResult *result,
                      GError **error) {
    g_autoptr(GError) failed = NULL;
    if (!patch_with_uid(context, context->event->pod_uid, field, pairs, &failed) &&
        !patch_after_refusal(context, field, pairs, result, &failed)) {
        target_explain(context, &failed);
        g_propagate_error(error, g_steal_pointer(&failed));
        return false;
    }
    if (result->status == ACTION_STALE)
        return true;
    g_autofree char *name = target_name(context);
    g_autofree char *text = told(field, pairs);
    action_result_set(result, ACTION_SUCCESS, "%s: %s", name, text);
    return true;
}

static bool patch_node(const ActionContext *context, const char *field, const GPtrArray *pairs, ActionResult *result,
                       GError **error) {
    g_autofree char *node = NULL;
    if (!target_node(context, result, &node, error))
        return false;
    if (!node)
        return true;
    g_autofree char *json = patch_json(NULL, field, pairs);
    g_autofree char *text = told(field, pairs);
    KubeCall call = action_call(context);
    if (!kube_patch(context->clients->kube, &KUBE_NODE(node), KUBE_MERGE_PATCH, json, &call, NULL, error))
        return false;
    action_result_set(result, ACTION_SUCCESS, "the node '%s': %s", node, text);
    return true;
}

bool metadata_patch(const ActionContext *context, const char *level, const char *field, const GPtrArray *pairs,
                    ActionResult *result, GError **error) {
    if (!target_pod(context, result, error))
        return false;
    if (strcmp(level, "node") == 0)
        return patch_node(context, field, pairs, result, error);
    return patch_pod(context, field, pairs, result, error);
}
