"""Risk rules: the table itself, the list of networks, and what a person meets."""

import io
import json
from dataclasses import replace

import pytest

from accounts.levels import AuthenticationLevel, Strength
from idp.login.risk import AddressList, Decision, Surroundings, judge
from tests.support.browser import Page
from tests.support.world import World

ONE, TWO = Strength(AuthenticationLevel.LEVEL_1), Strength(AuthenticationLevel.LEVEL_2)
PASSKEY = Strength(AuthenticationLevel.LEVEL_2, phishing_resistant=True)
CALM = Surroundings(ONE, False, False, False, False)
STORM = Surroundings(ONE, True, True, True, True)
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
