// Finding resources by what people call them.
#include "base/error.h"
#include "base/thread.h"
#include "fake_api.h"
#include "kube/kube_discover.h"

#include <stdatomic.h>
#include <string.h>

#define ACCEPT                                                                                                         \
    "Accept: application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"                                    \
    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json"
#define RESOURCE(plural, kind, singular, scope, shorts)                                                                \
    "{\"resource\":\"" plural "\",\"responseKind\":{\"group\":\"\",\"version\":\"\",\"kind\":\"" kind                  \
    "\"},\"scope\":\"" scope "\",\"singularResource\":\"" singular "\",\"verbs\":[\"delete\"],\"shortNames\":" shorts  \
    ",\"subresources\":[{\"subresource\":\"status\"}]}"
static const char CORE[] =
    "{\"kind\":\"APIGroupDiscoveryList\",\"apiVersion\":\"apidiscovery.k8s.io/v2\",\"items\":[{\"metadata\":{},"
    "\"versions\":[{\"version\":\"v1\",\"resources\":[" RESOURCE(
        "pods", "Pod", "pod", "Namespaced",
        "[\"po\"]") "," RESOURCE("nodes", "Node", "node", "Cluster",
                                 "[\"no\"]") "," RESOURCE("configmaps", "ConfigMap", "configmap", "Namespaced",
                                                          "[\"cm\"]") "," RESOURCE("events", "Event", "event",
                                                                                   "Namespaced", "[\"ev\"]") "]}]}]}";
static const char GROUPS[] =
    "{\"kind\":\"APIGroupDiscoveryList\",\"apiVersion\":\"apidiscovery.k8s.io/v2\",\"items\":["
    "{\"metadata\":{\"name\":\"apps\"},\"versions\":[{\"version\":\"v1\",\"resources\":[" RESOURCE(
        "deployments", "Deployment", "deployment", "Namespaced",
        "[\"deploy\"]") "]},"
                        "{\"version\":\"v1beta1\",\"resources\":[" RESOURCE(
                            "deployments", "Deployment", "deployment", "Namespaced",
                            "null") "]}]},"
                                    "{\"metadata\":{\"name\":\"events.k8s.io\"},\"versions\":[{\"version\":\"v1\","
                                    "\"resources\":[" RESOURCE(
                                        "events", "Event", "event", "Namespaced",
                                        "[\"ev\"]") "]}]},"
                                                    "{\"metadata\":{\"name\":\"metrics.k8s.io\"},\"versions\":[{"
                                                    "\"version\":\"v1beta1\",\"resources\":[" RESOURCE(
                                                        "pods", "PodMetrics", "", "Namespaced",
                                                        "[]") "]}]},"
                                                              "{\"metadata\":{\"name\":\"x.io\"},\"versions\":[{"
                                                              "\"version\":\"v1\",\"resources\":[" RESOURCE(
                                                                  "widgets.odd", "Widget", "widget", "Cluster",
                                                                  "[\"po\",\"wi\"]") "," RESOURCE("pods/log", "Pod",
                                                                                                  "podlog",
                                                                                                  "Namespaced",
                                                                                                  "[\"pl\"]") ",5,{},"
                                                                                                              "null,"
                                                                                                              "{\"resou"
                                                                                                              "rce\":"
                                                                                                              "\"nokind"
                                                                                                              "\"}]}]}]"
                                                                                                              "}";

static void expect_documents(FakeApi *api) {
    fake_api_expect(api,
                    (FakeStep){.method = "GET", .path = "/api", .headers = {ACCEPT}, .status = 200, .answer = CORE});
    fake_api_expect(api,
                    (FakeStep){.method = "GET", .path = "/apis", .headers = {ACCEPT}, .status = 200, .answer = GROUPS});
}

