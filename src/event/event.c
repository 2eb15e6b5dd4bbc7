// One body to one Event: strict JSON, then each known key with its type.
#include "event/event_private.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

#define MAX_DEPTH 64
#define REPLACEMENT "\xef\xbf\xbd"

G_GNUC_PRINTF(2, 3) static bool invalid(GError **error, const char *format, ...) {
    va_list args;
    va_start(args, format);
    g_autofree char *text = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error(error, STOOP_ERROR, STOOP_ERROR_INVALID, "%s", text);
    return false;
}

// yyjson reads without recursion; everybody who walks the values later may recurse because of this bound.
static bool depth_within(yyjson_val *value, unsigned left) {
    if (left == 0)
        return false;
    size_t i, max;
    yyjson_val *key, *item;
    if (yyjson_is_arr(value)) {
        yyjson_arr_foreach(value, i, max, item) {
            if (yyjson_is_ctn(item) && !depth_within(item, left - 1))
                return false;
        }
    } else {
        yyjson_obj_foreach(value, i, max, key, item) {
            if (yyjson_is_ctn(item) && !depth_within(item, left - 1))
                return false;
        }
    }
    return true;
}

static int compare_keys(const void *a, const void *b) {
    yyjson_val *x = *(yyjson_val *const *)a, *y = *(yyjson_val *const *)b;
    size_t x_len = unsafe_yyjson_get_len(x), y_len = unsafe_yyjson_get_len(y);
    if (x_len != y_len)
        return x_len < y_len ? -1 : 1;
    return memcmp(unsafe_yyjson_get_str(x), unsafe_yyjson_get_str(y), x_len);
}

// The first key that stands twice, or NULL. Sorted when there are many, so that a body full of short keys stays cheap.
static yyjson_val *duplicate_key(yyjson_val *object) {
    size_t count = yyjson_obj_size(object), i, max;
    yyjson_val *few[64], *key, *value;
    g_autofree yyjson_val **many = count > G_N_ELEMENTS(few) ? g_new(yyjson_val *, count) : NULL;
    yyjson_val **keys = many ? many : few;
    yyjson_obj_foreach(object, i, max, key, value) {
        keys[i] = key;
    }
    if (many)
        qsort(keys, count, sizeof *keys, compare_keys);
    for (size_t a = 1; a < count; a++)
        for (size_t b = many ? a - 1 : 0; b < a; b++)
            if (compare_keys(&keys[a], &keys[b]) == 0)
                return keys[a];
    return NULL;
}

static bool check_duplicates(yyjson_val *object, const char *where, GError **error) {
    yyjson_val *twice = duplicate_key(object);
    if (!twice)
        return true;
    g_autofree char *name = g_utf8_make_valid(unsafe_yyjson_get_str(twice), MIN(unsafe_yyjson_get_len(twice), 200));
    return invalid(error, "%sthe key \"%s\" stands twice", where, name);
}

static bool has_nul(yyjson_val *text) {
    return memchr(unsafe_yyjson_get_str(text), '\0', unsafe_yyjson_get_len(text)) != NULL;
}

// A text that identifies something: with a NUL inside it would be cut and be another's name.
static bool name_value(yyjson_val *value, const char *where, const char *key, const char **out, GError **error) {
    if (!value || yyjson_is_null(value))
        return true;
    if (!yyjson_is_str(value))
        return invalid(error, "%s%s: must be a text", where, key);
    if (has_nul(value))
        return invalid(error, "%s%s: must not contain a NUL character", where, key);
    *out = unsafe_yyjson_get_str(value);
    return true;
}

// The fields that the members are made of, each with those that step in for it, best first.
typedef enum {
    FIELD_POD,
    FIELD_KA_POD,
    FIELD_KA_NAME,
    FIELD_NS,
    FIELD_KA_NS,
    FIELD_UID,
    FIELD_CONTAINER_ID,
    FIELD_CONTAINER_NAME,
    FIELD_KA_RESOURCE,
    FIELD_RIP,
    FIELD_SIP,
    FIELD_RPORT,
    FIELD_SPORT,
    FIELD_COUNT
} Field;

