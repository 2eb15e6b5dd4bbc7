#include "yaml/yaml.h"

#include <glib/gstdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

// CPU time: how busy the machine is does not count.
static gint64 cpu_us(void) {
    return (gint64)clock() * G_USEC_PER_SEC / CLOCKS_PER_SEC;
}

static YamlDoc *parse(const char *text, DiagList *diags) {
    return yaml_parse(text, strlen(text), "f.yaml", NULL, diags);
}

static YamlDoc *parse_good(const char *text) {
    g_autoptr(DiagList) diags = diag_list_new();
    YamlDoc *doc = parse(text, diags);
    g_autofree char *found = diag_list_text(diags);
    g_assert_cmpstr(found, ==, "");
    g_assert_nonnull(doc);
    return doc;
}

// The text must be refused, with `expected` in what is said.
static void check_bad_len(const char *text, size_t len, const YamlLimits *limits, const char *expected) {
    g_autoptr(DiagList) diags = diag_list_new();
    g_autoptr(YamlDoc) doc = yaml_parse(text, len, "f.yaml", limits, diags);
    g_assert_null(doc);
    g_assert_cmpuint(diags->errors, >=, 1);
    g_autofree char *found = diag_list_text(diags);
    if (!strstr(found, expected))
        g_error("expected '%s' in: %s", expected, found);
}

static void check_bad(const char *text, const char *expected) {
    check_bad_len(text, strlen(text), NULL, expected);
}

static void test_tree(void) {
    g_autoptr(YamlDoc) doc = parse_good("# rules\n"
                                        "- rule: Shell\n"
                                        "  tags: [a, 'b c']\n"
                                        "  text: |\n"
                                        "    one\n"
                                        "    two\n"
                                        "  none:\n");
    const YamlNode *root = yaml_root(doc);
    g_assert_cmpint(root->kind, ==, YAML_LIST);
    g_assert_cmpuint(root->count, ==, 1);
    const YamlNode *rule = root->items[0];
    g_assert_cmpint(rule->kind, ==, YAML_MAP);
    g_assert_cmpuint(rule->count, ==, 4);
    g_assert_cmpstr(rule->keys[0]->text, ==, "rule");
    g_assert_cmpuint(rule->line, ==, 2);
    g_assert_cmpuint(rule->column, ==, 3);
    g_assert_cmpstr(rule->file, ==, "f.yaml");
    const YamlNode *tags = yaml_get(rule, "tags");
    g_assert_cmpuint(tags->count, ==, 2);
    g_assert_cmpstr(tags->items[1]->text, ==, "b c");
    g_assert_true(tags->items[1]->quoted);
    g_assert_false(tags->items[0]->quoted);
    g_assert_cmpuint(tags->items[1]->line, ==, 3);
    g_assert_cmpuint(tags->items[1]->column, ==, 13);
    g_assert_cmpstr(yaml_get(rule, "text")->text, ==, "one\ntwo\n");
    g_assert_true(yaml_get(rule, "text")->quoted);
    g_assert_true(yaml_is_null(yaml_get(rule, "none")));
    g_assert_null(yaml_get(rule, "absent"));
    g_assert_null(yaml_get(NULL, "absent"));
    g_assert_null(yaml_get(tags, "a"));
}

static void test_empty(void) {
    static const char *const texts[] = {"", "\n\n", "# only a comment\n", "---\n", "---\n...\n", "\xEF\xBB\xBF"};
    for (size_t i = 0; i < G_N_ELEMENTS(texts); i++) {
        g_autoptr(YamlDoc) doc = parse_good(texts[i]);
        g_assert_null(yaml_root(doc));
    }
    g_autoptr(YamlDoc) doc = yaml_parse(NULL, 0, NULL, NULL, NULL);
    g_assert_nonnull(doc);
    g_assert_null(yaml_root(doc));
    g_assert_null(yaml_root(NULL));
}

static void test_byte_order_mark(void) {
    g_autoptr(YamlDoc) doc = parse_good("\xEF\xBB\xBF"
                                        "a: 1\n");
    g_assert_cmpstr(yaml_get(yaml_root(doc), "a")->text, ==, "1");
}

