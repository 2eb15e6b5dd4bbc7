// Kubeconfig files of all shapes, and the in-cluster folder.
#include "base/error.h"
#include "fake_api.h"
#include "kube/kube_config_internal.h"
#include "kube/kube_config_parse.h"
#include "scratch.h"

// "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n" and its like
#define CERT_PEM "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"
#define CERT_B64 "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCkFBPT0KLS0tLS1FTkQgQ0VSVElGSUNBVEUtLS0tLQo="
#define KEY_PEM "-----BEGIN PRIVATE KEY-----\nBB==\n-----END PRIVATE KEY-----\n"
#define KEY_B64 "LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0tCkJCPT0KLS0tLS1FTkQgUFJJVkFURSBLRVktLS0tLQo="

#define HEAD                                                                                                           \
    "apiVersion: v1\nkind: Config\ncurrent-context: prod\n"                                                            \
    "contexts:\n- name: test\n  context: {cluster: other, user: nobody}\n"                                             \
    "- name: prod\n  context:\n    cluster: c1\n    user: admin\n    namespace: shop\n"
#define CLUSTER(inner) "clusters:\n- name: c1\n  cluster: " inner "\n"
#define USER(inner) "users:\n- name: admin\n  user: " inner "\n"
#define PLAIN CLUSTER("{server: 'https://k:6443'}")

static KubeConfig *parse(const char *text, GError **error) {
    return kube_config_parse(text, strlen(text), "/etc/stoop/kc", error);
}

static char *authorization(KubeConfig *config, bool refresh) {
    char *header = NULL;
    GError *error = NULL;
    g_assert_true(kube_config_authorization(config, refresh, &header, &error));
    g_assert_no_error(error);
    return header;
}

static void test_token(void) {
    g_autoptr(GError) error = NULL;
    g_autoptr(KubeConfig) config = parse(HEAD PLAIN USER("{token: 12345}"), &error);
    g_assert_no_error(error);
    g_assert_cmpstr(kube_config_server(config), ==, "https://k:6443");
    g_assert_cmpstr(kube_config_namespace(config), ==, "shop");
    g_autofree char *header = authorization(config, false);
    g_assert_cmpstr(header, ==, "Bearer 12345");
    g_auto(KubeTls) tls = {0};
    bool changed = false;
    g_assert_true(kube_config_tls(config, &tls, &changed, &error));
    g_assert_true(changed);
    g_assert_null(tls.ca_pem);
    g_assert_null(tls.cert_pem);
    g_assert_false(tls.insecure);
}

static void test_basic(void) {
    g_autoptr(KubeConfig) config = parse(HEAD PLAIN USER("{username: aladdin, password: 'open sesame'}"), NULL);
    g_autofree char *header = authorization(config, true);
    g_assert_cmpstr(header, ==, "Basic YWxhZGRpbjpvcGVuIHNlc2FtZQ==");
}

static void test_nothing(void) {
    static const char text[] = "current-context: c\ncontexts: [{name: c, context: {cluster: k}}]\n"
                               "clusters: [{name: k, cluster: {server: 'http://localhost:8001/'}}]\nusers: null\n";
    g_autoptr(KubeConfig) config = parse(text, NULL);
    g_assert_nonnull(config);
    g_assert_cmpstr(kube_config_server(config), ==, "http://localhost:8001");
    g_assert_cmpstr(kube_config_namespace(config), ==, "default");
    g_assert_null(authorization(config, false));
}

