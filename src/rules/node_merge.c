#include "rules/node_merge.h"

#include <string.h>

static void node_free(void *data) {
    YamlNode *node = data;
    g_free(node->items);
    g_free(node->keys);
    g_free(node);
}

NodePool *node_pool_new(void) {
    return g_ptr_array_new_with_free_func(node_free);
}

static YamlNode *node_new(NodePool *pool, YamlKind kind, const YamlNode *place, size_t capacity) {
    YamlNode *node = g_new0(YamlNode, 1);
    node->kind = kind;
    node->text = "";
    node->line = place->line;
    node->column = place->column;
    node->file = place->file;
    node->items = g_new(YamlNode *, MAX(capacity, 1));
    if (kind == YAML_MAP)
        node->keys = g_new(YamlNode *, MAX(capacity, 1));
    g_ptr_array_add(pool, node);
    return node;
}

static void list_append(YamlNode *list, const YamlNode *from) {
    if (from->kind != YAML_LIST) {
        list->items[list->count++] = (YamlNode *)from;
        return;
    }
    for (size_t i = 0; i < from->count; i++)
        list->items[list->count++] = from->items[i];
}

static const YamlNode *merge_lists(NodePool *pool, const YamlNode *base, const YamlNode *over) {
    size_t capacity = (base->kind == YAML_LIST ? base->count : 1) + (over->kind == YAML_LIST ? over->count : 1);
    YamlNode *list = node_new(pool, YAML_LIST, over, capacity);
    list_append(list, base);
    list_append(list, over);
    return list;
}

static bool find_key(const YamlNode *map, const char *key, size_t *at) {
    for (size_t i = 0; i < map->count; i++)
        if (strcmp(map->keys[i]->text, key) == 0) {
            *at = i;
            return true;
        }
    return false;
}

static const YamlNode *merge_maps(NodePool *pool, const YamlNode *base, const YamlNode *over, bool skip_nulls) {
    YamlNode *map = node_new(pool, YAML_MAP, over, base->count + over->count);
    for (size_t i = 0; i < base->count; i++) {
        map->keys[i] = base->keys[i];
        map->items[i] = base->items[i];
    }
    map->count = base->count;
    for (size_t i = 0; i < over->count; i++) {
        size_t at = 0;
        if (!find_key(map, over->keys[i]->text, &at)) {
            map->keys[map->count] = over->keys[i];
            map->items[map->count++] = over->items[i];
        } else if (!skip_nulls || !yaml_is_null(over->items[i])) {
            map->keys[at] = over->keys[i];
            map->items[at] = (YamlNode *)node_merge(pool, map->items[at], over->items[i]);
        }
    }
    return map;
}

static const YamlNode *merge(NodePool *pool, const YamlNode *base, const YamlNode *over, bool skip_nulls) {
    if (!base || !over)
        return base ? base : over;
    if (base->kind == YAML_MAP && over->kind == YAML_MAP)
        return merge_maps(pool, base, over, skip_nulls);
    if (yaml_is_null(base))
        return over;
    if (yaml_is_null(over))
        return base->kind == YAML_SCALAR ? over : base;
    bool one_list = base->kind == YAML_LIST || over->kind == YAML_LIST;
    bool no_map = base->kind != YAML_MAP && over->kind != YAML_MAP;
    return one_list && no_map ? merge_lists(pool, base, over) : over;
}

const YamlNode *node_merge(NodePool *pool, const YamlNode *base, const YamlNode *over) {
    return merge(pool, base, over, false);
}

const YamlNode *node_merge_block(NodePool *pool, const YamlNode *base, const YamlNode *over) {
    return merge(pool, base, over, true);
}
