// From libyaml's events to nodes.
#include "yaml/yaml_doc.h"

#include <string.h>
#include <yaml.h>

// One list or map whose end has not come yet.
typedef struct {
    YamlNode *node;
    guint first;   // of its children in Builder.pending; a map's are key, value, key, value
    size_t before; // Builder.total before it
    unsigned height;
    const char *anchor; // NULL: none
} Frame;

typedef struct {
    YamlNode *node;  // NULL while the node is still open: an alias in it would make a circle
    size_t expanded; // nodes that it stands for
    unsigned height; // 1 for a scalar
} Anchor;

typedef struct {
    YamlDoc *doc;
    DiagList *diags;
    YamlLimits limits;
    GArray *frames;      // of Frame
    GPtrArray *pending;  // children of all open frames
    GHashTable *anchors; // name to Anchor
    size_t total;        // nodes so far, aliases expanded
    unsigned documents;
    bool failed; // an error was found that does not hinder going on
} Builder;

static Frame *top(Builder *b) {
    return b->frames->len ? &g_array_index(b->frames, Frame, b->frames->len - 1) : NULL;
}

static unsigned line_of(const yaml_mark_t *mark) {
    return (unsigned)mark->line + 1;
}

static unsigned column_of(const yaml_mark_t *mark) {
    return (unsigned)mark->column + 1;
}

static bool refuse(Builder *b, const yaml_mark_t *mark, const char *message) {
    diag_add(b->diags, DIAG_ERROR, b->doc->file, line_of(mark), column_of(mark), "%s", message);
    return false;
}

static bool count_nodes(Builder *b, size_t more, const yaml_mark_t *mark) {
    if (more > b->limits.max_nodes - b->total) {
        diag_add(b->diags, DIAG_ERROR, b->doc->file, line_of(mark), column_of(mark),
                 "the file holds more than %zu values%s", b->limits.max_nodes,
                 more > 1 ? " once its aliases (*name) are expanded" : "");
        return false;
    }
    b->total += more;
    return true;
}

static bool add_child(Builder *b, YamlNode *node, unsigned height, const yaml_mark_t *mark) {
    Frame *frame = top(b);
    if (!frame) {
        b->doc->root = node;
        return true;
    }
    bool is_key = frame->node->kind == YAML_MAP && (b->pending->len - frame->first) % 2 == 0;
    if (is_key && node->kind != YAML_SCALAR)
        return refuse(b, mark, "a key must be a text, not a list or a map");
    g_ptr_array_add(b->pending, node);
    frame->height = MAX(frame->height, height + 1);
    return true;
}

static YamlNode *new_node(Builder *b, YamlKind kind, const yaml_mark_t *mark) {
    YamlNode *node = yaml_arena_alloc(&b->doc->arena, sizeof *node);
    node->kind = kind;
    node->line = line_of(mark);
    node->column = column_of(mark);
    node->file = b->doc->file;
    node->text = "";
    return node;
}

// The name in the arena, or NULL without one. Until the node is complete its anchor is known but empty.
static const char *open_anchor(Builder *b, const yaml_char_t *name) {
    if (!name)
        return NULL;
    const char *kept = yaml_arena_text(&b->doc->arena, (const char *)name, strlen((const char *)name));
    g_hash_table_replace(b->anchors, (gpointer)kept, g_new0(Anchor, 1));
    return kept;
}

static void close_anchor(Builder *b, const char *name, YamlNode *node, size_t expanded, unsigned height) {
    if (!name)
        return;
    // Looked up again: an anchor of the same name inside has replaced this one.
    Anchor *anchor = g_new0(Anchor, 1);
    *anchor = (Anchor){.node = node, .expanded = expanded, .height = height};
    g_hash_table_replace(b->anchors, (gpointer)name, anchor);
}

