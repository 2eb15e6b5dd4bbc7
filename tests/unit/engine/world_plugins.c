#include "base/error.h"
#include "base/thread.h"
#include "contexts/context.h"
#include "notifiers/notifier.h"
#include "outputs/output.h"
#include "world.h"

#include <string.h>

typedef struct {
    char *say;
    int64_t bytes;
} SayParams;

static const ParamRow say_rows[] = {
    PARAM_ROW_TEXT(SayParams, say, .summary = "What to say.", .default_value = "?"),
    PARAM_ROW_INT(SayParams, bytes, .summary = "How much to write.", .default_value = "10"),
    PARAM_ROW_END,
};

typedef struct {
    char *say, *pod, *output;
} Run;

// One world at a time: the tests of a program run one after another.
static struct {
    Mutex lock;
    Cond changed;
    GPtrArray *runs;
    bool shut, deaf;
    unsigned waiting;
    GString *artifacts, *facts, *notices;
} seen;

static void __attribute__((constructor)) seen_init(void) {
    mutex_init(&seen.lock);
    cond_init(&seen.changed);
    seen.runs = g_ptr_array_new();
    seen.artifacts = g_string_new("");
    seen.facts = g_string_new("");
    seen.notices = g_string_new("");
}

static int64_t real_us(void) {
    return clock_monotonic_us(clock_system());
}

static void note_run(const ActionContext *context) {
    const SayParams *params = context->params;
    Run *run = g_new0(Run, 1);
    run->say = g_strdup(params->say);
    run->pod = g_strdup(context->event->pod);
    run->output = g_strdup(context->event->output);
    mutex_lock(&seen.lock);
    g_ptr_array_add(seen.runs, run);
    cond_broadcast(&seen.changed);
    mutex_unlock(&seen.lock);
}

unsigned ran(void) {
    mutex_lock(&seen.lock);
    unsigned count = seen.runs->len;
    mutex_unlock(&seen.lock);
    return count;
}

char *ran_text(void) {
    GString *text = g_string_new("");
    mutex_lock(&seen.lock);
    for (guint i = 0; i < seen.runs->len; i++)
        g_string_append_printf(text, "%s%s", i ? " " : "", ((Run *)seen.runs->pdata[i])->say);
    mutex_unlock(&seen.lock);
    return g_string_free(text, FALSE);
}

char *ran_events(const char *pod) {
    GString *text = g_string_new("");
    mutex_lock(&seen.lock);
    for (guint i = 0; i < seen.runs->len; i++) {
        const Run *run = seen.runs->pdata[i];
        if (g_strcmp0(run->pod, pod) == 0)
            g_string_append_printf(text, "%s%s", text->len ? " " : "", run->output);
    }
    mutex_unlock(&seen.lock);
    return g_string_free(text, FALSE);
}

void ran_clear(void) {
    mutex_lock(&seen.lock);
    for (guint i = 0; i < seen.runs->len; i++) {
        Run *run = seen.runs->pdata[i];
        g_free(run->say);
        g_free(run->pod);
        g_free(run->output);
        g_free(run);
    }
    g_ptr_array_set_size(seen.runs, 0);
    g_string_truncate(seen.artifacts, 0);
    g_string_truncate(seen.facts, 0);
    g_string_truncate(seen.notices, 0);
    seen.shut = seen.deaf = false;
    mutex_unlock(&seen.lock);
}

void wait_ran(unsigned count) {
    int64_t until_us = real_us() + 20 * G_USEC_PER_SEC;
    mutex_lock(&seen.lock);
    while (seen.runs->len < count && real_us() < until_us)
        cond_wait_until(&seen.changed, &seen.lock, until_us);
    unsigned reached = seen.runs->len;
    mutex_unlock(&seen.lock);
    g_assert_cmpuint(reached, >=, count);
}

void gate_shut(void) {
    mutex_lock(&seen.lock);
    seen.shut = true;
    mutex_unlock(&seen.lock);
}

void gate_open(void) {
    mutex_lock(&seen.lock);
    seen.shut = false;
    cond_broadcast(&seen.changed);
    mutex_unlock(&seen.lock);
}

void gate_deaf(bool deaf) {
    mutex_lock(&seen.lock);
    seen.deaf = deaf;
    mutex_unlock(&seen.lock);
}

unsigned gate_waiting(void) {
    mutex_lock(&seen.lock);
    unsigned count = seen.waiting;
    mutex_unlock(&seen.lock);
    return count;
}

void wait_gate(unsigned count) {
    int64_t until_us = real_us() + 20 * G_USEC_PER_SEC;
    mutex_lock(&seen.lock);
    while (seen.waiting != count && real_us() < until_us)
        cond_wait_until(&seen.changed, &seen.lock, until_us);
    unsigned reached = seen.waiting;
    mutex_unlock(&seen.lock);
    g_assert_cmpuint(reached, ==, count);
}

static char *copy_of(const GString *text) {
    mutex_lock(&seen.lock);
    char *copy = g_strdup(text->str);
    mutex_unlock(&seen.lock);
    return copy;
}

