#include "base/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { READ_PIECE = 16 * 1024 };

static bool reserve(Buf *buf, size_t more) {
    if (more > buf->max - buf->len)
        return false;
    size_t need = buf->len + more + 1;
    if (need <= buf->capacity)
        return true;
    size_t capacity = buf->capacity ? buf->capacity : 64;
    while (capacity < need)
        capacity *= 2;
    buf->data = g_realloc(buf->data, capacity);
    buf->capacity = capacity;
    return true;
}

bool buf_append(Buf *buf, const void *bytes, size_t len) {
    if (!reserve(buf, len))
        return false;
    if (len > 0)
        memcpy(buf->data + buf->len, bytes, len);
    buf->len += len;
    buf->data[buf->len] = '\0';
    return true;
}

bool buf_append_text(Buf *buf, const char *text) {
    return buf_append(buf, text, strlen(text));
}

bool buf_append_char(Buf *buf, char c) {
    return buf_append(buf, &c, 1);
}

bool buf_printf(Buf *buf, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    bool ok = len >= 0 && reserve(buf, (size_t)len);
    if (ok) {
        vsnprintf(buf->data + buf->len, (size_t)len + 1, format, again);
        buf->len += (size_t)len;
    }
    va_end(again);
    return ok;
}

static bool append_escape(Buf *buf, unsigned char c) {
    switch (c) {
    case '"':
        return buf_append(buf, "\\\"", 2);
    case '\\':
        return buf_append(buf, "\\\\", 2);
    case '\n':
        return buf_append(buf, "\\n", 2);
    case '\r':
        return buf_append(buf, "\\r", 2);
    case '\t':
        return buf_append(buf, "\\t", 2);
    default:
        return buf_printf(buf, "\\u%04x", c);
    }
}

bool buf_append_json_string(Buf *buf, const char *text, size_t len) {
    size_t before = buf->len;
    bool ok = buf_append_char(buf, '"');
    const char *end = text + len;
    while (ok && text < end) {
        const char *run = text;
        while (text < end && (unsigned char)*text >= 0x20 && (unsigned char)*text < 0x7f && *text != '"' &&
               *text != '\\')
            text++;
        ok = buf_append(buf, run, (size_t)(text - run));
        if (!ok || text == end)
            break;
        unsigned char c = (unsigned char)*text;
        if (c < 0x80) {
            ok = append_escape(buf, c);
            text++;
            continue;
        }
        gunichar u = g_utf8_get_char_validated(text, end - text);
        if (u == (gunichar)-1 || u == (gunichar)-2) {
            ok = buf_append_text(buf, "\xef\xbf\xbd");
            text++;
        } else {
            size_t width = (size_t)(g_utf8_next_char(text) - text);
            ok = buf_append(buf, text, width);
            text += width;
        }
    }
    ok = ok && buf_append_char(buf, '"');
    if (!ok && buf->data) {
        buf->len = before;
        buf->data[before] = '\0';
    }
    return ok;
}

int buf_read_fd(Buf *buf, int fd) {
    for (;;) {
        size_t room = MIN(buf->max - buf->len, READ_PIECE);
        char beyond;
        reserve(buf, room);
        ssize_t got = read(fd, room ? buf->data + buf->len : &beyond, room ? room : 1);
        if (got > 0 && room)
            buf->len += (size_t)got;
        buf->data[buf->len] = '\0';
        if (got > 0 && !room)
            return EFBIG;
        if (got == 0)
            return 0;
        if (got < 0 && errno != EINTR)
            return errno;
    }
}

const char *buf_text(const Buf *buf) {
    return buf->data ? buf->data : "";
}

char *buf_steal(Buf *buf) {
    char *data = buf->data ? buf->data : g_strdup("");
    *buf = (Buf)BUF_INIT(buf->max);
    return data;
}

void buf_reset(Buf *buf) {
    buf->len = 0;
    if (buf->data)
        buf->data[0] = '\0';
}

void buf_clear(Buf *buf) {
    g_free(buf->data);
    *buf = (Buf)BUF_INIT(buf->max);
}
