#include "fake_api.h"

#include "kube/kube_command.h"

#include <string.h>

// --- A socket that plays a script ---

typedef struct {
    const char *data;
    size_t len;
} Frame;
#define FRAME(text)                                                                                                    \
    { text, sizeof(text) - 1 }

typedef struct {
    WebSocket socket; // first
    const char *protocol;
    const Frame *frames; // ends with a NULL
    bool broken;         // instead of a closing
    bool closed;
    GString *sent; // messages, each in brackets; bytes below ' ' as <n>
    int64_t deadline_us;
} FakeSocket;

static void note_sent(FakeSocket *self, const Buf *message) {
    g_string_append_c(self->sent, '[');
    for (size_t i = 0; i < message->len; i++) {
        unsigned char c = (unsigned char)message->data[i];
        if (c < ' ' || c == 255)
            g_string_append_printf(self->sent, "<%u>", c);
        else
            g_string_append_c(self->sent, (char)c);
    }
    g_string_append_c(self->sent, ']');
}

static bool fake_run(WebSocket *socket, const WebSocketHandler *handler, int64_t deadline_us, const Cancel *cancel,
                     GError **error) {
    FakeSocket *self = (FakeSocket *)socket;
    self->deadline_us = deadline_us;
    while (handler->next_message) {
        g_auto(Buf) message = BUF_INIT(WEBSOCKET_MESSAGE_MAX);
        WebSocketNext next = handler->next_message(&message, handler->user, error);
        if (next != WEBSOCKET_MORE)
            return next == WEBSOCKET_STOP;
        if (message.len == 0)
            break;
        note_sent(self, &message);
    }
    for (const Frame *frame = self->frames; frame && frame->data; frame++) {
        WebSocketNext next = handler->on_message(frame->data, frame->len, handler->user, error);
        if (next != WEBSOCKET_MORE)
            return next == WEBSOCKET_STOP;
    }
    if (self->broken)
        g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_UNAVAILABLE, "the connection broke: reset");
    return !self->broken;
}

static void fake_close(WebSocket *socket) {
    ((FakeSocket *)socket)->closed = true;
}

static FakeSocket *the_socket; // of the test that runs

static bool fake_open(HttpTransport *transport, const HttpRequest *request, const char *const *protocols,
                      WebSocket **socket, HttpResponse *response, GError **error) {
    g_assert_cmpstr(protocols[0], ==, "v5.channel.k8s.io");
    g_assert_cmpstr(protocols[1], ==, "v4.channel.k8s.io");
    g_assert_null(protocols[2]);
    *socket = NULL;
    if (!transport->perform(transport, request, response, error))
        return false;
    if (response->status == 101) {
        *socket = &the_socket->socket;
        the_socket->socket = (WebSocket){.protocol = the_socket->protocol, .run = fake_run, .close = fake_close};
    }
    return true;
}

// --- A command ---

typedef struct {
    const char *const *input;
    GString *out;
    bool refuse;
} Io;

static bool on_stdin(Buf *data, void *user, GError **error) {
    Io *io = user;
    if (*io->input)
        buf_append_text(data, *io->input++);
    return true;
}

static bool on_stdout(const char *data, size_t len, void *user, GError **error) {
    Io *io = user;
    if (io->refuse) {
        g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_NO_SPACE, "the sink is full");
        return false;
    }
    g_string_append_printf(io->out, "o%.*s ", (int)len, data);
    return true;
}

static bool on_stderr(const char *data, size_t len, void *user, GError **error) {
    g_string_append_printf(((Io *)user)->out, "e%.*s ", (int)len, data);
    return true;
}

typedef struct {
    FakeApi *api;
    FakeSocket socket;
    Io io;
    KubeCommandEnd end;
    GError *error;
    bool ok;
} World;

static void world_init(World *world, const char *protocol, const Frame *frames) {
    memset(world, 0, sizeof *world);
    world->api = fake_api_new();
    world->api->transport.open_websocket = fake_open;
    world->socket = (FakeSocket){.protocol = protocol, .frames = frames, .sent = g_string_new(NULL)};
    world->io.out = g_string_new(NULL);
    the_socket = &world->socket;
}

