// Lanes, the queue of those that are ready, and the workers that serve them.
#include "base/error.h"
#include "engine/engine_private.h"

#include <string.h>

static const int64_t IDLE_US = 10 * G_USEC_PER_SEC;
// What an action may take beyond its deadline. A long one still stores what came, takes an upload back, ends its
// container.
static const int64_t OVERDUE_US = 2 * G_USEC_PER_SEC, LONG_OVERDUE_US = 25 * G_USEC_PER_SEC;
static const int64_t TELL_US = 200 * 1000; // after so long the log hears of an action that has not ended

Job *job_new(const Event *event, RuleSet *set, const Rule *const *matches, unsigned count) {
    char scratch[640];
    g_autofree char *owned = NULL;
    const char *key = lane_key(event, scratch, sizeof scratch, &owned);
    size_t key_size = key ? strlen(key) + 1 : 0, base = sizeof(Job) + count * sizeof *matches;
    Job *job = g_malloc0(base + key_size);
    job->event = event_ref(event);
    job->rules = rule_set_ref(set);
    job->bytes = event->memory + base + key_size;
    job->match_count = count;
    memcpy(job->matches, matches, count * sizeof *matches);
    if (key)
        job->key = memcpy((char *)job + base, key, key_size);
    return job;
}

void job_free(Job *job) {
    event_unref(job->event);
    rule_set_unref(job->rules);
    if (job->recorded)
        g_ptr_array_unref(job->recorded);
    g_free(job);
}

static void queue_push(LaneQueue *queue, Lane *lane) {
    lane->next = NULL;
    *(queue->tail ? &queue->tail->next : &queue->head) = lane;
    queue->tail = lane;
    queue->length++;
}

static Lane *queue_pop(LaneQueue *queue) {
    Lane *lane = queue->head;
    if (lane) {
        queue->head = lane->next;
        if (!queue->head)
            queue->tail = NULL;
        queue->length--;
    }
    return lane;
}

// An event about a resource that is no pod has the resource's name in `pod` too (a stand-in), so the resource is asked
// for first.
const char *lane_key(const Event *event, char *scratch, size_t size, char **owned) {
    const char *kind = "pods", *namespace = event->pod_namespace, *name = event->pod;
    if (event->target_resource && event->target_name && strcmp(event->target_resource, "pods") != 0) {
        kind = event->target_resource;
        namespace = event->target_namespace;
        name = event->target_name;
    }
    if (!name)
        return NULL;
    namespace = namespace ? namespace : "";
    size_t kind_len = strlen(kind), namespace_len = strlen(namespace), name_len = strlen(name);
    size_t need = kind_len + namespace_len + name_len + 3;
    char *key = need <= size ? scratch : (*owned = g_malloc(need));
    char *at = key;
    memcpy(at, kind, kind_len);
    at += kind_len;
    *at++ = '/';
    memcpy(at, namespace, namespace_len);
    at += namespace_len;
    *at++ = '/';
    memcpy(at, name, name_len + 1);
    return key;
}

static Lane *lane_new(const char *key) {
    size_t len = key ? strlen(key) : 0;
    Lane *lane = g_malloc0(sizeof *lane + len + 1);
    if (key)
        memcpy(lane->key, key, len);
    lane->listed = key != NULL;
    return lane;
}

static bool may_spawn(const Engine *engine) {
    return !engine->stopping && engine->threads - engine->long_threads < engine->options.workers;
}

// Finds somebody for a lane that has work. An idle worker is given it by hand; else it queues, and a thread more is
// asked for where the limit allows. `lock` is held.
static LaneWake schedule(Engine *engine, Lane *lane) {
    Worker *worker = engine->idle;
    if (worker) {
        engine->idle = worker->next;
        worker->handed = lane;
        return (LaneWake){.signal = worker};
    }
    queue_push(&engine->ready, lane);
    if (!may_spawn(engine))
        return (LaneWake){0};
    engine->threads++;
    return (LaneWake){.spawn = true};
}

static Lane *find_or_make(Engine *engine, const char *key) {
    Lane *lane = key ? g_hash_table_lookup(engine->lanes, key) : NULL;
    if (lane)
        return lane;
    lane = lane_new(key);
    if (key)
        g_hash_table_insert(engine->lanes, lane->key, lane);
    engine->lane_count++;
    return lane;
}

