"""The officers' desk: who may enter, what they see, and that nobody is looked at unseen."""

import re
import unicodedata
from functools import partial

import pytest

from accounts.account import OPERATOR, LockReason
from accounts.applications import ApplicationKind, ApplicationState
from accounts.officers import Officer
from consent.data_use import Channel
from tests.support.at_once import at_once
from tests.support.browser import Browser, Page
from tests.support.office import CHILD, FOREIGNER, NEWCOMER, Office
from tests.support.world import World

NFD_NAME = unicodedata.normalize("NFD", NEWCOMER["name"])
GROUND = "Công văn số 12/CV-CQĐT ngày 02/6/2027"


@pytest.fixture
def office(world: World) -> Office:
    made = Office(world)
    made.officer("minh")
    return made


@pytest.fixture
def minh(world: World, office: Office) -> Browser:
    """An officer at the desk."""
    return world.sign_in("minh", how="passkey")


def staff_views(world: World, login: str) -> int:
    with world.transaction() as services:
        subject = world.subject_in(services, login)
        entries = services.use_log.of_subject(subject)
        assert services.use_log.is_intact(subject)
    return sum(entry.use.channel is Channel.STAFF_VIEW for entry in entries)


def search(browser: Browser, identifier: str) -> Page:
    form = browser.open("/desk").form("/desk/search")
    return browser.follow(browser.submit(form, identifier=identifier))


def token(browser: Browser) -> str:
    return browser.open("/me/details").form("/me/details").values["csrf_token"]


def test_the_desk_exists_for_officers_with_a_passkey_only(world: World, office: Office) -> None:
    application = office.apply(ApplicationKind.CITIZEN_01, NEWCOMER)
    account = world.account("hoa")
    pages = ["/desk", "/desk/citizen", f"/desk/applications/{application.id}",
             f"/desk/accounts/{account}"]  # fmt: skip
    posts = ["/desk/search", "/desk/citizen", f"/desk/unlocks/{account}",
             f"/desk/accounts/{account}/lock", f"/desk/accounts/{account}/unlock",
             *(f"/desk/applications/{application.id}/{act}"
               for act in ("visit", "document", "decide", "code"))]  # fmt: skip
    citizen, weak, stranger = world.sign_in("lan", how="passkey"), world.sign_in("minh"), (
        world.browser()
    )  # fmt: skip
    for path in pages:
        assert citizen.open(path).status == 404
        assert weak.open(path).location == "/sign-in?next=/desk"
        assert stranger.open(path).location.startswith("/sign-in")
    fields = {"reason": "risk", "ground": GROUND, "decision": "issue"}
    for path in posts:
        assert citizen.post(path, {**fields, "csrf_token": token(citizen)}).status == 404
        assert weak.post(path, {**fields, "csrf_token": token(weak)}).location == (
            "/sign-in?next=/desk"
        )
    # No password can open them, so none is asked for; she who has no passkey learns where to make one.
    page = weak.open("/sign-in?next=/desk").html
    assert "This is possible only after signing in with a passkey" in page
    assert 'href="/me/passkeys"' in page
    assert 'name="password"' not in page
    assert office.now(application.id).state.is_open
    assert staff_views(world, "hoa") == 0


def test_who_is_dismissed_is_out_at_once(world: World, minh: Browser) -> None:
    assert minh.open("/desk").status == 200
    with world.transaction() as services:
        services.officers.dismiss(world.subject_in(services, "minh"))
    assert minh.open("/desk").status == 404
    assert "/desk" not in minh.open("/me").html


def test_a_number_that_does_not_fit_warns_the_officer_and_hinders_nobody(
    world: World, office: Office, minh: Browser
) -> None:
    office.knows_citizen(NEWCOMER)
    application = office.apply(ApplicationKind.CITIZEN_01, {**NEWCOMER, "name": NFD_NAME})
    page = minh.open(f"/desk/applications/{application.id}")
    assert "digits tell another year of birth" in page.text
    assert application.stated["name"] == NEWCOMER["name"]
    assert office.issue(application.id)


