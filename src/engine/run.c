// One event's way through its rules and their actions.
#include "base/error.h"
#include "contexts/context.h"
#include "engine/artifact.h"
#include "engine/engine_private.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

// A rule knows the descriptor; the plug-in is found from it.
G_STATIC_ASSERT(offsetof(Actionner, info) == 0);
G_STATIC_ASSERT(offsetof(Output, info) == 0);
G_STATIC_ASSERT(offsetof(Context, info) == 0);

static const int64_t DEFAULT_ACTION_US = 30 * G_USEC_PER_SEC;
// A stream that ends at the action's deadline leaves the output this long to store what came.
static const int64_t OUTPUT_GRACE_US = 10 * G_USEC_PER_SEC;
// A context that hangs must not eat the action's time.
static const int64_t CONTEXT_US = 5 * G_USEC_PER_SEC;

typedef enum {
    STEP_NEXT, // the next action of the rule
    STEP_ENDS, // the rule's sequence
    STEP_PARKED,
    STEP_ABANDONED,
} Step;

static Step step_after(const RuleAction *action, bool failed) {
    if (failed && !action->ignore_errors)
        return STEP_ENDS;
    return action->continue_ ? STEP_NEXT : STEP_ENDS;
}

typedef enum { RECORD_NONE, RECORD_FINE, RECORD_FAILED } Record;

// What is on record of this action from before a restart: "<index>:<rule>", or "<index>!:<rule>" of a failure.
static Record find_record(const Job *job, const Rule *rule) {
    for (guint i = 0; job->recorded && i < job->recorded->len; i++) {
        const char *entry = g_ptr_array_index(job->recorded, i);
        char *rest = NULL;
        unsigned long index = strtoul(entry, &rest, 10);
        bool failed = *rest == '!';
        rest += failed;
        if (index == job->action && *rest == ':' && strcmp(rest + 1, rule->name) == 0)
            return failed ? RECORD_FAILED : RECORD_FINE;
    }
    return RECORD_NONE;
}

static bool has_field(const Event *event, const char *name) {
    if (strcmp(name, "k8s.pod.name") == 0)
        return event->pod != NULL;
    if (strcmp(name, "k8s.ns.name") == 0)
        return event->pod_namespace != NULL;
    char scratch[64];
    size_t len = 0;
    return event_field_text(event, name, scratch, sizeof scratch, &len) && len > 0;
}

static bool has_alternative(const Event *event, const char *alternatives) {
    g_auto(GStrv) names = g_strsplit(alternatives, "|", -1);
    for (char **name = names; *name; name++) {
        if (has_field(event, *name))
            return true;
    }
    return false;
}

// What speaks against running the action at all; NULL when nothing does.
static char *find_obstacle(const Event *event, const RuleAction *action) {
    const PluginInfo *info = action->actionner;
    if (info->planned)
        return g_strdup_printf("%s is not in this version", info->name);
    if (action->output && action->output->planned)
        return g_strdup_printf("the output %s is not in this version", action->output->name);
    if (info->output == NEEDS_OUTPUT && !action->output)
        return g_strdup_printf("%s needs an output", info->name);
    for (const char *const *field = info->required_fields; field && *field; field++) {
        // The plain case costs no allocation.
        if (strchr(*field, '|') ? has_alternative(event, *field) : has_field(event, *field))
            continue;
        g_auto(GStrv) names = g_strsplit(*field, "|", -1);
        g_autofree char *text = g_strjoinv(" or ", names);
        return g_strdup_printf("the event has no %s, which %s needs", text, info->name);
    }
    return NULL;
}

static void add_fact(GPtrArray *facts, const char *key, const char *value) {
    g_ptr_array_add(facts, g_strdup(key));
    g_ptr_array_add(facts, g_strdup(value ? value : ""));
}

static const char *bool_text(bool value) {
    return value ? "true" : "false";
}

