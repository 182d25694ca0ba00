"""Compares comity match with stix2-matcher, the matcher of OASIS: match.py COMITY.

Each case is a pattern and some observed data. The cases are every pattern below with
every observation below, and the cases of stix2-matcher's own tests. A matcher has three
results: the pattern matches, it does not match, or it is refused. Where the two results
differ, the pattern has to be in DIFFERENCES with a reason. An entry of DIFFERENCES fails
if nothing differs because of it.
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import uuid

import pytest
import stix2matcher
import stix2matcher.matcher
from stix2patterns.exceptions import ParseException

# Each entry is comity's result, a regular expression for the patterns for which
# stix2-matcher has another result, and the reason. Sections are those of STIX 2.1.
DIFFERENCES = [
    ("none", r".* WITHIN (1|2|5|120) SECONDS", "observations that are exactly the window apart are not within it (9.5.1)"),
    ("none", r"\[NOT EXISTS file:name\]", "stix2-matcher ignores NOT before EXISTS"),
    ("match", r"\[EXISTS file:hashes.MD5 AND file:size > 0\]", "stix2-matcher fails on EXISTS joined by AND"),
    ("match", r"\[ipv4-addr:value ISSUPERSET .*\]", "an address without a prefix length is a network of one (9.6.1), which stix2-matcher refuses"),
    ("match", r"\[ipv6-addr:value ISSUBSET .*\]", "stix2-matcher knows no IPv6 networks"),
    ("refused", r"\[(test|null-test):\w+ (NOT )?ISSU(B|PER)SET .*\]", "ISSUBSET and ISSUPERSET are for the values of addresses alone (9.6.1)"),
    ("refused", r"\[test:string (NOT )?IN \(\)\]", "an empty list is no set of constants (9.6)"),
    ("refused", r".* REPEATS 2 TIMES REPEATS \d TIMES", "one qualifier of a kind qualifies an expression (9.5.1)"),
    ("none", r"\[(event:bad_ts\[\d\]|test:string) (=|>) t'.*\]", "what is no timestamp is not equal to one (9.6.1); stix2-matcher gives up"),
    ("match", r"\[test:string != t'.*\]", "what is no timestamp is not equal to one (9.6.1); stix2-matcher gives up"),
    ("none", r"\[binary-test:name (=|>) [hb]'.*\]", "a string is no binary value (9.6.1)"),
    ("match", r"\[binary-test:name_(hex|bin) < 'ălice'\]", "stix2-matcher compares a binary value with no text beyond Latin-1"),
]


def object_id(type_, *key):
    return f"{type_}--{uuid.uuid5(uuid.NAMESPACE_URL, repr(key))}"


def observed_bundle(first, last, count, *observables):
    """Returns a bundle with one observed-data object and the observables in it."""
    for n, o in enumerate(observables):
        o.setdefault("id", object_id(o["type"], n, str(o)))
    return {"type": "bundle", "id": object_id("bundle", first, last, str(observables)), "objects": [{
        "type": "observed-data", "spec_version": "2.1", "id": object_id("observed-data", first, last, str(observables)),
        "created": "2024-02-01T00:00:00.000Z", "modified": "2024-02-01T00:00:00.000Z", "number_observed": count,
        "first_observed": first, "last_observed": last, "object_refs": [o["id"] for o in observables]}, *observables]}


def at(minute, *observables, count=1, lasts=0):
    return observed_bundle(f"2024-02-01T10:{minute:02}:00Z", f"2024-02-01T10:{minute + lasts:02}:00Z", count, *observables)


def address(value):
    return {"type": "ipv4-addr", "value": value}


def domain(value, *refs):
    return {"type": "domain-name", "value": value, **({"resolves_to_refs": list(refs)} if refs else {})}


def file(**more):
    return {"type": "file", "name": "Report.PDF", "size": 4096, "hashes": {"MD5": "79054025255fb1a26e4bc422aef54eb4", "SHA-1": "a9993e364706816aba3e25717850c26c9cd0d89d"}, **more}


A = {**address("198.51.100.3"), "id": object_id("ipv4-addr", "A")}
TRAFFIC = {"type": "network-traffic", "dst_ref": A["id"], "dst_port": 443, "src_port": 50000, "protocols": ["ipv4", "tcp", "tls"],
           "extensions": {"http-request-ext": {"request_method": "get", "request_value": "/index.html"}}}
OBSERVATIONS = [
    [at(0, address("198.51.100.3"))],
    [at(0, address("198.51.100.3"), domain("a.example"))],
    [at(0, domain("a.example", A["id"]), dict(A))],
    [at(0, dict(TRAFFIC), dict(A))],
    [at(0, file())],
    [at(0, file(name="café.exe", size=0, ctime="2024-01-31T23:59:59.5Z", is_encrypted=True))],
    [at(0, address("198.51.100.3")), at(1, address("198.51.100.4")), at(2, domain("a.example"))],
    [at(2, address("198.51.100.3")), at(1, address("198.51.100.4")), at(0, domain("a.example"))],
    [at(0, address("198.51.100.3")), at(10, address("198.51.100.3")), at(20, address("198.51.100.3"))],
    [at(0, address("198.51.100.3"), count=3, lasts=5)],
    [at(0, address("198.51.100.3"), lasts=30), at(5, domain("a.example"), lasts=1)],
    [at(0, address("10.0.0.1")), at(1, {"type": "ipv6-addr", "value": "2001:db8::1"}), at(2, {"type": "ipv4-addr", "value": "198.51.100.0/25"})],
    [at(0, {"type": "artifact", "mime_type": "text/plain", "payload_bin": "aGVsbG8="})],
    [at(0, {"type": "process", "pid": 0, "command_line": "cmd.exe /c \"dir\\\\x\"", "environment_variables": {"a b": "1", "PATH": "/bin"}})],
]
PATTERNS = [
    "[ipv4-addr:value = '198.51.100.3']", "[ipv4-addr:value != '198.51.100.3']", "[ipv4-addr:value NOT = '198.51.100.3']",
    "[ipv4-addr:value IN ('198.51.100.3', '198.51.100.4')]", "[ipv4-addr:value NOT IN ('198.51.100.3', '198.51.100.4')]",
    "[ipv4-addr:value ISSUBSET '198.51.100.0/24']", "[ipv4-addr:value ISSUBSET '198.51.100.3/32']", "[ipv4-addr:value ISSUPERSET '198.51.100.3/32']",
    "[ipv4-addr:value NOT ISSUBSET '198.51.0.0/16']", "[ipv6-addr:value ISSUBSET '2001:db8::/32']",
    "[ipv4-addr:value LIKE '198.51.%.3']", "[ipv4-addr:value LIKE '198.51.100._']", "[ipv4-addr:value MATCHES '^198[.]51']", "[ipv4-addr:value > '198']",
    "[domain-name:value = 'a.example' OR ipv4-addr:value = '198.51.100.3']", "[domain-name:value = 'A.example']",
    "[domain-name:resolves_to_refs[*].value = '198.51.100.3']", "[domain-name:resolves_to_refs[0].value = '198.51.100.3']",
    "[domain-name:resolves_to_refs[1].value = '198.51.100.3']", "[domain-name:value = 'a.example' AND domain-name:resolves_to_refs[*].type = 'ipv4-addr']",
    "[network-traffic:dst_ref.value = '198.51.100.3' AND network-traffic:dst_port = 443]", "[network-traffic:dst_port > 1024]",
    "[network-traffic:dst_port IN (80, 443)]", "[network-traffic:dst_port = 443.0]", "[network-traffic:dst_port = '443']",
    "[network-traffic:protocols[*] = 'tls']", "[network-traffic:protocols[2] = 'tls']", "[network-traffic:protocols[*] != 'tls']",
    "[network-traffic:extensions.'http-request-ext'.request_method = 'get']", "[network-traffic:src_ref.value = '198.51.100.3']",
    "[file:name = 'Report.PDF']", "[file:name MATCHES '(?i)report']", "[file:name LIKE '%.PDF']", "[file:name LIKE '%.pdf']", "[file:size >= 4096]", "[file:size < 4096]",
    "[file:size = 0]", "[file:size != 0]", "[file:hashes.MD5 = '79054025255fb1a26e4bc422aef54eb4']", "[file:hashes.'SHA-1' = 'a9993e364706816aba3e25717850c26c9cd0d89d']",
    "[file:hashes.'SHA-256' = 'x']", "[file:hashes.MD5 = '79054025255FB1A26E4BC422AEF54EB4']", "[file:name = 'caf\u00e9.exe']", "[file:name = 'cafe\u0301.exe']",
    "[file:ctime > t'2024-01-31T23:59:59Z']", "[file:ctime = t'2024-01-31T23:59:59.500Z']", "[file:is_encrypted = true]", "[file:is_encrypted != false]",
    "[EXISTS file:name]", "[EXISTS file:hashes.MD5 AND file:size > 0]", "[NOT EXISTS file:name]",
    "[file:name = 'Report.PDF' AND (file:size = 1 OR file:size = 4096)]", "[(file:name = 'x' OR file:size = 4096) AND file:hashes.MD5 = 'x']",
    "[ipv4-addr:value = '198.51.100.3'] AND [domain-name:value = 'a.example']", "[ipv4-addr:value = '198.51.100.3'] OR [domain-name:value = 'b.example']",
    "[ipv4-addr:value = '198.51.100.3'] AND [ipv4-addr:value = '198.51.100.3']",
    "[ipv4-addr:value = '198.51.100.3'] FOLLOWEDBY [domain-name:value = 'a.example']", "[domain-name:value = 'a.example'] FOLLOWEDBY [ipv4-addr:value = '198.51.100.3']",
    "[ipv4-addr:value = '198.51.100.3'] FOLLOWEDBY ([ipv4-addr:value = '198.51.100.4'] FOLLOWEDBY [domain-name:value = 'a.example'])",
    "([ipv4-addr:value = '198.51.100.3'] AND [domain-name:value = 'a.example']) WITHIN 120 SECONDS", "([ipv4-addr:value = '198.51.100.3'] AND [domain-name:value = 'a.example']) WITHIN 121 SECONDS",
    "([ipv4-addr:value = '198.51.100.3'] AND [domain-name:value = 'a.example']) WITHIN 60 SECONDS",
    "[ipv4-addr:value = '198.51.100.3'] REPEATS 3 TIMES", "[ipv4-addr:value = '198.51.100.3'] REPEATS 4 TIMES",
    "[ipv4-addr:value = '198.51.100.3'] REPEATS 3 TIMES WITHIN 1201 SECONDS", "[ipv4-addr:value = '198.51.100.3'] REPEATS 3 TIMES WITHIN 600 SECONDS",
    "[ipv4-addr:value LIKE '198.%'] REPEATS 2 TIMES WITHIN 61 SECONDS", "([ipv4-addr:value LIKE '198.%'] REPEATS 2 TIMES) FOLLOWEDBY [domain-name:value = 'a.example']",
    "[ipv4-addr:value = '198.51.100.3'] START t'2024-02-01T10:00:00Z' STOP t'2024-02-01T10:05:00Z'",
    "[ipv4-addr:value = '198.51.100.3'] START t'2024-02-01T10:01:00Z' STOP t'2024-02-01T10:05:00Z'",
    "[ipv4-addr:value = '198.51.100.3'] START t'2024-02-01T09:00:00Z' STOP t'2024-02-01T10:00:00Z'",
    "[artifact:payload_bin = b'aGVsbG8=']", "[artifact:payload_bin = 'hello']", "[artifact:payload_bin = 'aGVsbG8=']",
    "[process:pid = 0]", "[process:command_line LIKE 'cmd.exe%']", "[process:environment_variables.'a b' = '1']", "[process:environment_variables.* = '1']",
    "[process:command_line = 'cmd.exe /c \"dir\\\\\\\\x\"']",
    "[x-none:value = 1]", "[ipv4-addr:value]", "[ipv4-addr:value = ]", "ipv4-addr:value = '1'", "[ipv4-addr:value = '1'] WITHIN 0 SECONDS", "[a:b = 1] REPEATS 0 TIMES",
]


def cases_of_stix2matcher():
    """Runs stix2-matcher's tests of STIX 2.1, and returns each of their cases once."""
    cases, match = {}, stix2matcher.matcher.match

    def record(pattern, observations, verbose=False, stix_version=stix2matcher.matcher.DEFAULT_VERSION):
        if stix_version == "2.1":
            # STIX allows no underscore in a type, so null_test becomes null-test.
            observed, asked = (re.sub(r"\b([a-z]+)_test\b", r"\1-test", text) for text in (json.dumps(observations), pattern))
            cases.setdefault(observed, {})[asked] = None
        return match(pattern, observations, verbose, stix_version)

    stix2matcher.matcher.match = record
    folder = pathlib.Path(stix2matcher.__file__).parent / "test" / "v21"
    pytest.main(["-q", "--no-header", "--no-summary", "-p", "no:cacheprovider", str(folder)])
    stix2matcher.matcher.match = match
    return [(with_distinct_ids(json.loads(observations)), list(patterns)) for observations, patterns in cases.items()]


