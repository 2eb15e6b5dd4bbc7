// Parsing: what becomes of a body, and which bodies are refused with which words.
#include "base/error.h"
#include "event/event.h"

#include <string.h>

static const uint8_t random16[16] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 1, 2, 3, 4, 5, 6, 7, 8};

static Event *parse(const char *body) {
    g_autoptr(GError) error = NULL;
    Event *event = event_parse(body, strlen(body), NULL, random16, &error);
    g_assert_no_error(error);
    g_assert_nonnull(event);
    return event;
}

static void assert_refused_bytes(const char *body, size_t len, const char *words) {
    g_autoptr(GError) error = NULL;
    Event *event = event_parse(body, len, NULL, random16, &error);
    g_assert_null(event);
    g_assert_error(error, STOOP_ERROR, STOOP_ERROR_INVALID);
    if (!strstr(error->message, words))
        g_error("'%s' does not contain '%s'", error->message, words);
    g_assert_true(g_utf8_validate(error->message, -1, NULL));
}

static void assert_refused(const char *body, const char *words) {
    assert_refused_bytes(body, strlen(body), words);
}

static const char falco[] =
    "{\"hostname\":\"node-3\",\"output\":\"2026-07-10T17:12:01.152497084+0000: Notice A shell was spawned | "
    "process=sh\",\"output_fields\":{\"container.id\":\"fa2df48fba46\",\"container.name\":\"web\",\"evt.time.iso8601\":"
    "1783703521152497084,\"k8s.ns.name\":\"default\",\"k8s.pod.name\":\"web-5d4c8b7f9-abcde\",\"proc.cmdline\":\"sh "
    "-lc "
    "echo \\\"x\\\"\",\"proc.pname\":null,\"proc.tty\":34816,\"user.loginuid\":-1,\"fd.rip\":\"10.0.0.7\",\"fd.rport\":"
    "42668},\"priority\":\"Notice\",\"rule\":\"Terminal shell in "
    "container\",\"source\":\"syscall\",\"tags\":[\"T1059\","
    "\"container\"],\"time\":\"2026-07-10T17:12:01.152497084Z\"}";

static void test_falco(void) {
    g_autoptr(Event) event = parse(falco);
    g_assert_cmpstr(event->hostname, ==, "node-3");
    g_assert_cmpstr(event->output, ==, "A shell was spawned | process=sh");
    g_assert_cmpstr(event->rule, ==, "Terminal shell in container");
    g_assert_cmpstr(event->source, ==, "syscall");
    g_assert_cmpstr(event->priority_text, ==, "Notice");
    g_assert_cmpint(event->priority, ==, PRIORITY_NOTICE);
    g_assert_cmpstr(event->time, ==, "2026-07-10T17:12:01.152497084Z");
    g_assert_cmpstr(event->uuid, ==, "");
    g_assert_cmpuint(event->tag_count, ==, 2);
    g_assert_cmpstr(event->tags[0], ==, "T1059");
    g_assert_cmpstr(event->tags[1], ==, "container");
    g_assert_cmpstr(event->pod, ==, "web-5d4c8b7f9-abcde");
    g_assert_cmpstr(event->pod_namespace, ==, "default");
    g_assert_null(event->pod_uid);
    g_assert_cmpstr(event->container_id, ==, "fa2df48fba46");
    g_assert_cmpstr(event->container_name, ==, "web");
    g_assert_cmpstr(event->remote_ip, ==, "10.0.0.7");
    g_assert_cmpstr(event->remote_port, ==, "42668");
    g_assert_null(event->target_name);
    g_assert_cmpmem(event->body, event->body_len, falco, sizeof falco - 1);
    g_assert_cmpuint(event->memory, >, 2 * sizeof falco);
    g_assert_cmpuint(yyjson_get_uint(event_field(event, "evt.time.iso8601")), ==, 1783703521152497084u);
    g_assert_null(event_field(event, "no.such"));
}

