"""Applying for an account, told from both sides: the people's pages and the officers' desk."""

from collections.abc import Callable
from datetime import timedelta

from playwright.sync_api import expect
from sqlalchemy import update

from accounts.account import OPERATOR, LockReason
from accounts.applications import application
from connectors.protocol import EventKind
from connectors.simulation.happenings import happen
from connectors.simulation.store import opened
from tests.stories.folk import Person
from tests.stories.site import Site
from tests.stories.telling import twice
from tests.stories.visit import Visit
from tests.support.registers import enter_enterprise, enter_person, enter_representative

OFFICE = "Công an phường Hồ Sen Mẫu"
GROUND = "Công văn số 12/CV-CQĐT ngày 02/6/2026"
WAITING = {"vi": "Chờ quyết định", "en": "Waiting for the decision"}
AGREES, LATE = {"vi": "Khớp", "en": "Agrees"}, {"vi": "Quá hạn", "en": "Late"}
LOOKED = {"vi": "Cán bộ đã xem thông tin của bạn", "en": "An officer looked at your data"}
ISSUED = {"vi": "Đã cấp", "en": "Issued"}
LOCKED = {"vi": "Đã khóa", "en": "Locked"}
SECOND = {"vi": "Cần một cán bộ khác xác nhận", "en": "Another officer has to confirm it"}
WAITING_FOR_VISIT = {"vi": "Đến trực tiếp nơi tiếp n", "en": "A visit in person to a desk"}
ASKED = {"vi": "Bạn được hỏi ý kiến", "en": "You are asked to agree"}


def knows(site: Site, stated: dict[str, str]) -> None:
    """Have the population register know somebody."""
    enter_person(
        site.registers,
        number=stated["personal_number"],
        name=stated["name"],
        birthdate=stated["birthdate"],
    )


def somebody_without_an_account() -> dict[str, str]:
    unknown = Person("newcomer")
    return {
        "personal_number": unknown.number,
        "name": unknown.name,
        "birthdate": unknown.birthdate,
    }


def fill(visit: Visit, stated: dict[str, str]) -> None:
    for field, text in stated.items():
        visit.page.locator(f"#{field}").fill(text)


def let_it_grow_late(site: Site) -> None:
    """Set the end of every open application's time to two days ago."""
    with site.services() as services:
        now = services.installation.clock()
        services.db.execute(update(application).values(due_at=now - timedelta(days=2)))


