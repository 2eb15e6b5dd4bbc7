#include "fake_exec.h"

#include "base/error.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct {
    WebSocket socket; // first
    FakeExec *exec;
    ExecMode mode;
    char **argv;
    size_t output;
} Process;

static char **argv_of(const char *url) {
    g_auto(GStrv) parts = g_strsplit(strchr(url, '?') + 1, "&", -1);
    GPtrArray *argv = g_ptr_array_new();
    for (char **part = parts; *part; part++)
        if (g_str_has_prefix(*part, "command="))
            g_ptr_array_add(argv, g_uri_unescape_string(*part + strlen("command="), NULL));
    g_ptr_array_add(argv, NULL);
    return (char **)g_ptr_array_free(argv, FALSE);
}

static bool collect_input(Process *self, const WebSocketHandler *handler, GError **error) {
    while (handler->next_message) {
        g_auto(Buf) message = BUF_INIT(WEBSOCKET_MESSAGE_MAX);
        if (handler->next_message(&message, handler->user, error) != WEBSOCKET_MORE)
            return false;
        g_assert_cmpuint(message.len, >, 0);
        if (message.len == 2 && message.data[0] == '\xff' && message.data[1] == 0)
            return true;
        g_assert_cmpint(message.data[0], ==, 0);
        g_string_append_len(self->exec->input, message.data + 1, (gssize)message.len - 1);
    }
    return true;
}

typedef struct {
    int fd;
    const GString *input;
} Feed;

static void *feed(void *user) {
    Feed *self = user;
    for (size_t at = 0; at < self->input->len;) {
        ssize_t n = write(self->fd, self->input->str + at, self->input->len - at);
        if (n < 0)
            break;
        at += (size_t)n;
    }
    close(self->fd);
    return NULL;
}

static pid_t start(Process *self, int *in, int *out, int *err) {
    int pipes[3][2];
    const char *path = self->exec->path;
    g_autofree char *programs = g_strdup_printf("PATH=%s%s/usr/bin:/bin", path ? path : "", path ? ":" : "");
    g_autofree char *temporary = path ? g_strdup_printf("TMPDIR=%s", path) : NULL;
    char *const environment[] = {programs, temporary, NULL};
    for (int i = 0; i < 3; i++)
        g_assert_cmpint(pipe2(pipes[i], O_CLOEXEC), ==, 0);
    pid_t pid = fork();
    g_assert_cmpint(pid, >=, 0);
    if (pid == 0) {
        signal(SIGPIPE, SIG_DFL);
        if (chdir(self->exec->folder) != 0)
            _exit(99);
        dup2(pipes[0][0], 0);
        dup2(pipes[1][1], 1);
        dup2(pipes[2][1], 2);
        execvpe(self->argv[0], self->argv, environment);
        _exit(98);
    }
    close(pipes[0][0]);
    close(pipes[1][1]);
    close(pipes[2][1]);
    *in = pipes[0][1];
    *out = pipes[1][0];
    *err = pipes[2][0];
    return pid;
}

// Hands one piece on; false at the end of that stream, or when the handler wants no more (then `next` says so).
static bool carry(Process *self, int fd, char channel, const WebSocketHandler *handler, WebSocketNext *next,
                  GError **error) {
    char message[4097];
    ssize_t n = read(fd, message + 1, sizeof message - 1);
    if (n <= 0)
        return false;
    message[0] = channel;
    if (self->mode == EXEC_CUT && (self->exec->cut_channel == 0 || self->exec->cut_channel == channel)) {
        size_t left = self->exec->cut_after - MIN(self->exec->cut_after, self->output);
        self->output += (size_t)n;
        n = MIN(n, (ssize_t)left);
        if (n == 0)
            return true;
    }
    *next = handler->on_message(message, (size_t)n + 1, handler->user, error);
    return true;
}

static WebSocketNext tell(const WebSocketHandler *handler, int status, GError **error) {
    g_autofree char *text =
        status == 0 ? g_strdup("\x03{\"status\":\"Success\"}")
                    : g_strdup_printf(
                          "\x03{\"status\":\"Failure\",\"reason\":\"NonZeroExitCode\",\"message\":\"x\",\"details\":"
                          "{\"causes\":[{\"reason\":\"ExitCode\",\"message\":\"%d\"}]}}",
                          status);
    return handler->on_message(text, strlen(text), handler->user, error);
}

static bool run(WebSocket *socket, const WebSocketHandler *handler, int64_t deadline_us, const Cancel *cancel,
                GError **error) {
    Process *self = (Process *)socket;
    if (self->mode == EXEC_NOT_STARTED) {
        static const char said[] = "\x03{\"status\":\"Failure\",\"reason\":\"InternalError\",\"message\":\"OCI runtime "
                                   "exec failed: exec failed: stat /bin/sh: no such file or directory\"}";
        return handler->on_message(said, strlen(said), handler->user, error) == WEBSOCKET_STOP;
    }
    if (self->mode == EXEC_STOPPED) {
        static const char said[] =
            "\x03{\"status\":\"Failure\",\"reason\":\"InternalError\",\"message\":\"container not "
            "found (\\\"web\\\")\"}";
        return handler->on_message(said, strlen(said), handler->user, error) == WEBSOCKET_STOP;
    }
    if (self->exec->delay_us)
        g_usleep((gulong)self->exec->delay_us); // lint: test-sleep ok: a connection that takes its time
    if (!collect_input(self, handler, error))
        return false;
    int in, out, err, status = 0;
    pid_t pid = start(self, &in, &out, &err);
    Feed feeding = {.fd = in, .input = self->exec->input};
    pthread_t thread;
    g_assert_cmpint(pthread_create(&thread, NULL, feed, &feeding), ==, 0);
    bool out_open = true, err_open = true;
    WebSocketNext next = WEBSOCKET_MORE;
    while ((out_open || err_open) && next == WEBSOCKET_MORE) {
        struct pollfd fds[2] = {{.fd = out_open ? out : -1, .events = POLLIN},
                                {.fd = err_open ? err : -1, .events = POLLIN}};
        g_assert_cmpint(poll(fds, 2, 30000), >, 0);
        if (fds[0].revents)
            out_open = carry(self, out, 1, handler, &next, error);
        if (fds[1].revents && next == WEBSOCKET_MORE)
            err_open = carry(self, err, 2, handler, &next, error);
    }
    close(out);
    close(err);
    pthread_join(thread, NULL);
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    if (next == WEBSOCKET_MORE && self->mode == EXEC_HANGS) {
        g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_TIMEOUT, "no answer in time");
        return false;
    }
    if (next != WEBSOCKET_MORE || self->mode == EXEC_NO_END)
        return next != WEBSOCKET_FAILED;
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return tell(handler, self->mode == EXEC_CUT ? 0 : code, error) == WEBSOCKET_STOP;
}

