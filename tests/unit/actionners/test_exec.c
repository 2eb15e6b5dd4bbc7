// kubernetes:exec and kubernetes:script, with the real shells of this machine as containers.
#include "actionners/shell.h"
#include "actionners/shell_marks.h"
#include "actionners/variables.h"
#include "base/error.h"
#include "fake_exec.h"

#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TWO                                                                                                            \
    POD("{\"name\":\"web\"},{\"name\":\"side\"}",                                                                      \
        RUNNING("web", "0123456789abcdef") "," RUNNING("side", "fedcba9876543210"))

static void run_command(ExecWorld *world, const char *shell, const char *command, const char *event, Run *run) {
    g_autofree char *params = params_with("command", command, shell);
    run_in_one(world, "kubernetes:exec", shell, event, params, NULL, run);
}

static const char *shell_at(ExecWorld *world, size_t i) {
    const char *const shells[] = {"/bin/dash", "/bin/bash", "/bin/sh", world->busybox, NULL};
    return shells[i];
}

// --- Values ---

static const char *const hostile[] = {
    "",
    "plain",
    "a'b\"c''d",
    "'; touch pwned; '",
    "'\\''; touch pwned #",
    "\n'\ntouch pwned\n'",
    "$(touch pwned)",
    "`touch pwned`",
    "${IFS}$HOME$$$#$@$?",
    "* ? [a-z] ~ {a,b} /*",
    "x & touch pwned | touch pwned && touch pwned ; touch pwned",
    "> pwned < /dev/null 2>&1",
    "\\ \\\\ \\n \\' \\",
    "-n -e --help",
    "\x01\x02\x1b[31m\x7f\r\t\b\x88\x81",
    "!! !$ ^a^b",
    "\xc3\xa9\xe4\xb8\xad\xf0\x9f\x98\x80",
    "EOF\nE\nPATH=/x\nexit\n",
    "\n\n\ntrailing lines\n\n\n",
    ") </dev/null\ntouch pwned\n(",
};

static void check_value(ExecWorld *world, const char *shell, const char *value, size_t kept) {
    g_autofree char *event = event_with("proc.cmdline", value);
    g_autofree char *file = path_in(world, "value");
    g_autofree char *pwned = path_in(world, "pwned");
    g_autofree char *text = NULL;
    g_auto(Run) run = {0};
    run_command(world, shell, "printf %s \"$PROC_CMDLINE\" >value; : $PROC_CMDLINE ${PROC_CMDLINE}", event, &run);
    g_assert_no_error(run.error);
    g_assert_cmpint(run.result.status, ==, ACTION_SUCCESS);
    size_t len = 0;
    g_assert_true(g_file_get_contents(file, &text, &len, NULL));
    g_autofree char *valid = g_utf8_make_valid(value, -1); // as it is in the event's JSON
    g_assert_cmpmem(text, len, valid, MIN(kept, strlen(valid)));
    g_assert_false(g_file_test(pwned, G_FILE_TEST_EXISTS));
    g_unlink(file);
}

static void test_hostile_values(void) {
    g_auto(ExecWorld) world;
    exec_world_init(&world);
    g_autoptr(GString) all = g_string_new(NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(hostile); i++)
        g_string_append(all, hostile[i]);
    g_autoptr(GString) big = g_string_new(NULL);
    while (big->len < 100000)
        g_string_append(big, "'$(touch pwned)`touch pwned`\n");
    for (size_t s = 0; shell_at(&world, s); s++) {
        for (size_t i = 0; i < G_N_ELEMENTS(hostile); i++)
            check_value(&world, shell_at(&world, s), hostile[i], SIZE_MAX);
        check_value(&world, shell_at(&world, s), all->str, SIZE_MAX);
        check_value(&world, shell_at(&world, s), big->str, 65536);
    }
}

