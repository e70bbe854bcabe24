"""Activating an issued account."""

import pytest

from tests.support.browser import Browser, Page, as_json
from tests.support.phone import Phone
from tests.support.world import World

CODE = "SEN-2345-6789"


def begin(browser: Browser, interaction: str = "", code: str = CODE) -> Page:
    form = browser.open(f"/activate?interaction={interaction}" if interaction else "/activate")
    return browser.follow(browser.submit(form.form("/activate"), login="tam", code=code))


def enrol(browser: Browser, phone: Phone, interaction: str = "") -> Page:
    options = as_json(browser.call("/activate/passkey/options"))["publicKey"]
    document = {"credential": phone.register(options), "interaction": interaction}
    return browser.call("/activate/passkey", document)


def test_with_the_code_a_password_can_be_set_and_signs_in(world: World) -> None:
    browser = world.browser()
    page = begin(browser)
    page = browser.follow(
        browser.submit(page.form("/activate/password"), password="a long enough one")
    )
    page = browser.follow(browser.submit(page.form("/activate/finish")))
    assert page.path == "/me"
    other = world.browser()
    form = other.open("/sign-in").form("/sign-in/password")
    assert other.submit(form, login="tam", password="a long enough one").status == 303


def test_with_the_code_a_passkey_can_be_made_and_signs_in(world: World) -> None:
    browser, phone = world.browser(), Phone(world.issuer)
    begin(browser)
    assert enrol(browser, phone).status == 200
    assert world.browser().use_passkey(phone).status == 200


def test_the_code_works_until_an_authenticator_is_made_and_then_no_more(world: World) -> None:
    first, second = world.browser(), world.browser()
    assert begin(first).path == "/activate/authenticators"
    assert begin(second).path == "/activate/authenticators"
    assert enrol(first, Phone(world.issuer)).status == 200
    assert begin(world.browser()).status == 401


def test_a_second_browser_with_the_same_code_makes_nothing_any_more(world: World) -> None:
    first, second = world.browser(), world.browser()
    begin(first)
    begin(second)
    assert enrol(first, Phone(world.issuer)).status == 200
    assert second.call("/activate/passkey/options").status == 400


def test_activation_goes_on_with_what_she_came_for(world: World) -> None:
    browser, party = world.browser(), world.party()
    attempt = party.begin("openid name")
    page = browser.visit(attempt.url)
    interaction = page.form("/sign-in/password").values["interaction"]
    begin(browser, interaction)
    location = as_json(enrol(browser, Phone(world.issuer), interaction))["location"]
    page = browser.submit(browser.visit(location).form("/activate/finish"))
    page = browser.follow(page)
    assert page.has_form("/consent")
    page = browser.follow(browser.submit(page.form("/consent"), "consent-allow"))
    claims = party.redeem(attempt, party.code_from(attempt, page.location)).claims
    assert "pop" in claims["amr"]


def test_nobody_makes_authenticators_without_a_code(world: World) -> None:
    browser = world.sign_in("lan")
    assert browser.open("/activate/authenticators").status == 400
    assert browser.call("/activate/passkey/options").status == 400
    assert browser.call("/activate/passkey", {}).status == 400
    assert world.browser().open("/activate/authenticators").status == 400


def test_one_cannot_leave_without_a_way_to_sign_in(world: World) -> None:
    browser = world.browser()
    page = begin(browser)
    assert not page.has_form("/activate/finish")
    token = page.form("/activate/password").values["csrf_token"]
    page = browser.post("/activate/finish", {"csrf_token": token})
    assert page.location == "/activate/authenticators"


def test_a_code_is_dead_after_a_week(world: World) -> None:
    world.tick(days=7)
    assert begin(world.browser()).status == 401


def test_an_unsuitable_password_is_told(world: World) -> None:
    browser = world.browser()
    page = begin(browser)
    assert browser.submit(page.form("/activate/password"), password="short").status == 422


@pytest.mark.parametrize(("language", "words"), [("en", "easy to guess"), ("vi", "dễ đoán")])
@pytest.mark.parametrize("password", ["password1234", "Phạm Minh Tâm", "999069000004"])
def test_a_password_that_others_guess_is_refused_where_it_is_first_set(
    world: World, language: str, words: str, password: str
) -> None:
    browser = world.browser()
    browser.language = language
    page = begin(browser)
    refused = browser.submit(page.form("/activate/password"), password=password)
    assert refused.status == 422
    assert words in refused.text
    assert password not in refused.html.replace(world.person("tam").name, "")
