// Certificates that change while the client lives.
#include "base/error.h"
#include "fake_api.h"
#include "kube/kube_client_internal.h"
#include "scratch.h"

typedef struct {
    FakeApi *api;
    Scratch scratch;
    unsigned applied;
    char *ca;
    bool refuse;
} Rotation;
static Rotation *current; // apply_tls has no user data of its own

static bool apply(KubeClient *client, const KubeTls *tls, GError **error) {
    current->applied++;
    g_free(current->ca);
    current->ca = g_strdup(tls->ca_pem);
    return !current->refuse;
}

static void set_up(Rotation *rotation) {
    *rotation = (Rotation){.scratch = scratch_new()};
    current = rotation;
    g_setenv("KUBERNETES_SERVICE_HOST", "api.test", TRUE);
    g_setenv("KUBERNETES_SERVICE_PORT", "6443", TRUE);
    scratch_write(&rotation->scratch, "token", "t", 0600);
    scratch_write(&rotation->scratch, "ca.crt", "one", 0600);
    GError *error = NULL;
    KubeConfig *config = kube_config_in_cluster(rotation->scratch.path, &error);
    g_assert_no_error(error);
    g_auto(KubeTls) tls = {0};
    g_assert_true(kube_config_tls(config, &tls, NULL, &error)); // as making a real transport does
    rotation->api = fake_api_new_with(config);
    rotation->api->client->apply_tls = apply;
    rotation->api->client->tls_checked_us = rotation->api->now_us;
}

static void tear_down(Rotation *rotation) {
    fake_api_free(rotation->api);
    scratch_clear(&rotation->scratch);
    g_free(rotation->ca);
}

static bool get(Rotation *rotation, FakeStep step, GError **error) {
    step.method = "GET";
    step.path = "/api/v1/nodes/n";
    fake_api_expect(rotation->api, step);
    KubePath path = KUBE_NODE("n");
    g_auto(KubeObject) object = {0};
    return kube_get(rotation->api->client, &path, NULL, &object, error);
}

static const FakeStep FINE = {.status = 200, .answer = "{}"};

static void test_in_time(void) {
    Rotation rotation;
    set_up(&rotation);
    scratch_write(&rotation.scratch, "ca.crt", "two", 0600);
    g_assert_true(get(&rotation, FINE, NULL));
    g_assert_cmpuint(rotation.applied, ==, 0);
    rotation.api->now_us += 10000000;
    g_assert_true(get(&rotation, FINE, NULL));
    g_assert_cmpuint(rotation.applied, ==, 1);
    g_assert_cmpstr(rotation.ca, ==, "two");
    rotation.api->now_us += 10000000;
    g_assert_true(get(&rotation, FINE, NULL));
    g_assert_cmpuint(rotation.applied, ==, 1);
    tear_down(&rotation);
}

// What the transport did not take (half a pair) is offered again.
static void test_refused(void) {
    Rotation rotation;
    set_up(&rotation);
    rotation.refuse = true;
    scratch_write(&rotation.scratch, "ca.crt", "two", 0600);
    for (unsigned i = 1; i <= 3; i++) {
        rotation.api->now_us += 10000000;
        rotation.refuse = i < 2;
        g_assert_true(get(&rotation, FINE, NULL));
        g_assert_cmpuint(rotation.applied, ==, MIN(i, 2));
    }
    tear_down(&rotation);
}

static void rotate(void *user) {
    scratch_write(user, "ca.crt", "three", 0600);
}

static void rotate_again(void *user) {
    scratch_write(user, "ca.crt", "four", 0600);
}

static void test_at_once(void) {
    Rotation rotation;
    set_up(&rotation);
    static const char text[] = "certificate of api.test does not verify";
    // Nothing changed on our side: the error is told.
    g_autoptr(GError) error = NULL;
    g_assert_false(get(&rotation, (FakeStep){.failure = STOOP_ERROR_INVALID, .text = text}, &error));
    g_assert_error(error, STOOP_ERROR, STOOP_ERROR_INVALID);
    assert_text_has(error->message, text);
    g_assert_cmpuint(rotation.applied, ==, 0);
    // The CA changed: once more with it.
    FakeStep failure = {.failure = STOOP_ERROR_INVALID, .text = text, .then = rotate, .then_user = &rotation.scratch};
    failure.method = "GET";
    failure.path = "/api/v1/nodes/n";
    fake_api_expect(rotation.api, failure);
    g_assert_true(get(&rotation, FINE, NULL));
    g_assert_cmpuint(rotation.applied, ==, 1);
    g_assert_cmpstr(rotation.ca, ==, "three");
    // A server that never verifies is not asked for ever, even when the CA goes on changing.
    failure.then = rotate_again;
    fake_api_expect(rotation.api, failure);
    failure.then = rotate;
    g_assert_false(get(&rotation, failure, NULL));
    g_assert_cmpuint(rotation.applied, ==, 2);
    tear_down(&rotation);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/kube/rotation/in-time", test_in_time);
    g_test_add_func("/kube/rotation/refused", test_refused);
    g_test_add_func("/kube/rotation/at-once", test_at_once);
    return g_test_run();
}