def test_an_officer_works_from_the_queue_to_the_handed_over_code(
    world: World, office: Office, minh: Browser
) -> None:
    office.knows_foreigner()
    form = minh.open("/desk/foreigner").form("/desk/foreigner")
    assert minh.submit(form, **{**FOREIGNER, "passport": "?"}).status == 422
    page = minh.follow(minh.submit(form, **{**FOREIGNER, "birthdate": "24/12/1988"}))
    path = page.path
    assert FOREIGNER["name"] not in minh.open("/desk").text
    assert page.text.count("Agrees") >= 3
    visit = page.form(f"{path}/visit")
    assert minh.submit(visit, document_valid="yes").status == 422
    page = minh.follow(minh.submit(visit, document_valid="yes", face_agrees="yes", confirmed="yes"))
    decide = page.form(f"{path}/decide")
    assert minh.submit(decide, "decide-refuse", reason="không").status == 422
    page = minh.follow(minh.submit(decide, "decide-issue", reason="Đủ điều kiện."))
    page = minh.submit(page.form(f"{path}/code"))
    (code,) = re.findall(r'id="activation-code">([^<]+)<', page.html)
    world.secrets.append(code)
    holder = world.browser()
    form = holder.open("/activate").form("/activate")
    page = holder.submit(form, login=FOREIGNER["residence_card"], code=code)
    assert page.location == "/activate/authenticators"
    assert not minh.open(path).has_form(f"{path}/code")
    # She reads who looked, where, and what for.
    page = holder.follow(page)
    holder.submit(page.form("/activate/password"), password="je suis arrivée hier")
    text = holder.open("/me/uses").text
    assert "An officer looked at your data" in text
    assert "Công an phường Hồ Sen Mẫu" in text
    assert world.person("minh").name not in text


def test_of_other_people_an_officer_sees_names_and_no_numbers(
    world: World, office: Office, minh: Browser
) -> None:
    mother = world.person("lan")
    address = {"formatted": "1 Phố Mẫu, Hà Nội", "street_address": "1 Phố Mẫu", "country": "VN"}
    office.knows_citizen(CHILD, parents=[mother.number, "999170000009"], nationalities=["VNM"],
                         address=address)  # fmt: skip
    child = office.apply(ApplicationKind.MINOR, {**CHILD, "tie": "parent"}, "lan")
    company = {"name": "Công ty TNHH Gương Sen", "tax_code": "0100233488"}
    office.knows_company(company["tax_code"], company["name"], "lan", "minh")
    firm = office.apply(ApplicationKind.ORGANISATION, company, "lan")
    for found in (child, firm):
        text = minh.open(f"/desk/applications/{found.id}").text
        assert mother.name in text
        assert not {mother.number, "999170000009", world.person("minh").number} & set(
            re.findall(r"\d{12}", text)
        )
    # A representative who did not apply is named too, and sees it.
    with world.transaction() as services:
        looks = services.use_log.of_subject(world.subject_in(services, "minh"))
    assert [entry.use.attributes for entry in looks if entry.use.channel is Channel.STAFF_VIEW] == [
        ("name",)
    ]
    # A value stands there once, in words.
    text = minh.open(f"/desk/applications/{child.id}").text
    assert text.count("1 Phố Mẫu") == 1
    assert "VNM" not in text


def test_a_refusal_is_read_by_who_applied(world: World, office: Office, minh: Browser) -> None:
    application = office.apply(ApplicationKind.CITIZEN_01, NEWCOMER)
    page = minh.open(f"/desk/applications/{application.id}")
    assert "The register knows nobody" in page.text
    form = page.form(f"/desk/applications/{application.id}/decide")
    assert set(form.buttons) == {"decide-refuse"}
    minh.submit(form, "decide-refuse", reason="Ngày sinh không khớp với giấy tờ.")
    # The other button, sent by hand, finds it decided.
    again = minh.post(
        f"/desk/applications/{application.id}/decide",
        {"csrf_token": token(minh), "decision": "issue", "reason": ""},
    )
    assert again.status == 409
    assert office.now(application.id).state is ApplicationState.REFUSED


def test_search_is_by_exact_identifier_and_every_look_is_seen(
    world: World, office: Office, minh: Browser
) -> None:
    lan = world.person("lan")
    for nothing in ("Nguyễn", lan.name, lan.number[:-1], "%", ""):
        assert search(minh, nothing).status == 404
    assert staff_views(world, "lan") == 0
    page = search(minh, lan.number)
    assert lan.name in page.text
    assert staff_views(world, "lan") == 1
    browser = world.sign_in("lan")
    assert "Looking after your Sen ID account" in browser.open("/me/uses").text
    # What the provider's officers do is not counted as an agency's use.
    assert "nobody used your data" in browser.open("/me").text


