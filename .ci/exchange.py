"""An exchange to try clients and proxies on: a centre, a vendor that writes and a
bureau that reads. Its server runs in a folder that is gone in the end."""

import os
import pathlib
import subprocess
import tempfile

COMITY = os.environ["COMITY"]
PROJECT = pathlib.Path(__file__).resolve().parent.parent
CHARTER = PROJECT / "testdata" / "agreements" / "charter-test.toml"


class Exchange:
    def __init__(self, *flags, agreements=(), bureau_for=()):
        """flags are those of serve, agreements the texts of more than the charter,
        bureau_for the flags of the bureau's account."""
        self.folder = tempfile.TemporaryDirectory()
        self.data = pathlib.Path(self.folder.name)
        self.run("init", "--centre", "igci", "--name", "Centre", "--country", "SG")
        self.run("org", "add", "unit42", "--kind", "private-vendor", "--name", "Unit 42", "--country", "US")
        self.run("org", "add", "ncb-sg", "--kind", "national-bureau", "--name", "Bureau", "--country", "SG")
        for text in (CHARTER.read_text(), *agreements):
            file = self.data / "agreement.toml"
            file.write_text(text)
            self.run("agreement", "load", str(file), "--waive-signatures", "test")
        self.run("account", "add", "unit42/feed")
        self.run("account", "add", "ncb-sg/desk", "--password-stdin", *bureau_for, stdin="a pass:word\n")
        self.vendor = ("unit42/feed", self.run("token", "add", "unit42/feed").strip())
        self.bureau = ("ncb-sg/desk", "a pass:word")
        self.server = subprocess.Popen(
            [COMITY, "--data", self.folder.name, "serve", "--listen", "127.0.0.1:0", *flags], stderr=subprocess.PIPE, text=True)
        self.url, said = None, ""
        for line in self.server.stderr:
            said += line
            if "serving" in line:
                self.url = line.split()[-1]
                break
        if not self.url:
            self.folder.cleanup()
            raise RuntimeError(f"comity serve: {said}")
        # The log goes on; somebody has to read it.
        self.log = subprocess.Popen(["cat"], stdin=self.server.stderr, stdout=subprocess.DEVNULL)

    def run(self, *args, stdin=None):
        done = subprocess.run([COMITY, "--data", self.folder.name, *args], input=stdin, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(f"comity {' '.join(args)}: {done.stderr}")
        return done.stdout

    def stop(self):
        self.server.terminate()
        self.server.wait(30)
        self.server.stderr.close()
        self.log.wait(30)
        self.folder.cleanup()
