"""A person's own pages."""

import pytest

from accounts.attributes import Source
from tests.support.browser import Browser, as_json
from tests.support.phone import Phone
from tests.support.world import World

PAGES = ["/me", "/me/uses", "/me/consents", "/me/passkeys", "/me/sessions", "/me/details",
         "/me/applications"]  # fmt: skip


@pytest.mark.parametrize("path", PAGES)
def test_a_stranger_is_sent_to_sign_in_and_back(world: World, path: str) -> None:
    browser, person = world.browser(), world.person()
    page = browser.open(path)
    assert page.location == f"/sign-in?next={path}"
    form = browser.visit(path).form("/sign-in/password")
    page = browser.submit(form, login=person.login, password=person.password)
    assert page.location == path


@pytest.mark.parametrize("path", PAGES)
def test_every_page_opens_for_its_person(world: World, path: str) -> None:
    assert world.sign_in().open(path).status == 200


def test_the_log_names_the_agency_the_purpose_and_the_data(world: World) -> None:
    arrival = world.arrive("portal", "openid name birth")
    arrival.party.userinfo(arrival.tokens().access)
    text = arrival.browser.open("/me/uses").text
    for word in ("Sample service portal", "Handling your public-service request", "Date of birth",
                 "Read your data", "You agreed"):  # fmt: skip
        assert word in text


def test_a_long_log_has_pages(world: World) -> None:
    arrival = world.arrive("basic", "openid name")
    tokens = arrival.tokens()
    for _ in range(60):
        arrival.party.userinfo(tokens.access)
    first = arrival.browser.open("/me/uses")
    assert "before=" in first.html
    older = arrival.browser.open("/me/uses?before=13")
    assert older.status == 200
    assert "before=" not in older.html.split("<main")[1].replace("/language/", "")


def test_a_session_can_be_ended_from_another_browser(world: World) -> None:
    here, there = world.sign_in(), world.sign_in()
    forms = [f for f in here.open("/me/sessions").forms if f.action.endswith("/end")]
    assert len(forms) == 2
    here.submit(here.open("/me/sessions").form("/me/sessions/end-others"))
    assert here.open("/me").status == 200
    assert there.open("/me").status == 303


def test_ending_a_session_ends_its_tokens(world: World) -> None:
    arrival = world.arrive("basic", "openid name")
    tokens = arrival.tokens()
    here = world.sign_in(how="passkey")
    here.submit(here.open("/me/sessions").form("/me/sessions/end-others"))
    assert not arrival.party.is_alive(tokens.access)


def add_passkey(browser: Browser, phone: Phone) -> int:
    answer = browser.call("/me/passkeys/options")
    if answer.status != 200:
        return answer.status
    made = phone.register(as_json(answer)["publicKey"])
    return browser.call("/me/passkeys", {"credential": made, "name": "second"}).status


def test_a_second_passkey_can_be_added_and_removed(world: World) -> None:
    browser, phone = world.sign_in(how="passkey"), Phone(world.issuer)
    # Listed oldest first, so the newer must be newer.
    world.tick()
    assert add_passkey(browser, phone) == 200
    assert world.browser().use_passkey(phone).status == 200
    page = browser.open("/me/passkeys")
    form = [f for f in page.forms if f.action.endswith("/remove")][-1]
    assert browser.submit(form).status == 200
    assert world.browser().use_passkey(phone).status == 403


def test_wa10_an_old_sign_in_changes_no_authenticator(world: World) -> None:
    browser = world.sign_in()
    page = browser.open("/me/passkeys")
    world.tick(minutes=5, seconds=1)
    assert add_passkey(browser, Phone(world.issuer)) == 401
    for form in page.forms:
        if form.action.startswith("/me/pass"):
            answer = browser.submit(form, password="another good password")
            assert answer.location == "/sign-in?next=/me/passkeys"
    assert world.browser().use_passkey(world.person().passkey).status == 200


def test_wa10_the_last_way_to_sign_in_cannot_be_removed(world: World) -> None:
    account = world.account()
    with world.transaction() as services:
        services.passwords.remove(account)
    browser = world.browser()
    browser.use_passkey(world.person().passkey)
    with world.transaction() as services:
        (key,) = services.passkeys.of_account(account)
    token = browser.open("/me/details").form("/me/details").values["csrf_token"]
    page = browser.post(f"/me/passkeys/{key.id}/remove", {"csrf_token": token})
    assert page.status == 409


def test_a_password_can_be_changed_and_the_old_one_is_dead(world: World) -> None:
    browser = world.sign_in("hoa")
    form = browser.open("/me/passkeys").form("/me/password")
    assert browser.submit(form, password="short").status == 422
    common = browser.submit(form, password="password1234")
    assert (common.status, "easy to guess" in common.text) == (422, True)
    assert browser.submit(form, password="quite another password").status == 200
    old = world.browser()
    page = old.submit(
        old.open("/sign-in").form("/sign-in/password"), login="hoa",
        password=world.person("hoa").password,
    )  # fmt: skip
    assert page.status == 401


def test_details_can_be_changed_and_emptied(world: World) -> None:
    browser = world.sign_in()
    form = browser.open("/me/details").form("/me/details")
    assert browser.submit(form, email="new@example.vn", website="").status == 200
    values = browser.open("/me/details").form("/me/details").values
    assert (values["email"], values["website"], values["nickname"]) == ("new@example.vn", "", "Lan")


def test_a_phone_number_may_be_written_as_at_home_and_is_kept_as_e164(world: World) -> None:
    browser = world.sign_in()
    form = browser.open("/me/details").form("/me/details")
    page = browser.submit(form, phone_number="0912.345.678")
    assert page.form("/me/details").values["phone_number"] == "+84 912 345 678"
    with world.transaction() as services:
        own = services.held.of_subject(world.subject_in(services, "lan"))[Source.SELF].values
    assert (own["phone_number"], own["phone_number_verified"]) == ("+84912345678", False)


@pytest.mark.parametrize(
    ("claim", "bad"),
    [("email", "no"), ("phone_number", "12"), ("website", "http://x"), ("picture", "javascript:x"),
     ("zoneinfo", "Mars/Base"), ("locale", "!"), ("nickname", "x" * 201)],
)  # fmt: skip
def test_a_bad_detail_is_told_and_nothing_is_kept(world: World, claim: str, bad: str) -> None:
    browser = world.sign_in()
    form = browser.open("/me/details").form("/me/details")
    page = browser.submit(form, **{claim: bad})
    assert page.status == 422
    assert page.form("/me/details").values[claim] == bad
    assert browser.open("/me/details").form("/me/details").values[claim] != bad


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ("France", "X0000001", "valid until 1 January 2039", "14 July 1979")),
        ("vi", ("Pháp", "X0000001", "có giá trị đến 1 tháng 1 năm 2039", "14 tháng 7 năm 1979")),
    ],
)
def test_what_the_registers_say_stands_in_words(
    world: World, language: str, words: tuple[str, ...]
) -> None:
    browser = world.sign_in("jean")
    browser.open(f"/language/{language}")
    text = browser.open("/me/details").text
    assert not [word for word in words if word not in text]
    assert "FRA" not in text


@pytest.mark.parametrize("prompt", [None, "login"])
def test_who_signs_in_again_is_offered_her_own_login_and_no_activation(
    world: World, prompt: str | None
) -> None:
    browser = world.sign_in() if prompt else world.browser()
    world.tick()
    page = browser.visit(world.party().begin(prompt=prompt).url)
    values = page.form("/sign-in/password").values
    assert values["login"] == ("lan" if prompt else "")
    assert ("First time here?" in page.text) is (prompt is None)
