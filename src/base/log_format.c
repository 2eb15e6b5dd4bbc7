#include "base/log_format.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define MAX_VALUE (16 * 1024)

static const struct {
    const char *json, *text, *color;
} levels[] = {
    [LOG_DEBUG] = {"debug", "DBG", "\x1b[35mDBG\x1b[0m"},
    [LOG_INFO] = {"info", "INF", "\x1b[32mINF\x1b[0m"},
    [LOG_WARNING] = {"warn", "WRN", "\x1b[33mWRN\x1b[0m"},
    [LOG_ERROR] = {"error", "ERR", "\x1b[31mERR\x1b[0m"},
};

static bool reserve(LogText *out, size_t more) {
    if (out->failed || more > LOG_LINE_MAX - out->len) {
        out->failed = true;
        return false;
    }
    if (out->len + more <= out->capacity)
        return true;
    size_t capacity = out->capacity;
    while (capacity < out->len + more)
        capacity *= 2;
    char *bigger = g_malloc(capacity);
    memcpy(bigger, out->data, out->len);
    g_free(out->heap);
    out->heap = out->data = bigger;
    out->capacity = capacity;
    return true;
}

static void put(LogText *out, const char *bytes, size_t len) {
    if (!reserve(out, len))
        return;
    memcpy(out->data + out->len, bytes, len);
    out->len += len;
}

static void put_text(LogText *out, const char *text) {
    put(out, text, strlen(text));
}

// Characters that would move the cursor, break the line, or make it read in another order than it is written.
static bool is_treacherous(gunichar c) {
    switch (g_unichar_type(c)) {
    case G_UNICODE_CONTROL:
    case G_UNICODE_FORMAT:
    case G_UNICODE_LINE_SEPARATOR:
    case G_UNICODE_PARAGRAPH_SEPARATOR:
        return true;
    default:
        return false;
    }
}

static void put_escape(LogText *out, gunichar c) {
    char text[16];
    if (c == '\n')
        put(out, "\\n", 2);
    else if (c == '\r')
        put(out, "\\r", 2);
    else if (c == '\t')
        put(out, "\\t", 2);
    else if (c == '"' || c == '\\')
        put(out, (char[]){'\\', (char)c}, 2);
    else if (c < 0x10000)
        put(out, text, (size_t)g_snprintf(text, sizeof text, "\\u%04x", c));
    else
        put(out, text,
            (size_t)g_snprintf(text, sizeof text, "\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10),
                               0xdc00 + ((c - 0x10000) & 0x3ff)));
}

static bool is_plain(unsigned char c) {
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

static void put_escaped(LogText *out, const char *text, size_t len) {
    const char *end = text + len;
    while (text < end) {
        const char *run = text;
        while (text < end && is_plain((unsigned char)*text))
            text++;
        put(out, run, (size_t)(text - run));
        if (text == end)
            break;
        gunichar c = (unsigned char)*text < 0x80 ? (gunichar)*text : g_utf8_get_char_validated(text, end - text);
        if (c == (gunichar)-1 || c == (gunichar)-2) {
            put_text(out, "\\ufffd");
            text++;
            continue;
        }
        size_t width = (size_t)(g_utf8_next_char(text) - text);
        if (c < 0x80 || is_treacherous(c))
            put_escape(out, c);
        else
            put(out, text, width);
        text += width;
    }
}

static void put_quoted(LogText *out, const char *text) {
    size_t len = strnlen(text, MAX_VALUE + 1), shown = len;
    if (len > MAX_VALUE) {
        len = MAX_VALUE + strlen(text + MAX_VALUE);
        shown = MAX_VALUE;
        while (shown > MAX_VALUE - 4 && ((unsigned char)text[shown] & 0xc0) == 0x80)
            shown--;
    }
    put(out, "\"", 1);
    put_escaped(out, text, shown);
    if (shown < len) {
        char note[64];
        put(out, note, (size_t)g_snprintf(note, sizeof note, " [cut: %zu of %zu bytes]", shown, len));
    }
    put(out, "\"", 1);
}

// Values that a reader, and grep, can tell apart without quotes.
static bool needs_quotes(const char *text) {
    size_t n = 0;
    for (; text[n]; n++)
        if (!is_plain((unsigned char)text[n]) || text[n] == ' ' || text[n] == '=' || n >= 1024)
            return true;
    return n == 0;
}

static void put_time(LogText *out, int64_t realtime_ns) {
    time_t seconds = (time_t)(realtime_ns / 1000000000);
    struct tm t;
    gmtime_r(&seconds, &t);
    char text[64];
    put(out, text,
        (size_t)g_snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", t.tm_year + 1900, t.tm_mon + 1,
                           t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec, (int)(realtime_ns / 1000000 % 1000)));
}

static void put_json(LogText *out, int64_t realtime_ns, LogLevel level, const char *message, const LogField *fields) {
    put_text(out, "{\"level\":\"");
    put_text(out, levels[level].json);
    put_text(out, "\",\"time\":\"");
    put_time(out, realtime_ns);
    put_text(out, "\",\"message\":");
    put_quoted(out, message);
    for (; fields && fields->key; fields++) {
        if (!fields->value)
            continue;
        put(out, ",", 1);
        put_quoted(out, fields->key);
        put(out, ":", 1);
        put_quoted(out, fields->value);
    }
    put(out, "}\n", 2);
}

static void put_plain(LogText *out, bool color, int64_t realtime_ns, LogLevel level, const char *message,
                      const LogField *fields) {
    put_text(out, color ? "\x1b[90m" : "");
    put_time(out, realtime_ns);
    put_text(out, color ? "\x1b[0m " : " ");
    put_text(out, color ? levels[level].color : levels[level].text);
    put_text(out, color ? " \x1b[1m" : " ");
    put_escaped(out, message, strlen(message));
    put_text(out, color ? "\x1b[0m" : "");
    for (; fields && fields->key; fields++) {
        if (!fields->value)
            continue;
        put_text(out, color ? " \x1b[36m" : " ");
        put_escaped(out, fields->key, strlen(fields->key));
        put_text(out, color ? "=\x1b[0m" : "=");
        if (needs_quotes(fields->value))
            put_quoted(out, fields->value);
        else
            put_text(out, fields->value);
    }
    put(out, "\n", 1);
}

void log_format_line(LogText *out, LogFormat format, int64_t realtime_ns, LogLevel level, const char *message,
                     const LogField *fields) {
    out->data = out->stack;
    out->capacity = sizeof out->stack;
    out->len = 0;
    out->failed = false;
    out->heap = NULL;
    if (format == LOG_FORMAT_JSON)
        put_json(out, realtime_ns, level, message, fields);
    else
        put_plain(out, format == LOG_FORMAT_COLOR, realtime_ns, level, message, fields);
}

void log_text_clear(LogText *out) {
    g_clear_pointer(&out->heap, g_free);
}
