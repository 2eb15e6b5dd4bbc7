#include "rules/block_check.h"

#include <string.h>

typedef enum { VALUE_TEXT, VALUE_BOOL, VALUE_TEXTS, VALUE_MAP, VALUE_BLOCK, VALUE_BLOCKS } ValueKind;

typedef struct BlockShape BlockShape;

typedef struct {
    const char *name;
    ValueKind kind;
    const BlockShape *shape; // of VALUE_BLOCK and VALUE_BLOCKS
    const char *hint;        // how an item of VALUE_TEXTS is written
} BlockKey;

struct BlockShape {
    const char *what;
    const BlockKey *keys; // ends with a NULL name
};

static const BlockShape output_shape = {"output", (const BlockKey[]){{.name = "target", .kind = VALUE_TEXT},
                                                                     {.name = "parameters", .kind = VALUE_MAP},
                                                                     {.name = NULL}}};

static const BlockShape match_shape = {
    "match", (const BlockKey[]){{.name = "rules", .kind = VALUE_TEXTS, .hint = "the name of a Falco rule"},
                                {.name = "priority", .kind = VALUE_TEXT},
                                {.name = "source", .kind = VALUE_TEXT},
                                {.name = "tags", .kind = VALUE_TEXTS, .hint = "tags with commas between"},
                                {.name = "output_fields", .kind = VALUE_TEXTS, .hint = "key=value or key!=value"},
                                {.name = NULL}}};

static const BlockShape action_shape = {
    "action", (const BlockKey[]){{.name = "action", .kind = VALUE_TEXT},
                                 {.name = "description", .kind = VALUE_TEXT},
                                 {.name = "actionner", .kind = VALUE_TEXT},
                                 {.name = "continue", .kind = VALUE_BOOL},
                                 {.name = "ignore_errors", .kind = VALUE_BOOL},
                                 {.name = "parameters", .kind = VALUE_MAP},
                                 {.name = "additional_contexts", .kind = VALUE_TEXTS, .hint = "the name of a context"},
                                 {.name = "output", .kind = VALUE_BLOCK, .shape = &output_shape},
                                 {.name = NULL}}};

static const BlockShape rule_shape = {
    "rule", (const BlockKey[]){{.name = "rule", .kind = VALUE_TEXT},
                               {.name = "description", .kind = VALUE_TEXT},
                               {.name = "match", .kind = VALUE_BLOCK, .shape = &match_shape},
                               {.name = "actions", .kind = VALUE_BLOCKS, .shape = &action_shape},
                               {.name = "continue", .kind = VALUE_BOOL},
                               {.name = "dry_run", .kind = VALUE_BOOL},
                               {.name = "notifiers", .kind = VALUE_TEXTS, .hint = "the name of a notifier"},
                               {.name = NULL}}};

static void check_block(const BlockShape *shape, const YamlNode *block, DiagList *diags);

static void wrong_kind(const char *name, const char *wanted, const YamlNode *value, DiagList *diags) {
    yaml_diag(diags, DIAG_ERROR, value, "%s must be %s, found %s", name, wanted, yaml_kind_name(value->kind));
}

static void bad_bool(const char *name, const YamlNode *value, DiagList *diags) {
    g_autofree char *found = diag_quote(value->text);
    yaml_diag(diags, DIAG_ERROR, value, "%s must be true or false, found %s", name, found);
}

static void check_texts(const BlockKey *key, const YamlNode *value, DiagList *diags) {
    if (value->kind == YAML_MAP) {
        g_autofree char *wanted = g_strdup_printf("a list, each item %s", key->hint);
        wrong_kind(key->name, wanted, value, diags);
        return;
    }
    for (size_t i = 0; i < block_list_count(value); i++) {
        const YamlNode *item = block_list_item(value, i);
        if (item->kind != YAML_SCALAR) {
            g_autofree char *wanted = g_strdup_printf("a text (%s)", key->hint);
            g_autofree char *name = g_strdup_printf("item %zu of %s", i + 1, key->name);
            wrong_kind(name, wanted, item, diags);
        } else if (item->text[0] == '\0' || yaml_is_null(item)) {
            yaml_diag(diags, DIAG_ERROR, item, "item %zu of %s is empty: write %s", i + 1, key->name, key->hint);
        }
    }
}

