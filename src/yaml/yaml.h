// YAML 1.1 as libyaml parses it, as a tree of nodes that know where they stand. Strict where a user would be misled:
// duplicate keys are errors; anchors and aliases work, with limits on depth and on the nodes that aliases expand to.
#pragma once

#include "yaml/diag.h"

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

typedef enum { YAML_SCALAR, YAML_LIST, YAML_MAP } YamlKind;

typedef struct YamlNode YamlNode;
struct YamlNode {
    YamlKind kind;
    unsigned line, column; // from 1
    const char *file;      // owned by the document
    // scalar
    const char *text; // valid UTF-8 without NUL; "" for an empty scalar
    bool quoted;      // written with quotes or as a block: always a string, never null, bool or number
    // list: items; map: pairs of key (scalar) and value, in the order written
    size_t count;
    YamlNode **items; // list: count nodes; map: count values
    YamlNode **keys;  // map only: count scalar nodes
};

typedef struct YamlDoc YamlDoc;

typedef struct {
    size_t max_bytes;   // a longer text is refused (0: 16 MiB)
    unsigned max_depth; // 0: 64
    size_t max_nodes;   // what the tree may hold, aliases expanded (0: 1,000,000)
} YamlLimits;

// Parses `text`; `file` is only for messages. The first document of the stream; more than one is an error. An empty
// text gives a document whose root is NULL. On failure NULL, with at least one error in `diags`. `limits` NULL: the
// defaults.
YamlDoc *yaml_parse(const char *text, size_t len, const char *file, const YamlLimits *limits, DiagList *diags);

// Reads the file, bounded by max_bytes, then parses it. An unreadable file is an error in `diags`.
YamlDoc *yaml_load(const char *path, const YamlLimits *limits, DiagList *diags);

void yaml_doc_free(YamlDoc *doc);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(YamlDoc, yaml_doc_free)

// NULL for an empty document. Nodes live as long as their document and never change: safe to read from any thread.
const YamlNode *yaml_root(const YamlDoc *doc);

// The value of `key`, or NULL (also when `map` is NULL or no map).
const YamlNode *yaml_get(const YamlNode *map, const char *key);

// True for an empty plain scalar, `~`, `null`.
bool yaml_is_null(const YamlNode *node);

// Plain or quoted true/yes/on/y and false/no/off/n, any case, as YAML 1.1 and Talon's users write them.
bool yaml_to_bool(const YamlNode *node, bool *value);

// Decimal, with an optional sign; 0x and 0o too. False when it is no integer or does not fit.
bool yaml_to_int(const YamlNode *node, gint64 *value);

const char *yaml_kind_name(YamlKind kind); // "a text", "a list", "a map"

// Adds a finding at the node's place.
void yaml_diag(DiagList *diags, DiagSeverity severity, const YamlNode *node, const char *format, ...)
    G_GNUC_PRINTF(4, 5);

// Appends `text` to `out` as a YAML scalar that reads back as that string: plain where that is safe, else
// double-quoted.
void yaml_append_scalar(GString *out, const char *text);
