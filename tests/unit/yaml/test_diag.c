#include "yaml/diag.h"

#include <string.h>

static void test_text(void) {
    g_autoptr(DiagList) diags = diag_list_new();
    diag_add(diags, DIAG_ERROR, "a.yaml", 3, 5, "bad %d", 7);
    diag_add(diags, DIAG_WARNING, "b.yaml", 0, 0, "odd");
    diag_add(diags, DIAG_ERROR, NULL, 0, 0, "nowhere");
    diag_add(NULL, DIAG_ERROR, "x", 0, 0, "nobody listens");
    g_autofree char *text = diag_list_text(diags);
    g_assert_cmpstr(text, ==, "a.yaml:3:5: error: bad 7\nb.yaml: warning: odd\nerror: nowhere\n");
    g_assert_cmpuint(diags->errors, ==, 2);
    g_assert_cmpuint(diags->warnings, ==, 1);
    diag_list_free(NULL);
}

static void test_bound(void) {
    g_autoptr(DiagList) diags = diag_list_new();
    for (int i = 0; i < 1500; i++)
        diag_add(diags, DIAG_ERROR, "f", 1, 1, "again");
    g_assert_cmpuint(diags->errors, ==, 1500);
    g_assert_cmpuint(diags->items->len, ==, 1000);
    g_autofree char *text = diag_list_text(diags);
    g_assert_true(g_str_has_suffix(text, "and 500 more\n"));
}

static void test_nearest(void) {
    static const char *const names[] = {
        "kubernetes:terminate", "kubernetes:label", "labels", "ignore_daemonsets", "file", NULL};
    g_assert_cmpstr(diag_nearest("lables", names), ==, "labels");
    g_assert_cmpstr(diag_nearest("Labels", names), ==, "labels");
    g_assert_cmpstr(diag_nearest("ignoreDaemonsets", names), ==, "ignore_daemonsets");
    g_assert_cmpstr(diag_nearest("ignore-daemonset", names), ==, "ignore_daemonsets");
    g_assert_cmpstr(diag_nearest("kubernetes:terminat", names), ==, "kubernetes:terminate");
    g_assert_null(diag_nearest("zebra", names));
    g_assert_null(diag_nearest("x", names));
    g_assert_null(diag_nearest("", names));
    g_assert_null(diag_nearest(NULL, names));
    g_assert_null(diag_nearest("labels", NULL));
    g_autofree char *long_word = g_strnfill(100000, 'a');
    g_assert_null(diag_nearest(long_word, names));
}

static void check_quoted(const char *text, const char *expected) {
    g_autofree char *quoted = diag_quote(text);
    g_assert_cmpstr(quoted, ==, expected);
    g_assert_true(g_utf8_validate(quoted, -1, NULL));
}

static void test_quote(void) {
    check_quoted("", "\"\"");
    check_quoted("abc", "\"abc\"");
    check_quoted("a\nb\x1b", "\"a\\nb\\x1B\"");
    check_quoted("\xFF", "\"\xEF\xBF\xBD\"");
    g_autofree char *just = g_strnfill(60, 'x');
    g_autofree char *just_quoted = g_strdup_printf("\"%s\"", just);
    check_quoted(just, just_quoted);
    g_autofree char *over = g_strnfill(61, 'x');
    g_autofree char *cut = g_strdup_printf("\"%s...\"", just);
    check_quoted(over, cut);
    // Cut between characters, never within one.
    g_autoptr(GString) wide = g_string_new("a");
    for (int i = 0; i < 100; i++)
        g_string_append(wide, "\xF0\x9F\x98\x80");
    g_autofree char *quoted = diag_quote(wide->str);
    g_assert_true(g_utf8_validate(quoted, -1, NULL));
    g_assert_null(strstr(quoted, "\xEF\xBF\xBD"));
    g_assert_cmpint(g_utf8_strlen(quoted, -1), ==, 65);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/diag/text", test_text);
    g_test_add_func("/diag/bound", test_bound);
    g_test_add_func("/diag/nearest", test_nearest);
    g_test_add_func("/diag/quote", test_quote);
    return g_test_run();
}
