"""Ways to sign in, and to say no: every person and every answer, at real relying parties."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.stories.site import Site
from tests.stories.telling import in_both_languages, twice
from tests.stories.visit import Visit

NOTHING_SENT = {"vi": "Chưa có dữ liệu nào được gửi đi", "en": "nothing was sent"}
WRONG = {"vi": "Thông tin không khớp", "en": "The details do not match"}
OVER = {"vi": "Lượt đăng nhập này đã kết thúc", "en": "This sign-in is over"}
INVALID = {"vi": "Yêu cầu không hợp lệ", "en": "Invalid request"}
CANCELLED_ON_DEVICE = {"vi": "Bạn đã đóng yêu cầu", "en": "You closed the request"}
COMPANY_WAS_READ = {"vi": "Đã đọc dữ liệu của tổ chức", "en": "Read the organisation's data"}
HER_DATA = {"vi": "dữ liệu của bạn", "en": "your data"}
AFTER_PASSKEY = {
    "vi": "Chỉ cung cấp khi bạn đăng nhập bằng khóa truy cập",
    "en": "Given only when you sign in with a passkey",
}
LEVEL_2 = {"vi": "Mức độ 2", "en": "Level 2"}
NEEDS_LEVEL_2 = {"vi": "Cần đăng nhập ở mức độ cao hơn", "en": "A stronger sign-in is needed"}


@in_both_languages
def test_who_denies_is_told_kindly_and_nothing_is_sent(site: Site, visit: Visit) -> None:
    visit.begin(site.portal)
    visit.give_password(site.person("password"))
    visit.decide(allow=False)
    visit.is_at(site.portal)
    expect(visit.page.locator("#notice")).to_contain_text(NOTHING_SENT[visit.language])
    assert visit.notice() == "declined"
    expect(visit.page.locator("#sign-in")).to_be_visible()
    visit.go("/me/consents")
    expect(visit.page.locator("article")).to_have_count(0)


@in_both_languages
def test_who_cancels_the_sign_in_comes_back_to_the_portal(site: Site, visit: Visit) -> None:
    visit.begin(site.portal)
    visit.press("login-cancel")
    visit.is_at(site.portal)
    expect(visit.page.locator("#notice")).to_contain_text(NOTHING_SENT[visit.language])


@twice
def test_a_passkey_picked_from_the_identifier_field_signs_in(
    site: Site, enter: Callable[..., Visit]
) -> None:
    citizen, visit = site.person("passkey"), enter(autofill=True)
    visit.take_authenticator(citizen)
    visit.begin(site.portal)
    visit.is_on("/consent")
    visit.decide()
    visit.is_at(site.portal)
    assert visit.received("id-token")["acr"].startswith(LEVEL_2[visit.language])


def test_a_removed_passkey_is_told_of_and_password_with_card_works_without_javascript_too(
    site: Site, enter: Callable[..., Visit]
) -> None:
    citizen, visit = site.person("passkey"), enter()
    visit.sign_in_to_own_pages(citizen)
    visit.go("/me/passkeys")
    visit.fill(new_password=citizen.password)
    visit.press("password-submit")
    visit.press("card-make")
    code = visit.page.locator(".sen-card-codes li").first.inner_text()
    visit.go("/me/passkeys")
    visit.page.locator("button[id^=remove-]").click()
    visit.go("/logout")
    visit.press("logout-confirm")
    visit.tolerate_status(403)
    visit.begin(site.portal)
    visit.use_passkey()
    expect(visit.page.locator("#passkey-status.sen-status--error")).to_contain_text(
        {"vi": "không còn thuộc tài khoản nào", "en": "belongs to no account"}[visit.language]
    )
    plain = enter(javascript=False)
    plain.begin(site.portal)
    plain.give_password(citizen)
    plain.fill(code=code)
    plain.press("code-submit")
    plain.decide()
    plain.is_at(site.portal)
    assert plain.received("id-token")["acr"].startswith(LEVEL_2[plain.language])


@twice
def test_a_returning_citizen_signs_in_by_passkey_and_decides_once(site: Site, visit: Visit) -> None:
    citizen = site.person("passkey")
    visit.take_authenticator(citizen)
    visit.begin(site.portal)
    visit.use_passkey()
    visit.decide()
    visit.is_at(site.portal)
    assert visit.received("id-token")["acr"].startswith(LEVEL_2[visit.language])

    visit.press("sign-out")
    assert visit.notice() == "signed-out"
    visit.press("sign-in")
    visit.use_passkey()
    # What she decided stands: she is not asked again.
    visit.is_at(site.portal)
    assert visit.received()["name"] == citizen.name


@in_both_languages
def test_a_password_alone_gives_level_1_and_no_personal_number(site: Site, visit: Visit) -> None:
    citizen = site.person("password")
    visit.begin(site.bank)
    visit.give_password(citizen)
    visit.is_on("/consent")
    visit.sees(AFTER_PASSKEY[visit.language])
    visit.decide()
    visit.is_at(site.bank)
    received = visit.received()
    assert received["name"] == citizen.name
    assert "vn_pid" not in received
    assert "1" in visit.received("id-token")["acr"]


def test_a_password_is_set_at_activation_and_works_alone(
    site: Site, enter: Callable[..., Visit]
) -> None:
    citizen, first, second = site.person("newcomer"), enter(), enter()
    first.go("/activate")
    first.enter_code(citizen)
    first.fill(new_password=citizen.password)
    first.press("password-submit")
    first.press("enrol-continue")
    first.is_on("/me")

    second.begin(site.portal)
    second.give_password(citizen)
    second.decide()
    second.is_at(site.portal)
    assert second.received()["name"] == citizen.name


def test_an_activation_code_works_once(site: Site, enter: Callable[..., Visit]) -> None:
    citizen, first, second = site.person("newcomer"), enter(), enter()
    first.go("/sign-in")
    first.activate_with_passkey(citizen)
    first.is_on("/me")

    second.tolerate_status(401)
    second.go("/activate")
    second.enter_code(citizen)
    second.sees(WRONG["vi"])


@in_both_languages
def test_a_wrong_password_is_refused_and_the_right_one_goes_on(site: Site, visit: Visit) -> None:
    citizen = site.person("password")
    visit.tolerate_status(401)
    visit.begin(site.portal)
    visit.give_password(citizen, "bốn lá sen khô")
    visit.sees(WRONG[visit.language])
    expect(visit.page.locator("#login")).to_have_value(citizen.login)
    expect(visit.page.locator("#password")).to_have_value("")
    visit.give_password(citizen)
    visit.is_on("/consent")


def test_a_personal_number_signs_in_as_well_as_a_login_name(site: Site, visit: Visit) -> None:
    citizen = site.person("password")
    visit.begin(site.portal)
    visit.fill(login=citizen.number, password=citizen.password)
    visit.press("login-submit")
    visit.is_on("/consent")
    visit.decide()
    assert visit.received()["name"] == citizen.name


@twice
def test_a_foreigner_activates_with_her_passport_and_signs_in_the_same_way(
    site: Site, visit: Visit
) -> None:
    foreigner = site.person("foreigner")
    visit.begin(site.portal)
    visit.activate_with_passkey(foreigner, login=foreigner.passport)
    visit.decide(optional=("email", "phone_number", "address"))
    visit.is_at(site.portal)
    received = visit.received()
    assert received["name"] == foreigner.name
    assert received["email"] == foreigner.email
    assert received["phone_number"] == foreigner.phone_number
    assert foreigner.address in received["address"]
    kind = {"vi": "người nước ngoài", "en": "foreigner"}[visit.language]
    assert received["vn_account_kind"] == kind


@twice
def test_a_legal_representative_chooses_to_act_for_her_company(site: Site, visit: Visit) -> None:
    director, page = site.person("director"), visit.page
    visit.take_authenticator(director)
    visit.begin(site.portal)
    visit.use_passkey()
    visit.is_on("/acting-for")
    visit.sees(director.name, director.company)
    page.locator("label[for=acting-self]").click()
    visit.press("acting-submit")
    visit.decide()
    visit.is_at(site.portal)
    sub = visit.received()["sub"]
    assert "represents" not in visit.received()
    expect(page.locator("#acting-for")).to_have_count(0)

    page.goto(f"{site.portal.origin}/sign-in")
    visit.is_on("/acting-for")
    page.locator("label[for=acting-1]").click()
    visit.press("acting-submit")
    visit.is_on("/consent")
    visit.sees(director.company)
    visit.decide()
    visit.is_at(site.portal)
    expect(page.locator("#acting-for")).to_contain_text(director.company)
    for table in ("userinfo", "id-token"):
        assert visit.received(table)["sub"] == sub
        assert director.company in visit.received(table)["represents"]
        assert director.tax_code in visit.received(table)["represents"]

    # The bank is not registered for it, so it is not offered there.
    visit.begin(site.bank)
    visit.is_on("/consent")

    visit.go("/me/uses")
    visit.sees(director.company)
    page.locator(".sen-views a", has_text=director.company).click()
    expect(page.locator(".sen-views a[aria-current]")).to_have_text(director.company)
    visit.sees(site.portal.name[visit.language], COMPANY_WAS_READ[visit.language])
    # She stands there as the one who acted; the record speaks of the company, not of her.
    visit.sees(director.name)
    visit.sees_not(HER_DATA[visit.language])


@in_both_languages
def test_another_browser_cannot_take_up_an_interaction(
    site: Site, enter: Callable[..., Visit]
) -> None:
    hers, stranger = enter(), enter()
    hers.begin(site.portal)
    stranger.tolerate_status(400)
    stranger.page.goto(hers.page.url)
    expect(stranger.title()).to_have_text(OVER[stranger.language])
    # Hers is unharmed.
    hers.give_password(site.person("password"))
    hers.is_on("/consent")


@in_both_languages
def test_a_bad_request_gets_a_page_and_never_a_redirect(site: Site, visit: Visit) -> None:
    visit.tolerate_status(400)
    visit.ask(site.portal, redirect_uri="https://elsewhere.example/")
    visit.is_on("/authorize")
    expect(visit.title()).to_have_text(INVALID[visit.language])
    visit.sees("invalid_request")


def test_who_refuses_on_her_device_can_go_on_with_the_page(site: Site, visit: Visit) -> None:
    citizen = site.person("passkey")
    visit.take_authenticator(citizen)
    visit.refuse_on_device()
    visit.begin(site.portal)
    visit.use_passkey()
    expect(visit.page.locator("#passkey-status")).to_contain_text(CANCELLED_ON_DEVICE["vi"])
    expect(visit.page.locator("#passkey-sign-in")).to_be_focused()
    visit.press("login-cancel")
    visit.is_at(site.portal)


def test_a_request_for_level_2_asks_for_the_passkey_after_a_password(
    site: Site, visit: Visit
) -> None:
    citizen = site.person("passkey")
    visit.sign_in_to_own_pages(citizen)
    visit.go("/me/passkeys")
    visit.fill(new_password=citizen.password)
    visit.press("password-submit")
    visit.go("/logout")
    visit.press("logout-confirm")
    visit.is_on("/signed-out")

    visit.begin(site.bank)
    visit.give_password(citizen)
    visit.is_on("/consent")
    visit.ask(site.bank, acr_values="urn:vn:eid:aal:2")
    expect(visit.title()).to_have_text(NEEDS_LEVEL_2["vi"])
    visit.use_passkey()
    visit.is_on("/consent")


@pytest.mark.parametrize("way", ["password", "passkey"])
def test_two_tabs_sign_in_at_once_and_both_come_through(site: Site, visit: Visit, way: str) -> None:
    citizen = site.person("passkey" if way == "passkey" else "password")
    other = visit.open_tab()
    if way == "passkey":
        visit.take_authenticator(citizen)
    visit.begin(site.portal)
    other.goto(site.bank.origin)
    other.locator("#sign-in").click()
    expect(other.locator("#login-submit")).to_be_visible()

    if way == "passkey":
        visit.use_passkey()
    else:
        visit.give_password(citizen)
    visit.is_on("/consent")

    # The other tab still shows the form from before.
    if way == "password":
        other.locator("#login").fill(citizen.login)
        other.locator("#password").fill(citizen.password)
        other.locator("#login-submit").click()
    else:
        visit.take_authenticator(citizen, other)
        other.locator("#passkey-sign-in").click()
    expect(other).to_have_url(re.compile("/consent"))
    other.locator("#consent-allow").click()
    expect(other.locator("#userinfo")).to_contain_text(citizen.name)

    visit.decide()
    visit.is_at(site.portal)
    assert visit.received()["name"] == citizen.name
