"""What the end-to-end tests stand on: a cluster, an API to look into it, a gate in front of its API server, the real
`stoop server`, and events as Falco sends them. Nothing here waits for luck: every wait is for a condition and bounded.
"""
import base64
import fcntl
import http.client
import json
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.normpath(os.path.join(HERE, "../.."))
BUILT = os.environ.get("STOOP") or os.path.join(TOP, "build/stoop")
STOOP = BUILT  # `run` makes it a copy, so that a build under way meanwhile changes nothing
CACHE = os.path.expanduser("~/.cache/stoop")
TOOLS = os.environ.get("STOOP_TOOLS") or CACHE + "/tools"
PROMTOOL = TOOLS + "/promtool"
EVENTS = os.path.join(TOP, "examples/events")
FIXTURES = os.path.join(HERE, "fixtures")
WAIT = 30  # seconds, for what normally takes far less


def wait(what, condition, seconds=WAIT, step=0.05):
    """The first true value of condition(); fails with `what` after the time."""
    until = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > until:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(step)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def random_name(prefix):
    return f"{prefix}-{random.randrange(16**8):08x}"


class ApiError(Exception):
    def __init__(self, status, body):
        super().__init__(f"{status}: {body[:500]}")
        self.status = status


class Cluster:
    """The bundled Kubernetes, or the one that STOOP_TEST_KUBECONFIG names. Seen through `kubectl proxy`, which knows
    every way to sign in."""

    def __init__(self):
        self.foreign = os.environ.get("STOOP_TEST_KUBECONFIG")
        self.dir = os.environ.get("CLUSTER_DIR") or CACHE + "/e2e"
        self.image = os.environ.get("STOOP_TEST_IMAGE") or ("busybox:1.36" if self.foreign else "stoop.test/busybox:1")
        self.proxy = None

    def script(self, *args, **more):
        return subprocess.run([os.path.join(TOP, "tests/cluster/cluster"), *args], check=True, text=True,
                              env={**os.environ, "CLUSTER_DIR": self.dir}, **more)

    def up(self, reuse=False):
        """Starts it; with `reuse`, one that runs already will do."""
        if self.foreign:
            self.kubeconfig, self.kubectl = self.foreign, shutil.which("kubectl") or CACHE + "/cluster/bin/kubectl"
        else:
            # One user at a time: whoever starts it ends what ran there before. Let go of when this process ends.
            os.makedirs(self.dir, exist_ok=True)
            self.in_use = open(self.dir + "/.in-use", "w")
            fcntl.flock(self.in_use, fcntl.LOCK_EX)
            self.script("build")
            if not (reuse and self.runs()):
                self.script("up", stdout=subprocess.DEVNULL)
            self.kubeconfig, self.kubectl = self.dir + "/admin.kubeconfig", CACHE + "/cluster/bin/kubectl"
        shown = subprocess.run([self.kubectl, "--kubeconfig", self.kubeconfig, "config", "view", "--raw", "--minify",
                                "--flatten", "-o", "json"], check=True, capture_output=True, text=True)
        self.config = json.loads(shown.stdout)
        self.server = self.config["clusters"][0]["cluster"]["server"]
        self.proxy = subprocess.Popen([self.kubectl, "--kubeconfig", self.kubeconfig, "proxy", "--port=0"],
                                      stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.proxy_port = int(self.proxy.stdout.readline().rsplit(":", 1)[1])

    def runs(self):
        try:
            return "kubelet: up" in self.script("status", capture_output=True).stdout
        except subprocess.CalledProcessError:
            return False

    def down(self, keep=False):
        if self.proxy:
            self.proxy.terminate()
            self.proxy.wait()
            self.proxy.stdout.close()
        if not self.foreign and not keep:
            self.script("down")

    # --- the API, as objects

    def call(self, method, path, body=None, content_type="application/json"):
        conn = http.client.HTTPConnection("127.0.0.1", self.proxy_port, timeout=30)
        try:
            conn.request(method, path, None if body is None else json.dumps(body), {"Content-Type": content_type})
            answer = conn.getresponse()
            text = answer.read().decode(errors="replace")
        finally:
            conn.close()
        if answer.status >= 300:
            raise ApiError(answer.status, text)
        return json.loads(text) if text[:1] == "{" else text

    @staticmethod
    def path(kind, ns=None, name=None):
        """kind: 'pods', 'apps/v1/deployments', ..."""
        group, _, resource = kind.rpartition("/")
        root = f"/apis/{group}" if group else "/api/v1"
        return root + (f"/namespaces/{ns}" if ns else "") + "/" + resource + (f"/{name}" if name else "")

    def get(self, kind, ns, name):
        """The object, or None where there is none."""
        try:
            return self.call("GET", self.path(kind, ns, name))
        except ApiError as e:
            if e.status == 404:
                return None
            raise

    def list(self, kind, ns=None):
        return self.call("GET", self.path(kind, ns))["items"]

    def create(self, kind, ns, obj):
        return self.call("POST", self.path(kind, ns), obj)

    def patch(self, kind, ns, name, patch):
        return self.call("PATCH", self.path(kind, ns, name), patch, "application/merge-patch+json")

    def delete(self, kind, ns, name, **options):
        try:
            return self.call("DELETE", self.path(kind, ns, name), options)
        except ApiError as e:
            if e.status != 404:
                raise

    def kubeconfig_with(self, cluster=None, user=None):
        """The cluster's kubeconfig with changed parts (None removes one); JSON is YAML."""
        config = json.loads(json.dumps(self.config))
        entry = config["clusters"][0]["cluster"]
        entry.update(cluster or {})
        for key in [k for k, v in entry.items() if v is None]:
            del entry[key]
        if user is not None:
            config["users"][0]["user"] = user
        return json.dumps(config)


class Gate:
    """A door in front of the API server, on a port of its own: open, shut (connections are refused and those there
    are cut) or stuck (connections are kept, and nothing moves). With `most`, each connection is stuck after so many
    bytes of answers, and few more are on their way."""

    def __init__(self, server):
        host, port = server.split("//")[1].rstrip("/").split("/")[0].rsplit(":", 1)
        self.target, self.port = (host, int(port)), free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self.lock, self.pairs, self.stuck, self.listener, self.ended = threading.Lock(), [], False, None, False
        self.connections, self.most = 0, None
        self.open()

    def open(self):
        self.stuck, self.most = False, None
        if self.listener is None:
            self.listener = socket.create_server(("127.0.0.1", self.port), reuse_port=False)
            threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def stick(self):
        self.stuck = True

    def shut(self):
        listener, self.listener = self.listener, None
        if listener:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        with self.lock:
            pairs, self.pairs = self.pairs, []
        for pair in pairs:
            for s in pair:
                try:
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def end(self):
        self.ended = True
        self.shut()

    def _accept(self, listener):
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            far = socket.socket()
            if self.most:
                far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32768)
            try:
                far.settimeout(10)
                far.connect(self.target)
            except OSError:
                near.close()
                far.close()
                continue
            far.settimeout(None)
            with self.lock:
                self.pairs.append((near, far))
            threading.Thread(target=self._carry, args=(near, far), daemon=True).start()

    def _carry(self, near, far):
        came = 0
        try:
            while not self.ended:
                if self.stuck or (self.most and came >= self.most):
                    time.sleep(0.01)
                    if near.fileno() < 0 or (near, far) not in self.pairs:
                        return
                    continue
                for ready in select.select([near, far], [], [], 0.05)[0]:
                    if self.stuck:
                        break
                    data = ready.recv(65536)
                    if not data:
                        return
                    came += len(data) if ready is far else 0
                    (far if ready is near else near).sendall(data)
        except (OSError, ValueError):
            pass
        finally:
            near.close()
            far.close()


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body


