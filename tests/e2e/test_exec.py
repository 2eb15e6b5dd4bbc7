"""kubernetes:exec, kubernetes:script and kubernetes:download through the real API server, kubelet and runtime: exit
codes, hostile values, images without a shell, big scripts and files, and a kubelet that goes in the middle.
"""
import base64
import hashlib
import json
import os
import time

from harness import Case, pod_event, rule, wait

MARK = "/tmp/pwned"
HOSTILE = {
    "quotes": "a'b\"c''d",
    "newlines": f"one\ntwo\n\ntouch {MARK}\n",
    "substitution": f"$(touch {MARK})",
    "backticks": f"`touch {MARK}`",
    "ends the quote": f"'; touch {MARK}; '",
    "ends the quote twice": f"'\\''; touch {MARK} #",
    "globs": "/* ? [a-z]* ~ ~root {a,b}",
    "operators": f"x & touch {MARK} | touch {MARK} && touch {MARK} > {MARK} < /dev/null",
    "backslashes": "\\ \\\\ \\n \\x41 \\",
    "variables": "$HOME ${PATH} $$ $# $@ ${IFS}",
    "controls": "\x01\x02\x1b[31m\x7f\r\t\b",
    "dash": "-rf --help -n -e",
    "unicode": "\u00e9\u4e2d\U0001f600\u202e",
    "history": "!! !$ ^a^b",
    "assignment": f"PATH=/x IFS=x {MARK}",
    "empty": "",
}