static void check_blocks(const BlockKey *key, const YamlNode *value, DiagList *diags) {
    if (value->kind != YAML_LIST) {
        wrong_kind(key->name, "a list of blocks, each starting with '- '", value, diags);
        return;
    }
    for (size_t i = 0; i < value->count; i++) {
        if (value->items[i]->kind == YAML_MAP) {
            check_block(key->shape, value->items[i], diags);
            continue;
        }
        g_autofree char *name = g_strdup_printf("item %zu of %s", i + 1, key->name);
        wrong_kind(name, "a block of keys and values", value->items[i], diags);
    }
}

static void check_value(const BlockKey *key, const YamlNode *value, DiagList *diags) {
    bool flag = false;
    if (yaml_is_null(value))
        return;
    switch (key->kind) {
    case VALUE_TEXT:
        if (value->kind != YAML_SCALAR)
            wrong_kind(key->name, "a text", value, diags);
        return;
    case VALUE_BOOL:
        if (value->kind != YAML_SCALAR)
            wrong_kind(key->name, "true or false", value, diags);
        else if (!yaml_to_bool(value, &flag))
            bad_bool(key->name, value, diags);
        return;
    case VALUE_TEXTS:
        check_texts(key, value, diags);
        return;
    case VALUE_MAP:
    case VALUE_BLOCK:
        if (value->kind != YAML_MAP)
            wrong_kind(key->name, "a map of keys and values", value, diags);
        else if (key->shape)
            check_block(key->shape, value, diags);
        return;
    case VALUE_BLOCKS:
        check_blocks(key, value, diags);
        return;
    }
}

static const BlockKey *find_key(const BlockShape *shape, const char *name) {
    for (const BlockKey *key = shape->keys; key->name; key++)
        if (strcmp(key->name, name) == 0)
            return key;
    return NULL;
}

static void unknown_key(const BlockShape *shape, const YamlNode *key, DiagList *diags) {
    enum { MOST = 16 };
    const char *names[MOST] = {NULL};
    for (size_t i = 0; i + 1 < MOST && shape->keys[i].name; i++)
        names[i] = shape->keys[i].name;
    g_autofree char *quoted = diag_quote(key->text);
    g_autofree char *hint = did_you_mean(diag_nearest(key->text, names));
    yaml_diag(diags, DIAG_WARNING, key, "unknown key %s in %s%s", quoted, shape->what, hint);
}

static void check_block(const BlockShape *shape, const YamlNode *block, DiagList *diags) {
    for (size_t i = 0; i < block->count; i++) {
        const BlockKey *key = find_key(shape, block->keys[i]->text);
        if (key)
            check_value(key, block->items[i], diags);
        else
            unknown_key(shape, block->keys[i], diags);
    }
}

void block_check_rule(const YamlNode *block, DiagList *diags) {
    check_block(&rule_shape, block, diags);
}

void block_check_action(const YamlNode *block, DiagList *diags) {
    check_block(&action_shape, block, diags);
}

const char *block_nearest_kind(const YamlNode *block) {
    static const char *const kinds[] = {"rule", "action", NULL};
    for (size_t i = 0; i < block->count; i++) {
        const char *near = diag_nearest(block->keys[i]->text, kinds);
        // `actions` belongs to a rule whose first line is missing.
        if (near && strcmp(block->keys[i]->text, "actions") != 0)
            return near;
    }
    return NULL;
}

char *did_you_mean(const char *near) {
    return near ? g_strdup_printf(": did you mean %s?", near) : g_strdup("");
}

const char *block_text(const YamlNode *block, const char *key) {
    const YamlNode *value = yaml_get(block, key);
    return value && value->kind == YAML_SCALAR && !yaml_is_null(value) && value->text[0] ? value->text : NULL;
}

bool block_bool(const YamlNode *block, const char *key, bool fallback) {
    const YamlNode *value = yaml_get(block, key);
    bool flag = fallback;
    return value && value->kind == YAML_SCALAR && yaml_to_bool(value, &flag) ? flag : fallback;
}

size_t block_list_count(const YamlNode *list) {
    if (!list || list->kind == YAML_MAP || yaml_is_null(list))
        return 0;
    return list->kind == YAML_LIST ? list->count : 1;
}

const YamlNode *block_list_item(const YamlNode *list, size_t i) {
    return list->kind == YAML_LIST ? list->items[i] : list;
}
