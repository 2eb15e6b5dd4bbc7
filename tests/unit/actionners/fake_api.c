#include "fake_api.h"

#include "base/error.h"
#include "kube/kube_client.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#define SERVER "https://api.test"

static const char kubeconfig[] = "apiVersion: v1\n"
                                 "kind: Config\n"
                                 "current-context: test\n"
                                 "clusters: [{name: test, cluster: {server: \"" SERVER "\"}}]\n"
                                 "users: [{name: test, user: {token: secret}}]\n"
                                 "contexts: [{name: test, context: {cluster: test, user: test}}]\n";

struct FakeApi {
    HttpTransport transport; // first: the transport is the fake
    const Exchange *next;
    KubeClient *kube;
    void *user;
    char random[13];
};

// `text` with RANDOM for what is random; g_free.
static char *without_random(FakeApi *fake, const char *text) {
    g_autoptr(GRegex) regex = g_regex_new("(stoop-[a-z]+-)([0-9a-f]{12})\\b", 0, 0, NULL);
    g_autoptr(GMatchInfo) match = NULL;
    if (g_regex_match(regex, text, 0, &match)) {
        g_autofree char *found = g_match_info_fetch(match, 2);
        g_strlcpy(fake->random, found, sizeof fake->random);
    }
    return g_regex_replace(regex, text, -1, 0, "\\1RANDOM", 0, NULL);
}

static char *with_random(const FakeApi *fake, const char *text) {
    g_auto(GStrv) parts = g_strsplit(text, "RANDOM", -1);
    return g_strjoinv(fake->random, parts);
}

static void check_request(FakeApi *fake, const Exchange *exchange, const HttpRequest *request) {
    const char *path = g_str_has_prefix(request->url, SERVER) ? request->url + strlen(SERVER) : request->url;
    g_autofree char *full = g_strdup_printf("%s %s", request->method, path);
    g_autofree char *line = without_random(fake, full);
    if (!exchange->request)
        g_error("a request too many: %s %s", line, request->body ? request->body : "");
    g_assert_cmpstr(line, ==, exchange->request);
    g_autofree char *sent = request->body ? g_strndup(request->body, request->body_len) : NULL;
    g_autofree char *body = sent ? without_random(fake, sent) : NULL;
    g_assert_cmpstr(body, ==, exchange->body);
}

// In two pieces, so that nobody counts on getting a stream at once.
static bool stream(const HttpRequest *request, const char *answer, GError **error) {
    size_t half = strlen(answer) / 2;
    return request->on_data(answer, half, request->user, error) &&
           request->on_data(answer + half, strlen(answer) - half, request->user, error);
}

static bool fake_perform(HttpTransport *transport, const HttpRequest *request, HttpResponse *response, GError **error) {
    FakeApi *fake = (FakeApi *)transport;
    const Exchange *exchange = fake->next;
    check_request(fake, exchange, request);
    fake->next++;
    if (exchange->meanwhile)
        exchange->meanwhile(fake->user);
    response->status = exchange->status;
    response->retry_after_us = -1;
    response->body.max = 1 << 20;
    if (request->on_data && exchange->status / 100 == 2)
        return stream(request, exchange->answer, error);
    g_autofree char *answer = with_random(fake, exchange->answer);
    g_assert_true(buf_append_text(&response->body, answer));
    return true;
}

static void no_wait(int64_t us, const Cancel *cancel, void *user) {
    (void)us, (void)cancel, (void)user;
}

static KubeConfig *load_config(void) {
    g_autofree char *path = NULL;
    g_autoptr(GError) error = NULL;
    int fd = g_file_open_tmp("stoop-kubeconfig-XXXXXX", &path, &error);
    g_assert_no_error(error);
    close(fd);
    g_assert_true(g_file_set_contents(path, kubeconfig, -1, &error));
    KubeConfig *config = kube_config_load(path, &error);
    g_assert_no_error(error);
    g_unlink(path);
    return config;
}

FakeApi *fake_api_new(const Exchange *exchanges) {
    FakeApi *fake = g_new0(FakeApi, 1);
    fake->transport.perform = fake_perform;
    fake->next = exchanges;
    g_autoptr(GError) error = NULL;
    fake->kube = kube_client_new(
        &(KubeClientOptions){
            .config = load_config(), .transport = &fake->transport, .clock = clock_system(), .wait_us = no_wait},
        &error);
    g_assert_no_error(error);
    return fake;
}

void fake_api_set_user(FakeApi *fake, void *user) {
    fake->user = user;
}

HttpTransport *fake_api_transport(FakeApi *fake) {
    return &fake->transport;
}

void *fake_api_user(HttpTransport *transport) {
    return ((FakeApi *)transport)->user;
}

struct KubeClient *fake_api_kube(FakeApi *fake) {
    return fake->kube;
}

void fake_api_free(FakeApi *fake) {
    g_assert_cmpstr(fake->next->request, ==, NULL);
    kube_client_free(fake->kube);
    g_free(fake);
}

const Actionner *find_actionner(const char *name) {
    for (size_t i = 0; actionners_all[i]; i++)
        if (strcmp(actionners_all[i]->info.name, name) == 0)
            return actionners_all[i];
    g_error("there is no actionner %s", name);
}

static void *decode(const PluginInfo *info, const char *yaml) {
    g_autoptr(DiagList) diags = diag_list_new();
    g_autoptr(YamlDoc) doc = yaml ? yaml_parse(yaml, strlen(yaml), "test.yaml", NULL, diags) : NULL;
    void *params = param_decode(&info->params, doc ? yaml_root(doc) : NULL, NULL, info->name, diags);
    if (diags->items->len > 0) {
        g_autofree char *text = diag_list_text(diags);
        g_error("%s", text);
    }
    g_assert_nonnull(params);
    return params;
}

void fake_api_run(FakeApi *fake, const char *actionner, const char *event, const char *params, ArtifactSink *sink,
                  Run *run) {
    const Actionner *a = find_actionner(actionner);
    const uint8_t random16[16] = {1};
    g_autoptr(Event) parsed = event_parse(event, strlen(event), NULL, random16, &run->error);
    g_assert_no_error(run->error);
    void *decoded = decode(&a->info, params);
    ActionClients clients = {.kube = fake->kube};
    ActionContext context = {.event = parsed,
                             .params = decoded,
                             .clients = &clients,
                             .deadline_us = clock_monotonic_us(clock_system()) +
                                            60000000, // no test waits for it; sanitizers are slow
                             .clock = clock_system(),
                             .sink = sink};
    run->ok = a->run(&context, &run->result, &run->error);
    g_assert_true(run->ok == (run->error == NULL));
    param_free(&a->info.params, decoded);
}

void run_against(const Exchange *exchanges, const char *actionner, const char *event, const char *params, Run *run) {
    FakeApi *fake = fake_api_new(exchanges);
    fake_api_run(fake, actionner, event, params, NULL, run);
    fake_api_free(fake);
}

void run_clear(Run *run) {
    action_result_clear(&run->result);
    g_clear_error(&run->error);
    run->ok = false;
}

const char *object_of(const Run *run, const char *kind) {
    for (guint i = 0; run->result.objects && i + 1 < run->result.objects->len; i += 2)
        if (g_str_equal(g_ptr_array_index(run->result.objects, i), kind))
            return g_ptr_array_index(run->result.objects, i + 1);
    return NULL;
}
