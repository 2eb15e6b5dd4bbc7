// Names of objects: whatever an event says, an object stays in its folder. And pieces beyond the limit.
#include "base/error.h"
#include "engine/artifact.h"

#include <string.h>

static char *name_of(const char *pod_namespace, const char *pod, unsigned count, const char *name) {
    return artifact_object_name(1136214245 * (int64_t)1000000000 + 5, pod_namespace, pod, count, name);
}

static void test_names(void) {
    static const struct {
        const char *pod_namespace, *pod, *name, *expected;
    } rows[] = {
        {"default", "web-1", "web.log", "2006-01-02T15-04-05Z_default_web-1_web.log"},
        {"default", "web-1", "/etc/passwd", "2006-01-02T15-04-05Z_default_web-1__etc_passwd"},
        {"..", "../..", "../../x", "2006-01-02T15-04-05Z_.__.__.__.__.__x"},
        {NULL, NULL, NULL, "2006-01-02T15-04-05Z___"},
        {"n", "p", "a\nb\x01\x7f\\c d\"\xc3\xa4", "2006-01-02T15-04-05Z_n_p_a_b___c_d___"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *name = name_of(rows[i].pod_namespace, rows[i].pod, 0, rows[i].name);
        g_assert_cmpstr(name, ==, rows[i].expected);
        g_assert_null(strchr(name, '/'));
        g_assert_null(strstr(name, ".."));
    }
    g_autofree char *second = name_of("n", "p", 2, "x.log");
    g_assert_cmpstr(second, ==, "2006-01-02T15-04-05Z_n_p_2_x.log");
}

static void test_length(void) {
    g_autofree char *longest = g_strnfill(5000, 'y');
    g_autofree char *ending = g_strconcat(longest, ".pcap", NULL);
    g_autofree char *name = name_of(longest, longest, 4000000000u, ending);
    g_assert_cmpuint(strlen(name), <=, 220);
    g_assert_true(g_str_has_suffix(name, "yyy.pcap"));
}

static OutputStream *memory_open(const void *params, const OutputJob *job, GError **error) {
    return (OutputStream *)g_string_new(NULL);
}

static bool memory_write(OutputStream *stream, const char *data, size_t len, GError **error) {
    g_string_append_len((GString *)stream, data, (gssize)len);
    return true;
}

static void memory_abort(OutputStream *stream) {
    g_string_free((GString *)stream, TRUE);
}

static char *same_name(const char *name, void *user) {
    return g_strdup(name);
}

static void check_limit(bool whole, const char *expected) {
    static const Output output = {.open = memory_open, .write = memory_write, .abort = memory_abort};
    g_auto(Artifact) artifact = {.output = &output, .name_object = same_name, .clock = clock_system(), .limit = 10};
    artifact_init(&artifact);
    g_autoptr(GError) error = NULL;
    artifact.sink.whole_pieces = whole;
    g_assert_true(artifact.sink.begin(&artifact.sink, "x", &error));
    g_assert_true(artifact.sink.write(&artifact.sink, "123456", 6, &error));
    g_assert_false(artifact.cut);
    g_assert_false(artifact.sink.write(&artifact.sink, "789abc", 6, &error));
    g_assert_error(error, STOOP_ERROR, STOOP_ERROR_TOO_LARGE);
    g_assert_true(artifact.cut);
    g_clear_error(&error);
    // A smaller one still fits where nothing of the larger one was written.
    g_assert_true(artifact.sink.write(&artifact.sink, "xyz", 3, &error) == whole);
    g_assert_cmpstr(((GString *)artifact.stream)->str, ==, expected);
}

static void test_limit(void) {
    check_limit(false, "123456789a");
    check_limit(true, "123456xyz");
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/engine/artifact/names", test_names);
    g_test_add_func("/engine/artifact/length", test_length);
    g_test_add_func("/engine/artifact/limit", test_limit);
    return g_test_run();
}
