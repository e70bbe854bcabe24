"""The record of uses among people: a citizen on her phone, the inspector, an auditor, a company.

One story with a browser for each of them; the record of a child is read in test_acting_for, a
withdrawal is watched in test_own_pages, a forged proof is found out in test_verifying_page.
"""

import csv
import gzip
import hashlib
import io
import json
import secrets
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from joserfc import jws
from joserfc.jwk import KeySet
from playwright.sync_api import expect
from sqlalchemy import update

from consent.cases import data_case
from consent.ledger.opening import Terms
from consent.opening_audits import AuditRefusedError, OpeningAudits
from idp import following, supervision
from idp.opening import open_drawn
from idp.services import Installation
from tests.stories.site import ROOT, Site
from tests.stories.visit import PHONE, Visit

OFFICE = "Cục An toàn dữ liệu Mẫu"
WORDS = "Tôi không đồng ý với việc sử dụng này."
LOOKED = "Thanh tra của cơ quan bảo vệ dữ liệu đã xem đề nghị của bạn"
DRAWN = "Kiểm toán viên rút thăm và kiểm tra một mục ghi của bạn"


def until(found: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for what the provider does by itself within seconds."""
    deadline = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.3)


def test_a_citizen_reads_objects_and_takes_proof_and_sees_who_looked(
    site: Site, enter: Callable[..., Visit], tmp_path: Path
) -> None:
    citizen, inspector = site.person("passkey"), site.person("passkey")
    site.appoint(inspector, OFFICE, "inspector")
    phone, desk = enter(), enter()
    page, language = phone.page, phone.language
    page.set_viewport_size({"width": PHONE, "height": 800})
    phone.take_authenticator(citizen)
    for party in (site.portal, site.bank):
        phone.begin(party)
        if party is site.portal:
            phone.use_passkey()
        phone.decide()
        phone.is_at(party)

    # She reads, narrows to the bank, and opens a use.
    phone.go("/me/uses")
    phone.sees(site.portal.name[language], site.bank.name[language])
    page.locator("summary").first.click()
    page.locator("#narrow-agency").select_option(label=site.bank.name[language])
    page.locator("#narrow-channel").select_option("userinfo")
    phone.press("narrow-submit")
    entries = page.locator("main a[href^='/me/uses/']:not([href*='copy']):not([href*='proof'])")
    assert entries.count() == 1
    phone.look("story-uses-narrowed")
    entries.first.click()

    # She objects, and has a day by which she gets an answer.
    page.locator("main a[href*='right=object']").click()
    phone.fill(words=WORDS)
    phone.press("case-send")
    phone.sees(reference := page.locator("main code").first.inner_text(), "Trả lời trước")
    phone.look("story-case-sent")
    with site.services() as services:
        found = services.cases.find(reference)
        assert found is not None
        # As if she had asked two months ago, and nobody answered.
        past = datetime.now(UTC) - timedelta(days=30)
        services.db.execute(
            update(data_case)
            .where(data_case.c.id == found.id)
            .values(acknowledge_by=past, answer_by=past)
        )

    # The inspector finds it by its number alone, and sees that the bank is late.
    desk.take_authenticator(inspector)
    desk.go("/sign-in?next=/regulator")
    desk.use_passkey()
    desk.is_on("/regulator")
    late = desk.page.locator("tr", has_text=site.bank.name[language]).first
    expect(late).to_be_visible()
    desk.fill(reference=reference)
    desk.press("find-submit")
    desk.sees(site.bank.name[language])
    desk.sees_not(citizen.name)
    phone.go("/me/uses")
    phone.sees(LOOKED, OFFICE)
    phone.sees_not(inspector.name)

    takes_the_days_file(site, desk, tmp_path)
    is_drawn_by_an_auditor(site, phone)
    takes_her_record(site, phone, tmp_path)


def takes_the_days_file(site: Site, desk: Visit, tmp_path: Path) -> None:
    """The inspector downloads the day's file and manifest; both agree, by the provider's key."""

    def is_exported() -> bool:
        installation = site.installation()
        try:
            following.follow(installation)
            supervision.export_due(installation)
        finally:
            installation.engine.dispose()
        desk.go("/regulator/exports")
        return desk.page.locator("main a[href$='/file']").count() > 0

    until(is_exported)
    saved = []
    for part in ("file", "manifest"):
        with desk.page.expect_download() as begun:
            desk.page.locator(f"main a[href$='/{part}']").first.click()
        begun.value.save_as(tmp_path / part)
        saved.append((tmp_path / part).read_bytes())
    keys = KeySet.import_key_set(httpx.get(f"{site.provider}/jwks").json())
    manifest = json.loads(jws.deserialize_compact(saved[1], keys, algorithms=["ES256"]).payload)
    assert manifest["sha256"] == hashlib.sha256(saved[0]).hexdigest()
    assert manifest["lines"] == len(gzip.decompress(saved[0]).splitlines())


def is_drawn_by_an_auditor(site: Site, phone: Visit) -> None:
    """An auditor draws entries by lot, has them opened, and she reads that one of hers was."""
    terms = Terms(secrets.token_bytes(32), 5000, f"{datetime.now(UTC):%Y-%m}")
    with site.services() as services:
        i = services.installation
        audit = OpeningAudits(services.db, i.clock, i.chance).announce("a1", terms.announcement)
    # Something happens, so that there is an epoch after the announcement.
    phone.page.goto(site.portal.origin)
    phone.press("read-again")

    def is_drawn() -> bool:
        with site.services() as services:
            i = services.installation
            try:
                OpeningAudits(services.db, i.clock, i.chance).draw(audit.id, "a1", terms)
            except AuditRefusedError:
                return False
            return True

    until(is_drawn)
    installation: Installation = site.installation()
    open_drawn(installation, audit.id, "7/2026", "c" * 32)
    installation.engine.dispose()
    phone.go("/me/uses")
    phone.sees(DRAWN)
    phone.look("story-uses-drawn")


def takes_her_record(site: Site, phone: Visit, tmp_path: Path) -> None:
    """She takes the table and the proof along; the proof verifies with no network and none of us."""
    table, proof = tmp_path / "uses.csv", tmp_path / "proof.json"
    for address, button, path in (
        ("/me/uses/copy", "copy-csv", table),
        ("/me/uses/proof", "download-proof", proof),
    ):
        phone.go(address)
        with phone.page.expect_download() as begun:
            phone.press(button)
        begun.value.save_as(path)
    rows = list(csv.reader(io.StringIO(table.read_text("utf-8-sig"))))
    assert len(rows) - 1 == int(rows[1][0])
    assert WORDS not in table.read_text("utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "consent.ledger.verify", str(proof), "--language", phone.language],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_director_reads_the_companys_record_and_takes_it_along(
    site: Site, visit: Visit, tmp_path: Path
) -> None:
    director, page = site.person("director"), visit.page
    visit.take_authenticator(director)
    visit.begin(site.portal)
    visit.use_passkey()
    page.locator("label[for=acting-1]").click()
    visit.press("acting-submit")
    visit.decide()
    visit.is_at(site.portal)
    visit.go("/me/uses")
    page.locator(".sen-views a", has_text=director.company).click()
    visit.sees(director.company, site.portal.name["vi"], director.name)
    page.locator("main a[href^='/me/uses/copy?of=']").click()
    with page.expect_download() as begun:
        visit.press("copy-csv")
    begun.value.save_as(tmp_path / "company.csv")
    rows = list(csv.reader(io.StringIO((tmp_path / "company.csv").read_text("utf-8-sig"))))
    # Only what is the company's own: who signed in stands in her own record.
    assert {row[3] for row in rows[1:]} <= {"demo-portal", "sen-id"}
    assert not any("Họ và tên" in row[6] for row in rows[1:])
    # Taking it along stands in both records.
    for address in ("/me/uses", page.url.replace("/copy", "")):
        visit.go(address.removeprefix(site.provider))
        visit.sees("bản sao")
    visit.look("story-uses-of-company")
