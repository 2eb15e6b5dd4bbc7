#include "actionners/plain_text.h"

#include <stdbool.h>
#include <string.h>

// ECMA-48: an escape sequence is ESC and one letter; ESC [ … and a letter; or ESC ] … (also P, X, ^, _) up to BEL or
// ESC \. The state lives from piece to piece, since a sequence may be split. Returns whether the byte is text.
static bool is_text(PlainText *text, unsigned char c) {
    switch (text->state) {
    case PLAIN_TEXT_PLAIN:
        if (c == 0x1b)
            text->state = PLAIN_TEXT_ESCAPE;
        return c != 0x1b && c != '\0';
    case PLAIN_TEXT_ESCAPE:
        if (c == '[')
            text->state = PLAIN_TEXT_CSI;
        else if (c != '\0' && strchr("]PX^_", c))
            text->state = PLAIN_TEXT_STRING;
        else if (c < 0x20 || c > 0x2f) // intermediate bytes belong to the sequence
            text->state = PLAIN_TEXT_PLAIN;
        return false;
    case PLAIN_TEXT_CSI:
        if (c >= 0x40 && c <= 0x7e)
            text->state = PLAIN_TEXT_PLAIN;
        // A line never belongs to a sequence: a broken one must not swallow what follows.
        if (c == '\n')
            text->state = PLAIN_TEXT_PLAIN;
        return c == '\n';
    case PLAIN_TEXT_STRING:
        if (c == 0x07 || c == '\n')
            text->state = PLAIN_TEXT_PLAIN;
        else if (c == 0x1b)
            text->state = PLAIN_TEXT_STRING_ESCAPE;
        return c == '\n';
    case PLAIN_TEXT_STRING_ESCAPE:
        text->state = c == '\\' || c == '\n' ? PLAIN_TEXT_PLAIN : PLAIN_TEXT_STRING;
        return c == '\n';
    }
    return false;
}

void plain_text_add(PlainText *text, const char *data, size_t len) {
    if (!text->kept)
        text->kept = g_string_new(NULL);
    for (size_t i = 0; i < len; i++) {
        if (!is_text(text, (unsigned char)data[i]))
            continue;
        g_string_append_c(text->kept, data[i]);
        // Cut only when twice too long, so that the moving costs little per byte.
        if (text->kept->len >= 2 * text->max) {
            size_t cut = text->kept->len - text->max;
            g_string_erase(text->kept, 0, (gssize)cut);
            text->dropped += cut;
        }
    }
}

char *plain_text_take(PlainText *text) {
    if (!text->kept)
        return g_strdup("");
    size_t start = text->kept->len > text->max ? text->kept->len - text->max : 0;
    if (start > 0 || text->dropped > 0) {
        const char *line = memchr(text->kept->str + start, '\n', text->kept->len - start);
        if (line && line[1] != '\0')
            start = (size_t)(line + 1 - text->kept->str);
    }
    text->dropped += start;
    g_autofree char *valid = g_utf8_make_valid(text->kept->str + start, (gssize)(text->kept->len - start));
    char *taken = text->dropped > 0 ? g_strdup_printf("[%zu bytes before this were left out]\n%s", text->dropped, valid)
                                    : g_steal_pointer(&valid);
    plain_text_clear(text);
    return taken;
}

void plain_text_clear(PlainText *text) {
    if (text->kept)
        g_string_free(text->kept, TRUE);
    text->kept = NULL;
    text->dropped = 0;
    text->state = PLAIN_TEXT_PLAIN;
}
