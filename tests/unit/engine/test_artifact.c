// Names of objects: whatever an event says, an object stays in its folder.
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

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/engine/artifact/names", test_names);
    g_test_add_func("/engine/artifact/length", test_length);
    return g_test_run();
}
