#include "yaml/arena.h"

#include <glib.h>
#include <stdalign.h>
#include <stdint.h>
#include <string.h>

enum { FIRST_CHUNK = 2 * 1024, LARGEST_CHUNK = 256 * 1024 };

struct YamlArenaChunk {
    YamlArenaChunk *next;
    alignas(max_align_t) char bytes[];
};

static char *take(YamlArena *arena, size_t size, size_t alignment) {
    size_t pad = arena->at ? (size_t)(-(uintptr_t)arena->at & (alignment - 1)) : 0;
    if (!arena->at || arena->left < pad || arena->left - pad < size) {
        size_t wanted = arena->next_size ? arena->next_size : FIRST_CHUNK;
        arena->next_size = MIN(wanted * 2, (size_t)LARGEST_CHUNK);
        size_t capacity = MAX(wanted, size);
        YamlArenaChunk *chunk = g_malloc(sizeof *chunk + capacity);
        chunk->next = arena->chunks;
        arena->chunks = chunk;
        arena->at = chunk->bytes;
        arena->left = capacity;
        pad = 0;
    }
    char *taken = arena->at + pad;
    arena->at += pad + size;
    arena->left -= pad + size;
    return taken;
}

void *yaml_arena_alloc(YamlArena *arena, size_t size) {
    return memset(take(arena, size, alignof(max_align_t)), 0, size);
}

char *yaml_arena_text(YamlArena *arena, const char *text, size_t len) {
    char *copy = take(arena, len + 1, 1);
    memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

void yaml_arena_clear(YamlArena *arena) {
    while (arena->chunks) {
        YamlArenaChunk *chunk = arena->chunks;
        arena->chunks = chunk->next;
        g_free(chunk);
    }
    *arena = (YamlArena){0};
}
