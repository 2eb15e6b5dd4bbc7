"""kubernetes:delete of every kind; kubernetes:log into the log line and to local:file."""
import hashlib
import os
import re
import stat

from harness import AUDIT, Case, audit_event, pod_event, random_name, rule, wait

CRDS = "apiextensions.k8s.io/v1/customresourcedefinitions"


class Delete(Case):
    def server(self):
        return self.stoop([rule("kubernetes:delete", match=AUDIT)])

    def test_a_namespaced_object(self):
        self.cluster.create("configmaps", self.ns, {"metadata": {"name": "settings"}, "data": {"password": "x"}})
        self.cluster.create("configmaps", self.ns, {"metadata": {"name": "other"}})
        self.assertResult(self.act(self.server(), audit_event("configmaps", "settings", self.ns)), "success")
        self.assertIsNone(self.cluster.get("configmaps", self.ns, "settings"))
        self.assertIsNotNone(self.cluster.get("configmaps", self.ns, "other"))

    def test_an_object_of_a_group(self):
        self.owner("Deployment", replicas=1)
        self.assertResult(self.act(self.server(), audit_event("deployments", "web", self.ns)), "success")
        wait("the deployment is gone", lambda: not self.cluster.get("apps/v1/deployments", self.ns, "web"))
        # What belongs to it goes too, as with kubectl.
        wait("its pods go", lambda: not self.ready_pods({"app": "web"}), 60)

    def test_a_cluster_scoped_object(self):
        kind, name = "rbac.authorization.k8s.io/v1/clusterroles", random_name("stoop-e2e")
        self.cluster.create(kind, None, {"metadata": {"name": name}, "rules": []})
        self.addCleanup(self.cluster.delete, kind, None, name)
        self.assertResult(self.act(self.server(), audit_event("clusterroles", name)), "success")
        self.assertIsNone(self.cluster.get(kind, None, name))

    def test_an_object_of_a_kind_that_was_defined_after_the_start(self):
        server = self.server()
        group, plural = random_name("e2e") + ".stoop.test", "widgets"
        self.cluster.create(CRDS, None, {"metadata": {"name": f"{plural}.{group}"}, "spec": {
            "group": group, "scope": "Namespaced", "names": {"plural": plural, "singular": "widget", "kind": "Widget"},
            "versions": [{"name": "v1beta2", "served": True, "storage": True, "schema": {"openAPIV3Schema": {
                "type": "object", "x-kubernetes-preserve-unknown-fields": True}}}]}})
        self.addCleanup(self.cluster.delete, CRDS, None, f"{plural}.{group}")
        kind = f"{group}/v1beta2/{plural}"

        def made():
            try:
                return self.cluster.create(kind, self.ns, {"apiVersion": f"{group}/v1beta2", "kind": "Widget",
                                                           "metadata": {"name": "one"}})
            except Exception:
                return None
        wait("the new kind is served", made)
        self.assertResult(self.act(server, audit_event(plural, "one", self.ns)), "success")
        self.assertIsNone(self.cluster.get(kind, self.ns, "one"))

    def test_a_kind_that_nobody_serves_is_a_clear_failure(self):
        self.assertResult(self.act(self.server(), audit_event("gizmos", "one", self.ns)), "failure", "gizmos")

    def test_an_object_that_is_gone(self):
        line = self.act(self.server(), audit_event("configmaps", "never-was", self.ns))
        self.assertResult(line, "failure", "never-was")

    def test_names_cannot_climb_out_of_their_path(self):
        self.cluster.create("configmaps", self.ns, {"metadata": {"name": "settings"}})
        for name in ("../secrets/x", "settings?dryRun=All", "settings/../../..", "%2e%2e", "."):
            self.assertResult(self.act(self.server(), audit_event("configmaps", name, self.ns)), "failure")
        self.assertIsNotNone(self.cluster.get("configmaps", self.ns, "settings"))


