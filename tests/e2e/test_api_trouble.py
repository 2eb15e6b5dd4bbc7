"""The API server is down, slow, or restarts; who we are there is refused, changes, or is not what it seems."""
import json
import os
import subprocess

from harness import PODS_ALL, ApiError, Case, pod_event, random_name, rule, wait


class ApiServer(Case):
    def server(self, gate, **more):
        return self.stoop([rule("kubernetes:label", {"labels": {"a": "b"}})], kubeconfig=self.through(gate), **more)

    def test_down_at_the_start(self):
        self.pod(wait_running=False)
        gate = self.gate()
        gate.shut()
        server = self.server(gate)
        self.post(server, pod_event(self.ns, "web"))
        server.wait_log(message="match")
        gate.open()
        self.assertResult(server.ended(), "success")

    def test_down_in_the_middle(self):
        self.pod(wait_running=False)
        gate = self.gate()
        server = self.server(gate)
        self.assertResult(self.act(server, pod_event(self.ns, "web")), "success")
        gate.shut()
        self.post(server, pod_event(self.ns, "web", **{"proc.cmdline": "second"}))
        server.wait_log(2, message="match")
        self.assertEqual(server.get("/healthz").status, 200)
        gate.open()
        self.assertResult(server.ended(2), "success")

    def test_stuck_in_the_middle(self):
        self.pod(wait_running=False)
        gate = self.gate()
        server = self.server(gate)
        self.assertResult(self.act(server, pod_event(self.ns, "web")), "success")
        gate.stick()
        self.post(server, pod_event(self.ns, "web", **{"proc.cmdline": "second"}))
        server.wait_log(2, message="match")
        for _ in range(20):
            self.post(server, pod_event(self.ns, "web", rule="Another rule"))  # the door is not held up
        gate.open()
        self.assertResult(server.ended(2), "success")

    def test_down_for_good_is_a_clear_failure(self):
        gate = self.gate()
        gate.shut()
        server = self.server(gate, config={"limits": {"action_seconds": 2}})
        self.post(server, pod_event(self.ns, "web"))
        self.assertResult(server.ended(seconds=20), "failure", str(gate.port))
        self.assertEqual(server.get("/healthz").status, 200)

    def test_connections_are_kept(self):
        self.pod(wait_running=False)
        gate = self.gate()
        server = self.server(gate)
        for n in range(20):
            self.post(server, pod_event(self.ns, "web", **{"proc.cmdline": f"command {n}"}))
            server.ended(n + 1)
        self.assertLessEqual(gate.connections, 3)


class Restart(Case):
    exclusive = True
    bundled_only = True

    def tearDown(self):
        # Whatever became of the test: what comes after finds the API server there.
        self.cluster.script("start", "kube-apiserver")
        wait("the API server is ready", self.is_ready, 60)

    def is_ready(self):
        try:
            return self.cluster.call("GET", "/readyz") == "ok"
        except (ApiError, OSError):
            return False

    def test_a_restart_of_the_api_server_is_ridden_out(self):
        self.pod(wait_running=False)
        server = self.stoop([rule("kubernetes:label", {"labels": {"a": "b"}})])
        self.assertResult(self.act(server, pod_event(self.ns, "web")), "success")
        self.cluster.script("stop", "kube-apiserver")
        self.post(server, pod_event(self.ns, "web", **{"proc.cmdline": "second"}))
        self.cluster.script("start", "kube-apiserver")
        self.assertResult(server.ended(2, seconds=60), "success")

    def test_a_frozen_api_server_is_ridden_out(self):
        self.pod(wait_running=False)
        server = self.stoop([rule("kubernetes:label", {"labels": {"a": "b"}})])
        pid = self.cluster.script("pid", "kube-apiserver", capture_output=True).stdout.strip()
        subprocess.run(["kill", "-STOP", pid], check=True)
        try:
            self.post(server, pod_event(self.ns, "web"))
            server.wait_log(message="match")
        finally:
            subprocess.run(["kill", "-CONT", pid], check=True)
        self.assertResult(server.ended(seconds=60), "success")


