"""Tests a running comity with clients that parties use: taxii2-client, stix2 and
cytaxii2. Every request goes over HTTP, as the client sends it.

COMITY in the environment is the path of the built command. One test needs the playbooks
of Unit 42, in COMITY_TESTDATA or in ../shared/data beside the project, and is skipped
without them.
"""

import glob
import json
import os
import pathlib
import sys
import unittest
import uuid

import requests
import stix2
import taxii2client.v21 as v21
from cytaxii2.cytaxii2 import cytaxii2
from taxii2client.exceptions import AccessError

import exchange
from exchange import MEDIA_TYPE

REAL = pathlib.Path(os.environ.get("COMITY_TESTDATA", exchange.PROJECT.parent / "shared" / "data"))


def collection(exchange, credentials):
    server = v21.Server(exchange.url, user=credentials[0], password=credentials[1])
    (collection,) = server.default.collections
    return collection


def indicators(n, start=0):
    """Returns n different STIX 2.1 indicators, made by the OASIS library."""
    return [
        json.loads(
            stix2.v21.Indicator(
                name=f"indicator {i} – „ünïcode“",
                pattern=f"[ipv4-addr:value = '198.51.{i // 250}.{i % 250}']",
                pattern_type="stix",
                valid_from="2021-01-01T00:00:00Z",
                object_marking_refs=[stix2.v21.TLP_GREEN],
            ).serialize())
        for i in range(start, start + n)
    ]


def newer(o, modified, **changes):
    return {**o, "modified": modified, **changes}


def by_version(objects):
    return {(o["id"], o.get("modified", o.get("created", ""))): o for o in objects}


