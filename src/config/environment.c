#include "config/environment.h"

#include "schema/fields.h"

#include <string.h>

typedef struct {
    YamlArena *arena;
    const char *const *environment;
    DiagList *diags;
    GPtrArray *keys, *values; // of YamlNode
} Layer;

char *environment_name(const char *key) {
    char *name = g_ascii_strup(key, -1);
    for (char *c = name; *c; c++)
        if (!g_ascii_isalnum(*c))
            *c = '_';
    return name;
}

// The value of a variable, or NULL; an empty one is an absent one.
static const char *find(const char *const *environment, const char *name) {
    size_t len = strlen(name);
    for (; *environment; environment++)
        if (strncmp(*environment, name, len) == 0 && (*environment)[len] == '=')
            return (*environment)[len + 1] ? *environment + len + 1 : NULL;
    return NULL;
}

// Always quoted: what stands in a variable is its text, so `null` is no null.
static YamlNode *new_node(Layer *layer, YamlKind kind, const char *text, const char *place) {
    YamlNode *node = yaml_arena_alloc(layer->arena, sizeof *node);
    node->kind = kind;
    node->text = yaml_arena_text(layer->arena, text, strlen(text));
    node->file = place;
    node->quoted = true;
    return node;
}

static YamlNode *list_node(Layer *layer, const char *text, const char *place) {
    YamlNode *list = new_node(layer, YAML_LIST, "", place);
    g_auto(GStrv) items = param_split_list(text);
    list->count = g_strv_length(items);
    list->items = yaml_arena_alloc(layer->arena, list->count * sizeof *list->items);
    for (size_t i = 0; i < list->count; i++)
        list->items[i] = new_node(layer, YAML_SCALAR, items[i], place);
    return list;
}

// NULL when an item has no colon.
static YamlNode *map_node(Layer *layer, const char *text, const char *place) {
    YamlNode *map = new_node(layer, YAML_MAP, "", place);
    g_auto(GStrv) items = param_split_list(text);
    map->count = g_strv_length(items);
    map->keys = yaml_arena_alloc(layer->arena, map->count * sizeof *map->keys);
    map->items = yaml_arena_alloc(layer->arena, map->count * sizeof *map->items);
    for (size_t i = 0; i < map->count; i++) {
        char *colon = strchr(items[i], ':');
        if (!colon)
            return NULL;
        *colon = '\0';
        map->keys[i] = new_node(layer, YAML_SCALAR, g_strchomp(items[i]), place);
        map->items[i] = new_node(layer, YAML_SCALAR, g_strchug(colon + 1), place);
    }
    return map;
}

// Kubernetes sets NAME_PORT=tcp://10.0.0.7:4317 in every pod for a Service called `name`: a Service `otel-collector`
// would otherwise keep Stoop from starting.
static bool is_service_link(const ParamRow *row, const char *name, const char *value) {
    return row->type == PARAM_INT && g_str_has_suffix(name, "_PORT") &&
           (g_str_has_prefix(value, "tcp://") || g_str_has_prefix(value, "udp://") ||
            g_str_has_prefix(value, "sctp://"));
}

// A web identity (EKS sets both for a pod) has its role by this name, which is not the one to go on to with it.
static bool is_of_a_web_identity(const Layer *layer, const char *variable) {
    return strcmp(variable, "AWS_ROLE_ARN") == 0 && find(layer->environment, "AWS_WEB_IDENTITY_TOKEN_FILE");
}

static YamlNode *value_node(Layer *layer, const ParamRow *row, const char *value, const char *place) {
    switch (row->type) {
    case PARAM_LIST:
        return list_node(layer, value, place);
    case PARAM_MAP:
        return map_node(layer, value, place);
    default:
        return new_node(layer, YAML_SCALAR, value, place);
    }
}

static void add(Layer *layer, const ParamRow *row, const char *key, const char *variable) {
    const char *value = find(layer->environment, variable);
    if (!value || is_of_a_web_identity(layer, variable))
        return;
    g_autofree char *where = g_strdup_printf("environment variable %s", variable);
    const char *place = yaml_arena_text(layer->arena, where, strlen(where));
    if (is_service_link(row, variable, value)) {
        diag_add(layer->diags, DIAG_WARNING, place, 0, 0,
                 "left out: it is the address of a Kubernetes Service, not the setting %s", key);
        return;
    }
    if (!g_utf8_validate(value, -1, NULL)) {
        diag_add(layer->diags, DIAG_ERROR, place, 0, 0, "%s: the value is not valid UTF-8", key);
        return;
    }
    YamlNode *node = value_node(layer, row, value, place);
    if (!node) {
        diag_add(layer->diags, DIAG_ERROR, place, 0, 0, "%s: must be written as key:value,key:value", key);
        return;
    }
    g_ptr_array_add(layer->keys, new_node(layer, YAML_SCALAR, key, place));
    g_ptr_array_add(layer->values, node);
}

static void add_row(Layer *layer, const ParamRow *row, const char *prefix) {
    g_autofree char *name = environment_name(row->name);
    g_autofree char *variable = g_strconcat(prefix, name, NULL);
    add(layer, row, row->name, variable);
    if (!row->secret || row->type != PARAM_TEXT)
        return;
    g_autofree char *file_key = g_strconcat(row->name, "_file", NULL);
    g_autofree char *file_variable = g_strconcat(variable, "_FILE", NULL);
    add(layer, row, file_key, file_variable);
}

const YamlNode *environment_layer(YamlArena *arena, const ParamTable *table, const char *prefix,
                                  const char *const *environment, DiagList *diags) {
    if (!environment)
        return NULL;
    g_autoptr(GPtrArray) keys = g_ptr_array_new();
    g_autoptr(GPtrArray) values = g_ptr_array_new();
    Layer layer = {arena, environment, diags, keys, values};
    for (const ParamRow *row = table->rows; row && row->name; row++)
        add_row(&layer, row, prefix);
    if (keys->len == 0)
        return NULL;
    YamlNode *map = new_node(&layer, YAML_MAP, "", "environment");
    map->count = keys->len;
    map->keys = yaml_arena_alloc(arena, keys->len * sizeof *map->keys);
    map->items = yaml_arena_alloc(arena, keys->len * sizeof *map->items);
    memcpy(map->keys, keys->pdata, keys->len * sizeof *map->keys);
    memcpy(map->items, values->pdata, keys->len * sizeof *map->items);
    return map;
}
