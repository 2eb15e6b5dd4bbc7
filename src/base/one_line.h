// Text of a peer, made fit for an error or a log line.
#pragma once

#include <stddef.h>

// `text` as one line: valid UTF-8, control characters made spaces, no blanks around it. What is longer than `max` bytes
// is cut and ends with "…". g_free.
char *one_line(const char *text, size_t len, size_t max);
