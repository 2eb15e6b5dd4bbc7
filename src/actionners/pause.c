#include "actionners/pause.h"

#include "base/backoff.h"

bool action_pause(const ActionContext *context, int64_t us, int64_t until_us) {
    int64_t left_us = until_us - clock_monotonic_us(context->clock);
    backoff_system_wait_us(MIN(us, left_us), context->cancel, NULL);
    return us < left_us && !cancel_is_set(context->cancel);
}
