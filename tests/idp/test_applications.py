"""Applications of every kind: what they wait for, when they are due, and that nothing comes twice."""

from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest

from accounts.account import OPERATOR, AccountKind, AccountState, LockReason
from accounts.applications import ApplicationKind, ApplicationState
from accounts.attributes import Source
from accounts.legal_clock import HANOI
from accounts.levels import AccountLevel
from accounts.mandates import MandateType
from accounts.subject import IdentifierType
from connectors.protocol import Query, Unavailable
from idp import register_checks
from idp.applying.office import Visit
from idp.applying.rules import (
    BadApplicationError,
    NotEntitledError,
    NotReadyError,
    OwnCaseError,
    ReasonMissingError,
)
from tests.support.at_once import at_once
from tests.support.cast import possible_tax_code
from tests.support.office import CHILD, FOREIGNER, NEWCOMER, Office, answer
from tests.support.world import World

CITIZEN_01, CITIZEN_02 = ApplicationKind.CITIZEN_01, ApplicationKind.CITIZEN_02
READY, CHECKING = ApplicationState.READY, ApplicationState.CHECKING
COMPANY = {"tax_code": possible_tax_code("999000078"), "name": "Công ty TNHH Ngó Sen Mẫu"}
FRIDAY = datetime(2027, 6, 4, 10, tzinfo=HANOI)


@pytest.fixture
def office(world: World) -> Office:
    assert world.clock is not None
    world.clock.set(FRIDAY)
    return Office(world)


def test_a_citizen_of_level_01_is_issued_by_an_officer(world: World, office: Office) -> None:
    office.knows_citizen(NEWCOMER)
    application = office.apply(CITIZEN_01, NEWCOMER)
    assert application.state is READY
    # One working day from a Friday is over when Monday is.
    assert application.due_at == datetime(2027, 6, 8, tzinfo=HANOI)
    account = office.issue(application.id)
    assert (account.kind, account.level) == (AccountKind.CITIZEN, AccountLevel.LEVEL_01)
    assert account.state is AccountState.ISSUED
    issued = office.now(application.id)
    assert (issued.state, issued.decision) == (ApplicationState.ISSUED, "Đủ điều kiện.")
    with world.transaction() as services:
        code = services.application_office.activation_code(issued) or ""
        assert services.accounts.activation_code_fits(account.id, code)
        assert services.use_log.is_intact(account.subject_id)
        (entry,) = services.use_log.of_subject(account.subject_id)
    assert entry.use.channel.value == "connector_pull"


def test_what_the_register_does_not_confirm_can_only_be_refused(office: Office) -> None:
    office.knows_citizen(NEWCOMER)
    application = office.apply(CITIZEN_01, {**NEWCOMER, "birthdate": "2003-01-16"})
    assert application.state is READY
    assert office.awaited(application.id) == ([], ["unknown-to-register"])
    with pytest.raises(NotReadyError):
        office.issue(application.id)


def test_a_refusal_needs_a_reason_in_writing(world: World, office: Office) -> None:
    application = office.apply(CITIZEN_01, NEWCOMER)
    officer = office.officer()
    with pytest.raises(ReasonMissingError), world.transaction() as services:
        services.application_office.refuse(application.id, officer, " không   ")
    with world.transaction() as services:
        services.application_office.refuse(
            application.id, officer, "Ngày sinh không khớp với cơ sở dữ liệu."
        )
    refused = office.now(application.id)
    assert refused.state is ApplicationState.REFUSED
    assert refused.decided_by == officer.id
    with pytest.raises(NotReadyError):
        office.issue(application.id)


def test_a_citizen_of_level_02_must_come_to_a_desk(world: World, office: Office) -> None:
    office.knows_citizen(NEWCOMER)
    first = office.apply(CITIZEN_01, NEWCOMER)
    office.issue(first.id)
    application = office.apply(CITIZEN_02, NEWCOMER)
    assert office.awaited(application.id) == (["visit"], [])
    assert application.due_at is None
    with pytest.raises(NotReadyError):
        office.issue(application.id)
    office.visit(application.id)
    assert office.now(application.id).due_at == datetime(2027, 6, 10, tzinfo=HANOI)
    account = office.issue(application.id)
    assert account.level is AccountLevel.LEVEL_02
    assert account.id == office.now(first.id).account_id


def test_without_a_valid_card_the_law_allows_seven_working_days(office: Office) -> None:
    office.knows_citizen(NEWCOMER)
    application = office.apply(CITIZEN_02, NEWCOMER)
    office.visit(application.id, Visit(False, True, True, True))
    assert office.now(application.id).due_at == datetime(2027, 6, 16, tzinfo=HANOI)


