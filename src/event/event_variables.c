// An event as environment variables for commands and scripts.
#include "event/event_private.h"

#include "base/buf.h"

#include <string.h>

#define MAX_VALUE 65536 // the kernel takes 128 KiB for one variable

static const char *const reserved[] = {"PRIORITY", "HOSTNAME", "RULE", "SOURCE", "TAGS"};

// proc.args[0] is PROC_ARGS_0. What a shell could not name, and what could end the name early ('='), becomes '_'.
static bool variable_name(Buf *out, const char *field, size_t len) {
    buf_reset(out);
    if (len > 0 && g_ascii_isdigit(field[0]))
        buf_append_char(out, '_');
    for (size_t i = 0; i < len; i++)
        if (field[i] != ']' && !buf_append_char(out, g_ascii_isalnum(field[i]) ? g_ascii_toupper(field[i]) : '_'))
            return false;
    for (unsigned i = 0; i < G_N_ELEMENTS(reserved); i++)
        if (strcmp(buf_text(out), reserved[i]) == 0)
            return false;
    return out->len > 0;
}

// The value with NULs dropped and cut to the maximum at a character.
static const char *clean(Buf *out, const char *text, size_t len) {
    if (len <= MAX_VALUE && !memchr(text, '\0', len))
        return text;
    buf_reset(out);
    if (len > MAX_VALUE) {
        len = MAX_VALUE;
        while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
            len--;
    }
    for (const char *end = text + len; text < end;) {
        const char *nul = memchr(text, '\0', (size_t)(end - text));
        size_t run = (size_t)((nul ? nul : end) - text);
        buf_append(out, text, run);
        text += run + 1;
    }
    return buf_text(out);
}

void event_each_variable(const Event *event, void (*each)(const char *name, const char *value, void *user),
                         void *user) {
    g_auto(Buf) name = BUF_INIT(1024);
    g_auto(Buf) cleaned = BUF_INIT(MAX_VALUE);
    each("PRIORITY", clean(&cleaned, event->priority_text, strlen(event->priority_text)), user);
    each("HOSTNAME", clean(&cleaned, event->hostname, strlen(event->hostname)), user);
    each("RULE", clean(&cleaned, event->rule, strlen(event->rule)), user);
    each("SOURCE", clean(&cleaned, event->source, strlen(event->source)), user);
    g_auto(Buf) tags = BUF_INIT(MAX_VALUE);
    for (size_t i = 0; i < event->tag_count; i++)
        if ((i > 0 && !buf_append_char(&tags, ',')) || !buf_append_text(&tags, event->tags[i]))
            break;
    each("TAGS", buf_text(&tags), user);

    if (!event->fields)
        return;
    g_autofree char *scratch = NULL; // only lists, numbers and the like need it
    size_t i, max;
    yyjson_val *key, *value;
    yyjson_obj_foreach(event->fields, i, max, key, value) {
        if (yyjson_is_null(value) || !variable_name(&name, unsafe_yyjson_get_str(key), unsafe_yyjson_get_len(key)))
            continue;
        if (!yyjson_is_str(value) && !scratch)
            scratch = g_malloc(MAX_VALUE + 1);
        size_t len = 0;
        const char *text = event_value_text(value, scratch, scratch ? MAX_VALUE + 1 : 0, &len);
        each(buf_text(&name), clean(&cleaned, text, len), user);
    }
}
