"""What registers tell of reaches accounts: once, in the register's own order, and all together."""

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from accounts.account import OPERATOR, CloseReason, EventKind, LockReason
from accounts.attributes import Source
from accounts.subject import IdentifierType
from connectors.cursor import Cursors, register_word
from connectors.protocol import Event
from connectors.simulation.server import Fault, Simulator
from connectors.simulation.store import opened, publish
from consent.data_use import Channel
from idp import changes
from idp.services import Installation
from idp.upkeep import run_by_itself
from tests.support.cast import TAX_CODE
from tests.support.clock import Clock
from tests.support.registers import behind, population, running
from tests.support.stores import settings_for
from tests.support.world import Arrival, World

LAN, MINH, HOA = "999190000001", "999085000002", "999301000003"
JEAN = "FRAX0000001"
AT_ONCE = timedelta(0)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return population(tmp_path / "p.db", people=5)


@pytest.fixture
def registers(file: Path) -> Iterator[Simulator]:
    with running(file) as simulator:
        yield simulator


@pytest.fixture
def installation(
    database_url: str, clock: Clock, tmp_path: Path, registers: Simulator
) -> Iterator[Installation]:
    made = Installation(behind(settings_for(database_url, tmp_path), registers), clock=clock)
    yield made
    made.engine.dispose()


class Feeds:
    """Writes what happened into the registers' feeds."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def tell(self, source: Source, kind: str, who: str, **detail: object) -> int:
        with opened(self._file) as db:
            return publish(db, source.value, kind, who, dict(detail))

    def tell_late(self, sequence: int, source: Source, kind: str, number: str) -> None:
        """Make an event visible after others with higher sequences."""
        with opened(self._file) as db:
            db.execute(
                "INSERT INTO event VALUES (?, ?, ?, ?, ?, '{}')",
                (sequence, source.value, kind, number, datetime.now(UTC).isoformat()),
            )


@pytest.fixture
def feeds(file: Path) -> Feeds:
    return Feeds(file)


def follow(world: World) -> changes.Followed:
    return changes.follow(world.installation, interval=AT_ONCE)


def locks(world: World, login: str = "lan") -> set[LockReason]:
    account = world.account(login)
    with world.transaction() as services:
        return set(services.accounts.account(account).locks)


def news(world: World, subject: str) -> int:
    with world.transaction() as services:
        found = services.use_log.of_subject(subject)
        assert services.use_log.is_intact(subject)
    return len([entry for entry in found if entry.use.channel is Channel.CONNECTOR_PUSH])


def company(world: World) -> str:
    with world.transaction() as services:
        found = services.subjects.find(IdentifierType.TAX_CODE, TAX_CODE)
    assert found is not None
    return found


def is_alive(arrival: Arrival) -> bool:
    return arrival.party.userinfo(arrival.tokens().access).status == 200


KINDS = [
    (Source.IDENTITY_CARDS, "card-expired", LAN, "lan", LockReason.CARD_EXPIRED),
    (Source.IDENTITY_CARDS, "card-withdrawn", LAN, "lan", LockReason.CARD_REVOKED),
    (Source.IMMIGRATION, "residence-ended", JEAN, "jean", LockReason.RESIDENCE_ENDED),
]


@pytest.mark.parametrize(("source", "kind", "number", "login", "reason"), KINDS, ids=str)
def test_a_lock_ends_sessions_and_tokens_with_it(
    world: World, feeds: Feeds, source: Source, kind: str, number: str, login: str,
    reason: LockReason,
) -> None:  # fmt: skip
    arrival = world.arrive("basic", "openid name offline_access", person=login)
    refresh = arrival.tokens().refresh
    assert is_alive(arrival)
    feeds.tell(source, kind, number)
    assert follow(world).applied == 1
    assert locks(world, login) == {reason}
    assert not is_alive(arrival)
    assert arrival.party.refresh(refresh).status == 400
    assert arrival.browser.open("/me").status == 303
    assert news(world, world.subject(login)) == 1


def test_a_new_card_opens_what_the_old_one_locked_and_nothing_else(
    world: World, feeds: Feeds
) -> None:
    account = world.account()
    with world.transaction() as services:
        services.accounts.lock(account, LockReason.AUTHORITY_ORDER)
    feeds.tell(Source.IDENTITY_CARDS, "card-expired", LAN)
    follow(world)
    feeds.tell(Source.IDENTITY_CARDS, "card-issued", LAN)
    follow(world)
    assert locks(world) == {LockReason.AUTHORITY_ORDER}


def test_an_extended_residence_opens_the_account_again(world: World, feeds: Feeds) -> None:
    feeds.tell(Source.IMMIGRATION, "residence-ended", JEAN)
    feeds.tell(Source.IMMIGRATION, "residence-extended", JEAN, expiry="2039-01-01")
    assert follow(world).applied == 2
    assert locks(world, "jean") == set()


def test_a_changed_number_keeps_the_account_its_sub_and_its_consents(
    world: World, feeds: Feeds
) -> None:
    first = world.arrive("basic", "openid name")
    sub = first.tokens().claims["sub"]
    feeds.tell(Source.POPULATION, "number-changed", LAN, number="999190000777")
    follow(world)
    assert is_alive(first)
    with world.transaction() as services:
        assert services.subjects.find_for_sign_in(LAN) is None
        assert services.subjects.find_for_sign_in("999190000777") == world.subject_in(
            services, "lan"
        )
        held = services.held.of_subject(world.subject_in(services, "lan"))
    assert held[Source.POPULATION].values["vn_pid"] == "999190000777"
    again = world.arrive("basic", "openid name", browser=first.browser)
    assert again.tokens().claims["sub"] == sub


def test_a_number_that_somebody_else_bears_locks_for_officers_to_untangle(
    world: World, feeds: Feeds
) -> None:
    feeds.tell(Source.POPULATION, "number-changed", LAN, number=MINH)
    follow(world)
    assert locks(world) == {LockReason.RISK}
    assert locks(world, "minh") == set()


def acting(world: World) -> Arrival:
    with world.transaction() as services:
        (mandate,) = services.mandates.held_by(world.subject_in(services, "lan"))
    arrival = world.arrive("portal", "openid name represent organization", acting_for=mandate.id)
    assert is_alive(arrival)
    return arrival


def test_a_representative_replaced_while_signed_in_may_no_longer_act(
    world: World, feeds: Feeds
) -> None:
    arrival, own = acting(world), world.arrive("basic", "openid name")
    assert is_alive(own)
    feeds.tell(Source.ENTERPRISES, "representatives-changed", TAX_CODE, representatives=[MINH, "x"])
    follow(world)
    assert not is_alive(arrival)
    assert is_alive(own)
    with world.transaction() as services:
        assert services.mandates.held_by(world.subject_in(services, "lan")) == []
        (mandate,) = services.mandates.held_by(world.subject_in(services, "minh"))
    assert mandate.principal_id == company(world)


def closed_for(world: World, subject_id: str) -> str | None:
    """Return why the subject's account was closed, told by its own history."""
    with world.transaction() as services:
        account = services.accounts.find_of_subject(subject_id)
        assert account is not None
        if account.closed_at is None:
            return None
        events = services.accounts.history(account.id)
        return next(one.reason for one in events if one.kind is EventKind.CLOSED)


