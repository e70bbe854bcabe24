"""A code beside the password: from an authenticator app, or from a printed card."""

import base64
import re
import threading

import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

from tests.support.browser import Browser, Page
from tests.support.world import World

LEVEL_2 = "urn:vn:eid:aal:2"


class App:
    """An authenticator app that took a secret over."""

    def __init__(self, world: World, page: Page) -> None:
        self._world = world
        spelled = re.search(r'id="app-secret">([A-Z2-7 ]+)<', page.html)
        assert spelled
        secret = base64.b32decode(spelled[1].replace(" ", ""))
        self._totp = TOTP(secret, 6, SHA1(), 30)

    def code(self, steps: int = 0) -> str:
        assert self._world.clock
        return self._totp.generate(int(self._world.clock().timestamp()) + 30 * steps).decode()


def set_up_app(world: World, browser: Browser) -> App:
    form = browser.open("/me/passkeys").form("/me/passkeys/app/begin")
    page = browser.follow(browser.submit(form))
    app = App(world, page)
    assert browser.submit(page.form("/me/passkeys/app"), code=app.code()).status == 303
    return app


def make_card(browser: Browser) -> list[str]:
    page = browser.submit(browser.open("/me/passkeys").form("/me/passkeys/card"))
    assert page.status == 200
    codes = re.findall(r"<li>(\d{5} \d{5})</li>", page.html)
    assert len(set(codes)) == 20
    return codes


def give_password(world: World, login: str = "lan") -> tuple[Browser, Page]:
    browser, person = world.browser(), world.person(login)
    form = browser.open("/sign-in").form("/sign-in/password")
    return browser, browser.submit(form, login=person.login, password=person.password)


@pytest.fixture
def strong(world: World) -> Browser:
    return world.sign_in(how="passkey")


def test_password_and_app_together_sign_in_at_level_two(world: World, strong: Browser) -> None:
    app = set_up_app(world, strong)
    world.tick(seconds=60)
    browser, page = give_password(world)
    assert browser.open("/me").status == 303
    page = browser.submit(page.form("/sign-in/code"), code=app.code())
    assert page.status == 303
    arrival = world.arrive(browser=browser)
    claims = arrival.tokens().claims
    assert claims["acr"] == LEVEL_2
    assert claims["amr"] == ["pwd", "otp", "mfa"]


def test_password_and_card_together_sign_in_and_each_code_works_once(
    world: World, strong: Browser
) -> None:
    codes = make_card(strong)
    for position in (0, 1):
        browser, page = give_password(world)
        assert f"{position + 1}" in page.text
        assert browser.submit(page.form("/sign-in/code"), code=codes[position]).status == 303
    browser, page = give_password(world)
    for used in codes[:2]:
        page = browser.submit(page.form("/sign-in/code"), code=used)
        assert page.status == 401
    assert browser.submit(page.form("/sign-in/code"), code=codes[2]).status == 303


def test_a_code_of_the_app_works_once(world: World, strong: Browser) -> None:
    app = set_up_app(world, strong)
    first, page = give_password(world)
    # The code that set the app up is used as well.
    assert first.submit(page.form("/sign-in/code"), code=app.code()).status == 401
    code = app.code(1)
    assert first.submit(page.form("/sign-in/code"), code=code).status == 303
    second, page = give_password(world)
    assert second.submit(page.form("/sign-in/code"), code=code).status == 401


def test_one_code_brought_twice_at_once_signs_in_once(world: World, strong: Browser) -> None:
    app = set_up_app(world, strong)
    world.tick(seconds=60)
    halves = [give_password(world) for _ in range(4)]
    outcomes: list[int] = []

    def bring(browser: Browser, page: Page) -> None:
        outcomes.append(browser.submit(page.form("/sign-in/code"), code=app.code()).status)

    threads = [threading.Thread(target=bring, args=half) for half in halves]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [303, 401, 401, 401]


@pytest.mark.parametrize("code", ["", "12345", "1234567", "abcdef", "١٢٣٤٥٦", "0" * 10, "x" * 500])
def test_what_is_no_code_is_refused(world: World, strong: Browser, code: str) -> None:
    set_up_app(world, strong)
    make_card(strong)
    browser, page = give_password(world)
    assert browser.submit(page.form("/sign-in/code"), code=code).status == 401
    assert browser.open("/me").status == 303


def test_a_ticket_is_good_in_its_browser_for_five_minutes(world: World, strong: Browser) -> None:
    app = set_up_app(world, strong)
    world.tick(seconds=60)
    _, page = give_password(world)
    ticket = page.form("/sign-in/code").values["ticket"]
    other, other_page = give_password(world)
    form = other_page.form("/sign-in/code")
    answer = other.submit(form, code=app.code(), ticket=ticket)
    assert answer.status == 401
    for twisted in ("x", ticket[:-1] + ("0" if ticket[-1] != "0" else "1")):
        assert other.submit(form, code=app.code(), ticket=twisted).status == 401
    world.tick(seconds=301)
    assert other.submit(form, code=app.code()).status == 401
    assert other.open("/me").status == 303


