"""Rules and configuration files, good and bad, through `stoop rules check` and `stoop server`."""
import os
import subprocess
import time

from harness import STOOP, TOP, Case, rule

GOOD = "- rule: r\n  match: {rules: [a]}\n  actions:\n    - action: a\n      actionner: kubernetes:terminate\n"


def stoop(*args, seconds=20, **more):
    return subprocess.run([STOOP, *args], capture_output=True, text=True, timeout=seconds, **more)


class Files(Case):
    def file(self, text, name="rules.yaml"):
        path = os.path.join(self.folder, name)
        with open(path, "w") as f:
            f.write(text)
        return path

    def check(self, text, *args):
        done = stoop("rules", "check", "-r", self.file(text), *args)
        return done.returncode, done.stdout + done.stderr

    def bad(self, text, *words):
        status, said = self.check(text)
        self.assertEqual(status, 1, f"{text[:200]!r}: {said}")
        for word in words:
            self.assertIn(word, said, text[:200])

    def test_good(self):
        self.assertEqual(self.check(GOOD)[0], 0)

    def test_no_file(self):
        done = stoop("rules", "check", "-r", self.folder + "/none.yaml")
        self.assertEqual(done.returncode, 1)
        self.assertIn("none.yaml", done.stderr + done.stdout)

    def test_a_folder(self):
        done = stoop("rules", "check", "-r", self.folder)
        self.assertEqual(done.returncode, 1)

    def test_wrong_types(self):
        for text in ("a: b\n", "text\n", "- text\n", "- 1\n", "- rule: [a]\n", GOOD.replace("[a]", "{a: b}"),
                     GOOD.replace("{rules: [a]}", "text"), GOOD + "  dry_run: perhaps\n", GOOD + "  continue: [1]\n",
                     GOOD + "  notifiers: {a: b}\n", GOOD + "      parameters: text\n",
                     GOOD + "      parameters: {grace_period_seconds: soon}\n",
                     GOOD + "      parameters: {grace_period_seconds: 1.5}\n",
                     GOOD + "      parameters: {ignore_daemonsets: [true]}\n"):
            with self.subTest(text=text):
                self.bad(text, "rules.yaml:")

    def test_tabs_anchors_and_broken_yaml(self):
        self.bad("-\trule: a\n\tmatch: b\n", "rules.yaml:")
        self.bad("- rule: 'unended\n", "rules.yaml:")
        self.bad("- {rule: a\n", "rules.yaml:")
        self.bad("%YAML 9.9\n---\n- \x01\n", "rules.yaml:")

    def test_an_alias_bomb(self):
        text = "a: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        text += "".join(f"b{n}: &a{n + 1} [" + ", ".join([f"*a{n}"] * 10) + "]\n" for n in range(12))
        began = time.monotonic()
        self.bad(text, "rules.yaml:")
        self.assertLess(time.monotonic() - began, 5)

    def test_an_alias_of_itself(self):
        self.bad("- &a\n  rule: x\n  match: *a\n", "rules.yaml:")

    def test_deep_nesting(self):
        self.bad("[" * 100_000, "rules.yaml:")
        self.bad("- rule: a\n  match: " + "{a: " * 5000 + "}" * 5000 + "\n", "rules.yaml:")

    def test_a_hundred_mebibytes(self):
        began = time.monotonic()
        self.bad("# " + "x" * (100 * 1024 * 1024) + "\n" + GOOD)
        self.assertLess(time.monotonic() - began, 10)

    def test_duplicate_keys(self):
        self.bad(GOOD + "  match: {rules: [b]}\n", "rules.yaml:6:", "match")

    def test_near_names(self):
        self.bad(GOOD.replace("terminate", "terminat"), "rules.yaml:5:", "did you mean", "kubernetes:terminate")
        self.bad(GOOD.replace("kubernetes:terminate", "kubernetes:label"), "labels")

    def test_an_unknown_key_warns_and_is_an_error_when_strict(self):
        text = GOOD + "      parameters: {grace_period_second: 5}\n"
        status, said = self.check(text)
        self.assertEqual(status, 0, said)
        self.assertIn("rules.yaml:6:", said)
        self.assertIn("grace_period_seconds", said)
        self.assertEqual(self.check(text, "--strict")[0], 1)

    def test_all_errors_at_once(self):
        status, said = self.check(GOOD.replace("terminate", "terminat") + GOOD.replace("rule: r", "rule: s").replace(
            "{rules: [a]}", "{priority: Loud}"))
        self.assertEqual(status, 1)
        self.assertIn("rules.yaml:5:", said)
        self.assertIn("rules.yaml:7:", said)

    def test_files_are_merged(self):
        second = self.file("- rule: r\n  dry_run: true\n  match: {rules: [b]}\n", "second.yaml")
        done = stoop("rules", "print", "-r", self.file(GOOD), "-r", second)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout.count("rule: r\n"), 1, done.stdout)
        self.assertIn("- a", done.stdout)
        self.assertIn("- b", done.stdout)

    def test_what_rules_print_prints_loads(self):
        done = stoop("rules", "print", "-r", os.path.join(TOP, "examples/rules.yaml"))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.check(done.stdout), (0, self.check(done.stdout)[1]))

    def test_the_examples(self):
        done = stoop("rules", "check", "--strict", "-r", os.path.join(TOP, "examples/rules.yaml"))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    # --- the server

    def test_the_server_refuses_bad_rules(self):
        server = self.stoop(GOOD.replace("terminate", "terminat"), start=False)
        status, said = server.fails_to_start()
        self.assertEqual(status, 1)
        self.assertIn("rules.yaml:5:", said)

    def test_the_server_with_no_rules(self):
        for text in ("", "[]\n", "# nothing\n", "---\n"):
            with self.subTest(text=text):
                server = self.stoop(text, start=False)
                server.start(ready=False)
                try:
                    server.wait_ready()
                except AssertionError:
                    self.assertEqual(server.process.returncode, 1)
                    self.assertIn("rules", server.log_text())
                server.kill()

    def test_the_configuration_refuses_bad_values(self):
        for config, words in (({"listen_port": "many"}, "listen_port"), ({"listen_port": 99999}, "listen_port"),
                              ({"log_format": "pretty"}, "log_format"), ({"watch_rules": "perhaps"}, "watch_rules"),
                              ({"deduplication": {"time_window_seconds": -1}}, "time_window_seconds"),
                              ({"rules_files": {"a": "b"}}, "rules_files"), ({"listen_address": "no such"}, "no such")):
            with self.subTest(config=config):
                server = self.stoop([rule("kubernetes:terminate")], config=config, start=False)
                status, said = server.fails_to_start()
                self.assertEqual(status, 1)
                self.assertIn(words, said)

    def test_a_configuration_that_is_not_there(self):
        done = stoop("server", "-c", self.folder + "/none.yaml")
        self.assertEqual(done.returncode, 1)
        self.assertIn("none.yaml", done.stdout + done.stderr)

    def test_a_bad_variable_is_named(self):
        server = self.stoop([rule("kubernetes:terminate")], env={"LISTEN_PORT": "many"}, start=False)
        status, said = server.fails_to_start()
        self.assertEqual(status, 1)
        self.assertIn("LISTEN_PORT", said)

    def test_a_port_in_use_is_named(self):
        first = self.stoop([rule("kubernetes:terminate")])
        second = self.stoop([rule("kubernetes:terminate")], config={"listen_port": first.port}, start=False)
        status, said = second.fails_to_start()
        self.assertEqual(status, 1)
        self.assertIn(str(first.port), said)
