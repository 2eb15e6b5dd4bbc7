#include "config/config.h"

#include "config/environment.h"
#include "config/notifier_settings.h"
#include "schema/json_schema.h"

#include <stdlib.h>
#include <string.h>

// A copy of the root without `notifiers`, which the table has no row for. The nodes stay the document's.
static const YamlNode *without_notifiers(YamlArena *arena, const YamlNode *root) {
    if (!root || root->kind != YAML_MAP)
        return root;
    YamlNode *rest = yaml_arena_alloc(arena, sizeof *rest);
    *rest = *root;
    rest->count = 0;
    rest->keys = yaml_arena_alloc(arena, root->count * sizeof *rest->keys);
    rest->items = yaml_arena_alloc(arena, root->count * sizeof *rest->items);
    for (size_t i = 0; i < root->count; i++) {
        if (strcmp(root->keys[i]->text, "notifiers") == 0)
            continue;
        rest->keys[rest->count] = root->keys[i];
        rest->items[rest->count++] = root->items[i];
    }
    return rest;
}

// Only warned of, as an unknown block is: Stoop starts with configurations of other versions.
static void check_default_notifiers(const Config *config, const char *path, DiagList *diags) {
    for (size_t i = 0; config->catalogue && config->default_notifiers[i]; i++) {
        const char *name = config->default_notifiers[i];
        const PluginInfo *const *plugins = config->catalogue->plugins[PLUGIN_NOTIFIER];
        size_t count = catalogue_count(config->catalogue, PLUGIN_NOTIFIER), index = 0;
        while (index < count && strcmp(plugins[index]->name, name) != 0)
            index++;
        g_autofree char *quoted = diag_quote(name);
        const char *near = catalogue_nearest(config->catalogue, PLUGIN_NOTIFIER, name);
        if (index == count)
            diag_add(diags, DIAG_WARNING, path, 0, 0, "default_notifiers: there is no notifier %s%s%s%s", quoted,
                     near ? ": did you mean " : "", near ? near : "", near ? "?" : "");
        else if (!config->notifier_settings[index])
            diag_add(diags, DIAG_WARNING, path, 0, 0,
                     "default_notifiers: %s has no settings under notifiers, so nobody will be told", name);
    }
}

static Config *load_tree(const YamlNode *root, const char *path, const char *const *environment,
                         const Catalogue *catalogue, DiagList *diags) {
    unsigned errors = diags->errors;
    if (root && root->kind != YAML_MAP) {
        yaml_diag(diags, DIAG_ERROR, root, "the configuration must be a map, found %s", yaml_kind_name(root->kind));
        return NULL;
    }
    YamlArena arena = {0};
    const YamlNode *over = environment_layer(&arena, &config_table, "", environment, diags);
    const YamlNode *rest = without_notifiers(&arena, root);
    g_autoptr(Config) config = param_decode_over(&config_table, rest, over, root, NULL, diags);
    yaml_arena_clear(&arena);
    // Read even if there were errors, so that all of them are told at once.
    void **settings = notifier_settings_load(yaml_get(root, "notifiers"), environment, catalogue, diags);
    if (!config) {
        notifier_settings_free(settings, catalogue);
        return NULL;
    }
    config->catalogue = catalogue;
    config->notifier_settings = settings;
    if (diags->errors != errors)
        return NULL;
    check_default_notifiers(config, path, diags);
    return g_steal_pointer(&config);
}

Config *config_load(const char *path, const char *const *environment, const Catalogue *catalogue, DiagList *diags) {
    g_autoptr(DiagList) unheard = diags ? NULL : diag_list_new();
    DiagList *found = diags ? diags : unheard;
    g_autoptr(YamlDoc) doc = path ? yaml_load(path, NULL, found) : NULL;
    if (path && !doc)
        return NULL;
    return load_tree(yaml_root(doc), path ? path : "configuration", environment, catalogue, found);
}

void config_free(Config *config) {
    if (!config)
        return;
    notifier_settings_free(config->notifier_settings, config->catalogue);
    param_free(&config_table, config);
}

static yyjson_mut_val *notifiers_schema(const Catalogue *catalogue, yyjson_mut_doc *doc) {
    yyjson_mut_val *properties = yyjson_mut_obj(doc);
    for (size_t i = 0; i < catalogue_count(catalogue, PLUGIN_NOTIFIER); i++) {
        const PluginInfo *plugin = catalogue->plugins[PLUGIN_NOTIFIER][i];
        yyjson_mut_val *schema = param_json_schema_value(&plugin->params, doc);
        yyjson_mut_obj_put(schema, yyjson_mut_str(doc, "description"), yyjson_mut_strcpy(doc, plugin->summary));
        yyjson_mut_obj_put(properties, yyjson_mut_strcpy(doc, plugin->name), schema);
    }
    yyjson_mut_val *notifiers = yyjson_mut_obj(doc);
    yyjson_mut_val *types = yyjson_mut_arr(doc);
    yyjson_mut_arr_add_str(doc, types, "object");
    yyjson_mut_arr_add_str(doc, types, "null");
    yyjson_mut_obj_add_val(doc, notifiers, "type", types);
    yyjson_mut_obj_add_str(doc, notifiers, "description", "The settings of each notifier.");
    yyjson_mut_obj_add_val(doc, notifiers, "properties", properties);
    yyjson_mut_obj_add_bool(doc, notifiers, "additionalProperties", false);
    return notifiers;
}

char *config_json_schema(const Catalogue *catalogue) {
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = param_json_schema_value(&config_table, doc);
    yyjson_mut_doc_set_root(doc, root);
    if (catalogue)
        yyjson_mut_obj_add_val(doc, yyjson_mut_obj_get(root, "properties"), "notifiers",
                               notifiers_schema(catalogue, doc));
    yyjson_mut_obj_add_str(doc, root, "$schema", "https://json-schema.org/draft/2020-12/schema");
    yyjson_mut_obj_add_str(doc, root, "title", "Stoop's configuration");
    char *written = yyjson_mut_write(doc, YYJSON_WRITE_PRETTY, NULL);
    char *text = g_strdup(written ? written : "{}");
    free(written);
    yyjson_mut_doc_free(doc);
    return text;
}
