// The deduplication key: equal for what is the same, different for everything else.
#include "event/event_private.h"

#include <string.h>

static const uint8_t secret[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
static const char *const volatiles[] = {"evt.time*", "evt.num", NULL};

static EventKey key_of(const char *body, const uint8_t key[16]) {
    static const uint8_t random16[16] = {0};
    g_autoptr(GError) error = NULL;
    g_autoptr(Event) event = event_parse(body, strlen(body), NULL, random16, &error);
    g_assert_no_error(error);
    return event_dedup_key(event, volatiles, key);
}

static bool same(const char *a, const char *b) {
    EventKey x = key_of(a, secret), y = key_of(b, secret);
    // Half a difference would mean that one half is not mixed.
    g_assert_cmpint(x.low == y.low, ==, x.high == y.high);
    return x.low == y.low;
}

#define FIELDS(text) "{\"rule\":\"r\",\"output_fields\":{" text "}}"

static void test_vectors(void) {
    // Published test vectors of SipHash-2-4-128: key 00..0f, input 00 01 02 ...
    static const uint8_t expected[][16] = {
        {0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02, 0x93},
        {0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44, 0x34, 0x76, 0x59, 0x11, 0x9b, 0x22, 0xfc, 0x45},
    };
    uint8_t input[64];
    for (unsigned i = 0; i < sizeof input; i++)
        input[i] = (uint8_t)i;
    for (unsigned n = 0; n < G_N_ELEMENTS(expected); n++) {
        SipHash hash;
        uint64_t low, high;
        siphash_init(&hash, secret);
        siphash_add(&hash, input, n);
        siphash_end(&hash, &low, &high);
        low = GUINT64_TO_LE(low);
        high = GUINT64_TO_LE(high);
        g_assert_cmpmem(&low, 8, expected[n], 8);
        g_assert_cmpmem(&high, 8, expected[n] + 8, 8);
    }
    // Pieces of any size give what the whole gives.
    for (unsigned cut = 0; cut <= sizeof input; cut++) {
        SipHash whole, pieces;
        uint64_t a, b, c, d;
        siphash_init(&whole, secret);
        siphash_add(&whole, input, sizeof input - 3);
        siphash_end(&whole, &a, &b);
        unsigned first = MIN(cut, (unsigned)sizeof input - 3);
        siphash_init(&pieces, secret);
        siphash_add(&pieces, input, first / 2);
        siphash_add(&pieces, input + first / 2, first - first / 2);
        siphash_add(&pieces, input + first, sizeof input - 3 - first);
        siphash_end(&pieces, &c, &d);
        g_assert_true(a == c && b == d);
    }
}

static void test_same(void) {
    g_assert_true(same(FIELDS("\"a\":1,\"b\":\"x\""), FIELDS("\"b\":\"x\",\"a\":1")));
    g_assert_true(same(FIELDS("\"a\":1,\"evt.time\":1,\"evt.time.iso8601\":2,\"evt.num\":3"), FIELDS("\"a\":1")));
    g_assert_true(same(FIELDS("\"a\":1,\"b\":null"), FIELDS("\"a\":1")));
    // As the two senders write one alert.
    g_assert_true(same("{\"output\":\"17:12:01.152497084: Notice x\",\"rule\":\"r\",\"output_fields\":{\"a\":\"<\"},"
                       "\"priority\":\"Notice\",\"time\":\"1\",\"tags\":[\"t\"]}",
                       "{\"uuid\":\"u\",\"rule\":\"r\",\"output_fields\":{\"a\":\"\\u003c\"},\"source\":\"syscall\"}"));
    g_assert_true(
        same("{\"output\":\"17:12:01.152497084: Notice x\"}", "{\"output\":\"17:12:02.152497085: Notice x\"}"));
    g_assert_true(same("{\"output\":\"x\",\"output_fields\":{}}", "{\"output\":\"x\"}"));
    g_assert_true(same("{\"rule\":\"r\"}", "{\"rule\":\"r\",\"source\":\"syscalls\"}"));
}

static void test_different(void) {
    static const char *const bodies[] = {
        FIELDS("\"a\":1"),
        FIELDS("\"a\":-1"),
        FIELDS("\"a\":1.0"),
        FIELDS("\"a\":\"1\""),
        FIELDS("\"a\":true"),
        FIELDS("\"a\":false"),
        FIELDS("\"a\":[1]"),
        FIELDS("\"a\":[[1]]"),
        FIELDS("\"a\":[1,2]"),
        FIELDS("\"a\":[2,1]"),
        FIELDS("\"a\":{\"1\":1}"),
        FIELDS("\"a\":[]"),
        FIELDS("\"a\":{}"),
        FIELDS("\"a\":[\"xy\",\"\"]"),
        FIELDS("\"a\":[\"x\",\"y\"]"),
        FIELDS("\"a\":18446744073709551616"),
        FIELDS("\"a\":\"18446744073709551616\""),
        FIELDS("\"ab\":\"c\""),
        FIELDS("\"a\":\"bc\""),
        FIELDS("\"a\":\"bc\",\"d\":\"\""),
        FIELDS("\"a\":\"b\",\"b\":\"a\""),
        FIELDS("\"a\":\"a\",\"b\":\"b\""),
        FIELDS("\"evt.number\":1"),
        "{\"rule\":\"q\",\"output_fields\":{\"a\":1}}",
        "{\"rule\":\"r\",\"source\":\"k8s_audit\",\"output_fields\":{\"a\":1}}",
        "{\"rule\":\"r\",\"hostname\":\"n\",\"output_fields\":{\"a\":1}}",
        "{\"rule\":\"n\",\"hostname\":\"r\",\"output_fields\":{\"a\":1}}",
        "{\"rule\":\"r\",\"output\":\"x\"}",
        "{\"rule\":\"r\",\"output\":\"y\"}",
        "{\"rule\":\"r\"}",
    };
    for (unsigned a = 0; a < G_N_ELEMENTS(bodies); a++)
        for (unsigned b = 0; b < a; b++)
            if (same(bodies[a], bodies[b]))
                g_error("%s has the key of %s", bodies[a], bodies[b]);
}

static void test_secret(void) {
    uint8_t other[16] = {0};
    EventKey a = key_of(FIELDS("\"a\":1"), secret), b = key_of(FIELDS("\"a\":1"), other);
    g_assert_true(a.low != b.low && a.high != b.high);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/event/key/vectors", test_vectors);
    g_test_add_func("/event/key/same", test_same);
    g_test_add_func("/event/key/different", test_different);
    g_test_add_func("/event/key/secret", test_secret);
    return g_test_run();
}
