// kubernetes:log, and the text that it makes for the log line.
#include "actionners/plain_text.h"
#include "base/error.h"
#include "fake_api.h"

#include <string.h>

#define GET_POD "GET /api/v1/namespaces/shop/pods/web-1"
#define LOG(container, lines) GET_POD "/log?container=" container "&tailLines=" lines
#define LAST(container) GET_POD "/log?container=" container "&tailLines=1&timestamps=true&limitBytes=1024"
#define FIELDS "\"k8s.pod.name\":\"web-1\",\"k8s.ns.name\":\"shop\""
#define EVENT(more) "{\"output_fields\":{" FIELDS more "}}"
#define ONE                                                                                                            \
    "{\"metadata\":{\"uid\":\"u-1\"},\"spec\":{\"containers\":[{\"name\":\"web\"}]},\"status\":{"                      \
    "\"containerStatuses\":[{\"name\":\"web\",\"containerID\":\"containerd://0123456789abcdef\"}]}}"
#define TWO                                                                                                            \
    "{\"metadata\":{\"uid\":\"u-1\"},\"spec\":{\"initContainers\":[{\"name\":\"setup\"}],\"containers\":["             \
    "{\"name\":\"web\"},{\"name\":\"side\"},{\"name\":\"late\"}]},\"status\":{"                                        \
    "\"initContainerStatuses\":[{\"name\":\"setup\",\"containerID\":\"containerd://aaaaaaaaaaaaaaaa\"}],"              \
    "\"containerStatuses\":[{\"name\":\"web\",\"containerID\":\"containerd://0123456789abcdef\"},"                     \
    "{\"name\":\"side\",\"containerID\":\"containerd://fedcba9876543210\"},"                                           \
    "{\"name\":\"late\",\"state\":{\"waiting\":{}}}]}}"
#define STATUS(code, reason)                                                                                           \
    "{\"kind\":\"Status\",\"status\":\"Failure\",\"message\":\"says the server\",\"reason\":\"" reason                 \
    "\",\"code\":" #code "}"
#define END                                                                                                            \
    { NULL, NULL, 0, NULL, NULL }

static void test_one_container(void) {
    const Exchange exchanges[] = {{GET_POD, NULL, 200, ONE, NULL},
                                  {LOG("web", "20"), NULL, 200, "a\n\x1b[31mred\x1b[0m\n", NULL},
                                  {LAST("web"), NULL, 200, "one more\n", NULL},
                                  END};
    g_auto(Run) run = {0};
    run_against(exchanges, "kubernetes:log", EVENT(""), NULL, &run);
    assert_result(&run, ACTION_SUCCESS, "container 'web'");
    g_assert_cmpstr(run.result.log, ==, "a\nred\n");
    g_assert_cmpstr(object_of(&run, "container"), ==, "web");
}

static void test_named_container(void) {
    static const struct {
        const char *event, *log, *last;
    } cases[] = {
        {EVENT(",\"container.id\":\"fedcba987654\",\"container.name\":\"web\""), LOG("side", "5"), LAST("side")},
        {EVENT(",\"container.name\":\"side\""), LOG("side", "5"), LAST("side")},
        {EVENT(",\"container.name\":\"k8s_side_web-1_shop_0a_0\""), LOG("side", "5"), LAST("side")},
        // An id that is not there any more: the name says which it was.
        {EVENT(",\"container.id\":\"999999999999\",\"container.name\":\"web\""), LOG("web", "5"), LAST("web")},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        const Exchange exchanges[] = {{GET_POD, NULL, 200, TWO, NULL},
                                      {cases[i].log, NULL, 200, "text\n", NULL},
                                      {cases[i].last, NULL, 200, "text\n", NULL},
                                      END};
        g_auto(Run) run = {0};
        run_against(exchanges, "kubernetes:log", cases[i].event, "tail_lines: 5", &run);
        assert_result(&run, ACTION_SUCCESS, "was read");
        g_assert_cmpstr(run.result.log, ==, "text\n");
    }
}

