"""Applying on pages: by a stranger, by a holder for others, and agreeing as a representative."""

import re

import pytest

from accounts.applications import ApplicationKind, ApplicationState
from tests.support.browser import Browser, Page
from tests.support.cast import possible_tax_code
from tests.support.office import CHILD, NEWCOMER, Office
from tests.support.world import World

COMPANY = {"tax_code": possible_tax_code("999000078"), "name": "Công ty TNHH Ngó Sen Mẫu"}


@pytest.fixture
def office(world: World) -> Office:
    return Office(world)


def apply(browser: Browser, world: World, **changes: str) -> Page:
    form = browser.open("/apply/citizen").form("/apply/citizen")
    page = browser.submit(form, **{**NEWCOMER, "birthdate": "15/1/2003", **changes})
    world.secrets += re.findall(r"[A-Z2-7]{5}(?:-[A-Z2-7]{5}){3}", page.html)
    return page


def reference_on(page: Page) -> str:
    (reference,) = re.findall(r'id="reference">([^<]+)<', page.html)
    return str(reference)


def follow(browser: Browser, reference: str) -> Page:
    return browser.submit(browser.open("/apply/follow").form("/apply/follow"), reference=reference)


def only_application(world: World) -> str:
    with world.transaction() as services:
        (found,) = services.applications.undecided()
    return found.id


def test_a_stranger_applies_follows_and_activates(world: World, office: Office) -> None:
    office.knows_citizen(NEWCOMER)
    browser = world.browser()
    page = apply(browser, world)
    assert "Waiting for the decision" in page.text
    reference = reference_on(page)
    assert "To be decided by" in follow(browser, reference).text
    assert not follow(browser, reference).has_form("/apply/code")
    office.issue(only_application(world))
    page = follow(world.browser(), reference.lower().replace("-", " "))
    assert "Đủ điều kiện." in page.text
    page = follow(browser, reference)
    page = browser.submit(page.form("/apply/code"))
    (code,) = re.findall(r'id="activation-code">([^<]+)<', page.html)
    world.secrets.append(code)
    form = browser.open("/activate").form("/activate")
    page = browser.submit(form, login=NEWCOMER["personal_number"], code=code)
    assert page.location == "/activate/authenticators"
    # The account is hers now; no second code is to be had.
    assert not follow(world.browser(), reference).has_form("/apply/code")


def test_known_and_unknown_people_get_the_same_answer(world: World, office: Office) -> None:
    known = world.person("lan")
    office.knows_citizen(NEWCOMER)
    pages = [
        apply(world.browser(), world),
        apply(
            world.browser(), world,
            personal_number=known.number, name=known.name, birthdate=known.birthdate,
        ),
        apply(world.browser(), world, personal_number="999300000777", name="Không Có Ai"),
    ]  # fmt: skip
    texts = {re.sub(r"[A-Z2-7]{5}(-[A-Z2-7]{5}){3}", "", page.text) for page in pages}
    assert len(texts) == 1


@pytest.mark.parametrize(
    "change",
    [{"personal_number": "12"}, {"birthdate": "31/2/2003"}, {"name": " "},
     {"birthdate": "1/1/2020"}, {"name": "a\u202eb"}],
)  # fmt: skip
def test_a_fault_is_told_at_its_field(world: World, change: dict[str, str]) -> None:
    page = apply(world.browser(), world, **change)
    assert page.status == 422
    assert f'id="{next(iter(change))}-error"' in page.html


def test_an_address_cannot_flood_the_queue(world: World) -> None:
    browser = world.browser()
    statuses = [apply(browser, world).status for _ in range(31)]
    assert statuses == [200] * 30 + [429]


def test_references_cannot_be_guessed(world: World) -> None:
    browser = world.browser()
    statuses = [follow(browser, f"AAAAA-AAAAA-AAAAA-AAA{n:02}").status for n in range(21)]
    assert statuses == [404] * 20 + [429]


