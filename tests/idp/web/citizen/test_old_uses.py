"""Uses that lie in the archive: a person reads, narrows, copies and proves them as all others."""

import json
from dataclasses import replace

import pytest
from sqlalchemy import delete, update

from consent.data_use import PROVIDER, Channel, Outcome, UseEntry, data_use
from consent.history import Wanted
from consent.ledger import verify
from idp import archiving, ledger
from tests.idp.web.citizen.test_download import download, record
from tests.idp.web.citizen.test_proof import proof
from tests.idp.web.citizen.test_record import copy as table
from tests.support.browser import Browser
from tests.support.watched import found_in, unpacked
from tests.support.world import World

pytestmark = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)


@pytest.fixture
def old(world: World) -> list[UseEntry]:
    """What lan's record held before all of it was moved, newest first."""
    assert world.clock is not None
    world.clock.set(world.clock().replace(day=10))
    portal = world.arrive("portal", "openid name birth")
    tokens = portal.tokens()
    portal.party.userinfo(tokens.access)
    world.tick(days=40)
    clinic = world.arrive("clinic", "openid email", browser=world.browser())
    clinic.party.userinfo(clinic.tokens().access)
    with world.transaction() as services:
        before = services.use_log.of_subject(world.subject_in(services, "lan"), limit=1000)
    move(world)
    return before


def move(world: World) -> None:
    """Let so much time pass that all there is goes into the archive."""
    world.tick(days=450)
    ledger.sequencer(world.installation).run_once()
    assert list(archiving.run(world.installation))


def test_her_pages_show_them(world: World, old: list[UseEntry]) -> None:
    browser = world.sign_in()
    # Nothing is newer: the timeline begins in the archive.
    page = browser.open("/me/uses")
    assert page.status == 200
    assert "Sample service portal" in page.text
    record(browser)
    # The copy that she took is newer, and the rest a page farther on.
    page = browser.open("/me/uses")
    assert "Gave you a copy of your data" in page.text
    timeline = page.html.split("</form>", 1)[1]
    assert "Sample service portal" not in timeline
    (link,) = {one for one in page.html.split('"') if "before=" in one}
    assert link == f"/me/uses?before={old[0].position + 1}"
    page = browser.open(link)
    timeline = page.html.split("</form>", 1)[1]
    assert "Sample service portal" in timeline
    assert "Phòng khám Mẫu" in timeline
    narrowed = browser.open("/me/uses?agency=clinic")
    assert "Phòng khám Mẫu" in narrowed.html.split("</form>", 1)[1]
    assert "Sample service portal" not in narrowed.html.split("</form>", 1)[1]
    one = browser.open(f"/me/uses/{old[0].position}")
    assert old[0].commitment.hex() in one.html
    assert "Sample service portal" in browser.open("/me/agencies").text
    assert "Date of birth" in browser.open("/me/agency?id=portal").text
    assert browser.open("/me").status == 200


def test_copies_and_the_proof_hold_them(world: World, old: list[UseEntry]) -> None:
    browser = world.sign_in()
    told = {one["position"]: one for one in record(browser)["uses"]}
    assert sorted(told) == list(range(1, old[0].position + 2))
    assert all(told[e.position]["commitment"] == e.commitment.hex() for e in old)
    ledger.sequencer(world.installation).run_once()
    bundle = proof(browser)
    verdict = verify.check(bundle, now=int(world.installation.clock().timestamp()))
    assert verdict.is_good
    assert verdict.uses >= len(old)
    assert json.loads(bundle["entries"][0][1])["position"] == 1