static void test_certificates(void) {
    g_autoptr(GError) error = NULL;
    g_autoptr(KubeConfig) config =
        parse(HEAD CLUSTER("{server: 'https://k:6443/prefix//', certificate-authority-data: " CERT_B64
                           ", certificate-authority: not-looked-at, tls-server-name: api, proxy-url: 'http://p:1'}")
                  USER("{client-certificate-data: " CERT_B64 ", client-key-data: " KEY_B64 "}"),
              &error);
    g_assert_no_error(error);
    g_assert_cmpstr(kube_config_server(config), ==, "https://k:6443/prefix");
    g_assert_null(authorization(config, false));
    g_auto(KubeTls) tls = {0};
    bool changed = false;
    g_assert_true(kube_config_tls(config, &tls, &changed, NULL));
    g_assert_cmpstr(tls.ca_pem, ==, CERT_PEM);
    g_assert_cmpstr(tls.cert_pem, ==, CERT_PEM);
    g_assert_cmpstr(tls.key_pem, ==, KEY_PEM);
    g_assert_cmpstr(tls.server_name, ==, "api");
    g_assert_cmpstr(tls.proxy, ==, "http://p:1");
    kube_tls_clear(&tls);
    g_assert_true(kube_config_tls(config, &tls, &changed, NULL));
    g_assert_false(changed);
}

static void test_files(void) {
    g_auto(Scratch) scratch = scratch_new();
    scratch_write(&scratch, "ca.crt", CERT_PEM, 0600);
    scratch_write(&scratch, "me.crt", CERT_PEM, 0600);
    scratch_write(&scratch, "me.key", KEY_PEM, 0600);
    scratch_write(&scratch, "kc",
                  HEAD CLUSTER("{server: 'https://k:6443', certificate-authority: ca.crt}")
                      USER("{client-certificate: ./me.crt, client-key: me.key}"),
                  0600);
    g_autofree char *path = scratch_path(&scratch, "kc");
    g_autoptr(GError) error = NULL;
    g_autoptr(KubeConfig) config = kube_config_load(path, &error);
    g_assert_no_error(error);
    g_auto(KubeTls) tls = {0};
    bool changed = false;
    g_assert_true(kube_config_tls(config, &tls, &changed, NULL));
    g_assert_cmpstr(tls.ca_pem, ==, CERT_PEM);
    g_assert_cmpstr(tls.key_pem, ==, KEY_PEM);
    kube_tls_clear(&tls);
    scratch_write(&scratch, "ca.crt", "-----BEGIN CERTIFICATE-----\nnew\n", 0600);
    g_assert_true(kube_config_tls(config, &tls, &changed, NULL));
    g_assert_true(changed);
    g_assert_cmpstr(tls.ca_pem, ==, "-----BEGIN CERTIFICATE-----\nnew\n");

    g_autofree char *key = scratch_path(&scratch, "me.key");
    g_remove(key);
    g_assert_null(kube_config_load(path, &error));
    g_autofree char *text = g_strdup_printf("%s:17:52: client-key: cannot open '%s': No such file", path, key);
    assert_text_has(error->message, text);
}

static void test_token_file(void) {
    g_auto(Scratch) scratch = scratch_new();
    scratch_write(&scratch, "token", "  one\n", 0600);
    scratch_write(&scratch, "kc", HEAD PLAIN USER("{tokenFile: token, token: unused}"), 0600);
    g_autofree char *path = scratch_path(&scratch, "kc"), *token = scratch_path(&scratch, "token");
    g_autoptr(GError) error = NULL;
    KubeConfig *config = kube_config_load(path, &error);
    g_assert_no_error(error);
    g_autoptr(FakeApi) api = fake_api_new_with(config);
    g_autofree char *first = authorization(config, false);
    g_assert_cmpstr(first, ==, "Bearer one");
    scratch_write(&scratch, "token", "two", 0600);
    g_autofree char *soon = authorization(config, false);
    g_assert_cmpstr(soon, ==, "Bearer one");
    api->now_us += 1000000;
    g_autofree char *later = authorization(config, false);
    g_assert_cmpstr(later, ==, "Bearer two");
    scratch_write(&scratch, "token", "three", 0600);
    g_autofree char *forced = authorization(config, true);
    g_assert_cmpstr(forced, ==, "Bearer three");
    // For a moment there is none, or an empty one: the old one stays.
    g_remove(token);
    api->now_us += 1000000;
    g_autofree char *gone = authorization(config, true);
    g_assert_cmpstr(gone, ==, "Bearer three");
    scratch_write(&scratch, "token", " \n", 0600);
    api->now_us += 1000000;
    g_autofree char *empty = authorization(config, false);
    g_assert_cmpstr(empty, ==, "Bearer three");
    scratch_write(&scratch, "token", "four", 0600);
    api->now_us += 1000000;
    g_autofree char *back = authorization(config, false);
    g_assert_cmpstr(back, ==, "Bearer four");
}

