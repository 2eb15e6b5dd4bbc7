#include "actionners/actionner.h"

#include <stdarg.h>

void action_result_set(ActionResult *result, ActionStatus status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    // First made, then put in its place: an argument may be the old text.
    char *text = g_strdup_vprintf(format, args);
    va_end(args);
    g_free(result->text);
    result->text = text;
    result->status = status;
}

void action_result_add_object(ActionResult *result, const char *kind, const char *name) {
    if (!result->objects)
        result->objects = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; i + 1 < result->objects->len; i += 2) {
        if (g_str_equal(g_ptr_array_index(result->objects, i), kind)) {
            char **name_of_kind = (char **)&g_ptr_array_index(result->objects, i + 1);
            char *copy = g_strdup(name);
            g_free(*name_of_kind);
            *name_of_kind = copy;
            return;
        }
    }
    g_ptr_array_add(result->objects, g_strdup(kind));
    g_ptr_array_add(result->objects, g_strdup(name));
}

void action_result_clear(ActionResult *result) {
    g_clear_pointer(&result->objects, g_ptr_array_unref);
    g_clear_pointer(&result->text, g_free);
    g_clear_pointer(&result->log, g_free);
    result->status = ACTION_SUCCESS;
}
