"""Bouncers, clients of server-sent events and receivers of webhooks, against a running
comity."""

import http.server
import json
import os
import pathlib
import re
import ssl
import stat
import subprocess
import tempfile
import threading
import time
import unittest

import requests
import sseclient
import standardwebhooks

import exchange

FEED = """
format = "feed/1"
id = "live"
account = "ncb-sg/firewall"
use = "block"
collections = ["*"]
[entries]
may_be_empty = true
"""


def eventually(check, what, seconds=15):
    """Waits until check returns something true, and returns it."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := check():
            return found
        time.sleep(0.1)
    raise AssertionError(f"{what}: not within {seconds} s")


class Receiver:
    """A web server that keeps the messages that it gets, and answers with a status. It can be
    stopped, and started again at the same address. Each message is verified with each of
    the keys."""

    def __init__(self, certificate):
        self.certificate, self.port, self.status, self.messages, self.keys = certificate, 0, 204, [], []
        self.start()
        self.url = f"https://127.0.0.1:{self.port}/hook"

    def start(self):
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                message = [standardwebhooks.Webhook(key).verify(body, dict(self.headers)) for key in receiver.keys]
                receiver.messages.append((self.headers["webhook-id"], message[0] if message else json.loads(body)))
                self.send_response(receiver.status)
                self.end_headers()

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate / "cert.pem", self.certificate / "key.pem")
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def take(self):
        """The messages since the last call."""
        taken, self.messages = self.messages, []
        return taken


class Live(unittest.TestCase):
    def setUp(self):
        self.exchange = exchange.Exchange("--webhook-allow", "127.0.0.1")
        self.addCleanup(lambda: self.exchange.stop())
        self.exchange.run("account", "add", "ncb-sg/firewall", "--action", "block")
        self.token = self.exchange.run("token", "add", "ncb-sg/firewall").strip()
        file = self.exchange.data / "live.toml"
        file.write_text(FEED)
        self.exchange.run("feed", "add", str(file))
        self.url = self.exchange.root + "x-feeds/live/"
        self.versions = {}

    def push(self, address, **more):
        """Sends an indicator of an address, the same at each call but for its version."""
        n = self.versions[address] = self.versions.get(address, 0) + 1
        indicator = {
            "type": "indicator", "spec_version": "2.1", "id": f"indicator--{int(address.split('.')[3]):08x}-0000-4000-8000-000000000000",
            "created": "2026-01-01T00:00:00.000Z", "modified": f"2026-11-01T00:00:{n:02}.000Z", "valid_from": "2026-01-01T00:00:00Z",
            "pattern": f"[ipv4-addr:value = '{address}']", "pattern_type": "stix", **more,
        }
        reader = {"Authorization": "Bearer " + self.exchange.vendor[1], "Accept": exchange.MEDIA_TYPE}
        collections = requests.get(self.exchange.root + "collections/", headers=reader).json()["collections"]
        target = next(c["id"] for c in collections if c["can_write"])
        answer = requests.post(
            f"{self.exchange.root}collections/{target}/objects/", headers={**reader, "Content-Type": exchange.MEDIA_TYPE},
            data=json.dumps({"objects": [indicator]}))
        self.assertEqual(answer.json().get("failure_count"), 0, answer.text)

    def start(self, *args):
        process = subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def bouncer(self):
        """The settings of a bouncer, as comity prints them."""
        text = self.exchange.run("connect", "ncb-sg/firewall", "--client", "crowdsec", "--url", self.exchange.url.removesuffix("/taxii2/"))
        return text.replace("api_key: ...", f"api_key: {self.token}").replace("update_frequency: 10s", "update_frequency: 1s")

    def folder(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        return pathlib.Path(folder.name)

    def test_custom_bouncer(self):
        """The program of a custom bouncer hears of each address that comes and goes."""
        folder = self.folder()
        heard, script = folder / "heard", folder / "script"
        heard.touch()
        script.write_text(f'#!/bin/sh\necho "$@" >>{heard}\n')
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        config = folder / "bouncer.yaml"
        config.write_text(f"""
bin_path: {script}
feed_via_stdin: false
piddir: {folder}
cache_retention_duration: 1s
daemonize: false
log_mode: stdout
log_level: info
{self.bouncer()}""")
        self.push("203.0.114.1")
        self.start("crowdsec-custom-bouncer", "-c", str(config))
        line = eventually(lambda: re.search(r"add 203\.0\.114\.1 (\d+)", heard.read_text()), "the first address")
        self.assertLessEqual(int(line[1]), 24 * 3600)
        self.push("203.0.114.2")
        eventually(lambda: "add 203.0.114.2" in heard.read_text(), "another address")
        self.push("203.0.114.1", revoked=True)
        eventually(lambda: "del 203.0.114.1" in heard.read_text(), "the revocation", 5)
        self.assertNotIn("del 203.0.114.2", heard.read_text())

    def test_firewall_bouncer(self):
        """nftables blocks an address as long as it is listed, and not longer than the hold."""
        folder = self.folder()
        config = folder / "bouncer.yaml"
        config.write_text(f"""