class Clients(unittest.TestCase):
    maxDiff = 2000

    def setUp(self):
        self.exchange = exchange.Exchange()
        self.addCleanup(self.exchange.stop)
        self.vendor = collection(self.exchange, self.exchange.vendor)
        self.bureau = collection(self.exchange, self.exchange.bureau)

    def walk(self, endpoint, per_request, **filters):
        objects = []
        for page in v21.as_pages(endpoint, per_request=per_request, **filters):
            self.assertLessEqual(len(page.get("objects", [])), per_request)
            objects += page.get("objects", [])
        return objects

    def test_taxii2_client_discovers_root_and_collections(self):
        server = v21.Server(self.exchange.url, user=self.exchange.bureau[0], password=self.exchange.bureau[1])
        self.assertEqual(server.default.url, server.api_roots[0].url)
        self.assertIn(MEDIA_TYPE, server.default.versions)
        self.assertGreater(server.default.max_content_length, 0)
        (collection,) = server.default.collections
        self.assertTrue(collection.can_read)
        self.assertFalse(collection.can_write)
        self.assertTrue(self.vendor.can_write)
        by_alias = v21.Collection(
            server.default.url + "collections/" + collection.id + "/", user=self.exchange.bureau[0], password=self.exchange.bureau[1])
        self.assertEqual(by_alias.title, collection.title)

    def test_taxii2_client_gets_every_object_once_by_pages(self):
        sent = indicators(1003)
        status = self.vendor.add_objects({"objects": sent[:700]})
        self.assertEqual((status.status, status.success_count, status.failure_count), ("complete", 700, 0))
        bundle = {"type": "bundle", "id": "bundle--" + str(uuid.uuid4()), "objects": sent[700:]}
        self.assertEqual(self.vendor.add_objects(bundle).success_count, 303)
        for per_request in (1, 100, 999, 1003, 5000):
            if per_request == 1:
                got = self.walk(self.bureau.get_objects, 1, added_after="1970-01-01T00:00:00Z", id=[o["id"] for o in sent[:7]])
                self.assertEqual(by_version(got), by_version(sent[:7]))
                continue
            got = self.walk(self.bureau.get_objects, per_request)
            self.assertEqual(got, sent, "as sent, in the order sent")

    def test_taxii2_client_filters(self):
        sent = indicators(6)
        identity = json.loads(stix2.v21.Identity(name="Bureau", identity_class="organization").serialize())
        address = json.loads(stix2.v21.IPv4Address(value="198.51.100.3").serialize())
        self.vendor.add_objects({"objects": sent + [identity, address]})
        self.assertEqual(self.walk(self.bureau.get_objects, 2, type="identity"), [identity])
        self.assertEqual(self.walk(self.bureau.get_objects, 2, type="identity,ipv4-addr"), [identity, address])
        self.assertEqual(self.walk(self.bureau.get_objects, 2, id=sent[3]["id"]), [sent[3]])
        self.assertEqual(self.walk(self.bureau.get_objects, 2, spec_version="2.0"), [])
        manifest = self.bureau.get_manifest()["objects"]
        self.assertEqual([m["id"] for m in manifest], [o["id"] for o in sent + [identity, address]])
        after = self.walk(self.bureau.get_objects, 3, added_after=manifest[3]["date_added"])
        self.assertEqual(after, sent[4:] + [identity, address])
        self.assertEqual(self.bureau.get_objects(added_after=manifest[-1]["date_added"]), {})

    def test_taxii2_client_versions_and_manifest(self):
        (first,) = indicators(1)
        second = newer(first, "2030-01-01T00:00:00.000Z", name="second")
        late = newer(first, "2025-01-01T00:00:00.000Z", name="late")
        first["modified"] = first["created"] = second["created"] = late["created"] = "2021-01-01T00:00:00.000Z"
        for o in (first, second, late):
            self.assertEqual(self.vendor.add_objects({"objects": [o]}).success_count, 1)
        oid = first["id"]
        self.assertEqual(self.bureau.get_object(oid)["objects"], [second])
        self.assertEqual(self.bureau.get_object(oid, version="first")["objects"], [first])
        self.assertEqual(self.bureau.get_object(oid, version="all")["objects"], [first, second, late])
        self.assertEqual(self.bureau.get_object(oid, version="2025-01-01T00:00:00Z")["objects"], [late])
        self.assertEqual(
            self.bureau.object_versions(oid)["versions"], [first["modified"], second["modified"], late["modified"]])
        self.assertEqual(
            [m["version"] for m in self.walk(self.bureau.get_manifest, 1, version="all")],
            [first["modified"], second["modified"], late["modified"]])

    def test_taxii2_client_deletes_and_adds_again(self):
        one, other = indicators(2)
        self.vendor.add_objects({"objects": [one, other]})
        self.vendor.delete_object(one["id"])
        with self.assertRaises(requests.HTTPError) as gone:
            self.bureau.get_object(one["id"])
        self.assertEqual(gone.exception.response.status_code, 404)
        self.assertEqual(self.walk(self.bureau.get_objects, 10), [other])
        self.vendor.add_objects({"objects": [one]})
        self.assertEqual(self.walk(self.bureau.get_objects, 10), [other, one])

    def test_taxii2_client_reads_what_was_refused_and_why(self):
        good, bad = indicators(2)
        bad["modified"] = "yesterday"
        status = self.vendor.add_objects({"objects": [good, bad, good]})
        self.assertEqual((status.total_count, status.success_count, status.failure_count), (3, 2, 1))
        (failure,) = status.failures
        self.assertEqual(failure["id"], bad["id"])
        self.assertIn("/modified", failure["message"])
        root = v21.ApiRoot(self.exchange.root, user=self.exchange.vendor[0], password=self.exchange.vendor[1])
        self.assertEqual(root.get_status(status.id).failure_count, 1)

    def test_taxii2_client_of_1000_objects_990_are_stored_and_10_named(self):
        sent = indicators(1000)
        wrong = [
            ("R-031", "/modified", {"modified": "2021-01-01"}),
            ("R-006", "/pattern_type", {"pattern_type": None}),
            ("R-150", "/pattern", {"pattern": "[ipv4-addr:value = ]"}),
            ("R-053", "/modified", {"modified": "2000-01-01T00:00:00.000Z"}),
            ("R-007", "/name", {"name": 7}),
        ] * 2
        for i, (_, _, change) in enumerate(wrong):
            o = sent[i * 97]
            o.update(change)
            for name in [name for name, value in o.items() if value is None]:
                del o[name]
        expected = self.vendor_dry_run(sent)
        status = self.vendor.add_objects({"objects": sent})
        self.assertEqual((status.total_count, status.success_count, status.failure_count), (1000, 990, 10))
        self.assertEqual(expected["failures"], status.failures)
        self.assertTrue(expected["x_dry_run"])
        for failure, (rule, path, _), i in zip(status.failures, wrong, range(10)):
            self.assertEqual(failure["id"], sent[i * 97]["id"])
            self.assertIn(f"{rule} {path}: ", failure["message"])
        bad = {failure["id"] for failure in status.failures}
        self.assertEqual(self.walk(self.bureau.get_objects, 100), [o for o in sent if o["id"] not in bad])

    def vendor_dry_run(self, objects):
        answer = requests.post(
            f"{self.vendor.objects_url}?x_dry_run=true", json={"objects": objects}, auth=self.exchange.vendor,
            headers={"Content-Type": MEDIA_TYPE})
        self.assertEqual(answer.status_code, 202)
        self.assertEqual(self.bureau.get_objects(), {}, "a dry run stores nothing")
        return answer.json()

    def test_taxii2_client_is_told_when_it_may_not(self):
        with self.assertRaises(AccessError):
            self.bureau.add_objects({"objects": indicators(1)})
        with self.assertRaises(requests.HTTPError) as refused:
            v21.Server(self.exchange.url, user="ncb-sg/desk", password="wrong").title
        self.assertEqual(refused.exception.response.status_code, 401)

    def test_stix2_sink_and_source(self):
        sink, source = stix2.TAXIICollectionSink(self.vendor), stix2.TAXIICollectionSource(self.bureau)
        sent = stix2.v21.Malware(name="loader", is_family=False)
        sink.add(sent)
        self.assertEqual(source.get(sent.id), sent)
        newest = sent.new_version(name="loader, renamed")
        sink.add(newest)
        self.assertEqual(source.get(sent.id), newest)
        self.assertEqual(len(source.all_versions(sent.id)), 2)
        self.assertEqual(source.query([stix2.Filter("type", "=", "malware")]), [newest])

    def test_cytaxii2_polls_by_next_and_pushes(self):
        sent = indicators(25)
        vendor = cytaxii2(self.exchange.url, *self.exchange.vendor)
        pushed = vendor.inbox_request(self.vendor.id, json.dumps({"objects": sent}))
        self.assertEqual((pushed["status_code"], pushed["response"]["success_count"]), (202, 25))
        bureau = cytaxii2(self.exchange.url, *self.exchange.bureau)
        self.assertEqual(bureau.discovery_request()["status_code"], 200)
        self.assertEqual(bureau.root_discovery()["status_code"], 200)
        self.assertEqual(len(bureau.collection_request()["response"]["collections"]), 1)
        self.assertEqual(bureau.collection_data_request(self.bureau.id)["status_code"], 200)
        got, cursor = [], None
        while True:
            page = bureau.poll_request(self.bureau.id, limit=10, next=cursor)["response"]
            got += page["objects"]
            cursor = page.get("next")
            if cursor is None:
                break
        self.assertEqual(got, sent)

    def test_unit42_playbooks_arrive_whole_and_exact(self):
        files = sorted(glob.glob(str(REAL / "unit42-playbooks" / "*.json")))
        if not files:
            self.skipTest(f"there is no real data in {REAL}")
        first, seen, violations = {}, 0, 0
        for file in files:
            bundle = json.loads(pathlib.Path(file).read_text("utf-8"))
            status = self.vendor.add_objects(bundle)
            refused = set()
            for failure in status.failures:
                # The playbooks have a few versions that contradict each other, and a few
                # objects that STIX 2.0 forbids.
                self.assertRegex(failure["message"], r"^(R-038 /spec_version: no spec_version: taken for STIX 2\.0; )?(R-056 /modified|R-007 /identity_class|R-152 /pattern)", file)
                if not failure["message"].startswith("R-056"):
                    refused.add(failure["id"])
            violations += len(refused)
            for o in bundle["objects"]:
                if o["id"] not in refused:
                    first.setdefault((o["id"], o.get("modified", o.get("created"))), o)
            seen += len(bundle["objects"])
        got = self.walk(self.bureau.get_objects, 1000, version="all", spec_version="2.0,2.1")
        self.assertEqual(len(got), len(first))
        self.assertEqual(by_version(got), first)
        print(f"\n{len(files)} bundles, {seen} objects pushed, {len(got)} distinct versions polled, each as first sent, {violations} against the standard", file=sys.stderr)


if __name__ == "__main__":
    unittest.main()
