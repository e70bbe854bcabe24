"""Daily reconciliation: what registers answered and relying parties hold is laid beside the record.

Measure 15: a release that is not in the record is refused at the connector; where it is forced, the next
reconciliation says so.
"""

import base64
import json
from collections.abc import Iterator
from datetime import UTC, date, timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete
from structlog.testing import capture_logs

from accounts.attributes import Source
from accounts.base64url import base64url
from accounts.subject import IdentifierType
from connectors.protocol import Query, Record, Unavailable
from connectors.simulation.server import Fault, Simulator
from connectors.simulation.store import opened
from consent.data_use import Recorded, data_use, subject_key
from consent.reconciliation import Kind, Reconciled, Reconciliations
from consent.use_receipts import Evidence
from idp import archiving, ledger, reconciling
from idp.services import Installation
from tests.support.clock import Clock
from tests.support.registers import enter_person, evidence, installed, population, running
from tests.support.relying_party import Answer, basic
from tests.support.world import World

LAN = {"number": "999190000001", "name": "Nguyễn Thị Hương Lan", "birthdate": "1990-04-12"}
QUERY = Query(
    IdentifierType.PERSONAL_NUMBER, LAN["number"], LAN["name"], LAN["birthdate"], ("gender",)
)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = population(tmp_path_factory.mktemp("registers") / "p.db", people=20)
    enter_person(path, **LAN)
    return path


@pytest.fixture
def registers(file: Path) -> Iterator[Simulator]:
    with running(file) as simulator:
        with opened(file) as db:
            db.execute("DELETE FROM answered")
        yield simulator


@pytest.fixture
def installation(
    database_url: str, clock: Clock, tmp_path: Path, registers: Simulator
) -> Iterator[Installation]:
    with installed(database_url, tmp_path, registers, clock) as made:
        yield made


@pytest.fixture
def day(clock: Clock) -> date:
    """A day of this test's own, at whose noon the clock stands."""
    noon = clock().astimezone(UTC).replace(hour=12) + timedelta(days=2)
    clock.advance(seconds=(noon - clock()).total_seconds())
    return noon.date()


def read_again(world: World) -> str:
    """Let a relying party read what a register has to be asked for; return the entry's commitment."""
    arrival = world.arrive("portal", "openid name residence offline_access")
    answer = arrival.party.userinfo(arrival.tokens().access)
    assert answer.status == 200
    return answer.headers["Use-Entry"].partition(";c=")[2].strip('"')


def told(world: World, day: date, commitments: list[str], party: str = "portal") -> Answer:
    client, document = world.party(party), {"day": day.isoformat(), "commitments": commitments}
    if party == "bank":
        body = client.assertion(report=document)
        answer = client.client.post(
            "/agency/receipts/held", content=body, headers={"Content-Type": "application/jwt"}
        )
    else:
        answer = client.client.post(
            "/agency/receipts/held",
            json=document,
            headers={"Authorization": basic(party, client.secret)},
        )
    return Answer(answer.status_code, answer.headers, answer.json(), answer.text)


def compared(world: World, day: date) -> Reconciled:
    world.tick(hours=14)
    (result,) = [one for one in reconciling.reconcile_due(world.installation) if one.day == day]
    return result


def side(result: Reconciled, party: str) -> tuple[int, int | None, int, int]:
    (one,) = [one for one in result.comparisons if one.party == party]
    return one.ours, one.theirs, one.unlogged, one.unconfirmed


def released(world: World, day: date) -> list[str]:
    """The commitments of the portal's entries of the day."""
    with world.transaction() as services:
        return [
            base64url(entry.commitment)
            for entry in services.use_log.of_subject(world.subject_in(services, "lan"))
            if entry.use.client_id == "portal" and entry.at.date() == day
        ]


