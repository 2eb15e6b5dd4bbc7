"""calico:networkpolicy and cilium:networkpolicy: against the real CRD of Cilium, and a CRD of the shape of Calico's
`projectcalico.org/v3` NetworkPolicy (Calico itself serves that through an API server of its own)."""
import concurrent.futures
import json
import os
import subprocess

from harness import CACHE, TOP, ApiError, Case, pod_event, rule, wait

CRDS = "apiextensions.k8s.io/v1/customresourcedefinitions"
CILIUM_MODULE = "github.com/cilium/cilium@v1.20.2"
CILIUM_FILE = "pkg/k8s/apis/cilium.io/client/crds/v2/ciliumnetworkpolicies.yaml"
CILIUM = "cilium.io/v2/ciliumnetworkpolicies"
CALICO = "projectcalico.org/v3/networkpolicies"

TEXTS = {"type": "array", "items": {"type": "string"}}
SIDE = {"type": "object", "properties": {"nets": TEXTS, "notNets": TEXTS, "selector": {"type": "string"},
                                         "namespaceSelector": {"type": "string"}}}
RULES = {"type": "array", "items": {"type": "object", "required": ["action"], "properties": {
    "action": {"type": "string", "enum": ["Allow", "Deny", "Log", "Pass"]}, "source": SIDE, "destination": SIDE}}}
CALICO_CRD = {"metadata": {"name": "networkpolicies.projectcalico.org"}, "spec": {
    "group": "projectcalico.org", "scope": "Namespaced",
    "names": {"plural": "networkpolicies", "singular": "networkpolicy", "kind": "NetworkPolicy",
              "listKind": "NetworkPolicyList"},
    "versions": [{"name": "v3", "served": True, "storage": True, "schema": {"openAPIV3Schema": {
        "type": "object", "properties": {"spec": {"type": "object", "properties": {
            "order": {"type": "number"}, "selector": {"type": "string"}, "tier": {"type": "string"}, "types": TEXTS,
            "egress": RULES, "ingress": RULES}}}}}}]}}


def cilium_crd():
    """From Cilium's own module, kept beside the other things that tests fetched."""
    path = f"{CACHE}/cilium-{CILIUM_MODULE.rpartition('@')[2]}.yaml"
    if not os.path.exists(path):
        find = os.path.join(TOP, "tools/find-go")
        go, toolchain = (subprocess.run([find, *more], check=True, capture_output=True, text=True).stdout.strip()
                         for more in ([], ["--toolchain"]))
        done = subprocess.run([go, "mod", "download", "-json", CILIUM_MODULE], check=True, capture_output=True,
                              text=True, cwd="/", env={**os.environ, "GOTOOLCHAIN": toolchain})
        with open(os.path.join(json.loads(done.stdout)["Dir"], CILIUM_FILE), encoding="utf-8") as f:
            text = f.read()
        with open(f"{path}.{os.getpid()}", "w", encoding="utf-8") as f:
            f.write(text)
        os.replace(f"{path}.{os.getpid()}", path)
    return path


