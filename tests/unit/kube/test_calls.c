// The calls on one object: what goes out, what is repeated, what errors say.
#include "base/error.h"
#include "fake_api.h"
#include "kube/kube_client_internal.h"

#include <string.h>

#define WEB "/api/v1/namespaces/shop/pods/web"
#define DELETE_WEB                                                                                                     \
    "{\"kind\":\"DeleteOptions\",\"apiVersion\":\"v1\",\"gracePeriodSeconds\":0,\"preconditions\":{\"uid\":\"u-1\"}}"
static const KubeDeleteOptions NOW = {.grace_period_seconds = 0, .uid = "u-1"};

static void test_get(void) {
    g_autoptr(FakeApi) api = fake_api_new();
    fake_api_expect(api, (FakeStep){.method = "GET",
                                    .path = WEB,
                                    .headers = {"Accept: application/json", "Authorization: Bearer t0k3n",
                                                "User-Agent: stoop/" STOOP_VERSION, "!Content-Type"},
                                    .status = 200,
                                    .answer = "{\"metadata\":{\"uid\":\"u-1\"}}"});
    KubePath path = KUBE_POD("shop", "web");
    KubeCall call = fake_api_call(api, 10);
    g_auto(KubeObject) pod = {0};
    g_autoptr(GError) error = NULL;
    g_assert_true(kube_get(api->client, &path, &call, &pod, &error));
    g_assert_cmpstr(kube_object_text(pod.root, "metadata", "uid", NULL), ==, "u-1");
    g_assert_null(kube_object_text(pod.root, "metadata", "uid", "deeper", NULL));
    g_assert_null(kube_object_text(pod.root, "metadata", NULL));
    g_assert_cmpint(api->last_deadline_us, ==, call.deadline_us);
}

static void test_get_no_json(void) {
    static const char *const answers[] = {"", "<html>", "[]", "{\"a\":", "12"};
    for (size_t i = 0; i < G_N_ELEMENTS(answers); i++) {
        g_autoptr(FakeApi) api = fake_api_new();
        fake_api_expect(api,
                        (FakeStep){.method = "GET", .path = "/api/v1/nodes/n", .status = 200, .answer = answers[i]});
        KubePath path = KUBE_NODE("n");
        g_auto(KubeObject) node = {0};
        g_autoptr(GError) error = NULL;
        g_assert_false(kube_get(api->client, &path, NULL, &node, &error));
        g_assert_error(error, STOOP_ERROR, STOOP_ERROR_FAILED);
        g_assert_null(node.doc);
    }
}

static void test_paths(void) {
    static const struct {
        KubePath path;
        const char *url; // NULL: refused
    } cases[] = {
        {{"", "v1", "pods", "shop", "web", NULL}, "/api/v1/namespaces/shop/pods/web"},
        {{"", "v1", "pods", "shop", "web", "log"}, "/api/v1/namespaces/shop/pods/web/log"},
        {{NULL, "v1", "nodes", NULL, "n1", NULL}, "/api/v1/nodes/n1"},
        {{"apps", "v1", "deployments", "shop", "web", NULL}, "/apis/apps/v1/namespaces/shop/deployments/web"},
        {{"rbac.authorization.k8s.io", "v1", "clusterroles", NULL, "system:node a?b#c", NULL},
         "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode%20a%3Fb%23c"},
        {{"", "v1", "pods", "shop", "w\xc3\xa4", NULL}, "/api/v1/namespaces/shop/pods/w%C3%A4"},
        {{"", "v1", "pods", "shop", "", NULL}, NULL},
        {{"", "v1", "pods", "shop", ".", NULL}, NULL},
        {{"", "v1", "pods", "shop", "..", NULL}, NULL},
        {{"", "v1", "pods", "shop", "web/exec", NULL}, NULL},
        {{"", "v1", "pods", "shop", "web%2fexec", NULL}, NULL},
        {{"", "v1", "pods", "", "web", NULL}, NULL},
        {{"", "v1", "pods", "../kube-system", "web", NULL}, NULL},
        {{"", "v1", "pods", "shop", NULL, "log"}, NULL},
        {{"", "", "pods", "shop", "web", NULL}, NULL},
        {{"a/b", "v1", "pods", "shop", "web", NULL}, NULL},
        {{"", "v1", NULL, "shop", "web", NULL}, NULL},
    };
    g_autoptr(FakeApi) api = fake_api_new();
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_test_message("case %zu", i);
        if (cases[i].url)
            fake_api_expect(api, (FakeStep){.method = "GET", .path = cases[i].url, .status = 200, .answer = "{}"});
        g_auto(KubeObject) object = {0};
        g_autoptr(GError) error = NULL;
        g_assert_cmpint(kube_get(api->client, &cases[i].path, NULL, &object, &error), ==, cases[i].url != NULL);
        if (!cases[i].url)
            g_assert_error(error, STOOP_ERROR, STOOP_ERROR_INVALID);
    }
}

