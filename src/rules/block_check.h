// The shape of the blocks of a rules file: which keys there are and of what type their values must be.
#pragma once

#include "yaml/yaml.h"

// Reports unknown keys (warnings) and wrong types (errors) of one block, with all that stands in it, except for what
// is the plug-ins' own (`parameters`).
void block_check_rule(const YamlNode *block, DiagList *diags);
void block_check_action(const YamlNode *block, DiagList *diags);

// The nearest of a block's first keys to what the user wrote ('rule', 'action'), or NULL.
const char *block_nearest_kind(const YamlNode *block);

// ": did you mean NEAR?", "" for NULL; caller frees.
char *did_you_mean(const char *near);

// The value's text; NULL when it is absent, null or no text.
const char *block_text(const YamlNode *block, const char *key);
// The value, which may be quoted; `fallback` when it is absent or no boolean.
bool block_bool(const YamlNode *block, const char *key, bool fallback);
// A list, or a single text that stands for a list of one; absent and null have no items. Items are nodes of any kind:
// those of a wrong one were reported.
size_t block_list_count(const YamlNode *list);
const YamlNode *block_list_item(const YamlNode *list, size_t i);
