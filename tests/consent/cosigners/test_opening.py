"""Opening audits: entries drawn by lot show an invented person, and a release without a receipt."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from accounts.subject import IdentifierType, SubjectKind
from consent.cosigners.opening import Audit, AuditError, Finding, over_x_road
from consent.cosigners.published import Published
from consent.data_use import Channel
from consent.ledger.opening import Terms
from consent.ledger.request import authorization
from idp import ledger
from idp.opening import open_drawn
from tests.support.registers import CLIENT, authority, enter_person, population, running
from tests.support.watchers import Watchers, watch
from tests.support.world import World

pytestmark = pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
LAN = {"number": "999190000001", "name": "Nguyễn Thị Hương Lan", "birthdate": "1990-04-12"}


class Outside:
    """The auditor a1, with what it sees of the provider."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.client = world.client()
        self.watchers: Watchers = watch(world.installation, self.fetch)
        self.audit = Audit(
            folder,
            Published(self.fetch),
            ledger.policy(world.installation),
            self.authorize,
        )

    def authorize(self, path: str, name: str = "a1") -> str:
        now = int(self.world.installation.clock().timestamp())
        return authorization(self.watchers.ones[name]._signer, path, now)

    def fetch(self, path: str, authorize: Any) -> bytes:
        whole = f"/ledger/{path}"
        headers = {"Authorization": authorize(whole)} if authorize else {}
        answer = self.client.get(whole, headers=headers)
        if answer.status_code != 200:
            raise OSError(f"{whole}: {answer.status_code}")
        return answer.content

    def post(self, path: str, document: Any, name: str = "a1") -> httpx.Response:
        whole = f"/ledger/{path}"
        headers = {"Authorization": self.authorize(whole, name)}
        return self.client.post(whole, json=document, headers=headers)

    def call(self, path: str, document: Mapping[str, Any]) -> dict[str, Any]:
        answer = self.post(path, document)
        if answer.status_code != 200:
            raise OSError(answer.text)
        return dict(answer.json())

    def turn(self) -> None:
        self.world.tick(seconds=61)
        installation = self.world.installation
        ledger.sequencer(installation).run_once()
        self.watchers.cosigning().gather()

    def receipts(self, *parties: str) -> list[str]:
        """Return what relying parties keep."""
        return [
            text
            for party in parties
            for text in self.world.party(party).ask("/agency/receipts", {}).body["receipts"]
        ]

    def keys(self) -> list[dict[str, str]]:
        return list(self.client.get("/ledger/receipt-keys").json()["keys"])


@pytest.fixture
def outside(world: World, tmp_path: Path) -> Iterator[Outside]:
    made = Outside(world, tmp_path / "auditor")
    yield made
    for one in made.watchers.ones.values():
        one.close()


def known(person: Mapping[str, str]) -> bool:
    return bool(person)


def opened(outside: Outside, count: int = 5000) -> dict[str, Any]:
    """Announce, draw and have everything opened."""
    outside.turn()
    since = f"{outside.world.installation.clock():%Y-%m}"
    kept = outside.audit.announce(outside.call, count, since)
    with pytest.raises(AuditError, match="no epoch"):
        outside.audit.draw(outside.call)
    outside.world.arrive("basic", "openid").tokens()
    outside.turn()
    outside.audit.draw(outside.call)
    return open_drawn(outside.world.installation, kept["audit"], "warrant 7/2026", "c" * 32)


def test_what_is_in_order_is_found_to_be_and_everybody_concerned_reads_it(
    world: World, outside: Outside
) -> None:
    world.arrive("portal", "openid name").tokens()
    openings = opened(outside)
    drawn = outside.audit.draw(outside.call)
    assert [(one["log"], one["leaf"]) for one in openings["openings"]] == drawn
    assert len(set(drawn)) == len(drawn) > 3
    batches = outside.receipts("portal", "basic")
    assert outside.audit.check(openings, batches, outside.keys(), lambda _person: True) == []
    with world.transaction() as services:
        subject = world.subject_in(services, "lan")
        last = services.use_log.of_subject(subject, limit=1)[0].use
        assert services.use_log.is_intact(subject)
        # What was shown of each, a company too, is what its entry names.
        for shown in openings["openings"]:
            noted = services.use_log.of_subject(shown["subject"], limit=1)[0].use
            assert set(noted.attributes) == shown["person"].keys() - {"register"}
    assert any("organization_name" in shown["person"] for shown in openings["openings"])
    assert last.channel is Channel.AUDIT_OPENING
    assert set(last.attributes) == {"vn_pid", "name", "birthdate"}
    assert "drew an entry of yours by lot" in world.sign_in().open("/me/uses").text
    # A party that shows no receipts, or somebody else's, is found out.
    found = outside.audit.check(openings, batches[:0], outside.keys(), known)
    assert {one.code for one in found} >= {"no-receipt"}
    forged = [text[:-6] + "AAAAAA" for text in batches]
    assert outside.audit.check(openings, forged, outside.keys(), lambda _: True) == [
        Finding("no-receipt", one.leaf) for one in found if one.code == "no-receipt"
    ]
    # The result is the auditor's word, public, and given once.
    outside.audit.conclude(outside.call, len(drawn), [])
    (told,) = outside.client.get("/ledger/audits").json()["audits"]
    assert (told["auditor"], told["entries"]) == ("a1.example", len(drawn))
    assert told["result"] == {"checked": len(drawn), "findings": {}}
    with world.installation.engine.begin() as db:
        assert f"opening-audit/{told['audit']}" in ledger.policies(world.installation, db)
    with pytest.raises(OSError, match="before"):
        outside.audit.conclude(outside.call, 1, [])


