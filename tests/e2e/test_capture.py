"""kubernetes:tcpdump and kubernetes:sysdig through the real API server, kubelet and runtime: the packets that a test
sent are found in what tcpdump reads; every end of a capture leaves a valid file or none, and no Job.
"""
import os
import re
import signal
import struct
import subprocess
import time

from harness import Case, pod_event, rule, wait

SYSDIG_JOB = "batch/v1/jobs"


class Capture(Case):
    IMAGES = {"tcpdump": "stoop.test/tcpdump:1", "sysdig": "stoop.test/sysdig:1"}
    actionner = None

    def server(self, parameters=None, config=None, rules=None, **more):
        self.out = self.folder + "/out"
        os.makedirs(self.out, exist_ok=True)
        config = {**({} if self.cluster.foreign else {"images": self.IMAGES}), **(config or {})}
        output = {"target": "local:file", "parameters": {"destination": self.out}}
        return self.stoop(rules or [rule(self.actionner, parameters or {}, output=output)], config=config, **more)

    def files(self):
        """Of the output, whole or not."""
        return sorted(os.path.join(root, f) for root, _, files in os.walk(self.out) for f in files)

    def file(self, suffix):
        # What a kill left behind has another ending.
        [name] = [f for f in self.files() if f.endswith(suffix)]
        self.assertEqual(os.stat(name).st_mode & 0o777, 0o600)
        with open(name, "rb") as f:
            return f.read()

    def size(self):
        """What the output has, and what is being written."""
        return (sum(os.path.getsize(f) for f in self.files()) +
                sum(s.writing(self.out) for s in self.servers if s.process.poll() is None))

    def output_of(self, server):
        return server.wait_log(message="output", status=("success", "failure"))

    def capture(self, server, seconds=60, pod="web"):
        return self.act(server, pod_event(self.ns, pod), seconds=seconds)


