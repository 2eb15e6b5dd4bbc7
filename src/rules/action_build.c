#include "rules/action_build.h"

#include "rules/block_check.h"
#include "rules/params_text.h"

#include <string.h>

// Parameters of one action; YAML aliases could make much of little.
enum { PARAMS_MAX = 1024 * 1024 };

static const PluginInfo *find_plugin(const YamlNode *node, const Catalogue *catalogue, PluginKind kind,
                                     DiagList *diags) {
    const PluginInfo *info = catalogue_find(catalogue, kind, node->text);
    g_autofree char *lower = g_ascii_strdown(node->text, -1);
    if (!info)
        info = catalogue_find(catalogue, kind, lower);
    if (info) {
        if (info->planned)
            yaml_diag(diags, DIAG_WARNING, node, "the %s %s is not in this version yet: %s", plugin_kind_name(kind),
                      info->name, kind == PLUGIN_ACTIONNER ? "the action will fail" : "what needs it will fail");
        return info;
    }
    g_autofree char *quoted = diag_quote(node->text);
    g_autofree char *hint = did_you_mean(catalogue_nearest(catalogue, kind, lower));
    yaml_diag(diags, DIAG_ERROR, node, "unknown %s %s%s", plugin_kind_name(kind), quoted, hint);
    return NULL;
}

static bool has(const GPtrArray *plugins, const PluginInfo *info) {
    for (guint i = 0; i < plugins->len; i++)
        if (g_ptr_array_index(plugins, i) == info)
            return true;
    return false;
}

const PluginInfo **plugins_build(const YamlNode *list, const Catalogue *catalogue, PluginKind kind, DiagList *diags) {
    g_autoptr(GPtrArray) plugins = g_ptr_array_new();
    bool good = true;
    for (size_t i = 0; i < block_list_count(list); i++) {
        const YamlNode *item = block_list_item(list, i);
        if (item->kind != YAML_SCALAR || yaml_is_null(item) || !item->text[0])
            continue;
        const PluginInfo *info = find_plugin(item, catalogue, kind, diags);
        if (!info)
            good = false;
        else if (!has(plugins, info))
            g_ptr_array_add(plugins, (void *)info);
    }
    g_ptr_array_add(plugins, NULL);
    return good ? (const PluginInfo **)g_ptr_array_steal(plugins, NULL) : NULL;
}

// Decodes the `parameters` of `block` into `params` and `json`. Errors are in `diags`.
static void build_params(const YamlNode *block, const PluginInfo *info, void **params, char **json, DiagList *diags) {
    const YamlNode *map = yaml_get(block, "parameters");
    if (map && map->kind != YAML_MAP && !yaml_is_null(map))
        return; // reported with the block's shape
    *params = param_decode(&info->params, map, block, info->name, diags);
    g_auto(Buf) text = BUF_INIT(PARAMS_MAX);
    if (params_append_json(&text, &info->params, map))
        *json = buf_steal(&text);
    else
        yaml_diag(diags, DIAG_ERROR, map, "the parameters are longer than %d bytes as JSON", PARAMS_MAX);
}

static void build_contexts(const YamlNode *node, const Catalogue *catalogue, RuleAction *action, DiagList *diags) {
    const YamlNode *list = yaml_get(node, "additional_contexts");
    if (block_list_count(list) > 0 && !action->actionner->uses_contexts)
        yaml_diag(diags, DIAG_ERROR, list, "%s uses no additional_contexts", action->actionner->name);
    action->contexts = plugins_build(list, catalogue, PLUGIN_CONTEXT, diags);
}

static void build_output(const YamlNode *node, const Catalogue *catalogue, RuleAction *action, DiagList *diags) {
    const PluginInfo *actionner = action->actionner;
    const YamlNode *output = yaml_get(node, "output");
    if (!output || yaml_is_null(output)) {
        if (actionner->output == NEEDS_OUTPUT)
            yaml_diag(diags, DIAG_ERROR, node, "%s needs an 'output' with a 'target', where its artifact is stored",
                      actionner->name);
        return;
    }
    if (output->kind != YAML_MAP)
        return; // reported with the block's shape
    if (actionner->output == NEEDS_NO_OUTPUT) {
        yaml_diag(diags, DIAG_ERROR, output, "%s makes no artifact: it takes no 'output'", actionner->name);
        return;
    }
    const YamlNode *target = yaml_get(output, "target");
    if (!block_text(output, "target")) {
        if (!target || target->kind == YAML_SCALAR)
            yaml_diag(diags, DIAG_ERROR, output, "the output has no 'target'");
        return;
    }
    action->output = find_plugin(target, catalogue, PLUGIN_OUTPUT, diags);
    if (action->output)
        build_params(output, action->output, &action->output_params, &action->output_params_json, diags);
}

static bool build_actionner(const YamlNode *node, const Catalogue *catalogue, RuleAction *action, DiagList *diags) {
    const YamlNode *actionner = yaml_get(node, "actionner");
    if (actionner && actionner->kind != YAML_SCALAR)
        return false; // reported with the block's shape
    if (!block_text(node, "actionner")) {
        yaml_diag(diags, DIAG_ERROR, node, "the action has no 'actionner'");
        return false;
    }
    action->actionner = find_plugin(actionner, catalogue, PLUGIN_ACTIONNER, diags);
    return action->actionner != NULL;
}

bool action_build(const YamlNode *node, const Catalogue *catalogue, RuleAction *action, DiagList *diags) {
    unsigned errors = diags->errors;
    RuleAction built = {0};
    if (build_actionner(node, catalogue, &built, diags)) {
        const char *name = block_text(node, "action");
        built.name = g_strdup(name ? name : "");
        built.description = g_strdup(block_text(node, "description"));
        built.continue_ = block_bool(node, "continue", built.actionner->default_continue);
        built.ignore_errors = block_bool(node, "ignore_errors", false);
        build_params(node, built.actionner, &built.params, &built.params_json, diags);
        build_contexts(node, catalogue, &built, diags);
        build_output(node, catalogue, &built, diags);
    }
    // A shape error was counted before: it shows by what is missing here.
    if (diags->errors > errors || !built.actionner || !built.params_json) {
        rule_action_clear(&built);
        return false;
    }
    *action = built;
    return true;
}
