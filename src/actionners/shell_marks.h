// Finds the marks of a shell's run in its standard error or output, and takes them out.
#pragma once

#include "base/buf.h"

#include <glib.h>
#include <stdbool.h>

typedef struct {
    char mark[64];
    size_t mark_len;
    Buf held; // bytes that may be the beginning of a mark
    bool begun, ended;
    int exit_code;
    void (*on_text)(const char *data, size_t len, void *user);
    void *user;
} ShellMarks;

void shell_marks_init(ShellMarks *marks, const char *trace, void (*on_text)(const char *data, size_t len, void *user),
                      void *user);
void shell_marks_add(ShellMarks *marks, const char *data, size_t len);
// Hands out what was held back.
void shell_marks_end(ShellMarks *marks);
void shell_marks_clear(ShellMarks *marks);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(ShellMarks, shell_marks_clear)
