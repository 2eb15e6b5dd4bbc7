// From YAML nodes to a struct, by the rows of its table.
#include "schema/fields.h"

#include <string.h>

// What was written for one row.
typedef struct {
    const YamlNode *key; // NULL: nothing yet
    const YamlNode *value;
    bool is_file; // the value is the path of the file that holds the secret
    bool over;    // by the second layer
} Given;

typedef struct {
    const ParamTable *table;
    char *params;
    const char *what;
    DiagList *diags;
    Given *given; // one a row
    unsigned errors;
} Decoder;

static void report(Decoder *d, DiagSeverity severity, const YamlNode *node, const char *name, const char *format, ...)
    G_GNUC_PRINTF(5, 6);

// "kubernetes:label: labels: must be a map, found a list"
static void report(Decoder *d, DiagSeverity severity, const YamlNode *node, const char *name, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    g_autofree char *message = g_strdup_vprintf(format, arguments);
    va_end(arguments);
    bool has_what = d->what && *d->what;
    yaml_diag(d->diags, severity, node, "%s%s%s%s%s", has_what ? d->what : "", has_what ? ": " : "", name ? name : "",
              name ? ": " : "", message);
    d->errors += severity == DIAG_ERROR;
}

char **param_split_list(const char *text) {
    GPtrArray *items = g_ptr_array_new();
    g_auto(GStrv) parts = g_strsplit(text, ",", -1);
    for (size_t i = 0; parts[i]; i++)
        if (*g_strstrip(parts[i]))
            g_ptr_array_add(items, g_strdup(parts[i]));
    g_ptr_array_add(items, NULL);
    return (char **)g_ptr_array_free(items, FALSE);
}

// ---- one value ----

// Who is to blame in a message: the row's name, and the value in quotes unless it is a secret.
static char *value_for_message(const ParamRow *row, const char *text) {
    return row->secret ? g_strdup("the value (a secret, not shown)") : diag_quote(text);
}

static bool check_text(Decoder *d, const ParamRow *row, const YamlNode *node, const char *prefix, const char *text) {
    g_autofree char *problem = row->check ? row->check(text) : NULL;
    if (!problem)
        return true;
    g_autofree char *value = value_for_message(row, text);
    // The row's own words may repeat a part of the secret, so the summary has to do.
    if (row->secret)
        report(d, DIAG_ERROR, node, row->name, "%s%s is not right: %s", prefix, value, row->summary);
    else
        report(d, DIAG_ERROR, node, row->name, "%s%s %s", prefix, value, problem);
    return false;
}

static bool want_scalar(Decoder *d, const ParamRow *row, const YamlNode *node, const char *wanted) {
    if (node->kind == YAML_SCALAR)
        return true;
    report(d, DIAG_ERROR, node, row->name, "must be %s, found %s", wanted, yaml_kind_name(node->kind));
    return false;
}

static void decode_bool(Decoder *d, const ParamRow *row, const YamlNode *node) {
    bool value;
    if (!want_scalar(d, row, node, "true or false"))
        return;
    if (yaml_to_bool(node, &value)) {
        *(bool *)param_field(row, d->params) = value;
        return;
    }
    g_autofree char *found = value_for_message(row, node->text);
    report(d, DIAG_ERROR, node, row->name, "must be true or false, found %s", found);
}

static char *range_text(const ParamRow *row) {
    const char *space = row->unit ? " " : "", *unit = row->unit ? row->unit : "";
    if (row->max == G_MAXINT64)
        return g_strdup_printf("at least %" G_GINT64_FORMAT "%s%s", row->min, space, unit);
    if (row->min == G_MININT64)
        return g_strdup_printf("at most %" G_GINT64_FORMAT "%s%s", row->max, space, unit);
    return g_strdup_printf("from %" G_GINT64_FORMAT " to %" G_GINT64_FORMAT "%s%s", row->min, row->max, space, unit);
}

static void decode_int(Decoder *d, const ParamRow *row, const YamlNode *node) {
    gint64 value;
    if (!want_scalar(d, row, node, "a whole number"))
        return;
    if (!yaml_to_int(node, &value)) {
        g_autofree char *found = value_for_message(row, node->text);
        report(d, DIAG_ERROR, node, row->name, "must be a whole number, found %s", found);
        return;
    }
    if (row->has_range && (value < row->min || value > row->max)) {
        g_autofree char *range = range_text(row);
        g_autofree char *found = value_for_message(row, node->text);
        report(d, DIAG_ERROR, node, row->name, "must be %s, found %s", range, found);
        return;
    }
    if (check_text(d, row, node, "", node->text))
        *(int64_t *)param_field(row, d->params) = value;
}

