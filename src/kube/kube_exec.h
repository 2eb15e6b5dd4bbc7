// Internal to kube/: credential plug-ins, programs that print a credential (as cloud CLIs do).
// https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
#pragma once

#include "base/cancel.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct {
    char *command;        // a name for PATH, or a path
    GPtrArray *args;      // of char *
    GPtrArray *env;       // of char *, "NAME=value"
    char *api_version;    // client.authentication.k8s.io/v1 or /v1beta1
    char *install_hint;   // NULL: none
    char *where;          // "file:line:column"
    bool cluster_wanted;  // provideClusterInfo
    char *cluster_config; // JSON of the cluster's extension for plug-ins; NULL: none
    char *info;           // the text of KUBERNETES_EXEC_INFO
} KubeExec;

void kube_exec_free(KubeExec *exec); // NULL is fine
KubeExec *kube_exec_new(void);

typedef struct {
    char *token;              // NULL: none
    char *cert_pem, *key_pem; // NULL: none
    int64_t expires_ns;       // clock_realtime_ns; 0: never
} KubeCredential;
void kube_credential_clear(KubeCredential *credential);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(KubeCredential, kube_credential_clear)

// Runs the program, at most `timeout_us` (real time), and reads its answer. It sees our environment and its own, reads
// nothing, and is killed with its children when it takes too long or `cancel` is set.
bool kube_exec_run(const KubeExec *exec, int64_t timeout_us, const Cancel *cancel, KubeCredential *credential,
                   GError **error);

// Reads an ExecCredential document. For kube_exec_run and the tests.
bool kube_exec_parse(const KubeExec *exec, const char *json, size_t len, KubeCredential *credential, GError **error);

// Seconds since 1970 of an RFC 3339 time, as nanoseconds; false when it is none.
bool kube_time_parse(const char *text, int64_t *ns);
