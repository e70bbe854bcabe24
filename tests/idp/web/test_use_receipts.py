"""Use receipts: whoever got data holds the provider's signed word that the use is in the record."""

import base64
import hashlib
import json
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import KeySet

from accounts.base64url import base64url
from consent.ledger import tiles
from consent.log_state import LogState
from idp import ledger, upkeep
from idp.services import UncommittedEntryError
from tests.support.relying_party import Answer
from tests.support.world import World

# RFC 9864 would rather have it called Ed25519; libraries that know only that name are rare.
pytestmark = pytest.mark.filterwarnings("ignore:EdDSA is deprecated")


def taken(world: World) -> None:
    world.tick(seconds=61)
    ledger.sequencer(world.installation).run_once()


def fetched(world: World, party: str = "portal", **form: str) -> tuple[list[dict[str, Any]], Any]:
    """Return what the signed batches say, checked as a relying party does with its own library."""
    answer = world.party(party).ask("/agency/receipts", form)
    assert answer.status == 200, answer.text
    keys = KeySet.import_key_set(world.client().get("/ledger/receipt-keys").json())
    found = []
    for text in answer.body["receipts"]:
        signed = jws.deserialize_compact(text, keys, algorithms=["EdDSA"])
        assert signed.headers()["typ"] == "use-receipts+jwt"
        claims = json.loads(signed.payload)
        assert (claims["iss"], claims["aud"]) == (world.issuer, party)
        found += claims["receipts"]
    return found, answer.body["next"]


def named(answer: Answer) -> list[tuple[str, str]]:
    """Return id and commitment of the entries that an answer names."""
    parts = (one.partition(";c=") for one in answer.headers["Use-Entry"].split(", "))
    return [(entry.strip('"'), commitment.strip('"')) for entry, _, commitment in parts]


def test_every_answer_names_its_entry_and_the_receipt_follows(world: World) -> None:
    arrival = world.arrive("portal", "openid name offline_access")
    arrival.tokens()
    world.tick()
    read = arrival.party.userinfo(arrival.tokens().access)
    renewed = arrival.party.refresh(arrival.tokens().refresh)
    told = named(arrival.party.introspect(renewed.body["access_token"]))
    answers = named(read) + named(renewed) + told
    assert fetched(world) == ([], None)
    taken(world)
    receipts, cursor = fetched(world)
    held = [(one["id"], one["commitment"]) for one in receipts]
    assert held[1:] == answers
    assert [one["channel"] for one in receipts] == [
        "id_token", "userinfo", "id_token", "introspection",
    ]  # fmt: skip
    # It tells nothing of whom it is, and of the names a hash; the leaf is in the published log.
    names = base64url(
        hashlib.sha256(json.dumps(sorted(read.body)).replace(" ", "").encode()).digest()
    )
    assert receipts[1]["attributes"] == names
    assert set(receipts[1]) == {"id", "at", "channel", "commitment", "attributes", "log", "leaf"}
    with world.installation.engine.begin() as db:
        for one in receipts:
            tile = LogState(db).tile(one["log"], tiles.ENTRIES, one["leaf"] // tiles.WIDTH)
            leaf = tiles.unbundle(tile)[one["leaf"] % tiles.WIDTH]
            assert leaf == base64.urlsafe_b64decode(one["commitment"] + "=")
    # Fetched further on, by others, and once they are old.
    assert fetched(world, after=cursor) == ([], cursor)
    assert fetched(world, "basic") == ([], None)
    arrival.party.introspect(renewed.body["access_token"])
    taken(world)
    assert [one["channel"] for one in fetched(world, after=cursor)[0]] == ["introspection"]
    assert arrival.party.ask("/agency/receipts", {"after": "x"}).status == 400
    assert world.party("app").ask("/agency/receipts", {}).status == 401
    world.tick(days=91)
    assert upkeep.purge(world.installation)["use receipts"] == 2
    assert fetched(world) == ([], None)


def test_there_is_no_receipt_for_what_is_not_committed(world: World) -> None:
    installation = world.installation
    with installation.engine.connect() as db:
        services = installation.services(db)
        subject = world.subject_in(services, "lan")
        (last,) = services.use_log.of_subject(subject, limit=1)
        recorded = services.use_log.record(last.use)
        db.rollback()
    with pytest.raises(UncommittedEntryError):
        installation.evidence(recorded)
    with world.transaction() as services:
        committed = services.use_log.record(last.use)
    assert installation.evidence(committed).entry == committed.id