def test_a_visit_that_proves_nothing_is_none(office: Office) -> None:
    office.knows_citizen(NEWCOMER)
    application = office.apply(CITIZEN_02, NEWCOMER)
    for visit in (Visit(True, False, True, True), Visit(True, True, True, False)):
        with pytest.raises(BadApplicationError):
            office.visit(application.id, visit)
    assert office.now(application.id).state is CHECKING


def test_a_foreigner_is_checked_with_immigration(world: World, office: Office) -> None:
    office.knows_foreigner()
    application = office.apply(ApplicationKind.FOREIGNER_02, FOREIGNER)
    office.visit(application.id, Visit(True, True, False, True))
    # Biometrics not on file: seven working days.
    assert office.now(application.id).due_at == datetime(2027, 6, 16, tzinfo=HANOI)
    account = office.issue(application.id)
    assert (account.kind, account.level) == (AccountKind.FOREIGNER, AccountLevel.LEVEL_02)
    with world.transaction() as services:
        assert services.subjects.find_for_sign_in("Y0000009") == account.subject_id
        assert services.subjects.find_for_sign_in("tc-000009") == account.subject_id


@pytest.mark.parametrize(
    ("passport", "card", "obstacle"),
    [("2027-06-03", "2034-01-01", "passport-expired"),
     ("2035-01-01", "2027-06-03", "residence-ended")],
)  # fmt: skip
def test_expired_papers_stand_against_a_foreigner(
    office: Office, passport: str, card: str, obstacle: str
) -> None:
    office.knows_foreigner(passport, card)
    application = office.apply(ApplicationKind.FOREIGNER_02, FOREIGNER)
    assert obstacle in office.awaited(application.id)[1]


def test_a_parent_applies_for_a_child(world: World, office: Office) -> None:
    office.knows_citizen(CHILD, parents=[world.person("lan").number])
    stated = {**CHILD, "tie": "parent"}
    application = office.apply(ApplicationKind.MINOR, stated, "lan")
    assert application.state is READY
    account = office.issue(application.id)
    assert account.level is AccountLevel.LEVEL_01
    with world.transaction() as services:
        parent = world.subject_in(services, "lan")
        (mandate,) = services.mandates.held_by(parent, MandateType.PARENT)
    assert mandate.principal_id == account.subject_id
    assert mandate.valid_to == datetime(2034, 8, 9, tzinfo=HANOI)


def test_a_tie_the_register_does_not_state_needs_a_document(world: World, office: Office) -> None:
    office.knows_citizen(CHILD)
    application = office.apply(ApplicationKind.MINOR, {**CHILD, "tie": "guardian"}, "lan")
    assert office.awaited(application.id) == (["document"], [])
    officer = office.officer()
    with world.transaction() as services:
        services.application_office.receive_document(
            application.id, officer, "Quyết định giám hộ số 12/QĐ-UBND"
        )
    account = office.issue(application.id)
    with world.transaction() as services:
        (mandate,) = services.mandates.held_by(
            world.subject_in(services, "lan"), MandateType.GUARDIAN
        )
    assert (mandate.principal_id, mandate.valid_to) == (account.subject_id, None)


def test_only_somebody_of_level_02_applies_for_others(world: World, office: Office) -> None:
    for applicant in (None, "hoa"):
        with pytest.raises(NotEntitledError):
            office.apply(ApplicationKind.MINOR, {**CHILD, "tie": "parent"}, applicant)
        with pytest.raises(NotEntitledError):
            office.apply(ApplicationKind.ORGANISATION, COMPANY, applicant)


def test_a_company_waits_for_every_other_representative(world: World, office: Office) -> None:
    office.knows_company(COMPANY["tax_code"], COMPANY["name"], "lan", "minh")
    application = office.apply(ApplicationKind.ORGANISATION, COMPANY, "lan")
    assert office.awaited(application.id) == (["agreement"], [])
    assert application.due_at == datetime(2027, 6, 10, tzinfo=HANOI)
    with pytest.raises(NotReadyError):
        office.issue(application.id, "hoa")
    assert office.answer(application.id, "minh")
    assert not office.answer(application.id, "minh", agrees=False)
    account = office.issue(application.id, "hoa")
    assert (account.kind, account.is_open) == (AccountKind.ORGANISATION, True)
    with world.transaction() as services:
        for login in ("lan", "minh"):
            held = services.mandates.held_by(world.subject_in(services, login))
            assert account.subject_id in {one.principal_id for one in held}


