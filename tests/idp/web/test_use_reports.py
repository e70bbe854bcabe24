"""Secondary uses: agencies say what they did later with data, and people read it in their record."""

import json
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import KeySet

from consent.data_use import Channel
from consent.use_reports import coverage
from idp import archiving, ledger, opening
from tests.support.relying_party import basic
from tests.support.stores import on_one_database
from tests.support.world import Arrival, World

pytestmark = pytest.mark.filterwarnings("ignore:EdDSA is deprecated")


@pytest.fixture
def arrival(world: World) -> Arrival:
    made = world.arrive("bank", "openid name birth")
    made.tokens()
    made.party.userinfo(made.tokens().access)
    world.tick(seconds=61)
    ledger.sequencer(world.installation).run_once()
    return made


def receipt(world: World, party: str = "bank") -> dict[str, Any]:
    """Return the party's newest receipt."""
    answer = world.party(party).ask("/agency/receipts", {})
    keys = KeySet.import_key_set(world.client().get("/ledger/receipt-keys").json())
    signed = jws.deserialize_compact(answer.body["receipts"][-1], keys, algorithms=["EdDSA"])
    found: dict[str, Any] = json.loads(signed.payload)["receipts"][-1]
    return found


def item(world: World, number: str = "r-1", **changes: Any) -> dict[str, Any]:
    held = receipt(world)
    made = {
        "id": number,
        "receipt": {name: held[name] for name in ("id", "log", "leaf")},
        "action": "use",
        "attributes": ["name"],
        "purpose": "banking",
        "basis": "consent",
        "actor": "branch-7/officer-12",
        "at": world.installation.clock().isoformat(),
        **changes,
    }
    return {name: value for name, value in made.items() if value is not None}


def report(world: World, *items: Any, party: str = "bank") -> Any:
    client, document = world.party(party), {"uses": list(items)}
    if party == "bank":
        return client.client.post(
            "/agency/uses",
            content=client.assertion(report=document),
            headers={"Content-Type": "application/jwt"},
        )
    headers = {"Authorization": basic(party, client.secret)}
    return client.client.post("/agency/uses", json=document, headers=headers)


def test_what_an_agency_reports_stands_in_the_record(world: World, arrival: Arrival) -> None:
    shared = item(world, "r-2", action="share", recipient="tax")
    answer = report(world, item(world), shared)
    assert answer.status_code == 200, answer.text
    first, second = answer.json()["uses"]
    assert (first["status"], second["status"]) == ("taken", "taken")
    with world.transaction() as services:
        subject = world.subject_in(services, "lan")
        newest = services.use_log.of_subject(subject, limit=2)
        assert services.use_log.is_intact(subject)
    assert [one.id for one in newest] == [second["entry"], first["entry"]]
    use = newest[0].use
    assert (use.channel, use.client_id, use.attributes) == (Channel.RP_REPORTED, "bank", ("name",))
    assert use.detail["cites"] == shared["receipt"]["id"]
    assert use.consent_id
    (by_law,) = report(world, item(world, "r-3", basis="statutory-function")).json()["uses"]
    with world.transaction() as services:
        (last,) = services.use_log.of_subject(subject, limit=1)
    assert (last.id, last.use.consent_id) == (by_law["entry"], None)
    # She reads it in plain words, and that it is the agency's word.
    browser = world.sign_in("lan")
    assert "Says it passed this data on" in browser.open("/me/uses").text
    page = browser.open(f"/me/uses/{newest[0].position}").text
    assert "Thuế Mẫu" in page
    assert "branch-7/officer-12" in page
    assert "cannot check it" in page
    # Sent again it is known; the same id for something else is not taken.
    again = report(world, item(world, at=item(world)["at"]), shared).json()["uses"]
    assert [one["status"] for one in again] == ["known", "known"]
    assert again[1]["entry"] == second["entry"]
    other = report(world, {**shared, "attributes": ["birthdate"]}).json()["uses"][0]
    assert other["error_description"] == "id was used for another report"
    with world.transaction() as services:
        told = services.use_log.of_subject(subject)
        assert len([one for one in told if one.use.channel is Channel.RP_REPORTED]) == 3


