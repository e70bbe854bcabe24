"""What the demo's relying parties say they hold: the comparison of the record shows their side."""

import json
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
import requests

from consent.data_use import Channel
from consent.reconciliation import Kind
from idp.demo import holdings
from idp.demo.holdings import Holdings, Reporter
from idp.ledger import Keeper
from idp.reconciling import reconcile
from tests.support.stores import on_one_database
from tests.support.world import World

pytestmark = pytest.mark.filterwarnings("ignore:EdDSA is deprecated")


def noted(book: Holdings, answer: httpx.Response) -> None:
    """Note an answer as the hook of the party's library does."""
    seen = SimpleNamespace(
        headers=answer.headers,
        request=SimpleNamespace(path_url=answer.request.url.path),
        json=answer.json,
    )
    book.note(cast("requests.Response", seen))


@on_one_database
def test_a_relying_party_tells_its_days_and_its_uses_once(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert world.clock is not None
    world.clock.set((world.clock() + timedelta(days=1)).replace(hour=9))
    client = world.client()
    calls: list[str] = []

    def call(method: str, url: str, **given: Any) -> httpx.Response:
        given.pop("timeout")
        calls.append(url.removeprefix(world.issuer))
        return client.request(method, url, **given)

    monkeypatch.setattr(holdings.requests, "get", lambda url, **given: call("GET", url, **given))
    monkeypatch.setattr(holdings.requests, "post", lambda url, **given: call("POST", url, **given))
    path, party = tmp_path / "portal.holdings", world.party("portal")

    def opened() -> Reporter:
        """Start anew, as the party does: all that it knows is in its book."""
        book = Holdings(path, lambda: world.installation.clock().timestamp())
        return Reporter(
            book, issuer=world.issuer, client_id="portal", secret=party.secret,
            purpose="public-service",
        )  # fmt: skip

    arrival = world.arrive("portal", "openid name birth")
    exchanged = client.post(
        "/token",
        data={
            "grant_type": "authorization_code", "code": arrival.code,
            "redirect_uri": party.redirect_uri, "code_verifier": arrival.attempt.verifier,
        },
        headers=party.authentication()[0],
    )  # fmt: skip
    header = {"Authorization": f"Bearer {exchanged.json()['access_token']}"}
    reporter = opened()
    noted(reporter.holdings, exchanged)
    noted(reporter.holdings, client.get("/userinfo", headers=header))
    # Without receipts nothing can be reported yet.
    reporter.once()
    assert "/agency/uses" not in calls
    keeper = Keeper()
    keeper(world.installation)
    reporter.once()
    opened().once()
    assert calls.count("/agency/uses") == 1
    with world.transaction() as services:
        entries = services.use_log.of_subject(world.subject_in(services, "lan"))
    (used,) = [one.use for one in entries if one.use.channel is Channel.RP_REPORTED]
    assert set(used.attributes) >= {"name", "birthdate"}
    assert "/agency/receipts/held" not in calls
    # Once the day is over, each side has what the other has.
    day = world.clock().date()
    world.clock.set(world.clock() + timedelta(hours=16))
    opened().once()
    opened().once()
    assert calls.count("/agency/receipts/held") == 1
    result = reconcile(world.installation, day)
    (mine,) = [one for one in result.comparisons if one.kind is Kind.RELYING_PARTY]
    assert (mine.party, mine.ours, mine.theirs) == ("portal", 2, 2)
    assert (mine.unlogged, mine.unconfirmed) == (0, 0)
    # The book holds names of data and no value of any.
    text = path.read_text("utf-8")
    assert json.dumps(world.person("lan").name)[1:-1] not in text
    assert world.person("lan").birthdate not in text
    keeper.close()