// The choice in its own spelling, or NULL after reporting.
static const char *find_choice(Decoder *d, const ParamRow *row, const YamlNode *node, const char *text) {
    for (const char *const *choice = row->choices; *choice; choice++)
        if (g_ascii_strcasecmp(*choice, text) == 0)
            return *choice;
    g_autofree char *all = g_strjoinv(", ", (char **)row->choices);
    g_autofree char *found = value_for_message(row, text);
    const char *near = diag_nearest(text, row->choices);
    if (near && !row->secret)
        report(d, DIAG_ERROR, node, row->name, "must be one of %s, found %s: did you mean %s?", all, found, near);
    else
        report(d, DIAG_ERROR, node, row->name, "must be one of %s, found %s", all, found);
    return NULL;
}

static void set_text(Decoder *d, const ParamRow *row, const YamlNode *node, const char *text) {
    const char *value = row->choices ? find_choice(d, row, node, text) : text;
    if (!value || !check_text(d, row, node, "", value))
        return;
    char **field = param_field(row, d->params);
    g_free(*field);
    *field = g_strdup(value);
}

static void decode_text(Decoder *d, const ParamRow *row, const YamlNode *node) {
    if (want_scalar(d, row, node, "a text"))
        set_text(d, row, node, node->text);
}

static void add_item(Decoder *d, const ParamRow *row, const YamlNode *node, GPtrArray *items) {
    if (node->kind != YAML_SCALAR) {
        report(d, DIAG_ERROR, node, row->name, "each item must be a text, found %s", yaml_kind_name(node->kind));
    } else if (yaml_is_null(node)) {
        report(d, DIAG_WARNING, node, row->name, "an empty item is left out");
    } else if (check_text(d, row, node, "", node->text)) {
        g_ptr_array_add(items, g_strdup(node->text));
    }
}

static void decode_list(Decoder *d, const ParamRow *row, const YamlNode *node) {
    if (node->kind == YAML_MAP) {
        report(d, DIAG_ERROR, node, row->name, "must be a list, found a map");
        return;
    }
    GPtrArray *items = g_ptr_array_new();
    if (node->kind == YAML_SCALAR)
        add_item(d, row, node, items);
    for (size_t i = 0; node->kind == YAML_LIST && i < node->count; i++)
        add_item(d, row, node->items[i], items);
    g_ptr_array_add(items, NULL);
    char ***field = param_field(row, d->params);
    g_strfreev(*field);
    *field = (char **)g_ptr_array_free(items, FALSE);
}

static void add_pair(Decoder *d, const ParamRow *row, const YamlNode *key, const YamlNode *value, GPtrArray *pairs) {
    g_autofree char *quoted = diag_quote(key->text);
    if (value->kind != YAML_SCALAR) {
        report(d, DIAG_ERROR, value, row->name, "the value of %s must be a text, found %s", quoted,
               yaml_kind_name(value->kind));
        return;
    }
    const char *text = yaml_is_null(value) ? "" : value->text;
    g_autofree char *prefix = g_strdup_printf("the value of %s: ", quoted);
    if (!check_text(d, row, key, "the key ", key->text) || !check_text(d, row, value, prefix, text))
        return;
    ParamPair *pair = g_new0(ParamPair, 1);
    pair->key = g_strdup(key->text);
    pair->value = g_strdup(text);
    g_ptr_array_add(pairs, pair);
}

static void decode_map(Decoder *d, const ParamRow *row, const YamlNode *node) {
    if (node->kind != YAML_MAP) {
        report(d, DIAG_ERROR, node, row->name, "must be a map, found %s", yaml_kind_name(node->kind));
        return;
    }
    GPtrArray *pairs = *(GPtrArray **)param_field(row, d->params);
    for (size_t i = 0; i < node->count; i++)
        add_pair(d, row, node->keys[i], node->items[i], pairs);
}

static void decode_value(Decoder *d, const ParamRow *row, const YamlNode *node) {
    switch (row->type) {
    case PARAM_BOOL:
        decode_bool(d, row, node);
        break;
    case PARAM_INT:
        decode_int(d, row, node);
        break;
    case PARAM_TEXT:
        decode_text(d, row, node);
        break;
    case PARAM_LIST:
        decode_list(d, row, node);
        break;
    case PARAM_MAP:
        decode_map(d, row, node);
        break;
    }
}

// ---- which value belongs to which row ----