def test_a_parent_does_not_see_what_is_the_persons_alone(world: World, old: list[UseEntry]) -> None:
    with world.transaction() as services:
        lan = world.subject_in(services, "lan")
        hidden = {
            e.position for e in old if "email" in e.use.attributes and e.use.client_id != PROVIDER
        }
        history = services.history(lan, without=frozenset({"email"}))
        assert {e.position for e in history.all(Wanted())} == {e.position for e in old} - hidden
        assert hidden
        assert [history.entry(place) for place in hidden] == [None] * len(hidden)
        assert "email" not in {
            name
            for one in history.agencies()
            if one.client_id != PROVIDER
            for name in one.attributes
        }


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(agency="portal"), Wanted(attribute="birthdate"), Wanted(attribute="birth"),
        Wanted(channel=Channel.USERINFO), Wanted(outcome=Outcome.REFUSED), Wanted(basis="consent"),
        Wanted(purpose="healthcare"), Wanted(),
    ],
)  # fmt: skip
def test_the_same_fits_as_among_rows(world: World, wanted: Wanted) -> None:
    # An hour after the cast was seeded: of two who used data at one moment, either is the first.
    world.tick(hours=1)
    world.arrive("portal", "openid name birth").tokens()
    world.tick(days=1)
    clinic = world.arrive("clinic", "openid email", browser=world.browser())
    clinic.party.userinfo(clinic.tokens().access)
    with world.transaction() as services:
        lan = world.subject_in(services, "lan")
        here = list(services.history(lan).all(wanted))
        at = services.use_log.of_subject(lan)[1].at
        later, sooner = (
            list(services.history(lan).all(replace(wanted, **{side: at})))
            for side in ("since", "until")
        )
        first, agencies = services.history(lan).first_of("portal"), services.history(lan).agencies()
    move(world)
    with world.transaction() as services:
        history = services.history(lan)
        assert list(history.all(wanted)) == here
        assert list(history.all(replace(wanted, since=at))) == later
        assert list(history.all(replace(wanted, until=at))) == sooner
        assert history.first_of("portal") == first
        assert history.agencies() == agencies


def test_a_missing_file_is_told_and_the_newer_uses_stay(world: World, old: list[UseEntry]) -> None:
    browser = world.sign_in()
    record(browser)
    world.installation.settings.archive_folder.rename(
        world.installation.settings.archive_folder.with_name("away")
    )
    page = browser.open("/me/uses")
    assert page.status == 200
    assert "Gave you a copy of your data" in page.text
    page = browser.open(f"/me/uses?before={old[0].position + 1}")
    assert page.status == 503
    assert "Older uses cannot be shown at the moment" in page.text
    assert browser.open("/me").status == 200


def test_an_altered_entry_is_told_as_that_wherever_it_is(world: World) -> None:
    assert world.clock is not None
    world.clock.set(world.clock().replace(day=10))
    world.arrive("portal", "openid name birth").tokens()
    ledger.sequencer(world.installation).run_once()
    with world.transaction() as services:
        lan = world.subject_in(services, "lan")
        place, gone = (one.position for one in services.use_log.of_subject(lan, limit=2))
        hers = data_use.c.subject_id == lan
        services.db.execute(
            update(data_use).where(hers, data_use.c.position == place).values(consent_id=None)
        )
    browser = world.sign_in()
    assert browser.open("/me/uses").text.count("Altered") == 1
    assert "Altered" in browser.open(f"/me/uses/{place}").text
    assert "Altered" not in browser.open(f"/me/uses/{gone}").text
    altered_in_copies(browser, {place})
    ledger.sequencer(world.installation).run_once()
    with world.transaction() as services:
        services.db.execute(delete(data_use).where(hers, data_use.c.position == gone))
    world.tick(days=450)
    (month, *_) = archiving.archiver(world.installation).waiting(13)
    archiving.set_aside(world.installation, month.month, "7/2026")
    browser = world.sign_in()
    old = browser.open(f"/me/uses?before={place + 1}")
    assert old.text.count("Altered") == 2
    assert "What was recorded here was removed" in old.text
    assert "Altered" in browser.open(f"/me/uses/{place}").text
    assert "What was recorded here was removed" in browser.open(f"/me/uses/{gone}").text
    altered_in_copies(browser, {place, gone})


def altered_in_copies(browser: Browser, places: set[int]) -> None:
    """Check that every copy tells of these uses, and no others, that they were altered."""
    head, *rows = table(browser)
    told = head.index("Altered")
    assert {int(row[0]) for row in rows if row[told]} == places
    assert {use["position"] for use in record(browser)["uses"] if use["altered"]} == places
    printed = "".join(unpacked(download(browser, "pdf").body))
    assert found_in(printed, {"altered": ["What stands here is not what was recorded."]})
