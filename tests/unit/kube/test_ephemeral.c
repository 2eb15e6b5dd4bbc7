#include "fake_api.h"

#include "kube/kube_ephemeral.h"

#include <string.h>

#define POD "/api/v1/namespaces/ns/pods/web"
#define WATCH                                                                                                          \
    "/api/v1/namespaces/ns/pods?watch=1&allowWatchBookmarks=true&resourceVersion=7&timeoutSeconds=%s&fieldSelector="   \
    "metadata.name%%3Dweb"
#define PATCH                                                                                                          \
    "{\"metadata\":{\"uid\":\"u1\"},\"spec\":{\"ephemeralContainers\":[{\"name\":\"stoop-1\",\"image\":\"img:1\","     \
    "\"imagePullPolicy\":\"IfNotPresent\",\"command\":[\"tcpdump\",\"-w\",\"-\"],\"targetContainerName\":\"main\","    \
    "\"stdin\":true,\"stdinOnce\":true,\"securityContext\":{\"allowPrivilegeEscalation\":false,\"capabilities\":{"     \
    "\"add\":[\"NET_RAW\"],\"drop\":[\"ALL\"]},\"runAsUser\":0,\"runAsNonRoot\":false}}]}}"

#define OBJECT(phase, state)                                                                                           \
    "{\"metadata\":{\"uid\":\"u1\",\"resourceVersion\":\"7\"},\"status\":{\"phase\":\"" phase                          \
    "\",\"ephemeralContainerStatuses\":[{\"name\":\"other\",\"state\":{\"running\":{}}},{\"name\":\"stoop-1\","        \
    "\"state\":" state "}]}}"
#define EVENT(type, object) "{\"type\":\"" type "\",\"object\":" object "}\n"
#define CREATING "{\"waiting\":{\"reason\":\"ContainerCreating\"}}"
#define RUNNING "{\"running\":{\"startedAt\":\"x\"}}"
#define PULL "{\"waiting\":{\"reason\":\"ErrImagePull\",\"message\":\"failed to pull \\\"img:1\\\": not found\"}}"
#define ENDED "{\"terminated\":{\"exitCode\":3,\"reason\":\"Error\"}}"

static const char *const command[] = {"tcpdump", "-w", "-", NULL};
static const char *const capabilities[] = {"NET_RAW", NULL};
static const KubeEphemeral container = {.name = "stoop-1",
                                        .image = "img:1",
                                        .target = "main",
                                        .command = command,
                                        .capabilities = capabilities,
                                        .run_as_user = 0,
                                        .stdin_once = true};

static void expect_patch(FakeApi *api, int status, const char *answer) {
    fake_api_expect(api, (FakeStep){.method = "PATCH",
                                    .path = POD "/ephemeralcontainers",
                                    .headers = {"Content-Type: application/strategic-merge-patch+json"},
                                    .body = PATCH,
                                    .status = status,
                                    .answer = answer});
}

static void expect_get(FakeApi *api, const char *answer) {
    fake_api_expect(api, (FakeStep){.method = "GET", .path = POD, .status = 200, .answer = answer});
}

static void expect_watch(FakeApi *api, const char *seconds, const char *answer, int64_t takes_us) {
    static char paths[8][256]; // as long as the script
    static unsigned next;
    char *path = paths[next++ % 8];
    g_snprintf(path, sizeof paths[0], WATCH, seconds);
    fake_api_expect(api,
                    (FakeStep){.method = "GET", .path = path, .status = 200, .answer = answer, .takes_us = takes_us});
}

static bool start(FakeApi *api, GError **error) {
    KubeCall call = fake_api_call(api, 10);
    return kube_ephemeral_start(api->client, "ns", "web", "u1", &container, &call, error);
}

static void test_starts(void) {
    g_autoptr(FakeApi) api = fake_api_new();
    g_autoptr(GError) error = NULL;
    expect_patch(api, 200, "{}");
    expect_get(api, OBJECT("Running", CREATING));
    expect_watch(api, "11",
                 EVENT("MODIFIED", OBJECT("Running", CREATING)) EVENT("BOOKMARK", "{}")
                     EVENT("MODIFIED", OBJECT("Running", RUNNING)),
                 0);
    g_assert_true(start(api, &error));
    g_assert_no_error(error);
}