// Facts of contexts may hold anything but NUL: the quoting is for bytes.
static void test_any_byte(void) {
    g_auto(ExecWorld) world;
    exec_world_init(&world);
    char bytes[512];
    for (int i = 0; i < 255; i++)
        bytes[i] = (char)(i + 1);
    for (int i = 0; i < 255; i++)
        bytes[255 + i] = (char)(255 - i);
    bytes[510] = '\0';
    g_autofree char *wanted = g_strconcat(bytes, "[stoop 0123 0]\n", NULL);
    g_autoptr(GPtrArray) variables = g_ptr_array_new();
    g_ptr_array_add(variables, (char *)"VALUE");
    g_ptr_array_add(variables, bytes);
    ShellJob job = {.script = "printf %s \"$VALUE\"", .script_len = 19, .variables = variables};
    g_autoptr(GString) input = shell_input(&job, "0123");
    g_autofree char *file = path_in(&world, "input");
    g_assert_true(g_file_set_contents(file, input->str, (gssize)input->len, NULL));
    for (size_t s = 0; shell_at(&world, s); s++) {
        g_autofree char *line =
            g_strdup_printf("/bin/sh -c \"cat '%s' | LC_ALL=C.UTF-8 '%s' -s\"", file, shell_at(&world, s));
        g_autofree char *out = NULL;
        g_autofree char *err = NULL;
        int status = 0;
        g_assert_true(g_spawn_command_line_sync(line, &out, &err, &status, NULL));
        g_assert_cmpint(status, ==, 0);
        g_assert_cmpstr(out, ==, wanted);
        g_assert_cmpstr(err, ==, "[stoop 0123 began]\n[stoop 0123 0]\n");
    }
}

static void test_kept_names(void) {
    static const char *const kept[] = {"path",        "PATH",           "ld.preload", "ifs",   "env",
                                       "bash.env",    "shellopts",      "ps4",        "home",  "uid",
                                       "python.path", "prompt.command", "_",          "lc.all"};
    g_auto(ExecWorld) world;
    exec_world_init(&world);
    g_autofree char *file = path_in(&world, "env");
    for (size_t i = 0; i < G_N_ELEMENTS(kept); i++) {
        g_autofree char *event = event_with(kept[i], "/evil");
        g_autofree char *text = NULL;
        g_auto(Run) run = {0};
        run_command(&world, "/bin/bash", "env >env", event, &run);
        g_assert_no_error(run.error);
        g_assert_true(g_file_get_contents(file, &text, NULL, NULL));
        if (strstr(text, "/evil"))
            g_error("%s: %s", kept[i], text);
        assert_contains(text, "PATH=/usr/bin:/bin\n");
        assert_contains(text, "K8S_POD_NAME=web-1\n");
        assert_contains(text, "HOSTNAME=node-1\n");
        assert_contains(text, "RULE=r\n");
    }
}

static void test_expansion(void) {
    g_autoptr(GPtrArray) variables = g_ptr_array_new();
    const char *pairs[] = {"FD_NAME", "/a ${RULE} $(x)", "RULE", "r"};
    for (size_t i = 0; i < G_N_ELEMENTS(pairs); i++)
        g_ptr_array_add(variables, (char *)pairs[i]);
    static const char *const cases[][2] = {
        {"/etc/passwd", "/etc/passwd"},
        {"${FD_NAME}", "/a ${RULE} $(x)"},
        {"$FD_NAME.x", "/a ${RULE} $(x).x"},
        {"/${RULE}/$RULE", "/r/r"},
        {"$", "$"},
        {"$(x) $1 ${", "$(x) $1 ${"},
        {"${RULE", "${RULE"},
        {"$$RULE", "$r"},
    };
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *text = variables_expand(variables, cases[i][0], &error);
        g_assert_no_error(error);
        g_assert_cmpstr(text, ==, cases[i][1]);
    }
    g_autoptr(GError) error = NULL;
    g_assert_null(variables_expand(variables, "/${PATH}", &error));
    g_assert_error(error, STOOP_ERROR, STOOP_ERROR_INVALID);
}

// --- Commands ---

