#include "kube/kube_config.h"

#include "base/buf.h"
#include "base/error.h"
#include "kube/kube_config_internal.h"
#include "kube/kube_config_parse.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static const int64_t TOKEN_CHECK_US = 1000000;
static const int64_t EXEC_TIMEOUT_US = 30000000;

KubeAuth *kube_auth_ref(KubeAuth *auth) {
    atomic_fetch_add_explicit(&auth->references, 1, memory_order_relaxed);
    return auth;
}

void kube_auth_unref(KubeAuth *auth) {
    if (auth && atomic_fetch_sub_explicit(&auth->references, 1, memory_order_acq_rel) == 1)
        g_free(auth);
}

KubeConfig *kube_config_new_empty(void) {
    KubeConfig *config = g_new0(KubeConfig, 1);
    mutex_init(&config->lock);
    cond_init(&config->ran);
    config->clock = clock_system();
    return config;
}

static void file_clear(KubeFile *file) {
    g_free(file->path);
    g_free(file->where);
    g_free(file->what);
    *file = (KubeFile){0};
}

void kube_config_free(KubeConfig *config) {
    if (!config)
        return;
    g_free(config->server);
    g_free(config->namespace_name);
    g_free(config->server_name);
    g_free(config->proxy);
    file_clear(&config->ca_file);
    file_clear(&config->cert_file);
    file_clear(&config->key_file);
    file_clear(&config->token_file);
    g_free(config->ca_pem);
    g_free(config->cert_pem);
    g_free(config->key_pem);
    g_free(config->token);
    g_free(config->username);
    g_free(config->password);
    kube_exec_free(config->exec);
    kube_auth_unref(config->auth);
    kube_credential_clear(&config->credential);
    kube_tls_clear(&config->last);
    cond_destroy(&config->ran);
    mutex_destroy(&config->lock);
    g_free(config);
}

void kube_config_set_clock(KubeConfig *config, const Clock *clock) {
    config->clock = clock;
}

const char *kube_config_server(const KubeConfig *config) {
    return config->server;
}

const char *kube_config_namespace(const KubeConfig *config) {
    return config->namespace_name && *config->namespace_name ? config->namespace_name : "default";
}

char *kube_file_read(const char *path, size_t *len, GError **error) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        stoop_error_set_errno(error, errno, "cannot open '%s'", path);
        return NULL;
    }
    g_auto(Buf) text = BUF_INIT(KUBE_FILE_MAX);
    struct stat st;
    int failed = fstat(fd, &st) != 0 ? errno : 0;
    bool regular = !failed && S_ISREG(st.st_mode);
    if (regular)
        failed = buf_read_fd(&text, fd);
    close(fd);
    bool fits = failed != EFBIG;
    if (failed && fits) {
        stoop_error_set_errno(error, failed, "cannot read '%s'", path);
        return NULL;
    }
    if (!regular || !fits) {
        g_set_error(error, STOOP_ERROR, regular ? STOOP_ERROR_TOO_LARGE : STOOP_ERROR_INVALID, "'%s' is %s", path,
                    regular ? "larger than 1 MiB" : "no regular file");
        return NULL;
    }
    if (len)
        *len = text.len;
    return buf_steal(&text);
}

// Reads a file that the configuration names; the error says where it does.
static char *named_file_read(const KubeFile *file, GError **error) {
    char *text = kube_file_read(file->path, NULL, error);
    if (!text)
        g_prefix_error(error, "%s: %s: ", file->where, file->what);
    return text;
}

static char *token_file_read(const KubeFile *file, GError **error) {
    g_autofree char *text = named_file_read(file, error);
    if (!text)
        return NULL;
    g_strstrip(text);
    if (*text)
        return g_steal_pointer(&text);
    g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID, "%s: %s: '%s' is empty", file->where, file->what, file->path);
    return NULL;
}

