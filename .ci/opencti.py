"""Polls and pushes as OpenCTI's two TAXII connectors do: taxii2, which polls with
taxii2-client, and taxii-post, which pushes each change of a stream with requests.
OpenCTI itself is not needed: the code here sends the same requests and reads the answers
in the same way.

COMITY in the environment is the path of the built command."""

import copy
import datetime
import unittest
import uuid

import requests
import taxii2client.v21 as v21
from requests.auth import HTTPBasicAuth
from taxii2client.common import TokenAuth

import exchange

# The extensions that OpenCTI writes: one for all its objects, one for observables, and one
# of MITRE ATT&CK.
OPENCTI = "extension-definition--ea279b3e-5c71-4632-ac08-831c66a786ba"
OBSERVABLE = "extension-definition--f93e2c80-4231-4f9a-af8b-95c9bd566a82"
MITRE = "extension-definition--322b8f77-262a-4cb8-a915-1e441e00329b"
DATE = "2024-05-01T08:00:00.000Z"


def internal_id():
    """Returns an internal_id id of OpenCTI: a bare UUID, even in properties whose names end
    in _ref."""
    return str(uuid.uuid4())


def extension(kind, **more):
    return {
        "extension_type": "property-extension", "id": internal_id(), "type": kind, "created_at": DATE, "updated_at": DATE,
        "is_inferred": False, "creator_ids": [internal_id()], "stix_ids": [f"x-opencti--{internal_id()}"], **more}


def object(kind, opencti, others=None, **properties):
    return {
        "id": f"{kind}--{uuid.uuid4()}", "spec_version": "2.1", "type": kind, **properties,
        "extensions": {OPENCTI: opencti, **(others or {})}}


def versioned(kind, opencti, others=None, **properties):
    return object(
        kind, opencti, others, created=DATE, modified="2024-05-02T09:30:00.123Z", revoked=False, confidence=80, lang="en", **properties)


def stream_objects():
    """Returns objects as OpenCTI writes them to its stream."""
    author = versioned("identity", extension("Organization", organization_type="vendor"), name="Authors", identity_class="organization")
    marking = object(
        "marking-definition", extension("Marking-Definition", color="#ffffff", order=1), created=DATE, modified=DATE,
        name="STATEMENT:ours", definition_type="statement", definition={"statement": "ours"})
    common = {"created_by_ref": author["id"], "object_marking_refs": [marking["id"]]}
    address = object(
        "ipv4-addr", extension("IPv4-Addr", created_by_ref_id=internal_id(), created_by_ref_type="Organization"),
        {OBSERVABLE: {"extension_type": "property-extension", "labels": ["c2"], "score": 60, "created_by_ref": author["id"]}},
        value="198.51.100.7", object_marking_refs=[marking["id"]])
    indicator = versioned(
        "indicator", extension("Indicator", detection=True, score=60, main_observable_type="IPv4-Addr", created_by_ref=internal_id()),
        {MITRE: {"extension_type": "property-extension", "id": "abc", "platforms": ["Linux"]}},
        name="198.51.100.7", pattern="[ipv4-addr:value = '198.51.100.7']", pattern_type="stix", pattern_version="2.1",
        valid_from=DATE, valid_until="2025-05-01T08:00:00.000Z", labels=["c2"], indicator_types=["malicious-activity"],
        x_opencti_score=60, x_opencti_main_observable_type="IPv4-Addr", **common)
    based_on = versioned(
        "relationship", extension(
            "based-on", source_ref=internal_id(), source_type="Indicator", source_value="198.51.100.7", target_ref=internal_id(), target_type="IPv4-Addr"),
        relationship_type="based-on", source_ref=indicator["id"], target_ref=address["id"], **common)
    sighting = versioned(
        "sighting", extension(
            "stix-sighting-relationship", sighting_of_ref=internal_id(), sighting_of_type="Indicator", where_sighted_refs=[internal_id()],
            where_sighted_types=["Organization"], negative=False),
        count=3, first_seen=DATE, last_seen=DATE, sighting_of_ref=indicator["id"], where_sighted_refs=[author["id"]], **common)
    report = versioned(
        "report", extension("Report", reliability="A", content="text", object_refs_inferred=[internal_id()]), name="Weekly", report_types=["threat-report"],
        published=DATE, object_refs=[indicator["id"], address["id"], based_on["id"], sighting["id"]], **common)
    return [address, author, marking, indicator, based_on, sighting, report]


