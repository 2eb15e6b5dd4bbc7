// Waiting within an action, which ends early when Stoop is leaving.
#pragma once

#include "actionners/actionner.h"

// Waits for `us` microseconds, until `until_us` (clock_monotonic_us) at most. False when that has come, or the action
// is cancelled.
bool action_pause(const ActionContext *context, int64_t us, int64_t until_us);