def test_guessing_identifiers_stops(world: World, minh: Browser) -> None:
    statuses = [search(minh, f"9990000099{n:02}").status for n in range(21)]
    assert statuses == [404] * 20 + [429]


def test_locking_and_unlocking_rest_on_a_ground(
    world: World, office: Office, minh: Browser
) -> None:
    account = world.account("lan")
    victim = world.sign_in("lan")
    path = f"/desk/accounts/{account}"
    form = minh.open(path).form(f"{path}/lock")
    assert minh.submit(form, reason="terms-breach", ground="ngắn").status == 422
    assert minh.submit(form, reason="nonsense", ground=GROUND).status == 400
    assert minh.submit(form, reason="dissolved", ground=GROUND).status == 409
    assert victim.open("/me").status == 200
    page = minh.submit(form, reason="terms-breach", ground=GROUND)
    assert page.status == 200
    assert GROUND in page.text
    assert victim.open("/me").status == 303
    page = minh.submit(page.form(f"{path}/unlock"), reason="terms-breach", ground=GROUND)
    assert "This lock is removed" in page.text
    assert world.sign_in("lan").open("/me").status == 200


def test_an_authoritys_lock_takes_two_officers(world: World, office: Office, minh: Browser) -> None:
    account = world.account("lan")
    with world.transaction() as services:
        services.standing.lock(account, LockReason.AUTHORITY_ORDER, OPERATOR, ground=GROUND)
    path = f"/desk/accounts/{account}"
    page = minh.submit(
        minh.open(path).form(f"{path}/unlock"), reason="authority-order", ground=GROUND
    )
    assert "Another officer has to confirm it" in page.text
    with world.transaction() as services:
        (request,) = services.unlock_requests.open()
        assert services.accounts.account(account).locks
    own = minh.post(
        f"/desk/unlocks/{request.id}", {"csrf_token": token(minh), "decision": "confirm"}
    )
    assert own.status == 409
    queue = minh.open("/desk").text
    assert "Due" in queue
    assert "Late" not in queue
    # A second officer; she needs a passkey of her own.
    with world.transaction() as services:
        subject = services.subjects.find_for_sign_in("hoa") or ""
        services.officers.appoint(subject, "Công an phường khác")
        hoa = services.officers.serving(subject)
        assert hoa is not None
        assert services.desk_of(hoa).confirm_unlock(request.id, confirms=True) == account
        assert not services.accounts.account(account).locks
    again = minh.post(
        f"/desk/unlocks/{request.id}", {"csrf_token": token(minh), "decision": "confirm"}
    )
    assert again.status == 409


def test_an_unlocking_that_waits_too_long_is_late(
    world: World, office: Office, minh: Browser
) -> None:
    """Two working days (Decree 69/2024 Art. 30)."""
    account = world.account("lan")
    with world.transaction() as services:
        services.standing.lock(account, LockReason.AUTHORITY_ORDER, OPERATOR, ground=GROUND)
    form = minh.open(f"/desk/accounts/{account}").form(f"/desk/accounts/{account}/unlock")
    minh.submit(form, reason="authority-order", ground=GROUND)
    world.tick(days=15)
    again = world.sign_in("minh", how="passkey")
    assert "Late" in again.open("/desk").text


def test_two_officers_who_ask_at_once_leave_one_request(world: World, office: Office) -> None:
    account = world.account("lan")
    officers = [office.officer(login) for login in ("minh", "hoa")]
    with world.transaction() as services:
        services.standing.lock(account, LockReason.AUTHORITY_ORDER, OPERATOR, ground=GROUND)

    def ask(officer: Officer) -> bool:
        with world.transaction() as services:
            return services.desk_of(officer).unlock(account, LockReason.AUTHORITY_ORDER, GROUND)

    assert at_once(*(partial(ask, one) for one in officers)) == [False, False]
    with world.transaction() as services:
        assert len(services.unlock_requests.open_of(account)) == 1


def test_an_officer_does_nothing_to_her_own_account(
    world: World, office: Office, minh: Browser
) -> None:
    account = world.account("minh")
    path = f"/desk/accounts/{account}"
    assert not minh.open(path).has_form(f"{path}/lock")
    fields = {"csrf_token": token(minh), "reason": "holder-request", "ground": GROUND}
    assert minh.post(f"{path}/lock", fields).status == 403
    with world.transaction() as services:
        assert services.accounts.account(account).is_open
