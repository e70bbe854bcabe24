"""Every page in both languages: WCAG 2.2 AA by axe-core, small screens, and a picture to look at."""

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import expect

from connectors.simulation.faces import capture
from tests.stories.site import Site
from tests.stories.telling import in_both_languages
from tests.stories.visit import Visit

pytestmark = in_both_languages


def test_public_pages_are_accessible(site: Site, visit: Visit) -> None:
    for status in (400, 404):
        visit.tolerate_status(status)
    for name, path in (
        ("home", "/"),
        ("about", "/about"),
        ("transparency", "/transparency"),
        ("attributes", "/attributes"),
        ("signed-out", "/signed-out"),
        ("recover", "/recover"),
        ("lock", "/lock"),
        ("locked", "/locked"),
        ("unlock", "/unlock"),
        ("receipt", "/receipts/0199aabbccddeeff0011223344556677"),
        ("error-not-found", "/nowhere"),
        ("error-gone", "/sign-in?interaction=nobody-knows"),
        ("error-invalid", "/authorize?client_id=nobody"),
    ):
        visit.go(path)
        visit.look(name)


def test_sign_in_pages_are_accessible(site: Site, visit: Visit) -> None:
    citizen = site.person("passkey")
    visit.tolerate_status(401)
    visit.go("/sign-in")
    visit.look("sign-in")
    visit.begin(site.portal)
    visit.look("sign-in-for-portal")
    visit.give_password(citizen, "bốn lá sen khô")
    visit.look("sign-in-wrong")
    visit.take_authenticator(citizen)
    visit.begin(site.portal)
    visit.use_passkey()
    visit.is_on("/consent")
    visit.look("consent")
    visit.ask(site.portal, prompt="login")
    visit.look("sign-in-again")

    visit.go("/me/passkeys")
    visit.fill(new_password=citizen.password)
    visit.press("password-submit")
    visit.go("/logout")
    visit.look("logout")
    visit.press("logout-confirm")
    visit.go("/sign-in")
    visit.give_password(citizen)
    visit.is_on("/me")
    visit.ask(site.bank, acr_values="urn:vn:eid:aal:2")
    visit.look("sign-in-step-up")
    visit.refuse_on_device()
    visit.use_passkey()
    expect(visit.page.locator("#passkey-status.sen-status--error")).to_be_visible()
    visit.look("sign-in-refused-on-device")


def test_pages_of_the_higher_levels_are_accessible(
    site: Site, visit: Visit, tmp_path: Path
) -> None:
    citizen = site.person("passkey")
    site.knows(citizen)
    visit.tolerate_status(403)
    visit.sign_in_to_own_pages(citizen)
    visit.go("/me/passkeys")
    visit.fill(new_password=citizen.password)
    visit.press("password-submit")
    visit.ask(site.bank, acr_values="urn:vn:eid:aal:4")
    visit.look("sign-in-known")
    visit.page.locator("#password").fill(citizen.password)
    visit.press("known-submit")
    visit.is_on("/sign-in/face")
    # No camera stands before this browser, so a picture is chosen: first one of somebody else.
    visit.look("sign-in-face")
    other, own = tmp_path / "other.png", tmp_path / "own.png"
    other.write_bytes(capture(site.somebody_unlike(citizen)))
    own.write_bytes(capture(citizen.number))
    visit.page.locator("#picture").set_input_files(other)
    visit.press("face-submit")
    expect(visit.page.locator(".govuk-error-summary")).to_be_visible()
    visit.look("sign-in-face-refused")
    visit.page.locator("#picture").set_input_files(own)
    visit.press("face-submit")
    visit.is_on("/sign-in/card")
    visit.look("sign-in-card")
    visit.press("chip-submit")
    visit.look("sign-in-card-code")
    code = visit.page.locator("#chip-code").inner_text()
    done = site.read_card(citizen.number, code)
    assert (done.exit_code, done.stdout) == (0, "accepted\n"), done.stderr
    visit.press("card-finish")
    visit.is_on("/consent")


def test_activation_pages_are_accessible(site: Site, visit: Visit) -> None:
    citizen = site.person("newcomer")
    for status in (401, 422):
        visit.tolerate_status(status)
    visit.begin(site.portal)
    visit.page.locator("main a[href^='/activate']").click()
    visit.look("activate")
    visit.fill(login=citizen.login, activation_code="SAI-MA-ROI")
    visit.press("activate-submit")
    visit.look("activate-wrong")
    visit.enter_code(citizen)
    visit.look("enrol")
    visit.fill(new_password="sen")
    visit.press("password-submit")
    visit.look("enrol-password-short")
    visit.take_authenticator()
    visit.press("passkey-create")
    expect(visit.page.locator("#enrol-continue")).to_be_visible()
    visit.fill(new_password=citizen.password)
    visit.press("password-submit")
    expect(visit.page.locator(".sen-step--done")).to_have_count(2)
    visit.look("enrol-done")


