"""One browser, two tabs: what is done in one never makes the other's form a dead end."""

import pytest

from tests.support.browser import Browser, Page, as_json
from tests.support.world import World


def begin(world: World, browser: Browser, party: str = "portal", **changes: str) -> Page:
    return browser.visit(world.party(party).begin("openid name", **changes).url)


def sign_in(world: World, browser: Browser, page: Page, how: str = "passkey") -> Page:
    return browser.follow(world.sign_in_on(browser, page, world.person(), how))


def test_an_open_sign_in_form_goes_on_after_a_passkey_in_another_tab(world: World) -> None:
    browser = world.browser()
    first, second = begin(world, browser), begin(world, browser, "basic")
    assert sign_in(world, browser, second).has_form("/consent")
    assert sign_in(world, browser, first, "password").has_form("/consent")


def test_a_passkey_in_both_tabs_keeps_the_first_tabs_consent_form_good(world: World) -> None:
    browser = world.browser()
    first, second = begin(world, browser), begin(world, browser, "basic")
    consent = sign_in(world, browser, first)
    cookie = browser.cookie("sen_session")
    assert sign_in(world, browser, second).has_form("/consent")
    assert browser.cookie("sen_session") == cookie
    done = browser.follow(browser.submit(consent.form("/consent"), "consent-allow"))
    assert "code=" in done.location


def test_a_passkey_after_a_password_in_another_tab_still_raises_the_level(world: World) -> None:
    browser = world.browser()
    first, second = begin(world, browser), begin(world, browser, "basic")
    sign_in(world, browser, first, "password")
    cookie = browser.cookie("sen_session")
    sign_in(world, browser, second, "passkey")
    assert browser.cookie("sen_session") != cookie


def test_another_persons_passkey_signs_her_in_and_not_the_first_person(world: World) -> None:
    browser = world.browser()
    first, second = begin(world, browser), begin(world, browser, "basic")
    sign_in(world, browser, first)
    form = second.form("/sign-in/password")
    answer = browser.use_passkey(world.person("minh").passkey, form.values["interaction"])
    page = browser.visit(as_json(answer)["location"])
    assert page.has_form("/consent")
    assert world.person("minh").name in page.text


def test_a_form_for_signing_in_again_goes_on_when_another_tab_did_so(world: World) -> None:
    browser = world.sign_in()
    world.tick()
    first = begin(world, browser, prompt="login")
    second = begin(world, browser, "basic", prompt="login")
    sign_in(world, browser, second)
    # This request began before that sign-in, so the sign-in counts for it too.
    assert sign_in(world, browser, first, "password").has_form("/consent")


def test_a_consent_form_from_before_another_sign_in_is_shown_again(world: World) -> None:
    browser = world.browser()
    consent = sign_in(world, browser, begin(world, browser), "password")
    world.tick()
    sign_in(world, browser, begin(world, browser, "basic", prompt="login"))
    page = browser.follow(browser.submit(consent.form("/consent"), "consent-allow"))
    assert page.has_form("/consent")
    done = browser.follow(browser.submit(page.form("/consent"), "consent-allow"))
    assert "code=" in done.location


@pytest.mark.parametrize("next_", ["/me", "/me/uses"])
def test_a_form_for_her_own_pages_leads_there_when_another_tab_signed_in(
    world: World, next_: str
) -> None:
    browser = world.browser()
    first = browser.open(f"/sign-in?next={next_}")
    world.sign_in(browser=browser)
    page = browser.submit(first.form("/sign-in/password"), login="lan", password="whatever")
    assert (page.status, page.location) == (303, next_)


def test_a_form_for_another_browsers_interaction_leads_nowhere(world: World) -> None:
    form = begin(world, world.browser()).form("/sign-in/password")
    stranger = world.sign_in("minh")
    assert stranger.submit(form, login="minh", password="x").status == 403
