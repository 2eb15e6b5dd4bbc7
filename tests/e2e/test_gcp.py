"""gcp:gcs against gcp-storage-emulator, and in parts against a server that verifies checksums; gcp:function against a
Google of the test's own, which checks every signature with openssl."""
import base64
import hashlib
import http.client
import http.server
import json
import subprocess
import threading
import time
from urllib.parse import parse_qs

from harness import FIXTURES, TOOLS, Case, free_port, pod_event, rule, wait

PYTHON = TOOLS + "/venv/bin/python"
EMULATOR = TOOLS + "/venv/bin/gcp-storage-emulator"


def fetch(port, path, method="GET", body=None):
    conn = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        conn.request(method, path, body)
        answer = conn.getresponse()
        return answer.status, answer.read()
    finally:
        conn.close()


class Storage(Case):
    def serve(self, *command):
        """Starts a server of the test's own; its port is the last argument."""
        port = free_port()
        process = subprocess.Popen([*command, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   cwd=self.folder)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)

        def answers():
            try:
                return fetch(port, "/")[0]
            except OSError:
                return None
        wait("the storage answers", answers, 20)
        return port

    def gcs(self, port, actionner, parameters=None, config=None, **output):
        return self.stoop([rule(actionner, parameters, output={"target": "gcp:gcs", "parameters": {
            "bucket": "evidence", **output}})], config=config,
            env={"STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{port}"})

    def stored(self, server, event, count=1, status="success"):
        self.post(server, event)
        return server.wait_log(count, 60, message="output", status=status)

    def test_a_log_in_the_emulator(self):
        port = self.serve(EMULATOR, "start", "--in-memory", "--host=127.0.0.1", "--default-bucket=evidence", "--port")
        self.pod(command="echo first line; echo second line; sleep 1000")
        wait("the pod has said something", lambda: "second" in str(self.cluster.call(
            "GET", self.cluster.path("pods", self.ns, "web") + "/log")))
        line = self.stored(self.gcs(port, "kubernetes:log", prefix="/logs/"), pod_event(self.ns, "web"))
        items = json.loads(fetch(port, "/storage/v1/b/evidence/o")[1])["items"]
        self.assertEqual(len(items), 1, items)
        self.assertTrue(items[0]["name"].startswith("logs/20"), items)
        self.assertIn("gs://evidence/" + items[0]["name"], json.dumps(line))
        self.assertEqual(fetch(port, "/evidence/" + items[0]["name"])[1], b"first line\nsecond line\n")

    def test_a_bucket_that_is_not_there(self):
        port = self.serve(EMULATOR, "start", "--in-memory", "--host=127.0.0.1", "--port")
        self.pod(command="echo hello; sleep 1000")
        server = self.gcs(port, "kubernetes:log")
        self.post(server, pod_event(self.ns, "web"))
        told = wait("it is told", lambda: server.log(status="failure"), 60)
        self.assertIn("HTTP 404", json.dumps(told))

    # --- in parts

    def big(self, port, **more):
        """20 MiB that are no zeros; returns the server of Stoop and their hash."""
        self.pod(command="i=0; while [ $i -lt 20 ]; do head -c 1048576 /dev/urandom >>/tmp/big; i=$((i+1)); done; "
                         "sha256sum /tmp/big; sleep 1000")
        said = wait("the file is there", lambda: self.cluster.call(
            "GET", self.cluster.path("pods", self.ns, "web") + "/log").strip(), 60)
        return self.gcs(port, "kubernetes:download", {"file": "/tmp/big"}, **more), said.split()[0]

    def state(self, port, **change):
        return json.loads(fetch(port, "/state", "POST" if change else "GET", json.dumps(change) if change else None)[1])

    def test_chunks(self):
        port = self.serve(PYTHON, FIXTURES + "/cloud_storage.py")
        server, digest = self.big(port, prefix="big/", storage_class="NEARLINE")
        self.state(port, fail={"PUT": 2, "POST": 1}, cut=2)  # busy at first, and then connections break
        self.stored(server, pod_event(self.ns, "web"))
        state = self.state(port)
        (name, stored), = state["objects"].items()
        self.assertTrue(name.startswith("evidence/big/20"), name)
        self.assertEqual((stored["sha256"], stored["size"]), (digest, str(20 << 20)))
        self.assertEqual(stored["class"], "NEARLINE")
        self.assertEqual((state["unfinished"], state["cut"]), ({}, 0))

    def test_chunks_in_the_emulator(self):
        port = self.serve(EMULATOR, "start", "--in-memory", "--host=127.0.0.1", "--default-bucket=evidence", "--port")
        server, digest = self.big(port)
        self.stored(server, pod_event(self.ns, "web"))
        (item,) = json.loads(fetch(port, "/storage/v1/b/evidence/o")[1])["items"]
        self.assertEqual(hashlib.sha256(fetch(port, "/evidence/" + item["name"])[1]).hexdigest(), digest)

    def test_a_failed_upload_leaves_nothing(self):
        port = self.serve(PYTHON, FIXTURES + "/cloud_storage.py")
        server, _ = self.big(port, config={"limits": {"action_seconds": 5}})
        self.state(port, cut=1000)  # half of the rest each time, and no end
        self.post(server, pod_event(self.ns, "web"))
        wait("it is told", lambda: server.log(status="failure"), 60)
        state = self.state(port)
        self.assertEqual((state["objects"], state["unfinished"]), ({}, {}))
        self.assertGreater(state["began"], 0)

    def test_a_server_that_goes_away(self):
        port = self.serve(PYTHON, FIXTURES + "/cloud_storage.py")
        server, _ = self.big(port)
        self.state(port, fail={"PUT": -1})
        self.post(server, pod_event(self.ns, "web"))
        wait("it is told", lambda: server.log(status="failure"), 60)
        state = self.state(port)
        self.assertEqual((state["objects"], state["unfinished"]), ({}, {}))
        self.state(port, fail={})  # and the next one works
        self.stored(server, pod_event(self.ns, "web"))
        self.assertEqual(len(self.state(port)["objects"]), 1)


