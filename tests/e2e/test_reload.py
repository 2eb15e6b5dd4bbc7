"""Rules that change while the server runs."""
import os

from harness import Case, pod_event, rule, wait


def labels(value):
    return [rule("kubernetes:label", {"labels": {"version": value}})]


class Reload(Case):
    def version(self):
        return self.cluster.get("pods", self.ns, "web")["metadata"].get("labels", {}).get("version")

    def expect(self, server, value):
        self.assertResult(self.act(server, pod_event(self.ns, "web")), "success")
        self.assertEqual(self.version(), value)

    def loaded(self, server):
        return server.metric("stoop_rules_reloads_total", status="success")

    def test_a_file_written_in_place(self):
        self.pod(wait_running=False)
        server = self.stoop(labels("one"))
        self.expect(server, "one")
        with open(server.rules_file) as f:
            text = f.read()
        with open(server.rules_file, "w") as f:
            f.write(text.replace('"one"', '"two"'))
        wait("the change is seen", lambda: self.loaded(server), 10)
        self.expect(server, "two")

    def test_a_file_replaced(self):
        self.pod(wait_running=False)
        server = self.stoop(labels("one"))
        server.write(server.rules_file, labels("two"))
        wait("the change is seen", lambda: self.loaded(server), 10)
        self.expect(server, "two")

    def test_the_symlink_swap_of_a_configmap(self):
        self.pod(wait_running=False)
        volume = os.path.join(self.folder, "volume")
        os.makedirs(volume + "/..2026_1")
        server = self.stoop(None, start=False, config={"rules_files": [volume + "/rules.yaml"]})
        server.write(volume + "/..2026_1/rules.yaml", labels("one"))
        os.symlink("..2026_1", volume + "/..data")
        os.symlink("..data/rules.yaml", volume + "/rules.yaml")
        server.start()
        self.expect(server, "one")
        for n, value in enumerate(["two", "three"], 2):  # twice: the watch must follow the link to its new place
            os.mkdir(f"{volume}/..2026_{n}")
            server.write(f"{volume}/..2026_{n}/rules.yaml", labels(value))
            os.symlink(f"..2026_{n}", volume + "/..data_tmp")
            os.rename(volume + "/..data_tmp", volume + "/..data")
            os.remove(f"{volume}/..2026_{n - 1}/rules.yaml")
            os.rmdir(f"{volume}/..2026_{n - 1}")
            wait("the swap is seen", lambda: self.loaded(server) == n - 1, 10)
            self.expect(server, value)

    def test_a_bad_file_leaves_the_rules_in_force_and_says_why(self):
        self.pod(wait_running=False)
        server = self.stoop(labels("one"))
        server.write(server.rules_file, "- rule: broken\n  match:\n    priority: Loud\n  actions: []\n")
        server.wait_log(3, message="rules", status="failure", seconds=10)
        self.assertIn("rules.yaml:3:", str(server.log(message="rules", status="failure")))
        self.expect(server, "one")
        server.write(server.rules_file, labels("two"))
        wait("the mended file is seen", lambda: self.loaded(server), 10)
        self.expect(server, "two")

    def test_a_file_that_vanishes_leaves_the_rules_in_force(self):
        self.pod(wait_running=False)
        server = self.stoop(labels("one"))
        os.remove(server.rules_file)
        wait("it is said", lambda: server.log(message="rules", status="failure"), 10)
        self.expect(server, "one")
        server.write(server.rules_file, labels("two"))
        wait("the new file is seen", lambda: self.loaded(server), 10)
        self.expect(server, "two")

    def test_watch_rules_false(self):
        self.pod(wait_running=False)
        server = self.stoop(labels("one"), config={"watch_rules": False})
        server.write(server.rules_file, labels("two"))
        self.expect(server, "one")
        self.assertEqual(self.loaded(server), 0)
