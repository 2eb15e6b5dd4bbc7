// How long to wait before trying again: exponential with jitter, so that many clients do not come back together.
#pragma once

#include "base/cancel.h"

#include <stdint.h>

typedef struct {
    int64_t base_us; // upper bound of the first wait
    int64_t max_us;  // upper bound of every wait
    unsigned attempt;
} Backoff;

// The next wait in microseconds: between half of and the whole of min(max, base * 2^attempt). `random32` is the
// caller's random number, so that tests decide.
int64_t backoff_next_us(Backoff *backoff, uint32_t random32);

// What clients use where nothing else is injected: the system's random numbers, and a wait that ends early, within 20
// ms, when cancelled. Thread-safe; `user` is not looked at.
uint32_t backoff_system_random32(void *user);
void backoff_system_wait_us(int64_t us, const Cancel *cancel, void *user);