def test_what_was_filed_wrongly_is_found(world: World, outside: Outside) -> None:
    world.arrive("portal", "openid name").tokens()
    with world.transaction() as services:
        (real,) = services.use_log.of_subject(world.subject_in(services, "lan"), limit=1)
        nobody = services.subjects.add(SubjectKind.PERSON)
        invented = services.subjects.add(SubjectKind.PERSON)
        services.subjects.identify(invented, IdentifierType.PERSONAL_NUMBER, "999199999999", "seed")
        for subject in (nobody, invented):
            services.use_log.record(replace(real.use, subject_id=subject))
    openings = opened(outside)
    by_subject = {one["subject"]: one for one in openings["openings"]}
    batches, keys = outside.receipts("portal", "basic"), outside.keys()

    def exists(person: Mapping[str, str]) -> bool:
        return person.get("vn_pid") != "999199999999" and bool(person)

    def codes(given: Any) -> dict[str, str]:
        found = outside.audit.check(given, batches, keys, exists)
        places = {(one["log"], one["leaf"]): one["subject"] for one in openings["openings"]}
        return {places[one.leaf]: one.code for one in found}

    found = codes(openings)
    assert (found[nobody], found[invented]) == ("nobody", "nobody")
    lan = world.subject()
    assert lan not in found

    # The provider shows something else, another's, or nothing.
    def changed(**values: Any) -> Any:
        made = json.loads(json.dumps(openings))
        for one in made["openings"]:
            if one["subject"] == nobody:
                one.update(values)
        return made

    entry = json.loads(by_subject[nobody]["entry"])
    as_lan = {**by_subject[lan], "entry": json.dumps({**entry, "subject": lan})}
    picked = ("entry", "subject", "certificate", "person")
    assert codes(changed(**{name: as_lan[name] for name in picked}))[nobody] == "other-entry"
    other = {name: by_subject[lan][name] for name in ("subject", "certificate", "person")}
    assert codes(changed(**other))[nobody] == "other-person"
    certificate = by_subject[lan]["certificate"]
    assert codes(changed(certificate=certificate))[nobody] == "other-person"
    made = changed()
    made["openings"] = [one for one in made["openings"] if one["subject"] != nobody]
    assert codes(made)[nobody] == "not-opened"


@pytest.mark.parametrize("kind", ["sqlite"])
def test_neither_side_chooses_what_is_drawn(world: World, outside: Outside) -> None:
    outside.turn()
    since = f"{world.installation.clock():%Y-%m}"
    terms = Terms(bytes(32), 2, since)
    told = outside.call("audits", {"announcement": terms.announcement})
    assert outside.call("audits", {"announcement": terms.announcement}) == told
    said = {"nonce": bytes(32).hex(), "count": 2, "since": since}
    path = f"audits/{told['audit']}/draw"
    assert outside.post(path, said).status_code == 400  # no epoch yet
    world.arrive("portal", "openid name").tokens()
    outside.turn()
    # Other terms than announced, another auditor, a witness, or nobody at all.
    for other in ({"nonce": (b"x" * 32).hex()}, {"count": 3}, {"since": "2020-01"}, {"count": "x"}):
        assert outside.post(path, {**said, **other}).status_code == 400
    assert outside.post(path, said, "a2").status_code == 400
    assert outside.post(path, said, "w1").status_code == 401
    assert outside.client.post(f"/ledger/{path}", json=said).status_code == 401
    assert outside.post("audits", {"announcement": "x"}).status_code == 400
    assert outside.post("audits", []).status_code == 400
    drawn = outside.call(path, said)["leaves"]
    assert len(drawn) == 2
    # It stays as it was drawn, however the log grows.
    world.arrive("portal", "openid name").tokens()
    outside.turn()
    assert outside.call(path, said)["leaves"] == drawn
    result = f"audits/{told['audit']}/result"
    assert outside.post(result, {"checked": 2, "findings": {}}).status_code == 400  # not opened
    assert outside.post(result, {"checked": 2, "findings": {"Xy z": 1}}).status_code == 400


def test_a_register_says_whether_somebody_exists_to_auditors_only(tmp_path: Path) -> None:
    file = population(tmp_path / "p.db", people=5)
    enter_person(file, **LAN)
    person = {"register": "population", "vn_pid": "999 190 000 001", "name": LAN["name"]}
    person["birthdate"] = LAN["birthdate"]
    with running(file) as simulator:
        ask: Callable[[Mapping[str, str]], bool | None] = over_x_road(
            f"http://{authority(simulator)}", CLIENT
        )
        with pytest.raises(OSError, match="not allowed"):
            ask(person)
        simulator.auditors.add(CLIENT)
        assert ask(person) is True
        assert ask({**person, "vn_pid": "999199999999"}) is False
        assert ask({}) is False
