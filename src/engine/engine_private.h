// What the engine's files share. An offered event becomes a Job; jobs of one target wait in a Lane; Workers serve the
// lanes that are ready.
//
// Locks, in the order they are taken: `accept` keeps the order of ids, lanes and the backlog's bounds the same for all
// offerers and is never taken by a worker; `spawning` covers the making and the joining of threads; `lock` guards
// everything else and is held for list work only.
#pragma once

#include "base/cancel.h"
#include "base/thread.h"
#include "engine/dedup.h"
#include "engine/engine.h"

enum {
    ENGINE_MAX_MATCHES = 16, // rules that one event may run
    ENGINE_MIN_WORKERS = 2,  // threads that never leave
};

typedef struct Job Job;
struct Job {
    Job *next; // in its lane
    Event *event;
    RuleSet *rules;
    GPtrArray *recorded; // StorePending.recorded, or NULL
    uint64_t id;         // in the store; 0: not kept
    int64_t offered_us;  // 0: taken up from the store
    size_t bytes;
    // Where the run stands: the next action. Survives a wait for a long action's slot.
    unsigned rule, action;
    unsigned told;   // events and matches logged: 0 none, 1 the event, 2 the first match too, ...
    bool acted;      // the first action ended
    const char *key; // of its lane, in the same memory; NULL: it waits for nobody
    unsigned match_count;
    const Rule *matches[];
};

typedef struct Lane Lane;
struct Lane {
    Lane *next; // in the ready queue, or in the queue for long actions
    Job *head, *tail;
    bool listed; // in the table: others may append
    bool slot;   // a long action's slot is reserved for the head
    unsigned length;
    // A lane has a share of the memory only, so that one target's flood leaves room for all others. What is beyond it
    // waits on disk: this lane's events with ids in (deep_after, deep_last] are there and not in memory.
    bool deep;
    bool refilling; // in the queue for the house thread
    Lane *next_refill;
    uint64_t deep_after, deep_last;
    char key[];
};

typedef struct {
    Lane *head, *tail;
    unsigned length;
} LaneQueue;

typedef struct Worker Worker;
struct Worker {
    Engine *engine;
    Worker *next;     // in the idle stack or in the list of the gone
    Worker *next_all; // in the list of all that ever were; structs are reused
    pthread_t thread;
    Cond cond;
    bool running;   // the thread has not said good-bye
    bool joinable;  // the thread was started and not joined; guarded by `spawning`
    Lane *handed;   // given while idle
    Lane *lane;     // being served
    bool has_slot;  // for the job being served
    bool long_runs; // is in a long action
    LogBatch log;   // written once an action ended, or by the house thread where that takes long
    // What it runs, for the watch over deadlines; `action` NULL: nothing.
    const Rule *rule;
    const RuleAction *action;
    int64_t began_us, deadline_us;
    bool reported;
};

typedef struct {
    MetricFamily *events, *matches, *actions, *outputs, *action_seconds;
    Metric *duplicates, *refused, *unkept, *overdue, *match_seconds, *reaction_seconds;
} EngineMetrics;

struct Engine {
    EngineOptions options;
    EngineMetrics metrics;
    const PluginInfo **default_notifiers; // NULL-terminated
    Dedup *dedup;                         // NULL: off
    uint8_t dedup_secret[16];
    Cancel cancel;

    Mutex accept;
    Mutex spawning;

    Mutex lock;
    GHashTable *lanes; // key -> Lane, of the lanes that have a key
    LaneQueue ready;
    LaneQueue parked; // wait for a slot of long actions
    Worker *idle, *gone, *all;
    unsigned lane_count, threads, busy, long_threads, slots;
    size_t events, bytes; // in memory
    bool stopping, stopped;
    Cond ended;           // a worker left, or the last commit came
    uint64_t commits_due; // callbacks of the store to come

    // Events that wait on disk only.
    pthread_t house;
    bool house_started;
    Cond house_cond;
    bool backlog;
    uint64_t backlog_after;  // read up to here
    uint64_t backlog_last;   // the last id given to disk only
    uint64_t committed_upto; // no commit of an id up to this is outstanding
    unsigned lane_share;     // events of one lane in memory
    unsigned deep_lanes;
    Lane *refill_head, *refill_tail;

    // Names of artifacts begun in this second.
    Mutex names;
    int64_t names_second;
    GHashTable *names_used;
};

