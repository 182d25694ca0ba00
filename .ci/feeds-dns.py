"""Holds the zones of feeds against the servers that read them: BIND, Unbound, PowerDNS
Recursor, NSD and Knot, each on ports of 127.0.0.1.

COMITY in the environment is the path of the built command. A resolver asks an
authoritative server, in which all names below example.org have an address. So a name
that it does not resolve is one that the feed blocks."""

import contextlib
import json
import os
import pathlib
import random
import re
import subprocess
import tempfile
import time
import unittest
import uuid

from daemons import Daemon, port, wait
from exchange import CHARTER, COMITY

ALIAS = "charter-test.playbooks"
ZONE = "soc.ncb-sg.rpz.igci"


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)


def indicator(pattern, n=None, modified=0, **more):
    at = f"2026-01-01T00:00:{modified:02d}.000Z"
    return {
        "type": "indicator", "spec_version": "2.1", "id": f"indicator--{n or uuid.uuid4()}", "created": "2026-01-01T00:00:00.000Z",
        "modified": at, "pattern": pattern, "pattern_type": "stix", "valid_from": "2026-01-01T00:00:00Z", "valid_until": "2035-01-01T00:00:00Z", **more,
    }


def domain(name):
    return f"[domain-name:value = '{name}']"


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.data = self.folder / "data"
        self.dns, self.at = port(), port()
        self.flags = ["--listen", "127.0.0.1:0", "--dns-listen", f"127.0.0.1:{self.dns}"]
        self.comity("init", "--centre", "igci", "--name", "Centre", "--country", "SG")
        self.comity("org", "add", "unit42", "--kind", "private-vendor", "--name", "Unit 42", "--country", "US")
        self.comity("org", "add", "ncb-sg", "--kind", "national-bureau", "--name", "Bureau", "--country", "SG")
        charter = self.write("charter.toml", CHARTER.read_text() + '[feeds]\narticle = "3"\nurl_credentials = true\n')
        self.comity("agreement", "load", charter, "--waive-signatures", "test")
        self.comity("account", "add", "unit42/feed")
        self.comity("account", "add", "ncb-sg/dns", "--action", "block")
        self.token = self.comity("token", "add", "ncb-sg/dns").strip()

    def comity(self, *args):
        done = run(COMITY, "--data", str(self.data), *args)
        if done.returncode:
            raise AssertionError(f"comity {' '.join(args)}: {done.stderr}")
        return done.stdout

    def feed(self, *notify, more="", refresh=300):
        """Adds the feed, or replaces it, and reads its key."""
        file = self.folder / "feed.toml"
        file.write_text(
            'format = "feed/1"\nid = "soc"\naccount = "ncb-sg/dns"\nuse = "block"\ncollections = ["*"]\n[entries]\nmay_be_empty = true\n'
            f"{more}\n[rpz]\nrefresh = {refresh}\nnotify = {json.dumps([f'127.0.0.1:{p}' for p in notify])}\n")
        self.comity("feed", "add", "--replace", str(file))
        self.key = json.loads(self.comity("--json", "feed", "show", "ncb-sg/soc", "--secrets"))[0]
        self.name = self.key["name"].rstrip(".")

    def serve(self):
        self.server = Daemon(self.folder, "comity", COMITY, "--data", str(self.data), "serve", *self.flags, ready="listening on")
        self.addCleanup(self.server.stop)
        self.url = re.search(r"serving (\S+)/taxii2/", self.server.log.read_text())[1]

    def push(self, *objects):
        file = self.folder / "push.json"
        file.write_text(json.dumps({"type": "bundle", "id": f"bundle--{uuid.uuid4()}", "objects": objects}))
        self.comity("import", "--collection", ALIAS, "--as", "unit42/feed", str(file))

    def sent(self, kind):
        """The number of transfers of a kind that the server has sent. It logs one when the
        client has it, and perhaps has enforced it."""
        time.sleep(0.5)
        return self.server.log.read_text().count(f"sent={kind}")

    def daemon(self, name, *command, **options):
        self.addCleanup(Daemon(self.folder, name, *command, **options).stop)

    def connect(self, product):
        """The settings of a product, as comity prints them, with the folder of this test in the
        place of one of the system."""
        text = self.comity("connect", "ncb-sg/dns", "--client", product, "--url", self.url, "--dns", f"127.0.0.1:{self.dns}")
        return re.sub(r"/var/lib/(unbound|comity)\b", str(self.folder), text).split("\n\n")

    def write(self, name, text):
        (self.folder / name).write_text(text)
        return str(self.folder / name)

    def upstream(self):
        """An authoritative server, and its port."""
        at = port()
        zone = self.write("example.zone", "$TTL 1\n@ SOA localhost. root.localhost. 1 60 60 60 1\n@ NS localhost.\n* A 192.0.2.1\nlisted-address A 203.0.114.77\n")
        conf = self.write("upstream.conf", f"""
            options {{ directory "{self.folder}"; listen-on port {at} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; recursion no; pid-file none; session-keyfile "{self.folder}/u.key"; }};
            controls {{ }};
            zone "example.org" {{ type primary; file "{zone}"; }};
        """)
        self.daemon("upstream", "named", "-g", "-c", conf, ready="running")
        return at

    def named(self, *, secure=None):
        """BIND as a resolver that enforces the zone with the settings that comity prints, at
        self.at. secure is the port for transfers over TLS."""
        settings = self.comity("connect", "ncb-sg/dns", "--client", "bind", "--dns", f"127.0.0.1:{secure or self.dns}")
        zone, options = settings.split("# In the block options")
        if secure:
            zone = re.sub(r'(\{ 127\.0\.0\.1 key "[^"]+");', r"\1 tls t;", zone)
            zone += f'tls t {{ ca-file "{self.data}/tls/ca.pem"; remote-hostname "localhost"; protocols {{ TLSv1.3; }}; }};\n'
        conf = self.write("named.conf", f"""
            {zone}
            options {{
                directory "{self.folder}"; listen-on port {self.at} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }}; pid-file none; session-keyfile "{self.folder}/n.key";
                dnssec-validation no; recursion yes;
                # {options}
            }};
            controls {{ }};
            zone "example.org" {{ type forward; forward only; forwarders {{ 127.0.0.1 port {self.upstream()}; }}; }};
        """)
        self.daemon("named", "named", "-g", "-c", conf, ready="running")

    def asks(self, at, name, kind="A"):
        return re.search(r"status: (\w+)", run("kdig", "+retry=0", "+timeout=2", "@127.0.0.1", "-p", str(at), name, kind).stdout + "status: NONE")[1]

    def blocks(self, at, name):
        return self.asks(at, name) == "NXDOMAIN"

    def transferred(self, at, signed=True):
        """The owner names and the serial of the zone that a server has."""
        key = ["-y", f"hmac-sha256:{self.name}:{self.key['secret']}"] if signed else []
        text = run("kdig", *key, "@127.0.0.1", "-p", str(at), ZONE, "AXFR").stdout
        serial = re.search(r"\sSOA\s+\S+\s+\S+\s+(\d+)", text)
        return set(re.findall(rf"(?m)^(\S+)\.{re.escape(ZONE)}\.\s.*\sCNAME\s", text)), serial and serial[1]