char *artifacts(void) {
    return copy_of(seen.artifacts);
}

char *last_facts(void) {
    return copy_of(seen.facts);
}

char *notices(void) {
    return copy_of(seen.notices);
}

// Actionners ---------------------------------------------------------------------------------------------------------

static bool run_ok(const ActionContext *context, ActionResult *result, GError **error) {
    note_run(context);
    action_result_set(result, ACTION_SUCCESS, "did it");
    if (context->event->pod)
        action_result_add_object(result, "pod", context->event->pod);
    return true;
}

static bool run_fail(const ActionContext *context, ActionResult *result, GError **error) {
    note_run(context);
    g_set_error(error, STOOP_ERROR, STOOP_ERROR_UNAVAILABLE, "it broke");
    return false;
}

static bool run_ignore(const ActionContext *context, ActionResult *result, GError **error) {
    note_run(context);
    action_result_set(result, ACTION_IGNORED, "left alone on purpose");
    return true;
}

static bool run_stale(const ActionContext *context, ActionResult *result, GError **error) {
    note_run(context);
    action_result_set(result, ACTION_STALE, "it is another one now");
    return true;
}

static bool run_gate(const ActionContext *context, ActionResult *result, GError **error) {
    note_run(context);
    mutex_lock(&seen.lock);
    seen.waiting++;
    cond_broadcast(&seen.changed);
    bool cancelled = false;
    while (seen.shut && !cancelled) {
        cond_wait_until(&seen.changed, &seen.lock, real_us() + 5000);
        cancelled = !seen.deaf && cancel_is_set(context->cancel);
    }
    seen.waiting--;
    cond_broadcast(&seen.changed);
    mutex_unlock(&seen.lock);
    if (!cancelled)
        return true;
    g_set_error(error, STOOP_ERROR, STOOP_ERROR_CANCELLED, "we are leaving");
    return false;
}

// Writes `bytes` bytes in pieces; `say` decides how it ends.
static bool run_stream(const ActionContext *context, ActionResult *result, GError **error) {
    const SayParams *params = context->params;
    note_run(context);
    if (!context->sink)
        return true;
    if (!context->sink->begin(context->sink, params->say, error))
        return false;
    for (int64_t left = params->bytes; left > 0; left -= 7) {
        if (!context->sink->write(context->sink, "1234567", (size_t)MIN(left, 7), error))
            return false;
    }
    if (strcmp(params->say, "late") == 0) {
        while (clock_monotonic_us(context->clock) < context->deadline_us)
            g_usleep(1000);
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_TIMEOUT, "the deadline passed");
        return false;
    }
    if (strcmp(params->say, "broken") == 0) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_UNAVAILABLE, "the stream broke");
        return false;
    }
    action_result_set(result, strcmp(params->say, "ignored") == 0 ? ACTION_IGNORED : ACTION_SUCCESS, "streamed");
    return true;
}

static bool run_facts(const ActionContext *context, ActionResult *result, GError **error) {
    note_run(context);
    mutex_lock(&seen.lock);
    g_string_truncate(seen.facts, 0);
    for (const char *const *fact = context->facts; fact && *fact; fact += 2)
        g_string_append_printf(seen.facts, "%s=%s\n", fact[0], fact[1]);
    mutex_unlock(&seen.lock);
    return true;
}

#define FAKE(id, plugin_name, function, ...)                                                                           \
    static const Actionner id = {                                                                                      \
        .info = {.name = plugin_name,                                                                                  \
                 .summary = "A fake.",                                                                                 \
                 .params = {.size = sizeof(SayParams), .rows = say_rows},                                              \
                 .example = "",                                                                                        \
                 .source = "any",                                                                                      \
                 __VA_ARGS__},                                                                                         \
        .run = function,                                                                                               \
    }

static const char *const pod_fields[] = {"k8s.pod.name", "k8s.ns.name", NULL};
static const char *const ip_fields[] = {"fd.sip|fd.rip", NULL};
FAKE(fake_fail, "fake:fail", run_fail, .default_continue = true);
FAKE(fake_facts, "fake:facts", run_facts, .default_continue = true, .uses_contexts = true);
FAKE(fake_gate, "fake:gate", run_gate, .default_continue = true);
FAKE(fake_ignore, "fake:ignore", run_ignore, .default_continue = true);
FAKE(fake_ip, "fake:ip", run_ok, .default_continue = true, .required_fields = ip_fields);
FAKE(fake_last, "fake:last", run_ok, .default_continue = false);
FAKE(fake_long, "fake:long", run_gate, .default_continue = true, .long_running = true);
FAKE(fake_ok, "fake:ok", run_ok, .default_continue = true);
FAKE(fake_planned, "fake:planned", run_ok, .default_continue = true, .planned = true);
FAKE(fake_pod, "fake:pod", run_ok, .default_continue = true, .required_fields = pod_fields);
FAKE(fake_stale, "fake:stale", run_stale, .default_continue = true);
FAKE(fake_stream, "fake:stream", run_stream, .default_continue = true, .output = MAY_HAVE_OUTPUT);

