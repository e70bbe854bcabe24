"""Two languages on every page, and everything by keyboard alone."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.stories.site import Site
from tests.stories.visit import Visit

MOST_TABS = 40
SIGN_IN = {"vi": "Đăng nhập", "en": "Sign in"}
FOCUS = """
() => {
  const element = document.activeElement;
  const looks = [element, element.labels?.[0]].filter(Boolean).flatMap((e) =>
    [getComputedStyle(e), getComputedStyle(e, "::before")]);
  return {
    id: element.id || element.tagName,
    href: element.getAttribute("href") ?? "",
    seen: looks.some((s) =>
      s.boxShadow !== "none" || (s.outlineStyle !== "none" && parseFloat(s.outlineWidth) > 0)),
  };
}
"""


def test_the_language_switch_keeps_each_page_and_is_remembered(
    site: Site, enter: Callable[..., Visit]
) -> None:
    visit = enter()
    visit.begin(site.portal)
    _switch_and_stay(visit)
    visit.page.locator("main a[href^='/activate']").click()
    visit.is_on("/activate")
    _switch_and_stay(visit)
    visit.begin(site.portal)
    visit.give_password(site.person("password"))
    visit.is_on("/consent")
    visit.switch_language("en")
    visit.is_on("/consent")
    visit.sees("asks for your data")
    visit.decide()
    visit.is_at(site.portal)

    for path in ("/", "/about", "/me", "/me/uses", "/me/consents", "/me/passkeys", "/me/sessions"):
        visit.go(path)
        expect(visit.page.locator("html")).to_have_attribute("lang", "en")
        visit.switch_language("vi")
        visit.is_on(path)
        visit.switch_language("en")
    visit.go("/me/details?x=1")
    visit.switch_language("vi")
    visit.is_on("/me/details")
    visit.switch_language("en")
    visit.go("/logout")
    visit.press("logout-confirm")
    visit.sees("You are signed out")


def test_the_language_can_be_switched_after_a_refusal(site: Site, visit: Visit) -> None:
    visit.tolerate_status(401)
    visit.begin(site.portal)
    visit.give_password(site.person("password"), "bốn lá sen khô")
    visit.sees("Thông tin không khớp")
    visit.switch_language("en")
    visit.is_on("/sign-in")
    expect(visit.page.locator("#login-cancel")).to_be_visible()


def test_consent_given_in_one_language_is_not_taken_from_a_page_in_another(
    site: Site, visit: Visit
) -> None:
    visit.begin(site.portal)
    visit.give_password(site.person("password"))
    visit.is_on("/consent")
    other = visit.open_tab()
    other.goto(f"{site.provider}/language/en?next=/about")
    # The text she read and the text that would be kept must be the same.
    visit.decide()
    visit.is_on("/consent")
    visit.sees("asks for your data")
    visit.decide()
    visit.is_at(site.portal)


def test_the_relying_partys_language_is_honoured(site: Site, visit: Visit) -> None:
    visit.page.goto(f"{site.portal.origin}/?lang=en")
    visit.press("sign-in")
    expect(visit.title()).to_have_text(SIGN_IN["en"])
    visit.ask(site.portal, ui_locales="fr vi-VN en")
    expect(visit.title()).to_have_text(SIGN_IN["vi"])


@pytest.mark.parametrize("language", ["vi", "en"])
def test_she_signs_in_and_decides_by_keyboard_alone(site: Site, visit: Visit) -> None:
    citizen, page = site.person("password"), visit.page
    page.goto(site.portal.origin)
    _tab_to(page, "sign-in")
    page.keyboard.press("Enter")
    visit.is_on("/sign-in")
    _tab_to(page, "login")
    page.keyboard.type(citizen.login)
    _tab_to(page, "password")
    page.keyboard.type(citizen.password)
    _tab_to(page, "login-submit")
    page.keyboard.press("Enter")
    visit.is_on("/consent")
    _tab_to(page, "optional-email")
    page.keyboard.press("Space")
    expect(page.locator("#optional-email")).to_be_checked()
    _tab_to(page, "consent-deny")
    _tab_to(page, "consent-allow")
    page.keyboard.press("Space")
    visit.is_at(site.portal)
    assert visit.received()["email"] == citizen.email


def test_she_signs_in_with_a_passkey_and_acts_for_her_company_by_keyboard_alone(
    site: Site, visit: Visit
) -> None:
    director, page = site.person("director"), visit.page
    visit.take_authenticator(director)
    visit.begin(site.portal)
    _tab_to(page, "passkey-sign-in")
    page.keyboard.press("Enter")
    visit.is_on("/acting-for")
    _tab_to(page, "acting-self")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#acting-1")).to_be_checked()
    _tab_to(page, "acting-submit")
    page.keyboard.press("Enter")
    visit.is_on("/consent")
    visit.sees(director.company)


def test_the_skip_link_leads_past_the_navigation(site: Site, visit: Visit) -> None:
    visit.sign_in_to_own_pages(site.person("password"))
    visit.go("/me/uses")
    page = visit.page
    page.keyboard.press("Tab")
    skip = page.locator(".govuk-skip-link")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()


def test_a_refused_form_leads_to_its_field(site: Site, visit: Visit) -> None:
    visit.tolerate_status(401)
    visit.begin(site.portal)
    visit.give_password(site.person("password"), "bốn lá sen khô")
    page = visit.page
    # The summary takes the focus, so that a screen reader speaks it first.
    expect(page.locator(".govuk-error-summary")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#login")).to_be_focused()


def _switch_and_stay(visit: Visit) -> None:
    before = visit.page.url
    for code in ("en", "vi"):
        visit.switch_language(code)
        expect(visit.page).to_have_url(before)


def _tab_to(page: Page, id_: str) -> None:
    """Press Tab until the element has the focus; on the way each one must be seen to have it."""
    for _ in range(MOST_TABS):
        page.keyboard.press("Tab")
        focus = page.evaluate(FOCUS)
        if focus["id"] != "BODY":
            assert focus["seen"], f"no visible focus on {focus}"
        if focus["id"] == id_:
            return
    pytest.fail(f"{id_} is not reached by Tab")
