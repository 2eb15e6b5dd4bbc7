// The table as a JSON Schema, draft 2020-12. Editors get names, types, choices, ranges and summaries; what Stoop
// accepts beyond (numbers where text is wanted) is accepted here too, so that nobody sees an error that is none.
#include "schema/json_schema.h"

#include <string.h>

static yyjson_mut_val *copy(yyjson_mut_doc *doc, const char *text) {
    return yyjson_mut_strcpy(doc, text);
}

static void set(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key, yyjson_mut_val *value) {
    yyjson_mut_obj_put(object, copy(doc, key), value);
}

// The types, and null: an empty value is an absent one.
static void set_types(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *first, bool scalars) {
    yyjson_mut_val *types = yyjson_mut_arr(doc);
    yyjson_mut_arr_append(types, copy(doc, first));
    // A quoted "true" or "5" counts as what it says.
    if (strcmp(first, "boolean") == 0 || strcmp(first, "integer") == 0)
        yyjson_mut_arr_append(types, copy(doc, "string"));
    for (size_t i = 0; scalars && i < 3; i++) {
        static const char *const texts[] = {"string", "number", "boolean"};
        if (strcmp(first, texts[i]) != 0)
            yyjson_mut_arr_append(types, copy(doc, texts[i]));
    }
    yyjson_mut_arr_append(types, copy(doc, "null"));
    set(doc, object, "type", types);
}

static void set_default(yyjson_mut_doc *doc, yyjson_mut_val *object, const ParamRow *row) {
    if (!row->default_value)
        return;
    const YamlNode node = {.kind = YAML_SCALAR, .text = row->default_value};
    bool truth = false;
    gint64 number = 0;
    yyjson_mut_val *value = NULL;
    if (row->type == PARAM_BOOL && yaml_to_bool(&node, &truth)) {
        value = yyjson_mut_bool(doc, truth);
    } else if (row->type == PARAM_INT && yaml_to_int(&node, &number)) {
        value = yyjson_mut_sint(doc, number);
    } else if (row->type == PARAM_LIST) {
        value = yyjson_mut_arr(doc);
        g_auto(GStrv) items = param_split_list(row->default_value);
        for (size_t i = 0; items[i]; i++)
            yyjson_mut_arr_append(value, copy(doc, items[i]));
    } else if (row->type == PARAM_TEXT) {
        value = copy(doc, row->default_value);
    }
    if (value)
        set(doc, object, "default", value);
}

static void set_choices(yyjson_mut_doc *doc, yyjson_mut_val *object, const ParamRow *row) {
    yyjson_mut_val *all = yyjson_mut_arr(doc);
    for (const char *const *choice = row->choices; *choice; choice++)
        yyjson_mut_arr_append(all, copy(doc, *choice));
    if (!row->required)
        yyjson_mut_arr_append(all, copy(doc, ""));
    yyjson_mut_arr_append(all, yyjson_mut_null(doc));
    set(doc, object, "enum", all);
}

static void set_shape(yyjson_mut_doc *doc, yyjson_mut_val *object, const ParamRow *row) {
    switch (row->type) {
    case PARAM_BOOL:
        set_types(doc, object, "boolean", false);
        break;
    case PARAM_INT:
        set_types(doc, object, "integer", false);
        if (row->has_range && row->min != G_MININT64)
            set(doc, object, "minimum", yyjson_mut_sint(doc, row->min));
        if (row->has_range && row->max != G_MAXINT64)
            set(doc, object, "maximum", yyjson_mut_sint(doc, row->max));
        break;
    case PARAM_TEXT:
        if (row->choices)
            set_choices(doc, object, row);
        else
            set_types(doc, object, "string", true);
        break;
    case PARAM_LIST: {
        set_types(doc, object, "array", true);
        yyjson_mut_val *items = yyjson_mut_obj(doc);
        set_types(doc, items, "string", true);
        set(doc, object, "items", items);
        break;
    }
    case PARAM_MAP: {
        set_types(doc, object, "object", false);
        yyjson_mut_val *values = yyjson_mut_obj(doc);
        set_types(doc, values, "string", true);
        set(doc, object, "additionalProperties", values);
        break;
    }
    }
}

static yyjson_mut_val *row_schema(yyjson_mut_doc *doc, const ParamRow *row) {
    yyjson_mut_val *object = yyjson_mut_obj(doc);
    set_shape(doc, object, row);
    g_autofree char *text = row->unit ? g_strdup_printf("%s Unit: %s.", row->summary, row->unit)
                                      : g_strdup(row->summary ? row->summary : "");
    set(doc, object, "description", copy(doc, text));
    set_default(doc, object, row);
    if (row->secret)
        set(doc, object, "writeOnly", yyjson_mut_bool(doc, true));
    return object;
}

static yyjson_mut_val *child(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *key, bool list) {
    yyjson_mut_val *found = yyjson_mut_obj_get(object, key);
    if (found)
        return found;
    found = list ? yyjson_mut_arr(doc) : yyjson_mut_obj(doc);
    set(doc, object, key, found);
    return found;
}

