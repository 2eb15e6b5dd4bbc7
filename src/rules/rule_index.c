#include "rules/rule_index.h"

#include <string.h>

// Key number 0 is the Falco rule's name, the others are fields.
enum { KEY_RULE_NAME, KEY_COUNT = RULE_INDEX_FIELDS + 1 };

typedef struct {
    const char *text; // NULL: an empty slot
    size_t len;
    uint64_t hash;
    unsigned key;
    uint32_t wanted; // how many rules could be filed here
    uint32_t first, count;
} Slot;

struct RuleIndex {
    Slot *slots;
    size_t mask;
    uint32_t *entries;
    uint32_t general_count; // at the start of entries
    MatchText fields[KEY_COUNT];
    bool used[KEY_COUNT];
    unsigned key_count;
};

static uint64_t hash_of(unsigned key, const char *text, size_t len) {
    uint64_t hash = 14695981039346656037ULL + key;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (uint8_t)text[i]) * 1099511628211ULL;
    return hash ^ hash >> 32;
}

// The slot of this key and text, or the empty one where it would go.
static Slot *slot_of(const RuleIndex *index, unsigned key, const char *text, size_t len) {
    uint64_t hash = hash_of(key, text, len);
    for (size_t i = hash & index->mask;; i = (i + 1) & index->mask) {
        Slot *slot = &index->slots[i];
        if (!slot->text ||
            (slot->hash == hash && slot->key == key && slot->len == len && memcmp(slot->text, text, len) == 0))
            return slot;
    }
}

static Slot *slot_make(RuleIndex *index, unsigned key, const MatchText *text) {
    Slot *slot = slot_of(index, key, text->text, text->len);
    if (!slot->text)
        *slot = (Slot){.text = text->text, .len = text->len, .hash = hash_of(key, text->text, text->len), .key = key};
    return slot;
}

// The field's key number, KEY_COUNT when it has none.
static unsigned key_of(const RuleIndex *index, const MatchText *field) {
    for (unsigned key = 1; key < index->key_count; key++)
        if (index->fields[key].len == field->len && memcmp(index->fields[key].text, field->text, field->len) == 0)
            return key;
    return KEY_COUNT;
}

static bool is_indexable(const RuleIndex *index, const Condition *condition) {
    return condition->op == CONDITION_EQUALS && key_of(index, &condition->field) < KEY_COUNT;
}

// The condition of the set that the fewest rules ask for; NULL when none can be indexed.
static Slot *rarest(const RuleIndex *index, const ConditionSet *set) {
    Slot *best = NULL;
    for (size_t i = 0; i < set->count; i++) {
        const Condition *condition = &set->conditions[i];
        if (!is_indexable(index, condition))
            continue;
        Slot *slot = slot_of(index, key_of(index, &condition->field), condition->value.text, condition->value.len);
        if (!best || slot->wanted < best->wanted)
            best = slot;
    }
    return best;
}

static uint64_t cost_by_fields(const RuleIndex *index, const RuleMatch *match) {
    uint64_t cost = match->field_count > 0 ? 0 : UINT64_MAX;
    for (size_t i = 0; i < match->field_count; i++) {
        const Slot *slot = rarest(index, &match->fields[i]);
        if (!slot)
            return UINT64_MAX;
        cost += slot->wanted;
    }
    return cost;
}

static uint64_t cost_by_names(const RuleIndex *index, const RuleMatch *match) {
    uint64_t cost = match->rule_count > 0 ? 0 : UINT64_MAX;
    for (size_t i = 0; i < match->rule_count; i++)
        cost += slot_of(index, KEY_RULE_NAME, match->rules[i].text, match->rules[i].len)->wanted;
    return cost;
}

static void file_each(RuleIndex *index, const RuleMatch *match, void (*file)(RuleIndex *, Slot *, uint32_t),
                      uint32_t rule) {
    uint64_t by_names = cost_by_names(index, match), by_fields = cost_by_fields(index, match);
    if (by_names == UINT64_MAX && by_fields == UINT64_MAX) {
        file(index, NULL, rule);
        return;
    }
    if (by_names <= by_fields) {
        for (size_t i = 0; i < match->rule_count; i++)
            file(index, slot_of(index, KEY_RULE_NAME, match->rules[i].text, match->rules[i].len), rule);
        return;
    }
    for (size_t i = 0; i < match->field_count; i++)
        file(index, rarest(index, &match->fields[i]), rule);
}

