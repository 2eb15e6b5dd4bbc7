// The `match` criteria of one rule: parsed once, then asked for every event that the index finds worth asking.
#pragma once

#include "event/event.h"

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    char *text;
    size_t len;
} MatchText;

typedef enum {
    CONDITION_EQUALS,     // a missing field satisfies it never
    CONDITION_NOT_EQUALS, // a missing field satisfies it always
} ConditionOperator;

typedef struct {
    MatchText field;
    ConditionOperator op;
    MatchText value;
} Condition;

// All conditions must hold.
typedef struct {
    Condition *conditions;
    size_t count;
} ConditionSet;

// All tags must be there.
typedef struct {
    char **tags;
    size_t count;
} TagSet;

// A zeroed one, with `priorities` RULE_MATCH_ANY_PRIORITY, matches every event.
typedef struct RuleMatch {
    uint16_t priorities; // a bit for each Priority that is let through
    bool last;           // the rule has `continue: false`
    bool packed;         // rule_match_pack was here
    MatchText *rules;    // any of these; their texts stand behind them in the same piece of memory
    size_t rule_count;
    char *priority_text; // normalised (">=Warning"); NULL when there is no criterion
    char *source;        // as written; NULL when there is no criterion
    TagSet *tags;        // any of these
    size_t tag_count;
    ConditionSet *fields; // any of these
    size_t field_count;
} RuleMatch;

#define RULE_MATCH_ANY_PRIORITY UINT16_MAX

void rule_match_clear(RuleMatch *match);
// Moves all conditions into one piece of memory: among 10,000 rules each piece costs a cache miss.
void rule_match_pack(RuleMatch *match);
bool rule_match_is_empty(const RuleMatch *match);

// Each parses one text of the user's. False: `problem` (g_free) is a sentence that says what is wrong, and nothing else
// was set.
//
// `Critical`, `>=Warning`, `< error`: sets `priorities` and `priority_text`.
bool rule_match_parse_priority(RuleMatch *match, const char *text, char **problem);
// "tag, tag": appends to nothing, fills `set`.
bool tag_set_parse(TagSet *set, const char *text, char **problem);
// `key=value, key!="a, b"`: a quoted value holds commas and blanks; a quote inside is doubled.
bool condition_set_parse(ConditionSet *set, const char *text, char **problem);
void tag_set_clear(TagSet *set);
void condition_set_clear(ConditionSet *set);

// The condition as condition_set_parse reads it.
void condition_append(GString *out, const Condition *condition);

// Falcosidekick says `syscalls` where Falco says `syscall`: one source by two names.
bool rule_match_same_source(const char *a, const char *b);

// Room for the text of a field that is no string; a longer one is taken as equal to nothing.
enum { MATCH_SCRATCH = 1024 };
// The text of the field as conditions compare it; NULL when it is missing, null, or too long to compare.
const char *match_field_text(const Event *event, const MatchText *field, char scratch[MATCH_SCRATCH], size_t *len);

// Whether all given criteria hold. No allocation, no lock.
bool rule_match_event(const RuleMatch *match, const Event *event);
