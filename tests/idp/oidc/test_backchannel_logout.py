"""Back-channel logout: relying parties learn who left, whatever dies or hangs in between (SE08)."""

import base64
import json
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from joserfc.jwk import KeySet

from accounts.account import HOLDER, LockReason
from connectors.outbound import Outbound
from idp import dispatch
from idp.demo.signed_out_afar import LogoutTokenError, LogoutTokens
from tests.support.back_channel import BackChannel, listening
from tests.support.world import Arrival, World

DELIVERED = {"delivered": 1, "postponed": 0, "given up": 0}
NOTHING = {"delivered": 0, "postponed": 0, "given up": 0}


@pytest.fixture
def kind() -> str:
    return "sqlite"


@pytest.fixture
def channel(world: World) -> Iterator[BackChannel]:
    with listening(world, "basic", "portal") as made:
        yield made


def sign_out(arrival: Arrival) -> None:
    browser = arrival.browser
    browser.submit(browser.open("/logout").form("/logout"), "logout-confirm")


def end_from_afar(arrival: Arrival, world: World) -> None:
    elsewhere = world.sign_in()
    elsewhere.submit(elsewhere.open("/me/sessions").form("/me/sessions/end-others"))


def lock(_arrival: Arrival, world: World) -> None:
    account = world.account()
    with world.transaction() as services:
        services.standing.lock(account, LockReason.HOLDER_REQUEST, HOLDER)


def withdraw(arrival: Arrival, _world: World) -> None:
    page = arrival.browser.open("/me/consents")
    (form,) = [one for one in page.forms if one.action.endswith("/withdraw")]
    arrival.browser.submit(form)


@pytest.mark.parametrize(
    "end", [lambda a, _w: sign_out(a), end_from_afar, lock, withdraw],
    ids=["sign-out", "afar", "lock", "withdrawal"],
)  # fmt: skip
def test_se08_whatever_ends_it_the_relying_party_is_told_with_a_typed_token(
    world: World, channel: BackChannel, end: Callable[[Arrival, World], None]
) -> None:
    arrival = world.arrive("basic")
    tokens = arrival.tokens()
    end(arrival, world)
    assert channel.sent == []
    assert dispatch.dispatch(world.installation) == DELIVERED
    (claims,) = channel.checked("basic")
    assert (claims["sub"], claims["sid"]) == (tokens.claims["sub"], tokens.claims["sid"])
    assert dispatch.dispatch(world.installation) == NOTHING


def test_offline_access_goes_on_after_a_sign_out_that_is_told_all_the_same(
    world: World, channel: BackChannel
) -> None:
    arrival = world.arrive("portal", "openid name offline_access")
    tokens = arrival.tokens()
    sign_out(arrival)
    assert dispatch.dispatch(world.installation) == DELIVERED
    assert channel.checked("portal")[0]["sid"] == tokens.claims["sid"]
    assert arrival.party.refresh(tokens.refresh).status == 200


def test_nobody_else_is_told(world: World, channel: BackChannel) -> None:
    other, mine = world.arrive("basic", person="minh"), world.arrive("clinic", "openid")
    other.tokens(), mine.tokens()
    sign_out(mine)
    assert dispatch.dispatch(world.installation) == NOTHING


def test_what_was_taken_back_is_not_told(world: World, channel: BackChannel) -> None:
    world.arrive("basic").tokens()
    account = world.account()
    with pytest.raises(RuntimeError), world.transaction() as services:  # noqa: PT012
        services.standing.lock(account, LockReason.HOLDER_REQUEST, HOLDER)
        raise RuntimeError
    assert dispatch.dispatch(world.installation) == NOTHING


def test_one_that_is_away_is_asked_again_and_shown_to_operators_once_given_up(
    world: World, channel: BackChannel
) -> None:
    arrival = world.arrive("basic")
    arrival.tokens()
    sign_out(arrival)
    channel.status, waited = 503, timedelta()
    for patience in dispatch._PATIENCE:
        assert dispatch.dispatch(world.installation)["postponed"] == 1
        assert dispatch.dispatch(world.installation) == NOTHING
        world.tick(seconds=patience.total_seconds())
        waited += patience
    assert dispatch.dispatch(world.installation)["given up"] == 1
    assert timedelta(days=2) < waited < timedelta(days=4)
    assert len({claims["jti"] for claims in map(_unverified, channel.sent)}) == 1
    with world.transaction() as services:
        (backlog,) = services.outbox.backlogs()
        assert (backlog.client_id, backlog.is_given_up) == ("basic", True)
        assert (backlog.fault, backlog.count) == ("status-503", 1)
        assert services.outbox.retry("basic") == 1
    channel.status = 200
    assert dispatch.dispatch(world.installation) == DELIVERED


def test_one_that_refuses_the_token_is_not_asked_again(world: World, channel: BackChannel) -> None:
    arrival = world.arrive("basic")
    arrival.tokens()
    sign_out(arrival)
    channel.status = 400
    assert dispatch.dispatch(world.installation)["given up"] == 1


def test_rg02_an_address_that_is_not_allowed_gets_nothing(
    world: World, channel: BackChannel
) -> None:
    world.installation.outbound = Outbound()
    arrival = world.arrive("basic")
    arrival.tokens()
    sign_out(arrival)
    assert dispatch.dispatch(world.installation)["postponed"] == 1
    assert channel.sent == []


def test_of_several_processes_one_sends_and_one_that_died_lets_another(
    world: World, channel: BackChannel
) -> None:
    arrivals = [world.arrive("basic") for _ in range(3)]
    for arrival in arrivals:
        arrival.tokens()
        sign_out(arrival)
    with world.transaction() as services:
        now = world.installation.clock()
        assert services.outbox.claim(now, now + timedelta(minutes=1))
    threads = [
        threading.Thread(target=dispatch.dispatch, args=(world.installation,)) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(channel.sent) == 2
    world.tick(minutes=1)
    assert dispatch.dispatch(world.installation) == DELIVERED
    assert len({_unverified(token)["jti"] for token in channel.sent}) == 3


def test_se08_the_demos_relying_party_takes_a_token_once_and_no_other_kind(
    world: World, channel: BackChannel
) -> None:
    arrival = world.arrive("basic")
    id_token = arrival.tokens().id_token
    sign_out(arrival)
    dispatch.dispatch(world.installation)
    keys = KeySet.import_key_set(arrival.party._sent("GET", "/jwks").body)  # type: ignore[arg-type]
    clock = world.installation.clock
    at = LogoutTokens(world.issuer, "basic", lambda: clock().timestamp())
    elsewhere = LogoutTokens(world.issuer, "clinic", lambda: clock().timestamp())
    (token,) = channel.sent
    for reader, refused in ((at, id_token), (at, token[:-6] + "AAAAAA"), (elsewhere, token)):
        with pytest.raises(LogoutTokenError):
            reader.read(refused, keys, ["RS256"])
    assert at.read(token, keys, ["RS256"])["sid"]
    with pytest.raises(LogoutTokenError, match="jti"):
        at.read(token, keys, ["RS256"])
    world.tick(hours=1)
    with pytest.raises(LogoutTokenError, match="iat"):
        LogoutTokens(world.issuer, "basic", lambda: clock().timestamp()).read(
            token, keys, ["RS256"]
        )


def _unverified(token: str) -> dict[str, str]:
    payload = token.split(".")[1]
    read: dict[str, str] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return read
