"""A person's own pages: what stands there, and what she can do."""

from collections.abc import Callable

from playwright.sync_api import expect

from tests.stories.site import Site
from tests.stories.telling import in_both_languages, twice
from tests.stories.visit import Visit

NOBODY = {
    "vi": "Trong 30 ngày qua, không ai sử dụng dữ liệu của bạn.",
    "en": "In the last 30 days nobody used your data.",
}
ONCE = {
    "vi": "Trong 30 ngày qua, 1 cơ quan, tổ chức đã sử dụng dữ liệu của bạn 1 lần.",
    "en": "In the last 30 days 1 agency used your data once.",
}
ONLY_WAY = {"vi": "Đây là cách đăng nhập duy nhất", "en": "This is your only way to sign in"}
REMOVED = {"vi": "Đã gỡ bỏ khóa truy cập", "en": "The passkey is removed"}
THIS_BROWSER = {"vi": "Trình duyệt này", "en": "This browser"}
SIGN_IN_FIRST = {"vi": "hãy đăng nhập lại", "en": "sign in again before"}
SAVED = {"vi": "Đã lưu.", "en": "Saved."}
BAD_EMAIL = {
    "vi": "Hãy nhập địa chỉ thư điện tử",
    "en": "Enter an e-mail address",
}
SIGNED_OUT = {"vi": "Bạn đã đăng xuất", "en": "You are signed out"}


@in_both_languages
def test_the_one_sentence_counts_from_nobody_to_one(site: Site, visit: Visit) -> None:
    citizen = site.person("password")
    visit.sign_in_to_own_pages(citizen)
    expect(visit.title()).to_have_text(NOBODY[visit.language])
    visit.begin(site.portal)
    visit.decide()
    visit.is_at(site.portal)
    visit.go("/me")
    expect(visit.title()).to_have_text(ONCE[visit.language])
    visit.sees(site.portal.name[visit.language])


@twice
def test_a_second_passkey_is_added_the_first_removed_and_the_last_stays(
    site: Site, visit: Visit
) -> None:
    citizen, page = site.person("passkey"), visit.page
    visit.sign_in_to_own_pages(citizen)
    visit.go("/me/passkeys")
    visit.sees(ONLY_WAY[visit.language])
    expect(page.locator("button[id^=remove-]")).to_have_count(0)

    visit.change_device()
    visit.fill(passkey_name="Điện thoại mới")
    visit.press("passkey-add")
    expect(page.locator("button[id^=remove-]")).to_have_count(2)
    old = page.locator(".sen-row").filter(has_not_text="Điện thoại mới")
    old.locator("button").click()
    visit.sees(REMOVED[visit.language], ONLY_WAY[visit.language], "Điện thoại mới")
    expect(page.locator("button[id^=remove-]")).to_have_count(0)

    visit.go("/logout")
    visit.press("logout-confirm")
    visit.go("/sign-in")
    visit.use_passkey()
    visit.is_on("/me")


@in_both_languages
def test_changing_how_she_signs_in_asks_for_a_recent_sign_in(site: Site, visit: Visit) -> None:
    citizen = site.person("passkey")
    visit.sign_in_to_own_pages(citizen)
    visit.go("/me/passkeys")
    site.let_sign_ins_grow_old()
    visit.tolerate_status(401)
    visit.press("passkey-add")
    expect(visit.page.locator("#passkey-status")).to_contain_text(SIGN_IN_FIRST[visit.language])
    visit.fill(new_password=citizen.password)
    visit.press("password-submit")
    visit.is_on("/sign-in")
    visit.use_passkey()
    visit.is_on("/me/passkeys")


@twice
def test_a_sign_out_from_afar_ends_the_other_browser_there(
    site: Site, enter: Callable[..., Visit]
) -> None:
    citizen, here, there = site.person("password"), enter(), enter()
    there.sign_in_to_own_pages(citizen)
    here.sign_in_to_own_pages(citizen)
    here.go("/me/sessions")
    rows = here.page.locator(".sen-row")
    expect(rows).to_have_count(2)
    other = rows.filter(has_not_text=THIS_BROWSER[here.language])
    other.locator("button[id^=end-]").click()
    expect(rows).to_have_count(1)

    there.page.locator("nav a[href='/me/uses']").first.click()
    there.is_on("/sign-in")
    # Signing in again leads to the page she wanted.
    there.give_password(citizen)
    there.is_on("/me/uses")
    here.go("/me/sessions")
    here.press("end-others")
    expect(rows).to_have_count(1)
    there.go("/me")
    there.is_on("/sign-in")


def test_a_session_that_lay_idle_asks_to_sign_in_again(site: Site, visit: Visit) -> None:
    citizen = site.person("password")
    visit.sign_in_to_own_pages(citizen)
    visit.go("/me/details")
    site.let_sessions_lie_idle()
    visit.press("details-save")
    visit.is_on("/sign-in")
    visit.give_password(citizen)
    visit.is_on("/me")