static void count_one(RuleIndex *index, Slot *slot, uint32_t rule) {
    if (!slot) {
        index->general_count++;
        return;
    }
    slot->count++;
    index->used[slot->key] = true;
}

static void write_one(RuleIndex *index, Slot *slot, uint32_t rule) {
    if (!slot) {
        index->entries[index->general_count++] = rule;
        return;
    }
    // Two items of a rule may ask for the same.
    if (slot->count > 0 && index->entries[slot->first + slot->count - 1] == rule)
        return;
    index->entries[slot->first + slot->count++] = rule;
}

static size_t collect_fields(RuleIndex *index, const RuleMatch *match) {
    size_t texts = match->rule_count;
    for (size_t i = 0; i < match->field_count; i++)
        for (size_t c = 0; c < match->fields[i].count; c++) {
            const Condition *condition = &match->fields[i].conditions[c];
            if (condition->op != CONDITION_EQUALS)
                continue;
            if (key_of(index, &condition->field) == KEY_COUNT && index->key_count < KEY_COUNT)
                index->fields[index->key_count++] = condition->field;
            texts++;
        }
    return texts;
}

static void count_wanted(RuleIndex *index, const RuleMatch *match) {
    for (size_t i = 0; i < match->rule_count; i++)
        slot_make(index, KEY_RULE_NAME, &match->rules[i])->wanted++;
    for (size_t i = 0; i < match->field_count; i++)
        for (size_t c = 0; c < match->fields[i].count; c++) {
            const Condition *condition = &match->fields[i].conditions[c];
            if (is_indexable(index, condition))
                slot_make(index, key_of(index, &condition->field), &condition->value)->wanted++;
        }
}

RuleIndex *rule_index_new(const RuleMatch *const *matches, size_t count) {
    RuleIndex *index = g_new0(RuleIndex, 1);
    index->key_count = 1;
    size_t texts = 0;
    for (size_t i = 0; i < count; i++)
        texts += collect_fields(index, matches[i]);
    size_t size = 16;
    while (size < texts * 2)
        size *= 2;
    index->slots = g_new0(Slot, size);
    index->mask = size - 1;
    for (size_t i = 0; i < count; i++)
        count_wanted(index, matches[i]);
    for (size_t i = 0; i < count; i++)
        file_each(index, matches[i], count_one, (uint32_t)i);

    uint32_t first = index->general_count;
    for (size_t i = 0; i < size; i++) {
        index->slots[i].first = first;
        first += index->slots[i].count;
        index->slots[i].count = 0;
    }
    index->entries = g_new(uint32_t, MAX(first, 1));
    index->general_count = 0;
    for (size_t i = 0; i < count; i++)
        file_each(index, matches[i], write_one, (uint32_t)i);
    return index;
}

void rule_index_free(RuleIndex *index) {
    if (!index)
        return;
    g_free(index->slots);
    g_free(index->entries);
    g_free(index);
}

static void add_list(RuleCandidates *candidates, const uint32_t *entries, uint32_t count) {
    if (count == 0)
        return;
    candidates->lists[candidates->count].next = entries;
    candidates->lists[candidates->count].end = entries + count;
    candidates->count++;
}

void rule_index_find(const RuleIndex *index, const Event *event, RuleCandidates *candidates) {
    candidates->count = 0;
    add_list(candidates, index->entries, index->general_count);
    for (unsigned key = 0; key < index->key_count; key++) {
        if (!index->used[key])
            continue;
        char scratch[MATCH_SCRATCH];
        size_t len = 0;
        const char *text = NULL;
        if (key == KEY_RULE_NAME) {
            text = event->rule;
            len = strlen(text);
        } else {
            text = match_field_text(event, &index->fields[key], scratch, &len);
        }
        if (!text)
            continue;
        const Slot *slot = slot_of(index, key, text, len);
        if (slot->text)
            add_list(candidates, index->entries + slot->first, slot->count);
    }
}

bool rule_candidates_next(RuleCandidates *candidates, uint32_t *rule) {
    bool found = false;
    uint32_t least = UINT32_MAX;
    for (size_t i = 0; i < candidates->count; i++)
        if (candidates->lists[i].next < candidates->lists[i].end && *candidates->lists[i].next <= least) {
            least = *candidates->lists[i].next;
            found = true;
        }
    if (!found)
        return false;
    for (size_t i = 0; i < candidates->count; i++)
        if (candidates->lists[i].next < candidates->lists[i].end && *candidates->lists[i].next == least)
            candidates->lists[i].next++;
    *rule = least;
    return true;
}
