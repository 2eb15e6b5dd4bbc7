#include "net/server_body.h"

#include <string.h>

// As much is taken on the word of Content-Length.
#define FIRST_PIECE (16 * 1024)

static bool budget_take(BodyBudget *budget, size_t more) {
    size_t before = atomic_fetch_add_explicit(&budget->used, more, memory_order_relaxed);
    if (before + more <= budget->max)
        return true;
    atomic_fetch_sub_explicit(&budget->used, more, memory_order_relaxed);
    return false;
}

BodyResult body_append(Body *body, BodyBudget *budget, size_t expected, size_t max, const char *bytes, size_t len) {
    if (len > max - body->len)
        return BODY_TOO_LARGE;
    size_t need = body->len + len + 1;
    if (need > body->capacity) {
        // The end is known: no more than that; it is not: room for twice as much.
        size_t end = (expected > 0 ? MIN(expected, max) : max) + 1;
        size_t capacity = body->capacity ? body->capacity * 2 : (expected > 0 ? FIRST_PIECE : 1024);
        capacity = MAX(MIN(capacity, end), need);
        if (!budget_take(budget, capacity - body->capacity))
            return BODY_NO_MEMORY;
        body->data = g_realloc(body->data, capacity);
        body->capacity = capacity;
    }
    memcpy(body->data + body->len, bytes, len);
    body->len += len;
    body->data[body->len] = '\0';
    return BODY_OK;
}

void body_clear(Body *body, BodyBudget *budget) {
    if (!body->data)
        return;
    g_free(body->data);
    atomic_fetch_sub_explicit(&budget->used, body->capacity, memory_order_relaxed);
    *body = (Body){0};
}
