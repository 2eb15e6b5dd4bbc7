// calico:networkpolicy and cilium:networkpolicy; and the context of the node, which reads the same pod.
#include "base/error.h"
#include "base/thread.h"
#include "contexts/context.h"
#include "fake_api.h"

#include <stdlib.h>
#include <string.h>

#define POD "GET /api/v1/namespaces/shop/pods/web-1"
#define RS "GET /apis/apps/v1/namespaces/shop/replicasets/web-5d4c"
#define CALICO "/apis/projectcalico.org/v3/namespaces/shop/networkpolicies"
#define CILIUM "/apis/cilium.io/v2/namespaces/shop/ciliumnetworkpolicies"
#define EVENT(ip) "{\"output_fields\":{\"k8s.pod.name\":\"web-1\",\"k8s.ns.name\":\"shop\",\"fd.rip\":\"" ip "\"}}"
#define OWNED(kind, name)                                                                                              \
    "\"ownerReferences\":[{\"apiVersion\":\"apps/v1\",\"kind\":\"" kind "\",\"name\":\"" name                          \
    "\",\"uid\":\"o-1\",\"controller\":true}]"
#define WEB_POD "{\"metadata\":{\"uid\":\"u-1\"," OWNED("ReplicaSet", "web-5d4c") "}}"
#define WEB_RS(selector)                                                                                               \
    "{\"metadata\":{\"uid\":\"o-1\"," OWNED("Deployment", "web") "},\"spec\":{\"selector\":" selector "}}"
#define APP_WEB "{\"matchLabels\":{\"app\":\"web\",\"pod-template-hash\":\"5d4c\"}}"
#define FIND                                                                                                           \
    {POD, NULL, 200, WEB_POD, NULL}, {                                                                                 \
        RS, NULL, 200, WEB_RS(APP_WEB), NULL                                                                           \
    }
#define END                                                                                                            \
    { NULL, NULL, 0, NULL, NULL }
#define NEW "{\"name\":\"web\",\"labels\":{\"app.kubernetes.io/managed-by\":\"stoop\"}}"
#define OURS "{\"name\":\"web\",\"resourceVersion\":\"7\",\"labels\":{\"app.kubernetes.io/managed-by\":\"stoop\"}}"
#define CALICO_POLICY(metadata, spec)                                                                                  \
    "{\"apiVersion\":\"projectcalico.org/v3\",\"kind\":\"NetworkPolicy\",\"metadata\":" metadata ",\"spec\":{" spec "}}"
#define CALICO_SPEC(order, egress)                                                                                     \
    "\"order\":" order ",\"selector\":\"app == 'web'\",\"types\":[\"Egress\"],\"egress\":[" egress "]"
#define NETS(action, nets) "{\"action\":\"" action "\",\"destination\":{\"nets\":[" nets "]}}"
#define ALL NETS("Allow", "\"0.0.0.0/0\"")
#define CILIUM_POLICY(metadata, spec)                                                                                  \
    "{\"apiVersion\":\"cilium.io/v2\",\"kind\":\"CiliumNetworkPolicy\",\"metadata\":" metadata ",\"spec\":{" spec "}}"
#define CILIUM_SPEC(denied, more)                                                                                      \
    "\"endpointSelector\":{\"matchLabels\":{\"app\":\"web\"}},\"egressDeny\":[{\"toCIDR\":[" denied "]}]," more
#define NO_DEFAULT "\"enableDefaultDeny\":{\"egress\":false}"

