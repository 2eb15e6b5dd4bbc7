// Environment variables as a layer over the configuration file.
#pragma once

#include "schema/schema.h"
#include "yaml/arena.h"

// What the environment gives for the rows of `table`, as a map from row names to values (for param_decode_over), or
// NULL when it gives nothing. A row's variable is `prefix` and the row's name in upper case, dots as underscores; a
// secret's also with _FILE. Lists are comma-separated, maps are key:value pairs, comma-separated. Empty variables are
// absent ones. The nodes live in `arena`. Errors and warnings name the variable; a secret's value is in none.
const YamlNode *environment_layer(YamlArena *arena, const ParamTable *table, const char *prefix,
                                  const char *const *environment, DiagList *diags);

// "notifiers.slack." -> "NOTIFIERS_SLACK_". Caller frees.
char *environment_name(const char *key);
