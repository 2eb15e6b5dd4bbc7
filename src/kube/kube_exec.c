#include "kube/kube_exec.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/one_line.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <yyjson.h>

enum { OUTPUT_MAX = 1 << 20, STDERR_KEPT = 2048, STEP_MS = 20 };

extern char **environ;

KubeExec *kube_exec_new(void) {
    KubeExec *exec = g_new0(KubeExec, 1);
    exec->args = g_ptr_array_new_with_free_func(g_free);
    exec->env = g_ptr_array_new_with_free_func(g_free);
    return exec;
}

void kube_exec_free(KubeExec *exec) {
    if (!exec)
        return;
    g_free(exec->command);
    g_ptr_array_unref(exec->args);
    g_ptr_array_unref(exec->env);
    g_free(exec->api_version);
    g_free(exec->install_hint);
    g_free(exec->where);
    g_free(exec->cluster_config);
    g_free(exec->info);
    g_free(exec);
}

void kube_credential_clear(KubeCredential *credential) {
    g_free(credential->token);
    g_free(credential->cert_pem);
    g_free(credential->key_pem);
    *credential = (KubeCredential){0};
}

bool kube_time_parse(const char *text, int64_t *ns) {
    int year, month, day, hour, minute, second, used = 0;
    if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d%n", &year, &month, &day, &hour, &minute, &second, &used) != 6 || !used)
        return false;
    if (year < 1970 || month < 1 || month > 12 || day < 1 || day > 31 || hour < 0 || hour > 23 || minute < 0 ||
        minute > 59 || second < 0 || second > 60)
        return false;
    const char *rest = text + used;
    if (*rest == '.')
        rest += 1 + strspn(rest + 1, "0123456789");
    int offset_s = 0;
    if (*rest == '+' || *rest == '-') {
        int hours, minutes, width = 0;
        if (sscanf(rest + 1, "%2d:%2d%n", &hours, &minutes, &width) != 2 || width != 5 || hours > 23 || minutes > 59)
            return false;
        offset_s = (*rest == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
        rest += 6;
    } else if (*rest == 'Z' || *rest == 'z') {
        rest++;
    } else {
        return false;
    }
    if (*rest)
        return false;
    struct tm tm = {.tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day, .tm_hour = hour, .tm_min = minute};
    tm.tm_sec = second;
    time_t seconds = timegm(&tm);
    // The year 2262 is where nanoseconds since 1970 leave 64 bits; a credential that late never expires.
    if (seconds > INT64_MAX / 1000000000 - 86400)
        *ns = INT64_MAX;
    else
        *ns = ((int64_t)seconds - offset_s) * 1000000000;
    return true;
}

static bool reject(const KubeExec *exec, GError **error, const char *text) {
    g_set_error(error, STOOP_ERROR, STOOP_ERROR_UNAUTHENTICATED, "%s: the answer of exec plug-in '%s' %s",
                exec->where ? exec->where : "exec", exec->command, text);
    return false;
}

bool kube_exec_parse(const KubeExec *exec, const char *json, size_t len, KubeCredential *credential, GError **error) {
    yyjson_doc *doc = yyjson_read(json, len, 0);
    if (!doc)
        return reject(exec, error, "is not JSON");
    yyjson_val *root = yyjson_doc_get_root(doc);
    yyjson_val *status = yyjson_obj_get(root, "status");
    const char *version = yyjson_get_str(yyjson_obj_get(root, "apiVersion"));
    const char *kind = yyjson_get_str(yyjson_obj_get(root, "kind"));
    const char *token = yyjson_get_str(yyjson_obj_get(status, "token"));
    const char *cert = yyjson_get_str(yyjson_obj_get(status, "clientCertificateData"));
    const char *key = yyjson_get_str(yyjson_obj_get(status, "clientKeyData"));
    const char *expires = yyjson_get_str(yyjson_obj_get(status, "expirationTimestamp"));
    bool has_token = token && *token, has_cert = cert && *cert, has_key = key && *key;
    int64_t expires_ns = 0;
    const char *wrong = NULL;
    if (g_strcmp0(kind, "ExecCredential") != 0)
        wrong = "is no ExecCredential";
    else if (g_strcmp0(version, exec->api_version) != 0)
        wrong = "has another apiVersion than the kubeconfig asks for";
    else if (has_cert != has_key)
        wrong = "has one of clientCertificateData and clientKeyData without the other";
    else if (!has_token && !has_cert)
        wrong = "has neither status.token nor status.clientCertificateData";
    else if (expires && !kube_time_parse(expires, &expires_ns))
        wrong = "has an expirationTimestamp that is no RFC 3339 time";
    if (!wrong)
        *credential = (KubeCredential){
            .token = has_token ? g_strdup(token) : NULL,
            .cert_pem = has_cert ? g_strdup(cert) : NULL,
            .key_pem = has_key ? g_strdup(key) : NULL,
            .expires_ns = expires_ns,
        };
    yyjson_doc_free(doc);
    return wrong ? reject(exec, error, wrong) : true;
}

// Everything about one run of the program.
typedef struct {
    pid_t pid;
    int out, err; // our ends; -1: closed
    Buf output;
    char tail[STDERR_KEPT];
    size_t tail_len;
    bool too_long;
} Run;

static void close_fd(int *fd) {
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void keep_tail(Run *run, const char *data, size_t len) {
    if (len >= STDERR_KEPT) {
        data += len - STDERR_KEPT;
        len = STDERR_KEPT;
    }
    size_t over = run->tail_len + len > STDERR_KEPT ? run->tail_len + len - STDERR_KEPT : 0;
    memmove(run->tail, run->tail + over, run->tail_len - over);
    memcpy(run->tail + run->tail_len - over, data, len);
    run->tail_len += len - over;
}

// Reads what is there now; closes the descriptor at its end.
static void drain(Run *run, int *fd, bool is_output) {
    char chunk[8192];
    for (;;) {
        ssize_t n = read(*fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            close_fd(fd);
            return;
        }
        if (!is_output)
            keep_tail(run, chunk, (size_t)n);
        else if (!buf_append(&run->output, chunk, (size_t)n))
            run->too_long = true;
        if (run->too_long)
            return;
    }
}

static bool spawn(const KubeExec *exec, Run *run, GError **error) {
    int out[2] = {-1, -1}, err[2] = {-1, -1};
    if (pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0) {
        stoop_error_set_errno(error, errno, "cannot make a pipe for exec plug-in '%s'", exec->command);
        close_fd(&out[0]);
        close_fd(&out[1]);
        return false;
    }
    // Only our ends: the program may expect to write without looking for EAGAIN.
    fcntl(out[0], F_SETFL, O_NONBLOCK);
    fcntl(err[0], F_SETFL, O_NONBLOCK);

    g_autoptr(GPtrArray) argv = g_ptr_array_new();
    g_ptr_array_add(argv, exec->command);
    for (guint i = 0; i < exec->args->len; i++)
        g_ptr_array_add(argv, exec->args->pdata[i]);
    g_ptr_array_add(argv, NULL);

    // Later settings of one name win in a shell, but not everywhere: so ours replace the inherited ones.
    g_auto(GStrv) env = g_strdupv(environ);
    for (guint i = 0; i < exec->env->len; i++) {
        const char *pair = exec->env->pdata[i];
        g_autofree char *name = g_strndup(pair, strcspn(pair, "="));
        env = g_environ_setenv(env, name, pair + strlen(name) + 1, TRUE);
    }
    env = g_environ_setenv(env, "KUBERNETES_EXEC_INFO", exec->info, TRUE);

    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    posix_spawn_file_actions_adddup2(&actions, err[1], 2);
    posix_spawn_file_actions_addclosefrom_np(&actions, 3);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    int failed = posix_spawnp(&run->pid, exec->command, &actions, &attributes, (char **)argv->pdata, env);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    close_fd(&out[1]);
    close_fd(&err[1]);
    run->out = out[0];
    run->err = err[0];
    if (!failed)
        return true;
    close_fd(&run->out);
    close_fd(&run->err);
    bool hint = failed == ENOENT && exec->install_hint && *exec->install_hint;
    g_set_error(error, STOOP_ERROR, STOOP_ERROR_UNAUTHENTICATED, "%s: exec plug-in '%s' cannot be run: %s%s%s",
                exec->where ? exec->where : "exec", exec->command, g_strerror(failed), hint ? "\n" : "",
                hint ? exec->install_hint : "");
    return false;
}

// What the program said at last, fit for one error text.
static char *tail_text(const Run *run) {
    g_autofree char *valid = one_line(run->tail, run->tail_len, run->tail_len);
    return *valid ? g_strconcat(": ", valid, NULL) : g_strdup("");
}

bool kube_exec_run(const KubeExec *exec, int64_t timeout_us, const Cancel *cancel, KubeCredential *credential,
                   GError **error) {
    g_auto(Buf) output = BUF_INIT(OUTPUT_MAX);
    Run run = {.out = -1, .err = -1, .output = output};
    const Clock *clock = clock_system();
    int64_t deadline_us = clock_monotonic_us(clock) + timeout_us;
    if (!spawn(exec, &run, error))
        return false;

    int status = 0;
    bool exited = false, late = false, cancelled = false;
    while (!exited && !run.too_long && !late && !cancelled) {
        struct pollfd fds[2] = {{.fd = run.out, .events = POLLIN}, {.fd = run.err, .events = POLLIN}};
        poll(fds, 2, run.out < 0 && run.err < 0 ? 1 : STEP_MS);
        // Asked before the pipes are read: what the program wrote before it ended is then surely seen. A child of its
        // own that keeps the pipes open is not waited for.
        exited = waitpid(run.pid, &status, WNOHANG) == run.pid;
        if (run.out >= 0)
            drain(&run, &run.out, true);
        if (run.err >= 0)
            drain(&run, &run.err, false);
        late = clock_monotonic_us(clock) >= deadline_us;
        cancelled = cancel_is_set(cancel);
    }
    if (!exited) {
        kill(-run.pid, SIGKILL);
        while (waitpid(run.pid, &status, 0) < 0 && errno == EINTR)
            continue;
    }
    close_fd(&run.out);
    close_fd(&run.err);
    output = run.output;

    const char *where = exec->where ? exec->where : "exec";
    g_autofree char *said = tail_text(&run);
    if (run.too_long)
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_TOO_LARGE, "%s: exec plug-in '%s' printed more than 1 MiB", where,
                    exec->command);
    else if (exited && WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return kube_exec_parse(exec, buf_text(&output), output.len, credential, error);
    else if (exited && WIFEXITED(status))
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_UNAUTHENTICATED, "%s: exec plug-in '%s' ended with status %d%s",
                    where, exec->command, WEXITSTATUS(status), said);
    else if (exited)
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_UNAUTHENTICATED, "%s: exec plug-in '%s' was ended by signal %d%s",
                    where, exec->command, WTERMSIG(status), said);
    else if (cancelled)
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_CANCELLED, "%s: exec plug-in '%s' was stopped", where,
                    exec->command);
    else
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_TIMEOUT, "%s: exec plug-in '%s' gave no answer within %.1f s%s",
                    where, exec->command, (double)timeout_us / 1e6, said);
    return false;
}