static void test_calico_create(void) {
    static const struct {
        const char *event, *params, *spec;
    } cases[] = {
        {EVENT("1.2.3.4"), NULL, CALICO_SPEC("0", NETS("Deny", "\"1.2.3.4/32\"") "," ALL)},
        {EVENT("2001:DB8::1"), NULL, CALICO_SPEC("0", NETS("Deny", "\"2001:db8::1/128\"") "," ALL)},
        {EVENT("::ffff:1.2.3.4"), NULL, CALICO_SPEC("0", NETS("Deny", "\"1.2.3.4/32\"") "," ALL)},
        {EVENT("1.2.3.4"),
         "{order: 20, allow_cidr: [10.0.0.0/8, 'fd00::/8', 192.168.0.0/16], allow_namespaces: [green-ns, blue-ns]}",
         CALICO_SPEC("20",
                     NETS("Deny", "\"1.2.3.4/32\"") "," NETS("Allow", "\"10.0.0.0/8\",\"192.168.0.0/16\"") "," NETS(
                         "Allow", "\"fd00::/"
                                  "8\"") ",{\"action\":\"Allow\","
                                         "\"destination\":{"
                                         "\"namespaceSelector\":"
                                         "\"kubernetes.io/metadata.name in "
                                         "{'green-ns', 'blue-ns'}\"}}")},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *body = g_strdup_printf(CALICO_POLICY(NEW, "%s"), cases[i].spec);
        const Exchange exchanges[] = {
            FIND, {"GET " CALICO "/web", NULL, 404, "{}", NULL}, {"POST " CALICO, body, 201, "{}", NULL}, END};
        g_auto(Run) run = {0};
        run_against(exchanges, "calico:networkpolicy", cases[i].event, cases[i].params, &run);
        assert_result(&run, ACTION_SUCCESS, "has been created and denies");
        g_assert_cmpstr(object_of(&run, "networkpolicy"), ==, "web");
    }
}

static void test_calico_selectors(void) {
    static const char selector[] =
        "{\"matchLabels\":{\"app\":\"web\",\"x.io/tier\":\"a\"},\"matchExpressions\":["
        "{\"key\":\"zone\",\"operator\":\"In\",\"values\":[\"a\",\"b\"]},"
        "{\"key\":\"env\",\"operator\":\"NotIn\",\"values\":[\"test\"]},"
        "{\"key\":\"team\",\"operator\":\"Exists\"},{\"key\":\"old\",\"operator\":\"DoesNotExist\"}]}";
    g_autofree char *rs = g_strdup_printf(WEB_RS("%s"), selector);
    const Exchange exchanges[] = {
        {POD, NULL, 200, WEB_POD, NULL},
        {RS, NULL, 200, rs, NULL},
        {"GET " CALICO "/web", NULL, 404, "{}", NULL},
        {"POST " CALICO,
         CALICO_POLICY(NEW, "\"order\":0,\"selector\":\"app == 'web' && x.io/tier == 'a' && zone in {'a', 'b'} && env "
                            "not in {'test'} && has(team) && !has(old)\",\"types\":[\"Egress\"],\"egress\":[" NETS(
                                "Deny", "\"1.2.3.4/32\"") "," ALL "]"),
         201, "{}", NULL},
        END};
    g_auto(Run) run = {0};
    run_against(exchanges, "calico:networkpolicy", EVENT("1.2.3.4"), NULL, &run);
    assert_result(&run, ACTION_SUCCESS, "created");
}

static void test_calico_quote(void) {
    const Exchange exchanges[] = {
        {POD, NULL, 200, WEB_POD, NULL},
        {RS, NULL, 200, WEB_RS("{\"matchLabels\":{\"app\":\"a' || all() || b == 'c\"}}"), NULL},
        {"GET " CALICO "/web", NULL, 404, "{}", NULL},
        END};
    g_auto(Run) run = {0};
    run_against(exchanges, "calico:networkpolicy", EVENT("1.2.3.4"), NULL, &run);
    assert_failed(&run, STOOP_ERROR_INVALID, "cannot be written as a selector of Calico");
}

