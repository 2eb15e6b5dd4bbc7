#include "schema/fields.h"

#include <string.h>

static size_t field_size(ParamType type) {
    switch (type) {
    case PARAM_BOOL:
        return sizeof(bool);
    case PARAM_INT:
        return sizeof(int64_t);
    default:
        return sizeof(void *);
    }
}

static bool is_name(const char *name) {
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
    size_t len = strlen(name);
    return len && strspn(name, allowed) == len && name[0] != '.' && name[len - 1] != '.' && !strstr(name, "..");
}

static bool is_sentence(const char *text) {
    return text && *text && !g_ascii_islower(*text) && g_str_has_suffix(text, ".") && !strchr(text, '\n');
}

static char *row_problem(const ParamTable *table, const ParamRow *row) {
    const char *problem = NULL;
    if (!is_name(row->name))
        problem = "the name is not well formed";
    else if (row->offset + field_size(row->type) > table->size)
        problem = "the field lies outside the struct";
    else if (!is_sentence(row->summary))
        problem = "the summary is no sentence on one line";
    else if (row->required && row->default_value)
        problem = "a required row cannot have a default";
    else if (row->has_range && row->type != PARAM_INT)
        problem = "only numbers have a range";
    else if (row->has_range && row->min > row->max)
        problem = "the range is empty";
    else if (row->choices && (row->type != PARAM_TEXT || !*row->choices))
        problem = "only texts have choices, and they have some";
    else if (row->type == PARAM_MAP && row->default_value)
        problem = "maps have no default";
    else if (row->secret && row->default_value)
        problem = "a secret has no default";
    return problem ? g_strdup_printf("%s: %s", row->name, problem) : NULL;
}

static char *take_name(GHashTable *names, char *name, const ParamRow *row) {
    if (g_hash_table_add(names, name))
        return NULL;
    return g_strdup_printf("%s: a name of this row is taken already", row->name);
}

// Every name that the row answers to, and that it is not the group of another row ("a" beside "a.b").
static char *names_problem(GHashTable *names, const ParamTable *table, const ParamRow *row) {
    char *problem = take_name(names, g_strdup(row->name), row);
    if (!problem && row->secret)
        problem = take_name(names, g_strconcat(row->name, "_file", NULL), row);
    for (const char *const *old = row->old_names; !problem && old && *old; old++)
        problem = take_name(names, g_strdup(*old), row);
    size_t len = strlen(row->name);
    for (const ParamRow *other = table->rows; !problem && other->name; other++)
        if (strncmp(other->name, row->name, len) == 0 && other->name[len] == '.')
            problem = g_strdup_printf("%s: is a value and the group of %s", row->name, other->name);
    return problem;
}

static char *overlap_problem(const ParamTable *table, const ParamRow *row) {
    for (const ParamRow *other = table->rows; other != row; other++)
        if (other->offset < row->offset + field_size(row->type) &&
            row->offset < other->offset + field_size(other->type))
            return g_strdup_printf("%s: shares its field with %s", row->name, other->name);
    return NULL;
}

static char *default_problem(const ParamRow *row) {
    if (!row->default_value)
        return NULL;
    // A table of this row alone, given its default as a user would give it.
    const ParamRow alone[] = {*row, PARAM_ROW_END};
    const ParamTable table = {.size = row->offset + sizeof(int64_t), .rows = alone};
    g_auto(GStrv) items = row->type == PARAM_LIST ? param_split_list(row->default_value) : NULL;
    guint count = items ? g_strv_length(items) : 0;
    g_autofree YamlNode *nodes = g_new0(YamlNode, count + 1);
    g_autofree YamlNode **pointers = g_new0(YamlNode *, count + 1);
    for (guint i = 0; i < count; i++) {
        nodes[i] = (YamlNode){.kind = YAML_SCALAR, .text = items[i], .file = "", .quoted = true};
        pointers[i] = &nodes[i];
    }
    YamlNode value = {.kind = YAML_SCALAR, .text = row->default_value, .file = "", .quoted = true};
    if (items)
        value = (YamlNode){.kind = YAML_LIST, .text = "", .file = "", .count = count, .items = pointers};
    YamlNode key = {.kind = YAML_SCALAR, .text = row->name, .file = ""};
    YamlNode *keys[] = {&key}, *values[] = {&value};
    const YamlNode map = {.kind = YAML_MAP, .text = "", .file = "", .count = 1, .keys = keys, .items = values};
    g_autoptr(DiagList) diags = diag_list_new();
    void *params = param_decode(&table, &map, NULL, NULL, diags);
    param_free(&table, params);
    return params ? NULL : diag_list_text(diags);
}

char *param_table_problem(const ParamTable *table) {
    g_autoptr(GHashTable) names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    char *problem = NULL;
    for (const ParamRow *row = table->rows; !problem && row && row->name; row++) {
        problem = row_problem(table, row);
        if (!problem)
            problem = names_problem(names, table, row);
        if (!problem)
            problem = overlap_problem(table, row);
        if (!problem)
            problem = default_problem(row);
    }
    return problem;
}
