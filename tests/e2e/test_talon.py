"""What worked with Falco Talon works unchanged: its configuration, its rules, its environment variables."""
import os
import shutil

from harness import FIXTURES, Case, load_event, pod_event


class Talon(Case):
    def server(self, **env):
        server = self.stoop(None, start=False)
        shutil.copy(os.path.join(FIXTURES, "talon-rules.yaml"), server.rules_file)
        shutil.copy(os.path.join(FIXTURES, "talon-config.yaml"), server.config_file)
        server.env.update({"LISTEN_ADDRESS": "127.0.0.1", "LISTEN_PORT": str(server.port),
                           "KUBECONFIG": server.kubeconfig_file, "STORE_PATH": server.store_file,
                           "RULES_FILES": server.rules_file, **env})
        return server.start()

    def test_the_files_load(self):
        server = self.server()
        self.assertEqual([entry for entry in server.log() if entry["level"] == "error"], [])
        # What is said is about old names, with the new ones, and about what is still to come.
        for line in (server.log_text().splitlines()):
            if "warn" in line:
                self.assertTrue("is an old name" in line or "not in this version yet" in line, line)

    def test_they_do_what_they_say(self):
        pod = self.owner("Deployment", replicas=1)[0]["metadata"]
        server = self.server()
        self.assertResult(self.act(server, pod_event(self.ns, pod["name"])), "success")
        labels = self.cluster.get("pods", self.ns, pod["name"])["metadata"]["labels"]
        self.assertEqual((labels["suspicious"], labels["analysis/status"]), ("true", "suspicious"))
        self.assertNotIn("team", labels)

        event = load_event("outbound-connection")
        event["output_fields"].update({"k8s.pod.name": pod["name"], "k8s.ns.name": self.ns})
        self.post(server, event)
        self.assertResult(server.ended(action="Disable outbound connections"), "success")
        policies = self.cluster.list("networking.k8s.io/v1/networkpolicies", self.ns)
        self.assertEqual([p["ipBlock"]["cidr"] for e in policies[0]["spec"]["egress"] for p in e["to"]],
                         ["192.168.1.0/24", "172.17.0.0/16"])

        event = pod_event(self.ns, pod["name"], rule="Something dreadful")
        event["priority"] = "Critical"
        self.post(server, event)
        self.assertResult(server.ended(action="Get logs of the pod"), "dry_run")
        self.assertResult(server.ended(action="Terminate Pod"), "dry_run")
        self.assertThere(pod["name"], pod["uid"])

    def test_variables_override_the_file(self):
        server = self.server(LOG_FORMAT="text", PRINT_ALL_EVENTS="false", DEDUPLICATION_TIME_WINDOW_SECONDS="0")
        self.post(server, pod_event("default", "web", rule="Another rule"))
        self.post(server, pod_event("default", "web", rule="Another rule"))
        self.assertEqual(server.log(), [])
        self.assertNotIn("Another rule", server.log_text())