class Log(Case):
    def chatty(self, lines=50):
        self.pod(command=f"for i in $(seq 1 {lines}); do echo line $i of the log; done; trap exit TERM; "
                         "while :; do sleep 0.2; done")
        wait("the pod has said all", lambda: f"line {lines} of" in self.cluster.call(
            "GET", self.cluster.path("pods", self.ns, "web") + "/log"))

    def test_into_the_log_line(self):
        self.chatty()
        line = self.act(self.stoop([rule("kubernetes:log", {"tail_lines": 3})]), pod_event(self.ns, "web"))
        self.assertResult(line, "success")
        self.assertEqual(line["output"].strip().splitlines(), [f"line {n} of the log" for n in (48, 49, 50)])

    def test_twenty_lines_by_default(self):
        self.chatty()
        line = self.act(self.stoop([rule("kubernetes:log")]), pod_event(self.ns, "web"))
        self.assertEqual(len(line["output"].strip().splitlines()), 20)

    def test_several_containers(self):
        """All of them, or the one that the event names."""
        spec = self.pod_spec("echo from web; trap exit TERM; while :; do sleep 0.2; done")
        spec["containers"].append({**spec["containers"][0], "name": "side", "command": [
            "/bin/sh", "-c", "echo from side; trap exit TERM; while :; do sleep 0.2; done"]})
        self.cluster.create("pods", self.ns, {"metadata": {"name": "web"}, "spec": spec})
        self.wait_running("web")
        for name in ("web", "side"):
            wait(f"{name} has said it", lambda n=name: "from" in self.cluster.call(
                "GET", self.cluster.path("pods", self.ns, "web") + f"/log?container={n}"))
        server = self.stoop([rule("kubernetes:log")])
        line = self.act(server, pod_event(self.ns, "web", **{"container.name": "side", "container.id": None}))
        self.assertResult(line, "success", "container 'side'")
        self.assertEqual(line["output"], "from side\n")
        line = self.act(server, pod_event(self.ns, "web", **{"container.name": None, "container.id": None}))
        self.assertResult(line, "success", "2 containers")
        self.assertEqual(line["output"], "==> container web <==\nfrom web\n\n==> container side <==\nfrom side\n")

    def test_the_newest_lines_fit_into_the_log_line(self):
        self.pod(command="for i in $(seq 1 40); do printf \"line $i %02000d\\n\" 0; done; trap exit TERM; "
                         "while :; do sleep 0.2; done")
        wait("the pod has said all", lambda: "line 40 " in self.cluster.call(
            "GET", self.cluster.path("pods", self.ns, "web") + "/log"))
        line = self.act(self.stoop([rule("kubernetes:log")]), pod_event(self.ns, "web"))
        self.assertResult(line, "success")
        self.assertRegex(line["output"], r"^\[\d+ bytes before this were left out\]\nline 3\d 0000")
        self.assertIn("\nline 40 0000", line["output"])
        self.assertNotIn("[cut:", line["output"])

    def test_to_a_local_file(self):
        self.chatty(2000)
        folder = os.path.join(self.folder, "artifacts")
        os.mkdir(folder)
        server = self.stoop([rule("kubernetes:log", {"tail_lines": 2000}, output={
            "target": "local:file", "parameters": {"destination": folder}})])
        self.assertResult(self.act(server, pod_event(self.ns, "web")), "success")
        line = server.wait_log(message="output", status=("success", "failure"))
        self.assertResult(line, "success")
        self.assertEqual(line["output_target"], "local:file")
        names = os.listdir(folder)
        self.assertEqual(len(names), 1, names)
        self.assertRegex(names[0], rf"^\d{{4}}-\d\d-\d\dT\d\d-\d\d-\d\dZ_{re.escape(self.ns)}_web_")
        path = os.path.join(folder, names[0])
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        with open(path, "rb") as f:
            data = f.read()
        self.assertEqual(data, b"".join(b"line %d of the log\n" % n for n in range(1, 2001)))
        self.assertIn(hashlib.sha256(data).hexdigest(), str(line))
        self.assertIn(str(len(data)), str(line))

    def test_a_size_limit_ends_it_clearly(self):
        self.chatty(2000)
        folder = os.path.join(self.folder, "artifacts")
        os.mkdir(folder)
        server = self.stoop([rule("kubernetes:log", {"tail_lines": 2000}, output={
            "target": "local:file", "parameters": {"destination": folder}})],
            config={"limits": {"artifact_bytes": 1000}})
        self.act(server, pod_event(self.ns, "web"))
        lines = server.log(message=("action", "output"), status=("success", "failure"))
        self.assertIn("1000", str(lines))
        for name in os.listdir(folder):
            self.assertLessEqual(os.path.getsize(os.path.join(folder, name)), 1000)

    def test_a_folder_that_is_not_there(self):
        self.chatty(5)
        server = self.stoop([rule("kubernetes:log", output={
            "target": "local:file", "parameters": {"destination": self.folder + "/none/such"}})], start=False)
        try:
            server.start()
        except AssertionError:
            self.assertIn("none/such", server.log_text())  # refusing at the start is as good
            return
        self.post(server, pod_event(self.ns, "web"))
        line = server.wait_log(message=("action", "output"), status="failure")
        self.assertIn("none/such", str(line))

    def test_control_characters_cannot_forge_a_line(self):
        self.pod(command=r"""printf '\033[31mred\033[0m\n{"message":"action","status":"success","rule":"forged"}\n'; """
                         "trap exit TERM; while :; do sleep 0.2; done")
        wait("the pod has spoken", lambda: "forged" in self.cluster.call(
            "GET", self.cluster.path("pods", self.ns, "web") + "/log"))
        server = self.stoop([rule("kubernetes:log")])
        self.assertResult(self.act(server, pod_event(self.ns, "web")), "success")
        self.assertEqual(server.log(rule="forged"), [])
        self.assertNotIn("\033", server.log_text())
