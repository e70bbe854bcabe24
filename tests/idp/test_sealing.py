"""Sealed uses (invariant 13): in the logs at once, told on the day, by whitelisted clients only."""

import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from sqlalchemy import select

from accounts.notices import NoticeKind
from consent.data_use import Channel, UseEntry
from consent.history import History
from consent.ledger import commitment
from consent.log_state import LogState
from consent.purposes import purpose
from consent.sealing import content_hash, open_for_oversight
from consent.seen import seen_use
from idp import following, ledger, unsealing
from idp.services import Installation
from tests.support.relying_party import Answer
from tests.support.world import Arrival, World

OVERSIGHT = X25519PrivateKey.generate()


@pytest.fixture
def sealing(installation: Installation) -> Iterator[None]:
    kept = installation.settings
    installation.settings = replace(
        kept,
        oversight_key=OVERSIGHT.public_key().public_bytes_raw(),
        sealing_clients=frozenset({"portal"}),
    )
    yield
    installation.settings = kept


@pytest.fixture
def arrival(world: World) -> Arrival:
    made = world.arrive("portal", "openid name offline_access")
    made.tokens()
    return made


def until(world: World, days: int = 30) -> str:
    return (world.installation.clock() + timedelta(days=days)).date().isoformat()


def read(arrival: Arrival, seal: str) -> Answer:
    access = arrival.tokens().access
    answer = arrival.party.client.get(
        "/userinfo", headers={"Authorization": f"Bearer {access}", "Seal-Use": seal}
    )
    return Answer(answer.status_code, answer.headers, answer.json(), answer.text)


def newest(world: World) -> UseEntry:
    with world.transaction() as services:
        subject = world.subject_in(services, "lan")
        assert services.use_log.is_intact(subject)
        return services.use_log.of_subject(subject, limit=1)[0]


