// What actionners ask about a pod.
#include "base/error.h"
#include "fake_api.h"
#include "kube/kube_pod.h"

#include <string.h>

#define ID1 "fa2df48fba46aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define ID2 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
static const char POD[] =
    "{\"metadata\":{\"uid\":\"u-1\",\"labels\":{\"app\":\"web\",\"pod-template-hash\":\"5d4c\",\"odd\":5},"
    "\"ownerReferences\":[{\"kind\":\"Other\",\"name\":\"o\",\"uid\":\"x\"},{\"apiVersion\":\"apps/v1\",\"kind\":"
    "\"ReplicaSet\",\"name\":\"web-5d4c\",\"uid\":\"rs-1\",\"controller\":true}]},"
    "\"spec\":{\"nodeName\":\"n1\",\"containers\":[{\"name\":\"web\",\"image\":\"nginx\"},{\"name\":\"side\"}],"
    "\"initContainers\":[{\"name\":\"init\"}],\"ephemeralContainers\":[{\"name\":\"debug\"}]},"
    "\"status\":{\"containerStatuses\":[{\"name\":\"side\",\"containerID\":\"\",\"state\":{\"waiting\":{}}},"
    "{\"name\":\"web\",\"containerID\":\"containerd://" ID1 "\",\"state\":{\"running\":{\"startedAt\":\"x\"}}}],"
    "\"ephemeralContainerStatuses\":[{\"name\":\"debug\",\"containerID\":\"cri-o://" ID2 "\"}]}}";

static KubeObject object_of(const char *json) {
    KubeObject object = {.doc = yyjson_read(json, strlen(json), 0)};
    g_assert_nonnull(object.doc);
    object.root = yyjson_doc_get_root(object.doc);
    return object;
}

static bool note_label(const char *key, const char *value, void *user) {
    g_string_append_printf(user, "%s=%s ", key, value);
    return strcmp(key, "stop") != 0;
}

static void test_facts(void) {
    g_auto(KubeObject) pod = object_of(POD);
    g_assert_cmpstr(kube_pod_node(pod.root), ==, "n1");
    g_assert_cmpstr(kube_object_uid(pod.root), ==, "u-1");
    g_assert_false(kube_pod_is_mirror(pod.root));
    g_assert_cmpstr(kube_object_label(pod.root, "app"), ==, "web");
    g_assert_null(kube_object_label(pod.root, "none"));
    g_autoptr(GString) labels = g_string_new(NULL);
    kube_object_labels(pod.root, note_label, labels);
    g_assert_cmpstr(labels->str, ==, "app=web pod-template-hash=5d4c ");
    g_auto(KubeObject) bare = object_of("{\"metadata\":{\"annotations\":{\"kubernetes.io/config.mirror\":\"h\"},"
                                        "\"labels\":{\"stop\":\"a\",\"b\":\"c\"}},\"spec\":{\"nodeName\":\"\"}}");
    g_assert_null(kube_pod_node(bare.root));
    g_assert_true(kube_pod_is_mirror(bare.root));
    g_string_truncate(labels, 0);
    kube_object_labels(bare.root, note_label, labels);
    g_assert_cmpstr(labels->str, ==, "stop=a ");
}

