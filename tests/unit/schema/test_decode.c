#include "schema/schema.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    bool armed;
    int64_t duration;
    char *level;
    char *name;
    char **namespaces;
    GPtrArray *labels;
    char *token;
    int64_t window;
    bool election;
} Sample;

static char *no_spaces(const char *text) {
    return strchr(text, ' ') ? g_strdup("must not contain a space") : NULL;
}

static char *check_sample(const void *params) {
    const Sample *sample = params;
    return sample->armed && sample->duration > 100 ? g_strdup("armed samples last at most 100 s") : NULL;
}

static const char *const levels[] = {"pod", "node", NULL};
static const char *const old_duration[] = {"time", "group.time", NULL};

static const ParamRow rows[] = {
    PARAM_ROW_BOOL(Sample, armed, .summary = "Whether it is armed."),
    PARAM_ROW_INT(Sample, duration, .summary = "How long.", .default_value = "5", .unit = "s", PARAM_RANGE(1, 3600),
                  .old_names = old_duration),
    PARAM_ROW_TEXT(Sample, level, .summary = "What it is about.", .default_value = "pod", .choices = levels),
    PARAM_ROW_TEXT(Sample, name, .summary = "Its name.", .check = no_spaces),
    PARAM_ROW_LIST(Sample, namespaces, .summary = "Where.", .default_value = "a, b", .check = no_spaces),
    PARAM_ROW_MAP(Sample, labels, .summary = "The labels to set.", .required = true, .check = no_spaces),
    PARAM_ROW_TEXT(Sample, token, .summary = "The token.", .secret = true, .check = no_spaces),
    PARAM_ROW_NAMED(Sample, window, "group.window_seconds", PARAM_INT, int64_t, .summary = "The window.",
                    .default_value = "7"),
    PARAM_ROW_NAMED(Sample, election, "group.deep.election", PARAM_BOOL, bool, .summary = "Election.",
                    .default_value = "true"),
    PARAM_ROW_END,
};
static const ParamTable table = {.size = sizeof(Sample), .rows = rows, .check = check_sample};

static Sample *decode_found(const char *text, char **found) {
    g_autoptr(DiagList) diags = diag_list_new();
    g_autoptr(YamlDoc) doc = yaml_parse(text, strlen(text), "f", NULL, diags);
    g_assert_nonnull(doc);
    Sample *sample = param_decode(&table, yaml_root(doc), yaml_root(doc), "a:b", diags);
    *found = diag_list_text(diags);
    g_assert_true((sample == NULL) == (diags->errors > 0));
    return sample;
}

static Sample *decode(const char *text) {
    g_autofree char *found = NULL;
    Sample *sample = decode_found(text, &found);
    g_assert_cmpstr(found, ==, "");
    return sample;
}

// Decoded or not, exactly this is said.
static void check_said(const char *text, bool good, const char *expected) {
    g_autofree char *found = NULL;
    Sample *sample = decode_found(text, &found);
    g_assert_cmpstr(found, ==, expected);
    g_assert_true((sample != NULL) == good);
    param_free(&table, sample);
}

static void test_defaults(void) {
    Sample *sample = decode("labels: {a: b}");
    g_assert_false(sample->armed);
    g_assert_cmpint(sample->duration, ==, 5);
    g_assert_cmpstr(sample->level, ==, "pod");
    g_assert_null(sample->name);
    g_assert_cmpstrv(sample->namespaces, ((const char *const[]){"a", "b", NULL}));
    g_assert_cmpuint(sample->labels->len, ==, 1);
    g_assert_null(sample->token);
    g_assert_cmpint(sample->window, ==, 7);
    g_assert_true(sample->election);
    param_free(&table, sample);
    param_free(&table, NULL);
}

static void test_values(void) {
    Sample *sample = decode("armed: 'true'\n"
                            "duration: 0x10\n"
                            "level: NODE\n"
                            "name: 5.0\n"
                            "namespaces: one\n"
                            "labels: {suspicious: true, order: 20, none: , quoted: 'x'}\n"
                            "token: abc\n"
                            "group:\n  window_seconds: \"3\"\n  deep: {election: no}\n");
    g_assert_true(sample->armed);
    g_assert_cmpint(sample->duration, ==, 16);
    g_assert_cmpstr(sample->level, ==, "node");
    g_assert_cmpstr(sample->name, ==, "5.0");
    g_assert_cmpstrv(sample->namespaces, ((const char *const[]){"one", NULL}));
    g_assert_cmpuint(sample->labels->len, ==, 4);
    static const char *const pairs[][2] = {{"suspicious", "true"}, {"order", "20"}, {"none", ""}, {"quoted", "x"}};
    for (guint i = 0; i < 4; i++) {
        const ParamPair *pair = g_ptr_array_index(sample->labels, i);
        g_assert_cmpstr(pair->key, ==, pairs[i][0]);
        g_assert_cmpstr(pair->value, ==, pairs[i][1]);
    }
    g_assert_cmpstr(sample->token, ==, "abc");
    g_assert_cmpint(sample->window, ==, 3);
    g_assert_false(sample->election);
    param_free(&table, sample);
}

