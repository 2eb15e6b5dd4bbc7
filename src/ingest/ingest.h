// `POST /`: who is it, how big, is it an event; hand over; answer. Also /healthz, /readyz, /metrics.
#pragma once

#include "base/clock.h"
#include "base/log.h"
#include "event/event.h"
#include "net/http_server.h"
#include "telemetry/metrics.h"

typedef enum { INGEST_DONE, INGEST_LATER, INGEST_REFUSED } IngestVerdict;

typedef struct {
    const char *address;
    uint16_t port;
    size_t max_body;
    unsigned max_connections;
    const Clock *clock;
    Log *log;
    Metrics *metrics;
    // Hands an event over. INGEST_DONE: answer 200 now. INGEST_LATER: `answer(error, token)` is called once, from any
    // thread: 200, or 503 with Retry-After on an error. INGEST_REFUSED: 503 now.
    IngestVerdict (*offer)(const Event *event, void (*answer)(uint64_t id, const GError *error, void *token),
                           void *token, void *user);
    // NULL when ready; else what is missing (g_free).
    char *(*not_ready)(void *user);
    void *user;
} IngestOptions;

typedef struct Ingest Ingest;
Ingest *ingest_start(const IngestOptions *options, GError **error);
uint16_t ingest_port(const Ingest *ingest);
void ingest_quiesce(Ingest *ingest); // no new events from here on: 503
void ingest_stop(Ingest *ingest);    // every INGEST_LATER has been answered by then
