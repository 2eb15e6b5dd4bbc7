// Which action runs when. An offered event is matched, deduplicated, handed to the store's writer and to the lane of
// its target at the same moment; a lane is served by one worker at a time, lanes side by side.
#pragma once

#include "actionners/actionner.h"
#include "base/clock.h"
#include "base/log.h"
#include "event/event.h"
#include "notifiers/notifier.h"
#include "rules/rules_holder.h"
#include "store/store.h"
#include "telemetry/metrics.h"

typedef struct {
    Store *store;
    RulesHolder *rules;
    ActionClients clients;
    const Clock *clock;
    Log *log;
    Metrics *metrics;
    int64_t dedup_window_us;              // 0: off
    const char *const *volatile_fields;   // NULL-terminated
    const char *const *default_notifiers; // NULL-terminated names, all of them in `catalogue`; may be NULL
    const Catalogue *catalogue;           // only asked for default_notifiers; may be NULL without `notify`
    bool print_all_events;
    unsigned workers;       // short actions at once (0: 64); threads come and go below this
    unsigned long_actions;  // long-running actions at once (0: 32)
    size_t max_events;      // events in memory, waiting or running (0: 8,192); what is beyond waits on disk
    size_t max_bytes;       // the same in bytes of Event.memory (0: 8 MiB)
    int64_t action_us;      // overrides each actionner's deadline (0: its own)
    int64_t artifact_bytes; // size limit of an artifact (0: 1 GiB)
    // Told of each action and output result, once per notifier of the rule and per default notifier. Called on a
    // worker's thread; must only queue. The notice lives for the call. May be NULL.
    void (*notify)(const PluginInfo *notifier, const Notice *notice, void *user);
    void *notify_user;
} EngineOptions;

typedef struct Engine Engine;

typedef enum {
    ENGINE_UNMATCHED, // no rule: counted, nothing kept
    ENGINE_DUPLICATE, // within the window
    ENGINE_ACCEPTED,  // `committed` is called once, from the store's thread: after it answer
    ENGINE_UNKEPT,    // will run, but is not on disk (`committed` is not called): answer 503 with Retry-After
    ENGINE_REFUSED,   // cannot be kept nor held, or the engine is stopping: nothing will happen
} EngineVerdict;

// Starts the threads, then takes up what the store has pending. Everything in `options` outlives the engine. Gauges are
// registered in `metrics`: do not render the page after engine_free.
Engine *engine_new(const EngineOptions *options, GError **error);

// Thread-safe; does not block on disk, network or other events. Takes its own reference. With ENGINE_ACCEPTED,
// `committed` may be called before this returns; an error there means that the event is not on disk: answer 503.
EngineVerdict engine_offer(Engine *engine, const Event *event, StoreCommitted committed, void *user);

// Stops taking work, lets what runs finish until `deadline_us`, then cancels it. What did not end stays in the store
// for the next start. All threads are joined and every `committed` has been called on return; the store must still be
// open. False: at `last_us` something has still not ended, or is not on disk. Then nothing may be freed, the store
// neither; what is left is to end the process, or to call this again.
bool engine_stop(Engine *engine, int64_t deadline_us, int64_t last_us);
void engine_free(Engine *engine); // after engine_stop

typedef struct {
    size_t events, bytes; // in memory
    unsigned lanes, workers, busy, long_running, long_waiting;
    bool backlog; // some events wait on disk only
} EngineStats;
void engine_stats(Engine *engine, EngineStats *stats);