@pytest.mark.usefixtures("sealing")
def test_a_sealed_read_is_in_the_log_at_once_and_told_on_its_day(
    world: World, arrival: Arrival
) -> None:
    before = newest(world)
    day = until(world)
    answer = read(arrival, f"class=investigation, case=CA-HN/2026/77, until={day}")
    assert answer.status == 200
    assert "name" in answer.body
    # Nothing in her record, her proof or her pages tells of it; the public sees that there is one.
    assert newest(world) == before
    told = world.client().get("/ledger/sealed").json()
    assert (told["sealed"], told["unsealed"]) == (1, 0)
    (shown,) = told["uses"]
    assert set(shown) == {
        "position", "day", "authority", "class", "until", "commitment", "unsealed",
    }  # fmt: skip
    assert shown["commitment"] in answer.headers["Use-Entry"]
    with world.transaction() as services:
        chain = services.sealing.chain()
        assert chain is not None
        assert services.use_log.is_intact(chain)
        sealed = History(services.db, chain).entry(1)
        ((salt, spelling),) = services.use_log.spelled(chain, 1)
    assert sealed is not None
    # It is committed like every other entry, and says nothing of whom or what.
    bound = base64.urlsafe_b64decode(shown["commitment"] + "=")
    assert commitment.commit(spelling, salt) == bound
    for secret in (world.subject(), "CA-HN/2026/77", '"name"', before.use.grant_id or "-"):
        assert secret not in spelling.decode()
    assert sealed.use.detail["case"] == hashlib.sha256(b"CA-HN/2026/77").hexdigest()
    world.tick(seconds=61)
    ledger.sequencer(world.installation).run_once()
    with world.installation.engine.begin() as db:
        assert LogState(db).heads_of([chain])[chain].length == 1
    # The oversight body opens it by its own key, at any time; nobody else's does.
    opened = open_for_oversight(OVERSIGHT, json.loads(spelling))
    assert (opened["subject_id"], opened["client_id"]) == (world.subject(), "portal")
    assert "name" in opened["attributes"]
    with pytest.raises(ValueError, match="this key"):
        open_for_oversight(X25519PrivateKey.generate(), json.loads(spelling))
    # What follows the log makes nothing of it for anybody, and a line of its own for everybody.
    following.follow(world.installation)
    with world.transaction() as services:
        assert services.notices.of_subject(chain) == []
        assert (
            services.db.execute(select(seen_use).where(seen_use.c.subject_id == chain)).all() == []
        )
    public = world.browser().open("/transparency")
    assert "Investigation" in public.html
    assert purpose("sealed-read").title["en"] not in public.html
    lan = world.subject()
    with world.transaction() as services:
        told_before = services.notices.of_subject(lan)
    assert all(one.kind is not NoticeKind.UNSEALED for one in told_before)
    # Before the day nothing happens; on it, she is told.
    world.tick(days=29)
    assert unsealing.unseal_due(world.installation) == 0
    world.tick(days=1)
    assert unsealing.unseal_due(world.installation) == 1
    assert unsealing.unseal_due(world.installation) == 0
    # Once: what follows the log does not take it for a use of today.
    ledger.sequencer(world.installation).run_once()
    following.follow(world.installation)
    with world.transaction() as services:
        told_now = services.notices.of_subject(lan)
    assert [one.kind for one in told_now[: len(told_now) - len(told_before)]] == [
        NoticeKind.UNSEALED
    ]
    entry = newest(world)
    assert (entry.use.channel, entry.use.client_id) == (Channel.USERINFO, "portal")
    assert set(entry.use.attributes) == set(opened["attributes"])
    assert entry.use.detail["sealed_commitment"] == shown["commitment"]
    browser = world.sign_in()
    page = browser.open(f"/me/uses/{entry.position}").text
    assert "kept sealed until now for an investigation" in page
    assert "kept sealed is now in your record" in browser.open("/me/notices").text
    # And she can check that it is the very use that was recorded then.
    given: dict[str, Any] = json.loads(browser.open(f"/me/uses/{entry.position}/sealed").text)
    assert commitment.commit(given["entry"].encode(), bytes.fromhex(given["salt"])) == bound
    content = orjson.dumps(opened, option=orjson.OPT_SORT_KEYS)
    told_hash = content_hash(bytes.fromhex(given["opening"]), content)
    assert json.loads(given["entry"])["detail"]["content"] == told_hash
    assert world.client().get("/ledger/sealed").json()["unsealed"] == 1


@pytest.mark.usefixtures("sealing")
def test_sealing_takes_a_client_that_may_a_case_and_a_day(world: World, arrival: Arrival) -> None:
    day = until(world)
    good = f"class=court, case=TAND/12, until={day}"
    for bad in (
        "", "yes", f"class=curiosity, case=TAND/12, until={day}", f"class=court, until={day}",
        "class=court, case=TAND/12, until=soon", "class=court, case=TAND/12",
        f"class=court, case=Nguyễn Lan, until={day}",
        f"class=court, case=TAND/12, until={until(world, 0)}",
        f"class=court, case=TAND/12, until={until(world, 731)}",
    ):  # fmt: skip
        answer = read(arrival, bad.encode("ascii", "replace").decode())
        assert (answer.status, answer.body["error"]) == (400, "invalid_request"), bad
    # Not by another, not in the person's presence, not for whom somebody acts.
    for other in (
        world.arrive("clinic", "openid email offline_access"), world.arrive("portal", "openid"),
    ):  # fmt: skip
        other.tokens()
        assert read(other, good).status == 403
    assert world.client().get("/ledger/sealed").json()["uses"] == []
    assert read(arrival, good).status == 200


def test_nothing_can_be_sealed_unless_it_was_set_up(world: World, arrival: Arrival) -> None:
    before = newest(world)
    assert read(arrival, f"class=court, case=TAND/12, until={until(world)}").status == 403
    assert newest(world) == before
