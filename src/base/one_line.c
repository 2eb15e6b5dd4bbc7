#include "base/one_line.h"

#include <glib.h>

char *one_line(const char *text, size_t len, size_t max) {
    g_autofree char *valid = g_utf8_make_valid(text, (gssize)MIN(len, max));
    for (char *c = valid; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = ' ';
    g_strstrip(valid);
    return len > max ? g_strconcat(valid, "…", NULL) : g_steal_pointer(&valid);
}
