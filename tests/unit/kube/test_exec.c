// Credential plug-ins, as shell scripts.
#include "base/error.h"
#include "fake_api.h"
#include "kube/kube_config_internal.h"
#include "scratch.h"

#include <fcntl.h>
#include <signal.h>

#define V1 "client.authentication.k8s.io/v1"
#define ANSWER(status) "{\"apiVersion\":\"" V1 "\",\"kind\":\"ExecCredential\",\"status\":" status "}"

static KubeExec *exec_of(const char *command) {
    KubeExec *exec = kube_exec_new();
    exec->command = g_strdup(command);
    exec->api_version = g_strdup(V1);
    exec->info = g_strdup("{}");
    return exec;
}

static KubeExec *shell(const char *script) {
    KubeExec *exec = exec_of("sh");
    g_ptr_array_add(exec->args, g_strdup("-c"));
    g_ptr_array_add(exec->args, g_strdup(script));
    return exec;
}

static char *run_for_error(const char *script, int64_t timeout_us, StoopError code) {
    KubeExec *exec = shell(script);
    g_auto(KubeCredential) credential = {0};
    g_autoptr(GError) error = NULL;
    g_assert_false(kube_exec_run(exec, timeout_us, NULL, &credential, &error));
    g_assert_error(error, STOOP_ERROR, (gint)code);
    kube_exec_free(exec);
    return g_strdup(error->message);
}

static void test_parse(void) {
    static const struct {
        const char *json, *wrong; // NULL: fine
    } cases[] = {
        {ANSWER("{\"token\":\"t\"}"), NULL},
        {ANSWER("{\"token\":\"t\",\"expirationTimestamp\":\"2026-01-01T00:00:00Z\"}"), NULL},
        {ANSWER("{\"clientCertificateData\":\"c\",\"clientKeyData\":\"k\"}"), NULL},
        {"", "not JSON"},
        {"[]", "no ExecCredential"},
        {"{\"apiVersion\":\"v1\",\"kind\":\"ExecCredential\"}", "another apiVersion"},
        {ANSWER("{}"), "neither"},
        {ANSWER("{\"token\":\"\"}"), "neither"},
        {ANSWER("{\"token\":7}"), "neither"},
        {ANSWER("null"), "neither"},
        {ANSWER("{\"clientKeyData\":\"k\",\"token\":\"t\"}"), "without the other"},
        {ANSWER("{\"token\":\"t\",\"expirationTimestamp\":\"soon\"}"), "RFC 3339"},
    };
    KubeExec *exec = exec_of("x");
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_test_message("case %zu", i);
        g_auto(KubeCredential) credential = {0};
        g_autoptr(GError) error = NULL;
        bool ok = kube_exec_parse(exec, cases[i].json, strlen(cases[i].json), &credential, &error);
        g_assert_cmpint(ok, ==, cases[i].wrong == NULL);
        if (cases[i].wrong)
            assert_text_has(error->message, cases[i].wrong);
    }
    kube_exec_free(exec);
}

static void test_times(void) {
    static const struct {
        const char *text;
        int64_t seconds; // -1: none
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"2026-01-01T00:00:00Z", 1767225600},
        {"2026-01-01T00:00:00.123456789Z", 1767225600},
        {"2026-01-01T01:30:00+01:30", 1767225600},
        {"2025-12-31T19:00:00-05:00", 1767225600},
        {"2024-02-29T12:00:00Z", 1709208000},
        {"2026-13-01T00:00:00Z", -1},
        {"2026-01-01T24:00:00Z", -1},
        {"2026-01-01 00:00:00Z", -1},
        {"2026-01-01T00:00:00", -1},
        {"2026-01-01T00:00:00Zx", -1},
        {"2026-01-01T00:00:00+1:00", -1},
        {"", -1},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        int64_t ns = -1000000000;
        g_test_message("%s", cases[i].text);
        g_assert_cmpint(kube_time_parse(cases[i].text, &ns), ==, cases[i].seconds >= 0);
        g_assert_cmpint(ns / 1000000000, ==, cases[i].seconds);
    }
    int64_t ns = 0;
    g_assert_true(kube_time_parse("9999-12-31T23:59:59Z", &ns));
    g_assert_cmpint(ns, ==, INT64_MAX);
}