class Enforcement(Case):
    def test_bind_enforces_the_changes_within_seconds(self):
        at = self.at
        self.feed(at)
        self.serve()
        bad = indicator(domain("bad.example.org"), uuid.uuid4())
        self.push(bad, *(indicator(domain(f"x{i}.example.org")) for i in range(20)))
        self.named()
        wait("bad is blocked", 10, lambda: self.blocks(at, "bad.example.org"))
        self.assertEqual("NOERROR", self.asks(at, "good.example.org"))
        self.assertEqual("NOERROR", self.asks(at, "www.bad.example.org"))
        whole = self.sent("axfr")
        bad.update(revoked=True, modified="2026-01-01T00:00:01.000Z")
        self.push(bad)
        took = wait("bad is free", 3, lambda: self.asks(at, "bad.example.org") == "NOERROR")
        self.push(indicator(domain("worse.example.org")))
        came = wait("worse is blocked", 3, lambda: self.blocks(at, "worse.example.org"))
        print(f"\nBIND: free after {took:.1f} s, blocked after {came:.1f} s")
        self.assertEqual(whole, self.sent("axfr"))
        self.assertLessEqual(2, self.sent("ixfr"))

        # An older backup is restored: BIND would ignore a lower serial for ever.
        self.comity("backup", str(self.folder / "backup"))
        self.push(indicator(domain("later.example.org")))
        wait("later is blocked", 3, lambda: self.blocks(at, "later.example.org"))
        self.server.stop()
        (self.data / "comity.db").unlink()
        self.comity("restore", str(self.folder / "backup"))
        self.serve()
        self.push(indicator(domain("after.example.org")))
        wait("after is blocked", 10, lambda: self.blocks(at, "after.example.org"))
        self.assertEqual("NOERROR", self.asks(at, "later.example.org"))

    def test_bind_transfers_over_tls(self):
        secure = port()
        self.flags += ["--tls-self-signed", "--dns-tls-listen", f"127.0.0.1:{secure}"]
        self.feed(self.at)
        self.serve()
        self.push(indicator(domain("bad.example.org")))
        ca = self.data / "tls" / "ca.pem"
        self.named(secure=secure)
        wait("bad is blocked", 10, lambda: self.blocks(self.at, "bad.example.org"))
        key = f"hmac-sha256:{self.name}:{self.key['secret']}"
        got = run("kdig", "+tls", f"+tls-ca={ca}", "+tls-host=localhost", "-y", key, "@127.0.0.1", "-p", str(secure), ZONE, "AXFR").stdout
        self.assertIn("bad.example.org.", got)
        self.assertIn("REFUSED", run("kdig", "@127.0.0.1", "-p", str(self.dns), ZONE, "SOA").stdout)
        self.server.stop()
        refused = run(COMITY, "--data", str(self.data), "serve", "--listen", "127.0.0.1:0", "--dns-listen", "0.0.0.0:5353")
        self.assertIn("no loopback address", refused.stderr)
        self.assertEqual(1, refused.returncode)

    def test_unbound_and_powerdns_enforce_names_and_addresses(self):
        self.feed(more="subdomains = true", refresh=1)
        self.serve()
        bad = indicator(domain("bad.example.org"), uuid.uuid4())
        self.push(bad, indicator(domain("stays.example.org")), indicator("[ipv4-addr:value = '203.0.114.77']"))
        up = self.upstream()
        recursor = port()
        primary, cache = self.connect("powerdns")[:2]
        lua = self.write("rpz.lua", primary.replace("refresh = 30", "refresh = 1"))
        self.daemon("recursor", "pdns_recursor", "--daemon=no", f"--config-dir={self.folder}", f"--socket-dir={self.folder}", "--local-address=127.0.0.1",
                    f"--local-port={recursor}", f"--lua-config-file={lua}", f"--forward-zones=example.org=127.0.0.1:{up}", "--dnssec=off",
                    f"--{cache.splitlines()[-1]}", "--setuid=", "--setgid=", "--quiet=yes", "--loglevel=4")
        settings, script = self.connect("unbound")[:2]
        zone = self.folder / f"{ZONE}.zone"

        def fetched(name):
            """Runs the script that comity prints, and tells whether the zone has the name now."""
            run("bash", "-c", f"unbound-control() {{ command unbound-control -c {self.folder}/unbound.conf \"$@\"; }}\n{script}", env=os.environ | {"TOKEN": self.token})
            return zone.exists() and name in zone.read_text()

        wait("the file has the names", 5, lambda: fetched("bad"))
        servers = [("PowerDNS", recursor)]
        (url,) = (e["secret"] for e in json.loads(self.comity("--json", "feed", "show", "ncb-sg/soc", "--secrets")) if e["purpose"] == "url")
        for name, rpz in ("unbound", settings), ("unbound-by-url", f'server:\n  module-config: "respip iterator"\nrpz:\n  name: "{ZONE}"\n  url: "{url}all.rpz"'):
            at = port()
            conf = self.write(f"{name}.conf", f"""
server:
  directory: "{self.folder}"
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  interface: 127.0.0.1@{at}
  do-not-query-localhost: no
remote-control:
  control-enable: yes
  control-interface: 127.0.0.1
  control-port: {port()}
  control-use-cert: no
stub-zone:
  name: "example.org"
  stub-addr: 127.0.0.1@{up}
{rpz}
""")
            self.daemon(name, "unbound", "-d", "-c", conf)
            servers.append((name, at))

        def all_servers(what, seconds, check):
            for name, at in servers:
                with self.subTest(name):
                    wait(what, seconds, lambda: check(at))

        all_servers("bad is blocked", 15, lambda at: self.blocks(at, "bad.example.org"))
        for name, at in servers:
            with self.subTest(name):
                self.assertTrue(self.blocks(at, "www.bad.example.org"))
                self.assertTrue(self.blocks(at, "listed-address.example.org"))
                self.assertEqual("NOERROR", self.asks(at, "good.example.org"))
        bad.update(revoked=True, modified="2026-01-01T00:00:01.000Z")
        self.push(bad, indicator(domain("worse.example.org")))
        wait("the file has the change", 3, lambda: fetched("worse"))
        all_servers("worse is blocked", 10, lambda at: self.blocks(at, "worse.example.org"))
        all_servers("bad is free", 10, lambda at: self.asks(at, "bad.example.org") == "NOERROR")
        self.feed(refresh=1)  # without subdomains
        wait("the file has no wildcard", 3, lambda: fetched("stays") and "*." not in zone.read_text())
        all_servers("a name below is free", 10, lambda at: self.asks(at, "www.stays.example.org") == "NOERROR")
        for name, at in servers:
            with self.subTest(name):
                self.assertTrue(self.blocks(at, "stays.example.org"))

    def test_knot_resolver_and_dnsmasq_block_names(self):
        self.feed(more="subdomains = true")
        self.serve()
        self.push(indicator(domain("bad.example.org")))
        up, kresd, dnsmasq = self.upstream(), port(), port()
        files = {}
        for product in "knot-resolver", "dnsmasq":
            settings, script = self.connect(product)[:2]
            files[product] = self.write(f"{product}.conf", settings + "\n")
            printed = run("bash", "-c", f"systemctl() {{ echo \"$@\"; }}\n{script}", env=os.environ | {"TOKEN": self.token})
            self.assertIn("restart", printed.stdout, printed.stderr)
        with open(files["knot-resolver"], "a") as f:
            f.write(f"net.listen('127.0.0.1', {kresd})\npolicy.add(policy.suffix(policy.STUB('127.0.0.1@{up}'), {{todname('example.org')}}))\n")
        self.daemon("kresd", "kresd", "-n", "-c", files["knot-resolver"], str(self.folder))
        self.daemon("dnsmasq", "dnsmasq", "--keep-in-foreground", f"--conf-file={files['dnsmasq']}", f"--port={dnsmasq}", "--listen-address=127.0.0.1",
                    "--bind-interfaces", f"--server=/example.org/127.0.0.1#{up}", "--no-resolv", "--no-hosts", "--user=root", "--pid-file")
        for name, at in ("Knot Resolver", kresd), ("dnsmasq", dnsmasq):
            with self.subTest(name):
                wait("bad is blocked", 15, lambda: self.blocks(at, "bad.example.org"))
                self.assertTrue(self.blocks(at, "www.bad.example.org"))
                self.assertEqual("NOERROR", self.asks(at, "good.example.org"))


