// Files of records, cut at their bounds however the stream comes.
#include "actionners/records.h"
#include "base/error.h"

#include <string.h>

typedef struct {
    GString *bytes;
    size_t limit; // 0: none
    unsigned calls;
} Sink;

static bool take(const char *data, size_t len, void *user, GError **error) {
    Sink *sink = user;
    sink->calls++;
    if (sink->limit && sink->bytes->len + len > sink->limit) {
        g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_TOO_LARGE, "too large");
        return false;
    }
    g_string_append_len(sink->bytes, data, (gssize)len);
    return true;
}

static void add_word(GString *to, uint32_t value, bool swapped) {
    value = swapped ? GUINT32_SWAP_LE_BE(value) : value;
    g_string_append_len(to, (const char *)&value, sizeof value);
}

static void add_packet(GString *to, uint32_t len, bool swapped) {
    add_word(to, 1, swapped);
    add_word(to, 2, swapped);
    add_word(to, len, swapped);
    add_word(to, len + 10, swapped);
    for (uint32_t i = 0; i < len; i++)
        g_string_append_c(to, (char)i);
}

static GString *pcap(uint32_t magic, bool swapped, size_t *bounds) {
    static const uint32_t lengths[] = {60, 0, 1, 1500, 16, 262144, 24};
    GString *file = g_string_new(NULL);
    add_word(file, magic, swapped);
    for (int i = 0; i < 5; i++)
        add_word(file, 7, swapped);
    *bounds++ = file->len;
    for (size_t i = 0; i < G_N_ELEMENTS(lengths); i++) {
        add_packet(file, lengths[i], swapped);
        *bounds++ = file->len;
    }
    *bounds = 0;
    return file;
}

static void add_block(GString *to, uint32_t type, uint32_t size, bool swapped) {
    add_word(to, type, swapped);
    add_word(to, size, swapped);
    if (type == 0x0a0d0d0a)
        add_word(to, 0x1a2b3c4d, swapped);
    else if (size > 12)
        g_string_append_len(to, "xxxx", 4);
    for (uint32_t i = size > 12 || type == 0x0a0d0d0a ? 12 : 8; i + 4 < size; i++)
        g_string_append_c(to, (char)i);
    add_word(to, size, swapped);
}

static GString *scap(bool swapped, size_t *bounds) {
    static const uint32_t sizes[] = {12, 200, 65548, 16, 12};
    GString *file = g_string_new(NULL);
    add_block(file, 0x0a0d0d0a, 28, swapped);
    *bounds++ = file->len;
    for (size_t i = 0; i < G_N_ELEMENTS(sizes); i++) {
        add_block(file, 0x201, sizes[i], swapped);
        *bounds++ = file->len;
    }
    *bounds = 0;
    return file;
}

static bool feed(Records *records, const char *data, size_t len, size_t piece, GError **error) {
    for (size_t at = 0; at < len; at += MIN(piece, len - at))
        if (!records_add(records, data + at, MIN(piece, len - at), error))
            return false;
    return true;
}

// The last bound that is not beyond `len`.
static size_t bound_at(const size_t *bounds, size_t len, uint64_t *count) {
    size_t last = 0;
    *count = 0;
    for (size_t i = 0; bounds[i] && bounds[i] <= len; i++, *count = i - 1)
        last = bounds[i];
    return last;
}

// How far to the next length that is tried: every one about a bound, some of the others.
static size_t step(const size_t *bounds, size_t len) {
    for (size_t i = 0; bounds[i]; i++)
        if (len + 20 >= bounds[i] && len <= bounds[i] + 20)
            return 1;
    return 17;
}

// The stream ends anywhere, and comes in pieces of any length.
static void check_cuts(RecordsKind kind, const GString *file, const size_t *bounds) {
    static const size_t pieces[] = {1, 7, 16, 4096, 1 << 20};
    for (size_t p = 0; p < G_N_ELEMENTS(pieces); p++) {
        for (size_t len = 0; len <= file->len; len += len < 2000 ? step(bounds, len) : 30011) {
            if (pieces[p] < 16 && len > 2000 && len < file->len - 30011)
                continue;
            Sink sink = {.bytes = g_string_new(NULL)};
            g_auto(Records) records;
            records_init(&records, kind, take, &sink);
            g_assert_true(feed(&records, file->str, len, pieces[p], NULL));
            uint64_t count;
            g_assert_cmpuint(sink.bytes->len, ==, bound_at(bounds, len, &count));
            g_assert_cmpuint(records_count(&records), ==, count);
            g_assert_true(memcmp(sink.bytes->str, file->str, sink.bytes->len) == 0);
            g_string_free(sink.bytes, TRUE);
        }
    }
}

static void check_limits(RecordsKind kind, const GString *file, const size_t *bounds) {
    static const size_t pieces[] = {1, 7, 100, 4096, 1 << 19, 1 << 20};
    for (size_t p = 0; p < G_N_ELEMENTS(pieces); p++) {
        for (size_t i = 0; bounds[i] < file->len; i++) {
            size_t limit = bounds[i] + p % 3; // at a bound and behind it
            Sink sink = {.bytes = g_string_new(NULL), .limit = limit};
            g_auto(Records) records;
            records_init(&records, kind, take, &sink);
            g_autoptr(GError) error = NULL;
            g_assert_false(feed(&records, file->str, file->len, pieces[p], &error));
            g_assert_error(error, STOOP_ERROR, STOOP_ERROR_TOO_LARGE);
            uint64_t count;
            g_assert_cmpuint(sink.bytes->len, ==, bound_at(bounds, limit, &count));
            g_assert_cmpuint(records_count(&records), ==, sink.bytes->len ? count : 0);
            g_string_free(sink.bytes, TRUE);
        }
    }
}

