// Shared between the files of this folder only.
#pragma once

#include "event/event.h"

// How many bytes at the start of `text` are Falco's own time and priority ("HH:MM:SS.nnnnnnnnn: Notice " or the ISO
// form); 0 when it does not start with a time. A priority that Falco does not know stays.
size_t priority_prefix_length(const char *text, size_t len);

// SipHash-2-4 with 128 bits of output, fed piece by piece. https://github.com/veorq/SipHash
typedef struct {
    uint64_t v0, v1, v2, v3;
    uint64_t tail; // bytes that do not fill a word yet
    size_t len;
} SipHash;

void siphash_init(SipHash *hash, const uint8_t secret[16]);
void siphash_add(SipHash *hash, const void *bytes, size_t len);
void siphash_end(SipHash *hash, uint64_t *low, uint64_t *high);
