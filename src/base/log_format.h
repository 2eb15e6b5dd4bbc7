// How a log line looks. Private to the log.
#pragma once

#include "base/log.h"

// A line in the making: on the stack as long as it is short, so that most lines cost no allocation.
typedef struct {
    char *data;
    size_t len, capacity;
    bool failed; // it became longer than LOG_LINE_MAX
    char *heap;
    char stack[4096];
} LogText;

#define LOG_LINE_MAX (512 * 1024)

void log_format_line(LogText *out, LogFormat format, int64_t realtime_ns, LogLevel level, const char *message,
                     const LogField *fields);
void log_text_clear(LogText *out);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(LogText, log_text_clear)