class Stoop:
    """`stoop server` with a folder of its own."""

    def __init__(self, folder, rules, config=None, kubeconfig=None, env=None, wrapper=()):
        self.folder, self.port, self.process = folder, free_port(), None
        self.env, self.wrapper = env or {}, list(wrapper)
        self.rules_file, self.config_file = folder + "/rules.yaml", folder + "/config.yaml"
        self.kubeconfig_file, self.log_file = folder + "/kubeconfig", folder + "/log"
        self.store_file = folder + "/store/store.db"
        if rules is not None:
            self.write(self.rules_file, rules)
        if kubeconfig is not None:
            self.write(self.kubeconfig_file, kubeconfig)
        self.config = {
            "listen_address": "127.0.0.1", "listen_port": self.port, "rules_files": [self.rules_file],
            "log_format": "json", "kubeconfig": self.kubeconfig_file if kubeconfig is not None else "",
            "store": {"path": self.store_file}, **(config or {}),
        }
        self.write(self.config_file, self.config)

    @staticmethod
    def write(path, what):
        """Text as it is, anything else as JSON, which is YAML. Replaced in one step, as an editor does."""
        with open(path + ".new", "w") as f:
            f.write(what if isinstance(what, str) else json.dumps(what, indent=1))
        os.replace(path + ".new", path)

    def args(self):
        return [STOOP, "server", "-c", self.config_file]

    def start(self, ready=True):
        kept = ("PATH", "HOME", "LANG", "TMPDIR", "ASAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS")
        env = {k: v for k, v in os.environ.items() if k in kept}
        with open(self.log_file, "ab") as out:
            self.process = subprocess.Popen(self.wrapper + self.args(), stdout=out, stderr=out, cwd=self.folder,
                                            stdin=subprocess.DEVNULL, env={**env, **self.env})
        if ready:
            self.wait_ready()
        return self

    def wait_ready(self):
        def ready():
            if self.process.poll() is not None:
                raise AssertionError(f"stoop ended with status {self.process.returncode}:\n{self.log_text()[-2000:]}")
            try:
                return self.get("/healthz").status == 200
            except OSError:
                return False
        wait("stoop answers /healthz", ready, 15, 0.01)

    def fails_to_start(self, seconds=10):
        """Its exit status and what it said."""
        self.start(ready=False)
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"stoop should have refused to start:\n{self.log_text()[-2000:]}") from None
        return status, self.log_text()

    def stop(self, seconds=10):
        """SIGTERM; returns (exit status, how long it took)."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"stoop did not leave within {seconds} s of SIGTERM") from None
        return status, time.monotonic() - began

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    # --- what it holds

    def threads(self):
        """The names of its threads."""
        names = []
        for task in os.listdir(f"/proc/{self.process.pid}/task"):
            try:
                with open(f"/proc/{self.process.pid}/task/{task}/comm", encoding="ascii") as f:
                    names.append(f.read().strip())
            except OSError:
                pass  # it has just ended
        return sorted(names)

    def writing(self, folder):
        """The bytes in the files that it has open in a folder, whether they have a name or not."""
        total = 0
        for fd in os.listdir(f"/proc/{self.process.pid}/fd"):
            path = f"/proc/{self.process.pid}/fd/{fd}"
            try:
                if os.readlink(path).startswith(folder + "/"):
                    total += os.stat(path).st_size
            except OSError:
                pass  # it has just closed it
        return total

    # --- its HTTP side

    def request(self, method, path, body=None, headers=None, timeout=15):
        conn = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            conn.request(method, path, body, headers or {})
            answer = conn.getresponse()
            return Answer(answer.status, answer.headers, answer.read().decode(errors="replace"))
        finally:
            conn.close()

    def get(self, path):
        return self.request("GET", path, timeout=5)

    def post(self, event):
        """An event (a dict, or a body as it is)."""
        body = json.dumps(event) if isinstance(event, dict) else event
        headers = {"Content-Type": "application/json", "User-Agent": "falcosecurity/falco"}
        return self.request("POST", "/", body, headers)

    def raw(self, data, seconds=15, half_close=False):
        """Bytes as they are; what comes back until the server closes, or the time is over."""
        with socket.create_connection(("127.0.0.1", self.port), seconds) as s:
            try:
                s.sendall(data)
                if half_close:
                    s.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # the server may well have had enough by then
            got, until = b"", time.monotonic() + seconds
            while time.monotonic() < until:
                s.settimeout(max(0.01, until - time.monotonic()))
                try:
                    more = s.recv(65536)
                except OSError:
                    break
                if not more:
                    break
                got += more
            return got

    def metric(self, name, **labels):
        """The sum of a metric's series with these labels."""
        total = 0.0
        for line in self.get("/metrics").body.splitlines():
            series, _, value = line.rpartition(" ")
            if series.split("{")[0] == name and all(f'{k}="{v}"' in series for k, v in labels.items()):
                total += float(value)
        return total

    # --- its log

    def log_text(self):
        try:
            with open(self.log_file, encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def log(self, **fields):
        """The JSON lines with these fields; a value may be a tuple of alternatives."""
        found = []
        for line in self.log_text().splitlines():
            if line.startswith("{"):
                try:
                    entry = json.loads(line)
                except ValueError:
                    continue  # the last line may be half written
                if all(entry.get(k) in (v if isinstance(v, tuple) else (v,)) for k, v in fields.items()):
                    found.append(entry)
        return found

    def wait_log(self, count=1, seconds=WAIT, **fields):
        """Waits for so many lines with these fields; returns the last."""
        return wait(f"{count} log line(s) {fields}", lambda: len(got := self.log(**fields)) >= count and got,
                    seconds)[-1]

    def wait_init(self, words):
        """Waits for what is said about the start, or the end, with these words."""
        return wait(f"it says '{words}'", lambda: [line for line in self.log(message="init")
                                                   if words in line.get("result", "") + line.get("error", "")], WAIT)[0]

    def ended(self, count=1, seconds=WAIT, **fields):
        """Waits for an action that ended, however; returns its line."""
        return self.wait_log(count, seconds, message="action",
                             status=("success", "failure", "ignored", "dry_run", "stale"), **fields)


def load_event(name):
    with open(os.path.join(EVENTS, name + ".json")) as f:
        return json.load(f)


def pod_event(ns, pod, rule="Terminal shell in container", uid=None, **more):
    """Falco's own event about this pod, new each time."""
    event = load_event("shell-in-container")
    now = time.time_ns()
    event["rule"] = rule
    event["output"] = event["output"].replace("web-5d4c8b7f9-abcde", pod).replace("ns_name=default", f"ns_name={ns}")
    event["output_fields"].update({"k8s.ns.name": ns, "k8s.pod.name": pod, "evt.time.iso8601": now,
                                   "proc.pid": random.randrange(2**31)})
    if uid:
        event["output_fields"]["k8s.pod.uid"] = uid
    event["output_fields"].update(more)
    return event


def audit_event(resource, name, ns=None, rule="Create/Modify Configmap With Private Credentials"):
    event = load_event("configmap-with-credentials")
    event["rule"] = rule
    event["output_fields"].update({"ka.target.resource": resource, "ka.target.name": name,
                                   "ka.target.namespace": ns, "evt.time": time.time_ns()})
    return event


def rule(actionner, parameters=None, name="Rule under test", output=None, action=None, **more):
    """A rule with one action, for events of pod_event()."""
    block = {"action": action or "Action under test", "actionner": actionner}
    if parameters is not None:
        block["parameters"] = parameters
    if output:
        block["output"] = output
    return {"rule": name, "match": more.pop("match", {"rules": ["Terminal shell in container"]}),
            "actions": [block], **more}


AUDIT = {"rules": ["Create/Modify Configmap With Private Credentials"]}


class Case(unittest.TestCase):
    """A test with a folder and, when it asks for one, a namespace; what it started is gone afterwards."""

    cluster = None       # set by the runner
    exclusive = False    # runs alone: it changes the node, or stops the API server
    bundled_only = False  # handles the cluster's own processes
    maxDiff = None

    def setUp(self):
        self.servers = []
        self.folder = tempfile.mkdtemp(prefix="stoop-e2e-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self._ns = None

    @property
    def ns(self):
        if self._ns is None:
            self._ns = self.make_namespace()
        return self._ns

    def make_namespace(self):
        name = random_name("stoop-e2e")
        self.cluster.create("namespaces", None, {"metadata": {"name": name}})
        self.addCleanup(self.cluster.delete, "namespaces", None, name)
        wait("the namespace's service account", lambda: self.cluster.get("serviceaccounts", name, "default"))
        return name

    # --- Stoop

    def stoop(self, rules, start=True, **more):
        folder = tempfile.mkdtemp(dir=self.folder)
        more.setdefault("kubeconfig", self.cluster.kubeconfig_with())
        server = Stoop(folder, rules, **more)
        self.servers.append(server)
        self.addCleanup(server.kill)
        if start:
            server.start()
        return server

    def gate(self):
        gate = Gate(self.cluster.server)
        self.addCleanup(gate.end)
        return gate

    def through(self, gate, **user):
        """A kubeconfig that goes through the gate."""
        cluster = {"server": gate.url}
        if self.cluster.foreign:
            cluster["tls-server-name"] = self.cluster.server.split("//")[1].split(":")[0]
        return self.cluster.kubeconfig_with(cluster, user.get("user"))

    def post(self, server, event):
        answer = server.post(event)
        self.assertEqual(answer.status, 200, answer.body)
        return answer

    def act(self, server, event, **fields):
        """Posts, and waits for the action's result."""
        before = len(server.log(message="action", status=("success", "failure", "ignored", "dry_run", "stale")))
        self.post(server, event)
        return server.ended(before + 1, **fields)

    def assertResult(self, line, status, words=""):
        self.assertEqual(line["status"], status, line)
        if words:
            self.assertIn(words.lower(), (line.get("result", "") + line.get("error", "")).lower(), line)

    def diagnostics(self):
        for server in self.servers:
            yield f"log of {server.folder}:\n" + "\n".join(server.log_text().splitlines()[-25:])

    # --- the cluster's furniture

    def pod_spec(self, command=None):
        return {"terminationGracePeriodSeconds": 1, "automountServiceAccountToken": False, "containers": [{
            "name": "web", "image": self.cluster.image, "imagePullPolicy": "IfNotPresent",
            "command": ["/bin/sh", "-c", command or "echo hello from $HOSTNAME; trap exit TERM; "
                        "while :; do sleep 0.2; done"]}]}

    def pod(self, name="web", labels=None, wait_running=True, command=None, annotations=None):
        created = self.cluster.create("pods", self.ns, {
            "metadata": {"name": name, **({"labels": labels} if labels else {}),
                         **({"annotations": annotations} if annotations else {})},
            "spec": self.pod_spec(command)})
        if wait_running:
            self.wait_running(name)
        return created

    def wait_running(self, name):
        def running():
            pod = self.cluster.get("pods", self.ns, name)
            return pod and pod["status"].get("phase") == "Running" and pod
        return wait(f"pod {name} runs", running, 60)

    def owner(self, kind, name="web", replicas=2, command=None, selector=None):
        """A Deployment, StatefulSet or DaemonSet with all its pods ready; returns these."""
        labels = selector or {"app": name}
        spec = {"selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": self.pod_spec(command)}}
        if kind != "DaemonSet":
            spec["replicas"] = replicas
        if kind == "StatefulSet":
            spec.update({"serviceName": name, "podManagementPolicy": "Parallel"})
        self.cluster.create(f"apps/v1/{kind.lower()}s", self.ns, {"metadata": {"name": name}, "spec": spec})
        want = replicas if kind != "DaemonSet" else None
        return wait(f"pods of {kind} {name}", lambda: self.ready_pods(labels, want), 60)

    def ready_pods(self, labels, count=None):
        pods = [p for p in self.cluster.list("pods", self.ns)
                if labels.items() <= p["metadata"].get("labels", {}).items()
                and "deletionTimestamp" not in p["metadata"]
                and any(c["type"] == "Ready" and c["status"] == "True" for c in p["status"].get("conditions", []))]
        return pods if (len(pods) == count if count is not None else pods) else None

    def wait_gone(self, name, uid=None):
        """Until the pod is deleted, or is on its way out."""
        def gone():
            pod = self.cluster.get("pods", self.ns, name)
            return not pod or "deletionTimestamp" in pod["metadata"] or (uid and pod["metadata"]["uid"] != uid)
        wait(f"pod {name} is gone", gone)

    def assertThere(self, name, uid=None):
        pod = self.cluster.get("pods", self.ns, name)
        self.assertTrue(pod, f"pod {name} is gone")
        self.assertNotIn("deletionTimestamp", pod["metadata"])
        if uid:
            self.assertEqual(pod["metadata"]["uid"], uid)
        return pod

    def account(self, rules=None, name="responder"):
        """A service account with these rights in the test's namespace; returns a token of it."""
        self.cluster.create("serviceaccounts", self.ns, {"metadata": {"name": name}})
        if rules:
            rbac = "rbac.authorization.k8s.io/v1/"
            self.cluster.create(rbac + "roles", self.ns, {"metadata": {"name": name}, "rules": rules})
            self.cluster.create(rbac + "rolebindings", self.ns, {
                "metadata": {"name": name}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role",
                                                        "name": name},
                "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": self.ns}]})
        return self.token(name)

    def token(self, name="responder"):
        made = self.cluster.call("POST", self.cluster.path("serviceaccounts", self.ns, name) + "/token", {"spec": {}})
        return made["status"]["token"]

    def ca(self):
        data = self.cluster.config["clusters"][0]["cluster"].get("certificate-authority-data", "")
        return base64.b64decode(data).decode()

    def as_text(self, path):
        with open(path, encoding="utf-8", errors="replace") as f:
            return f.read()


PODS_ALL = [{"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get", "list", "patch", "delete"]}]
