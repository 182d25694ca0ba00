"""Pulls from and pushes to other servers with comity pull and comity push: medallion and
OpenTAXII, from PyPI and run as their documentation says, and comity itself. Between them
stands a proxy that drops, delays, truncates, repeats and reorders answers, and the server
is restarted in the middle. Every object has to arrive once.

COMITY in the environment is the path of the built command."""

import contextlib
import http.client
import http.server
import json
import os
import pathlib
import random
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.request
import uuid

import exchange
from daemons import port
from exchange import COMITY, MEDIA_TYPE

BIN = pathlib.Path(sys.executable).parent

# medallion holds fewer: it takes minutes for the first page of 10,000 objects, as its time
# grows with their square.
OBJECTS, MEDALLION_OBJECTS = 10_000, 240


def objects(n, seed):
    """Returns n STIX 2.1 objects as text without whitespace between tokens."""
    chance = random.Random(seed)
    return [
        json.dumps({
            "type": "indicator", "spec_version": "2.1", "id": f"indicator--{uuid.UUID(int=chance.getrandbits(128), version=4)}",
            "created": "2026-02-01T00:00:00.000Z", "modified": "2026-02-01T00:00:00.000Z", "name": f"indicator {i} – „ünïcode“",
            "description": "x" * chance.randrange(600), "pattern": f"[ipv4-addr:value = '198.51.{i // 250 % 250}.{i % 250}']",
            "pattern_type": "stix", "valid_from": "2026-02-01T00:00:00Z"
        }, separators=(",", ":"), ensure_ascii=False) for i in range(n)
    ]


class Comity:
    """An exchange, whose vendor writes and whose bureau reads."""

    objects, keeps_bytes, loses, versions = OBJECTS, True, (), ()

    def __init__(self):
        self.port = port()
        self.exchange = exchange.Exchange("--listen", f"127.0.0.1:{self.port}")
        self.path = "/igci/"
        self.read = self.write = "charter-test.playbooks"
        self.reader = {"COMITY_TOKEN": self.exchange.run("token", "add", "ncb-sg/desk").strip()}
        self.writer = {"COMITY_TOKEN": self.exchange.vendor[1]}

    def restart(self):
        self.exchange.server.stop()
        self.exchange.server = exchange.Server("serving", "--data", self.exchange.folder.name, "serve", "--listen", f"127.0.0.1:{self.port}")

    def stop(self):
        self.exchange.stop()


class Other:
    """A server of somebody else, in a folder that is removed at the end."""

    keeps_bytes, loses, versions = False, (), ()  # both read the JSON and write it again

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.dir = pathlib.Path(self.folder.name)
        self.port = port()
        self.prepare()
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.command, cwd=self.dir, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **self.env})
        for _ in range(600):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise RuntimeError(f"{self.command} does not listen")

    def end(self):
        self.process.terminate()
        self.process.wait(30)

    def restart(self):
        self.end()
        self.start()

    def stop(self):
        self.end()
        self.folder.cleanup()


class Medallion(Other):
    objects, path, env = MEDALLION_OBJECTS, "/peer/", {}
    read, write = "0b75d13d-a390-462d-8404-2e32eb6b765c", "c246a97a-b4dd-42e4-b0f3-f5df12e43508"
    reader = writer = {"COMITY_USER": "peer", "COMITY_PASSWORD": "word"}

    def prepare(self):
        collections = [{
            "id": one, "title": one, "can_read": True, "can_write": True, "media_types": ["application/stix+json;version=2.1"], "objects": [], "manifest": []
        } for one in (self.read, self.write)]
        # A restart loses what was pushed, so the objects that are read are there from the
        # beginning. More of them share a date than a page holds, as those of a push do.
        for i, text in enumerate(objects(self.objects, "Medallion")):
            o = json.loads(text)
            collections[0]["objects"].append(o)
            collections[0]["manifest"].append({
                "id": o["id"], "date_added": f"2026-03-01T00:00:0{i // 120}.000000Z", "version": o["modified"], "media_type": "application/stix+json;version=2.1"
            })
        (self.dir / "data.json").write_text(json.dumps({
            "/discovery": {"title": "peer"},
            "peer": {"information": {"title": "peer", "versions": [MEDIA_TYPE], "max_content_length": 100 << 20}, "status": [], "collections": collections},
        }))
        (self.dir / "config.json").write_text(json.dumps({
            "users": {"peer": "word"}, "taxii": {"max_page_size": 100},
            "backend": {"module": "medallion.backends.memory_backend", "module_class": "MemoryBackend", "filename": str(self.dir / "data.json")},
        }))
        self.command = [BIN / "medallion", "--host", "127.0.0.1", "--port", str(self.port), self.dir / "config.json"]


