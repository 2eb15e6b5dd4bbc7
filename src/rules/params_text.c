#include "rules/params_text.h"

#include <string.h>
#include <yyjson.h>

static const char hidden[] = "********";

static const char *skip_digits(const char *text) {
    while (g_ascii_isdigit(*text))
        text++;
    return text;
}

// By the grammar of JSON, so that the text can stand there as it is and no digit changes.
static bool is_json_number(const char *text) {
    const char *c = *text == '-' ? text + 1 : text;
    if (!g_ascii_isdigit(*c) || (*c == '0' && g_ascii_isdigit(c[1])))
        return false;
    c = skip_digits(c);
    if (*c == '.') {
        if (!g_ascii_isdigit(c[1]))
            return false;
        c = skip_digits(c + 1);
    }
    if (*c == 'e' || *c == 'E') {
        c += c[1] == '+' || c[1] == '-' ? 2 : 1;
        if (!g_ascii_isdigit(*c))
            return false;
        c = skip_digits(c);
    }
    return *c == '\0';
}

static bool append_scalar(Buf *out, const YamlNode *node) {
    if (yaml_is_null(node))
        return buf_append_text(out, "null");
    const char *text = node->text;
    if (!node->quoted && (strcmp(text, "true") == 0 || strcmp(text, "false") == 0 || is_json_number(text)))
        return buf_append_text(out, text);
    return buf_append_json_string(out, text, strlen(text));
}

static bool append_string(Buf *out, const char *text) {
    return buf_append_json_string(out, text, strlen(text));
}

static bool append_node(Buf *out, const YamlNode *node, bool secret) {
    if (node->kind == YAML_SCALAR)
        return secret ? append_string(out, hidden) : append_scalar(out, node);
    bool map = node->kind == YAML_MAP;
    bool room = buf_append_char(out, map ? '{' : '[');
    for (size_t i = 0; room && i < node->count; i++) {
        room = (i == 0 || buf_append_char(out, ',')) &&
               (!map || (append_string(out, node->keys[i]->text) && buf_append_char(out, ':'))) &&
               append_node(out, node->items[i], secret);
    }
    return room && buf_append_char(out, map ? '}' : ']');
}

typedef enum { ROW_OTHER, ROW_VALUE, ROW_FILE } RowName;

static RowName name_of_row(const ParamRow *row, const char *name) {
    size_t len = strlen(row->name);
    if (strncmp(name, row->name, len) == 0 && (name[len] == '\0' || strcmp(name + len, "_file") == 0))
        return name[len] == '\0' ? ROW_VALUE : ROW_FILE;
    for (size_t i = 0; row->old_names && row->old_names[i]; i++)
        if (strcmp(row->old_names[i], name) == 0)
            return ROW_VALUE;
    return ROW_OTHER;
}

// An unknown key beside secret ones counts as secret: it may be a misspelt one.
static bool is_secret(const ParamTable *table, const char *name) {
    bool secrets = false;
    for (const ParamRow *row = table->rows; row && row->name; row++) {
        RowName kind = name_of_row(row, name);
        if (kind == ROW_VALUE)
            return row->secret;
        if (kind == ROW_FILE && row->secret)
            return false;
        secrets = secrets || row->secret;
    }
    return secrets;
}

bool params_append_json(Buf *out, const ParamTable *table, const YamlNode *map) {
    bool room = buf_append_char(out, '{');
    for (size_t i = 0; room && map && map->kind == YAML_MAP && i < map->count; i++)
        room = (i == 0 || buf_append_char(out, ',')) && append_string(out, map->keys[i]->text) &&
               buf_append_char(out, ':') && append_node(out, map->items[i], is_secret(table, map->keys[i]->text));
    return room && buf_append_char(out, '}');
}

static void append_indent(GString *out, unsigned indent) {
    for (unsigned i = 0; i < indent; i++)
        g_string_append_c(out, ' ');
}

static void append_value(GString *out, yyjson_val *value, unsigned indent);

static void append_map(GString *out, yyjson_val *map, unsigned indent) {
    size_t i, count;
    yyjson_val *key, *value;
    yyjson_obj_foreach(map, i, count, key, value) {
        append_indent(out, indent);
        yaml_append_scalar(out, yyjson_get_str(key));
        g_string_append_c(out, ':');
        append_value(out, value, indent);
    }
}

static void append_list(GString *out, yyjson_val *list, unsigned indent) {
    size_t i, count;
    yyjson_val *item;
    yyjson_arr_foreach(list, i, count, item) {
        append_indent(out, indent);
        g_string_append_c(out, '-');
        append_value(out, item, indent);
    }
}

// What stands behind `key:` or `-`, with the end of its line.
static void append_value(GString *out, yyjson_val *value, unsigned indent) {
    switch (yyjson_get_type(value)) {
    case YYJSON_TYPE_OBJ:
        g_string_append(out, yyjson_obj_size(value) > 0 ? "\n" : " {}\n");
        append_map(out, value, indent + 2);
        return;
    case YYJSON_TYPE_ARR:
        g_string_append(out, yyjson_arr_size(value) > 0 ? "\n" : " []\n");
        append_list(out, value, indent + 2);
        return;
    case YYJSON_TYPE_STR:
        g_string_append_c(out, ' ');
        yaml_append_scalar(out, yyjson_get_str(value));
        break;
    case YYJSON_TYPE_RAW:
        g_string_append_c(out, ' ');
        g_string_append(out, yyjson_get_raw(value));
        break;
    case YYJSON_TYPE_BOOL:
        g_string_append(out, yyjson_get_bool(value) ? " true" : " false");
        break;
    default:
        g_string_append(out, " null");
        break;
    }
    g_string_append_c(out, '\n');
}

void params_append_yaml(GString *out, const char *json, unsigned indent) {
    yyjson_doc *doc = yyjson_read(json, strlen(json), YYJSON_READ_NUMBER_AS_RAW);
    append_map(out, yyjson_doc_get_root(doc), indent);
    yyjson_doc_free(doc);
}
