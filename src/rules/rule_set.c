#include "rules/rule_set.h"

#include <string.h>

static void params_free(const PluginInfo *info, void *params) {
    if (info && params)
        param_free(&info->params, params);
}

void rule_action_clear(RuleAction *action) {
    params_free(action->actionner, action->params);
    params_free(action->output, action->output_params);
    g_free(action->name);
    g_free(action->description);
    g_free(action->params_json);
    g_free(action->output_params_json);
    g_free(action->contexts);
    *action = (RuleAction){0};
}

void rule_clear(Rule *rule) {
    for (size_t i = 0; i < rule->action_count; i++)
        rule_action_clear(&rule->actions[i]);
    g_free(rule->actions);
    g_free(rule->name);
    g_free(rule->description);
    g_free(rule->file);
    g_free(rule->notifiers);
    if (rule->match)
        rule_match_clear(rule->match);
    g_free(rule->match);
    *rule = (Rule){0};
}

RuleSet *rule_set_new(GArray *rules, const char *fingerprint) {
    RuleSet *set = g_new0(RuleSet, 1);
    gsize count = 0;
    set->rules = g_array_steal(rules, &count);
    set->count = count;
    set->fingerprint = g_strdup(fingerprint);
    set->references = 1;
    g_autofree const RuleMatch **matches = g_new(const RuleMatch *, MAX(count, 1));
    set->matches = g_new(RuleMatch, MAX(count, 1));
    for (size_t i = 0; i < count; i++) {
        Rule *rule = &set->rules[i];
        set->matches[i] = *rule->match;
        g_free(rule->match);
        rule->match = &set->matches[i];
        rule_match_pack(rule->match);
        matches[i] = rule->match;
    }
    set->index = rule_index_new(matches, count);
    return set;
}

RuleSet *rule_set_ref(RuleSet *set) {
    __atomic_add_fetch(&set->references, 1, __ATOMIC_RELAXED);
    return set;
}

void rule_set_unref(RuleSet *set) {
    if (!set || __atomic_sub_fetch(&set->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    for (size_t i = 0; i < set->count; i++) {
        rule_match_clear(&set->matches[i]);
        set->rules[i].match = NULL;
        rule_clear(&set->rules[i]);
    }
    g_free(set->rules);
    g_free(set->matches);
    rule_index_free(set->index);
    g_free(set->fingerprint);
    g_free(set);
}

size_t rule_set_count(const RuleSet *set) {
    return set->count;
}

const Rule *rule_set_get(const RuleSet *set, size_t i) {
    return i < set->count ? &set->rules[i] : NULL;
}

size_t rule_set_match(const RuleSet *set, const Event *event, const Rule **out, size_t max) {
    RuleCandidates candidates;
    rule_index_find(set->index, event, &candidates);
    size_t found = 0;
    for (uint32_t i = 0; rule_candidates_next(&candidates, &i);) {
        const RuleMatch *match = &set->matches[i];
        if (!rule_match_event(match, event))
            continue;
        if (found < max)
            out[found] = &set->rules[i];
        found++;
        if (match->last)
            break;
    }
    return found;
}