// A tag that is not YAML's own is a value whose quotes were forgotten: `!=Error`.
static bool is_known_tag(Builder *b, const yaml_char_t *tag, const yaml_mark_t *mark) {
    const char *text = (const char *)tag;
    if (!text || strcmp(text, "!") == 0 || g_str_has_prefix(text, "tag:yaml.org,2002:"))
        return true;
    g_autofree char *quoted = diag_quote(text);
    g_autofree char *message =
        g_strdup_printf("%s is a tag of YAML here, and no value: put what starts with '!' in quotes", quoted);
    return refuse(b, mark, message);
}

static bool on_scalar(Builder *b, const yaml_event_t *event) {
    const char *value = (const char *)event->data.scalar.value;
    size_t len = event->data.scalar.length;
    const char *tag = (const char *)event->data.scalar.tag;
    if (!is_known_tag(b, event->data.scalar.tag, &event->start_mark) || !count_nodes(b, 1, &event->start_mark))
        return false;
    if (memchr(value, '\0', len))
        return refuse(b, &event->start_mark, "a text must not contain a NUL character");
    if (tag && strcmp(tag, "tag:yaml.org,2002:binary") == 0)
        return refuse(b, &event->start_mark, "!!binary is not supported: write the text itself");

    YamlNode *node = new_node(b, YAML_SCALAR, &event->start_mark);
    node->text = len ? yaml_arena_text(&b->doc->arena, value, len) : "";
    node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE ||
                   (tag && (strcmp(tag, YAML_STR_TAG) == 0 || strcmp(tag, "!") == 0));
    close_anchor(b, open_anchor(b, event->data.scalar.anchor), node, 1, 1);
    return add_child(b, node, 1, &event->start_mark);
}

static bool on_start(Builder *b, const yaml_event_t *event, YamlKind kind, const yaml_char_t *anchor) {
    size_t before = b->total;
    if (!count_nodes(b, 1, &event->start_mark))
        return false;
    if (b->frames->len >= b->limits.max_depth) {
        diag_add(b->diags, DIAG_ERROR, b->doc->file, line_of(&event->start_mark), column_of(&event->start_mark),
                 "lists and maps are nested more than %u deep", b->limits.max_depth);
        return false;
    }
    Frame frame = {.node = new_node(b, kind, &event->start_mark),
                   .first = b->pending->len,
                   .before = before,
                   .height = 1,
                   .anchor = open_anchor(b, anchor)};
    g_array_append_val(b->frames, frame);
    return true;
}

static bool on_alias(Builder *b, const yaml_event_t *event) {
    const char *name = (const char *)event->data.alias.anchor;
    const Anchor *anchor = g_hash_table_lookup(b->anchors, name);
    if (!anchor || !anchor->node) {
        g_autofree char *message = anchor ? g_strdup_printf("the alias *%.64s stands inside its own anchor", name)
                                          : g_strdup_printf("the alias *%.64s has no anchor before it", name);
        return refuse(b, &event->start_mark, message);
    }
    if (!count_nodes(b, anchor->expanded, &event->start_mark))
        return false;
    if (b->frames->len + anchor->height > b->limits.max_depth + 1)
        return refuse(b, &event->start_mark, "lists and maps are nested too deep once this alias is expanded");
    return add_child(b, anchor->node, anchor->height, &event->start_mark);
}

static bool on_list_end(Builder *b, const Frame *frame) {
    YamlNode *node = frame->node;
    node->count = b->pending->len - frame->first;
    node->items = yaml_arena_alloc(&b->doc->arena, node->count * sizeof *node->items);
    for (size_t i = 0; i < node->count; i++)
        node->items[i] = g_ptr_array_index(b->pending, frame->first + i);
    return true;
}

static bool is_merge_key(const YamlNode *key) {
    return !key->quoted && strcmp(key->text, "<<") == 0;
}

// Reports keys that were written twice, naming both places.
static void check_keys(Builder *b, const YamlNode *map) {
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
    for (size_t i = 0; i < map->count; i++) {
        const YamlNode *key = map->keys[i];
        const YamlNode *earlier = g_hash_table_lookup(seen, key->text);
        if (!earlier) {
            g_hash_table_insert(seen, (gpointer)key->text, (gpointer)key);
            continue;
        }
        g_autofree char *quoted = diag_quote(key->text);
        yaml_diag(b->diags, DIAG_ERROR, key, "the key %s is here twice: at line %u and at line %u", quoted,
                  earlier->line, key->line);
        b->failed = true;
    }
}