class TcpdumpCase(Capture):
    actionner = "kubernetes:tcpdump"

    def traffic(self, mark="/found-by-the-test", pause="0.1"):
        """A pod that serves, and one that asks it all the time."""
        self.pod(command="mkdir -p /tmp/w; httpd -p 8080 -h /tmp/w; trap exit TERM; while :; do sleep 0.2; done")
        address = wait("its address", lambda: self.cluster.get("pods", self.ns, "web")["status"].get("podIP"))
        # Not wget: a static one needs the libraries of the system that it was built on.
        self.pod("client", command=f"trap exit TERM; while :; do printf 'GET {mark} HTTP/1.0\\r\\n\\r\\n' | "
                                   f"nc -w 1 {address} 8080 >/dev/null; sleep {pause}; done")

    def processes(self, pod, name):
        """The processes of this name in the pod, on the machine of the bundled cluster."""
        uid = self.cluster.get("pods", self.ns, pod)["metadata"]["uid"]
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/comm", encoding="ascii") as f:
                    called = f.read().strip()
                with open(f"/proc/{pid}/cgroup", encoding="ascii") as f:
                    if called == name and uid in f.read():
                        found.append(int(pid))
            except OSError:
                continue  # it has ended
        self.assertTrue(found)
        return found

    def read(self, *options):
        """What tcpdump reads in the artifact, which must be valid to its end."""
        done = subprocess.run(["tcpdump", "-n", "-r", "-", *options], input=self.file("_web_web.pcap"),
                              capture_output=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn(b"trunc", done.stderr)
        return done.stdout.decode(errors="replace")

    def count(self):
        return len([line for line in self.read("-tt").splitlines() if re.match(r"\d", line)])

    def helper(self):
        pod = self.cluster.get("pods", self.ns, "web")
        return pod["spec"]["ephemeralContainers"][0], pod["status"].get("ephemeralContainerStatuses", [{}])[0]

    def wait_helper_ended(self, seconds=15):
        return wait("the container that captures ends", lambda: self.helper()[1].get("state", {}).get("terminated"),
                    seconds)


class Tcpdump(TcpdumpCase):
    def test_packets_are_found(self):
        self.traffic()
        server = self.server({"duration": 3})
        began = time.monotonic()
        line = self.capture(server)
        self.assertResult(line, "success", " in 3 s")
        self.assertGreaterEqual(time.monotonic() - began, 3)
        self.assertIn("GET /found-by-the-test", self.read("-A", "tcp port 8080"))
        self.assertIn("404 Not Found", self.read("-A", "tcp port 8080"))
        self.assertEqual(int(re.search(r"(\d+) packets", line["result"])[1]), self.count())
        self.assertIn("sha256", self.output_of(server)["result"])
        spec, _ = self.helper()
        self.assertEqual(spec["securityContext"]["capabilities"], {"add": ["NET_RAW", "SETGID"], "drop": ["ALL"]})
        self.assertIs(spec["securityContext"]["allowPrivilegeEscalation"], False)
        self.assertEqual(line["objects"].get("container") if "objects" in line else spec["name"], spec["name"])
        self.assertEqual(self.wait_helper_ended()["exitCode"], 0)

    def test_nothing_of_it_is_in_the_log_of_the_container(self):
        self.traffic()
        self.assertResult(self.capture(self.server({"duration": 1})), "success")
        name = self.helper()[0]["name"]
        self.wait_helper_ended()
        self.assertEqual(self.cluster.call("GET", self.cluster.path("pods", self.ns, "web") + f"/log?container={name}"),
                         "")

    def test_no_packet(self):
        self.pod()
        line = self.capture(self.server({"duration": 1}))
        self.assertResult(line, "success", "captured")
        self.assertEqual(self.count(), int(re.search(r"(\d+) packet", line["result"])[1]))

    def test_snaplen(self):
        self.traffic()
        self.assertResult(self.capture(self.server({"duration": 2, "snaplen": 64})), "success")
        data, at, lengths = self.file(".pcap"), 24, []
        while at < len(data):
            kept = struct.unpack_from("<I", data, at + 8)[0]
            lengths.append(kept)
            at += 16 + kept
        self.assertEqual(at, len(data))
        self.assertEqual(max(lengths), 64)

    def test_the_size_limit(self):
        self.traffic()
        server = self.server({"duration": 60}, config={"limits": {"artifact_bytes": 10000}})
        began = time.monotonic()
        self.assertResult(self.capture(server), "success", "cut short by the size limit")
        self.assertLess(time.monotonic() - began, 40)
        self.assertIn("cut short by the size limit", self.output_of(server)["result"])
        self.assertGreater(self.count(), 5)
        self.assertLessEqual(self.size(), 10000)
        self.assertGreater(self.size(), 10000 - 4096 - 16)
        self.wait_helper_ended()

    def test_the_time_limit(self):
        self.traffic()
        server = self.server({"duration": 60}, config={"limits": {"action_seconds": 10}})
        self.assertResult(self.capture(server), "success", "cut short by the time limit")
        self.assertGreater(self.count(), 5)
        self.wait_helper_ended()

    def end_of_the_pod(self, end):
        self.traffic()
        server = self.server({"duration": 120})
        self.post(server, pod_event(self.ns, "web"))
        wait("packets are captured", lambda: self.size() > 4000)
        end()
        line = server.ended(seconds=40)
        self.assertResult(line, "success", "until the pod ended, which cut the capture short")
        self.assertIn("GET /found-by-the-test", self.read("-A"))
        self.assertEqual(int(re.search(r"(\d+) packets", line["result"])[1]), self.count())

    def test_the_pod_is_deleted(self):
        self.end_of_the_pod(lambda: self.cluster.delete("pods", self.ns, "web"))

    def test_the_pod_is_deleted_at_once(self):
        self.end_of_the_pod(lambda: self.cluster.delete("pods", self.ns, "web", gracePeriodSeconds=0))

    def test_the_pod_ends_by_itself(self):
        spec = {**self.pod_spec("ping 127.0.0.1 >/dev/null & sleep 15"), "restartPolicy": "Never"}
        self.cluster.create("pods", self.ns, {"metadata": {"name": "web"}, "spec": spec})
        self.wait_running("web")
        line = self.capture(self.server({"duration": 120}))
        self.assertResult(line, "success", "until the pod ended, which cut the capture short")
        self.assertIn("127.0.0.1", self.read())

    def test_the_connection_is_cut(self):
        self.traffic()
        gate = self.gate()
        server = self.server({"duration": 4}, kubeconfig=self.through(gate))
        self.post(server, pod_event(self.ns, "web"))
        wait("packets are captured", lambda: self.size() > 1000)
        gate.shut()
        began = time.monotonic()
        self.assertResult(server.ended(seconds=40), "failure")
        self.assertLess(time.monotonic() - began, 20)
        self.assertEqual(self.files(), [])
        self.wait_helper_ended(20)
        gate.open()
        self.assertResult(self.capture(server), "success")
        self.count()

    def test_an_image_that_cannot_be_pulled(self):
        self.pod()
        line = self.capture(self.server({"image": "stoop.test/none:1"}))
        self.assertResult(line, "failure", "stoop.test/none:1")
        self.assertRegex(line["error"], "Err[A-Z][A-Za-z]+: |ImagePullBackOff")
        self.assertEqual(self.files(), [])

    def test_images_that_lack_something(self):
        self.pod()
        line = self.capture(self.server({"image": self.cluster.image}))
        self.assertResult(line, "failure", "the image has no program `tcpdump`")
        self.wait_helper_ended()
        if not self.cluster.foreign:
            self.assertResult(self.capture(self.server({"image": "stoop.test/noshell:1"})), "failure", "cannot start")
        self.assertEqual(self.files(), [])

    def test_two_captures_of_one_pod(self):
        self.traffic()
        self.out = self.folder + "/out"
        output = {"target": "local:file", "parameters": {"destination": self.out}}
        rules = [rule(self.actionner, {"duration": 2}, name=name, output=output, action=name) for name in "ab"]
        first, second = self.server(rules=rules), self.server({"duration": 3})
        event = pod_event(self.ns, "web")
        self.post(first, event)
        self.post(second, event)
        first.ended(2, seconds=60)
        second.ended(1, seconds=60)
        for server, count in ((first, 2), (second, 1)):
            self.assertEqual(len(server.log(message="action", status="success")), count)
        for name in self.files():
            with open(name, "rb") as f:
                done = subprocess.run(["tcpdump", "-n", "-A", "-r", "-"], stdin=f, capture_output=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn(b"GET /found-by-the-test", done.stdout)
        # Two Stoops may have finished files of one name within a second.
        self.assertGreaterEqual(len(self.files()), 2)

    def test_a_namespace_that_forbids_it(self):
        self.cluster.patch("namespaces", None, self.ns, {"metadata": {"labels": {
            "pod-security.kubernetes.io/enforce": "restricted"}}})
        spec = self.pod_spec()
        spec["securityContext"] = {"runAsNonRoot": True, "runAsUser": 1000,
                                   "seccompProfile": {"type": "RuntimeDefault"}}
        spec["containers"][0]["securityContext"] = {"allowPrivilegeEscalation": False,
                                                    "capabilities": {"drop": ["ALL"]}}
        self.cluster.create("pods", self.ns, {"metadata": {"name": "web"}, "spec": spec})
        self.wait_running("web")
        self.assertResult(self.capture(self.server()), "failure", "violates PodSecurity")
        self.assertEqual(self.files(), [])

    def test_a_pod_that_runs_as_somebody(self):
        spec = self.pod_spec()
        spec["securityContext"] = {"runAsNonRoot": True, "runAsUser": 1000}
        self.cluster.create("pods", self.ns, {"metadata": {"name": "web"}, "spec": spec})
        self.wait_running("web")
        self.assertResult(self.capture(self.server({"duration": 1})), "success")
        self.count()

    def test_no_pod(self):
        self.assertResult(self.capture(self.server(), pod="none"), "failure", "is gone")

    def test_a_pod_that_has_ended(self):
        spec = {**self.pod_spec("exit 0"), "restartPolicy": "Never"}
        self.cluster.create("pods", self.ns, {"metadata": {"name": "web"}, "spec": spec})
        wait("it has ended", lambda: self.cluster.get("pods", self.ns, "web")["status"].get("phase") == "Succeeded", 60)
        self.assertResult(self.capture(self.server()), "failure", "has ended already")

    def test_stoop_is_killed(self):
        self.traffic()
        server = self.server({"duration": 4})
        self.post(server, pod_event(self.ns, "web"))
        wait("packets are captured", lambda: self.size() > 1000)
        server.kill()
        # It ends by itself: nobody is there to tell it.
        self.wait_helper_ended(20)
        server.start()
        self.assertResult(server.ended(seconds=60), "success")
        self.count()

    def test_stoop_is_told_to_leave(self):
        self.traffic()
        server = self.server({"duration": 100})
        self.post(server, pod_event(self.ns, "web"))
        wait("packets are captured", lambda: self.size() > 1000)
        status, took = server.stop(15)
        self.assertEqual(status, 0)
        self.assertEqual(self.files(), [])
        self.wait_helper_ended()

    def test_an_output_that_refuses(self):
        self.traffic()
        server = self.server({"duration": 60})
        os.rmdir(self.out)
        with open(self.out, "w"):
            pass
        self.assertResult(self.capture(server), "failure")
        self.wait_helper_ended()


class Ended(TcpdumpCase):
    bundled_only = True  # reaches for the pod's processes

    def test_somebody_ends_it(self):
        self.traffic()
        server = self.server({"duration": 60})
        self.post(server, pod_event(self.ns, "web"))
        wait("packets are captured", lambda: self.size() > 1000)
        for pid in self.processes("web", "tcpdump"):
            os.kill(pid, signal.SIGTERM)
        self.assertResult(server.ended(seconds=20), "success", "by somebody before its time, which cut the capture")
        self.count()


class KubeletGone(TcpdumpCase):
    exclusive = True
    bundled_only = True

    def test_the_kubelet_ends(self):
        self.traffic()
        server = self.server({"duration": 60})
        self.post(server, pod_event(self.ns, "web"))
        wait("packets are captured", lambda: self.size() > 1000)
        self.cluster.script("stop", "kubelet")
        try:
            self.assertResult(server.ended(seconds=40), "failure", "connection")
        finally:
            self.cluster.script("start", "kubelet")
        self.assertEqual(self.files(), [])


class Sysdig(Capture):
    actionner = "kubernetes:sysdig"

    def setUp(self):
        if self.cluster.foreign:  # the image of a foreign cluster is a real one
            self.IMAGES = {}
        super().setUp()

    def jobs(self, ns=None):
        return self.cluster.list(SYSDIG_JOB, ns or self.ns)

    def assertNoJob(self, ns=None):
        self.assertEqual([j["metadata"]["name"] for j in self.jobs(ns)], [])
        wait("its pod is gone", lambda: not self.job_pods(ns), 30)

    def job_pods(self, ns=None):
        return [p for p in self.cluster.list("pods", ns or self.ns)
                if p["metadata"].get("labels", {}).get("app.kubernetes.io/managed-by") == "stoop"]

    def blocks(self):
        """The texts of the blocks, which must be whole ones."""
        data, at, found = self.file("_web_web.scap"), 0, []
        while at < len(data):
            kind, size = struct.unpack_from("<II", data, at)
            self.assertEqual(struct.unpack_from("<I", data, at + size - 4)[0], size)
            found.append((kind, data[at + 8:at + size - 4]))
            at += size
        self.assertEqual(found[0][0], 0x0A0D0D0A)
        return found[1:]

    def text(self):
        return b"\n".join(text.rstrip() for _, text in self.blocks()).decode()

    def test_a_capture_of_the_pod(self):
        self.pod()
        server = self.server({"duration": 2, "buffer_size": 1000})
        line = self.capture(server)
        self.assertResult(line, "success", "the system calls of the pod 'web'")
        self.assertNoJob()
        self.assertIn("sha256", self.output_of(server)["result"])
        if self.cluster.foreign:
            return
        text = self.text()
        self.assertIn("--modern-bpf -s 1000 -M 2 -w /dev/stdout container.id in (", text)
        status = self.cluster.get("pods", self.ns, "web")["status"]["containerStatuses"][0]
        self.assertIn(status["containerID"].split("//")[1][:12], text)
        self.assertIn(f"(k8s.ns.name={self.ns} and k8s.pod.name=web)", text)
        self.assertRegex(text, "node's first process: .")
        self.assertIn("tick 4 ", text)
        self.assertIn("the time is over", text)

    def test_a_capture_of_the_node(self):
        self.pod()
        node = self.cluster.get("pods", self.ns, "web")["spec"]["nodeName"]
        self.assertResult(self.capture(self.server({"duration": 1, "scope": "node"})), "success", f"node '{node}'")
        self.assertNoJob()
        if not self.cluster.foreign:
            self.assertNotIn("container.id", self.text())

    def test_the_job(self):
        self.pod()
        server = self.server({"duration": 5})
        self.post(server, pod_event(self.ns, "web"))
        [job] = wait("the Job", self.jobs)
        self.assertEqual(job["metadata"]["labels"]["app.kubernetes.io/managed-by"], "stoop")
        spec = job["spec"]
        self.assertEqual(spec["backoffLimit"], 0)
        self.assertGreater(spec["ttlSecondsAfterFinished"], 0)
        self.assertLess(spec["activeDeadlineSeconds"], 300)
        self.assertEqual(spec["template"]["spec"]["nodeName"], self.cluster.get("pods", self.ns, "web")["spec"][
            "nodeName"])
        for mount in spec["template"]["spec"]["containers"][0]["volumeMounts"]:
            self.assertIs(mount["readOnly"], True)
        self.assertResult(server.ended(seconds=60), "success")
        self.assertNoJob()

    def test_failures_leave_no_job(self):
        self.pod()
        for parameters, words in (({"image": "stoop.test/none:1"}, "stoop.test/none:1"),
                                  ({"image": self.cluster.image}, "has no program `sysdig`")):
            with self.subTest(parameters):
                self.assertResult(self.capture(self.server(parameters)), "failure", words)
                self.assertNoJob()
        self.assertEqual(self.files(), [])

    def test_the_size_limit(self):
        self.pod()
        server = self.server({"duration": 20}, config={"limits": {"artifact_bytes": 1000}})
        self.assertResult(self.capture(server), "success", "cut short by the size limit")
        self.assertNoJob()
        if not self.cluster.foreign:
            self.assertGreater(len(self.blocks()), 3)

    def test_a_namespace_that_forbids_it(self):
        self.pod()
        self.cluster.patch("namespaces", None, self.ns, {"metadata": {"labels": {
            "pod-security.kubernetes.io/enforce": "baseline"}}})
        line = self.capture(self.server({"duration": 1}))
        self.assertResult(line, "failure", "PodSecurity")
        self.assertIn("`namespace`", line["error"])
        self.assertNoJob()
        other = self.make_namespace()
        self.assertResult(self.capture(self.server({"duration": 1, "namespace": other})), "success")
        self.assertNoJob(other)

    def under_way(self, server):
        self.post(server, pod_event(self.ns, "web"))
        wait("it is under way", lambda: self.size() > 300)

    def test_the_connection_is_cut(self):
        self.pod()
        gate = self.gate()
        server = self.server({"duration": 5}, kubeconfig=self.through(gate))
        self.under_way(server)
        gate.shut()
        line = server.ended(seconds=40)
        self.assertResult(line, "failure", "was not removed, and ends by itself")
        self.assertEqual(self.files(), [])
        gate.open()
        self.assertResult(self.capture(server), "success")
        wait("the Job goes by itself", lambda: not self.jobs(), 90, 0.5)
        self.assertNoJob()

    def test_stoop_is_killed_and_comes_back(self):
        self.pod()
        server = self.server({"duration": 20})
        self.under_way(server)
        [before] = self.jobs()
        server.kill()
        server.start()
        after = wait("a Job in its place", lambda: [j for j in self.jobs() if j["metadata"]["uid"] != before[
            "metadata"]["uid"]])
        self.assertEqual(after[0]["metadata"]["name"], before["metadata"]["name"])
        self.assertResult(server.ended(seconds=60), "success")
        self.assertNoJob()

    def test_stoop_is_killed_and_stays_away(self):
        self.pod()
        server = self.server({"duration": 2})
        self.under_way(server)
        server.kill()
        wait("the Job goes by itself", lambda: not self.jobs(), 90, 0.5)
        self.assertNoJob()

    def test_another_capture_removes_what_is_left(self):
        self.pod()
        server = self.server({"duration": 1})
        self.under_way(server)
        [left] = self.jobs()
        server.kill()
        wait("it is over", lambda: any(c["type"] == "Complete" for c in self.jobs()[0]["status"].get("conditions", [])),
             60)
        self.assertResult(self.capture(self.server({"duration": 1})), "success")
        self.assertNotIn(left["metadata"]["uid"], [j["metadata"]["uid"] for j in self.jobs()])
        self.assertNoJob()

    def test_stoop_is_told_to_leave(self):
        self.pod()
        server = self.server({"duration": 30})
        self.under_way(server)
        status, _ = server.stop(15)
        self.assertEqual(status, 0)
        self.assertNoJob()
        self.assertEqual(self.files(), [])

    def test_the_pod_is_deleted(self):
        """The capture goes on: it is the node that captures."""
        self.pod()
        server = self.server({"duration": 3})
        self.under_way(server)
        self.cluster.delete("pods", self.ns, "web", gracePeriodSeconds=0)
        self.assertResult(server.ended(seconds=60), "success")
        self.assertNoJob()

    def test_no_right_to_make_a_job(self):
        self.pod()
        token = self.account([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}])
        server = self.server({"duration": 1}, kubeconfig=self.cluster.kubeconfig_with(user={"token": token}))
        self.assertResult(self.capture(server), "failure", "jobs.batch")
        self.assertNoJob()
