// Lists in pages, and watches.
#include "base/error.h"
#include "fake_api.h"
#include "kube/kube_list_parse.h"

#include <string.h>

#define PODS "/api/v1/namespaces/shop/pods"
#define LIST(next, version, items)                                                                                     \
    "{\"kind\":\"PodList\",\"metadata\":{\"resourceVersion\":\"" version "\",\"continue\":\"" next                     \
    "\"},\"items\":" items "}"
static const KubePath PATH = {"", "v1", "pods", "shop", NULL, NULL};

typedef struct {
    GString *seen;
    unsigned restarts, count, stop_at;
} Seen;

static bool note_item(yyjson_val *item, void *user) {
    Seen *seen = user;
    g_string_append_printf(seen->seen, "%s ", kube_object_text(item, "n", NULL));
    return ++seen->count != seen->stop_at;
}

static void note_restart(void *user) {
    Seen *seen = user;
    seen->restarts++;
    g_string_truncate(seen->seen, 0);
}

static bool note_event(const char *type, yyjson_val *object, void *user) {
    Seen *seen = user;
    const char *name = kube_object_text(object, "n", NULL);
    g_string_append_printf(seen->seen, "%s:%s ", type, name ? name : "");
    return ++seen->count != seen->stop_at;
}

static void test_pages(void) {
    g_autoptr(FakeApi) api = fake_api_new();
    fake_api_expect(api, (FakeStep){.method = "GET",
                                    .path = PODS "?limit=500&labelSelector=app%3Dweb%2Ctier%20in%20%28a%2Cb%29"
                                                 "&fieldSelector=spec.nodeName%3Dn1",
                                    .status = 200,
                                    .answer = LIST("a+b/=", "10", "[{\"n\":\"1\"},{\"n\":\"2\"}]")});
    fake_api_expect(api, (FakeStep){.method = "GET",
                                    .path = PODS "?limit=500&labelSelector=app%3Dweb%2Ctier%20in%20%28a%2Cb%29"
                                                 "&fieldSelector=spec.nodeName%3Dn1&continue=a%2Bb%2F%3D",
                                    .status = 200,
                                    .answer = LIST("", "10", "[{\"n\":\"3\"}]")});
    g_autoptr(GString) text = g_string_new(NULL);
    Seen seen = {.seen = text};
    KubeList list = {.label_selector = "app=web,tier in (a,b)",
                     .field_selector = "spec.nodeName=n1",
                     .each = note_item,
                     .user = &seen};
    g_autofree char *version = NULL;
    g_assert_true(kube_list(api->client, &PATH, &list, NULL, &version, NULL));
    g_assert_cmpstr(text->str, ==, "1 2 3 ");
    g_assert_cmpstr(version, ==, "10");
}

static void test_stop(void) {
    g_autoptr(FakeApi) api = fake_api_new();
    fake_api_expect(api, (FakeStep){.method = "GET",
                                    .path = PODS "?limit=2",
                                    .status = 200,
                                    .answer = LIST("more", "10", "[{\"n\":\"1\"},{\"n\":\"2\"}]")});
    g_autoptr(GString) text = g_string_new(NULL);
    Seen seen = {.seen = text, .stop_at = 1};
    KubeList list = {.page = 2, .each = note_item, .user = &seen};
    g_assert_true(kube_list(api->client, &PATH, &list, NULL, NULL, NULL));
    g_assert_cmpstr(text->str, ==, "1 ");
}

