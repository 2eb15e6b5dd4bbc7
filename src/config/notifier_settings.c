#include "config/notifier_settings.h"

#include "config/environment.h"

#include <string.h>

size_t catalogue_count(const Catalogue *catalogue, PluginKind kind) {
    size_t count = 0;
    while (catalogue && catalogue->plugins[kind] && catalogue->plugins[kind][count])
        count++;
    return count;
}

static bool is_blank(const YamlNode *node) {
    return node->kind == YAML_SCALAR ? !*node->text || yaml_is_null(node) : node->count == 0;
}

static bool has_required_rows(const ParamTable *table) {
    for (const ParamRow *row = table->rows; row && row->name; row++)
        if (row->required)
            return true;
    return false;
}

// Charts write a block for every notifier, with "" where the user has to fill something in.
static bool required_rows_are_blank(const ParamTable *table, const YamlNode *map) {
    for (const ParamRow *row = table->rows; row && row->name; row++) {
        if (!row->required)
            continue;
        const YamlNode *value = yaml_get(map, row->name);
        g_autofree char *file_name = g_strconcat(row->name, "_file", NULL);
        const YamlNode *file = row->secret ? yaml_get(map, file_name) : NULL;
        if (!value || !is_blank(value) || (file && !is_blank(file)))
            return false;
    }
    return true;
}

static bool is_configured(const ParamTable *table, const YamlNode *map, const YamlNode *over) {
    if (over || !has_required_rows(table))
        return true;
    return map && !is_blank(map) && !(map->kind == YAML_MAP && required_rows_are_blank(table, map));
}

static void *load_one(const PluginInfo *plugin, const YamlNode *map, const char *const *environment, DiagList *diags) {
    g_autofree char *key = g_strconcat("notifiers.", plugin->name, ".", NULL);
    g_autofree char *prefix = environment_name(key);
    g_autofree char *what = g_strconcat("notifiers: ", plugin->name, NULL);
    YamlArena arena = {0};
    const YamlNode *over = environment_layer(&arena, &plugin->params, prefix, environment, diags);
    void *settings = NULL;
    if (is_configured(&plugin->params, map, over))
        settings = param_decode_over(&plugin->params, map, over, map, what, diags);
    yaml_arena_clear(&arena);
    return settings;
}

static void warn_of_unknown(const YamlNode *block, const Catalogue *catalogue, DiagList *diags) {
    for (size_t i = 0; i < block->count; i++) {
        const YamlNode *key = block->keys[i];
        if (catalogue_find(catalogue, PLUGIN_NOTIFIER, key->text))
            continue;
        const char *near = catalogue_nearest(catalogue, PLUGIN_NOTIFIER, key->text);
        g_autofree char *quoted = diag_quote(key->text);
        yaml_diag(diags, DIAG_WARNING, key, "notifiers: there is no notifier %s%s%s%s", quoted,
                  near ? ": did you mean " : "", near ? near : "", near ? "?" : "");
    }
}

void **notifier_settings_load(const YamlNode *block, const char *const *environment, const Catalogue *catalogue,
                              DiagList *diags) {
    size_t count = catalogue_count(catalogue, PLUGIN_NOTIFIER);
    void **settings = g_new0(void *, count + 1);
    if (block && block->kind != YAML_MAP && !yaml_is_null(block))
        yaml_diag(diags, DIAG_ERROR, block, "notifiers: must be a map, found %s", yaml_kind_name(block->kind));
    const YamlNode *map = block && block->kind == YAML_MAP ? block : NULL;
    if (map && catalogue)
        warn_of_unknown(map, catalogue, diags);
    for (size_t i = 0; i < count; i++) {
        const PluginInfo *plugin = catalogue->plugins[PLUGIN_NOTIFIER][i];
        settings[i] = load_one(plugin, yaml_get(map, plugin->name), environment, diags);
    }
    return settings;
}

void notifier_settings_free(void **settings, const Catalogue *catalogue) {
    size_t count = catalogue_count(catalogue, PLUGIN_NOTIFIER);
    for (size_t i = 0; settings && i < count; i++)
        param_free(&catalogue->plugins[PLUGIN_NOTIFIER][i]->params, settings[i]);
    g_free(settings);
}