static void test_sidekick(void) {
    g_autoptr(Event) event =
        parse("{\"uuid\":\"6f0c\",\"output\":\"09:15:40.698757000: Notice parent=\\u003cNA\\u003e\",\"priority\":"
              "\"Notice\",\"rule\":\"r\",\"output_fields\":{\"Akey\":\"AValue\"},\"source\":\"\",\"tags\":null}\n");
    g_assert_cmpstr(event->uuid, ==, "6f0c");
    g_assert_cmpstr(event->output, ==, "parent=<NA>");
    g_assert_cmpstr(event->source, ==, "syscall");
    g_assert_cmpuint(event->tag_count, ==, 0);
}

static void test_nothing(void) {
    const char *bodies[] = {"{}", " {} \n",
                            "{\"output\":null,\"priority\":null,\"rule\":null,\"time\":null,\"source\":null}",
                            "{\"hostname\":null,\"tags\":null,\"output_fields\":null,\"uuid\":null}"};
    for (unsigned i = 0; i < G_N_ELEMENTS(bodies); i++) {
        g_autoptr(Event) event = parse(bodies[i]);
        g_assert_cmpstr(event->rule, ==, "");
        g_assert_cmpstr(event->output, ==, "");
        g_assert_cmpstr(event->source, ==, "syscall");
        g_assert_cmpint(event->priority, ==, PRIORITY_UNKNOWN);
        g_assert_null(event->fields);
        g_assert_null(event_field(event, "x"));
        g_assert_null(event->pod);
        g_assert_cmpstr(event->remote_port, ==, "");
    }
}

static void test_prefix(void) {
    static const struct {
        const char *output, *cut;
    } cases[] = {
        {"09:15:40.698757000: Informational hello", "hello"},
        {"09:15:40.698757000: INFO hello", "hello"},
        {"09:15:40.698757000: Warning hello", "hello"},
        {"09:15:40.698757000: emergency hello", "hello"},
        {"09:15:40.698757000: Debug  two spaces", " two spaces"},
        {"2026-07-10T17:12:01.152497084+0000: Critical hello", "hello"},
        {"2026-07-10T17:12:01.152497084Z: Critical hello", "hello"},
        {"2026-07-10T17:12:01+02:00: Critical hello", "hello"},
        {"2026-07-10T17:12:01.1-0730: ALERT hello", "hello"},
        {"09:15:40.698757000: Noticeable hello", "Noticeable hello"},
        {"09:15:40.698757000: hello", "hello"},
        {"09:15:40.698757000: Notice", ""},
        {"09:15:40.698757000: ", ""},
        {"Notice hello", "Notice hello"},
        {"12:00:00: backup began", "12:00:00: backup began"},
        {"2026-07-10T17:12:01: Notice no zone", "2026-07-10T17:12:01: Notice no zone"},
        {"09:15:40.698757000 Notice hello", "09:15:40.698757000 Notice hello"},
        {"x 09:15:40.698757000: Notice hello", "x 09:15:40.698757000: Notice hello"},
        {"09:15:40.: Notice hello", "09:15:40.: Notice hello"},
        {"09:15:40.1234567890: Notice hello", "09:15:40.1234567890: Notice hello"},
        {"09:15:40.698757000: Notice 09:15:40.698757000: Notice hello", "09:15:40.698757000: Notice hello"},
        {"09:15:4", "09:15:4"},
        {"", ""},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *body = g_strdup_printf("{\"output\":\"%s\"}", cases[i].output);
        g_autoptr(Event) event = parse(body);
        g_assert_cmpstr(event->output, ==, cases[i].cut);
    }
}

static void test_priorities(void) {
    for (int p = PRIORITY_DEBUG; p < PRIORITY_UNKNOWN; p++) {
        const char *name = priority_name((Priority)p);
        g_autofree char *upper = g_ascii_strup(name, -1);
        g_assert_cmpint(priority_from_text(name, strlen(name)), ==, p);
        g_assert_cmpint(priority_from_text(upper, strlen(upper)), ==, p);
        g_assert_cmpint(priority_from_text(name, strlen(name) - 1), ==, PRIORITY_UNKNOWN);
    }
    g_assert_cmpint(priority_from_text("Info", 4), ==, PRIORITY_INFORMATIONAL);
    g_assert_cmpint(priority_from_text("WARN", 4), ==, PRIORITY_WARNING);
    g_assert_cmpint(priority_from_text("", 0), ==, PRIORITY_UNKNOWN);
    g_assert_cmpint(priority_from_text("Noticeable", 10), ==, PRIORITY_UNKNOWN);
    g_assert_cmpstr(priority_name(PRIORITY_UNKNOWN), ==, "");
}