class OpenTAXII(Other):
    objects = OBJECTS
    loses = ("spec_version",)  # it answers with the type in its place
    versions = "--versions", "all"  # its time to find the newest ones grows with the square of the objects
    read, write = "incoming", "outgoing"

    def prepare(self):
        (self.dir / "opentaxii.yml").write_text(f"""domain: "127.0.0.1:{self.port}"
support_basic_auth: yes
auth_api:
  class: opentaxii.auth.sqldb.SQLDatabaseAPI
  parameters:
    db_connection: sqlite:///{self.dir}/auth.db
    create_tables: yes
    secret: test-only
taxii1:
taxii2:
  persistence_api:
    class: opentaxii.persistence.sqldb.Taxii2SQLDatabaseAPI
    parameters:
      db_connection: sqlite:///{self.dir}/data.db
      create_tables: yes
  max_content_length: 104857600
  title: "peer"
logging:
  opentaxii: error
  root: error
""")
        # OpenTAXII 0.9.3 answers every push with status 500, since its JSON encoder cannot
        # write UUIDs.
        (self.dir / "app.py").write_text("import json\njson.JSONEncoder.default = lambda self, value: str(value)\nfrom opentaxii.http import app\n")
        self.env = {"OPENTAXII_CONFIG": str(self.dir / "opentaxii.yml"), "HOME": str(self.dir), "PYTHONPATH": str(self.dir)}
        self.run("opentaxii-create-account", "-u", "peer", "-p", "word", "-a")
        self.run("opentaxii-add-api-root", "-t", "peer", "--default")
        with contextlib.closing(sqlite3.connect(self.dir / "data.db")) as db:
            root = str(uuid.UUID(db.execute("select id from opentaxii_api_root").fetchone()[0]))
        for alias in (self.read, self.write):
            self.run("opentaxii-add-collection", "-r", root, "-t", alias, "-a", alias, "--public", "--public-write")
        self.path = f"/taxii2/{root}/"
        self.command = [
            BIN / "gunicorn", "app:app", "--config", "python:opentaxii.http", "--bind", f"127.0.0.1:{self.port}", "--workers", "2", "--threads", "4"
        ]

    def run(self, command, *args):
        subprocess.run([BIN / command, *args], cwd=self.dir, env={**os.environ, **self.env}, check=True, capture_output=True)

    def start(self):
        super().start()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/management/auth", b'{"username":"peer","password":"word"}', {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            self.reader = self.writer = {"COMITY_TOKEN": json.load(answer)["token"]}


FAULTS = ("drop the answer", "502", "truncate", "delay", "drop", "repeat", "reorder")


