"""Setting a phone up without a passkey on it: an office's code, or password and identity card."""

from urllib.parse import unquote

import pytest

from accounts.account import EventKind
from accounts.recoveries import Way
from connectors.simulation.cards import CardIssuer
from tests.idp.test_recovery import new_passkey, told
from tests.support.app_phone import AppPhone
from tests.support.browser import Browser
from tests.support.cards import LAN, Reader, chip_of, code_on
from tests.support.office import Office
from tests.support.stores import KINDS
from tests.support.world import World


@pytest.fixture
def kind() -> str:
    return "sqlite"


def office_code(world: World) -> str:
    """Let an officer give Lan a code."""
    Office(world).officer("minh")
    desk = world.sign_in("minh", how="passkey")
    account = world.account()
    page = desk.open("/desk")
    page = desk.follow(desk.submit(page.form("/desk/search"), identifier="lan"))
    form = page.form(f"/desk/accounts/{account}/recover")
    assert desk.submit(form, "phone-code-submit", ground="").status == 422
    page = desk.submit(form, "phone-code-submit", ground="CCCD 999190000001, khuôn mặt khớp")
    code = page.html.split('id="phone-code">')[1].split("<")[0]
    world.secrets.append(code)
    return code


def enter(browser: Browser, code: str) -> int:
    page = browser.open("/app/code")
    page = browser.submit(page.form("/app/code"), code=code)
    return page.status


@pytest.mark.parametrize("kind", KINDS)
def test_an_offices_code_sets_one_phone_up(world: World) -> None:
    code = office_code(world)
    assert told(world).count("sign-in-changed") == 1
    phone, other = world.browser(), world.browser()
    assert enter(phone, code.lower().replace("-", " ")) == 303
    assert enter(other, code) == 403
    # The session that the code began changes nothing else.
    assert phone.open("/me/passkeys").status in {200, 303}
    assert phone.call("/me/passkeys/options").status in {401, 403}
    page = phone.open("/app/enrol")
    assert "Nguyễn Thị Hương Lan" in page.text
    done, _key = new_passkey(world, phone, "/app/enrol")
    assert done.status == 200, done.text
    assert new_passkey(world, phone, "/app/enrol")[0].status == 403
    page = AppPhone(phone).enrol()
    assert (page.status, page.location) == (303, "/app/")
    # Everything she had before is still hers.
    assert world.browser().use_passkey(world.person().passkey).status == 200
    account = world.account()
    with world.transaction() as services:
        assert len(services.phones.of_account(account)) == 1
        events = [event.kind for event in services.accounts.history(account)]
    assert EventKind.PHONE_CODE_GIVEN in events
    assert told(world).count("sign-in-changed") == 3


@pytest.mark.parametrize("why", ["late", "newer", "alarm", "locked", "wrong"])
def test_a_code_that_is_void_opens_nothing(world: World, why: str) -> None:
    code, account = office_code(world), world.account()
    if why == "late":
        world.tick(minutes=15)
    elif why == "newer":
        with world.transaction() as services:
            services.phone_invitations.by_office(account)
    elif why == "alarm":
        with world.transaction() as services:
            (notice,) = services.notices.of_subject(world.subject_in(services, "lan"))
            services.alarm.raise_for(notice)
    elif why == "locked":
        with world.transaction() as services:
            services.recoveries.cancel(account, Way.TWO_WAYS)
            services.db.exec_driver_sql(
                f"UPDATE account SET state = 'closed' WHERE id = '{account}'"
            )
    else:
        code = code[:-1] + ("A" if code[-1] != "A" else "B")
    phone = world.browser()
    assert enter(phone, code) == 403
    assert phone.open("/app/enrol").status == 303


def test_codes_cannot_be_guessed(world: World) -> None:
    phone = world.browser()
    statuses = [enter(phone, f"AAAA-AAAA-AAAA-{n:04}") for n in range(22)]
    assert (statuses[0], statuses[-1]) == (403, 429)
    assert enter(phone, "\0") == 429


@pytest.mark.parametrize("kind", KINDS)
def test_password_and_card_set_a_phone_up_and_neither_alone(
    world: World, issuer: CardIssuer, reader: Reader
) -> None:
    Office(world).knows_card(LAN)
    strong = world.sign_in(how="passkey")
    assert not strong.open("/app/code").has_form("/app/code/chip")
    phone = world.sign_in()
    page = phone.open("/app/code")
    code = code_on(world, page := phone.submit(page.form("/app/code/chip")))
    assert reader.asked(code)["purpose"] == "phone-enrolment"
    # Not before the card was read, and not by another session of hers.
    assert phone.submit(page.form("/app/code/chip/finish")).status == 409
    assert new_passkey(world, phone, "/app/enrol")[0].status == 403
    assert reader.hold(chip_of(issuer, LAN), code).json() == {"status": "accepted"}
    other = world.sign_in()
    form = other.submit(other.open("/app/code").form("/app/code"), code="x")
    assert form.status == 403
    page = phone.submit(page.form("/app/code/chip/finish"))
    assert (page.status, unquote(page.location)) == (303, "/app/enrol")
    assert new_passkey(world, other, "/app/enrol")[0].status == 403
    done, _key = new_passkey(world, phone, "/app/enrol")
    assert done.status == 200, done.text
    assert AppPhone(phone).enrol().location == "/app/"
    assert "sign-in-changed" in told(world)
    # An old sign-in is not enough to ask for a reading.
    late = world.sign_in()
    world.tick(minutes=6)
    assert not late.open("/app/code").has_form("/app/code/chip")
