// The blocks of all rules files, laid over each other by name.
#pragma once

#include "rules/node_merge.h"

typedef struct {
    const char *name;
    const YamlNode *node;  // merged
    const YamlNode *first; // where it is defined first
    unsigned file;         // the number of the file that defined it last
    unsigned line;         // and where
    bool used;             // an action that a rule inherits from
} Block;

typedef struct {
    GPtrArray *order;    // of Block, in the order of first definition
    GHashTable *by_name; // of Block
} BlockTable;

typedef struct {
    GPtrArray *docs; // of YamlDoc: the nodes are theirs
    NodePool *pool;
    BlockTable actions, rules;
} Blocks;

void blocks_init(Blocks *blocks);
void blocks_clear(Blocks *blocks);

// One file's text; `file` is its number and `name` its name in messages. Findings go to `diags`.
void blocks_add_text(Blocks *blocks, unsigned file, const char *name, const char *text, size_t len, DiagList *diags);

Block *blocks_find_action(const Blocks *blocks, const char *name);
// The nearest name of a reusable action, or NULL.
const char *blocks_nearest_action(const Blocks *blocks, const char *name);