class Proxy(http.server.ThreadingHTTPServer):
    """Passes requests on to a server, and one in `one_in` of them badly, in each way in
    turn. After `restart_after` requests it restarts the server. A repeated answer is the last
    one of the same connection: no client could tell that of another position."""

    daemon_threads = True

    def __init__(self, remote, one_in, restart_after, seed):
        super().__init__(("127.0.0.1", 0), Handler)
        self.remote, self.one_in, self.restart_after = remote, one_in, restart_after
        self.chance, self.lock, self.turn = random.Random(seed), threading.Lock(), threading.Condition()
        self.requests, self.answered, self.faults = 0, 0, 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def fault(self):
        """Chooses what goes wrong with the next request."""
        with self.lock:
            self.requests += 1
            if self.requests == self.restart_after:
                self.remote.restart()
                return "restart"
            if self.chance.randrange(self.one_in):
                return None
            self.faults += 1
            return FAULTS[self.faults % len(FAULTS)]

    def close(self):
        self.shutdown()
        self.server_close()

    def handle_error(self, request, client_address):
        pass


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    last = None  # the answer that the client had last over this connection

    def log_message(self, *args):
        pass

    def pass_on(self):
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        fault = self.server.fault() if "/objects/" in self.path else None
        if fault == "drop":
            return self.hang_up()
        if fault == "502":
            return self.answer(502, [("Content-Type", "text/html")], b"<html>Bad Gateway</html>")
        if fault == "repeat" and self.command == "GET" and self.last:
            return self.answer(*self.last)  # the answer to the request before it
        connection = http.client.HTTPConnection("127.0.0.1", self.server.remote.port, timeout=60)
        try:
            headers = {name: value for name, value in self.headers.items() if name.lower() not in ("connection", "accept-encoding")}
            connection.request(self.command, self.path, body, headers)
            response = connection.getresponse()
            text = response.read()
        except OSError:
            return self.hang_up()
        finally:
            connection.close()
        kept = [(name, value) for name, value in response.getheaders() if name.lower() not in ("connection", "transfer-encoding", "content-length", "date", "server")]
        answer = response.status, kept, text
        if fault == "drop the answer":
            return self.hang_up()
        if fault == "delay":
            time.sleep(0.1)
        if fault == "reorder":  # until another request was answered, if there is one
            with self.server.turn:
                before = self.server.answered
                self.server.turn.wait_for(lambda: self.server.answered > before, 0.2)
        if fault == "truncate":
            self.answer(*answer, cut=len(text) // 2)
            return self.hang_up()
        if "/objects/" in self.path and self.command == "GET":
            self.last = answer
        self.answer(*answer)

    do_GET = do_POST = pass_on

    def answer(self, status, headers, text, cut=None):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text[:cut])
        self.wfile.flush()
        with self.server.turn:
            self.server.answered += 1
            self.server.turn.notify_all()

    def hang_up(self):
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