def test_an_officers_day(site: Site, enter: Callable[..., Visit]) -> None:
    officer, colleague = site.person("passkey"), site.person("passkey")
    for one in (officer, colleague):
        site.appoint(one, OFFICE)
    desk, citizen = enter(), enter()
    for status in (404, 422):
        desk.tolerate_status(status)
        citizen.tolerate_status(status)

    # Somebody applies from home.
    newcomer = somebody_without_an_account()
    knows(site, newcomer)
    citizen.go("/apply")
    citizen.look("apply")
    citizen.go("/apply/citizen")
    fill(citizen, {**newcomer, "personal_number": "12"})
    citizen.press("apply-submit")
    citizen.look("apply-citizen-wrong")
    fill(citizen, newcomer)
    citizen.press("apply-submit")
    citizen.sees(WAITING[citizen.language])
    reference = citizen.page.locator("#reference").inner_text()
    citizen.look("apply-received")

    # The officer decides it; it should have been done by yesterday.
    let_it_grow_late(site)
    desk.sign_in_to_own_pages(officer)
    desk.page.locator("nav a[href='/desk']").click()
    desk.sees(OFFICE, LATE[desk.language])
    desk.look("desk")
    desk.page.locator(".sen-queue a").first.click()
    desk.sees(newcomer["name"], AGREES[desk.language])
    desk.press("decide-refuse")
    desk.look("desk-application-no-reason")
    desk.page.locator("#reason").fill("Thông tin trùng khớp, đủ điều kiện cấp.")
    desk.press("decide-issue")
    desk.sees(ISSUED[desk.language])

    # She takes her code and activates.
    citizen.go("/apply/follow")
    citizen.look("apply-follow")
    citizen.fill(reference=reference)
    citizen.press("follow-submit")
    citizen.press("code-submit")
    code = citizen.page.locator("#activation-code").inner_text()
    citizen.look("apply-code")
    citizen.take_authenticator()
    citizen.go("/activate")
    citizen.fill(login=newcomer["personal_number"], activation_code=code)
    citizen.press("activate-submit")
    citizen.press("passkey-create")
    citizen.press("enrol-continue")
    citizen.go("/me/uses")
    citizen.sees(LOOKED[citizen.language], OFFICE)
    citizen.sees_not(officer.name)
    citizen.look("uses-of-officers")

    # She comes to the desk for level 02.
    citizen.go("/me/applications")
    citizen.look("applications-level-01")
    citizen.press("raise-level")
    citizen.look("application-awaiting-visit")
    desk.go("/desk/citizen")
    desk.look("desk-take")
    desk.go("/desk")
    desk.page.locator(".sen-queue a").last.click()
    desk.look("desk-application-visit")
    for box in ("document_valid", "face_agrees", "biometrics_on_file", "confirmed"):
        desk.page.locator(f"label[for={box}]").click()
    desk.press("visit-submit")
    desk.press("decide-issue")
    desk.sees(ISSUED[desk.language])

    # An authority's lock is removed by two.
    with site.services() as services:
        found = services.subjects.find_for_sign_in(newcomer["personal_number"]) or ""
        account = services.accounts.find_of_subject(found)
        assert account is not None
        services.standing.lock(account.id, LockReason.AUTHORITY_ORDER, OPERATOR, ground=GROUND)
    citizen.go("/me")
    citizen.is_on("/sign-in")
    desk.go("/desk")
    desk.fill(identifier=newcomer["personal_number"])
    desk.press("search-submit")
    desk.sees(LOCKED[desk.language], GROUND)
    desk.look("desk-account")
    desk.page.locator("main a[href$='/contact']").click()
    desk.look("desk-contact")
    desk.page.go_back()
    desk.page.locator("#unlock-ground").fill(GROUND)
    desk.press("unlock-submit")
    desk.sees(SECOND[desk.language])
    second = enter()
    second.sign_in_to_own_pages(colleague)
    second.go("/desk")
    second.look("desk-second-officer")
    second.page.locator("button[id^=confirm-]").click()
    citizen.go("/sign-in")
    citizen.use_passkey()
    citizen.is_on("/me")

    desk.go("/desk")
    desk.fill(identifier=newcomer["personal_number"])
    desk.press("search-submit")
    desk.page.locator("details:has(#phone-code-submit) summary").click()
    desk.fill(recover_ground=GROUND)
    desk.press("phone-code-submit")
    desk.look("desk-phone-code")


@twice
def test_a_companys_application_with_two_representatives(
    site: Site, enter: Callable[..., Visit]
) -> None:
    director, partner, officer = (site.person("passkey") for _ in range(3))
    site.appoint(officer, OFFICE)
    company = {"name": f"Công ty TNHH Đài Sen {director.serial}", "tax_code": director.tax_code}
    enter_enterprise(site.registers, tax_code=company["tax_code"], name=company["name"])
    for place, one in enumerate((director, partner)):
        knows(
            site,
            {"personal_number": one.number, "name": one.name, "birthdate": one.birthdate},
        )
        enter_representative(
            site.registers, tax_code=company["tax_code"], number=one.number, place=place
        )
    here, there, desk = enter(), enter(), enter()
    here.sign_in_to_own_pages(director)
    here.go("/me/applications")
    here.look("applications-level-02")
    here.page.locator("main a[href='/me/applications/child']").click()
    here.look("apply-for-child")
    here.go("/me/applications/organisation")
    here.look("apply-for-organisation")
    fill(here, company)
    here.press("apply-submit")
    here.sees(company["name"], partner.name)
    here.look("application-awaiting-agreement")

    desk.sign_in_to_own_pages(officer)
    desk.go("/desk")
    desk.page.locator(".sen-queue a").last.click()
    desk.look("desk-application-of-company")
    expect(desk.page.locator("#decide-issue")).to_have_count(0)

    there.sign_in_to_own_pages(partner)
    there.go("/me/applications")
    there.sees(ASKED[there.language], company["name"], director.name)
    there.look("applications-asked-to-agree")
    there.page.locator("button[id^=agree-]").click()
    expect(there.page.locator("button[id^=agree-]")).to_have_count(0)

    desk.page.reload()
    desk.press("decide-issue")
    desk.sees(ISSUED[desk.language])
    here.page.reload()
    here.sees(ISSUED[here.language])

    # Both may act for it at once.
    for visit in (here, there):
        visit.begin(site.portal)
        visit.is_on("/acting-for")
        visit.sees(company["name"])


