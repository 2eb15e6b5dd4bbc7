#include "actionners/shell_marks.h"

#include <stdlib.h>
#include <string.h>

enum { WORD_MAX = 16, PIECE = 4096 };

void shell_marks_init(ShellMarks *marks, const char *trace, void (*on_text)(const char *data, size_t len, void *user),
                      void *user) {
    *marks = (ShellMarks){.held = BUF_INIT(2 * PIECE), .on_text = on_text, .user = user};
    g_snprintf(marks->mark, sizeof marks->mark, "[stoop %s ", trace);
    marks->mark_len = strlen(marks->mark);
}

void shell_marks_clear(ShellMarks *marks) {
    buf_clear(&marks->held);
}

// What stands between a mark and its closing bracket: "began", or an exit status.
static void take_word(ShellMarks *marks, const char *word, size_t len) {
    g_autofree char *text = g_strndup(word, len);
    guint64 code = 0;
    if (strcmp(text, "began") == 0) {
        marks->begun = true;
    } else if (g_ascii_string_to_unsigned(text, 10, 0, 255, &code, NULL)) {
        marks->ended = true;
        marks->exit_code = (int)code;
    }
}

// Hands out all of the first `len` bytes that cannot be part of a mark, takes whole marks out, and returns how many
// bytes were done with.
static size_t scan(ShellMarks *marks, const char *data, size_t len) {
    size_t at = 0;
    while (at < len) {
        const char *found = memmem(data + at, len - at, marks->mark, marks->mark_len);
        size_t text = found ? (size_t)(found - data) - at : len - at;
        if (!found)
            text -= MIN(text, marks->mark_len - 1);
        if (text > 0)
            marks->on_text(data + at, text, marks->user);
        at += text;
        if (!found)
            return at;
        const char *word = found + marks->mark_len;
        size_t rest = len - (size_t)(word - data);
        const char *end = memmem(word, MIN(rest, (size_t)WORD_MAX), "]\n", 2);
        if (!end && rest < WORD_MAX)
            return at;
        if (end)
            take_word(marks, word, (size_t)(end - word));
        at = end ? (size_t)(end + 2 - data) : at + marks->mark_len;
    }
    return at;
}

void shell_marks_add(ShellMarks *marks, const char *data, size_t len) {
    while (len > 0) {
        size_t part = MIN(len, (size_t)PIECE);
        buf_append(&marks->held, data, part); // what is held back is less than a mark and its word
        data += part;
        len -= part;
        size_t done = scan(marks, marks->held.data, marks->held.len);
        memmove(marks->held.data, marks->held.data + done, marks->held.len - done);
        marks->held.len -= done;
    }
}

void shell_marks_end(ShellMarks *marks) {
    if (marks->held.len > 0)
        marks->on_text(marks->held.data, marks->held.len, marks->user);
    buf_reset(&marks->held);
}