static void close_process(WebSocket *socket) {
    Process *self = (Process *)socket;
    g_strfreev(self->argv);
    g_free(self);
}

static bool open_socket(HttpTransport *transport, const HttpRequest *request, const char *const *protocols,
                        WebSocket **socket, HttpResponse *response, GError **error) {
    *socket = NULL;
    if (!transport->perform(transport, request, response, error) || response->status != 101)
        return response->status != 0;
    FakeExec *exec = fake_api_user(transport);
    Process *process = g_new0(Process, 1);
    process->exec = exec;
    process->mode = exec->modes[MIN(exec->runs, G_N_ELEMENTS(exec->modes) - 1)];
    process->argv = argv_of(request->url);
    process->socket = (WebSocket){.protocol = protocols[0], .run = run, .close = close_process};
    exec->runs++;
    g_string_truncate(exec->input, 0);
    *socket = &process->socket;
    return true;
}

void fake_exec_install(FakeApi *fake, FakeExec *exec) {
    exec->input = g_string_new(NULL);
    fake_api_set_user(fake, exec);
    fake_api_transport(fake)->open_websocket = open_socket;
}

void fake_exec_clear(FakeExec *exec) {
    if (exec->input)
        g_string_free(exec->input, TRUE);
    exec->input = NULL;
}

// --- The folder ---

void exec_world_init(ExecWorld *world) {
    g_autoptr(GError) error = NULL;
    *world = (ExecWorld){.folder = g_dir_make_tmp("stoop-exec-XXXXXX", &error)};
    g_assert_no_error(error);
    world->exec.folder = world->folder;
    g_autofree char *folder = g_build_filename(world->folder, "bin", NULL);
    g_assert_cmpint(g_mkdir(folder, 0700), ==, 0);
    world->busybox = g_build_filename(folder, "sh", NULL);
    g_autofree char *program = g_find_program_in_path("busybox");
    g_assert_nonnull(program);
    g_assert_cmpint(symlink(program, world->busybox), ==, 0);
}

static void remove_all(const char *folder) {
    GDir *dir = g_dir_open(folder, 0, NULL);
    const char *name;
    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *path = g_build_filename(folder, name, NULL);
        if (!g_file_test(path, G_FILE_TEST_IS_SYMLINK) && g_file_test(path, G_FILE_TEST_IS_DIR))
            remove_all(path);
        else
            g_unlink(path);
    }
    if (dir)
        g_dir_close(dir);
    g_rmdir(folder);
}

void exec_world_clear(ExecWorld *world) {
    fake_exec_clear(&world->exec);
    remove_all(world->folder);
    g_free(world->folder);
    g_free(world->busybox);
}

char *path_in(ExecWorld *world, const char *name) {
    return g_build_filename(world->folder, name, NULL);
}

char *exec_line(const char *container, const char *shell) {
    g_autofree char *escaped = g_uri_escape_string(shell, NULL, FALSE);
    return g_strdup_printf(GET_POD "/exec?container=%s&stdin=true&stdout=true&stderr=true&command=%s&command=-s",
                           container, escaped);
}

char *event_with(const char *key, const char *value) {
    g_auto(Buf) event = BUF_INIT(4 << 20);
    buf_append_text(&event, "{\"rule\":\"r\",\"hostname\":\"node-1\",\"output_fields\":{" FIELDS);
    if (key) {
        buf_append_char(&event, ',');
        buf_append_json_string(&event, key, strlen(key));
        buf_append_char(&event, ':');
        buf_append_json_string(&event, value, strlen(value));
    }
    g_assert_true(buf_append_text(&event, "}}"));
    return buf_steal(&event);
}

char *params_with(const char *key, const char *text, const char *shell) {
    g_auto(Buf) yaml = BUF_INIT(4 << 20);
    buf_printf(&yaml, "%s: ", key);
    buf_append_json_string(&yaml, text, strlen(text)); // JSON is YAML
    if (shell)
        buf_printf(&yaml, "\nshell: %s", shell);
    return buf_steal(&yaml);
}

void run_in_one(ExecWorld *world, const char *actionner, const char *shell, const char *event, const char *params,
                ArtifactSink *sink, Run *run) {
    g_autofree char *line = exec_line("web", shell);
    const Exchange exchanges[] = {{GET_POD, NULL, 200, ONE, NULL}, {line, NULL, 101, "", NULL}, END};
    fake_exec_clear(&world->exec);
    FakeApi *fake = fake_api_new(exchanges);
    fake_exec_install(fake, &world->exec);
    fake_api_run(fake, actionner, event, params, sink, run);
    fake_api_free(fake);
}