def test_what_all_hold_agrees_and_is_compared_once_a_day(world: World, day: date) -> None:
    world.tick(hours=-11)
    world.arrive("portal", "openid name").tokens()  # so that the day's first values are held
    world.tick(hours=11)
    read_again(world)
    mine = released(world, day)
    world.tick(hours=12)
    assert told(world, day, mine[:1]).body == {"day": day.isoformat(), "held": 1}
    assert told(world, day, mine).body["held"] == len(mine)
    world.tick(hours=-12)
    result = compared(world, day)
    assert result.unlogged == 0
    assert side(result, "portal") == (len(mine), len(mine), 0, 0)
    ours, theirs, *lacking = side(result, "population")
    assert ours == theirs
    assert ours > 0
    assert lacking == [0, 0]
    # Once more a day later, for those who had not told yet; and then no more.
    assert day not in {one.day for one in reconciling.reconcile_due(world.installation)}
    world.tick(days=1)
    again = [one for one in reconciling.reconcile_due(world.installation) if one.day == day]
    assert [one.comparisons for one in again] == [result.comparisons]
    assert reconciling.reconcile_due(world.installation) == []
    # It is said in the public policy log, without counts of uses.
    with world.installation.engine.begin() as db:
        said = ledger.policies(world.installation, db)[f"reconciliation/{day}"]
    assert json.loads(said)["unlogged"] == {}
    assert set(json.loads(said)) == {"about", "compared", "silent", "unlogged", "sha256"}


def test_a_release_that_was_never_logged_is_refused_or_found_the_next_day(
    world: World, registers: Simulator, day: date
) -> None:
    """Measure 15."""
    population = world.installation.registers[Source.POPULATION]
    at = world.installation.clock()
    forged = Recorded("f" * 32, "nobody", 1, at, "sen-id", b"f" * 32, bytes(32))
    stolen = Evidence(evidence(forged.id).of._replace(at=at), evidence().receipts)
    registers.receipt_keys[:] = [world.installation.use_receipts.jwk]
    refused = population.look_up(QUERY, stolen, at)
    assert isinstance(refused, Unavailable)
    assert refused.reason == "refused"
    # Forced: the register was told to answer without, and the provider signs for what is not there.
    registers.set_fault(Source.POPULATION, Fault.NO_RECEIPT)
    assert isinstance(population.look_up(QUERY, stolen, at), Record)
    registers.set_fault(Source.POPULATION, None)
    ours = Evidence(forged, world.installation.use_receipts)
    assert isinstance(population.look_up(QUERY, ours, at), Record)
    result = compared(world, day)
    (one,) = [one for one in result.comparisons if one.party == "population"]
    assert base64url(b"f" * 32) in one.gaps
    assert one.unlogged >= 1
    with world.installation.engine.begin() as db:
        assert Reconciliations(db, world.installation.clock).of(day) == result
        said = json.loads(ledger.policies(world.installation, db)[f"reconciliation/{day}"])
    assert said["unlogged"] == {"population": one.unlogged}


def test_what_a_relying_party_holds_and_the_record_lost_is_found(world: World, day: date) -> None:
    world.arrive("bank", "openid name").tokens()
    subject = world.subject()
    with world.installation.engine.begin() as db:
        (last,) = world.installation.services(db).use_log.of_subject(subject, limit=1)
        db.execute(
            delete(data_use).where(
                data_use.c.subject_id == subject, data_use.c.position == last.position
            )
        )
    world.tick(days=1)
    assert told(world, day, [base64url(last.commitment)], "bank").status == 200
    with capture_logs() as logged:
        (result,) = [one for one in reconciling.reconcile_due(world.installation) if one.day == day]
    (one,) = [one for one in result.comparisons if one.party == "bank"]
    assert (one.kind, one.unlogged, one.gaps) == (
        Kind.RELYING_PARTY, 1, (base64url(last.commitment),),
    )  # fmt: skip
    (alarm,) = [line for line in logged if line["event"] == "reconciliation.unlogged"]
    assert (alarm["party"], alarm["unlogged"], alarm["audit"]) == ("bank", 1, "security")


