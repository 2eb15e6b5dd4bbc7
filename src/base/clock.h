// Time, injected: product code asks a Clock that it was given, tests hand in their own.
#pragma once

#include <stdint.h>

typedef struct Clock Clock;
struct Clock {
    int64_t (*monotonic_us)(const Clock *clock); // microseconds of CLOCK_MONOTONIC; deadlines are in this
    int64_t (*realtime_ns)(const Clock *clock);  // nanoseconds since 1970, UTC
};

// The machine's clock. Static; thread-safe.
const Clock *clock_system(void);

static inline int64_t clock_monotonic_us(const Clock *clock) {
    return clock->monotonic_us(clock);
}

static inline int64_t clock_realtime_ns(const Clock *clock) {
    return clock->realtime_ns(clock);
}