static yyjson_mut_val *new_group(yyjson_mut_doc *doc) {
    yyjson_mut_val *group = yyjson_mut_obj(doc);
    set_types(doc, group, "object", false);
    set(doc, group, "properties", yyjson_mut_obj(doc));
    set(doc, group, "additionalProperties", yyjson_mut_bool(doc, false));
    return group;
}

static bool contains(yyjson_mut_val *list, const char *text) {
    size_t index, max;
    yyjson_mut_val *item;
    yyjson_mut_arr_foreach(list, index, max, item) if (yyjson_mut_equals_str(item, text)) return true;
    return false;
}

static void require(yyjson_mut_doc *doc, yyjson_mut_val *group, const char *name) {
    yyjson_mut_val *list = child(doc, group, "required", true);
    if (!contains(list, name))
        yyjson_mut_arr_append(list, copy(doc, name));
}

// The group that a dotted name stands in, made where it is missing; `last` is what follows the last dot.
static yyjson_mut_val *group_of(yyjson_mut_doc *doc, yyjson_mut_val *root, const char *name, bool required,
                                const char **last) {
    yyjson_mut_val *group = root;
    const char *dot;
    for (; (dot = strchr(name, '.')); name = dot + 1) {
        g_autofree char *part = g_strndup(name, (gsize)(dot - name));
        yyjson_mut_val *properties = yyjson_mut_obj_get(group, "properties");
        yyjson_mut_val *deeper = yyjson_mut_obj_get(properties, part);
        if (!deeper) {
            deeper = new_group(doc);
            set(doc, properties, part, deeper);
        }
        if (required)
            require(doc, group, part);
        group = deeper;
    }
    *last = name;
    return group;
}

static yyjson_mut_val *requirement(yyjson_mut_doc *doc, const char *name) {
    yyjson_mut_val *object = yyjson_mut_obj(doc);
    require(doc, object, name);
    return object;
}

static void add_old_names(yyjson_mut_doc *doc, yyjson_mut_val *root, const ParamRow *row) {
    for (const char *const *old = row->old_names; old && *old; old++) {
        const char *last;
        yyjson_mut_val *group = group_of(doc, root, *old, false, &last);
        yyjson_mut_val *schema = yyjson_mut_obj(doc);
        set_shape(doc, schema, row);
        g_autofree char *text = g_strdup_printf("The old name of %s.", row->name);
        set(doc, schema, "description", copy(doc, text));
        set(doc, schema, "deprecated", yyjson_mut_bool(doc, true));
        set(doc, yyjson_mut_obj_get(group, "properties"), last, schema);
    }
}

static void add_row(yyjson_mut_doc *doc, yyjson_mut_val *root, const ParamRow *row) {
    const char *last;
    bool has_file = row->secret && row->type == PARAM_TEXT;
    bool has_others = has_file || (row->old_names && *row->old_names);
    yyjson_mut_val *group = group_of(doc, root, row->name, row->required && !row->old_names, &last);
    yyjson_mut_val *properties = yyjson_mut_obj_get(group, "properties");
    set(doc, properties, last, row_schema(doc, row));
    g_autofree char *file_name = g_strconcat(last, "_file", NULL);
    if (has_file) {
        yyjson_mut_val *file = yyjson_mut_obj(doc);
        set_types(doc, file, "string", false);
        g_autofree char *text = g_strdup_printf("The path of a file that holds %s.", last);
        set(doc, file, "description", copy(doc, text));
        set(doc, properties, file_name, file);
    }
    add_old_names(doc, root, row);
    if (row->required && !has_others)
        require(doc, group, last);
    if (!row->required || !has_others)
        return;
    yyjson_mut_val *any = yyjson_mut_arr(doc);
    yyjson_mut_arr_append(any, requirement(doc, last));
    if (has_file)
        yyjson_mut_arr_append(any, requirement(doc, file_name));
    // Old names with dots stand in other groups and cannot be named here; no table has such a required row.
    for (const char *const *old = row->old_names; old && *old; old++)
        yyjson_mut_arr_append(any, requirement(doc, *old));
    yyjson_mut_val *choice = yyjson_mut_obj(doc);
    set(doc, choice, "anyOf", any);
    yyjson_mut_arr_append(child(doc, group, "allOf", true), choice);
}

yyjson_mut_val *param_json_schema_value(const ParamTable *table, yyjson_mut_doc *doc) {
    yyjson_mut_val *root = new_group(doc);
    for (const ParamRow *row = table->rows; row && row->name; row++)
        add_row(doc, root, row);
    return root;
}

char *param_json_schema(const ParamTable *table) {
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_doc_set_root(doc, param_json_schema_value(table, doc));
    char *written = yyjson_mut_write(doc, YYJSON_WRITE_PRETTY, NULL);
    char *text = g_strdup(written ? written : "{}");
    free(written);
    yyjson_mut_doc_free(doc);
    return text;
}