static void test_expired(void) {
    g_autoptr(FakeApi) api = fake_api_new();
    static const char first[] = LIST("t", "10", "[{\"n\":\"1\"}]"), gone[] = STATUS_JSON(410, "Expired", "too old");
    fake_api_expect(api, (FakeStep){.method = "GET", .path = PODS "?limit=1", .status = 200, .answer = first});
    fake_api_expect(api,
                    (FakeStep){.method = "GET", .path = PODS "?limit=1&continue=t", .status = 410, .answer = gone});
    fake_api_expect(api, (FakeStep){.method = "GET", .path = PODS "?limit=1", .status = 200, .answer = first});
    fake_api_expect(
        api, (FakeStep){
                 .method = "GET", .path = PODS "?limit=1&continue=t", .status = 200, .answer = LIST("", "11", "null")});
    g_autoptr(GString) text = g_string_new(NULL);
    Seen seen = {.seen = text};
    KubeList list = {.page = 1, .each = note_item, .restart = note_restart, .user = &seen};
    g_autofree char *version = NULL;
    g_assert_true(kube_list(api->client, &PATH, &list, NULL, &version, NULL));
    g_assert_cmpstr(text->str, ==, "1 ");
    g_assert_cmpuint(seen.restarts, ==, 1);
    g_assert_cmpstr(version, ==, "11");

    // Of a first page it cannot be helped by another start.
    g_autoptr(GError) first_error = NULL;
    fake_api_expect(api, (FakeStep){.method = "GET", .path = PODS "?limit=1", .status = 410, .answer = gone});
    g_assert_false(kube_list(api->client, &PATH, &list, NULL, NULL, &first_error));
    g_assert_error(first_error, STOOP_ERROR, STOOP_ERROR_CONFLICT);

    // Not for ever.
    for (int i = 0; i < 6; i++) {
        fake_api_expect(api, (FakeStep){.method = "GET", .path = PODS "?limit=1", .status = 200, .answer = first});
        fake_api_expect(api,
                        (FakeStep){.method = "GET", .path = PODS "?limit=1&continue=t", .status = 410, .answer = gone});
    }
    g_autoptr(GError) error = NULL;
    g_assert_false(kube_list(api->client, &PATH, &list, NULL, NULL, &error));
    g_assert_error(error, STOOP_ERROR, STOOP_ERROR_CONFLICT);
}

static void test_large_pages(void) {
    g_autoptr(FakeApi) api = fake_api_new();
    static const FakeStep large = {.method = "GET", .failure = STOOP_ERROR_TOO_LARGE, .sent = true};
    FakeStep step = large;
    step.path = PODS "?limit=500";
    fake_api_expect(api, step);
    fake_api_expect(api, (FakeStep){.method = "GET",
                                    .path = PODS "?limit=125",
                                    .status = 200,
                                    .answer = LIST("t", "1", "[{\"n\":\"1\"}]")});
    fake_api_expect(api, (FakeStep){.method = "GET",
                                    .path = PODS "?limit=125&continue=t",
                                    .status = 200,
                                    .answer = LIST("", "1", "[{\"n\":\"2\"}]")});
    g_autoptr(GString) text = g_string_new(NULL);
    Seen seen = {.seen = text};
    KubeList list = {.each = note_item, .user = &seen};
    g_assert_true(kube_list(api->client, &PATH, &list, NULL, NULL, NULL));
    g_assert_cmpstr(text->str, ==, "1 2 ");
    static const char *const paths[] = {PODS "?limit=500", PODS "?limit=125", PODS "?limit=31", PODS "?limit=7",
                                        PODS "?limit=1"};
    for (size_t i = 0; i < G_N_ELEMENTS(paths); i++) {
        step.path = paths[i];
        fake_api_expect(api, step);
    }
    g_autoptr(GError) error = NULL;
    g_assert_false(kube_list(api->client, &PATH, &list, NULL, NULL, &error));
    g_assert_error(error, STOOP_ERROR, STOOP_ERROR_TOO_LARGE);
}

static void test_no_list(void) {
    static const char *const answers[] = {
        "", "x", "{}", "[]", "{\"metadata\":[],\"items\":[]}", "{\"metadata\":{},\"items\":{}}"};
    for (size_t i = 0; i < G_N_ELEMENTS(answers); i++) {
        g_autoptr(FakeApi) api = fake_api_new();
        fake_api_expect(api,
                        (FakeStep){.method = "GET", .path = PODS "?limit=500", .status = 200, .answer = answers[i]});
        KubeList list = {.each = note_item};
        g_autoptr(GError) error = NULL;
        g_assert_false(kube_list(api->client, &PATH, &list, NULL, NULL, &error));
        g_assert_error(error, STOOP_ERROR, STOOP_ERROR_FAILED);
    }
    g_autoptr(FakeApi) api = fake_api_new();
    KubePath named = KUBE_POD("shop", "web");
    KubeList list = {.each = note_item};
    g_autoptr(GError) error = NULL;
    g_assert_false(kube_list(api->client, &named, &list, NULL, NULL, &error));
    g_assert_error(error, STOOP_ERROR, STOOP_ERROR_INVALID);
}

