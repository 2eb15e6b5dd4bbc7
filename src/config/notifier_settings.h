// The part of the configuration below `notifiers`.
#pragma once

#include "config/config.h"

size_t catalogue_count(const Catalogue *catalogue, PluginKind kind);

// Decodes the settings of every configured notifier; see config_load for what 'configured' means. An array in the
// catalogue's order, NULL for one that is not configured (or has errors, which are in `diags`). `block` may be NULL.
void **notifier_settings_load(const YamlNode *block, const char *const *environment, const Catalogue *catalogue,
                              DiagList *diags);
void notifier_settings_free(void **settings, const Catalogue *catalogue);