static void test_pcap(void) {
    static const uint32_t magics[] = {0xa1b2c3d4, 0xa1b23c4d};
    for (int i = 0; i < 4; i++) {
        size_t bounds[16];
        GString *file = pcap(magics[i / 2], i % 2 != 0, bounds);
        check_cuts(RECORDS_PCAP, file, bounds);
        check_limits(RECORDS_PCAP, file, bounds);
        g_string_free(file, TRUE);
    }
}

static void test_scap(void) {
    for (int swapped = 0; swapped < 2; swapped++) {
        size_t bounds[16];
        GString *file = scap(swapped != 0, bounds);
        check_cuts(RECORDS_SCAP, file, bounds);
        check_limits(RECORDS_SCAP, file, bounds);
        g_string_free(file, TRUE);
    }
}

static void test_whole_runs_go_at_once(void) {
    size_t bounds[16];
    GString *file = pcap(0xa1b2c3d4, false, bounds);
    Sink sink = {.bytes = g_string_new(NULL)};
    g_auto(Records) records;
    records_init(&records, RECORDS_PCAP, take, &sink);
    g_assert_true(feed(&records, file->str, file->len, file->len, NULL));
    g_assert_cmpuint(sink.calls, <=, 3);
    g_string_free(sink.bytes, TRUE);
    g_string_free(file, TRUE);
}

// A block beyond what is held goes on in pieces, and the ones after it are whole again.
static void test_long_blocks(void) {
    GString *file = g_string_new(NULL);
    add_block(file, 0x0a0d0d0a, 28, false);
    add_block(file, 0x202, 3000000, false);
    size_t end = file->len;
    add_block(file, 0x203, 100, false);
    for (size_t piece = 5; piece < 10000000; piece *= 31) {
        Sink sink = {.bytes = g_string_new(NULL)};
        g_auto(Records) records;
        records_init(&records, RECORDS_SCAP, take, &sink);
        g_assert_true(feed(&records, file->str, file->len - 1, piece, NULL));
        g_assert_cmpmem(sink.bytes->str, sink.bytes->len, file->str, end);
        g_assert_true(feed(&records, file->str + file->len - 1, 1, 1, NULL));
        g_assert_cmpmem(sink.bytes->str, sink.bytes->len, file->str, file->len);
        g_assert_cmpuint(records_count(&records), ==, 2);
        g_assert_cmpuint(records.held.capacity, <=, 1 << 20);
        g_string_free(sink.bytes, TRUE);
    }
    g_string_free(file, TRUE);
}

static void test_compressed(void) {
    static const char data[] = "\x1f\x8b\x08 anything at all, of any length";
    for (size_t piece = 1; piece < sizeof data; piece += 3) {
        Sink sink = {.bytes = g_string_new(NULL)};
        g_auto(Records) records;
        records_init(&records, RECORDS_SCAP, take, &sink);
        g_assert_true(feed(&records, data, sizeof data, piece, NULL));
        g_assert_cmpmem(sink.bytes->str, sink.bytes->len, data, sizeof data);
        g_string_free(sink.bytes, TRUE);
    }
}

static void test_no_such_file(void) {
    static const struct {
        RecordsKind kind;
        const char *text;
    } cases[] = {
        {RECORDS_PCAP, "tcpdump: it is broken, and says so where it should not"},
        {RECORDS_PCAP, "\x0a\x0d\x0d\x0a this is pcapng"},
        {RECORDS_SCAP, "Unable to load the driver, and more"},
        {RECORDS_SCAP, "\x0a\x0d\x0d\x0a\x1c\0\0\0 no byte order"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        Sink sink = {.bytes = g_string_new(NULL)};
        g_auto(Records) records;
        records_init(&records, cases[i].kind, take, &sink);
        g_autoptr(GError) error = NULL;
        g_assert_false(feed(&records, cases[i].text, 24, 5, &error));
        g_assert_error(error, STOOP_ERROR, STOOP_ERROR_INVALID);
        g_assert_cmpuint(sink.bytes->len, ==, 0);
        g_string_free(sink.bytes, TRUE);
    }
}

// What was whole before is kept.
static void test_broken_in_the_middle(void) {
    for (size_t piece = 1; piece < 1000; piece += 333) {
        size_t bounds[16];
        GString *file = pcap(0xa1b2c3d4, false, bounds);
        g_string_truncate(file, bounds[4]);
        add_word(file, 1, false);
        add_word(file, 2, false);
        add_word(file, 0xffffffff, false);
        add_word(file, 4, false);
        Sink sink = {.bytes = g_string_new(NULL)};
        g_auto(Records) records;
        records_init(&records, RECORDS_PCAP, take, &sink);
        g_autoptr(GError) error = NULL;
        g_assert_false(feed(&records, file->str, file->len, piece, &error));
        g_assert_error(error, STOOP_ERROR, STOOP_ERROR_INVALID);
        g_assert_cmpmem(sink.bytes->str, sink.bytes->len, file->str, bounds[4]);
        g_string_free(sink.bytes, TRUE);
        g_string_free(file, TRUE);
    }
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/records/pcap", test_pcap);
    g_test_add_func("/records/scap", test_scap);
    g_test_add_func("/records/runs", test_whole_runs_go_at_once);
    g_test_add_func("/records/long-blocks", test_long_blocks);
    g_test_add_func("/records/compressed", test_compressed);
    g_test_add_func("/records/no-such-file", test_no_such_file);
    g_test_add_func("/records/broken", test_broken_in_the_middle);
    return g_test_run();
}