static void world_clear(World *world) {
    fake_api_free(world->api);
    g_string_free(world->socket.sent, TRUE);
    g_string_free(world->io.out, TRUE);
    kube_command_end_clear(&world->end);
    g_clear_error(&world->error);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(World, world_clear)

#define PATH "/api/v1/namespaces/ns/pods/web/exec?container=main"

static void expect_upgrade(World *world) {
    fake_api_expect(world->api, (FakeStep){.method = "GET",
                                           .path = PATH "&stdout=true&stderr=true&command=ls&command=-l%20%26",
                                           .headers = {"Authorization: Bearer t0k3n"},
                                           .status = 101});
}

static void run_command(World *world) {
    const char *argv[] = {"ls", "-l &", NULL};
    KubeCommand command = {
        .container = "main", .argv = argv, .on_stdout = on_stdout, .on_stderr = on_stderr, .user = &world->io};
    KubeCall call = fake_api_call(world->api, 10);
    world->ok = kube_command_run(world->api->client, "ns", "web", &command, &call, &world->end, &world->error);
}

#define SUCCESS "\x03{\"metadata\":{},\"status\":\"Success\"}"
#define EXIT(code)                                                                                                     \
    "\x03{\"metadata\":{},\"status\":\"Failure\",\"message\":\"command terminated with non-zero exit code\","          \
    "\"reason\":\"NonZeroExitCode\",\"details\":{\"causes\":[{\"reason\":\"Other\",\"message\":\"1\"},"                \
    "{\"reason\":\"ExitCode\",\"message\":\"" code "\"}]}}"
#define INTERNAL(message)                                                                                              \
    "\x03{\"status\":\"Failure\",\"reason\":\"InternalError\",\"message\":\"" message "\",\"code\":500}"

static void test_output(void) {
    static const Frame frames[] = {FRAME("\x01"),     FRAME("\x02"),    FRAME("\x03"),      FRAME(""),
                                   FRAME("\x01one"),  FRAME("\x02two"), FRAME("\x01three"), FRAME("\xff\x01"),
                                   FRAME("\x09what"), FRAME(SUCCESS),   FRAME("\x01never"), {NULL, 0}};
    g_auto(World) world;
    world_init(&world, "v5.channel.k8s.io", frames);
    expect_upgrade(&world);
    run_command(&world);
    g_assert_no_error(world.error);
    g_assert_true(world.ok && world.end.started);
    g_assert_cmpint(world.end.exit_code, ==, 0);
    g_assert_cmpstr(world.io.out->str, ==, "oone etwo othree ");
    g_assert_true(world.socket.closed);
    g_assert_cmpstr(world.socket.sent->str, ==, "");
    g_assert_cmpint(world.socket.deadline_us, ==, world.api->now_us + 10000000);
}

static void test_exit_code(void) {
    static const Frame frames[] = {FRAME(EXIT("137")), {NULL, 0}};
    g_auto(World) world;
    world_init(&world, "v4.channel.k8s.io", frames);
    expect_upgrade(&world);
    run_command(&world);
    g_assert_no_error(world.error);
    g_assert_true(world.end.started);
    g_assert_cmpint(world.end.exit_code, ==, 137);
}

static void test_not_started(void) {
    static const Frame frames[] = {
        FRAME(INTERNAL("error executing command in container: failed to exec in container: failed to start exec: OCI "
                       "runtime exec failed: exec failed: exec: \\\"ls\\\": executable file not found in $PATH\\n")),
        {NULL, 0}};
    g_auto(World) world;
    world_init(&world, "v5.channel.k8s.io", frames);
    expect_upgrade(&world);
    run_command(&world);
    g_assert_no_error(world.error);
    g_assert_true(world.ok);
    g_assert_false(world.end.started);
    assert_text_has(world.end.message, "executable file not found in $PATH");
}

static void check_lost(const Frame *frames, bool broken, StoopError code, const char *text) {
    g_auto(World) world;
    world_init(&world, "v5.channel.k8s.io", frames);
    world.socket.broken = broken;
    expect_upgrade(&world);
    run_command(&world);
    g_assert_false(world.ok);
    g_assert_error(world.error, STOOP_ERROR, (gint)code);
    assert_text_has(world.error->message, text);
    g_assert_true(world.socket.closed);
    g_assert_null(world.end.message);
}

// No word of the end is never a success.
static void test_lost(void) {
    static const Frame some[] = {FRAME("\x01some"), {NULL, 0}};
    check_lost(some, false, STOOP_ERROR_UNAVAILABLE, "before the command's end");
    check_lost(some, true, STOOP_ERROR_UNAVAILABLE, "broke");
    static const Frame gone[] = {FRAME(INTERNAL("error reading from error stream: unexpected EOF")), {NULL, 0}};
    check_lost(gone, false, STOOP_ERROR_UNAVAILABLE, "unexpected EOF");
    static const Frame odd[] = {FRAME("\x03no JSON"), {NULL, 0}};
    check_lost(odd, false, STOOP_ERROR_FAILED, "no Status");
    static const Frame zero[] = {FRAME(EXIT("0")), {NULL, 0}};
    check_lost(zero, false, STOOP_ERROR_UNAVAILABLE, "non-zero");
    static const Frame negative[] = {FRAME(EXIT("-1")), {NULL, 0}};
    check_lost(negative, false, STOOP_ERROR_UNAVAILABLE, "non-zero");
}

static void test_a_full_sink(void) {
    static const Frame frames[] = {FRAME("\x01some"), FRAME(SUCCESS), {NULL, 0}};
    g_auto(World) world;
    world_init(&world, "v5.channel.k8s.io", frames);
    world.io.refuse = true;
    expect_upgrade(&world);
    run_command(&world);
    g_assert_error(world.error, STOOP_ERROR, STOOP_ERROR_NO_SPACE);
    g_assert_true(world.socket.closed);
}

static void check_input(const char *protocol, const char *wanted) {
    static const Frame frames[] = {FRAME(SUCCESS), {NULL, 0}};
    static const char *const input[] = {"a\n", "b", NULL};
    g_auto(World) world;
    world_init(&world, protocol, frames);
    world.io.input = input;
    fake_api_expect(
        world.api,
        (FakeStep){.method = "GET", .path = PATH "&stdin=true&stdout=true&stderr=true&command=cat", .status = 101});
    const char *argv[] = {"cat", NULL};
    KubeCommand command = {.container = "main", .argv = argv, .on_stdin = on_stdin, .user = &world.io};
    KubeCall call = fake_api_call(world.api, 10);
    g_assert_true(kube_command_run(world.api->client, "ns", "web", &command, &call, &world.end, &world.error));
    g_assert_cmpstr(world.socket.sent->str, ==, wanted);
}

static void test_input(void) {
    check_input("v5.channel.k8s.io", "[<0>a<10>][<0>b][<255><0>]");
    check_input("v4.channel.k8s.io", "[<0>a<10>][<0>b]");
}

static void test_attach(void) {
    static const Frame frames[] = {FRAME("\x01out"), FRAME(SUCCESS), {NULL, 0}};
    g_auto(World) world;
    world_init(&world, "v5.channel.k8s.io", frames);
    fake_api_expect(world.api, (FakeStep){.method = "GET",
                                          .path = "/api/v1/namespaces/ns/pods/web/attach?stdout=true&stderr=true",
                                          .status = 101});
    KubeCommand command = {.on_stdout = on_stdout, .user = &world.io};
    KubeCall call = fake_api_call(world.api, 10);
    g_assert_true(kube_command_run(world.api->client, "ns", "web", &command, &call, &world.end, &world.error));
    g_assert_cmpstr(world.io.out->str, ==, "oout ");
}

static void check_refusal(FakeStep step, StoopError code, const char *text) {
    g_auto(World) world;
    world_init(&world, "v5.channel.k8s.io", NULL);
    step.method = "GET";
    step.path = PATH "&stdout=true&stderr=true&command=ls&command=-l%20%26";
    fake_api_expect(world.api, step);
    run_command(&world);
    g_assert_error(world.error, STOOP_ERROR, (gint)code);
    assert_text_has(world.error->message, text);
}

static void test_refused_upgrades(void) {
    check_refusal((FakeStep){.status = 403, .answer = STATUS_JSON(403, "Forbidden", "pods/exec is forbidden")},
                  STOOP_ERROR_FORBIDDEN, "pods/exec is forbidden (403 Forbidden)");
    check_refusal((FakeStep){.status = 404, .answer = STATUS_JSON(404, "NotFound", "pods web not found")},
                  STOOP_ERROR_NOT_FOUND, "not found");
    check_refusal((FakeStep){.status = 400, .answer = STATUS_JSON(400, "BadRequest", "container main is not valid")},
                  STOOP_ERROR_INVALID, "not valid");
    check_refusal((FakeStep){.status = 200, .answer = "{}"}, STOOP_ERROR_FAILED, "HTTP 200");
    check_refusal((FakeStep){.status = 500, .answer = STATUS_JSON(500, "InternalError", "dial: refused")},
                  STOOP_ERROR_UNAVAILABLE, "dial: refused");
}

// What did not begin is tried again; a token that was refused is read anew.
static void test_tried_again(void) {
    static const Frame frames[] = {FRAME(SUCCESS), {NULL, 0}};
    g_auto(World) world;
    world_init(&world, "v5.channel.k8s.io", frames);
    const char *path = PATH "&stdout=true&stderr=true&command=ls&command=-l%20%26";
    fake_api_expect(world.api, (FakeStep){.method = "GET", .path = path, .failure = STOOP_ERROR_UNAVAILABLE});
    fake_api_expect(world.api, (FakeStep){.method = "GET", .path = path, .status = 429, .answer = ""});
    expect_upgrade(&world);
    run_command(&world);
    g_assert_no_error(world.error);
    g_assert_true(world.ok);
    // One that the server may have taken is not.
    check_refusal((FakeStep){.failure = STOOP_ERROR_UNAVAILABLE, .sent = true, .text = "reset"},
                  STOOP_ERROR_UNAVAILABLE, "reset");
}

static void test_unknown_protocol(void) {
    static const Frame frames[] = {FRAME(SUCCESS), {NULL, 0}};
    g_auto(World) world;
    world_init(&world, NULL, frames);
    expect_upgrade(&world);
    run_command(&world);
    g_assert_error(world.error, STOOP_ERROR, STOOP_ERROR_INVALID);
    g_assert_true(world.socket.closed);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/command/output", test_output);
    g_test_add_func("/command/exit-code", test_exit_code);
    g_test_add_func("/command/not-started", test_not_started);
    g_test_add_func("/command/lost", test_lost);
    g_test_add_func("/command/a-full-sink", test_a_full_sink);
    g_test_add_func("/command/input", test_input);
    g_test_add_func("/command/attach", test_attach);
    g_test_add_func("/command/refused-upgrades", test_refused_upgrades);
    g_test_add_func("/command/tried-again", test_tried_again);
    g_test_add_func("/command/unknown-protocol", test_unknown_protocol);
    return g_test_run();
}