// Small maps, which nearly all are, need no table.
static bool may_repeat_a_key(const YamlNode *map) {
    if (map->count > 16)
        return true; // perhaps: the table will tell
    for (size_t i = 1; i < map->count; i++)
        for (size_t j = 0; j < i; j++)
            if (strcmp(map->keys[i]->text, map->keys[j]->text) == 0)
                return true;
    return false;
}

typedef struct {
    GPtrArray *keys, *values;
    GHashTable *seen;
} Merged;

static void merge_pair(Merged *merged, YamlNode *key, YamlNode *value) {
    if (!g_hash_table_add(merged->seen, (gpointer)key->text))
        return;
    g_ptr_array_add(merged->keys, key);
    g_ptr_array_add(merged->values, value);
}

static bool merge_map(Builder *b, Merged *merged, const YamlNode *key, const YamlNode *map) {
    if (map->kind != YAML_MAP) {
        yaml_diag(b->diags, DIAG_ERROR, key, "<< (merge) needs a map or a list of maps");
        return false;
    }
    for (size_t i = 0; i < map->count; i++)
        merge_pair(merged, map->keys[i], map->items[i]);
    return true;
}

static bool merge_value(Builder *b, Merged *merged, const YamlNode *key, const YamlNode *value) {
    if (value->kind != YAML_LIST)
        return merge_map(b, merged, key, value);
    for (size_t i = 0; i < value->count; i++)
        if (!merge_map(b, merged, key, value->items[i]))
            return false;
    return true;
}

// `<<` as YAML 1.1 has it: the map's own keys win, then those of the earlier merged map.
static bool merge(Builder *b, YamlNode *map) {
    bool any = false;
    for (size_t i = 0; i < map->count; i++)
        any = any || is_merge_key(map->keys[i]);
    if (!any)
        return true;

    g_autoptr(GPtrArray) keys = g_ptr_array_new();
    g_autoptr(GPtrArray) values = g_ptr_array_new();
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
    Merged merged = {keys, values, seen};
    for (size_t i = 0; i < map->count; i++)
        if (!is_merge_key(map->keys[i]))
            merge_pair(&merged, map->keys[i], map->items[i]);
    for (size_t i = 0; i < map->count; i++)
        if (is_merge_key(map->keys[i]) && !merge_value(b, &merged, map->keys[i], map->items[i]))
            return false;

    map->count = keys->len;
    map->keys = yaml_arena_alloc(&b->doc->arena, map->count * sizeof *map->keys);
    map->items = yaml_arena_alloc(&b->doc->arena, map->count * sizeof *map->items);
    for (size_t i = 0; i < map->count; i++) {
        map->keys[i] = g_ptr_array_index(keys, i);
        map->items[i] = g_ptr_array_index(values, i);
    }
    return true;
}

static bool on_map_end(Builder *b, const Frame *frame) {
    YamlNode *node = frame->node;
    node->count = (b->pending->len - frame->first) / 2;
    YamlNode **both = yaml_arena_alloc(&b->doc->arena, 2 * node->count * sizeof *both);
    node->keys = both;
    node->items = both + node->count;
    for (size_t i = 0; i < node->count; i++) {
        node->keys[i] = g_ptr_array_index(b->pending, frame->first + 2 * i);
        node->items[i] = g_ptr_array_index(b->pending, frame->first + 2 * i + 1);
    }
    if (may_repeat_a_key(node))
        check_keys(b, node);
    return merge(b, node);
}