static void test_aliases(void) {
    g_autoptr(YamlDoc) doc = parse_good("base: &b {x: 1, y: [2]}\nuse: *b\nkey: &k name\n*k : v\n");
    const YamlNode *root = yaml_root(doc);
    g_assert_cmpstr(yaml_get(yaml_get(root, "use"), "x")->text, ==, "1");
    g_assert_cmpstr(yaml_get(root, "name")->text, ==, "v");
    check_bad("a: *nowhere\n", "f.yaml:1:4: error: the alias *nowhere has no anchor before it");
    check_bad("a: &a [*a]\n", "the alias *a stands inside its own anchor");
    // An anchor may be given again; the later one holds from there on.
    g_autoptr(YamlDoc) again = parse_good("a: &x 1\nb: &x 2\nc: *x\n");
    g_assert_cmpstr(yaml_get(yaml_root(again), "c")->text, ==, "2");
}

static void test_merge_keys(void) {
    g_autoptr(YamlDoc) doc = parse_good("one: &one {a: 1, b: 1}\n"
                                        "two: &two {b: 2, c: 2}\n"
                                        "all:\n"
                                        "  <<: [*one, *two]\n"
                                        "  a: own\n"
                                        "text: {'<<': x}\n");
    const YamlNode *all = yaml_get(yaml_root(doc), "all");
    g_assert_cmpuint(all->count, ==, 3);
    g_assert_cmpstr(yaml_get(all, "a")->text, ==, "own");
    g_assert_cmpstr(yaml_get(all, "b")->text, ==, "1");
    g_assert_cmpstr(yaml_get(all, "c")->text, ==, "2");
    g_assert_null(yaml_get(all, "<<"));
    g_assert_cmpstr(yaml_get(yaml_get(yaml_root(doc), "text"), "<<")->text, ==, "x");
    check_bad("a: {<<: 5}\n", "<< (merge) needs a map or a list of maps");
    check_bad("a: {<<: [[{x: 1}]]}\n", "<< (merge) needs a map or a list of maps");
}

static void test_duplicate_keys(void) {
    check_bad("a: 1\nb: 2\na: 3\n", "f.yaml:3:1: error: the key \"a\" is here twice: at line 1 and at line 3");
    check_bad("l:\n- {x: 1, \"x\": 2}\n", "the key \"x\" is here twice");
    g_autoptr(GString) many = g_string_new(NULL);
    for (int i = 0; i < 1000; i++)
        g_string_append_printf(many, "k%d: 1\n", i);
    g_autoptr(YamlDoc) doc = parse_good(many->str);
    g_assert_cmpuint(yaml_root(doc)->count, ==, 1000);
    g_string_append(many, "k500: 2\n");
    check_bad(many->str, "the key \"k500\" is here twice: at line 501 and at line 1001");
    // All of them are reported at once.
    g_autoptr(DiagList) diags = diag_list_new();
    g_assert_null(parse("- {a: 1, a: 2}\n- {b: 1, b: 2}\n", diags));
    g_assert_cmpuint(diags->errors, ==, 2);
}

static void test_syntax_errors(void) {
    check_bad("a:\n\tb: 1\n", "f.yaml:2:1: error: the line is indented with a tab: YAML allows only spaces there");
    check_bad("a:\n  b: 1\n \tc: 2\n", "f.yaml:3:2: error: the line is indented with a tab");
    check_bad("a: b: c\n", "f.yaml:1:5: error: not valid YAML: a ':' stands where none can be");
    check_bad("a: [1, 2\nb: 3\n", "f.yaml:2:");
    check_bad("a: \"x\n", "a closing quote is missing");
    check_bad("a: 1\n---\nb: 2\n", "f.yaml:2:1: error: a second document starts here");
    check_bad("? [a, b]\n: 1\n", "f.yaml:1:3: error: a key must be a text, not a list or a map");
    check_bad("a: !!binary aGk=\n", "!!binary is not supported");
    check_bad("a: \"\\z\"\n", "an unknown escape");
    check_bad("a: @b\n", "f.yaml:1:4: error: not valid YAML: a text cannot start with this character");
    check_bad("a: *\n", "a text that starts with them must be quoted");
    check_bad("a: [b, ]]\n", "f.yaml:1:9: error: not valid YAML");
}