static const struct {
    const char *name;
    size_t len;
} field_names[FIELD_COUNT] = {
#define NAME(text)                                                                                                     \
    { text, sizeof text - 1 }
    [FIELD_POD] = NAME("k8s.pod.name"),
    [FIELD_KA_POD] = NAME("ka.target.pod.name"),
    [FIELD_KA_NAME] = NAME("ka.target.name"),
    [FIELD_NS] = NAME("k8s.ns.name"),
    [FIELD_KA_NS] = NAME("ka.target.namespace"),
    [FIELD_UID] = NAME("k8s.pod.uid"),
    [FIELD_CONTAINER_ID] = NAME("container.id"),
    [FIELD_CONTAINER_NAME] = NAME("container.name"),
    [FIELD_KA_RESOURCE] = NAME("ka.target.resource"),
    [FIELD_RIP] = NAME("fd.rip"),
    [FIELD_SIP] = NAME("fd.sip"),
    [FIELD_RPORT] = NAME("fd.rport"),
    [FIELD_SPORT] = NAME("fd.sport"),
#undef NAME
};

static bool is_port(Field field) {
    return field == FIELD_RPORT || field == FIELD_SPORT;
}

static bool names_nothing(const char *text) {
    return text[0] == '\0' || strcmp(text, "<NA>") == 0;
}

static bool collect_fields(yyjson_val *fields, const char *names[FIELD_COUNT], yyjson_val *ports[FIELD_COUNT],
                           GError **error) {
    size_t i, max;
    yyjson_val *key, *value;
    if (!fields)
        return true;
    yyjson_obj_foreach(fields, i, max, key, value) {
        const char *text = unsafe_yyjson_get_str(key);
        size_t len = unsafe_yyjson_get_len(key);
        for (Field f = 0; f < FIELD_COUNT; f++) {
            if (field_names[f].len != len || memcmp(field_names[f].name, text, len) != 0)
                continue;
            if (is_port(f)) {
                if (!yyjson_is_num(value) && !yyjson_is_str(value) && !yyjson_is_null(value))
                    return invalid(error, "output_fields: %s: must be a number", field_names[f].name);
                ports[f] = value;
            } else if (!name_value(value, "output_fields: ", field_names[f].name, &names[f], error)) {
                return false;
            }
            if (names[f] && names_nothing(names[f]))
                names[f] = NULL;
        }
    }
    return true;
}

// Ports are only shown and compared; what is none (Falco's -1, a text) is left out.
static bool set_port(char out[6], yyjson_val *value) {
    uint64_t port = 0;
    if (yyjson_is_uint(value)) {
        port = yyjson_get_uint(value);
    } else if (yyjson_is_str(value)) {
        if (!g_ascii_string_to_unsigned(unsafe_yyjson_get_str(value), 10, 1, 65535, &port, NULL))
            return false;
    }
    if (port < 1 || port > 65535)
        return false;
    g_snprintf(out, 6, "%u", (unsigned)port);
    return true;
}

static bool set_names(Event *event, GError **error) {
    const char *n[FIELD_COUNT] = {NULL};
    yyjson_val *ports[FIELD_COUNT] = {NULL};
    if (!collect_fields(event->fields, n, ports, error))
        return false;
    event->pod = n[FIELD_POD] ? n[FIELD_POD] : n[FIELD_KA_POD] ? n[FIELD_KA_POD] : n[FIELD_KA_NAME];
    event->pod_namespace = n[FIELD_NS] ? n[FIELD_NS] : n[FIELD_KA_NS];
    // The UID belongs to the pod that the system call came from, not to one that an API request was about.
    event->pod_uid = n[FIELD_POD] ? n[FIELD_UID] : NULL;
    bool host = n[FIELD_CONTAINER_ID] && strcmp(n[FIELD_CONTAINER_ID], "host") == 0;
    event->container_id = host ? NULL : n[FIELD_CONTAINER_ID];
    event->container_name = host ? NULL : n[FIELD_CONTAINER_NAME];
    event->target_resource = n[FIELD_KA_RESOURCE];
    event->target_name = n[FIELD_KA_NAME];
    event->target_namespace = n[FIELD_KA_NS];
    event->remote_ip = n[FIELD_RIP] ? n[FIELD_RIP] : n[FIELD_SIP];
    if (!set_port(event->remote_port, ports[FIELD_RPORT]))
        set_port(event->remote_port, ports[FIELD_SPORT]);
    return true;
}

