"""Every streaming action and every output under every fault: the kubelet goes, connections break or hang, the output
refuses, is full or slow, the pod is slow, Stoop is killed or told to leave. What ends is told as what it was, in time;
nothing half done is left, in no place; and the next action works. The table is docs/faults.md.
"""
import hashlib
import json
import os
import re
import subprocess
import time
import urllib.request

from aws_peers import KEY, REGION, SECRET, AwsPeer, Cut
from harness import FIXTURES, TOOLS, Case, free_port, pod_event, rule, wait

IMAGES = {"tcpdump": "stoop.test/tcpdump:1", "sysdig": "stoop.test/sysdig:1"}
LOG = b"x" * 8000 + b"\n"
LOG_LINES, MADE = 1150, b"made\n"  # 9.2 MB: two parts, and not so much that the kubelet turns to a new file
BIG = 24 << 20
BEGUN = "echo >/tmp/begun-$FALCO_TALON_ACTION; sleep 60"
JOBS = "batch/v1/jobs"

# name: actionner, parameters of one that takes its time, of one that is short
ACTIONS = {
    "log": ("kubernetes:log", {"tail_lines": 10000000}, {"tail_lines": 10000000}),
    "download": ("kubernetes:download", {"file": "/tmp/big"}, {"file": "/tmp/big"}),
    "exec": ("kubernetes:exec", {"command": BEGUN}, {"command": "echo done"}),
    "script": ("kubernetes:script", {"script": "#!/bin/sh\n" + BEGUN}, {"script": "echo done"}),
    "tcpdump": ("kubernetes:tcpdump", {"duration": 60}, {"duration": 1}),
    "sysdig": ("kubernetes:sysdig", {"duration": 30}, {"duration": 1}),
}
CAPTURES = ("tcpdump", "sysdig")
STORED = ("log", "download", "tcpdump", "sysdig")
LONG, NEXT = {"rules": ["Long"]}, {"rules": ["Next"]}


def seconds_for(name):
    """A time limit that leaves time for a container to start."""
    return 18 if name in CAPTURES else 6


def refusal(code):
    return f"<Error><Code>{code}</Code><Message>Not today.</Message></Error>".encode()


class Local:
    """local:file, in a folder of its own."""

    def __init__(self, folder):
        self.folder, self.config, self.env = folder, {}, {}
        self.output = {"target": "local:file", "parameters": {"destination": folder}}
        os.makedirs(folder, exist_ok=True)

    def objects(self):
        """{place: (size, SHA-256)}"""
        found = {}
        for name in os.listdir(self.folder):
            with open(f"{self.folder}/{name}", "rb") as f:
                found[f"{self.folder}/{name}"] = (os.path.getsize(f.name), hashlib.sha256(f.read()).hexdigest())
        return found

    def unfinished(self):
        return [f for f in os.listdir(self.folder) if f.startswith(".")]


class S3:
    """aws:s3 or minio:s3, with a bucket of its own at the test's server."""

    def __init__(self, peer, bucket, target="aws:s3"):
        self.peer, self.bucket = peer, bucket
        self.output = {"target": target, "parameters": {"bucket": bucket}}
        own = target == "aws:s3"
        self.env = peer.environment() if own else {}
        self.config = {} if own else {"minio": {"endpoint": peer.url.removeprefix("http://"), "access_key": KEY,
                                                "secret_key": SECRET, "use_ssl": False}}
        if not own:
            self.env = {"AWS_REGION": REGION}
        peer.make_bucket(bucket)

    def objects(self):
        found = {}
        for key, size in self.peer.objects(self.bucket).items():
            found[f"s3://{self.bucket}/{key}"] = (size, hashlib.sha256(self.peer.get(self.bucket, key)).hexdigest())
        return found

    def unfinished(self):
        return self.peer.uploads(self.bucket)


