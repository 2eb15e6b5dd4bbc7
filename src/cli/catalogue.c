#include "cli/catalogue.h"

#include "actionners/actionner.h"
#include "contexts/context.h"
#include "notifiers/notifier.h"
#include "outputs/output.h"

#include <glib.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

// A plug-in of every kind starts with its PluginInfo.
_Static_assert(offsetof(Actionner, info) == 0 && offsetof(Output, info) == 0 && offsetof(Notifier, info) == 0 &&
                   offsetof(Context, info) == 0,
               "info comes first");

static int by_name(const void *a, const void *b) {
    return strcmp((*(const PluginInfo *const *)a)->name, (*(const PluginInfo *const *)b)->name);
}

static const PluginInfo *const *sorted(const void *const *plugins) {
    size_t count = 0;
    while (plugins[count])
        count++;
    const PluginInfo **list = g_new0(const PluginInfo *, count + 1);
    for (size_t i = 0; i < count; i++)
        list[i] = plugins[i];
    qsort(list, count, sizeof *list, by_name);
    return list;
}

const Catalogue *cli_catalogue(void) {
    static Catalogue catalogue;
    if (!catalogue.plugins[PLUGIN_ACTIONNER]) {
        catalogue.plugins[PLUGIN_ACTIONNER] = sorted((const void *const *)actionners_all);
        catalogue.plugins[PLUGIN_OUTPUT] = sorted((const void *const *)outputs_all);
        catalogue.plugins[PLUGIN_NOTIFIER] = sorted((const void *const *)notifiers_all);
        catalogue.plugins[PLUGIN_CONTEXT] = sorted((const void *const *)contexts_all);
    }
    return &catalogue;
}
