"""Sends pushes that the server refuses, of several sizes, with clients that parties use
and through proxies that centres use, among them those that comity help proxies shows.
Each client has to get the whole answer, however much of the push the server has read.

COMITY in the environment is the path of the built command. nginx, haproxy, caddy, curl,
node, openssl and Python's requests have to be installed."""

import contextlib
import json
import os
import pathlib
import re
import socket
import ssl
import subprocess
import sys
import tempfile
import textwrap
import time
import unittest
import urllib.error
import urllib.request

import requests

import exchange
from daemons import port
from exchange import MEDIA_TYPE

SIZES = [20_000, 1_000_000, 20_000_000]

# An agreement like the charter that allows pushes of at most 10 kB.
SMALL = exchange.CHARTER.read_text().replace('"charter-test"', '"charter-small"').replace('"playbooks"', '"small"').replace(
    "{ playbooks =", "{ small =").replace("[term]", """[[article]]
n = "5"
heading = "Volume"
binding = true
text = "A push has at most 10,000 bytes."

[quota]
article = "5"
bytes_per_push = 10000

[term]""", 1)

NGINX = """daemon off;
{user}
pid {dir}/nginx.pid;
error_log {dir}/nginx-error.log;
events {{}}
http {{
	access_log off;
	client_max_body_size 0;
	client_body_temp_path {dir}/body;
	proxy_temp_path {dir}/proxy;
	fastcgi_temp_path {dir}/fastcgi;
	scgi_temp_path {dir}/scgi;
	uwsgi_temp_path {dir}/uwsgi;
	server {{ # with nginx's default, which reads the whole push first
		listen {http10};
		location / {{ proxy_pass http://comity; proxy_http_version 1.0; proxy_set_header Connection close; }}
	}}
	server {{
		listen {keepalive};
		location / {{ proxy_pass http://comity; proxy_http_version 1.1; proxy_set_header Connection ""; }}
	}}
{page}
}}
"""

HAPROXY = """defaults
	mode http
	timeout connect 10s
	timeout client 60s
	timeout server 60s
listen proxied
	bind {send_proxy}
	server comity {proxied} send-proxy
listen passed
	mode tcp
	bind {passed_on}
	server comity {proxied_tls} send-proxy-v2
{page}
"""

CADDY = """{{
	admin off
	auto_https disable_redirects
	storage file_system {dir}
}}
{page}
"""


def page(proxy, **replaced):
    """The configuration of a proxy that comity help proxies shows, with some of its text
    replaced."""
    text = subprocess.run([exchange.COMITY, "help", "proxies"], capture_output=True, text=True, check=True).stdout
    block = textwrap.dedent(re.search(rf"(?m)^{proxy}\b.*:\n\n((?:    .*\n)+)", text)[1])
    for old, new in replaced.items():
        if old not in block:
            raise RuntimeError(f"{old} is not among what comity help proxies shows for {proxy}")
        block = block.replace(old, new)
    return block


# A program for Node's two HTTP clients. It reads requests from stdin and writes answers
# to stdout, one on each line.
NODE = """
const http = require("http"), https = require("https");
const bodies = {};
const body = n => bodies[n] ??= Buffer.from(JSON.stringify({padding: "a".repeat(n)}));
const old = r => new Promise((resolve, reject) => {
	const q = (r.url.startsWith("https") ? https : http).request(r.url, {method: "POST", headers: r.headers}, a => {
		let text = "";
		a.on("data", d => text += d).on("end", () => resolve([a.statusCode, text])).on("error", reject);
	});
	q.on("error", reject).end(body(r.size));
});
const modern = async r => {
	const a = await fetch(r.url, {method: "POST", headers: r.headers, body: body(r.size)});
	return [a.status, await a.text()];
};
(async () => {
	for await (const line of require("readline").createInterface({input: process.stdin})) {
		const r = JSON.parse(line);
		try {
			console.log(JSON.stringify(await (r.client == "fetch" ? modern(r) : old(r))));
		} catch (e) {
			console.log(JSON.stringify([0, String(e) + " " + String(e.cause ?? "")]));
		}
	}
})();
"""


PAGE = ("nginx", "haproxy", "caddy")  # those of comity help proxies


def body(size):
    return json.dumps({"padding": "a" * size}).encode()