static void test_calico_adds(void) {
    const Exchange exchanges[] = {
        FIND,
        {"GET " CALICO "/web", NULL, 200,
         CALICO_POLICY(OURS, "\"tier\":\"default\"," CALICO_SPEC("5", NETS("Deny", "\"1.1.1.1/32\"") "," ALL)), NULL},
        // Somebody else is faster, so it is read anew.
        {"PUT " CALICO "/web",
         CALICO_POLICY(OURS,
                       "\"tier\":\"default\"," CALICO_SPEC("0", NETS("Deny", "\"1.1.1.1/32\",\"1.2.3.4/32\"") "," ALL)),
         409, "{}", NULL},
        {"GET " CALICO "/web", NULL, 200,
         CALICO_POLICY(OURS, CALICO_SPEC("0", NETS("Deny", "\"1.1.1.1/32\",\"9.9.9.9/32\"") "," ALL)), NULL},
        {"PUT " CALICO "/web",
         CALICO_POLICY(OURS, CALICO_SPEC("0", NETS("Deny", "\"1.1.1.1/32\",\"9.9.9.9/32\",\"1.2.3.4/32\"") "," ALL)),
         200, "{}", NULL},
        END};
    g_auto(Run) run = {0};
    run_against(exchanges, "calico:networkpolicy", EVENT("1.2.3.4"), NULL, &run);
    assert_result(&run, ACTION_SUCCESS, "has been updated and denies 1.2.3.4/32");
}

static void test_same(void) {
    const Exchange exchanges[] = {FIND,
                                  {"GET " CALICO "/web", NULL, 200,
                                   CALICO_POLICY(OURS, CALICO_SPEC("0", NETS("Deny", "\"1.2.3.4/32\"") "," ALL)), NULL},
                                  END};
    g_auto(Run) run = {0};
    run_against(exchanges, "calico:networkpolicy", EVENT("1.2.3.4"), NULL, &run);
    assert_result(&run, ACTION_SUCCESS, "denied already 1.2.3.4/32");
}

static void test_of_others(void) {
    const Exchange foreign[] = {
        FIND, {"GET " CALICO "/web", NULL, 200, CALICO_POLICY("{\"name\":\"web\"}", ""), NULL}, END};
    {
        g_auto(Run) run = {0};
        run_against(foreign, "calico:networkpolicy", EVENT("1.2.3.4"), NULL, &run);
        assert_failed(&run, STOOP_ERROR_CONFLICT, "that Stoop did not make");
    }
    const Exchange namesake[] = {
        FIND,
        {"GET " CILIUM "/web", NULL, 200,
         CILIUM_POLICY(OURS, "\"endpointSelector\":{\"matchLabels\":{\"app\":\"other\"}}"), NULL},
        {"GET " CILIUM "/web-deployment", NULL, 404, "{}", NULL},
        {"POST " CILIUM,
         CILIUM_POLICY("{\"name\":\"web-deployment\",\"labels\":{\"app.kubernetes.io/managed-by\":\"stoop\"}}",
                       CILIUM_SPEC("\"1.2.3.4/32\"", NO_DEFAULT)),
         201, "{}", NULL},
        END};
    g_auto(Run) run = {0};
    run_against(namesake, "cilium:networkpolicy", EVENT("1.2.3.4"), NULL, &run);
    assert_result(&run, ACTION_SUCCESS, "'web-deployment'");
}

