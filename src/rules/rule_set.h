// The inside of a rule set, shared by the files that make, print and watch it.
#pragma once

#include "rules/rule_index.h"
#include "rules/rules.h"

struct RuleSet {
    Rule *rules;
    // What matching reads, side by side. The rules' `match` point here.
    RuleMatch *matches;
    size_t count;
    RuleIndex *index;
    char *fingerprint; // of the files' contents; "" for a set that came from no file
    int references;
};

void rule_action_clear(RuleAction *action);
void rule_clear(Rule *rule);

// Takes over the rules (a GArray of Rule, its memory too).
RuleSet *rule_set_new(GArray *rules, const char *fingerprint);

// One file that was read.
typedef struct {
    const char *name;
    const char *text;
    size_t len;
} RuleText;

// As rule_set_load, from texts.
RuleSet *rule_set_parse(const RuleText *texts, size_t count, const char *fingerprint, const Catalogue *catalogue,
                        DiagList *diags);

// A hash over what the files contain and which of them are missing: two equal ones mean equal files. Caller frees.
char *rules_fingerprint(const char *const *files);
