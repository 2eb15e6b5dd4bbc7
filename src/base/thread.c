#include "base/thread.h"

#include "base/error.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <time.h>

// Each of these fails only when the program is wrong (a lock that was never made, a double unlock).
static void must(int status, const char *what) {
    if (G_UNLIKELY(status != 0))
        g_error("%s: %s", what, g_strerror(status)); // lint: glib-log ok: a broken lock ends the process
}

void mutex_init(Mutex *mutex) {
    must(pthread_mutex_init(mutex, NULL), "pthread_mutex_init");
}

void mutex_destroy(Mutex *mutex) {
    must(pthread_mutex_destroy(mutex), "pthread_mutex_destroy");
}

void mutex_lock(Mutex *mutex) {
    must(pthread_mutex_lock(mutex), "pthread_mutex_lock");
}

void mutex_unlock(Mutex *mutex) {
    must(pthread_mutex_unlock(mutex), "pthread_mutex_unlock");
}

void cond_init(Cond *cond) {
    pthread_condattr_t attributes;
    must(pthread_condattr_init(&attributes), "pthread_condattr_init");
    must(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC), "pthread_condattr_setclock");
    must(pthread_cond_init(cond, &attributes), "pthread_cond_init");
    must(pthread_condattr_destroy(&attributes), "pthread_condattr_destroy");
}

void cond_destroy(Cond *cond) {
    must(pthread_cond_destroy(cond), "pthread_cond_destroy");
}

void cond_signal(Cond *cond) {
    must(pthread_cond_signal(cond), "pthread_cond_signal");
}

void cond_broadcast(Cond *cond) {
    must(pthread_cond_broadcast(cond), "pthread_cond_broadcast");
}

void cond_wait(Cond *cond, Mutex *mutex) {
    must(pthread_cond_wait(cond, mutex), "pthread_cond_wait");
}

bool cond_wait_until(Cond *cond, Mutex *mutex, int64_t deadline_us) {
    struct timespec until = {.tv_sec = deadline_us / 1000000, .tv_nsec = deadline_us % 1000000 * 1000};
    int status = pthread_cond_timedwait(cond, mutex, &until);
    if (status == ETIMEDOUT)
        return false;
    must(status, "pthread_cond_timedwait");
    return true;
}

typedef struct {
    void *(*run)(void *);
    void *argument;
    char name[16];
} Start;

static void *trampoline(void *data) {
    Start start = *(Start *)data;
    g_free(data);
    pthread_setname_np(pthread_self(), start.name);
    return start.run(start.argument);
}

bool thread_start(pthread_t *thread, const char *name, size_t stack_kib, void *(*run)(void *), void *argument,
                  GError **error) {
    Start *start = g_new0(Start, 1);
    start->run = run;
    start->argument = argument;
    g_strlcpy(start->name, name, sizeof start->name);

    pthread_attr_t attributes;
    must(pthread_attr_init(&attributes), "pthread_attr_init");
    size_t stack = MAX((stack_kib ? stack_kib : 256) * 1024, (size_t)PTHREAD_STACK_MIN);
    must(pthread_attr_setstacksize(&attributes, stack), "pthread_attr_setstacksize");

    // The new thread inherits the mask, so that no signal can ever land in it.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int status = pthread_create(thread, &attributes, trampoline, start);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    if (status != 0) {
        g_free(start);
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_FAILED, "cannot start the thread %s: %s", name, g_strerror(status));
        return false;
    }
    return true;
}