class Gcs:
    """gcp:gcs, with a bucket of its own at the test's server."""

    def __init__(self, port, bucket):
        self.port, self.bucket, self.config = port, bucket, {}
        self.output = {"target": "gcp:gcs", "parameters": {"bucket": bucket}}
        self.env = {"STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{port}"}

    def state(self, **change):
        data = json.dumps(change).encode() if change else None
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/state", data, 30) as answer:
            return json.loads(answer.read())

    def objects(self):
        return {f"gs://{name}": (int(o["size"]), o["sha256"]) for name, o in self.state()["objects"].items()
                if name.startswith(self.bucket + "/")}

    def unfinished(self):
        return [u for u, name in self.state()["unfinished_names"].items() if name.startswith(self.bucket + "/")]


class Faults(Case):
    def setUp(self):
        super().setUp()
        self.images = {} if self.cluster.foreign else {"images": IMAGES}

    def web(self):
        """A pod with a log, a file, packets and system calls."""
        self.pod(command=f"yes $(head -c {len(LOG) - 1} /dev/zero | tr '\\0' x) | head -n {LOG_LINES}; "
                         f"truncate -s {BIG} /tmp/big; head -c 9000000 /dev/zero >/tmp/two; echo made; "
                         "trap exit TERM; while :; do echo x | nc -w 1 127.0.0.1 9; sleep 0.05; done 2>/dev/null")
        self.logged = LOG * LOG_LINES + MADE
        log = self.cluster.path("pods", self.ns, "web") + "/log?tailLines=1"
        wait("the pod is ready", lambda: "made" in self.cluster.call("GET", log), 60)

    def in_pod(self, *command):
        return subprocess.run([self.cluster.kubectl, "--kubeconfig", self.cluster.kubeconfig, "-n", self.ns, "exec",
                               "web", "-c", "web", "--", *command], capture_output=True, check=False).returncode == 0

    def serve(self, name, store=None, config=None, long=None, env=None, **more):
        """A Stoop for one action, which is told by the event whether it takes its time."""
        actionner, slow, short = ACTIONS[name]
        store = store or (Local(f"{self.folder}/out-{name}") if name in STORED else None)
        output = store.output if store else None
        rules = [rule(actionner, {**slow, **(long or {})}, name="Long", match=LONG, output=output, action=name),
                 rule(actionner, short, name="Next", match=NEXT, output=output, action=name)]
        limits = {"workers": 2, **(config or {}).get("limits", {})}
        config = {**self.images, **(store.config if store else {}), **(config or {}), "limits": limits}
        server = self.stoop(rules, config=config, env={**(store.env if store else {}), **(env or {})}, **more)
        server.name, server.store = name, store
        # What a first action needs is there from here on.
        self.assertResult(self.act(server, pod_event(self.ns, "none", rule="Next")), "failure", "is gone")
        server.before, server.ends = self.held(server), 1
        return server

    def held(self, server):
        """Threads, but for the one that every client has once it streams; and files of the output."""
        return [t for t in server.threads() if t != "http-client"]

    def begin(self, servers, gate):
        """All of them under way. Those that start a container first: they take their time. What streams through the
        gate gets stuck in its middle."""
        for group in (CAPTURES, ("exec", "script"), ("log", "download")):
            some = [s for s in servers if s.name in group]
            gate.most = 65536 if group[0] == "log" else None
            for server in some:
                self.post_long(server)
            self.wait_under_way(some)

    def post_long(self, server):
        self.post(server, pod_event(self.ns, "web", rule="Long"))
        server.began = time.monotonic()

    def wait_under_way(self, servers):
        def under_way(server):
            if server.name in ("exec", "script"):
                return self.in_pod("test", "-e", f"/tmp/begun-{server.name}")
            if isinstance(server.store, Local):
                return server.writing(server.store.folder) >= 1
            return server.store.unfinished()
        for server in servers:
            wait(f"{server.name} is under way", lambda s=server: under_way(s), 30)

    def end(self, server, status, words, seconds=30, output=None):
        """How its action ended; `output` is the status of its artifact where there is one."""
        server.ends += 1
        line = server.ended(server.ends, seconds=seconds)
        what = f"{server.name} to {server.store.output['target'] if server.store else 'nowhere'}"
        with self.subTest(what):
            self.assertResult(line, status, words)
            told = [o for o in server.log(message="output") if o["trace_id"] == line["trace_id"]]
            self.assertEqual([o["status"] for o in told], [output] if output else [], told)
            if output == "failure":
                self.assertTrue(told[0]["error"], told)
        return line

    def settle(self, server, jobs=True):
        """Nothing is left but what was told as stored, as it was told."""
        with self.subTest(f"what {server.name} leaves"):
            wait("no thread is left", lambda: self.held(server) == server.before, 5)
            if server.store:
                told = {}
                for line in server.log(message="output", status="success"):
                    place, size, digest = re.match(r"(\S+): (\d+) bytes, sha256 (\w{64})", line["result"]).groups()
                    told[place] = (int(size), digest)
                self.assertEqual(server.store.objects(), told)
                self.assertEqual(server.store.unfinished(), [])
            if isinstance(server.store, Local):
                self.assertEqual(server.writing(server.store.folder), 0)
            if server.name == "sysdig" and jobs:
                self.assertEqual([j["metadata"]["name"] for j in self.cluster.list(JOBS, self.ns)], [])

    def works(self, servers, seconds=60):
        """The next action of each."""
        for server in servers:
            self.post(server, pod_event(self.ns, "web", rule="Next"))
        for server in servers:
            line = self.end(server, "success", "", seconds, "success" if server.store else None)
            if server.name in ("log", "download") and server.store:
                wanted = hashlib.sha256(self.logged if server.name == "log" else bytes(BIG)).hexdigest()
                with self.subTest(f"{server.name} is whole"):
                    [told] = [o for o in server.log(message="output", status="success") if o["trace_id"] == line[
                        "trace_id"]]
                    self.assertIn(wanted, told["result"])
        for server in servers:  # after the last of them: a Job that still runs is in the same namespace
            self.settle(server)

    # --- the peers

    def s3(self):
        peer = AwsPeer()
        self.addCleanup(peer.end)
        return peer

    def gcs(self):
        port = free_port()
        process = subprocess.Popen([TOOLS + "/venv/bin/python", FIXTURES + "/cloud_storage.py", str(port)],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)

        def answers():
            try:
                return Gcs(port, "any").state()
            except OSError:
                return None
        wait("the storage answers", answers, 20)
        return port

    def full(self, name, size):
        """local:file on a file system of its own."""
        folder = f"{self.folder}/full-{name}"
        os.mkdir(folder)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", folder], check=False)
        return Local(folder)