def test_one_representative_who_declines_stops_it(office: Office) -> None:
    office.knows_company(COMPANY["tax_code"], COMPANY["name"], "lan", "minh")
    application = office.apply(ApplicationKind.ORGANISATION, COMPANY, "lan")
    office.answer(application.id, "minh", agrees=False)
    assert office.now(application.id).state is READY
    assert office.awaited(application.id) == ([], ["declined"])
    with pytest.raises(NotReadyError):
        office.issue(application.id, "hoa")


def test_who_is_not_in_the_register_represents_nobody(office: Office) -> None:
    office.knows_company(COMPANY["tax_code"], COMPANY["name"], "minh")
    application = office.apply(ApplicationKind.ORGANISATION, COMPANY, "lan")
    assert "not-representative" in office.awaited(application.id)[1]


def test_a_company_unknown_to_the_register_has_fifteen_days(office: Office) -> None:
    application = office.apply(ApplicationKind.ORGANISATION, COMPANY, "lan")
    # The fifteenth day is a Saturday; it ends with Monday.
    assert office.now(application.id).due_at == datetime(2027, 6, 22, tzinfo=HANOI)


def test_a_representative_without_a_number_agrees_on_paper(world: World, office: Office) -> None:
    office.register(
        "enterprises",
        IdentifierType.TAX_CODE,
        COMPANY["tax_code"],
        {
            "organization_name": COMPANY["name"],
            "organization_legal_reps": [
                {"name": "Nguyễn Thị Hương Lan", "personal_number": world.person("lan").number},
                {"name": "Amélie Nénuphar"},
            ],
        },
    )
    application = office.apply(ApplicationKind.ORGANISATION, COMPANY, "lan")
    officer = office.officer()
    with world.transaction() as services:
        (asked,) = services.applications.agreements_of(application.id)
        assert asked.name == "Amélie Nénuphar"
        services.application_office.receive_agreement(
            application.id, asked.id, officer, "Tờ khai TK02 có chữ ký ngày 04/6/2027"
        )
    assert office.now(application.id).state is READY


@pytest.mark.parametrize(
    ("kind", "change", "field"),
    [
        (CITIZEN_01, {"personal_number": "99930000050"}, "personal_number"),
        (CITIZEN_01, {"personal_number": "９９９３０００００５０１"}, "personal_number"),
        (CITIZEN_01, {"name": ""}, "name"),
        (CITIZEN_01, {"name": "a\u202eb"}, "name"),
        (CITIZEN_01, {"birthdate": "2013-06-05"}, "birthdate"),
        (CITIZEN_01, {"birthdate": "15/01/2003"}, "birthdate"),
        (CITIZEN_01, {"birthdate": "2027-06-05"}, "birthdate"),
        (ApplicationKind.MINOR, {"tie": "friend", "birthdate": "2016-01-01"}, "tie"),
        (ApplicationKind.MINOR, {"tie": "parent", "birthdate": "2013-06-04"}, "birthdate"),
        (ApplicationKind.ORGANISATION, {"tax_code": "0100233480"}, "tax_code"),
        (ApplicationKind.FOREIGNER_02, {"passport": "A"}, "passport"),
    ],
)
def test_what_cannot_be_is_refused_with_its_field(
    world: World, office: Office, kind: ApplicationKind, change: dict[str, str], field: str
) -> None:
    stated = {**NEWCOMER, **FOREIGNER, **NEWCOMER, **change}
    with pytest.raises(BadApplicationError) as error, world.transaction() as services:
        services.application_office.submit(kind, stated)
    assert list(error.value.faults) == [field]


def test_an_officer_decides_nothing_of_her_own(world: World, office: Office) -> None:
    office.knows_company(COMPANY["tax_code"], COMPANY["name"], "lan")
    application = office.apply(ApplicationKind.ORGANISATION, COMPANY, "lan")
    with pytest.raises(OwnCaseError):
        office.issue(application.id, "lan")


def test_who_has_an_account_gets_no_second_one(world: World, office: Office) -> None:
    person = world.person("lan")
    stated = {
        "personal_number": person.number,
        "name": person.name,
        "birthdate": person.birthdate,
    }
    application = office.apply(CITIZEN_01, stated)
    assert office.awaited(application.id) == ([], ["has-account"])
    # And she sees that somebody asked about her.
    with world.transaction() as services:
        newest = services.use_log.of_subject(world.subject_in(services, "lan"), limit=1)[0]
    assert newest.use.purpose == "account-issuing"