// W3C trace context: 00-<32 hex>-<16 hex>-<2 hex>, lower case; later versions may append "-...".
static bool trace_from_parent(char out[33], const char *parent) {
    if (!parent)
        return false;
    size_t len = strlen(parent);
    if (len < 55 || parent[2] != '-' || parent[35] != '-' || parent[52] != '-')
        return false;
    for (size_t i = 0; i < 55; i++)
        if (i != 2 && i != 35 && i != 52 && !g_ascii_isdigit(parent[i]) && !(parent[i] >= 'a' && parent[i] <= 'f'))
            return false;
    bool version_0 = strncmp(parent, "00", 2) == 0;
    if (strncmp(parent, "ff", 2) == 0 || (version_0 ? len != 55 : len > 55 && parent[55] != '-'))
        return false;
    if (strspn(parent + 3, "0") >= 32 || strspn(parent + 36, "0") >= 16)
        return false;
    memcpy(out, parent + 3, 32);
    out[32] = '\0';
    return true;
}

static void trace_from_random(char out[33], const uint8_t random16[16]) {
    for (int i = 0; i < 16; i++) {
        out[2 * i] = "0123456789abcdef"[random16[i] >> 4];
        out[2 * i + 1] = "0123456789abcdef"[random16[i] & 15];
    }
    out[32] = '\0';
}

// The known top-level values, checked for their type.
typedef struct {
    yyjson_val *output, *tags, *fields;
    size_t text_bytes; // that output and tags take when their NULs are replaced
} Parts;

static size_t replaced_size(yyjson_val *text) {
    return has_nul(text) ? unsafe_yyjson_get_len(text) * 3 + 1 : 0;
}

static bool check_parts(yyjson_val *root, Parts *parts, GError **error) {
    parts->output = yyjson_obj_get(root, "output");
    parts->tags = yyjson_obj_get(root, "tags");
    parts->fields = yyjson_obj_get(root, "output_fields");
    if (yyjson_is_null(parts->output))
        parts->output = NULL;
    if (yyjson_is_null(parts->tags))
        parts->tags = NULL;
    if (yyjson_is_null(parts->fields))
        parts->fields = NULL;
    if (parts->output && !yyjson_is_str(parts->output))
        return invalid(error, "output: must be a text");
    if (parts->fields && !yyjson_is_obj(parts->fields))
        return invalid(error, "output_fields: must be an object");
    if (parts->tags && !yyjson_is_arr(parts->tags))
        return invalid(error, "tags: must be a list of texts");
    if (parts->output)
        parts->text_bytes += replaced_size(parts->output);
    size_t i, max;
    yyjson_val *tag;
    if (!parts->tags)
        return true;
    yyjson_arr_foreach(parts->tags, i, max, tag) {
        if (!yyjson_is_str(tag))
            return invalid(error, "tags: must be a list of texts");
        parts->text_bytes += replaced_size(tag);
    }
    return true;
}

// The text itself, or a copy at *arena in which each NUL is U+FFFD.
static const char *without_nul(yyjson_val *value, char **arena) {
    const char *text = unsafe_yyjson_get_str(value);
    if (!has_nul(value))
        return text;
    char *copy = *arena, *to = copy;
    for (size_t i = 0; i < unsafe_yyjson_get_len(value); i++) {
        if (text[i]) {
            *to++ = text[i];
        } else {
            memcpy(to, REPLACEMENT, sizeof REPLACEMENT - 1);
            to += sizeof REPLACEMENT - 1;
        }
    }
    *to++ = '\0';
    *arena = to;
    return copy;
}

static bool set_top_level(Event *event, GError **error) {
    const struct {
        const char *key;
        const char **out;
    } names[] = {
        {"uuid", &event->uuid},     {"rule", &event->rule},         {"time", &event->time},
        {"source", &event->source}, {"hostname", &event->hostname}, {"priority", &event->priority_text},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
        *names[i].out = "";
        if (!name_value(yyjson_obj_get(event->root, names[i].key), "", names[i].key, names[i].out, error))
            return false;
    }
    if (event->source[0] == '\0')
        event->source = "syscall";
    event->priority = priority_from_text(event->priority_text, strlen(event->priority_text));
    return true;
}

