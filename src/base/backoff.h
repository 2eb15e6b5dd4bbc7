// How long to wait before trying again: exponential with jitter, so that many clients do not come back together.
#pragma once

#include <stdint.h>

typedef struct {
    int64_t base_us; // upper bound of the first wait
    int64_t max_us;  // upper bound of every wait
    unsigned attempt;
} Backoff;

// The next wait in microseconds: between half of and the whole of min(max, base * 2^attempt). `random32` is the
// caller's random number, so that tests decide.
int64_t backoff_next_us(Backoff *backoff, uint32_t random32);
