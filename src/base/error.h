// Errors are values: GError in one domain. Whoever ends the work reports the error once; everyone on the way adds
// context with g_prefix_error. Codes say what a caller can do about it.
#pragma once

#include <glib.h>
#include <stdbool.h>

typedef enum {
    STOOP_ERROR_FAILED,          // anything that has no better code
    STOOP_ERROR_INVALID,         // the input is wrong; trying again changes nothing
    STOOP_ERROR_NOT_FOUND,       // what was asked for is not there
    STOOP_ERROR_UNAUTHENTICATED, // the peer does not know us (HTTP 401)
    STOOP_ERROR_FORBIDDEN,       // the peer knows us and refuses (HTTP 403)
    STOOP_ERROR_CONFLICT,        // somebody else was faster, or a precondition does not hold (HTTP 409)
    STOOP_ERROR_TOO_LARGE,       // beyond a limit of ours
    STOOP_ERROR_TIMEOUT,         // the deadline passed; the peer may have done the work
    STOOP_ERROR_UNAVAILABLE,     // the peer cannot be reached, is overloaded or restarting: try again later
    STOOP_ERROR_CANCELLED,       // we are shutting down
    STOOP_ERROR_IO,              // a local file or folder cannot be read or written
    STOOP_ERROR_NO_SPACE,        // the disk is full
} StoopError;

#define STOOP_ERROR (stoop_error_quark())
// Thread-safe.
GQuark stoop_error_quark(void);

// True for errors after which the same call may succeed later: UNAVAILABLE and TIMEOUT. Whether repeating is *safe* is
// the caller's knowledge. NULL is not retryable.
bool stoop_error_is_retryable(const GError *error);

// True when `error` is one of ours with this code. NULL gives false.
bool stoop_error_is(const GError *error, StoopError code);

// Sets STOOP_ERROR_NO_SPACE for ENOSPC and EDQUOT, STOOP_ERROR_IO otherwise; the text is "<what>: <strerror>".
void stoop_error_set_errno(GError **error, int err, const char *what_format, ...) G_GNUC_PRINTF(3, 4);
