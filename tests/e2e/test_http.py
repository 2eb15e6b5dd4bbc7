"""Health, readiness, metrics, the log's formats, the command line."""
import json
import subprocess

from harness import PROMTOOL, STOOP, Case, pod_event, rule, wait


class Http(Case):
    def setUp(self):
        super().setUp()
        self.server = self.stoop([rule("kubernetes:label", {"labels": {"a": "b"}}, dry_run=True)])

    def test_healthz(self):
        answer = self.server.get("/healthz")
        self.assertEqual((answer.status, json.loads(answer.body)), (200, {"status": "ok"}))

    def test_readyz(self):
        self.assertEqual(self.server.get("/readyz").status, 200)

    def test_an_accepted_event_is_answered_briefly(self):
        # Falco prints the answer where it is told to.
        self.assertLess(len(self.post(self.server, pod_event("default", "web")).body), 3)

    def test_metrics_please_promtool(self):
        for n in range(5):
            event = pod_event("default", f"web-{n}", rule='Rule "with" \\ quotes\nand lines')
            self.post(self.server, event)
            self.post(self.server, pod_event("default", f"web-{n}"))
        self.server.ended(5)
        answer = self.server.get("/metrics")
        self.assertTrue(answer.headers["Content-Type"].startswith("text/plain"), answer.headers["Content-Type"])
        done = subprocess.run([PROMTOOL, "check", "metrics"], input=answer.body, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        for name in ("events", "matches", "actions"):
            self.assertGreater(self.server.metric(f"falcosecurity_falco_talon_{name}_total"), 0, name)
        self.assertNotIn("web-1", answer.body, "a label without bound")

    def test_metrics_count(self):
        for n in range(3):
            self.post(self.server, pod_event("default", f"web-{n}"))
        self.server.ended(3)
        self.assertEqual(self.server.metric("falcosecurity_falco_talon_events_total"), 3)
        self.assertEqual(self.server.metric("falcosecurity_falco_talon_matches_total", rule="Rule under test"), 3)
        self.assertEqual(self.server.metric("falcosecurity_falco_talon_actions_total",
                                            actionner="kubernetes:label", status="dry_run"), 3)

    def test_log_formats(self):
        for log_format in ("text", "color"):
            with self.subTest(log_format=log_format):
                server = self.stoop([rule("kubernetes:label", {"labels": {"a": "b"}}, dry_run=True)],
                                    config={"log_format": log_format})
                self.post(server, pod_event("default", "web"))
                line = wait("the action's line", lambda: [x for x in server.log_text().splitlines() if "dry_run" in x],
                            10)[0]
                self.assertEqual("\x1b[" in line, log_format == "color", line)
                self.assertIn("action", line)

    def test_lists(self):
        for kind, name in (("actionners", "kubernetes:terminate"), ("outputs", "local:file"), ("notifiers", "slack")):
            done = subprocess.run([STOOP, kind, "list"], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn(name, done.stdout)

    def test_version_help_and_completion(self):
        for args in (["version"], ["--help"], ["server", "--help"], ["rules", "--help"], ["rules", "check", "--help"],
                     ["completion", "bash"], ["completion", "zsh"], ["completion", "fish"]):
            with self.subTest(args=args):
                done = subprocess.run([STOOP, *args], capture_output=True, text=True)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertTrue(done.stdout.strip())
        self.assertEqual(subprocess.run(["bash", "-n"], text=True, input=subprocess.run(
            [STOOP, "completion", "bash"], capture_output=True, text=True).stdout).returncode, 0)

    def test_usage_errors(self):
        for args in (["serve"], ["server", "--nonsense"], ["rules"], ["rules", "chekc"]):
            with self.subTest(args=args):
                done = subprocess.run([STOOP, *args], capture_output=True, text=True, timeout=10)
                self.assertNotEqual(done.returncode, 0)
                self.assertTrue(done.stderr.strip())
