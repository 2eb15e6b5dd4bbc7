#include "engine/dedup.h"

static EventKey key(uint64_t n) {
    return (EventKey){.high = n, .low = n * 0x9e3779b97f4a7c15u};
}

static void test_window(void) {
    Dedup *dedup = dedup_new(5000, 0);
    g_assert_true(dedup_mark(dedup, key(1), 100));
    g_assert_false(dedup_mark(dedup, key(1), 5099));
    g_assert_true(dedup_mark(dedup, key(2), 5099));
    // From the first mark, not from the last repetition.
    g_assert_true(dedup_mark(dedup, key(1), 5100));
    g_assert_false(dedup_mark(dedup, key(1), 5101));
    dedup_free(dedup);
}

static void test_forget(void) {
    Dedup *dedup = dedup_new(5000, 0);
    g_assert_true(dedup_mark(dedup, key(1), 0));
    dedup_forget(dedup, key(1));
    dedup_forget(dedup, key(9)); // never marked: nothing
    g_assert_true(dedup_mark(dedup, key(1), 1));
    dedup_free(dedup);
}

static void test_both_halves_count(void) {
    Dedup *dedup = dedup_new(5000, 0);
    g_assert_true(dedup_mark(dedup, (EventKey){.high = 16, .low = 7}, 0));
    g_assert_true(dedup_mark(dedup, (EventKey){.high = 32, .low = 7}, 0));
    g_assert_false(dedup_mark(dedup, (EventKey){.high = 32, .low = 7}, 0));
    dedup_free(dedup);
}

// 16 shards of two: the oldest of a shard leaves, the newer stay.
static void test_bounded(void) {
    Dedup *dedup = dedup_new(G_MAXINT64, 32);
    for (uint64_t n = 0; n < 3; n++)
        g_assert_true(dedup_mark(dedup, key(n * 16), (int64_t)n));
    g_assert_false(dedup_mark(dedup, key(32), 4));
    g_assert_false(dedup_mark(dedup, key(16), 4));
    g_assert_true(dedup_mark(dedup, key(0), 4));
    dedup_free(dedup);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/engine/dedup/window", test_window);
    g_test_add_func("/engine/dedup/forget", test_forget);
    g_test_add_func("/engine/dedup/both-halves-count", test_both_halves_count);
    g_test_add_func("/engine/dedup/bounded", test_bounded);
    return g_test_run();
}