// Facts about the event and about why the action runs. A context that fails is told of and does without: the action is
// worth more than the fact.
static GPtrArray *gather_facts(Engine *engine, const Job *job, const Rule *rule, const RuleAction *action,
                               int64_t deadline_us) {
    GPtrArray *facts = g_ptr_array_new_with_free_func(g_free);
    add_fact(facts, "falco-talon.rule", rule->name);
    add_fact(facts, "falco-talon.rule.continue", bool_text(rule->continue_));
    add_fact(facts, "falco-talon.rule.dry_run", bool_text(rule->dry_run));
    add_fact(facts, "falco-talon.action", action->name);
    add_fact(facts, "falco-talon.action.continue", bool_text(action->continue_));
    add_fact(facts, "falco-talon.action.ignore_errors", bool_text(action->ignore_errors));
    add_fact(facts, "falco-talon.action.parameters", action->params_json ? action->params_json : "{}");
    add_fact(facts, "falco-talon.actionner", action->actionner->name);
    for (const PluginInfo **info = action->contexts; info && *info; info++) {
        const Context *context = (const Context *)*info;
        g_autoptr(GError) error = NULL;
        guint before = facts->len;
        int64_t until_us = MIN(deadline_us, clock_monotonic_us(engine->options.clock) + CONTEXT_US);
        if ((*info)->planned)
            g_set_error(&error, STOOP_ERROR, STOOP_ERROR_FAILED, "it is not in this version");
        else if (context->gather(job->event, &engine->options.clients, until_us, &engine->cancel, facts, &error))
            continue;
        g_ptr_array_set_size(facts, (int)before);
        log_line(engine->options.log, LOG_WARNING, "context",
                 (LogField[]){{"context", (*info)->name},
                              {"trace_id", job->event->trace_id},
                              {"rule", rule->name},
                              {"action", action->name},
                              {"error", error ? error->message : "no reason given"},
                              {0}});
    }
    g_ptr_array_add(facts, NULL);
    return facts;
}

typedef struct {
    Engine *engine;
    const Event *event;
} Naming;

// Names have a resolution of a second: a second artifact of the same name gets a number, so that none replaces another.
static char *name_object(const char *name, void *user) {
    const Naming *naming = user;
    Engine *engine = naming->engine;
    int64_t now_ns = clock_realtime_ns(engine->options.clock);
    mutex_lock(&engine->names);
    if (now_ns / 1000000000 != engine->names_second) {
        engine->names_second = now_ns / 1000000000;
        g_hash_table_remove_all(engine->names_used);
    }
    char *object = NULL;
    for (unsigned count = 0;; count++) {
        object =
            artifact_object_name(now_ns, naming->event->pod_namespace, naming->event->pod, count ? count + 1 : 0, name);
        if (!g_hash_table_contains(engine->names_used, object))
            break;
        g_free(object);
    }
    g_hash_table_add(engine->names_used, g_strdup(object));
    mutex_unlock(&engine->names);
    return object;
}

// What ended the artifact early although the action did what it could; NULL when nothing did.
static const char *cut_reason(const Artifact *artifact, const GError *error, int64_t now_us, int64_t deadline_us) {
    if (!artifact->stream || artifact->error)
        return NULL;
    if (artifact->cut && (!error || stoop_error_is(error, STOOP_ERROR_TOO_LARGE)))
        return "the size limit";
    if (artifact->bytes > 0 && stoop_error_is(error, STOOP_ERROR_TIMEOUT) && now_us >= deadline_us)
        return "the time limit";
    return NULL;
}

