#include "schema/fields.h"

static void pair_list_free(GPtrArray *pairs) {
    if (!pairs)
        return;
    for (guint i = 0; i < pairs->len; i++) {
        ParamPair *pair = g_ptr_array_index(pairs, i);
        if (!pair)
            continue;
        g_free(pair->key);
        g_free(pair->value);
        g_free(pair);
    }
    // Without a free function of its own, or the pairs would be freed twice.
    g_ptr_array_set_free_func(pairs, NULL);
    g_ptr_array_unref(pairs);
}

void param_free(const ParamTable *table, void *params) {
    if (!params)
        return;
    for (const ParamRow *row = table->rows; row && row->name; row++) {
        void *field = param_field(row, params);
        if (row->type == PARAM_TEXT)
            g_free(*(char **)field);
        else if (row->type == PARAM_LIST)
            g_strfreev(*(char ***)field);
        else if (row->type == PARAM_MAP)
            pair_list_free(*(GPtrArray **)field);
    }
    g_free(params);
}
