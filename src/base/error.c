#include "base/error.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>

static pthread_once_t quark_once = PTHREAD_ONCE_INIT;
static GQuark quark;

static void make_quark(void) {
    quark = g_quark_from_static_string("stoop");
}

// Not G_DEFINE_QUARK: its unguarded static would be a data race.
GQuark stoop_error_quark(void) {
    pthread_once(&quark_once, make_quark);
    return quark;
}

bool stoop_error_is(const GError *error, StoopError code) {
    return error && error->domain == STOOP_ERROR && error->code == (int)code;
}

bool stoop_error_is_retryable(const GError *error) {
    return stoop_error_is(error, STOOP_ERROR_UNAVAILABLE) || stoop_error_is(error, STOOP_ERROR_TIMEOUT);
}

void stoop_error_set_errno(GError **error, int err, const char *what_format, ...) {
    va_list args;
    va_start(args, what_format);
    g_autofree char *what = g_strdup_vprintf(what_format, args);
    va_end(args);
    StoopError code = err == ENOSPC || err == EDQUOT ? STOOP_ERROR_NO_SPACE : STOOP_ERROR_IO;
    g_set_error(error, STOOP_ERROR, code, "%s: %s", what, g_strerror(err));
}