def stix2matcher_result(pattern, observations):
    try:
        return "match" if stix2matcher.matcher.match(pattern, observations, stix_version="2.1") else "none"
    except (ParseException, stix2matcher.matcher.MatcherException):
        return "refused"
    except Exception as fault:  # a fault of stix2-matcher, such as a TypeError
        return type(fault).__name__


def with_distinct_ids(observations):
    """Returns the bundles with different ids in each: those of stix2-matcher's tests use
    one id for different objects."""
    def renamed(value, n):
        if isinstance(value, dict):
            return {k: renamed(v, n) for k, v in value.items()}
        if isinstance(value, list):
            return [renamed(v, n) for v in value]
        if isinstance(value, str) and re.fullmatch(r"[a-z0-9-]+--[0-9a-f-]{36}", value):
            return object_id(value.split("--")[0], n, value)
        return value
    return [renamed(bundle, n) for n, bundle in enumerate(observations)]


def comity_results(comity, folder, patterns, observations):
    """Returns comity's result for each pattern."""
    ids = [object_id("indicator", n) for n in range(len(patterns))]
    indicators = [{"type": "indicator", "spec_version": "2.1", "id": id, "created": "2024-02-01T00:00:00.000Z", "modified": "2024-02-01T00:00:00.000Z",
                   "pattern_type": "stix", "valid_from": "2024-02-01T00:00:00Z", "pattern": pattern} for id, pattern in zip(ids, patterns)]
    (folder / "indicators.json").write_text(json.dumps({"objects": indicators}))
    (folder / "seen.jsonl").write_text("\n".join(json.dumps(o) for o in observations))
    run = subprocess.run([comity, "match", "--json", "--indicators", folder / "indicators.json", folder / "seen.jsonl"], capture_output=True, text=True)
    if run.returncode not in (0, 1) or not run.stdout:
        sys.exit(f"comity match ended with {run.returncode}: {run.stderr}")
    found = {m["indicator"] for m in json.loads(run.stdout)}
    return ["match" if id in found else "refused" if f"comity: {id}: " in run.stderr else "none" for id in ids]