typedef enum { NAME_NONE, NAME_OWN, NAME_OLD, NAME_FILE } NameKind;

static bool is_file_name(const ParamRow *row, const char *name) {
    size_t len = strlen(row->name);
    return row->secret && row->type == PARAM_TEXT && strncmp(name, row->name, len) == 0 &&
           strcmp(name + len, "_file") == 0;
}

static NameKind find_row(const ParamTable *table, const char *name, size_t *index) {
    const ParamRow *rows = table->rows;
    // A row's own name comes before every other meaning.
    for (size_t i = 0; rows && rows[i].name; i++)
        if (strcmp(rows[i].name, name) == 0) {
            *index = i;
            return NAME_OWN;
        }
    for (size_t i = 0; rows && rows[i].name; i++) {
        *index = i;
        if (is_file_name(&rows[i], name))
            return NAME_FILE;
        if (rows[i].old_names && g_strv_contains(rows[i].old_names, name))
            return NAME_OLD;
    }
    return NAME_NONE;
}

static bool starts_a_row(const ParamTable *table, const char *prefix) {
    size_t len = strlen(prefix);
    for (const ParamRow *row = table->rows; row && row->name; row++)
        if (strncmp(row->name, prefix, len) == 0 && row->name[len] == '.')
            return true;
    return false;
}

// The keys that may stand at this place: "time_window_seconds" below "deduplication.".
static GPtrArray *known_keys(const ParamTable *table, const char *prefix) {
    GPtrArray *keys = g_ptr_array_new_with_free_func(g_free);
    size_t len = strlen(prefix);
    for (const ParamRow *row = table->rows; row && row->name; row++) {
        if (strncmp(row->name, prefix, len) != 0)
            continue;
        const char *rest = row->name + len;
        g_autofree char *key = g_strndup(rest, strcspn(rest, "."));
        if (!g_ptr_array_find_with_equal_func(keys, key, g_str_equal, NULL))
            g_ptr_array_add(keys, g_steal_pointer(&key));
    }
    return keys;
}

static void report_unknown(Decoder *d, const YamlNode *key, const char *prefix) {
    enum { FEW = 8 };
    g_autoptr(GPtrArray) keys = known_keys(d->table, prefix);
    g_autofree char *quoted = diag_quote(key->text);
    g_autofree char *group = *prefix ? g_strndup(prefix, strlen(prefix) - 1) : NULL;
    if (keys->len == 0) {
        report(d, DIAG_WARNING, key, group, "unknown key %s: there are no parameters here", quoted);
        return;
    }
    g_ptr_array_add(keys, NULL);
    const char *near = diag_nearest(key->text, (const char *const *)keys->pdata);
    if (near) {
        report(d, DIAG_WARNING, key, group, "unknown key %s: did you mean %s?", quoted, near);
    } else if (keys->len - 1 <= FEW) {
        g_autofree char *all = g_strjoinv(", ", (char **)keys->pdata);
        report(d, DIAG_WARNING, key, group, "unknown key %s: known are %s", quoted, all);
    } else {
        report(d, DIAG_WARNING, key, group, "unknown key %s", quoted);
    }
}

// "" is how configurations leave something open, and so is [] for a map; only a text that has no default can be empty.
static bool is_absent(const ParamRow *row, const YamlNode *value) {
    if (yaml_is_null(value))
        return true;
    if (value->kind == YAML_LIST)
        return row->type == PARAM_MAP && value->count == 0;
    if (value->kind != YAML_SCALAR || *value->text)
        return false;
    return row->type != PARAM_TEXT || (!row->required && (row->default_value || row->choices));
}

// Nodes without a line come from elsewhere, and their file says where.
static char *place_text(const YamlNode *node) {
    return node->line ? g_strdup_printf("at line %u", node->line) : g_strdup_printf("in %s", node->file);
}

static void give(Decoder *d, size_t index, NameKind kind, const YamlNode *key, const YamlNode *value, bool over) {
    const ParamRow *row = &d->table->rows[index];
    Given *given = &d->given[index];
    if (kind == NAME_OLD)
        report(d, DIAG_WARNING, key, NULL, "%s is an old name: write %s", key->text, row->name);
    // Empty is absent, so it neither overrides nor counts as given twice.
    if (is_absent(row, value))
        return;
    if (given->key && given->over == over) {
        g_autofree char *first = place_text(given->key), *second = place_text(key);
        report(d, DIAG_ERROR, key, row->name, "is given twice: as %s %s and as %s %s", given->key->text, first,
               key->text, second);
        return;
    }
    *given = (Given){.key = key, .value = value, .is_file = kind == NAME_FILE, .over = over};
}

