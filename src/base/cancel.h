// A flag that tells long work to end early, because Stoop is leaving. Shared between threads; set once, never cleared.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

typedef struct {
    atomic_bool set;
} Cancel;

static inline bool cancel_is_set(const Cancel *cancel) {
    return cancel && atomic_load_explicit(&cancel->set, memory_order_relaxed);
}

static inline void cancel_set(Cancel *cancel) {
    atomic_store(&cancel->set, true);
}
