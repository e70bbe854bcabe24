"""Consents: what was decided, how long it stands, and taking it back."""

from dataclasses import replace
from typing import Any

import pytest

from accounts.subject import SubjectKind
from consent.decisions import Asked, Consent, ConsentState, notice_hash
from consent.errors import NotAskedError
from idp.services import Services
from tests.support.clock import Clock


@pytest.fixture
def asked(services: Services) -> Asked:
    subject = services.subjects.add(SubjectKind.PERSON)
    return Asked(subject, "portal", "public-service", ("name",), ("birthdate", "gender"))


def give(services: Services, asked: Asked, *chosen: str, text: str = "notice") -> Consent:
    return services.consents.give(
        asked, chosen=chosen, notice_text=text, language="vi", authentication_level=1
    )


def test_what_is_required_and_chosen_is_agreed_and_the_rest_declined(
    services: Services, asked: Asked
) -> None:
    given = give(services, asked, "gender")
    assert given.attributes == {"name", "gender"}
    assert given.declined == {"birthdate"}
    assert given.legal_basis == "consent"


def test_nothing_can_be_chosen_that_was_not_asked(services: Services, asked: Asked) -> None:
    with pytest.raises(NotAskedError):
        give(services, asked, "vn_pid")


def test_a_decision_covers_the_same_question_and_any_smaller_one(
    services: Services, asked: Asked
) -> None:
    given = give(services, asked, "gender")
    find = services.consents.find_covering
    assert find(asked) == given
    assert find(replace(asked, optional=())) == given
    assert find(replace(asked, required=(), optional=("birthdate",))) == given
    assert find(replace(asked, required=("name", "gender"), optional=())) == given


@pytest.mark.parametrize(
    "changes",
    [
        {"required": ("name", "birthdate")},
        {"required": ("vn_pid",)},
        {"optional": ("birthdate", "email")},
        {"purpose": "banking"},
        {"client_id": "bank"},
        {"offline": True},
        {"acting_for": "somebody"},
        {"subject_id": "somebody"},
    ],
    ids="-".join,
)
def test_cs04_it_covers_no_other_question(
    services: Services, asked: Asked, changes: dict[str, Any]
) -> None:
    give(services, asked, "gender")
    assert services.consents.find_covering(replace(asked, **changes)) is None


def test_a_consent_ends_by_itself_after_a_year(
    services: Services, asked: Asked, clock: Clock
) -> None:
    given = give(services, asked)
    clock.advance(days=364, hours=23)
    assert services.consents.find_covering(asked) == given
    clock.advance(hours=1)
    assert services.consents.find_covering(asked) is None


def test_the_same_question_again_replaces_the_old_decision(
    services: Services, asked: Asked, clock: Clock
) -> None:
    old = give(services, asked, "gender")
    clock.advance(days=1)
    new = give(services, asked)
    assert new.replaces == old.id
    before = services.consents.consent(old.id)
    assert (before.state, before.ended_at) == (ConsentState.SUPERSEDED, clock())
    assert services.consents.find_covering(asked) == new


def test_another_question_stands_beside_it(services: Services, asked: Asked) -> None:
    one, other = give(services, asked), give(services, replace(asked, required=("email",)))
    assert other.replaces is None
    assert {c.id for c in services.consents.of_subject(asked.subject_id)} == {one.id, other.id}


def test_cs03_withdrawing_keeps_both_times(services: Services, asked: Asked, clock: Clock) -> None:
    given = give(services, asked)
    clock.advance(hours=2)
    ended = services.consents.withdraw(given.id, asked.subject_id)
    assert ended is not None
    assert (ended.state, ended.given_at, ended.ended_at) == (
        ConsentState.WITHDRAWN,
        given.given_at,
        clock(),
    )
    assert services.consents.find_covering(asked) is None


def test_oa01_nobody_withdraws_anothers_consent(services: Services, asked: Asked) -> None:
    given = give(services, asked)
    assert services.consents.withdraw(given.id, "somebody else") is None
    assert services.consents.find_covering(asked) == given


def test_withdrawing_twice_changes_nothing(services: Services, asked: Asked, clock: Clock) -> None:
    given = give(services, asked)
    first = services.consents.withdraw(given.id, asked.subject_id)
    clock.advance(hours=1)
    assert services.consents.withdraw(given.id, asked.subject_id) is None
    assert services.consents.consent(given.id) == first


def test_the_exact_text_is_kept(services: Services, asked: Asked) -> None:
    text = "<p>Cơ quan Mẫu hỏi…\n</p>"
    given = give(services, asked, text=text)
    assert given.notice_hash == notice_hash(text)
    assert services.consents.notice_text(given.notice_hash) == text
    give(services, replace(asked, required=("email",)), text=text)
    assert services.consents.notice_text(notice_hash("never shown")) is None


def test_one_question_has_one_fingerprint_in_any_order(asked: Asked) -> None:
    shuffled = replace(asked, required=("gender", "name"), optional=("birthdate",))
    assert asked.fingerprint == shuffled.fingerprint
    assert asked.fingerprint != replace(asked, offline=True).fingerprint
