"""Holds the files of feeds against the programs that read them.

COMITY in the environment is the path of the built command. What a filter would do to
this machine happens in a network namespace of its own."""

import base64
import collections
import functools
import hashlib
import io
import ipaddress
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import uuid
import zipfile

import requests
import yaml

import exchange
from daemons import Daemon, port, wait
from exchange import MEDIA_TYPE

NETWORKS = ["198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "198.18.0.0/15"]
LISTED, OTHER = "198.51.100.7", "198.51.100.8"


def run(*command, status=0, **options):
    """Runs a command, and returns all that it printed."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, **options)
    if done.returncode != status:
        raise AssertionError(f"{' '.join(map(str, command))}: {done.returncode}: {done.stdout}")
    return done.stdout


def any_of(type, values):
    return "[" + " OR ".join(f"{type} = '{v}'" for v in values) + "]"


class Case(unittest.TestCase):
    """An exchange with the feed b, for the account ncb-sg/firewall."""

    def setUp(self):
        self.exchange = exchange.Exchange()
        self.addCleanup(self.exchange.stop)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.exchange.run("account", "add", "ncb-sg/firewall", "--action", "block")
        self.token = self.exchange.run("token", "add", "ncb-sg/firewall").strip()
        self.add()

    def add(self, subdomains=False, may_be_empty=True):
        """Adds the feed, or replaces it."""
        file = self.folder / "b.toml"
        file.write_text(f"""format = "feed/1"
id = "b"
account = "ncb-sg/firewall"
use = "block"
collections = ["*"]
allow_reserved = {json.dumps(NETWORKS)}
[entries]
subdomains = {json.dumps(subdomains)}
may_be_empty = {json.dumps(may_be_empty)}
""")
        self.exchange.run("feed", "add", "--replace", str(file))

    def push(self, *patterns, **more):
        objects = [{
            "type": "indicator", "spec_version": "2.1", "id": f"indicator--{uuid.uuid4()}", "created": "2026-01-01T00:00:00.000Z",
            "modified": "2026-01-01T00:00:00.000Z", "pattern": pattern, "pattern_type": "stix",
            "valid_from": "2026-01-01T00:00:00Z", "valid_until": "2035-01-01T00:00:00Z", "confidence": 80, **more,
        } for pattern in patterns]
        answer = requests.post(f"{self.exchange.root}collections/charter-test.playbooks/objects/", json={"objects": objects},
                               auth=self.exchange.vendor, headers={"Content-Type": MEDIA_TYPE, "Accept": MEDIA_TYPE})
        self.assertEqual((answer.status_code, answer.json()["success_count"]), (202, len(objects)), answer.text)
        return objects

    def url(self, file, user=""):
        url = f"{self.exchange.root}x-feeds/b/{file}"
        return url.replace("://", f"://{user}@") if user else url

    def get(self, file):
        answer = requests.get(self.url(file), auth=("x", self.token))
        self.assertEqual(answer.status_code, 200, answer.text)
        return answer

    def save(self, file):
        path = self.folder / file
        path.write_bytes(self.get(file).content)
        return path

    def connect(self, product):
        """The settings of a product, as comity prints them, with other paths in the place of those of the system."""
        text = self.exchange.run("connect", "ncb-sg/firewall", "--client", product, "--url", self.exchange.url.removesuffix("/taxii2/"))
        for path in ("/etc/", "/var/lib/", "/var/log/", "/run/"):
            text = text.replace(path, f"{self.folder}{path}")
        return text

    def daemon(self, name, *command, **options):
        self.addCleanup(Daemon(self.folder, name, *command, **options).stop)


def listens(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


class Lists(Case):
    def test_curl_and_wget_get_a_list_once(self):
        self.push(any_of("ipv4-addr:value", ["203.0.113.9", LISTED, "198.51.100.0/30", LISTED]))
        self.get("ipv4.txt")  # the server knows the change now at the latest
        time.sleep(1.1)  # the second of the change is over
        credentials, name = ["-s", "-u", f"x:{self.token}"], self.folder / "ipv4.txt"
        curl = functools.partial(run, "curl", *credentials, "-f", cwd=self.folder)
        curl("-O", self.url("ipv4.txt"), "--etag-save", "tag")
        self.assertEqual(name.read_text(), f"198.51.100.0/30\n{LISTED}\n203.0.113.9\n")
        self.assertEqual(curl("-o", "none", "-w", "%{http_code}", self.url("ipv4.txt"), "--etag-compare", "tag"), "304")
        self.assertEqual(curl("-o", "none", "-w", "%{http_code}", self.url("ipv4.txt"), "-z", "ipv4.txt"), "304")
        for digest in ("md5", "sha256"):
            checksum = curl(self.url(f"ipv4.txt.{digest}")).strip()
            run(f"{digest}sum", "-c", input=f"{checksum}  ipv4.txt\n", cwd=self.folder)
        wget = functools.partial(run, "wget", "-N", "--user", "x", "--password", self.token, "--auth-no-challenge", cwd=self.folder / "w")
        (self.folder / "w").mkdir()
        wget(self.url("ipv4.txt"))
        self.assertIn("304 Not Modified", wget(self.url("ipv4.txt")))
        head, got = (requests.request(method, self.url("ipv4.txt"), auth=("x", self.token), headers={"Accept-Encoding": "identity"}) for method in ("HEAD", "GET"))
        self.assertEqual({k: v for k, v in head.headers.items() if k != "Date"}, {k: v for k, v in got.headers.items() if k != "Date"})

    def test_only_what_matches_alone_is_listed(self):
        """Of 200 patterns, those which one value makes match are listed, and the others are
        counted by reason."""
        listed, left_out = {}, {}
        for i in range(10):
            name, address, page, digest = f"h{i}.example.org", f"203.0.113.{i}", f"http://p{i}.example.org/", hashlib.sha256(bytes([i])).hexdigest()
            for pattern, values in (
                (f"[domain-name:value = '{name.upper()}.']", [name]),
                (f"[ipv4-addr:value = '{address}' OR domain-name:value = '{name}']", [address, name]),
                (f"[ipv4-addr:value IN ('{address}', '198.51.100.{i}')]", [address, f"198.51.100.{i}"]),
                (f"[ipv4-addr:value ISSUBSET '198.18.{i}.7/24']", [f"198.18.{i}.0/24"]),
                (f"[ipv6-addr:value = '2001:DB8:0::{i}']", [str(ipaddress.ip_address(f"2001:db8::{i}"))]),
                (f"[ipv6-addr:value = '::ffff:198.51.100.{100 + i}']", [f"198.51.100.{100 + i}"]),
                (f"[url:value = '{page}'] OR [url:value = '{page}a']", [page, page + "a"]),
                (f"[file:hashes.'SHA-256' = '{digest.upper()}']", [digest]),
                (f"[email-addr:value = 'x@{name}']", [f"x@{name}"]),
                (f"[autonomous-system:number = {64496 + i}]", [f"AS{64496 + i}"]),
            ):
                listed[pattern] = values
            for pattern, reason in (
                (f"[domain-name:value = 'and{i}.example.org' AND domain-name:value = 'other{i}.example.org']", "and"),
                (f"[url:value = 'http://and{i}.example.org/'] AND [ipv4-addr:value = '198.18.200.{i}']", "and"),
                (f"[ipv4-addr:value = '198.18.201.{i}'] FOLLOWEDBY [url:value = '{page}']", "followed-by"),
                (f"[ipv4-addr:value = '198.18.202.{i}'] WITHIN {i + 1} SECONDS", "qualifier"),
                (f"[ipv4-addr:value = '198.18.203.{i}'] REPEATS {i + 2} TIMES", "qualifier"),
                (f"[ipv4-addr:value NOT = '198.18.204.{i}']", "not"),
                (f"[domain-name:value LIKE '%.like{i}.example.org']", "operator"),
                (f"[url:value MATCHES '^http://m{i}']", "operator"),
                (f"[file:name = 'f{i}.exe']", "property"),
                (f"[ipv4-addr:value = '198.18.205.{300 + i}']", "bad-value"),
            ):
                left_out[pattern] = reason
        self.push(*listed, *left_out)
        self.assertEqual(len(listed) + len(left_out), 200)
        want = {v for values in listed.values() for v in values}
        self.assertEqual({e["value"] for e in self.get("all.json").json()["entries"]}, want)
        page = json.loads(self.exchange.run("--json", "feed", "show", "ncb-sg/b"))
        self.assertEqual(sum(page["entries"].values()), len(want))
        self.assertEqual(page["left_out"], collections.Counter(left_out.values()))

    def test_haproxy_takes_lists(self):
        self.push(any_of("ipv4-addr:value", [LISTED, "203.0.113.0/24"]), any_of("domain-name:value", ["bad.example.org"]))
        settings, script = self.connect("haproxy").split("\n\n")[:2]
        (self.folder / "etc/haproxy").mkdir(parents=True)
        reloads = "systemctl() { echo \"$@\"; }\n"
        self.get("ipv4.lst")
        time.sleep(1.1)  # the second of the change is over
        for printed in ("reload haproxy\n", ""):  # the second time there is no change
            self.assertEqual(run("bash", "-c", reloads + script, env=os.environ | {"TOKEN": self.token}), printed)
        config = self.folder / "haproxy.cfg"
        config.write_text(f"""frontend f
  mode http
  timeout client 1s
  bind 127.0.0.1:{port()}
{settings}
  acl none src -f {self.save("ipv6.lst")}
  acl host req.hdr(host) -f {self.save("domain.lst")}
  http-request deny if none or host
""")
        run("haproxy", "-c", "-f", config)

    def test_postfix_finds_addresses_of_a_list(self):
        self.push(any_of("ipv4-addr:value", [LISTED, "203.0.113.0/24"]), any_of("ipv6-addr:value", ["2001:db8::/64"]))
        settings, script = self.connect("postfix").split("\n\n")[:2]
        (self.folder / "etc/postfix").mkdir(parents=True)
        self.assertEqual(run("bash", "-c", "postfix() { echo \"$@\"; }\n" + script, env=os.environ | {"TOKEN": self.token}), "reload\n")
        table = settings.split()[-1]
        for address in (LISTED, "203.0.113.77", "2001:db8::1"):
            self.assertEqual(run("postmap", "-q", address, table), "REJECT\n")
        self.assertEqual(run("postmap", "-q", OTHER, table, status=1), "")


class Filters(Case):
    def test_nft_blocks_what_is_listed(self):
        empty = self.save("ipv4.nft").rename(self.folder / "empty.nft")
        self.push(any_of("ipv4-addr:value", [LISTED, "203.0.113.0/24", "203.0.113.9"]))
        self.save("ipv4.nft")
        self.save("ipv6.nft")
        script, rules = self.connect("nftables").split("\n\n")[:2]
        run("bash", "-c", f"nft() {{ :; }}\n{script}", env=os.environ | {"TOKEN": "wrong"}, status=22)
        self.blocks(f"nft -f {empty}\n{script}\n{script}\n{rules}")

    def blocks(self, script):
        """Runs a script in a network namespace of its own, where it blocks LISTED and not OTHER. It
        finds the files of the feed in the folder, since the server is in another namespace."""
        run("unshare", "-n", "bash", "-ec", f"""
curl() {{ cat "$(basename "${{@: -1}}")"; }}
ip link set lo up
ip addr add {LISTED} dev lo
ip addr add {OTHER} dev lo
python3 -m http.server --bind 0.0.0.0 80 >http.log 2>&1 &
trap "kill $!" EXIT
until command curl -s -o page http://{LISTED}/; do sleep 0.1; done
{script}
if command curl -s -m 2 -o page http://{LISTED}/; then exit 1; fi
command curl -s -m 10 -o page http://{OTHER}/
""", cwd=self.folder)

    def test_ipset_holds_as_many_as_it_can(self):
        addresses = [str(ipaddress.ip_address("198.18.0.0") + i) for i in range(70_000)]
        for i in range(0, len(addresses), 1000):  # the later ones are more certain
            self.push(any_of("ipv4-addr:value", addresses[i:i + 1000]), confidence=i // 1000)
        file, headers = self.save("ipv4.ipset"), self.get("ipv4.ipset").headers
        self.assertEqual((headers["X-Feed-Entries"], headers["X-Feed-Left-Out"]), ("65536", "limit=4464"))
        (pull,) = (p for p in json.loads(self.exchange.run("--json", "feed", "show", "ncb-sg/b"))["pulls"] if p["file"] == "ipv4.ipset")
        self.assertEqual(pull["left_out"], {"limit": 4464})
        run("unshare", "-n", "sh", "-ec", f"""
ipset -exist restore <{file}
ipset -exist restore <{file}
ipset list -t ipv4-b | grep -x 'Number of entries: 65536'
ipset test ipv4-b {addresses[5000]}
ipset test ipv4-b {addresses[-1]}
! ipset test ipv4-b {addresses[3999]}
""")

    def test_ipset_finds_what_is_listed(self):
        self.push(any_of("ipv4-addr:value", [LISTED, "203.0.113.0/24"]))
        self.save("ipv4.ipset")
        self.save("ipv6.ipset")
        script, rules = self.connect("ipset").split("\n\n")[:2]
        run("bash", "-c", f"ipset() {{ :; }}\n{script}", env=os.environ | {"TOKEN": "wrong"}, status=22)
        self.blocks(f"""{script}
{rules}
{script}
ipset test ipv4-b {LISTED}
ipset test ipv4-b 203.0.113.5
! ipset test ipv4-b {OTHER}""")


class Proxy(Case):
    def test_squid_denies_what_is_listed(self):
        self.add(subdomains=True)
        self.push(any_of("domain-name:value", ["bad.example.org", "www.bad.example.org"]),
                  any_of("ipv4-addr:value", [LISTED, "203.0.113.0/24", "203.0.113.7"]),
                  any_of("url:value", ["http://page.example.org/a?b=c|d"]))
        listen = port()
        config = self.folder / "squid.conf"
        (self.folder / "etc/squid").mkdir(parents=True)
        settings, script = self.connect("squid").split("\n\n")[:2]
        script = f"squid() {{ echo \"$@\"; }}\n{script}"
        self.assertEqual(run("bash", "-c", script, env=os.environ | {"TOKEN": self.token}), "-k reconfigure\n")
        config.write_text(f"""http_port 127.0.0.1:{listen}
pid_filename {self.folder}/squid.pid
cache_log {self.folder}/cache.log
access_log none
cache deny all
coredump_dir {self.folder}
{settings}
http_access allow all
""")
        self.folder.chmod(0o777)
        for path in self.folder.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        parsed = run("squid", "-k", "parse", "-f", config)
        self.assertNotRegex(parsed, "FATAL|WARNING|ERROR")
        self.daemon("squid", "squid", "-N", "-f", config, ready=lambda: listens(listen))
        for url, status in (("http://bad.example.org/", "403"), ("http://www.bad.example.org/", "403"), ("http://203.0.113.200/", "403"),
                            (f"http://{LISTED}/", "403"), ("http://page.example.org/a?b=c|d", "403"), (self.exchange.url, "401")):
            got = run("curl", "-s", "-g", "-m", "20", "-o", self.folder / "page", "-w", "%{http_code}", "-x", f"127.0.0.1:{listen}", "--noproxy", "", url)
            self.assertEqual(got, status, url)


class Withdrawal(Case):
    def test_nothing_of_a_withdrawn_party_is_left(self):
        (indicator,) = self.push(any_of("domain-name:value", ["withdrawn-value.example.org"]))
        self.push(any_of("ipv4-addr:value", [LISTED]))
        for file in ("domain.txt", "all.rules", "all.json"):
            self.assertIn("withdrawn-value", self.get(file).text)
        digest = hashlib.md5(b"withdrawn-value.example.org").hexdigest()
        self.assertIn(digest, self.get("misp/hashes.csv").text)
        self.assertIn("ncb-sg/firewall", self.exchange.run("recall", "preview", indicator["id"]))
        self.exchange.run("agreement", "withdraw", "charter-test", "--party", "unit42", "--reason", "notice", "--yes")
        (notice,) = (e for e in json.loads(self.exchange.run("--json", "audit", "list")) if e["act"] == "notice")
        self.assertEqual(notice["org"], "ncb-sg")
        self.assertIn({"id": indicator["id"]}, notice["subjects"])
        for file in ("domain.txt", "all.rules", "all.json"):
            self.assertNotIn("withdrawn-value", self.get(file).text)
        for event in self.get("misp/manifest.json").json():
            self.assertEqual(self.get(f"misp/{event}.json").json()["Event"]["Attribute"], [])
        self.exchange.server.stop()
        self.exchange.run("compact")
        for path in filter(pathlib.Path.is_file, self.exchange.data.rglob("*")):
            content = path.read_bytes()
            for left in (b"withdrawn-value", digest.encode()):
                self.assertNotIn(left, content, path)


class Scanners(Case):
    def test_freshclam_gets_each_version(self):
        database = self.folder / "db"
        database.mkdir()
        config = self.folder / "freshclam.conf"
        settings = self.connect("clamav").split("\n\n")[0].replace("TOKEN@", f"{self.token}@")
        config.write_text(f"DatabaseDirectory {database}\nDatabaseOwner root\nDatabaseMirror 127.0.0.1\n{settings}\n")
        fresh = functools.partial(run, "freshclam", f"--config-file={config}", "--update-db=custom")
        clean = self.folder / "clean"
        clean.write_bytes(b"clean")
        fresh()
        run("clamscan", "-d", database, clean)
        for content in (b"first" * 20, b"second" * 20, b"third" * 20):  # some in the second of the last download
            bad = self.folder / "bad"
            bad.write_bytes(content)
            self.push(any_of("file:hashes.'SHA-256'", [hashlib.sha256(content).hexdigest()]))
            fresh()
            time.sleep(1)
            fresh()
            self.assertIn("FOUND", run("clamscan", "-d", database, bad, status=1))

    def test_yara_and_clamav_take_the_good_rules(self):
        rule = 'rule {0} {{ strings: $a = "{1}" condition: $a }}'
        self.push(rule.format("good", "needle"), rule.format("good", "twin"), "rule broken { condition: ", 'include "/etc/passwd"\n' + rule.format("reads", "x"),
                  "global private rule silent { condition: false }", rule.format("other", "thread"), pattern_type="yara")
        script, scan = self.connect("yara").split("\n\n")[:2]
        run("bash", "-c", script, env=os.environ | {"TOKEN": self.token})
        rules, folder = self.folder / "var/lib/comity/b.yar", self.folder / "scanned"
        folder.mkdir()
        target = folder / "target"
        target.write_text("a needle and a thread")
        self.assertEqual(set(run("bash", "-c", scan.replace("FOLDER", str(folder))).split()), {"good", "other", str(target)})
        self.assertIn("FOUND", run("clamscan", "-d", rules, target, status=1))
        import yara_x
        self.assertEqual({m.identifier for m in yara_x.compile(rules.read_text()).scan(target.read_bytes()).matching_rules}, {"good", "other"})
        self.assertEqual(len(zipfile.ZipFile(io.BytesIO(self.get("yara.yar.zip").content)).namelist()), 2)

    def test_sigma_takes_the_good_rules(self):
        good = """title: A tool of thieves
id: 7d7b5e3c-7f1a-4b52-9e3c-1c3d5e1f2a10
status: test
level: high
logsource: {category: process_creation, product: windows}
detection:
  selection: {Image|endswith: '\\\\thief.exe'}
  condition: selection
"""
        self.push(good, "title: [", "title: no detection", pattern_type="sigma")
        script, convert = self.connect("sigma").split("\n\n")[:2]
        run("bash", "-c", script, env=os.environ | {"TOKEN": self.token})
        programs = pathlib.Path(sys.executable).parent
        checked = run(programs / "sigma", "check", self.folder / "var/lib/comity/b.sigma")
        self.assertIn("Found 0 errors, 0 condition errors", checked)
        self.assertIn("thief.exe", run("bash", "-c", convert, env=os.environ | {"PATH": f"{programs}:{os.environ['PATH']}"}))


class MISP(Case):
    def test_pymisp_loads_events_and_what_left_them(self):
        import pymisp

        def load():
            """Loads the feed as MISP does, and returns its events by date."""
            manifest, events = self.get("misp/manifest.json").json(), {}
            for number, summary in manifest.items():
                event = pymisp.MISPEvent()
                event.load(self.get(f"misp/{number}.json").text)
                self.assertEqual((event.uuid, event.timestamp.timestamp(), event.Orgc.uuid), (number, int(summary["timestamp"]), summary["Orgc"]["uuid"]))
                events[str(event.date)] = event
            return events

        def attributes(event, deleted=False):
            return {a.uuid: a for a in event.attributes if a.deleted == deleted}

        self.push(any_of("domain-name:value", ["bad.example.org"]), valid_from="2026-01-02T00:00:00Z")
        (indicator,) = self.push(any_of("ipv4-addr:value", [LISTED, OTHER]), valid_from="2026-01-03T00:00:00Z")
        before = load()
        self.assertEqual(sorted(before), ["2026-01-02", "2026-01-03"])
        self.assertEqual([(a.type, a.value, a.to_ids) for a in before["2026-01-02"].attributes], [("domain", "bad.example.org", True)])
        hashes = dict(line.split(",") for line in self.get("misp/hashes.csv").text.split())
        for event in before.values():
            for value in (a.value for a in event.attributes):
                self.assertEqual(hashes[hashlib.md5(value.encode()).hexdigest()], event.uuid)

        time.sleep(1.1)  # the second of the change is over
        self.push(any_of("ipv4-addr:value", [OTHER]), valid_from="2026-01-03T00:00:00Z", id=indicator["id"], modified="2026-01-04T00:00:00.000Z")
        after = load()
        self.assertEqual(after["2026-01-02"].timestamp, before["2026-01-02"].timestamp)
        self.assertGreater(after["2026-01-03"].timestamp, before["2026-01-03"].timestamp)
        self.assertEqual({a.value for a in attributes(after["2026-01-03"]).values()}, {OTHER})
        ((gone, removed),) = attributes(after["2026-01-03"], deleted=True).items()
        self.assertEqual(attributes(before["2026-01-03"])[gone].value, LISTED)
        self.assertNotIn(LISTED, removed.to_json())


class Network(Case):
    """suricata-update with the source that comity prints."""

    def setUp(self):
        super().setUp()
        self.state, self.out = self.folder / "state", self.folder / "out"

    def suricata(self, script):
        """Runs commands of suricata-update in folders of their own. It asks for a checksum if
        what it has is older than a quarter of an hour, as it is here."""
        for path in (self.state / "update/cache").glob("*"):
            os.utime(path, (0, 0))
        return run("bash", "-ec", f"""suricata-update() {{
            local options=(--no-test --no-reload --suricata-version 7.0.0 -v -o {self.out})
            if [ "${{1-}}" = add-source ]; then options=(); else set -- update; fi
            command suricata-update "$@" -D {self.state} "${{options[@]}}"
        }}
        {script}""", env=os.environ | {"TOKEN": self.token})

    def rules(self):
        """The numbers and revisions of the rules, by their messages."""
        return {m: (int(sid), int(rev)) for m, sid, rev in re.findall(r'msg:"(b [^"]+)".*?sid:(\d+); rev:(\d+);', (self.out / "suricata.rules").read_text())}

    def test_suricata_update_takes_changes(self):
        (domain,) = self.push(any_of("domain-name:value", ["bad.example.org"]))
        (address,) = self.push(any_of("ipv4-addr:value", [LISTED]))
        self.suricata(self.connect("suricata"))
        first = self.rules()
        self.assertEqual(set(first), {"b domain bad.example.org", f"b ipv4 {LISTED}"})
        import idstools.rule
        from suricataparser import parse_rules
        text = self.save("all.rules").read_text()
        for numbers in ({r.sid for r in parse_rules(text)}, {r.sid for r in idstools.rule.parse_fileobj(io.StringIO(text))}):
            self.assertEqual(numbers, {sid for sid, _ in first.values()})
        self.assertIn("has not changed", self.suricata("suricata-update"))

        self.push(any_of("ipv4-addr:value", [OTHER]))
        self.push(any_of("domain-name:value", ["bad.example.org"]), id=domain["id"], modified="2026-01-02T00:00:00.000Z")
        self.suricata("suricata-update")
        second = self.rules()
        self.assertEqual(second[f"b ipv4 {LISTED}"], first[f"b ipv4 {LISTED}"], "a rule stays as it is")
        (sid, rev), (sid_before, rev_before) = (rules["b domain bad.example.org"] for rules in (second, first))
        self.assertEqual(sid, sid_before)
        self.assertGreater(rev, rev_before)

        self.add(may_be_empty=False)
        for known in requests.get(f"{self.exchange.root}collections/charter-test.playbooks/objects/?match[type]=indicator", auth=self.exchange.bureau, headers={"Accept": MEDIA_TYPE}).json()["objects"]:
            self.push(known["pattern"], id=known["id"], modified="2026-01-03T00:00:00.000Z", revoked=True)
        self.assertEqual(requests.get(self.url("all.rules"), auth=("x", self.token)).status_code, 503)
        self.suricata("suricata-update")
        self.assertEqual(self.rules(), second)

    def test_suricata_update_takes_data_sets(self):
        self.push(any_of("domain-name:value", ["bad.example.org"]), any_of("ipv4-addr:value", [LISTED]))
        self.suricata(self.connect("suricata").replace("all.rules", "all.tar.gz"))
        rules = (self.out / "suricata.rules").read_text()
        self.assertIn(LISTED, rules)
        (loaded,) = re.findall(r"load (\S+?);", rules)[:1]
        self.assertEqual(base64.b64decode((self.out / loaded).read_text()), b"bad.example.org")


class Logs(Case):
    def test_rsyslog_marks_what_is_listed(self):
        settings, script = self.connect("rsyslog").split("\n\n")[:2]
        for folder in ("run", "var/log"):
            (self.folder / folder).mkdir(parents=True)
        pid, marked = self.folder / "run/rsyslogd.pid", self.folder / "var/log/comity-b.log"
        fetch = functools.partial(run, "bash", "-c", script, env=os.environ | {"TOKEN": self.token})
        fetch(status=1)  # there is nobody to tell yet
        heard = port()
        config = self.folder / "rsyslog.conf"
        config.write_text(f'module(load="imudp")\ninput(type="imudp" address="127.0.0.1" port="{heard}")\n{settings}\n')
        self.assertNotIn("rror", run("rsyslogd", "-N1", "-f", config))

        def log(address):
            with socket.socket(type=socket.SOCK_DGRAM) as s:
                s.sendto(f"<13>Nov 30 12:00:00 host ssh: login from {address} failed".encode(), ("127.0.0.1", heard))

        def lines():
            return marked.read_text().splitlines() if marked.exists() else []

        def tells(address, number):
            log(address)
            return any(number in line and address in line for line in lines())

        self.daemon("rsyslogd", "rsyslogd", "-n", "-f", config, "-i", pid, ready=pid.exists)
        log(LISTED)  # the table is empty
        for address in (LISTED, "198.51.100.9"):
            (indicator,) = self.push(any_of("ipv4-addr:value", [address, "203.0.113.0/24"]))
            self.get("all.lookup.json")
            time.sleep(2.1)  # curl compares whole seconds
            fetch()
            wait(lines, 60, lambda: tells(address, indicator["id"]))
            log(OTHER)
        self.assertFalse([line for line in lines() if OTHER in line])


class Mail(Case):
    def test_rspamd_finds_a_sender_on_a_map(self):
        self.push(any_of("domain-name:value", ["bad.example.org"]), any_of("ipv4-addr:value", [LISTED]))
        local, normal, controller = self.folder / "local.d", port(), port()
        local.mkdir()
        for name, text in {
            "multimap.conf": self.connect("rspamd").replace("TOKEN@", f"{self.token}@"),
            "options.inc": "map_watch_interval = 2s;\ndns { nameserver = [\"127.0.0.1:9\"]; timeout = 0.1s; retransmits = 1; }",
            "worker-normal.inc": f'bind_socket = "127.0.0.1:{normal}";\ncount = 1;',
            "worker-controller.inc": f'bind_socket = "127.0.0.1:{controller}";\nsecure_ip = "127.0.0.1";',
            "worker-proxy.inc": "enabled = false;", "worker-fuzzy.inc": "enabled = false;",
            "logging.inc": 'type = "console";',
        }.items():
            (local / name).write_text(text)
        self.daemon("rspamd", "rspamd", "-f", "--insecure", "-u", "root", "-g", "root",
                    *(f"--var={name}={self.folder}" for name in ("LOCAL_CONFDIR", "DBDIR", "RUNDIR", "LOGDIR")), ready=lambda: listens(normal))
        mail = "From: x@bad.example.org\nTo: y@example.org\nSubject: z\n\nz\n"

        def symbols():
            return run("rspamc", "-h", f"127.0.0.1:{normal}", "--ip", LISTED, "--from", "x@bad.example.org", "symbols", input=mail)

        wait(symbols, 60, lambda: re.search("COMITY_FROM", symbols()) and re.search("COMITY_IP", symbols()))

        def pulls():
            return json.loads(self.exchange.run("--json", "feed", "show", "ncb-sg/b")).get("pulls", [])

        wait(pulls, 60, lambda: {p["status"] for p in pulls()} == {304})

        def heads():
            return {file for line in self.exchange.server.log for file in ("domain.txt", "ipv4.txt") if f"file={file}" in line and "method=HEAD" in line and "status=304" in line}

        wait(lambda: list(self.exchange.server.log)[-20:], 60, lambda: len(heads()) == 2)


class IntelMQ(Case):
    def test_intelmq_makes_an_event_of_each_entry(self):
        self.push(any_of("domain-name:value", ["bad.example.org"]), any_of("ipv4-addr:value", [LISTED]), any_of("url:value", ["http://page.example.org/ü"]))
        os.environ["INTELMQ_ROOT_DIR"] = str(self.folder)
        from intelmq.bots.parsers.generic.parser_csv import GenericCsvParserBot
        from intelmq.bots.parsers.json.parser import JSONParserBot
        from intelmq.lib.bot import BotLibSettings
        for file, parser, settings in (
            ("all.jsonl", JSONParserBot, {"splitlines": True}),
            ("domain.csv", GenericCsvParserBot, {
                "skip_header": True, "columns": ["__IGNORE__", "source.fqdn", "__IGNORE__", "__IGNORE__", "__IGNORE__", "__IGNORE__", "__IGNORE__", "extra.indicators", "__IGNORE__"],
                "type": "malware"}),
        ):
            report = {"__type": "Report", "raw": base64.b64encode(self.get(file).content).decode(), "feed.url": self.url(file)}
            events = parser("parser", settings=BotLibSettings | settings).process_message(report)["output"]
            found = {e.get("source.ip") or e.get("source.url") or e.get("source.fqdn") for e in events}
            self.assertEqual(found, {"bad.example.org"} if "csv" in file else {"bad.example.org", LISTED, "http://page.example.org/%C3%BC"})


    def test_intelmq_collects_and_writes_each_entry(self):
        """A collector, a parser and an output of IntelMQ, with redis between them."""
        self.push(any_of("domain-name:value", ["bad.example.org"]), any_of("ipv4-addr:value", [LISTED]))
        broker, root = port(), self.folder / "intelmq"
        self.daemon("redis", "redis-server", "--port", str(broker), "--bind", "127.0.0.1", "--save", "", ready=lambda: listens(broker))
        found = root / "found.jsonl"
        for folder in ("etc", "var/log", "var/run", "var/lib/bots"):
            (root / folder).mkdir(parents=True)
        import intelmq
        harmonization = pathlib.Path(intelmq.__file__).parent / "etc/harmonization.conf"
        (root / "etc/harmonization.conf").write_bytes(harmonization.read_bytes())
        queues = {"source_pipeline_host": "127.0.0.1", "source_pipeline_port": broker, "destination_pipeline_host": "127.0.0.1", "destination_pipeline_port": broker}

        bots = yaml.safe_load(self.connect("intelmq").replace("TOKEN", self.token).replace("deduplicator-expert-queue", "output-queue"))
        for settings in bots.values():
            settings["parameters"] |= queues
        bots["output"] = {"bot_id": "output", "name": "output", "group": "Output", "module": "intelmq.bots.outputs.file.output", "enabled": True,
                          "run_mode": "continuous", "parameters": queues | {"file": str(found), "hierarchical_output": False}}
        (root / "etc/runtime.yaml").write_text(json.dumps({"global": {}} | bots))
        for name, settings in bots.items():  # which refuse to run as root
            self.daemon(name, "unshare", "--user", "--map-user=1000", "--map-group=1000", pathlib.Path(sys.executable).parent / settings["module"], name,
                        cwd=root, env=os.environ | {"INTELMQ_ROOT_DIR": str(root)})

        def events():
            return [json.loads(line) for line in found.read_text().splitlines()] if found.exists() else []

        wait(lambda: "".join(p.read_text() for p in (root / "var/log").glob("*.log")), 60, lambda: len(events()) == 2)
        self.assertEqual({(e.get("source.ip") or e["source.fqdn"], e["feed.code"]) for e in events()}, {(LISTED, "b"), ("bad.example.org", "b")})


if __name__ == "__main__":
    unittest.main()