// What a plug-in sees: its arguments, its environment and ours, an empty input, no descriptor of ours, no blocked
// signal.
static void test_run(void) {
    g_setenv("STOOP_TEST_INHERITED", "inherited", TRUE);
    g_setenv("STOOP_TEST_REPLACED", "old", TRUE);
    int ours = open("/dev/null", O_RDONLY);
    KubeExec *exec = shell("read -r line && exit 9; test -e /proc/self/fd/19 && exit 8; "
                           "printf '{\"apiVersion\":\"%s\",\"kind\":\"ExecCredential\",\"status\":{\"token\":\"%s\"}}' "
                           "" V1 " \"$1,$STOOP_TEST_INHERITED,$STOOP_TEST_REPLACED,$KUBERNETES_EXEC_INFO\"");
    g_assert_cmpint(dup2(ours, 19), ==, 19);
    g_ptr_array_add(exec->args, g_strdup("sh"));
    g_ptr_array_add(exec->args, g_strdup("$(x)"));
    g_ptr_array_add(exec->env, g_strdup("STOOP_TEST_REPLACED=new=er"));
    g_free(exec->info);
    exec->info = g_strdup("info");
    g_auto(KubeCredential) credential = {0};
    g_autoptr(GError) error = NULL;
    g_assert_true(kube_exec_run(exec, 30000000, NULL, &credential, &error));
    g_assert_no_error(error);
    g_assert_cmpstr(credential.token, ==, "$(x),inherited,new=er,info");
    g_assert_cmpint(credential.expires_ns, ==, 0);
    kube_exec_free(exec);
    close(19);
    close(ours);
}

static void test_failures(void) {
    g_autofree char *status =
        run_for_error("echo nothing; echo '  no\n login ' >&2; exit 3", 30000000, STOOP_ERROR_UNAUTHENTICATED);
    assert_text_has(status, "exec plug-in 'sh' ended with status 3: no  login");
    g_autofree char *killed = run_for_error("kill -TERM $$", 30000000, STOOP_ERROR_UNAUTHENTICATED);
    assert_text_has(killed, "was ended by signal 15");
    g_autofree char *text = run_for_error("echo hello", 30000000, STOOP_ERROR_UNAUTHENTICATED);
    assert_text_has(text, "is not JSON");
    g_autofree char *large = run_for_error("yes", 30000000, STOOP_ERROR_TOO_LARGE);
    assert_text_has(large, "more than 1 MiB");
    g_autofree char *slow = run_for_error("echo waiting for a browser >&2; sleep 60", 300000, STOOP_ERROR_TIMEOUT);
    assert_text_has(slow, "gave no answer within 0.3 s: waiting for a browser");
    g_autofree char *tail =
        run_for_error("yes x | head -c 100000 >&2; echo the end >&2; exit 1", 30000000, STOOP_ERROR_UNAUTHENTICATED);
    assert_text_has(tail, "the end");
    g_assert_cmpuint(strlen(tail), <, 3000);
}

// A daemon that the plug-in leaves behind keeps its output open: it is not waited for.
static void test_left_behind(void) {
    KubeExec *exec = shell("sleep 20 & echo '" ANSWER("{\"token\":\"t\"}") "'");
    g_auto(KubeCredential) credential = {0};
    gint64 began = g_get_monotonic_time();
    g_assert_true(kube_exec_run(exec, 15000000, NULL, &credential, NULL));
    g_assert_cmpint(g_get_monotonic_time() - began, <, 10000000);
    kube_exec_free(exec);
}

static void test_cancelled(void) {
    KubeExec *exec = shell("sleep 60");
    Cancel cancel = {0};
    cancel_set(&cancel);
    g_auto(KubeCredential) credential = {0};
    g_autoptr(GError) error = NULL;
    g_assert_false(kube_exec_run(exec, 30000000, &cancel, &credential, &error));
    g_assert_error(error, STOOP_ERROR, STOOP_ERROR_CANCELLED);
    kube_exec_free(exec);
}

