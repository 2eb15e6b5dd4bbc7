#include "base/backoff.h"

int64_t backoff_next_us(Backoff *backoff, uint32_t random32) {
    int64_t bound = backoff->base_us;
    for (unsigned i = 0; i < backoff->attempt && bound < backoff->max_us; i++)
        bound *= 2;
    if (bound > backoff->max_us)
        bound = backoff->max_us;
    backoff->attempt++;
    return bound / 2 + (int64_t)((double)random32 / (double)UINT32_MAX * (double)(bound - bound / 2));
}
