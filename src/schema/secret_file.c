#include "base/buf.h"
#include "base/error.h"
#include "schema/fields.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { MAX_SECRET = 64 * 1024 };

static bool read_secret(int fd, const char *path, Buf *buf, GError **error) {
    char chunk[4096];
    bool good = true;
    for (bool ended = false; good && !ended;) {
        ssize_t got = read(fd, chunk, sizeof chunk);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            stoop_error_set_errno(error, errno, "cannot read %s", path);
            good = false;
        } else if (got == 0) {
            ended = true;
        } else if (!buf_append(buf, chunk, (size_t)got)) {
            g_set_error(error, STOOP_ERROR, STOOP_ERROR_TOO_LARGE, "%s is longer than 64 KiB", path);
            good = false;
        }
    }
    explicit_bzero(chunk, sizeof chunk);
    return good;
}

char *param_read_secret_file(const char *path, GError **error) {
    // Without waiting: a pipe that nobody writes to would hold the start up for ever.
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        stoop_error_set_errno(error, errno, "cannot open %s", path);
        return NULL;
    }
    g_auto(Buf) buf = BUF_INIT(MAX_SECRET);
    bool good = read_secret(fd, path, &buf, error);
    close(fd);
    if (!good)
        return NULL;
    if (!g_utf8_validate_len(buf_text(&buf), buf.len, NULL)) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID, "%s is no text: it must be UTF-8 without NUL", path);
        return NULL;
    }
    g_autofree char *text = buf_steal(&buf);
    size_t len = strlen(text);
    if (len && text[len - 1] == '\n')
        text[--len] = '\0';
    if (len && text[len - 1] == '\r')
        text[--len] = '\0';
    if (!len) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID, "%s is empty", path);
        return NULL;
    }
    return g_steal_pointer(&text);
}
