import re

from treecase import TreeCase

# For each banned thing: the check's name, where it is found, the line that must fail, and one that must pass.
FAIL_AND_PASS = [
    ("strcpy", "src/base/a.c", "strcpy(a, b);", "g_strlcpy(a, b, sizeof a);"),
    ("strcpy", "src/base/a.c", "strncat(a, b, 3);", 'x = "strcat(a, b)";'),
    ("sprintf", "src/base/a.c", "sprintf(a, b);", "g_snprintf(a, 3, b);"),
    ("gets", "src/base/a.c", "gets(a);", "fgets(a, 3, f);"),
    ("atoi", "src/base/a.c", "n = atoi(a);", "n = my_atoi(a); // atoi(a) would not do"),
    ("strtok", "src/base/a.c", "strtok(a, b);", "g_strsplit(a, b, 0);"),
    ("system", "src/base/a.c", "system(a);", "subsystem(a);"),
    ("system", "src/base/a.c", 'popen(a, "r");', "/* popen(a) */"),
    ("alloca", "src/base/a.c", "alloca(n);", "g_malloc(n);"),
    ("sleep", "src/net/a.c", "usleep(1);", "asleep(1);"),
    ("sleep", "src/net/a.c", "g_usleep(1);", "char *s = \"sleep(1)\";"),
    ("test-sleep", "tests/unit/net/a.c", "sleep(1);", "g_usleep(1000);"),
    ("test-sleep", "tests/unit/net/a.c", "g_usleep(500000);", "g_usleep(20000);"),
    ("glib-threads", "src/net/a.c", "GMutex m;", "Mutex m;"),
    ("glib-threads", "src/net/a.c", "g_async_queue_push(q, d);", "g_queue_push_tail(q, d);"),
    ("glib-threads", "tests/unit/net/a.c", "g_thread_new(a, b, c);", "thread_start(a);"),
    ("assert", "src/net/a.c", "assert(a);", "static_assert(sizeof a == 4); g_assert(b);"),
    ("printf", "src/net/a.c", 'printf("a");', "g_string_append_printf(s, a);"),
    ("printf", "src/net/a.c", 'fprintf(stderr, "a");', "G_GNUC_PRINTF(3, 4);"),
    ("glib-log", "src/net/a.c", 'g_warning("a");', "g_error_free(e);"),
    ("getenv", "src/kube/a.c", 'getenv("A");', "environment_get(e);"),
    ("setenv", "src/cli/a.c", 'setenv("A", "B", 1);', "g_environ_setenv(e, a, b, 1);"),
    ("exit", "src/net/a.c", "exit(1);", "on_exit_hook();"),
    ("strerror", "src/net/a.c", "strerror(e);", "g_strerror(e);"),
    ("rand", "src/net/a.c", "rand();", "random_bytes(r);"),
    ("signal", "src/net/a.c", "signal(SIGINT, f);", "condition_signal(c);"),
    ("goto", "src/net/a.c", "goto out;", "// no goto here"),
    ("skip", "tests/unit/net/a.c", 'g_test_skip("no");', "g_test_message(s);"),
]


