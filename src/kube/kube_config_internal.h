// Internal to kube/: what a KubeConfig is made of.
#pragma once

#include "base/cancel.h"
#include "base/clock.h"
#include "base/thread.h"
#include "kube/kube_config.h"
#include "kube/kube_exec.h"

#include <stdatomic.h>
#include <sys/stat.h>

enum { KUBE_FILE_MAX = 1 << 20 }; // bytes of a token, certificate or key file

// A ready header line, "Authorization: Bearer ...", made once per credential and shared by the calls that use it.
// Counted by C11 atomics, which ThreadSanitizer sees, unlike those inside GLib.
typedef struct {
    atomic_uint references;
    char line[];
} KubeAuth;
KubeAuth *kube_auth_ref(KubeAuth *auth);
void kube_auth_unref(KubeAuth *auth); // NULL is fine
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KubeAuth, kube_auth_unref)

// A file that the configuration names, and where it does.
typedef struct {
    char *path;  // absolute or relative to the process; NULL: none
    char *where; // "file:line:column"
    char *what;  // "certificate-authority"
} KubeFile;

struct KubeConfig {
    // Fixed once loaded.
    char *server, *namespace_name, *server_name, *proxy;
    bool insecure;
    KubeFile ca_file, cert_file, key_file, token_file;
    char *ca_pem, *cert_pem, *key_pem; // given in the text
    char *token, *username, *password;
    KubeExec *exec;
    const Clock *clock;

    // What follows belongs to the lock. While a thread runs the plug-in, `running` is set and others wait for `ran`.
    Mutex lock;
    Cond ran;
    bool running;
    KubeAuth *auth;
    struct stat token_stat;
    int64_t token_checked_us;
    KubeCredential credential; // of the plug-in
    bool has_credential;
    KubeTls last; // what kube_config_tls gave before
    bool has_last;
};

KubeConfig *kube_config_new_empty(void);

// Makes what the plug-in is told; `ca_pem` (may be NULL) is the cluster's certificate authority.
void kube_config_set_exec_info(KubeConfig *config, const char *ca_pem);

// The line for the Authorization header, or NULL in `auth` when none is needed. `refused`: the server did not accept
// `had` (may be NULL: a certificate of a plug-in). Several threads that were refused the same credential fetch one new
// one together. Waits at most until `deadline_us` (0: as long as a plug-in may run).
bool kube_config_auth(KubeConfig *config, bool refused, const KubeAuth *had, int64_t deadline_us, const Cancel *cancel,
                      KubeAuth **auth, GError **error);

// Reads a small regular file whole. The text in `error` names it.
char *kube_file_read(const char *path, size_t *len, GError **error);