mode: nftables
pid_dir: {folder}
daemonize: false
log_mode: stdout
log_level: info
{self.bouncer()}
deny_action: DROP
supported_decisions_types: [ban]
blacklists_ipv4: crowdsec-blacklists
blacklists_ipv6: crowdsec6-blacklists
nftables:
  ipv4: {{enabled: true, set-only: false, table: crowdsec, chain: crowdsec-chain}}
  ipv6: {{enabled: true, set-only: false, table: crowdsec6, chain: crowdsec6-chain}}
""")
        self.push("203.0.114.1")
        self.start("crowdsec-firewall-bouncer", "-c", str(config))

        def blocked():
            return subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True).stdout

        eventually(lambda: re.search(r"203\.0\.114\.1 timeout (1d|2[0-3]h\S*) ", blocked()), "the first address")
        self.push("203.0.114.2")
        eventually(lambda: "203.0.114.2 " in blocked(), "another address")
        self.push("203.0.114.1", revoked=True)
        eventually(lambda: "203.0.114.1 " not in blocked(), "the revocation", 5)
        self.assertIn("203.0.114.2 ", blocked())

    def listen(self, last_id=None, url=None):
        """Follows the stream in the background, and returns the list that its events go into."""
        headers = {"Authorization": "Bearer " + self.token}
        if last_id:
            headers["Last-Event-ID"] = last_id
        answer = requests.get(url or self.url + "stream", headers=headers, stream=True)
        self.assertEqual(answer.headers["Content-Type"], "text/event-stream; charset=utf-8")
        events = []

        def follow():
            try:
                for event in sseclient.SSEClient(answer).events():
                    events.append(event)
            except requests.exceptions.ChunkedEncodingError:
                pass  # the server was killed

        threading.Thread(target=follow, daemon=True).start()
        return events

    def entries(self, events, held):
        """Takes in events as a subscriber does."""
        for event in events:
            data = json.loads(event.data)
            if event.event == "reset":
                held.clear()
            elif event.event == "add":
                held[data["value"]] = data
            elif event.event == "remove":
                del held[data["value"]]
        return held

    def test_stream_over_a_killed_server(self):
        """A client that resumes after a crash has what the feed has, and each batch once."""
        self.push("203.0.114.1", name="Köder für Bürger")
        self.push("203.0.114.2")
        events = self.listen()
        eventually(lambda: len(events) == 3, "the first events")
        self.push("203.0.114.3")
        eventually(lambda: len(events) == 4, "another address")
        held = self.entries(events, {})
        self.assertEqual(held["203.0.114.1"]["name"], "Köder für Bürger")
        again = self.listen(events[-1].id)
        self.push("203.0.114.2", revoked=True)
        eventually(lambda: len(again) == 2, "a revocation after a reconnection")
        self.assertEqual([e.event for e in again], ["heartbeat", "remove"])

        self.crash()
        self.push("203.0.114.4")
        events = self.listen(again[-1].id)
        eventually(lambda: len(events) == 4, "the events after the crash")
        listed = requests.get(self.url + "ipv4.txt", headers={"Authorization": "Bearer " + self.token}).text.split()
        self.assertEqual(sorted(self.entries(events, held)), listed)

    def crash(self):
        """Kills the server, and starts it again at the same address."""
        self.exchange.server.process.kill()
        self.exchange.server.stop()
        address = self.exchange.url.split("/")[2]
        self.exchange.server = exchange.Server("serving", "--data", self.exchange.folder.name, "serve", "--listen", address)

    def test_stream_of_a_collection_over_a_killed_server(self):
        """A client that resumes after a crash gets each object once, by the stream or by TAXII."""
        headers = {"Authorization": "Bearer " + self.token, "Accept": exchange.MEDIA_TYPE}
        collection = self.exchange.root + "collections/charter-test.playbooks/"

        def names(events):
            return [json.loads(e.data)["data"].get("name") for e in events if e.event != "heartbeat"]

        self.push("203.0.114.1", name="Köder")
        first = self.listen(url=collection + "x-stream/")
        eventually(lambda: names(first) == ["Köder"], "the first object")
        self.push("203.0.114.2", name="second")
        eventually(lambda: len(names(first)) == 2, "the second object")
        self.crash()
        self.push("203.0.114.3", name="third")
        again = self.listen(first[-1].id, url=collection + "x-stream/")
        eventually(lambda: names(again), "the object after the crash")
        self.assertEqual(names(again), ["third"])
        self.push("203.0.114.4", name="fourth")
        polled = requests.get(collection + "objects/", params={"next": again[0].id}, headers=headers).json()["objects"]
        self.assertEqual([o["name"] for o in polled], ["fourth"])

    def test_curl(self):
        """curl follows a stream, and asks for changes."""
        self.push("203.0.114.1")
        curl = ["curl", "--silent", "--no-buffer", "--user", "x:" + self.token]
        stream = self.start(*curl, self.url + "stream")
        lines = [stream.stdout.readline().rstrip("\n") for _ in range(6)]
        self.assertEqual(lines[:4], ["retry: 5000", "event: reset", 'data: {"entries":1}', ""])
        self.assertEqual(lines[4], "event: add")
        first = subprocess.run([*curl, self.url + "ipv4.json?since="], capture_output=True, text=True, check=True)
        cursor = json.loads(first.stdout)["cursor"]
        self.push("203.0.114.2")
        self.push("203.0.114.1", revoked=True)
        changes = subprocess.run([*curl, self.url + "ipv4.txt?since=" + cursor], capture_output=True, text=True, check=True)
        self.assertEqual(changes.stdout, "-203.0.114.1\n+203.0.114.2\n")

    def test_webhook(self):
        """A receiver that was away gets one message, in its turn; one that says 410 is given up."""
        receiver = Receiver(CERTIFICATE)
        self.addCleanup(lambda: receiver.stop())
        file = self.exchange.data / "live.toml"

        def point(url):
            file.write_text(FEED + f'[webhook]\nurl = "{url}"\ncontent = "delta"\n')
            self.exchange.run("feed", "add", "--replace", str(file))

        def page():
            return json.loads(self.exchange.run("--json", "feed", "show", "ncb-sg/live"))["webhook"]

        def keys():
            secrets = json.loads(self.exchange.run("--json", "feed", "show", "ncb-sg/live", "--secrets"))
            return [s["secret"] for s in secrets if s["purpose"] == "webhook"]

        def entries(message):
            data = message[1]["data"]
            return data["full"], [e["value"] for e in data["add"]], [e["value"] for e in data["remove"]]

        point("https://127.0.0.2:1/")
        with self.assertRaisesRegex(RuntimeError, "127.0.0.2 is no target"):
            self.exchange.run("feed", "test", "ncb-sg/live")
        point(receiver.url)
        receiver.keys = keys()
        self.exchange.run("feed", "test", "ncb-sg/live")
        eventually(lambda: len(receiver.messages) == 2, "a test and the first message")
        self.assertEqual(sorted(m["type"] for _, m in receiver.take()), ["feed.changed", "feed.test"])
        for n in range(1, 4):
            self.push(f"203.0.114.{n}")
            eventually(lambda: len(receiver.messages) == n, "a message of each change")
        self.assertEqual([entries(m) for m in receiver.take()], [(False, [f"203.0.114.{n}"], []) for n in range(1, 4)])

        receiver.stop()
        self.push("203.0.114.4")
        eventually(lambda: page()["failures"], "a failure")
        self.push("203.0.114.5")
        self.push("203.0.114.4", revoked=True)
        self.push("203.0.114.1", revoked=True)
        self.exchange.run("feed", "rotate", "ncb-sg/live")
        receiver.keys = keys()
        self.assertEqual(len(receiver.keys), 2)
        receiver.start()
        self.exchange.run("feed", "test", "ncb-sg/live")
        eventually(lambda: len(receiver.messages) == 2, "a test and the changes")
        self.assertEqual(entries(receiver.take()[1]), (False, ["203.0.114.5"], ["203.0.114.1"]))

        receiver.status = 410
        self.push("203.0.114.6")
        eventually(lambda: page()["dead"], "giving up")
        receiver.status = 204
        lost = receiver.take()
        self.push("203.0.114.7")
        with self.assertRaises(AssertionError):
            eventually(lambda: receiver.messages, "a message", 2)
        self.exchange.run("feed", "test", "ncb-sg/live")
        eventually(lambda: len(receiver.messages) == 2, "a test and the changes")
        _, changes = receiver.take()
        self.assertEqual(entries(changes), (False, ["203.0.114.6", "203.0.114.7"], []))
        self.assertNotEqual(changes[0], lost[0][0])

        self.exchange.run("account", "disable", "ncb-sg/firewall")
        eventually(lambda: receiver.messages, "the end")
        self.assertEqual([m["type"] for _, m in receiver.take()], ["feed.ended"])


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        CERTIFICATE = pathlib.Path(folder)
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=receiver",
             "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", CERTIFICATE / "key.pem", "-out", CERTIFICATE / "cert.pem"],
            check=True, capture_output=True)
        os.environ["SSL_CERT_FILE"] = str(CERTIFICATE / "cert.pem")  # comity trusts it
        unittest.main()