static bool on_end(Builder *b, const yaml_event_t *event) {
    Frame frame = *top(b);
    bool good = frame.node->kind == YAML_MAP ? on_map_end(b, &frame) : on_list_end(b, &frame);
    if (!good)
        return false;
    g_ptr_array_set_size(b->pending, (gint)frame.first);
    g_array_set_size(b->frames, b->frames->len - 1);
    close_anchor(b, frame.anchor, frame.node, b->total - frame.before, frame.height);
    const yaml_mark_t mark = {.line = frame.node->line - 1, .column = frame.node->column - 1};
    return add_child(b, frame.node, frame.height, &mark);
}

static bool on_event(Builder *b, const yaml_event_t *event) {
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (b->documents++)
            return refuse(b, &event->start_mark,
                          "a second document starts here: only one a file is read, remove the ---");
        return true;
    case YAML_ALIAS_EVENT:
        return on_alias(b, event);
    case YAML_SCALAR_EVENT:
        return on_scalar(b, event);
    case YAML_SEQUENCE_START_EVENT:
        return is_known_tag(b, event->data.sequence_start.tag, &event->start_mark) &&
               on_start(b, event, YAML_LIST, event->data.sequence_start.anchor);
    case YAML_MAPPING_START_EVENT:
        return is_known_tag(b, event->data.mapping_start.tag, &event->start_mark) &&
               on_start(b, event, YAML_MAP, event->data.mapping_start.anchor);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return on_end(b, event);
    default:
        return true;
    }
}

// libyaml's words for common slips, and ours.
static const struct {
    const char *problem, *message;
} hints[] = {
    {"mapping values are not allowed in this context",
     "a ':' stands where none can be: quote the text if the ':' belongs to it, else check the indentation"},
    {"did not find expected key", "the line does not fit the map above it: check the indentation and the quotes"},
    {"did not find expected '-' indicator",
     "the line does not fit the list above it: check the indentation, and that each item starts with '- '"},
    {"block sequence entries are not allowed in this context",
     "a list starts where none can be: put it on a line of its own below its key"},
    {"could not find expected ':'", "a key without its ':', or a text of several lines that should be quoted"},
    {"found unexpected end of stream", "the file ends inside a quoted text: a closing quote is missing"},
    {"did not find expected ',' or ']'", "a list in [ ] lacks a ',' or its ']'"},
    {"did not find expected ',' or '}'", "a map in { } lacks a ',' or its '}'"},
    {"did not find expected node content", "a value is missing here, or a ',' or a bracket is one too many"},
    {"found character that cannot start any token",
     "a text cannot start with this character: put the whole text in quotes"},
    {"did not find expected alphabetic or numeric character",
     "after * or & the name of an anchor must follow: a text that starts with them must be quoted"},
    {"found unknown escape character",
     "an unknown escape after '\\' in a double-quoted text: use single quotes, or write '\\\\'"},
};

static bool indented_by_tab(const char *text, size_t len, unsigned line) {
    const char *at = text, *end = text + len;
    for (unsigned i = 1; at && i < line; i++) {
        at = memchr(at, '\n', (size_t)(end - at));
        at = at ? at + 1 : NULL;
    }
    for (; at && at < end && (*at == ' ' || *at == '\t'); at++)
        if (*at == '\t')
            return true;
    return false;
}

static void place_of_offset(const char *text, size_t offset, unsigned *line, unsigned *column) {
    *line = 1;
    *column = 1;
    for (size_t i = 0; i < offset; i++) {
        if (text[i] == '\n') {
            (*line)++;
            *column = 1;
        } else if (((unsigned char)text[i] & 0xC0) != 0x80) {
            (*column)++;
        }
    }
}

