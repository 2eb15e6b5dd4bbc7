// A world for the engine's tests: plug-ins that do as they are told and remember what they did, rules from a text, a
// real store in a folder of its own, a clock that tests can move, a log that can be read.
#pragma once

#include "engine/engine.h"

typedef struct {
    char *folder;
    Clock clock;
    Log *log;
    int log_fd;
    Metrics *metrics;
    Store *store;
    RulesHolder *rules;
    Engine *engine;
    EngineOptions options; // changed by a test before world_start
    bool no_store_close;
} World;

// `rules`: YAML. Fails the test when they do not load.
World *world_new(const char *rules);
void world_start(World *world);                   // opens the store, starts the engine
void world_stop(World *world);                    // both end; may be started again: what is on disk stays
void world_stop_within(World *world, int64_t us); // the same, with this time for what runs
void world_free(World *world);
void world_set_rules(World *world, const char *rules);
void world_move_clock(World *world, int64_t us);
char *world_log(World *world);        // what the log has so far
uint64_t world_pending(World *world); // in the store
void world_drain(World *world);       // until no event is in memory or on disk
char *world_metrics(World *world);

// An event of Falco rule `rule` for `pod` (NULL: none); `output` says which one it is.
Event *world_event(const char *rule, const char *pod, const char *output);
Event *world_event_json(const char *json);
// Offers it, waits until its commit where there is one, and gives the verdict back.
EngineVerdict world_offer(World *world, const char *rule, const char *pod, const char *output);
// Does not wait; `commits` counts the callbacks, `commit_errors` those with an error.
EngineVerdict world_offer_event(World *world, const Event *event);
unsigned world_commits(void);
unsigned world_commit_errors(void);

// What the fake actionners did, in order: "<say>" or "<say>:<output>" of each run that began or ended.
unsigned ran(void);                // runs so far
char *ran_text(void);              // "a b c": what was said
char *ran_events(const char *pod); // "1 2 3": outputs of the events run for the pod
void ran_clear(void);
void wait_ran(unsigned count); // at least so many; fails after 20 s

// `fake:gate` and `fake:long` begin, then wait for the gate (or for the engine's cancel).
void gate_shut(void);
void gate_open(void);
unsigned gate_waiting(void);    // runs at the gate now
void wait_gate(unsigned count); // until exactly so many wait
void gate_deaf(bool deaf);      // runs at the gate do not listen to the engine's cancel

// The artifacts that `fake:memory` has: "<name> <bytes>" each, in order; aborted ones as "<name> aborted".
char *artifacts(void);
char *last_facts(void); // "k=v k=v" that the last `fake:facts` was given
char *notices(void);    // "<notifier> <message> <status>" each
extern const Catalogue world_catalogue;

#define assert_text(actual, expected)                                                                                  \
    do {                                                                                                               \
        g_autofree char *actual_ = (actual);                                                                           \
        g_assert_cmpstr(actual_, ==, (expected));                                                                      \
    } while (0)
#define assert_has(actual, part)                                                                                       \
    do {                                                                                                               \
        g_autofree char *text_ = (actual);                                                                             \
        if (!strstr(text_, part))                                                                                      \
            g_error("%s:%d: no '%s' in: %s", __FILE__, __LINE__, part, text_);                                         \
    } while (0)
#define assert_lacks(actual, part)                                                                                     \
    do {                                                                                                               \
        g_autofree char *text_ = (actual);                                                                             \
        if (strstr(text_, part))                                                                                       \
            g_error("%s:%d: '%s' in: %s", __FILE__, __LINE__, part, text_);                                            \
    } while (0)