static void test_cilium(void) {
    static const struct {
        const char *params, *spec;
    } cases[] = {
        {NULL, CILIUM_SPEC("\"1.2.3.4/32\"", NO_DEFAULT)},
        {"{allow_cidr: [10.0.0.0/8, 'fd00::/8'], allow_namespaces: [green-ns, blue-ns]}",
         CILIUM_SPEC("\"1.2.3.4/32\"",
                     "\"egress\":[{\"toCIDR\":[\"10.0.0.0/8\",\"fd00::/8\"]},{\"toEndpoints\":[{\"matchExpressions\":"
                     "[{\"key\":\"k8s:io.kubernetes.pod.namespace\",\"operator\":\"In\",\"values\":[\"green-ns\","
                     "\"blue-ns\"]}]}]}],\"enableDefaultDeny\":{\"egress\":true}")},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *body = g_strdup_printf(CILIUM_POLICY(NEW, "%s"), cases[i].spec);
        const Exchange exchanges[] = {
            FIND, {"GET " CILIUM "/web", NULL, 404, "{}", NULL}, {"POST " CILIUM, body, 201, body, NULL}, END};
        g_auto(Run) run = {0};
        run_against(exchanges, "cilium:networkpolicy", EVENT("1.2.3.4"), cases[i].params, &run);
        assert_result(&run, ACTION_SUCCESS, "has been created and denies 1.2.3.4/32");
        g_assert_null(strstr(run.result.text, "enableDefaultDeny"));
    }
    // An allow list that is taken away again is gone, and an old Cilium is told of.
    const Exchange exchanges[] = {
        FIND,
        {"GET " CILIUM "/web", NULL, 200, CILIUM_POLICY(OURS, CILIUM_SPEC("\"1.1.1.1/32\"", "\"egress\":[{}]")), NULL},
        {"PUT " CILIUM "/web", CILIUM_POLICY(OURS, CILIUM_SPEC("\"1.1.1.1/32\",\"1.2.3.4/32\"", NO_DEFAULT)), 200,
         "{\"spec\":{\"egressDeny\":[]}}", NULL},
        END};
    g_auto(Run) run = {0};
    run_against(exchanges, "cilium:networkpolicy", EVENT("1.2.3.4"), NULL, &run);
    assert_result(&run, ACTION_SUCCESS, "knows no enableDefaultDeny");
}

