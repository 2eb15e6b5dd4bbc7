#include "base/error.h"
#include "fake_api.h"

#include <string.h>

#define POD "/api/v1/namespaces/shop/pods/web-1"
#define EVENT "{\"output_fields\":{\"k8s.pod.name\":\"web-1\",\"k8s.ns.name\":\"shop\"}}"
#define EVENT_UID "{\"output_fields\":{\"k8s.pod.name\":\"web-1\",\"k8s.ns.name\":\"shop\",\"k8s.pod.uid\":\"u-1\"}}"
#define OPTIONS "{\"kind\":\"DeleteOptions\",\"apiVersion\":\"v1\""
#define POD_OWNED_BY(kind)                                                                                             \
    "{\"metadata\":{\"name\":\"web-1\",\"uid\":\"u-1\",\"ownerReferences\":[{\"apiVersion\":\"apps/v1\","              \
    "\"kind\":\"" kind "\",\"name\":\"web\",\"uid\":\"o-1\",\"controller\":true}]}}"
#define POD_ALONE "{\"metadata\":{\"name\":\"web-1\",\"uid\":\"u-1\"}}"
#define STATUS(code, reason)                                                                                           \
    "{\"kind\":\"Status\",\"status\":\"Failure\",\"message\":\"says the server\",\"reason\":\"" reason                 \
    "\",\"code\":" #code "}"
#define DELETE_U1                                                                                                      \
    { "DELETE " POD, OPTIONS ",\"preconditions\":{\"uid\":\"u-1\"}}", 200, POD_ALONE, NULL }
#define END                                                                                                            \
    { NULL, NULL, 0, NULL, NULL }

static void test_one_call(void) {
    const Exchange exchanges[] = {{"DELETE " POD, OPTIONS "}", 200, POD_ALONE, NULL}, END};
    g_auto(Run) run = {0};
    run_against(exchanges, "kubernetes:terminate", EVENT, NULL, &run);
    assert_result(&run, ACTION_SUCCESS, "the pod 'web-1' in the namespace 'shop' has been terminated");
    g_assert_cmpstr(object_of(&run, "pod"), ==, "web-1");
    g_assert_cmpstr(object_of(&run, "namespace"), ==, "shop");
}

static void test_uid_and_grace(void) {
    const Exchange exchanges[] = {
        {"DELETE " POD, OPTIONS ",\"gracePeriodSeconds\":0,\"preconditions\":{\"uid\":\"u-1\"}}", 200, "{}", NULL},
        END};
    g_auto(Run) run = {0};
    run_against(exchanges, "kubernetes:terminate", EVENT_UID, "grace_period_seconds: 0", &run);
    assert_result(&run, ACTION_SUCCESS, "terminated");
}

static void test_namesake(void) {
    const Exchange exchanges[] = {
        {"DELETE " POD, OPTIONS ",\"preconditions\":{\"uid\":\"u-1\"}}", 409, STATUS(409, "Conflict"), NULL},
        {"GET " POD, NULL, 200, "{\"metadata\":{\"uid\":\"u-2\"}}", NULL},
        END};
    g_auto(Run) run = {0};
    run_against(exchanges, "kubernetes:terminate", EVENT_UID, NULL, &run);
    assert_result(&run, ACTION_STALE, "another one now");
}

// 409 for the deletion of the pod itself, or of one that is gone by the time it is looked at.
static void test_conflict_with_uid(void) {
    const Exchange same[] = {
        {"DELETE " POD, OPTIONS ",\"preconditions\":{\"uid\":\"u-1\"}}", 409, STATUS(409, "Conflict"), NULL},
        {"GET " POD, NULL, 200, POD_ALONE, NULL},
        END};
    g_auto(Run) run = {0};
    run_against(same, "kubernetes:terminate", EVENT_UID, NULL, &run);
    assert_failed(&run, STOOP_ERROR_CONFLICT, "says the server");

    const Exchange gone[] = {
        {"DELETE " POD, OPTIONS ",\"preconditions\":{\"uid\":\"u-1\"}}", 409, STATUS(409, "Conflict"), NULL},
        {"GET " POD, NULL, 404, STATUS(404, "NotFound"), NULL},
        END};
    g_auto(Run) second = {0};
    run_against(gone, "kubernetes:terminate", EVENT_UID, NULL, &second);
    assert_result(&second, ACTION_STALE, "another one now");
}

