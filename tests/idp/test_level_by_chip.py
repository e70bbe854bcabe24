"""Level 02 by the card's chip: pages ask, a reader app answers, the card register confirms.

What the bytes of a card prove is tried in tests/accounts/test_chip.py; here is what becomes of it.
"""

from dataclasses import replace

import pytest

from accounts.account import ActorKind, EventKind
from accounts.applications import ApplicationKind, ApplicationState, EvidenceSource
from accounts.levels import AccountLevel
from connectors.protocol import Query, Unavailable
from connectors.simulation.cards import CardIssuer
from connectors.simulation.reader import document
from consent.data_use import Channel
from idp.register_checks import check_all
from tests.support.browser import Browser, Page
from tests.support.cards import Reader, chip_of, code_on
from tests.support.office import CHILD, NEWCOMER, Office
from tests.support.world import World

HOA = {"personal_number": "999301000003", "name": "Lê Thị Hoa", "birthdate": "2001-02-28"}


@pytest.fixture
def kind() -> str:
    return "sqlite"


@pytest.fixture
def office(world: World, issuer: CardIssuer) -> Office:
    made = Office(world)
    made.knows_card(HOA)
    return made


def ask_for_code(world: World, browser: Browser, page: Page) -> str:
    action = next(form.action for form in page.forms if form.action.endswith("/chip"))
    return code_on(world, browser.submit(page.form(action)))


def begin(world: World) -> tuple[Browser, str, str]:
    """Let Hoa apply for level 02 and ask for a reading; return her browser, the page and the code."""
    browser = world.sign_in("hoa")
    page = browser.open("/me/applications")
    page = browser.follow(browser.submit(page.form("/me/applications/level")))
    return browser, page.path, ask_for_code(world, browser, page)


def level(world: World) -> AccountLevel:
    account = world.account("hoa")
    with world.transaction() as services:
        return services.accounts.account(account).level


def test_her_own_card_raises_her_account_at_once(
    world: World, office: Office, issuer: CardIssuer, reader: Reader
) -> None:
    browser, path, code = begin(world)
    answer = reader.hold(chip_of(issuer, HOA), code)
    assert answer.json() == {"status": "accepted", "application": "issued"}
    assert level(world) is AccountLevel.LEVEL_02
    page = browser.open(path)
    assert "Issued" in page.text
    assert "Card read" in page.text
    account = world.account("hoa")
    with world.transaction() as services:
        subject = world.subject_in(services, "hoa")
        (changed,) = [
            event
            for event in services.accounts.history(account)
            if event.kind is EventKind.LEVEL_CHANGED
        ]
        assert changed.actor.kind is ActorKind.PROVIDER
        pulls = [
            entry.use.attributes
            for entry in services.use_log.of_subject(subject)
            if entry.use.channel is Channel.CONNECTOR_PULL
        ]
        assert [pull for pull in pulls if "id_card" in pull]
        assert services.use_log.is_intact(subject)
        (found,) = services.applications.of_applicant(subject)
        (chip,) = [
            one
            for one in services.applications.evidence_of(found.id)
            if one.source is EvidenceSource.CHIP
        ]
    # Hashes, certificates' numbers and the card's dates: nothing else of the files is kept.
    assert set(chip.values) == {
        "sod", "dg1", "dg2", "dg13", "dg14", "dg15", "authority", "signer", "issued", "expiry",
    }  # fmt: skip
    assert all(len(value) <= 64 for value in chip.values.values())


def test_a_reading_is_good_once_and_a_recorded_one_never(
    world: World, office: Office, issuer: CardIssuer, reader: Reader
) -> None:
    browser, path, code = begin(world)
    recorded = chip_of(issuer, HOA).read(reader.nonce(code))
    copy = replace(recorded, signature=bytes(64))
    answer = reader.send(document(copy, code))
    assert (answer.status_code, answer.json()["reason"]) == (422, "copy")
    # The request is spent by the bad reading; the good one comes too late.
    assert reader.send(document(recorded, code)).status_code == 404
    page = browser.open(path)
    assert "this may be a copy" in page.text
    fresh = ask_for_code(world, browser, page)
    assert reader.send(document(recorded, fresh)).json()["reason"] == "copy"
    assert level(world) is AccountLevel.LEVEL_01


def test_a_request_lives_five_minutes(
    world: World, office: Office, issuer: CardIssuer, reader: Reader
) -> None:
    _browser, _path, code = begin(world)
    reading = chip_of(issuer, HOA).read(reader.nonce(code))
    world.tick(minutes=5)
    assert reader.send(document(reading, code)).json() == {"error": "unknown_code"}


@pytest.mark.parametrize(
    "change",
    [{"personal_number": "999301000009"}, {"name": "Lê Thị Hòa"}, {"birthdate": "2001-02-27"}],
)
def test_somebody_elses_card_proves_nothing(
    world: World, office: Office, issuer: CardIssuer, reader: Reader, change: dict[str, str]
) -> None:
    _browser, _path, code = begin(world)
    answer = reader.hold(chip_of(issuer, {**HOA, **change}), code)
    assert answer.json() == {"error": "chip_refused", "reason": "other-person"}
    assert level(world) is AccountLevel.LEVEL_01