@in_both_languages
def test_she_corrects_what_she_said_of_herself(site: Site, visit: Visit) -> None:
    citizen = site.person("password")
    visit.sign_in_to_own_pages(citizen)
    visit.go("/me/details")
    visit.sees(citizen.name, citizen.number)
    expect(visit.page.locator("#email")).to_have_value(citizen.email)
    visit.tolerate_status(422)
    visit.fill(email="không phải thư")
    visit.press("details-save")
    visit.sees(BAD_EMAIL[visit.language])
    visit.fill(email="sen@example.vn")
    visit.press("details-save")
    visit.sees(SAVED[visit.language])
    visit.go("/me/details")
    expect(visit.page.locator("#email")).to_have_value("sen@example.vn")


@twice
def test_signing_out_at_the_portal_signs_out_of_sen_id_too(site: Site, visit: Visit) -> None:
    visit.begin(site.portal)
    visit.give_password(site.person("password"))
    visit.decide()
    visit.is_at(site.portal)
    visit.press("sign-out")
    visit.is_at(site.portal)
    assert visit.notice() == "signed-out"
    visit.go("/me")
    visit.is_on("/sign-in")


@in_both_languages
def test_she_signs_out_on_her_own_pages_or_stays(site: Site, visit: Visit) -> None:
    visit.sign_in_to_own_pages(site.person("password"))
    leave = visit.page.locator("header a[href='/logout']")
    leave.click()
    visit.press("logout-stay")
    visit.is_on("/me")
    leave.click()
    visit.press("logout-confirm")
    visit.is_on("/signed-out")
    expect(visit.title()).to_have_text(SIGNED_OUT[visit.language])
    visit.go("/me")
    visit.is_on("/sign-in")


def test_after_a_withdrawal_she_sees_the_agency_confirm_that_it_has_stopped(
    site: Site, visit: Visit
) -> None:
    visit.begin(site.portal)
    visit.give_password(site.person("password"))
    visit.decide()
    visit.is_at(site.portal)
    visit.go("/me/consents")
    visit.page.locator("button[id^=withdraw-]").click()
    visit.sees("Đã dừng tại đây")
    # The provider tells the portal within seconds, and the portal answers by itself.
    for _ in range(60):
        visit.go("/me/consents")
        if "chậm nhất" not in visit.page.locator("main").inner_text():
            break
        visit.page.wait_for_timeout(500)
    visit.sees_not("chậm nhất", "chưa liên hệ được")


@in_both_languages
def test_everything_but_passkeys_works_without_javascript(
    site: Site, enter: Callable[..., Visit]
) -> None:
    visit, citizen = enter(javascript=False), site.person("password")
    page = visit.page
    visit.begin(site.portal)
    expect(page.locator("#passkey-sign-in")).to_be_hidden()
    visit.give_password(citizen)
    visit.decide(optional=("email",))
    visit.is_at(site.portal)
    assert visit.received()["email"] == citizen.email

    for path in ("/me", "/me/uses", "/me/passkeys", "/me/sessions", "/me/details", "/me/consents"):
        visit.go(path)
        visit.is_on(path)
        expect(page.locator("nav a[href='/me/uses']").first).to_be_visible()
    page.locator("button[id^=withdraw-]").click()
    expect(page.locator("button[id^=withdraw-]")).to_have_count(0)
    visit.learns_that_it_ended(site.portal)

    visit.go("/me")
    page.locator("header a[href='/logout']").click()
    visit.press("logout-confirm")
    visit.is_on("/signed-out")


def test_an_account_is_activated_without_javascript(
    site: Site, enter: Callable[..., Visit]
) -> None:
    visit, citizen = enter(javascript=False), site.person("newcomer")
    visit.begin(site.portal)
    visit.page.locator("main a[href^='/activate']").click()
    visit.enter_code(citizen)
    expect(visit.page.locator("#passkey-create")).to_be_hidden()
    visit.fill(new_password=citizen.password)
    visit.press("password-submit")
    visit.press("enrol-continue")
    visit.decide()
    visit.is_at(site.portal)
    assert visit.received()["name"] == citizen.name


def test_the_record_prints_with_whose_it_is_and_without_what_is_pressed(
    site: Site, visit: Visit
) -> None:
    citizen, page = site.person("password"), visit.page
    visit.sign_in_to_own_pages(citizen)
    visit.go("/me/uses")
    expect(page.locator(".sen-printed")).to_be_hidden()
    page.emulate_media(media="print")
    expect(page.locator(".sen-printed")).to_be_visible()
    expect(page.locator(".sen-printed")).to_contain_text(citizen.name)
    expect(page.locator("header")).to_be_hidden()
    expect(page.locator("article").first).to_be_visible()