class Lint(TreeCase):
    def setUp(self):
        super().setUp()
        self.write("src/base/ok.h", "#pragma once\n")
        self.commit("base: begin")

    def lint(self):
        status, out = self.run_tool("lint", self.top)
        failed = re.findall(r"^not ok \d+ - lint: (.*)$", out, re.M)
        self.assertEqual(status != 0, bool(failed), out)
        return failed, out

    def test_a_clean_tree_passes(self):
        self.assertEqual(self.lint()[0], [])

    def test_every_ban_fails_what_is_wrong_and_passes_what_is_right(self):
        for name, path, wrong, right in FAIL_AND_PASS:
            with self.subTest(name=name, line=wrong):
                self.write(path, f"void f(void)\n{{\n    {wrong}\n}}\n")
                failed, out = self.lint()
                self.assertEqual(failed, [f"no {name}"], out)
                self.assertIn(f"{path}:3: ", out)
                self.write(path, f"void f(void)\n{{\n    {right}\n}}\n")
                self.assertEqual(self.lint()[0], [], right)
                self.write(path, "\n")

    def test_every_ban_has_a_case(self):
        out = self.lint()[1]
        bans = set(re.findall(r"- lint: no ([a-z-]+)$", out, re.M))
        self.assertEqual(bans - {name for name, *_ in FAIL_AND_PASS}, set())

    def test_the_command_line_may_print_and_exit(self):
        self.write("src/cli/a.c", 'void f(void)\n{\n    printf("a");\n    exit(getenv("A") == NULL);\n}\n')
        self.assertEqual(self.lint()[0], [])

    def test_a_reason_allows_and_no_reason_does_not(self):
        self.write("src/net/a.c", "    exit(1); // lint: exit ok: the child of a fork has nothing to clean up\n")
        self.assertEqual(self.lint()[0], [])
        self.write("src/net/a.c", "    exit(1); // lint: exit ok:\n")
        self.assertEqual(self.lint()[0], ["no exit"])
        self.write("src/net/a.c", "    exit(1); // lint: rand ok: another rule's reason\n")
        self.assertEqual(self.lint()[0], ["no exit"])

    def test_comments_over_lines_and_quotes_in_them(self):
        self.write("src/net/a.c", "/* it's\n exit(1); */\nchar q = '\"'; // \"\nvoid f(void);\n")
        self.assertEqual(self.lint()[0], [])

    def fails(self, path, text, check):
        self.write(path, text)
        failed, out = self.lint()
        self.assertEqual(failed, [check], out)
        self.write(path, "#pragma once\n")

    def test_text(self):
        self.fails("src/base/b.h", "#pragma once\n// " + "x" * 120 + "\n", "lines of at most 120 characters")
        self.fails("src/base/b.h", "#pragma once\n// a\u202eb\n", "no invisible characters")
        self.fails("src/base/b.h", "#pragma once\nint a; \n", "no blanks at the end of lines")
        self.fails("src/base/b.h", "#pragma once\n// TO" "DO: more\n", "nothing left to do by its own words")
        self.fails("src/base/b.h", "#pragma once\nint a;", "a newline at the end of files")
        self.fails("src/base/b.h", "int a;\n", "headers say once")
        self.fails("tools/x.py", "def (:\n", "Python parses (1 files)")

    def test_mkdtemp_templates_are_no_marks(self):
        self.write("src/base/b.c", 'char t[] = "/tmp/a-XXXXXX";\n')
        self.assertEqual(self.lint()[0], [])

    def test_a_long_file_warns(self):
        self.write("src/base/b.c", "\n" * 601)
        failed, out = self.lint()
        self.assertEqual(failed, [])
        self.assertIn("warning: src/base/b.c: 601 lines", out)

    def test_subjects_of_commits(self):
        for subject in ["Fix things", "kube: a stop.", "nowhere: what", "kube:no blank", "kube: " + "x" * 130]:
            self.write("subjects", f"base: fine\n{subject}\n")
            status, out = self.run_tool("lint", "--subjects", self.top + "/subjects")
            self.assertEqual(status, 1, subject)
            self.assertIn("# 2: ", out)
        self.write("subjects", "base: fine\nkube, net: both\nci: as make check\n")
        self.assertEqual(self.run_tool("lint", "--subjects", self.top + "/subjects")[0], 0)
        self.commit("Bad subject")
        self.assertIn("subjects of commits (2)", self.lint()[0][0])

    def test_no_history_is_no_success(self):
        import shutil
        shutil.rmtree(self.top + "/.git")
        self.assertEqual(self.lint()[0], ["subjects of commits"])

    def test_no_c_is_no_success(self):
        import os
        os.remove(self.top + "/src/base/ok.h")
        self.assertEqual(self.lint()[0], ["there is C to read"])
