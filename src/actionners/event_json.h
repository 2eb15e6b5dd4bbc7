// The event as functions get it.
#pragma once

#include "actionners/actionner.h"

// The event as it came, with what the contexts found as an object under `context`. free; NULL with an error.
char *action_event_json(const ActionContext *context, size_t *len, GError **error);
