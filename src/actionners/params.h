// Shorthand for the rows of parameter tables.
#pragma once

#include "schema/schema.h"

#include <stddef.h>

// For ParamRow.old_names and .choices: a NULL-terminated list of texts.
#define TEXTS(...) ((const char *const[]){__VA_ARGS__, NULL})
