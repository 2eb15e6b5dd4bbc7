// Tables themselves: their own mistakes, their JSON Schema, the catalogue.
#include "schema/plugin.h"

#include <string.h>
#include <yyjson.h>

typedef struct {
    bool a;
    int64_t b;
    char *c;
    char **d;
    GPtrArray *e;
    char *f;
} Sample;

static const char *const choices[] = {"one", "two", NULL};
static const char *const no_choices[] = {NULL};
static const char *const old_b[] = {"bee", NULL};
static const char *const old_clash[] = {"c", NULL};

static char *short_only(const char *text) {
    return strlen(text) > 3 ? g_strdup("is too long") : NULL;
}

static void check_table(const ParamRow *rows, const char *expected) {
    const ParamTable table = {.size = sizeof(Sample), .rows = rows};
    g_autofree char *problem = param_table_problem(&table);
    if (!expected)
        g_assert_cmpstr(problem, ==, NULL);
    else if (!problem || !strstr(problem, expected))
        g_error("expected '%s', got '%s'", expected, problem ? problem : "nothing");
}

#define S .summary = "A sentence."

static void test_good_tables(void) {
    check_table(NULL, NULL);
    check_table((const ParamRow[]){PARAM_ROW_END}, NULL);
    check_table(
        (const ParamRow[]){PARAM_ROW_BOOL(Sample, a, S, .default_value = "true"),
                           PARAM_ROW_INT(Sample, b, S, .default_value = "5", PARAM_RANGE(1, 9), .old_names = old_b),
                           PARAM_ROW_TEXT(Sample, c, S, .default_value = "two", .choices = choices),
                           PARAM_ROW_LIST(Sample, d, S, .default_value = "x, y", .check = short_only),
                           PARAM_ROW_MAP(Sample, e, S, .required = true),
                           PARAM_ROW_NAMED(Sample, f, "g.f", PARAM_TEXT, char *, S, .secret = true), PARAM_ROW_END},
        NULL);
}

static void test_bad_tables(void) {
    check_table((const ParamRow[]){PARAM_ROW_BOOL(Sample, a, S), PARAM_ROW_NAMED(Sample, b, "a", PARAM_INT, int64_t, S),
                                   PARAM_ROW_END},
                "a: a name of this row is taken already");
    check_table((const ParamRow[]){PARAM_ROW_TEXT(Sample, c, S), PARAM_ROW_INT(Sample, b, S, .old_names = old_clash),
                                   PARAM_ROW_END},
                "b: a name of this row is taken already");
    check_table((const ParamRow[]){PARAM_ROW_TEXT(Sample, c, S, .secret = true),
                                   PARAM_ROW_NAMED(Sample, f, "c_file", PARAM_TEXT, char *, S), PARAM_ROW_END},
                "c_file: a name of this row is taken already");
    check_table((const ParamRow[]){PARAM_ROW_BOOL(Sample, a, S),
                                   PARAM_ROW_NAMED(Sample, b, "a.b", PARAM_INT, int64_t, S), PARAM_ROW_END},
                "a: is a value and the group of a.b");
    check_table((const ParamRow[]){PARAM_ROW_TEXT(Sample, c, S), PARAM_ROW_NAMED(Sample, c, "x", PARAM_TEXT, char *, S),
                                   PARAM_ROW_END},
                "x: shares its field with c");
    check_table((const ParamRow[]){{.name = "x", .type = PARAM_TEXT, .offset = sizeof(Sample) - 4, S}, PARAM_ROW_END},
                "outside the struct");
    check_table((const ParamRow[]){PARAM_ROW_NAMED(Sample, a, "a b", PARAM_BOOL, bool, S), PARAM_ROW_END},
                "not well formed");
    check_table((const ParamRow[]){PARAM_ROW_NAMED(Sample, a, "a..b", PARAM_BOOL, bool, S), PARAM_ROW_END},
                "not well formed");
    check_table((const ParamRow[]){PARAM_ROW_BOOL(Sample, a, .summary = "no sentence"), PARAM_ROW_END}, "no sentence");
    check_table((const ParamRow[]){PARAM_ROW_BOOL(Sample, a), PARAM_ROW_END}, "no sentence");
    check_table((const ParamRow[]){PARAM_ROW_INT(Sample, b, S, .required = true, .default_value = "1"), PARAM_ROW_END},
                "a required row cannot have a default");
    check_table((const ParamRow[]){PARAM_ROW_TEXT(Sample, c, S, PARAM_RANGE(1, 2)), PARAM_ROW_END}, "only numbers");
    check_table((const ParamRow[]){PARAM_ROW_INT(Sample, b, S, PARAM_RANGE(2, 1)), PARAM_ROW_END}, "range is empty");
    check_table((const ParamRow[]){PARAM_ROW_TEXT(Sample, c, S, .choices = no_choices), PARAM_ROW_END}, "choices");
    check_table((const ParamRow[]){PARAM_ROW_MAP(Sample, e, S, .default_value = "x"), PARAM_ROW_END}, "no default");
    check_table((const ParamRow[]){PARAM_ROW_TEXT(Sample, c, S, .secret = true, .default_value = "x"), PARAM_ROW_END},
                "a secret has no default");
    // Defaults are held against their own row.
    check_table((const ParamRow[]){PARAM_ROW_BOOL(Sample, a, S, .default_value = "maybe"), PARAM_ROW_END},
                "must be true or false");
    check_table((const ParamRow[]){PARAM_ROW_INT(Sample, b, S, .default_value = "0", PARAM_RANGE(1, 9)), PARAM_ROW_END},
                "must be from 1 to 9");
    check_table(
        (const ParamRow[]){PARAM_ROW_TEXT(Sample, c, S, .default_value = "three", .choices = choices), PARAM_ROW_END},
        "must be one of");
    check_table((const ParamRow[]){PARAM_ROW_LIST(Sample, d, S, .default_value = "x, long", .check = short_only),
                                   PARAM_ROW_END},
                "is too long");
}

