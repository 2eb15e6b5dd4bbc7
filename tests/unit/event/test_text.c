// Values as text, as Go's %v prints them, and the variables made of them.
#include "event/event.h"

#include <string.h>

static Event *parse(const char *body) {
    static const uint8_t random16[16] = {0};
    g_autoptr(GError) error = NULL;
    Event *event = event_parse(body, strlen(body), NULL, random16, &error);
    g_assert_no_error(error);
    return event;
}

static void test_values(void) {
    // The right column was printed by Go's fmt.Sprintf("%v").
    static const struct {
        const char *json, *text;
    } cases[] = {
        {"\"plain\"", "plain"},
        {"\"\"", ""},
        {"0", "0"},
        {"-1", "-1"},
        {"1783703521152497084", "1783703521152497084"},
        {"18446744073709551615", "18446744073709551615"},
        {"-9223372036854775808", "-9223372036854775808"},
        {"18446744073709551616", "18446744073709551616"},
        {"-9223372036854775809", "-9223372036854775809"},
        {"1e400", "1e400"},
        {"true", "true"},
        {"false", "false"},
        {"1.0", "1"},
        {"-0.0", "-0"},
        {"0.1", "0.1"},
        {"1.5", "1.5"},
        {"-123.456", "-123.456"},
        {"100000.0", "100000"},
        {"0.0001", "0.0001"},
        {"0.00012345", "0.00012345"},
        {"0.00001", "1e-05"},
        {"1.25e-7", "1.25e-07"},
        {"1e20", "100000000000000000000"},
        {"1e21", "1e+21"},
        {"1.5e300", "1.5e+300"},
        {"5e-324", "5e-324"},
        {"1.7976931348623157e308", "1.7976931348623157e+308"},
        {"0.30000000000000004", "0.30000000000000004"},
        {"2.2250738585072014e-308", "2.2250738585072014e-308"},
        {"123456789.125", "123456789.125"},
        {"[\"a\",\"b\"]", "[a b]"},
        {"[]", "[]"},
        {"[1,null,true,[2.5]]", "[1 <nil> true [2.5]]"},
        {"{}", "map[]"},
        {"{\"b\":1,\"a\":[\"x\"],\"ab\":{}}", "map[a:[x] ab:map[] b:1]"},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *body = g_strdup_printf("{\"output_fields\":{\"f\":%s}}", cases[i].json);
        g_autoptr(Event) event = parse(body);
        char scratch[256];
        size_t len = 99;
        const char *text = event_field_text(event, "f", scratch, sizeof scratch, &len);
        g_assert_cmpstr(text, ==, cases[i].text);
        g_assert_cmpuint(len, ==, strlen(cases[i].text));
    }
}

static void test_absent(void) {
    g_autoptr(Event) event = parse("{\"output_fields\":{\"f\":null}}");
    char scratch[8];
    g_assert_null(event_field_text(event, "f", scratch, sizeof scratch, NULL));
    g_assert_null(event_field_text(event, "g", scratch, sizeof scratch, NULL));
    g_assert_null(event_value_text(NULL, scratch, sizeof scratch, NULL));
    g_autoptr(Event) without = parse("{}");
    g_assert_null(event_field_text(without, "f", scratch, sizeof scratch, NULL));
}

static void test_cut(void) {
    g_autoptr(Event) event = parse("{\"output_fields\":{\"f\":[\"ab\\u20ac\\u20ac\",\"x\"],\"n\":12345}}");
    char scratch[8];
    size_t len = 0;
    const char *text = event_field_text(event, "f", scratch, sizeof scratch, &len);
    g_assert_cmpstr(text, ==, "[ab\xe2\x82\xac"); // seven bytes would cut the second character
    g_assert_cmpuint(len, ==, 6);
    g_assert_cmpstr(event_field_text(event, "n", scratch, 4, &len), ==, "123");
    g_assert_cmpstr(event_field_text(event, "n", scratch, 1, &len), ==, "");
    g_assert_cmpuint(len, ==, 0);
}

