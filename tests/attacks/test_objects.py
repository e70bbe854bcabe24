"""What belongs to one person is not there for another (security cases OA)."""

import json
from urllib.parse import quote

import pytest

from accounts.mandates import MandateType
from accounts.subject import SubjectKind
from tests.support.browser import Browser
from tests.support.cast import COMPANY
from tests.support.mandates import hold, mandate_id, press, state, strong
from tests.support.world import World


def token(browser: Browser) -> str:
    return browser.open("/me/details").form("/me/details").values["csrf_token"]


@pytest.mark.parametrize("what", ["consents", "sessions", "passkeys"])
def test_oa01_anothers_things_are_not_found(world: World, what: str) -> None:
    victim = world.arrive("basic", "openid name").browser
    world.sign_in("lan", browser=victim)
    attacker = world.sign_in("minh", how="passkey")
    subject, account = world.subject("lan"), world.account("lan")
    with world.transaction() as services:
        target = {
            "consents": lambda: services.consents.of_subject(subject)[0].id,
            "sessions": lambda: services.sessions.of_account(account)[0].id,
            "passkeys": lambda: services.passkeys.of_account(account)[0].id,
        }[what]()
    verb = {"consents": "withdraw", "sessions": "end", "passkeys": "remove"}[what]
    page = attacker.post(f"/me/{what}/{target}/{verb}", {"csrf_token": token(attacker)})
    assert page.status == 404
    assert victim.open("/me").status == 200
    with world.transaction() as services:
        assert services.consents.of_subject(subject)[0].ended_at is None
        assert services.passkeys.count(account) == 1


def test_oa01_anothers_log_is_not_shown(world: World) -> None:
    world.arrive("basic", "openid name").tokens()
    page = world.sign_in("minh").open(f"/me/uses?of={world.subject('lan')}")
    assert page.status == 200
    assert "Kiểm thử cơ bản" not in page.text


@pytest.mark.parametrize(
    "identifier", ["%00", "'", "..", "%F0%9F%98%80", "x" * 300, "%E2%80%AE", "%ED%A0%80"]
)
@pytest.mark.parametrize(
    "path", ["/me/consents/{}/withdraw", "/me/sessions/{}/end", "/me/passkeys/{}/remove"]
)
def test_oa01_an_odd_identifier_is_not_found(world: World, path: str, identifier: str) -> None:
    browser = world.sign_in(how="passkey")
    page = browser.post(path.format(identifier), {"csrf_token": token(browser)})
    assert page.status in {404, 405}


def test_oa04_a_person_cannot_edit_what_others_state_of_her(world: World) -> None:
    browser = world.sign_in()
    form = browser.open("/me/details").form("/me/details")
    extra = {
        "name": "Somebody Else", "vn_pid": "999999999999", "birthdate": "1900-01-01",
        "email_verified": "true", "phone_number_verified": "true", "vn_account_level": "02",
        "level": "02", "role": "admin", "sub": "x", "subject_id": "x", "created_at": "2000-01-01",
    }  # fmt: skip
    assert browser.submit(form, email="new@example.vn", **extra).status == 200
    tokens = world.arrive("clinic", "openid profile email phone").tokens()
    told = world.party("clinic").userinfo(tokens.access).body
    assert told["name"] == world.person().name
    assert told["birthdate"] == world.person().birthdate
    assert (told["email"], told["email_verified"]) == ("new@example.vn", False)


def test_oa08_a_foreigner_never_releases_a_citizens_number(world: World) -> None:
    tokens = world.arrive("basic", "openid pid foreigner", person="jean").tokens()
    assert "vn_pid" not in world.party("basic").userinfo(tokens.access).body


def test_oa08_one_number_of_two_countries_signs_in_nobody(world: World) -> None:
    def sign_in(login: str, person: str) -> int:
        browser = world.browser()
        form = browser.open("/sign-in").form("/sign-in/password")
        password = world.person(person).password
        return browser.submit(form, login=login, password=password).status

    assert sign_in("X0000001", "jean") == 401
    assert sign_in("FRA X0000001", "jean") == 303
    assert sign_in("PRTX0000001", "joao") == 303
    assert sign_in("FRAX0000001", "joao") == 401


@pytest.mark.parametrize(
    ("how", "person", "released"),
    [("password", "lan", False), ("passkey", "lan", True), ("password", "hoa", False)],
)
def test_the_personal_number_needs_both_levels(
    world: World, how: str, person: str, released: bool
) -> None:
    tokens = world.arrive("basic", "openid pid", how=how, person=person).tokens()
    assert ("vn_pid" in world.party("basic").userinfo(tokens.access).body) is released


def test_a_low_accounts_number_is_never_released_whatever_the_claims_say(world: World) -> None:
    asked = json.dumps({"id_token": {"vn_pid": {"essential": True}}})
    claims = world.arrive("basic", "openid", person="hoa", claims=asked).tokens().claims
    assert "vn_pid" not in claims


def test_oa02_who_runs_one_organisation_reaches_nothing_of_another(world: World) -> None:
    """Minh stands for a company of his own; everything of Lan's company is closed to him."""
    theirs = mandate_id(world, "lan")
    member = hold(world, strong(world, "lan"), "nga", "org_member", theirs)
    with world.transaction() as services:
        person = world.subject_in(services, "minh")
        own = services.subjects.add(SubjectKind.ORGANISATION)
        services.mandates.grant(MandateType.ORG_HEAD, own, person, "operator", None)
    minh = strong(world, "minh")
    for mandate in (theirs, member):
        assert minh.open(f"/me/mandates/{mandate}").status == 404
        for verb in ("narrow", "revoke", "confirm"):
            assert press(minh, mandate, verb).status == 404, verb
        for verb in ("accept", "decline", "agree", "disagree"):
            assert press(minh, mandate, verb).status in {404, 409}, verb
        for type_ in ("org_admin", "org_member", "machine"):
            assert minh.open(f"/me/mandates/give?type={type_}&under={mandate}").status == 403
        # Asking for another's record shows one's own.
        assert COMPANY not in minh.open(f"/me/uses?of={mandate}").text
    assert [state(world, one) for one in (theirs, member)] == ["active", "active"]


@pytest.mark.parametrize("cursor", ["-1", "1 or 1=1", "9" * 40, "%00", "1'--", "١٢", "0x10"])
def test_oa09_a_forged_cursor_shows_the_first_page(world: World, cursor: str) -> None:
    world.arrive("basic", "openid name").tokens()
    browser = world.sign_in()
    page = browser.open(f"/me/uses?before={cursor}")
    assert page.status == 200
    assert page.text == browser.open("/me/uses").text


@pytest.mark.parametrize("wanted", ["' or 1=1--", ".*", "%00", "(" * 500, "%"])
def test_oa09_a_search_is_text_and_nothing_else(world: World, wanted: str) -> None:
    page = world.browser().open(f"/attributes?q={quote(wanted)}")
    assert page.status == 200
    assert "vn_pid" not in page.text