// Ends the artifact as the action ended.
static void settle_artifact(Artifact *artifact, const char *cut_by, Outcome *outcome) {
    if (!artifact->object)
        return; // never begun: nothing to tell
    g_autoptr(GError) error = NULL;
    if (artifact->error) {
        outcome->has_output = true;
        outcome->output_status = RESULT_FAILURE;
        outcome->output_error = g_strdup(artifact->error->message);
    } else if (outcome->status == RESULT_SUCCESS) {
        outcome->has_output = true;
        if (artifact_finish(artifact, cut_by, &outcome->output_result, &error)) {
            outcome->output_status = RESULT_SUCCESS;
        } else {
            outcome->output_status = RESULT_FAILURE;
            outcome->output_error = g_strdup(error ? error->message : "no reason given");
        }
    }
    outcome->output_us = clock_monotonic_us(artifact->clock) - artifact->begun_us;
}

static ResultStatus status_of(ActionStatus status) {
    switch (status) {
    case ACTION_SUCCESS:
        return RESULT_SUCCESS;
    case ACTION_IGNORED:
        return RESULT_IGNORED;
    case ACTION_STALE:
        return RESULT_STALE;
    case ACTION_FAILURE:
        break;
    }
    return RESULT_FAILURE;
}

// What would have become of the action.
static void tell_dry_run(Outcome *outcome) {
    const char *would = outcome->status == RESULT_FAILURE   ? "this would fail"
                        : outcome->status == RESULT_IGNORED ? "this would be ignored"
                        : outcome->status == RESULT_STALE   ? "this would be stale"
                                                            : "nothing was changed";
    const char *text = outcome->error ? outcome->error : outcome->result.text;
    g_autofree char *said = g_strdup(text ? text : "no more is known");
    action_result_set(&outcome->result, ACTION_SUCCESS, "dry run, %s: %s", would, said);
    g_clear_pointer(&outcome->error, g_free);
    outcome->status = RESULT_DRY_RUN;
}

// Runs the actionner. False when it was cancelled because the engine stops: then there is no result.
static bool act(Engine *engine, const Job *job, const Rule *rule, const RuleAction *action, int64_t deadline_us,
                Outcome *outcome) {
    const EngineOptions *options = &engine->options;
    const Actionner *actionner = (const Actionner *)action->actionner;
    Naming naming = {.engine = engine, .event = job->event};
    g_auto(Artifact) artifact = {
        .output = (const Output *)action->output,
        .params = action->output_params,
        .name_object = name_object,
        .user = &naming,
        .clock = options->clock,
        .limit = (uint64_t)options->artifact_bytes,
        .job = {.clients = &options->clients, .deadline_us = deadline_us + OUTPUT_GRACE_US, .cancel = &engine->cancel},
    };
    artifact_init(&artifact);
    g_autoptr(GPtrArray) facts = NULL;
    if (action->actionner->uses_contexts)
        facts = gather_facts(engine, job, rule, action, deadline_us);
    const ActionContext context = {
        .event = job->event,
        .params = action->params,
        .clients = &options->clients,
        .deadline_us = deadline_us,
        .cancel = &engine->cancel,
        .clock = options->clock,
        .sink = action->output ? &artifact.sink : NULL,
        .dry_run = rule->dry_run,
        .facts = facts ? (const char *const *)facts->pdata : NULL,
    };

    int64_t started_us = clock_monotonic_us(options->clock);
    g_autoptr(GError) error = NULL;
    bool ok = actionner->run(&context, &outcome->result, &error);
    int64_t now_us = clock_monotonic_us(options->clock);
    outcome->duration_us = now_us - started_us;
    if (!ok && cancel_is_set(&engine->cancel) && stoop_error_is(error, STOOP_ERROR_CANCELLED))
        return false;

    const char *cut_by = action->output ? cut_reason(&artifact, error, now_us, deadline_us) : NULL;
    if (ok) {
        outcome->status = status_of(outcome->result.status);
        if (outcome->status == RESULT_FAILURE)
            outcome->error = g_strdup(outcome->result.text ? outcome->result.text : "no reason given");
    } else if (cut_by) {
        outcome->status = RESULT_SUCCESS;
        action_result_set(&outcome->result, ACTION_SUCCESS, "the artifact was cut short by %s", cut_by);
    } else {
        outcome->status = RESULT_FAILURE;
        outcome->error = g_strdup(error ? error->message : "no reason given");
    }
    if (rule->dry_run)
        tell_dry_run(outcome);
    if (action->output)
        settle_artifact(&artifact, cut_by, outcome);
    return true;
}

