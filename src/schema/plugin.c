#include "schema/plugin.h"

#include <string.h>

// The list is short and sorted only for people: a walk is as quick as anything.
const PluginInfo *catalogue_find(const Catalogue *catalogue, PluginKind kind, const char *name) {
    if (!catalogue || !name || kind >= PLUGIN_KINDS || !catalogue->plugins[kind])
        return NULL;
    for (const PluginInfo *const *plugin = catalogue->plugins[kind]; *plugin; plugin++)
        if (strcmp((*plugin)->name, name) == 0)
            return *plugin;
    return NULL;
}

const char *catalogue_nearest(const Catalogue *catalogue, PluginKind kind, const char *name) {
    if (!catalogue || !name || kind >= PLUGIN_KINDS || !catalogue->plugins[kind])
        return NULL;
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    for (const PluginInfo *const *plugin = catalogue->plugins[kind]; *plugin; plugin++)
        g_ptr_array_add(names, (gpointer)(*plugin)->name);
    g_ptr_array_add(names, NULL);
    return diag_nearest(name, (const char *const *)names->pdata);
}

const char *plugin_kind_name(PluginKind kind) {
    switch (kind) {
    case PLUGIN_ACTIONNER:
        return "actionner";
    case PLUGIN_OUTPUT:
        return "output";
    case PLUGIN_NOTIFIER:
        return "notifier";
    case PLUGIN_CONTEXT:
        return "context";
    default:
        return "plug-in";
    }
}
