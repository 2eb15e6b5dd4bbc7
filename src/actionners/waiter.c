#include "actionners/waiter.h"

#include "kube/kube_command.h"

#include <string.h>

#define END_US (3 * G_USEC_PER_SEC)

void waiter_command(const char *argv[8], const char *seconds) {
    static const char wait[] = "n=$1; while [ ! -e \"${TMPDIR:-/tmp}/stoop-done\" ] && [ \"$n\" -gt 0 ]; do sleep 1; "
                               "n=$((n - 1)); done; exit 0";
    const char *const all[] = {"sh", "-c", wait, "stoop", seconds, NULL};
    memcpy(argv, all, sizeof all);
}

void waiter_end(const ActionContext *context, const char *pod_namespace, const char *pod, const char *container) {
    static const char *const argv[] = {"sh", "-c", WAITER_DONE, NULL};
    KubeCommand command = {.container = container, .argv = argv};
    KubeCall call = {.deadline_us = clock_monotonic_us(context->clock) + END_US};
    g_auto(KubeCommandEnd) end = {0};
    kube_command_run(context->clients->kube, pod_namespace, pod, &command, &call, &end, NULL);
}