static void test_missing(void) {
    KubeExec *exec = exec_of("stoop-no-such-plugin");
    exec->install_hint = g_strdup("Install it with: make plugin");
    g_auto(KubeCredential) credential = {0};
    g_autoptr(GError) error = NULL;
    g_assert_false(kube_exec_run(exec, 30000000, NULL, &credential, &error));
    assert_text_has(error->message, "'stoop-no-such-plugin' cannot be run: No such file or directory\nInstall it with");
    kube_exec_free(exec);
}

#define KUBECONFIG(cluster, exec)                                                                                      \
    "current-context: c\ncontexts: [{name: c, context: {cluster: k, user: u}}]\n"                                      \
    "clusters: [{name: k, cluster: {server: 'https://api.test:6443'" cluster "}}]\n"                                   \
    "users: [{name: u, user: {exec: {apiVersion: " V1 ", command: ./plugin" exec "}}}]\n"

static KubeConfig *load(const Scratch *scratch, const char *kubeconfig, const char *script) {
    scratch_write(scratch, "plugin", script, 0700);
    scratch_write(scratch, "kc", kubeconfig, 0600);
    g_autofree char *path = scratch_path(scratch, "kc");
    GError *error = NULL;
    KubeConfig *config = kube_config_load(path, &error);
    g_assert_no_error(error);
    return config;
}

// A relative command is of the kubeconfig's folder. Each run gives another token, until it expires.
static const char COUNTING[] = "#!/bin/sh\ncd \"$(dirname \"$0\")\"\necho x >> runs\n"
                               "printf '{\"apiVersion\":\"" V1 "\",\"kind\":\"ExecCredential\",\"status\":{\"token\":"
                               "\"%d\",\"expirationTimestamp\":\"2026-01-01T00:01:00Z\"}}' $(wc -l < runs)\n";

static char *counting_forever(void) {
    char *script = g_strdup(COUNTING);
    memcpy(strstr(script, "2026-01-01"), "9999", 4);
    return script;
}

static void test_expiry(void) {
    g_auto(Scratch) scratch = scratch_new();
    KubeConfig *config = load(&scratch, KUBECONFIG("", ""), COUNTING);
    g_autoptr(FakeApi) api = fake_api_new_with(config);
    g_autofree char *first = NULL, *second = NULL, *third = NULL, *fourth = NULL;
    g_assert_true(kube_config_authorization(config, false, &first, NULL));
    g_assert_cmpstr(first, ==, "Bearer 1");
    api->now_us += 59000000;
    g_assert_true(kube_config_authorization(config, false, &second, NULL));
    g_assert_cmpstr(second, ==, "Bearer 1");
    g_assert_true(kube_config_authorization(config, true, &third, NULL));
    g_assert_cmpstr(third, ==, "Bearer 2");
    api->now_us += 1000000;
    g_assert_true(kube_config_authorization(config, false, &fourth, NULL));
    g_assert_cmpstr(fourth, ==, "Bearer 3");
}

static void test_401(void) {
    g_auto(Scratch) scratch = scratch_new();
    g_autofree char *script = counting_forever();
    g_autoptr(FakeApi) api = fake_api_new_with(load(&scratch, KUBECONFIG("", ""), script));
    // The plug-in runs by the machine's clock, so the deadline must be far in that one too.
    api->now_us = g_get_monotonic_time();
    KubePath node = KUBE_NODE("n");
    static const char *const headers[] = {"Authorization: Bearer 1", "Authorization: Bearer 2"};
    for (size_t i = 0; i < 2; i++)
        fake_api_expect(
            api,
            (FakeStep){.method = "GET", .path = "/api/v1/nodes/n", .headers = {headers[i]}, .status = i ? 403 : 401});
    KubeCall call = fake_api_call(api, 60);
    g_auto(KubeObject) object = {0};
    g_autoptr(GError) error = NULL;
    g_assert_false(kube_get(api->client, &node, &call, &object, &error));
    g_assert_error(error, STOOP_ERROR, STOOP_ERROR_FORBIDDEN);
}

