// Rules: YAML files merged and checked into one unchangeable set, with an index for matching.
#pragma once

#include "event/event.h"
#include "schema/plugin.h"
#include "yaml/diag.h"

#include <glib.h>

typedef struct {
    char *name;        // "" when the rule gives none
    char *description; // NULL when there is none
    const PluginInfo *actionner;
    void *params;      // of actionner->params; unchangeable
    char *params_json; // as configured after merging, secrets hidden: the context falco-talon.action.parameters
    bool continue_;    // its own, else the actionner's default
    bool ignore_errors;
    const PluginInfo **contexts; // NULL-terminated
    const PluginInfo *output;    // NULL when none
    void *output_params;
    char *output_params_json; // as params_json; NULL when there is no output
} RuleAction;

typedef struct {
    char *name;
    char *description; // NULL when there is none
    char *file;        // and the line where it is defined first
    unsigned line;
    RuleAction *actions;
    size_t action_count;
    bool continue_;
    bool dry_run;
    const PluginInfo **notifiers; // NULL-terminated; without default_notifiers
    struct RuleMatch *match;      // private to rules/
} Rule;

typedef struct RuleSet RuleSet; // unchangeable, reference-counted with atomics

// Loads and merges the files in order. NULL when any of them has an error; `diags` has all errors and warnings of all
// files. A set without rules is an error ("no rule in ...").
RuleSet *rule_set_load(const char *const *files, const Catalogue *catalogue, DiagList *diags);
RuleSet *rule_set_ref(RuleSet *set);
void rule_set_unref(RuleSet *set);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RuleSet, rule_set_unref)

size_t rule_set_count(const RuleSet *set);
const Rule *rule_set_get(const RuleSet *set, size_t i); // in the order tried

// The rules that the event leads to, in order, ending with the first whose `continue` is false. Writes at most `max` to
// `out` (max >= 1) and returns how many match in all. No allocation, no lock: safe from any thread. 16 is the limit of
// rules that one event may run; what is beyond is reported by the engine.
size_t rule_set_match(const RuleSet *set, const Event *event, const Rule **out, size_t max);

// The merged rules as YAML that loads to the same set (`rules print`). Secrets are hidden. Caller frees.
char *rule_set_yaml(const RuleSet *set);