class Exec(Case):
    def server(self, parameters, actionner="kubernetes:exec", **more):
        return self.stoop([rule(actionner, parameters)], **more)

    def shell(self, command, **fields):
        return self.act(self.server({"command": command}), pod_event(self.ns, "web", **fields))

    def test_output_and_exit_code(self):
        self.pod()
        line = self.shell("echo out; echo err >&2; printf '\\033[1mbold\\033[0m'")
        self.assertResult(line, "success", "container 'web'")
        self.assertIn("out\n", line["output"])
        self.assertIn("err\n", line["output"])
        self.assertIn("bold", line["output"])
        self.assertNotIn("\x1b", line["output"])
        line = self.shell("echo some output; echo 'it is broken' >&2; exit 42")
        self.assertResult(line, "failure", "exit status 42: it is broken")
        self.assertIn("some output", line["output"])
        self.assertResult(self.shell("kill -9 $$"), "failure", "137")
        self.assertResult(self.shell("if then"), "failure", "syntax error")

    def test_what_runs_on_in_the_background_is_not_waited_for(self):
        self.pod()
        began = time.monotonic()
        line = self.shell("echo before; (sleep 3; touch /tmp/came; sleep 60) & echo after")
        self.assertResult(line, "success")
        self.assertEqual(line["output"], "before\nafter\n")
        self.assertLess(time.monotonic() - began, 3)
        wait("it ran on", lambda: self.shell("test -e /tmp/came")["status"] == "success", 20)

    def test_a_lot_of_output_is_cut_with_a_note(self):
        self.pod()
        line = self.shell("seq 1 200000")
        self.assertResult(line, "success")
        self.assertRegex(line["output"], r"^\[\d+ bytes before this were left out\]\n")
        self.assertTrue(line["output"].endswith("200000\n"))
        self.assertLess(len(line["output"]), 17000)

    def test_hostile_values_are_only_text(self):
        self.pod()
        server = self.server({"command": 'printf %s "$PROC_CMDLINE" | base64; echo $PROC_CMDLINE ${PROC_CMDLINE} '
                                         f'>/dev/null; [ ! -e {MARK} ]'})
        values = dict(HOSTILE)
        values["everything"] = "".join(HOSTILE.values())
        values["60 KB"] = "'$(touch " + MARK + ")\n" * 2000
        for name, value in values.items():
            with self.subTest(name):
                line = self.act(server, pod_event(self.ns, "web", **{"proc.cmdline": value}))
                self.assertResult(line, "success")
                if len(value) < 8000:
                    self.assertEqual(base64.b64decode(line.get("output", "")).decode(), value)

    def test_values_of_100_kb_are_cut_and_run_nothing(self):
        self.pod()
        value = f"'$(touch {MARK})`touch {MARK}`" * 3000
        line = self.shell(f'echo ${{#PROC_CMDLINE}}; [ ! -e {MARK} ]', **{"proc.cmdline": value})
        self.assertResult(line, "success")
        self.assertEqual(line["output"], "65536\n")

    def test_bytes_that_are_no_text(self):
        self.pod()
        server = self.server({"command": 'printf %s "$PROC_CMDLINE" | base64'})
        event = json.dumps(pod_event(self.ns, "web", **{"proc.cmdline": "a'BAD'b"})).encode()
        for bad in (b"\\ud800", b"\xff", b"\xc0\xaf", b"\0"):
            with self.subTest(bad):
                self.assertEqual(server.post(event.replace(b"BAD", bad)).status, 400)
        # No variable can hold a NUL: it is left out.
        self.assertEqual(server.post(event.replace(b"BAD", b"\\u0000$(touch /tmp/pwned)")).status, 200)
        line = server.ended()
        self.assertResult(line, "success")
        self.assertEqual(base64.b64decode(line["output"]), b"a'$(touch /tmp/pwned)'b")

    def test_a_field_does_not_become_the_path(self):
        self.pod()
        line = self.shell("env; ls / >/dev/null", **{"path": "/nowhere", "ld.preload": "/x.so", "ifs": "x",
                                                     "bash.env": "/x", "custom": "kept"})
        self.assertResult(line, "success")
        self.assertIn("CUSTOM=kept\n", line["output"])
        for name in ("LD_PRELOAD=", "IFS=", "BASH_ENV=", "/nowhere"):
            self.assertNotIn(name, line["output"])
        self.assertIn("FALCO_TALON_ACTIONNER=kubernetes:exec\n", line["output"])

    def test_nothing_of_stoop_or_of_an_earlier_event_is_seen(self):
        self.pod()
        server = self.server({"command": "env"}, env={"SECRET_OF_STOOP": "x"})
        self.act(server, pod_event(self.ns, "web", **{"first.only": "x"}))
        line = self.act(server, pod_event(self.ns, "web"))
        self.assertResult(line, "success")
        self.assertNotIn("SECRET_OF_STOOP", line["output"])
        self.assertNotIn("FIRST_ONLY", line["output"])

    def two_containers(self, first):
        spec = self.pod_spec()
        spec["containers"].insert(0, {"name": "first", "image": first, "imagePullPolicy": "IfNotPresent",
                                      **({"command": ["/bin/sh", "-c", "sleep 3600"]} if "noshell" not in first
                                         else {})})
        self.cluster.create("pods", self.ns, {"metadata": {"name": "web"}, "spec": spec})
        self.wait_running("web")
        return wait("both are ready", lambda: all(c.get("ready") for c in self.cluster.get(
            "pods", self.ns, "web")["status"]["containerStatuses"]) and self.cluster.get("pods", self.ns, "web"), 60)

    def test_the_container_that_the_event_names(self):
        pod = self.two_containers(self.cluster.image)
        server = self.server({"command": "tr '\\0' ' ' </proc/1/cmdline"})
        ids = {c["name"]: c["containerID"].split("//")[1] for c in pod["status"]["containerStatuses"]}
        for fields, container in (({"container.name": "web", "container.id": None}, "web"),
                                  ({"container.name": "first", "container.id": None}, "first"),
                                  ({"container.name": None, "container.id": ids["web"][:12]}, "web"),
                                  ({"container.name": None, "container.id": None}, "first")):
            with self.subTest(fields):
                line = self.act(server, pod_event(self.ns, "web", **fields))
                self.assertResult(line, "success", f"container '{container}'")
                self.assertEqual("trap" in line["output"], container == "web", line)

    def test_a_missing_shell(self):
        self.pod()
        line = self.act(self.server({"command": "true", "shell": "/bin/zsh"}), pod_event(self.ns, "web"))
        self.assertResult(line, "failure", "no shell '/bin/zsh'")
        self.assertIn("`shell`", line["error"])

    def test_a_pod_that_is_gone(self):
        self.assertResult(self.shell("true"), "failure", "gone")

    def test_no_right_to_exec(self):
        self.pod()
        token = self.account([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}])
        server = self.server({"command": "true"}, kubeconfig=self.cluster.kubeconfig_with(user={"token": token}))
        self.assertResult(self.act(server, pod_event(self.ns, "web")), "failure", "forbidden")

    def test_the_connection_is_cut_in_the_middle(self):
        self.pod()
        gate = self.gate()
        server = self.server({"command": "echo begun > /tmp/begun; sleep 30"}, kubeconfig=self.through(gate))
        self.post(server, pod_event(self.ns, "web"))
        probe = self.server({"command": "cat /tmp/begun"})
        wait("the command runs", lambda: self.act(probe, pod_event(self.ns, "web"))["status"] == "success")
        gate.shut()
        self.assertResult(server.ended(seconds=15), "failure", "connection")
        gate.open()


