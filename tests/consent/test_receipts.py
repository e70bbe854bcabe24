"""Consent receipts: by the profile's members, verified by a JOSE library that did not sign them."""

import hashlib
import json
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import KeySet

from consent import receipts
from tests.support.browser import Browser
from tests.support.stores import KINDS
from tests.support.world import World

MANDATORY = {
    "@id", "@type", "dct:identifier", "dct:conformsTo", "dpv:hasDataSubject", "dpv:hasDataController",
    "dpv:hasJurisdiction", "dpv:hasProcess", "dpv:hasConsentControl", "dpv:hasNotice",
    "dpv:hasConsentStatus",
}  # fmt: skip


@pytest.fixture(params=KINDS[:1])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def consent_id(world: World) -> str:
    with world.transaction() as services:
        return services.consents.of_subject(world.subject_in(services, "lan"))[0].id


def payload(world: World, browser: Browser) -> bytes:
    """Return what the signed receipt holds."""
    page = browser.open(f"/me/consents/{consent_id(world)}/receipt.jws")
    assert page.headers["Content-Type"] == "application/jose"
    keys = KeySet.import_key_set(world.client().get("/jwks").json())
    signed = jws.deserialize_compact(page.html.encode(), keys, algorithms=["ES256"])
    assert signed.headers()["typ"] == "consent-receipt+jwt"

    return bytes(signed.payload)


def receipt(world: World, browser: Browser) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(payload(world, browser))
    return document


def test_it_says_who_agreed_to_what_and_names_no_value(world: World) -> None:
    arrival = world.arrive("portal", "openid name birth")
    sub = arrival.tokens().claims["sub"]
    told = receipt(world, arrival.browser)
    assert told["@type"] == "dpv:ConsentReceipt"
    assert told["dct:conformsTo"].endswith("dpv-27560#receipt")
    assert told["iss"] == world.issuer
    record = told["dpv:hasRecordOfActivity"]
    assert set(record) >= MANDATORY
    assert record["dpv:hasDataSubject"]["dct:identifier"] == sub
    assert record["dpv:hasDataController"]["dct:identifier"] == "portal"
    named = {one["dct:identifier"] for one in record["dpv:hasProcess"]["dpv:hasPersonalData"]}
    assert {"name", "birthdate"} <= named
    (given,) = record["dpv:hasConsentStatus"]
    assert "dpv:ConsentGiven" in given["@type"]
    person = world.person()
    assert person.name not in str(told)
    assert person.birthdate not in str(told)


def test_the_notice_is_the_one_that_was_shown(world: World) -> None:
    browser = world.arrive("portal", "openid name").browser
    told = receipt(world, browser)["dpv:hasRecordOfActivity"]["dpv:hasNotice"]
    with world.transaction() as services:
        found = services.consents.of_subject(world.subject_in(services, "lan"))[0]
        text = services.consents.notice_text(found.notice_hash) or ""
    assert told["dct:identifier"] == f"urn:sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def test_a_withdrawn_one_says_so_and_an_expired_one_too(world: World) -> None:
    browser = world.arrive("portal", "openid name").browser
    path = f"/me/consents/{consent_id(world)}/withdraw"
    browser.submit(browser.open("/me/consents").form(path))
    events = receipt(world, browser)["dpv:hasRecordOfActivity"]["dpv:hasConsentStatus"]
    assert [one["@type"] for one in events][1:] == ["dpv:ConsentWithdrawn"]
    world.tick(minutes=1)
    browser = world.arrive("portal", "openid name", browser=browser).browser
    world.tick(days=400)
    events = receipt(world, world.sign_in())["dpv:hasRecordOfActivity"]["dpv:hasConsentStatus"]
    assert events[-1]["@type"] == "dpv:ConsentExpired"


def test_the_sheet_carries_the_fingerprint_of_the_signed_one(world: World) -> None:
    browser = world.arrive("portal", "openid name").browser
    payloads = {payload(world, browser)}
    world.tick(minutes=3)
    payloads.add(payload(world, browser))
    # The same as long as nothing becomes of the consent, or the fingerprint would say nothing.
    (one,) = payloads
    with world.transaction() as services:
        found = services.consents.of_subject(world.subject_in(services, "lan"))[0].id
    code = receipts.address(world.issuer, found, one)
    assert code.endswith(hashlib.sha256(one).hexdigest())
    sheet = browser.client.get(f"/me/consents/{found}/receipt.pdf")
    assert sheet.headers["Content-Type"] == "application/pdf"
    # It is drawn and printed; a program reads it as the document's subject.
    assert code.encode() in sheet.content
    # Whoever scans it is told how to compare, and the same whether there is such a consent or not.
    pages = [world.browser().open(f"/receipts/{n}") for n in (found, "0" * 32)]
    assert [page.status for page in pages] == [200, 200]
    assert pages[0].text.replace(found, "") == pages[1].text.replace("0" * 32, "")


def test_another_persons_receipt_is_not_there(world: World) -> None:
    world.arrive("portal", "openid name")
    found, minh = consent_id(world), world.sign_in("minh")
    for kind in ("jws", "pdf"):
        assert minh.open(f"/me/consents/{found}/receipt.{kind}").status == 404
    assert minh.open(f"/me/consents/{found}/receipt.exe").status == 404
    assert world.browser().open(f"/me/consents/{found}/receipt.jws").status == 303


def narrow(browser: Browser, found: str, keep: list[str], lasts: str = "") -> int:
    form = browser.open("/me/consents").form(f"/me/consents/{found}/narrow")
    return browser.submit(form, keep=keep, lasts=lasts).status


def test_sharing_less_takes_effect_at_once_and_is_a_version_of_its_own(world: World) -> None:
    arrival = world.arrive("portal", "openid name birth offline_access")
    tokens = arrival.tokens()
    assert "birthdate" in arrival.party.userinfo(tokens.access).body
    old = consent_id(world)
    world.tick()
    assert narrow(arrival.browser, old, ["name", "vn_account_kind", "birthday"], "30") == 200
    # The token lives on; what was taken away does not come any more.
    told = arrival.party.userinfo(tokens.access).body
    assert "name" in told
    assert "birthdate" not in told
    found = consent_id(world)
    with world.transaction() as services:
        new = services.consents.consent(found)
        assert (new.replaces, new.attributes) == (old, frozenset({"name", "vn_account_kind"}))
        assert "birthdate" in new.declined
        assert (new.valid_until - world.clock()).days == 30
    # It never becomes wider or longer again, and the old one cannot be brought back.
    world.tick()
    assert narrow(arrival.browser, found, ["name", "birthdate"], "90") == 200
    found = consent_id(world)
    with world.transaction() as services:
        again = services.consents.consent(found)
        assert again.attributes == frozenset({"name"})
        assert again.valid_until == new.valid_until
    token = arrival.browser.open("/me/details").form("/me/details").values["csrf_token"]
    path = f"/me/consents/{old}/narrow"
    assert arrival.browser.post(path, {"csrf_token": token, "keep": "birthdate"}).status == 404
    minh = world.sign_in("minh")
    token = minh.open("/me/details").form("/me/details").values["csrf_token"]
    path = f"/me/consents/{again.id}/narrow"
    assert minh.post(path, {"csrf_token": token}).status == 404


def test_what_a_service_needs_it_asks_for_again(world: World) -> None:
    arrival = world.arrive("portal", "openid name birth")
    assert narrow(arrival.browser, consent_id(world), ["name"]) == 200
    page = arrival.browser.visit(world.party("portal").begin("openid name birth").url)
    assert page.has_form("/consent")
