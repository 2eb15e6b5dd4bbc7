// The contract of an actionner: it gets an event, its decoded parameters, the clients it may use, a deadline and a sink
// for its artifact, and returns one result. It never calls outputs or notifiers, nor another actionner.
#pragma once

#include "base/buf.h"
#include "base/cancel.h"
#include "base/clock.h"
#include "event/event.h"
#include "schema/clients.h"
#include "schema/plugin.h"

#include <glib.h>

typedef enum {
    ACTION_SUCCESS,
    ACTION_FAILURE,
    ACTION_IGNORED, // left alone on purpose; `text` says why; no error
    ACTION_STALE,   // the target is another one now
} ActionStatus;

typedef struct {
    ActionStatus status;
    GPtrArray *objects; // of char *, in pairs: "pod", "web-1", "namespace", "default": what was acted on
    char *text;         // the result for the log and notifications; NULL for none; never set together with an error
    char *log;          // what was gathered where there is no output (`kubernetes:log`), bounded; NULL for none
} ActionResult;

// Fills in; `format` as printf. Each replaces what was there.
void action_result_set(ActionResult *result, ActionStatus status, const char *format, ...) G_GNUC_PRINTF(3, 4);
void action_result_add_object(ActionResult *result, const char *kind, const char *name);
void action_result_clear(ActionResult *result);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(ActionResult, action_result_clear)

// Where an artifact goes, piece by piece. Given by the engine, backed by an output, which hashes and counts and applies
// the size limit.
typedef struct ArtifactSink ArtifactSink;
struct ArtifactSink {
    // Set by the actionner before it writes: a piece that is beyond the size limit is left out whole instead of cut, so
    // that a file of records ends with a whole one. Smaller pieces may be written after it.
    bool whole_pieces;
    // Once, first: the artifact's own name ("web.log"); object naming is the engine's. False: the output refuses.
    bool (*begin)(ArtifactSink *sink, const char *name, GError **error);
    // False ends the action: the output failed, or the size limit is reached (STOOP_ERROR_TOO_LARGE; what was written
    // stays).
    bool (*write)(ArtifactSink *sink, const char *data, size_t len, GError **error);
};

typedef struct {
    const Event *event;
    const void *params; // of the descriptor's table
    const ActionClients *clients;
    int64_t deadline_us; // clock_monotonic_us
    const Cancel *cancel;
    const Clock *clock;
    ArtifactSink *sink;       // NULL when the rule has no output
    bool dry_run;             // nothing may change; only for those whose descriptor says `dry_runs`
    const char *const *facts; // context pairs: "node.role", "worker", …, NULL-terminated; may be NULL
} ActionContext;

typedef struct {
    PluginInfo info;
    // Returns true with `result` filled (zeroed by the caller), or false with an error: that is status failure, and the
    // engine tries again by itself only where stoop_error_is_retryable and `safe_to_repeat`.
    bool (*run)(const ActionContext *context, ActionResult *result, GError **error);
    // NULL: there is nothing to check. Otherwise asked once at the start where a rule uses it: whether the clients work
    // as far as can be told without acting. `who` (g_free): as whom it would act.
    bool (*check)(const ActionClients *clients, int64_t deadline_us, const Cancel *cancel, char **who, GError **error);
} Actionner;

// The list of actionners.def, NULL-terminated.
extern const Actionner *const actionners_all[];