def test_a_changed_password_ends_what_is_half_done(world: World, strong: Browser) -> None:
    app = set_up_app(world, strong)
    world.tick(seconds=60)
    browser, page = give_password(world)
    form = strong.open("/me/passkeys").form("/me/password")
    assert strong.submit(form, password="quite another phrase 77").status == 200
    assert browser.submit(page.form("/sign-in/code"), code=app.code()).status == 401


def test_guessing_codes_meets_a_limit(world: World, strong: Browser) -> None:
    app = set_up_app(world, strong)
    world.tick(seconds=60)
    browser, page = give_password(world)
    form = page.form("/sign-in/code")
    statuses = [browser.submit(form, code=f"{n:010}").status for n in range(10)]
    assert set(statuses) == {401}
    assert browser.submit(form, code=app.code()).status == 429
    # Neither does the password go on being asked: it is one limit for both.
    assert give_password(world)[1].status == 429


def test_without_password_a_code_opens_nothing(world: World, strong: Browser) -> None:
    app = set_up_app(world, strong)
    world.tick(seconds=60)
    browser = world.browser()
    token = browser.open("/sign-in").form("/sign-in/password").values["csrf_token"]
    form = {"csrf_token": token, "code": app.code(), "ticket": "", "interaction": "", "next": ""}
    answer = browser.post("/sign-in/code", form)
    assert answer.status == 401
    assert browser.open("/me").status == 303


def test_the_code_alone_completes_a_password_for_a_service_that_asks_more(
    world: World, strong: Browser
) -> None:
    weak = world.sign_in()
    app = set_up_app(world, strong)
    world.tick(seconds=60)
    attempt = world.party().begin("openid name", acr_values=LEVEL_2)
    page = weak.visit(attempt.url)
    assert "/sign-in/password" not in {form.action for form in page.forms}
    page = weak.follow(weak.submit(page.form("/sign-in/code"), code=app.code()))
    assert page.has_form("/consent")
    assert weak.open("/me").status == 200


def test_password_and_code_are_not_phishing_resistant(world: World, strong: Browser) -> None:
    app = set_up_app(world, strong)
    world.tick(seconds=60)
    browser, page = give_password(world)
    browser.submit(page.form("/sign-in/code"), code=app.code())
    claims = '{"id_token":{"acr":{"essential":true,"values":["phr"]}}}'
    attempt = world.party().begin("openid name", claims=claims)
    # A passkey would do, so it is asked for, and the code is not.
    page = browser.visit(attempt.url)
    assert "/sign-in/code" not in {form.action for form in page.forms}
    assert page.has_form("/sign-in/password")


def test_whoever_has_only_the_password_adds_nothing(world: World, strong: Browser) -> None:
    weak = world.sign_in()
    for path in ("/me/passkeys/app/begin", "/me/passkeys/card"):
        answer = weak.submit(weak.open("/me/passkeys").form(path))
        assert answer.status == 303
        assert "/sign-in" in answer.location
    assert weak.call("/me/passkeys/options").status == 401
    account = world.account()
    with world.transaction() as services:
        assert not services.second_factors.held(account).any


def test_an_app_that_was_never_confirmed_is_not_asked_for(world: World, strong: Browser) -> None:
    page = strong.follow(strong.submit(strong.open("/me/passkeys").form("/me/passkeys/app/begin")))
    app = App(world, page)
    assert give_password(world)[1].status == 303
    wrong = f"{(int(app.code()) + 1) % 10**6:06}"
    assert strong.submit(page.form("/me/passkeys/app"), code=wrong).status == 401
    world.tick(minutes=16)
    again = world.sign_in(how="passkey")
    assert again.open("/me/passkeys/app").status == 303


def test_removed_factors_are_asked_for_no_more(world: World, strong: Browser) -> None:
    set_up_app(world, strong)
    make_card(strong)
    for path in ("/me/passkeys/app/remove", "/me/passkeys/card/remove"):
        assert strong.submit(strong.open("/me/passkeys").form(path)).status == 303
    assert give_password(world)[1].status == 303


def test_a_new_card_makes_the_old_one_void(world: World, strong: Browser) -> None:
    old, new = make_card(strong), make_card(strong)
    browser, page = give_password(world)
    assert browser.submit(page.form("/sign-in/code"), code=old[0]).status == 401
    assert browser.submit(page.form("/sign-in/code"), code=new[0]).status == 303
