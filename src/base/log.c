#include "base/log.h"

#include "base/buf.h"
#include "base/log_format.h"
#include "base/thread.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_QUEUE (1024 * 1024)
#define PIECE 4096 // a pipe that polls as writable takes this much without blocking (PIPE_BUF)
#define LAST_WORDS_US (2 * 1000000)
#define TURNS 4 // how often a caller writes what others left, before the writer's thread has to

struct Log {
    int fd;
    LogFormat format;
    LogLevel least;
    const Clock *clock;
    bool is_file; // takes everything at once

    Mutex lock; // never held while writing
    Cond wake;
    bool busy;      // somebody writes; what comes meanwhile waits, and goes out together
    Buf waiting;    // whole lines, apart from the first, which may be the rest of one
    size_t in_hand; // bytes that whoever writes took from there and has not written yet
    bool has_writer, stopping;
    int64_t stop_at_us;
    pthread_t writer;
    guint64 unreported; // dropped since the last line that told of it
    atomic_uint_fast64_t dropped;
};

Log *log_new(int fd, LogFormat format, LogLevel least, const Clock *clock) {
    Log *log = g_new0(Log, 1);
    log->fd = fd;
    log->format = format;
    log->least = least;
    log->clock = clock;
    struct stat status;
    log->is_file = fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
    mutex_init(&log->lock);
    cond_init(&log->wake);
    log->waiting = (Buf)BUF_INIT(MAX_QUEUE);
    return log;
}

static bool can_take(Log *log, int timeout_ms) {
    struct pollfd poll_fd = {.fd = log->fd, .events = POLLOUT};
    return poll(&poll_fd, 1, timeout_ms) > 0;
}

// How many bytes went out; -1 when the descriptor is beyond help (the reader is gone, the disk is full).
static ssize_t write_some(Log *log, const char *bytes, size_t len) {
    ssize_t n;
    do
        n = write(log->fd, bytes, len);
    while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return 0;
    return n;
}

static void count_dropped(Log *log, guint64 lines) {
    log->unreported += lines;
    atomic_fetch_add(&log->dropped, lines);
}

static Buf take_waiting(Log *log) {
    Buf batch = log->waiting;
    log->waiting = (Buf)BUF_INIT(MAX_QUEUE);
    log->in_hand = batch.len;
    return batch;
}

static bool may_wait(const Log *log, size_t len) {
    return len <= MAX_QUEUE - MIN(log->waiting.len + log->in_hand, (size_t)MAX_QUEUE);
}

// Writes what it was handed, piece by piece, until all is out, nothing can get out, or it is time to stop.
static void write_batch(Log *log, const Buf *batch) {
    for (size_t at = 0; at < batch->len;) {
        ssize_t n = can_take(log, 50) ? write_some(log, batch->data + at, MIN(batch->len - at, PIECE)) : 0;
        mutex_lock(&log->lock);
        if (n < 0)
            count_dropped(log, 1);
        else
            at += (size_t)n;
        log->in_hand = n < 0 ? 0 : batch->len - at;
        bool late = log->stopping && clock_monotonic_us(clock_system()) >= log->stop_at_us;
        mutex_unlock(&log->lock);
        if (n < 0 || late)
            return;
    }
}

static void *run_writer(void *argument) {
    Log *log = argument;
    mutex_lock(&log->lock);
    for (;;) {
        while ((log->waiting.len == 0 || log->busy) && !log->stopping)
            cond_wait(&log->wake, &log->lock);
        bool late = log->stopping && clock_monotonic_us(clock_system()) >= log->stop_at_us;
        if (log->waiting.len == 0 || late)
            break;
        g_auto(Buf) batch = take_waiting(log);
        log->busy = true;
        mutex_unlock(&log->lock);
        write_batch(log, &batch);
        mutex_lock(&log->lock);
        log->busy = false;
    }
    mutex_unlock(&log->lock);
    return NULL;
}

// What did not get out goes before what came meanwhile.
static void put_back(Log *log, const char *rest, size_t len) {
    log->in_hand = 0;
    Buf joined = BUF_INIT(MAX_QUEUE);
    if (!buf_append(&joined, rest, len) || !buf_append(&joined, buf_text(&log->waiting), log->waiting.len))
        count_dropped(log, 1); // cannot be: both were counted against the same limit
    buf_clear(&log->waiting);
    log->waiting = joined;
}

// Writes as much as goes without blocking; with `lock` held, which is let go meanwhile. False when all is stuck.
static bool write_now(Log *log, const char *bytes, size_t len) {
    mutex_unlock(&log->lock);
    ssize_t n = log->is_file || (len <= PIECE && can_take(log, 0)) ? write_some(log, bytes, len) : 0;
    mutex_lock(&log->lock);
    log->in_hand = 0;
    if (n < 0)
        count_dropped(log, 1);
    else if ((size_t)n < len)
        put_back(log, bytes + n, len - (size_t)n);
    return n < 0 || (size_t)n == len;
}

