// Containers that are processes of this machine: an exec of the fake API runs the real program that it names, with
// exactly the bytes of standard input that Stoop sends.
#pragma once

#include "fake_api.h"

typedef enum {
    EXEC_RUNS,
    EXEC_NOT_STARTED, // the runtime finds no such program
    EXEC_STOPPED,     // the container does not run
    EXEC_CUT,         // the connection is gone after `cut_after` bytes of output, and the server says Success
    EXEC_NO_END,      // the socket closes without a word
    EXEC_HANGS,       // nothing comes after the program's output, until the deadline
} ExecMode;

typedef struct {
    ExecMode modes[4]; // of the first, second, ... exec
    size_t cut_after;
    char cut_channel;   // 1: of stdout alone, 2: of stderr alone: how the two mix is the machine's mood
    const char *folder; // where the programs run
    const char *path;   // a folder whose programs go first, and where temporary files go; NULL: none
    int64_t delay_us;   // before the program starts
    unsigned runs;
    GString *input; // of the last run
} FakeExec;

// Makes the fake's 101 answers sockets; `exec` becomes its user.
void fake_exec_install(FakeApi *fake, FakeExec *exec);
void fake_exec_clear(FakeExec *exec);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(FakeExec, fake_exec_clear)

#define GET_POD "GET /api/v1/namespaces/shop/pods/web-1"
#define FIELDS "\"k8s.pod.name\":\"web-1\",\"k8s.ns.name\":\"shop\""
#define RUNNING(name, id) "{\"name\":\"" name "\",\"containerID\":\"containerd://" id "\",\"state\":{\"running\":{}}}"
#define POD(containers, statuses)                                                                                      \
    "{\"metadata\":{\"uid\":\"u-1\"},\"spec\":{\"containers\":[" containers                                            \
    "]},\"status\":{\"containerStatuses\":[" statuses "]}}"
#define ONE POD("{\"name\":\"web\"}", RUNNING("web", "0123456789abcdef"))
#define END                                                                                                            \
    { NULL, NULL, 0, NULL, NULL }

// A folder with such a container.
typedef struct {
    char *folder;
    char *busybox; // a name `sh` for it
    FakeExec exec;
} ExecWorld;
void exec_world_init(ExecWorld *world);
void exec_world_clear(ExecWorld *world);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(ExecWorld, exec_world_clear)
char *path_in(ExecWorld *world, const char *name); // g_free, as all that follow

// The request of an exec of this shell.
char *exec_line(const char *container, const char *shell);
// An event about the pod, with a field more (`key` NULL: without).
char *event_with(const char *key, const char *value);
char *params_with(const char *key, const char *text, const char *shell);

// Runs an actionner in the only container of the pod.
void run_in_one(ExecWorld *world, const char *actionner, const char *shell, const char *event, const char *params,
                ArtifactSink *sink, Run *run);