static void test_many_keys(void) {
    g_autoptr(GString) body = g_string_new("{\"output_fields\":{\"f\":{");
    for (int i = 0; i < 50000; i++)
        g_string_append_printf(body, "%s\"k%d\":1", i ? "," : "", i);
    g_string_append(body, "}}}");
    g_autoptr(Event) event = parse(body->str);
    char scratch[64];
    const char *text = event_field_text(event, "f", scratch, sizeof scratch, NULL);
    g_assert_true(g_str_has_prefix(text, "map[k0:1 k1:1 "));
    g_assert_cmpuint(strlen(text), ==, 63);
}

static void keep(const char *name, const char *value, void *user) {
    g_assert_true(g_utf8_validate(value, -1, NULL));
    g_assert_null(strchr(name, '='));
    g_assert_false(g_hash_table_contains(user, name));
    g_hash_table_insert(user, g_strdup(name), g_strdup(value));
}

static void test_variables(void) {
    g_autoptr(Event) event = parse(
        "{\"priority\":\"Notice\",\"hostname\":\"n1\",\"rule\":\"R x\",\"tags\":[\"a\",\"b\"],\"output_fields\":{"
        "\"proc.args[0]\":\"$(reboot)\",\"evt.time\":1783703521152497084,\"ka.req.pod.containers.image\":[\"nginx\","
        "\"busybox\"],\"proc.pname\":null,\"rule\":\"forged\",\"x=y/"
        "z\":\"v\",\"9p\":true,\"nul\":\"a\\u0000b\",\"]\":1}}");
    g_autoptr(GHashTable) got = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    event_each_variable(event, keep, got);
    g_assert_cmpstr(g_hash_table_lookup(got, "PRIORITY"), ==, "Notice");
    g_assert_cmpstr(g_hash_table_lookup(got, "HOSTNAME"), ==, "n1");
    g_assert_cmpstr(g_hash_table_lookup(got, "RULE"), ==, "R x");
    g_assert_cmpstr(g_hash_table_lookup(got, "SOURCE"), ==, "syscall");
    g_assert_cmpstr(g_hash_table_lookup(got, "TAGS"), ==, "a,b");
    g_assert_cmpstr(g_hash_table_lookup(got, "PROC_ARGS_0"), ==, "$(reboot)");
    g_assert_cmpstr(g_hash_table_lookup(got, "EVT_TIME"), ==, "1783703521152497084");
    g_assert_cmpstr(g_hash_table_lookup(got, "KA_REQ_POD_CONTAINERS_IMAGE"), ==, "[nginx busybox]");
    g_assert_false(g_hash_table_contains(got, "PROC_PNAME"));
    g_assert_cmpstr(g_hash_table_lookup(got, "X_Y_Z"), ==, "v");
    g_assert_cmpstr(g_hash_table_lookup(got, "_9P"), ==, "true");
    g_assert_cmpstr(g_hash_table_lookup(got, "NUL"), ==, "ab");
    g_assert_cmpuint(g_hash_table_size(got), ==, 11);
}

static void count(const char *name, const char *value, void *user) {
    if (strcmp(name, "PROC_CMDLINE") == 0)
        *(size_t *)user = strlen(value);
    g_assert_true(g_utf8_validate(value, -1, NULL));
}

static void test_variable_size(void) {
    g_autoptr(GString) body = g_string_new("{\"output_fields\":{\"proc.cmdline\":\"x");
    for (int i = 0; i < 100000; i++)
        g_string_append(body, "\xe2\x82\xac");
    g_string_append(body, "\"}}");
    g_autoptr(Event) event = parse(body->str);
    size_t len = 0;
    event_each_variable(event, count, &len);
    g_assert_cmpuint(len, <=, 65536);
    g_assert_cmpuint(len, >, 65530);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/event/text/values", test_values);
    g_test_add_func("/event/text/absent", test_absent);
    g_test_add_func("/event/text/cut", test_cut);
    g_test_add_func("/event/text/many-keys", test_many_keys);
    g_test_add_func("/event/text/variables", test_variables);
    g_test_add_func("/event/text/variable-size", test_variable_size);
    return g_test_run();
}
