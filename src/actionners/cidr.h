// Checks a parameter that names a network: what the API server would refuse when the action runs is refused when the
// rules are loaded.
#pragma once

#include <glib.h>

// For ParamRow.check: NULL when `text` is an IPv4 or IPv6 network such as 10.0.0.0/8, else what is wrong (g_free).
char *cidr_check(const char *text);