// lanes.c ------------------------------------------------------------------------------------------------------------

// The event's target in words: events with the same words run one after another. NULL for an event that is about
// nothing known and waits for nobody. Returns `scratch`, or memory in `*owned`.
const char *lane_key(const Event *event, char *scratch, size_t size, char **owned);

Job *job_new(const Event *event, RuleSet *set, const Rule *const *matches, unsigned count);
void job_free(Job *job);

// What has to be done after the locks were let go.
typedef struct {
    Worker *signal;
    bool spawn;
} LaneWake;

// The rest of this group is called with `lock` held.
// The job joins the lane of its target, and is counted in events and bytes.
LaneWake lanes_push(Engine *engine, Job *job);
// Its lane has its share of the memory already, or has events on disk that come first.
bool lanes_overflow(const Engine *engine, const Job *job);
// The job's event, `id` of the store, waits on disk for its lane.
void lanes_defer(Engine *engine, const Job *job, uint64_t id);
void lanes_queue_refill(Engine *engine, Lane *lane);
Lane *lanes_pop_refill(Engine *engine);
void lanes_drop(Engine *engine, Lane *lane); // an empty one

void lanes_wake(Engine *engine, LaneWake wake);

typedef enum {
    BEGIN_GO,
    BEGIN_PARKED, // no slot is free: the lane waits; the caller must not touch the job any more
    BEGIN_LEAVE,  // the engine stops: leave the event as it is
} LaneBegin;
LaneBegin lanes_begin_action(Worker *worker, const Rule *rule, const RuleAction *action, int64_t deadline_us);
void lanes_end_action(Worker *worker);

bool lanes_start(Engine *engine, unsigned count, GError **error);
// After `stopping` was set: wakes all, waits for them until the deadline, cancels, joins. False: some have not ended at
// `last_us`, and none was joined.
bool lanes_stop(Engine *engine, int64_t deadline_us, int64_t last_us);
// After lanes_stop: frees the jobs that wait. Returns how many of them no store has.
unsigned lanes_clear(Engine *engine);
// Frees the workers' structs: later than lanes_stop, because a late offer may still signal one.
void lanes_free(Engine *engine);
// Logs actions that are past their deadline and did not return.
void lanes_watch(Engine *engine);

// run.c --------------------------------------------------------------------------------------------------------------

typedef enum {
    RUN_DONE,
    RUN_PARKED,    // the lane waits for a slot; the job is not the caller's any more
    RUN_ABANDONED, // the engine stops: stays pending
} RunEnd;
// Runs what is left of the job's actions, on a worker's thread without locks.
RunEnd run_job(Engine *engine, Worker *worker, Job *job);

// report.c -----------------------------------------------------------------------------------------------------------

// How an action and its artifact ended.
typedef struct {
    ResultStatus status;
    ActionResult result; // what the actionner said
    char *error;         // of a failure
    int64_t duration_us;
    bool has_output; // there is an artifact to report on
    ResultStatus output_status;
    char *output_result, *output_error;
    int64_t output_us;
} Outcome;
void outcome_clear(Outcome *outcome);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Outcome, outcome_clear)

bool report_init(Engine *engine, GError **error); // default notifiers
void report_event(Engine *engine, LogLevel level, const Event *event, const char *status);
void report_offered(LogBatch *log, const Event *event); // the same, into a batch
void report_match(LogBatch *log, const Job *job, const Rule *rule);
void report_started(LogBatch *log, const Job *job, const Rule *rule, const RuleAction *action);
// Log lines, the store's records, metrics and notices of an action that ended.
// Ends with the batch written.
void report_outcome(Engine *engine, LogBatch *log, const Job *job, const Rule *rule, unsigned action_index,
                    const Outcome *outcome);

// telemetry.c --------------------------------------------------------------------------------------------------------

void engine_metrics_init(Engine *engine);

// backlog.c ----------------------------------------------------------------------------------------------------------

// Looks once for what is pending from before, then starts the thread that reads the backlog and watches deadlines.
bool backlog_start(Engine *engine, GError **error);
void backlog_stop(Engine *engine); // after `stopping` was set
// With `lock` held: is there any room for what waits on disk?
static inline bool backlog_has_room(const Engine *engine) {
    return engine->events < (engine->options.max_events + 1) / 2 && engine->bytes < (engine->options.max_bytes + 1) / 2;
}