static void test_ends(void) {
    static const struct {
        const char *command;
        int code; // 0: success; shells have others of their own for what cannot be parsed
        const char *output, *error;
    } cases[] = {
        {"echo out; printf err >&2", 0, "out\n", NULL},
        {"exit 3", 3, NULL, "exit status 3"},
        {"echo some; echo why >&2; false", 1, "some\n", "exit status 1: why"},
        {"kill -9 $$", 137, NULL, "exit status 137"},
        {"exec sh -c 'exit 4'", 4, NULL, "exit status 4"},
        {"trap 'echo trapped; exit 5' EXIT", 5, "trapped\n", "exit status 5"},
        {"set -eu; false; echo never", 1, NULL, "exit status 1"},
        {"if then", 2, NULL, NULL},
        {"read -r line || echo nothing to read", 0, "nothing to read\n", NULL},
        {"exec </dev/tty", 1, NULL, NULL},
        {"exec 1>&- 2>&-", 0, NULL, NULL},
        {"printf '\\033[1mbold\\033[0m'", 0, "bold", NULL},
        {"cat <<'E'\n$HOME 'x'\nE", 0, "$HOME 'x'\n", NULL},
        {"-x", 127, NULL, "exit status 127"},
        {"# nothing", 0, NULL, NULL},
        {"echo unended '", 2, NULL, NULL},
        {"return 6 2>/dev/null; exit 6", 6, NULL, "exit status 6"},
    };
    g_auto(ExecWorld) world;
    exec_world_init(&world);
    g_autofree char *event = event_with(NULL, NULL);
    for (size_t s = 0; shell_at(&world, s); s++) {
        for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
            g_test_message("%s: %s", shell_at(&world, s), cases[i].command);
            g_auto(Run) run = {0};
            run_command(&world, shell_at(&world, s), cases[i].command, event, &run);
            if (cases[i].code == 0)
                assert_result(&run, ACTION_SUCCESS, "the command ran in the pod 'web-1'");
            else
                assert_failed(&run, STOOP_ERROR_FAILED, "the command ended with exit status");
            if (cases[i].error)
                assert_contains(run.error->message, cases[i].error);
            if (cases[i].output)
                assert_contains(run.result.log, cases[i].output);
            if (run.result.log)
                g_assert_null(strstr(run.result.log, "[stoop "));
            g_assert_cmpstr(object_of(&run, "container"), ==, "web");
        }
    }
}

static void test_much_output(void) {
    g_auto(ExecWorld) world;
    exec_world_init(&world);
    g_autofree char *event = event_with(NULL, NULL);
    g_auto(Run) run = {0};
    run_command(&world, "/bin/sh", "seq 1 300000; seq 1 300000 >&2; exit 1", event, &run);
    assert_failed(&run, STOOP_ERROR_FAILED, "300000");
    g_assert_cmpuint(strlen(run.result.log), <=, 16384);
    g_assert_cmpuint(strlen(run.error->message), <, 2500);
    assert_contains(run.result.log, "bytes before this were left out]\n");
}

static void test_a_big_script(void) {
    g_auto(ExecWorld) world;
    exec_world_init(&world);
    g_autoptr(GString) script = g_string_new("i=0\n");
    while (script->len < (1 << 20))
        g_string_append(script, "i=$((i + 1)) # it's a 'long' \"script\" \\\n");
    g_string_append(script, "echo \"$i\"\n");
    g_autofree char *file = path_in(&world, "it's a script");
    g_assert_true(g_file_set_contents(file, script->str, (gssize)script->len, NULL));
    g_autofree char *event = event_with(NULL, NULL);
    for (size_t s = 0; shell_at(&world, s); s++) {
        g_autofree char *params = params_with("file", file, shell_at(&world, s));
        g_auto(Run) run = {0};
        run_in_one(&world, "kubernetes:script", shell_at(&world, s), event, params, NULL, &run);
        assert_result(&run, ACTION_SUCCESS, "the script ran");
        assert_contains(run.result.log, "\n");
        g_assert_cmpuint(g_ascii_strtoull(run.result.log, NULL, 10), >, 20000);
    }
}

