#include "cli/server.h"

#include "base/error.h"
#include "cli/catalogue.h"
#include "cli/settings.h"

#include <string.h>
#include <unistd.h>

// What runs has this long to end by itself after a signal, then this long until it is left where it is; the rest of the
// 10 s is for the store.
#define STOP_GRACE_US (7 * G_USEC_PER_SEC)
#define STOP_LAST_US (9 * G_USEC_PER_SEC)

static bool load_config(Server *server, const CommandLine *line, GError **error) {
    g_autoptr(DiagList) diags = diag_list_new();
    server->config = settings_load(line, diags);
    command_report(diags, false);
    if (!server->config) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID, "the configuration has %u error%s", diags->errors,
                    diags->errors == 1 ? "" : "s");
        return false;
    }
    return true;
}

static LogFormat log_format(const char *name) {
    if (strcmp(name, "json") == 0)
        return LOG_FORMAT_JSON;
    return strcmp(name, "text") == 0 ? LOG_FORMAT_TEXT : LOG_FORMAT_COLOR;
}

static void log_diags(Log *log, const DiagList *diags) {
    for (guint i = 0; i < diags->items->len; i++) {
        const Diag *diag = g_ptr_array_index(diags->items, i);
        bool bad = diag->severity == DIAG_ERROR;
        g_autofree char *text =
            diag->line ? g_strdup_printf("%s:%u:%u: %s", diag->file, diag->line, diag->column, diag->message)
                       : g_strdup_printf("%s: %s", diag->file, diag->message);
        log_line(log, bad ? LOG_ERROR : LOG_WARNING, "rules",
                 (LogField[]){{"status", bad ? "failure" : NULL}, {bad ? "error" : "result", text}, {NULL, NULL}});
    }
}

static void log_loaded(Log *log, const RuleSet *set) {
    log_text(log, LOG_INFO, "rules", "%zu rule%s loaded", rule_set_count(set), rule_set_count(set) == 1 ? "" : "s");
}

static bool load_rules(Server *server, GError **error) {
    g_autoptr(DiagList) diags = diag_list_new();
    RuleSet *set = rule_set_load((const char *const *)server->config->rules_files, cli_catalogue(), diags);
    log_diags(server->log, diags);
    if (!set) {
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID, "the rules have %u error%s", diags->errors,
                    diags->errors == 1 ? "" : "s");
        return false;
    }
    log_loaded(server->log, set);
    server->rules = rules_holder_new(set);
    return true;
}

static void rules_loaded(const RuleSet *set, const DiagList *diags, void *user) {
    Server *server = user;
    log_diags(server->log, diags);
    metric_add(metric_series(server->reloads, (const char *[]){set ? "success" : "failure"}), 1);
    if (set)
        log_loaded(server->log, set);
    else
        log_line(server->log, LOG_ERROR, "rules",
                 (LogField[]){{"status", "failure"},
                              {"error", "the changed rules do not load: the rules before stay in force"},
                              {NULL, NULL}});
}

static void store_health(const GError *error, void *user) {
    Server *server = user;
    atomic_store(&server->store_healthy, error == NULL);
    if (error)
        log_line(server->log, LOG_ERROR, "store",
                 (LogField[]){{"status", "failure"}, {"error", error->message}, {NULL, NULL}});
    else
        log_text(server->log, LOG_INFO, "store", "writing again");
}

static bool open_store(Server *server, GError **error) {
    atomic_store(&server->store_healthy, true);
    StoreOptions options = {
        .path = server->config->store_path,
        .max_pending = (size_t)server->config->store_max_pending,
        .history_events = server->config->store_history_events,
        .clock = clock_system(),
        .health_changed = store_health,
        .user = server,
    };
    server->store = store_open(&options, error);
    return server->store != NULL;
}

