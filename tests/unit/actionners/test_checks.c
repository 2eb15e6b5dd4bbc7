// What is refused when rules are loaded, because the API server would refuse it later; and results.
#include "actionners/actionner.h"
#include "actionners/cidr.h"
#include "actionners/names.h"
#include "actionners/replicas.h"

#include <string.h>

static void check_texts(char *(*check)(const char *), const char *const *good, const char *const *bad) {
    for (; *good; good++) {
        g_autofree char *wrong = check(*good);
        g_test_message("%s", *good);
        g_assert_cmpstr(wrong, ==, NULL);
    }
    for (; *bad; bad++) {
        g_autofree char *wrong = check(*bad);
        g_test_message("%s", *bad);
        g_assert_nonnull(wrong);
    }
}

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

static void test_cidr(void) {
    check_texts(cidr_check,
                LIST("10.0.0.0/8", "0.0.0.0/0", "192.168.1.1/32", "10.1.2.3/8", "::/0", "fd00::/8", "2001:db8::1/128"),
                LIST("", "/", "10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/+8", "10.0.0.0/08",
                     "10.0.0.0/8 ", " 10.0.0.0/8", "10.0.0/8", "10.0.0.0.0/8", "010.0.0.0/8", "256.0.0.0/8",
                     "fd00::", "fd00::/129", "fd00:::/8", "::/0/0", "example.com/8", "10.0.0.0/8,10.1.0.0/16",
                     "fe80::1%eth0/64", "10.0.0.0/999999999999999999999"));
    g_autofree char *hint = cidr_check("10.0.0.1");
    g_assert_cmpstr(hint, ==, "is an address, no CIDR: write it as 10.0.0.1/32");
    g_autofree char *hint6 = cidr_check("fd00::1");
    g_assert_cmpstr(hint6, ==, "is an address, no CIDR: write it as fd00::1/128");
}

#define A63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void test_namespace(void) {
    check_texts(namespace_check, LIST("default", "a", "kube-system", "1st", A63),
                LIST("", "-a", "a-", "A", "a.b", "a_b", "a b", A63 "a"));
}

static void test_replicas(void) {
    check_texts(replicas_check, LIST("0", "1", "2", "33%", "0%", "100%", "007"),
                LIST("", "%", "abc", "-1", "150%", "101%", "1.5", "33 %", " 33%", "33%%", "0x1", "99999999999999999999",
                     "1e3", "+1"));
    static const struct {
        const char *text;
        int64_t wanted, needed;
    } cases[] = {
        {"2", 10, 2},   {"2", 0, 2},  {"33%", 3, 1}, {"33%", 4, 2}, {"33%", 10, 4}, {"34%", 3, 2},    {"50%", 5, 3},
        {"100%", 7, 7}, {"0%", 7, 0}, {"50%", 0, 0}, {"1%", 1, 1},  {"99%", 1, 1},  {"33%", 100, 33}, {"1%", 101, 2},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        g_assert_cmpint(replicas_needed(cases[i].text, cases[i].wanted), ==, cases[i].needed);
}

static char *check_pair(char *(*check)(const char *, const GPtrArray *), const char *key, const char *value) {
    ParamPair pair = {.key = (char *)key, .value = (char *)value};
    g_autoptr(GPtrArray) pairs = g_ptr_array_new();
    g_ptr_array_add(pairs, &pair);
    return check("labels", pairs);
}

static void test_labels(void) {
    static const struct {
        const char *key, *value;
        bool label, annotation;
    } cases[] = {
        {"a", "b", true, true},
        {"suspicious", "true", true, true},
        {"app.kubernetes.io/name", "My_app.v1-2", true, true},
        {"a", "", true, true},
        {A63, A63, true, true},
        {"a", A63 "a", false, true},
        {"a", "with space", false, true},
        {"a", "-b", false, true},
        {"a", "b.", false, true},
        {"a", "{\"any\": \"text\"}\n", false, true},
        {"", "b", false, false},
        {A63 "a", "b", false, false},
        {"a b", "b", false, false},
        {"-a", "b", false, false},
        {"a_", "b", false, false},
        {"a/b/c", "b", false, false},
        {"/b", "b", false, false},
        {"a/", "b", false, false},
        {"A.b/c", "b", false, false},
        {"a..b/c", "b", false, false},
        {"a.-b/c", "b", false, false},
        {"a-.b/c", "b", false, false},
        {"k\xc3\xa4se", "b", false, false},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *label = check_pair(labels_check, cases[i].key, cases[i].value);
        g_autofree char *annotation = check_pair(annotations_check, cases[i].key, cases[i].value);
        g_test_message("'%s': '%s'", cases[i].key, cases[i].value);
        g_assert_true((label == NULL) == cases[i].label);
        g_assert_true((annotation == NULL) == cases[i].annotation);
    }
    g_autofree char *big = g_strnfill(256 * 1024, 'x');
    g_autofree char *wrong = check_pair(annotations_check, "a", big);
    g_assert_nonnull(wrong);
}

static void test_object_names(void) {
    g_assert_true(is_object_name("system:node"));
    g_assert_true(is_object_name("a.b"));
    g_assert_true(is_object_name("..."));
    for (const char *const *bad = LIST("", ".", "..", "a/b", "a%2fb", "a b", "a\n", "\x7f"); *bad; bad++)
        g_assert_false(is_object_name(*bad));
    g_assert_true(is_dns_name("web-5d4c8b7f9-abcde"));
    g_assert_true(is_dns_name("ip-10-0-0-1.ec2.internal"));
    for (const char *const *bad = LIST("", ".", "..", "a..b", "-a", "a/b", "A", "a?b"); *bad; bad++)
        g_assert_false(is_dns_name(*bad));
}

static void test_result(void) {
    g_auto(ActionResult) result = {0};
    action_result_set(&result, ACTION_IGNORED, "%s", "first");
    // The old text may be a part of the new one.
    action_result_set(&result, ACTION_SUCCESS, "%s, then second", result.text);
    g_assert_cmpstr(result.text, ==, "first, then second");
    g_assert_cmpint(result.status, ==, ACTION_SUCCESS);
    action_result_add_object(&result, "pod", "a");
    action_result_add_object(&result, "namespace", "b");
    action_result_add_object(&result, "pod", "c");
    g_assert_cmpuint(result.objects->len, ==, 4);
    g_assert_cmpstr(g_ptr_array_index(result.objects, 1), ==, "c");
    action_result_clear(&result);
    action_result_clear(&result);
    g_assert_null(result.objects);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/checks/cidr", test_cidr);
    g_test_add_func("/checks/namespace", test_namespace);
    g_test_add_func("/checks/replicas", test_replicas);
    g_test_add_func("/checks/labels", test_labels);
    g_test_add_func("/checks/object-names", test_object_names);
    g_test_add_func("/checks/result", test_result);
    return g_test_run();
}