static void check_script_file(ExecWorld *world, const char *file, StoopError code, const char *text) {
    g_autofree char *params = params_with("file", file, NULL);
    g_autofree char *event = event_with(NULL, NULL);
    const Exchange none[] = {END};
    g_auto(Run) run = {0};
    run_against(none, "kubernetes:script", event, params, &run);
    assert_failed(&run, (gint)code, text);
}

static void test_bad_script_files(void) {
    g_auto(ExecWorld) world;
    exec_world_init(&world);
    g_autofree char *none = path_in(&world, "none");
    check_script_file(&world, none, STOOP_ERROR_IO, "none");
    check_script_file(&world, world.folder, STOOP_ERROR_INVALID, "no file");
    g_autofree char *binary = path_in(&world, "binary");
    g_assert_true(g_file_set_contents(binary, "echo\0x", 6, NULL));
    check_script_file(&world, binary, STOOP_ERROR_INVALID, "NUL");
    g_autofree char *big = path_in(&world, "big");
    g_assert_true(g_file_set_contents(big, "x", 1, NULL));
    g_assert_cmpint(truncate(big, (16 << 20) + 1), ==, 0);
    check_script_file(&world, big, STOOP_ERROR_TOO_LARGE, "16 MiB");
}

// --- Which container, and what goes wrong ---

static void run_in_two(ExecWorld *world, const char *event, const char *first, const char *second, Run *run) {
    g_autofree char *one = exec_line(first, "/bin/sh");
    g_autofree char *two = second ? exec_line(second, "/bin/sh") : NULL;
    const Exchange exchanges[] = {
        {GET_POD, NULL, 200, TWO, NULL}, {one, NULL, 101, "", NULL}, {two, NULL, 101, "", NULL}, END};
    FakeApi *fake = fake_api_new(exchanges);
    fake_exec_install(fake, &world->exec);
    fake_api_run(fake, "kubernetes:exec", event, "command: echo hello", NULL, run);
    fake_api_free(fake);
}

static void test_the_next_container_has_the_shell(void) {
    g_auto(ExecWorld) world;
    exec_world_init(&world);
    world.exec.modes[0] = EXEC_NOT_STARTED;
    g_autofree char *event = event_with(NULL, NULL);
    g_auto(Run) run = {0};
    run_in_two(&world, event, "web", "side", &run);
    assert_result(&run, ACTION_SUCCESS, "container 'side'");
    g_assert_cmpstr(run.result.log, ==, "hello\n");
}

static void test_the_named_container_alone_is_asked(void) {
    g_auto(ExecWorld) world;
    exec_world_init(&world);
    world.exec.modes[0] = EXEC_NOT_STARTED;
    g_autofree char *event = event_with("container.name", "side");
    g_auto(Run) run = {0};
    run_in_two(&world, event, "side", NULL, &run);
    assert_failed(&run, STOOP_ERROR_FAILED, "no shell '/bin/sh' that runs (container 'side')");
    assert_contains(run.error->message, "give the parameter `shell`");
    assert_contains(run.error->message, "kubernetes:download");
    assert_contains(run.error->message, "no such file or directory");
}

static void test_a_container_that_does_not_run(void) {
    g_auto(ExecWorld) world;
    exec_world_init(&world);
    world.exec.modes[0] = EXEC_STOPPED;
    g_autofree char *event = event_with("container.name", "side");
    g_auto(Run) run = {0};
    run_in_two(&world, event, "side", NULL, &run);
    assert_failed(&run, STOOP_ERROR_FAILED, "the container 'side' of the pod 'web-1' in the namespace 'shop' does not");
    g_assert_null(strstr(run.error->message, "shell"));
}

static void test_no_container_runs(void) {
    const Exchange exchanges[] = {{GET_POD, NULL, 200, POD("{\"name\":\"web\"}", "{\"name\":\"web\"}"), NULL}, END};
    g_autofree char *event = event_with(NULL, NULL);
    g_auto(Run) run = {0};
    run_against(exchanges, "kubernetes:exec", event, "command: true", &run);
    assert_failed(&run, STOOP_ERROR_FAILED, "no container of the pod 'web-1'");
}

