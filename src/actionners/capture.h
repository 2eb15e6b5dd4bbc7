// A capture: a program in a container of Stoop's own writes to its standard output what it sees, and that streams into
// the artifact while it runs. The container waits (waiter.h) until a shell is run in it that captures, so that
// nothing is written before somebody reads, and nothing of it goes into the container's log on the node.
#pragma once

#include "actionners/actionner.h"
#include "actionners/records.h"

#include <yyjson.h>

enum {
    CAPTURE_START_S = 120, // how long an image may take to be pulled and its container to run
    CAPTURE_END_S = 60,    // how long the end of a capture may take to come through a slow output
};

// How long the container of a capture waits: the times to begin and to end are added. For waiter_command; g_free.
char *capture_waiter_seconds(int64_t duration_s);

typedef struct {
    const char *pod_namespace, *pod, *container; // where it runs
    const char *tool;                            // "tcpdump": what the image must have
    const char *arguments;                       // for the shell, quoted; may use what `before` sets
    const char *before;                          // lines of the shell; NULL: none
    int64_t duration_s;                          // then the tool gets a SIGTERM
    const char *artifact;                        // its name
    RecordsKind kind;
} Capture;

typedef struct {
    bool begun; // the artifact
    uint64_t records;
    int exit_code; // of the tool
    bool killed;   // at its end, as it did not end when asked to: what it had not written yet is missing
    bool struck;   // by a SIGKILL that was not ours, or its shell was: somebody's, or the kernel's for want of memory
    bool early;    // it ended by itself or by somebody's SIGTERM, before `duration_s` was over
    bool late;     // begun, but not seen to end within `duration_s` and the times to begin and to end: an error
    char *errors;  // the end of its standard error
} CaptureEnd;
void capture_end_clear(CaptureEnd *end);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(CaptureEnd, capture_end_clear)

// Runs it. True when the tool's end was seen, however it ended. Errors as of shell_run and of the sink; `end` says also
// then how many records the artifact has. FAILED when the container has no shell or no such tool.
bool capture_run(const ActionContext *context, const Capture *capture, CaptureEnd *end, GError **error);

// Whether the event's pod with this UID has ended, or is about to; waits 5 s for a word of that.
bool capture_pod_ended(const ActionContext *context, const char *uid);

// The context with a deadline of its own that is so many seconds from now at most.
ActionContext capture_until(const ActionContext *context, int64_t seconds);