static void test_has_ended_already(void) {
    g_autoptr(FakeApi) api = fake_api_new();
    g_autoptr(GError) error = NULL;
    expect_patch(api, 200, "{}");
    expect_get(api, OBJECT("Running", ENDED));
    g_assert_true(start(api, &error));
    KubeEphemeralEnd end = {0};
    KubeCall call = fake_api_call(api, 10);
    expect_get(api, OBJECT("Running", RUNNING));
    expect_watch(api, "11", EVENT("MODIFIED", OBJECT("Running", ENDED)), 0);
    g_assert_true(kube_ephemeral_wait_ended(api->client, "ns", "web", "stoop-1", &call, &end, &error));
    g_assert_cmpint(end.exit_code, ==, 3);
    g_assert_cmpstr(end.reason, ==, "Error");
    kube_ephemeral_end_clear(&end);
}

static void check_failure(const char *now, const char *then, StoopError code, const char *text) {
    g_autoptr(FakeApi) api = fake_api_new();
    g_autoptr(GError) error = NULL;
    expect_patch(api, 200, "{}");
    expect_get(api, now);
    if (then)
        expect_watch(api, "11", then, 0);
    g_assert_false(start(api, &error));
    g_assert_error(error, STOOP_ERROR, (gint)code);
    assert_text_has(error->message, text);
}

static void test_failures(void) {
    check_failure(OBJECT("Running", PULL), NULL, STOOP_ERROR_FAILED,
                  "'stoop-1' cannot start: ErrImagePull: failed to pull \"img:1\": not found");
    check_failure(OBJECT("Running", CREATING), EVENT("MODIFIED", OBJECT("Running", PULL)), STOOP_ERROR_FAILED,
                  "ErrImagePull");
    check_failure(OBJECT("Running", CREATING), EVENT("DELETED", OBJECT("Running", CREATING)), STOOP_ERROR_NOT_FOUND,
                  "ended");
    check_failure(OBJECT("Failed", CREATING), NULL, STOOP_ERROR_NOT_FOUND, "ended");
    check_failure("{\"metadata\":{\"uid\":\"u2\"}}", NULL, STOOP_ERROR_NOT_FOUND, "another one");
}

static void test_refused_patch(void) {
    g_autoptr(FakeApi) api = fake_api_new();
    g_autoptr(GError) error = NULL;
    expect_patch(api, 403, STATUS_JSON(403, "Forbidden", "violates PodSecurity"));
    g_assert_false(start(api, &error));
    g_assert_error(error, STOOP_ERROR, STOOP_ERROR_FORBIDDEN);
}

static void test_not_in_time(void) {
    g_autoptr(FakeApi) api = fake_api_new();
    g_autoptr(GError) error = NULL;
    expect_patch(api, 200, "{}");
    expect_get(api, OBJECT("Running", CREATING));
    expect_watch(api, "11", EVENT("MODIFIED", OBJECT("Running", CREATING)), 11000000);
    g_assert_false(start(api, &error));
    g_assert_error(error, STOOP_ERROR, STOOP_ERROR_TIMEOUT);
    assert_text_has(error->message, "not started in time: ContainerCreating");
}

static void test_an_old_version(void) {
    g_autoptr(FakeApi) api = fake_api_new();
    g_autoptr(GError) error = NULL;
    expect_patch(api, 200, "{}");
    expect_get(api, OBJECT("Running", CREATING));
    expect_watch(api, "11", EVENT("ERROR", "{\"code\":410,\"reason\":\"Expired\",\"message\":\"too old\"}"), 0);
    expect_get(api, OBJECT("Running", RUNNING));
    g_assert_true(start(api, &error));
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/ephemeral/starts", test_starts);
    g_test_add_func("/ephemeral/has-ended-already", test_has_ended_already);
    g_test_add_func("/ephemeral/failures", test_failures);
    g_test_add_func("/ephemeral/refused-patch", test_refused_patch);
    g_test_add_func("/ephemeral/not-in-time", test_not_in_time);
    g_test_add_func("/ephemeral/an-old-version", test_an_old_version);
    return g_test_run();
}
