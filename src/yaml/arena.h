// Memory that is taken in small pieces and given back all at once: the nodes and texts of one YAML document.
#pragma once

#include <stddef.h>

typedef struct YamlArenaChunk YamlArenaChunk;

typedef struct {
    YamlArenaChunk *chunks; // newest first
    char *at;               // free bytes of the newest chunk
    size_t left;
    size_t next_size; // of the chunk that comes next
} YamlArena;

// Zeroed memory, aligned for any node; never NULL (GLib aborts when memory is out).
void *yaml_arena_alloc(YamlArena *arena, size_t size);
// A copy of `len` bytes with a NUL behind.
char *yaml_arena_text(YamlArena *arena, const char *text, size_t len);
void yaml_arena_clear(YamlArena *arena);