class NoShell(Case):
    bundled_only = True  # the image is of the bundled cluster

    def setUp(self):
        super().setUp()
        self.cluster.create("pods", self.ns, {"metadata": {"name": "web"}, "spec": {
            "terminationGracePeriodSeconds": 1, "automountServiceAccountToken": False,
            "volumes": [{"name": "shared", "emptyDir": {}}],
            "containers": [{"name": "web", "image": "stoop.test/noshell:1", "imagePullPolicy": "IfNotPresent",
                            "volumeMounts": [{"name": "shared", "mountPath": "/shared"}]}]}})
        self.wait_running("web")

    def test_exec_says_what_to_do(self):
        server = self.stoop([rule("kubernetes:exec", {"command": "true"})])
        line = self.act(server, pod_event(self.ns, "web"))
        self.assertResult(line, "failure", "no shell '/bin/sh'")
        self.assertIn("`shell`", line["error"])
        self.assertIn("kubernetes:download", line["error"])

    def download(self, file, **parameters):
        server = self.stoop([rule("kubernetes:download", {"file": file, **parameters}, output={
            "target": "local:file", "parameters": {"destination": self.folder + "/out"}})])
        os.makedirs(self.folder + "/out", exist_ok=True)
        return self.act(server, pod_event(self.ns, "web"), seconds=60)

    def test_download(self):
        line = self.download("/pause", image="stoop.test/busybox:1")
        self.assertResult(line, "success", "ephemeral container")
        files = os.listdir(self.folder + "/out")
        self.assertEqual(len(files), 1)
        with open(self.folder + "/out/" + files[0], "rb") as f:
            self.assertEqual(f.read(4), b"\x7fELF")
        helper = self.cluster.get("pods", self.ns, "web")["status"]["ephemeralContainerStatuses"][0]["name"]

        def ended():
            pod = self.cluster.get("pods", self.ns, "web")
            return [s for s in pod["status"]["ephemeralContainerStatuses"] if s["name"] == helper][0]["state"].get(
                "terminated")
        wait("the helper ends by itself", ended, 30)

    def test_download_of_every_byte(self):
        """Sparse, linked, growing: what lies in a volume of a container without a shell."""
        pod = self.cluster.get("pods", self.ns, "web")
        folder = f"{self.cluster.dir}/kubelet/pods/{pod['metadata']['uid']}/volumes/kubernetes.io~empty-dir/shared"
        noise = os.urandom(3 << 20)
        with open(folder + "/sparse", "wb") as f:
            f.truncate(40 << 20)
            f.seek(20 << 20)
            f.write(noise)
        with open(folder + "/sparse", "rb") as f:
            wanted = hashlib.sha256(f.read()).hexdigest()
        os.symlink("/shared/sparse", folder + "/link")
        line = self.download("/shared/link", image="stoop.test/busybox:1")
        self.assertResult(line, "success", "ephemeral container")
        [name] = os.listdir(self.folder + "/out")
        with open(self.folder + "/out/" + name, "rb") as f:
            self.assertEqual(hashlib.sha256(f.read()).hexdigest(), wanted)

    def test_download_refusals(self):
        self.assertResult(self.download("/etc", image="stoop.test/busybox:1"), "failure", "is a directory")
        self.assertResult(self.download("/none", image="stoop.test/busybox:1"), "failure", "does not exist")
        # An image that cannot be had, with the kubelet's own reason.
        self.assertResult(self.download("/pause", image="stoop.test/none:1"), "failure", "Err")
        self.assertEqual(os.listdir(self.folder + "/out"), [])


