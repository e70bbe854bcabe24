"""A citizen raises her account from level 01 to 02 by her card's chip, with the reader program."""

from collections.abc import Callable

from playwright.sync_api import expect

from accounts.levels import AccountLevel
from tests.stories.site import Site
from tests.stories.visit import Visit
from tests.support.registers import enter_card, enter_person

REFUSED = {"vi": "Thẻ không phải của người đề nghị", "en": "The card is not the one"}
ISSUED, READ = {"vi": "Đã cấp", "en": "Issued"}, {"vi": "Đã đọc thẻ", "en": "Card read"}
SENSITIVE = {"vi": "Dữ liệu cá nhân nhạy cảm", "en": "Sensitive personal data"}
CARD = {"vi": "Thẻ căn cước", "en": "Identity card"}


def test_a_citizen_proves_herself_by_her_cards_chip(
    site: Site, enter: Callable[..., Visit]
) -> None:
    citizen, neighbour = site.person("password"), site.person("password")
    for one in (citizen, neighbour):
        enter_person(
            site.registers, number=one.number, name=one.name, birthdate=one.birthdate, sex="F"
        )
        enter_card(site.registers, number=one.number)
    with site.services() as services:
        subject = services.subjects.find_for_sign_in(citizen.login) or ""
        account = services.accounts.find_of_subject(subject)
        assert account is not None
        services.accounts.set_level(account.id, AccountLevel.LEVEL_01)

    here = enter()
    here.sign_in_to_own_pages(citizen)
    here.go("/me/applications")
    here.press("raise-level")
    here.press("chip-submit")
    here.look("application-chip-code")
    code = here.page.locator("#chip-code").inner_text()

    # The card that is at hand is her neighbour's.
    refused = site.read_card(neighbour.number, code)
    assert (refused.exit_code, refused.stderr) == (1, "sen: refused: other-person\n")
    here.go("/me/applications")
    here.page.locator("main a[href^='/me/applications/0']").click()
    here.sees(REFUSED[here.language])
    here.look("application-chip-refused")
    here.press("chip-submit")
    code = here.page.locator("#chip-code").inner_text()
    done = site.read_card(citizen.number, code)
    assert (done.exit_code, done.stdout) == (0, "accepted; the application is issued\n")

    here.go("/me/applications")
    here.page.locator("main a[href^='/me/applications/0']").click()
    here.sees(ISSUED[here.language], READ[here.language])
    here.go("/me/uses")
    here.sees(CARD[here.language])
    here.go("/me/details")
    here.sees(citizen.number)
    # A sensitive claim of the scope is hers to tick.
    here.ask(site.portal, scope="openid name insurance")
    here.sees(SENSITIVE[here.language])
    expect(here.page.locator("#optional-hi_card")).not_to_be_checked()
    here.look("consent-sensitive")
    # The code is good once.
    assert site.read_card(citizen.number, code).stderr == "sen: refused: unknown_code\n"