// Without a name a DELETE would be of the whole collection.
static void test_delete_needs_name(void) {
    g_autoptr(FakeApi) api = fake_api_new();
    static const char *const names[] = {NULL, "", "."};
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        KubePath path = KUBE_POD("shop", names[i]);
        g_autoptr(GError) error = NULL;
        g_assert_false(kube_delete(api->client, &path, &NOW, NULL, &error));
        g_assert_error(error, STOOP_ERROR, STOOP_ERROR_INVALID);
    }
}

static void test_delete_bodies(void) {
    g_autoptr(FakeApi) api = fake_api_new();
    KubePath path = KUBE_POD("shop", "web");
    fake_api_expect(api, (FakeStep){.method = "DELETE",
                                    .path = WEB,
                                    .body = DELETE_WEB,
                                    .headers = {"Content-Type: application/json"},
                                    .status = 200,
                                    .answer = "not even JSON"});
    g_assert_true(kube_delete(api->client, &path, &NOW, NULL, NULL));
    fake_api_expect(api, (FakeStep){.method = "DELETE",
                                    .path = WEB,
                                    .body = "{\"kind\":\"DeleteOptions\",\"apiVersion\":\"v1\",\"propagationPolicy\":"
                                            "\"Background\",\"preconditions\":{\"uid\":\"a\\\"b\"}}",
                                    .status = 202});
    KubeDeleteOptions options = {.grace_period_seconds = -1, .uid = "a\"b", .propagation = "Background"};
    g_assert_true(kube_delete(api->client, &path, &options, NULL, NULL));
    fake_api_expect(api, (FakeStep){.method = "DELETE",
                                    .path = WEB,
                                    .body = "{\"kind\":\"DeleteOptions\",\"apiVersion\":\"v1\"}",
                                    .status = 200});
    g_assert_true(kube_delete(api->client, &path, NULL, NULL, NULL));
}

static void test_dry_run(void) {
    g_autoptr(FakeApi) api = fake_api_new();
    KubePath path = KUBE_POD("shop", "web");
    KubeCall call = fake_api_call(api, 10);
    call.dry_run = true;
    // The server reads the options of a DELETE from the body, where there is one.
    fake_api_expect(api, (FakeStep){.method = "DELETE",
                                    .path = WEB,
                                    .body = "{\"kind\":\"DeleteOptions\",\"apiVersion\":\"v1\",\"dryRun\":[\"All\"]}",
                                    .status = 200});
    g_assert_true(kube_delete(api->client, &path, NULL, &call, NULL));
    fake_api_expect(api, (FakeStep){.method = "PATCH", .path = WEB "?dryRun=All", .body = "{}", .status = 200});
    g_assert_true(kube_patch(api->client, &path, KUBE_MERGE_PATCH, "{}", &call, NULL, NULL));
    fake_api_expect(api, (FakeStep){.method = "GET", .path = WEB, .status = 200, .answer = "{}"});
    g_auto(KubeObject) object = {0};
    g_assert_true(kube_get(api->client, &path, &call, &object, NULL));
}