LaneWake lanes_push(Engine *engine, Job *job) {
    Lane *lane = find_or_make(engine, job->key);
    bool idle = lane->head == NULL; // the job that runs stays at the head
    *(idle ? &lane->head : &lane->tail->next) = job;
    lane->tail = job;
    lane->length++;
    engine->events++;
    engine->bytes += job->bytes;
    return idle ? schedule(engine, lane) : (LaneWake){0};
}

bool lanes_overflow(const Engine *engine, const Job *job) {
    const Lane *lane = job->key ? g_hash_table_lookup(engine->lanes, job->key) : NULL;
    return lane && (lane->deep || lane->length >= engine->lane_share);
}

void lanes_queue_refill(Engine *engine, Lane *lane) {
    if (lane->refilling)
        return;
    lane->refilling = true;
    lane->next_refill = NULL;
    *(engine->refill_head ? &engine->refill_tail->next_refill : &engine->refill_head) = lane;
    engine->refill_tail = lane;
}

Lane *lanes_pop_refill(Engine *engine) {
    Lane *lane = engine->refill_head;
    if (lane) {
        engine->refill_head = lane->next_refill;
        lane->refilling = false;
    }
    return lane;
}

void lanes_defer(Engine *engine, const Job *job, uint64_t id) {
    Lane *lane = find_or_make(engine, job->key);
    if (!lane->deep) {
        lane->deep = true;
        lane->deep_after = id - 1;
        engine->deep_lanes++;
    }
    lane->deep_last = id;
    if (lane->length <= engine->lane_share / 2)
        lanes_queue_refill(engine, lane);
}

void lanes_drop(Engine *engine, Lane *lane) {
    if (lane->listed)
        g_hash_table_remove(engine->lanes, lane->key);
    engine->deep_lanes -= lane->deep;
    engine->lane_count--;
    g_free(lane);
}

static void *worker_main(void *data);

// `threads` has been raised by whoever asks. `spawning` is held throughout, so that nobody joins a thread whose id is
// not written yet; `lock` is not, because making a thread takes long.
static bool spawn(Engine *engine, GError **error) {
    mutex_lock(&engine->spawning);
    mutex_lock(&engine->lock);
    Worker *worker = engine->gone;
    if (worker) {
        engine->gone = worker->next;
    } else {
        worker = g_new0(Worker, 1);
        log_batch_init(&worker->log, engine->options.log);
        worker->engine = engine;
        cond_init(&worker->cond);
        worker->next_all = engine->all;
        engine->all = worker;
    }
    worker->running = true;
    mutex_unlock(&engine->lock);

    if (worker->joinable) // it has left its loop: this waits for the last instructions of its thread only
        pthread_join(worker->thread, NULL);
    worker->joinable = thread_start(&worker->thread, "stoop-worker", 0, worker_main, worker, error);
    bool started = worker->joinable;
    if (!started) {
        mutex_lock(&engine->lock);
        worker->running = false;
        worker->next = engine->gone;
        engine->gone = worker;
        engine->threads--;
        cond_broadcast(&engine->ended);
        mutex_unlock(&engine->lock);
    }
    mutex_unlock(&engine->spawning);
    return started;
}

void lanes_wake(Engine *engine, LaneWake wake) {
    if (wake.signal)
        cond_signal(&wake.signal->cond);
    if (!wake.spawn)
        return;
    g_autoptr(GError) error = NULL;
    if (!spawn(engine, &error)) // the lane is queued: a worker that is there takes it when it has time
        log_text(engine->options.log, LOG_WARNING, "init", "no further worker: %s", error->message);
}

static bool is_surplus(const Engine *engine) {
    return engine->threads - engine->long_threads > engine->options.workers;
}

static void leave_idle(Engine *engine, Worker *worker) {
    for (Worker **at = &engine->idle; *at; at = &(*at)->next) {
        if (*at == worker) {
            *at = worker->next;
            return;
        }
    }
}

