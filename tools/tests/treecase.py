"""A small tree of files for the checks to judge, and the programs that judge it."""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

TOOLS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class TreeCase(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.top = tempfile.mkdtemp(prefix="stoop-tools-")
        self.addCleanup(shutil.rmtree, self.top)

    def write(self, path, text):
        full = os.path.join(self.top, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w") as f:
            f.write(text)

    def git(self, *args):
        subprocess.run(["git", "-C", self.top, "-c", "user.name=t", "-c", "user.email=t@t.test", *args], check=True,
                       capture_output=True)

    def commit(self, subject):
        if not os.path.exists(os.path.join(self.top, ".git")):
            self.git("init", "-q")
        self.git("commit", "-q", "--allow-empty", "-m", subject)

    def run_tool(self, tool, *args):
        done = subprocess.run([sys.executable, os.path.join(TOOLS, tool), *args], capture_output=True, text=True)
        self.assertIn("1..", done.stdout, done.stderr)
        return done.returncode, done.stdout
