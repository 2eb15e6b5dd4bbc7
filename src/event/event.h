// A Falco event: parsed once, unchangeable from then on, reference-counted, shared between threads without locks.
// Wire facts: falcosecurity/falco userspace/engine/formats.cpp and userspace/falco/outputs_http.cpp; falcosidekick
// outputs/talon.go and types/types.go.
#pragma once

#include <glib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <yyjson.h>

typedef enum {
    PRIORITY_DEBUG,
    PRIORITY_INFORMATIONAL,
    PRIORITY_NOTICE,
    PRIORITY_WARNING,
    PRIORITY_ERROR,
    PRIORITY_CRITICAL,
    PRIORITY_ALERT,
    PRIORITY_EMERGENCY,
    PRIORITY_UNKNOWN, // absent, or none of Falco's: matches no `priority` criterion
} Priority;

// Case-insensitive; also "info" and "warn…" spellings of Falco. PRIORITY_UNKNOWN for anything else.
Priority priority_from_text(const char *text, size_t len);
const char *priority_name(Priority priority); // "Informational"; "" for PRIORITY_UNKNOWN

typedef struct Event Event;
struct Event {
    // Never NULL; "" when absent. All live as long as the event.
    const char *uuid;
    const char *output; // without Falco's own time and priority at its start
    const char *rule;
    const char *time;
    const char *source; // "syscall" when absent or empty
    const char *hostname;
    const char *priority_text; // as sent
    Priority priority;
    const char *const *tags; // tag_count items
    size_t tag_count;
    char trace_id[33]; // 32 hex digits: from `traceparent` when given, else random

    // What it is about; NULL when the event does not say.
    const char *pod, *pod_namespace, *pod_uid; // k8s.pod.name, k8s.ns.name, k8s.pod.uid, and their ka. stand-ins
    const char *container_id, *container_name; // container.id is NULL for "host"
    const char *target_resource, *target_name, *target_namespace; // ka.target.*
    const char *remote_ip;                                        // fd.rip, else fd.sip
    char remote_port[6];                                          // fd.rport, else fd.sport; "" when absent

    const char *body; // as it came, body_len bytes and a NUL
    size_t body_len;
    yyjson_val *root;   // an object; unknown keys are in it too
    yyjson_val *fields; // output_fields, or NULL
    size_t memory;      // bytes that this event holds, about

    // private
    yyjson_doc *doc;
    char *arena;
    int references;
};

// Parses one body. Fails with STOOP_ERROR_INVALID and a text that says what is wrong and where ("byte 17: …",
// "output_fields: must be an object"). Strict JSON in UTF-8; nesting deeper than 64 and duplicate top-level keys or
// field names are refused. Names (rule, source, hostname, pod, namespace, container, target, address, ...) that hold a
// NUL (\u0000) are refused too: cut there, they would be another's; in `output` and tags it becomes U+FFFD. Known keys,
// and the fields behind the names above, must have the right type; null is absent, and so are "" and "<NA>" in those
// fields. Numbers beyond 64 bits keep their digits (yyjson raw values). `traceparent` is the W3C header or NULL.
// `random16` gives the trace id's bytes where there is no valid header. The caller owns one reference.
Event *event_parse(const char *body, size_t len, const char *traceparent, const uint8_t random16[16], GError **error);

Event *event_ref(const Event *event); // thread-safe
void event_unref(const Event *event); // thread-safe; NULL is fine
static inline void event_unref_auto(Event *event) {
    event_unref(event);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Event, event_unref_auto)

// The raw value of a field, NULL when absent. Not a copy.
yyjson_val *event_field(const Event *event, const char *name);

// The text of a field as Talon's rules compare and print it: strings as they are, integers with every digit, floats as
// Go's %v prints them, booleans true/false, lists as Go prints a slice ("[a b]"). Returns `scratch` or a string of the
// event's; NULL when the field is absent or null. No allocation: a text longer than the scratch is cut, at a character.
// A string may hold NULs: use `len`. Objects print as Go prints a map, null inside a list as "<nil>".
const char *event_field_text(const Event *event, const char *name, char *scratch, size_t scratch_size, size_t *len);
// The same for a value.
const char *event_value_text(yyjson_val *value, char *scratch, size_t scratch_size, size_t *len);

// Variables for commands and scripts: PRIORITY, HOSTNAME, RULE, SOURCE, TAGS (joined by commas), and each field that is
// not null in upper case: ']' is dropped, every other character that is no letter or digit becomes '_', and a name that
// would begin with a digit gets a '_' in front. A field that would take one of the five names is left out. Calls `each`
// per variable; values are NUL-free valid UTF-8, at most 64 KiB, and valid during the call only.
void event_each_variable(const Event *event, void (*each)(const char *name, const char *value, void *user), void *user);

// The key of the deduplication window: a 128-bit hash of rule, source, hostname and output_fields without the volatile
// ones
// (`volatile_fields`, NULL-terminated; an item that ends in '*' is a prefix); without fields: rule, source, hostname
// and output without its time. Field order does not matter.
typedef struct {
    uint64_t high, low;
} EventKey;
// `secret` is random and the process's own: without it, nobody can craft an event that another one's key suppresses.
// Fields that are null count as absent. Does not allocate. Thread-safe.
EventKey event_dedup_key(const Event *event, const char *const *volatile_fields, const uint8_t secret[16]);
