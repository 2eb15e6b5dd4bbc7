// Log lines with named fields, in the three formats of `log_format`. A line is written at once where the descriptor can
// take it; where it cannot (a full pipe), lines wait in a bounded queue for a thread of the log's own, and what does
// not fit is dropped and counted, so that a stuck log never holds an event up.
#pragma once

#include "base/buf.h"
#include "base/clock.h"
#include "base/thread.h"

#include <glib.h>
#include <stdbool.h>

typedef enum { LOG_FORMAT_TEXT, LOG_FORMAT_COLOR, LOG_FORMAT_JSON } LogFormat;
typedef enum { LOG_DEBUG, LOG_INFO, LOG_WARNING, LOG_ERROR } LogLevel;

typedef struct {
    const char *key;
    const char *value; // NULL: the field is left out
} LogField;

typedef struct Log Log;

// Writes to `fd`, which stays the caller's. Lines below `least` are left out.
Log *log_new(int fd, LogFormat format, LogLevel least, const Clock *clock);
// Writes what waits (at most 2 s) and ends.
void log_free(Log *log);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Log, log_free)

// One line: `message` is event, match, action, output, notification, init, rules, ...; `fields` ends with a NULL key.
// json:  {"level":"info","time":"2026-01-02T15:04:05.123Z","message":"action","status":"success",...}
// text:  2026-01-02T15:04:05.123Z INF action status=success rule="..." ...
// Control characters and invalid UTF-8 of values are escaped in all formats: an event cannot forge a line. Values over
// 16 KiB are cut with a note. Thread-safe.
void log_line(Log *log, LogLevel level, const char *message, const LogField *fields);

// Lines that get their time now and are written together later, with one system call: for whoever has something more
// urgent to do first. Thread-safe, so that somebody else can flush it where that takes long.
typedef struct {
    Log *log;
    Mutex lock;
    Buf lines;
} LogBatch;
void log_batch_init(LogBatch *batch, Log *log);
void log_batch_line(LogBatch *batch, LogLevel level, const char *message, const LogField *fields);
void log_batch_flush(LogBatch *batch);
void log_batch_clear(LogBatch *batch); // what was not flushed is lost

// A line that has only a text: message "init" or the like, and field `result` or `error` for LOG_ERROR and LOG_WARNING.
void log_text(Log *log, LogLevel level, const char *message, const char *format, ...) G_GNUC_PRINTF(4, 5);

bool log_enabled(const Log *log, LogLevel level);
guint64 log_dropped(Log *log);
