"""Prints every report of the demonstration with a browser, and checks the pages.

COMITY in the environment is the path of the built command, WORK that of a folder for the
prints. The script fails if a page has nothing but its header and footer, if a URL is
broken over more than two lines, if a print has more pages than PAGES allows, or if the
reports are not exactly those in PAGES.
"""
import html
import json
import os
import pathlib
import re
import subprocess
import sys
import time

import exchange
from exchange import COMITY

FOLDER = pathlib.Path(os.environ["WORK"], "paper")
CHROMIUM = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
            "--disable-component-update", "--disable-sync", "--no-pdf-header-footer", f"--user-data-dir={FOLDER}/chromium"]

# How many pages the print of each report and annex may have.
PAGES = {
    "CAR-2017-BN-ISSUE-1": 2, "CAR-2017-ID-C2": 51, "CAR-2017-ID-C2-annex": 3, "CAR-2017-ID-ISSUE-1": 2, "CAR-2017-ID-ISSUE-2": 2,
    "CAR-2017-ID-WEB": 8, "CAR-2017-KH-C2": 9, "CAR-2017-KH-C2-annex": 2, "CAR-2017-KH-WEB": 4, "CAR-2017-MM-C2": 7,
    "CAR-2017-MM-C2-annex": 2, "CAR-2017-MM-WEB": 3, "CAR-2017-MY-C2": 31, "CAR-2017-MY-C2-annex": 3, "CAR-2017-MY-ISSUE-1": 2,
    "CAR-2017-MY-WEB": 7, "CAR-2017-PH-C2": 23, "CAR-2017-PH-C2-annex": 3, "CAR-2017-PH-ISSUE-1": 2, "CAR-2017-PH-WEB": 5,
    "CAR-2017-SG-C2": 29, "CAR-2017-SG-C2-annex": 3, "CAR-2017-SG-ISSUE-1": 2, "CAR-2017-SG-WEB": 4, "CAR-2017-TH-C2": 36,
    "CAR-2017-TH-C2-annex": 3, "CAR-2017-TH-ISSUE-1": 2, "CAR-2017-TH-WEB": 7, "CAR-2017-VN-C2": 47, "CAR-2017-VN-C2-annex": 3,
    "CAR-2017-VN-WEB": 8,
}


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def render(data):
    """Writes all reports as HTML."""
    for report in json.loads(output(COMITY, "--data", data, "--json", "op", "reports", "op-asean-demo")):
        output(COMITY, "--data", data, "report", "render", report["number"], "-o", str(FOLDER))


def urls(page):
    """Returns the URLs of a page, as a reader sees them."""
    return [html.unescape(url) for url in sorted(set(re.findall(r"<div>(hxxps?://[^<]*)</div>", page.read_text())))]


def faults(page):
    """Prints a page, and yields what is wrong with the print."""
    pdf = page.with_suffix(".pdf")
    subprocess.run([*CHROMIUM, f"--print-to-pdf={pdf}", page.as_uri()], check=True, capture_output=True, timeout=120)
    pages = output("pdftotext", "-raw", str(pdf), "-").removesuffix("\f").split("\f")
    yield from (f"page {n} of {len(pages)} is blank" for n, text in enumerate(pages, 1) if len(text.strip().splitlines()) <= 4)
    if len(pages) > PAGES.get(page.stem, len(pages)):
        yield f"{len(pages)} pages, {PAGES[page.stem]} expected"
    text = "\n".join(pages)
    for url in urls(page):
        found = re.search(r"\n?".join(map(re.escape, url)), text)
        if not found:
            yield f"{url} is not in the print"
        elif found[0].count("\n") > 1:
            yield f"{url} is broken over {found[0].count(chr(10)) + 1} lines"


def main():
    began = time.time()
    FOLDER.mkdir()
    demo = exchange.Demo()
    try:
        render(demo.data)
    finally:
        demo.stop()
    rendered = time.time()
    pages = {page.stem: page for page in sorted(FOLDER.glob("*.html"))}
    wrong = [f"{name}: in the demonstration or in PAGES alone" for name in sorted(pages.keys() ^ PAGES.keys())]
    for name, page in pages.items():
        wrong += [f"{name}: {fault}" for fault in faults(page)]
    count = sum(len(urls(page)) for page in pages.values())
    if not count:
        wrong.append("no page has a URL")
    print(*wrong, sep="\n")
    print(f"the demonstration in {rendered - began:.0f} s; {len(pages)} prints with {count} URLs in {time.time() - rendered:.0f} s; {len(wrong)} faults")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
