"""Measures 11 and 13 as people verify: the offline page in Chromium, also at a quarter of its speed."""

import base64
import shutil
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Page, sync_playwright

from idp.ledger import VERIFYING_PAGE

PHONE = 4
"""So many times slower than this machine a phone of the middle range is taken to be."""
_CHECKED = """async ([bundle, now, policyText]) => {
    const begun = performance.now();
    const verdict = await check(bundle, { now, policyText });
    return [verdict.failed, performance.now() - begun];
}"""
_INCLUDED = """async ([leaf, number, total, proof, root]) => {
    const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const path = proof.map(bytes), took = [];
    for (let i = 0; i < 200; i++) {
        const begun = performance.now();
        await checkInclusion(bytes(leaf), number, total, path, bytes(root));
        took.push(performance.now() - begun);
    }
    return took;
}"""


def find() -> str | None:
    """Return the path of Chromium, if it is installed."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


@contextmanager
def verifying_page(slower: int = 1) -> Iterator[Page]:
    """Open the page that verifies, without a network."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find(), args=["--no-sandbox"])
        context = browser.new_context(offline=True)
        page = context.new_page()
        session = context.new_cdp_session(page)
        session.send("Emulation.setCPUThrottlingRate", {"rate": slower})
        page.goto(VERIFYING_PAGE.as_uri())
        yield page
        browser.close()


def bundle_seconds(page: Page, bundle: dict[str, Any], policy: str) -> float:
    """Return how long a bundle takes to be verified, which has to succeed."""
    failed, took = page.evaluate(_CHECKED, [bundle, int(time.time()), policy])
    assert not failed, failed
    return float(took) / 1000


def inclusion_milliseconds(
    page: Page, leaf: bytes, number: int, total: int, path: list[bytes], root: bytes
) -> float:
    """Return the median time of an inclusion proof's verification."""
    spelled = [base64.b64encode(one).decode() for one in (leaf, root, *path)]
    took = page.evaluate(_INCLUDED, [spelled[0], number, total, spelled[2:], spelled[1]])
    return statistics.median(took)
