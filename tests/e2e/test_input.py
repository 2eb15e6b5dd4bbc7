"""Bodies and senders that are wrong, slow, many or hostile: a clear answer, and the server goes on."""
import json
import resource
import socket
import time

from harness import Case, pod_event, rule, wait

POST = b"POST / HTTP/1.1\r\nHost: stoop\r\nContent-Type: application/json\r\n"


class Input(Case):
    def setUp(self):
        super().setUp()
        self.server = self.stoop([rule("kubernetes:label", {"labels": {"a": "b"}}, dry_run=True)])

    def tearDown(self):
        # Whatever came: an event is still taken and acted on.
        before = len(self.server.log(message="action", status="dry_run"))
        self.post(self.server, pod_event("default", "web", **{"proc.cmdline": f"after {time.monotonic_ns()}"}))
        self.server.ended(before + 1)
        self.assertIsNone(self.server.process.poll())

    def refused(self, body, *words, status=400):
        answer = self.server.request("POST", "/", body, {"Content-Type": "application/json"})
        self.assertEqual(answer.status, status, f"{body[:80]!r}: {answer.body}")
        for word in words:
            self.assertIn(word, answer.body.lower(), f"{body[:80]!r}")
        return answer

    def status_of(self, data, **more):
        got = self.server.raw(data, **more)
        return int(got.split(b" ", 2)[1]) if got.startswith(b"HTTP/") else None

    # --- bodies

    def test_what_is_no_json_object(self):
        for body in (b"", b" ", b"not json", b"[]", b"[{}]", b"1", b'"text"', b"null", b"true", b"{", b'{"rule":',
                     b'{"rule": "a"} {"rule": "b"}', b"{'rule': 'a'}", b'{"rule": "a",}', b"\x00",
                     b'{"a": 1}\x00{"b": 2}', b"\xef\xbb\xbf", b"<xml/>", b"rule=a&output=b", b"NaN", b'{"a": NaN}',
                     b'{"a": 0x10}', b'{"a": +1}'):
            with self.subTest(body=body):
                self.assertTrue(self.refused(body).body.strip(), "the answer says nothing")

    def test_the_answer_says_where(self):
        self.refused(b'{"rule": "a", "priority": oops}', "26")

    def test_wrong_types_of_keys(self):
        good = pod_event("default", "web")
        for key in ("output", "priority", "rule", "time", "source", "hostname"):
            for value in (1, [], {}, True):
                with self.subTest(key=key, value=value):
                    self.refused(json.dumps({**good, key: value}).encode(), key)
        for key, value in (("tags", "text"), ("tags", {}), ("tags", [1]), ("output_fields", []),
                           ("output_fields", "x")):
            with self.subTest(key=key, value=value):
                self.refused(json.dumps({**good, key: value}).encode(), key)

    def test_keys_that_are_missing_or_null(self):
        for event in ({}, {"rule": "a"}, {"output": "a"}, {"output_fields": {}}, {"tags": []},
                      {"rule": None, "output": None, "priority": None, "time": None, "source": None, "hostname": None,
                       "tags": None, "output_fields": None}):
            with self.subTest(event=event):
                self.post(self.server, event)

    def test_values_of_every_type(self):
        self.post(self.server, pod_event("default", "web", **{
            "evt.time": 18446744073709551615, "a": -9223372036854775808, "b": 1.5e300, "c": None, "d": True,
            "e": [1, "two", None], "proc.aname[2]": "x", "": "empty key", "nested": {"a": {"b": 1}}}))
        self.server.ended()

    def test_numbers_beyond_64_bits(self):
        body = json.dumps(pod_event("default", "web"))
        for number in ("99999999999999999999999", "-99999999999999999999999", "1e999", "-1e999", "0." + "1" * 5000):
            with self.subTest(number=number[:30]):
                answer = self.server.post(body.replace('"evt.type"', f'"big": {number}, "evt.type"'))
                self.assertIn(answer.status, (200, 400), answer.body)

    def test_deep_nesting(self):
        for depth in (1000, 100_000):
            for opening, closing in (("[", "]"), ('{"a":', "}")):
                with self.subTest(depth=depth, opening=opening):
                    value = opening * depth + "1" + closing * depth
                    answer = self.server.post('{"rule": "a", "output_fields": {"a": %s}}' % value)
                    self.assertIn(answer.status, (200, 400), answer.body)

    def test_duplicate_keys(self):
        answer = self.server.post('{"rule": "a", "rule": "Terminal shell in container", "output": "a", "output": "b"}')
        self.assertIn(answer.status, (200, 400), answer.body)

    def test_invalid_utf8(self):
        for text in (b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xe2\x82"):
            with self.subTest(text=text):
                self.refused(b'{"rule": "' + text + b'"}')

    def test_nul_in_a_string(self):
        answer = self.server.post('{"rule": "Terminal shell in container\\u0000x", '
                                  '"output_fields": {"a\\u0000b": "c"}}')
        self.assertIn(answer.status, (200, 400), answer.body)
        self.assertEqual(self.server.log(message="match"), [])

    def test_one_mebibyte_and_one_byte(self):
        event = pod_event("default", "web", filler="")
        room = 1024 * 1024 - len(json.dumps(event))
        event["output_fields"]["filler"] = "x" * room
        body = json.dumps(event).encode()
        self.assertEqual(len(body), 1024 * 1024)
        self.assertEqual(self.server.request("POST", "/", body).status, 200)
        self.server.ended()
        self.assertEqual(self.server.request("POST", "/", body + b" ").status, 413)

    def test_a_hundred_mebibytes_are_not_kept(self):
        with socket.create_connection(("127.0.0.1", self.server.port), 10) as s:
            s.sendall(POST + b"Content-Length: 104857600\r\n\r\n")
            try:
                for _ in range(1600):
                    s.sendall(b" " * 65536)
            except OSError:
                pass
            try:
                got = s.recv(65536)
            except OSError:
                got = b""
        self.assertTrue(got == b"" or b" 413 " in got, got[:200])
        with open(f"/proc/{self.server.process.pid}/status") as f:
            peak = next(int(line.split()[1]) for line in f if line.startswith("VmHWM"))
        self.assertLess(peak, 100 * 1024)

    def test_an_event_cannot_forge_a_log_line(self):
        forged = 'x"}\n{"message":"action","status":"success","rule":"forged"}\n\x1b[31m\u2028'
        event = pod_event("default", "web", **{"proc.cmdline": forged})
        event["output"] = forged
        self.post(self.server, event)
        self.server.ended()
        self.assertEqual(self.server.log(rule="forged"), [])
        self.assertNotIn("\x1b", self.server.log_text())

    # --- methods and paths

    def test_methods_and_paths(self):
        for method in ("GET", "PUT", "DELETE", "PATCH"):
            answer = self.server.request(method, "/")
            self.assertEqual(answer.status, 405, method)
            self.assertIn("POST", answer.headers["Allow"])
        self.assertEqual(self.server.request("POST", "/healthz").status, 405)
        self.assertEqual(self.server.request("GET", "/none/such").status, 404)

    def test_what_is_no_http(self):
        for data in (b"\r\n\r\n", b"hello\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 500,
                     b"POST / HTTP/9.9\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 100_000,
                     b"GET /" + b"a" * 100_000):
            with self.subTest(data=data[:20]):
                status = self.status_of(data, seconds=3, half_close=True)
                self.assertTrue(status is None or status >= 400, status)

    # --- how it is sent

    def test_pipelining(self):
        body = json.dumps({"rule": "a"}).encode()
        one = POST + b"Content-Length: %d\r\n\r\n" % len(body) + body
        last = one.replace(b"Host:", b"Connection: close\r\nHost:")
        got = self.server.raw(one * 9 + last)
        self.assertEqual(got.count(b"HTTP/1.1 200"), 10, got[:500])

    def test_a_chunked_body(self):
        body = json.dumps(pod_event("default", "web")).encode()
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(body[i:i + 100]), body[i:i + 100]) for i in range(0, len(body), 100))
        data = POST + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
        self.assertEqual(self.status_of(data), 200)
        self.server.ended()

    def test_a_chunked_body_over_the_limit(self):
        chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
        data = POST + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 20 + b"0\r\n\r\n"
        self.assertIn(self.status_of(data, seconds=5), (413, None))

    def test_content_length_and_transfer_encoding_together(self):
        data = POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nPOST / HTTP/1.1\r\n\r\n"
        got = self.server.raw(data, seconds=3)
        self.assertTrue(got.startswith(b"HTTP/1.1 400"), got[:200])
        self.assertEqual(got.count(b"HTTP/1.1 "), 1, "what was smuggled behind was answered")

    def test_expect_100_continue(self):
        body = json.dumps({"rule": "a"}).encode()
        head = POST + b"Connection: close\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body)
        got = self.server.raw(head + body)
        self.assertIn(b" 200 ", got)

    def test_half_a_request(self):
        for data in (POST, POST + b"Content-Length: 100\r\n\r\n{", POST + b"Content-Le"):
            with self.subTest(data=data[-20:]):
                status = self.status_of(data, seconds=3, half_close=True)
                self.assertTrue(status is None or status >= 400, status)

    def test_slow_senders_hold_nobody_up(self):
        slow = [socket.create_connection(("127.0.0.1", self.server.port), 5) for _ in range(100)]
        try:
            for n, s in enumerate(slow):
                s.sendall(POST[:10 + n % 50])
            for n in range(20):
                began = time.monotonic()
                self.post(self.server, pod_event("default", "web", rule="Another rule"))
                self.assertLess(time.monotonic() - began, 1)
                for s in slow:
                    s.sendall(b"X")
        finally:
            for s in slow:
                s.close()

    def test_ten_thousand_idle_connections(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft < 15_000:
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 15_000), hard))
        server = self.stoop([rule("kubernetes:label", {"labels": {"a": "b"}}, dry_run=True)])
        idle = []
        try:
            for _ in range(10_000):
                s = socket.socket()
                s.setblocking(False)
                s.connect_ex(("127.0.0.1", server.port))
                idle.append(s)
                if len(idle) % 500 == 0:
                    wait("the door answers", lambda: server.get("/healthz").status == 200, 10)
            began = time.monotonic()
            self.post(server, pod_event("default", "web"))
            self.assertLess(time.monotonic() - began, 2)
            server.ended()
        finally:
            for s in idle:
                s.close()
        self.assertEqual(server.get("/healthz").status, 200)

    def test_a_sender_that_leaves_before_the_answer(self):
        body = json.dumps(pod_event("default", "web")).encode()
        for _ in range(50):
            with socket.create_connection(("127.0.0.1", self.server.port), 5) as s:
                s.sendall(POST + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self.server.ended()