static void collect(Decoder *d, const YamlNode *map, const char *prefix, bool over) {
    for (size_t i = 0; i < map->count; i++) {
        const YamlNode *key = map->keys[i], *value = map->items[i];
        g_autofree char *name = g_strconcat(prefix, key->text, NULL);
        size_t index = 0;
        NameKind kind = find_row(d->table, name, &index);
        if (kind != NAME_NONE) {
            give(d, index, kind, key, value, over);
        } else if (!starts_a_row(d->table, name)) {
            report_unknown(d, key, prefix);
        } else if (value->kind == YAML_MAP) {
            g_autofree char *deeper = g_strconcat(name, ".", NULL);
            collect(d, value, deeper, over);
        } else if (!yaml_is_null(value)) {
            report(d, DIAG_ERROR, value, name, "must be a map, found %s", yaml_kind_name(value->kind));
        }
    }
}

// ---- the whole ----

static void set_default(Decoder *d, const ParamRow *row) {
    void *field = param_field(row, d->params);
    const char *text = row->default_value ? row->default_value : "";
    const YamlNode node = {.kind = YAML_SCALAR, .text = text, .file = "", .quoted = true};
    if (row->type == PARAM_MAP)
        *(GPtrArray **)field = g_ptr_array_new();
    else if (row->type == PARAM_LIST)
        *(char ***)field = param_split_list(text);
    else if (row->default_value)
        decode_value(d, row, &node);
}

static bool is_empty(const ParamRow *row, const void *params) {
    const void *field = param_const_field(row, params);
    switch (row->type) {
    case PARAM_TEXT: {
        const char *text = *(char *const *)field;
        return !text || !*text;
    }
    case PARAM_LIST:
        return !**(char **const *)field;
    case PARAM_MAP:
        return (*(GPtrArray *const *)field)->len == 0;
    default:
        return false;
    }
}

static void decode_secret_file(Decoder *d, const ParamRow *row, const Given *given) {
    g_autofree char *name = g_strconcat(row->name, "_file", NULL);
    if (given->value->kind != YAML_SCALAR) {
        report(d, DIAG_ERROR, given->value, name, "must be the path of a file, found %s",
               yaml_kind_name(given->value->kind));
        return;
    }
    g_autoptr(GError) error = NULL;
    g_autofree char *text = param_read_secret_file(given->value->text, &error);
    if (text)
        set_text(d, row, given->value, text);
    else
        report(d, DIAG_ERROR, given->value, name, "%s", error->message);
}

static void decode_row(Decoder *d, const ParamRow *row, const Given *given, const YamlNode *where) {
    unsigned errors = d->errors;
    set_default(d, row);
    if (given->key && given->is_file)
        decode_secret_file(d, row, given);
    else if (given->key)
        decode_value(d, row, given->value);
    if (!row->required || d->errors != errors)
        return;
    if (!given->key)
        report(d, DIAG_ERROR, where, NULL, "%s is required: %s", row->name, row->summary);
    else if (is_empty(row, d->params))
        report(d, DIAG_ERROR, given->value, row->name, "must not be empty");
}

void *param_decode_over(const ParamTable *table, const YamlNode *map, const YamlNode *over, const YamlNode *where,
                        const char *what, DiagList *diags) {
    size_t count = 0;
    while (table->rows && table->rows[count].name)
        count++;
    g_autofree Given *given = g_new0(Given, count + 1);
    Decoder d = {
        .table = table, .params = g_malloc0(MAX(table->size, 1)), .what = what, .diags = diags, .given = given};
    if (map && map->kind == YAML_MAP)
        collect(&d, map, "", false);
    else if (map && !yaml_is_null(map))
        report(&d, DIAG_ERROR, map, NULL, "the parameters must be a map, found %s", yaml_kind_name(map->kind));
    if (over)
        collect(&d, over, "", true);
    for (size_t i = 0; i < count; i++)
        decode_row(&d, &table->rows[i], &given[i], where ? where : map);
    if (!d.errors && table->check) {
        g_autofree char *problem = table->check(d.params);
        if (problem)
            report(&d, DIAG_ERROR, where ? where : map, NULL, "%s", problem);
    }
    if (!d.errors)
        return d.params;
    param_free(table, d.params);
    return NULL;
}

void *param_decode(const ParamTable *table, const YamlNode *map, const YamlNode *where, const char *what,
                   DiagList *diags) {
    return param_decode_over(table, map, NULL, where, what, diags);
}
