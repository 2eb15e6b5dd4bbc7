// Commands in containers: the exec and attach subresources of pods over a WebSocket, in the subprotocol
// v5.channel.k8s.io or, from servers that do not know it, v4.channel.k8s.io.
// https://kubernetes.io/docs/reference/generated/kubernetes-api/v1.34/#-strong-misc-operations-pod-v1-core-strong-
#pragma once

#include "kube/kube_client.h"

typedef struct {
    const char *container;   // its name; NULL: the server's choice, which fails where there are several
    const char *const *argv; // NULL-terminated, run without a shell; NULL: attaches to what runs already
    // Standard input: appends the next piece to `data`, up to data->max; nothing appended is the end. NULL: there is
    // none. A v4 server cannot be told of the end: what reads must know it by itself, or is ended by the deadline.
    bool (*on_stdin)(Buf *data, void *user, GError **error);
    // What the command writes, as it comes, in bounded memory: while a callback takes its time, the command waits.
    // False ends it all with the error that was set. NULL: thrown away.
    bool (*on_stdout)(const char *data, size_t len, void *user, GError **error);
    bool (*on_stderr)(const char *data, size_t len, void *user, GError **error);
    // Asked after either: true when the command itself has said that it came to its end. Then nobody waits for the
    // server's word, which comes later, and not at all while something that the command started holds its output open;
    // the connection is closed, and the end is `started` with exit code 0. NULL: the server's word is waited for.
    bool (*is_over)(void *user);
    void *user;
} KubeCommand;

typedef struct {
    bool started;  // false: the container's runtime could not start the program, so nothing ran; `message` says why
    bool stopped;  // then: because the container itself does not run
    int exit_code; // of the command; 0 for attach
    char *message; // of the server; NULL: none. On one line, at most 2 KiB
} KubeCommandEnd;
void kube_command_end_clear(KubeCommandEnd *end);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(KubeCommandEnd, kube_command_end_clear)

// Runs the command and waits for its end. True when the server told how it ended, or that it could not start. Errors as
// of all calls; UNAVAILABLE when the connection broke, then the command may run on. CAUTION: an API server that loses
// its own connection to the kubelet may call that a success: where this matters, have the command say itself, as the
// last thing, that it came to its end. Is not repeated once the server took the upgrade. Permissions: `get` of
// pods/exec for a WebSocket, and `create` too on servers from 1.35 on.
bool kube_command_run(KubeClient *client, const char *pod_namespace, const char *pod, const KubeCommand *command,
                      const KubeCall *call, KubeCommandEnd *end, GError **error);

// For the tests and the fuzzer: what the Status on the error channel says. False: the server lost the command, or it is
// no Status.
bool kube_command_status(const char *json, size_t len, KubeCommandEnd *end, GError **error);
