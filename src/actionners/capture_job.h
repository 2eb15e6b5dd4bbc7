// A Job that runs one privileged container on one node, waiting for a capture in it (capture.h). It is deleted
// afterwards; what a crash of ours leaves behind ends and goes by itself (activeDeadlineSeconds,
// ttlSecondsAfterFinished), and is swept by the next Job of the namespace.
#pragma once

#include "actionners/actionner.h"
#include "kube/kube_client.h"

typedef struct {
    const char *job_namespace, *name; // of the same work always the same name, so that a repeat finds what is left
    const char *node;
    const char *image;
    int64_t duration_s;
    char *uid; // set once it is created; g_free
} CaptureJob;

// Its only container.
#define CAPTURE_JOB_CONTAINER "sysdig"

// Creates it, in the place of one of that name, and waits until its container runs; `pod` (g_free) gets its pod's name.
// Errors: as of kube_create; FORBIDDEN, with what was said, when the namespace does not take the pod; FAILED with the
// kubelet's reason when its container does not start; TIMEOUT with why it waits. Whatever happened, it is to be
// removed.
bool capture_job_start(const ActionContext *context, CaptureJob *job, char **pod, GError **error);

// Deletes it and its pod; that it is not there is fine, and one that has taken its place stays. Also when the action's
// time is over.
bool capture_job_remove(const ActionContext *context, const CaptureJob *job, GError **error);

// For the tests: what is created. NULL: too long.
char *capture_job_text(const CaptureJob *job);