def test_who_tells_nothing_is_named_and_a_register_is_asked_again(
    world: World, registers: Simulator, day: date
) -> None:
    read_again(world)
    registers.set_fault(Source.POPULATION, Fault.DOWN)
    result = compared(world, day)
    assert set(result.silent) == {"population", "portal"}
    assert result.unlogged == 0
    registers.set_fault(Source.POPULATION, None)
    world.tick(minutes=61)
    (again,) = [one for one in reconciling.reconcile_due(world.installation) if one.day == day]
    assert again.silent == ("portal",)


def test_a_day_in_the_archive_is_compared_as_before(
    world: World, registers: Simulator, day: date
) -> None:
    read_again(world)
    mine = released(world, day)
    world.tick(hours=12)
    # It holds all but one, and something that was never recorded.
    invented = base64url(bytes(32))
    assert told(world, day, [*mine[1:], invented]).status == 200
    world.tick(hours=-12)
    before = compared(world, day)
    assert side(before, "portal") == (len(mine), len(mine), 1, 1)
    world.tick(days=460)
    ledger.sequencer(world.installation).run_once()
    assert list(archiving.run(world.installation))
    assert reconciling.reconcile(world.installation, day).comparisons == before.comparisons
    # What parties told is forgotten in time, and what it came to then stays.
    with world.transaction() as services:
        kept = Reconciliations(services.db, world.installation.clock)
        assert kept.purge(day + timedelta(days=40)) == 1
    after = reconciling.reconcile(world.installation, day)
    assert after.comparisons == before.comparisons
    assert Reconciled(day, before.made_at, after.comparisons) == before
    # Of entries that nobody can read any more nobody says that they were never recorded.
    with world.transaction() as services:
        of_hers = subject_key.c.subject_id == world.subject_in(services, "lan")
        services.db.execute(delete(subject_key).where(of_hers))
    ours, theirs, unlogged, _ = side(reconciling.reconcile(world.installation, day), "population")
    assert (ours, unlogged) == (0, 0)
    assert theirs is not None
    assert theirs > 0


@pytest.mark.parametrize("kind", ["sqlite"])
def test_a_report_of_what_is_held_is_checked(world: World, day: date) -> None:
    def sent(document: object, kind: str = "application/json", party: str = "portal") -> int:
        secret = world.party(party).secret
        headers = {"Authorization": basic(party, secret), "Content-Type": kind}
        client = world.party(party).client
        return client.post(
            "/agency/receipts/held", content=json.dumps(document), headers=headers
        ).status_code

    yesterday = (day - timedelta(days=1)).isoformat()
    good = base64.urlsafe_b64encode(bytes(32)).rstrip(b"=").decode()
    assert sent({"day": yesterday, "commitments": [good]}) == 200
    for bad in (
        [], {}, {"day": yesterday}, {"day": yesterday, "commitments": ["x"]},
        {"day": yesterday, "commitments": [good] * 5001}, {"day": yesterday, "commitments": [1]},
        {"day": day.isoformat(), "commitments": []}, {"day": "soon", "commitments": []},
        {"day": "2020-01-01", "commitments": []},
    ):  # fmt: skip
        assert sent(bad) == 400, bad
    assert sent({"day": yesterday, "commitments": []}, "text/plain") == 400
    assert sent({"day": yesterday, "commitments": []}, "application/jwt") == 401
    client = world.party("bank")
    headers = {"Content-Type": "application/jwt"}
    report = {"day": yesterday, "commitments": [good]}
    once = client.assertion(report=report)
    strange = client.assertion(report=report, sub="portal", iss="portal")

    def posted(body: str) -> int:
        return client.client.post(
            "/agency/receipts/held", content=body, headers=headers
        ).status_code

    assert posted(strange) == 401
    assert posted(once) == 200
    assert posted(once) == 401