def test_an_old_word_of_the_register_is_asked_for_again(world: World, office: Office) -> None:
    office.knows_citizen(NEWCOMER)
    application = office.apply(CITIZEN_01, NEWCOMER)
    world.tick(days=1, seconds=1)
    with pytest.raises(NotReadyError):
        office.issue(application.id)
    with world.transaction() as services:
        assert services.application_office.renew(application.id)
    assert register_checks.check_all(world.installation) == 1
    assert office.issue(application.id).level is AccountLevel.LEVEL_01
    with world.transaction() as services:
        assert not services.application_office.renew(application.id)


def test_an_applicant_whose_account_is_locked_gets_nothing(world: World, office: Office) -> None:
    office.knows_company(COMPANY["tax_code"], COMPANY["name"], "lan")
    application = office.apply(ApplicationKind.ORGANISATION, COMPANY, "lan")
    account = world.account("lan")
    with world.transaction() as services:
        services.standing.lock(account, LockReason.RISK, OPERATOR)
    assert office.awaited(application.id) == ([], ["applicant-barred"])
    with pytest.raises(NotReadyError):
        office.issue(application.id)


def test_a_childs_level_02_comes_after_its_guardians_application(
    world: World, office: Office
) -> None:
    office.knows_citizen(CHILD, parents=[world.person("lan").number])
    application = office.apply(CITIZEN_02, CHILD)
    assert office.awaited(application.id)[1] == ["guardian-first"]
    office.issue(office.apply(ApplicationKind.MINOR, {**CHILD, "tie": "parent"}, "lan").id)
    office.visit(application.id)
    assert office.issue(application.id).level is AccountLevel.LEVEL_02


class DownRegister:
    """A register that is switched off and on."""

    name = "population"

    def __init__(self) -> None:
        self.asked = 0

    def look_up(self, query: Query, entry: str, now: datetime) -> Any:
        assert entry
        self.asked += 1
        return Unavailable(self.name, "down")


def test_a_register_that_is_down_leaves_it_waiting_and_it_resumes(
    world: World, office: Office
) -> None:
    office.knows_citizen(NEWCOMER)
    down, usual = DownRegister(), dict(office.registers)
    office.registers.update(dict.fromkeys(usual, down))
    application = office.apply(CITIZEN_01, NEWCOMER)
    assert application.state is CHECKING
    assert office.awaited(application.id) == (["register"], [])
    assert register_checks.check_all(world.installation) == 0
    world.tick(seconds=31)
    assert register_checks.check_all(world.installation) == 1
    assert down.asked == 2
    office.registers.update(usual)
    world.tick(minutes=15)
    assert register_checks.check_all(world.installation) == 1
    assert office.now(application.id).state is READY
    world.tick(hours=1)
    assert register_checks.check_all(world.installation) == 0


def test_a_server_that_dies_while_asking_loses_nothing(world: World, office: Office) -> None:
    office.knows_citizen(NEWCOMER)
    with world.transaction() as services:
        id_, _reference = services.application_office.submit(CITIZEN_01, NEWCOMER)
    with world.transaction() as services:
        lost = services.application_office.begin_check(id_)
        assert lost is not None
    # Its turn stands, so nobody else asks; then it lapses.
    assert register_checks.check_all(world.installation) == 0
    world.tick(minutes=1)
    assert register_checks.check_all(world.installation) == 1
    account = office.issue(id_)
    # The answer of the lost one comes after all, and changes nothing.
    with world.transaction() as services:
        services.application_office.finish_check(lost, None)
        assert services.applications.application(id_).state is ApplicationState.ISSUED
        entries = services.use_log.of_subject(account.subject_id)
    assert len(entries) == 2


def test_two_officers_at_once_make_one_decision(world: World, office: Office) -> None:
    office.knows_citizen(NEWCOMER)
    for _round in range(5):
        stated = {**NEWCOMER, "personal_number": f"99930000060{_round}"}
        office.knows_citizen(stated)
        application = office.apply(CITIZEN_01, stated)
        officers = [office.officer("minh"), office.officer("hoa")]

        def decide(officer: Any, id_: str = application.id) -> Any:
            with world.transaction() as services:
                return services.application_office.issue(id_, officer, "Đủ điều kiện.")

        results = at_once(*(partial(decide, one) for one in officers))
        assert sorted(type(one).__name__ for one in results) == ["Account", "NotReadyError"]