static void test_bad_token(void) {
    g_autoptr(KubeConfig) config = parse(HEAD PLAIN USER("{token: \"a\\r\\nX: y\"}"), NULL);
    g_assert_nonnull(config);
    char *header = NULL;
    g_autoptr(GError) error = NULL;
    g_assert_false(kube_config_authorization(config, false, &header, &error));
    g_assert_error(error, STOOP_ERROR, STOOP_ERROR_INVALID);
    g_assert_null(header);
    g_assert_null(strstr(error->message, "X: y"));
}

static void test_errors(void) {
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"", "/etc/stoop/kc"},
        {"[]", "/etc/stoop/kc:1:1: error: a kubeconfig must be a map, this is a list"},
        {"a: b: c", "/etc/stoop/kc:1:"},
        {"kind: Pod\n", "kind is 'Pod'"},
        {"kind: Config\n", "current-context is not set"},
        {"current-context: prd\ncontexts: [{name: prod, context: {}}]\n",
         "/etc/stoop/kc:1:18: error: contexts has no 'prd'; did you mean 'prod'?"},
        {"current-context: prod\n", "contexts has no 'prod'"},
        {"current-context: prod\ncontexts: {name: prod}\n", "contexts must be a list, not a map"},
        {"current-context: prod\ncontexts: [prod]\n", "an item of contexts must be a map with a name, not a text"},
        {"current-context: prod\ncontexts: [{name: prod}]\n", "context 'prod' is empty"},
        {"current-context: prod\ncontexts: [{name: prod, context: {user: u}}]\n", "context 'prod' names no cluster"},
        {"current-context: [a]\n", "current-context must be a text, not a list"},
        {"current-context: a\ncurrent-context: b\n", "/etc/stoop/kc:2:"},
        {HEAD USER("{}") "clusters: [{name: c2, cluster: {}}]\n", "kc:9:14: error: clusters has no 'c1'"},
        {HEAD USER("{}") "clusters: [{name: c1}]\n", "cluster 'c1' is empty"},
        {HEAD PLAIN "users: [{name: admins, user: {}}]\n", "users has no 'admin'; did you mean 'admins'?"},
        {HEAD USER("{}") CLUSTER("{}"), "the cluster has no server"},
        {HEAD USER("{}") CLUSTER("{server: 'k:6443'}"), "server 'k:6443' must look like https://host:port"},
        {HEAD USER("{}") CLUSTER("{server: 'https://'}"), "must look like https://host:port"},
        {HEAD USER("{}") CLUSTER("{server: 'https://u:p@k'}"), "server must be scheme, host, port and path only"},
        {HEAD USER("{}") CLUSTER("{server: 'https://k/?x'}"), "server must be scheme, host, port and path only"},
        {HEAD USER("{}") CLUSTER("{server: {a: b}}"), "server must be a text, not a map"},
        {HEAD USER("{}") CLUSTER("{server: 'https://k', insecure-skip-tls-verify: maybe}"),
         "insecure-skip-tls-verify must be true or false"},
        {HEAD USER("{}") CLUSTER("{server: 'https://k', insecure-skip-tls-verify: true, certificate-authority: a}"),
         "together with a certificate authority"},
        {HEAD USER("{}") CLUSTER("{server: 'https://k', certificate-authority-data: '***'}"), "is no base64"},
        {HEAD USER("{}") CLUSTER("{server: 'https://k', certificate-authority-data: aGFsbG8=}"), "holds no PEM"},
        {HEAD PLAIN USER("{client-certificate: a}"), "a client-certificate without a client-key"},
        {HEAD PLAIN USER("{client-key: a}"), "a client-key without a client-certificate"},
        {HEAD PLAIN USER("{token: a, username: b}"), "more than one of token, username and exec"},
        {HEAD PLAIN USER("{username: 'a:b'}"), "username must not contain ':'"},
        {HEAD PLAIN USER("{auth-provider: {name: gcp}}"), "/etc/stoop/kc:17:25: error: auth-provider is not supported"},
        {HEAD PLAIN USER("{as: root}"), "impersonation (as) is not supported"},
        {HEAD PLAIN USER("{exec: x}"), "exec must be a map, not a text"},
        {HEAD PLAIN USER("{exec: {apiVersion: client.authentication.k8s.io/v1}}"), "exec has no command"},
        {HEAD PLAIN USER("{exec: {command: a}}"), "apiVersion of exec must be client.authentication.k8s.io/v1"},
        {HEAD PLAIN USER("{exec: {command: a, apiVersion: client.authentication.k8s.io/v1alpha1}}"),
         "apiVersion of exec must be client.authentication.k8s.io/v1"},
        {HEAD PLAIN USER("{exec: {command: a, apiVersion: client.authentication.k8s.io/v1, interactiveMode: Always}}"),
         "interactiveMode Always needs somebody at a terminal"},
        {HEAD PLAIN USER("{exec: {command: a, apiVersion: client.authentication.k8s.io/v1, interactiveMode: Often}}"),
         "interactiveMode must be"},
        {HEAD PLAIN USER("{exec: {command: a, apiVersion: client.authentication.k8s.io/v1, args: [[]]}}"),
         "an item of args must be a text"},
        {HEAD PLAIN USER("{exec: {command: a, apiVersion: client.authentication.k8s.io/v1, env: [x]}}"),
         "an item of env must have a name and a value"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_test_message("case %zu", i);
        g_autoptr(GError) error = NULL;
        g_assert_null(parse(cases[i].text, &error));
        g_assert_error(error, STOOP_ERROR, STOOP_ERROR_INVALID);
        assert_text_has(error->message, cases[i].error);
    }
}