static void test_all_containers(void) {
    const Exchange exchanges[] = {{GET_POD, NULL, 200, TWO, NULL},
                                  {LOG("web", "20"), NULL, 200, "from web", NULL},
                                  {LAST("web"), NULL, 200, "from web\n", NULL},
                                  {LOG("side", "20"), NULL, 400, STATUS(400, "BadRequest"), NULL},
                                  {LOG("setup", "20"), NULL, 200, "", NULL},
                                  {LAST("setup"), NULL, 200, "", NULL},
                                  END};
    g_auto(Run) run = {0};
    run_against(exchanges, "kubernetes:log", EVENT(",\"container.name\":\"unknown\""), NULL, &run);
    assert_result(&run, ACTION_SUCCESS, "but for 1 of its 3 containers");
    g_assert_true(g_str_has_prefix(run.result.log, "==> container web <==\nfrom web\n\n==> container side <==\n["));
    assert_contains(run.result.log, "says the server");
    g_assert_true(g_str_has_suffix(run.result.log, "]\n\n==> container setup <==\n"));
}

static void test_no_log_at_all(void) {
    const Exchange exchanges[] = {
        {GET_POD, NULL, 200, ONE, NULL}, {LOG("web", "20"), NULL, 400, STATUS(400, "BadRequest"), NULL}, END};
    g_auto(Run) run = {0};
    run_against(exchanges, "kubernetes:log", EVENT(""), NULL, &run);
    assert_failed(&run, STOOP_ERROR_INVALID, "the log of the container 'web': ");

    const Exchange none[] = {
        {GET_POD, NULL, 200, "{\"metadata\":{\"uid\":\"u-1\"},\"spec\":{\"containers\":[{\"name\":\"web\"}]}}", NULL},
        END};
    g_auto(Run) second = {0};
    run_against(none, "kubernetes:log", EVENT(""), NULL, &second);
    assert_failed(&second, STOOP_ERROR_FAILED, "no container");
}

static void test_gone_and_namesake(void) {
    const Exchange gone[] = {{GET_POD, NULL, 404, STATUS(404, "NotFound"), NULL}, END};
    g_auto(Run) run = {0};
    run_against(gone, "kubernetes:log", EVENT(""), NULL, &run);
    assert_failed(&run, STOOP_ERROR_NOT_FOUND, "is gone");

    const Exchange namesake[] = {{GET_POD, NULL, 200, ONE, NULL}, END};
    g_auto(Run) second = {0};
    run_against(namesake, "kubernetes:log", EVENT(",\"k8s.pod.uid\":\"u-0\""), NULL, &second);
    assert_result(&second, ACTION_STALE, "another one now");
    g_assert_cmpstr(second.result.log, ==, NULL);
}

#define TEXT_64 "0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqr"
#define TEXT_1K                                                                                                        \
    TEXT_64 TEXT_64 TEXT_64 TEXT_64 TEXT_64 TEXT_64 TEXT_64 TEXT_64 TEXT_64 TEXT_64 TEXT_64 TEXT_64 TEXT_64 TEXT_64    \
        TEXT_64 TEXT_64
#define LONG_LINE TEXT_1K TEXT_1K TEXT_1K TEXT_1K "."

