// kubernetes:download, with the real shell of this machine as a container.
#include "base/error.h"
#include "fake_exec.h"

#include <signal.h>
#include <string.h>
#include <sys/stat.h>

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

static void download(ExecWorld *world, const char *file, Artifact *artifact, Run *run) {
    g_autofree char *event = event_with("fd.name", file);
    run_in_one(world, "kubernetes:download", "sh", event, "file: ${FD_NAME}", &artifact->sink, run);
}

static void test_downloads(void) {
    static const char *const names[] = {"plain",          "a b", "it's \"1\"", "-rf", "new\nline\n",
                                        "$(touch pwned)", "`x`", "*",          "\\n", "\xc3\xa9"};
    g_auto(ExecWorld) world;
    exec_world_init(&world);
    g_autoptr(GString) content = g_string_new(NULL);
    for (int i = 0; i < 200000; i++)
        g_string_append_c(content, (char)(i * 7 % 256));
    for (size_t i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *file = path_in(&world, names[i]);
        g_assert_true(g_file_set_contents(file, content->str, i == 0 ? 0 : (gssize)content->len, NULL));
        g_auto(Artifact) artifact;
        artifact_init(&artifact);
        g_auto(Run) run = {0};
        download(&world, file, &artifact, &run);
        assert_result(&run, ACTION_SUCCESS, "was read");
        g_assert_cmpstr(artifact.name, ==, file);
        g_assert_cmpmem(artifact.bytes->str, artifact.bytes->len, content->str, i == 0 ? 0 : content->len);
        g_assert_null(run.result.log);
    }
}

static void test_what_is_no_file(void) {
    g_auto(ExecWorld) world;
    exec_world_init(&world);
    g_autofree char *fifo = path_in(&world, "fifo");
    g_assert_cmpint(mkfifo(fifo, 0600), ==, 0);
    g_autofree char *none = path_in(&world, "none");
    const struct {
        const char *file;
        StoopError code;
        const char *text;
    } cases[] = {
        {world.folder, STOOP_ERROR_INVALID, "is a directory"},
        {fifo, STOOP_ERROR_INVALID, "no regular file"},
        {"/dev/zero", STOOP_ERROR_INVALID, "no regular file"},
        {none, STOOP_ERROR_NOT_FOUND, "does not exist"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(Artifact) artifact;
        artifact_init(&artifact);
        g_auto(Run) run = {0};
        download(&world, cases[i].file, &artifact, &run);
        assert_failed(&run, (gint)cases[i].code, cases[i].text);
        g_assert_null(artifact.name);
    }
}

static void check_bad_path(const char *fields, const char *params, const char *text) {
    const Exchange none[] = {END};
    g_auto(Artifact) artifact;
    artifact_init(&artifact);
    g_autofree char *event = event_with("fd.name", fields);
    FakeApi *fake = fake_api_new(none);
    g_auto(Run) run = {0};
    fake_api_run(fake, "kubernetes:download", event, params, &artifact.sink, &run);
    fake_api_free(fake);
    assert_failed(&run, STOOP_ERROR_INVALID, text);
}

static void test_bad_paths(void) {
    check_bad_path("x", "file: etc/passwd", "not a full path");
    check_bad_path("1.2.3.4:5->6.7.8.9:10", "file: ${FD_NAME}", "not a full path");
    check_bad_path("x", "file: /${NO_SUCH}", "no variable ${NO_SUCH}");
    g_autofree char *name = g_strnfill(5000, 'x');
    name[0] = '/';
    check_bad_path(name, "file: ${FD_NAME}", "longer than");
}

static void test_a_download_that_is_cut(void) {
    g_auto(ExecWorld) world;
    exec_world_init(&world);
    g_autofree char *file = path_in(&world, "big");
    g_autofree char *content = g_strnfill(1000000, 'x');
    g_assert_true(g_file_set_contents(file, content, 1000000, NULL));
    g_auto(Artifact) limited;
    artifact_init(&limited);
    limited.limit = 100000;
    g_auto(Run) run = {0};
    download(&world, file, &limited, &run);
    assert_failed(&run, STOOP_ERROR_TOO_LARGE, "size limit");

    world.exec.modes[1] = EXEC_CUT;
    world.exec.cut_after = 500000;
    g_auto(Artifact) lost;
    artifact_init(&lost);
    g_auto(Run) broken = {0};
    download(&world, file, &lost, &broken);
    assert_failed(&broken, STOOP_ERROR_UNAVAILABLE, "connection");
}

// Broken before a byte came: once more.
static void test_a_connection_that_breaks_at_once(void) {
    for (int twice = 0; twice < 2; twice++) {
        g_auto(ExecWorld) world;
        exec_world_init(&world);
        world.exec.modes[0] = EXEC_CUT;
        world.exec.modes[1] = twice ? EXEC_CUT : EXEC_RUNS;
        g_autofree char *file = path_in(&world, "file"), *line = exec_line("web", "sh");
        g_assert_true(g_file_set_contents(file, "content", 7, NULL));
        const Exchange exchanges[] = {
            {GET_POD, NULL, 200, ONE, NULL}, {line, NULL, 101, "", NULL}, {line, NULL, 101, "", NULL}, END};
        g_autofree char *event = event_with("fd.name", file);
        g_auto(Artifact) artifact;
        artifact_init(&artifact);
        g_auto(Run) run = {0};
        FakeApi *fake = fake_api_new(exchanges);
        fake_exec_install(fake, &world.exec);
        fake_api_run(fake, "kubernetes:download", event, "file: ${FD_NAME}", &artifact.sink, &run);
        fake_api_free(fake);
        if (twice)
            assert_failed(&run, STOOP_ERROR_UNAVAILABLE, "connection");
        else
            assert_result(&run, ACTION_SUCCESS, "was read");
        g_assert_cmpmem(artifact.bytes->str, artifact.bytes->len, "content", twice ? 0 : 7);
    }
}

static void test_no_tools_and_no_image(void) {
    g_auto(ExecWorld) world;
    exec_world_init(&world);
    world.exec.modes[0] = EXEC_NOT_STARTED;
    g_auto(Artifact) artifact;
    artifact_init(&artifact);
    g_auto(Run) run = {0};
    download(&world, "/etc/passwd", &artifact, &run);
    assert_failed(&run, STOOP_ERROR_FAILED, "give the parameter `image`");
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN);
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/download/files", test_downloads);
    g_test_add_func("/download/what-is-no-file", test_what_is_no_file);
    g_test_add_func("/download/bad-paths", test_bad_paths);
    g_test_add_func("/download/cut", test_a_download_that_is_cut);
    g_test_add_func("/download/breaks-at-once", test_a_connection_that_breaks_at_once);
    g_test_add_func("/download/no-tools-and-no-image", test_no_tools_and_no_image);
    return g_test_run();
}
