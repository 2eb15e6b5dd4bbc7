// The buffer's maximum holds whatever is appended, and a refused append changes nothing.
#include "base/buf.h"

#include <string.h>

static void test_append(void) {
    g_auto(Buf) buf = BUF_INIT(10);
    g_assert_cmpstr(buf_text(&buf), ==, "");
    g_assert_true(buf_append_text(&buf, "hello"));
    g_assert_true(buf_append_char(&buf, ' '));
    g_assert_true(buf_printf(&buf, "%d", 1234));
    g_assert_cmpstr(buf_text(&buf), ==, "hello 1234");
    g_assert_false(buf_append_char(&buf, 'x'));
    g_assert_false(buf_append(&buf, "xy", 2));
    g_assert_false(buf_printf(&buf, "%s", "x"));
    g_assert_false(buf_append_json_string(&buf, "", 0));
    g_assert_true(buf_append(&buf, "", 0));
    g_assert_cmpstr(buf_text(&buf), ==, "hello 1234");
    g_assert_cmpuint(buf.len, ==, 10);
    buf_reset(&buf);
    g_assert_cmpstr(buf_text(&buf), ==, "");
    g_assert_false(buf_append(&buf, "x", G_MAXSIZE));
    g_assert_false(buf_append(&buf, "x", 11));
    g_assert_true(buf_append(&buf, "\0x", 2));
    g_assert_cmpuint(buf.len, ==, 2);
}

static void test_empty(void) {
    g_auto(Buf) buf = BUF_INIT(0);
    g_assert_false(buf_append_char(&buf, 'x'));
    g_assert_true(buf_append(&buf, NULL, 0));
    g_assert_cmpstr(buf_text(&buf), ==, "");
    buf_reset(&buf);
    buf_clear(&buf);
    buf_clear(&buf);
}

static void test_steal(void) {
    g_auto(Buf) buf = BUF_INIT(100);
    g_autofree char *nothing = buf_steal(&buf);
    g_assert_cmpstr(nothing, ==, "");
    buf_append_text(&buf, "abc");
    g_autofree char *text = buf_steal(&buf);
    g_assert_cmpstr(text, ==, "abc");
    g_assert_cmpuint(buf.len, ==, 0);
    g_assert_true(buf_append_text(&buf, "d"));
    g_assert_cmpstr(buf_text(&buf), ==, "d");
    g_assert_cmpuint(buf.max, ==, 100);
}

static void test_growth(void) {
    g_auto(Buf) buf = BUF_INIT(100000);
    unsigned appended = 0;
    while (buf_append(&buf, "0123456789abc", 13))
        appended++;
    g_assert_cmpuint(appended, ==, 100000 / 13);
    g_assert_cmpuint(buf.len, ==, appended * 13);
    for (unsigned i = 0; i < appended; i++)
        g_assert_cmpmem(buf.data + i * 13, 13, "0123456789abc", 13);
    g_assert_cmpint(buf.data[buf.len], ==, '\0');
}

static void test_json(void) {
    static const struct {
        const char *text;
        size_t len;
        const char *json;
    } cases[] = {
        {"", 0, "\"\""},
        {"plain", 5, "\"plain\""},
        {"a\"b\\c", 5, "\"a\\\"b\\\\c\""},
        {"\n\r\t", 3, "\"\\n\\r\\t\""},
        {"\0\x01\x1f\x7f", 4, "\"\\u0000\\u0001\\u001f\\u007f\""},
        {"\xc3\xa9\xf0\x9f\x98\x80", 6, "\"\xc3\xa9\xf0\x9f\x98\x80\""},
        {"\xff", 1, "\"\xef\xbf\xbd\""},
        {"a\xc3", 2, "\"a\xef\xbf\xbd\""},
        {"\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
        {"\xc0\xaf", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\""},
        {"</script>", 9, "\"</script>\""},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(Buf) buf = BUF_INIT(100);
        g_assert_true(buf_append_json_string(&buf, cases[i].text, cases[i].len));
        g_assert_cmpstr(buf_text(&buf), ==, cases[i].json);
    }
    // Whole or not at all, wherever the maximum falls.
    for (size_t max = 2; max < 20; max++) {
        g_auto(Buf) buf = BUF_INIT(max);
        g_assert_true(buf_append_text(&buf, "x="));
        bool ok = buf_append_json_string(&buf, "a\x01\xff\"z", 5);
        g_assert_cmpint(ok, ==, max >= 2 + 15);
        g_assert_cmpstr(buf_text(&buf), ==, ok ? "x=\"a\\u0001\xef\xbf\xbd\\\"z\"" : "x=");
    }
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/buf/append", test_append);
    g_test_add_func("/buf/empty", test_empty);
    g_test_add_func("/buf/steal", test_steal);
    g_test_add_func("/buf/growth", test_growth);
    g_test_add_func("/buf/json", test_json);
    return g_test_run();
}