static Event *with_fields(const char *fields) {
    g_autofree char *body = g_strdup_printf("{\"output_fields\":{%s}}", fields);
    return parse(body);
}

static void test_stand_ins(void) {
    {
        g_autoptr(Event) e =
            with_fields("\"ka.target.name\":\"c\",\"ka.target.namespace\":\"n\",\"ka.target.resource\":"
                        "\"pods\",\"k8s.pod.name\":null,\"k8s.pod.uid\":\"u\",\"fd.sip\":\"::1\","
                        "\"fd.sport\":\"53\",\"fd.rport\":-1");
        g_assert_cmpstr(e->pod, ==, "c");
        g_assert_cmpstr(e->pod_namespace, ==, "n");
        g_assert_null(e->pod_uid);
        g_assert_cmpstr(e->target_name, ==, "c");
        g_assert_cmpstr(e->target_namespace, ==, "n");
        g_assert_cmpstr(e->target_resource, ==, "pods");
        g_assert_cmpstr(e->remote_ip, ==, "::1");
        g_assert_cmpstr(e->remote_port, ==, "53");
    }
    {
        g_autoptr(Event) e = with_fields("\"ka.target.name\":\"c\",\"ka.target.pod.name\":\"b\"");
        g_assert_cmpstr(e->pod, ==, "b");
        g_assert_cmpstr(e->target_name, ==, "c");
    }
    {
        g_autoptr(Event) e = with_fields("\"ka.target.name\":\"c\",\"ka.target.pod.name\":\"b\",\"k8s.pod.name\":\"a\","
                                         "\"k8s.pod.uid\":\"u\",\"k8s.ns.name\":\"m\",\"ka.target.namespace\":\"n\","
                                         "\"fd.rip\":\"1.1.1.1\",\"fd.sip\":\"2.2.2.2\",\"fd.rport\":1,\"fd.sport\":2");
        g_assert_cmpstr(e->pod, ==, "a");
        g_assert_cmpstr(e->pod_uid, ==, "u");
        g_assert_cmpstr(e->pod_namespace, ==, "m");
        g_assert_cmpstr(e->remote_ip, ==, "1.1.1.1");
        g_assert_cmpstr(e->remote_port, ==, "1");
    }
    {
        g_autoptr(Event) e = with_fields("\"k8s.pod.name\":\"<NA>\",\"k8s.ns.name\":\"\",\"container.id\":\"host\","
                                         "\"container.name\":\"host\",\"fd.rport\":65536,\"fd.sport\":\"http\"");
        g_assert_null(e->pod);
        g_assert_null(e->pod_namespace);
        g_assert_null(e->container_id);
        g_assert_null(e->container_name);
        g_assert_cmpstr(e->remote_port, ==, "");
    }
    {
        // Odd names stay as they are; the API client escapes them.
        g_autoptr(Event) e = with_fields("\"k8s.pod.name\":\"../../x y\",\"k8s.ns.name\":\"A/B\"");
        g_assert_cmpstr(e->pod, ==, "../../x y");
        g_assert_cmpstr(e->pod_namespace, ==, "A/B");
    }
}

static void test_refused(void) {
    assert_refused("", "empty");
    assert_refused("   ", "byte");
    assert_refused("not json", "byte 0");
    assert_refused("{\"a\":1} x", "byte 8");
    assert_refused("{\"a\":1,}", "byte");
    assert_refused("{'a':1}", "byte 1");
    assert_refused("{\"a\":NaN}", "byte 5");
    assert_refused("{\"a\":01}", "byte");
    assert_refused("{\"a\":1 /* x */}", "byte");
    assert_refused("\xef\xbb\xbf{}", "byte 0");
    assert_refused("[]", "object, not a list");
    assert_refused("\"x\"", "object, not string");
    assert_refused("null", "object");
    assert_refused("{\"rule\":\"\xff\"}", "byte");
    assert_refused("{\"rule\":\"\xed\xa0\x80\"}", "byte");
    assert_refused("{\"rule\":\"\\ud800\"}", "byte");
    assert_refused("{\"rule\":\"a\tb\"}", "byte");
    assert_refused("{\"rule\":", "byte");
    assert_refused_bytes("{\"rule\":\"a\0b\"}", 14, "byte");
    assert_refused_bytes("{}\0", 3, "byte 2");
}