static bool start_engine(Server *server, GError **error) {
    const Config *config = server->config;
    EngineOptions options = {
        .store = server->store,
        .rules = server->rules,
        .clients = server->clients,
        .clock = clock_system(),
        .log = server->log,
        .metrics = server->metrics,
        .dedup_window_us = config->deduplication_time_window_seconds * G_USEC_PER_SEC,
        .volatile_fields = (const char *const *)config->deduplication_volatile_fields,
        .default_notifiers = (const char *const *)config->default_notifiers,
        .print_all_events = config->print_all_events,
        .workers = (unsigned)config->limits_workers,
        .long_actions = (unsigned)config->limits_long_actions,
        .action_us = config->limits_action_seconds * G_USEC_PER_SEC,
        .artifact_bytes = config->limits_artifact_bytes,
    };
    server->engine = engine_new(&options, error);
    return server->engine != NULL;
}

static IngestVerdict offer(const Event *event, void (*answer)(uint64_t id, const GError *error, void *token),
                           void *token, void *user) {
    switch (engine_offer(((Server *)user)->engine, event, answer, token)) {
    case ENGINE_ACCEPTED:
        return INGEST_LATER;
    case ENGINE_UNMATCHED:
    case ENGINE_DUPLICATE:
        return INGEST_DONE;
    default:
        return INGEST_REFUSED;
    }
}

static char *not_ready(void *user) {
    Server *server = user;
    return atomic_load(&server->store_healthy) ? NULL : g_strdup("the store cannot be written");
}

static bool start_ingest(Server *server, GError **error) {
    const Config *config = server->config;
    IngestOptions options = {
        .address = config->listen_address,
        .port = (uint16_t)config->listen_port,
        .max_body = (size_t)config->limits_body_bytes,
        .max_connections = (unsigned)config->limits_connections,
        .clock = clock_system(),
        .log = server->log,
        .metrics = server->metrics,
        .offer = offer,
        .not_ready = not_ready,
        .user = server,
    };
    server->ingest = ingest_start(&options, error);
    return server->ingest != NULL;
}

static bool start_watch(Server *server, GError **error) {
    if (!server->config->watch_rules)
        return true;
    server->watch = rules_watch_start(server->rules, (const char *const *)server->config->rules_files, cli_catalogue(),
                                      rules_loaded, server, error);
    return server->watch != NULL;
}

static bool start_all(Server *server, GError **error) {
    server->log = log_new(STDOUT_FILENO, log_format(server->config->log_format), LOG_INFO, clock_system());
    server->metrics = metrics_new();
    server->reloads = metrics_counter(server->metrics, "stoop_rules_reloads_total", "Reloads of the rules files.",
                                      (const char *[]){"status", NULL});
    return load_rules(server, error) && clients_make(server->config, &server->clients, error) &&
           open_store(server, error) && start_engine(server, error) && start_ingest(server, error) &&
           start_watch(server, error);
}

bool server_start(Server *server, const CommandLine *line, GError **error) {
    if (!load_config(server, line, error))
        return false;
    if (!start_all(server, error)) {
        server_stop(server);
        return false;
    }
    log_text(server->log, LOG_INFO, "init", "stoop %s listens on %s:%u", STOOP_VERSION, server->config->listen_address,
             ingest_port(server->ingest));
    server->self_check = self_check_start(server->rules, &server->clients, server->log);
    return true;
}

void server_stop(Server *server) {
    int64_t now_us = clock_monotonic_us(clock_system());
    if (server->watch)
        rules_watch_stop(server->watch);
    if (server->ingest)
        ingest_quiesce(server->ingest);
    self_check_stop(server->self_check);
    if (server->engine && !engine_stop(server->engine, now_us + STOP_GRACE_US, now_us + STOP_LAST_US)) {
        log_text(server->log, LOG_ERROR, "init", "leaving without what does not end; the next start takes it up again");
        // Whoever is at it still uses everything. The store holds what was accepted, as it does through a crash.
        _exit(0);
    }
    // The store's last commit answers the senders that still wait; only then can the door be closed.
    if (server->store)
        store_close(server->store);
    if (server->ingest)
        ingest_stop(server->ingest);
    if (server->engine)
        engine_free(server->engine);
    clients_free(&server->clients);
    if (server->rules)
        rules_holder_free(server->rules);
    metrics_free(server->metrics);
    log_free(server->log);
    config_free(server->config);
    *server = (Server){0};
}
