// kubernetes:label, kubernetes:annotation, kubernetes:cordon.
#include "base/error.h"
#include "fake_api.h"

#include <string.h>

#define POD "/api/v1/namespaces/shop/pods/web-1"
#define NODE "/api/v1/nodes/node-3"
#define EVENT "{\"output_fields\":{\"k8s.pod.name\":\"web-1\",\"k8s.ns.name\":\"shop\"}}"
#define EVENT_UID "{\"output_fields\":{\"k8s.pod.name\":\"web-1\",\"k8s.ns.name\":\"shop\",\"k8s.pod.uid\":\"u-1\"}}"
#define EVENT_NODE                                                                                                     \
    "{\"output_fields\":{\"k8s.pod.name\":\"web-1\",\"k8s.ns.name\":\"shop\",\"k8s.node.name\":\"node-3\"}}"
#define POD_ON_NODE "{\"metadata\":{\"uid\":\"u-1\"},\"spec\":{\"nodeName\":\"node-3\"}}"
#define OTHER_POD "{\"metadata\":{\"uid\":\"u-2\"},\"spec\":{\"nodeName\":\"node-4\"}}"
#define STATUS(code, reason)                                                                                           \
    "{\"kind\":\"Status\",\"status\":\"Failure\",\"message\":\"says the server\",\"reason\":\"" reason                 \
    "\",\"code\":" #code "}"
#define END                                                                                                            \
    { NULL, NULL, 0, NULL, NULL }

static void test_label_pod(void) {
    const Exchange exchanges[] = {
        {"PATCH " POD, "{\"metadata\":{\"labels\":{\"suspicious\":\"true\",\"old\":null}}}", 200, "{}", NULL}, END};
    g_auto(Run) run = {0};
    run_against(exchanges, "kubernetes:label", EVENT, "labels: {suspicious: true, old: ''}", &run);
    assert_result(&run, ACTION_SUCCESS,
                  "the pod 'web-1' in the namespace 'shop': labels set: suspicious; deleted: old");
}

static void test_annotate_pod(void) {
    const Exchange exchanges[] = {{"PATCH " POD,
                                   "{\"metadata\":{\"uid\":\"u-1\",\"annotations\":{\"a.b/c\":\"any \\\"text\\\"\"}}}",
                                   200, "{}", NULL},
                                  END};
    g_auto(Run) run = {0};
    run_against(exchanges, "kubernetes:annotation", EVENT_UID, "level: POD\nannotations: {a.b/c: any \"text\"}", &run);
    assert_result(&run, ACTION_SUCCESS, "annotations set: a.b/c");
}

static void test_label_namesake(void) {
    // The API server answers a patch with another UID with 422.
    static const int answers[] = {422, 409};
    for (size_t i = 0; i < G_N_ELEMENTS(answers); i++) {
        const Exchange exchanges[] = {
            {"PATCH " POD, "{\"metadata\":{\"uid\":\"u-1\",\"labels\":{\"a\":\"b\"}}}", answers[i], "{}", NULL},
            {"GET " POD, NULL, 200, OTHER_POD, NULL},
            END};
        g_auto(Run) run = {0};
        run_against(exchanges, "kubernetes:label", EVENT_UID, "labels: {a: b}", &run);
        assert_result(&run, ACTION_STALE, "another one now");
    }
}

static void test_label_refused(void) {
    // Refused for another reason: the pod is still the same.
    const Exchange exchanges[] = {
        {"PATCH " POD, "{\"metadata\":{\"uid\":\"u-1\",\"labels\":{\"a\":\"b\"}}}", 422, STATUS(422, "Invalid"), NULL},
        {"GET " POD, NULL, 200, POD_ON_NODE, NULL},
        END};
    g_auto(Run) run = {0};
    run_against(exchanges, "kubernetes:label", EVENT_UID, "labels: {a: b}", &run);
    assert_failed(&run, STOOP_ERROR_INVALID, "says the server");
}

// The mirror of a static pod has a UID of its own; the label goes to it, with that as the precondition.
static void test_label_static_pod(void) {
    const Exchange exchanges[] = {
        {"PATCH " POD, "{\"metadata\":{\"uid\":\"u-1\",\"labels\":{\"a\":\"b\"}}}", 422, STATUS(422, "Invalid"), NULL},
        {"GET " POD, NULL, 200,
         "{\"metadata\":{\"uid\":\"u-7\",\"annotations\":{\"kubernetes.io/config.mirror\":\"u-1\"}}}", NULL},
        {"PATCH " POD, "{\"metadata\":{\"uid\":\"u-7\",\"labels\":{\"a\":\"b\"}}}", 200, "{}", NULL},
        END};
    g_auto(Run) run = {0};
    run_against(exchanges, "kubernetes:label", EVENT_UID, "labels: {a: b}", &run);
    assert_result(&run, ACTION_SUCCESS, "labels set: a");
}

