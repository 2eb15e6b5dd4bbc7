#include "ingest/ingest.h"

#include "base/buf.h"
#include "base/error.h"
#include "base/thread.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>

enum {
    RANDOM_BYTES = 1024,   // fetched at once: a system call for 64 events
    WARNINGS_A_SECOND = 10 // about rejected events; a flood of them must not become a flood of lines
};

typedef struct {
    Metric *ok, *bad, *unavailable, *other;
} Answers;

struct Ingest {
    IngestOptions options;
    HttpServer *server;
    atomic_bool quiesced;
    Metric *accept_seconds;
    Answers answers;

    Mutex random_lock;
    uint8_t random[RANDOM_BYTES];
    size_t random_left;

    Mutex warn_lock;
    int64_t warn_second;
    unsigned warned, unwarned; // lines written and left out in that second
};

// An event whose answer is to come.
typedef struct {
    Ingest *ingest;
    HttpServerRequest *request;
    int64_t started_us;
} Waiting;

static const char *const TEXT_HEADERS[] = {"Content-Type: text/plain; charset=utf-8", NULL};
static const char *const JSON_HEADERS[] = {"Content-Type: application/json", NULL};
static const char *const RETRY_HEADERS[] = {"Content-Type: text/plain; charset=utf-8", "Retry-After: 1", NULL};

static void answer_text(Ingest *ingest, HttpServerRequest *request, unsigned status, const char *const *headers,
                        const char *text) {
    metric_add(status == 503   ? ingest->answers.unavailable
               : status == 400 ? ingest->answers.bad
                               : ingest->answers.other,
               1);
    http_server_answer(request, status, headers, text, strlen(text));
}

static void answer_unavailable(Ingest *ingest, HttpServerRequest *request) {
    answer_text(ingest, request, 503, RETRY_HEADERS, "the event cannot be kept now\n");
}

static void answer_accepted(Ingest *ingest, HttpServerRequest *request, int64_t started_us) {
    metric_add(ingest->answers.ok, 1);
    metric_observe_us(ingest->accept_seconds, clock_monotonic_us(ingest->options.clock) - started_us);
    http_server_answer(request, 200, NULL, "", 0);
}

// False when the kernel has none to give, which it never does after boot.
static bool take_random(Ingest *ingest, uint8_t out[16]) {
    mutex_lock(&ingest->random_lock);
    if (ingest->random_left < 16) {
        ssize_t got = getrandom(ingest->random, sizeof ingest->random, 0);
        ingest->random_left = got > 0 ? (size_t)got : 0;
    }
    bool enough = ingest->random_left >= 16;
    if (enough) {
        ingest->random_left -= 16;
        memcpy(out, ingest->random + ingest->random_left, 16);
    }
    mutex_unlock(&ingest->random_lock);
    return enough;
}

// Says who sent what is no event, and why it is none; never the body, which may hold anything.
static void warn_rejected(Ingest *ingest, const HttpServerRequest *request, const char *reason) {
    int64_t second = clock_monotonic_us(ingest->options.clock) / G_USEC_PER_SEC;
    mutex_lock(&ingest->warn_lock);
    unsigned missed = 0;
    if (second != ingest->warn_second) {
        missed = ingest->unwarned;
        ingest->warn_second = second;
        ingest->warned = ingest->unwarned = 0;
    }
    bool say = ingest->warned < WARNINGS_A_SECOND;
    *(say ? &ingest->warned : &ingest->unwarned) += 1;
    mutex_unlock(&ingest->warn_lock);
    if (!say)
        return;
    char scratch[128], missed_text[16];
    g_snprintf(missed_text, sizeof missed_text, "%u", missed);
    log_line(ingest->options.log, LOG_WARNING, "event",
             (LogField[]){{"status", "rejected"},
                          {"peer", http_server_peer(request, scratch, sizeof scratch)},
                          {"error", reason},
                          {"rejected_before_unlogged", missed > 0 ? missed_text : NULL},
                          {0}});
}

// On any thread, also before `offer` returned.
static void answer_later(uint64_t id, const GError *error, void *token) {
    Waiting *waiting = token;
    if (error)
        answer_unavailable(waiting->ingest, waiting->request);
    else
        answer_accepted(waiting->ingest, waiting->request, waiting->started_us);
    g_free(waiting);
}

static void take_event(Ingest *ingest, HttpServerRequest *request) {
    const IngestOptions *options = &ingest->options;
    int64_t started_us = clock_monotonic_us(options->clock);
    uint8_t random16[16];
    if (atomic_load_explicit(&ingest->quiesced, memory_order_relaxed) || !take_random(ingest, random16)) {
        answer_unavailable(ingest, request);
        return;
    }
    size_t len = 0;
    const char *body = http_server_body(request, &len);
    g_autoptr(GError) error = NULL;
    g_autoptr(Event) event =
        event_parse(body ? body : "", len, http_server_header(request, "traceparent"), random16, &error);
    if (!event) {
        warn_rejected(ingest, request, error->message);
        g_autofree char *text = g_strdup_printf("not an event: %s\n", error->message);
        answer_text(ingest, request, 400, TEXT_HEADERS, text);
        return;
    }
    Waiting *waiting = g_new(Waiting, 1);
    *waiting = (Waiting){.ingest = ingest, .request = request, .started_us = started_us};
    switch (options->offer(event, answer_later, waiting, options->user)) {
    case INGEST_LATER: // `waiting` and the request may be gone
        return;
    case INGEST_DONE:
        answer_accepted(ingest, request, started_us);
        break;
    case INGEST_REFUSED:
        answer_unavailable(ingest, request);
        break;
    }
    g_free(waiting);
}