KubeConfig *kube_config_load(const char *path, GError **error) {
    size_t len = 0;
    g_autofree char *text = kube_file_read(path, &len, error);
    if (!text) {
        g_prefix_error(error, "kubeconfig: ");
        return NULL;
    }
    g_autoptr(KubeConfig) config = kube_config_parse(text, len, path, error);
    if (!config)
        return NULL;
    // Files that are missing are told now, when somebody looks, and not at the first action.
    const KubeFile *files[] = {&config->ca_file, &config->cert_file, &config->key_file, &config->token_file};
    for (size_t i = 0; i < G_N_ELEMENTS(files); i++) {
        if (!files[i]->path)
            continue;
        g_autofree char *content = named_file_read(files[i], error);
        if (!content)
            return NULL;
        if (files[i] == &config->ca_file && config->exec)
            kube_config_set_exec_info(config, content);
    }
    return g_steal_pointer(&config);
}

static void name_file(KubeFile *file, const char *folder, const char *name, const char *what) {
    file->path = g_build_filename(folder, name, NULL);
    file->where = g_strdup("in-cluster");
    file->what = g_strdup(what);
}

KubeConfig *kube_config_in_cluster(const char *folder, GError **error) {
    if (!folder)
        folder = "/var/run/secrets/kubernetes.io/serviceaccount";
    const char *host = g_getenv("KUBERNETES_SERVICE_HOST"); // lint: getenv ok: how a cluster tells its pods
    const char *port = g_getenv("KUBERNETES_SERVICE_PORT"); // lint: getenv ok: the same
    if (!host || !*host || !port || !*port) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID,
                    "not in a cluster: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set; set "
                    "`kubeconfig` to the path of a kubeconfig file");
        return NULL;
    }
    guint64 number = 0;
    if (!g_ascii_string_to_unsigned(port, 10, 1, 65535, &number, NULL)) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID, "KUBERNETES_SERVICE_PORT is '%s', which is no port", port);
        return NULL;
    }
    if (host[strcspn(host, "/?#@\\ \t\r\n")]) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID, "KUBERNETES_SERVICE_HOST is '%s', which is no host", host);
        return NULL;
    }
    g_autoptr(KubeConfig) config = kube_config_new_empty();
    bool bare_ipv6 = strchr(host, ':') && *host != '[';
    config->server =
        g_strdup_printf("https://%s%s%s:%u", bare_ipv6 ? "[" : "", host, bare_ipv6 ? "]" : "", (unsigned)number);
    name_file(&config->token_file, folder, "token", "service account token");
    name_file(&config->ca_file, folder, "ca.crt", "cluster CA");
    g_autofree char *token = token_file_read(&config->token_file, error);
    if (!token)
        return NULL;
    g_autofree char *ca = named_file_read(&config->ca_file, error);
    if (!ca)
        return NULL;
    g_autofree char *namespace_path = g_build_filename(folder, "namespace", NULL);
    config->namespace_name = kube_file_read(namespace_path, NULL, NULL);
    if (config->namespace_name)
        g_strstrip(config->namespace_name);
    return g_steal_pointer(&config);
}

static KubeAuth *auth_new(const char *scheme, const char *value, const char *where, GError **error) {
    for (const char *c = value; *c; c++) {
        if ((unsigned char)*c <= 0x20 || *c == 0x7f) {
            g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID, "%s: the token has a space or control character",
                        where);
            return NULL;
        }
    }
    g_autofree char *line = g_strconcat("Authorization: ", scheme, " ", value, NULL);
    KubeAuth *auth = g_malloc(sizeof *auth + strlen(line) + 1);
    atomic_init(&auth->references, 1);
    memcpy(auth->line, line, strlen(line) + 1);
    return auth;
}

