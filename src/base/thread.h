// POSIX threads and locks, wrapped once. GLib's own locks are not used anywhere: ThreadSanitizer cannot see through
// them.
#pragma once

#include <glib.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

typedef pthread_mutex_t Mutex;
typedef pthread_cond_t Cond; // waits by the monotonic clock

void mutex_init(Mutex *mutex);
void mutex_destroy(Mutex *mutex);
void mutex_lock(Mutex *mutex);
void mutex_unlock(Mutex *mutex);

void cond_init(Cond *cond);
void cond_destroy(Cond *cond);
void cond_signal(Cond *cond);
void cond_broadcast(Cond *cond);
void cond_wait(Cond *cond, Mutex *mutex);
// Waits until signalled or until `deadline_us` (clock_monotonic_us) passed; false when it passed. Spurious wake-ups
// happen.
bool cond_wait_until(Cond *cond, Mutex *mutex, int64_t deadline_us);

// Starts a joinable thread with `stack_kib` KiB of stack (0: 256) and a name of at most 15 bytes, seen in `top -H`. All
// signals are blocked in it: the main thread handles them.
bool thread_start(pthread_t *thread, const char *name, size_t stack_kib, void *(*run)(void *), void *argument,
                  GError **error);