static void test_bad_bytes(void) {
    check_bad("a: 1\nb: \xFF\n", "f.yaml:2:4: error: the text is not valid UTF-8 here");
    check_bad("a: \xC3", "not valid UTF-8");
    check_bad_len("a: x\0y\n", 7, NULL, "f.yaml:1:5: error: there is a NUL character");
    check_bad("a: \"x\\0y\"\n", "f.yaml:1:4: error: a text must not contain a NUL character");
    check_bad("\xC3\xA4: 1\nb: \x01\n", "f.yaml:2:4: error: control characters are not allowed");
}

static void test_limits(void) {
    YamlLimits limits = {.max_bytes = 10};
    check_bad_len("a: 12345678", 11, &limits, "the file is 11 bytes long: at most 10 are read");
    g_autoptr(DiagList) diags = diag_list_new();
    g_autoptr(YamlDoc) fits = yaml_parse("a: 1234567", 10, "f", &limits, diags);
    g_assert_nonnull(fits);

    limits = (YamlLimits){.max_depth = 3};
    g_autoptr(YamlDoc) deep = yaml_parse("[[[1]]]", 7, "f", &limits, diags);
    g_assert_nonnull(deep);
    check_bad_len("[[[[]]]]", 8, &limits, "nested more than 3 deep");
    const char *by_alias = "- &a [[1]]\n- [*a]\n";
    check_bad_len(by_alias, strlen(by_alias), &limits, "nested too deep once this alias is expanded");
    const char *just = "- &a [[1]]\n- *a\n";
    g_autoptr(YamlDoc) fitting = yaml_parse(just, strlen(just), "f", &limits, diags);
    g_assert_nonnull(fitting);

    limits = (YamlLimits){.max_nodes = 4};
    g_autoptr(YamlDoc) few = yaml_parse("[1,2,3]", 7, "f", &limits, diags);
    g_assert_nonnull(few);
    check_bad_len("[1,2,3,4]", 9, &limits, "the file holds more than 4 values");
}

static void test_deep_nesting(void) {
    g_autofree char *flow = g_strnfill(1000000, '[');
    check_bad(flow, "nested more than 64 deep");
    g_autoptr(GString) block = g_string_new(NULL);
    for (int i = 0; i < 100000; i++)
        g_string_append(block, "- ");
    check_bad(block->str, "nested more than 64 deep");
}

static void test_alias_bomb(void) {
    g_autoptr(GString) bomb = g_string_new("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 30; i++) {
        g_string_append_printf(bomb, "a%d: &a%d [", i, i);
        for (int j = 0; j < 10; j++)
            g_string_append_printf(bomb, "*a%d,", i - 1);
        g_string_append(bomb, "]\n");
    }
    gint64 start = cpu_us();
    check_bad(bomb->str, "more than 1000000 values once its aliases (*name) are expanded");
    g_assert_cmpint(cpu_us() - start, <, 3 * G_USEC_PER_SEC);

    // The same through merge keys.
    g_autoptr(GString) merges = g_string_new("- &a0 {x: 1, y: 2}\n");
    for (int i = 1; i < 60; i++)
        g_string_append_printf(merges, "- &a%d {<<: [*a%d, *a%d]}\n", i, i - 1, i - 1);
    check_bad(merges->str, "once its aliases (*name) are expanded");
}

// libyaml takes time by the square of their number.
static void test_many_tag_lines(void) {
    g_autoptr(GString) text = g_string_new(NULL);
    for (int i = 0; i < 32; i++)
        g_string_append_printf(text, "%%TAG !a%d! b\n", i);
    g_autofree char *fine = g_strconcat(text->str, "--- a\n", NULL);
    yaml_doc_free(parse_good(fine));
    for (int i = 32; i < 100000; i++)
        g_string_append_printf(text, "%%TAG !a%d! b\n", i);
    g_string_append(text, "--- a\n");
    gint64 start = cpu_us();
    check_bad(text->str, "f.yaml: error: there are too many %TAG lines");
    g_assert_cmpint(cpu_us() - start, <, 3 * G_USEC_PER_SEC);
}

