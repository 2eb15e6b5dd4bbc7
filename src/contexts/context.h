// The contract of a context: it adds facts to an event before an action runs.
#pragma once

#include "base/cancel.h"
#include "event/event.h"
#include "schema/clients.h"
#include "schema/plugin.h"

#include <glib.h>

typedef struct {
    PluginInfo info;
    // Appends pairs (key, value; both g_strdup'ed) to `facts`.
    bool (*gather)(const Event *event, const ActionClients *clients, int64_t deadline_us, const Cancel *cancel,
                   GPtrArray *facts, GError **error);
} Context;

extern const Context *const contexts_all[];