class Script(Case):
    def test_a_script_of_a_megabyte(self):
        self.pod()
        lines = ["i=0"] + [f"i=$((i + 1)) # it's line {n:06d} of a \"long\" script" for n in range(18000)]
        text = "\n".join(lines) + "\necho \"$i\" \"$PROC_NAME\"\n"
        self.assertGreater(len(text), 900000)
        path = self.folder + "/script.sh"
        with open(path, "w") as f:
            f.write(text)
        server = self.stoop([rule("kubernetes:script", {"file": path})])
        line = self.act(server, pod_event(self.ns, "web", **{"proc.name": "it's"}))
        self.assertResult(line, "success")
        self.assertEqual(line["output"], "18000 it's\n")

    def test_a_script_of_the_rule(self):
        self.pod()
        script = "#!/bin/sh\nset -e\ncat <<'E'\n$HOME 'x'\nE\nread -r line || echo nothing to read\nfalse\necho never\n"
        server = self.stoop([rule("kubernetes:script", {"script": script})])
        line = self.act(server, pod_event(self.ns, "web"))
        self.assertResult(line, "failure", "exit status 1")
        self.assertEqual(line["output"], "$HOME 'x'\nnothing to read\n")


class Download(Case):
    def server(self, file="${FD_NAME}", **more):
        self.out = self.folder + "/out"
        os.makedirs(self.out, exist_ok=True)
        return self.stoop([rule("kubernetes:download", {"file": file}, output={
            "target": "local:file", "parameters": {"destination": self.out}})], **more)

    def prepare(self, command):
        self.pod(command=command + "\ntouch /tmp/ready; trap exit TERM; while :; do sleep 0.2; done")
        probe = self.stoop([rule("kubernetes:exec", {"command": "test -e /tmp/ready"})])
        wait("the files are made", lambda: self.act(probe, pod_event(self.ns, "web"))["status"] == "success", 60)
        return probe

    def sha256(self, name):
        digest = hashlib.sha256()
        with open(os.path.join(self.out, name), "rb") as f:
            while chunk := f.read(1 << 20):
                digest.update(chunk)
        return digest.hexdigest()

    def test_64_mib_of_anything(self):
        self.prepare("head -c 67108864 /dev/urandom > /tmp/big; sha256sum /tmp/big > /tmp/sum")
        sums = self.stoop([rule("kubernetes:exec", {"command": "cat /tmp/sum"})])
        wanted = self.act(sums, pod_event(self.ns, "web"))["output"].split()[0]
        line = self.act(self.server("/tmp/big"), pod_event(self.ns, "web"))
        self.assertResult(line, "success", "/tmp/big")
        [name] = os.listdir(self.out)
        self.assertTrue(name.endswith("_web__tmp_big"), name)
        self.assertEqual(os.path.getsize(self.out + "/" + name), 67108864)
        self.assertEqual(self.sha256(name), wanted)

    def test_a_growing_file(self):
        """Read to the end that it has then, every byte in its place."""
        self.prepare("(i=0; while [ $i -lt 3000000 ]; do echo $i; i=$((i + 1)); done >/tmp/grows) & "
                     "while [ ! -s /tmp/grows ]; do sleep 0.1; done; touch /tmp/ready")
        line = self.act(self.server("/tmp/grows"), pod_event(self.ns, "web"))
        self.assertResult(line, "success")
        [name] = os.listdir(self.out)
        with open(f"{self.out}/{name}", "rb") as f:
            lines = f.read().split(b"\n")
        self.assertGreater(len(lines), 1000)
        self.assertEqual(lines[:-1], [b"%d" % n for n in range(len(lines) - 1)])

    def test_names_sizes_and_links(self):
        self.prepare("mkdir -p \"/tmp/a b\"; printf one > \"/tmp/a b/it's \\\"1\\\"\"; printf two > '/tmp/-rf'; "
                     "printf three > '/tmp/new\nline'; : > /tmp/empty; truncate -s 5000000 /tmp/sparse; "
                     "ln -s /tmp/-rf /tmp/link; printf four > '/tmp/$(touch pwned)'; mkfifo /tmp/fifo")
        server, done = self.server(), 0
        for path, content in (("/tmp/a b/it's \"1\"", b"one"), ("/tmp/-rf", b"two"), ("/tmp/new\nline", b"three"),
                              ("/tmp/empty", b""), ("/tmp/sparse", bytes(5000000)), ("/tmp/link", b"two"),
                              ("/tmp/$(touch pwned)", b"four")):
            with self.subTest(path):
                before = set(os.listdir(self.out))
                line = self.act(server, pod_event(self.ns, "web", **{"fd.name": path}))
                self.assertResult(line, "success")
                [name] = set(os.listdir(self.out)) - before
                with open(self.out + "/" + name, "rb") as f:
                    self.assertEqual(f.read(), content)
                done += 1
        before = set(os.listdir(self.out))
        for path, words in (("/tmp", "is a directory"), ("/dev/zero", "no regular file"),
                            ("/tmp/fifo", "no regular file"), ("/tmp/none", "does not exist"),
                            ("tmp/-rf", "not a full path"), ("10.0.0.1:80->10.0.0.2:90", "not a full path")):
            with self.subTest(path):
                began = time.monotonic()
                line = self.act(server, pod_event(self.ns, "web", **{"fd.name": path}))
                self.assertResult(line, "failure", words)
                self.assertLess(time.monotonic() - began, 10)
        self.assertEqual(set(os.listdir(self.out)), before)

    def test_a_variable_that_the_event_lacks(self):
        self.pod()
        line = self.act(self.server("/tmp/${NO_SUCH}"), pod_event(self.ns, "web"))
        self.assertResult(line, "failure", "NO_SUCH")


