#include "rules/blocks.h"

#include "rules/block_check.h"

static void doc_free(void *doc) {
    yaml_doc_free(doc);
}

static void table_init(BlockTable *table) {
    table->order = g_ptr_array_new_with_free_func(g_free);
    table->by_name = g_hash_table_new(g_str_hash, g_str_equal);
}

static void table_clear(BlockTable *table) {
    g_ptr_array_unref(table->order);
    g_hash_table_unref(table->by_name);
}

void blocks_init(Blocks *blocks) {
    blocks->docs = g_ptr_array_new_with_free_func(doc_free);
    blocks->pool = node_pool_new();
    table_init(&blocks->actions);
    table_init(&blocks->rules);
}

void blocks_clear(Blocks *blocks) {
    table_clear(&blocks->actions);
    table_clear(&blocks->rules);
    g_ptr_array_unref(blocks->pool);
    g_ptr_array_unref(blocks->docs);
}

static void table_add(Blocks *blocks, BlockTable *table, const char *kind, unsigned file, const YamlNode *node,
                      DiagList *diags) {
    const char *name = block_text(node, kind);
    Block *block = g_hash_table_lookup(table->by_name, name);
    if (!block) {
        block = g_new0(Block, 1);
        *block = (Block){.name = name, .node = node, .first = node, .file = file, .line = node->line};
        g_ptr_array_add(table->order, block);
        g_hash_table_insert(table->by_name, (void *)name, block);
        return;
    }
    if (block->file == file) {
        g_autofree char *quoted = diag_quote(name);
        // Charts join files into one, so that this is what overriding looks like there.
        yaml_diag(
            diags, DIAG_WARNING, yaml_get(node, kind),
            "the %s %s stands twice in this file, first at line %u: this one is merged over it, as one of a later "
            "file is",
            kind, quoted, block->line);
    }
    block->node = node_merge_block(blocks->pool, block->node, node);
    block->file = file;
    block->line = node->line;
}

// "rule" or "action"; NULL after reporting.
static const char *kind_of(const YamlNode *node, DiagList *diags) {
    if (node->kind != YAML_MAP) {
        yaml_diag(diags, DIAG_ERROR, node,
                  "a block must be a map that starts with 'rule: NAME' or 'action: NAME', found %s",
                  yaml_kind_name(node->kind));
        return NULL;
    }
    const YamlNode *rule = yaml_get(node, "rule"), *action = yaml_get(node, "action");
    if (rule && action) {
        yaml_diag(diags, DIAG_ERROR, node,
                  "a block is either a rule or an action: this one has both keys. The actions of a rule stand in its "
                  "'actions' list");
        return NULL;
    }
    if (!rule && !action) {
        g_autofree char *hint = did_you_mean(block_nearest_kind(node));
        yaml_diag(diags, DIAG_ERROR, node, "a block has 'rule: NAME' or 'action: NAME', this one has neither%s", hint);
        return NULL;
    }
    const char *kind = rule ? "rule" : "action";
    const YamlNode *name = rule ? rule : action;
    if (name->kind == YAML_SCALAR && !block_text(node, kind)) {
        yaml_diag(diags, DIAG_ERROR, name, "the %s has no name: write '%s: NAME'", kind, kind);
        return NULL;
    }
    return kind;
}

static void add_block(Blocks *blocks, unsigned file, const YamlNode *node, DiagList *diags) {
    const char *kind = kind_of(node, diags);
    if (!kind)
        return;
    bool rule = kind[0] == 'r';
    (rule ? block_check_rule : block_check_action)(node, diags);
    if (block_text(node, kind))
        table_add(blocks, rule ? &blocks->rules : &blocks->actions, kind, file, node, diags);
}

void blocks_add_text(Blocks *blocks, unsigned file, const char *name, const char *text, size_t len, DiagList *diags) {
    YamlDoc *doc = yaml_parse(text, len, name, NULL, diags);
    if (!doc)
        return;
    g_ptr_array_add(blocks->docs, doc);
    const YamlNode *root = yaml_root(doc);
    // An empty file among others is fine; that there is no rule at all is found out later.
    if (!root || yaml_is_null(root))
        return;
    if (root->kind != YAML_LIST) {
        yaml_diag(diags, DIAG_ERROR, root,
                  "a rules file is a list of blocks, each starting with '- rule: NAME' or '- action: NAME', found %s",
                  yaml_kind_name(root->kind));
        return;
    }
    for (size_t i = 0; i < root->count; i++)
        add_block(blocks, file, root->items[i], diags);
}

Block *blocks_find_action(const Blocks *blocks, const char *name) {
    return g_hash_table_lookup(blocks->actions.by_name, name);
}

const char *blocks_nearest_action(const Blocks *blocks, const char *name) {
    g_autofree const char **names = g_new0(const char *, blocks->actions.order->len + 1);
    for (guint i = 0; i < blocks->actions.order->len; i++)
        names[i] = ((const Block *)g_ptr_array_index(blocks->actions.order, i))->name;
    return diag_nearest(name, names);
}
