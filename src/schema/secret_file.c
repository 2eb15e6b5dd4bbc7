#include "base/buf.h"
#include "base/error.h"
#include "schema/fields.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { MAX_SECRET = 64 * 1024 };

char *param_read_secret_file(const char *path, GError **error) {
    // Without waiting: a pipe that nobody writes to would hold the start up for ever.
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        stoop_error_set_errno(error, errno, "cannot open %s", path);
        return NULL;
    }
    g_auto(Buf) buf = BUF_INIT(MAX_SECRET);
    int failed = buf_read_fd(&buf, fd);
    close(fd);
    if (failed == EFBIG) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_TOO_LARGE, "%s is longer than 64 KiB", path);
        return NULL;
    }
    if (failed) {
        stoop_error_set_errno(error, failed, "cannot read %s", path);
        return NULL;
    }
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
