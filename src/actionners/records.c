#include "actionners/records.h"

#include "base/error.h"

#include <string.h>

// A packet is at most 256 KiB (the largest snaplen) and its pseudo header; a longer record is not held.
enum { HOLD_MAX = 256 * 1024 + 64, PCAP_HEADER = 24, PCAP_RECORD = 16, BLOCK_HEADER = 8, BLOCK_MIN = 12 };

#define SECTION_BLOCK 0x0a0d0d0au // the same in both byte orders
#define BYTE_ORDER_MAGIC 0x1a2b3c4du

void records_init(Records *records, RecordsKind kind,
                  bool (*write)(const char *data, size_t len, void *user, GError **error), void *user) {
    *records = (Records){.kind = kind, .write = write, .user = user, .held = BUF_INIT(HOLD_MAX)};
}

void records_clear(Records *records) {
    buf_clear(&records->held);
}

uint64_t records_count(const Records *records) {
    return records->count;
}

static uint32_t word(const Records *records, const char *at) {
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return records->swapped ? GUINT32_SWAP_LE_BE(value) : value;
}

static bool is_pcap_magic(uint32_t magic) {
    return magic == 0xa1b2c3d4u || magic == 0xa1b23c4du; // micro- and nanoseconds
}

// How long the record is that begins at `at`. 0: more bytes are needed to tell. False: it is none.
static bool pcap_size(Records *records, const char *at, size_t len, uint64_t *size) {
    *size = 0;
    if (!records->begun) {
        if (len < sizeof(uint32_t))
            return true;
        records->swapped = false;
        if (!is_pcap_magic(word(records, at))) {
            records->swapped = true;
            if (!is_pcap_magic(word(records, at)))
                return false;
        }
        *size = PCAP_HEADER;
        return true;
    }
    if (len < PCAP_RECORD)
        return true;
    *size = PCAP_RECORD + (uint64_t)word(records, at + 8);
    return *size <= HOLD_MAX;
}

static bool block_size(Records *records, const char *at, size_t len, uint64_t *size) {
    *size = 0;
    if (!records->begun) {
        if (len >= 2 && memcmp(at, "\x1f\x8b", 2) == 0) {
            records->opaque = true;
            *size = 1;
            return true;
        }
        if (len < BLOCK_MIN)
            return true;
        records->swapped = false;
        if (word(records, at + 8) != BYTE_ORDER_MAGIC)
            records->swapped = true;
        if (word(records, at) != SECTION_BLOCK || word(records, at + 8) != BYTE_ORDER_MAGIC)
            return false;
    }
    if (len < BLOCK_HEADER)
        return true;
    *size = word(records, at + 4);
    return *size >= BLOCK_MIN;
}

static bool size_of(Records *records, const char *at, size_t len, uint64_t *size, GError **error) {
    bool ok = records->kind == RECORDS_PCAP ? pcap_size(records, at, len, size) : block_size(records, at, len, size);
    if (!ok)
        g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID, "what came is no %s file%s",
                    records->kind == RECORDS_PCAP ? "pcap" : "scap", records->begun ? " from some record on" : "");
    return ok;
}

static bool write_one(Records *records, const char *data, size_t len, GError **error) {
    if (!records->write(data, len, records->user, error))
        return false;
    records->count += records->begun;
    records->begun = true;
    return true;
}

// Several whole records.
static bool write_run(Records *records, const char *data, size_t len, uint64_t count, GError **error) {
    if (count == 0)
        return true;
    g_autoptr(GError) failure = NULL;
    if (records->write(data, len, records->user, &failure)) {
        records->count += count;
        return true;
    }
    if (count == 1 || !stoop_error_is(failure, STOOP_ERROR_TOO_LARGE)) {
        g_propagate_error(error, g_steal_pointer(&failure));
        return false;
    }
    uint64_t size;
    for (size_t at = 0; at < len; at += (size_t)size)
        if (!size_of(records, data + at, len - at, &size, error) || !write_one(records, data + at, (size_t)size, error))
            return false;
    return true;
}

static bool write_held(Records *records, GError **error) {
    bool ok = write_one(records, records->held.data, records->held.len, error);
    buf_reset(&records->held);
    return ok;
}

// Adds to the record that is held; sets how many bytes were taken.
static bool add_held(Records *records, const char *data, size_t len, size_t *taken, GError **error) {
    for (*taken = 0;;) {
        uint64_t size;
        if (!size_of(records, records->held.data, records->held.len, &size, error))
            return false;
        if (size > HOLD_MAX || records->opaque)
            records->passing = records->opaque ? UINT64_MAX : size - records->held.len;
        if (records->passing > 0 || (size > 0 && records->held.len == size))
            return write_held(records, error);
        if (*taken == len)
            return true;
        size_t part = size ? MIN(len - *taken, (size_t)size - records->held.len) : 1;
        buf_append(&records->held, data + *taken, part);
        *taken += part;
    }
}

// Writes all whole records that stand at the front, once the file's header is written; sets how long they are.
static bool add_whole(Records *records, const char *data, size_t len, size_t *taken, GError **error) {
    uint64_t size, count = 0;
    for (*taken = 0; *taken < len; *taken += (size_t)size, count++) {
        g_autoptr(GError) failure = NULL;
        if (!size_of(records, data + *taken, len - *taken, &size, &failure)) {
            if (write_run(records, data, *taken, count, error))
                g_propagate_error(error, g_steal_pointer(&failure));
            return false;
        }
        if (size == 0 || size > len - *taken)
            break;
    }
    return write_run(records, data, *taken, count, error);
}

bool records_add(Records *records, const char *data, size_t len, GError **error) {
    while (len > 0) {
        size_t taken = 0;
        if (records->passing > 0) {
            taken = (size_t)MIN(records->passing, (uint64_t)len);
            if (!records->write(data, taken, records->user, error))
                return false;
            records->passing -= records->opaque ? 0 : taken;
        } else {
            if (records->begun && records->held.len == 0 && !add_whole(records, data, len, &taken, error))
                return false;
            size_t held = 0;
            if (taken < len) {
                // The first byte of a record is held in any case: then the rest follows it.
                if (records->held.len == 0) {
                    buf_append(&records->held, data + taken, 1);
                    taken++;
                }
                if (!add_held(records, data + taken, len - taken, &held, error))
                    return false;
            }
            taken += held;
        }
        data += taken;
        len -= taken;
    }
    return true;
}