#define EVENT(type, name, version)                                                                                     \
    "{\"type\":\"" type "\",\"object\":{\"n\":\"" name "\",\"metadata\":{\"resourceVersion\":\"" version "\"}}}\n"
#define WATCH(version, seconds)                                                                                        \
    PODS "?watch=1&allowWatchBookmarks=true&resourceVersion=" version "&timeoutSeconds=" seconds

static KubeWatch watch_of(Seen *seen) {
    return (KubeWatch){.resource_version = "5", .each = note_event, .user = seen};
}

// The pieces of the network fall anywhere; the stream ends and breaks; each time it goes on from the version last seen.
static void test_watch(void) {
    for (size_t piece = 1; piece < 200; piece += 7) {
        g_autoptr(FakeApi) api = fake_api_new();
        fake_api_expect(api, (FakeStep){.method = "GET",
                                        .path = WATCH("5", "270"),
                                        .headers = {"Accept: application/json"},
                                        .status = 200,
                                        .takes_us = 270000000,
                                        .piece = piece,
                                        .answer = EVENT("ADDED", "a", "6") "\n" EVENT("MODIFIED", "a", "7")});
        fake_api_expect(api, (FakeStep){.method = "GET",
                                        .path = WATCH("7", "270"),
                                        .status = 200,
                                        .piece = piece,
                                        .answer = EVENT("BOOKMARK", "", "9") "{\"type\":\"ADDED\",\"object\":{\"n\":",
                                        .breaks = true});
        fake_api_expect(api, (FakeStep){.method = "GET",
                                        .path = WATCH("9", "270"),
                                        .status = 200,
                                        .piece = piece,
                                        .answer = EVENT("DELETED", "a", "10") EVENT("ADDED", "never", "11")});
        g_autoptr(GString) text = g_string_new(NULL);
        Seen seen = {.seen = text, .stop_at = 4};
        KubeWatch watch = watch_of(&seen);
        KubeCall call = fake_api_call(api, 3600);
        g_autoptr(GError) error = NULL;
        g_assert_true(kube_watch(api->client, &PATH, &watch, &call, &error));
        g_assert_no_error(error);
        g_assert_cmpstr(text->str, ==, "ADDED:a MODIFIED:a BOOKMARK: DELETED:a ");
        g_assert_true(api->last_long_lived);
        // The stream that ended in time was taken up at once, the broken one after a moment.
        g_assert_cmpuint(api->wait_count, ==, 1);
        g_assert_cmpint(api->waits[0], ==, 25000);
        // A dead connection is noticed soon after the server would have ended the stream.
        g_assert_cmpint(api->last_deadline_us, ==, api->now_us + 300000000);
    }
}

static void test_watch_too_old(void) {
    static const FakeStep ways[] = {
        {.status = 200,
         .answer = EVENT("ADDED", "a", "6") "{\"type\":\"ERROR\",\"object\":" STATUS_JSON(
             410, "Expired", "too old resource version") "}\n"},
        {.status = 410, .answer = STATUS_JSON(410, "Expired", "too old resource version")},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(ways); i++) {
        g_autoptr(FakeApi) api = fake_api_new();
        FakeStep step = ways[i];
        step.method = "GET";
        step.path = WATCH("5", "61");
        fake_api_expect(api, step);
        g_autoptr(GString) text = g_string_new(NULL);
        Seen seen = {.seen = text};
        KubeWatch watch = watch_of(&seen);
        KubeCall call = fake_api_call(api, 60);
        g_autoptr(GError) error = NULL;
        g_assert_false(kube_watch(api->client, &PATH, &watch, &call, &error));
        g_assert_error(error, STOOP_ERROR, STOOP_ERROR_CONFLICT);
        g_assert_cmpstr(error->message, ==, "too old resource version (410 Expired)");
    }
}