class KubeletGone(Case):
    """A kubelet that ends in the middle of a stream."""
    exclusive = True
    bundled_only = True

    def stop_kubelet_during(self, server, event, under_way):
        """Its end in the middle is a failure within the deadline, and the next action works."""
        probe = self.stoop([rule("kubernetes:exec", {"command": "true"})])
        self.post(server, event)
        wait("it is under way", under_way, 15, 0.01)
        self.cluster.script("stop", "kubelet")
        try:
            line = server.ended(seconds=30)
        finally:
            self.cluster.script("start", "kubelet")
        wait("the next action works", lambda: self.act(probe, pod_event(self.ns, "web"))["status"] == "success", 60)
        return line

    def test_during_a_command(self):
        self.pod()
        server = self.stoop([rule("kubernetes:exec", {"command": "echo x > /tmp/begun; sleep 60"})])
        probe = self.stoop([rule("kubernetes:exec", {"command": "ls /tmp/begun"})])
        line = self.stop_kubelet_during(server, pod_event(self.ns, "web"), lambda: self.act(
            probe, pod_event(self.ns, "web"))["status"] == "success")
        # The API server may call this a success: the mark at the script's end is what tells.
        self.assertResult(line, "failure", "broke")

    def test_during_a_download(self):
        self.pod()
        out = self.folder + "/out"
        os.makedirs(out)
        big = self.stoop([rule("kubernetes:exec", {"command": "truncate -s 200G /tmp/big"})])
        self.assertResult(self.act(big, pod_event(self.ns, "web")), "success")
        server = self.stoop([rule("kubernetes:download", {"file": "/tmp/big"}, output={
            "target": "local:file", "parameters": {"destination": out}})])
        line = self.stop_kubelet_during(server, pod_event(self.ns, "web"), lambda: server.writing(out) > 0)
        self.assertResult(line, "failure", "broke")
        self.assertEqual(os.listdir(out), [])
