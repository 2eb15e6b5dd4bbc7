#include "rules/rule_index.h"

#include <string.h>

// Key number 0 is the Falco rule's name, the others are fields.
enum { KEY_RULE_NAME, KEY_COUNT = RULE_INDEX_FIELDS + 1 };

// Keys are told apart by their hash alone: rules of two that collide share a list, and each is asked in full anyway.
typedef struct {
    uint64_t hash; // 0: an empty slot
    // Where the rules stand in `entries`; a single one stands here itself, which saves a cache miss.
    uint32_t first, count;
} Slot;

// What is known of a slot while the index is built.
typedef struct {
    uint32_t wanted; // how many rules could be filed here
    unsigned key;
} SlotPlan;

struct RuleIndex {
    Slot *slots;
    SlotPlan *plans; // NULL when built
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
    hash ^= hash >> 32;
    return hash ? hash : 1;
}

// The number of the slot of this key and text, or of the empty one where it would go.
static size_t slot_of(const RuleIndex *index, unsigned key, const char *text, size_t len, uint64_t *hash) {
    *hash = hash_of(key, text, len);
    size_t i = *hash & index->mask;
    while (index->slots[i].hash && index->slots[i].hash != *hash)
        i = (i + 1) & index->mask;
    return i;
}

static size_t slot_made(RuleIndex *index, unsigned key, const MatchText *text) {
    uint64_t hash = 0;
    size_t i = slot_of(index, key, text->text, text->len, &hash);
    index->slots[i].hash = hash;
    index->plans[i].key = key;
    return i;
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

enum { NO_SLOT = SIZE_MAX };

// The slot of the set's condition that the fewest rules ask for; NO_SLOT when none can be indexed.
static size_t rarest(RuleIndex *index, const ConditionSet *set) {
    size_t best = NO_SLOT;
    for (size_t i = 0; i < set->count; i++) {
        const Condition *condition = &set->conditions[i];
        if (!is_indexable(index, condition))
            continue;
        size_t slot = slot_made(index, key_of(index, &condition->field), &condition->value);
        if (best == NO_SLOT || index->plans[slot].wanted < index->plans[best].wanted)
            best = slot;
    }
    return best;
}

static uint64_t cost_by_fields(RuleIndex *index, const RuleMatch *match) {
    uint64_t cost = match->field_count > 0 ? 0 : UINT64_MAX;
    for (size_t i = 0; i < match->field_count; i++) {
        size_t slot = rarest(index, &match->fields[i]);
        if (slot == NO_SLOT)
            return UINT64_MAX;
        cost += index->plans[slot].wanted;
    }
    return cost;
}

static uint64_t cost_by_names(RuleIndex *index, const RuleMatch *match) {
    uint64_t cost = match->rule_count > 0 ? 0 : UINT64_MAX;
    for (size_t i = 0; i < match->rule_count; i++)
        cost += index->plans[slot_made(index, KEY_RULE_NAME, &match->rules[i])].wanted;
    return cost;
}

// Calls `file` with each slot where the rule is to be found: NO_SLOT for the list of those that are always asked.
static void file_each(RuleIndex *index, const RuleMatch *match, void (*file)(RuleIndex *, size_t, uint32_t),
                      uint32_t rule) {
    uint64_t by_names = cost_by_names(index, match), by_fields = cost_by_fields(index, match);
    if (by_names == UINT64_MAX && by_fields == UINT64_MAX) {
        file(index, NO_SLOT, rule);
        return;
    }
    if (by_names <= by_fields) {
        for (size_t i = 0; i < match->rule_count; i++)
            file(index, slot_made(index, KEY_RULE_NAME, &match->rules[i]), rule);
        return;
    }
    for (size_t i = 0; i < match->field_count; i++)
        file(index, rarest(index, &match->fields[i]), rule);
}

static void count_one(RuleIndex *index, size_t slot, uint32_t rule) {
    if (slot == NO_SLOT) {
        index->general_count++;
        return;
    }
    index->slots[slot].count++;
    index->used[index->plans[slot].key] = true;
}

static void write_one(RuleIndex *index, size_t number, uint32_t rule) {
    if (number == NO_SLOT) {
        index->entries[index->general_count++] = rule;
        return;
    }
    Slot *slot = &index->slots[number];
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
        index->plans[slot_made(index, KEY_RULE_NAME, &match->rules[i])].wanted++;
    for (size_t i = 0; i < match->field_count; i++)
        for (size_t c = 0; c < match->fields[i].count; c++) {
            const Condition *condition = &match->fields[i].conditions[c];
            if (is_indexable(index, condition))
                index->plans[slot_made(index, key_of(index, &condition->field), &condition->value)].wanted++;
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
    index->plans = g_new0(SlotPlan, size);
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
    for (size_t i = 0; i < size; i++)
        if (index->slots[i].count == 1)
            index->slots[i].first = index->entries[index->slots[i].first];
    g_clear_pointer(&index->plans, g_free);
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
        uint64_t hash = 0;
        const Slot *slot = &index->slots[slot_of(index, key, text, len, &hash)];
        add_list(candidates, slot->count == 1 ? &slot->first : index->entries + slot->first, slot->count);
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