static void test_containers(void) {
    static const struct {
        const char *name, *id, *found; // NULL: none
        KubeContainerKind kind;
        bool running;
    } cases[] = {
        {NULL, "fa2df48fba46", "web", KUBE_CONTAINER_MAIN, true},
        {"side", "fa2df48fba46", "web", KUBE_CONTAINER_MAIN, true},
        {NULL, ID1, "web", KUBE_CONTAINER_MAIN, true},
        {NULL, "containerd://fa2df48fba46", "web", KUBE_CONTAINER_MAIN, true},
        {NULL, "docker://" ID2, "debug", KUBE_CONTAINER_EPHEMERAL, false},
        {"side", NULL, "side", KUBE_CONTAINER_MAIN, false},
        {"side", "aaaaaaaaaaaa", "side", KUBE_CONTAINER_MAIN, false},
        {"side", "", "side", KUBE_CONTAINER_MAIN, false},
        {"init", "host", "init", KUBE_CONTAINER_INIT, false},
        {NULL, "fa2df48fba4", NULL, 0, false}, // too short to be sure
        {NULL, "a2df48fba46a", NULL, 0, false},
        {NULL, "host", NULL, 0, false},
        {NULL, NULL, NULL, 0, false},
        {"", "", NULL, 0, false},
        {"none", NULL, NULL, 0, false},
    };
    g_auto(KubeObject) pod = object_of(POD);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_test_message("case %zu", i);
        KubeContainer container = {0};
        bool found = kube_pod_container(pod.root, cases[i].name, cases[i].id, &container);
        g_assert_cmpint(found, ==, cases[i].found != NULL);
        g_assert_cmpstr(container.name, ==, cases[i].found);
        g_assert_cmpint(container.kind, ==, cases[i].kind);
        g_assert_cmpint(container.running, ==, cases[i].running);
    }
    KubeContainer container = {0};
    g_assert_true(kube_pod_container_at(pod.root, 0, &container));
    g_assert_cmpstr(container.id, ==, ID1);
    g_assert_cmpstr(container.image, ==, "nginx");
    g_assert_true(kube_pod_container_at(pod.root, 1, &container));
    g_assert_null(container.id);
    g_assert_true(kube_pod_container_at(pod.root, 3, &container));
    g_assert_cmpstr(container.name, ==, "debug");
    g_assert_false(kube_pod_container_at(pod.root, 4, &container));
    g_assert_false(kube_pod_container(NULL, "web", ID1, &container));
}

static void test_owner(void) {
    g_auto(KubeObject) pod = object_of(POD);
    g_auto(KubeOwner) owner = {0};
    g_assert_true(kube_pod_owner(pod.root, &owner));
    g_assert_cmpstr(owner.kind, ==, "ReplicaSet");
    g_assert_cmpstr(owner.name, ==, "web-5d4c");
    g_assert_cmpstr(owner.uid, ==, "rs-1");
    g_auto(KubeObject) alone = object_of("{\"metadata\":{\"ownerReferences\":[{\"kind\":\"A\",\"name\":\"b\"}]}}");
    KubeOwner none = {0};
    g_assert_false(kube_pod_owner(alone.root, &none));
    g_assert_false(kube_pod_owner(NULL, &none));
}

