// An event's values and facts as variables: for the environment of a shell, and for parameters that Stoop expands
// itself. What a value says is never more than text.
#pragma once

#include "actionners/actionner.h"

// Pairs (name, value), each g_strdup'ed: PRIORITY, HOSTNAME, RULE, SOURCE, TAGS, the event's fields, the context's
// facts (which win over fields of the same name). Left out are names that no shell can take, and those that mean
// something to shells, loaders and interpreters (PATH, IFS, LD_PRELOAD, BASH_ENV, PYTHONPATH, ...). Values are cut at
// 64 KiB (the kernel takes 128 KiB for one variable), and what goes beyond 1 MiB in all is left out (it takes 2 MiB).
GPtrArray *variables_of(const ActionContext *context);

// Appends `value` as one word that a shell takes as it is: in single quotes.
void shell_quote(GString *out, const char *value, size_t len);

// `text` with every $NAME and ${NAME} replaced, in one pass: a value is not looked through again. g_free. INVALID when
// there is no such variable. A $ before anything else stands for itself.
char *variables_expand(const GPtrArray *variables, const char *text, GError **error);
