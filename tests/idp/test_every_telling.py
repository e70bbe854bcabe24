"""Measure 17 (consent.md 6), for what leaves by other ways than an answer: tokens that are sent to
agencies, messages to people's addresses, and what operators' commands print.
"""

import base64
import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine, event, select

from accounts.account import HOLDER, LockReason
from accounts.notices import By, NoticeKind
from connectors.messages import Message
from consent.data_use import Channel, subject_chain
from consent.purposes import PURPOSES
from idp import consent_care, delivery, dispatch
from idp.cli import main
from idp.services import Services
from tests.idp.test_every_release import PEOPLE, spellings
from tests.idp.web.test_agency_api import fetch
from tests.support.back_channel import BackChannel, listening
from tests.support.cast import TAX_CODE
from tests.support.stores import INSTALLATION_SECRET, on_one_database
from tests.support.watched import InjectedError, found_in
from tests.support.world import World

pytestmark = on_one_database

# docs/integrating.md, word for word.
EVENTS = {
    "consent-withdrawn": {"consent"},
    "consent-narrowed": {"consent", "replaced_by", "attributes", "valid_until"},
    "consent-paused": {"consent"},
    "consent-renewed": {"consent", "replaced_by", "valid_until"},
}
LOGOUT = "http://schemas.openid.net/event/backchannel-logout"


# --- To agencies.


@pytest.fixture
def channel(world: World) -> Iterator[BackChannel]:
    with listening(world, "portal", "basic", what="both") as made:
        members = {"events_delivery_method": "urn:ietf:rfc:8936"}
        with world.transaction() as services:
            bank = {**world.cast.relying_parties["bank"], **members}
            services.registrations.register(bank)
        world.installation.relying_parties.forget()
        yield made


def read(token: str) -> dict[str, Any]:
    part = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


def everybodys(world: World) -> dict[str, list[str]]:
    """Return how anybody's values can be spelled."""
    found: dict[str, list[str]] = {}
    for login in PEOPLE:
        for claim, said in spellings(world, login).items():
            found.setdefault(claim, []).extend(said)
    return found