// An API server that lost the kubelet calls it a success: the missing mark tells.
static void test_an_end_that_was_not_seen(void) {
    g_auto(ExecWorld) world;
    exec_world_init(&world);
    g_autofree char *event = event_with(NULL, NULL);
    world.exec.modes[0] = EXEC_CUT;
    world.exec.cut_channel = 2;
    world.exec.cut_after = 60; // after the first mark
    g_auto(Run) run = {0};
    run_command(&world, "/bin/sh", "seq 1 1000", event, &run);
    assert_failed(&run, STOOP_ERROR_UNAVAILABLE, "before the end");
    world.exec.cut_after = 0;
    world.exec.runs = 0;
    g_auto(Run) nothing = {0};
    run_command(&world, "/bin/sh", "seq 1 1000", event, &nothing);
    assert_failed(&nothing, STOOP_ERROR_UNAVAILABLE, "not seen to begin");
    world.exec.cut_channel = 1; // nothing of standard output
    world.exec.runs = 0;
    g_auto(Run) half = {0};
    run_command(&world, "/bin/sh", "echo text", event, &half);
    assert_failed(&half, STOOP_ERROR_UNAVAILABLE, "before the end");
    world.exec.modes[0] = EXEC_NO_END;
    world.exec.runs = 0;
    g_auto(Run) closed = {0};
    run_command(&world, "/bin/false", "true", event, &closed);
    assert_failed(&closed, STOOP_ERROR_UNAVAILABLE, "before the command's end");
}

// The marks tell the end: neither the server's word nor what runs on in the background is waited for.
static void test_the_end_is_seen(void) {
    g_auto(ExecWorld) world;
    exec_world_init(&world);
    g_autofree char *event = event_with(NULL, NULL);
    world.exec.modes[0] = EXEC_NO_END;
    int64_t began_us = g_get_monotonic_time();
    g_auto(Run) run = {0};
    run_command(&world, "/bin/sh", "printf text; sleep 60 & echo $! >pid; exit 3", event, &run);
    assert_failed(&run, STOOP_ERROR_FAILED, "exit status 3");
    g_assert_cmpstr(run.result.log, ==, "text");
    g_assert_cmpint(g_get_monotonic_time() - began_us, <, 20 * G_USEC_PER_SEC);
    g_autofree char *file = path_in(&world, "pid"), *pid = NULL;
    g_assert_true(g_file_get_contents(file, &pid, NULL, NULL));
    g_assert_cmpint(kill((pid_t)g_ascii_strtoll(pid, NULL, 10), SIGKILL), ==, 0);
}

// The connection took its time, and another pod has the name now: its shell is given nothing.
static void test_a_namesake_gets_no_script(void) {
    static const struct {
        const char *answer;
        int status;
        ActionStatus wanted;
    } cases[] = {{"{\"metadata\":{\"uid\":\"u-2\"}}", 200, ACTION_STALE},
                 {"{\"metadata\":{\"uid\":\"u-1\"}}", 200, ACTION_SUCCESS},
                 {"{}", 404, ACTION_SUCCESS}};
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_auto(ExecWorld) world;
        exec_world_init(&world);
        world.exec.delay_us = G_USEC_PER_SEC * 6 / 10;
        g_autofree char *line = exec_line("web", "/bin/sh");
        const Exchange exchanges[] = {{GET_POD, NULL, 200, ONE, NULL},
                                      {line, NULL, 101, "", NULL},
                                      {GET_POD, NULL, cases[i].status, cases[i].answer, NULL},
                                      END};
        g_autofree char *event = event_with(NULL, NULL);
        g_auto(Run) run = {0};
        FakeApi *fake = fake_api_new(exchanges);
        fake_exec_install(fake, &world.exec);
        fake_api_run(fake, "kubernetes:exec", event, "command: echo ran", NULL, &run);
        fake_api_free(fake);
        g_assert_no_error(run.error);
        g_assert_cmpint(run.result.status, ==, cases[i].wanted);
        g_assert_cmpint(world.exec.input->len > 0, ==, cases[i].wanted == ACTION_SUCCESS);
    }
}

