// Any bytes as YAML: either errors that are told, or a tree that keeps its promises and whose scalars can be written
// and read back.
#include "yaml/yaml.h"

#include <stdlib.h>
#include <string.h>

static void check(bool good) {
    if (!good)
        abort();
}

static void check_scalar(const YamlNode *node) {
    check(g_utf8_validate(node->text, -1, NULL));
    bool truth;
    gint64 number;
    yaml_to_bool(node, &truth);
    yaml_to_int(node, &number);
    g_autoptr(GString) out = g_string_new("[");
    yaml_append_scalar(out, node->text);
    g_string_append(out, "]");
    g_autoptr(YamlDoc) doc = yaml_parse(out->str, out->len, "again", NULL, NULL);
    check(doc != NULL);
    check(yaml_root(doc)->count == 1);
    check(strcmp(yaml_root(doc)->items[0]->text, node->text) == 0);
    check(!yaml_is_null(yaml_root(doc)->items[0]));
}

static void check_node(const YamlNode *node, unsigned depth, size_t *count) {
    check(++*count <= 2000 && depth <= 17);
    check(node->line > 0 && node->column > 0 && node->file != NULL && node->text != NULL);
    if (node->kind == YAML_SCALAR)
        check_scalar(node);
    for (size_t i = 0; i < node->count; i++) {
        if (node->kind == YAML_MAP) {
            check(node->keys[i]->kind == YAML_SCALAR);
            check(yaml_get(node, node->keys[i]->text) == node->items[i]);
            check_node(node->keys[i], depth + 1, count);
        }
        check_node(node->items[i], depth + 1, count);
    }
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);
int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
    const YamlLimits limits = {.max_bytes = 64 * 1024, .max_depth = 16, .max_nodes = 2000};
    g_autoptr(DiagList) diags = diag_list_new();
    g_autoptr(YamlDoc) doc = yaml_parse((const char *)data, size, "fuzz", &limits, diags);
    check((doc == NULL) == (diags->errors > 0));
    size_t count = 0;
    if (yaml_root(doc))
        check_node(yaml_root(doc), 1, &count);
    g_autofree char *text = diag_list_text(diags);
    check(g_utf8_validate(text, -1, NULL));
    return 0;
}
