// Which rules are worth asking about an event, without asking all of them. Each rule is filed where the fewest others
// are: under the Falco rule names it wants, or under one `field=value` of each of its output_fields items, else in the
// list of those that are always asked.
#pragma once

#include "rules/rule_match.h"

#include <stdint.h>

// More fields than these are not indexed: each costs a look at every event.
enum { RULE_INDEX_FIELDS = 8, RULE_INDEX_LISTS = RULE_INDEX_FIELDS + 2 };

typedef struct RuleIndex RuleIndex;

// The index keeps pointers into the matches of fields; their order is the order of the rules.
RuleIndex *rule_index_new(const RuleMatch *const *matches, size_t count);
void rule_index_free(RuleIndex *index);

// Walks the numbers of the rules that may match the event, in order, each once.
typedef struct {
    struct {
        const uint32_t *next, *end;
    } lists[RULE_INDEX_LISTS];
    size_t count;
} RuleCandidates;
void rule_index_find(const RuleIndex *index, const Event *event, RuleCandidates *candidates);
// False at the end.
bool rule_candidates_next(RuleCandidates *candidates, uint32_t *rule);
