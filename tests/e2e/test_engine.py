"""Which action runs when: dry runs, sequences, duplicates, pods side by side."""
import json
import time

from harness import Case, load_event, pod_event, rule, wait

LABEL = "kubernetes:label"


def label(name, **more):
    return {"action": f"label {name}", "actionner": LABEL, "parameters": {"labels": {name: "yes"}}, **more}


SHELL = {"rules": ["Terminal shell in container"]}


class Engine(Case):
    def labels(self, name="web"):
        return self.cluster.get("pods", self.ns, name)["metadata"].get("labels", {})

    def test_dry_run_says_and_does_nothing(self):
        pod = self.pod()
        server = self.stoop([rule("kubernetes:terminate", dry_run=True)])
        self.assertResult(self.act(server, pod_event(self.ns, "web")), "dry_run", "nothing was changed")
        self.assertThere("web", pod["metadata"]["uid"])
        self.assertEqual(server.log(message="action", status="success"), [])

    def test_dry_run_tells_what_would_be(self):
        pod = self.pod()
        uid, node = pod["metadata"]["uid"], self.cluster.get("pods", self.ns, "web")["spec"]["nodeName"]
        for actionner, parameters, more, words in (
                ("kubernetes:terminate", {"ignore_standalone_pods": True}, {}, "dry run, this would be ignored: "),
                ("kubernetes:terminate", {}, {"k8s.pod.uid": "another"}, "dry run, this would be stale: "),
                ("kubernetes:terminate", {}, {"k8s.pod.name": "none"}, "dry run, this would fail: "),
                ("kubernetes:label", {"labels": {"a": "b"}}, {}, "dry run, nothing was changed: "),
                ("kubernetes:annotation", {"annotations": {"a": "b"}}, {}, "dry run, nothing was changed: "),
                ("kubernetes:networkpolicy", {}, {}, "dry run, "),
                ("kubernetes:cordon", {}, {}, "dry run, nothing was changed: "),
                ("kubernetes:exec", {"command": "touch /tmp/ran"}, {}, "dry run: would run kubernetes:exec")):
            with self.subTest(f"{actionner} {words}"):
                server = self.stoop([rule(actionner, parameters, dry_run=True)])
                self.assertResult(self.act(server, pod_event(self.ns, "web", **more)), "dry_run", words)
        now = self.assertThere("web", uid) or self.cluster.get("pods", self.ns, "web")
        self.assertNotIn("a", now["metadata"].get("labels", {}))
        self.assertNotIn("a", now["metadata"].get("annotations", {}))
        self.assertEqual(self.cluster.list("networking.k8s.io/v1/networkpolicies", self.ns), [])
        self.assertFalse(self.cluster.get("nodes", None, node)["spec"].get("unschedulable"))

    def test_an_event_that_matches_nothing_starts_nothing(self):
        self.pod(wait_running=False)
        server = self.stoop([rule(LABEL, {"labels": {"a": "b"}})])
        self.post(server, pod_event(self.ns, "web", rule="Another rule"))
        self.post(server, pod_event(self.ns, "web"))
        server.ended()
        self.assertEqual(len(server.log(message="match")), 1)
        self.assertEqual(server.metric("falcosecurity_falco_talon_events_total"), 2)
        self.assertEqual(server.metric("falcosecurity_falco_talon_matches_total"), 1)

    def test_actions_of_a_rule_run_in_order(self):
        self.pod(wait_running=False)
        server = self.stoop([{"rule": "r", "match": SHELL, "actions": [label("one"), label("two"), label("three")]}])
        self.post(server, pod_event(self.ns, "web"))
        server.ended(3)
        ended = [entry["action"] for entry in server.log(message="action", status="success")]
        self.assertEqual(ended, ["label one", "label two", "label three"])

    def test_continue_false_ends_the_sequence(self):
        self.pod(wait_running=False)
        server = self.stoop([
            {"rule": "r", "match": SHELL, "actions": [{**label("one"), "continue": False}, label("two")]},
            {"rule": "last", "match": SHELL, "continue": False, "actions": [label("three")]},
            {"rule": "never", "match": SHELL, "actions": [label("four")]}])
        self.post(server, pod_event(self.ns, "web"))
        server.ended(rule="last")
        wait("labels", lambda: {"one", "three"} <= set(self.labels()))
        self.assertEqual(server.log(action="label two") + server.log(action="label four"), [])

    def test_a_failure_ends_the_sequence_unless_ignored(self):
        self.pod(wait_running=False)
        fails = {"action": "fails", "actionner": "kubernetes:delete"}  # the event names no object
        server = self.stoop([
            {"rule": "strict", "match": SHELL, "actions": [{**fails, "continue": True}, label("strict")]},
            {"rule": "lenient", "match": SHELL, "actions": [{**fails, "continue": True, "ignore_errors": True},
                                                            label("lenient")]}])
        self.post(server, pod_event(self.ns, "web"))
        self.assertResult(server.ended(action="label lenient"), "success")
        self.assertResult(server.ended(rule="strict"), "failure", "ka.target")
        self.assertEqual(server.log(action="label strict"), [])

    def test_duplicates_run_once(self):
        self.pod(wait_running=False)
        server = self.stoop([rule(LABEL, {"labels": {"a": "b"}})])
        event = pod_event(self.ns, "web")
        for n in range(5):
            event["output_fields"]["evt.time.iso8601"] += 1000 + n  # the same, a moment later
            event["output"] = event["output"].replace("2026-07-10T17:12:01.152", f"2026-07-10T17:12:0{n}.152")
            self.post(server, event)
        self.post(server, pod_event(self.ns, "web", **{"proc.cmdline": "another command"}))
        server.ended(2)
        self.assertEqual(len(server.log(message="action", status="success")), 2)
        self.assertEqual(server.metric("stoop_duplicates_total"), 4)
        self.assertEqual(server.metric("falcosecurity_falco_talon_events_total"), 6)

    def test_no_deduplication_with_a_window_of_zero(self):
        self.pod(wait_running=False)
        server = self.stoop([rule(LABEL, {"labels": {"a": "b"}})], config={"deduplication": {"time_window_seconds": 0}})
        event = pod_event(self.ns, "web")
        for _ in range(3):
            self.post(server, event)
        server.ended(3)

    def test_the_same_event_from_falco_and_falcosidekick_runs_once(self):
        self.pod(wait_running=False)
        server = self.stoop([rule(LABEL, {"labels": {"a": "b"}})])
        event = pod_event(self.ns, "web")
        self.post(server, event)
        again = {"uuid": "6f0c7a4e-3d0e-4a53-9d7e-2f2a6f1b8c11", **event}
        self.post(server, again)
        server.ended()
        self.assertEqual(server.metric("stoop_duplicates_total"), 1)

    def test_pods_do_not_wait_for_each_other(self):
        self.pod("slow", wait_running=False)
        self.pod("fast", wait_running=False)
        gate = self.gate()
        server = self.stoop([rule(LABEL, {"labels": {"a": "b"}})], kubeconfig=self.through(gate))
        for _ in range(20):
            self.post(server, pod_event(self.ns, "slow"))
        began = time.monotonic()
        self.post(server, pod_event(self.ns, "fast"))
        server.ended(pod="fast", seconds=5)
        self.assertLess(time.monotonic() - began, 5)
        server.ended(20, pod="slow")

    def test_events_of_one_pod_stay_in_order(self):
        self.pod(wait_running=False)
        server = self.stoop([rule(LABEL, {"labels": {"a": str(n)}}, name=f"rule {n}", match={"rules": [f"Falco {n}"]})
                             for n in range(10)])
        for n in range(10):
            self.post(server, pod_event(self.ns, "web", rule=f"Falco {n}"))
        server.ended(10)
        self.assertEqual([entry["rule"] for entry in server.log(message="action", status="success")],
                         [f"rule {n}" for n in range(10)])
        self.assertEqual(self.labels()["a"], "9")

    def test_what_falcosidekick_sends(self):
        self.pod(wait_running=False)
        server = self.stoop([rule(LABEL, {"labels": {"a": "b"}}, match={"output_fields": ["environment=production"]})])
        event = load_event("from-falcosidekick")
        event["output_fields"].update({"k8s.pod.name": "web", "k8s.ns.name": self.ns})
        self.assertResult(self.act(server, event), "success")
        # The test event of Falcosidekick's own matches no rule.
        self.post(server, {"output": "This is a test from falcosidekick", "priority": "Debug", "rule": "Test rule",
                           "time": "2026-07-10T17:12:01Z", "output_fields": {"user.name": "falcosidekick"},
                           "source": "internal", "uuid": "x", "hostname": "h"})

    def test_a_trace_goes_on(self):
        self.pod(wait_running=False)
        server = self.stoop([rule(LABEL, {"labels": {"a": "b"}})])
        trace = "4bf92f3577b34da6a3ce929d0e0e4736"
        answer = server.request("POST", "/", json.dumps(pod_event(self.ns, "web")),
                                {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
        self.assertEqual(answer.status, 200)
        self.assertEqual(server.ended()["trace_id"], trace)