class Distribution(Case):
    def test_secondary_servers_hold_what_the_feed_lists(self):
        nsd, knot = port(), port()
        self.feed(nsd, knot)
        self.serve()
        conf = self.write("nsd.conf", f"""
server:
  ip-address: 127.0.0.1@{nsd}
  zonesdir: "{self.folder}"
  database: ""
  pidfile: "{self.folder}/nsd.pid"
  xfrdfile: "{self.folder}/xfrd.state"
  zonelistfile: "{self.folder}/zone.list"
  xfrdir: "{self.folder}"
  username: ""
  chroot: ""
  verbosity: 2
remote-control:
  control-enable: no
{self.connect("nsd")[0]}
""")
        self.daemon("nsd", "nsd", "-d", "-c", conf)
        conf = self.write("knot.conf", f"""
server:
    listen: 127.0.0.1@{knot}
    rundir: "{self.folder}/knot"
log:
  - target: stderr
    any: info
database:
    storage: "{self.folder}/knot"
template:
  - id: default
    storage: "{self.folder}/knot"
{self.connect("knot")[0]}
""")
        (self.folder / "knot").mkdir()
        self.daemon("knot", "knotd", "-c", conf)
        for at in nsd, knot:
            wait("the zone is transferred", 20, lambda: self.transferred(at, False)[1])
        self.push(*(indicator(domain(f"fixed{i}.example.org")) for i in range(500)))
        for at in nsd, knot:
            wait("the fixed names are there", 20, lambda: len(self.transferred(at, False)[0]) == 500)
        whole, known, changes = self.sent("axfr"), {}, 0
        self.assertLessEqual(whole, 2, "each server has had a whole zone, once")
        choose = random.Random(1)
        start = time.monotonic()
        while changes < 500:
            objects = {}
            for _ in range(choose.randint(1, 20)):
                n = str(uuid.UUID(int=choose.randrange(200), version=4))
                pattern = choose.choice([domain(f"h{choose.randrange(80)}.example.org"), f"[ipv4-addr:value = '203.0.114.{choose.randrange(250)}']"])
                known[n] = known.get(n, 0) + 1
                objects[n] = indicator(pattern, n, known[n] % 60, revoked=choose.random() < 0.3)
            changes += len(objects)
            self.push(*objects.values())
            time.sleep(choose.random() / 2)
        print(f"\n{changes} changes in {time.monotonic() - start:.1f} s")
        time.sleep(2)
        want, serial = self.transferred(self.dns)  # a whole zone too
        self.assertEqual(self.listed(), want)
        for name, at in ("NSD", nsd), ("Knot", knot):
            took = wait(f"{name} has serial {serial}, and not {self.transferred(at, False)[1]}", 20, lambda: self.transferred(at, False)[1] == serial)
            self.assertEqual(want, self.transferred(at, False)[0], name)
            print(f"{name}: the same {len(want)} names of serial {serial} after {took:.1f} s")
        print(f"{self.sent('ixfr')} differences")
        self.assertEqual(whole + 1, self.sent("axfr"))

    def listed(self):
        """The owner names of the entries of the feed."""
        page = run("curl", "-sS", "-u", f"x:{self.token}", f"{self.url}/igci/x-feeds/soc/all.json").stdout
        values = [(e["kind"], e["value"]) for e in json.loads(page)["entries"]]
        return {v if kind == "domain" else "32." + ".".join(reversed(v.split("."))) + ".rpz-ip" for kind, v in values if kind in ("domain", "ipv4")}


