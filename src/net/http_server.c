#include "net/http_server.h"

#include "base/error.h"
#include "net/listen.h"
#include "net/server_private.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

// What a connection may need for its request's headers and for the answer's; it is taken when the connection opens.
#define CONNECTION_MEMORY (8 * 1024)
#define BODIES_MEMORY ((size_t)64 * 1024 * 1024)
// How long a refused peer may go on sending so that it comes to read the refusal.
#define LINGER_US (2 * G_USEC_PER_SEC)
// At the end, answers already given have so long to reach the kernel.
#define DRAIN_US (2 * G_USEC_PER_SEC)
// Open files that are not for connections of this server.
#define RESERVED_FILES 256

// --- The reaper ---

void server_wake_reaper(HttpServer *server) {
    mutex_lock(&server->reaper_mutex);
    if (server->reaper_sleeping)
        cond_signal(&server->reaper_wake);
    mutex_unlock(&server->reaper_mutex);
}

static void *reap(void *argument) {
    HttpServer *server = argument;
    int64_t tick = CLAMP(MIN(server->limits.request_us, server->limits.idle_us) / 10, 10 * 1000, G_USEC_PER_SEC);
    mutex_lock(&server->reaper_mutex);
    while (!server->reaper_stop) {
        mutex_unlock(&server->reaper_mutex);
        for (unsigned i = 0; i < server->worker_count; i++)
            conn_table_reap(&server->workers[i].table, &server->limits, server_now_us(server));
        mutex_lock(&server->reaper_mutex);

        // The flag is up before the count is read: a connection that comes now either is counted or wakes us.
        server->reaper_sleeping = true;
        unsigned connections = 0;
        for (unsigned i = 0; i < server->worker_count; i++) {
            mutex_lock(&server->workers[i].table.mutex);
            connections += server->workers[i].table.count;
            mutex_unlock(&server->workers[i].table.mutex);
        }
        server->reaper_sleeping = connections == 0;
        if (server->reaper_stop)
            break;
        if (connections == 0)
            cond_wait(&server->reaper_wake, &server->reaper_mutex);
        else
            cond_wait_until(&server->reaper_wake, &server->reaper_mutex, server_now_us(server) + tick);
    }
    mutex_unlock(&server->reaper_mutex);
    return NULL;
}

// --- Starting and stopping ---

// Raises the limit of open files as far as allowed, and says how many connections that leaves room for.
static unsigned allowed_connections(unsigned wanted) {
    struct rlimit files = {0};
    if (getrlimit(RLIMIT_NOFILE, &files) < 0)
        return wanted;
    if (files.rlim_cur < files.rlim_max) {
        struct rlimit raised = {.rlim_cur = files.rlim_max, .rlim_max = files.rlim_max};
        if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
            files = raised;
    }
    rlim_t reserved = MIN((rlim_t)RESERVED_FILES, files.rlim_cur / 2);
    return (unsigned)MIN((rlim_t)wanted, files.rlim_cur - reserved);
}

static enum MHD_Result on_accept(void *user, const struct sockaddr *address, socklen_t len) {
    Worker *worker = user;
    return atomic_load_explicit(&worker->server->quiesced, memory_order_relaxed) ? MHD_NO : MHD_YES;
}

static bool start_daemon(Worker *worker, unsigned connections, GError **error) {
    unsigned flags =
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_TURBO | MHD_USE_SUPPRESS_DATE_NO_CLOCK;
    // The daemon's thread inherits the mask: signals are the main thread's.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    worker->daemon = MHD_start_daemon(
        flags, 0, on_accept, worker, server_on_access, worker, MHD_OPTION_LISTEN_SOCKET, worker->listen_fd,
        MHD_OPTION_CONNECTION_LIMIT, connections, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
        MHD_OPTION_CONNECTION_TIMEOUT, 0U, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_THREAD_STACK_SIZE,
        (size_t)256 * 1024, MHD_OPTION_NOTIFY_CONNECTION, server_on_connection, worker, MHD_OPTION_URI_LOG_CALLBACK,
        server_on_request_line, worker, MHD_OPTION_NOTIFY_COMPLETED, server_on_completed, worker, MHD_OPTION_END);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (worker->daemon)
        return true;
    g_set_error(error, STOOP_ERROR, STOOP_ERROR_FAILED, "cannot start the HTTP server on port %u",
                worker->server->port);
    return false;
}