// A new credential is tried once, not for ever.
static void test_401_again(void) {
    g_auto(Scratch) scratch = scratch_new();
    g_autofree char *script = counting_forever();
    g_autoptr(FakeApi) api = fake_api_new_with(load(&scratch, KUBECONFIG("", ""), script));
    api->now_us = g_get_monotonic_time();
    KubePath node = KUBE_NODE("n");
    for (size_t i = 0; i < 2; i++)
        fake_api_expect(api, (FakeStep){.method = "GET", .path = "/api/v1/nodes/n", .status = 401});
    KubeCall call = fake_api_call(api, 60);
    g_auto(KubeObject) object = {0};
    g_autoptr(GError) error = NULL;
    g_assert_false(kube_get(api->client, &node, &call, &object, &error));
    g_assert_error(error, STOOP_ERROR, STOOP_ERROR_UNAUTHENTICATED);
}

static void test_cluster_info(void) {
    g_auto(Scratch) scratch = scratch_new();
    g_autoptr(KubeConfig) config = load(
        &scratch,
        KUBECONFIG(", tls-server-name: n, insecure-skip-tls-verify: yes, extensions: [{name: other, extension: 1}, "
                   "{name: client.authentication.k8s.io/exec, extension: {audience: \"a\\\"b\", n: 12, s: '12', "
                   "t: true, z: null, l: [x, 007]}}]",
                   ", provideClusterInfo: true, args: [a, 1], env: [{name: N, value: v}]"),
        "#!/bin/sh\n");
    g_assert_cmpstr(config->exec->info, ==,
                    "{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1
                    "\",\"spec\":{\"interactive\":false,\"cluster\":{\"server\":\"https://api.test:6443\","
                    "\"tls-server-name\":\"n\",\"insecure-skip-tls-verify\":true,\"config\":{\"audience\":\"a\\\"b\","
                    "\"n\":12,\"s\":\"12\",\"t\":true,\"z\":null,\"l\":[\"x\",\"007\"]}}}}");
    g_assert_cmpuint(config->exec->args->len, ==, 2);
    g_assert_cmpstr(config->exec->env->pdata[0], ==, "N=v");
    scratch_write(&scratch, "ca", "PEM", 0600);
    g_autoptr(KubeConfig) with_ca =
        load(&scratch, KUBECONFIG(", certificate-authority: ca", ", provideClusterInfo: true"), "#!/bin/sh\n");
    g_assert_cmpstr(with_ca->exec->info, ==,
                    "{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1
                    "\",\"spec\":{\"interactive\":false,\"cluster\":{\"server\":\"https://api.test:6443\","
                    "\"certificate-authority-data\":\"UEVN\"}}}");
    g_autoptr(KubeConfig) plain = load(&scratch, KUBECONFIG("", ""), "#!/bin/sh\n");
    g_assert_cmpstr(plain->exec->info, ==,
                    "{\"kind\":\"ExecCredential\",\"apiVersion\":\"" V1 "\",\"spec\":{\"interactive\":false}}");
}

static void test_certificate(void) {
    g_auto(Scratch) scratch = scratch_new();
    g_autoptr(KubeConfig) config =
        load(&scratch, KUBECONFIG("", ""),
             "#!/bin/sh\necho '" ANSWER("{\"clientCertificateData\":\"C\",\"clientKeyData\":\"K\"}") "'\n");
    g_auto(KubeTls) tls = {0};
    bool changed = false;
    g_autoptr(GError) error = NULL;
    g_assert_true(kube_config_tls(config, &tls, &changed, &error));
    g_assert_no_error(error);
    g_assert_cmpstr(tls.cert_pem, ==, "C");
    g_assert_cmpstr(tls.key_pem, ==, "K");
    char *header = NULL;
    g_assert_true(kube_config_authorization(config, false, &header, NULL));
    g_assert_null(header);
}

// Threads that come while the plug-in runs wait for its one result.
static void *ask(void *user) {
    g_autoptr(KubeAuth) auth = NULL;
    GError *error = NULL;
    g_assert_true(kube_config_auth(user, false, NULL, 0, NULL, &auth, &error));
    g_assert_no_error(error);
    g_assert_cmpstr(auth->line, ==, "Authorization: Bearer 1");
    return NULL;
}

