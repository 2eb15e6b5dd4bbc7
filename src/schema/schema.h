// Parameter tables: one row per parameter gives decoding, checking, defaults, lists, documentation, the JSON Schema for
// editors and seeds for the fuzzers. The macros check at compile time that a row and its struct field have the same
// type.
#pragma once

#include "yaml/yaml.h"

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum {
    PARAM_BOOL, // bool
    PARAM_INT,  // int64_t
    PARAM_TEXT, // char *; NULL when absent and without a default
    PARAM_LIST, // char **: NULL-terminated; never NULL after decoding; a single scalar is taken as a list of one
    PARAM_MAP,  // GPtrArray * of ParamPair *, in the order written; never NULL after decoding
} ParamType;

typedef struct {
    char *key, *value; // a null value is ""
} ParamPair;

typedef struct ParamRow ParamRow;
struct ParamRow {
    const char *name;
    ParamType type;
    size_t offset;       // of the field in its struct
    const char *summary; // one sentence, starting with a capital, ending in a full stop
    bool required;
    bool secret;               // never printed, not even in an error; `<name>_file` is accepted too and read
    const char *default_value; // as a user would write it; lists: comma-separated; NULL: false, 0, absent, empty
    bool has_range;            // PARAM_INT
    int64_t min, max;
    const char *const *choices; // PARAM_TEXT: NULL-terminated; compared without case, decoded in the choice's spelling
    const char *unit;           // "s", "bytes", …; for documents
    const char *const *old_names; // NULL-terminated; accepted with a warning that names the new one
    // Checks a decoded value further: for a scalar or item its text, for a map each "key" and "value". Returns NULL
    // when good, else what is wrong (g_free), completing "<name> ...": e.g. "is no CIDR: write it as 10.0.0.0/8".
    char *(*check)(const char *text);
};

typedef struct {
    size_t size;          // sizeof the struct
    const ParamRow *rows; // ends with a row whose name is NULL; may be NULL when there are none
    // Checks rows against each other after all were decoded; may be NULL. Same return as ParamRow.check, a full
    // sentence.
    char *(*check)(const void *params);
} ParamTable;

// A compile-time error unless `field` of `structure` has type `ctype`; else its offset.
#define PARAM_OFFSET(structure, field, ctype)                                                                          \
    (offsetof(structure, field) +                                                                                      \
     0 * sizeof(char[__builtin_types_compatible_p(__typeof__(((structure *)0)->field), ctype) ? 1 : -1]))

// Used as: PARAM_ROW_BOOL(TerminateParams, ignore_daemonsets, .summary = "…")
#define PARAM_ROW(structure, field, ptype, ctype, ...)                                                                 \
    { .name = #field, .type = ptype, .offset = PARAM_OFFSET(structure, field, ctype), __VA_ARGS__ }
#define PARAM_ROW_BOOL(structure, field, ...) PARAM_ROW(structure, field, PARAM_BOOL, bool, __VA_ARGS__)
#define PARAM_ROW_INT(structure, field, ...) PARAM_ROW(structure, field, PARAM_INT, int64_t, __VA_ARGS__)
#define PARAM_ROW_TEXT(structure, field, ...) PARAM_ROW(structure, field, PARAM_TEXT, char *, __VA_ARGS__)
#define PARAM_ROW_LIST(structure, field, ...) PARAM_ROW(structure, field, PARAM_LIST, char **, __VA_ARGS__)
#define PARAM_ROW_MAP(structure, field, ...) PARAM_ROW(structure, field, PARAM_MAP, GPtrArray *, __VA_ARGS__)
// For a key whose name is no C identifier or differs from its field: give the name as a string.
#define PARAM_ROW_NAMED(structure, field, key, ptype, ctype, ...)                                                      \
    { .name = key, .type = ptype, .offset = PARAM_OFFSET(structure, field, ctype), __VA_ARGS__ }
#define PARAM_ROW_END                                                                                                  \
    { .name = NULL }
#define PARAM_RANGE(low, high) .has_range = true, .min = (low), .max = (high)

// Decodes `map` (NULL or null: an empty map) into a new zeroed struct with defaults filled in. Scalars where text is
// wanted are taken as their text (`true`, `20`). Unknown keys are warnings with 'did you mean'; wrong types, missing
// required parameters (said at `where`), bad ranges and choices are errors. `what` names the owner in messages
// ("kubernetes:label"). Returns NULL when there was any error. Free with param_free.
void *param_decode(const ParamTable *table, const YamlNode *map, const YamlNode *where, const char *what,
                   DiagList *diags);
// The same with a second layer: `over` (NULL: none) is a map whose keys are row names with their dots ("store.path");
// what it gives takes the place of the value in `map`, which is then not looked at.
void *param_decode_over(const ParamTable *table, const YamlNode *map, const YamlNode *over, const YamlNode *where,
                        const char *what, DiagList *diags);
void param_free(const ParamTable *table, void *params);

// The row's value in `params` as a user would write it in YAML (flow style for lists and maps); secrets as "********".
// Caller frees.
char *param_value_text(const ParamRow *row, const void *params);

// A JSON Schema object (draft 2020-12) for the table, as JSON text. Caller frees.
char *param_json_schema(const ParamTable *table);

// Checks the table itself, for tests of tables: names unique and well formed, offsets inside the struct and not shared,
// defaults that decode and hold their own range, choices and check, summaries that are sentences. NULL when good, else
// what is wrong (g_free).
char *param_table_problem(const ParamTable *table);
