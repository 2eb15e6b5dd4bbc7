#include "base/clock.h"

#include <time.h>

static int64_t system_monotonic_us(const Clock *clock) {
    (void)clock;
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int64_t system_realtime_ns(const Clock *clock) {
    (void)clock;
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static const Clock system_clock = {system_monotonic_us, system_realtime_ns};

const Clock *clock_system(void) {
    return &system_clock;
}
