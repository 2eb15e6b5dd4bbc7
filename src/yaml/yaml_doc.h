// What a document is inside: for the files of this folder only.
#pragma once

#include "yaml/arena.h"
#include "yaml/yaml.h"

struct YamlDoc {
    YamlArena arena;
    const char *file; // in the arena
    YamlNode *root;
};

// The limits with 0 replaced by the default.
YamlLimits yaml_limits_filled(const YamlLimits *limits);