static void test_resolve(void) {
    static const struct {
        const char *version, *kind;
        int status; // 0: not asked
        const char *path, *answer, *above, *name;
    } cases[] = {
        {"apps/v1", "ReplicaSet", 200, "/apis/apps/v1/namespaces/shop/replicasets/o",
         "{\"metadata\":{\"uid\":\"1\",\"ownerReferences\":[{\"kind\":\"Deployment\",\"name\":\"d\",\"controller\":"
         "true}"
         "]}}",
         "Deployment", "d"},
        {"batch/v1", "Job", 200, "/apis/batch/v1/namespaces/shop/jobs/o",
         "{\"metadata\":{\"uid\":\"1\",\"ownerReferences\":[{\"kind\":\"CronJob\",\"name\":\"c\",\"controller\":true}]}"
         "}",
         "CronJob", "c"},
        {"apps/v1", "ReplicaSet", 200, "/apis/apps/v1/namespaces/shop/replicasets/o", "{\"metadata\":{\"uid\":\"1\"}}",
         "ReplicaSet", "o"},
        {"apps/v1", "ReplicaSet", 200, "/apis/apps/v1/namespaces/shop/replicasets/o",
         "{\"metadata\":{\"uid\":\"2\",\"ownerReferences\":[{\"kind\":\"Deployment\",\"name\":\"d\",\"controller\":"
         "true}"
         "]}}",
         "ReplicaSet", "o"},
        {"apps/v1", "ReplicaSet", 404, "/apis/apps/v1/namespaces/shop/replicasets/o", "", "ReplicaSet", "o"},
        {"apps/v1", "ReplicaSet", 403, "/apis/apps/v1/namespaces/shop/replicasets/o", "", NULL, NULL},
        {"apps/v1", "StatefulSet", 0, NULL, NULL, "StatefulSet", "o"},
        {"x.io/v1", "ReplicaSet", 0, NULL, NULL, "ReplicaSet", "o"},
        {NULL, "Node", 0, NULL, NULL, "Node", "o"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_test_message("case %zu", i);
        g_autoptr(FakeApi) api = fake_api_new();
        if (cases[i].status)
            fake_api_expect(
                api, (FakeStep){
                         .method = "GET", .path = cases[i].path, .status = cases[i].status, .answer = cases[i].answer});
        g_auto(KubeOwner) owner = {.api_version = g_strdup(cases[i].version),
                                   .kind = g_strdup(cases[i].kind),
                                   .name = g_strdup("o"),
                                   .uid = g_strdup("1")};
        g_autoptr(GError) error = NULL;
        g_assert_cmpint(kube_owner_resolve(api->client, "shop", &owner, NULL, &error), ==, cases[i].above != NULL);
        if (cases[i].above) {
            g_assert_cmpstr(owner.kind, ==, cases[i].above);
            g_assert_cmpstr(owner.name, ==, cases[i].name);
        } else {
            g_assert_error(error, STOOP_ERROR, STOOP_ERROR_FORBIDDEN);
        }
    }
}

static void test_replicas(void) {
    static const struct {
        const char *kind, *path, *answer;
        int64_t wanted, ready;
    } cases[] = {
        {"ReplicaSet", "/apis/apps/v1/namespaces/shop/replicasets/o",
         "{\"spec\":{\"replicas\":3},\"status\":{\"readyReplicas\":2,\"replicas\":3}}", 3, 2},
        {"StatefulSet", "/apis/apps/v1/namespaces/shop/statefulsets/o", "{\"spec\":{\"replicas\":0},\"status\":{}}", 0,
         0},
        {"Deployment", "/apis/apps/v1/namespaces/shop/deployments/o", "{}", 1, 0},
        {"ReplicationController", "/api/v1/namespaces/shop/replicationcontrollers/o",
         "{\"spec\":{\"replicas\":4},\"status\":{\"readyReplicas\":4}}", 4, 4},
        {"DaemonSet", "/apis/apps/v1/namespaces/shop/daemonsets/o",
         "{\"status\":{\"desiredNumberScheduled\":7,\"numberReady\":6}}", 7, 6},
    };
    g_autoptr(FakeApi) api = fake_api_new();
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        fake_api_expect(api,
                        (FakeStep){.method = "GET", .path = cases[i].path, .status = 200, .answer = cases[i].answer});
        int64_t wanted = -1, ready = -1;
        g_assert_true(kube_workload_replicas(api->client, cases[i].kind, "shop", "o", NULL, &wanted, &ready, NULL));
        g_assert_cmpint(wanted, ==, cases[i].wanted);
        g_assert_cmpint(ready, ==, cases[i].ready);
    }
    int64_t wanted, ready;
    g_autoptr(GError) error = NULL;
    g_assert_false(kube_workload_replicas(api->client, "Job", "shop", "o", NULL, &wanted, &ready, &error));
    g_assert_error(error, STOOP_ERROR, STOOP_ERROR_INVALID);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/kube/pod/facts", test_facts);
    g_test_add_func("/kube/pod/containers", test_containers);
    g_test_add_func("/kube/pod/owner", test_owner);
    g_test_add_func("/kube/pod/resolve", test_resolve);
    g_test_add_func("/kube/pod/replicas", test_replicas);
    return g_test_run();
}
