#include "kube/kube_command.h"

#include "base/error.h"
#include "base/one_line.h"
#include "kube/kube_client_internal.h"

#include <string.h>

enum { CHANNEL_STDIN, CHANNEL_STDOUT, CHANNEL_STDERR, CHANNEL_ERROR, CHANNEL_CLOSE = 255 };
enum { STDIN_PIECE = 32 * 1024, STATUS_MAX = 64 * 1024, MESSAGE_MAX = 2048 };

static const char V5[] = "v5.channel.k8s.io", V4[] = "v4.channel.k8s.io";

void kube_command_end_clear(KubeCommandEnd *end) {
    g_clear_pointer(&end->message, g_free);
    end->started = end->stopped = false;
    end->exit_code = 0;
}

// --- The Status ---

// The exit code among the causes, or -1.
static int exit_code_of(yyjson_val *status) {
    size_t index, count;
    yyjson_val *cause;
    yyjson_arr_foreach(kube_object_get(status, "details", "causes", NULL), index, count, cause) {
        const char *text = kube_object_text(cause, "message", NULL);
        if (g_strcmp0(kube_object_text(cause, "reason", NULL), "ExitCode") != 0 || !text)
            continue;
        guint64 code = 0;
        if (g_ascii_string_to_unsigned(text, 10, 0, G_MAXINT32, &code, NULL))
            return (int)code;
    }
    return -1;
}

static bool tells_one_of(const char *message, const char *const *said) {
    for (; message && *said; said++)
        if (strstr(message, *said))
            return true;
    return false;
}

// How runtimes and the kubelet tell that a container does not run; the API has no reason for it.
static bool tells_stopped(const char *message) {
    static const char *const said[] = {"container not found",
                                       "container not run",
                                       "cannot exec in a stop",
                                       "cannot exec in a deleted state",
                                       "is not running",
                                       "container is in CONTAINER_EXITED state",
                                       NULL};
    return tells_one_of(message, said);
}

// And that the program was not started.
static bool tells_not_started(const char *message) {
    static const char *const said[] = {"exec failed", "failed to start exec", "unable to start container process",
                                       "executable file not found", NULL};
    return tells_one_of(message, said);
}

bool kube_command_status(const char *json, size_t len, KubeCommandEnd *end, GError **error) {
    g_autoptr(yyjson_doc) doc = len > 0 ? yyjson_read(json, len, 0) : NULL;
    yyjson_val *root = yyjson_doc_get_root(doc);
    const char *status = kube_object_text(root, "status", NULL);
    yyjson_val *said = yyjson_obj_get(root, "message");
    g_autofree char *message =
        yyjson_get_len(said) > 0 ? one_line(yyjson_get_str(said), yyjson_get_len(said), MESSAGE_MAX) : NULL;
    if (g_strcmp0(status, "Success") == 0) {
        *end = (KubeCommandEnd){.started = true, .message = g_steal_pointer(&message)};
        return true;
    }
    if (g_strcmp0(status, "Failure") != 0) {
        g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_FAILED,
                            "what the API server says of the command's end is no Status");
        return false;
    }
    bool non_zero = g_strcmp0(kube_object_text(root, "reason", NULL), "NonZeroExitCode") == 0;
    int code = non_zero ? exit_code_of(root) : -1;
    bool stopped = tells_stopped(message);
    if (code > 0 || stopped || tells_not_started(message)) {
        *end = (KubeCommandEnd){.started = code > 0,
                                .stopped = code <= 0 && stopped,
                                .exit_code = MAX(code, 0),
                                .message = g_steal_pointer(&message)};
        return true;
    }
    g_set_error(error, STOOP_ERROR, STOOP_ERROR_UNAVAILABLE, "the command was lost: %s",
                message ? message : "the API server gave no reason");
    return false;
}

// --- The channels ---

typedef struct {
    const KubeCommand *command;
    KubeCommandEnd *end;
    bool v5;
    bool input_ended, ended;
} Channels;