// With the lock held. Puts `auth` (taken over) in place, unless it says the same as the one we have: callers tell by
// the pointer whether there is something new.
static void replace_auth(KubeConfig *config, KubeAuth *auth) {
    if (config->auth && strcmp(config->auth->line, auth->line) == 0) {
        kube_auth_unref(auth);
        return;
    }
    kube_auth_unref(config->auth);
    config->auth = auth;
}

static bool same_file(const struct stat *a, const struct stat *b) {
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

// With the lock held. A file that cannot be read for a moment, as while it is replaced, leaves the token that we have.
static bool refresh_token_file(KubeConfig *config, bool refused, GError **error) {
    int64_t now = clock_monotonic_us(config->clock);
    if (config->auth && !refused && now - config->token_checked_us < TOKEN_CHECK_US)
        return true;
    config->token_checked_us = now;
    struct stat st = {0};
    bool there = stat(config->token_file.path, &st) == 0;
    if (config->auth && !refused && (!there || same_file(&st, &config->token_stat)))
        return true;
    g_autoptr(GError) failure = NULL;
    g_autofree char *token = token_file_read(&config->token_file, &failure);
    KubeAuth *auth = token ? auth_new("Bearer", token, config->token_file.path, &failure) : NULL;
    if (!auth && !config->auth && config->token)
        auth = auth_new("Bearer", config->token, "kubeconfig", NULL);
    if (auth) {
        replace_auth(config, auth);
        config->token_stat = st;
    }
    if (config->auth)
        return true;
    g_propagate_error(error, g_steal_pointer(&failure));
    return false;
}

static bool refresh_fixed(KubeConfig *config, GError **error) {
    if (config->auth || (!config->token && !config->username))
        return true;
    if (config->token) {
        config->auth = auth_new("Bearer", config->token, "kubeconfig", error);
    } else {
        g_autofree char *pair = g_strconcat(config->username, ":", config->password ? config->password : "", NULL);
        g_autofree char *encoded = g_base64_encode((const guchar *)pair, strlen(pair));
        config->auth = auth_new("Basic", encoded, "kubeconfig", error);
    }
    return config->auth != NULL;
}

// With the lock held.
static bool credential_is_good(KubeConfig *config) {
    int64_t expires = config->credential.expires_ns;
    return config->has_credential && (expires == 0 || clock_realtime_ns(config->clock) < expires);
}

// With the lock held, which is let go while the program runs. One thread runs it; others that come meanwhile wait for
// its result. `force`: also when the credential has not expired.
static bool refresh_exec(KubeConfig *config, bool force, int64_t deadline_us, const Cancel *cancel, GError **error) {
    while (config->running) {
        force = false;
        if (deadline_us == 0)
            cond_wait(&config->ran, &config->lock);
        else if (!cond_wait_until(&config->ran, &config->lock, deadline_us) && config->running) {
            g_set_error(error, STOOP_ERROR, STOOP_ERROR_TIMEOUT, "%s: exec plug-in '%s' has given no answer yet",
                        config->exec->where, config->exec->command);
            return false;
        }
    }
    if (!force && credential_is_good(config))
        return true;
    int64_t timeout_us = EXEC_TIMEOUT_US;
    if (deadline_us != 0)
        timeout_us = CLAMP(deadline_us - clock_monotonic_us(config->clock), 0, timeout_us);
    config->running = true;
    mutex_unlock(&config->lock);
    g_auto(KubeCredential) fresh = {0};
    bool ok = kube_exec_run(config->exec, timeout_us, cancel, &fresh, error);
    KubeAuth *auth = ok && fresh.token ? auth_new("Bearer", fresh.token, config->exec->where, error) : NULL;
    ok = ok && (auth || !fresh.token);
    mutex_lock(&config->lock);
    config->running = false;
    if (ok) {
        if (auth)
            replace_auth(config, auth);
        else
            g_clear_pointer(&config->auth, kube_auth_unref);
        kube_credential_clear(&config->credential);
        config->credential = fresh;
        fresh = (KubeCredential){0};
        config->has_credential = true;
    }
    cond_broadcast(&config->ran);
    return ok;
}

// With the lock held.
static bool refresh_auth(KubeConfig *config, bool refused, int64_t deadline_us, const Cancel *cancel, GError **error) {
    if (config->token_file.path)
        return refresh_token_file(config, refused, error);
    if (config->exec)
        return refresh_exec(config, refused, deadline_us, cancel, error);
    return refresh_fixed(config, error);
}

bool kube_config_auth(KubeConfig *config, bool refused, const KubeAuth *had, int64_t deadline_us, const Cancel *cancel,
                      KubeAuth **auth, GError **error) {
    mutex_lock(&config->lock);
    // Somebody else may have fetched a new one since.
    bool stale = refused && had == config->auth;
    bool ok = refresh_auth(config, stale, deadline_us, cancel, error);
    if (ok)
        *auth = config->auth ? kube_auth_ref(config->auth) : NULL;
    mutex_unlock(&config->lock);
    return ok;
}

bool kube_config_authorization(KubeConfig *config, bool refresh, char **header, GError **error) {
    mutex_lock(&config->lock);
    bool ok = refresh_auth(config, refresh, 0, NULL, error);
    if (ok)
        *header = config->auth ? g_strdup(config->auth->line + strlen("Authorization: ")) : NULL;
    mutex_unlock(&config->lock);
    return ok;
}

void kube_tls_clear(KubeTls *tls) {
    g_free(tls->ca_pem);
    g_free(tls->cert_pem);
    g_free(tls->key_pem);
    g_free(tls->server_name);
    g_free(tls->proxy);
    *tls = (KubeTls){0};
}

static KubeTls tls_copy(const KubeTls *tls) {
    return (KubeTls){
        .ca_pem = g_strdup(tls->ca_pem),
        .cert_pem = g_strdup(tls->cert_pem),
        .key_pem = g_strdup(tls->key_pem),
        .insecure = tls->insecure,
        .server_name = g_strdup(tls->server_name),
        .proxy = g_strdup(tls->proxy),
    };
}

// `*pem` from the text, else from the file, else NULL.
static bool material(const char *given, const KubeFile *file, char **pem, GError **error) {
    if (given || !file->path) {
        *pem = g_strdup(given);
        return true;
    }
    *pem = named_file_read(file, error);
    return *pem != NULL;
}

bool kube_config_tls(KubeConfig *config, KubeTls *tls, bool *changed, GError **error) {
    g_auto(KubeTls) fresh = {
        .insecure = config->insecure,
        .server_name = g_strdup(config->server_name),
        .proxy = g_strdup(config->proxy),
    };
    if (!material(config->ca_pem, &config->ca_file, &fresh.ca_pem, error) ||
        !material(config->cert_pem, &config->cert_file, &fresh.cert_pem, error) ||
        !material(config->key_pem, &config->key_file, &fresh.key_pem, error))
        return false;
    mutex_lock(&config->lock);
    bool ok = !config->exec || refresh_exec(config, false, 0, NULL, error);
    if (ok && config->exec && config->credential.cert_pem) {
        g_free(fresh.cert_pem);
        g_free(fresh.key_pem);
        fresh.cert_pem = g_strdup(config->credential.cert_pem);
        fresh.key_pem = g_strdup(config->credential.key_pem);
    }
    if (ok) {
        const KubeTls *last = &config->last;
        if (changed)
            *changed = !config->has_last || g_strcmp0(last->ca_pem, fresh.ca_pem) != 0 ||
                       g_strcmp0(last->cert_pem, fresh.cert_pem) != 0 || g_strcmp0(last->key_pem, fresh.key_pem) != 0;
        kube_tls_clear(&config->last);
        config->last = tls_copy(&fresh);
        config->has_last = true;
        *tls = fresh;
        fresh = (KubeTls){0};
    }
    mutex_unlock(&config->lock);
    return ok;
}