def decide(site: Site, desk: Visit, *, visit: bool) -> None:
    """Issue what was applied for last, after a visit at the desk where that is asked."""
    with site.services() as services:
        waiting = services.applications.undecided()
    last = max(waiting, key=lambda one: one.submitted_at)
    desk.go("/desk")
    desk.page.locator(f".sen-queue a[href$='{last.id}']").click()
    if visit:
        for box in desk.page.locator("input[type=checkbox]").all():
            box.check()
        desk.press("visit-submit")
    desk.press("decide-issue")
    desk.sees(ISSUED[desk.language])


def test_a_foreigner_applies_signs_in_and_loses_her_residence_permit(
    site: Site, enter: Callable[..., Visit]
) -> None:
    officer, here, desk = site.person("passkey"), enter(), enter()
    site.appoint(officer, OFFICE)
    with opened(site.registers) as db:
        row = db.execute("SELECT * FROM foreigner ORDER BY residence_expiry DESC").fetchone()
    stated = {
        "name": row["name"], "birthdate": row["birthdate"], "country": row["country"],
        "passport": row["document"], "residence_card": row["residence_card"],
    }  # fmt: skip
    here.go("/apply/foreigner")
    fill(here, stated)
    here.press("apply-submit")
    here.sees(WAITING_FOR_VISIT[here.language])
    desk.sign_in_to_own_pages(officer)
    decide(site, desk, visit=True)
    # Handed over at the desk, where she is.
    desk.press("code-submit")
    code = desk.page.locator("#activation-code").inner_text()
    here.take_authenticator()
    here.begin(site.portal)
    here.page.locator("main a[href^='/activate']").click()
    here.fill(login=row["passport"], activation_code=code)
    here.press("activate-submit")
    here.press("passkey-create")
    here.press("enrol-continue")
    here.decide()
    here.is_at(site.portal)
    assert row["name"] in here.received().values()

    with opened(site.registers) as db:
        happen(db, EventKind.RESIDENCE_ENDED, row["passport"], ())
    site.hear()
    here.press("read-again")
    assert here.notice() == "ended"
    here.tolerate_status(403)
    here.go("/sign-in")
    here.use_passkey()
    expect(here.page.locator("#passkey-status.sen-status--error")).to_be_visible()

    with opened(site.registers) as db:
        happen(db, EventKind.RESIDENCE_EXTENDED, row["passport"], ())
    site.hear()
    here.use_passkey()
    here.is_on("/me")


def test_a_mother_applies_for_her_child_and_acts_for_it(
    site: Site, enter: Callable[..., Visit]
) -> None:
    mother, officer = site.person("passkey"), site.person("passkey")
    site.appoint(officer, OFFICE)
    child = {**somebody_without_an_account(), "birthdate": "2018-03-04"}
    knows(
        site,
        {"personal_number": mother.number, "name": mother.name, "birthdate": mother.birthdate},
    )
    enter_person(
        site.registers,
        number=child["personal_number"],
        name=child["name"],
        birthdate=child["birthdate"],
        mother=mother.number,
    )
    here, desk = enter(), enter()
    here.sign_in_to_own_pages(mother)
    here.go("/me/applications/child")
    fill(here, child)
    here.page.locator("label[for=tie]").click()
    here.press("apply-submit")
    here.sees(child["name"], WAITING[here.language])
    desk.sign_in_to_own_pages(officer)
    decide(site, desk, visit=False)
    here.begin(site.portal)
    here.is_on("/acting-for")
    here.sees(child["name"])
    here.page.locator("label[for=acting-1]").click()
    here.press("acting-submit")
    here.decide()
    here.is_at(site.portal)
    assert child["name"] in here.received()["represents"]
