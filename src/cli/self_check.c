#include "cli/self_check.h"

#include "actionners/actionner.h"

#define LIMIT_US (30 * G_USEC_PER_SEC)

struct SelfCheck {
    GPtrArray *actionners;
    const ActionClients *clients;
    Log *log;
    Cancel cancel;
    pthread_t thread;
};

// Those of the rules that can, each once.
static GPtrArray *actionners_to_check(RulesHolder *rules) {
    GPtrArray *found = g_ptr_array_new();
    RuleSet *set = rules_holder_get(rules);
    for (size_t i = 0; i < rule_set_count(set); i++) {
        const Rule *rule = rule_set_get(set, i);
        for (size_t n = 0; n < rule->action_count; n++) {
            const Actionner *actionner = (const Actionner *)rule->actions[n].actionner;
            if (actionner->check && !g_ptr_array_find(found, actionner, NULL))
                g_ptr_array_add(found, (void *)actionner);
        }
    }
    rule_set_unref(set);
    return found;
}

static void check_one(SelfCheck *check, const Actionner *actionner) {
    g_autoptr(GError) error = NULL;
    g_autofree char *who = NULL;
    int64_t deadline_us = clock_monotonic_us(clock_system()) + LIMIT_US;
    if (actionner->check(check->clients, deadline_us, &check->cancel, &who, &error))
        log_text(check->log, LOG_INFO, "init", "%s acts as %s", actionner->info.name, who);
    else if (!cancel_is_set(&check->cancel))
        log_text(check->log, LOG_ERROR, "init", "%s would fail: %s", actionner->info.name, error->message);
}

static void *run(void *data) {
    SelfCheck *check = data;
    for (guint i = 0; i < check->actionners->len; i++)
        check_one(check, g_ptr_array_index(check->actionners, i));
    return NULL;
}

static void self_check_free(SelfCheck *check) {
    g_ptr_array_unref(check->actionners);
    g_free(check);
}

SelfCheck *self_check_start(RulesHolder *rules, const ActionClients *clients, Log *log) {
    SelfCheck *check = g_new0(SelfCheck, 1);
    check->actionners = actionners_to_check(rules);
    check->clients = clients;
    check->log = log;
    g_autoptr(GError) error = NULL;
    if (check->actionners->len > 0 && thread_start(&check->thread, "self-check", 0, run, check, &error))
        return check;
    if (error)
        log_text(log, LOG_WARNING, "init", "no actionner was checked: %s", error->message);
    self_check_free(check);
    return NULL;
}

void self_check_stop(SelfCheck *check) {
    if (!check)
        return;
    cancel_set(&check->cancel);
    pthread_join(check->thread, NULL);
    self_check_free(check);
}
