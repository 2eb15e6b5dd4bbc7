// The contract of a notifier: it is told of every action and output result. Delivery is the notifier queue's business
// (bounded, retried with backoff, never in an action's way); a notifier only turns one notice into one request.
#pragma once

#include "schema/plugin.h"

#include <glib.h>

typedef struct {
    const char *message; // "action" or "output"
    const char *status, *rule, *action, *actionner, *event_output, *result, *output, *output_target, *error, *trace_id;
    const char *const *objects; // pairs, NULL-terminated
} Notice;

typedef struct {
    PluginInfo info; // params: the settings under `notifiers: {name: ...}`
    bool (*send)(const void *settings, const Notice *notice, GError **error);
} Notifier;

extern const Notifier *const notifiers_all[];
