"""Contact data: changed after a fresh sign-in or by two officers, and always told to the old address."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from accounts.account import OPERATOR, CloseReason
from accounts.attributes import Source
from accounts.notices import By, Notice, NoticeKind
from accounts.officers import Officer
from consent.data_use import Channel
from idp.applying.rules import NotReadyError
from idp.desk import ContactTakenUpError
from idp.services import Services
from tests.support.browser import Browser
from tests.support.office import Office
from tests.support.world import World

GROUND = "Người đề nghị xuất trình thẻ căn cước, biên bản số 7"
NEW = "moi@example.vn"


@pytest.fixture
def office(world: World) -> Office:
    made = Office(world)
    made.officer("minh")
    return made


@pytest.fixture
def minh(world: World, office: Office) -> Browser:
    return world.sign_in("minh", how="passkey")


def own(services: Services, world: World, login: str = "lan") -> dict[str, object]:
    return services.held.of_subject(world.subject_in(services, login))[Source.SELF].values


def due(services: Services) -> list[Notice]:
    """Return what is to be delivered, and leave it to be."""
    now, found = services.installation.clock(), []
    while notice := services.notices.claim(By, now, now + timedelta(hours=1)):
        found.append(notice)
    for notice in found:
        services.notices.postpone(notice.id, now)
    return [notice for notice in found if notice.kind is not NoticeKind.SIGN_IN]


def test_she_changes_it_herself_and_the_old_address_is_told(world: World) -> None:
    browser = world.sign_in()
    form = browser.open("/me/details").form("/me/details")
    assert browser.submit(form, email=NEW, nickname="Sen").status == 200
    with world.transaction() as services:
        held = own(services, world)
        assert (held["email"], held["email_verified"], held["nickname"]) == (NEW, False, "Sen")
        assert held["phone_number"] == "+84900000001"
        (notice,) = due(services)
        assert (notice.kind, notice.by, notice.address) == (
            NoticeKind.CONTACT_CHANGED, By.EMAIL, "lan@example.vn")  # fmt: skip
    # In the application too, marked until she says that she has read it.
    assert "2 new" in browser.open("/me").text
    page = browser.open("/me/notices")
    assert "lan@example.vn" in page.text
    assert NEW in page.text
    browser.submit(page.form("/me/notices/read"))
    assert "new" not in browser.open("/me").text.split("Sign out")[0]
    assert NEW in browser.open("/me/notices").text
    # Nobody else sees or marks it.
    assert NEW not in world.sign_in("minh").open("/me/notices").text


def test_an_old_sign_in_changes_no_contact_and_keeps_what_is_there(world: World) -> None:
    browser = world.sign_in()
    fresh = browser.open("/me/details").form("/me/details")
    world.tick(minutes=6)
    page = browser.open("/me/details")
    assert "lan@example.vn" in page.text
    form = page.form("/me/details")
    assert "email" not in form.values
    assert browser.submit(form, nickname="Sen").status == 200
    assert browser.post("/me/details", {**fresh.values, "email": NEW}).status == 422
    with world.transaction() as services:
        held = own(services, world)
        assert (held["email"], held["email_verified"], held["nickname"]) == (
            "lan@example.vn", True, "Sen")  # fmt: skip
        assert due(services) == []


def test_two_officers_change_it_and_both_looks_are_seen(
    world: World, office: Office, minh: Browser
) -> None:
    account, old = world.account("hoa"), "hoa@example.vn"
    with world.transaction() as services:
        subject = world.subject_in(services, "hoa")
        services.held.hold(subject, Source.SELF, {"email": old, "email_verified": True})
    path = f"/desk/accounts/{account}/contact"
    form = minh.open(f"/desk/accounts/{account}") and minh.open(path).form(path)
    assert minh.submit(form, claim="email", value="x", ground=GROUND).status == 422
    assert minh.submit(form, claim="email", value=NEW, ground="ừ").status == 422
    page = minh.submit(form, claim="email", value=NEW, ground=GROUND)
    assert "Another officer has to confirm it" in page.text
    assert "Waiting for a second officer" in page.text
    assert minh.submit(form, claim="email", value="x@example.vn", ground=GROUND).status == 422
    queue = minh.open("/desk")
    assert world.person("hoa").name not in queue.text
    with world.transaction() as services:
        (request,) = services.contact_requests.open()
        assert own(services, world, "hoa")["email"] == old
    answer = f"/desk/contacts/{request.id}"
    assert answer in queue.html
    assert not minh.open(answer).has_form(answer)
    token = minh.open("/me/details").form("/me/details").values["csrf_token"]
    fields = {"csrf_token": token, "decision": "confirm"}
    assert minh.post(answer, fields).status == 409
    office.officer("lan")
    lan = world.sign_in("lan", how="passkey")
    page = lan.open(answer)
    assert NEW in page.text
    assert old in page.text
    assert lan.submit(page.form(answer), "contact-confirm").location == "/desk"
    assert lan.submit(page.form(answer), "contact-refuse").status == 409
    minhs, lans = office.officer("minh").id, office.officer("lan").id
    with world.transaction() as services:
        held = own(services, world, "hoa")
        assert (held["email"], held["email_verified"]) == (NEW, False)
        entries = services.use_log.of_subject(subject)
        looks = {
            entry.use.other_party
            for entry in entries
            if entry.use.channel is Channel.STAFF_VIEW and "email" in entry.use.attributes
        }
        assert looks == {minhs, lans}
        told = {n.kind for n in services.notices.of_subject(subject)}
        assert told == {NoticeKind.CONTACT_CHANGED, NoticeKind.CONTACT_CHANGE_ASKED}
        assert all(n.address == old for n in due(services))
    assert "Công an phường Hồ Sen Mẫu" in world.sign_in("hoa").open("/me/notices").text


def test_a_refusal_changes_nothing_and_is_told(world: World, office: Office, minh: Browser) -> None:
    account = world.account("lan")
    first, second = office.officer("minh"), office.officer("hoa")
    with world.transaction() as services:
        at = services.desk_of(first)
        at.ask_contact_change(account, "phone_number", "", GROUND)
        with pytest.raises(ContactTakenUpError):
            at.ask_contact_change(account, "phone_number", "", GROUND)
    with world.transaction() as services:
        (request,) = services.contact_requests.open_of(account)
        services.desk_of(second).answer_contact_change(request.id, confirms=False)
        assert own(services, world)["phone_number"] == "+84900000001"
        assert services.contact_requests.open() == []
        kinds = {n.kind for n in services.notices.of_subject(world.subject_in(services, "lan"))}
        assert NoticeKind.CONTACT_CHANGE_REFUSED in kinds


def test_of_two_who_confirm_at_once_one_does(world: World, office: Office) -> None:
    account = world.account("tam")
    asker, *others = (office.officer(login) for login in ("minh", "lan", "hoa"))
    with world.transaction() as services:
        services.desk_of(asker).ask_contact_change(account, "email", NEW, GROUND)
        (request,) = services.contact_requests.open()
    start = threading.Barrier(2)

    def confirm(officer: Officer) -> bool:
        start.wait()
        try:
            with world.transaction() as services:
                services.desk_of(officer).answer_contact_change(request.id, confirms=True)
        except NotReadyError:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(confirm, others)) == [False, True]
    with world.transaction() as services:
        subject = services.accounts.account(account).subject_id
        kinds = [one.kind for one in services.notices.of_subject(subject)]
        assert kinds.count(NoticeKind.CONTACT_CHANGED) == 1


def test_nobody_changes_the_officers_own_or_a_closed_accounts(
    world: World, office: Office, minh: Browser
) -> None:
    token = minh.open("/me/details").form("/me/details").values["csrf_token"]
    fields = {"csrf_token": token, "claim": "email", "value": NEW, "ground": GROUND}
    assert minh.post(f"/desk/accounts/{world.account('minh')}/contact", fields).status == 403
    closed = world.account("hoa")
    with world.transaction() as services:
        services.standing.close(closed, CloseReason.DEATH, OPERATOR)
    assert minh.post(f"/desk/accounts/{closed}/contact", fields).status == 409
    other = {**fields, "claim": "name"}
    assert minh.post(f"/desk/accounts/{world.account('lan')}/contact", other).status == 400
    lan = world.sign_in()
    token = lan.open("/me/details").form("/me/details").values["csrf_token"]
    path = f"/desk/accounts/{world.account('minh')}/contact"
    assert lan.post(path, {**fields, "csrf_token": token}).status == 404
    assert lan.open(path).status == 404
