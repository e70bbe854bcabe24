"""Recovery by the password and the chip of the person's own identity card."""

import pytest

from connectors.protocol import Query, Unavailable
from connectors.simulation.cards import CardIssuer
from tests.idp.test_recovery import new_passkey
from tests.support.browser import Browser
from tests.support.cards import LAN, Reader, chip_of, code_on
from tests.support.office import Office
from tests.support.world import World


@pytest.fixture
def kind() -> str:
    return "sqlite"


@pytest.fixture
def office(world: World, issuer: CardIssuer) -> Office:
    made = Office(world)
    made.knows_card(LAN)
    return made


def ask(world: World, browser: Browser) -> str:
    page = browser.open("/me/recovery")
    return code_on(world, browser.submit(page.form("/me/recovery/chip")))


def test_her_own_card_voids_everything_old_at_once_in_the_browser_that_asked(
    world: World, office: Office, issuer: CardIssuer, reader: Reader
) -> None:
    browser, elsewhere = world.sign_in(), world.sign_in()
    answer = reader.hold(chip_of(issuer, LAN), ask(world, browser))
    assert answer.json() == {"status": "accepted"}
    assert new_passkey(world, elsewhere, "/me/recovery")[0].status == 403
    done, phone = new_passkey(world, browser, "/me/recovery")
    assert done.status == 200, done.text
    assert elsewhere.open("/me").status == 303
    assert world.browser().use_passkey(world.person().passkey).status == 403
    assert world.browser().use_passkey(phone).status == 200
    assert "identity card" in browser.open("/me/uses").text.lower()


def test_an_old_sign_in_makes_no_passkey_and_a_fresh_one_in_the_same_browser_does(
    world: World, office: Office, issuer: CardIssuer, reader: Reader
) -> None:
    browser = world.sign_in()
    reader.hold(chip_of(issuer, LAN), ask(world, browser))
    world.tick(minutes=6)
    assert new_passkey(world, browser, "/me/recovery")[0].status == 403
    world.sign_in(browser=browser)
    assert new_passkey(world, browser, "/me/recovery")[0].status == 200


@pytest.mark.parametrize("fault", ["other", "withdrawn", "unknown", "away", "late", "passkey"])
def test_anything_else_recovers_nothing(
    world: World, office: Office, issuer: CardIssuer, reader: Reader, fault: str
) -> None:
    browser, stated = world.sign_in(), dict(LAN)
    code, register = ask(world, browser), office.registers["identity_cards"]  # type: ignore[index]
    if fault == "other":
        stated["personal_number"] = "999301000009"
    elif fault == "withdrawn":
        office.knows_card(LAN, state="withdrawn")
    elif fault == "unknown":
        register.records.clear()
    elif fault == "away":

        def silent(_query: Query, _entry: str, _now: object) -> Unavailable:
            return Unavailable("identity_cards", "timeout")

        register.look_up = silent
    answer = reader.hold(chip_of(issuer, stated), code)
    if fault in {"late", "passkey"}:
        assert answer.json() == {"status": "accepted"}
        if fault == "passkey":
            world.sign_in(how="passkey")
        else:
            world.tick(minutes=61)
            browser = world.sign_in(browser=browser)
    else:
        assert answer.status_code in {422, 503}
    assert new_passkey(world, browser, "/me/recovery")[0].status == 403
    world.sign_in(how="passkey")


def test_nobody_is_asked_for_a_card_where_none_can_be_examined(world: World) -> None:
    browser = world.sign_in()
    assert not browser.open("/me/recovery").has_form("/me/recovery/chip")
