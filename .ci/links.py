"""Two centres that are linked both ways: one pulls from and pushes to two, and two pulls
from one. Both are killed while objects come in on both sides.

COMITY in the environment is the path of the built command."""

import json
import pathlib
import random
import signal
import subprocess
import tempfile
import time
import unittest

from daemons import port
from exchange import COMITY, Server

KILLS = 12
BATCHES = 40
COLLECTION = "dea.inbound"


def indicator(number, second=0, **more):
    return {
        "type": "indicator", "spec_version": "2.1", "id": f"indicator--{number:08x}-0000-4000-8000-000000000000",
        "created": "2024-02-01T00:00:00.000Z", "modified": f"2024-02-01T00:00:{second:02}.000Z",
        "pattern": f"[domain-name:value = 'n{number}.example']", "pattern_type": "stix", "valid_from": "2024-02-01T00:00:00Z", **more,
    }


class Centre:
    def __init__(self, folder, name):
        self.data = pathlib.Path(folder) / name
        self.address = f"127.0.0.1:{port()}"
        self.run("init", "--centre", name, "--name", name, "--country", "SG")
        for org, kind in ("acme", "private-vendor"), ("soc-sg", "soc"):
            self.run("org", "add", org, "--kind", kind, "--name", org, "--country", "SG")
        agreement = pathlib.Path(folder) / (name + ".toml")
        self.run("agreement", "new", "--partner", "acme,soc-sg", "--sender", "acme", "--reader", "soc-sg", "--id", "dea",
                 "--effective", "2024-01-01", "--expires", "2124-01-01", "--unmarked", "green", "-o", agreement)
        self.run("agreement", "load", agreement, "--waive-signatures", "a test")
        for account in "acme/feed", "acme/link":
            self.run("account", "add", account)
        self.token = self.run("token", "add", "acme/link").strip()
        self.serve()

    def run(self, *args):
        return subprocess.run([COMITY, "--data", self.data, *args], check=True, capture_output=True, text=True).stdout

    def serve(self):
        self.server = Server("listening on", "--data", str(self.data), "serve", "--listen", self.address)

    def kill(self):
        self.server.process.send_signal(signal.SIGKILL)
        self.server.process.wait(60)
        self.server.process.stdout.close()

    def link(self, name, direction, ours, other):
        credentials = self.data / (name + ".toml")
        credentials.touch(0o600)
        credentials.write_text(f"token = '{other.token}'\n")
        self.run("link", "add", name, direction, f"http://{other.address}/", "--remote", COLLECTION, ours, COLLECTION,
                 "--as", "acme/link", "--every", "1s", "--credentials", credentials)

    def push(self, *objects):
        """Pushes as acme/feed, again if the server was killed meanwhile."""
        file = self.data / "push.json"
        file.write_text(json.dumps({"objects": objects}))
        for _ in range(60):
            try:
                self.run("import", "--collection", COLLECTION, "--as", "acme/feed", file)
                return
            except subprocess.CalledProcessError:
                time.sleep(0.5)
        raise RuntimeError("no push succeeded")

    def objects(self):
        return [json.dumps(o, sort_keys=True) for o in json.loads(self.run("export", "--collection", COLLECTION)).get("objects", [])]


class Links(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.one, self.two = Centre(folder.name, "one"), Centre(folder.name, "two")
        for centre in self.one, self.two:
            self.addCleanup(lambda centre=centre: centre.server.stop())
        self.one.link("in", "--pull", "--into", self.two)
        self.one.link("out", "--push", "--from", self.two)
        self.two.link("in", "--pull", "--into", self.one)

    def await_equal(self, want):
        deadline = time.monotonic() + 120
        while True:
            got = [sorted(centre.objects()) for centre in (self.one, self.two)]
            if got == [want, want]:
                return
            if time.monotonic() > deadline:
                self.fail(f"want {len(want)} objects, one has {len(got[0])}, two has {len(got[1])}\n"
                          + self.one.run("link", "list") + self.two.run("link", "list"))
            time.sleep(0.5)

    def test_killed_servers_come_to_rest_with_equal_collections(self):
        chance = random.Random(7)
        kills = sorted(chance.sample(range(BATCHES), KILLS))
        pushed = []
        for n in range(BATCHES):
            centre = (self.one, self.two)[n % 2]
            batch = [indicator(n * 100 + i) for i in range(chance.randint(1, 100))]
            centre.push(*batch)
            pushed += batch
            if n in kills:
                time.sleep(chance.random())
                victim = chance.choice((self.one, self.two))
                victim.kill()
                victim.serve()
        self.await_equal(sorted(json.dumps(o, sort_keys=True) for o in pushed))

        # A revocation on one side acts on both: the versions before it are gone.
        revoked = indicator(0, 1, revoked=True)
        self.one.push(revoked)
        pushed[0] = revoked
        self.await_equal(sorted(json.dumps(o, sort_keys=True) for o in pushed))

        # Then nothing moves any more.
        self.assertEqual(self.moved(), self.moved())
        for centre in self.one, self.two:
            centre.run("audit", "verify")
            for link in json.loads(centre.run("--json", "link", "list")):
                self.assertEqual((link["failures"], link.get("refused"), link["withdrawn"]), (0, None, None), link)
                self.assertLess(link["lag_seconds"], 60)
            self.assertEqual(centre.server.stop(), 0)
            centre.run("check")
            centre.serve()

    def moved(self):
        time.sleep(5)  # the last pushes may still be under way
        return [[(link["name"], link["objects"]) for link in json.loads(centre.run("--json", "link", "list"))] for centre in (self.one, self.two)]


if __name__ == "__main__":
    unittest.main()