class Curl:
    def __init__(self, ca):
        self.ca = ca

    def post(self, url, headers, size):
        args = ["curl", "-sS", "--cacert", self.ca, "-m", "120", "--data-binary", "@-", "-w", "\\n%{http_code}", url]
        for name, value in headers.items():
            args += ["-H", f"{name}: {value}"]
        done = subprocess.run(args, input=body(size), capture_output=True)
        if done.returncode:
            raise RuntimeError(done.stderr.decode())
        text, _, status = done.stdout.decode().rpartition("\n")
        return int(status), text


class Urllib:
    def __init__(self, ca):
        self.context = ssl.create_default_context(cafile=ca)

    def post(self, url, headers, size):
        request = urllib.request.Request(url, body(size), headers)
        try:
            with urllib.request.urlopen(request, timeout=120, context=self.context) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read().decode()


class Requests:
    def __init__(self, ca):
        self.session, self.ca = requests.Session(), ca

    def post(self, url, headers, size):
        answer = self.session.post(url, data=body(size), headers=headers, verify=self.ca, timeout=120)
        return answer.status_code, answer.text


class Node:
    def __init__(self, client, process):
        self.client, self.process = client, process

    def post(self, url, headers, size):
        print(json.dumps({"client": self.client, "url": url, "headers": headers, "size": size}), file=self.process.stdin, flush=True)
        status, text = json.loads(self.process.stdout.readline())
        if not status:
            raise RuntimeError(text)
        return status, text