static void test_together(void) {
    g_auto(Scratch) scratch = scratch_new();
    g_autofree char *counting = counting_forever();
    g_autofree char *script = g_strconcat(counting, "sleep 0.2\n", NULL);
    g_autoptr(KubeConfig) config = load(&scratch, KUBECONFIG("", ""), script);
    pthread_t threads[6];
    for (size_t i = 0; i < G_N_ELEMENTS(threads); i++)
        g_assert_true(thread_start(&threads[i], "test", 0, ask, config, NULL));
    for (size_t i = 0; i < G_N_ELEMENTS(threads); i++)
        pthread_join(threads[i], NULL);
}

// Threads that were refused the same credential fetch one new one.
typedef struct {
    KubeConfig *config;
    KubeAuth *had;
} Refused;

static void *ask_anew(void *user) {
    Refused *refused = user;
    g_autoptr(KubeAuth) auth = NULL;
    GError *error = NULL;
    g_assert_true(kube_config_auth(refused->config, true, refused->had, 0, NULL, &auth, &error));
    g_assert_no_error(error);
    g_assert_cmpstr(auth->line, ==, "Authorization: Bearer 2");
    return NULL;
}

static void test_refused_together(void) {
    g_auto(Scratch) scratch = scratch_new();
    g_autofree char *counting = counting_forever();
    g_autofree char *script = g_strconcat(counting, "sleep 0.2\n", NULL);
    g_autoptr(KubeConfig) config = load(&scratch, KUBECONFIG("", ""), script);
    g_autoptr(KubeAuth) had = NULL;
    g_assert_true(kube_config_auth(config, false, NULL, 0, NULL, &had, NULL));
    Refused refused = {config, had};
    pthread_t threads[6];
    for (size_t i = 0; i < G_N_ELEMENTS(threads); i++)
        g_assert_true(thread_start(&threads[i], "test", 0, ask_anew, &refused, NULL));
    for (size_t i = 0; i < G_N_ELEMENTS(threads); i++)
        pthread_join(threads[i], NULL);
}

// What the plug-in started is ended with it.
static void test_children_end(void) {
    g_auto(Scratch) scratch = scratch_new();
    g_autofree char *path = scratch_path(&scratch, "pid");
    g_autofree char *script = g_strdup_printf("sleep 60 & echo $! > '%s'; wait", path);
    g_autofree char *text = run_for_error(script, 2000000, STOOP_ERROR_TIMEOUT);
    assert_text_has(text, "gave no answer within 2.0 s");
    g_autofree char *pid = NULL;
    g_assert_true(g_file_get_contents(path, &pid, NULL, NULL));
    g_autofree char *proc = g_strdup_printf("/proc/%s/stat", g_strstrip(pid));
    bool gone = false;
    for (int i = 0; i < 5000 && !gone; i++) {
        g_autofree char *stat = NULL;
        // Gone, or a zombie that its adoptive parent has not fetched.
        gone = !g_file_get_contents(proc, &stat, NULL, NULL) || strstr(stat, ") Z ");
        if (!gone)
            g_usleep(1000);
    }
    g_assert_true(gone);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/kube/exec/parse", test_parse);
    g_test_add_func("/kube/exec/times", test_times);
    g_test_add_func("/kube/exec/run", test_run);
    g_test_add_func("/kube/exec/failures", test_failures);
    g_test_add_func("/kube/exec/left-behind", test_left_behind);
    g_test_add_func("/kube/exec/cancelled", test_cancelled);
    g_test_add_func("/kube/exec/missing", test_missing);
    g_test_add_func("/kube/exec/expiry", test_expiry);
    g_test_add_func("/kube/exec/401", test_401);
    g_test_add_func("/kube/exec/401-again", test_401_again);
    g_test_add_func("/kube/exec/refused-together", test_refused_together);
    g_test_add_func("/kube/exec/children-end", test_children_end);
    g_test_add_func("/kube/exec/cluster-info", test_cluster_info);
    g_test_add_func("/kube/exec/certificate", test_certificate);
    g_test_add_func("/kube/exec/together", test_together);
    return g_test_run();
}