def test_acting_for_pages_are_accessible(site: Site, visit: Visit) -> None:
    director, page = site.person("director"), visit.page
    visit.tolerate_status(422)
    visit.take_authenticator(director)
    visit.begin(site.portal)
    visit.use_passkey()
    visit.is_on("/acting-for")
    visit.look("acting-for")
    visit.press("acting-submit")
    visit.look("acting-for-nothing-chosen")
    page.locator("label[for=acting-1]").click()
    visit.press("acting-submit")
    visit.is_on("/consent")
    visit.look("consent-acting-for")
    visit.decide()
    visit.is_at(site.portal)
    visit.look("portal-acting-for")
    visit.go("/me/uses")
    visit.look("uses-acting-for")
    page.locator(".sen-views a", has_text=director.company).click()
    visit.look("uses-of-company")
    page.locator("main a[href^='/me/uses/proof?of=']").click()
    visit.sees(director.company)
    visit.look("proof-of-company")
    visit.go("/me/consents")
    visit.look("consents-acting-for")


def test_the_apps_pages_are_accessible(site: Site, enter: Callable[..., Visit]) -> None:
    citizen, phone, computer = site.person("passkey"), enter(), enter()
    # No camera stands before this browser, so the code's address is pasted.
    phone.sign_in_to_own_pages(citizen)
    phone.go("/app/enrol")
    phone.look("app-enrol")
    phone.press("enrol-submit")
    phone.is_on("/app/")
    for name in ("", "scan", "lock", "offline"):
        phone.go(f"/app/{name}")
        phone.look(f"app-{name or 'home'}")
    phone.go("/q/1.0.0.0")
    phone.look("app-opened")
    phone.go("/app/switch/1.0.0.0")
    phone.look("app-switch")
    phone.go("/me/passkeys")
    phone.look("me-passkeys-phone")

    computer.begin(site.bank)
    computer.press("qr-begin")
    computer.look("qr-code")
    address = site.code_on(computer.page.url)
    phone.go("/app/scan")
    phone.fill(frame=address)
    phone.press("scan-submit")
    expect(phone.page.locator("#request-form")).to_be_visible()
    phone.look("app-request")
    expect(computer.page.locator(".sen-number")).to_be_visible()
    computer.look("qr-number")
    phone.press("request-decline")
    expect(computer.page.locator("#qr-again")).to_be_visible()

    # A phone without a passkey, and an office's code behind the sign # of the address.
    new = enter()
    with site.services() as services:
        subject = services.subjects.find_for_sign_in(citizen.login) or ""
        account = services.accounts.find_of_subject(subject)
        assert account is not None
        code = services.phone_invitations.by_office(account.id)
    new.go(f"/app/code#{code}")
    expect(new.page.locator("#code")).to_have_value(code)
    assert new.page.url.endswith("/app/code")
    new.look("app-code")
    new.press("code-submit")
    new.is_on("/app/enrol")
    new.look("app-invited")
    new.take_authenticator()
    new.press("passkey-create")
    expect(new.page.locator("#enrol-form")).to_be_visible()

    on_phone = enter(user_agent="Mozilla/5.0 (Android 16; Mobile; rv:140.0) Firefox/140.0")
    on_phone.begin(site.bank)
    on_phone.look("sign-in-on-phone")
    on_phone.press("qr-begin")
    on_phone.look("qr-on-phone")


def test_own_pages_are_accessible_when_nothing_has_happened(site: Site, visit: Visit) -> None:
    visit.sign_in_to_own_pages(site.person("passkey"))
    for name in ("", "uses", "uses/proof", "consents", "passkeys", "download"):
        visit.go(f"/me/{name}".rstrip("/"))
        visit.look(f"me-{name.replace('/', '-') or 'overview'}-new")


