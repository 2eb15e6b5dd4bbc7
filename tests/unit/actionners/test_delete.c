#include "base/error.h"
#include "fake_api.h"

#include <string.h>

#define CORE                                                                                                           \
    "{\"kind\":\"APIGroupDiscoveryList\",\"apiVersion\":\"apidiscovery.k8s.io/v2\",\"items\":[{\"metadata\":{},"       \
    "\"versions\":[{\"version\":\"v1\",\"resources\":["                                                                \
    "{\"resource\":\"configmaps\",\"responseKind\":{\"kind\":\"ConfigMap\"},\"scope\":\"Namespaced\","                 \
    "\"singularResource\":\"configmap\",\"verbs\":[\"delete\",\"get\"]},"                                              \
    "{\"resource\":\"namespaces\",\"responseKind\":{\"kind\":\"Namespace\"},\"scope\":\"Cluster\","                    \
    "\"singularResource\":\"namespace\",\"verbs\":[\"delete\",\"get\"]},"                                              \
    "{\"resource\":\"pods\",\"responseKind\":{\"kind\":\"Pod\"},\"scope\":\"Namespaced\","                             \
    "\"singularResource\":\"pod\",\"verbs\":[\"delete\",\"get\"]}]}]}]}"
#define GROUP(name, version, resource, kind, scope)                                                                    \
    "{\"metadata\":{\"name\":\"" name "\"},\"versions\":[{\"version\":\"" version                                      \
    "\",\"resources\":[{\"resource\":\"" resource "\",\"responseKind\":{\"kind\":\"" kind "\"},\"scope\":\"" scope     \
    "\",\"singularResource\":\"x\",\"verbs\":[\"delete\"]}]}]}"
#define GROUPS                                                                                                         \
    "{\"kind\":\"APIGroupDiscoveryList\",\"apiVersion\":\"apidiscovery.k8s.io/v2\",\"items\":[" GROUP(                 \
        "rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole",                                              \
        "Cluster") "," GROUP("one.example.com", "v1", "widgets", "Widget",                                             \
                             "Namespaced") "," GROUP("two.example.com", "v1beta1", "widgets", "Widget",                \
                                                     "Namespaced") "]}"
#define DISCOVER                                                                                                       \
    {"GET /api", NULL, 200, CORE, NULL}, {                                                                             \
        "GET /apis", NULL, 200, GROUPS, NULL                                                                           \
    }
#define OPTIONS "{\"kind\":\"DeleteOptions\",\"apiVersion\":\"v1\",\"propagationPolicy\":\"Background\""
#define EVENT(fields) "{\"source\":\"k8s_audit\",\"output_fields\":{" fields "}}"
#define TARGET(resource, name, space)                                                                                  \
    "\"ka.target.resource\":\"" resource "\",\"ka.target.name\":\"" name "\",\"ka.target.namespace\":\"" space "\""
#define END                                                                                                            \
    { NULL, NULL, 0, NULL, NULL }