static void test_empty_is_absent(void) {
    Sample *sample = decode("{labels: {a: b}, armed: , duration: ~, level: '', namespaces: null, group: }");
    g_assert_cmpint(sample->duration, ==, 5);
    g_assert_cmpstr(sample->level, ==, "pod");
    g_assert_cmpuint(g_strv_length(sample->namespaces), ==, 2);
    param_free(&table, sample);
    sample =
        decode("{labels: {a: b}, armed: '', duration: \"\", namespaces: '', name: '', group: {window_seconds: ''}}");
    g_assert_cmpint(sample->duration, ==, 5);
    g_assert_cmpint(sample->window, ==, 7);
    g_assert_cmpuint(g_strv_length(sample->namespaces), ==, 2);
    // Without a default, an empty text is one.
    g_assert_cmpstr(sample->name, ==, "");
    param_free(&table, sample);
    sample = decode("{labels: {a: b}, namespaces: []}");
    g_assert_cmpuint(g_strv_length(sample->namespaces), ==, 0);
    param_free(&table, sample);
    check_said("labels: []", false, "f:1:1: error: a:b: labels is required: The labels to set.\n");
    check_said("labels: ''", false, "f:1:1: error: a:b: labels is required: The labels to set.\n");
}

static void test_dotted_name_in_one(void) {
    Sample *sample = decode("{labels: {a: b}, group.window_seconds: 9}");
    g_assert_cmpint(sample->window, ==, 9);
    param_free(&table, sample);
}

static void test_wrong_types(void) {
    check_said("labels: [a]", false, "f:1:9: error: a:b: labels: must be a map, found a list\n");
    check_said("labels: x", false, "f:1:9: error: a:b: labels: must be a map, found a text\n");
    check_said("labels: {a: [b]}", false,
               "f:1:13: error: a:b: labels: the value of \"a\" must be a text, found a list\n");
    check_said("{labels: {a: b}, armed: [x]}", false,
               "f:1:25: error: a:b: armed: must be true or false, found a list\n");
    check_said("{labels: {a: b}, armed: 1}", false, "f:1:25: error: a:b: armed: must be true or false, found \"1\"\n");
    check_said("{labels: {a: b}, duration: {}}", false,
               "f:1:28: error: a:b: duration: must be a whole number, found a map\n");
    check_said("{labels: {a: b}, duration: 5s}", false,
               "f:1:28: error: a:b: duration: must be a whole number, found \"5s\"\n");
    check_said("{labels: {a: b}, name: [x]}", false, "f:1:24: error: a:b: name: must be a text, found a list\n");
    check_said("{labels: {a: b}, namespaces: {x: y}}", false,
               "f:1:30: error: a:b: namespaces: must be a list, found a map\n");
    check_said("{labels: {a: b}, namespaces: [[x]]}", false,
               "f:1:31: error: a:b: namespaces: each item must be a text, found a list\n");
    check_said("{labels: {a: b}, group: 5}", false, "f:1:25: error: a:b: group: must be a map, found a text\n");
    check_said("[x]", false,
               "f:1:1: error: a:b: the parameters must be a map, found a list\n"
               "f:1:1: error: a:b: labels is required: The labels to set.\n");
}

static void test_bad_values(void) {
    check_said("{labels: {a: b}, duration: 0}", false,
               "f:1:28: error: a:b: duration: must be from 1 to 3600 s, found \"0\"\n");
    check_said("{labels: {a: b}, level: nodes}", false,
               "f:1:25: error: a:b: level: must be one of pod, node, found \"nodes\": did you mean node?\n");
    check_said("{labels: {a: b}, level: cluster}", false,
               "f:1:25: error: a:b: level: must be one of pod, node, found \"cluster\"\n");
    check_said("{labels: {a: b}, name: x y}", false, "f:1:24: error: a:b: name: \"x y\" must not contain a space\n");
    check_said("{labels: {a: b}, namespaces: [ok, x y]}", false,
               "f:1:35: error: a:b: namespaces: \"x y\" must not contain a space\n");
    check_said("{labels: {a b: c}}", false, "f:1:11: error: a:b: labels: the key \"a b\" must not contain a space\n");
    check_said("{labels: {a: b c}}", false,
               "f:1:14: error: a:b: labels: the value of \"a\": \"b c\" must not contain a space\n");
    check_said("{labels: {a: b}, namespaces: [~, x]}", true,
               "f:1:31: warning: a:b: namespaces: an empty item is left out\n");
    check_said("{labels: {a: b}, armed: true, duration: 200}", false,
               "f:1:1: error: a:b: armed samples last at most 100 s\n");
    // All errors at once.
    check_said("duration: 0\nlevel: x\n", false,
               "f:1:11: error: a:b: duration: must be from 1 to 3600 s, found \"0\"\n"
               "f:2:8: error: a:b: level: must be one of pod, node, found \"x\"\n"
               "f:1:1: error: a:b: labels is required: The labels to set.\n");
}