def test_own_pages_are_accessible_when_much_has_happened(
    site: Site, enter: Callable[..., Visit]
) -> None:
    citizen, visit, phone = site.person("password"), enter(), enter()
    visit.tolerate_status(422)
    visit.begin(site.portal)
    visit.give_password(citizen)
    visit.decide(optional=("email", "address"))
    visit.is_at(site.portal)
    visit.look("portal-signed-in")
    visit.begin(site.bank)
    visit.look("consent-bank")
    visit.decide()
    visit.is_at(site.bank)
    visit.look("bank-signed-in")
    phone.sign_in_to_own_pages(citizen)
    for name in ("", "uses", "consents", "passkeys", "sessions", "notices", "details"):
        visit.go(f"/me/{name}".rstrip("/"))
        visit.look(f"me-{name or 'overview'}")
    for path, name in (
        ("uses?channel=userinfo", "uses-narrowed"),
        ("uses/copy?agency=demo-portal&since=2026-01-01", "uses-copy"),
        ("agencies", "agencies"),
        ("months", "months"),
    ):
        visit.go(f"/me/{path}")
        visit.look(f"me-{name}")
    visit.go("/me/agencies")
    visit.page.locator("main h2 a").first.click()
    visit.look("me-agency")
    # Where it stands is not known: reading a register may have made entries too.
    visit.go("/me/uses?agency=demo-portal")
    visit.page.locator("main a[href^='/me/uses/']:not([href*='?'])").last.click()
    visit.look("me-use")
    position = visit.page.url.rpartition("/")[2]
    visit.go(f"/me/cases/ask?right=object&use={position}")
    visit.look("me-case-form")
    visit.fill(words="Tôi không đồng ý với việc sử dụng này.")
    visit.press("case-send")
    visit.look("me-cases")
    visit.page.locator("main h2 a").first.click()
    visit.look("me-case")
    visit.go(f"/me/uses/{position}")
    visit.page.locator("main a[href$='/not-me']").click()
    visit.look("me-use-not-me")

    visit.go("/me/details")
    visit.fill(email="không phải thư", website="sen")
    visit.press("details-save")
    visit.look("me-details-wrong")
    visit.go("/me/passkeys")
    visit.fill(new_password="sen")
    visit.press("password-submit")
    visit.look("me-passkeys-password-short")
    visit.go("/me/consents")
    visit.page.locator("button[id^=withdraw-]").first.click()
    visit.look("me-consents-withdrawn")
    visit.go("/me/passkeys")
    visit.press("app-begin")
    visit.look("me-authenticator-app")
    visit.go("/me/passkeys")
    visit.press("card-make")
    visit.look("me-code-card")
    phone.go("/logout")
    phone.press("logout-confirm")
    phone.go("/sign-in")
    phone.give_password(citizen)
    phone.look("sign-in-code")

    visit.go("/me/notices/choices")
    visit.look("me-notices-choices")
    visit.page.locator("label[for=discreet]").click()
    visit.press("choices-save")
    visit.look("me-notices-choices-discreet")
    visit.go("/me")
    visit.go("/me/uses")
    assert visit.page.title() == "Sen ID"
    visit.look("me-uses-discreet")
    visit.press("leave")
    visit.is_at(site.bank)
    # Her page gave its place in the history away, and the one before is not shown again.
    visit.page.go_back()
    visit.is_on("/sign-in")


def test_inspectors_pages_are_accessible(site: Site, enter: Callable[..., Visit]) -> None:
    inspector, citizen = site.person("passkey"), site.person("password")
    site.appoint(inspector, "Cục An toàn dữ liệu Mẫu", "inspector")
    asking, visit = enter(), enter()
    visit.tolerate_status(404)
    asking.begin(site.portal)
    asking.give_password(citizen)
    asking.decide()
    asking.is_at(site.portal)
    asking.go("/me/cases/ask?right=object&use=2")
    asking.fill(words="Tôi không đồng ý với việc sử dụng này.")
    asking.press("case-send")
    reference = asking.page.locator("main code").first.inner_text()
    visit.take_authenticator(inspector)
    visit.go("/sign-in?next=/regulator")
    visit.use_passkey()
    visit.is_on("/regulator")
    visit.fill(reference="ABCD-EFGH")
    visit.press("find-submit")
    visit.look("regulator-nothing-found")
    visit.fill(reference=reference)
    visit.press("find-submit")
    visit.look("regulator-case")
    visit.go("/regulator/exports")
    visit.look("regulator-exports")
    visit.go("/regulator")
    visit.look("regulator")
    asking.go("/me/uses")
    asking.sees("Cục An toàn dữ liệu Mẫu")
    visit.go("/transparency")
    visit.look("transparency-with-figures")


def test_the_relying_parties_pages_are_accessible(site: Site, visit: Visit) -> None:
    visit.tolerate_status(404)
    for party in (site.portal, site.bank):
        visit.page.goto(party.origin)
        visit.look(f"{party.look}-home")
    visit.page.goto(f"{site.portal.origin}/nowhere")
    visit.look("portal-not-found")
    visit.begin(site.portal)
    visit.press("login-cancel")
    visit.look("portal-declined")
