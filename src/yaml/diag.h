// Findings about a file of the user's: what, where, what to do. A whole file is checked before anything is reported, so
// that a user sees all errors at once.
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef enum { DIAG_WARNING, DIAG_ERROR } DiagSeverity;

typedef struct {
    DiagSeverity severity;
    char *file;
    unsigned line, column; // from 1; 0: the file as a whole
    char *message;
} Diag;

typedef struct {
    GPtrArray *items; // of Diag, in the order found
    unsigned errors, warnings;
} DiagList;

// Keeps at most 1,000 findings; what comes after is only counted.
DiagList *diag_list_new(void);
void diag_list_free(DiagList *list);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(DiagList, diag_list_free)

void diag_add(DiagList *list, DiagSeverity severity, const char *file, unsigned line, unsigned column,
              const char *format, ...) G_GNUC_PRINTF(6, 7);

// "file:line:column: error: message", a line each, newline at the end of each; caller frees with g_free.
char *diag_list_text(const DiagList *list);

// The nearest of `candidates` (NULL-terminated) to `word` by edit distance, or NULL if none is near enough to help.
const char *diag_nearest(const char *word, const char *const *candidates);

// `text` in double quotes, fit for a message: cut after 60 characters, control characters and line ends escaped. Caller
// frees.
char *diag_quote(const char *text);