// A program that is no shell runs nothing of what it is given.
static void test_no_posix_shell(void) {
    g_auto(ExecWorld) world;
    exec_world_init(&world);
    g_autofree char *event = event_with(NULL, NULL);
    g_auto(Run) run = {0};
    run_command(&world, "/bin/false", "true", event, &run);
    assert_failed(&run, STOOP_ERROR_FAILED, "no shell '/bin/false' that runs");
}

static void test_a_refused_exec(void) {
    g_auto(ExecWorld) world;
    exec_world_init(&world);
    g_autofree char *line = exec_line("web", "/bin/sh");
    const Exchange exchanges[] = {
        {GET_POD, NULL, 200, ONE, NULL},
        {line, NULL, 403, "{\"kind\":\"Status\",\"message\":\"pods/exec is forbidden\",\"code\":403}", NULL},
        END};
    FakeApi *fake = fake_api_new(exchanges);
    fake_exec_install(fake, &world.exec);
    g_autofree char *event = event_with(NULL, NULL);
    g_auto(Run) run = {0};
    fake_api_run(fake, "kubernetes:exec", event, "command: true", NULL, &run);
    fake_api_free(fake);
    assert_failed(&run, STOOP_ERROR_FORBIDDEN, "the container 'web': pods/exec is forbidden");
}

// --- Marks ---

static void add_text(const char *data, size_t len, void *user) {
    g_string_append_len(user, data, (gssize)len);
}

static void test_marks(void) {
    static const char text[] = "before\n[stoop 77 began]\na[stoop 7[stoop 78 0]\n[stoop 77 nonsense]\nx[stoop 77 "
                               "999]\nlast[stoop 77 12]\nafter[stoop ";
    static const char wanted[] = "before\na[stoop 7[stoop 78 0]\nxlastafter[stoop ";
    for (size_t piece = 1; piece < sizeof text; piece++) {
        g_autoptr(GString) out = g_string_new(NULL);
        g_auto(ShellMarks) marks;
        shell_marks_init(&marks, "77", add_text, out);
        for (size_t at = 0; at < strlen(text); at += piece)
            shell_marks_add(&marks, text + at, MIN(piece, strlen(text) - at));
        shell_marks_end(&marks);
        g_assert_true(marks.begun && marks.ended);
        g_assert_cmpint(marks.exit_code, ==, 12);
        g_assert_cmpstr(out->str, ==, wanted);
    }
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN);
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/exec/hostile-values", test_hostile_values);
    g_test_add_func("/exec/any-byte", test_any_byte);
    g_test_add_func("/exec/kept-names", test_kept_names);
    g_test_add_func("/exec/expansion", test_expansion);
    g_test_add_func("/exec/ends", test_ends);
    g_test_add_func("/exec/much-output", test_much_output);
    g_test_add_func("/exec/a-big-script", test_a_big_script);
    g_test_add_func("/exec/bad-script-files", test_bad_script_files);
    g_test_add_func("/exec/next-container", test_the_next_container_has_the_shell);
    g_test_add_func("/exec/named-container", test_the_named_container_alone_is_asked);
    g_test_add_func("/exec/no-container-runs", test_no_container_runs);
    g_test_add_func("/exec/an-end-not-seen", test_an_end_that_was_not_seen);
    g_test_add_func("/exec/no-posix-shell", test_no_posix_shell);
    g_test_add_func("/exec/refused", test_a_refused_exec);
    g_test_add_func("/exec/end-is-seen", test_the_end_is_seen);
    g_test_add_func("/exec/namesake", test_a_namesake_gets_no_script);
    g_test_add_func("/exec/stopped", test_a_container_that_does_not_run);
    g_test_add_func("/exec/marks", test_marks);
    return g_test_run();
}