static void test_kinds(void) {
    static const struct {
        const char *event, *request, *body, *says;
    } cases[] = {
        {EVENT(TARGET("configmaps", "secrets-in-here", "shop")),
         "DELETE /api/v1/namespaces/shop/configmaps/secrets-in-here", OPTIONS "}",
         "ConfigMap 'secrets-in-here' in the namespace 'shop' has been deleted"},
        // A cluster-wide kind; the audit event of a namespace names the namespace itself.
        {EVENT(TARGET("namespaces", "shop", "shop")), "DELETE /api/v1/namespaces/shop", OPTIONS "}",
         "Namespace 'shop' has been deleted"},
        {EVENT("\"ka.target.resource\":\"clusterroles\",\"ka.target.name\":\"system:evil\""),
         "DELETE /apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Aevil", OPTIONS "}",
         "ClusterRole 'system:evil' has been deleted"},
        // An event about a subresource: the object itself.
        {EVENT(TARGET("pods", "web-1", "shop") ",\"ka.target.subresource\":\"exec\""),
         "DELETE /api/v1/namespaces/shop/pods/web-1", OPTIONS "}", "Pod 'web-1'"},
        // A custom resource, from the group that was called.
        {EVENT(TARGET("widgets", "w", "shop") ",\"ka.uri\":\"/apis/two.example.com/v1beta1/namespaces/shop/widgets\""),
         "DELETE /apis/two.example.com/v1beta1/namespaces/shop/widgets/w", OPTIONS "}", "Widget 'w'"},
        {EVENT(TARGET("widgets", "w", "shop") ",\"jevt.value[/objectRef/apiGroup]\":\"two.example.com\""),
         "DELETE /apis/two.example.com/v1beta1/namespaces/shop/widgets/w", OPTIONS "}", "Widget 'w'"},
        {EVENT(TARGET("configmaps", "c", "shop") ",\"jevt.value[/objectRef/uid]\":\"<NA>\","
                                                 "\"jevt.value[/objectRef/apiGroup]\":\"<NA>\",\"ka.uri\":null"),
         "DELETE /api/v1/namespaces/shop/configmaps/c", OPTIONS "}", "has been deleted"},
        {EVENT(TARGET("configmaps", "c", "shop") ",\"jevt.value[/objectRef/uid]\":\"u-1\""),
         "DELETE /api/v1/namespaces/shop/configmaps/c", OPTIONS ",\"preconditions\":{\"uid\":\"u-1\"}}",
         "has been deleted"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        const Exchange exchanges[] = {DISCOVER, {cases[i].request, cases[i].body, 200, "{}", NULL}, END};
        g_auto(Run) run = {0};
        run_against(exchanges, "kubernetes:delete", cases[i].event, NULL, &run);
        assert_result(&run, ACTION_SUCCESS, cases[i].says);
    }
}

static void test_objects(void) {
    const Exchange exchanges[] = {
        DISCOVER, {"DELETE /api/v1/namespaces/shop/configmaps/c", OPTIONS "}", 200, "{}", NULL}, END};
    g_auto(Run) run = {0};
    run_against(exchanges, "kubernetes:delete", EVENT(TARGET("configmaps", "c", "shop")), NULL, &run);
    assert_result(&run, ACTION_SUCCESS, "deleted");
    g_assert_cmpstr(object_of(&run, "resource"), ==, "configmaps");
    g_assert_cmpstr(object_of(&run, "name"), ==, "c");
    g_assert_cmpstr(object_of(&run, "namespace"), ==, "shop");
}

static void test_gone_and_stale(void) {
    const Exchange gone[] = {
        DISCOVER, {"DELETE /api/v1/namespaces/shop/configmaps/c", OPTIONS "}", 404, "{}", NULL}, END};
    g_auto(Run) run = {0};
    run_against(gone, "kubernetes:delete", EVENT(TARGET("configmaps", "c", "shop")), NULL, &run);
    assert_failed(&run, STOOP_ERROR_NOT_FOUND, "ConfigMap 'c' in the namespace 'shop' is gone");

    const Exchange stale[] = {DISCOVER,
                              {"DELETE /api/v1/namespaces/shop/configmaps/c",
                               OPTIONS ",\"preconditions\":{\"uid\":\"u-1\"}}", 409, "{}", NULL},
                              END};
    g_auto(Run) second = {0};
    run_against(stale, "kubernetes:delete",
                EVENT(TARGET("configmaps", "c", "shop") ",\"jevt.value[/objectRef/uid]\":\"u-1\""), NULL, &second);
    assert_result(&second, ACTION_STALE, "another one now");
}

static void test_unclear_events(void) {
    static const struct {
        const char *event;
        bool discovers;
        gint code;
        const char *says;
    } cases[] = {
        {EVENT("\"x\":1"), false, STOOP_ERROR_INVALID, "ka.target.resource"},
        {EVENT("\"ka.target.resource\":\"configmaps\",\"ka.target.name\":null"), false, STOOP_ERROR_INVALID,
         "ka.target.name"},
        // An empty name or a dot would be another URL: that of the whole collection.
        {EVENT(TARGET("configmaps", "..", "shop")), false, STOOP_ERROR_INVALID, "cannot be the name"},
        {EVENT(TARGET("configmaps", "a/b", "shop")), false, STOOP_ERROR_INVALID, "cannot be the name"},
        {EVENT(TARGET("configmaps/x", "b", "shop")), false, STOOP_ERROR_INVALID, "cannot be the name"},
        {EVENT("\"ka.target.resource\":\"configmaps\",\"ka.target.name\":\"c\""), true, STOOP_ERROR_INVALID,
         "ka.target.namespace"},
        {EVENT(TARGET("configmaps", "c", "..")), true, STOOP_ERROR_INVALID, "cannot be the name of a namespace"},
        {EVENT(TARGET("gadgets", "g", "shop")), true, STOOP_ERROR_NOT_FOUND, "gadgets"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        const Exchange nothing[] = {END};
        const Exchange discovery[] = {DISCOVER, END};
        g_auto(Run) run = {0};
        run_against(cases[i].discovers ? discovery : nothing, "kubernetes:delete", cases[i].event, NULL, &run);
        assert_failed(&run, cases[i].code, cases[i].says);
    }
}

static void test_empty_name(void) {
    const Exchange nothing[] = {END};
    g_auto(Run) run = {0};
    run_against(nothing, "kubernetes:delete", EVENT(TARGET("configmaps", "", "shop")), NULL, &run);
    g_assert_false(run.ok);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/delete/kinds", test_kinds);
    g_test_add_func("/delete/objects", test_objects);
    g_test_add_func("/delete/gone-and-stale", test_gone_and_stale);
    g_test_add_func("/delete/unclear-events", test_unclear_events);
    g_test_add_func("/delete/empty-name", test_empty_name);
    return g_test_run();
}
