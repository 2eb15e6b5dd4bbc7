// `min_healthy_replicas`: how many pods of an owner must be ready before one of them may be taken away.
#pragma once

#include <glib.h>
#include <stdint.h>

// For ParamRow.check: NULL for "2" or "33%" (0 to 100), else what is wrong (g_free).
char *replicas_check(const char *text);

// The number that a checked text asks for: itself, or the share of the `wanted` replicas, rounded up.
int64_t replicas_needed(const char *text, int64_t wanted);
