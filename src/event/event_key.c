// The key of the deduplication window. Each field is hashed with the process's secret and the hashes are added up: the
// sum does not depend on the order, and without the secret nobody can aim for another event's sum.
#include "event/event_private.h"

#include <string.h>

static inline uint64_t rotate(uint64_t x, int bits) {
    return x << bits | x >> (64 - bits);
}

static inline uint64_t load_le(const uint8_t *bytes) {
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return GUINT64_FROM_LE(word);
}

static inline void siphash_round(SipHash *h) {
    h->v0 += h->v1;
    h->v2 += h->v3;
    h->v1 = rotate(h->v1, 13) ^ h->v0;
    h->v3 = rotate(h->v3, 16) ^ h->v2;
    h->v0 = rotate(h->v0, 32);
    h->v2 += h->v1;
    h->v0 += h->v3;
    h->v1 = rotate(h->v1, 17) ^ h->v2;
    h->v3 = rotate(h->v3, 21) ^ h->v0;
    h->v2 = rotate(h->v2, 32);
}

static inline void siphash_word(SipHash *h, uint64_t word) {
    h->v3 ^= word;
    siphash_round(h);
    siphash_round(h);
    h->v0 ^= word;
}

void siphash_init(SipHash *hash, const uint8_t secret[16]) {
    uint64_t k0 = load_le(secret), k1 = load_le(secret + 8);
    *hash = (SipHash){
        .v0 = 0x736f6d6570736575 ^ k0,
        .v1 = 0x646f72616e646f6d ^ k1 ^ 0xee,
        .v2 = 0x6c7967656e657261 ^ k0,
        .v3 = 0x7465646279746573 ^ k1,
    };
}

void siphash_add(SipHash *hash, const void *data, size_t len) {
    const uint8_t *bytes = data;
    size_t filled = hash->len % 8;
    hash->len += len;
    while (filled > 0 && len > 0) {
        hash->tail |= (uint64_t)*bytes++ << (8 * filled);
        len--;
        if (++filled == 8) {
            siphash_word(hash, hash->tail);
            hash->tail = 0;
            filled = 0;
        }
    }
    for (; len >= 8; len -= 8, bytes += 8)
        siphash_word(hash, load_le(bytes));
    for (size_t i = 0; i < len; i++)
        hash->tail |= (uint64_t)bytes[i] << (8 * (filled + i));
}

void siphash_end(SipHash *hash, uint64_t *low, uint64_t *high) {
    siphash_word(hash, hash->tail | (uint64_t)hash->len << 56);
    hash->v2 ^= 0xee;
    for (int i = 0; i < 4; i++)
        siphash_round(hash);
    *low = hash->v0 ^ hash->v1 ^ hash->v2 ^ hash->v3;
    hash->v1 ^= 0xdd;
    for (int i = 0; i < 4; i++)
        siphash_round(hash);
    *high = hash->v0 ^ hash->v1 ^ hash->v2 ^ hash->v3;
}

// Lengths go in front, so that no two different sequences of texts give the same bytes.
static void add_text(SipHash *hash, const char *text, size_t len) {
    uint64_t length = GUINT64_TO_LE((uint64_t)len);
    siphash_add(hash, &length, sizeof length);
    siphash_add(hash, text, len);
}

static void add_value(SipHash *hash, yyjson_val *value) {
    // Type and subtype (signed, unsigned, real; true, false) tell values apart that share their bytes. A text's subtype
    // only says whether it came with escapes.
    uint8_t tag = yyjson_is_str(value) ? YYJSON_TYPE_STR : unsafe_yyjson_get_tag(value);
    siphash_add(hash, &tag, 1);
    if (yyjson_is_str(value) || yyjson_is_raw(value)) {
        add_text(hash, unsafe_yyjson_get_str(value), unsafe_yyjson_get_len(value));
    } else if (yyjson_is_num(value)) {
        uint64_t bits = GUINT64_TO_LE(value->uni.u64);
        siphash_add(hash, &bits, sizeof bits);
    } else if (yyjson_is_ctn(value)) {
        uint64_t count = GUINT64_TO_LE((uint64_t)unsafe_yyjson_get_len(value));
        siphash_add(hash, &count, sizeof count);
    }
    size_t i, max;
    yyjson_val *key, *item;
    if (yyjson_is_arr(value)) {
        yyjson_arr_foreach(value, i, max, item) {
            add_value(hash, item);
        }
    } else if (yyjson_is_obj(value)) {
        yyjson_obj_foreach(value, i, max, key, item) {
            add_text(hash, unsafe_yyjson_get_str(key), unsafe_yyjson_get_len(key));
            add_value(hash, item);
        }
    }
}

static bool is_volatile(const char *const *list, const char *name, size_t len) {
    for (; list && *list; list++) {
        size_t n = strlen(*list);
        if (n > 0 && (*list)[n - 1] == '*' ? len >= n - 1 && memcmp(name, *list, n - 1) == 0
                                           : len == n && memcmp(name, *list, n) == 0)
            return true;
    }
    return false;
}

static void sum(EventKey *key, SipHash *hash) {
    uint64_t low, high;
    siphash_end(hash, &low, &high);
    key->low += low;
    key->high += high + (key->low < low);
}

// Adds the fields that are not volatile; false when there is no field at all that has a value.
static bool sum_fields(EventKey *total, const SipHash *base, yyjson_val *fields, const char *const *volatile_fields) {
    bool any = false;
    size_t i, max;
    yyjson_val *key, *value;
    if (!fields)
        return false;
    yyjson_obj_foreach(fields, i, max, key, value) {
        if (yyjson_is_null(value))
            continue;
        any = true;
        const char *name = unsafe_yyjson_get_str(key);
        size_t len = unsafe_yyjson_get_len(key);
        if (is_volatile(volatile_fields, name, len))
            continue;
        SipHash one = *base;
        siphash_add(&one, "f", 1);
        add_text(&one, name, len);
        add_value(&one, value);
        sum(total, &one);
    }
    return any;
}

EventKey event_dedup_key(const Event *event, const char *const *volatile_fields, const uint8_t secret[16]) {
    EventKey total = {0, 0};
    SipHash base;
    siphash_init(&base, secret);
    bool any = sum_fields(&total, &base, event->fields, volatile_fields);
    siphash_add(&base, "e", 1);
    add_text(&base, event->rule, strlen(event->rule));
    // The two spellings are one source.
    const char *source = strcmp(event->source, "syscalls") == 0 ? "syscall" : event->source;
    add_text(&base, source, strlen(source));
    add_text(&base, event->hostname, strlen(event->hostname));
    if (!any)
        add_text(&base, event->output, strlen(event->output));
    sum(&total, &base);
    return total;
}