static void test_conflict_without_uid_is_no_staleness(void) {
    const Exchange exchanges[] = {{"DELETE " POD, OPTIONS "}", 409, STATUS(409, "Conflict"), NULL}, END};
    g_auto(Run) run = {0};
    run_against(exchanges, "kubernetes:terminate", EVENT, NULL, &run);
    assert_failed(&run, STOOP_ERROR_CONFLICT, "says the server");
}

static void test_gone(void) {
    const Exchange exchanges[] = {{"DELETE " POD, OPTIONS "}", 404, STATUS(404, "NotFound"), NULL}, END};
    g_auto(Run) run = {0};
    run_against(exchanges, "kubernetes:terminate", EVENT, NULL, &run);
    assert_failed(&run, STOOP_ERROR_NOT_FOUND, "the pod 'web-1' in the namespace 'shop' is gone");
    g_assert_cmpstr(object_of(&run, "pod"), ==, "web-1");
}

static void test_gone_with_guards(void) {
    const Exchange exchanges[] = {{"GET " POD, NULL, 404, STATUS(404, "NotFound"), NULL}, END};
    g_auto(Run) run = {0};
    run_against(exchanges, "kubernetes:terminate", EVENT, "ignore_daemonsets: true", &run);
    assert_failed(&run, STOOP_ERROR_NOT_FOUND, "is gone");
}

static void test_forbidden(void) {
    const Exchange exchanges[] = {{"DELETE " POD, OPTIONS "}", 403, STATUS(403, "Forbidden"), NULL}, END};
    g_auto(Run) run = {0};
    run_against(exchanges, "kubernetes:terminate", EVENT, NULL, &run);
    assert_failed(&run, STOOP_ERROR_FORBIDDEN, "says the server");
}

static void test_guard_read_another(void) {
    const Exchange exchanges[] = {{"GET " POD, NULL, 200, "{\"metadata\":{\"uid\":\"u-2\"}}", NULL}, END};
    g_auto(Run) run = {0};
    run_against(exchanges, "kubernetes:terminate", EVENT_UID, "ignore_daemonsets: true", &run);
    assert_result(&run, ACTION_STALE, "another one now");
}

// The pod was read, passed the guards, and was replaced before the deletion came.
static void test_guard_then_namesake(void) {
    const Exchange exchanges[] = {
        {"GET " POD, NULL, 200, POD_ALONE, NULL},
        {"DELETE " POD, OPTIONS ",\"preconditions\":{\"uid\":\"u-1\"}}", 409, STATUS(409, "Conflict"), NULL},
        {"GET " POD, NULL, 200, "{\"metadata\":{\"uid\":\"u-2\"}}", NULL},
        END};
    g_auto(Run) run = {0};
    run_against(exchanges, "kubernetes:terminate", EVENT, "ignore_daemonsets: true", &run);
    assert_result(&run, ACTION_STALE, "another one now");
}

static void test_guards(void) {
    static const struct {
        const char *params, *pod, *ignored; // NULL: terminated
    } cases[] = {
        {"ignore_daemonsets: true", POD_OWNED_BY("DaemonSet"), "DaemonSet"},
        {"ignore_daemonsets: true", POD_OWNED_BY("StatefulSet"), NULL},
        {"ignore_daemonsets: true", POD_OWNED_BY("ReplicaSet"), NULL},
        {"ignore_daemonsets: true", POD_ALONE, NULL},
        {"ignore_statefulsets: true", POD_OWNED_BY("StatefulSet"), "StatefulSet"},
        {"ignore_statefulsets: true", POD_OWNED_BY("DaemonSet"), NULL},
        {"ignore_standalone_pods: true", POD_ALONE, "ignore_standalone_pods"},
        {"ignore_standalone_pods: true", POD_OWNED_BY("ReplicaSet"), NULL},
        {"min_healthy_replicas: 2", POD_OWNED_BY("DaemonSet"), NULL},
        {"min_healthy_replicas: 2", POD_OWNED_BY("Job"), NULL},
        {"min_healthy_replicas: 2", POD_ALONE, NULL},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        const Exchange terminated[] = {{"GET " POD, NULL, 200, cases[i].pod, NULL}, DELETE_U1, END};
        const Exchange ignored[] = {{"GET " POD, NULL, 200, cases[i].pod, NULL}, END};
        g_auto(Run) run = {0};
        run_against(cases[i].ignored ? ignored : terminated, "kubernetes:terminate", EVENT, cases[i].params, &run);
        if (cases[i].ignored)
            assert_result(&run, ACTION_IGNORED, cases[i].ignored);
        else
            assert_result(&run, ACTION_SUCCESS, "terminated");
    }
}