static void test_writes(void) {
    g_autoptr(FakeApi) api = fake_api_new();
    KubePath pods = {"", "v1", "pods", "shop", NULL, NULL}, web = KUBE_POD("shop", "web");
    KubePath eviction = {"", "v1", "pods", "shop", "web", "eviction"};
    fake_api_expect(api, (FakeStep){.method = "POST",
                                    .path = "/api/v1/namespaces/shop/pods",
                                    .body = "{\"a\":1}",
                                    .headers = {"Content-Type: application/json"},
                                    .status = 201,
                                    .answer = "{\"b\":2}"});
    g_auto(KubeObject) made = {0};
    g_assert_true(kube_create(api->client, &pods, "{\"a\":1}", NULL, &made, NULL));
    g_assert_cmpint(yyjson_get_int(kube_object_get(made.root, "b", NULL)), ==, 2);
    fake_api_expect(api, (FakeStep){.method = "POST", .path = WEB "/eviction", .body = "{}", .status = 201});
    g_assert_true(kube_create(api->client, &eviction, "{}", NULL, NULL, NULL));
    fake_api_expect(api, (FakeStep){.method = "PUT", .path = WEB, .body = "{}", .status = 200, .answer = "{}"});
    g_auto(KubeObject) put = {0};
    g_assert_true(kube_replace(api->client, &web, "{}", NULL, &put, NULL));
    static const struct {
        KubePatchType type;
        const char *path, *header;
    } patches[] = {
        {KUBE_MERGE_PATCH, WEB, "Content-Type: application/merge-patch+json"},
        {KUBE_JSON_PATCH, WEB, "Content-Type: application/json-patch+json"},
        {KUBE_STRATEGIC_PATCH, WEB, "Content-Type: application/strategic-merge-patch+json"},
        {KUBE_APPLY_PATCH, WEB "?fieldManager=stoop", "Content-Type: application/apply-patch+yaml"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(patches); i++) {
        fake_api_expect(api, (FakeStep){.method = "PATCH",
                                        .path = patches[i].path,
                                        .body = "{}",
                                        .headers = {patches[i].header},
                                        .status = 200});
        g_assert_true(kube_patch(api->client, &web, patches[i].type, "{}", NULL, NULL, NULL));
    }
    g_autoptr(GError) error = NULL;
    g_assert_false(kube_create(api->client, &web, "{}", NULL, NULL, &error));
    g_assert_error(error, STOOP_ERROR, STOOP_ERROR_INVALID);
}

static void test_statuses(void) {
    static const struct {
        int status;
        const char *answer;
        StoopError code;
        const char *text;
    } cases[] = {
        {403, STATUS_JSON(403, "Forbidden", "pods \\\"web\\\" is forbidden: User \\\"x\\\" cannot patch"),
         STOOP_ERROR_FORBIDDEN, "pods \"web\" is forbidden: User \"x\" cannot patch (403 Forbidden)"},
        {404, STATUS_JSON(404, "NotFound", "pods \\\"web\\\" not found"), STOOP_ERROR_NOT_FOUND,
         "pods \"web\" not found (404 NotFound)"},
        {409, STATUS_JSON(409, "AlreadyExists", "it is there"), STOOP_ERROR_CONFLICT,
         "it is there (409 AlreadyExists)"},
        {410, STATUS_JSON(410, "Expired", "too old"), STOOP_ERROR_CONFLICT, "too old (410 Expired)"},
        {422, STATUS_JSON(422, "Invalid", "bad label"), STOOP_ERROR_INVALID, "bad label (422 Invalid)"},
        {400, STATUS_JSON(400, "BadRequest", "line\\none\\u0007"), STOOP_ERROR_INVALID, "line one (400 BadRequest)"},
        {413, "", STOOP_ERROR_TOO_LARGE,
         "PATCH https://api.test:6443/api/v1/namespaces/shop/pods/web: HTTP 413 RequestEntityTooLarge"},
        {500, STATUS_JSON(500, "InternalError", "oops"), STOOP_ERROR_UNAVAILABLE, "oops (500 InternalError)"},
        {502, "<html>\n bad\xff gateway", STOOP_ERROR_UNAVAILABLE,
         "HTTP 502 BadGateway: <html>  bad\xef\xbf\xbd gateway"},
        {302, "", STOOP_ERROR_FAILED, "HTTP 302"},
        {400, "{\"message\":5,\"reason\":[]}", STOOP_ERROR_INVALID, "HTTP 400 BadRequest: {\"message\":5"},
        {404, "{\"message\":\"m\",\"reason\":7,\"code\":\"x\"}", STOOP_ERROR_NOT_FOUND, "m (404 NotFound)"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(FakeApi) api = fake_api_new();
        fake_api_expect(
            api,
            (FakeStep){
                .method = "PATCH", .path = WEB, .body = "{}", .status = cases[i].status, .answer = cases[i].answer});
        KubePath path = KUBE_POD("shop", "web");
        g_autoptr(GError) error = NULL;
        // A JSON patch is not repeated after a 5xx: one answer is enough.
        g_assert_false(kube_patch(api->client, &path, KUBE_JSON_PATCH, "{}", NULL, NULL, &error));
        g_assert_error(error, STOOP_ERROR, (gint)cases[i].code);
        assert_text_has(error->message, cases[i].text);
    }
}

typedef bool (*Verb)(FakeApi *api, GError **error);
static bool do_get(FakeApi *api, GError **error) {
    KubePath path = KUBE_POD("shop", "web");
    KubeCall call = fake_api_call(api, 10);
    g_auto(KubeObject) object = {0};
    return kube_get(api->client, &path, &call, &object, error);
}
static bool do_delete(FakeApi *api, GError **error) {
    KubePath path = KUBE_POD("shop", "web");
    KubeCall call = fake_api_call(api, 10);
    return kube_delete(api->client, &path, &NOW, &call, error);
}
static bool do_patch(FakeApi *api, GError **error) {
    KubePath path = KUBE_POD("shop", "web");
    KubeCall call = fake_api_call(api, 10);
    return kube_patch(api->client, &path, KUBE_MERGE_PATCH, "{}", &call, NULL, error);
}
static bool do_put(FakeApi *api, GError **error) {
    KubePath path = KUBE_POD("shop", "web");
    KubeCall call = fake_api_call(api, 10);
    return kube_replace(api->client, &path, "{}", &call, NULL, error);
}
static bool do_post(FakeApi *api, GError **error) {
    KubePath path = {"", "v1", "pods", "shop", NULL, NULL};
    KubeCall call = fake_api_call(api, 10);
    return kube_create(api->client, &path, "{}", &call, NULL, error);
}

static const struct {
    const char *method, *path, *body;
    Verb run;
} VERBS[] = {
    {"GET", WEB, NULL, do_get},
    {"DELETE", WEB, DELETE_WEB, do_delete},
    {"PATCH", WEB, "{}", do_patch},
    {"PUT", WEB, "{}", do_put},
    {"POST", "/api/v1/namespaces/shop/pods", "{}", do_post},
};

// For each verb, which troubles are tried again.
static void test_repeats(void) {
    static const struct {
        const char *name;
        FakeStep trouble;
        const char *repeated; // a letter for each of GET, DELETE, PATCH, PUT, POST
    } cases[] = {
        {"refused", {.failure = STOOP_ERROR_UNAVAILABLE}, "yyyyy"},
        {"no connection in time", {.failure = STOOP_ERROR_TIMEOUT, .takes_us = 1000000}, "yyyyy"},
        {"broken", {.failure = STOOP_ERROR_UNAVAILABLE, .sent = true}, "yyynn"},
        {"silent", {.failure = STOOP_ERROR_TIMEOUT, .sent = true, .takes_us = 1000000}, "yyynn"},
        {"429", {.status = 429}, "yyyyy"},
        {"429 told", {.status = 429, .retry_after_us = 1000000}, "yyyyy"},
        {"503", {.status = 503}, "yyyyn"},
        {"503 told", {.status = 503, .retry_after_us = 1000000}, "yyyyy"},
        {"500", {.status = 500}, "yyynn"},
        {"502", {.status = 502}, "yyynn"},
        {"504", {.status = 504}, "yyynn"},
        {"501", {.status = 501}, "nnnnn"},
        {"403", {.status = 403}, "nnnnn"},
        {"404", {.status = 404}, "nnnnn"},
        {"409", {.status = 409}, "nnnnn"},
        {"TLS", {.failure = STOOP_ERROR_INVALID}, "nnnnn"},
        {"large", {.failure = STOOP_ERROR_TOO_LARGE, .sent = true}, "nnnnn"},
        {"cancelled", {.failure = STOOP_ERROR_CANCELLED}, "nnnnn"},
    };
    for (size_t c = 0; c < G_N_ELEMENTS(cases); c++) {
        for (size_t v = 0; v < G_N_ELEMENTS(VERBS); v++) {
            g_test_message("%s %s", VERBS[v].method, cases[c].name);
            g_autoptr(FakeApi) api = fake_api_new();
            FakeStep step = cases[c].trouble;
            step.method = VERBS[v].method;
            step.path = VERBS[v].path;
            step.body = VERBS[v].body;
            fake_api_expect(api, step);
            bool repeated = cases[c].repeated[v] == 'y';
            if (repeated)
                fake_api_expect(api, (FakeStep){.method = VERBS[v].method,
                                                .path = VERBS[v].path,
                                                .body = VERBS[v].body,
                                                .status = 200,
                                                .answer = "{}"});
            g_autoptr(GError) error = NULL;
            g_assert_cmpint(VERBS[v].run(api, &error), ==, repeated);
            g_assert_cmpuint(api->next, ==, api->count);
            if (!repeated && !cases[c].trouble.status)
                g_assert_error(error, STOOP_ERROR, (gint)cases[c].trouble.failure);
            if (repeated)
                g_assert_cmpint(api->waits[0], ==, cases[c].trouble.retry_after_us ? 1000000 : 25000);
        }
    }
}

static void test_backoff_and_jitter(void) {
    g_autoptr(FakeApi) api = fake_api_new();
    api->random = UINT32_MAX;
    for (int i = 0; i < 5; i++)
        fake_api_expect(api, (FakeStep){.method = "GET", .path = WEB, .failure = STOOP_ERROR_UNAVAILABLE});
    fake_api_expect(api, (FakeStep){.method = "GET", .path = WEB, .status = 429, .retry_after_us = 2000000});
    fake_api_expect(api, (FakeStep){.method = "GET", .path = WEB, .status = 200, .answer = "{}"});
    g_assert_true(do_get(api, NULL));
    static const int64_t waits[] = {50000, 100000, 200000, 400000, 800000, 2200000};
    for (size_t i = 0; i < G_N_ELEMENTS(waits); i++)
        g_assert_cmpint(api->waits[i], ==, waits[i]);
}

static void test_retry_after_in_status(void) {
    g_autoptr(FakeApi) api = fake_api_new();
    fake_api_expect(api, (FakeStep){.method = "POST",
                                    .path = "/api/v1/namespaces/shop/pods",
                                    .body = "{}",
                                    .status = 503,
                                    .answer = "{\"message\":\"m\",\"details\":{\"retryAfterSeconds\":3}}"});
    fake_api_expect(api,
                    (FakeStep){.method = "POST", .path = "/api/v1/namespaces/shop/pods", .body = "{}", .status = 201});
    g_assert_true(do_post(api, NULL));
    g_assert_cmpint(api->waits[0], ==, 3000000);
}

static void test_retry_after_too_far(void) {
    g_autoptr(FakeApi) api = fake_api_new();
    fake_api_expect(api, (FakeStep){.method = "DELETE",
                                    .path = WEB,
                                    .body = DELETE_WEB,
                                    .status = 429,
                                    .retry_after_us = 60000000,
                                    .answer = STATUS_JSON(429, "TooManyRequests", "slow down")});
    g_autoptr(GError) error = NULL;
    g_assert_false(do_delete(api, &error));
    g_assert_error(error, STOOP_ERROR, STOOP_ERROR_UNAVAILABLE);
    g_assert_cmpstr(error->message, ==, "slow down (429 TooManyRequests)");
    g_assert_cmpuint(api->wait_count, ==, 0);
}

// A server that is away the whole time: the last try comes shortly before the deadline, and no call outlasts it.
static void test_deadline(void) {
    g_autoptr(FakeApi) api = fake_api_new();
    for (int i = 0; i < 11; i++)
        fake_api_expect(api, (FakeStep){.method = "GET", .path = WEB, .failure = STOOP_ERROR_UNAVAILABLE});
    int64_t began = api->now_us;
    g_autoptr(GError) error = NULL;
    g_assert_false(do_get(api, &error));
    g_assert_error(error, STOOP_ERROR, STOOP_ERROR_UNAVAILABLE);
    assert_text_has(error->message, "GET https://api.test:6443" WEB ": broken (tried 11 times)");
    g_assert_cmpint(api->now_us - began, ==, 9750000);
}

static void test_deadline_passed(void) {
    g_autoptr(FakeApi) api = fake_api_new();
    KubePath path = KUBE_POD("shop", "web");
    KubeCall call = {.deadline_us = api->now_us};
    g_autoptr(GError) error = NULL;
    g_assert_false(kube_delete(api->client, &path, &NOW, &call, &error));
    g_assert_error(error, STOOP_ERROR, STOOP_ERROR_TIMEOUT);
}

static void test_default_deadline(void) {
    g_autoptr(FakeApi) api = fake_api_new();
    KubePath path = KUBE_POD("shop", "web");
    fake_api_expect(api, (FakeStep){.method = "DELETE", .path = WEB, .body = DELETE_WEB, .status = 200});
    g_assert_true(kube_delete(api->client, &path, &NOW, NULL, NULL));
    g_assert_cmpint(api->last_deadline_us, ==, api->now_us + 10000000);
}

static void test_timeout(void) {
    g_autoptr(FakeApi) api = fake_api_new();
    fake_api_expect(api, (FakeStep){.method = "DELETE",
                                    .path = WEB,
                                    .body = DELETE_WEB,
                                    .failure = STOOP_ERROR_TIMEOUT,
                                    .sent = true,
                                    .takes_us = 10000000});
    g_autoptr(GError) error = NULL;
    g_assert_false(do_delete(api, &error));
    g_assert_error(error, STOOP_ERROR, STOOP_ERROR_TIMEOUT);
}

static void test_cancel(void) {
    g_autoptr(FakeApi) api = fake_api_new();
    fake_api_expect(api, (FakeStep){.method = "GET", .path = WEB, .failure = STOOP_ERROR_UNAVAILABLE});
    api->cancel_at_wait = 1;
    g_autoptr(GError) error = NULL;
    g_assert_false(do_get(api, &error));
    g_assert_error(error, STOOP_ERROR, STOOP_ERROR_CANCELLED);
}

// A DELETE whose answer was lost, repeated: that nothing is left of the pod means that it was done.
static void test_delete_after_lost_answer(void) {
    static const struct {
        int first; // 0: broken connection
        bool sent;
        int second;
        bool has_uid, done;
        StoopError code;
    } cases[] = {
        {0, true, 404, true, true, 0},
        {0, true, 409, true, true, 0},
        {0, true, 404, false, true, 0},
        {0, true, 409, false, false, STOOP_ERROR_CONFLICT},
        {0, false, 404, true, false, STOOP_ERROR_NOT_FOUND},
        {0, false, 409, true, false, STOOP_ERROR_CONFLICT},
        {504, true, 404, true, true, 0},
        {429, true, 404, true, false, STOOP_ERROR_NOT_FOUND},
        {0, true, 403, true, false, STOOP_ERROR_FORBIDDEN},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_test_message("case %zu", i);
        g_autoptr(FakeApi) api = fake_api_new();
        const char *body = cases[i].has_uid ? DELETE_WEB : "{\"kind\":\"DeleteOptions\",\"apiVersion\":\"v1\"}";
        fake_api_expect(api, (FakeStep){.method = "DELETE",
                                        .path = WEB,
                                        .body = body,
                                        .status = cases[i].first,
                                        .failure = STOOP_ERROR_UNAVAILABLE,
                                        .sent = cases[i].sent});
        fake_api_expect(api, (FakeStep){.method = "DELETE", .path = WEB, .body = body, .status = cases[i].second});
        KubePath path = KUBE_POD("shop", "web");
        g_autoptr(GError) error = NULL;
        g_assert_cmpint(kube_delete(api->client, &path, cases[i].has_uid ? &NOW : NULL, NULL, &error), ==,
                        cases[i].done);
        if (!cases[i].done)
            g_assert_error(error, STOOP_ERROR, (gint)cases[i].code);
    }
}

static bool collect(const char *data, size_t len, void *user, GError **error) {
    g_string_append_len(user, data, (gssize)len);
    if (strstr(((GString *)user)->str, "FULL")) {
        g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_NO_SPACE, "the disk is full");
        return false;
    }
    return true;
}

static void test_stream(void) {
    g_autoptr(FakeApi) api = fake_api_new();
    KubePath path = {"", "v1", "pods", "shop", "web", "log"};
    g_autoptr(GString) text = g_string_new(NULL);
    fake_api_expect(api,
                    (FakeStep){.method = "GET", .path = WEB "/log?tailLines=2", .failure = STOOP_ERROR_UNAVAILABLE});
    fake_api_expect(api, (FakeStep){.method = "GET",
                                    .path = WEB "/log?tailLines=2",
                                    .headers = {"Accept: */*"},
                                    .status = 200,
                                    .answer = "one\ntwo\n",
                                    .piece = 3});
    g_assert_true(kube_stream(api->client, &path, "tailLines=2", NULL, collect, text, NULL));
    g_assert_cmpstr(text->str, ==, "one\ntwo\n");
    g_assert_true(api->last_long_lived);

    // Once data came, a broken connection is an error: repeating it would give the beginning twice.
    g_autoptr(GError) error = NULL;
    fake_api_expect(api, (FakeStep){.method = "GET", .path = WEB "/log", .status = 200, .answer = "a", .breaks = true});
    g_assert_false(kube_stream(api->client, &path, NULL, NULL, collect, text, &error));
    g_assert_error(error, STOOP_ERROR, STOOP_ERROR_UNAVAILABLE);
    g_clear_error(&error);
    fake_api_expect(api, (FakeStep){.method = "GET", .path = WEB "/log", .status = 200, .answer = "FULL"});
    g_assert_false(kube_stream(api->client, &path, "", NULL, collect, text, &error));
    g_assert_error(error, STOOP_ERROR, STOOP_ERROR_NO_SPACE);
    g_assert_cmpstr(error->message, ==, "the disk is full");
}

static void test_ping(void) {
    g_autoptr(FakeApi) api = fake_api_new();
    fake_api_expect(api, (FakeStep){.method = "GET", .path = "/readyz", .status = 200, .answer = "ok"});
    g_assert_true(kube_ping(api->client, NULL, NULL));
    fake_api_expect(api, (FakeStep){.method = "GET", .path = "/readyz", .status = 403});
    fake_api_expect(api, (FakeStep){.method = "GET", .path = "/version", .status = 200, .answer = "{}"});
    g_assert_true(kube_ping(api->client, NULL, NULL));
    fake_api_expect(api, (FakeStep){.method = "GET", .path = "/readyz", .status = 503});
    g_autoptr(GError) error = NULL;
    g_assert_false(kube_ping(api->client, NULL, &error));
    g_assert_error(error, STOOP_ERROR, STOOP_ERROR_UNAVAILABLE);
    g_clear_error(&error);
    fake_api_expect(api, (FakeStep){.method = "GET", .path = "/readyz", .failure = STOOP_ERROR_UNAVAILABLE});
    g_assert_false(kube_ping(api->client, NULL, &error));
    g_assert_error(error, STOOP_ERROR, STOOP_ERROR_UNAVAILABLE);
    g_assert_cmpuint(api->wait_count, ==, 0);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/kube/calls/get", test_get);
    g_test_add_func("/kube/calls/get-no-json", test_get_no_json);
    g_test_add_func("/kube/calls/paths", test_paths);
    g_test_add_func("/kube/calls/delete-needs-name", test_delete_needs_name);
    g_test_add_func("/kube/calls/delete-bodies", test_delete_bodies);
    g_test_add_func("/kube/calls/dry-run", test_dry_run);
    g_test_add_func("/kube/calls/writes", test_writes);
    g_test_add_func("/kube/calls/statuses", test_statuses);
    g_test_add_func("/kube/calls/repeats", test_repeats);
    g_test_add_func("/kube/calls/backoff", test_backoff_and_jitter);
    g_test_add_func("/kube/calls/retry-after-in-status", test_retry_after_in_status);
    g_test_add_func("/kube/calls/retry-after-too-far", test_retry_after_too_far);
    g_test_add_func("/kube/calls/deadline", test_deadline);
    g_test_add_func("/kube/calls/deadline-passed", test_deadline_passed);
    g_test_add_func("/kube/calls/default-deadline", test_default_deadline);
    g_test_add_func("/kube/calls/timeout", test_timeout);
    g_test_add_func("/kube/calls/cancel", test_cancel);
    g_test_add_func("/kube/calls/delete-after-lost-answer", test_delete_after_lost_answer);
    g_test_add_func("/kube/calls/stream", test_stream);
    g_test_add_func("/kube/calls/ping", test_ping);
    return g_test_run();
}