static void test_required(void) {
    check_said("{}", false, "f:1:1: error: a:b: labels is required: The labels to set.\n");
    check_said("labels:", false, "f:1:1: error: a:b: labels is required: The labels to set.\n");
    check_said("labels: {}", false, "f:1:9: error: a:b: labels: must not be empty\n");
    g_autoptr(DiagList) diags = diag_list_new();
    g_assert_null(param_decode(&table, NULL, NULL, "a:b", diags));
    g_autofree char *found = diag_list_text(diags);
    g_assert_cmpstr(found, ==, "error: a:b: labels is required: The labels to set.\n");
}

static void test_unknown_keys(void) {
    check_said("{labels: {a: b}, armd: true}", true,
               "f:1:18: warning: a:b: unknown key \"armd\": did you mean armed?\n");
    check_said("{labels: {a: b}, groop: {}}", true,
               "f:1:18: warning: a:b: unknown key \"groop\": did you mean group?\n");
    check_said("{labels: {a: b}, group: {windowSeconds: 1}}", true,
               "f:1:26: warning: a:b: group: unknown key \"windowSeconds\": did you mean window_seconds?\n");
    check_said("{labels: {a: b}, group: {zebra: 1}}", true,
               "f:1:26: warning: a:b: group: unknown key \"zebra\": known are window_seconds, deep\n");
    static const ParamTable none = {.size = 0};
    g_autoptr(DiagList) diags = diag_list_new();
    g_autoptr(YamlDoc) doc = yaml_parse("a: 1", 4, "f", NULL, diags);
    void *params = param_decode(&none, yaml_root(doc), NULL, "a:b", diags);
    g_assert_nonnull(params);
    param_free(&none, params);
    g_autofree char *found = diag_list_text(diags);
    g_assert_cmpstr(found, ==, "f:1:1: warning: a:b: unknown key \"a\": there are no parameters here\n");
}

static void test_old_names(void) {
    g_autofree char *found = NULL;
    Sample *sample = decode_found("{labels: {a: b}, time: 9}", &found);
    g_assert_cmpstr(found, ==, "f:1:18: warning: a:b: time is an old name: write duration\n");
    g_assert_cmpint(sample->duration, ==, 9);
    param_free(&table, sample);
    check_said("{labels: {a: b}, time: 9, duration: 8}", false,
               "f:1:18: warning: a:b: time is an old name: write duration\n"
               "f:1:27: error: a:b: duration: is given twice: as time at line 1 and as duration at line 1\n");
}

static char *secret_file(const char *folder, const char *content, gssize len) {
    char *path = g_build_filename(folder, "token", NULL);
    g_assert_true(g_file_set_contents(path, content, len, NULL));
    return path;
}

static char *try_secret_file(const char *folder, const char *content, gssize len, char **found) {
    g_autofree char *path = secret_file(folder, content, len);
    g_autofree char *text = g_strdup_printf("{labels: {a: b}, token_file: '%s'}", path);
    Sample *sample = decode_found(text, found);
    char *token = sample ? g_strdup(sample->token) : NULL;
    param_free(&table, sample);
    g_unlink(path);
    return token;
}