@on_one_database
def test_a_release_of_long_ago_is_cited_all_the_same(world: World, arrival: Arrival) -> None:
    """The release is in the archive; so is what an opening audit draws."""
    cited = item(world)
    world.tick(days=460)
    ledger.sequencer(world.installation).run_once()
    assert list(archiving.run(world.installation))
    (told,) = report(world, cited).json()["uses"]
    assert told["status"] == "taken", told
    with world.transaction() as services:
        subject = world.subject_in(services, "lan")
        (newest,) = services.use_log.of_subject(subject)
        assert newest.use.detail["cites"] == cited["receipt"]["id"]
        assert services.use_log.is_intact(subject)
        leaf = (cited["receipt"]["log"], cited["receipt"]["leaf"])
        shown = opening._opened(services, leaf)
    assert json.loads(shown["entry"])["id"] == cited["receipt"]["id"]
    assert shown["person"]["register"] == "population"


def test_each_item_is_judged_by_itself(world: World, arrival: Arrival) -> None:
    world.arrive("portal", "openid name").tokens()
    wrong: dict[str, dict[str, Any]] = {
        "attributes names": {"attributes": ["email"]},
        "attributes is": {"attributes": []},
        "purpose": {"purpose": "fun"},
        "basis": {"basis": "legitimate-interest"},
        "action": {"action": "sell"},
        "recipient belongs": {"action": "share"},
        "recipient is": {"action": "share", "recipient": "Bà Nguyễn Thị Lan"},
        "actor": {"actor": None},
        "at is a": {"at": "yesterday"},
        "at is before": {"at": "2020-01-01T00:00:00+00:00"},
        "an item": {"note": "free words"},
        "receipt": {"receipt": {**item(world)["receipt"], "leaf": 10**9}},
        "id is": {"id": "ä"},
    }
    items = [item(world, f"w-{number}", **changes) for number, changes in enumerate(wrong.values())]
    answers = report(world, *items, "no object", item(world, "good")).json()["uses"]
    for begin, told in zip(wrong, answers, strict=False):
        assert told["status"] == "refused"
        assert told["error_description"].startswith(begin), (begin, told)
    assert answers[-2]["error_description"].startswith("an item")
    assert answers[-1]["status"] == "taken"
    # Nobody cites another's receipt, and nobody without a secret reports at all.
    stolen = report(world, item(world, "mine"), party="portal").json()["uses"][0]
    assert stolen["error_description"].startswith("receipt is none of yours")
    assert report(world).status_code == 400
    assert report(world, *[1] * 1001).status_code == 400
    assert world.client().post("/agency/uses", json={"uses": []}).status_code == 401


def test_how_far_an_agency_reports_is_counted(world: World, arrival: Arrival) -> None:
    begin = world.installation.clock()
    report(world, item(world, "in-time", at=begin.isoformat()))
    world.tick(hours=25)
    (late,) = report(world, item(world, "late", at=begin.isoformat())).json()["uses"]
    assert late["late"]
    with world.installation.engine.begin() as db:
        (bank,) = coverage(db, begin.replace(year=begin.year - 1))
    assert (bank.client_id, bank.releases, bank.cited, bank.reports, bank.late) == (
        "bank", 1, 1, 2, 1,
    )  # fmt: skip
    assert bank.share == 1.0


@pytest.mark.parametrize("kind", ["sqlite"])
def test_a_thousand_items_are_taken_at_once(world: World, arrival: Arrival) -> None:
    one = item(world)
    answer = report(world, *({**one, "id": f"n-{number}"} for number in range(1000)))
    assert {told["status"] for told in answer.json()["uses"]} == {"taken"}
    with world.transaction() as services:
        assert services.use_log.is_intact(world.subject_in(services, "lan"))