static void test_bool(void) {
    static const char *const yes[] = {"true", "True", "yes", "ON", "y", "\"true\"", "'On'"};
    static const char *const no[] = {"false", "FALSE", "no", "off", "N", "\"false\""};
    static const char *const none[] = {"1", "0", "truee", "''", "[true]", "~"};
    for (size_t i = 0; i < G_N_ELEMENTS(yes); i++) {
        g_autoptr(YamlDoc) doc = parse_good(yes[i]);
        bool value = false;
        g_assert_true(yaml_to_bool(yaml_root(doc), &value));
        g_assert_true(value);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(no); i++) {
        g_autoptr(YamlDoc) doc = parse_good(no[i]);
        bool value = true;
        g_assert_true(yaml_to_bool(yaml_root(doc), &value));
        g_assert_false(value);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(none); i++) {
        g_autoptr(YamlDoc) doc = parse_good(none[i]);
        bool value = true;
        g_assert_false(yaml_to_bool(yaml_root(doc), &value));
        g_assert_true(value);
    }
}

static void test_int(void) {
    static const struct {
        const char *text;
        gint64 value;
    } good[] = {{"0", 0},
                {"-0", 0},
                {"+5", 5},
                {"010", 10},
                {"0x1F", 31},
                {"-0x10", -16},
                {"0o17", 15},
                {"\"42\"", 42},
                {"9223372036854775807", G_MAXINT64},
                {"-9223372036854775808", G_MININT64}};
    static const char *const bad[] = {"",
                                      "~",
                                      "5.0",
                                      "1e3",
                                      "x",
                                      "1 2",
                                      "0x",
                                      "0xg",
                                      "--5",
                                      "+ 5",
                                      "0x0x5",
                                      "0o8",
                                      "[5]",
                                      "5s",
                                      "- 5",
                                      "'-'",
                                      "9223372036854775808",
                                      "-9223372036854775809",
                                      "99999999999999999999999"};
    for (size_t i = 0; i < G_N_ELEMENTS(good); i++) {
        g_autoptr(YamlDoc) doc = parse_good(good[i].text);
        gint64 value = 77;
        g_assert_true(yaml_to_int(yaml_root(doc), &value));
        g_assert_cmpint(value, ==, good[i].value);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(bad); i++) {
        g_autoptr(YamlDoc) doc = parse_good(bad[i]);
        gint64 value = 77;
        g_assert_false(yaml_to_int(yaml_root(doc), &value));
        g_assert_cmpint(value, ==, 77);
    }
}

static void check_scalar(const char *text, bool plain) {
    for (int flow = 0; flow < 2; flow++) {
        g_autoptr(GString) out = g_string_new(flow ? "[" : "- ");
        yaml_append_scalar(out, text);
        if (out->str[flow ? 1 : 2] != '"')
            g_assert_true(plain);
        else
            g_assert_false(plain);
        g_string_append(out, flow ? ", z]" : "\n");
        g_autoptr(YamlDoc) doc = parse_good(out->str);
        const YamlNode *node = yaml_root(doc)->items[0];
        g_assert_cmpstr(node->text, ==, text);
        g_assert_false(yaml_is_null(node));
    }
}

static void test_scalar_text(void) {
    static const char *const plain[] = {"falco-talon",      "/bin/sh",   "$LATEST", "10.0.0.0/8", "a b",
                                        "kubernetes:label", "evt.time*", "x=y",     "app.io/name"};
    static const char *const quoted[] = {"",
                                         "~",
                                         "null",
                                         "true",
                                         "No",
                                         "5",
                                         "0x1",
                                         "1.5",
                                         "2001-01-01",
                                         ".5",
                                         "-",
                                         "- a",
                                         "a: b",
                                         "a:",
                                         "a #b",
                                         " a",
                                         "a ",
                                         "[x]",
                                         "a,b",
                                         "\"",
                                         "\\",
                                         "a\nb",
                                         "\t",
                                         "\x01",
                                         "\x7F",
                                         "*x",
                                         "&x",
                                         "!x",
                                         "#x",
                                         "1:30",
                                         "\xC2\x85",
                                         "\xE2\x80\xA8",
                                         "\xEF\xBB\xBF",
                                         "\xC3\xA4\xF0\x9F\x98\x80",
                                         "<<"};
    for (size_t i = 0; i < G_N_ELEMENTS(plain); i++)
        check_scalar(plain[i], true);
    for (size_t i = 0; i < G_N_ELEMENTS(quoted); i++)
        check_scalar(quoted[i], false);
    g_autoptr(GString) out = g_string_new(NULL);
    yaml_append_scalar(out, "a\xFFz");
    g_assert_cmpstr(out->str, ==, "\"a\xEF\xBF\xBDz\"");
}

