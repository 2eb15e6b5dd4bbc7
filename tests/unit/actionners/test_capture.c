// kubernetes:tcpdump and kubernetes:sysdig: programs of the test stand in for both, run by the real shell.
#include "actionners/capture_job.h"
#include "base/error.h"
#include "fake_exec.h"

#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>

typedef struct {
    ArtifactSink sink; // first
    char *name;
    GString *bytes;
    size_t limit;
} Artifact;

static bool sink_begin(ArtifactSink *sink, const char *name, GError **error) {
    Artifact *self = (Artifact *)sink;
    g_assert_null(self->name);
    self->name = g_strdup(name);
    return true;
}

static bool sink_write(ArtifactSink *sink, const char *data, size_t len, GError **error) {
    Artifact *self = (Artifact *)sink;
    g_assert_nonnull(self->name);
    g_assert_true(sink->whole_pieces);
    if (self->limit && self->bytes->len + len > self->limit) {
        g_set_error_literal(error, STOOP_ERROR, STOOP_ERROR_TOO_LARGE, "the size limit is reached");
        return false;
    }
    g_string_append_len(self->bytes, data, (gssize)len);
    return true;
}

static void artifact_init(Artifact *artifact) {
    *artifact = (Artifact){.sink = {.begin = sink_begin, .write = sink_write}, .bytes = g_string_new(NULL)};
}

static void artifact_clear(Artifact *artifact) {
    g_free(artifact->name);
    g_string_free(artifact->bytes, TRUE);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Artifact, artifact_clear)

// --- The programs ---

static const char PCAP[] = "\xd4\xc3\xb2\xa1\2\0\4\0\0\0\0\0\0\0\0\0\0\0\4\0\1\0\0\0"
                           "\1\0\0\0\2\0\0\0\4\0\0\0\4\0\0\0one."
                           "\1\0\0\0\2\0\0\0\4\0\0\0\4\0\0\0two.";
// MARK_LEN: of the shell's mark that it began.
enum { PCAP_LEN = sizeof PCAP - 1, PCAP_ONE = 24 + 20, MARK_LEN = 46 };

static const char SCAP[] = "\n\r\r\n\x1c\0\0\0\x4d\x3c\x2b\x1a\1\0\2\0\xff\xff\xff\xff\xff\xff\xff\xff\x1c\0\0\0"
                           "\1\2\0\0\x10\0\0\0text\x10\0\0\0";
enum { SCAP_LEN = sizeof SCAP - 1 };

// A program that knows its own folder as $D, where `file` is with what a capture has.
static void add_program(ExecWorld *world, const char *name, const char *script, const char *file, size_t len) {
    world->exec.path = world->folder;
    g_autofree char *program = path_in(world, name);
    g_autofree char *text = g_strdup_printf("#!/bin/sh\nD='%s'\n%s\n", world->folder, script ? script : "");
    g_assert_true(g_file_set_contents(program, text, -1, NULL));
    g_assert_cmpint(g_chmod(program, 0700), ==, 0);
    g_autofree char *capture = path_in(world, "file");
    g_assert_true(g_file_set_contents(capture, file, (gssize)len, NULL));
}

// Asked about its option -Z, it says no.
#define NO_Z "case \" $* \" in *\" -r \"*) exit 1 ;; esac\n"
#define TELL "echo \"$*\" >\"$D/arguments\"\n"

static char *content(ExecWorld *world, const char *name) {
    g_autofree char *path = path_in(world, name);
    char *text = NULL;
    g_file_get_contents(path, &text, NULL, NULL);
    return text;
}

// --- tcpdump ---

#define EPHEMERAL(status)                                                                                              \
    "{\"metadata\":{\"uid\":\"u-1\"},\"spec\":{\"containers\":[{\"name\":\"web\"}]},\"status\":{"                      \
    "\"ephemeralContainerStatuses\":[{\"name\":\"stoop-tcpdump-RANDOM\",\"state\":{" status "}}]}}"
#define PATCH_POD "PATCH /api/v1/namespaces/shop/pods/web-1/ephemeralcontainers"
#define WAITER                                                                                                         \
    "\"n=$1; while [ ! -e \\\"${TMPDIR:-/tmp}/stoop-done\\\" ] && [ \\\"$n\\\" -gt 0 ]; do sleep 1; n=$((n - 1)); "    \
    "done; exit 0\""
