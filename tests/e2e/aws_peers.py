"""AWS for the tests: moto, and in front of it a gate that does what moto does not. The gate checks each signature (with
an implementation of its own, of what AWS documents), each checksum and each body's hash, remembers what came, and
makes trouble where a test wants it. A second server that speaks S3 and checks signatures itself, versitygw, keeps
objects as files.
"""
import atexit
import base64
import hashlib
import hmac
import http.client
import http.server
import io
import json
import os
import re
import ssl
import subprocess
import threading
import time
import urllib.parse
import zipfile

import harness
from harness import free_port, wait

MOTO = harness.TOOLS + "/venv/bin/moto_server"
GATEWAY = harness.TOOLS + "/versitygw"
REGION = "eu-west-1"
ACCOUNT = "123456789012"
KEY, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def mac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def quote(text):
    return urllib.parse.quote(text, safe="-._~")


def signature(secret, method, path, query, headers, signed, body_hash, scope, date):
    """headers: lower-case names; path as it came."""
    service = scope.split("/")[2]
    if service != "s3":
        path = "/".join(quote(part) for part in path.split("/"))
    pairs = urllib.parse.parse_qsl(query.replace("+", "%2B"), keep_blank_values=True)
    canonical_query = "&".join(f"{n}={v}" for n, v in sorted((quote(n), quote(v)) for n, v in pairs))
    lines = "".join(f"{name}:{' '.join(headers.get(name, '').split())}\n" for name in signed)
    request = "\n".join([method, path, canonical_query, lines, ";".join(signed), body_hash])
    to_sign = "\n".join(["AWS4-HMAC-SHA256", date, scope, sha256(request.encode())])
    key = ("AWS4" + secret).encode()
    for part in scope.split("/"):
        key = mac(key, part)
    return hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()


class Request:
    def __init__(self, method, target, headers, body):
        self.method, self.body = method, body
        self.path, _, self.query = target.partition("?")
        self.headers = {name.lower(): value for name, value in headers.items()}
        self.size = len(body)

    def __repr__(self):
        return f"{self.method} {self.path}?{self.query} ({self.size} bytes)"


class Cut(Exception):
    """The connection ends without an answer."""


class Moto:
    """One moto. Starting one takes seconds, so one that a test has done with is emptied and serves the next."""
    idle, lock = [], threading.Lock()

    @classmethod
    def take(cls):
        with cls.lock:
            if cls.idle:
                return cls.idle.pop()
        return cls()

    def __init__(self):
        self.port = free_port()
        self.process = subprocess.Popen([MOTO, "-H", "127.0.0.1", "-p", str(self.port)], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
                                        env={**os.environ, "AWS_EC2_METADATA_DISABLED": "true"})
        atexit.register(self.end)
        wait("moto answers", self.answers, 60)
        # Functions answer without a container engine.
        self.ask("POST", "/moto-api/config", json.dumps({"lambda": {"use_docker": False}}),
                 {"Content-Type": "application/json"})

    def answers(self):
        if self.process.poll() is not None:
            raise AssertionError("moto ended")
        try:
            return self.ask("GET", "/moto-api/")[0] < 500
        except OSError:
            return False

    def ask(self, method, path, body=None, headers=None):
        conn = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            conn.request(method, path, body, headers or {})
            answer = conn.getresponse()
            return answer.status, dict(answer.headers), answer.read()
        finally:
            conn.close()

    def give_back(self):
        try:
            emptied = self.ask("POST", "/moto-api/reset")[0] == 200
        except OSError:
            emptied = False
        if not emptied:
            return self.end()
        with self.lock:
            self.idle.append(self)

    def end(self):
        self.process.kill()
        self.process.wait()


