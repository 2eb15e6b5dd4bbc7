// What happened, told once to each who should know: the log, the store's history, the metrics, the notifiers.
#include "base/error.h"
#include "engine/engine_private.h"

#include <string.h>

enum { MAX_FIELDS = 40, MAX_NOTIFIERS = 64 };

typedef struct {
    unsigned count;
    LogField fields[MAX_FIELDS + 1]; // the last stays zero
} Fields;

static void add(Fields *fields, const char *key, const char *value) {
    if (value && fields->count < MAX_FIELDS)
        fields->fields[fields->count++] = (LogField){key, value};
}

static const char *text_or_null(const char *text) {
    return text && *text ? text : NULL;
}

void outcome_clear(Outcome *outcome) {
    action_result_clear(&outcome->result);
    g_clear_pointer(&outcome->error, g_free);
    g_clear_pointer(&outcome->output_result, g_free);
    g_clear_pointer(&outcome->output_error, g_free);
}

bool report_init(Engine *engine, GError **error) {
    const EngineOptions *options = &engine->options;
    g_autoptr(GPtrArray) found = g_ptr_array_new();
    const char *const *names = options->notify ? options->default_notifiers : NULL; // else nobody would be told
    for (const char *const *name = names; name && *name; name++) {
        const PluginInfo *info = options->catalogue ? catalogue_find(options->catalogue, PLUGIN_NOTIFIER, *name) : NULL;
        if (!info) {
            g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID, "default_notifiers: there is no notifier '%s'", *name);
            return false;
        }
        g_ptr_array_add(found, (void *)info);
    }
    g_ptr_array_add(found, NULL);
    engine->default_notifiers = (const PluginInfo **)g_ptr_array_free(g_steal_pointer(&found), FALSE);
    return true;
}

static void add_event(Fields *fields, const Event *event, const char *status) {
    add(fields, "status", status);
    add(fields, "trace_id", event->trace_id);
    add(fields, "event", event->rule);
    add(fields, "priority", text_or_null(event->priority_text));
    add(fields, "source", event->source);
    add(fields, "hostname", text_or_null(event->hostname));
    add(fields, "pod", event->pod);
    add(fields, "namespace", event->pod_namespace);
    add(fields, "output", event->output);
}

void report_event(Engine *engine, LogLevel level, const Event *event, const char *status) {
    if (!log_enabled(engine->options.log, level))
        return;
    Fields fields = {0};
    add_event(&fields, event, status);
    log_line(engine->options.log, level, "event", fields.fields);
}

void report_offered(LogBatch *log, const Event *event) {
    if (!log_enabled(log->log, LOG_INFO))
        return;
    Fields fields = {0};
    add_event(&fields, event, NULL);
    log_batch_line(log, LOG_INFO, "event", fields.fields);
}

void report_match(LogBatch *log, const Job *job, const Rule *rule) {
    if (!log_enabled(log->log, LOG_INFO))
        return;
    const Event *event = job->event;
    Fields fields = {0};
    add(&fields, "trace_id", event->trace_id);
    add(&fields, "rule", rule->name);
    add(&fields, "event", event->rule);
    add(&fields, "priority", text_or_null(event->priority_text));
    add(&fields, "source", event->source);
    add(&fields, "output", event->output);
    log_batch_line(log, LOG_INFO, "match", fields.fields);
}

static void add_action(Fields *fields, const Job *job, const Rule *rule, const RuleAction *action) {
    add(fields, "trace_id", job->event->trace_id);
    add(fields, "rule", rule->name);
    add(fields, "event", job->event->output);
    add(fields, "action", text_or_null(action->name));
    add(fields, "actionner", action->actionner->name);
    add(fields, "output_target", action->output ? action->output->name : NULL);
}

void report_started(LogBatch *log, const Job *job, const Rule *rule, const RuleAction *action) {
    if (!log_enabled(log->log, LOG_INFO))
        return;
    Fields fields = {0};
    add(&fields, "status", "in_progress");
    add_action(&fields, job, rule, action);
    log_batch_line(log, LOG_INFO, "action", fields.fields);
}

// One result, of an action or of its artifact.
typedef struct {
    const char *part; // "action" or "output"
    ResultStatus status;
    const char *result, *error;
    const char *output; // what was gathered, without an output
    int64_t duration_us;
} Part;

