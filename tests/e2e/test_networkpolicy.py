"""kubernetes:networkpolicy."""
from harness import Case, pod_event, rule

NETPOL = "networking.k8s.io/v1/networkpolicies"


class NetworkPolicy(Case):
    def server(self, **parameters):
        return self.stoop([rule("kubernetes:networkpolicy", parameters or None)])

    def policies(self):
        return self.cluster.list(NETPOL, self.ns)

    def the_policy(self):
        policies = self.policies()
        self.assertEqual(len(policies), 1, policies)
        return policies[0]

    def web(self):
        return self.owner("Deployment", replicas=1)[0]["metadata"]

    def test_without_an_allow_list_nothing_gets_out(self):
        pod = self.web()
        line = self.act(self.server(), pod_event(self.ns, pod["name"]))
        self.assertResult(line, "success")
        policy = self.the_policy()
        self.assertEqual(policy["metadata"]["labels"]["app.kubernetes.io/managed-by"], "stoop")
        self.assertEqual(policy["spec"]["podSelector"], {"matchLabels": {"app": "web"}})
        self.assertEqual(policy["spec"]["policyTypes"], ["Egress"])
        self.assertFalse(policy["spec"].get("egress"))
        self.assertTrue(policy["metadata"]["name"].startswith("web"), policy["metadata"]["name"])

    def test_allow_cidr_and_allow_namespaces(self):
        pod = self.web()
        line = self.act(self.server(allow_cidr=["192.168.1.0/24", "2001:db8::/32"],
                                    allow_namespaces=["green-ns", "blue-ns"]), pod_event(self.ns, pod["name"]))
        self.assertResult(line, "success")
        to = [peer for e in self.the_policy()["spec"]["egress"] for peer in e["to"]]
        self.assertEqual(sorted(p["ipBlock"]["cidr"] for p in to if "ipBlock" in p),
                         ["192.168.1.0/24", "2001:db8::/32"])
        names = []
        for selector in (p["namespaceSelector"] for p in to if "namespaceSelector" in p):
            names += [selector.get("matchLabels", {}).get("kubernetes.io/metadata.name")]
            for e in selector.get("matchExpressions", []):
                self.assertEqual((e["key"], e["operator"]), ("kubernetes.io/metadata.name", "In"))
                names += e["values"]
        self.assertEqual(sorted(n for n in names if n), ["blue-ns", "green-ns"])

    def test_the_old_name_allow(self):
        pod = self.web()
        self.assertResult(self.act(self.server(allow=["10.1.0.0/16"]), pod_event(self.ns, pod["name"])), "success")
        to = [peer for e in self.the_policy()["spec"]["egress"] for peer in e["to"]]
        self.assertEqual(to, [{"ipBlock": {"cidr": "10.1.0.0/16"}}])

    def test_repeating_updates(self):
        pod = self.web()
        self.assertResult(self.act(self.server(), pod_event(self.ns, pod["name"])), "success")
        self.assertResult(self.act(self.server(allow_cidr=["10.2.0.0/16"]), pod_event(self.ns, pod["name"])), "success")
        self.assertEqual(self.the_policy()["spec"]["egress"], [{"to": [{"ipBlock": {"cidr": "10.2.0.0/16"}}]}])

    def test_a_policy_of_somebody_else_is_never_overwritten(self):
        pod = self.web()
        self.assertResult(self.act(self.server(), pod_event(self.ns, pod["name"])), "success")
        name = self.the_policy()["metadata"]["name"]
        self.cluster.delete(NETPOL, self.ns, name)
        theirs = {"podSelector": {"matchLabels": {"app": "other"}}, "policyTypes": ["Ingress"]}
        self.cluster.create(NETPOL, self.ns, {"metadata": {"name": name}, "spec": theirs})
        line = self.act(self.server(), pod_event(self.ns, pod["name"]))
        self.assertResult(line, "failure", name)
        self.assertEqual(self.the_policy()["spec"], theirs)

    def test_another_policy_that_lets_the_pod_out_is_named(self):
        pod = self.web()
        self.cluster.create(NETPOL, self.ns, {"metadata": {"name": "lets-all-out"}, "spec": {
            "podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]}})
        self.cluster.create(NETPOL, self.ns, {"metadata": {"name": "about-others"}, "spec": {
            "podSelector": {"matchLabels": {"app": "other"}}, "policyTypes": ["Egress"], "egress": [{}]}})
        line = self.act(self.server(), pod_event(self.ns, pod["name"]))
        self.assertResult(line, "success", "lets-all-out")
        self.assertNotIn("about-others", line["result"])

    def test_a_pod_without_an_owner_and_its_hash_labels(self):
        self.pod(labels={"app": "alone", "pod-template-hash": "5d4c8b7f9", "controller-revision-hash": "x",
                         "pod-template-generation": "3"}, wait_running=False)
        self.assertResult(self.act(self.server(), pod_event(self.ns, "web")), "success")
        self.assertEqual(self.the_policy()["spec"]["podSelector"], {"matchLabels": {"app": "alone"}})

    def test_a_pod_without_labels_cannot_be_selected(self):
        # An empty selector would cut the whole namespace off.
        self.pod(wait_running=False)
        self.act(self.server(), pod_event(self.ns, "web"))
        for policy in self.policies():
            self.assertNotEqual(policy["spec"]["podSelector"], {}, "the whole namespace was cut off")

    def test_a_bad_cidr_is_an_error_of_the_rules(self):
        server = self.stoop([rule("kubernetes:networkpolicy", {"allow_cidr": ["10.0.0.0/99"]})], start=False)
        status, said = server.fails_to_start()
        self.assertEqual(status, 1)
        self.assertIn("10.0.0.0/99", said)
