"""Artifacts into S3: aws:s3 and minio:s3 against moto, behind a gate that checks every signature and checksum."""
import hashlib
import os
import re

from aws_peers import KEY, REGION, SECRET, AwsPeer, Cut, S3Gateway
from harness import Case, pod_event, rule, wait

BUCKET = "artifacts"
BIG = 20 * 1024 * 1024
PART = 6 * 1024 * 1024


def error(code, more=""):
    return f"<Error><Code>{code}</Code><Message>Not today.</Message>{more}</Error>".encode()


class S3Case(Case):
    def setUp(self):
        super().setUp()
        self.peer = AwsPeer()
        self.addCleanup(self.peer.end)
        self.peer.make_bucket(BUCKET)

    def big_pod(self, size=BIG):
        """A pod with a file of so many bytes that look like noise; returns the bytes' SHA-256."""
        blocks = size // 65536
        self.pod(command=f"yes 'some text that goes on and on' | head -c {size} >/tmp/big; echo made; trap exit TERM; "
                         "while :; do sleep 0.2; done")
        wait("the file is there", lambda: "made" in self.cluster.call(
            "GET", self.cluster.path("pods", self.ns, "web") + "/log"), 60)
        line = b"some text that goes on and on\n"
        data = (line * (size // len(line) + 1))[:size]
        self.assertEqual(blocks * 65536, size)
        return hashlib.sha256(data).hexdigest()

    def server(self, parameters=None, target="aws:s3", env=None, actionner="kubernetes:download", action=None,
               config=None):
        output = {"target": target, "parameters": {"bucket": BUCKET, "prefix": "/captures/", **(parameters or {})}}
        wanted = {"file": "/tmp/big"} if action is None else action
        return self.stoop([rule(actionner, wanted, output=output)], config=config,
                          env=self.peer.environment() if env is None else env)

    def run_output(self, server):
        """The line of the output's result."""
        self.post(server, pod_event(self.ns, "web"))
        return server.wait_log(message="output", status=("success", "failure"), seconds=90)

    def the_object(self):
        objects = self.peer.objects(BUCKET)
        self.assertEqual(len(objects), 1, objects)
        return next(iter(objects.items()))

    def assertNothingLeft(self):
        self.assertEqual(self.peer.uploads(BUCKET), [])
        self.assertEqual(self.peer.objects(BUCKET), {})


class Aws(S3Case):
    def test_a_log_in_one_request(self):
        self.pod(command="for i in $(seq 1 500); do echo line $i; done; trap exit TERM; while :; do sleep 0.2; done")
        wait("the pod has said all", lambda: "line 500" in self.cluster.call(
            "GET", self.cluster.path("pods", self.ns, "web") + "/log"))
        server = self.server({"server_side_encryption": "AES256", "storage_class": "STANDARD_IA"},
                             actionner="kubernetes:log", action={"tail_lines": 500})
        line = self.run_output(server)
        self.assertResult(line, "success")
        key, size = self.the_object()
        self.assertRegex(key, rf"^captures/\d{{4}}-\d\d-\d\dT\d\d-\d\d-\d\dZ_{re.escape(self.ns)}_web_")
        data = self.peer.get(BUCKET, key)
        self.assertEqual(data, b"".join(b"line %d\n" % n for n in range(1, 501)))
        self.assertIn(f"s3://{BUCKET}/{key}", str(line))
        self.assertIn(hashlib.sha256(data).hexdigest(), str(line))
        put = self.peer.came("PUT")[-1]
        self.assertEqual(put.headers["x-amz-server-side-encryption"], "AES256")
        self.assertEqual(put.headers["x-amz-storage-class"], "STANDARD_IA")
        self.assertEqual(size, len(data))
        self.assertEqual(self.peer.complaints, [])

    def test_a_file_in_parts(self):
        wanted = self.big_pod()
        line = self.run_output(self.server())
        self.assertResult(line, "success")
        key, _ = self.the_object()
        self.assertEqual(hashlib.sha256(self.peer.get(BUCKET, key)).hexdigest(), wanted)
        self.assertIn(wanted, str(line))
        self.assertEqual([r.size for r in self.peer.came("PUT", "partNumber=")], [PART] * 3 + [BIG - 3 * PART])
        self.assertEqual(self.peer.uploads(BUCKET), [])
        self.assertEqual(self.peer.complaints, [])

    def test_trouble_is_ridden_out(self):
        wanted, tries = self.big_pod(), []

        def trouble(request):
            if request.method == "PUT" and "partNumber=" in request.query:
                tries.append(request)
                if len(tries) == 1:
                    return 503, error("SlowDown")
                if len(tries) == 3:
                    raise Cut()
                if len(tries) == 5:
                    return 500, error("InternalError")
            return None
        self.peer.trouble = trouble
        ended = []

        def late(request):  # the answer to the end of the upload is lost
            if request.method == "POST" and "uploadId=" in request.query and not ended:
                ended.append(request)
                raise Cut()
        self.peer.late = late
        self.assertResult(self.run_output(self.server()), "success")
        key, _ = self.the_object()
        self.assertEqual(hashlib.sha256(self.peer.get(BUCKET, key)).hexdigest(), wanted)
        self.assertEqual(len(tries), 7)
        self.assertEqual(len(ended), 1)

    def test_a_begin_whose_answer_is_lost_leaves_no_upload(self):
        wanted, begun = self.big_pod(), []

        def late(request):
            if request.method == "POST" and request.query.startswith("uploads") and not begun:
                begun.append(request)
                raise Cut()
        self.peer.late = late
        self.assertResult(self.run_output(self.server()), "success")
        key, _ = self.the_object()
        self.assertEqual(hashlib.sha256(self.peer.get(BUCKET, key)).hexdigest(), wanted)
        self.assertEqual(len(begun), 1)
        self.assertEqual(self.peer.uploads(BUCKET), [])
        self.assertEqual(self.peer.complaints, [])

    def test_an_object_that_is_never_confirmed_does_not_stay(self):
        self.big_pod(65536)

        def late(request):
            if request.method == "PUT":
                raise Cut()
        self.peer.late = late
        self.assertResult(self.run_output(self.server()), "failure")
        self.assertEqual(len(self.peer.came("DELETE")), 1)
        self.assertNothingLeft()

    def test_a_refused_part_leaves_nothing(self):
        self.big_pod()
        self.peer.trouble = lambda r: (403, error("AccessDenied")) if "partNumber=2" in r.query else None
        line = self.run_output(self.server())
        self.assertResult(line, "failure", "AccessDenied: Not today. (403)")
        self.assertIn("part 2", str(line))
        self.assertNothingLeft()

    def test_a_part_that_arrived_damaged_is_sent_again(self):
        wanted, lies = self.big_pod(), [(200, b"", {"x-amz-checksum-sha256": "x" * 43 + "="}),
                                        (200, b"", {"ETag": '"' + "0" * 32 + '"'})]
        self.peer.trouble = lambda r: lies.pop() if "partNumber=2" in r.query and lies else None
        self.assertResult(self.run_output(self.server()), "success")
        key, _ = self.the_object()
        self.assertEqual(hashlib.sha256(self.peer.get(BUCKET, key)).hexdigest(), wanted)
        self.assertEqual(len(self.peer.came("PUT", "partNumber=2")), 3)

    def test_a_part_that_never_arrives_whole_is_a_failure(self):
        self.big_pod()
        self.peer.trouble = lambda r: (200, b"", {"ETag": '"' + "0" * 32 + '"'}) if "partNumber=2" in r.query else None
        line = self.run_output(self.server())
        self.assertResult(line, "failure", "part 2: what the server says that it has is not what was sent")
        self.assertNothingLeft()

    def test_an_end_that_fails_in_spite_of_its_200(self):
        self.big_pod()
        self.peer.trouble = lambda r: (200, error("EntityTooSmall")) if (
            r.method == "POST" and "uploadId=" in r.query) else None
        self.assertResult(self.run_output(self.server()), "failure", "EntityTooSmall")
        self.assertNothingLeft()

    def test_a_wrong_secret_is_a_clear_failure(self):
        self.big_pod(65536)
        server = self.server(env=self.peer.environment(AWS_SECRET_ACCESS_KEY="not-the-secret"))
        self.assertResult(self.run_output(server), "failure", "SignatureDoesNotMatch")
        self.assertNothingLeft()

    def test_a_bucket_that_is_not_there(self):
        self.big_pod(65536)
        self.assertResult(self.run_output(self.server({"bucket": "no-such-bucket"})), "failure", "NoSuchBucket")

    def test_a_bucket_in_another_region_is_named(self):
        self.big_pod(65536)
        self.peer.trouble = lambda r: (400, error("AuthorizationHeaderMalformed", "<Region>us-west-2</Region>")) if (
            r.method == "PUT") else None
        self.assertResult(self.run_output(self.server()), "failure", "in the region us-west-2, not " + REGION)

    def test_a_role_is_assumed(self):
        wanted = self.big_pod(65536)
        role = self.peer.make_role("uploader")
        server = self.server(config={"aws": {"role_arn": role, "external_id": "x-1"}})
        self.assertResult(self.run_output(server), "success")
        key, _ = self.the_object()
        self.assertEqual(hashlib.sha256(self.peer.get(BUCKET, key)).hexdigest(), wanted)
        put = self.peer.came("PUT")[-1]
        self.assertIn("x-amz-security-token", put.headers)
        self.assertNotIn(KEY, put.headers["authorization"])

    def test_no_credentials_are_a_clear_failure(self):
        self.big_pod(65536)
        server = self.server(env={"AWS_ENDPOINT_URL": self.peer.url, "AWS_REGION": REGION,
                                  "AWS_EC2_METADATA_DISABLED": "true", "HOME": self.folder})
        self.assertResult(self.run_output(server), "failure", "no AWS credentials")

    def test_memory_stays_bounded(self):
        self.big_pod(96 * 1024 * 1024)
        server = self.server()
        self.assertResult(self.run_output(server), "success")
        with open(f"/proc/{server.process.pid}/status", encoding="ascii") as f:
            peak = int(re.search(r"VmHWM:\s+(\d+)", f.read()).group(1))
        # Sanitizers have a memory of their own.
        if "ASAN_OPTIONS" not in os.environ and "TSAN_OPTIONS" not in os.environ:
            self.assertLess(peak, 32 * 1024)


class Minio(Case):
    """Against a server of its own, which checks signatures itself."""

    big_pod, server, run_output = S3Case.big_pod, S3Case.server, S3Case.run_output

    def gateway(self, tls=False):
        gateway = S3Gateway(self.folder, tls)
        self.addCleanup(gateway.end)
        gateway.make_bucket(BUCKET)
        return gateway

    def settings(self, gateway, **more):
        return {"minio": {"endpoint": f"localhost:{gateway.port}", "access_key": KEY, "secret_key": SECRET,
                          "use_ssl": gateway.tls, **more}}

    def assertArrives(self, gateway, env, wanted):
        line = self.run_output(self.server(target="minio:s3", env=env, config=self.settings(gateway)))
        self.assertResult(line, "success")
        objects = gateway.objects(BUCKET)
        self.assertEqual(len(objects), 1, objects)
        with open(objects[0], "rb") as f:
            self.assertEqual(hashlib.sha256(f.read()).hexdigest(), wanted)
        self.assertEqual(gateway.uploads(BUCKET), [])

    def test_in_one_request_and_in_parts(self):
        for size in (65536, BIG):
            with self.subTest(size):
                self.assertArrives(self.gateway(), {}, self.big_pod(size))
                self.cluster.delete("pods", self.ns, "web", gracePeriodSeconds=0)
                self.wait_gone("web")
                wait("the pod is no more", lambda: not self.cluster.get("pods", self.ns, "web"))

    def test_over_tls_with_a_ca_of_its_own(self):
        gateway = self.gateway(tls=True)
        wanted = self.big_pod()
        line = self.run_output(self.server(target="minio:s3", env={}, config=self.settings(gateway)))
        self.assertResult(line, "failure", "certificate")
        self.assertEqual(gateway.objects(BUCKET), [])
        self.assertArrives(gateway, {"AWS_CA_BUNDLE": gateway.ca}, wanted)

    def test_a_wrong_secret_is_a_clear_failure(self):
        gateway = self.gateway()
        self.big_pod(65536)
        server = self.server(target="minio:s3", env={}, config=self.settings(gateway, secret_key="not-the-secret"))
        self.assertResult(self.run_output(server), "failure", "SignatureDoesNotMatch")

    def test_a_server_that_is_not_there(self):
        gateway = self.gateway()
        self.big_pod(65536)
        gateway.end()
        config = {**self.settings(gateway), "limits": {"action_seconds": 5}}
        server = self.server(target="minio:s3", env={}, config=config)
        self.assertResult(self.run_output(server), "failure", "connect")

    def test_without_a_server_it_says_what_is_missing(self):
        self.big_pod(65536)
        self.assertResult(self.run_output(self.server(target="minio:s3", env={})), "failure", "minio.endpoint")
