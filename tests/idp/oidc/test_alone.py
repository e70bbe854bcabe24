"""Releases written by one statement: judged when they are written, whole or not at all.

On PostgreSQL the hot door works without transactions first. Here another request comes in between
what was read and what is written; races by chance are in tests/races.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from sqlalchemy import func, insert, select, update

from accounts.account import LockReason, account_lock
from accounts.statements import NeedsTransactionError
from consent.data_use import Channel, data_use
from idp.database import for_single_statements
from idp.oidc.grants import Grant, oauth_grant
from idp.services import Installation, Services
from tests.support.world import Arrival, World


@pytest.fixture
def kind() -> str:
    """Only PostgreSQL writes rows of several tables by one statement."""
    return "postgresql"


@pytest.fixture
def arrival(world: World) -> Arrival:
    return world.arrive("basic", "openid name offline_access")


@pytest.fixture
def alone(world: World) -> Iterator[Services]:
    """The objects of a request on a connection without transactions."""
    with for_single_statements(world.installation.engine).connect() as db:
        yield world.installation.services(db, correlation="alone")


@contextmanager
def meanwhile(installation: Installation) -> Iterator[Services]:
    """Another request, from beginning to end."""
    with installation.engine.begin() as db:
        yield installation.services(db, correlation="meanwhile")


def entries(world: World) -> int:
    with world.installation.engine.connect() as db:
        return int(db.execute(select(func.count()).select_from(data_use)).scalar_one())


def is_intact(world: World, grant: Grant) -> bool:
    with world.installation.engine.connect() as db:
        return world.installation.services(db).use_log.is_intact(grant.subject_id)


def grant_of(services: Services, access: str) -> Grant:
    handle = services.provider.tokens.read_access(access)
    assert handle is not None
    found = services.grants.find_live(handle.grant_id)
    assert found is not None
    return found


def release(services: Services, grant: Grant) -> dict[str, object]:
    party = services.provider.relying_parties.find(grant.client_id, services.db)
    assert party is not None
    return services.disclosure.release(grant, party, ("name",), Channel.USERINFO)


def test_a_release_waits_for_a_withdrawal_under_way(
    world: World, arrival: Arrival, alone: Services
) -> None:
    """Else what was judged before the withdrawal could be committed after it (invariant 3)."""
    grant, before = grant_of(alone, arrival.tokens().access), entries(world)
    with ThreadPoolExecutor(1) as pool:
        with meanwhile(world.installation) as other:
            other.grants.revoke(grant.id)
            releasing = pool.submit(release, alone, grant)
            with pytest.raises(TimeoutError):
                releasing.result(0.5)
        with pytest.raises(NeedsTransactionError):
            releasing.result(30)
    assert entries(world) == before


def test_a_release_leaves_its_entry(world: World, arrival: Arrival, alone: Services) -> None:
    grant, before = grant_of(alone, arrival.tokens().access), entries(world)
    assert "name" in release(alone, grant)
    alone.use_log.settle()
    assert entries(world) == before + 1
    assert is_intact(world, grant)


def test_a_grant_revoked_in_between_releases_nothing(
    world: World, arrival: Arrival, alone: Services
) -> None:
    grant, before = grant_of(alone, arrival.tokens().access), entries(world)
    with meanwhile(world.installation) as other:
        other.grants.revoke(grant.id)
    with pytest.raises(NeedsTransactionError):
        release(alone, grant)
    assert entries(world) == before
    assert is_intact(world, grant)


def test_an_entry_written_in_between_makes_it_start_again(
    world: World, arrival: Arrival, alone: Services
) -> None:
    grant, before = grant_of(alone, arrival.tokens().access), entries(world)
    with meanwhile(world.installation) as other:
        release(other, grant)
    with pytest.raises(NeedsTransactionError):
        release(alone, grant)
    assert entries(world) == before + 1
    assert is_intact(world, grant)


def test_only_one_entry_can_stand_alone(world: World, arrival: Arrival, alone: Services) -> None:
    grant, before = grant_of(alone, arrival.tokens().access), entries(world)
    release(alone, grant)
    with pytest.raises(NeedsTransactionError):
        release(alone, grant)
    assert entries(world) == before + 1


def test_a_code_whose_consent_ends_in_between_leaves_nothing(
    world: World, arrival: Arrival, alone: Services
) -> None:
    code = alone.provider.codes.open(arrival.code, alone.provider.clock())
    assert code is not None
    grant, before = alone.grants.redeem(code), entries(world)
    with meanwhile(world.installation) as other:
        other.consents.withdraw(grant.consent_id, grant.subject_id)
    with pytest.raises(NeedsTransactionError):
        release(alone, grant)
    assert entries(world) == before
    with meanwhile(world.installation) as other:
        assert other.grants.find(grant.id) is None


@pytest.mark.parametrize("what", ["session", "lock"])
def test_a_code_whose_session_or_account_ends_in_between_leaves_nothing(
    world: World, arrival: Arrival, alone: Services, what: str
) -> None:
    code = alone.provider.codes.open(arrival.code, alone.provider.clock())
    assert code is not None
    grant = alone.grants.redeem(code)
    with meanwhile(world.installation) as other:
        if what == "session":
            assert other.sessions.end(grant.account_id, grant.session_id)
        else:
            other.accounts.lock(grant.account_id, LockReason.AUTHORITY_ORDER)
    with pytest.raises(NeedsTransactionError):
        release(alone, grant)
    with meanwhile(world.installation) as other:
        assert other.grants.find(grant.id) is None


def test_a_code_spent_in_between_leaves_the_first_grant_to_the_slow_way(
    world: World, arrival: Arrival, alone: Services
) -> None:
    code = alone.provider.codes.open(arrival.code, alone.provider.clock())
    assert code is not None
    grant, before = alone.grants.redeem(code), entries(world)
    tokens = arrival.tokens()
    with pytest.raises(NeedsTransactionError):
        release(alone, grant)
    assert entries(world) == before + 1
    assert arrival.party.is_alive(tokens.access)


def test_a_rotation_that_was_counted_in_between_is_not_counted_twice(
    world: World, arrival: Arrival, alone: Services
) -> None:
    grant, before = grant_of(alone, arrival.tokens().access), entries(world)
    assert alone.grants.rotate(grant.id, 0)
    with meanwhile(world.installation) as other:
        assert other.grants.rotate(grant.id, 0)
    with pytest.raises(NeedsTransactionError):
        release(alone, grant)
    assert entries(world) == before


def test_a_rotation_without_a_release_is_left_to_a_transaction(
    arrival: Arrival, alone: Services
) -> None:
    grant = grant_of(alone, arrival.tokens().access)
    assert alone.grants.rotate(grant.id, 0)
    with pytest.raises(NeedsTransactionError):
        alone.use_log.settle()


def test_half_of_a_unit_of_work_never_runs_alone(
    world: World, arrival: Arrival, alone: Services
) -> None:
    grant = grant_of(alone, arrival.tokens().access)
    writes = [
        update(oauth_grant).values(scope="x"),
        insert(account_lock).values(
            account_id=grant.account_id, reason="x", since=alone.provider.clock()
        ),
    ]
    for write in writes:
        with pytest.raises(NeedsTransactionError):
            alone.db.execute(write)
    with pytest.raises(NeedsTransactionError):
        alone.grants.revoke(grant.id)
    with meanwhile(world.installation) as other:
        assert other.grants.find_live(grant.id) is not None
