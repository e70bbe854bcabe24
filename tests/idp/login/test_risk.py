"""Risk rules: the table itself, the list of networks, and what a person meets."""

import io
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from accounts.levels import AuthenticationLevel, Strength
from accounts.notices import NoticeKind
from idp.login.risk import AddressList, Decision, Surroundings, is_impossible, judge
from idp.places import Places
from tests.support.browser import Page
from tests.support.world import World

ONE, TWO = Strength(AuthenticationLevel.LEVEL_1), Strength(AuthenticationLevel.LEVEL_2)
PASSKEY = Strength(AuthenticationLevel.LEVEL_2, phishing_resistant=True)
CALM = Surroundings(ONE, False, False, False, False)
STORM = Surroundings(ONE, True, True, True, True)
AFAR = replace(CALM, is_new_browser=True, is_impossible_journey=True)
RENTED = "198.51.100.0/24"


@pytest.fixture
def kind() -> str:
    return "sqlite"


@pytest.mark.parametrize(
    ("surroundings", "reason", "decision"),
    [
        (CALM, "known-browser", Decision.ALLOW),
        (replace(CALM, is_new_browser=True), "nothing-unusual", Decision.ALLOW),
        (replace(STORM, strength=PASSKEY), "passkey", Decision.ALLOW),
        (STORM, "stronger-needed", Decision.STEP_UP),
        (replace(STORM, strength=TWO), "risk-attack", Decision.REFUSE),
        (replace(STORM, strength=TWO, is_new_browser=False), "known-browser", Decision.ALLOW),
        (replace(STORM, has_incident=False), "risk-attack", Decision.REFUSE),
        (
            replace(STORM, has_incident=False, has_many_failures=False),
            "risk-data-centre",
            Decision.STEP_UP,
        ),
        (
            replace(STORM, has_incident=False, is_data_centre=False),
            "risk-failures",
            Decision.STEP_UP,
        ),
        (replace(STORM, strength=TWO, is_data_centre=False), "nothing-unusual", Decision.ALLOW),
        (replace(AFAR, strength=TWO), "risk-journey-refused", Decision.REFUSE),
        (AFAR, "risk-journey", Decision.STEP_UP),
        (replace(AFAR, strength=PASSKEY), "passkey", Decision.ALLOW),
        (replace(AFAR, is_new_browser=False), "known-browser", Decision.ALLOW),
    ],
)
def test_the_first_rule_that_fits_decides(
    surroundings: Surroundings, reason: str, decision: Decision
) -> None:
    rule = judge(surroundings)
    assert (rule.reason, rule.decision) == (reason, decision)


def test_a_list_of_networks() -> None:
    held = AddressList(["# rented", "", f"{RENTED} # one", "2001:db8::/32", "203.0.113.9"])
    for address in ("198.51.100.1", "2001:db8::7", "203.0.113.9"):
        assert address in held
    for address in ("198.51.101.1", "2001:db9::7", "203.0.113.8", "", "x"):
        assert address not in held
    with pytest.raises(ValueError, match="line 2"):
        AddressList([RENTED, "nowhere"])


def sign_in(world: World, password: str, address: str) -> Page:
    browser = world.browser(address)
    form = browser.open("/sign-in").form("/sign-in/password")
    return browser.submit(form, login="lan", password=password)


def test_a_rented_machine_needs_more_than_a_password_and_is_told_why(
    world: World, log: io.StringIO
) -> None:
    world.installation.data_centres = AddressList([RENTED])
    right = world.person().password
    page = sign_in(world, right, "198.51.100.9")
    assert page.status == 401
    assert "data centre" in page.text
    assert sign_in(world, right, "192.0.2.1").status == 303
    assert world.browser("198.51.100.9").use_passkey(world.person().passkey).status == 200
    decided = [json.loads(line) for line in log.getvalue().splitlines() if "risk.decided" in line]
    assert {(one["rule"], one["decision"]) for one in decided} >= {
        ("risk-data-centre", "step-up"),
        ("nothing-unusual", "allow"),
    }


def test_many_wrong_passwords_leave_known_browsers_and_passkeys_alone(world: World) -> None:
    known = world.sign_in()
    known.submit(known.open("/logout").form("/logout"), "logout-confirm")
    for _ in range(7):
        assert sign_in(world, "not the right one", "192.0.2.1").status == 401
    page = sign_in(world, world.person().password, "192.0.2.2")
    assert page.status == 401
    assert "several wrong passwords" in page.text
    world.sign_in(browser=known)
    world.sign_in(how="passkey")
    world.tick(minutes=16)
    assert sign_in(world, world.person().password, "192.0.2.2").status == 303