#define REPLICAS(wanted, ready)                                                                                        \
    "{\"metadata\":{\"uid\":\"o-1\"},\"spec\":{\"replicas\":" #wanted "},\"status\":{\"readyReplicas\":" #ready "}}"

static void test_min_healthy(void) {
    static const struct {
        const char *params, *kind, *owner;
        bool terminated;
    } cases[] = {
        {"min_healthy_replicas: 2", "replicasets", REPLICAS(3, 2), true},
        {"min_healthy_replicas: 3", "replicasets", REPLICAS(3, 2), false},
        {"min_healthy_replicas: 2", "statefulsets", REPLICAS(3, 2), true},
        {"min_healthy_replicas: 3", "statefulsets", REPLICAS(3, 2), false},
        // 33% of 3 is 0.99, so one.
        {"min_healthy_replicas: 33%", "replicasets", REPLICAS(3, 1), true},
        {"min_healthy_replicas: 33%", "replicasets", REPLICAS(3, 0), false},
        // 33% of 10 is 3.3, so four; the bare number 33 must not be what is compared.
        {"min_healthy_replicas: 33%", "replicasets", REPLICAS(10, 4), true},
        {"min_healthy_replicas: 33%", "replicasets", REPLICAS(10, 3), false},
        {"min_healthy_replicas: 100%", "replicasets", REPLICAS(3, 3), true},
        {"min_healthy_replicas: 100%", "replicasets", REPLICAS(3, 2), false},
        {"min_healthy_replicas: 0%", "replicasets", REPLICAS(3, 0), true},
        {"min_healthy_replicas: 0", "replicasets", REPLICAS(3, 0), true},
        {"min_healthy_replicas: 50%", "replicasets", REPLICAS(0, 0), true},
        {"min_healthy_replicas: 1", "replicasets", REPLICAS(0, 0), false},
        // A zero is left out of the status.
        {"min_healthy_replicas: 1", "replicasets", "{\"metadata\":{\"uid\":\"o-1\"},\"spec\":{\"replicas\":2}}", false},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        bool stateful = strcmp(cases[i].kind, "statefulsets") == 0;
        const char *pod = stateful ? POD_OWNED_BY("StatefulSet") : POD_OWNED_BY("ReplicaSet");
        const char *ask = stateful ? "GET /apis/apps/v1/namespaces/shop/statefulsets/web"
                                   : "GET /apis/apps/v1/namespaces/shop/replicasets/web";
        const Exchange terminated[] = {
            {"GET " POD, NULL, 200, pod, NULL}, {ask, NULL, 200, cases[i].owner, NULL}, DELETE_U1, END};
        const Exchange ignored[] = {{"GET " POD, NULL, 200, pod, NULL}, {ask, NULL, 200, cases[i].owner, NULL}, END};
        g_auto(Run) run = {0};
        g_test_message("%s %s", cases[i].params, cases[i].owner);
        run_against(cases[i].terminated ? terminated : ignored, "kubernetes:terminate", EVENT, cases[i].params, &run);
        if (cases[i].terminated)
            assert_result(&run, ACTION_SUCCESS, "terminated");
        else
            assert_result(&run, ACTION_IGNORED, "ready");
    }
}

static void test_owner_cannot_be_read(void) {
    static const struct {
        int status;
        const char *answer;
        StoopError code;
    } cases[] = {
        {404, STATUS(404, "NotFound"), STOOP_ERROR_NOT_FOUND},
        {403, STATUS(403, "Forbidden"), STOOP_ERROR_FORBIDDEN},
        {200, "{\"metadata\":{\"uid\":\"o-2\"},\"spec\":{\"replicas\":9},\"status\":{\"readyReplicas\":9}}",
         STOOP_ERROR_NOT_FOUND},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        const Exchange exchanges[] = {
            {"GET " POD, NULL, 200, POD_OWNED_BY("ReplicaSet"), NULL},
            {"GET /apis/apps/v1/namespaces/shop/replicasets/web", NULL, cases[i].status, cases[i].answer, NULL},
            END};
        g_auto(Run) run = {0};
        run_against(exchanges, "kubernetes:terminate", EVENT, "min_healthy_replicas: 1", &run);
        assert_failed(&run, (gint)cases[i].code, "was not terminated");
    }
}

// Falco knows a static pod by the UID that the kubelet gave it (u-1), the API server by that of its mirror (u-7).
#define MIRROR "{\"metadata\":{\"uid\":\"u-7\",\"annotations\":{\"kubernetes.io/config.mirror\":\"u-1\"}}}"