#define PATCH_BODY(seconds)                                                                                            \
    "{\"metadata\":{\"uid\":\"u-1\"},\"spec\":{\"ephemeralContainers\":[{\"name\":\"stoop-tcpdump-RANDOM\",\"image\":" \
    "\"some/tcpdump:1\",\"imagePullPolicy\":\"IfNotPresent\",\"command\":[\"sh\",\"-c\"," WAITER                       \
    ",\"stoop\",\"" seconds "\"],\"securityContext\":{\"allowPrivilegeEscalation\":false,\"capabilities\":{\"add\":["  \
    "\"NET_RAW\",\"SETGID\"],\"drop\":[\"ALL\"]},\"runAsUser\":0,\"runAsNonRoot\":false}}]}}"
#define EXEC GET_POD "/exec?container=stoop-tcpdump-RANDOM&stdin=true&stdout=true&stderr=true&command=sh&command=-s"
#define RELEASE                                                                                                        \
    GET_POD "/exec?container=stoop-tcpdump-RANDOM&stdout=true&stderr=true&command=sh&command=-c&command="              \
            "%3A%20%3E%22%24%7BTMPDIR%3A-%2Ftmp%7D%2Fstoop-done%22"

static void tcpdump_against(ExecWorld *world, const Exchange *exchanges, const char *params, Artifact *artifact,
                            Run *run) {
    g_autofree char *event = event_with(NULL, NULL);
    FakeApi *fake = fake_api_new(exchanges);
    fake_exec_install(fake, &world->exec);
    fake_api_run(fake, "kubernetes:tcpdump", event, params, &artifact->sink, run);
    fake_api_free(fake);
}

static void tcpdump(ExecWorld *world, Artifact *artifact, Run *run) {
    const Exchange exchanges[] = {{GET_POD, NULL, 200, ONE, NULL},
                                  {PATCH_POD, PATCH_BODY("41"), 200, "{}", NULL},
                                  {GET_POD, NULL, 200, EPHEMERAL("\"running\":{}"), NULL},
                                  {EXEC, NULL, 101, "", NULL},
                                  END};
    tcpdump_against(world, exchanges, "duration: 1\nsnaplen: 77\nimage: some/tcpdump:1", artifact, run);
}