static void test_label_gone(void) {
    const Exchange exchanges[] = {
        {"PATCH " POD, "{\"metadata\":{\"labels\":{\"a\":\"b\"}}}", 404, STATUS(404, "NotFound"), NULL}, END};
    g_auto(Run) run = {0};
    run_against(exchanges, "kubernetes:label", EVENT, "labels: {a: b}", &run);
    assert_failed(&run, STOOP_ERROR_NOT_FOUND, "is gone");
}

static void test_label_node(void) {
    const Exchange exchanges[] = {{"GET " POD, NULL, 200, POD_ON_NODE, NULL},
                                  {"PATCH " NODE, "{\"metadata\":{\"labels\":{\"a\":\"b\"}}}", 200, "{}", NULL},
                                  END};
    g_auto(Run) run = {0};
    run_against(exchanges, "kubernetes:label", EVENT_UID, "{level: node, labels: {a: b}}", &run);
    assert_result(&run, ACTION_SUCCESS, "the node 'node-3': labels set: a");
    g_assert_cmpstr(object_of(&run, "node"), ==, "node-3");
}

static void test_label_node_of_event(void) {
    const Exchange exchanges[] = {{"PATCH " NODE, "{\"metadata\":{\"annotations\":{\"a\":null}}}", 200, "{}", NULL},
                                  END};
    g_auto(Run) run = {0};
    run_against(exchanges, "kubernetes:annotation", EVENT_NODE, "{level: node, annotations: {a: }}", &run);
    assert_result(&run, ACTION_SUCCESS, "annotations deleted: a");
}

static void test_label_node_of_namesake(void) {
    const Exchange exchanges[] = {{"GET " POD, NULL, 200, OTHER_POD, NULL}, END};
    g_auto(Run) run = {0};
    run_against(exchanges, "kubernetes:label", EVENT_UID, "{level: node, labels: {a: b}}", &run);
    assert_result(&run, ACTION_STALE, "another one now");
}

#define CORDON "{\"spec\":{\"unschedulable\":true}}"

static void test_cordon(void) {
    const Exchange exchanges[] = {{"GET " POD, NULL, 200, POD_ON_NODE, NULL},
                                  {"GET " NODE, NULL, 200, "{\"spec\":{}}", NULL},
                                  {"PATCH " NODE, CORDON, 200, "{}", NULL},
                                  END};
    g_auto(Run) run = {0};
    run_against(exchanges, "kubernetes:cordon", EVENT, NULL, &run);
    assert_result(&run, ACTION_SUCCESS, "the node 'node-3' has been cordoned");
    g_assert_cmpstr(object_of(&run, "node"), ==, "node-3");
}

static void test_cordon_again(void) {
    const Exchange exchanges[] = {{"GET " NODE, NULL, 200, CORDON, NULL}, END};
    g_auto(Run) run = {0};
    run_against(exchanges, "kubernetes:cordon", EVENT_NODE, NULL, &run);
    assert_result(&run, ACTION_SUCCESS, "was cordoned already");
}

static void test_cordon_of_namesake(void) {
    const Exchange exchanges[] = {{"GET " POD, NULL, 200, OTHER_POD, NULL}, END};
    g_auto(Run) run = {0};
    run_against(exchanges, "kubernetes:cordon", EVENT_UID, NULL, &run);
    assert_result(&run, ACTION_STALE, "another one now");
    g_assert_cmpstr(object_of(&run, "node"), ==, NULL);
}

static void test_cordon_unscheduled(void) {
    const Exchange exchanges[] = {{"GET " POD, NULL, 200, "{\"metadata\":{\"uid\":\"u-1\"},\"spec\":{}}", NULL}, END};
    g_auto(Run) run = {0};
    run_against(exchanges, "kubernetes:cordon", EVENT, NULL, &run);
    assert_failed(&run, STOOP_ERROR_FAILED, "is on no node yet");
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/label/pod", test_label_pod);
    g_test_add_func("/label/annotate-pod", test_annotate_pod);
    g_test_add_func("/label/namesake", test_label_namesake);
    g_test_add_func("/label/refused", test_label_refused);
    g_test_add_func("/label/static-pod", test_label_static_pod);
    g_test_add_func("/label/gone", test_label_gone);
    g_test_add_func("/label/node", test_label_node);
    g_test_add_func("/label/node-of-event", test_label_node_of_event);
    g_test_add_func("/label/node-of-namesake", test_label_node_of_namesake);
    g_test_add_func("/cordon/plain", test_cordon);
    g_test_add_func("/cordon/again", test_cordon_again);
    g_test_add_func("/cordon/of-namesake", test_cordon_of_namesake);
    g_test_add_func("/cordon/unscheduled", test_cordon_unscheduled);
    return g_test_run();
}
