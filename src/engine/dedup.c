#include "engine/dedup.h"

#include "base/thread.h"

enum { SHARDS = 16 };

typedef struct Mark Mark;
struct Mark {
    EventKey key;
    int64_t time_us;
    Mark *older, *newer;
};

typedef struct {
    Mutex lock;
    GHashTable *marks; // Mark -> itself
    Mark *oldest, *newest;
} Shard;

struct Dedup {
    int64_t window_us;
    size_t shard_capacity;
    Shard shards[SHARDS];
};

// The key is a keyed hash already: its bits are as good as any that could be made of them.
static guint mark_hash(const void *mark) {
    return (guint)((const Mark *)mark)->key.low;
}

static gboolean mark_equal(const void *a, const void *b) {
    const EventKey *x = &((const Mark *)a)->key, *y = &((const Mark *)b)->key;
    return x->high == y->high && x->low == y->low;
}

Dedup *dedup_new(int64_t window_us, size_t capacity) {
    Dedup *dedup = g_new0(Dedup, 1);
    dedup->window_us = window_us;
    dedup->shard_capacity = MAX((capacity ? capacity : 65536) / SHARDS, (size_t)1);
    for (unsigned i = 0; i < SHARDS; i++) {
        mutex_init(&dedup->shards[i].lock);
        dedup->shards[i].marks = g_hash_table_new_full(mark_hash, mark_equal, g_free, NULL);
    }
    return dedup;
}

void dedup_free(Dedup *dedup) {
    if (!dedup)
        return;
    for (unsigned i = 0; i < SHARDS; i++) {
        g_hash_table_destroy(dedup->shards[i].marks);
        mutex_destroy(&dedup->shards[i].lock);
    }
    g_free(dedup);
}

static Shard *shard_of(Dedup *dedup, EventKey key) {
    return &dedup->shards[key.high % SHARDS];
}

static void drop(Shard *shard, Mark *mark) {
    *(mark->older ? &mark->older->newer : &shard->oldest) = mark->newer;
    *(mark->newer ? &mark->newer->older : &shard->newest) = mark->older;
    g_hash_table_remove(shard->marks, mark);
}

bool dedup_mark(Dedup *dedup, EventKey key, int64_t now_us) {
    Shard *shard = shard_of(dedup, key);
    const Mark wanted = {.key = key};
    mutex_lock(&shard->lock);
    while (shard->oldest && now_us - shard->oldest->time_us >= dedup->window_us)
        drop(shard, shard->oldest);
    bool fresh = !g_hash_table_contains(shard->marks, &wanted);
    if (fresh) {
        if (g_hash_table_size(shard->marks) >= dedup->shard_capacity)
            drop(shard, shard->oldest);
        Mark *mark = g_new(Mark, 1);
        *mark = (Mark){.key = key, .time_us = now_us, .older = shard->newest};
        *(shard->newest ? &shard->newest->newer : &shard->oldest) = mark;
        shard->newest = mark;
        g_hash_table_add(shard->marks, mark);
    }
    mutex_unlock(&shard->lock);
    return fresh;
}

void dedup_forget(Dedup *dedup, EventKey key) {
    Shard *shard = shard_of(dedup, key);
    const Mark wanted = {.key = key};
    mutex_lock(&shard->lock);
    Mark *mark = g_hash_table_lookup(shard->marks, &wanted);
    if (mark)
        drop(shard, mark);
    mutex_unlock(&shard->lock);
}