FILE = """network,latitude,longitude,place
# where people are
203.0.113.0/24,21.03,105.85,Hà Nội
198.51.100.0/25,48.86,2.35,Paris
192.0.2.0/24,20.86,106.68,Hải Phòng
2001:db8:1::/48,10.78,106.70,Thành phố Hồ Chí Minh
"""


def test_places_of_networks() -> None:
    places = Places(FILE.splitlines())
    assert places.told("203.0.113.9") == "Hà Nội (203.0.113.0/24)"
    assert places.told("2001:db8:1:2::3").startswith("Thành phố Hồ Chí Minh")
    assert places.told("198.51.100.200") == "198.51.100.0/24"
    for address in ("198.51.99.255", "198.51.100.128", "2001:db8:2::1", "0.0.0.0", "", "x"):
        assert places.find(address) is None
    far = places.kilometres("203.0.113.9", "198.51.100.9")
    assert far is not None
    assert 9150 < far < 9250
    assert places.kilometres("203.0.113.9", "x") is None
    assert not Places()


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("203.0.113.0/24,21,105", "line 7 has 3 columns"),
        ("203.0.113.1/24,21,105,X", "line 7: '203.0.113.1/24' is no network"),
        ("203.0.112.0/24,north,105,X", "line 7: latitude and longitude"),
        ("203.0.112.0/24,91,105,X", "line 7: latitude and longitude"),
        ("203.0.112.0/24,nan,105,X", "line 7: latitude and longitude"),
        ("203.0.112.0/24,21,105,", "line 7: a place has a name"),
        ("203.0.113.128/25,21,105,X", "line 7 tells of addresses that line 3 has"),
        ("2001:db8::/65,21,105,X", "line 7: an IPv6 network here"),
    ],
)
def test_a_line_that_cannot_be_read_is_told(line: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Places([*FILE.splitlines(), line])


@pytest.mark.parametrize(
    ("kilometres", "hours", "impossible"),
    [(9200, 1, True), (9200, 9.1, True), (9200, 9.3, False), (499, 0, False), (501, 0, True),
     (501, 0.6, False), (900, -1, True)],
)  # fmt: skip
def test_what_no_airliner_makes_is_impossible(
    kilometres: float, hours: float, impossible: bool
) -> None:
    assert is_impossible(kilometres, timedelta(hours=hours)) is impossible


def test_nobody_is_in_hanoi_and_an_hour_later_in_paris(world: World) -> None:
    right = world.person().password
    home, away, near = "203.0.113.9", "198.51.100.9", "192.0.2.9"
    assert sign_in(world, right, home).status == 303
    # Without a file nothing is known, and nothing pretended.
    assert sign_in(world, right, away).status == 303
    world.installation.places = Places(FILE.splitlines())
    own = world.sign_in(browser=world.browser(home))
    world.tick(hours=1)
    page = sign_in(world, right, away)
    assert page.status == 401
    assert "so far away" in page.text
    assert sign_in(world, right, near).status == 303
    assert world.browser(away).use_passkey(world.person().passkey).status == 200
    # From Paris she is believed in Hanoi again by the browser that she has there.
    assert world.sign_in(browser=own)
    assert "Hà Nội (203.0.113.0/24)" in own.open("/me/sessions").text
    assert "Paris (198.51.100.0/24)" in own.open("/me/notices").text
    world.tick(hours=10)
    assert sign_in(world, right, away).status == 303


def test_a_known_browser_at_a_new_place_is_told_and_at_a_near_one_not(world: World) -> None:
    world.installation.places = Places(FILE.splitlines())
    browser = world.sign_in(browser=world.browser("203.0.113.9"))

    pages = []

    def told_at(address: str) -> list[str]:
        world.tick(days=2)
        travelled = world.browser(address)
        travelled.client.cookies = browser.client.cookies
        world.sign_in(how="passkey", browser=travelled)
        pages.append(travelled.open("/me/notices").text)
        with world.transaction() as services:
            notices = services.notices.of_subject(world.subject_in(services, "lan"))
        return [one.facts["network"] for one in notices if one.kind is NoticeKind.NEW_PLACE]

    assert told_at("203.0.113.77") == []
    # Hải Phòng is less than a hundred kilometres away, of what the file does not know nothing is said.
    assert told_at("192.0.2.9") == []
    assert told_at("198.51.100.200") == []
    assert told_at("198.51.100.9") == ["Paris (198.51.100.0/24)"]
    # Once seen it is new no more, for as long as sign-ins are kept.
    assert len(told_at("198.51.100.9")) == 1
    assert "at a place where you had not signed in lately" in pages[-1]
    assert "Paris (198.51.100.0/24)" in pages[-1]