static void log_part(LogBatch *log, const Job *job, const Rule *rule, const RuleAction *action,
                     const GPtrArray *objects, const Part *part) {
    LogLevel level = part->status == RESULT_FAILURE ? LOG_ERROR : LOG_INFO;
    if (!log_enabled(log->log, level))
        return;
    Fields fields = {0};
    add(&fields, "status", result_status_name(part->status));
    add_action(&fields, job, rule, action);
    for (guint i = 0; objects && i + 1 < objects->len; i += 2)
        add(&fields, objects->pdata[i], objects->pdata[i + 1]);
    add(&fields, "result", part->result);
    add(&fields, "output", part->output);
    add(&fields, "error", part->error);
    log_batch_line(log, level, part->part, fields.fields);
}

static unsigned add_notifiers(const PluginInfo **all, unsigned count, const PluginInfo *const *more) {
    for (; more && *more && count < MAX_NOTIFIERS; more++) {
        bool known = false;
        for (unsigned i = 0; i < count && !known; i++)
            known = all[i] == *more;
        if (!known)
            all[count++] = *more;
    }
    return count;
}

static void notify_part(Engine *engine, const Job *job, const Rule *rule, const RuleAction *action,
                        const GPtrArray *objects, const Part *part) {
    if (!engine->options.notify)
        return;
    const PluginInfo *notifiers[MAX_NOTIFIERS];
    unsigned count = add_notifiers(notifiers, 0, (const PluginInfo *const *)rule->notifiers);
    count = add_notifiers(notifiers, count, engine->default_notifiers);
    if (count == 0)
        return;
    guint object_count = objects ? objects->len : 0;
    g_autofree const char **pairs = g_new0(const char *, object_count + 1);
    for (guint i = 0; i < object_count; i++)
        pairs[i] = objects->pdata[i];
    const Notice notice = {
        .message = part->part,
        .status = result_status_name(part->status),
        .rule = rule->name,
        .action = action->name,
        .actionner = action->actionner->name,
        .event_output = job->event->output,
        .result = part->result,
        .output = part->output,
        .output_target = action->output ? action->output->name : NULL,
        .error = part->error,
        .trace_id = job->event->trace_id,
        .objects = pairs,
    };
    for (unsigned i = 0; i < count; i++)
        engine->options.notify(notifiers[i], &notice, engine->options.notify_user);
}

static void record_part(Engine *engine, const Job *job, const Rule *rule, unsigned action_index, const Part *part) {
    if (job->id == 0)
        return;
    const RuleAction *action = &rule->actions[action_index];
    const StoreResult result = {
        .rule = rule->name,
        .action_index = action_index,
        .action = action->name,
        .actionner = action->actionner->name,
        .part = part->part,
        .status = part->status,
        .text = part->error ? part->error : part->result,
        .duration_us = part->duration_us,
    };
    store_result(engine->options.store, job->id, &result);
}

static const char *metric_text(const char *text) {
    return text ? text : "";
}

void report_outcome(Engine *engine, LogBatch *log, const Job *job, const Rule *rule, unsigned action_index,
                    const Outcome *outcome) {
    const RuleAction *action = &rule->actions[action_index];
    const GPtrArray *objects = outcome->result.objects;
    const Part acted = {
        .part = "action",
        .status = outcome->status,
        .result = outcome->error ? NULL : outcome->result.text,
        .error = outcome->error,
        .output = outcome->result.log,
        .duration_us = outcome->duration_us,
    };
    const Part stored = {
        .part = "output",
        .status = outcome->output_status,
        .result = outcome->output_result,
        .error = outcome->output_error,
        .duration_us = outcome->output_us,
    };
    // The output's record goes first: where the action's is on disk, the other is too.
    if (outcome->has_output)
        record_part(engine, job, rule, action_index, &stored);
    record_part(engine, job, rule, action_index, &acted);

    metric_add(metric_series(engine->metrics.actions,
                             (const char *const[]){rule->name, metric_text(action->name), action->actionner->name,
                                                   result_status_name(acted.status)}),
               1);
    if (outcome->duration_us > 0)
        metric_observe_us(metric_series(engine->metrics.action_seconds, (const char *const[]){action->actionner->name}),
                          outcome->duration_us);
    log_part(log, job, rule, action, objects, &acted);
    notify_part(engine, job, rule, action, objects, &acted);
    if (!outcome->has_output) {
        log_batch_flush(log);
        return;
    }
    metric_add(metric_series(engine->metrics.outputs,
                             (const char *const[]){rule->name, metric_text(action->name), action->output->name,
                                                   result_status_name(stored.status)}),
               1);
    log_part(log, job, rule, action, objects, &stored);
    log_batch_flush(log);
    notify_part(engine, job, rule, action, objects, &stored);
}