static void test_no_crd(void) {
    static const struct {
        const char *actionner, *get, *post, *part;
    } cases[] = {
        {"calico:networkpolicy", "GET " CALICO "/web", "POST " CALICO,
         "the cluster has no resource 'networkpolicies' of projectcalico.org/v3: Calico is not installed"},
        {"cilium:networkpolicy", "GET " CILIUM "/web", "POST " CILIUM,
         "the cluster has no resource 'ciliumnetworkpolicies' of cilium.io/v2: Cilium is not installed"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        const char *body = i == 0 ? CALICO_POLICY(NEW, CALICO_SPEC("0", NETS("Deny", "\"1.2.3.4/32\"") "," ALL))
                                  : CILIUM_POLICY(NEW, CILIUM_SPEC("\"1.2.3.4/32\"", NO_DEFAULT));
        const Exchange exchanges[] = {FIND,
                                      {cases[i].get, NULL, 404, "404 page not found\n", NULL},
                                      {cases[i].post, body, 404, "404 page not found\n", NULL},
                                      END};
        g_auto(Run) run = {0};
        run_against(exchanges, cases[i].actionner, EVENT("1.2.3.4"), NULL, &run);
        assert_failed(&run, STOOP_ERROR_NOT_FOUND, cases[i].part);
    }
}

static void test_no_ip(void) {
    static const char *const events[] = {EVENT("example.org"), EVENT("1.2.3.4/8"), EVENT("")};
    for (size_t i = 0; i < G_N_ELEMENTS(events); i++) {
        const Exchange exchanges[] = {END};
        g_auto(Run) run = {0};
        run_against(exchanges, "cilium:networkpolicy", events[i], NULL, &run);
        assert_failed(&run, STOOP_ERROR_INVALID, "is no IP address");
    }
}

// A policy in an API server that compares resourceVersions, for many at once.
typedef struct {
    Mutex lock;
    char *policy; // NULL: none yet
    unsigned version;
    unsigned conflicts;
} Shared;

static void answer_policy(Shared *shared, const HttpRequest *request, HttpResponse *response) {
    bool post = strcmp(request->method, "POST") == 0, put = strcmp(request->method, "PUT") == 0;
    response->status = 200;
    if (post || put) {
        g_autofree char *expected = g_strdup_printf("\"resourceVersion\":\"%u\"", shared->version);
        g_autofree char *body = g_strndup(request->body, request->body_len);
        if (post ? shared->policy != NULL : !strstr(body, expected)) {
            shared->conflicts++;
            response->status = 409;
            g_assert_true(buf_append_text(&response->body, "{}"));
            return;
        }
        yyjson_doc *read = yyjson_read(body, strlen(body), 0);
        yyjson_mut_doc *doc = yyjson_doc_mut_copy(read, NULL);
        g_autofree char *version = g_strdup_printf("%u", ++shared->version);
        yyjson_mut_val *metadata = yyjson_mut_obj_get(yyjson_mut_doc_get_root(doc), "metadata");
        yyjson_mut_obj_put(metadata, yyjson_mut_str(doc, "resourceVersion"), yyjson_mut_str(doc, version));
        free(shared->policy);
        shared->policy = yyjson_mut_write(doc, 0, NULL);
        yyjson_mut_doc_free(doc);
        yyjson_doc_free(read);
    }
    if (!shared->policy)
        response->status = 404;
    g_assert_true(buf_append_text(&response->body, shared->policy ? shared->policy : "{}"));
}

static bool shared_perform(HttpTransport *transport, const HttpRequest *request, HttpResponse *response,
                           GError **error) {
    Shared *shared = fake_api_user(transport);
    response->retry_after_us = -1;
    response->body.max = 1 << 20;
    response->status = 200;
    if (strstr(request->url, "/pods/")) {
        g_assert_true(buf_append_text(&response->body, WEB_POD));
    } else if (strstr(request->url, "/replicasets/")) {
        g_assert_true(buf_append_text(&response->body, WEB_RS(APP_WEB)));
    } else {
        g_usleep(1000); // so that they meet
        mutex_lock(&shared->lock);
        answer_policy(shared, request, response);
        mutex_unlock(&shared->lock);
    }
    return true;
}

typedef struct {
    FakeApi *fake;
    const char *actionner;
    unsigned number;
} Racer;

static void *race(void *user) {
    const Racer *racer = user;
    g_autofree char *event = g_strdup_printf(EVENT("1.2.3.%u"), racer->number);
    g_auto(Run) run = {0};
    fake_api_run(racer->fake, racer->actionner, event, NULL, NULL, &run);
    assert_result(&run, ACTION_SUCCESS, "denies");
    return NULL;
}

static void test_many_at_once(const void *actionner) {
    enum { RACERS = 50 };
    Shared shared = {0};
    mutex_init(&shared.lock);
    const Exchange nothing[] = {END};
    FakeApi *fake = fake_api_new(nothing);
    fake_api_set_user(fake, &shared);
    fake_api_transport(fake)->perform = shared_perform;
    pthread_t threads[RACERS];
    Racer racers[RACERS];
    for (unsigned i = 0; i < RACERS; i++) {
        racers[i] = (Racer){fake, actionner, i};
        g_assert_true(thread_start(&threads[i], "racer", 512, race, &racers[i], NULL));
    }
    for (unsigned i = 0; i < RACERS; i++)
        pthread_join(threads[i], NULL);
    for (unsigned i = 0; i < RACERS; i++) {
        g_autofree char *cidr = g_strdup_printf("\"1.2.3.%u/32\"", i);
        assert_contains(shared.policy, cidr);
    }
    g_assert_cmpuint(shared.version, ==, RACERS);
    g_assert_cmpuint(shared.conflicts, >, 0);
    fake_api_free(fake);
    free(shared.policy);
    mutex_destroy(&shared.lock);
}

static const Context *find_context(const char *name) {
    for (size_t i = 0; contexts_all[i]; i++)
        if (strcmp(contexts_all[i]->info.name, name) == 0)
            return contexts_all[i];
    g_error("there is no context %s", name);
}

// The facts that k8snode gathers, as "key=value key=value", or the error's text.
static char *facts_of(const Exchange *exchanges, const char *event_text) {
    FakeApi *fake = fake_api_new(exchanges);
    const uint8_t random16[16] = {1};
    g_autoptr(GError) error = NULL;
    g_autoptr(Event) event = event_parse(event_text, strlen(event_text), NULL, random16, &error);
    g_assert_no_error(error);
    ActionClients clients = {.kube = fake_api_kube(fake)};
    g_autoptr(GPtrArray) facts = g_ptr_array_new_with_free_func(g_free);
    bool ok = find_context("k8snode")->gather(event, &clients, clock_monotonic_us(clock_system()) + 10000000, NULL,
                                              facts, &error);
    fake_api_free(fake);
    g_assert_true(ok == (error == NULL));
    if (!ok)
        return g_strdup(error->message);
    GString *text = g_string_new(NULL);
    for (guint i = 0; i + 1 < facts->len; i += 2)
        g_string_append_printf(text, "%s%s=%s", i ? " " : "", (char *)facts->pdata[i], (char *)facts->pdata[i + 1]);
    return g_string_free(text, FALSE);
}

static void test_k8snode(void) {
    static const char node[] =
        "{\"metadata\":{\"labels\":{\"kubernetes.io/hostname\":\"n1.local\",\"node-role.kubernetes.io/worker\":\"\","
        "\"node-role.kubernetes.io/gpu\":\"\",\"topology.kubernetes.io/region\":\"eu\","
        "\"failure-domain.beta.kubernetes.io/zone\":\"eu-a\",\"node.kubernetes.io/instance-type\":\"m5\"}},"
        "\"spec\":{\"providerID\":\"aws:///eu-a/i-1\"}}";
    const Exchange by_pod[] = {
        {POD, NULL, 200, "{\"metadata\":{\"uid\":\"u-1\"},\"spec\":{\"nodeName\":\"n1\"}}", NULL},
        {"GET /api/v1/nodes/n1", NULL, 200, node, NULL},
        END};
    g_autofree char *facts = facts_of(by_pod, EVENT("1.2.3.4"));
    g_assert_cmpstr(facts, ==,
                    "node.hostname=n1.local node.instancetype=m5 node.topology.region=eu node.topology.zone=eu-a "
                    "node.role=worker,gpu node.spec.providerid=aws:///eu-a/i-1");
    const Exchange by_name[] = {{"GET /api/v1/nodes/n2", NULL, 200, "{\"metadata\":{},\"spec\":{}}", NULL}, END};
    g_autofree char *none = facts_of(by_name, "{\"output_fields\":{\"k8s.pod.name\":\"web-1\",\"k8s.ns.name\":\"shop\","
                                              "\"k8s.node.name\":\"n2\"}}");
    g_assert_cmpstr(none, ==, "");
    const Exchange another[] = {
        {POD, NULL, 200, "{\"metadata\":{\"uid\":\"u-2\"},\"spec\":{\"nodeName\":\"n1\"}}", NULL}, END};
    g_autofree char *stale =
        facts_of(another, "{\"output_fields\":{\"k8s.pod.name\":\"web-1\",\"k8s.ns.name\":\"shop\","
                          "\"k8s.pod.uid\":\"u-1\"}}");
    assert_contains(stale, "is another one than the event's now");
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/actionners/calico/create", test_calico_create);
    g_test_add_func("/actionners/calico/selectors", test_calico_selectors);
    g_test_add_func("/actionners/calico/quote", test_calico_quote);
    g_test_add_func("/actionners/calico/adds", test_calico_adds);
    g_test_add_func("/actionners/calico/same", test_same);
    g_test_add_func("/actionners/calico/others", test_of_others);
    g_test_add_func("/actionners/cilium/write", test_cilium);
    g_test_add_func("/actionners/deny-policy/no-crd", test_no_crd);
    g_test_add_func("/actionners/deny-policy/no-ip", test_no_ip);
    g_test_add_data_func("/actionners/deny-policy/many/calico", "calico:networkpolicy", test_many_at_once);
    g_test_add_data_func("/actionners/deny-policy/many/cilium", "cilium:networkpolicy", test_many_at_once);
    g_test_add_func("/contexts/k8snode", test_k8snode);
    return g_test_run();
}
