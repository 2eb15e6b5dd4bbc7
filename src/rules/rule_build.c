#include "rules/rule_build.h"

#include "rules/action_build.h"
#include "rules/block_check.h"
#include "rules/rule_match.h"

#include <string.h>

enum { HINTS_MAX = 100 };

typedef struct {
    const Blocks *blocks;
    const Catalogue *catalogue;
    // What is wrong with a reusable action is found again by every rule that uses it, but said once.
    GHashTable *said;
    DiagList *diags;
} Builder;

static bool is_text(const YamlNode *node) {
    return node->kind == YAML_SCALAR && node->text[0] && !yaml_is_null(node);
}

static void take_problem(DiagList *diags, const YamlNode *node, const char *name, char *problem) {
    yaml_diag(diags, DIAG_ERROR, node, "%s: %s", name, problem);
    g_free(problem);
}

static void build_names(RuleMatch *match, const YamlNode *list) {
    size_t count = block_list_count(list), bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += is_text(block_list_item(list, i)) ? strlen(block_list_item(list, i)->text) + 1 : 0;
    match->rules = g_malloc0(MAX(count * sizeof(MatchText) + bytes, 1));
    char *text = (char *)(match->rules + count);
    for (size_t i = 0; i < count; i++) {
        const YamlNode *item = block_list_item(list, i);
        if (!is_text(item))
            continue;
        size_t len = strlen(item->text);
        match->rules[match->rule_count++] = (MatchText){.text = memcpy(text, item->text, len + 1), .len = len};
        text += len + 1;
    }
}

static void build_tags(RuleMatch *match, const YamlNode *list, DiagList *diags) {
    size_t count = block_list_count(list);
    match->tags = g_new0(TagSet, count + 1);
    for (size_t i = 0; i < count; i++) {
        const YamlNode *item = block_list_item(list, i);
        char *problem = NULL;
        if (!is_text(item))
            continue;
        if (tag_set_parse(&match->tags[match->tag_count], item->text, &problem))
            match->tag_count++;
        else
            take_problem(diags, item, "tags", problem);
    }
}

static void build_fields(RuleMatch *match, const YamlNode *list, DiagList *diags) {
    size_t count = block_list_count(list);
    match->fields = g_new0(ConditionSet, count + 1);
    for (size_t i = 0; i < count; i++) {
        const YamlNode *item = block_list_item(list, i);
        char *problem = NULL;
        if (!is_text(item))
            continue;
        if (condition_set_parse(&match->fields[match->field_count], item->text, &problem))
            match->field_count++;
        else
            take_problem(diags, item, "output_fields", problem);
    }
}

static void build_priority(RuleMatch *match, const YamlNode *map, DiagList *diags) {
    const char *text = block_text(map, "priority");
    char *problem = NULL;
    if (!text)
        return;
    if (!rule_match_parse_priority(match, text, &problem))
        take_problem(diags, yaml_get(map, "priority"), "priority", problem);
    else if (match->priorities == 0)
        yaml_diag(diags, DIAG_WARNING, yaml_get(map, "priority"), "no event has such a priority");
}

static RuleMatch *build_match(const YamlNode *map, DiagList *diags) {
    RuleMatch *match = g_new0(RuleMatch, 1);
    match->priorities = RULE_MATCH_ANY_PRIORITY;
    build_names(match, yaml_get(map, "rules"));
    build_priority(match, map, diags);
    match->source = g_strdup(block_text(map, "source"));
    build_tags(match, yaml_get(map, "tags"), diags);
    build_fields(match, yaml_get(map, "output_fields"), diags);
    return match;
}

static void say_once(Builder *builder, const DiagList *found, const YamlNode *not_at) {
    for (guint i = 0; i < found->items->len; i++) {
        const Diag *diag = g_ptr_array_index(found->items, i);
        if (not_at && diag->line == not_at->line && diag->column == not_at->column)
            continue;
        g_autofree char *key = g_strdup_printf("%s:%u:%u:%s", diag->file, diag->line, diag->column, diag->message);
        if (g_hash_table_add(builder->said, g_steal_pointer(&key)))
            diag_add(builder->diags, diag->severity, diag->file, diag->line, diag->column, "%s", diag->message);
    }
}