class AwsPeer:
    """moto behind the gate. `trouble(request)` may return (status, body[, headers]) instead of what moto would answer,
    None to go on, or raise Cut; `late` is the same after moto has done it."""

    def __init__(self, keys=None):
        self.secrets = dict(keys or {KEY: SECRET})
        self.requests, self.complaints, self.lock = [], [], threading.Lock()
        self.trouble = self.late = lambda request: None
        self.moto = Moto.take()
        peer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                peer.serve(self)

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def end(self):
        self.server.shutdown()
        self.server.server_close()
        self.moto.give_back()

    # --- the gate

    def serve(self, handler):
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        request = Request(handler.command, handler.path, handler.headers, body)
        with self.lock:
            self.requests.append(request)
        try:
            wrong = self.what_is_wrong(request)
            if wrong:
                self.complaints.append(f"{request}: {wrong}")
                answer = 403, {}, self.error(request, "SignatureDoesNotMatch", wrong)
            else:
                made = self.trouble(request)
                answer = ((made[0], made[2] if len(made) > 2 else {}, made[1]) if made else
                          self.moto.ask(request.method, handler.path, body, request.headers))
                made = None if made else self.late(request)
                if made:
                    answer = made[0], {}, made[1]
            self.learn(answer[2])
            self.answer(handler, *answer)
        except (Cut, OSError):
            handler.close_connection = True
        request.body = b""

    @staticmethod
    def error(request, code, text):
        if request.path.startswith("/2015-03-31/"):
            return json.dumps({"Code": code, "Message": text}).encode()
        return f"<Error><Code>{code}</Code><Message>{text}</Message></Error>".encode()

    @staticmethod
    def answer(handler, status, headers, body):
        handler.send_response(status)
        for name, value in headers.items():
            if name.lower() not in ("content-length", "connection", "transfer-encoding", "server", "date"):
                handler.send_header(name, value)
        # The answer to HEAD tells the length of what it does not send.
        length = headers.get("Content-Length") if handler.command == "HEAD" else None
        handler.send_header("Content-Length", length or str(len(body)))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(body)

    def learn(self, body):
        """Keys that STS gave out are valid from now on."""
        found = re.search(rb"<AccessKeyId>(.*?)</AccessKeyId>.*?<SecretAccessKey>(.*?)</SecretAccessKey>", body, re.S)
        if found:
            self.secrets[found.group(1).decode()] = found.group(2).decode()

    def what_is_wrong(self, request):
        headers, body = request.headers, request.body
        given = headers.get("authorization", "")
        if not given:
            return None if b"AssumeRoleWithWebIdentity" in body else "there is no signature"
        found = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=([^/]+)/([^,]+), SignedHeaders=([^,]+), Signature=(\w+)",
                             given)
        if not found:
            return f"no Authorization: {given}"
        key, scope, signed, theirs = found.group(1), found.group(2), found.group(3).split(";"), found.group(4)
        body_hash = headers.get("x-amz-content-sha256", sha256(body))
        needed = {"host", "x-amz-date"} | {n for n in headers if n.startswith("x-amz-")}
        if not needed <= set(signed):
            return f"not signed: {needed - set(signed)}"
        if body_hash != sha256(body):
            return "the body is not what was signed"
        if key not in self.secrets:
            return f"nobody knows {key}"
        ours = signature(self.secrets[key], request.method, request.path, request.query, headers, signed, body_hash,
                         scope, headers["x-amz-date"])
        if ours != theirs:
            return "the signature is another"
        if "content-md5" in headers and base64.b64decode(headers["content-md5"]) != hashlib.md5(body).digest():
            return "Content-MD5 is another"
        checksum = headers.get("x-amz-checksum-sha256")
        if checksum and base64.b64decode(checksum) != hashlib.sha256(body).digest():
            return "the checksum is another"
        return None

    # --- moto itself

    def moto_call(self, service, method, path, body=None, **headers):
        scope = f"{KEY}/{time.strftime('%Y%m%d')}/{REGION}/{service}/aws4_request"
        status, _, text = self.moto.ask(method, path, body, {
            "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0", **headers})
        if status >= 300:
            raise AssertionError(f"moto: {method} {path}: {status} {text[:300]}")
        return text

    def make_bucket(self, name):
        self.moto_call("s3", "PUT", f"/{name}", f"<CreateBucketConfiguration><LocationConstraint>{REGION}"
                                                "</LocationConstraint></CreateBucketConfiguration>")

    def objects(self, bucket):
        """{key: size}"""
        text = self.moto_call("s3", "GET", f"/{bucket}?list-type=2").decode()
        return {urllib.parse.unquote(k): int(n) for k, n in re.findall(
            r"<Key>(.*?)</Key>.*?<Size>(\d+)</Size>", text, re.S)}

    def get(self, bucket, key):
        return self.moto_call("s3", "GET", f"/{bucket}/{urllib.parse.quote(key)}")

    def uploads(self, bucket):
        """The uploads in parts that are neither ended nor taken back."""
        return re.findall(r"<UploadId>(.*?)</UploadId>", self.moto_call("s3", "GET", f"/{bucket}?uploads").decode())

    def make_role(self, name):
        self.moto_call("iam", "POST", "/", urllib.parse.urlencode({
            "Action": "CreateRole", "Version": "2010-05-08", "RoleName": name, "AssumeRolePolicyDocument": "{}"}),
            **{"Content-Type": "application/x-www-form-urlencoded"})
        return f"arn:aws:iam::{ACCOUNT}:role/{name}"

    def make_function(self, name):
        code = io.BytesIO()
        with zipfile.ZipFile(code, "w") as z:
            z.writestr("main.py", "def handle(event, context):\n    return event\n")
        self.moto_call("lambda", "POST", "/2015-03-31/functions", json.dumps({
            "FunctionName": name, "Runtime": "python3.12", "Role": self.make_role("of-" + name),
            "Handler": "main.handle", "Code": {"ZipFile": base64.b64encode(code.getvalue()).decode()}}))

    def environment(self, **more):
        return {"AWS_ENDPOINT_URL": self.url, "AWS_REGION": REGION, "AWS_ACCESS_KEY_ID": KEY,
                "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_EC2_METADATA_DISABLED": "true", **more}

    def came(self, method, part=""):
        """The requests of a method whose path and query have the part."""
        with self.lock:
            return [r for r in self.requests if r.method == method and part in f"{r.path}?{r.query}"]