class Peers:
    """What is tested with each server."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.dir = pathlib.Path(self.folder.name)
        self.remote = self.Remote()
        self.addCleanup(self.remote.stop)
        self.sent = objects(self.remote.objects, self.Remote.__name__)

    def file(self, name, texts):
        path = self.dir / name
        path.write_text("".join(text + "\n" for text in texts), "utf-8")
        return str(path)

    def url(self, proxy=None):
        return f"http://127.0.0.1:{proxy.server_port if proxy else self.remote.port}{self.remote.path}"

    def start(self, credentials, *args):
        return subprocess.Popen([COMITY, *args], env={**os.environ, **credentials}, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def finish(self, process, ok=True):
        """Returns what a command printed, and to standard error."""
        try:
            out, errors = process.communicate(timeout=300)
        except subprocess.TimeoutExpired:
            process.kill()
            self.fail(process.communicate()[1].decode()[-2000:])
        if ok:
            self.assertEqual(process.returncode, 0, errors.decode()[-2000:])
        return out.decode(), errors.decode()

    def pull(self, collection, *args, proxy=None):
        return self.start(self.remote.reader, "pull", self.url(proxy), "--collection", collection, "--format", "ndjson", *self.remote.versions, *args)

    def push(self, name, texts, collection, proxy=None, ok=True):
        process = self.start(self.remote.writer, "push", self.url(proxy), "--collection", collection, self.file(name, texts))
        return self.finish(process, ok)

    def assert_same(self, got, want):
        """Each object once; as sent, and in the order sent, where the server keeps that."""
        got = got.splitlines()
        if self.remote.keeps_bytes:
            self.assertTrue(got == want, f"{len(got)} objects, {len(set(got))} different ones; {len(want)} were sent")
            return
        got, want = ({o["id"]: {k: v for k, v in o.items() if k not in self.remote.loses} for o in map(json.loads, some)} for some in (got, want))
        self.assertTrue(got == want, f"{len(got)} objects; {len(want)} were sent")

    def assert_each_once(self, got, want):
        self.assertEqual(len(got.splitlines()), len(want))
        self.assert_same(got, want)

    def fill(self):
        if self.Remote is not Medallion:
            receipts, _ = self.push("sent.ndjson", self.sent, self.remote.read)
            self.assertEqual(receipts.count("accepted\t"), len(self.sent))

    def test_every_object_once_whatever_happens(self):
        self.fill()
        for limit in (["--limit", str(self.remote.objects // 200 + 5)], ["--limit", "100"], []):
            started = time.monotonic()
            out, errors = self.finish(self.pull(self.remote.read, *limit))
            self.assert_each_once(out, self.sent)
            print(f"\n{limit}: {time.monotonic() - started:.1f} s; {errors.strip()[-300:]}", file=sys.stderr)
        proxy = Proxy(self.remote, one_in=5, restart_after=30, seed=1)
        pulls = [self.pull(self.remote.read, "--limit", str(len(self.sent) // 40), proxy=proxy) for _ in range(2)]
        for pull in pulls:
            out, errors = self.finish(pull)
            self.assert_each_once(out, self.sent)
        print(f"\n{proxy.requests} requests, {proxy.faults} of them passed on badly", file=sys.stderr)
        self.assertGreater(proxy.faults, len(FAULTS))
        proxy.close()

    def test_pushed_objects_are_there_once(self):
        proxy = Proxy(self.remote, one_in=3, restart_after=-1, seed=2)
        some, batch = objects(min(4000, len(self.sent)), "pushed"), min(4000, len(self.sent)) // 20
        for i in range(0, len(some), batch):
            receipts, _ = self.push("some.ndjson", some[i:i + batch], self.remote.write, proxy, ok=self.remote.keeps_bytes)
            for line in receipts.splitlines():
                if not line.startswith("accepted"):  # medallion refuses what it has
                    self.assertIn("an earlier attempt was lost", line)
            self.assertEqual(len(receipts.splitlines()), batch)
        out, _ = self.finish(self.pull(self.remote.write))
        self.assert_each_once(out, some)
        print(f"\n{proxy.requests} requests, {proxy.faults} of them passed on badly", file=sys.stderr)
        proxy.close()


class TestComity(Peers, unittest.TestCase):
    Remote = Comity

    def test_positions_are_exact_after_100_kills(self):
        self.fill()
        chance, kills = random.Random(3), 0
        proxy = Proxy(self.remote, one_in=50, restart_after=-1, seed=4)
        state, out = str(self.dir / "state"), self.dir / "out.ndjson"
        args = ("--limit", "20", "--state", state, "-o", str(out))
        while kills < 100:
            process = self.pull(self.remote.read, *args, proxy=proxy)
            try:
                process.communicate(timeout=chance.uniform(0.02, 0.5))
                os.unlink(state)  # it came to its end: once more
                os.unlink(out)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                kills += 1
        self.finish(self.pull(self.remote.read, *args, proxy=proxy))
        self.assert_each_once(out.read_text("utf-8"), self.sent)
        _, errors = self.finish(self.pull(self.remote.read, *args, proxy=proxy))
        self.assertIn("nothing new", errors)
        proxy.close()


class TestOpenTAXII(Peers, unittest.TestCase):
    Remote = OpenTAXII


class TestMedallion(Peers, unittest.TestCase):
    Remote = Medallion


if __name__ == "__main__":
    unittest.main()
