// How to reach a cluster and who we are there: a kubeconfig file or the in-cluster service account.
// https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/
// https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
#pragma once

#include "base/clock.h"

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct KubeConfig KubeConfig;

// Loads `path`; relative file names in it are relative to its folder. Current context; certificate-authority(-data),
// insecure-skip-tls-verify, tls-server-name, proxy-url, client-certificate/key(-data), token, tokenFile,
// username/password, exec (v1 and v1beta1; run with its args and env, JSON answer, expirationTimestamp obeyed, bounded
// time and output). What is not supported (auth-provider) is a clear error. Errors carry file:line:column.
KubeConfig *kube_config_load(const char *path, GError **error);

// KUBERNETES_SERVICE_HOST and _PORT, and the files below `folder` (NULL:
// /var/run/secrets/kubernetes.io/serviceaccount): token, ca.crt, namespace.
KubeConfig *kube_config_in_cluster(const char *folder, GError **error);

void kube_config_free(KubeConfig *config);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KubeConfig, kube_config_free)

// Which clock tells it that a credential expired; the machine's until this is called. kube_client_new hands its own in.
void kube_config_set_clock(KubeConfig *config, const Clock *clock);

const char *kube_config_server(const KubeConfig *config);    // "https://host:port[/prefix]", no slash at the end
const char *kube_config_namespace(const KubeConfig *config); // "default" when it names none

// The Authorization header's value ("Bearer ...", "Basic ...") into `header` (g_free), or NULL where none is needed.
// Reads the token file anew when it changed (at most once a second) and runs the exec plug-in when its credential
// expired, or when `refresh` says that the server refused what we had. Thread-safe.
bool kube_config_authorization(KubeConfig *config, bool refresh, char **header, GError **error);

// TLS material as PEM (g_free each; NULL where absent). Files are read anew; `changed` tells whether anything differs
// from the call before. An exec plug-in may give the client certificate.
typedef struct {
    char *ca_pem, *cert_pem, *key_pem;
    bool insecure;
    char *server_name, *proxy;
} KubeTls;
bool kube_config_tls(KubeConfig *config, KubeTls *tls, bool *changed, GError **error);
void kube_tls_clear(KubeTls *tls);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(KubeTls, kube_tls_clear)