def test_a_death_closes_the_account_with_everything(world: World, feeds: Feeds) -> None:
    arrival = world.arrive("basic", "openid name offline_access")
    refresh = arrival.tokens().refresh
    feeds.tell(Source.POPULATION, "death", LAN)
    assert follow(world).applied == 1
    assert closed_for(world, world.subject()) == CloseReason.DEATH.value
    assert not is_alive(arrival)
    assert arrival.party.refresh(refresh).status == 400
    assert arrival.browser.open("/me").status == 303
    # What comes later of somebody who died changes nothing, and stops no other news.
    feeds.tell(Source.IDENTITY_CARDS, "card-withdrawn", LAN)
    assert follow(world).applied == 1
    assert news(world, world.subject()) == 2


def test_a_dissolved_company_is_closed_and_nobody_acts_for_it(world: World, feeds: Feeds) -> None:
    arrival, dissolved = acting(world), company(world)
    feeds.tell(Source.ENTERPRISES, "company-dissolved", TAX_CODE)
    follow(world)
    assert not is_alive(arrival)
    with world.transaction() as services:
        account = services.accounts.find_of_subject(dissolved)
        assert services.mandates.held_by(world.subject_in(services, "lan")) == []
    assert account is not None
    assert closed_for(world, dissolved) == CloseReason.DISSOLUTION.value
    assert locks(world) == set()


def test_what_comes_again_changes_nothing(world: World, feeds: Feeds) -> None:
    feeds.tell(Source.IDENTITY_CARDS, "card-expired", LAN)
    assert follow(world).applied == 1
    account = world.account()
    with world.transaction() as services:
        services.accounts.unlock(account, LockReason.CARD_EXPIRED)
    assert follow(world).applied == 0
    assert locks(world) == set()
    assert news(world, world.subject()) == 1


def test_an_older_word_that_comes_late_changes_nothing(world: World, feeds: Feeds) -> None:
    expired, issued = (
        Event(sequence, kind, LAN, datetime.now(UTC), {})
        for sequence, kind in ((5, "card-expired"), (6, "card-issued"))
    )
    assert changes.apply(world.installation, Source.IDENTITY_CARDS, issued)
    assert not changes.apply(world.installation, Source.IDENTITY_CARDS, expired)
    assert locks(world) == set()


def test_an_event_that_became_visible_late_is_met(world: World, feeds: Feeds) -> None:
    feeds.tell(Source.IDENTITY_CARDS, "card-expired", "000000000000")
    with opened(feeds._file) as db:
        db.execute("UPDATE sqlite_sequence SET seq = 10 WHERE name = 'event'")
    feeds.tell(Source.IDENTITY_CARDS, "card-expired", HOA)
    follow(world)
    feeds.tell_late(5, Source.IDENTITY_CARDS, "card-expired", LAN)
    assert follow(world).applied == 1
    assert locks(world) == {LockReason.CARD_EXPIRED}