class S3Gateway:
    """versitygw: objects are files in a folder. With `tls`, its certificate is of a CA of its own, in `ca`."""

    def __init__(self, folder, tls=False):
        self.port, self.tls, self.ca = free_port(), tls, f"{folder}/gateway-ca-{free_port()}.pem"
        self.data = f"{folder}/gateway-{self.port}"
        os.mkdir(self.data)
        more = self.certificate(folder) if tls else []
        self.log = open(f"{folder}/gateway-{self.port}.log", "wb")
        self.process = subprocess.Popen(
            [GATEWAY, "--access", KEY, "--secret", SECRET, "--region", "us-east-1", "--port", f"127.0.0.1:{self.port}",
             *more, "posix", self.data], stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL)
        wait("the S3 gateway answers", self.answers, 30)

    def certificate(self, folder):
        key = f"{folder}/gateway-key.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                        "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                        "-keyout", key, "-out", self.ca], check=True, capture_output=True)
        return ["--cert", self.ca, "--key", key]

    def answers(self):
        if self.process.poll() is not None:
            raise AssertionError("the S3 gateway ended")
        try:
            return self.ask("GET", "/") < 500
        except OSError:
            return False

    def ask(self, method, path):
        if self.tls:
            conn = http.client.HTTPSConnection("localhost", self.port, timeout=10,
                                               context=ssl.create_default_context(cafile=self.ca))
        else:
            conn = http.client.HTTPConnection("localhost", self.port, timeout=10)
        date, body_hash = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()), sha256(b"")
        scope = f"{date[:8]}/us-east-1/s3/aws4_request"
        headers = {"host": f"localhost:{self.port}", "x-amz-content-sha256": body_hash, "x-amz-date": date}
        signed = sorted(headers)
        made = signature(SECRET, method, path, "", headers, signed, body_hash, scope, date)
        try:
            conn.request(method, path, None, {**headers, "Authorization": (
                f"AWS4-HMAC-SHA256 Credential={KEY}/{scope}, SignedHeaders={';'.join(signed)}, Signature={made}")})
            answer = conn.getresponse()
            answer.read()
            return answer.status
        finally:
            conn.close()

    def make_bucket(self, name):
        if self.ask("PUT", f"/{name}") != 200:
            raise AssertionError(f"the S3 gateway makes no bucket {name}")

    def files(self, bucket):
        for folder, _, names in os.walk(os.path.join(self.data, bucket)):
            yield from (os.path.join(folder, name) for name in names)

    def objects(self, bucket):
        return [f for f in self.files(bucket) if "/.sgwtmp/" not in f]

    def uploads(self, bucket):
        """Files of parts that are left."""
        return [f for f in self.files(bucket) if "/.sgwtmp/" in f]

    def end(self):
        self.process.terminate()
        self.process.wait(10)
        self.log.close()
