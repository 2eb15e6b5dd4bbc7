#include "schema/fields.h"

static void append_list(GString *out, char *const *items) {
    g_string_append_c(out, '[');
    for (size_t i = 0; items && items[i]; i++) {
        g_string_append(out, i ? ", " : "");
        yaml_append_scalar(out, items[i]);
    }
    g_string_append_c(out, ']');
}

static void append_map(GString *out, const GPtrArray *pairs) {
    g_string_append_c(out, '{');
    for (guint i = 0; pairs && i < pairs->len; i++) {
        const ParamPair *pair = g_ptr_array_index(pairs, i);
        g_string_append(out, i ? ", " : "");
        yaml_append_scalar(out, pair->key);
        g_string_append(out, ": ");
        yaml_append_scalar(out, pair->value);
    }
    g_string_append_c(out, '}');
}

static bool is_absent(const ParamRow *row, const void *field) {
    return (row->type == PARAM_TEXT && !*(char *const *)field);
}

char *param_value_text(const ParamRow *row, const void *params) {
    const void *field = param_const_field(row, params);
    if (is_absent(row, field))
        return g_strdup("null");
    // In quotes, since a plain * would begin an alias.
    if (row->secret)
        return g_strdup("\"********\"");
    GString *out = g_string_new(NULL);
    switch (row->type) {
    case PARAM_BOOL:
        g_string_append(out, *(const bool *)field ? "true" : "false");
        break;
    case PARAM_INT:
        g_string_append_printf(out, "%" G_GINT64_FORMAT, *(const int64_t *)field);
        break;
    case PARAM_TEXT:
        yaml_append_scalar(out, *(char *const *)field);
        break;
    case PARAM_LIST:
        append_list(out, *(char **const *)field);
        break;
    case PARAM_MAP:
        append_map(out, *(GPtrArray *const *)field);
        break;
    }
    return g_string_free(out, FALSE);
}
