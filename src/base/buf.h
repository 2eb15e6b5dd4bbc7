// A growing byte buffer with a maximum that is fixed when it is made: every buffer that is fed from outside is one.
// Not thread-safe. The bytes are always followed by a NUL that does not count.
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct {
    char *data; // NULL until something was appended
    size_t len;
    size_t capacity;
    size_t max; // bytes; an append beyond it fails whole
} Buf;

#define BUF_INIT(maximum)                                                                                              \
    { .max = (maximum) }

// Each returns false and changes nothing when the result would exceed max.
bool buf_append(Buf *buf, const void *bytes, size_t len);
bool buf_append_text(Buf *buf, const char *text);
bool buf_append_char(Buf *buf, char c);
bool buf_printf(Buf *buf, const char *format, ...) G_GNUC_PRINTF(2, 3);

// Appends `text` as a JSON string with its quotes. Invalid UTF-8 becomes U+FFFD.
bool buf_append_json_string(Buf *buf, const char *text, size_t len);

// Appends what is left of a file or pipe. 0, or the errno of what failed: EFBIG where there is more than max; what was
// read until then stays.
int buf_read_fd(Buf *buf, int fd);

// The text; "" when empty. Owned by the buffer, valid until the next change.
const char *buf_text(const Buf *buf);

// Hands the bytes over (g_free); never NULL. The buffer is empty afterwards.
char *buf_steal(Buf *buf);

// Empties but keeps the memory.
void buf_reset(Buf *buf);

// Frees the memory. Safe on an empty buffer and to repeat.
void buf_clear(Buf *buf);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Buf, buf_clear)