// An action of a rule, laid over the reusable action of its name where there is one.
static bool build_rule_action(Builder *builder, const YamlNode *node, RuleAction *action) {
    const char *name = block_text(node, "action");
    Block *reusable = name ? blocks_find_action(builder->blocks, name) : NULL;
    if (reusable) {
        reusable->used = true;
        const YamlNode *merged = node_merge_block(builder->blocks->pool, reusable->node, node);
        g_autoptr(DiagList) found = diag_list_new();
        bool good = action_build(merged, builder->catalogue, action, found);
        say_once(builder, found, NULL);
        return good;
    }
    const YamlNode *actionner = yaml_get(node, "actionner");
    if (name && (!actionner || yaml_is_null(actionner))) {
        g_autofree char *quoted = diag_quote(name);
        // Each hint costs a look at every action: a file that is wrong all over needs no more of them.
        bool few = builder->diags->errors < HINTS_MAX;
        g_autofree char *hint = did_you_mean(few ? blocks_nearest_action(builder->blocks, name) : NULL);
        yaml_diag(builder->diags, DIAG_ERROR, yaml_get(node, "action"),
                  "no action %s is defined, and it has no 'actionner' of its own%s", quoted, hint);
        return false;
    }
    return action_build(node, builder->catalogue, action, builder->diags);
}

static void warn_of_twins(const RuleAction *actions, size_t count, const YamlNode *node, DiagList *diags) {
    const char *name = block_text(node, "action");
    for (size_t i = 0; name && i < count; i++)
        if (strcmp(actions[i].name, name) == 0) {
            yaml_diag(diags, DIAG_WARNING, yaml_get(node, "action"),
                      "an action of this name stands in the rule before: it will run again");
            return;
        }
}

static bool build_actions(Builder *builder, const YamlNode *block, Rule *rule) {
    const YamlNode *list = yaml_get(block, "actions");
    if (!list || yaml_is_null(list) || (list->kind == YAML_LIST && list->count == 0)) {
        yaml_diag(builder->diags, DIAG_ERROR, block, "the rule has no actions");
        return false;
    }
    if (list->kind != YAML_LIST)
        return false;
    bool good = true;
    rule->actions = g_new0(RuleAction, list->count);
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i]->kind != YAML_MAP)
            continue;
        warn_of_twins(rule->actions, rule->action_count, list->items[i], builder->diags);
        if (build_rule_action(builder, list->items[i], &rule->actions[rule->action_count]))
            rule->action_count++;
        else
            good = false;
    }
    return good;
}

static void build_rule(Builder *builder, const Block *block, GArray *rules) {
    const YamlNode *node = block->node;
    Rule rule = {
        .name = g_strdup(block->name),
        .description = g_strdup(block_text(node, "description")),
        .file = g_strdup(block->first->file),
        .line = block->first->line,
        .continue_ = block_bool(node, "continue", true),
        .dry_run = block_bool(node, "dry_run", false),
    };
    const YamlNode *match = yaml_get(node, "match");
    unsigned errors = builder->diags->errors;
    rule.match = build_match(match, builder->diags);
    rule.match->last = !rule.continue_;
    if (rule_match_is_empty(rule.match) && builder->diags->errors == errors &&
        (!match || match->kind == YAML_MAP || yaml_is_null(match)))
        yaml_diag(builder->diags, DIAG_WARNING, match && match->kind == YAML_MAP ? match : node,
                  "the rule has no criterion in 'match': it matches every event");
    rule.notifiers = plugins_build(yaml_get(node, "notifiers"), builder->catalogue, PLUGIN_NOTIFIER, builder->diags);
    if (build_actions(builder, node, &rule) && rule.notifiers)
        g_array_append_val(rules, rule);
    else
        rule_clear(&rule);
}

// What nobody uses is checked too, but for what a rule would have to add.
static void check_unused(Builder *builder, const Block *block) {
    RuleAction action = {0};
    g_autoptr(DiagList) found = diag_list_new();
    action_build(block->node, builder->catalogue, &action, found);
    say_once(builder, found, block->node);
    rule_action_clear(&action);
}

void rules_build(const Blocks *blocks, const Catalogue *catalogue, GArray *rules, DiagList *diags) {
    g_autoptr(GHashTable) said = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    Builder builder = {.blocks = blocks, .catalogue = catalogue, .said = said, .diags = diags};
    for (guint i = 0; i < blocks->rules.order->len; i++)
        build_rule(&builder, g_ptr_array_index(blocks->rules.order, i), rules);
    for (guint i = 0; i < blocks->actions.order->len; i++) {
        const Block *block = g_ptr_array_index(blocks->actions.order, i);
        if (!block->used)
            check_unused(&builder, block);
    }
}