def test_agencies_are_told_nothing_but_what_the_documentation_says(
    world: World, channel: BackChannel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No attribute is in a token that is sent, so it is no use: whose it is, the agency knew before."""
    subs: dict[str, set[str]] = {}
    rows = entries(world)
    for party in ("portal", "bank", "basic"):
        arrival = world.arrive(party, "openid name birth offline_access", how="passkey")
        subs.setdefault(party, set()).add(arrival.tokens().claims["sub"])
    for act in (narrow, renew, withdraw):
        for consent in in_force(world):
            act(world, consent)
    for party in ("portal", "bank"):
        again = world.arrive(party, "openid name", how="passkey")
        subs[party].add(again.tokens().claims["sub"])
    for code, one in PURPOSES.items():
        monkeypatch.setitem(PURPOSES, code, replace(one, version=one.version + 1))
    consent_care.care(world.installation)
    account = world.account()
    with world.transaction() as services:
        services.standing.lock(account, LockReason.HOLDER_REQUEST, HOLDER)
    before = entries(world)
    assert before > rows
    for _ in range(3):
        dispatch.dispatch(world.installation)
    fetched = fetch(world, "bank").body["sets"]
    tokens = [*(token.decode() for token in channel.events), *fetched.values()]
    seen = set()
    for token in tokens:
        claims = read(token)
        audience = claims["aud"]
        assert set(claims) == {"iss", "aud", "iat", "jti", "sub_id", "events"}
        assert set(claims["sub_id"]) == {"format", "iss", "sub"}
        assert claims["sub_id"]["sub"] in subs[audience]
        ((name, said),) = claims["events"].items()
        kind = name.removeprefix("urn:vn:eid:event:")
        assert set(said) == EVENTS[kind]
        # Names of data and no values; ids without meaning; a moment.
        assert set(said.get("attributes", ())) <= {"name", "birthdate"}
        assert all(
            re.fullmatch("[0-9a-f]{32}", said[n]) for n in ("consent", "replaced_by") if n in said
        )
        assert isinstance(said.get("valid_until", 0), int)
        seen.add((kind, audience))
    assert {kind for kind, _ in seen} == set(EVENTS)
    assert {audience for _, audience in seen} == {"portal", "basic", "bank"}
    assert {read(one)["aud"] for one in channel.sent} >= {"portal", "basic"}
    for token in channel.sent:
        claims = read(token)
        assert set(claims) == {"iss", "aud", "iat", "exp", "jti", "events", "sub", "sid"}
        assert claims["sub"] in subs[claims["aud"]]
        assert claims["events"] == {LOGOUT: {}}
    sent = [json.dumps(read(one), ensure_ascii=False) for one in (*channel.sent, *tokens)]
    assert found_in("\n".join(sent), everybodys(world)) == set()
    assert entries(world) == before


def entries(world: World) -> int:
    with world.transaction() as services:
        return sum(services.db.execute(select(subject_chain.c.length)).scalars())


def in_force(world: World) -> list[str]:
    with world.transaction() as services:
        found = services.consents.of_subject(world.subject_in(services, "lan"))
        return [one.id for one in found if one.ended_at is None]


def narrow(world: World, consent: str) -> None:
    lan, path = world.sign_in(how="passkey"), f"/me/consents/{consent}/narrow"
    page = lan.open("/me/consents")
    if page.has_form(path):
        lan.submit(page.form(path), keep=["name"], lasts="90")


def renew(world: World, consent: str) -> None:
    with world.transaction() as services:
        found = next(
            one
            for one in services.consents.of_subject(world.subject_in(services, "lan"))
            if one.id == consent
        )
    world.tick(
        seconds=max(0, (found.valid_until - world.installation.clock()).total_seconds() - 86400)
    )
    lan, path = world.sign_in(how="passkey"), f"/me/consents/{consent}/renew"
    page = lan.open(path)
    if page.status == 200:
        lan.submit(page.form(path))


def withdraw(world: World, consent: str) -> None:
    lan, path = world.sign_in(how="passkey"), f"/me/consents/{consent}/withdraw"
    page = lan.open("/me/consents")
    if page.has_form(path):
        lan.submit(page.form(path))


# --- To people.


@dataclass
class Post:
    """Takes over every message."""

    taken: list[Message] = field(default_factory=list)

    def send(self, message: Message) -> None:
        self.taken.append(message)


def test_messages_say_nothing_of_anybody(world: World) -> None:
    """Whatever a notice is about, and whatever it holds for her own pages: mail is read by others."""
    post, known = Post(), everybodys(world)
    world.installation.messengers = {By.EMAIL: post, By.TEXT_MESSAGE: post}  # type: ignore[dict-item]
    everything = {name: said[0] for name, said in known.items()}
    facts = {
        **everything, "client_id": "bank", "claim": "email", "before": everything["email"],
        "after": everything["phone_number"], "officer": "x", "words": everything["name"],
    }  # fmt: skip
    subject, sent = world.subject(), 0
    to = {By.EMAIL: "hop-thu@example.vn", By.TEXT_MESSAGE: "+84900000077"}
    for language, is_discreet in (("vi", False), ("en", False), (None, False), ("en", True)):
        with world.transaction() as services:
            say(services, subject, language, is_discreet=is_discreet)
            for kind in NoticeKind:
                for by, address in to.items():
                    services.notices.tell(subject, kind, facts, by=by, address=address)
                    sent += 1
        while delivery.deliver(world.installation)["delivered"]:
            pass
    assert len(post.taken) == sent
    assert {one.to for one in post.taken} == set(to.values())
    for one in post.taken:
        said = f"{one.subject}\n{one.text}"
        assert found_in(said, known) == set(), one
        # Nor which agency it is about, which in a discreet one would tell the most.
        assert "bank" not in said
        assert "Ngân hàng" not in said
        assert set(re.findall(r"https?://[^/\s]+", said)) == {world.issuer}
    # Discreet ones are all the same.
    assert len({(one.subject, one.text) for one in post.taken[-2 * len(NoticeKind) :]}) == 1


def say(services: Services, subject: str, language: str | None, *, is_discreet: bool) -> None:
    account = services.accounts.find_of_subject(subject)
    assert account is not None
    if language:
        services.accounts.remember_language(account.id, language)
    found = services.notice_choices.of(subject)
    services.notice_choices.choose(subject, replace(found, is_discreet=is_discreet))


# --- To operators.

LAN = "999190000001"
VIEWS: dict[str, tuple[str, ...]] = {
    "account show": (LAN,), "account history": (LAN,), "account lock": (LAN,),
    "account unlock": (LAN,), "account renumber": (LAN, "999190000099"),
    "account naturalise": ("FRAX0000001", "999190000098"),
    "account close": ("999190000099", "--reason", "death"),
}  # fmt: skip
"""Commands that tell of an account: each is an entry in its holder's record."""
TELL_NOBODY: dict[str, tuple[str, ...]] = {
    "account activation-code": ("999190000098",), "accounts template": (),
    "archive list": (), "archive run": (), "archive verify": (),
    "archive set-aside": ("2020-01", "--reference", "7/2026"), "archive evidence": ("none",),
    "keys data": (), "keys list": (), "keys rotate": (), "ledger check": (), "ledger mend": (),
    "ledger policy": (), "ledger rebuild": (), "ledger receipt-keys": (), "ledger reconcile": (),
    "ledger run": ("--once",), "ledger sealed": (), "ledger status": (),
    "ledger open": ("none", "--warrant", "7/2026", "--out", "out"),
    "mandate list": (TAX_CODE,), "mandate dismiss-head": (TAX_CODE, LAN),
    "mandate appoint-head": (TAX_CODE, LAN, "--decision", "7/2026"),
    "officer add": (LAN, "--office", "Công an phường Mẫu"), "officer list": (),
    "officer remove": (LAN,), "outbox show": (), "outbox retry": ("portal",), "purge": (),
    "registers status": (), "regulator export": (), "relying-party list": (),
    "relying-party disable": ("basic",),
}  # fmt: skip
"""What they print is looked through for anybody's values."""
APART = {
    # Programs, what has no database, and what takes in and does not tell.
    "serve", "demo", "init", "seed", "verify", "witness", "auditor", "audit announce",
    "audit draw", "audit check", "oversight key", "oversight open", "accounts import",
    "authenticators import-metadata", "relying-party add", "keys change-secret",
    "keys rotate-data", "registers fault", "registers generate", "registers happen",
    "registers people", "registers read-card", "registers serve", "registers show-face",
}  # fmt: skip


@pytest.fixture
def sen(
    world: World, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Result]:
    for name in [name for name in os.environ if name.startswith("SEN_")]:
        monkeypatch.delenv(name)
    (tmp_path / "secret").write_text(base64.b64encode(INSTALLATION_SECRET).decode())
    monkeypatch.setenv("SEN_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("SEN_DATABASE_URL", database_url)
    monkeypatch.setenv("SEN_ISSUER", world.issuer)
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(main, arguments)


def commands(group: click.Group = main, path: str = "") -> Iterator[str]:
    for name, one in group.commands.items():
        if isinstance(one, click.Group):
            yield from commands(one, f"{path}{name} ")
        else:
            yield f"{path}{name}"


def looks(world: World) -> list[str]:
    """Return whose records say that an operator looked, once for each time."""
    with world.transaction() as services:
        subjects = services.db.execute(select(subject_chain.c.subject_id)).scalars().all()
        return [
            subject
            for subject in subjects
            for one in services.use_log.of_subject(subject, limit=1000)
            if one.use.channel is Channel.OPERATOR_VIEW
        ]


def fail(*_: object) -> None:
    raise InjectedError


def test_what_commands_tell_of_somebody_stands_in_her_record_first(
    world: World, sen: Callable[..., Result]
) -> None:
    assert set(commands()) == {*VIEWS, *TELL_NOBODY} | APART
    known = everybodys(world)
    for command, arguments in VIEWS.items():
        before = len(looks(world))
        # Nothing is told where the entry did not come to be.
        event.listen(Engine, "commit", fail)
        try:
            stopped = sen(*command.split(), *arguments)
        finally:
            event.remove(Engine, "commit", fail)
        assert isinstance(stopped.exception, InjectedError), command
        assert stopped.stdout == "", command
        assert len(looks(world)) == before
        told = sen(*command.split(), *arguments)
        assert told.exit_code == 0, (command, told.output)
        assert len(looks(world)) == before + 1, command
        assert found_in(told.output, known) == set(), command
    before = len(looks(world))
    for command, arguments in TELL_NOBODY.items():
        told = sen(*command.split(), *arguments)
        assert told.exception is None or isinstance(told.exception, SystemExit), command
        assert found_in(told.output, known) == set(), command
    assert len(looks(world)) == before