static void test_names(void) {
    static const struct {
        const char *name, *group, *version, *plural, *kind; // group NULL: none
        bool namespaced;
    } cases[] = {
        {"pods", "", "v1", "pods", "Pod", true},
        {"pod", "", "v1", "pods", "Pod", true},
        {"Pod", "", "v1", "pods", "Pod", true},
        {"PODS", "", "v1", "pods", "Pod", true},
        {"po", "", "v1", "pods", "Pod", true},
        {"no", "", "v1", "nodes", "Node", false},
        {"cm", "", "v1", "configmaps", "ConfigMap", true},
        {"ConfigMap", "", "v1", "configmaps", "ConfigMap", true},
        {"deploy", "apps", "v1", "deployments", "Deployment", true},
        {"deployments.apps", "apps", "v1", "deployments", "Deployment", true},
        {"Deployment.apps", "apps", "v1", "deployments", "Deployment", true},
        {"deploy.v1beta1.apps", NULL, NULL, NULL, NULL, false}, // that version names no short names
        {"deployments.v1beta1.apps", "apps", "v1beta1", "deployments", "Deployment", true},
        {"events", "", "v1", "events", "Event", true},
        {"ev", "", "v1", "events", "Event", true},
        {"events.events.k8s.io", "events.k8s.io", "v1", "events", "Event", true},
        {"events.v1.events.k8s.io", "events.k8s.io", "v1", "events", "Event", true},
        {"events.v1.", "", "v1", "events", "Event", true},
        {"pods.metrics.k8s.io", "metrics.k8s.io", "v1beta1", "pods", "PodMetrics", true},
        {"podmetrics", "metrics.k8s.io", "v1beta1", "pods", "PodMetrics", true},
        {"widget", "x.io", "v1", "widgets.odd", "Widget", false},
        {"wi", "x.io", "v1", "widgets.odd", "Widget", false},
        {"pods/log", NULL, NULL, NULL, NULL, false},
        {"podlog", NULL, NULL, NULL, NULL, false},
        {"pl", NULL, NULL, NULL, NULL, false},
        {"nokind", NULL, NULL, NULL, NULL, false},
        {"pods.apps", NULL, NULL, NULL, NULL, false},
        {".", NULL, NULL, NULL, NULL, false},
        {"", NULL, NULL, NULL, NULL, false},
    };
    g_autoptr(FakeApi) api = fake_api_new();
    expect_documents(api);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_test_message("%s", cases[i].name);
        KubeResource found = {0};
        g_autoptr(GError) error = NULL;
        g_assert_cmpint(kube_discover(api->client, cases[i].name, NULL, &found, &error), ==, cases[i].group != NULL);
        g_assert_cmpstr(found.group, ==, cases[i].group);
        g_assert_cmpstr(found.version, ==, cases[i].version);
        g_assert_cmpstr(found.plural, ==, cases[i].plural);
        g_assert_cmpstr(found.kind, ==, cases[i].kind);
        g_assert_cmpint(found.namespaced, ==, cases[i].namespaced);
    }
}

static void test_cache(void) {
    g_autoptr(FakeApi) api = fake_api_new();
    KubeResource found = {0};
    g_autoptr(GError) error = NULL;
    expect_documents(api);
    g_assert_true(kube_discover(api->client, "pods", NULL, &found, NULL));
    const char *kept = found.plural;
    // A miss right after is believed.
    g_assert_false(kube_discover(api->client, "deployment2", NULL, &found, &error));
    g_assert_error(error, STOOP_ERROR, STOOP_ERROR_NOT_FOUND);
    assert_text_has(error->message, "knows no resource 'deployment2'; did you mean 'deployments'?");
    g_clear_error(&error);
    // Later, a resource may have come meanwhile.
    api->now_us += 5000000;
    expect_documents(api);
    g_assert_false(kube_discover(api->client, "deployment2", NULL, &found, NULL));
    g_assert_true(kube_discover(api->client, "pods", NULL, &found, NULL));
    api->now_us += 599000000;
    g_assert_true(kube_discover(api->client, "pods", NULL, &found, NULL));
    g_assert_cmpuint(api->next, ==, api->count);
    api->now_us += 1000000;
    expect_documents(api);
    g_assert_true(kube_discover(api->client, "pods", NULL, &found, NULL));
    g_assert_true(found.plural == kept);
    // Old knowledge is better than none.
    api->now_us += 600000000;
    fake_api_expect(api, (FakeStep){.method = "GET", .path = "/api", .status = 403});
    g_assert_true(kube_discover(api->client, "pods", NULL, &found, NULL));
    fake_api_expect(api, (FakeStep){.method = "GET", .path = "/api", .status = 403});
    g_assert_false(kube_discover(api->client, "gadgets", NULL, &found, &error));
    g_assert_error(error, STOOP_ERROR, STOOP_ERROR_FORBIDDEN);
}