// The next lane to serve; NULL when this thread should end. `lock` is held, and let go while waiting.
static Lane *take(Engine *engine, Worker *worker) {
    if (engine->stopping)
        return NULL;
    Lane *lane = queue_pop(&engine->ready);
    if (lane)
        return lane;
    if (is_surplus(engine))
        return NULL;
    worker->handed = NULL;
    worker->next = engine->idle;
    engine->idle = worker;
    int64_t until_us = clock_monotonic_us(clock_system()) + IDLE_US;
    bool timed = true;
    while (!worker->handed && !engine->stopping) {
        if (!timed) {
            cond_wait(&worker->cond, &engine->lock);
        } else if (!cond_wait_until(&worker->cond, &engine->lock, until_us) && !worker->handed && !engine->stopping) {
            if (engine->threads > ENGINE_MIN_WORKERS) {
                leave_idle(engine, worker);
                return NULL;
            }
            timed = false;
        }
    }
    if (!worker->handed) {
        leave_idle(engine, worker);
        return NULL;
    }
    lane = g_steal_pointer(&worker->handed);
    if (!engine->stopping)
        return lane;
    queue_push(&engine->ready, lane);
    return NULL;
}

// Runs the first job of the lane. `lock` is held on entry and on return.
static void serve(Engine *engine, Worker *worker, Lane *lane) {
    Job *job = lane->head;
    worker->lane = lane;
    worker->has_slot = lane->slot;
    lane->slot = false;
    engine->busy++;
    mutex_unlock(&engine->lock);

    RunEnd end = run_job(engine, worker, job);
    log_batch_flush(&worker->log);

    mutex_lock(&engine->lock);
    engine->busy--;
    worker->lane = NULL;
    if (end == RUN_PARKED) // somebody else may be serving it by now
        return;
    if (end == RUN_ABANDONED) {
        queue_push(&engine->ready, lane); // nobody takes it any more; lanes_free finds it there
        return;
    }
    lane->head = job->next;
    lane->length--;
    engine->events--;
    engine->bytes -= job->bytes;
    if (lane->deep && lane->length <= engine->lane_share / 2)
        lanes_queue_refill(engine, lane);
    if (lane->head)
        // To the end of the queue: a lane that always has work must not starve the others.
        queue_push(&engine->ready, lane);
    else if (!lane->deep)
        lanes_drop(engine, lane);
    if ((engine->backlog || engine->refill_head) && backlog_has_room(engine))
        cond_signal(&engine->house_cond);
    mutex_unlock(&engine->lock);
    job_free(job);
    mutex_lock(&engine->lock);
}

static void *worker_main(void *data) {
    Worker *worker = data;
    Engine *engine = worker->engine;
    mutex_lock(&engine->lock);
    for (Lane *lane; (lane = take(engine, worker));)
        serve(engine, worker, lane);
    worker->running = false;
    worker->next = engine->gone;
    engine->gone = worker;
    engine->threads--;
    if (engine->stopping)
        cond_broadcast(&engine->ended);
    mutex_unlock(&engine->lock);
    return NULL;
}

LaneBegin lanes_begin_action(Worker *worker, const Rule *rule, const RuleAction *action, int64_t deadline_us) {
    Engine *engine = worker->engine;
    LaneWake wake = {0};
    mutex_lock(&engine->lock);
    if (cancel_is_set(&engine->cancel)) {
        mutex_unlock(&engine->lock);
        return BEGIN_LEAVE;
    }
    if (action->actionner->long_running) {
        if (worker->has_slot) {
            worker->has_slot = false;
        } else if (engine->slots < engine->options.long_actions) {
            engine->slots++;
        } else {
            bool stopping = engine->stopping;
            if (!stopping)
                queue_push(&engine->parked, worker->lane);
            mutex_unlock(&engine->lock);
            return stopping ? BEGIN_LEAVE : BEGIN_PARKED;
        }
        // From here on this thread does not count among the workers: another may take its place.
        worker->long_runs = true;
        engine->long_threads++;
        if (engine->ready.head && may_spawn(engine)) {
            engine->threads++;
            wake.spawn = true;
        }
    }
    worker->rule = rule;
    worker->action = action;
    worker->began_us = clock_monotonic_us(engine->options.clock);
    worker->deadline_us = deadline_us;
    worker->reported = false;
    mutex_unlock(&engine->lock);
    lanes_wake(engine, wake);
    return BEGIN_GO;
}

void lanes_end_action(Worker *worker) {
    Engine *engine = worker->engine;
    LaneWake wake = {0};
    mutex_lock(&engine->lock);
    worker->rule = NULL;
    worker->action = NULL;
    if (worker->long_runs) {
        worker->long_runs = false;
        engine->long_threads--;
        Lane *next = queue_pop(&engine->parked);
        if (next) {
            next->slot = true;
            wake = schedule(engine, next);
        } else {
            engine->slots--;
        }
    }
    mutex_unlock(&engine->lock);
    lanes_wake(engine, wake);
}