// The API server ends a log like any other when the kubelet goes in its middle: what comes after tells.
static void test_an_end_that_is_none(void) {
    static const struct {
        const char *log;
        int status;
        const char *last;
        bool fine;
    } cases[] = {
        {"whole\n", 200, "another\n", true},                                // nobody knows when
        {"whole\n", 200, "2999-01-01T00:00:00.123456789Z another\n", true}, // written since
        {"whole\n", 200, "2020-01-01T00:00:00.123456789Z another\n", false},
        {"whole\n", 200, "2020-01-01T00:00:00.123456789Z whole\n", true},
        {"one\nwhole\n", 200, "2020-01-01T00:00:00Z whole\n", true},
        {"whole\none\n", 200, "2020-01-01T00:00:00Z whole\n", false},
        {"", 200, "2020-01-01T00:00:00Z was there\n", false},
        {"whole\n", 200, "2020-01-01T00:00:00Z wholesome\n", false},
        {"\n", 200, "2020-01-01T00:00:00Z \n", true},
        {"no end", 200, "2020-01-01T00:00:00Z no end", true},
        {"no", 200, "2020-01-01T00:00:00Z on\n", false},
        {"no end", 200, "no end", true},         // a prompt, say
        {"no end", 200, "no end of it\n", true}, // which has gone on
        {"a\nb\ncut in the mid", 200, "c\n", false},
        {"cut", 200, "cu", false},
        {"cut", 200, "", false},
        {LONG_LINE, 200, "the end of a long line", true}, // which the runtime has split
        {"whole\n", 500, STATUS(500, "InternalError"), false},
        {"whole\n", 503, STATUS(503, "ServiceUnavailable"), false},
        {"whole\n", 404, STATUS(404, "NotFound"), true},   // deleted since
        {"whole\n", 400, STATUS(400, "BadRequest"), true}, // the container waits to start again
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        const Exchange exchanges[] = {{GET_POD, NULL, 200, ONE, NULL},
                                      {LOG("web", "20"), NULL, 200, cases[i].log, NULL},
                                      {LAST("web"), NULL, cases[i].status, cases[i].last, NULL},
                                      END};
        g_auto(Run) run = {0};
        run_against(exchanges, "kubernetes:log", EVENT(""), NULL, &run);
        if (cases[i].fine)
            assert_result(&run, ACTION_SUCCESS, "was read");
        else
            assert_failed(&run, STOOP_ERROR_UNAVAILABLE, "broke before the end of the log was seen");
    }
}

typedef struct {
    ArtifactSink sink;
    char *name;
    GString *bytes;
    size_t limit;
    StoopError refuses_with;
} MemorySink;

static bool sink_begin(ArtifactSink *sink, const char *name, GError **error) {
    MemorySink *memory = (MemorySink *)sink;
    g_assert_null(memory->name);
    memory->name = g_strdup(name);
    return true;
}

static bool sink_write(ArtifactSink *sink, const char *data, size_t len, GError **error) {
    MemorySink *memory = (MemorySink *)sink;
    g_assert_nonnull(memory->name);
    if (memory->bytes->len + len > memory->limit) {
        g_set_error(error, STOOP_ERROR, (gint)memory->refuses_with, "the limit is reached");
        return false;
    }
    g_string_append_len(memory->bytes, data, (gssize)len);
    return true;
}

static void run_with_sink(const Exchange *exchanges, size_t limit, StoopError refuses_with, MemorySink *sink,
                          Run *run) {
    *sink = (MemorySink){.sink = {.begin = sink_begin, .write = sink_write},
                         .bytes = g_string_new(NULL),
                         .limit = limit,
                         .refuses_with = refuses_with};
    FakeApi *fake = fake_api_new(exchanges);
    fake_api_run(fake, "kubernetes:log", EVENT(""), NULL, &sink->sink, run);
    fake_api_free(fake);
}

static void sink_clear(MemorySink *sink) {
    g_free(sink->name);
    g_string_free(sink->bytes, TRUE);
}

static void test_into_an_output(void) {
    const Exchange exchanges[] = {{GET_POD, NULL, 200, ONE, NULL},
                                  {LOG("web", "20"), NULL, 200, "\x1b[1mbytes as they are\xff", NULL},
                                  {LAST("web"), NULL, 200, "\x1b[1mbytes as they are\xff", NULL},
                                  END};
    g_auto(Run) run = {0};
    MemorySink sink;
    run_with_sink(exchanges, 1000, STOOP_ERROR_TOO_LARGE, &sink, &run);
    assert_result(&run, ACTION_SUCCESS, "was read");
    g_assert_cmpstr(sink.name, ==, "web-1.log");
    g_assert_cmpstr(sink.bytes->str, ==, "\x1b[1mbytes as they are\xff");
    g_assert_cmpstr(run.result.log, ==, NULL);
    sink_clear(&sink);
}

static void test_output_refuses(void) {
    const Exchange exchanges[] = {
        {GET_POD, NULL, 200, ONE, NULL}, {LOG("web", "20"), NULL, 200, "0123456789", NULL}, END};
    g_auto(Run) run = {0};
    MemorySink sink;
    run_with_sink(exchanges, 7, STOOP_ERROR_TOO_LARGE, &sink, &run);
    assert_failed(&run, STOOP_ERROR_TOO_LARGE, "the limit is reached");
    g_assert_cmpstr(sink.bytes->str, ==, "01234");
    sink_clear(&sink);
}