class Access(Case):
    LABEL = [rule("kubernetes:label", {"labels": {"a": "b"}})]

    def test_a_token_in_the_kubeconfig(self):
        self.pod(wait_running=False)
        server = self.stoop(self.LABEL, kubeconfig=self.cluster.kubeconfig_with(user={"token": self.account(PODS_ALL)}))
        self.assertResult(self.act(server, pod_event(self.ns, "web")), "success")

    def test_forbidden_is_a_clear_failure(self):
        self.pod(wait_running=False)
        server = self.stoop(self.LABEL, kubeconfig=self.cluster.kubeconfig_with(user={"token": self.account()}))
        line = self.act(server, pod_event(self.ns, "web"))
        self.assertResult(line, "failure", "forbidden")
        self.assertIn("pods", line["error"])
        self.assertEqual(server.get("/healthz").status, 200)

    def test_an_invalid_token_is_a_clear_failure(self):
        server = self.stoop(self.LABEL, kubeconfig=self.cluster.kubeconfig_with(user={"token": "expired"}),
                            config={"limits": {"action_seconds": 5}})
        self.post(server, pod_event(self.ns, "web"))
        self.assertResult(server.ended(), "failure", "unauthorized")

    def test_a_token_file_that_rotates(self):
        self.pod(wait_running=False)
        path = self.folder + "/token"
        with open(path, "w") as f:
            f.write(self.account(PODS_ALL, "first"))
        server = self.stoop(self.LABEL, kubeconfig=self.cluster.kubeconfig_with(user={"tokenFile": path}))
        self.assertResult(self.act(server, pod_event(self.ns, "web")), "success")
        second = self.account(PODS_ALL, "second")
        self.cluster.delete("serviceaccounts", self.ns, "first")  # its tokens are worth nothing from here on
        with open(path + ".new", "w") as f:
            f.write(second)
        os.replace(path + ".new", path)
        self.assertResult(self.act(server, pod_event(self.ns, "web", **{"proc.cmdline": "second"})), "success")

    def test_an_exec_plugin_gives_the_token(self):
        self.pod(wait_running=False)
        script = self.folder + "/credentials"
        with open(script, "w") as f:
            f.write("#!/bin/sh\ncat <<E\n" + json.dumps({
                "apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
                "status": {"token": self.account(PODS_ALL)}}) + "\nE\n")
        os.chmod(script, 0o755)
        server = self.stoop(self.LABEL, kubeconfig=self.cluster.kubeconfig_with(user={"exec": {
            "apiVersion": "client.authentication.k8s.io/v1", "command": script, "interactiveMode": "Never"}}))
        self.assertResult(self.act(server, pod_event(self.ns, "web")), "success")

    def test_a_wrong_ca_is_a_clear_failure(self):
        self.pod(wait_running=False)
        key, crt = self.folder + "/k", self.folder + "/c"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                        "-nodes", "-days", "1", "-subj", "/CN=another-ca", "-keyout", key, "-out", crt],
                       check=True, capture_output=True)
        kubeconfig = self.cluster.kubeconfig_with({"certificate-authority": crt, "certificate-authority-data": None})
        server = self.stoop(self.LABEL, kubeconfig=kubeconfig, config={"limits": {"action_seconds": 5}})
        self.post(server, pod_event(self.ns, "web"))
        self.assertResult(server.ended(), "failure", "certificate")
        self.assertNotIn("a", self.cluster.get("pods", self.ns, "web")["metadata"].get("labels", {}))
        self.assertEqual(server.get("/healthz").status, 200)

    def in_cluster(self, token):
        """A server that sees a pod's service account, in a mount namespace of its own."""
        mounted = self.folder + "/serviceaccount"
        os.makedirs(mounted, exist_ok=True)
        for name, text in (("token", token), ("ca.crt", self.ca()), ("namespace", self.ns)):
            with open(f"{mounted}/{name}", "w") as f:
                f.write(text)
        host, port = self.cluster.server.split("//")[1].rsplit(":", 1)
        script = ('mount -t tmpfs tmpfs /run && mkdir -p /run/secrets/kubernetes.io/serviceaccount && '
                  'mount --bind "$0" /run/secrets/kubernetes.io/serviceaccount && exec "$@"')
        return mounted, self.stoop(self.LABEL, kubeconfig=None,
                                   wrapper=("unshare", "--mount", "sh", "-ec", script, mounted),
                                   env={"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port})

    def test_in_a_cluster_and_its_token_rotates(self):
        self.pod(wait_running=False)
        mounted, server = self.in_cluster(self.account(PODS_ALL, "first"))
        self.assertResult(self.act(server, pod_event(self.ns, "web")), "success")
        second = self.account(PODS_ALL, "second")
        self.cluster.delete("serviceaccounts", self.ns, "first")
        with open(mounted + "/token", "w") as f:
            f.write(second)
        self.assertResult(self.act(server, pod_event(self.ns, "web", **{"proc.cmdline": "second"})), "success")

    def test_no_cluster_at_all_is_a_clear_error(self):
        server = self.stoop(self.LABEL, kubeconfig=None, start=False)
        status, said = server.fails_to_start()
        self.assertEqual(status, 1)
        self.assertIn("KUBERNETES_SERVICE_HOST", said)

    def test_a_kubeconfig_that_is_not_there(self):
        server = self.stoop(self.LABEL, config={"kubeconfig": "/none/such"}, start=False)
        status, said = server.fails_to_start()
        self.assertEqual(status, 1)
        self.assertIn("/none/such", said)

    def test_secrets_are_never_said(self):
        secret = random_name("secret")
        server = self.stoop(self.LABEL, kubeconfig=self.cluster.kubeconfig_with(user={"token": secret}),
                            config={"limits": {"action_seconds": 3}})
        self.post(server, pod_event(self.ns, "web"))
        server.ended()
        wait("metrics", lambda: server.get("/metrics").status == 200)
        self.assertNotIn(secret, server.log_text())