@pytest.mark.parametrize(
    "card", [{"state": "withdrawn"}, {"state": "expired"}, {"issue": "2026-01-01"}, None]
)
def test_a_card_that_its_register_does_not_call_valid_raises_nothing(
    world: World, office: Office, issuer: CardIssuer, reader: Reader, card: dict[str, str] | None
) -> None:
    if card is None:
        office.registers["identity_cards"].records.clear()  # type: ignore[index]
    else:
        office.knows_card(HOA, **card)
    browser, path, code = begin(world)
    assert reader.hold(chip_of(issuer, HOA), code).json()["application"] == "ready"
    assert level(world) is AccountLevel.LEVEL_01
    application = path.rpartition("/")[2]
    assert office.awaited(application)[1] == ["card-not-valid"]
    assert not any(form.action.endswith("/chip") for form in browser.open(path).forms)


def test_a_card_register_that_is_away_is_waited_for(
    world: World, office: Office, issuer: CardIssuer, reader: Reader
) -> None:
    cards = office.registers["identity_cards"]  # type: ignore[index]
    answers = cards.look_up
    cards.look_up = lambda query, entry, now: _away(query)
    _browser, path, code = begin(world)
    assert reader.hold(chip_of(issuer, HOA), code).json()["application"] == "checking"
    assert office.awaited(path.rpartition("/")[2])[0] == ["register"]
    cards.look_up = answers
    world.tick(minutes=1)
    assert check_all(world.installation) == 1
    assert level(world) is AccountLevel.LEVEL_02


def _away(_query: Query) -> Unavailable:
    return Unavailable("identity_cards", "resting")


def test_what_is_no_reading_spends_nothing(
    world: World, office: Office, issuer: CardIssuer, reader: Reader
) -> None:
    _browser, _path, code = begin(world)
    good = document(chip_of(issuer, HOA).read(reader.nonce(code)), code)
    for bad in (
        {}, {"code": code}, {**good, "signature": 7}, {**good, "files": {"dg3": "AA"}},
        {**good, "files": {"sod": "é"}}, {**good, "files": {"sod": "A"}},
    ):  # fmt: skip
        assert reader.send(bad).status_code == 400
    large = {**good, "files": {**good["files"], "dg2": "A" * 300_000}}
    assert reader.client.post("/apply/chip/readings", json=large).status_code == 413
    assert reader.client.post("/apply/chip/readings", data={"code": code}).status_code == 403
    assert reader.send(good).status_code == 200


def test_codes_cannot_be_guessed(world: World, office: Office, reader: Reader) -> None:
    statuses = {
        reader.client.post("/apply/chip/challenge", json={"code": f"AAAA{n}"}).status_code
        for n in range(22)
    }
    assert statuses == {404, 429}


def test_a_stranger_with_a_card_waits_for_an_officer_and_gets_the_code_by_reference(
    world: World, office: Office, issuer: CardIssuer, reader: Reader
) -> None:
    office.knows_citizen(NEWCOMER)
    office.knows_card(NEWCOMER)
    browser = world.browser()
    form = browser.open("/apply/citizen-chip").form("/apply/citizen-chip")
    page = browser.submit(form, **NEWCOMER)
    reference = page.html.split('id="reference">')[1].split("<")[0]
    world.secrets.append(reference)
    code = ask_for_code(world, browser, page)
    assert reader.hold(chip_of(issuer, NEWCOMER), code).json()["application"] == "ready"
    with world.transaction() as services:
        (found,) = services.applications.undecided()
    desk = world.sign_in("minh", how="passkey") if office.officer("minh") else None
    assert desk is not None
    assert "Chip of the identity card" in desk.open(f"/desk/applications/{found.id}").text
    account = office.issue(found.id)
    assert account.level is AccountLevel.LEVEL_02
    page = browser.open("/apply/follow")
    page = browser.submit(page.form("/apply/follow"), reference=reference)
    page = browser.submit(page.form("/apply/code"))
    made = page.html.split('id="activation-code">')[1].split("<")[0]
    world.secrets.append(made)
    assert made


def test_a_childs_card_is_for_the_desk(
    world: World, office: Office, issuer: CardIssuer, reader: Reader
) -> None:
    office.knows_citizen(CHILD)
    application = office.apply(ApplicationKind.CITIZEN_02, CHILD)
    with world.transaction() as services:
        code = services.chip_requests.begin(application.id)
    answer = reader.hold(chip_of(issuer, CHILD), code)
    assert answer.json()["reason"] == "too-young"
    assert office.now(application.id).state is not ApplicationState.ISSUED


def test_where_no_authority_is_known_no_card_is_read(world: World, office: Office) -> None:
    world.installation.card_trust = None
    assert world.browser().open("/apply/citizen-chip").status == 404
    assert "/apply/citizen-chip" not in world.browser().open("/apply").html
    answer = world.client().post("/apply/chip/challenge", json={"code": "A"})
    assert answer.status_code == 404
    browser = world.sign_in("hoa")
    page = browser.open("/me/applications")
    page = browser.follow(browser.submit(page.form("/me/applications/level")))
    assert not any(form.action.endswith("/chip") for form in page.forms)