class Connections(Faults):
    def test_cut(self):
        """Cut, and there again a second later."""
        self.web()
        gate = self.gate()
        servers = [self.serve(name, kubeconfig=self.through(gate)) for name in ACTIONS]
        self.begin(servers, gate)
        gate.shut()
        time.sleep(1)
        gate.open()
        for server in servers:
            self.end(server, "failure", "", 20)
            self.settle(server)
        self.works(servers)

    def test_stuck(self):
        """Connections that stay and carry nothing any more: the time limit ends it, and what came is kept as cut."""
        self.web()
        gate = self.gate()
        servers = [self.serve(name, kubeconfig=self.through(gate),
                              config={"limits": {"action_seconds": seconds_for(name)}}) for name in ACTIONS]
        self.begin(servers, gate)
        gate.stick()
        for server in servers:
            if server.store:
                # Its Job ends by itself, which is said.
                words = "was not removed, and ends by itself" if server.name == "sysdig" else "the time limit"
                self.end(server, "success", words, 30, "success")
            else:
                self.end(server, "failure", "", 30)
            self.assertLess(time.monotonic() - server.began, seconds_for(server.name) + 10)
        gate.open()


class Outputs(Faults):
    def test_full_disks(self):
        self.web()
        stores = {"log": self.full("log", "1m"), "download": self.full("download", "1m"),
                  "tcpdump": self.full("tcpdump", "8k"), "sysdig": self.full("sysdig", "4k")}
        servers = [self.serve(name, store) for name, store in stores.items()]
        for server in servers:
            self.post_long(server)
        for server in servers:
            self.end(server, "failure", "No space left on device", output="failure")
            self.settle(server)
            subprocess.run(["mount", "-o", "remount,size=100m", server.store.folder], check=True)
        self.works(servers)

    def test_refusals(self):
        """Of each output, at each moment."""
        self.web()
        peer, port = self.s3(), self.gcs()
        begins, part, ends, whole = ("POST", "uploads="), ("PUT", "partNumber=2"), ("POST", "uploadId="), ("PUT", "")
        cases = [(target, action, moment, status, code)
                 for target in ("aws:s3", "minio:s3")
                 for action, moment, status, code in (
                     ("download", begins, 403, "AccessDenied"), ("download", part, 507, "XMinioStorageFull"),
                     ("log", ends, 403, "AccessDenied"), ("tcpdump", whole, 403, "AccessDenied"),
                     ("sysdig", whole, 404, "NoSuchBucket"))]
        servers, refusals = [], {}
        for n, (target, action, *how) in enumerate(cases):
            store = S3(peer, f"faults-{n}", target)
            refusals[store.bucket] = how
            server = self.serve(action, store, long={"duration": 1} if action in CAPTURES else None)
            server.acted, server.words = action != "download", how[2]
            servers.append(server)

        def trouble(request):
            (method, query), status, code = refusals.get(request.path.split("/")[1], (("", ""), 0, ""))
            return (status, refusal(code)) if request.method == method and query in request.query else None
        peer.trouble = trouble
        fail = {}
        for n, (action, method) in enumerate((("download", "POST"), ("download", "PUT"), ("log", "PUT"),
                                              ("tcpdump", "PUT"), ("sysdig", "PUT"))):
            store = Gcs(port, f"faults-{n}")
            fail[f"{method} {store.bucket}"] = -1
            server = self.serve(action, store, long={"duration": 1} if action in CAPTURES else None)
            server.acted, server.words = action not in ("download", "log"), "told to"
            servers.append(server)
        Gcs(port, "any").state(fail=fail)
        folder = Local(self.folder + "/goes")
        server = self.serve("tcpdump", folder, long={"duration": 2})
        server.acted, server.words = True, "No such file or directory"
        servers.append(server)
        for server in servers:
            self.post_long(server)
        self.wait_under_way(servers[-1:])
        os.rmdir(folder.folder)
        for server in servers:
            # What was captured was captured: that it could not be stored is the output's failure.
            line = self.end(server, "success" if server.acted else "failure", "" if server.acted else server.words, 60,
                            "failure")
            [told] = [o for o in server.log(message="output") if o["trace_id"] == line["trace_id"]]
            self.assertIn(server.words, told["error"])
        peer.trouble = lambda request: None
        Gcs(port, "any").state(fail={})
        os.mkdir(folder.folder)
        for server in servers:
            self.settle(server)
        self.works(servers)

    def test_slow(self):
        """An output that hardly moves: the action ends, and what was sent is taken back."""
        self.web()
        peer, port = self.s3(), self.gcs()

        def trouble(request):
            if request.method == "PUT":
                time.sleep(16)
                raise Cut()
        peer.trouble = trouble
        Gcs(port, "any").state(slow={"PUT": 16})
        limits = {"limits": {"action_seconds": 3}}
        servers = [self.serve("download", S3(peer, "slow-download"), limits),
                   self.serve("log", S3(peer, "slow-log", "minio:s3"), limits),
                   self.serve("download", Gcs(port, "slow-download"), limits)]
        limits = {"limits": {"action_seconds": 15}}
        captures = [self.serve(name, S3(peer, f"slow-{name}"), limits, {"duration": 1}) for name in CAPTURES]
        for server in servers + captures:
            self.post_long(server)
        for server in servers + captures:
            # Who had handed over everything has acted.
            acted = server in captures or server is servers[1]
            self.end(server, "success" if acted else "failure", "", 40, "failure")
            self.assertLess(time.monotonic() - server.began, (15 if server in captures else 3) + 10 + 5)
        servers += captures
        peer.trouble = lambda request: None
        Gcs(port, "any").state(slow={"PUT": 0.2})
        for server in servers:
            self.settle(server)
        self.works(servers)


