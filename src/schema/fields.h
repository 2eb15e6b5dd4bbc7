// A row's field in a struct of its table: for the files of this folder only.
#pragma once

#include "schema/schema.h"

static inline void *param_field(const ParamRow *row, void *params) {
    return (char *)params + row->offset;
}

static inline const void *param_const_field(const ParamRow *row, const void *params) {
    return (const char *)params + row->offset;
}

// The text of a secret's file, its last line end cut, at most 64 KiB; the error names the file and never its content.
char *param_read_secret_file(const char *path, GError **error);

// The items of a comma-separated list without spaces around them and without empty ones.
char **param_split_list(const char *text);