// A server from before 1.26, with one group whose own server is down.
static void test_old_documents(void) {
    g_autoptr(FakeApi) api = fake_api_new();
    static const struct {
        const char *path, *answer; // NULL: 404
    } documents[] = {
        {"/api", "{\"kind\":\"APIVersions\",\"versions\":[\"v1\"]}"},
        {"/api/v1", "{\"kind\":\"APIResourceList\",\"groupVersion\":\"v1\",\"resources\":["
                    "{\"name\":\"pods\",\"singularName\":\"\",\"namespaced\":true,\"kind\":\"Pod\",\"shortNames\":"
                    "[\"po\"]},{\"name\":\"pods/log\",\"singularName\":\"\",\"namespaced\":true,\"kind\":\"Pod\"}]}"},
        {"/apis",
         "{\"kind\":\"APIGroupList\",\"groups\":[{\"name\":\"apps\",\"versions\":[{\"groupVersion\":\"apps/v1beta1\"},"
         "{\"groupVersion\":\"apps/v1\"}],\"preferredVersion\":{\"groupVersion\":\"apps/v1\"}},{\"name\":\"down\","
         "\"versions\":[{\"groupVersion\":\"down/v1\"}],\"preferredVersion\":{\"groupVersion\":\"down/v1\"}}]}"},
        {"/apis/apps/v1", "{\"kind\":\"APIResourceList\",\"groupVersion\":\"apps/v1\",\"resources\":[{\"name\":"
                          "\"deployments\",\"kind\":\"Deployment\",\"namespaced\":true}]}"},
        {"/apis/down/v1", NULL},
        {"/apis/apps/v1beta1",
         "{\"kind\":\"APIResourceList\",\"groupVersion\":\"apps/v1beta1\",\"resources\":[{\"name\""
         ":\"deployments\",\"kind\":\"Deployment\",\"namespaced\":true}]}"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(documents); i++)
        fake_api_expect(api, (FakeStep){.method = "GET",
                                        .path = documents[i].path,
                                        .status = documents[i].answer ? 200 : 404,
                                        .answer = documents[i].answer});
    KubeResource found = {0};
    g_assert_true(kube_discover(api->client, "deployment", NULL, &found, NULL));
    g_assert_cmpstr(found.group, ==, "apps");
    g_assert_cmpstr(found.version, ==, "v1");
    g_assert_true(found.namespaced);
    g_assert_true(kube_discover(api->client, "po", NULL, &found, NULL));
    g_assert_cmpstr(found.plural, ==, "pods");
    g_assert_true(kube_discover(api->client, "deployments.v1beta1.apps", NULL, &found, NULL));
    g_assert_cmpstr(found.version, ==, "v1beta1");
}

static void test_unreachable(void) {
    g_autoptr(FakeApi) api = fake_api_new();
    fake_api_expect(api, (FakeStep){.method = "GET", .path = "/api", .status = 200, .answer = "<html>"});
    KubeResource found = {0};
    g_autoptr(GError) error = NULL;
    g_assert_false(kube_discover(api->client, "pods", NULL, &found, &error));
    assert_text_has(error->message, "discovery of 'pods': GET https://api.test:6443/api: the answer is not JSON");
    g_clear_error(&error);
    KubeCall call = {.deadline_us = api->now_us};
    g_assert_false(kube_discover(api->client, "pods", &call, &found, &error));
    g_assert_error(error, STOOP_ERROR, STOOP_ERROR_TIMEOUT);
}

// Many threads, one question to the server: it is answered only when all have come.
enum { THREADS = 6 };
typedef struct {
    KubeClient *client;
    atomic_uint came;
} Crowd;

static void *discover(void *user) {
    Crowd *crowd = user;
    atomic_fetch_add(&crowd->came, 1);
    KubeResource found = {0};
    GError *error = NULL;
    g_assert_true(kube_discover(crowd->client, "deploy", NULL, &found, &error));
    g_assert_no_error(error);
    g_assert_cmpstr(found.plural, ==, "deployments");
    return NULL;
}

static void wait_for_crowd(void *user) {
    Crowd *crowd = user;
    for (int i = 0; i < 5000 && atomic_load(&crowd->came) < THREADS; i++)
        g_usleep(1000);
    g_assert_cmpuint(atomic_load(&crowd->came), ==, THREADS);
}

static void test_threads(void) {
    g_autoptr(FakeApi) api = fake_api_new();
    api->now_us = g_get_monotonic_time(); // condition variables wait by the machine's clock
    expect_documents(api);
    Crowd crowd = {.client = api->client};
    api->steps[1].then = wait_for_crowd;
    api->steps[1].then_user = &crowd;
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        g_assert_true(thread_start(&threads[i], "test", 0, discover, &crowd, NULL));
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void test_bounds(void) {
    KubePool pool;
    kube_pool_init(&pool);
    g_autoptr(GString) json = g_string_new("{\"kind\":\"APIResourceList\",\"groupVersion\":\"g/v1\",\"resources\":[");
    for (int i = 0; i < 21000; i++)
        g_string_append_printf(json, "{\"name\":\"r%d\",\"kind\":\"K%d\"},", i, i);
    g_string_append(json, "{\"name\":\"");
    for (int i = 0; i < 300; i++)
        g_string_append_c(json, 'x');
    g_string_append(json, "\",\"kind\":\"X\"}]}");
    yyjson_doc *doc = yyjson_read(json->str, json->len, 0);
    KubeTable *table = kube_table_new(&pool);
    g_assert_true(kube_table_add_resources(table, yyjson_doc_get_root(doc)));
    g_assert_cmpuint(kube_table_size(table), ==, 20000);
    g_assert_cmpuint(pool.bytes, <, 8 << 20);
    kube_table_free(table);
    yyjson_doc_free(doc);
    kube_pool_clear(&pool);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/kube/discover/names", test_names);
    g_test_add_func("/kube/discover/cache", test_cache);
    g_test_add_func("/kube/discover/old-documents", test_old_documents);
    g_test_add_func("/kube/discover/unreachable", test_unreachable);
    g_test_add_func("/kube/discover/threads", test_threads);
    g_test_add_func("/kube/discover/bounds", test_bounds);
    return g_test_run();
}
