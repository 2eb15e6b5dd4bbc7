#include "base/backoff.h"

#include "base/clock.h"
#include "base/thread.h"

#include <sys/random.h>

int64_t backoff_next_us(Backoff *backoff, uint32_t random32) {
    int64_t bound = backoff->base_us;
    for (unsigned i = 0; i < backoff->attempt && bound < backoff->max_us; i++)
        bound *= 2;
    if (bound > backoff->max_us)
        bound = backoff->max_us;
    backoff->attempt++;
    return bound / 2 + (int64_t)((double)random32 / (double)UINT32_MAX * (double)(bound - bound / 2));
}

uint32_t backoff_system_random32(void *user) {
    uint32_t value = 0;
    return getrandom(&value, sizeof value, 0) == sizeof value ? value : UINT32_MAX / 2;
}

// A cancellation is a flag that wakes nobody, so it is looked at every 20 ms.
void backoff_system_wait_us(int64_t us, const Cancel *cancel, void *user) {
    Mutex lock;
    Cond never;
    mutex_init(&lock);
    cond_init(&never);
    mutex_lock(&lock);
    int64_t now = clock_monotonic_us(clock_system()), until = now + us;
    for (; now < until && !cancel_is_set(cancel); now = clock_monotonic_us(clock_system()))
        cond_wait_until(&never, &lock, MIN(until, now + 20000));
    mutex_unlock(&lock);
    cond_destroy(&never);
    mutex_destroy(&lock);
}
