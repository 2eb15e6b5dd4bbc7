#include "rules/params_text.h"
#include "rules/rule_set.h"

#include <string.h>

static void append_key(GString *out, const char *indent, const char *key, const char *value) {
    if (!value)
        return;
    g_string_append_printf(out, "%s%s: ", indent, key);
    yaml_append_scalar(out, value);
    g_string_append_c(out, '\n');
}

static void append_item(GString *out, const char *indent, const char *text) {
    g_string_append_printf(out, "%s- ", indent);
    yaml_append_scalar(out, text);
    g_string_append_c(out, '\n');
}

static void append_bool(GString *out, const char *indent, const char *key, bool value) {
    g_string_append_printf(out, "%s%s: %s\n", indent, key, value ? "true" : "false");
}

static void append_plugins(GString *out, const char *indent, const char *key, const PluginInfo *const *plugins) {
    if (!plugins || !plugins[0])
        return;
    g_string_append_printf(out, "%s%s:\n", indent, key);
    g_autofree char *deeper = g_strconcat(indent, "  ", NULL);
    for (size_t i = 0; plugins[i]; i++)
        append_item(out, deeper, plugins[i]->name);
}

static void append_params(GString *out, const char *indent, const char *json) {
    if (!json || strcmp(json, "{}") == 0)
        return;
    g_string_append_printf(out, "%sparameters:\n", indent);
    params_append_yaml(out, json, (unsigned)strlen(indent) + 2);
}

static void append_tags(GString *out, const RuleMatch *match) {
    if (match->tag_count > 0)
        g_string_append(out, "    tags:\n");
    for (size_t i = 0; i < match->tag_count; i++) {
        g_autoptr(GString) item = g_string_new(NULL);
        for (size_t t = 0; t < match->tags[i].count; t++)
            g_string_append_printf(item, "%s%s", t > 0 ? ", " : "", match->tags[i].tags[t]);
        append_item(out, "      ", item->str);
    }
}

static void append_fields(GString *out, const RuleMatch *match) {
    if (match->field_count > 0)
        g_string_append(out, "    output_fields:\n");
    for (size_t i = 0; i < match->field_count; i++) {
        g_autoptr(GString) item = g_string_new(NULL);
        for (size_t c = 0; c < match->fields[i].count; c++) {
            g_string_append(item, c > 0 ? ", " : "");
            condition_append(item, &match->fields[i].conditions[c]);
        }
        append_item(out, "      ", item->str);
    }
}

static void append_match(GString *out, const RuleMatch *match) {
    if (rule_match_is_empty(match))
        return;
    g_string_append(out, "  match:\n");
    if (match->rule_count > 0)
        g_string_append(out, "    rules:\n");
    for (size_t i = 0; i < match->rule_count; i++)
        append_item(out, "      ", match->rules[i].text);
    append_key(out, "    ", "priority", match->priority_text);
    append_key(out, "    ", "source", match->source);
    append_tags(out, match);
    append_fields(out, match);
}

static void append_action(GString *out, const RuleAction *action) {
    if (action->name[0]) {
        append_key(out, "    - ", "action", action->name);
        append_key(out, "      ", "actionner", action->actionner->name);
    } else {
        append_key(out, "    - ", "actionner", action->actionner->name);
    }
    append_key(out, "      ", "description", action->description);
    append_bool(out, "      ", "continue", action->continue_);
    append_bool(out, "      ", "ignore_errors", action->ignore_errors);
    append_params(out, "      ", action->params_json);
    append_plugins(out, "      ", "additional_contexts", action->contexts);
    if (action->output) {
        g_string_append(out, "      output:\n");
        append_key(out, "        ", "target", action->output->name);
        append_params(out, "        ", action->output_params_json);
    }
}

char *rule_set_yaml(const RuleSet *set) {
    GString *out = g_string_new(NULL);
    for (size_t i = 0; i < set->count; i++) {
        const Rule *rule = &set->rules[i];
        g_string_append(out, i > 0 ? "\n" : "");
        append_key(out, "- ", "rule", rule->name);
        append_key(out, "  ", "description", rule->description);
        append_match(out, rule->match);
        g_string_append(out, "  actions:\n");
        for (size_t a = 0; a < rule->action_count; a++)
            append_action(out, &rule->actions[a]);
        append_bool(out, "  ", "continue", rule->continue_);
        append_bool(out, "  ", "dry_run", rule->dry_run);
        append_plugins(out, "  ", "notifiers", rule->notifiers);
    }
    return g_string_free(out, FALSE);
}