def test_a_representative_applies_and_the_other_agrees(world: World, office: Office) -> None:
    office.knows_company(COMPANY["tax_code"], COMPANY["name"], "lan", "minh")
    lan, minh = world.sign_in("lan", how="passkey"), world.sign_in("minh", how="passkey")
    page = lan.open("/me/applications/organisation")
    page = lan.follow(lan.submit(page.form("/me/applications/organisation"), **COMPANY))
    assert "Trần Văn Minh" in page.text
    assert "The agreement of every other legal representative." in page.text
    page = minh.open("/me/applications")
    form = next(form for form in page.forms if form.action.startswith("/me/agreements/"))
    # Somebody else's answer is not taken.
    assert lan.post(form.action, {**lan.open("/me/details").form("/me/details").values,
                                  "decision": "agree"}).status == 409  # fmt: skip
    page = minh.submit(form, form.buttons and next(k for k in form.buttons if k.startswith("agr")))
    assert "Your agreement is recorded" in page.text
    office.issue(only_application(world), "hoa")
    page = lan.open("/me/applications")
    assert "Issued" in page.text


def test_agreeing_and_applying_for_others_want_a_passkey(world: World, office: Office) -> None:
    office.knows_company(COMPANY["tax_code"], COMPANY["name"], "lan", "minh")
    office.apply(ApplicationKind.ORGANISATION, COMPANY, "lan")
    minh = world.sign_in("minh")
    page = minh.open("/me/applications")
    assert not any(form.action.startswith("/me/agreements/") for form in page.forms)
    with world.transaction() as services:
        subject = world.subject_in(services, "minh")
        ((asked, _application),) = services.application_office.asked_to_agree(subject)
    token = minh.open("/me/details").form("/me/details").values["csrf_token"]
    answer = minh.post(f"/me/agreements/{asked.id}", {"csrf_token": token, "decision": "agree"})
    assert answer.status == 403
    assert minh.open("/me/applications/child").location == "/sign-in?next=/me/applications/child"
    stated = {**CHILD, "tie": "parent", "csrf_token": token}
    assert minh.post("/me/applications/child", stated).status == 403


def test_a_guardian_gets_the_childs_code(world: World, office: Office) -> None:
    office.knows_citizen(CHILD, parents=[{"personal_number": world.person("lan").number}])
    lan = world.sign_in("lan", how="passkey")
    form = lan.open("/me/applications/child").form("/me/applications/child")
    assert lan.submit(form, **CHILD).status == 422
    page = lan.follow(lan.submit(form, **CHILD, tie="parent"))
    office.issue(only_application(world))
    page = lan.open(page.path)
    page = lan.submit(page.form(f"{page.path}/code"))
    (code,) = re.findall(r'id="activation-code">([^<]+)<', page.html)
    world.secrets.append(code)
    assert CHILD["personal_number"] in page.text


def test_nobody_sees_anothers_application(world: World, office: Office) -> None:
    office.knows_company(COMPANY["tax_code"], COMPANY["name"], "lan", "minh")
    application = office.apply(ApplicationKind.ORGANISATION, COMPANY, "lan")
    path = f"/me/applications/{application.id}"
    assert world.sign_in("lan").open(path).status == 200
    for login in ("minh", "hoa"):
        browser = world.sign_in(login)
        assert browser.open(path).status == 404
        token = browser.open("/me/details").form("/me/details").values["csrf_token"]
        assert browser.post(f"{path}/code", {"csrf_token": token}).status == 404
    assert office.now(application.id).state is ApplicationState.CHECKING


def test_level_02_is_applied_for_with_one_press(world: World, office: Office) -> None:
    browser = world.sign_in("hoa")
    page = browser.open("/me/applications")
    page = browser.follow(browser.submit(page.form("/me/applications/level")))
    assert "A visit in person to a desk" in page.text
    assert "The time begins with your visit" in page.text
    lan = world.sign_in("lan")
    token = lan.open("/me/details").form("/me/details").values["csrf_token"]
    assert lan.post("/me/applications/level", {"csrf_token": token}).status == 403