static void set_output_and_tags(Event *event, const Parts *parts, const char **tags, char *texts) {
    event->output = "";
    if (parts->output) {
        const char *output = without_nul(parts->output, &texts);
        event->output = output + priority_prefix_length(output, strlen(output));
    }
    event->tags = tags;
    if (!parts->tags)
        return;
    size_t i, max;
    yyjson_val *tag;
    yyjson_arr_foreach(parts->tags, i, max, tag) {
        tags[i] = without_nul(tag, &texts);
    }
    event->tag_count = yyjson_arr_size(parts->tags);
}

typedef yyjson_doc Document;
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Document, yyjson_doc_free)

static Document *read_document(const char *body, size_t len, GError **error) {
    yyjson_read_err problem;
    if (len == 0) {
        invalid(error, "the body is empty");
        return NULL;
    }
    // Not in situ: the reader then promises not to write, whatever its signature says.
    g_autoptr(Document) doc = yyjson_read_opts((char *)body, len, YYJSON_READ_BIGNUM_AS_RAW, NULL, &problem);
    if (!doc) {
        invalid(error, "byte %zu: %s", problem.pos, problem.msg);
        return NULL;
    }
    yyjson_val *root = yyjson_doc_get_root(doc);
    if (!yyjson_is_obj(root)) {
        invalid(error, "must be a JSON object, not %s", yyjson_is_arr(root) ? "a list" : yyjson_get_type_desc(root));
        return NULL;
    }
    if (!depth_within(root, MAX_DEPTH)) {
        invalid(error, "nested deeper than %d", MAX_DEPTH);
        return NULL;
    }
    if (!check_duplicates(root, "", error))
        return NULL;
    return g_steal_pointer(&doc);
}

Event *event_parse(const char *body, size_t len, const char *traceparent, const uint8_t random16[16], GError **error) {
    g_autoptr(Document) doc = read_document(body, len, error);
    if (!doc)
        return NULL;
    Parts parts = {.text_bytes = 0};
    if (!check_parts(yyjson_doc_get_root(doc), &parts, error))
        return NULL;
    if (parts.fields && !check_duplicates(parts.fields, "output_fields: ", error))
        return NULL;

    // One block holds the event, its tags' pointers, the replaced texts and the body.
    size_t tags_size = yyjson_arr_size(parts.tags) * sizeof(char *);
    size_t size = sizeof(Event) + tags_size + parts.text_bytes + len + 1;
    g_autofree char *block = g_malloc(size);
    Event *event = (Event *)block;
    *event = (Event){.references = 1, .doc = doc, .root = yyjson_doc_get_root(doc), .fields = parts.fields};
    char *texts = block + sizeof(Event) + tags_size;
    char *copy = texts + parts.text_bytes;
    memcpy(copy, body, len);
    copy[len] = '\0';
    event->body = copy;
    event->body_len = len;
    event->memory = size + len + (yyjson_doc_get_val_count(doc) + 8) * sizeof(uint64_t) * 2;
    if (!set_top_level(event, error) || !set_names(event, error))
        return NULL;
    set_output_and_tags(event, &parts, (const char **)(block + sizeof(Event)), texts);
    if (!trace_from_parent(event->trace_id, traceparent))
        trace_from_random(event->trace_id, random16);
    g_steal_pointer(&doc);
    g_steal_pointer(&block);
    return event;
}

Event *event_ref(const Event *event) {
    Event *mine = (Event *)event;
    __atomic_add_fetch(&mine->references, 1, __ATOMIC_RELAXED);
    return mine;
}

void event_unref(const Event *event) {
    Event *mine = (Event *)event;
    if (!mine || __atomic_sub_fetch(&mine->references, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    yyjson_doc_free(mine->doc);
    g_free(mine);
}

yyjson_val *event_field(const Event *event, const char *name) {
    return yyjson_obj_get(event->fields, name);
}