class Policies(Case):
    exclusive = True  # a CRD is the whole cluster's

    def install(self, crd, kind):
        """By text of YAML or as an object."""
        if isinstance(crd, str):
            subprocess.run([self.cluster.kubectl, "--kubeconfig", self.cluster.kubeconfig, "apply", "--server-side",
                            "-f", crd], check=True, capture_output=True)
            name = "ciliumnetworkpolicies.cilium.io"
        else:
            self.cluster.create(CRDS, None, crd)
            name = crd["metadata"]["name"]
        self.addCleanup(self.remove_crd, name)
        wait("the resource is served", lambda: self.served(kind))

    def served(self, kind):
        try:
            self.cluster.list(kind, self.ns)
            return True
        except ApiError:
            return False

    def remove_crd(self, name):
        self.cluster.delete(CRDS, None, name)
        wait("the CRD is gone", lambda: self.cluster.get(CRDS, None, name) is None)

    def web(self, replicas=1):
        return [p["metadata"]["name"] for p in self.owner("Deployment", replicas=replicas)]

    def the_policy(self, kind):
        policies = self.cluster.list(kind, self.ns)
        self.assertEqual(len(policies), 1, policies)
        self.assertEqual(policies[0]["metadata"]["labels"], {"app.kubernetes.io/managed-by": "stoop"})
        self.assertEqual(policies[0]["metadata"]["name"], "web")
        return policies[0]["spec"]

    def many(self, actionner, pods):
        """50 events about 50 addresses, all at once; of one workload, as those of one pod take turns."""
        server = self.stoop([rule(actionner)])
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda i: self.post(server, pod_event(self.ns, pods[i % len(pods)], **{
                "fd.rip": f"203.0.113.{i}"})), range(50)))
        server.ended(50, seconds=60)
        self.assertEqual(len(server.log(message="action", status="success")), 50)
        return sorted(f"203.0.113.{i}/32" for i in range(50))

    # --- Calico

    def test_calico(self):
        self.install(CALICO_CRD, CALICO)
        pod = self.web()[0]
        server = self.stoop([rule("calico:networkpolicy", {
            "order": 20, "allow_cidr": ["192.168.1.0/24", "2001:db8::/32"], "allow_namespaces": ["green-ns"]})])
        line = self.act(server, pod_event(self.ns, pod, **{"fd.rip": "198.51.100.7"}))
        self.assertResult(line, "success", "created and denies 198.51.100.7/32")
        self.assertEqual(line.get("networkpolicy"), "web", line)
        line = self.act(server, pod_event(self.ns, pod, **{"fd.sip": "2001:db8::7"}))
        self.assertResult(line, "success", "updated and denies 2001:db8::7/128")
        self.assertEqual(self.the_policy(CALICO), {
            "order": 20, "selector": "app == 'web'", "types": ["Egress"], "egress": [
                {"action": "Deny", "destination": {"nets": ["198.51.100.7/32"]}},
                {"action": "Deny", "destination": {"nets": ["2001:db8::7/128"]}},
                {"action": "Allow", "destination": {"nets": ["192.168.1.0/24"]}},
                {"action": "Allow", "destination": {"nets": ["2001:db8::/32"]}},
                {"action": "Allow", "destination": {
                    "namespaceSelector": "kubernetes.io/metadata.name in {'green-ns'}"}}]})

    def test_calico_many_at_once(self):
        self.install(CALICO_CRD, CALICO)
        expected = self.many("calico:networkpolicy", self.web(8))
        deny, allow = self.the_policy(CALICO)["egress"]
        self.assertEqual(sorted(deny["destination"]["nets"]), expected)
        self.assertEqual(allow, {"action": "Allow", "destination": {"nets": ["0.0.0.0/0"]}})

    def test_calico_of_somebody_else(self):
        self.install(CALICO_CRD, CALICO)
        pod, theirs = self.web()[0], {"selector": "all()", "types": ["Egress"]}
        self.cluster.create(CALICO, self.ns, {"apiVersion": "projectcalico.org/v3", "kind": "NetworkPolicy",
                                              "metadata": {"name": "web"}, "spec": theirs})
        line = self.act(self.stoop([rule("calico:networkpolicy")]), pod_event(self.ns, pod, **{"fd.rip": "1.2.3.4"}))
        self.assertResult(line, "failure", "that Stoop did not make")
        self.assertEqual(self.cluster.get(CALICO, self.ns, "web")["spec"], theirs)

    def test_calico_is_missing(self):
        line = self.act(self.stoop([rule("calico:networkpolicy")]),
                        pod_event(self.ns, self.web()[0], **{"fd.rip": "1.2.3.4"}))
        self.assertResult(line, "failure", "no resource 'networkpolicies' of projectcalico.org/v3: Calico is not")

    # --- Cilium

    def test_cilium(self):
        self.install(cilium_crd(), CILIUM)
        pod = self.web()[0]
        server = self.stoop([rule("cilium:networkpolicy", {
            "allow_cidr": ["192.168.1.0/24", "2001:db8::/32"], "allow_namespaces": ["green-ns", "blue-ns"]})])
        self.assertResult(self.act(server, pod_event(self.ns, pod, **{"fd.rip": "198.51.100.7"})), "success", "created")
        self.assertResult(self.act(server, pod_event(self.ns, pod, **{"fd.rip": "2001:db8::7"})), "success", "updated")
        line = self.act(server, pod_event(self.ns, pod, **{"fd.rip": "198.51.100.7"}))
        self.assertResult(line, "success", "denied already 198.51.100.7/32")
        self.assertEqual(self.the_policy(CILIUM), {
            "endpointSelector": {"matchLabels": {"app": "web"}},
            "egressDeny": [{"toCIDR": ["198.51.100.7/32", "2001:db8::7/128"]}],
            "egress": [{"toCIDR": ["192.168.1.0/24", "2001:db8::/32"]}, {"toEndpoints": [{"matchExpressions": [
                {"key": "k8s:io.kubernetes.pod.namespace", "operator": "In", "values": ["green-ns", "blue-ns"]}]}]}],
            "enableDefaultDeny": {"egress": True}})

    def test_cilium_blocks_only_the_address(self):
        self.install(cilium_crd(), CILIUM)
        line = self.act(self.stoop([rule("cilium:networkpolicy")]),
                        pod_event(self.ns, self.web()[0], **{"fd.rip": "198.51.100.7"}))
        self.assertResult(line, "success", "created")
        self.assertNotIn("enableDefaultDeny", line["result"])
        self.assertEqual(self.the_policy(CILIUM), {
            "endpointSelector": {"matchLabels": {"app": "web"}},
            "egressDeny": [{"toCIDR": ["198.51.100.7/32"]}], "enableDefaultDeny": {"egress": False}})

    def test_cilium_many_at_once(self):
        self.install(cilium_crd(), CILIUM)
        expected = self.many("cilium:networkpolicy", self.web(8))
        denied, = self.the_policy(CILIUM)["egressDeny"]
        self.assertEqual(sorted(denied["toCIDR"]), expected)

    def test_cilium_is_missing(self):
        line = self.act(self.stoop([rule("cilium:networkpolicy")]),
                        pod_event(self.ns, self.web()[0], **{"fd.rip": "1.2.3.4"}))
        self.assertResult(line, "failure", "no resource 'ciliumnetworkpolicies' of cilium.io/v2: Cilium is not")

    # --- the context of the node

    def test_k8snode(self):
        pod = self.pod()
        node = self.assertThere(pod["metadata"]["name"])["spec"]["nodeName"]
        labels = {"topology.kubernetes.io/zone": "zone-1", "node-role.kubernetes.io/worker": ""}
        self.cluster.patch("nodes", None, node, {"metadata": {"labels": labels}})
        self.addCleanup(self.cluster.patch, "nodes", None, node, {"metadata": {"labels": dict.fromkeys(labels)}})
        one = rule("kubernetes:exec", {"command": 'echo "<${NODE_HOSTNAME} ${NODE_ROLE} ${NODE_TOPOLOGY_ZONE}>"'})
        one["actions"][0]["additional_contexts"] = ["k8snode"]
        line = self.act(self.stoop([one]), pod_event(self.ns, "web"))
        self.assertResult(line, "success")
        self.assertIn(f"<{node} worker zone-1>", json.dumps(line))