class SlowPods(Faults):
    bundled_only = True  # reaches for the pod's processes

    def freeze(self, pod, frozen):
        uid = pod["metadata"]["uid"]
        # Groups that go meanwhile are errors to it.
        found = subprocess.run(["find", "/sys/fs/cgroup", "-type", "d", "-name", f"pod{uid}"], capture_output=True,
                               text=True, check=False).stdout.split()
        for folder in found:
            for name, value in (("cgroup.freeze", "1" if frozen else "0"),
                                ("freezer.state", "FROZEN" if frozen else "THAWED")):
                if os.path.exists(f"{folder}/{name}"):
                    with open(f"{folder}/{name}", "w", encoding="ascii") as f:
                        f.write(value)
                    return
        if frozen:  # what was frozen may have been removed
            raise AssertionError(f"no cgroup of {uid} can be frozen")

    def test_frozen(self):
        """Nothing comes from the pod any more, though everything else works."""
        self.web()
        names = ("download", "exec", "script", "tcpdump", "sysdig")
        gate = self.gate()
        servers = [self.serve(name, config={"limits": {"action_seconds": seconds_for(name)}},
                              **({"kubeconfig": self.through(gate)} if name == "download" else {})) for name in names]
        self.begin(servers, gate)
        pods = self.cluster.list("pods", self.ns)
        try:
            for pod in pods:
                self.freeze(pod, True)
            for server in servers:
                stored = "success" if server.store else None
                self.end(server, "success" if stored else "failure", "time limit" if stored else "", 40, stored)
                self.assertLess(time.monotonic() - server.began, seconds_for(server.name) + 10)
        finally:
            for pod in pods:
                self.freeze(pod, False)
        gate.open()
        for server in servers:
            self.settle(server)
        self.works(servers)