// The output refuses in the middle of several containers: that is no container's own fault, and ends it, whatever it
// says.
static void test_output_refuses_among_several(void) {
    static const struct {
        size_t limit;
        StoopError code;
    } cases[] = {
        {25, STOOP_ERROR_TOO_LARGE}, // the next header
        {22, STOOP_ERROR_TOO_LARGE}, // bytes of the log
        {22, STOOP_ERROR_NOT_FOUND},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        bool read = cases[i].limit > 22;
        const Exchange exchanges[] = {{GET_POD, NULL, 200, TWO, NULL},
                                      {LOG("web", "20"), NULL, 200, "abc", NULL},
                                      {read ? LAST("web") : NULL, NULL, 200, "abc", NULL},
                                      END};
        g_auto(Run) run = {0};
        MemorySink sink;
        run_with_sink(exchanges, cases[i].limit, cases[i].code, &sink, &run);
        g_assert_false(run.ok);
        g_assert_error(run.error, STOOP_ERROR, (gint)cases[i].code);
        assert_contains(run.error->message, "the limit is reached");
        sink_clear(&sink);
    }
}

static void test_text_codes(void) {
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"plain\n", "plain\n"},
        {"\x1b[1;31mred\x1b[0m", "red"},
        {"\x1b]0;title\x07text", "text"},
        {"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"},
        {"\x1b(Btext", "text"},
        {"\x1b=text", "text"},
        {"a\x1b[31\nb", "a\nb"},
        {"a\x1b]never ended\nb", "a\nb"},
        {"a\x1b", "a"},
        {"\xc3\xa4\xff", "\xc3\xa4\xef\xbf\xbd"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        // At once, and byte by byte: a code may come in two pieces.
        for (int step = 0; step < 2; step++) {
            g_auto(PlainText) text = PLAIN_TEXT_INIT(100);
            size_t len = strlen(cases[i].in);
            for (size_t at = 0; at < len; at += step ? 1 : len)
                plain_text_add(&text, cases[i].in + at, step ? 1 : len);
            g_autofree char *taken = plain_text_take(&text);
            g_assert_cmpstr(taken, ==, cases[i].out);
        }
    }
    g_auto(PlainText) nul = PLAIN_TEXT_INIT(100);
    plain_text_add(&nul, "a\0b", 3);
    g_autofree char *taken = plain_text_take(&nul);
    g_assert_cmpstr(taken, ==, "ab");
}

static void test_text_is_bounded(void) {
    g_auto(PlainText) text = PLAIN_TEXT_INIT(1000);
    for (int i = 0; i < 10000; i++) {
        g_autofree char *line = g_strdup_printf("line %d\n", i);
        plain_text_add(&text, line, strlen(line));
        g_assert_cmpuint(text.kept->len, <=, 2000);
    }
    g_autofree char *taken = plain_text_take(&text);
    g_assert_cmpuint(strlen(taken), <=, 1100);
    g_assert_true(g_str_has_suffix(taken, "\nline 9998\nline 9999\n"));
    unsigned dropped = 0;
    int first = 0;
    g_assert_cmpint(sscanf(taken, "[%u bytes before this were left out]\nline %d\n", &dropped, &first), ==, 2);
    // What is left out and what is there are the whole: 98,890 bytes were given.
    g_assert_cmpuint(dropped + strlen(strchr(taken, '\n') + 1), ==, 98890);
}

int main(int argc, char **argv) {
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/log/one-container", test_one_container);
    g_test_add_func("/log/named-container", test_named_container);
    g_test_add_func("/log/all-containers", test_all_containers);
    g_test_add_func("/log/none", test_no_log_at_all);
    g_test_add_func("/log/gone-and-namesake", test_gone_and_namesake);
    g_test_add_func("/log/an-end-that-is-none", test_an_end_that_is_none);
    g_test_add_func("/log/into-an-output", test_into_an_output);
    g_test_add_func("/log/output-refuses", test_output_refuses);
    g_test_add_func("/log/output-refuses-among-several", test_output_refuses_among_several);
    g_test_add_func("/log/text-codes", test_text_codes);
    g_test_add_func("/log/text-is-bounded", test_text_is_bounded);
    return g_test_run();
}
