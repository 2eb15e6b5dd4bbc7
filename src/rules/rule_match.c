#include "rules/rule_match.h"

#include <string.h>

void tag_set_clear(TagSet *set) {
    for (size_t i = 0; i < set->count; i++)
        g_free(set->tags[i]);
    g_free(set->tags);
    *set = (TagSet){0};
}

void condition_set_clear(ConditionSet *set) {
    for (size_t i = 0; i < set->count; i++) {
        g_free(set->conditions[i].field.text);
        g_free(set->conditions[i].value.text);
    }
    g_free(set->conditions);
    *set = (ConditionSet){0};
}

void rule_match_clear(RuleMatch *match) {
    for (size_t i = 0; i < match->tag_count; i++)
        tag_set_clear(&match->tags[i]);
    for (size_t i = 0; !match->packed && i < match->field_count; i++)
        condition_set_clear(&match->fields[i]);
    g_free(match->rules);
    g_free(match->tags);
    g_free(match->fields);
    g_free(match->priority_text);
    g_free(match->source);
    *match = (RuleMatch){.priorities = RULE_MATCH_ANY_PRIORITY};
}

static MatchText pack_text(char **room, const MatchText *text) {
    MatchText packed = {.text = memcpy(*room, text->text, text->len + 1), .len = text->len};
    *room += text->len + 1;
    return packed;
}

void rule_match_pack(RuleMatch *match) {
    if (match->packed || match->field_count == 0)
        return;
    size_t conditions = 0, bytes = 0;
    for (size_t i = 0; i < match->field_count; i++) {
        conditions += match->fields[i].count;
        for (size_t c = 0; c < match->fields[i].count; c++)
            bytes += match->fields[i].conditions[c].field.len + match->fields[i].conditions[c].value.len + 2;
    }
    ConditionSet *sets = g_malloc(match->field_count * sizeof *sets + conditions * sizeof(Condition) + bytes);
    Condition *condition = (Condition *)(sets + match->field_count);
    char *room = (char *)(condition + conditions);
    for (size_t i = 0; i < match->field_count; i++) {
        ConditionSet *set = &match->fields[i];
        sets[i] = (ConditionSet){.conditions = condition, .count = set->count};
        for (size_t c = 0; c < set->count; c++)
            *condition++ = (Condition){.field = pack_text(&room, &set->conditions[c].field),
                                       .op = set->conditions[c].op,
                                       .value = pack_text(&room, &set->conditions[c].value)};
        condition_set_clear(set);
    }
    g_free(match->fields);
    match->fields = sets;
    match->packed = true;
}

bool rule_match_is_empty(const RuleMatch *match) {
    return match->rule_count == 0 && match->tag_count == 0 && match->field_count == 0 && !match->priority_text &&
           !match->source;
}

static bool is_syscall(const char *source) {
    return strncmp(source, "syscall", 7) == 0 && (source[7] == '\0' || (source[7] == 's' && source[8] == '\0'));
}

bool rule_match_same_source(const char *a, const char *b) {
    return strcmp(a, b) == 0 || (is_syscall(a) && is_syscall(b));
}

const char *match_field_text(const Event *event, const MatchText *field, char scratch[MATCH_SCRATCH], size_t *len) {
    yyjson_val *value = event->fields ? yyjson_obj_getn(event->fields, field->text, field->len) : NULL;
    if (!value)
        return NULL;
    if (yyjson_is_str(value)) {
        *len = yyjson_get_len(value);
        return yyjson_get_str(value);
    }
    const char *text = event_value_text(value, scratch, MATCH_SCRATCH, len);
    // What fills the scratch may have been cut, and half a list must not pass for a whole one.
    if (text == scratch && *len >= MATCH_SCRATCH - 1)
        return NULL;
    return text;
}

static bool condition_holds(const Condition *condition, const Event *event) {
    char scratch[MATCH_SCRATCH];
    size_t len = 0;
    const char *text = match_field_text(event, &condition->field, scratch, &len);
    bool equal = text && len == condition->value.len && memcmp(text, condition->value.text, len) == 0;
    switch (condition->op) {
    case CONDITION_EQUALS:
        return equal;
    case CONDITION_NOT_EQUALS:
        return !equal;
    }
    return false;
}

static bool one_of_rules(const RuleMatch *match, const Event *event) {
    if (match->rule_count == 0)
        return true;
    size_t len = strlen(event->rule);
    for (size_t i = 0; i < match->rule_count; i++)
        if (match->rules[i].len == len && memcmp(match->rules[i].text, event->rule, len) == 0)
            return true;
    return false;
}

static bool has_tag(const Event *event, const char *tag) {
    for (size_t i = 0; i < event->tag_count; i++)
        if (strcmp(event->tags[i], tag) == 0)
            return true;
    return false;
}

static bool has_tags(const TagSet *set, const Event *event) {
    for (size_t i = 0; i < set->count; i++)
        if (!has_tag(event, set->tags[i]))
            return false;
    return true;
}

static bool one_of_tags(const RuleMatch *match, const Event *event) {
    for (size_t i = 0; i < match->tag_count; i++)
        if (has_tags(&match->tags[i], event))
            return true;
    return match->tag_count == 0;
}

static bool conditions_hold(const ConditionSet *set, const Event *event) {
    for (size_t i = 0; i < set->count; i++)
        if (!condition_holds(&set->conditions[i], event))
            return false;
    return true;
}

static bool one_of_fields(const RuleMatch *match, const Event *event) {
    for (size_t i = 0; i < match->field_count; i++)
        if (conditions_hold(&match->fields[i], event))
            return true;
    return match->field_count == 0;
}

bool rule_match_event(const RuleMatch *match, const Event *event) {
    // From cheap to dear.
    return (match->priorities >> event->priority & 1) &&
           (!match->source || rule_match_same_source(match->source, event->source)) && one_of_rules(match, event) &&
           one_of_tags(match, event) && one_of_fields(match, event);
}
