#include "yaml/diag.h"

#include <string.h>

enum { MAX_DIAGS = 1000, MAX_WORD = 64 };

static void diag_free(gpointer data) {
    Diag *diag = data;
    g_free(diag->file);
    g_free(diag->message);
    g_free(diag);
}

DiagList *diag_list_new(void) {
    DiagList *list = g_new0(DiagList, 1);
    list->items = g_ptr_array_new_with_free_func(diag_free);
    return list;
}

void diag_list_free(DiagList *list) {
    if (!list)
        return;
    g_ptr_array_unref(list->items);
    g_free(list);
}

void diag_add(DiagList *list, DiagSeverity severity, const char *file, unsigned line, unsigned column,
              const char *format, ...) {
    if (!list)
        return;
    if (severity == DIAG_ERROR)
        list->errors++;
    else
        list->warnings++;
    if (list->items->len >= MAX_DIAGS)
        return;

    va_list arguments;
    va_start(arguments, format);
    Diag *diag = g_new0(Diag, 1);
    diag->severity = severity;
    diag->file = g_strdup(file ? file : "");
    diag->line = line;
    diag->column = column;
    diag->message = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    g_ptr_array_add(list->items, diag);
}

char *diag_list_text(const DiagList *list) {
    GString *text = g_string_new(NULL);
    for (guint i = 0; i < list->items->len; i++) {
        const Diag *diag = g_ptr_array_index(list->items, i);
        g_string_append(text, diag->file);
        if (diag->line)
            g_string_append_printf(text, ":%u", diag->line);
        if (diag->line && diag->column)
            g_string_append_printf(text, ":%u", diag->column);
        if (text->len && text->str[text->len - 1] != '\n')
            g_string_append(text, ": ");
        g_string_append_printf(text, "%s: %s\n", diag->severity == DIAG_ERROR ? "error" : "warning", diag->message);
    }
    guint all = list->errors + list->warnings;
    if (all > list->items->len)
        g_string_append_printf(text, "and %u more\n", all - list->items->len);
    return g_string_free(text, FALSE);
}

// Names are compared without case, and `-` is `_`: ignore-daemonsets is one step from ignoreDaemonsets.
static char folded(char c) {
    return c == '-' ? '_' : g_ascii_tolower(c);
}

// Edit distance where a swap of neighbours is one step (optimal string alignment).
static unsigned distance(const char *a, size_t a_len, const char *b, size_t b_len) {
    unsigned rows[3][MAX_WORD + 1];
    unsigned *before = rows[0], *last = rows[1], *now = rows[2];
    for (size_t j = 0; j <= b_len; j++)
        last[j] = (unsigned)j;
    for (size_t i = 1; i <= a_len; i++) {
        now[0] = (unsigned)i;
        for (size_t j = 1; j <= b_len; j++) {
            char from = folded(a[i - 1]), to = folded(b[j - 1]);
            unsigned best = MIN(last[j], now[j - 1]) + 1;
            best = MIN(best, last[j - 1] + (from != to));
            if (i > 1 && j > 1 && from == folded(b[j - 2]) && folded(a[i - 2]) == to)
                best = MIN(best, before[j - 2] + 1);
            now[j] = best;
        }
        unsigned *spare = before;
        before = last;
        last = now;
        now = spare;
    }
    return last[b_len];
}

const char *diag_nearest(const char *word, const char *const *candidates) {
    size_t len = word ? strlen(word) : 0;
    if (len == 0 || len > MAX_WORD || !candidates)
        return NULL;
    const char *nearest = NULL;
    unsigned least = G_MAXUINT;
    for (; *candidates; candidates++) {
        size_t candidate_len = strlen(*candidates);
        if (candidate_len > MAX_WORD)
            continue;
        unsigned steps = distance(word, len, *candidates, candidate_len);
        // A third of the longer word may be wrong; words of one or two letters are near to everything.
        size_t allowed = MAX(len, candidate_len) / 3;
        if (steps <= allowed && steps < least) {
            least = steps;
            nearest = *candidates;
        }
    }
    return nearest;
}

char *diag_quote(const char *text) {
    enum { MAX_CHARACTERS = 60 };
    g_autofree char *valid = g_utf8_make_valid(text, (gssize)strnlen(text, 4 * MAX_CHARACTERS + 4));
    GString *quoted = g_string_new("\"");
    const char *at = valid;
    for (int i = 0; *at && i < MAX_CHARACTERS; i++, at = g_utf8_next_char(at)) {
        gunichar c = g_utf8_get_char(at);
        if (c == '\n')
            g_string_append(quoted, "\\n");
        else if (g_unichar_iscntrl(c) || c == 0x2028 || c == 0x2029)
            g_string_append_printf(quoted, "\\x%02X", c);
        else
            g_string_append_unichar(quoted, c);
    }
    g_string_append(quoted, *at ? "...\"" : "\"");
    return g_string_free(quoted, FALSE);
}