static void answer_health(Ingest *ingest, HttpServerRequest *request) {
    static const char text[] = "{\"status\": \"ok\"}";
    http_server_answer(request, 200, JSON_HEADERS, text, sizeof text - 1);
}

static void answer_ready(Ingest *ingest, HttpServerRequest *request) {
    g_autofree char *missing = NULL;
    if (atomic_load_explicit(&ingest->quiesced, memory_order_relaxed))
        missing = g_strdup("it is shutting down");
    else if (ingest->options.not_ready)
        missing = ingest->options.not_ready(ingest->options.user);
    if (!missing) {
        answer_health(ingest, request);
        return;
    }
    g_auto(Buf) text = BUF_INIT(16384);
    buf_append_text(&text, "{\"status\": \"unavailable\", \"reason\": ");
    if (!buf_append_json_string(&text, missing, strlen(missing)))
        buf_append_text(&text, "\"\"");
    buf_append_text(&text, "}");
    http_server_answer(request, 503, JSON_HEADERS, buf_text(&text), text.len);
}

static void answer_metrics(Ingest *ingest, HttpServerRequest *request) {
    static const char *const headers[] = {"Content-Type: text/plain; version=0.0.4; charset=utf-8", NULL};
    GString *page = g_string_sized_new(16384);
    metrics_text(ingest->options.metrics, page);
    http_server_answer(request, 200, headers, page->str, page->len);
    g_string_free(page, TRUE);
}

static void handle(HttpServerRequest *request, void *user) {
    static const struct {
        const char *path;
        bool posted;
        void (*answer)(Ingest *ingest, HttpServerRequest *request);
    } routes[] = {
        {"/", true, take_event},
        {"/healthz", false, answer_health},
        {"/readyz", false, answer_ready},
        {"/metrics", false, answer_metrics},
    };
    static const char *const allow_post[] = {"Content-Type: text/plain; charset=utf-8", "Allow: POST", NULL};
    static const char *const allow_get[] = {"Content-Type: text/plain; charset=utf-8", "Allow: GET, HEAD", NULL};
    Ingest *ingest = user;
    const char *path = http_server_path(request), *method = http_server_method(request);
    for (size_t i = 0; i < G_N_ELEMENTS(routes); i++) {
        if (strcmp(path, routes[i].path) != 0)
            continue;
        bool allowed =
            routes[i].posted ? strcmp(method, "POST") == 0 : strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
        if (allowed)
            routes[i].answer(ingest, request);
        else if (routes[i].posted)
            answer_text(ingest, request, 405, allow_post, "events come by POST\n");
        else
            answer_text(ingest, request, 405, allow_get, "ask by GET\n");
        return;
    }
    answer_text(ingest, request, 404, TEXT_HEADERS, "events go to /\n");
}

static void ingest_free(Ingest *ingest) {
    mutex_destroy(&ingest->random_lock);
    mutex_destroy(&ingest->warn_lock);
    g_free(ingest);
}

Ingest *ingest_start(const IngestOptions *options, GError **error) {
    static const char *const labels[] = {"code", NULL};
    Ingest *ingest = g_new0(Ingest, 1);
    ingest->options = *options;
    mutex_init(&ingest->random_lock);
    mutex_init(&ingest->warn_lock);
    ingest->accept_seconds =
        metric_series(metrics_histogram(options->metrics, "stoop_accept_seconds",
                                        "From an event's last byte to its answer, of events that were accepted.", NULL),
                      NULL);
    MetricFamily *answers = metrics_counter(options->metrics, "stoop_answers_total", "Answers to senders.", labels);
    ingest->answers = (Answers){
        .ok = metric_series(answers, (const char *const[]){"200"}),
        .bad = metric_series(answers, (const char *const[]){"400"}),
        .unavailable = metric_series(answers, (const char *const[]){"503"}),
        .other = metric_series(answers, (const char *const[]){"other"}),
    };
    const HttpServerOptions server_options = {
        .address = options->address,
        .port = options->port,
        .max_body = options->max_body,
        .max_connections = options->max_connections,
        .handle = handle,
        .user = ingest,
    };
    ingest->server = http_server_start(&server_options, error);
    if (ingest->server)
        return ingest;
    ingest_free(ingest);
    return NULL;
}

uint16_t ingest_port(const Ingest *ingest) {
    return http_server_port(ingest->server);
}

void ingest_quiesce(Ingest *ingest) {
    atomic_store(&ingest->quiesced, true);
    http_server_quiesce(ingest->server);
}

void ingest_stop(Ingest *ingest) {
    if (!ingest)
        return;
    http_server_stop(ingest->server);
    ingest_free(ingest);
}
