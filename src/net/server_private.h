// What the two halves of the HTTP server share: http_server.c starts and stops it, server_access.c serves.
#pragma once

#include "base/clock.h"
#include "base/thread.h"
#include "net/http_server.h"
#include "net/server_body.h"
#include "net/server_conn.h"

#include <microhttpd.h>
#include <stdatomic.h>

#define SERVER_MAX_THREADS 64

typedef struct Worker Worker;

struct HttpServerRequest {
    struct MHD_Connection *mhd;
    Worker *worker;
    const char *method, *path;
    Body body;
    size_t expected; // announced length, 0: unknown
    size_t lingered; // bytes thrown away
    // Guarded by the worker's table mutex:
    struct MHD_Response *response;
    unsigned status;
    bool suspended;
    bool counted; // in the worker's `unfinished`
};

typedef struct {
    Conn base; // first, so that both have one address
    HttpServerRequest request;
} Connection;

struct Worker {
    HttpServer *server;
    struct MHD_Daemon *daemon;
    int listen_fd;
    ConnTable table;
    // Guarded by the table's mutex:
    bool stopping;
    unsigned unanswered; // the handler has them
    unsigned unfinished; // not sent whole yet
    uint64_t requests;
    Cond changed;
};

struct HttpServer {
    HttpServerOptions options;
    const Clock *clock;
    ConnLimits limits;
    BodyBudget budget;
    uint16_t port;
    atomic_bool quiesced;
    struct MHD_Response *empty;       // shared by all answers without headers and body
    struct MHD_Response *empty_close; // the same, and the connection ends
    unsigned worker_count;
    Worker workers[SERVER_MAX_THREADS];

    pthread_t reaper;
    bool reaper_started;
    Mutex reaper_mutex;
    Cond reaper_wake;
    bool reaper_stop;     // guarded by reaper_mutex
    bool reaper_sleeping; // guarded by reaper_mutex: nothing was connected when it last looked
};

static inline int64_t server_now_us(const HttpServer *server) {
    return clock_monotonic_us(server->clock);
}

// Ends the reaper's sleep when it slept because nothing was connected.
void server_wake_reaper(HttpServer *server);

// libmicrohttpd's callbacks; `user` is the Worker.
void server_on_connection(void *user, struct MHD_Connection *mhd, void **context,
                          enum MHD_ConnectionNotificationCode code);
void *server_on_request_line(void *user, const char *uri, struct MHD_Connection *mhd);
void server_on_completed(void *user, struct MHD_Connection *mhd, void **context, enum MHD_RequestTerminationCode code);
enum MHD_Result server_on_access(void *user, struct MHD_Connection *mhd, const char *url, const char *method,
                                 const char *version, const char *data, size_t *len, void **context);
