// The body of a request while it comes in. Inside of the HTTP server only.
#pragma once

#include <glib.h>
#include <stdatomic.h>
#include <stdbool.h>

// Memory for all bodies that are under way at once.
typedef struct {
    atomic_size_t used;
    size_t max;
} BodyBudget;

typedef struct {
    char *data; // NULL until something came
    size_t len;
    size_t capacity; // taken from the budget
} Body;

typedef enum { BODY_OK, BODY_TOO_LARGE, BODY_NO_MEMORY } BodyResult;

// Appends to a body of which `expected` bytes were announced (0: unknown) and `max` are allowed. An announcement alone
// takes no more than a first piece of memory; the rest is taken as it comes. Not thread-safe for one body.
BodyResult body_append(Body *body, BodyBudget *budget, size_t expected, size_t max, const char *bytes, size_t len);

// Frees it and gives its memory back to the budget. Safe to repeat.
void body_clear(Body *body, BodyBudget *budget);