static void test_wrong_types(void) {
    static const char *const texts[] = {"uuid", "output", "rule", "time", "source", "hostname", "priority"};
    static const char *const values[] = {"1", "true", "[]", "{}", "1.5", "[\"x\"]", "99999999999999999999999"};
    for (unsigned i = 0; i < G_N_ELEMENTS(texts); i++)
        for (unsigned v = 0; v < G_N_ELEMENTS(values); v++) {
            g_autofree char *body = g_strdup_printf("{\"%s\":%s}", texts[i], values[v]);
            g_autofree char *words = g_strdup_printf("%s: must be a text", texts[i]);
            assert_refused(body, words);
        }
    assert_refused("{\"tags\":\"x\"}", "tags: must be a list of texts");
    assert_refused("{\"tags\":[\"a\",1]}", "tags: must be a list of texts");
    assert_refused("{\"tags\":[null]}", "tags: must be a list of texts");
    assert_refused("{\"output_fields\":[]}", "output_fields: must be an object");
    assert_refused("{\"output_fields\":\"x\"}", "output_fields: must be an object");
    static const char *const names[] = {"k8s.pod.name",
                                        "k8s.ns.name",
                                        "k8s.pod.uid",
                                        "ka.target.pod.name",
                                        "ka.target.name",
                                        "ka.target.namespace",
                                        "container.id",
                                        "container.name",
                                        "ka.target.resource",
                                        "fd.rip",
                                        "fd.sip"};
    for (unsigned i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *number = g_strdup_printf("{\"output_fields\":{\"%s\":7}}", names[i]);
        g_autofree char *list = g_strdup_printf("{\"output_fields\":{\"%s\":[\"a\"]}}", names[i]);
        g_autofree char *nul = g_strdup_printf("{\"output_fields\":{\"%s\":\"a\\u0000b\"}}", names[i]);
        g_autofree char *type_words = g_strdup_printf("output_fields: %s: must be a text", names[i]);
        g_autofree char *nul_words = g_strdup_printf("output_fields: %s: must not contain a NUL", names[i]);
        assert_refused(number, type_words);
        assert_refused(list, type_words);
        assert_refused(nul, nul_words);
    }
    assert_refused("{\"output_fields\":{\"fd.rport\":[1]}}", "fd.rport: must be a number");
    assert_refused("{\"output_fields\":{\"fd.sport\":true}}", "fd.sport: must be a number");
    assert_refused("{\"rule\":\"Terminal shell\\u0000 not\"}", "rule: must not contain a NUL");
    assert_refused("{\"hostname\":\"\\u0000\"}", "hostname: must not contain a NUL");
}

static void test_nul_elsewhere(void) {
    g_autoptr(Event) e =
        parse("{\"output\":\"09:15:40.698757000: Notice a\\u0000b\",\"tags\":[\"x\",\"\\u0000y\\u0000\"],"
              "\"k\\u0000\":1,\"output_fields\":{\"k8s.pod.name\\u0000\":\"p\",\"proc.args\":\"a\\u0000b\"}}");
    g_assert_cmpstr(e->output, ==,
                    "a\xef\xbf\xbd"
                    "b");
    g_assert_cmpstr(e->tags[0], ==, "x");
    g_assert_cmpstr(e->tags[1], ==, "\xef\xbf\xbdy\xef\xbf\xbd");
    g_assert_null(e->pod);
    size_t len = 0;
    const char *text = event_field_text(e, "proc.args", NULL, 0, &len);
    g_assert_cmpmem(text, len, "a\0b", 3);
}

