// kubernetes:drain against a node that is made up: evictions come from several threads, in no order.
#include "base/error.h"
#include "base/thread.h"
#include "fake_api.h"

#include <stdlib.h>
#include <string.h>

#define EVENT "{\"output_fields\":{\"k8s.pod.name\":\"web-1\",\"k8s.ns.name\":\"shop\",\"k8s.node.name\":\"node-1\"}}"

typedef enum { REMOVES, TAKES, REFUSES, FORBIDS, ENDS_WITH_NAMESPACE, IS_ANOTHER, IS_GONE } Eviction;

typedef struct {
    char name[32];
    const char *space, *kind; // of the owner; NULL: none
    const char *owner;
    const char *more; // of the metadata
    const char *phase;
    Eviction eviction;
    unsigned refusals; // first, whatever comes then
    unsigned asked, evicted;
    bool gone;
} FakePod;

typedef struct {
    Mutex lock;
    FakePod pods[5100];
    size_t count;
    unsigned cordoned, pages, owner_reads, watches;
    int cordon_status;
    const char *grace; // what each eviction must say
    size_t largest_page;
} World;

static World *world_new(void) {
    World *world = g_new0(World, 1);
    mutex_init(&world->lock);
    world->cordon_status = 200;
    return world;
}

static void world_free(World *world) {
    mutex_destroy(&world->lock);
    g_free(world);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(World, world_free)

static FakePod *add(World *world, const char *space, const char *kind, const char *owner) {
    FakePod *pod = &world->pods[world->count];
    g_snprintf(pod->name, sizeof pod->name, "pod-%zu", world->count++);
    pod->space = space;
    pod->kind = kind;
    pod->owner = owner;
    pod->more = "";
    pod->phase = "Running";
    return pod;
}

static void write_pod(GString *out, const FakePod *pod) {
    g_string_append_printf(out, "{\"metadata\":{\"name\":\"%s\",\"namespace\":\"%s\",\"uid\":\"u-%s\"%s", pod->name,
                           pod->space, pod->name, pod->more);
    if (pod->kind)
        g_string_append_printf(out,
                               ",\"ownerReferences\":[{\"apiVersion\":\"apps/v1\",\"kind\":\"%s\",\"name\":\"%s\","
                               "\"uid\":\"o-%s\",\"controller\":true}]",
                               pod->kind, pod->owner, pod->owner);
    g_string_append_printf(out,
                           "},\"spec\":{\"nodeName\":\"node-1\"},\"status\":{\"phase\":\"%s\",\"conditions\":[{"
                           "\"type\":\"Ready\",\"status\":\"True\"}]}}",
                           pod->phase);
}

static int answer_list(World *world, const char *url, GString *out) {
    g_assert_nonnull(strstr(url, "fieldSelector=spec.nodeName%3Dnode-1"));
    const char *next = strstr(url, "continue=");
    size_t from = next ? strtoul(next + strlen("continue="), NULL, 10) : 0, limit = 500;
    world->pages++;
    g_string_append(out, "{\"items\":[");
    size_t i = from, given = 0;
    for (; i < world->count && given < limit; i++) {
        if (world->pods[i].gone)
            continue;
        g_string_append(out, given++ ? "," : "");
        write_pod(out, &world->pods[i]);
    }
    g_string_append(out, "],\"metadata\":{\"resourceVersion\":\"5\"");
    if (i < world->count)
        g_string_append_printf(out, ",\"continue\":\"%zu\"", i);
    g_string_append(out, "}}");
    world->largest_page = MAX(world->largest_page, given);
    return 200;
}

static FakePod *find_pod(World *world, const char *url) {
    g_auto(GStrv) parts = g_strsplit(strstr(url, "/namespaces/"), "/", 6); // "", "namespaces", …, "pods", …
    for (size_t i = 0; i < world->count; i++)
        if (strcmp(world->pods[i].name, parts[4]) == 0 && strcmp(world->pods[i].space, parts[2]) == 0)
            return &world->pods[i];
    g_error("no such pod: %s", url);
}

static int answer_eviction(World *world, const HttpRequest *request, GString *out) {
    FakePod *pod = find_pod(world, request->url);
    g_autofree char *body = g_strndup(request->body, request->body_len);
    g_autofree char *expected = g_strdup_printf(
        "{\"apiVersion\":\"policy/v1\",\"kind\":\"Eviction\",\"metadata\":{\"name\":\"%s\",\"namespace\":\"%s\"},"
        "\"deleteOptions\":{%s\"preconditions\":{\"uid\":\"u-%s\"}}}",
        pod->name, pod->space, world->grace, pod->name);
    g_assert_cmpstr(body, ==, expected);
    g_assert_cmpuint(world->cordoned, ==, 1);
    pod->asked++;
    if (pod->refusals > 0 || pod->eviction == REFUSES) {
        pod->refusals -= pod->refusals > 0;
        g_string_append(out, "{\"message\":\"Cannot evict pod as it would violate the pod's disruption budget.\"}");
        return 429;
    }
    switch (pod->eviction) {
    case FORBIDS:
        g_string_append(out, "{\"message\":\"evictions are not for you\"}");
        return 403;
    case ENDS_WITH_NAMESPACE:
        g_string_append(out, "{\"message\":\"unable to create new content in namespace x because it is being "
                             "terminated\"}");
        return 403;
    case IS_ANOTHER:
        return 409;
    case IS_GONE:
        return 404;
    default:
        pod->evicted++;
        pod->gone = pod->eviction == REMOVES;
        return 201;
    }
}

// All pods that took their eviction go while the watch is looking, but for those called "stays".
static int answer_watch(World *world, GString *out) {
    world->watches++;
    for (size_t i = 0; i < world->count; i++) {
        FakePod *pod = &world->pods[i];
        if (pod->evicted == 0 || pod->gone || strcmp(pod->space, "stays") == 0)
            continue;
        pod->gone = true;
        g_string_append(out, "{\"type\":\"DELETED\",\"object\":");
        write_pod(out, pod);
        g_string_append(out, "}\n");
    }
    return 200;
}

static int answer(World *world, const HttpRequest *request, GString *out) {
    if (strcmp(request->method, "PATCH") == 0) {
        g_assert_true(g_str_has_suffix(request->url, "/api/v1/nodes/node-1"));
        g_assert_cmpint(strncmp(request->body, "{\"spec\":{\"unschedulable\":true}}", request->body_len), ==, 0);
        world->cordoned++;
        return world->cordon_status;
    }
    if (g_str_has_suffix(request->url, "/eviction"))
        return answer_eviction(world, request, out);
    if (strstr(request->url, "watch=1"))
        return answer_watch(world, out);
    if (strstr(request->url, "/api/v1/pods?"))
        return answer_list(world, request->url, out);
    if (strstr(request->url, "replicasets/") || strstr(request->url, "statefulsets/")) {
        world->owner_reads++;
        const char *owner = strrchr(request->url, '/') + 1;
        g_string_append_printf(
            out, "{\"metadata\":{\"uid\":\"o-%s\"},\"spec\":{\"replicas\":10},\"status\":{\"readyReplicas\":10}}",
            owner);
        return strcmp(owner, "lost") == 0 ? 404 : 200;
    }
    FakePod *pod = find_pod(world, request->url); // a look after a conflict
    g_string_append_printf(out, "{\"metadata\":{\"uid\":\"%s%s\"}}", pod->eviction == IS_ANOTHER ? "x-" : "u-",
                           pod->name);
    return 200;
}

static bool perform(HttpTransport *transport, const HttpRequest *request, HttpResponse *response, GError **error) {
    World *world = fake_api_user(transport);
    g_autoptr(GString) out = g_string_new(NULL);
    mutex_lock(&world->lock);
    response->status = answer(world, request, out);
    mutex_unlock(&world->lock);
    response->retry_after_us = -1;
    response->sent = true;
    response->body.max = 4 << 20;
    if (request->on_data && response->status == 200) {
        if (out->len == 0) { // a watch that sees nothing
            g_usleep(20000);
            return true;
        }
        return request->on_data(out->str, out->len, request->user, error);
    }
    g_assert_true(buf_append(&response->body, out->len ? out->str : "{}", out->len ? out->len : 2));
    return true;
}

static const Exchange nothing[] = {{NULL, NULL, 0, NULL, NULL}};

static void drain(World *world, const char *params, Run *run) {
    if (!world->grace)
        world->grace = "";
    FakeApi *fake = fake_api_new(nothing);
    fake_api_set_user(fake, world);
    fake_api_transport(fake)->perform = perform;
    fake_api_run(fake, "kubernetes:drain", EVENT, params, NULL, run);
    fake_api_free(fake);
}

static void test_kinds(void) {
    g_autoptr(World) world = world_new();
    FakePod *mirror = add(world, "kube-system", "Node", "node-1");
    mirror->more = ",\"annotations\":{\"kubernetes.io/config.mirror\":\"x\"}";
    FakePod *daemon = add(world, "shop", "DaemonSet", "agent"), *state = add(world, "shop", "StatefulSet", "db");
    FakePod *web = add(world, "shop", "ReplicaSet", "web"), *alone = add(world, "other", NULL, NULL);
    FakePod *finished = add(world, "other", "Job", "once"), *ending = add(world, "shop", "ReplicaSet", "web");
    finished->phase = "Succeeded";
    ending->more = ",\"deletionTimestamp\":\"2026-01-01T00:00:00Z\"";
    world->grace = "\"gracePeriodSeconds\":0,";
    {
        g_auto(Run) run = {0};
        drain(world, "{ignore_daemonsets: true, ignore_statefulsets: true, grace_period_seconds: 0}", &run);
        assert_result(&run, ACTION_SUCCESS,
                      "the node 'node-1' is cordoned and has been drained: 3 pods evicted, 3 ignored (1 static, 1 of "
                      "DaemonSets, 1 of StatefulSets), 1 ending already, 0 failed, 0 timed out");
        g_assert_cmpstr(object_of(&run, "node"), ==, "node-1");
    }
    g_assert_cmpuint(mirror->asked + daemon->asked + state->asked + ending->asked, ==, 0);
    g_assert_true(web->evicted == 1 && alone->evicted == 1 && finished->evicted == 1);

    // Without the flags they go as the others do, but for the static one.
    world->grace = "";
    world->cordoned = 0;
    g_auto(Run) run = {0};
    drain(world, NULL, &run);
    assert_result(&run, ACTION_SUCCESS, "2 pods evicted, 1 ignored (1 static)");
    g_assert_true(mirror->asked == 0 && daemon->evicted == 1 && state->evicted == 1);
}

static void test_many(void) {
    g_autoptr(World) world = world_new();
    for (unsigned i = 0; i < 5000; i++)
        add(world, i % 2 ? "shop" : "other", "ReplicaSet", "web");
    g_auto(Run) run = {0};
    drain(world, NULL, &run);
    assert_result(&run, ACTION_SUCCESS, "5000 pods evicted, 0 ignored, 0 failed, 0 timed out");
    g_assert_cmpuint(world->pages, ==, 10);
    g_assert_cmpuint(world->largest_page, ==, 500);
    for (size_t i = 0; i < world->count; i++)
        g_assert_cmpuint(world->pods[i].evicted, ==, 1);
}

static void test_budget(void) {
    g_autoptr(World) world = world_new();
    FakePod *later = add(world, "shop", "ReplicaSet", "web");
    later->refusals = 3;
    add(world, "shop", "ReplicaSet", "web");
    {
        g_auto(Run) run = {0};
        drain(world, NULL, &run);
        assert_result(&run, ACTION_SUCCESS, "2 pods evicted");
        g_assert_cmpuint(later->asked, ==, 4);
    }
    FakePod *never = add(world, "shop", "ReplicaSet", "web"), *goes = add(world, "shop", NULL, NULL);
    never->eviction = REFUSES;
    goes->eviction = REMOVES; // which is told although no time is left to wait
    world->cordoned = 0;
    {
        g_auto(Run) run = {0};
        drain(world, "max_wait_period: 1", &run);
        assert_failed(&run, STOOP_ERROR_FAILED, "1 pod evicted, 0 ignored, 0 failed, 1 timed out; shop/pod-2: Cannot");
    }
    world->cordoned = 0;
    g_auto(Run) run = {0};
    drain(world, "{max_wait_period: 1, ignore_errors: true}", &run);
    assert_result(&run, ACTION_SUCCESS, "could not be fully drained: 0 pods evicted, 0 ignored, 0 failed, 1 timed out");
}

static void test_excluded_is_not_waited_for(void) {
    g_autoptr(World) world = world_new();
    add(world, "stays", NULL, NULL)->eviction = TAKES;
    add(world, "shop", NULL, NULL)->eviction = TAKES;
    {
        g_auto(Run) run = {0};
        int64_t began = clock_monotonic_us(clock_system());
        drain(world, "{max_wait_period: 8, wait_period_excluded_namespaces: [stays]}", &run);
        assert_result(&run, ACTION_SUCCESS, "2 pods evicted, 0 ignored, 0 failed, 0 timed out");
        g_assert_cmpint(clock_monotonic_us(clock_system()) - began, <, 7000000);
        g_assert_cmpuint(world->watches, ==, 1);
    }
    world->cordoned = 0;
    g_auto(Run) run = {0};
    drain(world, "max_wait_period: 1", &run);
    assert_failed(&run, STOOP_ERROR_FAILED,
                  "1 pod evicted, 0 ignored, 0 failed, 1 timed out; stays/pod-0: is not gone");
}

static void test_no_wait_without_a_period(void) {
    g_autoptr(World) world = world_new();
    add(world, "stays", NULL, NULL)->eviction = TAKES;
    g_auto(Run) run = {0};
    drain(world, NULL, &run);
    assert_result(&run, ACTION_SUCCESS, "1 pod evicted");
    g_assert_cmpuint(world->watches, ==, 0);
    g_assert_cmpuint(world->pages, ==, 1);
}

static void test_healthy_replicas(void) {
    g_autoptr(World) world = world_new();
    for (unsigned i = 0; i < 8; i++)
        add(world, "shop", "ReplicaSet", "web");
    for (unsigned i = 0; i < 2; i++)
        add(world, "shop", "DaemonSet", "agent");
    g_auto(Run) run = {0};
    drain(world, "min_healthy_replicas: '50%'", &run);
    // Ten are ready: with 10, 9, 8, 7, 6 and 5 one may go, with 4 none.
    assert_result(&run, ACTION_SUCCESS, "8 pods evicted, 2 ignored (2 whose owners have too few healthy replicas)");
    g_assert_cmpuint(world->owner_reads, ==, 1);
}

static void test_owner_that_cannot_be_read(void) {
    g_autoptr(World) world = world_new();
    FakePod *pod = add(world, "shop", "ReplicaSet", "lost");
    g_auto(Run) run = {0};
    drain(world, "min_healthy_replicas: '1'", &run);
    assert_failed(&run, STOOP_ERROR_FAILED, "0 pods evicted, 0 ignored, 1 failed, 0 timed out; shop/pod-0: its owner");
    g_assert_cmpuint(pod->asked, ==, 0);
}

static void test_refusals(void) {
    g_autoptr(World) world = world_new();
    add(world, "shop", NULL, NULL)->eviction = FORBIDS;
    add(world, "dying", NULL, NULL)->eviction = ENDS_WITH_NAMESPACE;
    add(world, "shop", NULL, NULL)->eviction = IS_ANOTHER;
    add(world, "shop", NULL, NULL)->eviction = IS_GONE;
    g_auto(Run) run = {0};
    drain(world, NULL, &run);
    assert_failed(&run, STOOP_ERROR_FAILED,
                  "2 pods evicted, 0 ignored, 1 ending already, 1 failed, 0 timed out; shop/pod-0: evictions are not");
    for (size_t i = 0; i < world->count; i++)
        g_assert_cmpuint(world->pods[i].asked, ==, 1);
}

static void test_nothing_goes_uncordoned(void) {
    g_autoptr(World) world = world_new();
    add(world, "shop", NULL, NULL);
    world->cordon_status = 403;
    g_auto(Run) run = {0};
    drain(world, "ignore_errors: true", &run);
    assert_failed(&run, STOOP_ERROR_FORBIDDEN, "cannot be cordoned");
    g_assert_cmpuint(world->pods[0].asked, ==, 0);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/actionners/drain/kinds", test_kinds);
    g_test_add_func("/actionners/drain/many", test_many);
    g_test_add_func("/actionners/drain/budget", test_budget);
    g_test_add_func("/actionners/drain/excluded", test_excluded_is_not_waited_for);
    g_test_add_func("/actionners/drain/no-wait", test_no_wait_without_a_period);
    g_test_add_func("/actionners/drain/healthy-replicas", test_healthy_replicas);
    g_test_add_func("/actionners/drain/owner-unreadable", test_owner_that_cannot_be_read);
    g_test_add_func("/actionners/drain/refusals", test_refusals);
    g_test_add_func("/actionners/drain/uncordoned", test_nothing_goes_uncordoned);
    return g_test_run();
}