// Writes, or leaves it to whoever writes already; with `lock` held. False when there is no room for it.
static bool put(Log *log, const char *bytes, size_t len) {
    if (!may_wait(log, len))
        return false;
    if (log->busy || log->waiting.len > 0)
        return buf_append(&log->waiting, bytes, len);
    log->busy = true;
    log->in_hand = len;
    bool moves = write_now(log, bytes, len);
    for (int turn = 0; moves && turn < TURNS && log->waiting.len > 0; turn++) {
        g_auto(Buf) batch = take_waiting(log);
        moves = write_now(log, batch.data, batch.len);
    }
    log->busy = false;
    if (log->waiting.len == 0)
        return true;
    if (!log->has_writer)
        log->has_writer = thread_start(&log->writer, "log", 64, run_writer, log, NULL);
    cond_signal(&log->wake);
    return true;
}

// Tells of dropped lines as soon as there is room again for that line and the one that is to be written.
static void report_dropped(Log *log, size_t next_len) {
    if (log->unreported == 0)
        return;
    char text[64];
    g_snprintf(text, sizeof text, "%" G_GUINT64_FORMAT " log lines were dropped", log->unreported);
    g_auto(LogText) line;
    log_format_line(&line, log->format, clock_realtime_ns(log->clock), LOG_WARNING, "log",
                    (LogField[]){{"error", text}, {NULL, NULL}});
    if (!may_wait(log, line.len + next_len))
        return;
    log->unreported = 0;
    put(log, line.data, line.len);
}

// Whole lines; none at all stands for one that could not be formatted.
static void put_lines(Log *log, const char *bytes, size_t len) {
    mutex_lock(&log->lock);
    if (len > 0)
        report_dropped(log, len);
    if (len == 0 || !put(log, bytes, len))
        count_dropped(log, 1);
    mutex_unlock(&log->lock);
}

void log_line(Log *log, LogLevel level, const char *message, const LogField *fields) {
    if (!log_enabled(log, level))
        return;
    g_auto(LogText) line;
    log_format_line(&line, log->format, clock_realtime_ns(log->clock), level, message, fields);
    put_lines(log, line.data, line.failed ? 0 : line.len);
}

void log_batch_init(LogBatch *batch, Log *log) {
    *batch = (LogBatch){.log = log, .lines = BUF_INIT(PIECE)};
    mutex_init(&batch->lock);
}

// With the batch's lock held.
static void flush(LogBatch *batch) {
    if (batch->lines.len == 0)
        return;
    put_lines(batch->log, batch->lines.data, batch->lines.len);
    buf_reset(&batch->lines);
}

void log_batch_line(LogBatch *batch, LogLevel level, const char *message, const LogField *fields) {
    if (!log_enabled(batch->log, level))
        return;
    g_auto(LogText) line;
    log_format_line(&line, batch->log->format, clock_realtime_ns(batch->log->clock), level, message, fields);
    mutex_lock(&batch->lock);
    if (line.failed || !buf_append(&batch->lines, line.data, line.len)) {
        // Too much for one piece: what is there goes first, so that the order stays.
        flush(batch);
        if (line.failed || !buf_append(&batch->lines, line.data, line.len))
            put_lines(batch->log, line.data, line.failed ? 0 : line.len);
    }
    mutex_unlock(&batch->lock);
}

void log_batch_flush(LogBatch *batch) {
    mutex_lock(&batch->lock);
    flush(batch);
    mutex_unlock(&batch->lock);
}

void log_batch_clear(LogBatch *batch) {
    buf_clear(&batch->lines);
    mutex_destroy(&batch->lock);
}

void log_text(Log *log, LogLevel level, const char *message, const char *format, ...) {
    if (!log_enabled(log, level))
        return;
    va_list args;
    va_start(args, format);
    g_autofree char *text = g_strdup_vprintf(format, args);
    va_end(args);
    const char *key = level >= LOG_WARNING ? "error" : "result";
    log_line(log, level, message, (LogField[]){{key, text}, {NULL, NULL}});
}

bool log_enabled(const Log *log, LogLevel level) {
    return log && level >= log->least;
}

guint64 log_dropped(Log *log) {
    return atomic_load(&log->dropped);
}

void log_free(Log *log) {
    if (!log)
        return;
    mutex_lock(&log->lock);
    log->stopping = true;
    log->stop_at_us = clock_monotonic_us(clock_system()) + LAST_WORDS_US;
    cond_signal(&log->wake);
    bool has_writer = log->has_writer;
    mutex_unlock(&log->lock);
    if (has_writer)
        pthread_join(log->writer, NULL);
    cond_destroy(&log->wake);
    mutex_destroy(&log->lock);
    buf_clear(&log->waiting);
    g_free(log);
}