static void would_run(const Job *job, const RuleAction *action, Outcome *outcome) {
    const Event *event = job->event;
    outcome->status = RESULT_DRY_RUN;
    action_result_set(&outcome->result, ACTION_SUCCESS, "dry run: would run %s with %s%s%s", action->actionner->name,
                      action->params_json ? action->params_json : "{}", action->output ? " to " : "",
                      action->output ? action->output->name : "");
    if (event->pod)
        action_result_add_object(&outcome->result, "pod", event->pod);
    if (event->pod_namespace)
        action_result_add_object(&outcome->result, "namespace", event->pod_namespace);
}

static int64_t deadline_of(const Engine *engine, const RuleAction *action) {
    int64_t limit_us = engine->options.action_us > 0        ? engine->options.action_us
                       : action->actionner->deadline_ms > 0 ? action->actionner->deadline_ms * 1000
                                                            : DEFAULT_ACTION_US;
    return clock_monotonic_us(engine->options.clock) + limit_us;
}

static Step run_action(Engine *engine, Worker *worker, Job *job, const Rule *rule) {
    const RuleAction *action = &rule->actions[job->action];
    Record record = find_record(job, rule);
    if (record != RECORD_NONE)
        return step_after(action, record == RECORD_FAILED);
    g_auto(Outcome) outcome = {0};
    outcome.error = find_obstacle(job->event, action);
    if (outcome.error) {
        outcome.status = RESULT_FAILURE;
    } else if (rule->dry_run && !action->actionner->dry_runs) {
        would_run(job, action, &outcome);
    } else {
        int64_t deadline_us = deadline_of(engine, action);
        LaneBegin begin = lanes_begin_action(worker, rule, action, deadline_us);
        if (begin != BEGIN_GO)
            return begin == BEGIN_PARKED ? STEP_PARKED : STEP_ABANDONED;
        if (action->actionner->long_running) {
            report_started(&worker->log, job, rule, action);
            log_batch_flush(&worker->log);
        }
        bool ended = act(engine, job, rule, action, deadline_us, &outcome);
        lanes_end_action(worker);
        if (!ended)
            return STEP_ABANDONED;
    }
    if (!job->acted && job->offered_us > 0)
        metric_observe_us(engine->metrics.reaction_seconds,
                          clock_monotonic_us(engine->options.clock) - job->offered_us);
    job->acted = true;
    report_outcome(engine, &worker->log, job, rule, job->action, &outcome);
    bool failed = outcome.status == RESULT_FAILURE || (outcome.has_output && outcome.output_status == RESULT_FAILURE);
    return step_after(action, failed);
}

RunEnd run_job(Engine *engine, Worker *worker, Job *job) {
    if (job->told == 0) {
        job->told = 1;
        report_offered(&worker->log, job->event);
    }
    while (job->rule < job->match_count) {
        const Rule *rule = job->matches[job->rule];
        if (job->told < job->rule + 2) {
            job->told = job->rule + 2;
            report_match(&worker->log, job, rule);
        }
        Step step = job->action < rule->action_count ? run_action(engine, worker, job, rule) : STEP_ENDS;
        switch (step) {
        case STEP_NEXT:
            job->action++;
            break;
        case STEP_ENDS:
            job->rule++;
            job->action = 0;
            break;
        case STEP_PARKED:
            return RUN_PARKED;
        case STEP_ABANDONED:
            return RUN_ABANDONED;
        }
    }
    if (job->id > 0)
        store_done(engine->options.store, job->id);
    return RUN_DONE;
}
