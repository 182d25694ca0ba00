"""Two servers on one PostgreSQL database behind HAProxy, which gives each request to the
other one: clients that parties use, and what has to hold when one server removes or revokes
what the other one serves, and when one is killed.

COMITY in the environment is the path of the built command, and DATABASE the URL of a
PostgreSQL server on which databases can be made. haproxy and psql have to be installed."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
import unittest
import uuid

import requests

import clients
import exchange
from daemons import Daemon, port, wait
from exchange import MEDIA_TYPE, Server

DATABASE = os.environ["DATABASE"]
OBJECTS = "collections/charter-test.playbooks/objects/"


def page():
    """The configuration of HAProxy that comity help scale shows."""
    text = subprocess.run([exchange.COMITY, "help", "scale"], capture_output=True, text=True, check=True).stdout
    return textwrap.dedent(re.search(r"(?m)^HAProxy\b.*:\n\n((?:    .*\n|\n)+)", text)[1])


class Servers(exchange.Exchange):
    """An exchange whose root is that of the proxy. a and b are the roots of its two servers."""

    def __init__(self, *flags, **more):
        name = "centre_" + uuid.uuid4().hex
        subprocess.run(["psql", "-q", "-d", DATABASE + "/postgres", "-c", "CREATE DATABASE " + name], check=True)
        self.env = {**os.environ, "COMITY_STORE": f"{DATABASE}/{name}"}
        front = f"127.0.0.1:{port()}"
        self.flags = (*flags, "--public-url", "http://" + front, "--trusted-proxy", "127.0.0.1/32")
        super().__init__(*self.flags, **more)
        self.second = pathlib.Path(self.folder.name, "second")
        self.second.mkdir()
        shutil.copy(self.data / "centre.key", self.second)
        self.other = self.serve(self.second)
        self.a, self.b = (self.root_of(server) for server in (self.server, self.other))
        configuration = page()
        for old, new in {":443 ssl crt /etc/haproxy/taxii.example.int.pem alpn h2,http/1.1": front,
                         "10.0.0.11:8080": self.a.split("/")[2], "10.0.0.12:8080": self.b.split("/")[2]}.items():
            if old not in configuration:
                raise RuntimeError(f"{old} is not among what comity help scale shows for HAProxy")
            configuration = configuration.replace(old, new)
        (self.data / "haproxy.cfg").write_text(configuration)
        self.proxy = Daemon(self.data, "haproxy", "haproxy", "-db", "-f", "haproxy.cfg", ready=self.reachable)

    def serve(self, data):
        return Server("serving", "--data", str(data), "serve", "--listen", "127.0.0.1:0", *self.flags, env=self.env)

    def root_of(self, server):
        address = re.search(r"listening on (\S+),", server.printed)[1]
        return f"http://{address}/igci/"

    def reachable(self):
        try:
            return requests.get(self.root.replace("/igci/", "/readyz"), timeout=1).status_code == 200
        except requests.ConnectionError:
            return False

    def kill(self):
        """Kills the second server."""
        self.other.process.send_signal(signal.SIGKILL)
        self.other.process.wait(60)
        self.other.process.stdout.close()

    def stop(self):
        self.proxy.stop()
        for server in (self.server, self.other):
            if server.process.poll() is None:
                server.stop()
        self.folder.cleanup()

    def list(self):
        return json.loads(self.run("store", "servers", "--json"))

    def audit(self, act):
        return [e for e in json.loads(self.run("audit", "list", "--json", "--limit", "100000")) if e["act"] == act]


class ClientsOfTwoServers(clients.Clients):
    """Each client as with one server."""

    def setUp(self):
        self.exchange = Servers()
        self.addCleanup(self.exchange.stop)
        self.vendor = clients.collection(self.exchange, self.exchange.vendor)
        self.bureau = clients.collection(self.exchange, self.exchange.bureau)


class Poller(threading.Thread):
    """Asks for a page of one server again and again. answers has when each request was sent,
    its status and its text."""

    def __init__(self, root, token):
        super().__init__(daemon=True)
        self.url, self.headers, self.answers, self.ended = root + OBJECTS, {"Authorization": "Bearer " + token}, [], False
        self.start()

    def run(self):
        with requests.Session() as session:
            while not self.ended:
                began = time.monotonic()
                answer = session.get(self.url, headers=self.headers, timeout=60)
                self.answers.append((began, answer.status_code, answer.text))
                time.sleep(0.01)  # the commands need a processor too

    def end(self):
        self.ended = True
        self.join(60)


class TwoServers(unittest.TestCase):
    def setUp(self):
        self.servers = Servers()
        self.addCleanup(self.servers.stop)
        self.vendor = {"Authorization": "Bearer " + self.servers.vendor[1]}

    def push(self, root, *objects):
        answer = requests.post(root + OBJECTS, headers={**self.vendor, "Content-Type": MEDIA_TYPE}, json={"objects": objects}, timeout=60)
        self.assertEqual(answer.json()["success_count"], len(objects), answer.text)
        return answer.json()["id"]

    def readers(self, n):
        """Accounts of the bureau, each with the id of its token and the token."""
        for i in range(n):
            account = f"ncb-sg/reader{i}"
            self.servers.run("account", "add", account)
            token = self.servers.run("token", "add", account).strip()
            (found,) = (t["id"] for t in json.loads(self.servers.run("token", "list", "--json")) if t["account"] == account)
            yield account, found, token

    def poll(self, n):
        """Readers that poll both servers, more often the second one."""
        pollers = {}
        for i, (account, found, token) in enumerate(self.readers(n)):
            pollers[account] = poller = Poller(self.servers.b if i % 4 else self.servers.a, token)
            poller.token = found
            self.addCleanup(poller.end)
        return pollers

    def served_after(self, end, pollers, what):
        """Tests that nobody who asked after the end got it, and returns who got it before."""
        time.sleep(0.5)
        late = [(account, began - end) for account, p in pollers.items() for began, _, text in p.answers if began > end and what in text]
        self.assertEqual(late, [], f"{what} was served after it was gone")
        for account, p in pollers.items():
            self.assertTrue(any(began > end for began, *_ in p.answers), f"{account} has not polled since")
        return {account for account, p in pollers.items() for *_, text in p.answers if what in text}

    def test_a_status_and_a_page_are_the_same_at_either_server(self):
        sent = clients.indicators(3)
        status = self.push(self.servers.a, *sent)
        got = [requests.get(f"{root}status/{status}/", headers=self.vendor) for root in (self.servers.a, self.servers.b)]
        self.assertEqual([a.status_code for a in got], [200, 200])
        self.assertEqual(got[0].text, got[1].text)
        pages = [requests.get(root + OBJECTS + "?limit=2", auth=self.servers.bureau) for root in (self.servers.a, self.servers.b)]
        self.assertEqual(pages[0].headers["ETag"], pages[1].headers["ETag"])
        rest = requests.get(self.servers.b + OBJECTS, params={"next": pages[0].json()["next"]}, auth=self.servers.bureau)
        self.assertEqual(rest.json()["objects"], sent[2:])

    def test_what_is_deleted_at_one_server_is_served_by_none(self):
        pollers, told = self.poll(6), set()
        for o in clients.indicators(5):
            self.push(self.servers.b, o)
            time.sleep(0.05)
            requests.delete(f"{self.servers.a}{OBJECTS}{o['id']}/", headers=self.vendor).raise_for_status()
            end = time.monotonic()
            if self.served_after(end, pollers, o["id"]):
                told.add(o["id"])
        named = {s["id"] for e in self.servers.audit("notice") if e["org"] == "ncb-sg" for s in e["subjects"]}
        self.assertEqual(told - named, set())

    def test_every_reader_at_either_server_is_named_as_holder(self):
        first, o = clients.indicators(2)
        self.push(self.servers.a, first)
        pollers = self.poll(6)
        time.sleep(2)  # what a reader gets after its first delivery is recorded later
        self.push(self.servers.a, o)
        time.sleep(0.5)
        holders = json.loads(self.servers.run("recall", "preview", "--json", o["id"]))
        named = {h["Account"] for c in holders for h in c["holders"]}
        self.assertEqual(set(pollers) - named, set(), holders)

    def test_what_is_withdrawn_at_one_server_is_served_by_none(self):
        sent = clients.indicators(500)
        self.push(self.servers.a, *sent)
        pollers = self.poll(6)
        time.sleep(1)
        self.servers.run("agreement", "withdraw", "charter-test", "--party", "unit42", "--reason", "notice", "--yes")
        end = time.monotonic()
        self.assertEqual(self.served_after(end, pollers, "indicator--"), set(pollers))
        self.assertEqual({e["org"] for e in self.servers.audit("notice") if "recall" in e["text"]}, {"ncb-sg"})

    def test_what_is_revoked_at_one_server_opens_neither(self):
        self.push(self.servers.a, *clients.indicators(1))
        for account, p in self.poll(8).items():
            wait(f"{account} polls", 10, lambda: p.answers)
            self.servers.run("token", "revoke", p.token)
            end = time.monotonic()
            late = lambda: {status for began, status, _ in p.answers if began > end}
            wait(f"{account} polls again", 10, late)
            p.end()
            self.assertNotIn(200, late(), account)

    def test_a_killed_server_leaves_a_gap_although_the_other_stops_in_good_order(self):
        o, *_ = clients.indicators(1)
        self.push(self.servers.a, o)
        self.servers.run("account", "add", "ncb-sg/late")
        late = {"Authorization": "Bearer " + self.servers.run("token", "add", "ncb-sg/late").strip()}
        got = requests.get(self.servers.b + OBJECTS, headers=late)
        self.assertIn(o["id"], got.text)
        self.servers.kill()
        self.assertEqual(self.servers.server.stop(), 0)
        self.assertNotEqual(self.servers.audit("gap"), [])
        holders = json.loads(self.servers.run("recall", "preview", "--json", o["id"]))
        self.assertIn("ncb-sg", {h["Org"] for c in holders for h in c["holders"]})
        self.servers.run("audit", "verify")

    def test_the_other_server_takes_over_when_one_stops(self):
        poller = Poller(self.servers.root, next(self.readers(1))[2])
        self.addCleanup(poller.end)
        duties = ["custody", "links", "operations", "webhooks"]
        one, two = self.servers.list()
        self.assertEqual((one["duties"], two.get("duties")), (duties, None))
        self.servers.server.process.terminate()
        self.addCleanup(self.servers.server.process.stdout.close)
        self.servers.data = self.servers.second
        took = wait(lambda: self.servers.list(), 10, lambda: [s.get("duties") for s in self.servers.list()] == [duties])
        self.assertEqual(self.servers.server.process.wait(60), 0)
        time.sleep(1)
        poller.end()
        self.assertEqual({status for _, status, _ in poller.answers}, {200})
        print(f"took over after {took:.1f} s, {len(poller.answers)} polls", file=sys.stderr)


if __name__ == "__main__":
    unittest.main()
