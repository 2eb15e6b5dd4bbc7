// An ephemeral container or a Job's container of Stoop's own waits until a shell is run in it that does the work, and
// ends with that shell, and by itself when its time is over, whatever becomes of us.
#pragma once

#include "actionners/actionner.h"

// For the shell's EXIT trap: what ends the waiting container.
#define WAITER_DONE ": >\"${TMPDIR:-/tmp}/stoop-done\""

// The container's command, up to a NULL; `seconds`, how long it waits at most, must live as long. `argv` has room
// for 8.
void waiter_command(const char *argv[8], const char *seconds);

// Ends it where its shell could not, as far as it can be reached: also when the action's time is over, or Stoop is
// leaving. Takes 3 s at most.
void waiter_end(const ActionContext *context, const char *pod_namespace, const char *pod, const char *container);
