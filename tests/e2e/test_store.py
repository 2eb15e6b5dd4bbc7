"""The store: full, corrupt, from a newer version, in use; and what is written at all."""
import os
import shutil
import sqlite3
import subprocess

from harness import Case, pod_event, rule, wait

LABEL = [rule("kubernetes:label", {"labels": {"a": "b"}}, dry_run=True)]


class Store(Case):
    def refuses(self, server, *words):
        status, said = server.fails_to_start()
        self.assertEqual(status, 1, said)
        self.assertIn(server.store_file, said)
        for word in words:
            self.assertIn(word, said.lower())

    def database(self):
        """A store that a server made, with one event in it."""
        server = self.stoop(LABEL)
        self.act(server, pod_event("default", "web"))
        self.assertEqual(server.stop()[0], 0)
        return server

    def test_its_folder_and_files_are_nobody_elses(self):
        server = self.stoop(LABEL)
        self.assertEqual(os.stat(server.store_file).st_mode & 0o777, 0o600)
        self.assertEqual(os.stat(os.path.dirname(server.store_file)).st_mode & 0o777, 0o700)

    def test_garbage(self):
        server = self.stoop(LABEL, start=False)
        os.makedirs(os.path.dirname(server.store_file))
        with open(server.store_file, "wb") as f:
            f.write(b"this is no database at all, though it is long enough to be one " * 200)
        self.refuses(server)

    def test_a_database_damaged_inside(self):
        server = self.database()
        with open(server.store_file, "r+b") as f:
            f.seek(1024)
            f.write(os.urandom(os.path.getsize(server.store_file) - 1024))
        self.refuses(server)

    def test_a_newer_version(self):
        server = self.database()
        with sqlite3.connect(server.store_file) as db:
            db.execute("PRAGMA user_version = 9999")
        db.close()
        self.refuses(server, "newer")

    def test_in_use_by_another_process(self):
        first = self.stoop(LABEL)
        second = self.stoop(LABEL, start=False, config={"store": {"path": first.store_file}})
        second.store_file = first.store_file
        self.refuses(second)
        self.assertEqual(first.get("/healthz").status, 200)

    def test_a_folder_that_cannot_be_made(self):
        server = self.stoop(LABEL, start=False, config={"store": {"path": "/proc/none/store.db"}})
        server.store_file = "/proc/none"
        self.refuses(server)

    def test_an_unmatched_event_is_never_written(self):
        server = self.stoop(LABEL)
        for n in range(200):
            self.post(server, pod_event("default", "web", rule="Another rule", marker=f"unmatched-{n}"))
        self.act(server, pod_event("default", "web", marker="matched-one"))
        server.stop()
        written = b""
        folder = os.path.dirname(server.store_file)
        for name in os.listdir(folder):
            with open(os.path.join(folder, name), "rb") as f:
                written += f.read()
        self.assertIn(b"matched-one", written)
        self.assertNotIn(b"unmatched-", written)

    def test_a_matched_event_is_on_disk_before_its_200(self):
        gate = self.gate()
        gate.shut()
        server = self.stoop([rule("kubernetes:label", {"labels": {"a": "b"}})], kubeconfig=self.through(gate))
        self.post(server, pod_event("default", "web", marker="on-disk-before"))
        server.kill()
        folder, copy = os.path.dirname(server.store_file), self.folder + "/copy"
        shutil.copytree(folder, copy)
        with sqlite3.connect(copy + "/store.db") as db:
            self.assertIn("on-disk-before", "\n".join(map(str, db.iterdump())).replace("\\", "") + self.blobs(db))
        db.close()

    @staticmethod
    def blobs(db):
        text = ""
        for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for row in db.execute(f'SELECT * FROM "{table}"'):
                text += "".join(v.decode(errors="replace") for v in row if isinstance(v, bytes))
        return text


class FullDisk(Case):
    def setUp(self):
        super().setUp()
        self.disk = self.folder + "/disk"
        os.mkdir(self.disk)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "stoop-e2e", self.disk], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", self.disk], check=True)

    def fill(self):
        with open(self.disk + "/filler", "ab", buffering=0) as f:
            for size in (65536, 4096, 1):
                try:
                    while True:
                        f.write(b"x" * size)
                except OSError:
                    pass

    def test_full_then_room_again(self):
        server = self.stoop(LABEL, config={"store": {"path": self.disk + "/s/store.db"}})
        self.act(server, pod_event("default", "web"))
        self.fill()

        def refused():
            answer = server.post(pod_event("default", "web", filler="x" * 200_000))
            return answer if answer.status != 200 else None
        answer = wait("the full disk is noticed", refused, 15)
        self.assertEqual(answer.status, 503)
        self.assertTrue(answer.headers["Retry-After"])
        ready = wait("it is not ready", lambda: (a := server.get("/readyz")).status != 200 and a, 10)
        self.assertEqual(ready.status, 503)
        self.assertIn("store", ready.body)
        self.assertEqual(server.get("/healthz").status, 200)
        # Events that match nothing need no disk.
        self.post(server, pod_event("default", "web", rule="Another rule"))
        os.remove(self.disk + "/filler")
        wait("it takes events again", lambda: server.post(pod_event("default", "web")).status == 200, 30, 0.5)
        wait("it is ready again", lambda: server.get("/readyz").status == 200, 10)
        wait("all is done", lambda: server.metric("stoop_store_pending") == 0, 10)
        self.assertEqual(server.stop()[0], 0)

    def test_full_at_the_start(self):
        self.fill()
        server = self.stoop(LABEL, start=False, config={"store": {"path": self.disk + "/s/store.db"}})
        status, said = server.fails_to_start()
        self.assertEqual(status, 1)
        self.assertIn(self.disk, said)