static WebSocketNext on_message(const char *data, size_t len, void *user, GError **error) {
    Channels *self = user;
    const KubeCommand *command = self->command;
    if (len == 0)
        return WEBSOCKET_MORE;
    const char *payload = data + 1;
    size_t size = len - 1;
    bool ok = true;
    switch ((unsigned char)data[0]) {
    case CHANNEL_STDOUT:
        ok = size == 0 || !command->on_stdout || command->on_stdout(payload, size, command->user, error);
        break;
    case CHANNEL_STDERR:
        ok = size == 0 || !command->on_stderr || command->on_stderr(payload, size, command->user, error);
        break;
    case CHANNEL_ERROR:
        // Servers open channels with an empty message.
        if (size == 0)
            break;
        if (size > STATUS_MAX) {
            g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_TOO_LARGE, "the Status of the command is too long");
            return WEBSOCKET_FAILED;
        }
        self->ended = kube_command_status(payload, size, self->end, error);
        return self->ended ? WEBSOCKET_STOP : WEBSOCKET_FAILED;
    default: // a channel's closing, or one that we do not know
        break;
    }
    if (!ok)
        return WEBSOCKET_FAILED;
    if (!command->is_over || !command->is_over(command->user))
        return WEBSOCKET_MORE;
    *self->end = (KubeCommandEnd){.started = true};
    self->ended = true;
    return WEBSOCKET_STOP;
}

static WebSocketNext next_message(Buf *message, void *user, GError **error) {
    Channels *self = user;
    if (self->input_ended)
        return WEBSOCKET_MORE;
    g_auto(Buf) piece = BUF_INIT(STDIN_PIECE);
    if (!self->command->on_stdin(&piece, self->command->user, error))
        return WEBSOCKET_FAILED;
    if (piece.len > 0) {
        buf_append_char(message, CHANNEL_STDIN);
        buf_append(message, piece.data, piece.len);
        return WEBSOCKET_MORE;
    }
    self->input_ended = true;
    if (self->v5) {
        const unsigned char closing[] = {CHANNEL_CLOSE, CHANNEL_STDIN};
        buf_append(message, closing, sizeof closing);
    }
    return WEBSOCKET_MORE;
}

// --- The call ---

static GString *command_url(KubeClient *client, const char *pod_namespace, const char *pod, const KubeCommand *command,
                            GError **error) {
    KubePath path = KUBE_POD(pod_namespace, pod);
    path.subresource = command->argv ? "exec" : "attach";
    GString *url = kube_path_url(client, &path, KUBE_PATH_NAMED, error);
    if (!url)
        return NULL;
    kube_url_query(url, "container", command->container);
    if (command->on_stdin)
        kube_url_query(url, "stdin", "true");
    kube_url_query(url, "stdout", "true");
    kube_url_query(url, "stderr", "true");
    for (const char *const *argument = command->argv; argument && *argument; argument++)
        kube_url_query(url, "command", *argument);
    return url;
}

static bool run(WebSocket *socket, const KubeCommand *command, const KubeRequest *request, KubeCommandEnd *end,
                GError **error) {
    Channels channels = {.command = command, .end = end, .v5 = g_strcmp0(socket->protocol, V5) == 0};
    if (!channels.v5 && g_strcmp0(socket->protocol, V4) != 0) {
        g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_INVALID,
                            "the API server speaks neither v5.channel.k8s.io nor v4.channel.k8s.io");
        return false;
    }
    WebSocketHandler handler = {
        .on_message = on_message, .next_message = command->on_stdin ? next_message : NULL, .user = &channels};
    if (!socket->run(socket, &handler, request->deadline_us, request->cancel, error))
        return false;
    if (channels.ended)
        return true;
    g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_UNAVAILABLE,
                        "the connection was closed before the command's end was told");
    return false;
}

bool kube_command_run(KubeClient *client, const char *pod_namespace, const char *pod, const KubeCommand *command,
                      const KubeCall *call, KubeCommandEnd *end, GError **error) {
    static const char *const protocols[] = {V5, V4, NULL};
    g_autoptr(GString) url = command_url(client, pod_namespace, pod, command, error);
    if (!url)
        return false;
    g_autoptr(WebSocket) socket = NULL;
    KubeRequest request = kube_request_init(client, "GET", url->str, call);
    request.accept = "Accept: */*";
    request.repeat = KUBE_REPEAT_TOLD;
    request.long_lived = true;
    request.socket = &socket;
    request.protocols = protocols;
    g_auto(HttpResponse) response = {0};
    return kube_request(client, &request, &response, NULL, error) && run(socket, command, &request, end, error);
}
