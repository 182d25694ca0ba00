"""The servers that the scripts beside this one test: an exchange of a centre, a vendor
that writes and a bureau that reads, and the demonstration. Each runs in a folder that is
removed at the end.

COMITY in the environment is the path of the built command."""

import collections
import os
import pathlib
import re
import subprocess
import tempfile
import threading

COMITY = os.environ["COMITY"]
MEDIA_TYPE = "application/taxii+json;version=2.1"
PROJECT = pathlib.Path(__file__).resolve().parent.parent
CHARTER = PROJECT / "testdata" / "agreements" / "charter-test.toml"


class Server:
    """A process of comity that has printed a line with the marker. printed is what it
    printed until then, and log has the last lines that it printed later. A process that has
    not printed the marker after five minutes is killed."""

    def __init__(self, marker, *args, **options):
        self.process = subprocess.Popen([COMITY, *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
        stuck = threading.Timer(300, self.process.kill)
        stuck.start()
        self.printed = ""
        for line in self.process.stdout:
            self.printed += line
            if marker in line:
                break
        stuck.cancel()
        self.log = collections.deque(maxlen=10_000)
        self.rest = threading.Thread(target=self.log.extend, args=(self.process.stdout,), daemon=True)
        self.rest.start()
        if marker not in self.printed:
            raise RuntimeError(f"comity {' '.join(args)} ended with {Server.stop(self)}: {self.printed}")

    def stop(self):
        """Ends the process, and returns its exit status."""
        self.process.terminate()
        status = self.process.wait(60)
        self.rest.join(60)
        self.process.stdout.close()
        return status


class Exchange:
    env = None  # of its commands; None for that of this process

    def __init__(self, *flags, agreements=(), bureau_for=()):
        """flags are further flags of comity serve, agreements the texts of agreements to
        load after the charter, bureau_for further flags of the bureau's account."""
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
        self.server = Server("serving", "--data", self.folder.name, "serve", "--listen", "127.0.0.1:0", *flags, env=self.env)
        self.url = self.server.printed.split()[-1]  # of discovery
        self.root = self.url.replace("/taxii2/", "/igci/")

    def run(self, *args, stdin=None):
        done = subprocess.run([COMITY, "--data", self.folder.name, *args], input=stdin, capture_output=True, text=True, env=self.env)
        if done.returncode != 0:
            raise RuntimeError(f"comity {' '.join(args)}: {done.stderr}")
        return done.stdout

    def stop(self):
        self.server.stop()
        self.folder.cleanup()


class Demo(Server):
    """A demonstration that has published its reports and serves."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        super().__init__("Ctrl-C", "demo", "--listen", "127.0.0.1:0", env={**os.environ, "TMPDIR": self.folder.name})
        self.data = re.search(r"--data (\S+) report render", self.printed)[1]
        self.discovery = re.search(r"(?m)^ *discovery +(http://127\.0\.0\.1:\d+/taxii2/)$", self.printed)[1]

    def stop(self):
        status, left = super().stop(), os.listdir(self.folder.name)
        self.folder.cleanup()
        if status or left:
            raise RuntimeError(f"the demonstration ended with {status} and left {left}")
        return status