static void check_pointer(yyjson_val *root, const char *pointer, const char *expected) {
    yyjson_val *value = yyjson_ptr_get(root, pointer);
    char *written = value ? yyjson_val_write(value, 0, NULL) : NULL;
    g_assert_cmpstr(written, ==, expected);
    free(written);
}

static void test_json_schema(void) {
    static const ParamRow rows[] = {
        PARAM_ROW_BOOL(Sample, a, .summary = "Is \"it\".", .default_value = "yes"),
        PARAM_ROW_INT(Sample, b, S, .default_value = "0x10", PARAM_RANGE(1, G_MAXINT64), .unit = "s",
                      .old_names = old_b),
        PARAM_ROW_TEXT(Sample, c, S, .default_value = "one", .choices = choices),
        PARAM_ROW_NAMED(Sample, d, "group.deep.list", PARAM_LIST, char **, S, .default_value = "x, y"),
        PARAM_ROW_NAMED(Sample, e, "group.map", PARAM_MAP, GPtrArray *, S, .required = true),
        PARAM_ROW_TEXT(Sample, f, S, .required = true, .secret = true),
        PARAM_ROW_END,
    };
    const ParamTable table = {.size = sizeof(Sample), .rows = rows};
    g_autofree char *text = param_json_schema(&table);
    yyjson_doc *doc = yyjson_read(text, strlen(text), 0);
    g_assert_nonnull(doc);
    yyjson_val *root = yyjson_doc_get_root(doc);
    check_pointer(root, "/type", "[\"object\",\"null\"]");
    check_pointer(root, "/additionalProperties", "false");
    check_pointer(root, "/properties/a/type", "[\"boolean\",\"string\",\"null\"]");
    check_pointer(root, "/properties/a/default", "true");
    check_pointer(root, "/properties/a/description", "\"Is \\\"it\\\".\"");
    check_pointer(root, "/properties/b/default", "16");
    check_pointer(root, "/properties/b/minimum", "1");
    check_pointer(root, "/properties/b/maximum", NULL);
    check_pointer(root, "/properties/b/description", "\"A sentence. Unit: s.\"");
    check_pointer(root, "/properties/bee/deprecated", "true");
    check_pointer(root, "/properties/c/enum", "[\"one\",\"two\",\"\",null]");
    check_pointer(root, "/properties/group/properties/deep/properties/list/default", "[\"x\",\"y\"]");
    check_pointer(root, "/properties/group/additionalProperties", "false");
    check_pointer(root, "/properties/group/required", "[\"map\"]");
    check_pointer(root, "/required", "[\"group\"]");
    check_pointer(root, "/properties/f/writeOnly", "true");
    check_pointer(root, "/properties/f/default", NULL);
    check_pointer(root, "/properties/f_file/type", "[\"string\",\"null\"]");
    check_pointer(root, "/allOf", "[{\"anyOf\":[{\"required\":[\"f\"]},{\"required\":[\"f_file\"]}]}]");
    yyjson_doc_free(doc);

    const ParamTable empty = {0};
    g_autofree char *none = param_json_schema(&empty);
    g_assert_nonnull(strstr(none, "\"properties\": {}"));
}

static const PluginInfo label = {.name = "kubernetes:label"}, exec = {.name = "kubernetes:exec"},
                        file = {.name = "local:file"};
static const PluginInfo *const actionners[] = {&exec, &label, NULL};
static const PluginInfo *const outputs[] = {&file, NULL};
static const PluginInfo *const none[] = {NULL};
static const Catalogue catalogue = {.plugins = {actionners, outputs, none, NULL}};

static void test_catalogue(void) {
    g_assert_true(catalogue_find(&catalogue, PLUGIN_ACTIONNER, "kubernetes:label") == &label);
    g_assert_true(catalogue_find(&catalogue, PLUGIN_OUTPUT, "local:file") == &file);
    g_assert_null(catalogue_find(&catalogue, PLUGIN_ACTIONNER, "local:file"));
    g_assert_null(catalogue_find(&catalogue, PLUGIN_NOTIFIER, "slack"));
    g_assert_null(catalogue_find(&catalogue, PLUGIN_CONTEXT, "aws"));
    g_assert_null(catalogue_find(NULL, PLUGIN_ACTIONNER, "kubernetes:label"));
    g_assert_null(catalogue_find(&catalogue, PLUGIN_ACTIONNER, NULL));
    g_assert_cmpstr(catalogue_nearest(&catalogue, PLUGIN_ACTIONNER, "kubernetes:lable"), ==, "kubernetes:label");
    g_assert_null(catalogue_nearest(&catalogue, PLUGIN_ACTIONNER, "gcp:function"));
    g_assert_null(catalogue_nearest(&catalogue, PLUGIN_CONTEXT, "aws"));
    g_assert_null(catalogue_nearest(NULL, PLUGIN_ACTIONNER, "x"));
    g_assert_cmpstr(plugin_kind_name(PLUGIN_ACTIONNER), ==, "actionner");
    g_assert_cmpstr(plugin_kind_name(PLUGIN_OUTPUT), ==, "output");
    g_assert_cmpstr(plugin_kind_name(PLUGIN_NOTIFIER), ==, "notifier");
    g_assert_cmpstr(plugin_kind_name(PLUGIN_CONTEXT), ==, "context");
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/table/good", test_good_tables);
    g_test_add_func("/table/bad", test_bad_tables);
    g_test_add_func("/table/json-schema", test_json_schema);
    g_test_add_func("/table/catalogue", test_catalogue);
    return g_test_run();
}
