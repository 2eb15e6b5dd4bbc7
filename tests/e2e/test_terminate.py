"""kubernetes:terminate, with all that it may be told."""
from harness import Case, pod_event, rule, wait

TERMINATE = "kubernetes:terminate"


class Terminate(Case):
    def server(self, **parameters):
        return self.stoop([rule(TERMINATE, parameters or None)])

    def test_deletes_the_pod(self):
        self.pod()
        line = self.act(self.server(), pod_event(self.ns, "web"))
        self.assertResult(line, "success")
        self.assertEqual((line["pod"], line["namespace"]), ("web", self.ns))
        self.assertEqual((line["rule"], line["action"], line["actionner"]),
                         ("Rule under test", "Action under test", TERMINATE))
        self.assertTrue(line["trace_id"])
        self.wait_gone("web")

    def test_grace_period_zero_is_at_once(self):
        self.pod(command="trap '' TERM; while :; do sleep 0.2; done")
        self.assertResult(self.act(self.server(grace_period_seconds=0), pod_event(self.ns, "web")), "success")
        wait("the pod is gone whole", lambda: not self.cluster.get("pods", self.ns, "web"), 5)

    def test_with_the_uid_deletes_that_pod(self):
        uid = self.pod()["metadata"]["uid"]
        self.assertResult(self.act(self.server(), pod_event(self.ns, "web", uid=uid)), "success")
        self.wait_gone("web", uid)

    def test_a_stale_uid_spares_the_namesake_of_a_statefulset(self):
        old = self.owner("StatefulSet", replicas=1)[0]["metadata"]
        self.cluster.delete("pods", self.ns, old["name"], gracePeriodSeconds=0)
        new = wait("the namesake", lambda: [p for p in self.ready_pods({"app": "web"}) or []
                                            if p["metadata"]["uid"] != old["uid"]], 60)[0]["metadata"]
        self.assertEqual(new["name"], old["name"])
        line = self.act(self.server(), pod_event(self.ns, old["name"], uid=old["uid"]))
        self.assertResult(line, "stale")
        self.assertThere(new["name"], new["uid"])

    def test_a_stale_uid_is_stale_with_guards_too(self):
        self.pod()
        line = self.act(self.server(ignore_statefulsets=True),
                        pod_event(self.ns, "web", uid="00000000-1111-2222-3333-444444444444"))
        self.assertResult(line, "stale")
        self.assertThere("web")

    def test_a_pod_that_is_gone_is_a_clear_failure(self):
        line = self.act(self.server(), pod_event(self.ns, "never-was"))
        self.assertResult(line, "failure", "never-was")

    def test_a_pod_that_is_gone_is_a_clear_failure_with_guards_too(self):
        line = self.act(self.server(ignore_daemonsets=True), pod_event(self.ns, "never-was"))
        self.assertResult(line, "failure", "never-was")

    def test_ignore_daemonsets(self):
        pod = self.owner("DaemonSet")[0]["metadata"]
        line = self.act(self.server(ignore_daemonsets=True), pod_event(self.ns, pod["name"]))
        self.assertResult(line, "ignored", "DaemonSet")
        self.assertThere(pod["name"], pod["uid"])
        line = self.act(self.server(ignore_statefulsets=True), pod_event(self.ns, pod["name"]))
        self.assertResult(line, "success")

    def test_ignore_statefulsets(self):
        pod = self.owner("StatefulSet", replicas=1)[0]["metadata"]
        line = self.act(self.server(ignore_statefulsets=True), pod_event(self.ns, pod["name"]))
        self.assertResult(line, "ignored", "StatefulSet")
        self.assertThere(pod["name"], pod["uid"])

    def test_ignore_standalone_pods(self):
        self.pod()
        self.assertResult(self.act(self.server(ignore_standalone_pods=True), pod_event(self.ns, "web")), "ignored")
        self.assertThere("web")

    def test_min_healthy_replicas_as_a_count(self):
        pod = self.owner("Deployment", replicas=2)[0]["metadata"]
        line = self.act(self.server(min_healthy_replicas="3"), pod_event(self.ns, pod["name"]))
        self.assertResult(line, "ignored", "2")
        self.assertThere(pod["name"], pod["uid"])
        line = self.act(self.server(min_healthy_replicas="2"), pod_event(self.ns, pod["name"]))
        self.assertResult(line, "success")

    def test_min_healthy_replicas_as_a_percentage_rounded_up(self):
        # Two of three are ready, the third never gets there: 66% is 1.98, so 2; 67% is 2.01, so 3.
        first = self.owner("StatefulSet", replicas=2)[0]["metadata"]
        self.cluster.patch("apps/v1/statefulsets", self.ns, "web", {"spec": {"template": {"spec": {"containers": [
            {**self.pod_spec()["containers"][0], "readinessProbe": {"exec": {"command": ["false"]}}}]}},
            "replicas": 3, "updateStrategy": {"type": "OnDelete", "rollingUpdate": None}}})
        wait("two of three are ready", lambda: (lambda s: s["status"].get("readyReplicas") == 2
             and s["status"].get("replicas") == 3)(self.cluster.get("apps/v1/statefulsets", self.ns, "web")))
        line = self.act(self.server(min_healthy_replicas="67%"), pod_event(self.ns, first["name"]))
        self.assertResult(line, "ignored", "67%")
        self.assertThere(first["name"], first["uid"])
        line = self.act(self.server(min_healthy_replicas="66%"), pod_event(self.ns, first["name"]))
        self.assertResult(line, "success")
        self.wait_gone(first["name"], first["uid"])

    def test_an_event_without_a_pod_is_a_clear_failure(self):
        event = pod_event(self.ns, "web")
        event["output_fields"].update({"k8s.pod.name": None, "k8s.ns.name": None, "container.id": "host"})
        self.assertResult(self.act(self.server(), event), "failure", "k8s.pod.name")

    def test_an_audit_event_names_the_pod_too(self):
        self.pod()
        event = pod_event(self.ns, "web")
        del event["output_fields"]["k8s.pod.name"], event["output_fields"]["k8s.ns.name"]
        event["output_fields"].update({"ka.target.name": "web", "ka.target.namespace": self.ns,
                                       "ka.target.resource": "pods"})
        self.assertResult(self.act(self.server(), event), "success")
        self.wait_gone("web")
