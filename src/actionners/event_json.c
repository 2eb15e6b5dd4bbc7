#include "actionners/event_json.h"

#include "base/error.h"

char *action_event_json(const ActionContext *context, size_t *len, GError **error) {
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_val_mut_copy(doc, context->event->root);
    yyjson_mut_val *facts = yyjson_mut_obj(doc);
    for (const char *const *fact = context->facts; fact && fact[0] && fact[1]; fact += 2)
        yyjson_mut_obj_add_str(doc, facts, fact[0], fact[1]);
    yyjson_mut_obj_remove_str(root, "context");
    yyjson_mut_obj_add_val(doc, root, "context", facts);
    yyjson_mut_doc_set_root(doc, root);
    yyjson_write_err failure = {0};
    char *text = yyjson_mut_write_opts(doc, 0, NULL, len, &failure);
    if (!text)
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_FAILED, "the event cannot be written: %s", failure.msg);
    yyjson_mut_doc_free(doc);
    return text;
}