static void check_load_bad(const char *path, const YamlLimits *limits, const char *expected) {
    g_autoptr(DiagList) diags = diag_list_new();
    g_assert_null(yaml_load(path, limits, diags));
    g_autofree char *found = diag_list_text(diags);
    g_assert_nonnull(strstr(found, expected));
    g_assert_true(g_str_has_prefix(found, path));
}

static void test_load(void) {
    g_autofree char *folder = g_dir_make_tmp("stoop-yaml-XXXXXX", NULL);
    g_autofree char *path = g_build_filename(folder, "a.yaml", NULL);
    check_load_bad(path, NULL, ": error: cannot be opened: No such file");
    check_load_bad(folder, NULL, ": error: cannot be read: Is a directory");
    g_assert_true(g_file_set_contents(path, "a: 1\n", -1, NULL));
    g_autoptr(YamlDoc) doc = yaml_load(path, NULL, NULL);
    g_assert_cmpstr(yaml_root(doc)->file, ==, path);
    // 100 MB that take no room on the disk: refused by size, unread.
    g_assert_cmpint(truncate(path, 100 * 1000 * 1000), ==, 0);
    check_load_bad(path, NULL, "the file is 100000000 bytes long: at most 16777216 are read");
    // A device has no size: the bound holds all the same.
    const YamlLimits limits = {.max_bytes = 100000};
    check_load_bad("/dev/zero", &limits, "longer than 100000 bytes");
    g_unlink(path);
    g_rmdir(folder);
}

static void test_large_file(void) {
    g_autoptr(GString) text = g_string_new(NULL);
    for (int i = 0; i < 10000; i++)
        g_string_append_printf(text,
                               "- rule: Rule %d\n  match: {rules: [Name %d], priority: '>=Warning'}\n"
                               "  actions:\n  - action: Label\n    actionner: kubernetes:label\n",
                               i, i);
    gint64 start = cpu_us();
    g_autoptr(YamlDoc) doc = parse_good(text->str);
    g_test_message("10,000 rules: %.1f ms", (double)(cpu_us() - start) / 1000);
    g_assert_cmpuint(yaml_root(doc)->count, ==, 10000);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/yaml/tree", test_tree);
    g_test_add_func("/yaml/empty", test_empty);
    g_test_add_func("/yaml/byte-order-mark", test_byte_order_mark);
    g_test_add_func("/yaml/aliases", test_aliases);
    g_test_add_func("/yaml/merge-keys", test_merge_keys);
    g_test_add_func("/yaml/duplicate-keys", test_duplicate_keys);
    g_test_add_func("/yaml/syntax-errors", test_syntax_errors);
    g_test_add_func("/yaml/bad-bytes", test_bad_bytes);
    g_test_add_func("/yaml/limits", test_limits);
    g_test_add_func("/yaml/deep-nesting", test_deep_nesting);
    g_test_add_func("/yaml/alias-bomb", test_alias_bomb);
    g_test_add_func("/yaml/many-tag-lines", test_many_tag_lines);
    g_test_add_func("/yaml/bool", test_bool);
    g_test_add_func("/yaml/int", test_int);
    g_test_add_func("/yaml/scalar-text", test_scalar_text);
    g_test_add_func("/yaml/load", test_load);
    g_test_add_func("/yaml/large-file", test_large_file);
    return g_test_run();
}