bool lanes_start(Engine *engine, unsigned count, GError **error) {
    for (unsigned i = 0; i < count; i++) {
        mutex_lock(&engine->lock);
        engine->threads++;
        mutex_unlock(&engine->lock);
        if (!spawn(engine, error))
            return false;
    }
    return true;
}

static void wait_for_workers(Engine *engine, int64_t until_us) {
    while (engine->threads > 0 && clock_monotonic_us(clock_system()) < until_us)
        cond_wait_until(&engine->ended, &engine->lock, until_us);
}

bool lanes_stop(Engine *engine, int64_t deadline_us, int64_t last_us) {
    mutex_lock(&engine->lock);
    for (Worker *worker = engine->all; worker; worker = worker->next_all)
        cond_broadcast(&worker->cond);
    wait_for_workers(engine, deadline_us);
    // Under the lock: no action begins once it is set.
    cancel_set(&engine->cancel);
    wait_for_workers(engine, MIN(clock_monotonic_us(clock_system()) + G_USEC_PER_SEC, last_us));
    for (Worker *worker = engine->all; worker; worker = worker->next_all) {
        if (worker->running && worker->action)
            log_text(engine->options.log, LOG_ERROR, "init", "waiting for %s of rule '%s', which does not end",
                     worker->action->actionner->name, worker->rule->name);
    }
    wait_for_workers(engine, last_us);
    bool ended = engine->threads == 0;
    mutex_unlock(&engine->lock);
    if (!ended)
        return false;

    mutex_lock(&engine->spawning);
    for (Worker *worker = engine->all; worker; worker = worker->next_all) {
        if (worker->joinable)
            pthread_join(worker->thread, NULL);
        worker->joinable = false;
    }
    mutex_unlock(&engine->spawning);
    return true;
}

static unsigned free_lanes(Engine *engine, LaneQueue *queue) {
    unsigned unkept = 0;
    for (Lane *lane; (lane = queue_pop(queue));) {
        while (lane->head) {
            Job *job = lane->head;
            lane->head = job->next;
            unkept += job->id == 0;
            engine->events--;
            engine->bytes -= job->bytes;
            job_free(job);
        }
        lanes_drop(engine, lane);
    }
    return unkept;
}

unsigned lanes_clear(Engine *engine) {
    mutex_lock(&engine->lock);
    for (Lane *lane; (lane = lanes_pop_refill(engine));) {
        if (!lane->head) // in no other queue
            lanes_drop(engine, lane);
    }
    unsigned unkept = free_lanes(engine, &engine->ready) + free_lanes(engine, &engine->parked);
    mutex_unlock(&engine->lock);
    return unkept;
}

void lanes_free(Engine *engine) {
    while (engine->all) {
        Worker *worker = engine->all;
        engine->all = worker->next_all;
        cond_destroy(&worker->cond);
        log_batch_clear(&worker->log);
        g_free(worker);
    }
}

void lanes_watch(Engine *engine) {
    int64_t now_us = clock_monotonic_us(engine->options.clock);
    mutex_lock(&engine->lock);
    for (Worker *worker = engine->all; worker; worker = worker->next_all) {
        // What is under way must not stay out of the log because an API server hangs.
        if (worker->action && now_us >= worker->began_us + TELL_US)
            log_batch_flush(&worker->log);
        if (!worker->action || worker->reported)
            continue;
        bool is_long = worker->action->actionner->long_running;
        if (now_us < worker->deadline_us + (is_long ? LONG_OVERDUE_US : OVERDUE_US))
            continue;
        worker->reported = true;
        metric_add(engine->metrics.overdue, 1);
        // Rare enough to write with the lock held: the names die with the job.
        log_text(engine->options.log, LOG_ERROR, "action", "%s of rule '%s' is past its deadline and does not return",
                 worker->action->actionner->name, worker->rule->name);
    }
    // A thread that could not be started when a lane wanted one is tried for again.
    LaneWake wake = {.spawn = engine->ready.head && !engine->idle && may_spawn(engine)};
    engine->threads += wake.spawn;
    mutex_unlock(&engine->lock);
    lanes_wake(engine, wake);
}
