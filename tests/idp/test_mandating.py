"""Mandates on both databases: one decision of many at once, and what ends when one does."""

import threading
from collections.abc import Callable

from accounts.account import OPERATOR, CloseReason
from accounts.errors import AccountsError
from accounts.mandates import ANYTHING, MandateEventKind, MandateType, Terms
from idp.mandating import until
from idp.services import Services
from tests.support.cast import TAX_CODE
from tests.support.world import World

Act = Callable[[Services], None]


def at_once(world: World, acts: list[Act]) -> int:
    """Do all from threads that begin together, each in its own transaction; return how many won."""
    gate, won = threading.Barrier(len(acts)), []

    def work(act: Act) -> None:
        gate.wait(timeout=30)
        try:
            with world.transaction() as services:
                act(services)
        except AccountsError:
            return
        won.append(act)

    threads = [threading.Thread(target=work, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(won)


def terms(world: World, *scopes: str) -> Terms:
    assert world.clock is not None
    return Terms(frozenset(scopes or ("public-service",)), until(world.clock(), 300))


def offer(world: World, giver: str, to: str, type_: str = "proxy", *scopes: str) -> str:
    person = world.person(to)
    with world.transaction() as services:
        subject = world.subject_in(services, giver)
        under = next(
            (one.id for one in services.mandates.held_by(subject) if type_.startswith("org")), None
        )
        return services.mandating.offer(
            subject, MandateType(type_), under, terms(world, *scopes),
            name=person.name, personal_number=person.number,
        )  # fmt: skip


def answering(world: World, mandate: str, login: str, *, accepts: bool) -> Act:
    subject = world.subject(login)
    return lambda services: services.mandating.answer(mandate, subject, accepts=accepts)


def agreeing(world: World, mandate: str, login: str) -> Act:
    subject = world.subject(login)
    return lambda services: services.mandating.agree(mandate, subject, agrees=True)


def kinds(world: World, mandate: str) -> list[MandateEventKind]:
    with world.transaction() as services:
        return [event.kind for event in services.mandates.history(mandate)]


def represent(world: World, *logins: str, joint: bool = False) -> str:
    with world.transaction() as services:
        company = services.subjects.find_organisation(TAX_CODE)
        assert company is not None
        people = {world.subject_in(services, one) for one in logins}
        services.mandating.follow_representatives(company, people, "enterprises", joint=joint)
    world.tick()
    return company


def test_of_answers_at_once_one_counts(world: World) -> None:
    offered = offer(world, "lan", "minh")
    answers = [answering(world, offered, "minh", accepts=accepts) for accepts in (True, False) * 4]
    assert at_once(world, answers) == 1
    told = kinds(world, offered)
    assert len(told) == 2
    assert told[1] in {MandateEventKind.ACCEPTED, MandateEventKind.DECLINED}


def test_of_joint_representatives_agreeing_at_once_one_is_the_last(world: World) -> None:
    represent(world, "lan", "minh", "nga", joint=True)
    proposed = offer(world, "lan", "hoa", "org_admin", ANYTHING)
    acts = [agreeing(world, proposed, one) for one in ("minh", "nga", "minh", "nga", "lan")]
    assert at_once(world, acts) == 2
    told = kinds(world, proposed)
    assert sorted(told) == sorted(
        [MandateEventKind.PROPOSED, *[MandateEventKind.AGREED] * 2, MandateEventKind.OFFERED]
    )


def test_the_last_representative_gone_everything_below_waits_and_tokens_are_dead(
    world: World,
) -> None:
    admin = offer(world, "lan", "minh", "org_admin", ANYTHING)
    with world.transaction() as services:
        services.mandating.answer(admin, world.subject_in(services, "minh"), accepts=True)
    arrival = world.arrive(
        "portal", "openid name represent organization", person="minh", acting_for=admin
    )
    access = arrival.tokens().access
    assert arrival.party.userinfo(access).body["represents"]["mandate_type"] == "org_admin"
    represent(world)
    assert arrival.party.userinfo(access).status == 401
    with world.transaction() as services:
        found = services.mandates.find(admin)
        assert found is not None
        assert services.mandates.needs_confirmation(found)
        assert services.mandates.heads_of(found.principal_id) == []
    # The same representative again is another mandate: what was given must be confirmed anew, and
    # what was a dead token stays one.
    represent(world, "lan")
    with world.transaction() as services:
        assert services.mandates.held_by(world.subject_in(services, "minh")) == []
        services.mandating.reconfirm(admin, world.subject_in(services, "lan"))
        assert services.mandates.held_by(world.subject_in(services, "minh"))
    assert arrival.party.userinfo(access).status == 401


def test_a_closed_account_ends_what_it_gave_and_took(world: World) -> None:
    proxy = offer(world, "lan", "minh")
    with world.transaction() as services:
        services.mandating.answer(proxy, world.subject_in(services, "minh"), accepts=True)
    account = world.account("lan")
    with world.transaction() as services:
        services.standing.close(account, CloseReason.DEATH, OPERATOR)
    world.tick()
    with world.transaction() as services:
        found = services.mandates.find(proxy)
        assert found is not None
        assert services.mandates.standing(found).value == "revoked"
        assert services.mandates.history(proxy)[-1].kind is MandateEventKind.ENDED
