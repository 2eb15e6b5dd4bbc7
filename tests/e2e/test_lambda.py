"""aws:lambda against moto, behind a gate that checks every signature; the context `aws` against a metadata service."""
import http.server
import json
import threading

from aws_peers import REGION, AwsPeer
from harness import Case, pod_event, rule


class Metadata:
    """An instance's metadata service: version 2 only."""

    def __init__(self, pages):
        self.asked = []
        metadata = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self, status, text=""):
                body = text.encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_PUT(self):
                good = self.path == "/latest/api/token" and self.headers["X-aws-ec2-metadata-token-ttl-seconds"]
                self.answer(200 if good else 400, "token-1")

            def do_GET(self):
                metadata.asked.append(self.path)
                if self.headers["X-aws-ec2-metadata-token"] != "token-1":
                    return self.answer(401)
                return self.answer(200 if self.path in pages else 404, pages.get(self.path, ""))

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def end(self):
        self.server.shutdown()
        self.server.server_close()


class Lambda(Case):
    def setUp(self):
        super().setUp()
        self.peer = AwsPeer()
        self.addCleanup(self.peer.end)
        self.peer.make_function("responder")

    def server(self, parameters=None, env=None, **more):
        action = rule("aws:lambda", {"aws_lambda_name": "responder", **(parameters or {})})
        action["actions"][0].update(more)
        return self.stoop([action], env=self.peer.environment(**(env or {})))

    def test_the_three_types(self):
        for kind, status in (("RequestResponse", "200"), ("Event", "202"), ("DryRun", "204")):
            with self.subTest(kind):
                line = self.act(self.server({"aws_lambda_invocation_type": kind}), pod_event("ns-1", "web"))
                self.assertResult(line, "success", f"with status {status}")
        invoked = self.peer.came("POST", "/invocations")
        self.assertEqual([r.headers["x-amz-invocation-type"] for r in invoked], ["RequestResponse", "Event", "DryRun"])
        self.assertTrue(all(r.query == "Qualifier=%24LATEST" for r in invoked))
        self.assertEqual(self.peer.complaints, [])

    def test_the_function_gets_the_event_with_its_context(self):
        metadata = Metadata({"/latest/meta-data/iam/info": json.dumps({
            "Code": "Success", "InstanceProfileArn": "arn:aws:iam::1:instance-profile/p",
            "InstanceProfileId": "AIPA1"}),
            "/latest/meta-data/placement/region": "eu-central-1"})
        self.addCleanup(metadata.end)
        bodies = []
        self.peer.trouble = lambda r: bodies.append(json.loads(r.body)) if r.path.endswith("/invocations") else None
        server = self.server(env={"AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata.url, "AWS_EC2_METADATA_DISABLED": ""},
                             additional_contexts=["aws"])
        event = pod_event("ns-1", "web")
        self.assertResult(self.act(server, event), "success")
        self.assertEqual(len(bodies), 1)
        context = bodies[0].pop("context")
        self.assertEqual(context["aws.instance_profile_arn"], "arn:aws:iam::1:instance-profile/p")
        self.assertEqual(context["aws.instance_profile_id"], "AIPA1")
        self.assertEqual(context["aws.region"], "eu-central-1")
        self.assertEqual(bodies[0]["output_fields"], event["output_fields"])
        self.assertEqual(bodies[0]["rule"], event["rule"])

    def test_an_error_of_the_function_is_a_failure(self):
        self.peer.trouble = lambda r: (
            200, b'{"errorMessage":"no such pod","errorType":"ValueError"}',
            {"X-Amz-Function-Error": "Unhandled"}) if r.path.endswith("/invocations") else None
        line = self.act(self.server(), pod_event("ns-1", "web"))
        self.assertResult(line, "failure", "ValueError: no such pod")

    def test_throttling_is_ridden_out(self):
        tries = []

        def trouble(request):
            if request.path.endswith("/invocations"):
                tries.append(request)
                if len(tries) < 3:
                    return 429, b'{"Reason":"ConcurrentInvocationLimitExceeded","message":"Rate Exceeded."}'
            return None
        self.peer.trouble = trouble
        self.assertResult(self.act(self.server(), pod_event("ns-1", "web")), "success")
        self.assertEqual(len(tries), 3)

    def test_what_may_have_run_is_not_repeated(self):
        self.peer.trouble = lambda r: (500, b'{"message":"oops"}') if r.path.endswith("/invocations") else None
        self.assertResult(self.act(self.server(), pod_event("ns-1", "web")), "failure", "oops (500)")

    def test_a_function_or_version_that_is_not_there(self):
        line = self.act(self.server({"aws_lambda_name": "nobody"}), pod_event("ns-1", "web"))
        self.assertResult(line, "failure", "Function not found")
        self.assertEqual(self.peer.came("POST", "/invocations"), [])

    def test_it_checks_at_the_start_who_it_is(self):
        server = self.server()
        line = server.wait_init("aws:lambda")
        self.assertIn("aws:lambda acts as arn:aws:", line["result"])
        for _ in range(2):
            self.assertResult(self.act(server, pod_event("ns-1", "web")), "success")
        self.assertEqual(len([r for r in self.peer.came("POST") if r.path == "/"]), 1)
        bad = self.server(env={"AWS_SECRET_ACCESS_KEY": "wrong"})
        line = bad.wait_init("aws:lambda")
        self.assertIn("aws:lambda would fail: GetCallerIdentity: SignatureDoesNotMatch", line["error"])
        line = self.act(bad, pod_event("ns-1", "web"))
        self.assertResult(line, "failure", "GetCallerIdentity: SignatureDoesNotMatch")

    def test_a_web_identity(self):
        role = self.peer.make_role("pod")
        with open(self.folder + "/token", "w", encoding="ascii") as f:
            f.write("ey.J.x\n")
        server = self.stoop([rule("aws:lambda", {"aws_lambda_name": "responder"})], env={
            "AWS_ENDPOINT_URL": self.peer.url, "AWS_REGION": REGION, "AWS_ROLE_ARN": role,
            "AWS_WEB_IDENTITY_TOKEN_FILE": self.folder + "/token", "AWS_EC2_METADATA_DISABLED": "true"})
        self.assertResult(self.act(server, pod_event("ns-1", "web")), "success")
        self.assertIn("x-amz-security-token", self.peer.came("POST", "/invocations")[0].headers)
        self.assertEqual(self.peer.complaints, [])