class Google(http.server.ThreadingHTTPServer):
    """Token endpoint, metadata server, the functions' API and the function itself."""

    def __init__(self, folder):
        super().__init__(("127.0.0.1", 0), GoogleHandler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.folder, self.calls, self.answers, self.generation = folder, [], [], 2
        subprocess.run(["openssl", "genrsa", "-out", folder + "/key.pem", "2048"], check=True, capture_output=True)
        subprocess.run(["openssl", "rsa", "-in", folder + "/key.pem", "-pubout", "-out", folder + "/public.pem"],
                       check=True, capture_output=True)
        with open(folder + "/key.pem", encoding="ascii") as f:
            key = {"type": "service_account", "project_id": "proj", "private_key_id": "k1", "private_key": f.read(),
                   "client_email": "stoop@proj.test", "token_uri": self.url + "/token"}
        with open(folder + "/key.json", "w", encoding="ascii") as f:
            json.dump(key, f)
        self.thread = threading.Thread(target=self.serve_forever, daemon=True)
        self.thread.start()

    def handle_error(self, request, client_address):
        pass  # a client that had enough of waiting

    def claims(self, jwt):
        """The claims of a token whose signature is good, else None."""
        head, body, signature = jwt.split(".")
        with open(self.folder + "/signature", "wb") as f:
            f.write(base64.urlsafe_b64decode(signature + "=="))
        done = subprocess.run(["openssl", "dgst", "-sha256", "-verify", self.folder + "/public.pem", "-signature",
                               self.folder + "/signature"], input=f"{head}.{body}".encode(), capture_output=True,
                              check=False)
        return json.loads(base64.urlsafe_b64decode(body + "==")) if done.returncode == 0 else None


class GoogleHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body):
        data = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        bearer = self.headers.get("Authorization")
        if self.path.startswith("/computeMetadata/v1/"):
            if self.headers.get("Metadata-Flavor") != "Google":
                return self.answer(403, "no flavour")
            known = {"instance/service-accounts/default/token": {"access_token": "access", "expires_in": 3599},
                     "project/project-id": "proj"}
            path = self.path.removeprefix("/computeMetadata/v1/")
            if path.startswith("instance/service-accounts/default/identity?"):
                return self.answer(200, "identity." + parse_qs(path.partition("?")[2])["audience"][0].rsplit("/")[-1] +
                                   ".x")
            return self.answer(200 if path in known else 404, known.get(path, {}))
        if bearer != "Bearer access":
            return self.answer(401, {"error": {"message": "who are you?"}})
        place = "/projects/proj/locations/eu-west1/functions/"
        if self.path == "/v2" + place + "respond" and self.server.generation == 2:
            return self.answer(200, {"serviceConfig": {"uri": self.server.url + "/fn"}, "environment": "GEN_2"})
        if self.path == "/v1" + place + "respond" and self.server.generation == 1:
            return self.answer(200, {"httpsTrigger": {"url": self.server.url + "/fn"}})
        return self.answer(404, {"error": {"message": f"no function {self.path.rsplit('/', 1)[1]}"}})

    def do_POST(self):
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        if self.path == "/fn":
            self.server.calls.append((self.headers.get("Authorization"), json.loads(data)))
            status, body = self.server.answers.pop(0) if self.server.answers else (200, "handled")
            if status == 0:
                time.sleep(5)
                status = 200
            return self.answer(status, body)
        form = parse_qs(data)
        claims = self.server.claims(form["assertion"][0])
        now = time.time()
        good = (claims and claims["iss"] == "stoop@proj.test" and claims["aud"] == self.server.url + "/token" and
                claims["iat"] <= now < claims["exp"] <= now + 3600 and
                form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"])
        if not good:
            return self.answer(400, {"error": "invalid_grant", "error_description": "bad signature or claims"})
        if "target_audience" in claims:
            return self.answer(200, {"id_token": "identity." + claims["target_audience"].rsplit("/")[-1] + ".x"})
        return self.answer(200, {"access_token": "access", "expires_in": 3599})


class Function(Case):
    def setUp(self):
        super().setUp()
        self.google = Google(self.folder)
        self.addCleanup(self.google.server_close)
        self.addCleanup(self.google.shutdown)

    def server(self, key=True, name="respond", **parameters):
        block = rule("gcp:function", {"gcp_function_name": name, "gcp_function_location": "eu-west1", **parameters})
        block["actions"][0]["additional_contexts"] = []
        host = self.google.url.removeprefix("http://")
        return self.stoop([block], config={"gcp": {"credentials_path": self.folder + "/key.json"}} if key else {},
                          env={"CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDFUNCTIONS": self.google.url + "/",
                               "GCE_METADATA_HOST": host, "HOME": self.folder, "no_proxy": "127.0.0.1"})

    def test_both_generations_with_a_key(self):
        for generation in (2, 1):
            self.google.generation = generation
            event = pod_event("shop", "web-1")
            self.assertResult(self.act(self.server(), event), "success", "the function 'respond' answered 200: handled")
            bearer, body = self.google.calls.pop()
            self.assertEqual(bearer, "Bearer identity.fn.x")
            self.assertIsInstance(body.pop("context"), dict)
            self.assertEqual(body, event)

    def test_the_metadata_server(self):
        self.assertResult(self.act(self.server(key=False), pod_event("shop", "web-1")), "success", "answered 200")
        self.assertEqual(self.google.calls[0][0], "Bearer identity.fn.x")

    def test_failures(self):
        self.google.answers = [(500, "the function broke"), (204, "")]
        server = self.server()
        self.assertResult(self.act(server, pod_event("shop", "web-1")), "failure", "answered 500: the function broke")
        self.assertResult(self.act(server, pod_event("shop", "web-2")), "success", "answered 204")
        self.assertEqual(len(self.google.calls), 2)  # none was repeated
        self.assertResult(self.act(self.server(name="other"), pod_event("shop", "web-1")), "failure",
                          "no function other")

    def test_a_slow_function(self):
        self.google.answers = [(0, "")]
        began = time.monotonic()
        self.assertResult(self.act(self.server(gcp_function_timeout=1), pod_event("shop", "web-1")), "failure")
        self.assertLess(time.monotonic() - began, 5)
        self.assertEqual(len(self.google.calls), 1)

    def test_a_key_that_is_not_known(self):
        subprocess.run(["openssl", "genrsa", "-out", self.folder + "/other.pem", "2048"], check=True,
                       capture_output=True)
        with open(self.folder + "/key.json", encoding="ascii") as f:
            key = json.load(f)
        with open(self.folder + "/other.pem", encoding="ascii") as f:
            key["private_key"] = f.read()
        with open(self.folder + "/key.json", "w", encoding="ascii") as f:
            json.dump(key, f)
        line = self.act(self.server(), pod_event("shop", "web-1"))
        self.assertResult(line, "failure", "invalid_grant: bad signature")
        self.assertNotIn("PRIVATE KEY", json.dumps(line))
