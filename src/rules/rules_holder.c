#include "rules/rules_holder.h"

#include "base/thread.h"

struct RulesHolder {
    Mutex mutex;
    RuleSet *set;
};

RulesHolder *rules_holder_new(RuleSet *set) {
    RulesHolder *holder = g_new0(RulesHolder, 1);
    mutex_init(&holder->mutex);
    holder->set = set;
    return holder;
}

void rules_holder_free(RulesHolder *holder) {
    if (!holder)
        return;
    rule_set_unref(holder->set);
    mutex_destroy(&holder->mutex);
    g_free(holder);
}

RuleSet *rules_holder_get(RulesHolder *holder) {
    mutex_lock(&holder->mutex);
    RuleSet *set = rule_set_ref(holder->set);
    mutex_unlock(&holder->mutex);
    return set;
}

void rules_holder_swap(RulesHolder *holder, RuleSet *set) {
    mutex_lock(&holder->mutex);
    RuleSet *old = holder->set;
    holder->set = set;
    mutex_unlock(&holder->mutex);
    rule_set_unref(old);
}