// Outputs ------------------------------------------------------------------------------------------------------------

struct OutputStream {
    char *name;
    size_t bytes;
};

static OutputStream *memory_open(const void *params, const OutputJob *job, GError **error) {
    OutputStream *stream = g_new0(OutputStream, 1);
    stream->name = g_strdup(job->name);
    return stream;
}

static bool memory_write(OutputStream *stream, const char *data, size_t len, GError **error) {
    stream->bytes += len;
    return true;
}

static bool memory_finish(OutputStream *stream, char **location, GError **error) {
    mutex_lock(&seen.lock);
    g_string_append_printf(seen.artifacts, "%s %zu\n", stream->name, stream->bytes);
    mutex_unlock(&seen.lock);
    *location = g_strdup_printf("memory://%s", stream->name);
    g_free(stream->name);
    g_free(stream);
    return true;
}

static void memory_abort(OutputStream *stream) {
    mutex_lock(&seen.lock);
    g_string_append_printf(seen.artifacts, "%s aborted\n", stream->name);
    mutex_unlock(&seen.lock);
    g_free(stream->name);
    g_free(stream);
}

static bool full_write(OutputStream *stream, const char *data, size_t len, GError **error) {
    g_set_error(error, STOOP_ERROR, STOOP_ERROR_NO_SPACE, "the disk is full");
    return false;
}

static bool torn_finish(OutputStream *stream, char **location, GError **error) {
    memory_abort(stream);
    g_set_error(error, STOOP_ERROR, STOOP_ERROR_IO, "the end was lost");
    return false;
}

#define FAKE_INFO(plugin_name, ...)                                                                                    \
    {                                                                                                                  \
        .name = plugin_name, .summary = "A fake.", .params = {.size = sizeof(SayParams), .rows = say_rows},            \
        .example = "", __VA_ARGS__                                                                                     \
    }

static const Output out_full = {FAKE_INFO("fake:full", ), memory_open, full_write, memory_finish, memory_abort};
static const Output out_memory = {FAKE_INFO("fake:memory", ), memory_open, memory_write, memory_finish, memory_abort};
static const Output out_planned = {FAKE_INFO("fake:someday", .planned = true), memory_open, memory_write, memory_finish,
                                   memory_abort};
static const Output out_torn = {FAKE_INFO("fake:torn", ), memory_open, memory_write, torn_finish, memory_abort};

// Contexts and notifiers ---------------------------------------------------------------------------------------------

static bool gather_node(const Event *event, const ActionClients *clients, int64_t deadline_us, const Cancel *cancel,
                        GPtrArray *facts, GError **error) {
    g_ptr_array_add(facts, g_strdup("node.role"));
    g_ptr_array_add(facts, g_strdup("worker"));
    return true;
}

static bool gather_nothing(const Event *event, const ActionClients *clients, int64_t deadline_us, const Cancel *cancel,
                           GPtrArray *facts, GError **error) {
    g_ptr_array_add(facts, g_strdup("half"));
    g_set_error(error, STOOP_ERROR, STOOP_ERROR_UNAVAILABLE, "no metadata service");
    return false;
}

static const Context context_broken = {FAKE_INFO("broken", ), gather_nothing};
static const Context context_node = {FAKE_INFO("node", ), gather_node};
static const Notifier notifier_one = {FAKE_INFO("one", ), NULL};
static const Notifier notifier_two = {FAKE_INFO("two", ), NULL};

void world_notify(const PluginInfo *notifier, const Notice *notice, void *user);

void world_notify(const PluginInfo *notifier, const Notice *notice, void *user) {
    mutex_lock(&seen.lock);
    g_string_append_printf(seen.notices, "%s %s %s\n", notifier->name, notice->message, notice->status);
    mutex_unlock(&seen.lock);
}

static const PluginInfo *const actionner_infos[] = {&fake_facts.info,
                                                    &fake_fail.info,
                                                    &fake_gate.info,
                                                    &fake_ignore.info,
                                                    &fake_ip.info,
                                                    &fake_last.info,
                                                    &fake_long.info,
                                                    &fake_ok.info,
                                                    &fake_planned.info,
                                                    &fake_pod.info,
                                                    &fake_stale.info,
                                                    &fake_stream.info,
                                                    NULL};
static const PluginInfo *const output_infos[] = {&out_full.info, &out_memory.info, &out_planned.info, &out_torn.info,
                                                 NULL};
static const PluginInfo *const notifier_infos[] = {&notifier_one.info, &notifier_two.info, NULL};
static const PluginInfo *const context_infos[] = {&context_broken.info, &context_node.info, NULL};

const Catalogue world_catalogue = {.plugins = {[PLUGIN_ACTIONNER] = actionner_infos,
                                               [PLUGIN_OUTPUT] = output_infos,
                                               [PLUGIN_NOTIFIER] = notifier_infos,
                                               [PLUGIN_CONTEXT] = context_infos}};