static void worker_init(Worker *worker, HttpServer *server, unsigned connections) {
    worker->server = server;
    worker->listen_fd = -1;
    // An eighth of the places is kept free for newcomers, at least one.
    worker->table.crowded = connections - MAX(connections / 8, 1);
    mutex_init(&worker->table.mutex);
    cond_init(&worker->changed);
}

static HttpServer *server_new(const HttpServerOptions *options) {
    HttpServer *server = g_new0(HttpServer, 1);
    server->options = *options;
    server->options.address = NULL;
    server->options.max_body = options->max_body ? options->max_body : 1024 * 1024;
    server->clock = clock_system();
    server->limits = (ConnLimits){
        .request_us = options->request_timeout_us ? options->request_timeout_us : 10 * G_USEC_PER_SEC,
        .idle_us = options->idle_timeout_us ? options->idle_timeout_us : 600 * G_USEC_PER_SEC,
        .linger_us = LINGER_US,
    };
    server->budget.max = MAX(BODIES_MEMORY, server->options.max_body + 1);
    server->worker_count = CLAMP(options->threads ? options->threads : 2, 1, SERVER_MAX_THREADS);
    server->empty = MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT);
    server->empty_close = MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT);
    MHD_add_response_header(server->empty_close, "Connection", "close");
    mutex_init(&server->reaper_mutex);
    cond_init(&server->reaper_wake);
    return server;
}

HttpServer *http_server_start(const HttpServerOptions *options, GError **error) {
    HttpServer *server = server_new(options);
    unsigned total = allowed_connections(options->max_connections ? options->max_connections : 16384);
    unsigned each = MAX(total / server->worker_count, 2);
    for (unsigned i = 0; i < server->worker_count; i++)
        worker_init(&server->workers[i], server, each);

    int fds[SERVER_MAX_THREADS];
    bool ok = listen_sockets(options->address, options->port, server->worker_count, fds, &server->port, error);
    for (unsigned i = 0; ok && i < server->worker_count; i++)
        server->workers[i].listen_fd = fds[i];
    for (unsigned i = 0; ok && i < server->worker_count; i++)
        ok = start_daemon(&server->workers[i], each, error);
    server->reaper_started = ok && thread_start(&server->reaper, "http-reaper", 0, reap, server, error);
    if (server->reaper_started)
        return server;
    http_server_stop(server);
    return NULL;
}

uint16_t http_server_port(const HttpServer *server) {
    return server->port;
}

void http_server_quiesce(HttpServer *server) {
    // The daemons go on accepting, and on_accept turns newcomers away. Not MHD_quiesce_daemon: from another thread it
    // races with the daemon's own epoll_ctl of the listening socket, which then aborts the process.
    atomic_store(&server->quiesced, true);
}

static void worker_drain(Worker *worker) {
    mutex_lock(&worker->table.mutex);
    worker->stopping = true;
    while (worker->unanswered > 0)
        cond_wait(&worker->changed, &worker->table.mutex);
    int64_t until = server_now_us(worker->server) + DRAIN_US;
    while (worker->unfinished > 0 && cond_wait_until(&worker->changed, &worker->table.mutex, until))
        continue;
    mutex_unlock(&worker->table.mutex);
}

void http_server_stop(HttpServer *server) {
    if (!server)
        return;
    http_server_quiesce(server);
    for (unsigned i = 0; i < server->worker_count; i++)
        worker_drain(&server->workers[i]);
    if (server->reaper_started) {
        mutex_lock(&server->reaper_mutex);
        server->reaper_stop = true;
        cond_broadcast(&server->reaper_wake);
        mutex_unlock(&server->reaper_mutex);
        pthread_join(server->reaper, NULL);
    }
    for (unsigned i = 0; i < server->worker_count; i++) {
        Worker *worker = &server->workers[i];
        if (worker->daemon)
            MHD_stop_daemon(worker->daemon);
        if (worker->listen_fd >= 0)
            close(worker->listen_fd);
        mutex_destroy(&worker->table.mutex);
        cond_destroy(&worker->changed);
    }
    MHD_destroy_response(server->empty);
    MHD_destroy_response(server->empty_close);
    mutex_destroy(&server->reaper_mutex);
    cond_destroy(&server->reaper_wake);
    g_free(server);
}

void http_server_stats(HttpServer *server, HttpServerStats *stats) {
    *stats = (HttpServerStats){0};
    for (unsigned i = 0; i < server->worker_count; i++) {
        Worker *worker = &server->workers[i];
        mutex_lock(&worker->table.mutex);
        stats->connections += worker->table.count;
        stats->requests += worker->requests;
        stats->rejected += worker->table.rejected;
        mutex_unlock(&worker->table.mutex);
    }
}
