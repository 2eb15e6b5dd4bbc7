#include "actionners/pause.h"

#include "base/thread.h"

// A cancellation is a flag that wakes nobody, so it is looked at every 20 ms.
bool action_pause(const ActionContext *context, int64_t us, int64_t until_us) {
    Mutex lock;
    Cond never;
    mutex_init(&lock);
    cond_init(&never);
    mutex_lock(&lock);
    int64_t now = clock_monotonic_us(context->clock), end = MIN(now + us, until_us);
    for (; now < end && !cancel_is_set(context->cancel); now = clock_monotonic_us(context->clock))
        cond_wait_until(&never, &lock, MIN(end, now + 20000));
    mutex_unlock(&lock);
    cond_destroy(&never);
    mutex_destroy(&lock);
    return now < until_us && !cancel_is_set(context->cancel);
}