def test_two_applications_of_one_person_issue_one_account(world: World, office: Office) -> None:
    office.knows_citizen(NEWCOMER)
    pair = [office.apply(CITIZEN_01, NEWCOMER) for _ in range(2)]
    officers = [office.officer("minh"), office.officer("hoa")]

    def decide(which: int) -> Any:
        with world.transaction() as services:
            return services.application_office.issue(
                pair[which].id, officers[which], "Đủ điều kiện."
            )

    results = at_once(lambda: decide(0), lambda: decide(1))
    assert sorted(type(one).__name__ for one in results) == ["Account", "NotReadyError"]


def test_two_representatives_at_once_leave_nothing_awaited(world: World, office: Office) -> None:
    office.knows_company(COMPANY["tax_code"], COMPANY["name"], "lan", "minh", "tam")
    with world.transaction() as services:
        services.accounts.activate(
            services.accounts.find_of_subject(world.subject_in(services, "tam")).id  # type: ignore[union-attr]
        )
    application = office.apply(ApplicationKind.ORGANISATION, COMPANY, "lan")

    def agree(login: str) -> Any:
        with world.transaction() as services:
            return answer(services, world, application.id, login)

    assert at_once(lambda: agree("minh"), lambda: agree("tam")) == [True, True]
    assert office.now(application.id).state is READY


def test_the_queue_shows_the_most_urgent_first_and_what_is_late(
    world: World, office: Office
) -> None:
    office.knows_citizen(NEWCOMER)
    office.apply(CITIZEN_02, NEWCOMER)
    company = office.apply(ApplicationKind.ORGANISATION, COMPANY, "lan")
    citizen = office.apply(CITIZEN_01, NEWCOMER)
    with world.transaction() as services:
        queue = services.applications.undecided()
    assert [one.id for one in queue[:2]] == [citizen.id, company.id]
    assert queue[2].due_at is None
    assert not queue[0].is_late(FRIDAY)
    assert queue[0].is_late(FRIDAY + timedelta(days=4))


def test_without_registers_nobody_is_said_to_have_been_asked(world: World) -> None:
    with world.transaction() as services:
        id_, _reference = services.application_office.submit(
            CITIZEN_01, NEWCOMER, applicant_id=None
        )
    assert register_checks.check_all(world.installation) == 0
    with world.transaction() as services:
        found = services.applications.application(id_)
        assert services.use_log.of_subject(found.subject_id) == []
    assert found.state is ApplicationState.SUBMITTED


FOREIGNER_01 = {
    **{field: text for field, text in FOREIGNER.items() if field != "residence_card"},
    "phone_number": "0912 345 678",
}


def test_a_foreigner_gets_level_01_by_passport_and_contact_and_level_02_later(
    world: World, office: Office
) -> None:
    office.knows_foreigner()
    application = office.apply(ApplicationKind.FOREIGNER_01, FOREIGNER_01)
    assert application.due_at == datetime(2027, 6, 8, tzinfo=HANOI)
    account = office.issue(application.id)
    assert (account.kind, account.level) == (AccountKind.FOREIGNER, AccountLevel.LEVEL_01)
    with world.transaction() as services:
        own = services.held.of_subject(account.subject_id)[Source.SELF].values
        services.accounts.activate(account.id)
    assert own == {"phone_number": "+84912345678", "phone_number_verified": False}
    later = office.apply(ApplicationKind.FOREIGNER_02, FOREIGNER)
    office.visit(later.id)
    raised = office.issue(later.id)
    assert (raised.id, raised.level) == (account.id, AccountLevel.LEVEL_02)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [({"phone_number": ""}, {"email": "no-contact"}),
     ({"phone_number": "12"}, {"phone_number": "impossible-contact"}),
     ({"email": "no"}, {"email": "impossible-contact"}),
     ({"birthdate": "2015-01-01"}, {"birthdate": "too-young"})],
)  # fmt: skip
def test_a_foreigners_level_01_needs_contact_and_age(
    world: World, office: Office, changes: dict[str, str], fault: dict[str, str]
) -> None:
    with pytest.raises(BadApplicationError) as refused:
        office.apply(ApplicationKind.FOREIGNER_01, {**FOREIGNER_01, **changes})
    assert refused.value.faults == fault


def test_without_valid_residence_a_foreigner_gets_no_level_01(world: World, office: Office) -> None:
    office.knows_foreigner(card_expiry="2027-06-03")
    application = office.apply(ApplicationKind.FOREIGNER_01, FOREIGNER_01)
    assert office.awaited(application.id)[1] == ["residence-ended"]