def test_of_people_unknown_here_nothing_is_kept(world: World, feeds: Feeds) -> None:
    feeds.tell(Source.POPULATION, "death", "001099000000")
    feeds.tell(Source.POPULATION, "promotion", LAN)
    assert follow(world).applied == 0
    with world.transaction() as services:
        assert services.db.execute(select(func.count()).select_from(register_word)).scalar() == 0


def test_a_number_or_list_that_cannot_be_is_passed_over(world: World, feeds: Feeds) -> None:
    feeds.tell(Source.POPULATION, "number-changed", LAN, number="12")
    feeds.tell(Source.ENTERPRISES, "representatives-changed", TAX_CODE, representatives="all")
    follow(world)
    with world.transaction() as services:
        assert services.subjects.find_for_sign_in(LAN) == world.subject_in(services, "lan")
        assert services.mandates.held_by(world.subject_in(services, "lan"))


def test_many_events_are_read_page_by_page(world: World, feeds: Feeds) -> None:
    with opened(feeds._file) as db:
        for number in range(1100):
            publish(db, "population", "death", f"00199{number:07}", {})
    feeds.tell(Source.POPULATION, "death", LAN)
    assert follow(world).applied == 1
    assert closed_for(world, world.subject()) == CloseReason.DEATH.value


def test_each_feed_is_polled_once_an_interval_by_whoever_comes_first(world: World) -> None:
    assert changes.follow(world.installation).polled == len(changes.SOURCES)
    assert changes.follow(world.installation).polled == 0
    world.tick(seconds=changes.INTERVAL.total_seconds())
    assert changes.follow(world.installation).polled == len(changes.SOURCES)
    assert timedelta(minutes=1) > changes.INTERVAL


def test_a_feed_that_fails_is_said_to_and_caught_up_with(
    world: World, feeds: Feeds, registers: Simulator
) -> None:
    feeds.tell(Source.POPULATION, "death", LAN)
    registers.set_fault(Source.POPULATION, Fault.TRUNCATED)
    begun = world.installation.clock()
    for _ in range(2):
        assert follow(world).unavailable == 1
        world.tick(minutes=1)
    with world.transaction() as services:
        (cursor,) = [one for one in Cursors(services.db).all() if one.register == "population"]
    assert cursor.not_available_since == begun
    assert locks(world) == set()
    details = world.sign_in().open("/me/details").text
    assert "has not been available since" in details or "Không kết nối được" in details
    registers.set_fault(None, None)
    assert follow(world).applied == 1
    with world.transaction() as services:
        assert {one.not_available_since for one in Cursors(services.db).all()} == {None}


def test_two_servers_that_poll_at_once_apply_each_event_once(
    world: World, feeds: Feeds, registers: Simulator, tmp_path: Path
) -> None:
    for number in (LAN, MINH, HOA):
        feeds.tell(Source.IDENTITY_CARDS, "card-expired", number)
        feeds.tell(Source.POPULATION, "death", number)
    settings = world.installation.settings
    servers = [Installation(settings, clock=world.installation.clock) for _ in range(3)]
    barrier = threading.Barrier(len(servers))
    applied: list[int] = []

    def poll(server: Installation) -> None:
        barrier.wait()
        for _ in range(3):
            # One that loses a race for a row tries again at the next round, as upkeep does.
            with suppress(SQLAlchemyError):
                applied.append(changes.follow(server, interval=AT_ONCE).applied)

    threads = [threading.Thread(target=poll, args=(server,)) for server in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for server in servers:
        server.engine.dispose()
    for login in ("lan", "minh", "hoa"):
        assert closed_for(world, world.subject(login)) == CloseReason.DEATH.value
        assert news(world, world.subject(login)) == 2


def test_without_registers_nothing_is_followed(installation: Installation) -> None:
    alone = Installation(
        settings_for(installation.settings.database_url, installation.settings.data_dir),
        engine=installation.engine,
    )
    assert changes.follow(alone) == changes.Followed()


def test_a_server_follows_by_itself(
    world: World, feeds: Feeds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "INTERVAL", timedelta(milliseconds=20))
    feeds.tell(Source.POPULATION, "death", LAN)
    end = run_by_itself(world.installation)
    try:
        deadline = time.monotonic() + 20
        while closed_for(world, world.subject()) is None:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    finally:
        end()


def test_news_that_fits_the_account_no_more_stops_nothing(world: World, feeds: Feeds) -> None:
    # A foreigner who became a citizen still bears the passport that immigration speaks of.
    foreigner = world.account("jean")
    with world.transaction() as services:
        services.standing.succeed(foreigner, "999190000077", OPERATOR)
    told = feeds.tell(Source.IMMIGRATION, "residence-ended", JEAN)
    follow(world)
    assert locks(world, "jean") == set()
    with world.transaction() as services:
        seen = {one.register: one.sequence for one in Cursors(services.db).all()}
    assert seen[Source.IMMIGRATION.value] == told