class Leaving(Faults):
    def under_way(self, names=tuple(ACTIONS), seconds=15):
        self.web()
        gate = self.gate()
        servers = [self.serve(name, kubeconfig=self.through(gate),
                              long={"duration": seconds} if name in CAPTURES else None) for name in names]
        self.begin(servers, gate)
        return gate, servers

    def resume(self, gate, servers):
        """Started again, each does what it was about to."""
        gate.open()
        for server in servers:
            server.start()
        for server in servers:
            if server.name in ("exec", "script"):
                continue  # it sleeps for a minute
            self.end(server, "success", "", 60, "success")
            self.settle(server)

    def test_killed(self):
        gate, servers = self.under_way()
        for server in servers:
            server.kill()
            if server.store:
                self.assertEqual((server.store.objects(), server.store.unfinished()), ({}, []))
        self.resume(gate, servers)

    def leave(self, servers):
        began = time.monotonic()
        for server in servers:
            server.process.terminate()
        for server in servers:
            self.assertEqual(server.process.wait(15), 0)
        self.assertLess(time.monotonic() - began, 10)
        for server in servers:
            if server.store:
                self.assertEqual((server.store.objects(), server.store.unfinished()), ({}, []))

    def test_told_to_leave(self):
        gate, servers = self.under_way()
        self.leave(servers)
        self.resume(gate, servers)

    def test_told_to_leave_when_nothing_answers(self):
        """Not even a Job can be removed: Stoop leaves in time all the same, and makes up for it."""
        gate, servers = self.under_way(("log", "sysdig"), 10)
        gate.stick()
        self.leave(servers)
        self.assertIn("leaving without what does not end", servers[-1].log_text())
        self.resume(gate, servers)


class KubeletGone(Faults):
    exclusive = True
    bundled_only = True

    def test_in_the_middle_of_everything(self):
        self.web()
        gate = self.gate()
        servers = [self.serve(name, kubeconfig=self.through(gate)) for name in ACTIONS]
        self.begin(servers, gate)
        self.cluster.script("stop", "kubelet")
        try:
            gate.most = None
            for server in servers:
                self.end(server, "failure", "", 40)
                self.settle(server)
        finally:
            self.cluster.script("start", "kubelet")
        wait("the node answers", lambda: self.in_pod("true"), 60)
        self.works(servers)