static void test_tcpdump(void) {
    static const struct {
        const char *script, *arguments, *text;
    } cases[] = {
        {NO_Z TELL "cat \"$D/file\"; echo '0 packets dropped by kernel' >&2; exec sleep 20",
         "-i any -n -p --immediate-mode -U -s 77 -w -\n", "2 packets of the pod 'web-1'"},
        {"case \" $* \" in *' -r '*) exec cat >/dev/null ;; esac\n" TELL
         "cat \"$D/file\"; echo '2 packets captured\n9 packets dropped by kernel' >&2; exec sleep 20",
         "-Z root -i any -n -p --immediate-mode -U -s 77 -w -\n", "the kernel dropped 9 more"},
        // The duration ends it, whether it handles the signal or not.
        {NO_Z TELL "cat \"$D/file\"; exec sleep 20", "-i any -n -p --immediate-mode -U -s 77 -w -\n", " in 1 s"},
        {NO_Z TELL "trap 'exit 0' TERM\ncat \"$D/file\"; while :; do sleep 0.05; done",
         "-i any -n -p --immediate-mode -U -s 77 -w -\n", " in 1 s"},
        {NO_Z TELL "trap '' TERM\ncat \"$D/file\"; while :; do sleep 0.05; done",
         "-i any -n -p --immediate-mode -U -s 77 -w -\n", " in 1 s; tcpdump did not end when told to, and was killed"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(ExecWorld) world;
        exec_world_init(&world);
        add_program(&world, "tcpdump", cases[i].script, PCAP, PCAP_LEN);
        g_auto(Artifact) artifact;
        artifact_init(&artifact);
        g_auto(Run) run = {0};
        tcpdump(&world, &artifact, &run);
        assert_result(&run, ACTION_SUCCESS, cases[i].text);
        g_assert_cmpstr(artifact.name, ==, "web-1.pcap");
        g_assert_cmpmem(artifact.bytes->str, artifact.bytes->len, PCAP, PCAP_LEN);
        g_autofree char *arguments = content(&world, "arguments"), *done = content(&world, "stoop-done");
        g_assert_cmpstr(arguments, ==, cases[i].arguments);
        g_assert_cmpstr(done, ==, ""); // the waiting container was told
        g_assert_true(g_str_has_prefix(object_of(&run, "container"), "stoop-tcpdump-"));
    }
}

static void test_tcpdump_fails(void) {
    static const struct {
        StoopError code;
        const char *script, *text;
    } cases[] = {
        {STOOP_ERROR_FAILED, NO_Z "echo 'tcpdump: any: You do not have permission' >&2; exit 1",
         "exit status 1: tcpdump: any: You do"},
        {STOOP_ERROR_FAILED, NO_Z "kill -KILL $$", "exit status 137"}, // before anything was captured
        {STOOP_ERROR_INVALID, NO_Z "echo 'this is no capture'", "no pcap file"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(ExecWorld) world;
        exec_world_init(&world);
        add_program(&world, "tcpdump", cases[i].script, PCAP, PCAP_LEN);
        const Exchange exchanges[] = {{GET_POD, NULL, 200, ONE, NULL},
                                      {PATCH_POD, PATCH_BODY("41"), 200, "{}", NULL},
                                      {GET_POD, NULL, 200, EPHEMERAL("\"running\":{}"), NULL},
                                      {EXEC, NULL, 101, "", NULL},
                                      {cases[i].code == STOOP_ERROR_FAILED ? NULL : RELEASE, NULL, 101, "", NULL},
                                      END};
        g_auto(Artifact) artifact;
        artifact_init(&artifact);
        g_auto(Run) run = {0};
        tcpdump_against(&world, exchanges, "duration: 1\nimage: some/tcpdump:1", &artifact, &run);
        assert_failed(&run, (gint)cases[i].code, cases[i].text);
        g_assert_null(artifact.name);
    }
}

// The stream ends in the middle of the second packet: what is whole is there. The pod tells whether that is well.
static void test_tcpdump_and_the_end_of_the_pod(void) {
    static const char *const pods[] = {
        "{\"metadata\":{\"uid\":\"u-1\",\"deletionTimestamp\":\"2026-01-01T00:00:00Z\"}}",
        "{\"metadata\":{\"uid\":\"u-2\"}}",
        "{\"metadata\":{\"uid\":\"u-1\"},\"status\":{\"phase\":\"Failed\"}}",
    };
    for (size_t i = 0; i <= G_N_ELEMENTS(pods); i++) {
        bool gone = i == G_N_ELEMENTS(pods);
        g_auto(ExecWorld) world;
        exec_world_init(&world);
        add_program(&world, "tcpdump", NO_Z "cat \"$D/file\"; sleep 0.2; cat \"$D/file\"", PCAP, PCAP_LEN - 3);
        world.exec.modes[0] = i % 2 ? EXEC_CUT : EXEC_NO_END;
        world.exec.cut_after = MARK_LEN + PCAP_LEN;
        const Exchange exchanges[] = {{GET_POD, NULL, 200, ONE, NULL},
                                      {PATCH_POD, PATCH_BODY("99"), 200, "{}", NULL},
                                      {GET_POD, NULL, 200, EPHEMERAL("\"running\":{}"), NULL},
                                      {EXEC, NULL, 101, "", NULL},
                                      {RELEASE, NULL, 101, "", NULL},
                                      {GET_POD, NULL, gone ? 404 : 200, gone ? "{}" : pods[i], NULL},
                                      END};
        g_auto(Artifact) artifact;
        artifact_init(&artifact);
        g_auto(Run) run = {0};
        tcpdump_against(&world, exchanges, "duration: 59\nimage: some/tcpdump:1", &artifact, &run);
        assert_result(&run, ACTION_SUCCESS, "until the pod ended, which cut the capture short");
        g_assert_cmpmem(artifact.bytes->str, PCAP_ONE, PCAP, PCAP_ONE);
    }
}

// Before its time, as the end of a pod ends it.
static void test_tcpdump_ended_early(void) {
    static const char *const ends[] = {"exit 0", "kill -TERM $$; sleep 1", "kill -KILL $$", "kill -KILL $PPID"};
    for (size_t i = 0; i < G_N_ELEMENTS(ends); i++) {
        g_auto(ExecWorld) world;
        exec_world_init(&world);
        g_autofree char *script = g_strconcat(NO_Z "cat \"$D/file\"; ", ends[i], NULL);
        add_program(&world, "tcpdump", script, PCAP, PCAP_LEN);
        const Exchange exchanges[] = {
            {GET_POD, NULL, 200, ONE, NULL},
            {PATCH_POD, PATCH_BODY("99"), 200, "{}", NULL},
            {GET_POD, NULL, 200, EPHEMERAL("\"running\":{}"), NULL},
            {EXEC, NULL, 101, "", NULL},
            {GET_POD, NULL, 200, "{\"metadata\":{\"uid\":\"u-1\"},\"status\":{\"phase\":\"Failed\"}}", NULL},
            END};
        g_auto(Artifact) artifact;
        artifact_init(&artifact);
        g_auto(Run) run = {0};
        tcpdump_against(&world, exchanges, "duration: 59\nimage: some/tcpdump:1", &artifact, &run);
        assert_result(&run, ACTION_SUCCESS, "2 packets of the pod 'web-1'");
        assert_result(&run, ACTION_SUCCESS, "until the pod ended, which cut the capture short");
        g_assert_cmpmem(artifact.bytes->str, artifact.bytes->len, PCAP, PCAP_LEN);
    }
}

// The connection hangs, and the capture's own time is over before the action's.
static void test_tcpdump_without_an_end(void) {
    g_auto(ExecWorld) world;
    exec_world_init(&world);
    add_program(&world, "tcpdump", NO_Z "cat \"$D/file\"", PCAP, PCAP_LEN - 3);
    world.exec.modes[0] = EXEC_HANGS;
    world.exec.cut_after = MARK_LEN + PCAP_LEN;
    const Exchange exchanges[] = {{GET_POD, NULL, 200, ONE, NULL},
                                  {PATCH_POD, PATCH_BODY("41"), 200, "{}", NULL},
                                  {GET_POD, NULL, 200, EPHEMERAL("\"running\":{}"), NULL},
                                  {EXEC, NULL, 101, "", NULL},
                                  {RELEASE, NULL, 101, "", NULL},
                                  END};
    g_auto(Artifact) artifact;
    artifact_init(&artifact);
    g_auto(Run) run = {0};
    tcpdump_against(&world, exchanges, "duration: 1\nimage: some/tcpdump:1", &artifact, &run);
    assert_result(&run, ACTION_SUCCESS, "until no end of it was seen in time, which cut the capture short");
    g_assert_cmpmem(artifact.bytes->str, artifact.bytes->len, PCAP, PCAP_ONE);
}

static void test_tcpdump_beyond_the_limit(void) {
    g_auto(ExecWorld) world;
    exec_world_init(&world);
    add_program(&world, "tcpdump", NO_Z "cat \"$D/file\"; exec sleep 0.1", PCAP, PCAP_LEN);
    const Exchange exchanges[] = {{GET_POD, NULL, 200, ONE, NULL},
                                  {PATCH_POD, PATCH_BODY("41"), 200, "{}", NULL},
                                  {GET_POD, NULL, 200, EPHEMERAL("\"running\":{}"), NULL},
                                  {EXEC, NULL, 101, "", NULL},
                                  {RELEASE, NULL, 101, "", NULL},
                                  END};
    g_auto(Artifact) artifact;
    artifact_init(&artifact);
    artifact.limit = PCAP_LEN - 1;
    g_auto(Run) run = {0};
    tcpdump_against(&world, exchanges, "duration: 1\nimage: some/tcpdump:1", &artifact, &run);
    assert_failed(&run, STOOP_ERROR_TOO_LARGE, "size limit");
    g_assert_cmpmem(artifact.bytes->str, artifact.bytes->len, PCAP, PCAP_ONE);
    g_autofree char *done = content(&world, "stoop-done");
    g_assert_cmpstr(done, ==, "");
}

static void test_tcpdump_does_not_start(void) {
    g_auto(ExecWorld) world;
    exec_world_init(&world);
    const Exchange refused[] = {
        {GET_POD, NULL, 200, ONE, NULL},
        {PATCH_POD, PATCH_BODY("41"), 200, "{}", NULL},
        {GET_POD, NULL, 200, EPHEMERAL("\"waiting\":{\"reason\":\"ErrImagePull\",\"message\":\"not found\"}"), NULL},
        END};
    const Exchange ended[] = {
        {GET_POD, NULL, 200, "{\"metadata\":{\"uid\":\"u-1\"},\"status\":{\"phase\":\"Succeeded\"}}", NULL}, END};
    const Exchange none[] = {{GET_POD, NULL, 200, ONE, NULL}, END};
    const struct {
        const Exchange *exchanges;
        const char *params;
        StoopError code;
        const char *text;
    } cases[] = {
        {refused, "duration: 1\nimage: some/tcpdump:1", STOOP_ERROR_FAILED, "some/tcpdump:1"},
        {refused, "duration: 1\nimage: some/tcpdump:1", STOOP_ERROR_FAILED, "ErrImagePull: not found"},
        {ended, "image: some/tcpdump:1", STOOP_ERROR_NOT_FOUND, "has ended already"},
        {none, NULL, STOOP_ERROR_INVALID, "`images.tcpdump`"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(Artifact) artifact;
        artifact_init(&artifact);
        g_auto(Run) run = {0};
        tcpdump_against(&world, cases[i].exchanges, cases[i].params, &artifact, &run);
        assert_failed(&run, (gint)cases[i].code, cases[i].text);
        g_assert_null(artifact.name);
        fake_exec_clear(&world.exec);
    }
}

// --- sysdig ---

#define JOB "stoop-sysdig-NAME"
#define JOBS "/apis/batch/v1/namespaces/shop/jobs"
#define ON_NODE                                                                                                        \
    "{\"metadata\":{\"uid\":\"u-1\"},\"spec\":{\"nodeName\":\"node-7\",\"containers\":[{\"name\":\"web\"}]},"          \
    "\"status\":{\"containerStatuses\":[" RUNNING("web", "0123456789abcdef0123") "]}}"
#define SWEEP                                                                                                          \
    "GET " JOBS "?limit=500&labelSelector=app.kubernetes.io%2Fmanaged-by%3Dstoop%2Capp.kubernetes.io%2Fcomponent%3D"   \
    "capture"
#define NO_ITEMS "{\"metadata\":{\"resourceVersion\":\"1\"},\"items\":[]}"
#define DELETE_BODY "{\"kind\":\"DeleteOptions\",\"apiVersion\":\"v1\",\"propagationPolicy\":\"Background\"}"
#define DELETE_OWN                                                                                                     \
    "{\"kind\":\"DeleteOptions\",\"apiVersion\":\"v1\",\"propagationPolicy\":\"Background\","                          \
    "\"preconditions\":{\"uid\":\"j-1\"}}"
#define JOB_POD(status)                                                                                                \
    "{\"metadata\":{\"resourceVersion\":\"1\"},\"items\":[{\"metadata\":{\"name\":\"other\",\"ownerReferences\":[{"    \
    "\"kind\":\"Job\",\"name\":\"x\",\"uid\":\"j-0\",\"controller\":true}]},\"status\":{\"phase\":\"Failed\"}},"       \
    "{\"metadata\":{\"name\":\"job-pod\",\"ownerReferences\":[{\"apiVersion\":\"batch/v1\",\"kind\":\"Job\","          \
    "\"name\":\"x\",\"uid\":\"j-1\",\"controller\":true}]},\"status\":{" status "}}]}"
#define RUNS "\"containerStatuses\":[{\"state\":{\"running\":{}}}]"
#define JOB_EXEC                                                                                                       \
    "GET /api/v1/namespaces/shop/pods/job-pod/"                                                                        \
    "exec?container=sysdig&stdin=true&stdout=true&stderr=true&command=sh&command=-s"

// The name that Stoop gives is a hash: taken from what the fake event is.
static char *job_name(void) {
    g_autofree char *event = event_with(NULL, NULL);
    const uint8_t random16[16] = {1};
    g_autoptr(Event) parsed = event_parse(event, strlen(event), NULL, random16, NULL);
    g_autofree char *text = g_strdup_printf("%s\nshop\nweb-1", parsed->trace_id);
    g_autofree char *sum = g_compute_checksum_for_string(G_CHECKSUM_SHA256, text, -1);
    return g_strdup_printf("stoop-sysdig-%.20s", sum);
}

typedef struct {
    char *name, *body, *create, *pods, *remove;
} Lines;

static void lines_init(Lines *lines, int64_t duration) {
    lines->name = job_name();
    CaptureJob job = {.job_namespace = "shop",
                      .name = lines->name,
                      .node = "node-7",
                      .image = "some/sysdig:1",
                      .duration_s = duration + 2};
    lines->body = capture_job_text(&job);
    lines->create = g_strdup("POST " JOBS);
    lines->pods =
        g_strdup_printf("GET /api/v1/namespaces/shop/pods?limit=500&labelSelector=job-name%%3D%s", lines->name);
    lines->remove = g_strdup_printf("DELETE " JOBS "/%s", lines->name);
}

static void lines_clear(Lines *lines) {
    g_free(lines->name);
    g_free(lines->body);
    g_free(lines->create);
    g_free(lines->pods);
    g_free(lines->remove);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Lines, lines_clear)

static void sysdig_against(ExecWorld *world, const Exchange *exchanges, const char *params, Artifact *artifact,
                           Run *run) {
    g_autofree char *event = event_with(NULL, NULL);
    FakeApi *fake = fake_api_new(exchanges);
    fake_exec_install(fake, &world->exec);
    fake_api_run(fake, "kubernetes:sysdig", event, params, &artifact->sink, run);
    fake_api_free(fake);
}

#define JOB_CREATED "{\"metadata\":{\"uid\":\"j-1\"}}"
#define PARAMS "duration: 1\nimage: some/sysdig:1"

static void test_sysdig(void) {
    static const struct {
        const char *params, *arguments, *text;
    } cases[] = {
        {PARAMS "\nbuffer_size: 500",
         "--modern-bpf -s 500 -M 1 -w /dev/stdout container.id in (0123456789ab) or (k8s.ns.name=shop and "
         "k8s.pod.name=web-1)\n",
         "the system calls of the pod 'web-1'"},
        {PARAMS "\nscope: node", "--modern-bpf -s 2048 -M 1 -w /dev/stdout\n", "the system calls of the node 'node-7'"},
    };
    g_auto(Lines) lines;
    lines_init(&lines, 1);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        const Exchange exchanges[] = {{GET_POD, NULL, 200, ON_NODE, NULL},
                                      {SWEEP, NULL, 200, NO_ITEMS, NULL},
                                      {lines.create, lines.body, 201, JOB_CREATED, NULL},
                                      {lines.pods, NULL, 200, NO_ITEMS, NULL},
                                      {lines.pods, NULL, 200, JOB_POD("\"phase\":\"Pending\""), NULL},
                                      {lines.pods, NULL, 200, JOB_POD(RUNS), NULL},
                                      {JOB_EXEC, NULL, 101, "", NULL},
                                      {lines.remove, DELETE_OWN, 200, "{}", NULL},
                                      END};
        g_auto(ExecWorld) world;
        exec_world_init(&world);
        add_program(&world, "sysdig", TELL "cat \"$D/file\"", SCAP, SCAP_LEN);
        g_auto(Artifact) artifact;
        artifact_init(&artifact);
        g_auto(Run) run = {0};
        sysdig_against(&world, exchanges, cases[i].params, &artifact, &run);
        assert_result(&run, ACTION_SUCCESS, cases[i].text);
        g_assert_cmpstr(artifact.name, ==, "web-1.scap");
        g_assert_cmpmem(artifact.bytes->str, artifact.bytes->len, SCAP, SCAP_LEN);
        g_autofree char *arguments = content(&world, "arguments");
        g_assert_cmpstr(arguments, ==, cases[i].arguments);
        g_assert_cmpstr(object_of(&run, "node"), ==, "node-7");
    }
}

// However it ends, the Job is deleted.
static void test_sysdig_fails(void) {
    static const struct {
        const char *status, *script; // of the pod; of the program, when it runs ("": there is none)
        StoopError code;
        const char *text;
    } cases[] = {
        {"\"containerStatuses\":[{\"state\":{\"waiting\":{\"reason\":\"ErrImagePull\",\"message\":\"no such\"}}}]",
         NULL, STOOP_ERROR_FAILED, "ErrImagePull: no such"},
        {"\"phase\":\"Failed\",\"reason\":\"UnexpectedAdmissionError\",\"message\":\"no room\"", NULL,
         STOOP_ERROR_FAILED, "UnexpectedAdmissionError: no room"},
        {RUNS, "", STOOP_ERROR_FAILED, "the image has no program `sysdig`"},
        {RUNS, "echo 'no BTF' >&2; exit 1", STOOP_ERROR_FAILED, "exit status 1 and captured nothing: no BTF"},
        {RUNS, "exit 0", STOOP_ERROR_FAILED, "captured nothing"},
        {RUNS, "cat \"$D/file\"; echo lost >&2; exit 3", STOOP_ERROR_FAILED, "exit status 3: lost"},
        {RUNS, "echo 'This is what it prints when it fails'", STOOP_ERROR_INVALID, "no scap file"},
    };
    g_auto(Lines) lines;
    lines_init(&lines, 1);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree char *pods = g_strdup_printf(
            "{\"metadata\":{\"resourceVersion\":\"1\"},\"items\":[{\"metadata\":{\"name\":\"job-pod\","
            "\"ownerReferences\":[{\"apiVersion\":\"batch/v1\",\"kind\":\"Job\",\"name\":\"x\",\"uid\":\"j-1\","
            "\"controller\":true}]},\"status\":{%s}}]}",
            cases[i].status);
        Exchange exchanges[8] = {{GET_POD, NULL, 200, ON_NODE, NULL},
                                 {SWEEP, NULL, 403, "{}", NULL},
                                 {lines.create, lines.body, 201, JOB_CREATED, NULL},
                                 {lines.pods, NULL, 200, pods, NULL}};
        size_t n = 4;
        if (cases[i].script)
            exchanges[n++] = (Exchange){JOB_EXEC, NULL, 101, "", NULL};
        exchanges[n++] = (Exchange){lines.remove, DELETE_OWN, 200, "{}", NULL};
        g_auto(ExecWorld) world;
        exec_world_init(&world);
        add_program(&world, cases[i].script && *cases[i].script ? "sysdig" : "other", cases[i].script, SCAP, SCAP_LEN);
        g_auto(Artifact) artifact;
        artifact_init(&artifact);
        g_auto(Run) run = {0};
        sysdig_against(&world, exchanges, PARAMS, &artifact, &run);
        assert_failed(&run, (gint)cases[i].code, cases[i].text);
    }
}

static void test_sysdig_without_a_pod(void) {
    g_auto(Lines) lines;
    lines_init(&lines, 1);
    const Exchange exchanges[] = {
        {GET_POD, NULL, 200, ON_NODE, NULL},
        {SWEEP, NULL, 200, NO_ITEMS, NULL},
        {lines.create, lines.body, 201, JOB_CREATED, NULL},
        {lines.pods, NULL, 200, NO_ITEMS, NULL},
        {lines.pods, NULL, 200, NO_ITEMS, NULL},
        {lines.pods, NULL, 200, NO_ITEMS, NULL},
        {lines.pods, NULL, 200, NO_ITEMS, NULL},
        {lines.pods, NULL, 200, NO_ITEMS, NULL},
        {"GET /api/v1/namespaces/shop/events?limit=500&fieldSelector=involvedObject.uid%3Dj-1%2Creason%3DFailedCreate",
         NULL, 200,
         "{\"metadata\":{\"resourceVersion\":\"1\"},\"items\":[{\"message\":\"pods are forbidden: violates "
         "PodSecurity\"}]}",
         NULL},
        {lines.remove, DELETE_OWN, 404, "{}", NULL},
        END};
    g_auto(ExecWorld) world;
    exec_world_init(&world);
    g_auto(Artifact) artifact;
    artifact_init(&artifact);
    g_auto(Run) run = {0};
    sysdig_against(&world, exchanges, PARAMS, &artifact, &run);
    assert_failed(&run, STOOP_ERROR_FORBIDDEN, "violates PodSecurity");
    assert_contains(run.error->message, "`namespace`");
}

// What is left of the same action is replaced; what is over of others goes, and what is not stays.
static void test_sysdig_and_what_was_left(void) {
    g_auto(Lines) lines;
    lines_init(&lines, 1);
    g_autofree char *old = g_strdup_printf(
        "{\"metadata\":{\"resourceVersion\":\"1\"},\"items\":["
        "{\"metadata\":{\"name\":\"%s\",\"creationTimestamp\":\"2020-01-01T00:00:00Z\"}},"
        "{\"metadata\":{\"name\":\"finished\",\"creationTimestamp\":\"2999-01-01T00:00:00Z\"},\"spec\":{"
        "\"activeDeadlineSeconds\":100},\"status\":{\"conditions\":[{\"type\":\"Complete\",\"status\":\"True\"}]}},"
        "{\"metadata\":{\"name\":\"busy\",\"creationTimestamp\":\"2999-01-01T00:00:00Z\"},\"spec\":{"
        "\"activeDeadlineSeconds\":100},\"status\":{\"conditions\":[{\"type\":\"Suspended\",\"status\":\"True\"}]}},"
        "{\"metadata\":{\"name\":\"old\",\"creationTimestamp\":\"2020-01-01T00:00:00Z\"},\"spec\":{"
        "\"activeDeadlineSeconds\":100}}]}",
        lines.name);
    const Exchange exchanges[] = {{GET_POD, NULL, 200, ON_NODE, NULL},
                                  {SWEEP, NULL, 200, old, NULL},
                                  {"DELETE " JOBS "/finished", DELETE_BODY, 200, "{}", NULL},
                                  {"DELETE " JOBS "/old", DELETE_BODY, 404, "{}", NULL},
                                  {lines.create, lines.body, 409, "{}", NULL},
                                  {lines.remove, DELETE_BODY, 200, "{}", NULL},
                                  {lines.create, lines.body, 201, JOB_CREATED, NULL},
                                  {lines.pods, NULL, 200, JOB_POD(RUNS), NULL},
                                  {JOB_EXEC, NULL, 101, "", NULL},
                                  {lines.remove, DELETE_OWN, 403, "{\"message\":\"no right\"}", NULL},
                                  END};
    g_auto(ExecWorld) world;
    exec_world_init(&world);
    add_program(&world, "sysdig", "cat \"$D/file\"", SCAP, SCAP_LEN);
    g_auto(Artifact) artifact;
    artifact_init(&artifact);
    g_auto(Run) run = {0};
    sysdig_against(&world, exchanges, PARAMS, &artifact, &run);
    assert_result(&run, ACTION_SUCCESS, "was not removed, and ends by itself");
}

// What the API server is given is a Job that ends and goes by itself.
static void test_the_job(void) {
    g_auto(Lines) lines;
    lines_init(&lines, 3);
    yyjson_doc *doc = yyjson_read(lines.body, strlen(lines.body), 0);
    yyjson_val *root = yyjson_doc_get_root(doc);
    g_assert_nonnull(root);
    g_assert_cmpint(yyjson_get_int(yyjson_ptr_get(root, "/spec/backoffLimit")), ==, 0);
    g_assert_cmpint(yyjson_get_int(yyjson_ptr_get(root, "/spec/activeDeadlineSeconds")), ==, 185);
    g_assert_cmpint(yyjson_get_int(yyjson_ptr_get(root, "/spec/ttlSecondsAfterFinished")), ==, 30);
    g_assert_cmpstr(yyjson_get_str(yyjson_ptr_get(root, "/metadata/labels/app.kubernetes.io~1managed-by")), ==,
                    "stoop");
    g_assert_cmpstr(yyjson_get_str(yyjson_ptr_get(root, "/spec/template/spec/restartPolicy")), ==, "Never");
    g_assert_cmpstr(yyjson_get_str(yyjson_ptr_get(root, "/spec/template/spec/containers/0/command/4")), ==, "45");
    g_assert_false(yyjson_get_bool(yyjson_ptr_get(root, "/spec/template/spec/automountServiceAccountToken")));
    yyjson_doc_free(doc);
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN);
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/capture/tcpdump", test_tcpdump);
    g_test_add_func("/capture/tcpdump-fails", test_tcpdump_fails);
    g_test_add_func("/capture/tcpdump-pod-ends", test_tcpdump_and_the_end_of_the_pod);
    g_test_add_func("/capture/tcpdump-limit", test_tcpdump_beyond_the_limit);
    g_test_add_func("/capture/tcpdump-early", test_tcpdump_ended_early);
    g_test_add_func("/capture/tcpdump-no-end", test_tcpdump_without_an_end);
    g_test_add_func("/capture/tcpdump-does-not-start", test_tcpdump_does_not_start);
    g_test_add_func("/capture/sysdig", test_sysdig);
    g_test_add_func("/capture/sysdig-fails", test_sysdig_fails);
    g_test_add_func("/capture/sysdig-without-a-pod", test_sysdig_without_a_pod);
    g_test_add_func("/capture/sysdig-leftovers", test_sysdig_and_what_was_left);
    g_test_add_func("/capture/job", test_the_job);
    return g_test_run();
}