class Refusals(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.exchange = exchange.Exchange("--trusted-proxy", "127.0.0.1/32", agreements=[SMALL])
        cls.addClassCleanup(cls.exchange.stop)
        cls.secure = exchange.Exchange("--tls-self-signed", agreements=[SMALL])
        cls.addClassCleanup(cls.secure.stop)
        proxied = ("--proxy-protocol", "--trusted-proxy", "127.0.0.0/8")
        cls.proxied = exchange.Exchange(*proxied, agreements=[SMALL])
        cls.addClassCleanup(cls.proxied.stop)
        cls.proxied_tls = exchange.Exchange(*proxied, "--tls-self-signed", agreements=[SMALL])
        cls.addClassCleanup(cls.proxied_tls.stop)
        address = lambda e: e.url.split("/")[2]
        comity = {"comity": address(cls.exchange), "proxied": address(cls.proxied), "proxied_tls": address(cls.proxied_tls)}
        cls.fronts = {name: f"127.0.0.1:{port()}" for name in ("http10", "keepalive", "send_proxy", "passed_on", *PAGE)}
        folder = tempfile.TemporaryDirectory()
        user = "" if os.getuid() else "user root;"  # the folder is readable by its owner only
        cls.addClassCleanup(folder.cleanup)
        cert, key = (pathlib.Path(folder.name, "front.pem" + suffix) for suffix in ("", ".key"))  # as HAProxy finds them
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=front",
                        "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert], check=True, capture_output=True)
        server = {"127.0.0.1:8080": comity["comity"]}
        pages = {
            "nginx": page("nginx", **server, **{
                "listen 443 ssl": f"listen {cls.fronts['nginx']} ssl", "/etc/ssl/taxii.example.int.pem": str(cert),
                "/etc/ssl/private/taxii.example.int.key": str(key)}),
            "haproxy": page("HAProxy", **server, **{":443 ssl": cls.fronts["haproxy"] + " ssl", "/etc/haproxy/taxii.example.int.pem": str(cert)}),
            "caddy": page("Caddy", **server, **{"taxii.example.int {": f"https://{cls.fronts['caddy']} {{\n\ttls {cert} {key}"}),
        }
        for name, text, command in (
                ("nginx", NGINX, ["nginx", "-e", "stderr", "-c"]), ("haproxy", HAPROXY, ["haproxy", "-db", "-f"]),
                ("caddy", CADDY, ["caddy", "run", "--adapter", "caddyfile", "--config"])):
            conf = pathlib.Path(folder.name, name + ".conf")
            conf.write_text(text.format(dir=folder.name, user=user, page=pages[name], **comity, **cls.fronts))
            cls.start([*command, str(conf)])
        ca = pathlib.Path(folder.name, "ca.pem")
        ca.write_text(cert.read_text() + "".join((e.data / "tls" / "ca.pem").read_text() for e in (cls.secure, cls.proxied_tls)))
        ca = str(ca)
        node = cls.start(["node", "-e", NODE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "NODE_EXTRA_CA_CERTS": ca})
        cls.clients = {
            "curl": Curl(ca), "urllib": Urllib(ca), "requests": Requests(ca), "node http": Node("http", node), "node fetch": Node("fetch", node)}
        for address in cls.fronts.values():
            cls.wait(address)
        cls.roots = {name: f"http://{address}/igci/" for name, address in cls.fronts.items()}
        for name in ("passed_on", *PAGE):
            cls.roots[name] = cls.roots[name].replace("http:", "https:")
        cls.ca = ca
        cls.exchanges = {"none, TLS": cls.secure, "send_proxy": cls.proxied, "passed_on": cls.proxied_tls}
        cls.roots["none"] = cls.exchange.root
        cls.roots["none, TLS"] = cls.secure.root

    @classmethod
    def start(cls, command, **options):
        process = subprocess.Popen(command, text=True, **options)

        def stop():
            process.terminate()
            process.wait(30)
            for pipe in filter(None, (process.stdin, process.stdout)):
                pipe.close()
        cls.addClassCleanup(stop)
        return process

    @staticmethod
    def wait(address):
        host, port = address.split(":")
        for _ in range(100):
            with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 1):
                return
            time.sleep(0.1)
        raise RuntimeError(f"nobody listens on {address}")

    def refused(self, status, collection="charter-test.playbooks", account="vendor", **changes):
        """Tests that every client gets the whole refusal, a TAXII error of this status."""
        began, answers = time.monotonic(), 0
        for front, root in self.roots.items():
            of = self.exchanges.get(front, self.exchange)
            headers = {"Accept": MEDIA_TYPE, "Content-Type": MEDIA_TYPE, **{k.replace("_", "-"): v for k, v in changes.items()}}
            if account:
                name, secret = getattr(of, account)
                headers["Authorization"] = requests.auth._basic_auth_str(name, secret)
            for size in SIZES:
                for client, c in self.clients.items():
                    with self.subTest(front=front, size=size, client=client):
                        got, text = c.post(f"{root}collections/{collection}/objects/", headers, size)
                        self.assertEqual(got, status, text[:500])
                        self.assertEqual(json.loads(text)["http_status"], str(status))
                        answers += 1
        print(f"\n{answers} answers {status} in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)

    def test_events_arrive_at_once(self):
        """A stream of events through a proxy tells an object within seconds, and the proxy
        leaves it open."""
        for n, front in enumerate(PAGE):
            with self.subTest(front=front):
                objects = self.roots[front] + "collections/charter-test.playbooks/"
                with requests.get(objects + "x-stream/", auth=self.exchange.bureau, verify=self.ca, stream=True, timeout=10) as stream:
                    indicator = {
                        "type": "indicator", "spec_version": "2.1", "id": f"indicator--{n:08}-0000-4000-8000-000000000000",
                        "created": "2026-01-01T00:00:00.000Z", "modified": "2026-01-01T00:00:00.000Z", "valid_from": "2026-01-01T00:00:00Z",
                        "pattern": "[ipv4-addr:value = '198.51.100.3']", "pattern_type": "stix"}
                    pushed = requests.post(objects + "objects/", auth=self.exchange.vendor, verify=self.ca, json={"objects": [indicator]},
                                           headers={"Content-Type": MEDIA_TYPE})
                    self.assertEqual(pushed.json()["success_count"], 1, pushed.text)
                    self.assertTrue(any(indicator["id"] in line for line in stream.iter_lines(decode_unicode=True)))

    def test_401_without_credentials(self):
        self.refused(401, account=None)

    def test_403_as_a_reader(self):
        self.refused(403, account="bureau")

    def test_404_of_a_collection(self):
        self.refused(404, collection="91a7b528-80eb-42ed-a74d-c6fbd5a26116")

    def test_406_of_what_is_accepted(self):
        self.refused(406, Accept="application/vnd.oasis.taxii+json;version=2.0")

    def test_413_of_a_large_push(self):
        self.refused(413, collection="charter-small.small")

    def test_415_of_what_is_sent(self):
        self.refused(415, Content_Type="text/plain")

    def test_422_of_what_is_no_envelope(self):
        self.refused(422)


if __name__ == "__main__":
    unittest.main()
