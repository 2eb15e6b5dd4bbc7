// The rules in force, behind one pointer: readers take a reference, a reload swaps it whole.
#pragma once

#include "rules/rules.h"

typedef struct RulesHolder RulesHolder;

// Takes over the reference to `set`.
RulesHolder *rules_holder_new(RuleSet *set);
void rules_holder_free(RulesHolder *holder);
// A new reference to the set in force. Thread-safe; the lock is held for an increment only.
RuleSet *rules_holder_get(RulesHolder *holder);
void rules_holder_swap(RulesHolder *holder, RuleSet *set);

// Watches the files (inotify on their folders and on the folders their symbolic links pass through, so that a
// ConfigMap's
// ..data swap is seen; content is compared, so that a touch is no reload) on a thread of its own. After a change
// settles (200 ms) it loads them all: on success swaps and calls loaded(set, diags); on failure leaves the rules in
// force and calls loaded(NULL, diags). Where inotify is used up, polls each second.
typedef struct RulesWatch RulesWatch;
RulesWatch *rules_watch_start(RulesHolder *holder, const char *const *files, const Catalogue *catalogue,
                              void (*loaded)(const RuleSet *set, const DiagList *diags, void *user), void *user,
                              GError **error);
void rules_watch_stop(RulesWatch *watch);