static void test_unreadable(void) {
    g_auto(Scratch) scratch = scratch_new();
    g_autofree char *absent = scratch_path(&scratch, "absent");
    g_autoptr(GError) error = NULL;
    g_assert_null(kube_config_load(absent, &error));
    g_assert_error(error, STOOP_ERROR, STOOP_ERROR_IO);
    assert_text_has(error->message, absent);
    g_clear_error(&error);
    g_assert_null(kube_config_load(scratch.path, &error));
    assert_text_has(error->message, "no regular file");
    g_clear_error(&error);
    g_assert_null(kube_config_load("/dev/zero", &error));
    g_clear_error(&error);
    g_autofree char *large = g_strnfill((2 << 20) - 1, '#');
    scratch_write(&scratch, "large", large, 0600);
    g_autofree char *large_path = scratch_path(&scratch, "large");
    g_assert_null(kube_config_load(large_path, &error));
    g_assert_error(error, STOOP_ERROR, STOOP_ERROR_TOO_LARGE);
}

static void test_in_cluster(void) {
    g_auto(Scratch) scratch = scratch_new();
    g_autoptr(GError) error = NULL;
    g_unsetenv("KUBERNETES_SERVICE_HOST");
    g_assert_null(kube_config_in_cluster(scratch.path, &error));
    assert_text_has(error->message, "not in a cluster");
    g_clear_error(&error);
    g_setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1", TRUE);
    g_setenv("KUBERNETES_SERVICE_PORT", "443", TRUE);
    g_assert_null(kube_config_in_cluster(scratch.path, &error));
    assert_text_has(error->message, "/token");
    g_clear_error(&error);
    scratch_write(&scratch, "token", "tok", 0600);
    g_assert_null(kube_config_in_cluster(scratch.path, &error));
    assert_text_has(error->message, "/ca.crt");
    g_clear_error(&error);
    scratch_write(&scratch, "ca.crt", CERT_PEM, 0600);
    g_autoptr(KubeConfig) bare = kube_config_in_cluster(scratch.path, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(kube_config_namespace(bare), ==, "default");
    scratch_write(&scratch, "namespace", "falco\n", 0600);
    g_autoptr(KubeConfig) config = kube_config_in_cluster(scratch.path, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(kube_config_server(config), ==, "https://10.96.0.1:443");
    g_assert_cmpstr(kube_config_namespace(config), ==, "falco");
    g_autofree char *header = authorization(config, false);
    g_assert_cmpstr(header, ==, "Bearer tok");
    g_auto(KubeTls) tls = {0};
    bool changed;
    g_assert_true(kube_config_tls(config, &tls, &changed, NULL));
    g_assert_cmpstr(tls.ca_pem, ==, CERT_PEM);

    static const struct {
        const char *host, *port, *server;
    } cases[] = {
        {"fd00::1", "443", "https://[fd00::1]:443"},
        {"[fd00::1]", "6443", "https://[fd00::1]:6443"},
        {"kubernetes.default", "443", "https://kubernetes.default:443"},
        {"a/b", "443", NULL},
        {"a", "0", NULL},
        {"a", "70000", NULL},
        {"a", "44x", NULL},
        {"a@b", "443", NULL},
        {"a", "", NULL},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_setenv("KUBERNETES_SERVICE_HOST", cases[i].host, TRUE);
        g_setenv("KUBERNETES_SERVICE_PORT", cases[i].port, TRUE);
        g_autoptr(KubeConfig) other = kube_config_in_cluster(scratch.path, NULL);
        g_assert_cmpstr(other ? kube_config_server(other) : NULL, ==, cases[i].server);
    }
}

// The server refuses a token that the kubelet has replaced meanwhile.
static void replace_token(void *user) {
    scratch_write(user, "token", "new", 0600);
}

static void test_401(void) {
    g_auto(Scratch) scratch = scratch_new();
    scratch_write(&scratch, "token", "old", 0600);
    scratch_write(&scratch, "kc", HEAD CLUSTER("{server: 'https://api.test:6443'}") USER("{tokenFile: token}"), 0600);
    g_autofree char *path = scratch_path(&scratch, "kc");
    g_autoptr(FakeApi) api = fake_api_new_with(kube_config_load(path, NULL));
    KubePath node = KUBE_NODE("n");
    for (int i = 0; i < 2; i++) {
        fake_api_expect(api, (FakeStep){.method = "DELETE",
                                        .path = "/api/v1/nodes/n",
                                        .body = "{\"kind\":\"DeleteOptions\",\"apiVersion\":\"v1\"}",
                                        .headers = {i ? "Authorization: Bearer new" : "Authorization: Bearer old"},
                                        .status = i ? 200 : 401,
                                        .then = i ? NULL : replace_token,
                                        .then_user = &scratch});
    }
    g_assert_true(kube_delete(api->client, &node, NULL, NULL, NULL));
    g_assert_cmpuint(api->wait_count, ==, 0);
    // The same token again is not worth a try, and is kept.
    fake_api_expect(api, (FakeStep){.method = "GET",
                                    .path = "/api/v1/nodes/n",
                                    .status = 401,
                                    .answer = STATUS_JSON(401, "Unauthorized", "Unauthorized")});
    g_auto(KubeObject) object = {0};
    g_autoptr(GError) error = NULL;
    g_assert_false(kube_get(api->client, &node, NULL, &object, &error));
    g_assert_error(error, STOOP_ERROR, STOOP_ERROR_UNAUTHENTICATED);
    g_assert_cmpstr(error->message, ==, "Unauthorized (401 Unauthorized)");
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/kube/config/token", test_token);
    g_test_add_func("/kube/config/basic", test_basic);
    g_test_add_func("/kube/config/nothing", test_nothing);
    g_test_add_func("/kube/config/certificates", test_certificates);
    g_test_add_func("/kube/config/files", test_files);
    g_test_add_func("/kube/config/token-file", test_token_file);
    g_test_add_func("/kube/config/bad-token", test_bad_token);
    g_test_add_func("/kube/config/errors", test_errors);
    g_test_add_func("/kube/config/unreadable", test_unreadable);
    g_test_add_func("/kube/config/in-cluster", test_in_cluster);
    g_test_add_func("/kube/config/401", test_401);
    return g_test_run();
}
