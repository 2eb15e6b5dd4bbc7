// Everything that `stoop server` starts, in the order in which it is started; stopped in the reverse.
#pragma once

#include "base/log.h"
#include "cli/clients.h"
#include "cli/command.h"
#include "cli/self_check.h"
#include "config/config.h"
#include "engine/engine.h"
#include "ingest/ingest.h"
#include "rules/rules_holder.h"
#include "store/store.h"
#include "telemetry/metrics.h"

#include <stdatomic.h>

typedef struct {
    Config *config;
    Log *log;
    Metrics *metrics;
    MetricFamily *reloads;
    RulesHolder *rules;
    RulesWatch *watch;
    ActionClients clients;
    Store *store;
    Engine *engine;
    Ingest *ingest;
    SelfCheck *self_check;
    atomic_bool store_healthy;
} Server;

// On failure everything that was started is stopped again.
bool server_start(Server *server, const CommandLine *line, GError **error);

// Leaves within 10 s: no new events, what runs is finished or kept.
void server_stop(Server *server);
