"""Ends of the process, wanted and not: nothing that was accepted is lost, nothing that was done is done again."""
import signal

from harness import Case, pod_event, rule, wait


class Crash(Case):
    def interrupted(self, **more):
        """A server whose action hangs at a stuck API server."""
        self.pod()
        gate = self.gate()
        server = self.stoop([rule("kubernetes:terminate", {"grace_period_seconds": 1})], kubeconfig=self.through(gate),
                            **more)
        gate.stick()
        self.post(server, pod_event(self.ns, "web"))
        server.wait_log(message="match")
        return server, gate

    def test_kill_9_in_the_middle_then_a_restart_finishes(self):
        server, gate = self.interrupted()
        server.kill()
        gate.shut()
        self.assertThere("web")
        gate.open()
        server.start()
        self.assertResult(server.ended(), "success")
        self.wait_gone("web")

    def test_kill_9_with_many_events_loses_none(self):
        gate = self.gate()
        for n in range(3):
            self.pod(f"web-{n}", wait_running=False)
        server = self.stoop([rule("kubernetes:label", {"labels": {f"l{n}": "yes"}}, name=f"r{n}",
                                  match={"rules": [f"Falco {n}"]}) for n in range(20)], kubeconfig=self.through(gate))
        gate.stick()
        for n in range(20):
            for pod in range(3):
                self.post(server, pod_event(self.ns, f"web-{pod}", rule=f"Falco {n}"))
        server.kill()
        gate.shut()
        gate.open()
        server.start()
        server.ended(60)
        for pod in range(3):
            labels = self.cluster.get("pods", self.ns, f"web-{pod}")["metadata"]["labels"]
            self.assertEqual(set(labels), {f"l{n}" for n in range(20)})

    def test_what_was_done_is_not_done_again(self):
        self.pod(wait_running=False)
        server = self.stoop([rule("kubernetes:label", {"labels": {"a": "b"}})])
        self.assertResult(self.act(server, pod_event(self.ns, "web")), "success")
        wait("the end is on disk", lambda: server.metric("stoop_store_pending") == 0, 5)
        server.kill()
        self.cluster.patch("pods", self.ns, "web", {"metadata": {"labels": {"a": None}}})
        server.start()
        self.assertResult(self.act(server, pod_event(self.ns, "web", **{"proc.cmdline": "another"})), "success")
        self.assertEqual(len(server.log(message="action", status="success")), 2)

    def test_sigterm_leaves_when_idle(self):
        server = self.stoop([rule("kubernetes:terminate")])
        status, seconds = server.stop()
        self.assertEqual(status, 0, server.log_text())
        self.assertLess(seconds, 3)

    def test_sigterm_in_the_middle_leaves_within_ten_seconds_and_keeps_the_rest(self):
        server, gate = self.interrupted()
        status, seconds = server.stop()
        self.assertEqual(status, 0, server.log_text())
        self.assertLess(seconds, 10)
        self.assertEqual(server.log(message="action", status="success"), [])
        gate.shut()
        gate.open()
        server.start()
        self.assertResult(server.ended(), "success")
        self.wait_gone("web")

    def test_sigterm_lets_what_runs_finish(self):
        server, gate = self.interrupted()
        server.process.send_signal(signal.SIGTERM)
        wait("it says that it leaves", lambda: "SIGTERM" in server.log_text(), 5)
        gate.open()
        self.assertEqual(server.process.wait(10), 0)
        self.wait_gone("web")

    def test_sigint_is_as_good(self):
        server = self.stoop([rule("kubernetes:terminate")])
        server.process.send_signal(signal.SIGINT)
        self.assertEqual(server.process.wait(10), 0)

    def test_a_restart_with_other_rules_forgets_gracefully(self):
        server, gate = self.interrupted()
        server.kill()
        server.write(server.rules_file, [rule("kubernetes:label", {"labels": {"a": "b"}}, name="Another")])
        gate.shut()
        gate.open()
        server.start()
        self.assertResult(self.act(server, pod_event(self.ns, "web", **{"proc.cmdline": "next"}), rule="Another",
                                   ), "success")
        self.assertThere("web")