class Poller:
    """Does what the taxii2 connector does: it finds the collection by its root and title,
    polls it, and keeps its filters from one request to the next."""

    def __init__(self, discovery, auth, **filters):
        self.server, self.filters = v21.Server(discovery, auth=auth), filters

    def collection(self, root_name, title):
        root = next(root for root in self.server.api_roots if root.url.split("/")[-2] == root_name)
        return next(collection for collection in root.collections if collection.title == title)

    def poll(self, collection):
        objects, page = [], collection.get_objects(**self.filters)
        if "objects" not in page or not page["objects"]:
            return objects
        if page["objects"][0].get("spec_version", "2.0") == "2.0":
            # The connector takes this for TAXII 2.0: it asks for the manifest of the last
            # object to go on from there, and expects a list of objects in every answer.
            while True:
                objects += page["objects"]
                manifest = collection.get_manifest(id=page["objects"][-1]["id"])
                self.filters["added_after"] = manifest["objects"][0]["date_added"]
                page = collection.get_objects(**self.filters)
                if len(page["objects"]) == 0:
                    return objects
        while True:
            objects += page["objects"]
            if page.get("more") is not True:
                return objects
            self.filters.pop("added_after", None)
            self.filters["next"] = page["next"]
            page = collection.get_objects(**self.filters)


class OpenCTI(unittest.TestCase):
    maxDiff = 4000

    def setUp(self):
        self.exchange = exchange.Exchange(bureau_for=["--for", "opencti"])
        self.addCleanup(self.exchange.stop)
        root = v21.Server(self.exchange.url, user=self.exchange.vendor[0], password=self.exchange.vendor[1]).default
        (collection,) = root.collections
        self.title, self.id = collection.title, collection.id
        self.objects = f"{root.url}collections/{self.id}/objects/"

    def push(self, data, basic=False):
        """Pushes a change of the stream as the taxii-post connector does."""
        bundle = {"type": "bundle", "spec_version": "2.1", "id": f"bundle--{uuid.uuid4()}", "objects": [{**data, "spec_version": "2.1"}]}
        headers = {"Content-Type": "application/stix+json; version=2.1", "Accept": "application/taxii+json; version=2.1"}
        auth = self.exchange.vendor if basic else None
        if not basic:
            headers["Authorization"] = "Bearer " + self.exchange.vendor[1]
        answer = requests.post(self.objects, headers=headers, auth=auth, json=bundle)
        answer.raise_for_status()
        status = answer.json()
        self.assertEqual((status["status"], status["success_count"], status.get("failures")), ("complete", 1, None), data)

    def poller(self, **filters):
        yesterday = datetime.datetime.now() - datetime.timedelta(hours=24)
        return Poller(self.exchange.url, HTTPBasicAuth(*self.exchange.bureau), **{"added_after": yesterday, "limit": 100, **filters})

    def poll(self, poller):
        return poller.poll(poller.collection("igci", self.title))

    def add(self, objects):
        answer = requests.post(
            self.objects, json={"objects": objects}, auth=self.exchange.vendor,
            headers={"Content-Type": exchange.MEDIA_TYPE})
        self.assertEqual((answer.status_code, answer.json()["failure_count"]), (202, 0), answer.text[:2000])

    def test_what_one_opencti_streams_arrives_at_another(self):
        sent = stream_objects()
        for i, o in enumerate(sent):
            self.push(o, basic=i % 2 == 1)
        self.assertEqual(self.poll(self.poller()), sent)

    def test_a_change_of_the_stream_is_pushed_again(self):
        indicator = next(o for o in stream_objects() if o["type"] == "indicator")
        changed = copy.deepcopy(indicator)
        changed.update(modified="2024-06-01T00:00:00.000Z", revoked=True)
        for o in (indicator, indicator, changed):
            self.push(o)
        self.assertEqual(self.poll(self.poller()), [changed])

    def test_an_empty_collection_is_polled(self):
        self.assertEqual(self.poll(self.poller()), [])

    def test_pages_are_followed_by_next(self):
        sent = [o for _ in range(40) for o in stream_objects() if o["type"] in ("identity", "indicator", "report")]
        self.add(sent)
        self.assertEqual(self.poll(self.poller()), sent)
        self.assertEqual(self.poll(self.poller(limit=7)), sent)

    def test_a_collection_that_begins_without_spec_version_is_polled_to_its_end(self):
        sent = [{"type": "domain-name", "id": f"domain-name--{uuid.uuid4()}", "value": f"c2-{i}.example"} for i in range(250)]
        self.add(sent)
        self.assertEqual(self.poll(self.poller()), sent)

    def test_the_next_run_gets_what_was_added_since(self):
        first, second = stream_objects(), stream_objects()
        second = [o for o in second if o["type"] != "ipv4-addr"]
        self.add(first)
        self.poll(self.poller())
        last = requests.get(
            self.objects, auth=self.exchange.vendor,
            headers={"Accept": exchange.MEDIA_TYPE}).headers["X-TAXII-Date-Added-Last"]
        self.add(second)
        self.assertEqual(self.poll(self.poller(added_after=last)), second)

    def test_a_token_is_enough_to_poll(self):
        server = v21.Server(self.exchange.url, auth=TokenAuth(self.exchange.vendor[1]))
        self.assertEqual([c.id for c in server.default.collections], [self.id])


if __name__ == "__main__":
    unittest.main()