static void test_secrets(void) {
    check_said("{labels: {a: b}, token: my secret}", false,
               "f:1:25: error: a:b: token: the value (a secret, not shown) is not right: The token.\n");
    check_said("{labels: {a: b}, token: [secret]}", false, "f:1:25: error: a:b: token: must be a text, found a list\n");

    g_autofree char *folder = g_dir_make_tmp("stoop-schema-XXXXXX", NULL);
    static const struct {
        const char *content;
        gssize len;
        const char *token; // NULL: refused, with
        const char *said;
    } cases[] = {
        {"abc\n", 4, "abc", ""},         {"abc\r\n", 5, "abc", ""},         {"abc\n\n", 5, "abc\n", ""},
        {"abc", 3, "abc", ""},           {"\n", 1, NULL, "is empty"},       {"", 0, NULL, "is empty"},
        {"a\0b", 3, NULL, "is no text"}, {"se cret", 7, NULL, "not shown"}, {"\xFF", 1, NULL, "is no text"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *found = NULL;
        g_autofree char *token = try_secret_file(folder, cases[i].content, cases[i].len, &found);
        g_assert_cmpstr(token, ==, cases[i].token);
        g_assert_nonnull(strstr(found, cases[i].said));
        g_assert_null(strstr(found, "cret\""));
    }

    g_autofree char *large = g_strnfill(64 * 1024 + 1, 's');
    g_autofree char *found = NULL;
    g_autofree char *refused = try_secret_file(folder, large, 64 * 1024 + 1, &found);
    g_assert_null(refused);
    g_assert_nonnull(strstr(found, "token_file: "));
    g_assert_nonnull(strstr(found, "is longer than 64 KiB"));
    g_autofree char *also_found = NULL;
    g_autofree char *most = try_secret_file(folder, large, 64 * 1024, &also_found);
    g_assert_cmpuint(strlen(most), ==, 64 * 1024);

    check_said("{labels: {a: b}, token_file: /nowhere/at/all}", false,
               "f:1:30: error: a:b: token_file: cannot open /nowhere/at/all: No such file or directory\n");
    check_said("{labels: {a: b}, token_file: []}", false,
               "f:1:30: error: a:b: token_file: must be the path of a file, found a list\n");
    check_said("{labels: {a: b}, token: x, token_file: y}", false,
               "f:1:28: error: a:b: token: is given twice: as token at line 1 and as token_file at line 1\n");
    // Only secrets can be given as files.
    check_said("{labels: {a: b}, name_file: x}", true,
               "f:1:18: warning: a:b: unknown key \"name_file\": known are armed, duration, level, name, namespaces, "
               "labels, token, group\n");
    g_rmdir(folder);
}

static void test_second_layer(void) {
    g_autoptr(DiagList) diags = diag_list_new();
    const char *text = "{labels: {a: b}, duration: bad, name: under, group: {window_seconds: 1}}";
    const char *over = "{duration: 8, group.window_seconds: 2, name: }";
    g_autoptr(YamlDoc) below = yaml_parse(text, strlen(text), "f", NULL, diags);
    g_autoptr(YamlDoc) above = yaml_parse(over, strlen(over), "over", NULL, diags);
    Sample *sample = param_decode_over(&table, yaml_root(below), yaml_root(above), NULL, NULL, diags);
    g_assert_nonnull(sample);
    g_assert_cmpint(sample->duration, ==, 8);
    g_assert_cmpint(sample->window, ==, 2);
    g_assert_cmpstr(sample->name, ==, "under");
    param_free(&table, sample);
}

static void check_value_text(const Sample *sample, const char *name, const char *expected) {
    for (const ParamRow *row = rows; row->name; row++) {
        if (strcmp(row->name, name) != 0)
            continue;
        g_autofree char *text = param_value_text(row, sample);
        g_assert_cmpstr(text, ==, expected);
        return;
    }
    g_assert_not_reached();
}

static void test_value_text(void) {
    Sample *sample = decode("{armed: yes, labels: {a: 'true', 'b:c': ''}, token: abc, namespaces: [x, '5', 'y,z']}");
    check_value_text(sample, "armed", "true");
    check_value_text(sample, "duration", "5");
    check_value_text(sample, "level", "pod");
    check_value_text(sample, "name", "null");
    check_value_text(sample, "namespaces", "[x, \"5\", \"y,z\"]");
    check_value_text(sample, "labels", "{a: \"true\", b:c: \"\"}");
    check_value_text(sample, "token", "\"********\"");
    param_free(&table, sample);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/decode/defaults", test_defaults);
    g_test_add_func("/decode/values", test_values);
    g_test_add_func("/decode/empty-is-absent", test_empty_is_absent);
    g_test_add_func("/decode/dotted-name-in-one", test_dotted_name_in_one);
    g_test_add_func("/decode/wrong-types", test_wrong_types);
    g_test_add_func("/decode/bad-values", test_bad_values);
    g_test_add_func("/decode/required", test_required);
    g_test_add_func("/decode/unknown-keys", test_unknown_keys);
    g_test_add_func("/decode/old-names", test_old_names);
    g_test_add_func("/decode/secrets", test_secrets);
    g_test_add_func("/decode/second-layer", test_second_layer);
    g_test_add_func("/decode/value-text", test_value_text);
    return g_test_run();
}
