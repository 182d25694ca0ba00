"""Requests that schemathesis makes from /openapi.json, as a vendor and as a firewall: the
status, the media type, the headers and the body of every answer have to be as the
description says, nothing may be a fault of the server, and nothing be answered without
credentials that needs them.

COMITY in the environment is the path of the built command."""

import pathlib
import subprocess
import sys

import requests

import exchange

# Names that exist. Those of objects, statuses and files are invented.
PARAMETERS = """
[parameters]
"path.root" = "igci"
"path.collection" = "charter-test.playbooks"
"path.feed" = "list"
"""
FEED = """
format = "feed/1"
id = "list"
account = "ncb-sg/firewall"
use = "block"
collections = ["*"]
allow_reserved = ["203.0.113.0/24"]
"""
INDICATOR = {
    "type": "indicator", "spec_version": "2.1", "id": "indicator--00000001-0000-4000-8000-000000000000",
    "created": "2026-01-01T00:00:00.000Z", "modified": "2026-01-01T00:00:00.000Z", "valid_from": "2026-01-01T00:00:00Z",
    "valid_until": "2036-01-01T00:00:00Z", "pattern": "[ipv4-addr:value = '203.0.113.7']", "pattern_type": "stix"}
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance,ignored_auth"


def main():
    centre = exchange.Exchange()
    try:
        vendor = centre.vendor[1]
        pushed = requests.post(
            centre.root + "collections/charter-test.playbooks/objects/", json={"objects": [INDICATOR]},
            headers={"Authorization": "Bearer " + vendor, "Content-Type": exchange.MEDIA_TYPE})
        assert pushed.json()["success_count"] == 1, pushed.text
        centre.run("account", "add", "ncb-sg/firewall", "--action", "block")
        firewall = centre.run("token", "add", "ncb-sg/firewall").strip()
        feed = centre.data / "list.toml"
        feed.write_text(FEED)
        centre.run("feed", "add", str(feed))
        settings = centre.data / "schemathesis.toml"
        settings.write_text(PARAMETERS)
        description = centre.url.replace("/taxii2/", "/openapi.json")
        failed = [
            account for account, token, tags in (("vendor", vendor, ("taxii", "extension")), ("firewall", firewall, ("feeds",)))
            if subprocess.run([
                pathlib.Path(sys.executable).parent / "schemathesis", "--config-file", settings, "run", description, "--checks", CHECKS,
                "--phases", "examples,coverage,fuzzing", "--max-examples", "30", "--seed", "1", "--header", "Authorization: Bearer " + token,
                "--exclude-path-regex", "stream/?$",  # which has no end
                *(word for tag in tags for word in ("--include-tag", tag)),
            ], cwd=centre.data).returncode]
    finally:
        centre.stop()
    sys.exit(f"as {' and as '.join(failed)}" if failed else 0)


if __name__ == "__main__":
    main()