static void test_duplicates(void) {
    assert_refused("{\"rule\":\"a\",\"rule\":\"b\"}", "\"rule\" stands twice");
    assert_refused("{\"x\":1,\"rule\":\"a\",\"x\":null}", "\"x\" stands twice");
    assert_refused("{\"rule\":\"a\",\"ru\\u006ce\":\"b\"}", "\"rule\" stands twice");
    assert_refused("{\"output_fields\":{\"k8s.pod.name\":\"a\",\"k8s.pod.name\":\"b\"}}",
                   "output_fields: the key \"k8s.pod.name\" stands twice");
    // Many keys take the other way through the check.
    g_autoptr(GString) many = g_string_new("{\"output_fields\":{");
    for (int i = 0; i < 20000; i++)
        g_string_append_printf(many, "\"k%d\":%d,", i, i);
    g_autofree char *fine = g_strdup_printf("%s\"z\":1}}", many->str);
    g_autofree char *twice = g_strdup_printf("%s\"k777\":1}}", many->str);
    g_autoptr(Event) event = parse(fine);
    g_assert_cmpuint(yyjson_get_uint(event_field(event, "k19999")), ==, 19999);
    assert_refused(twice, "\"k777\" stands twice");
}

static void test_depth(void) {
    for (int depth = 62; depth <= 70; depth++) {
        g_autoptr(GString) body = g_string_new("{\"a\":");
        for (int i = 1; i < depth; i++)
            g_string_append(body, i % 2 ? "[" : "{\"b\":");
        g_string_append(body, "0");
        for (int i = depth - 1; i >= 1; i--)
            g_string_append(body, i % 2 ? "]" : "}");
        g_string_append(body, "}");
        if (depth <= 64)
            event_unref(parse(body->str));
        else
            assert_refused(body->str, "nested deeper than 64");
    }
    // Hundreds of thousands of levels must not use up the stack.
    g_autofree char *deep = g_malloc(1 << 20);
    memset(deep, '[', 1 << 20);
    assert_refused_bytes(deep, 1 << 20, "byte");
    memcpy(deep, "{\"a\":", 5);
    size_t half = (1 << 19) - 5;
    memset(deep + 5 + half, ']', half);
    deep[5 + 2 * half] = '}';
    assert_refused_bytes(deep, 6 + 2 * half, "nested deeper than 64");
}

static void test_big(void) {
    g_autofree char *text = g_strnfill(1 << 20, 'x');
    g_autofree char *body = g_strdup_printf("{\"output_fields\":{\"proc.cmdline\":\"%s\"}}", text);
    g_autoptr(Event) event = parse(body);
    size_t len = 0;
    const char *value = event_field_text(event, "proc.cmdline", NULL, 0, &len);
    g_assert_cmpmem(value, len, text, 1 << 20);
}

static void test_trace(void) {
    static const struct {
        const char *parent, *id;
    } cases[] = {
        {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "4bf92f3577b34da6a3ce929d0e0e4736"},
        {"cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", "4bf92f3577b34da6a3ce929d0e0e4736"},
        {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", NULL},
        {"cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01more", NULL},
        {"ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", NULL},
        {"00-00000000000000000000000000000000-00f067aa0ba902b7-01", NULL},
        {"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", NULL},
        {"00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", NULL},
        {"00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01", NULL},
        {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7", NULL},
        {"", NULL},
        {NULL, NULL},
    };
    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(Event) event = event_parse("{}", 2, cases[i].parent, random16, &error);
        g_assert_no_error(error);
        g_assert_cmpstr(event->trace_id, ==, cases[i].id ? cases[i].id : "0123456789abcdef0102030405060708");
    }
}

static void test_references(void) {
    Event *event = parse(falco);
    Event *again = event_ref(event);
    g_assert_true(event == again);
    event_unref(event);
    g_assert_cmpstr(again->hostname, ==, "node-3");
    event_unref(again);
    event_unref(NULL);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/event/falco", test_falco);
    g_test_add_func("/event/sidekick", test_sidekick);
    g_test_add_func("/event/nothing", test_nothing);
    g_test_add_func("/event/prefix", test_prefix);
    g_test_add_func("/event/priorities", test_priorities);
    g_test_add_func("/event/stand-ins", test_stand_ins);
    g_test_add_func("/event/refused", test_refused);
    g_test_add_func("/event/wrong-types", test_wrong_types);
    g_test_add_func("/event/nul-elsewhere", test_nul_elsewhere);
    g_test_add_func("/event/duplicates", test_duplicates);
    g_test_add_func("/event/depth", test_depth);
    g_test_add_func("/event/big", test_big);
    g_test_add_func("/event/trace", test_trace);
    g_test_add_func("/event/references", test_references);
    return g_test_run();
}