class Files(Case):
    def test_hostile_names_make_a_zone_that_loads(self):
        self.feed(more="subdomains = true")
        self.serve()
        label = "a" * 63
        names = [
            "Case.example.org", "case.EXAMPLE.org", "dot.example.org.", "_dmarc.example.org", "bücher.example.org", "xn--bcher-kva.example.org",
            f"{label}.{label}.{label}.{'b' * 50}.example", f"{label}.{label}.{label[:40]}.example.org", f"{label}.{label}.{label}.example.org",
            "x.rpz-ip", "rpz-client-ip", "a b.example.org", "a;b.example.org", 'a\\"b.example.org', "a(b.example.org", "$ORIGIN.example.org", "@.example.org",
            "a..example.org", "-.example.org", "*.wild.example.org", "..", "a" * 300, "host.example.org\\n@ NS evil.",
        ]
        patterns = [domain(n) for n in names] + [
            "[ipv4-addr:value = '203.0.114.5/24']", "[ipv4-addr:value = '203.0.114.0/24']", "[ipv6-addr:value = '::ffff:203.0.115.1']",
            "[ipv6-addr:value = '2a0a:0:0:1::']", "[ipv6-addr:value = '2a0a::1:0:0:1/128']", "[ipv4-addr:value = '203.0.114.999']",
        ]
        for pattern in patterns:
            with contextlib.suppress(AssertionError):  # the validator refuses some
                self.push(indicator(pattern))
        time.sleep(2.5)
        file = self.folder / "domain.rpz"
        done = run("curl", "-sS", "--fail", "-u", f"x:{self.token}", "-o", str(file), "-w", "%header{x-feed-left-out}", f"{self.url}/igci/x-feeds/soc/all.rpz")
        self.assertEqual("", done.stderr)
        left_out = done.stdout
        for command in (["named-checkzone", ZONE, str(file)], ["nsd-checkzone", ZONE, str(file)]):
            done = run(*command)
            self.assertEqual(0, done.returncode, f"{command}: {done.stdout}{done.stderr}\n{file.read_text()}")
        names = self.transferred(self.dns)[0]
        self.assertEqual(len(names), len({n.lower() for n in names}))
        self.assertIn("case.example.org", names)
        self.assertIn("_dmarc.example.org", names)
        self.assertIn("24.0.114.0.203.rpz-ip", names)
        page = json.loads(self.comity("--json", "feed", "show", "ncb-sg/soc"))
        (pull,) = (p for p in page["pulls"] if p["file"] == "all.rpz")
        # 253 bytes with the name of the zone, and a name that a resolver takes for an address
        self.assertEqual((left_out, pull["left_out"]), ("unfit=2", {"unfit": 2}))
        self.assertEqual(page["left_out"], {"bad-value": 12})


if __name__ == "__main__":
    unittest.main()