def main(comity):
    began, count, unexplained, unused, explained = time.time(), 0, [], [], {difference: set() for difference in DIFFERENCES}
    theirs = cases_of_stix2matcher()
    with tempfile.TemporaryDirectory() as folder:
        for observations, patterns in [(o, PATTERNS) for o in OBSERVATIONS] + theirs:
            for pattern, got in zip(patterns, comity_results(comity, pathlib.Path(folder), patterns, observations)):
                count += 1
                want = stix2matcher_result(pattern, observations)
                if got == want:
                    continue
                difference = next((d for d in DIFFERENCES if d[0] == got and re.fullmatch(d[1], pattern, re.DOTALL)), None)
                if difference:
                    explained[difference].add(pattern)
                else:
                    unexplained.append(f"{pattern}\n\tcomity: {got}, stix2-matcher: {want}, on {json.dumps(observations)}")
    for (_, form, reason), patterns in explained.items():
        if patterns:
            print(f"differs because {reason}:", *sorted(patterns), sep="\n\t")
        else:
            unused.append(f"no longer differs: {form}")
    print(*unexplained, *unused, sep="\n")
    print(f"{count} cases, {len(unexplained)} unexplained differences, {time.time() - began:.0f} s")
    return 1 if unexplained or unused or count < 1500 else 0


if __name__ == "__main__":
    sys.exit(main(os.path.abspath(sys.argv[1])))