static void test_watch_errors(void) {
    static const struct {
        FakeStep step;
        StoopError code;
    } cases[] = {
        {{.status = 403, .answer = STATUS_JSON(403, "Forbidden", "no")}, STOOP_ERROR_FORBIDDEN},
        {{.status = 200, .answer = "[]\n"}, STOOP_ERROR_FAILED},
        {{.status = 200, .answer = "x\n"}, STOOP_ERROR_FAILED},
        {{.status = 200, .answer = "{\"type\":\"ADDED\"}\n"}, STOOP_ERROR_FAILED},
        {{.status = 200, .answer = "{\"type\":5,\"object\":{}}\n"}, STOOP_ERROR_FAILED},
        {{.failure = STOOP_ERROR_CANCELLED}, STOOP_ERROR_CANCELLED},
        {{.failure = STOOP_ERROR_UNAVAILABLE, .takes_us = 60000000}, STOOP_ERROR_TIMEOUT},
        {{.status = 200, .takes_us = 60000000}, STOOP_ERROR_TIMEOUT},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_test_message("case %zu", i);
        g_autoptr(FakeApi) api = fake_api_new();
        FakeStep step = cases[i].step;
        step.method = "GET";
        step.path = WATCH("5", "61");
        fake_api_expect(api, step);
        g_autoptr(GString) text = g_string_new(NULL);
        Seen seen = {.seen = text};
        KubeWatch watch = watch_of(&seen);
        KubeCall call = fake_api_call(api, 60);
        g_autoptr(GError) error = NULL;
        g_assert_false(kube_watch(api->client, &PATH, &watch, &call, &error));
        g_assert_error(error, STOOP_ERROR, (gint)cases[i].code);
    }
}

// A server that ends every stream at once is not stormed.
static void test_watch_backoff(void) {
    g_autoptr(FakeApi) api = fake_api_new();
    for (int i = 0; i < 4; i++)
        fake_api_expect(api, (FakeStep){.method = "GET", .path = WATCH("5", "270"), .status = 200});
    fake_api_expect(
        api, (FakeStep){.method = "GET",
                        .path = WATCH("5", "270"),
                        .status = 200,
                        .answer = "{\"type\":\"ERROR\",\"object\":" STATUS_JSON(500, "InternalError", "etcd") "}\n"});
    fake_api_expect(
        api, (FakeStep){.method = "GET", .path = WATCH("5", "270"), .status = 200, .answer = EVENT("ADDED", "a", "6")});
    // Something came: the next wait is a short one again.
    fake_api_expect(
        api, (FakeStep){.method = "GET", .path = WATCH("6", "270"), .status = 200, .answer = EVENT("ADDED", "a", "7")});
    g_autoptr(GString) text = g_string_new(NULL);
    Seen seen = {.seen = text, .stop_at = 2};
    KubeWatch watch = watch_of(&seen);
    KubeCall call = fake_api_call(api, 3600);
    g_assert_true(kube_watch(api->client, &PATH, &watch, &call, NULL));
    g_assert_cmpuint(api->wait_count, ==, 6);
    g_assert_cmpint(api->waits[0], ==, 25000);
    g_assert_cmpint(api->waits[4], ==, 400000);
    g_assert_cmpint(api->waits[5], ==, 25000);
}

static void test_watch_long_line(void) {
    g_autoptr(GString) text = g_string_new(NULL);
    Seen seen = {.seen = text};
    KubeWatchReader reader;
    kube_watch_reader_init(&reader, NULL, note_event, &seen);
    g_autofree char *chunk = g_strnfill(1 << 16, 'x');
    g_autoptr(GError) error = NULL;
    bool ok = true;
    unsigned taken = 0;
    for (; ok && taken < 100; taken++)
        ok = kube_watch_reader_feed(&reader, chunk, 1 << 16, &error);
    g_assert_cmpuint(taken, ==, 33);
    g_assert_error(error, STOOP_ERROR, STOOP_ERROR_TOO_LARGE);
    kube_watch_reader_clear(&reader);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/kube/list/pages", test_pages);
    g_test_add_func("/kube/list/stop", test_stop);
    g_test_add_func("/kube/list/expired", test_expired);
    g_test_add_func("/kube/list/large-pages", test_large_pages);
    g_test_add_func("/kube/list/no-list", test_no_list);
    g_test_add_func("/kube/watch/goes-on", test_watch);
    g_test_add_func("/kube/watch/too-old", test_watch_too_old);
    g_test_add_func("/kube/watch/errors", test_watch_errors);
    g_test_add_func("/kube/watch/backoff", test_watch_backoff);
    g_test_add_func("/kube/watch/long-line", test_watch_long_line);
    return g_test_run();
}
