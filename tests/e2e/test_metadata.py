"""kubernetes:label, kubernetes:annotation, kubernetes:cordon."""
from harness import Case, pod_event, rule


class PodMetadata(Case):
    def labels(self, name="web"):
        return self.cluster.get("pods", self.ns, name)["metadata"].get("labels", {})

    def annotations(self, name="web"):
        return self.cluster.get("pods", self.ns, name)["metadata"].get("annotations", {})

    def test_label_sets_changes_and_deletes(self):
        self.pod(labels={"app": "web", "changed": "before", "removed": "before"}, wait_running=False)
        server = self.stoop([rule("kubernetes:label", {"labels": {"suspicious": True, "order": 20, "changed": "after",
                                                                  "removed": "", "never-was": ""}})])
        self.assertResult(self.act(server, pod_event(self.ns, "web")), "success")
        self.assertEqual(self.labels(), {"app": "web", "suspicious": "true", "order": "20", "changed": "after"})
        # Once more: nothing to change is fine.
        self.assertResult(self.act(server, pod_event(self.ns, "web")), "success")

    def test_label_works_on_a_pod_without_labels(self):
        self.pod(wait_running=False)
        server = self.stoop([rule("kubernetes:label", {"level": "pod", "labels": {"stoop.example/bad": "yes",
                                                                                  "absent": ""}})])
        self.assertResult(self.act(server, pod_event(self.ns, "web")), "success")
        self.assertEqual(self.labels(), {"stoop.example/bad": "yes"})

    def test_annotation_sets_changes_and_deletes(self):
        self.pod(annotations={"changed": "before", "removed": "before"}, wait_running=False)
        server = self.stoop([rule("kubernetes:annotation", {"annotations": {
            "seen": "by \"Stoop\"\nand ünïcode", "changed": 1.50, "removed": ""}})])
        self.assertResult(self.act(server, pod_event(self.ns, "web")), "success")
        got = self.annotations()
        self.assertEqual(got["seen"], "by \"Stoop\"\nand ünïcode")
        self.assertIn(got["changed"], ("1.5", "1.50"))
        self.assertNotIn("removed", got)

    def test_a_label_that_kubernetes_refuses_is_a_clear_failure(self):
        self.pod(wait_running=False)
        server = self.stoop([rule("kubernetes:label", {"labels": {"fine": "a"}})])
        self.cluster.delete("pods", self.ns, "web", gracePeriodSeconds=0)
        self.assertResult(self.act(server, pod_event(self.ns, "web")), "failure", "web")


class NodeMetadata(Case):
    exclusive = True

    def setUp(self):
        super().setUp()
        self.node = self.wait_node()

    def wait_node(self):
        self.pod()
        return self.wait_running("web")["spec"]["nodeName"]

    def node_object(self):
        return self.cluster.get("nodes", None, self.node)

    def test_label_and_annotation_on_the_node(self):
        self.addCleanup(self.cluster.patch, "nodes", None, self.node,
                        {"metadata": {"labels": {"stoop.test/bad": None}, "annotations": {"stoop.test/why": None}}})
        server = self.stoop([
            rule("kubernetes:label", {"level": "node", "labels": {"stoop.test/bad": "yes"}}, name="one"),
            rule("kubernetes:annotation", {"level": "node", "annotations": {"stoop.test/why": "shell"}}, name="two")])
        self.post(server, pod_event(self.ns, "web"))
        self.assertResult(server.ended(rule="one"), "success")
        self.assertResult(server.ended(rule="two"), "success")
        meta = self.node_object()["metadata"]
        self.assertEqual(meta["labels"]["stoop.test/bad"], "yes")
        self.assertEqual(meta["annotations"]["stoop.test/why"], "shell")
        server = self.stoop([rule("kubernetes:label", {"level": "node", "labels": {"stoop.test/bad": ""}})])
        self.assertResult(self.act(server, pod_event(self.ns, "web")), "success")
        self.assertNotIn("stoop.test/bad", self.node_object()["metadata"]["labels"])

    def test_cordon(self):
        self.addCleanup(self.cluster.patch, "nodes", None, self.node, {"spec": {"unschedulable": None}})
        server = self.stoop([rule("kubernetes:cordon")])
        self.assertResult(self.act(server, pod_event(self.ns, "web")), "success")
        self.assertTrue(self.node_object()["spec"]["unschedulable"])
        self.assertThere("web")
        # A node that is cordoned already is fine.
        self.assertResult(self.act(server, pod_event(self.ns, "web")), "success")

    def test_cordon_when_the_pod_is_gone(self):
        server = self.stoop([rule("kubernetes:cordon")])
        self.assertResult(self.act(server, pod_event(self.ns, "never-was")), "failure", "never-was")
        self.assertFalse(self.node_object()["spec"].get("unschedulable"))