static void test_static_pod_in_one_call(void) {
    const Exchange exchanges[] = {
        {"DELETE " POD, OPTIONS ",\"preconditions\":{\"uid\":\"u-1\"}}", 409, STATUS(409, "Conflict"), NULL},
        {"GET " POD, NULL, 200, MIRROR, NULL},
        END};
    g_auto(Run) run = {0};
    run_against(exchanges, "kubernetes:terminate", EVENT_UID, NULL, &run);
    assert_failed(&run, STOOP_ERROR_FAILED, "static pod");
}

static void test_static_pod(void) {
    const Exchange exchanges[] = {{"GET " POD, NULL, 200, MIRROR, NULL}, END};
    g_auto(Run) run = {0};
    run_against(exchanges, "kubernetes:terminate", EVENT_UID, "ignore_standalone_pods: true", &run);
    assert_failed(&run, STOOP_ERROR_FAILED, "static pod");
}

static void test_events_that_name_no_pod(void) {
    static const struct {
        const char *event, *says;
    } cases[] = {
        {"{}", "names no pod"},
        {"{\"output_fields\":{\"k8s.pod.name\":\"web-1\"}}", "names no namespace"},
        {"{\"output_fields\":{\"k8s.pod.name\":null,\"k8s.ns.name\":\"shop\"}}", "names no pod"},
        {"{\"output_fields\":{\"k8s.pod.name\":\"..\",\"k8s.ns.name\":\"shop\"}}", "cannot be the name"},
        {"{\"output_fields\":{\"k8s.pod.name\":\"a/b\",\"k8s.ns.name\":\"shop\"}}", "cannot be the name"},
        {"{\"output_fields\":{\"k8s.pod.name\":\"web?x=1\",\"k8s.ns.name\":\"shop\"}}", "cannot be the name"},
        {"{\"output_fields\":{\"ka.target.resource\":\"deployments\",\"ka.target.name\":\"web-1\","
         "\"ka.target.namespace\":\"shop\"}}",
         "which is no pod"},
        {"{\"output_fields\":{\"k8s.pod.name\":\"<NA>\",\"ka.target.resource\":\"deployments\","
         "\"ka.target.name\":\"web-1\",\"ka.target.namespace\":\"shop\"}}",
         "which is no pod"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        const Exchange exchanges[] = {END};
        g_auto(Run) run = {0};
        run_against(exchanges, "kubernetes:terminate", cases[i].event, NULL, &run);
        assert_failed(&run, STOOP_ERROR_INVALID, cases[i].says);
    }
}

static void test_audit_event(void) {
    const Exchange exchanges[] = {{"DELETE " POD, OPTIONS "}", 200, "{}", NULL}, END};
    g_auto(Run) run = {0};
    run_against(exchanges, "kubernetes:terminate",
                "{\"source\":\"k8s_audit\",\"output_fields\":{\"ka.target.resource\":\"pods\","
                "\"ka.target.name\":\"web-1\",\"ka.target.namespace\":\"shop\"}}",
                NULL, &run);
    assert_result(&run, ACTION_SUCCESS, "terminated");
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/terminate/one-call", test_one_call);
    g_test_add_func("/terminate/uid-and-grace", test_uid_and_grace);
    g_test_add_func("/terminate/namesake", test_namesake);
    g_test_add_func("/terminate/conflict-without-uid", test_conflict_without_uid_is_no_staleness);
    g_test_add_func("/terminate/gone", test_gone);
    g_test_add_func("/terminate/gone-with-guards", test_gone_with_guards);
    g_test_add_func("/terminate/forbidden", test_forbidden);
    g_test_add_func("/terminate/guard-read-another", test_guard_read_another);
    g_test_add_func("/terminate/guard-then-namesake", test_guard_then_namesake);
    g_test_add_func("/terminate/guards", test_guards);
    g_test_add_func("/terminate/min-healthy", test_min_healthy);
    g_test_add_func("/terminate/owner-cannot-be-read", test_owner_cannot_be_read);
    g_test_add_func("/terminate/static-pod", test_static_pod);
    g_test_add_func("/terminate/static-pod-in-one-call", test_static_pod_in_one_call);
    g_test_add_func("/terminate/conflict-with-uid", test_conflict_with_uid);
    g_test_add_func("/terminate/no-pod", test_events_that_name_no_pod);
    g_test_add_func("/terminate/audit-event", test_audit_event);
    return g_test_run();
}
