"""A copy of everything: complete, hers alone, after a fresh sign-in, and an event that she sees."""

import json
from typing import Any

import pytest

from accounts.account import OPERATOR, LockReason
from accounts.applications import ApplicationKind
from consent.data_use import Channel, Use
from tests.support.browser import Browser, Page
from tests.support.office import CHILD, Office
from tests.support.world import World


def download(browser: Browser, kind: str) -> Page:
    form = browser.open("/me/download").form("/me/download")
    return browser.submit(form, f"download-{kind}")


def record(browser: Browser) -> dict[str, Any]:
    page = download(browser, "json")
    assert page.status == 200
    found: dict[str, Any] = json.loads(page.html)
    return found


def test_the_json_holds_all_that_is_held(world: World) -> None:
    office = Office(world)
    office.officer("minh")
    office.knows_citizen(CHILD, parents=[{"name": "Khác", "number": "999199000999"}])
    office.apply(ApplicationKind.MINOR, {**CHILD, "tie": "parent"}, "lan")
    world.arrive("portal", "openid name contact").tokens()
    lan = world.person("lan")
    with world.transaction() as services:
        found = services.accounts.find_of_subject(world.subject_in(services, "lan"))
        assert found is not None
        services.accounts.lock(found.id, LockReason.RISK, actor=OPERATOR, ground="Số 1")
        services.accounts.unlock(found.id, LockReason.RISK, actor=OPERATOR)
    told = record(world.sign_in())
    assert told["format"] == "sen-id/personal-record/1"
    (account,) = told["accounts"]
    assert account["password_changed_at"]
    assert account["passkeys"]
    assert [e["ground"] for e in account["history"] if e["kind"] == "locked"] == ["Số 1"]
    assert {"login": "lan", "personal-number": lan.number}.items() <= {
        one["type"]: one["value"] for one in told["identifiers"]
    }.items()
    email = next(one for one in told["attributes"] if one["claim"] == "email")
    assert (email["value"], email["source"]) == ("lan@example.vn", "self")
    (consent,) = told["consents"]
    assert told["notices"][consent["notice_hash"]]["text"]
    assert told["mandates"][0]["other"] == "Công ty Hoa Sen Mẫu"
    assert told["applications"][0]["stated"]["name"] == CHILD["name"]
    assert len(told["grants"]) == 1
    assert told["browser_sessions"]
    positions = [use["position"] for use in told["uses"]]
    assert positions == list(range(len(positions), 0, -1))
    assert told["uses"][0]["channel"] == "export"
    # No secret, no other person's number.
    text = json.dumps(told)
    for secret in ("cookie_hash", "user_handle", "argon2", "999199000999"):
        assert secret not in text


def test_the_download_is_seen_in_the_timeline_and_the_chain_holds(world: World) -> None:
    browser = world.sign_in()
    record(browser)
    assert "Gave you a copy of your data" in browser.open("/me/uses").text
    with world.transaction() as services:
        assert services.use_log.is_intact(world.subject_in(services, "lan"))


@pytest.mark.parametrize("language", ["vi", "en"])
def test_the_pdf_can_be_made_in_both_languages(
    world: World, language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("idp.web.printed.USES_IN_FULL", 2)
    world.arrive("portal", "openid name contact").tokens()
    browser = world.sign_in()
    browser.open(f"/language/{language}?next=/me")
    page = download(browser, "pdf")
    assert page.status == 200
    assert page.html.startswith("%PDF-")


def test_it_needs_a_fresh_sign_in(world: World) -> None:
    browser = world.sign_in()
    world.tick(minutes=6)
    page = download(browser, "json")
    assert page.location == "/sign-in?next=/me/download"
    with world.transaction() as services:
        entries = services.use_log.of_subject(world.subject_in(services, "lan"))
    assert all(entry.use.channel is not Channel.EXPORT for entry in entries)
    assert world.browser().open("/me/download").location.startswith("/sign-in")


def test_it_cannot_be_asked_for_without_end(world: World) -> None:
    browser = world.sign_in()
    form = browser.open("/me/download").form("/me/download")
    statuses = [browser.submit(form, "download-json").status for _ in range(11)]
    assert statuses == [200] * 10 + [429]
    assert browser.post("/me/download", {**form.values, "format": "exe"}).status == 400


def test_years_of_uses_are_written_page_by_page(world: World) -> None:
    with world.transaction() as services:
        subject = world.subject_in(services, "lan")
        for number in range(1200):
            services.use_log.record(
                Use(subject, "portal", Channel.ID_TOKEN, ("sub",), "public-service", 1,
                    "consent", f"c{number}")
            )  # fmt: skip
    uses = record(world.sign_in())["uses"]
    assert len(uses) > 1200
    assert len({use["id"] for use in uses}) == len(uses)
