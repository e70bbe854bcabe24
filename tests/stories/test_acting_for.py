"""Acting for others in a real browser: a child at the portal, a representative who is replaced, and
the pages on which people give and answer mandates.
"""

from collections.abc import Callable

from playwright.sync_api import expect

from accounts.attributes import Source
from accounts.legal_clock import comes_of_age
from accounts.mandates import MandateType
from connectors.protocol import EventKind
from connectors.simulation.happenings import happen
from connectors.simulation.store import opened
from tests.stories.folk import Person
from tests.stories.site import Site
from tests.stories.telling import in_both_languages
from tests.stories.visit import Visit
from tests.support.registers import enter_enterprise, enter_person

PARENT = {"vi": "Bạn là cha hoặc mẹ", "en": "You are this child's parent"}
WAITS = {"vi": "đang chờ người đó trả lời", "en": "your offer waits for her answer"}
ACCEPTED = {"vi": "Đã chấp nhận", "en": "Accepted"}
ENDED = {"vi": "Đã chấm dứt ngay", "en": "Ended at once"}
NOBODY = {"vi": "Bạn không thay mặt ai khác", "en": "You act for nobody but yourself"}
BIRTHDATE = "2016-08-09"


def bear(site: Site, parent: Person, child: Person) -> None:
    """Let one be the other's child, as an application that was granted leaves it."""
    with site.services() as services:
        mother, her = (services.subjects.find_for_sign_in(one.login) for one in (parent, child))
        assert mother is not None
        assert her is not None
        held = services.held.of_subject(her)[Source.POPULATION].values
        services.held.hold(her, Source.POPULATION, {**held, "birthdate": BIRTHDATE})
        services.mandates.grant(
            MandateType.PARENT, her, mother, "population", comes_of_age(BIRTHDATE)
        )


def test_a_parent_acts_for_a_child_at_the_portal(site: Site, visit: Visit) -> None:
    parent, child, page = site.person("passkey"), site.person("newcomer"), visit.page
    bear(site, parent, child)
    visit.take_authenticator(parent)
    visit.begin(site.portal)
    visit.use_passkey()
    visit.is_on("/acting-for")
    visit.sees(child.name, PARENT[visit.language])
    visit.look("acting-for-child")
    page.locator("label[for=acting-1]").click()
    visit.press("acting-submit")
    visit.is_on("/consent")
    visit.sees(child.name)
    visit.look("consent-for-child")
    visit.decide()
    visit.is_at(site.portal)
    expect(page.locator("#acting-for")).to_contain_text(child.name)
    assert visit.received()["name"] == parent.name
    assert child.name in visit.received()["represents"]
    visit.go("/me/uses")
    page.locator(".sen-views a", has_text=child.name).click()
    visit.sees(site.portal.name[visit.language], parent.name)
    visit.look("uses-of-child")
    # The child is ten: what is sensitive is told to the child alone, so there is no proof of it all.
    expect(page.locator("main a[href*='/me/uses/proof']")).to_have_count(0)
    page.locator("main a[href^='/me/uses/copy?of=']").click()
    visit.sees(child.name)
    visit.look("uses-copy-of-child")


def test_a_representative_replaced_in_the_register_is_signed_out_of_the_company(
    site: Site, visit: Visit
) -> None:
    director, other = site.person("director"), site.person("passkey")
    enter_enterprise(site.registers, tax_code=director.tax_code, name=director.company)
    for person in (director, other):
        enter_person(
            site.registers, number=person.number, name=person.name, birthdate=person.birthdate
        )
    visit.take_authenticator(director)
    visit.begin(site.portal)
    visit.use_passkey()
    visit.page.locator("label[for=acting-1]").click()
    visit.press("acting-submit")
    visit.decide()
    visit.is_at(site.portal)
    with opened(site.registers) as db:
        happen(db, EventKind.REPRESENTATIVES_CHANGED, director.tax_code, (other.number,))
    site.hear()
    visit.press("read-again")
    assert visit.notice() == "ended"
    # She is signed in still, and the company is offered to her no more.
    visit.go("/me/mandates")
    visit.sees(NOBODY[visit.language])
    visit.begin(site.portal)
    visit.is_on("/consent")
    visit.sees_not(director.company)


@in_both_languages
def test_one_adult_lets_another_act_and_ends_it(site: Site, enter: Callable[..., Visit]) -> None:
    giver, agent = site.person("director"), site.person("passkey")
    here, there = enter(), enter()
    language = here.language
    here.sign_in_to_own_pages(giver)
    here.go("/me/mandates")
    here.look("mandates-director")
    here.page.locator("a[href^='/me/mandates/give?type=proxy']").click()
    here.tolerate_status(422)
    here.press("give-submit")
    here.look("give-proxy-wrong")
    for field, text in (("name", agent.name), ("personal_number", agent.number)):
        here.page.locator(f"#{field}").fill(text)
    here.page.locator("#amount_limit").fill("5.000.000")
    here.page.locator("label[for=services]").click()
    here.page.locator("label[for=lasts]").click()
    here.press("give-submit")
    here.sees(WAITS[language])

    there.sign_in_to_own_pages(agent)
    there.go("/me/mandates")
    there.sees(giver.name)
    there.look("mandates-offered")
    there.page.locator("button[id^=accept-]").click()
    there.sees(ACCEPTED[language], giver.name)

    here.go("/me/mandates")
    here.page.locator("a", has_text=agent.name).first.click()
    here.look("mandate-given")
    here.press("revoke")
    here.sees(ENDED[language])
    there.go("/me/mandates")
    there.sees(NOBODY[language])
