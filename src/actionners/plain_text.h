// Text for the log line: the end of what was given to it piece by piece, in bounded memory, without terminal codes.
#pragma once

#include <glib.h>
#include <stddef.h>

typedef struct {
    GString *kept;  // NULL until something came
    size_t max;     // bytes of the end that are kept
    size_t dropped; // bytes that are gone, before what is kept
    enum { PLAIN_TEXT_PLAIN, PLAIN_TEXT_ESCAPE, PLAIN_TEXT_CSI, PLAIN_TEXT_STRING, PLAIN_TEXT_STRING_ESCAPE } state;
} PlainText;

#define PLAIN_TEXT_INIT(maximum)                                                                                       \
    { .max = (maximum) }

void plain_text_add(PlainText *text, const char *data, size_t len);

// What was kept, from the start of a line on, after a note where something was cut; valid UTF-8 without NUL (g_free).
// "" when nothing came. Empties it.
char *plain_text_take(PlainText *text);

void plain_text_clear(PlainText *text);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(PlainText, plain_text_clear)