static void report_parser(const yaml_parser_t *parser, const char *text, size_t len, const char *file,
                          DiagList *diags) {
    const char *problem = parser->problem ? parser->problem : "it cannot be read";
    if (parser->error == YAML_READER_ERROR) {
        unsigned line, column;
        place_of_offset(text, MIN(parser->problem_offset, len), &line, &column);
        diag_add(diags, DIAG_ERROR, file, line, column, "%s", problem);
        return;
    }
    const yaml_mark_t *mark = &parser->problem_mark;
    if (indented_by_tab(text, len, line_of(mark))) {
        diag_add(diags, DIAG_ERROR, file, line_of(mark), column_of(mark),
                 "the line is indented with a tab: YAML allows only spaces there");
        return;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(hints); i++)
        if (strcmp(problem, hints[i].problem) == 0)
            problem = hints[i].message;
    g_autofree char *context = parser->context ? g_strdup_printf(" (%s that starts at line %u)", parser->context,
                                                                 line_of(&parser->context_mark))
                                               : g_strdup("");
    diag_add(diags, DIAG_ERROR, file, line_of(mark), column_of(mark), "not valid YAML: %s%s", problem, context);
}

// libyaml compares each %TAG line with all earlier ones: a megabyte of them would take it minutes.
static bool has_many_tag_lines(const char *text, size_t len) {
    enum { MAX_TAG_LINES = 32 };
    size_t count = 0;
    const char *at = text, *end = text + len;
    while ((at = memmem(at, (size_t)(end - at), "%TAG", 4)) && count <= MAX_TAG_LINES) {
        count += at == text || at[-1] == '\n' || at[-1] == '\r';
        at += 4;
    }
    return count > MAX_TAG_LINES;
}

static bool check_text(const char *text, size_t len, const char *file, const YamlLimits *limits, DiagList *diags) {
    if (len > limits->max_bytes) {
        diag_add(diags, DIAG_ERROR, file, 0, 0, "the file is %zu bytes long: at most %zu are read", len,
                 limits->max_bytes);
        return false;
    }
    const char *bad = NULL;
    if (!g_utf8_validate_len(text, len, &bad)) {
        unsigned line, column;
        place_of_offset(text, (size_t)(bad - text), &line, &column);
        diag_add(diags, DIAG_ERROR, file, line, column, "%s",
                 *bad ? "the text is not valid UTF-8 here" : "there is a NUL character: this is no text file");
        return false;
    }
    if (has_many_tag_lines(text, len)) {
        diag_add(diags, DIAG_ERROR, file, 0, 0, "there are too many %%TAG lines");
        return false;
    }
    return true;
}

static bool run(Builder *b, yaml_parser_t *parser, const char *text, size_t len) {
    for (bool ended = false; !ended;) {
        yaml_event_t event;
        if (!yaml_parser_parse(parser, &event)) {
            report_parser(parser, text, len, b->doc->file, b->diags);
            return false;
        }
        ended = event.type == YAML_STREAM_END_EVENT;
        bool good = on_event(b, &event);
        yaml_event_delete(&event);
        if (!good)
            return false;
    }
    return !b->failed;
}

YamlDoc *yaml_parse(const char *text, size_t len, const char *file, const YamlLimits *limits, DiagList *diags) {
    YamlLimits filled = yaml_limits_filled(limits);
    if (!file)
        file = "";
    if (!check_text(text ? text : "", len, file, &filled, diags))
        return NULL;

    g_autoptr(YamlDoc) doc = g_new0(YamlDoc, 1);
    doc->file = yaml_arena_text(&doc->arena, file, strlen(file));
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser)) {
        diag_add(diags, DIAG_ERROR, file, 0, 0, "out of memory");
        return NULL;
    }
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)(text ? text : ""), len);

    g_autoptr(GArray) frames = g_array_new(FALSE, FALSE, sizeof(Frame));
    g_autoptr(GPtrArray) pending = g_ptr_array_new();
    g_autoptr(GHashTable) anchors = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, g_free);
    Builder builder = {
        .doc = doc, .diags = diags, .limits = filled, .frames = frames, .pending = pending, .anchors = anchors};
    bool good = run(&builder, &parser, text ? text : "", len);
    yaml_parser_delete(&parser);
    if (!good)
        return NULL;
    // `---` alone is an empty document too.
    if (doc->root && doc->root->kind == YAML_SCALAR && !doc->root->quoted && !*doc->root->text)
        doc->root = NULL;
    return g_steal_pointer(&doc);
}
