// The buffer's maximum holds whatever is appended, and a refused append changes nothing.
#include "base/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

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

// A pipe with `len` bytes of 'x' in it, and nobody who writes.
static int pipe_with(size_t len) {
    int ends[2];
    g_assert_cmpint(pipe2(ends, O_CLOEXEC), ==, 0);
    g_autofree char *text = g_malloc(len + 1);
    memset(text, 'x', len);
    g_assert_cmpint(write(ends[1], text, len), ==, (ssize_t)len);
    close(ends[1]);
    return ends[0];
}

static void test_read_fd(void) {
    static const struct {
        size_t before, len, max;
        int wanted;
    } cases[] = {{0, 0, 10, 0}, {0, 10, 10, 0},   {0, 11, 10, EFBIG},   {4, 6, 10, 0},           {4, 7, 10, EFBIG},
                 {0, 0, 0, 0},  {0, 1, 0, EFBIG}, {1, 40000, 40001, 0}, {0, 40000, 39999, EFBIG}};
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(Buf) buf = BUF_INIT(cases[i].max);
        for (size_t n = 0; n < cases[i].before; n++)
            buf_append_char(&buf, 'a');
        int fd = pipe_with(cases[i].len);
        g_assert_cmpint(buf_read_fd(&buf, fd), ==, cases[i].wanted);
        close(fd);
        g_assert_cmpuint(buf.len, ==, MIN(cases[i].before + cases[i].len, cases[i].max));
        g_assert_cmpuint(strspn(buf_text(&buf), "a"), ==, cases[i].before);
        g_assert_cmpuint(strspn(buf_text(&buf) + cases[i].before, "x"), ==, buf.len - cases[i].before);
        g_assert_cmpint(buf_text(&buf)[buf.len], ==, '\0');
    }
    g_auto(Buf) buf = BUF_INIT(10);
    int folder = open("/", O_RDONLY | O_CLOEXEC);
    g_assert_cmpint(buf_read_fd(&buf, folder), ==, EISDIR);
    close(folder);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/buf/append", test_append);
    g_test_add_func("/buf/empty", test_empty);
    g_test_add_func("/buf/steal", test_steal);
    g_test_add_func("/buf/growth", test_growth);
    g_test_add_func("/buf/json", test_json);
    g_test_add_func("/buf/read-fd", test_read_fd);
    return g_test_run();
}
