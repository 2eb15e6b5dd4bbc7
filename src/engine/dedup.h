// The window of duplicates: which events came lately. Bounded: the oldest leave first. Thread-safe.
#pragma once

#include "event/event.h"

typedef struct Dedup Dedup;

// Room for `capacity` keys in all (0: 65,536).
Dedup *dedup_new(int64_t window_us, size_t capacity);
void dedup_free(Dedup *dedup);

// True when the key is new, or its last mark is older than the window; it is marked then. False for a duplicate: the
// window goes on from the first mark, so that a steady stream is let through once per window.
bool dedup_mark(Dedup *dedup, EventKey key, int64_t now_us);
// Takes the mark back: the event was refused, so that its repetition must not be taken for a duplicate.
void dedup_forget(Dedup *dedup, EventKey key);
