"""kubernetes:drain: on the real node, and on a second one that has no kubelet: its pods are set Running here, and end
at once when they are evicted with no grace, or when the test plays the kubelet."""
import concurrent.futures
import time

from harness import Case, pod_event, random_name, rule, wait

PDB = "policy/v1/poddisruptionbudgets"


class Drain(Case):
    exclusive = True

    def server(self, **parameters):
        return self.stoop([rule("kubernetes:drain", parameters or None)])

    def drain(self, server, node, pod, status, *words):
        line = self.act(server, pod_event(self.ns, pod, **{"k8s.node.name": node}), seconds=90)
        self.assertResult(line, status)
        for word in words:
            self.assertIn(word, line.get("result", "") + line.get("error", ""))
        return line

    # --- a node without a kubelet

    def make_node(self):
        name = random_name("paper")
        taint = {"key": "stoop.test/paper", "effect": "NoSchedule"}  # only for those who ask for it
        self.cluster.create("nodes", None, {"metadata": {"name": name, "labels": {"stoop.test/node": name}},
                                            "spec": {"taints": [taint]}})
        self.addCleanup(self.remove_node, name)
        room = {"cpu": "64", "memory": "256Gi", "pods": "10000", "ephemeral-storage": "100Gi"}
        self.cluster.patch("nodes", None, name + "/status", {"status": {
            "capacity": room, "allocatable": room,
            "conditions": [{"type": "Ready", "status": "True", "reason": "Paper",
                            "lastHeartbeatTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                            "lastTransitionTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}]}})
        wait("the node is ready for pods", lambda: all(
            t["key"] == "stoop.test/paper" for t in self.cluster.get("nodes", None, name)["spec"].get("taints", [])))
        return name

    def remove_node(self, name):
        self.cluster.delete("namespaces", None, self.ns)
        for pod in self.pods_of(name):
            self.cluster.delete("pods", self.ns, pod["metadata"]["name"], gracePeriodSeconds=0)
        self.cluster.delete("nodes", None, name)

    def pods_of(self, node):
        path = self.cluster.path("pods", self.ns) + "?fieldSelector=spec.nodeName%3D" + node
        return self.cluster.call("GET", path)["items"]

    def spec_for(self, node):
        return {**self.pod_spec(), "nodeSelector": {"stoop.test/node": node}, "terminationGracePeriodSeconds": 30,
                "tolerations": [{"key": "stoop.test/paper", "operator": "Exists"}]}

    def workload(self, node, kind, name, replicas=None):
        labels = {"app": name}
        spec = {"selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": self.spec_for(node)}}
        if replicas:
            spec["replicas"] = replicas
        if kind == "StatefulSet":
            spec.update({"serviceName": name, "podManagementPolicy": "Parallel"})
        self.cluster.create(f"apps/v1/{kind.lower()}s", self.ns, {"metadata": {"name": name}, "spec": spec})
        self.run_pods(node, lambda pods: len([p for p in pods if p["metadata"].get("labels") and
                                              p["metadata"]["labels"].get("app") == name]) == (replicas or 1))

    def alone(self, node, name, mirror=False):
        metadata = {"name": name}
        if mirror:
            metadata["annotations"] = {"kubernetes.io/config.mirror": "x"}
        self.cluster.create("pods", self.ns, {"metadata": metadata, "spec": {
            **self.spec_for(node), "nodeName": node}})

    def run_pods(self, node, enough):
        """Sets the node's pods Running, as its kubelet would; waits until there are enough."""
        wait("pods on the paper node", lambda: enough(self.pods_of(node)), 60)
        for pod in self.pods_of(node):
            if pod["status"].get("phase") == "Running":
                continue
            self.cluster.patch("pods", self.ns, pod["metadata"]["name"] + "/status", {"status": {
                "phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}})

    def names(self, node):
        return sorted(p["metadata"]["name"] for p in self.pods_of(node) if "deletionTimestamp" not in p["metadata"])

    def cordoned(self, node):
        return self.cluster.get("nodes", None, node)["spec"].get("unschedulable", False)

    def furnished(self):
        """A node with two pods of a Deployment, two of a StatefulSet, one of a DaemonSet, a lone and a mirror pod."""
        node = self.make_node()
        self.workload(node, "Deployment", "web", 2)
        self.workload(node, "StatefulSet", "db", 2)
        self.workload(node, "DaemonSet", "agent")
        self.alone(node, "alone")
        self.alone(node, "static", mirror=True)
        self.run_pods(node, lambda pods: len(pods) == 7)
        return node

    def test_what_stays_and_what_goes(self):
        node = self.furnished()
        server = self.server(ignore_daemonsets=True, ignore_statefulsets=True, grace_period_seconds=0)
        self.drain(server, node, "alone", "success", "3 pods evicted, 4 ignored (1 static, 1 of DaemonSets, 2 of "
                   "StatefulSets), 0 failed, 0 timed out")
        self.assertTrue(self.cordoned(node))
        names = self.names(node)
        self.assertEqual(len(names), 4, names)
        self.assertEqual([n for n in names if not n.startswith("agent-")], ["db-0", "db-1", "static"])

    def test_without_flags_only_static_pods_stay(self):
        node = self.furnished()
        self.drain(self.server(grace_period_seconds=0), node, "alone", "success",
                   "6 pods evicted, 1 ignored (1 static), 0 failed")
        # The DaemonSet's pod is made anew at once, which is what a DaemonSet does.
        wait("all have gone", lambda: [n for n in self.names(node) if not n.startswith("agent-")] == ["static"])

    def test_the_node_is_that_of_the_pod(self):
        node = self.make_node()
        self.alone(node, "alone")
        line = self.act(self.server(grace_period_seconds=0), pod_event(self.ns, "alone"))
        self.assertResult(line, "success", "1 pod evicted")
        self.assertTrue(self.cordoned(node))

    def budget(self, name, least):
        self.cluster.create(PDB, self.ns, {"metadata": {"name": name}, "spec": {
            "minAvailable": least, "selector": {"matchLabels": {"app": name}}}})
        wait("the budget is counted", lambda: self.cluster.get(PDB, self.ns, name)["status"].get("currentHealthy") ==
             len([p for p in self.cluster.list("pods", self.ns) if p["metadata"].get("labels", {}).get("app") == name]))

    def test_a_budget_that_never_allows_it(self):
        node = self.make_node()
        self.workload(node, "Deployment", "web", 2)
        self.alone(node, "alone")
        self.budget("web", 2)
        words = "0 ignored, 0 failed, 2 timed out", "disruption budget", self.ns + "/web-"
        self.drain(self.server(grace_period_seconds=0, max_wait_period=3), node, "alone", "failure", "1 pod evicted",
                   *words)
        self.assertEqual(len(self.names(node)), 2)
        self.drain(self.server(grace_period_seconds=0, max_wait_period=2, ignore_error=True), node,
                   self.names(node)[0], "success", "0 pods evicted", *words)

    def test_a_budget_that_allows_it_later(self):
        node = self.make_node()
        self.workload(node, "Deployment", "web", 2)
        self.budget("web", 2)
        server = self.server(grace_period_seconds=0, max_wait_period=60)
        self.post(server, pod_event(self.ns, self.names(node)[0], **{"k8s.node.name": node}))
        wait("the node is cordoned", lambda: self.cordoned(node))
        time.sleep(2)  # some refusals
        self.assertFalse(server.log(message="action", status=("success", "failure")))
        self.cluster.delete(PDB, self.ns, "web")
        self.assertResult(server.ended(), "success", "2 pods evicted, 0 ignored, 0 failed, 0 timed out")

    def test_min_healthy_replicas(self):
        node = self.make_node()
        self.workload(node, "Deployment", "web", 4)
        wait("the owner knows", lambda: self.cluster.list("apps/v1/replicasets", self.ns)[0]["status"].get(
            "readyReplicas") == 4)
        self.drain(self.server(grace_period_seconds=0, min_healthy_replicas="75%"), node, self.names(node)[0],
                   "success", "2 pods evicted, 2 ignored (2 whose owners have too few healthy replicas)")

    def test_max_wait_period(self):
        node = self.make_node()
        for name in ("alone", "other"):
            self.alone(node, name)
        self.run_pods(node, lambda pods: len(pods) == 2)
        # Nobody ends them on this node.
        began = time.monotonic()
        self.drain(self.server(max_wait_period=2), node, "alone", "failure", "2 pods evicted", "2 timed out",
                   "is not gone yet")
        self.assertLess(time.monotonic() - began, 15)
        self.drain(self.server(max_wait_period=60, wait_period_excluded_namespaces=[self.ns]), node, "alone",
                   "success", "0 pods evicted, 0 ignored, 2 ending already, 0 failed, 0 timed out")
        # Now somebody plays the kubelet.
        server = self.server(max_wait_period=60)
        self.post(server, pod_event(self.ns, "alone", **{"k8s.node.name": node}))
        time.sleep(1)
        for name in ("alone", "other"):
            self.assertFalse(server.log(message="action", status=("success", "failure")))
            self.cluster.delete("pods", self.ns, name, gracePeriodSeconds=0)
        self.assertResult(server.ended(), "success", "2 ending already")

    def test_many_pods(self):
        node = self.make_node()
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda i: self.alone(node, f"pod-{i}"), range(600)))
        server = self.server(grace_period_seconds=0, max_wait_period=60)
        began = time.monotonic()
        self.drain(server, node, "pod-0", "success", "600 pods evicted, 0 ignored, 0 failed, 0 timed out")
        print(f"# 600 pods drained in {time.monotonic() - began:.1f} s", flush=True)
        self.assertEqual(self.pods_of(node), [])
        with open(f"/proc/{server.process.pid}/status", encoding="ascii") as f:
            peak = next(int(line.split()[1]) for line in f if line.startswith("VmHWM"))
        print(f"# peak of memory {peak} KiB", flush=True)
        self.assertLess(peak, 32 * 1024)

    def test_a_stop_in_the_middle(self):
        node = self.make_node()
        self.workload(node, "Deployment", "web", 2)
        self.budget("web", 2)
        server = self.server(grace_period_seconds=0, max_wait_period=300)
        self.post(server, pod_event(self.ns, self.names(node)[0], **{"k8s.node.name": node}))
        wait("the node is cordoned", lambda: self.cordoned(node))
        status, seconds = server.stop(15)
        self.assertEqual(status, 0)
        self.assertLess(seconds, 12)

    # --- the real node

    def test_real_pods(self):
        pods = self.owner("Deployment", replicas=2)
        node = pods[0]["spec"]["nodeName"]
        self.addCleanup(self.cluster.patch, "nodes", None, node, {"spec": {"unschedulable": None}})
        line = self.act(self.server(max_wait_period=60), pod_event(self.ns, pods[0]["metadata"]["name"]), seconds=90)
        self.assertResult(line, "success", "0 failed, 0 timed out")
        self.assertTrue(self.cordoned(node))
        there = {p["metadata"]["uid"] for p in self.cluster.list("pods", self.ns)}
        for pod in pods:
            self.assertNotIn(pod["metadata"]["uid"], there)
        # What took their place stands in the queue until the node is open again.
        self.cluster.patch("nodes", None, node, {"spec": {"unschedulable": None}})
        wait("new pods", lambda: self.ready_pods({"app": "web"}, 2), 60)
