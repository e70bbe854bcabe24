"""Data keys: replaced while servers run, interrupted and gone on with; the secret changed."""

import secrets
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import LargeBinary, select

from accounts.attributes import Source
from accounts.data_keys import data_key
from accounts.errors import SealBrokenError
from accounts.resealing import BATCH, is_used, sealed_columns
from accounts.schema import metadata
from accounts.vault import ROOT, Vault, key_id_of, sealed_with
from idp import data_rotation
from idp.data_rotation import Rotated, change_secret, destroy_outlived, rotate
from idp.database import connect, for_reading
from idp.services import Installation
from idp.upkeep import purge
from tests.support.stores import settings_for
from tests.support.world import World

NOT_SEALED = {
    "account.user_handle", "activation.code_mac", "application.reference_mac",
    "application_agreement.blind_index", "ceremony.browser", "ceremony.challenge_hash",
    "chip_request.code_mac", "chip_request.nonce",
    "consent.asked", "consent.notice_hash", "data_key.sealed", "data_use.commitment",
    "failure.key", "identifier.blind_index", "interaction.browser", "interaction.id_hash",
    "ledger_head.head", "ledger_head.idx", "ledger_log.root", "ledger_piece.data",
    "ledger_policy.digest", "ledger_tile.data",
    "notice.hash", "passkey.credential_id", "passkey.public_key", "passkey.user_handle",
    "phone.public_key", "phone_invitation.code_mac", "qr_sign_in.browser", "qr_sign_in.signature",
    "regulator_export.file",
    "spent_assertion.key", "subject_chain.head", "subject_chain.removed_head",
}  # fmt: skip


def turn(installation: Installation, **more: Any) -> Rotated:
    silent: dict[str, Any] = {
        "expect": lambda _n: None, "done": lambda _n: None, "wait": lambda _t: None,
    }  # fmt: skip
    return rotate(installation, **{**silent, **more})


def keys_in_use(world: World) -> set[int]:
    """Return the keys of everything sealed in the database."""
    found = set()
    with world.transaction() as services:
        for one in sealed_columns():
            values = services.db.execute(select(one.column).where(one.column.is_not(None)))
            found |= {key_id_of(value) for value in values.scalars()}
    return found


def held(world: World) -> Any:
    with world.transaction() as services:
        subject = world.subject_in(services, "lan")
        return (
            services.held.of_subject(subject)[Source.SELF].values,
            [one.value for one in services.subjects.identifiers_of(subject)],
            services.use_log.is_intact(subject),
        )


def test_every_binary_column_says_whether_it_is_sealed() -> None:
    sealed = {f"{one.table.name}.{one.column.name}" for one in sealed_columns()}
    binary = {
        f"{table.name}.{column.name}"
        for table in metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, LargeBinary)
    }
    assert binary - sealed == NOT_SEALED


def test_everything_is_sealed_anew_and_the_old_key_destroyed(world: World) -> None:
    browser = world.sign_in()
    world.browser().visit(world.party().begin().url)  # parks an interaction
    before, counted = held(world), []
    assert keys_in_use(world) == {1}
    rotated = turn(world.installation, expect=counted.append)
    assert (rotated.key_id, rotated.retired, [rotated.values]) == (2, [1], counted)
    assert keys_in_use(world) == {2}
    assert held(world) == before
    assert browser.open("/me").status == 200
    # The old key opens for an hour what was on its way, and then nothing.
    old = b"".join((sealed_with(1), bytes(40)))
    assert destroy_outlived(world.installation) == 0
    world.tick(hours=1)
    assert purge(world.installation)["data keys"] == 1
    world.installation.data_key_ring.forget()
    assert world.installation.data_key_ring.find(1) is None
    with pytest.raises(SealBrokenError):
        world.installation.vault.open("identifier", old)
    assert held(world) == before


def test_an_interrupted_rotation_is_gone_on_with(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, batches = held(world), []
    monkeypatch.setattr("accounts.resealing.BATCH", 3)
    assert BATCH > 3

    def stop(values: int) -> None:
        batches.append(values)
        if len(batches) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        turn(world.installation, done=stop)
    assert keys_in_use(world) == {1, 2}
    assert held(world) == before
    rest: list[int] = []
    rotated = turn(world.installation, expect=rest.append)
    assert rotated.key_id == 2
    assert rotated.values == rest[0] > 0
    assert keys_in_use(world) == {2}
    assert held(world) == before


def test_what_is_written_meanwhile_is_not_lost(world: World) -> None:
    """A server that has not seen the new key yet writes with the old one, before and after it."""
    slow = Installation(
        settings_for(str(world.installation.engine.url), world.installation.settings.data_dir)
        if world.installation.engine.dialect.name == "sqlite"
        else world.installation.settings,
        clock=world.installation.clock,
    )
    lan, minh = world.subject("lan"), world.subject("minh")

    def write(subject: str, nickname: str) -> None:
        with slow.engine.begin() as db:
            slow.services(db).held.hold(subject, Source.SELF, {"nickname": nickname})

    def late(_span: timedelta) -> None:
        write(minh, "Sau")
        world.tick(seconds=10)

    try:
        write(lan, "Trước")
        turn(world.installation, expect=lambda _n: write(lan, "Giữa"), wait=late)
        assert keys_in_use(world) == {2}
        with world.transaction() as services:
            told = [services.held.of_subject(s)[Source.SELF].values for s in (lan, minh)]
        assert told == [{"nickname": "Giữa"}, {"nickname": "Sau"}]
        write(lan, "Nay")
        assert keys_in_use(world) == {2}
    finally:
        slow.engine.dispose()


def test_a_long_transaction_keeps_its_key_alive(world: World) -> None:
    """What was sealed before the key retired, and committed after, is sealed anew by upkeep."""
    lan = world.subject()
    late = world.installation.vault.seal("held-attributes", b"{}", context=lan)
    turn(world.installation)
    with world.transaction() as services:
        services.db.execute(
            metadata.tables["held_attributes"].update()
            .where(metadata.tables["held_attributes"].c.subject_id == lan)
            .values(sealed=late)
        )  # fmt: skip
    world.tick(hours=2)
    assert is_used(for_reading(world.installation.engine), 1)
    assert destroy_outlived(world.installation) == 1
    assert keys_in_use(world) == {2}


def test_what_cannot_be_opened_stops_it_and_keeps_the_key(world: World) -> None:
    broken = metadata.tables["held_attributes"]
    lan = world.subject()
    with world.transaction() as services:
        bytes_ = sealed_with(1) + secrets.token_bytes(60)
        services.db.execute(broken.update().where(broken.c.subject_id == lan).values(sealed=bytes_))
    with pytest.raises(SealBrokenError, match=f"held_attributes.sealed of {lan}"):
        turn(world.installation)
    with world.transaction() as services:
        keys = world.installation.data_keys(services.db).all()
    assert [key.id for key in keys if key.retired_at is None] == [1, 2]


def test_writers_that_never_stop_are_reported(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    lan = world.subject()
    old = world.installation.vault.seal("held-attributes", b"{}", context=lan)
    held_ = metadata.tables["held_attributes"]

    def undo(_values: int) -> None:
        with world.transaction() as services:
            services.db.execute(held_.update().where(held_.c.subject_id == lan).values(sealed=old))

    monkeypatch.setattr(data_rotation, "_ROUNDS", 2)
    with pytest.raises(data_rotation.StillWrittenError):
        turn(world.installation, done=undo)


def test_an_installation_older_than_data_keys_gets_them(world: World) -> None:
    """The secret sealed everything: it becomes the root, and after a day opens nothing any more."""
    installation = world.installation
    plain = Vault(installation.settings.secret)
    with world.transaction() as services:
        services.db.execute(data_key.delete())
        lan = world.subject_in(services, "lan")
        held_ = metadata.tables["held_attributes"]
        sealed = plain.seal("held-attributes", b"{}", context=lan)
        services.db.execute(held_.delete())
        services.db.execute(
            held_.insert().values(subject_id=lan, sealed=sealed, updated_at=world.clock())  # type: ignore[misc]
        )
        for name in ("identifier", "subject_key", "signing_key"):
            services.db.execute(metadata.tables[name].delete())
    old = Installation(installation.settings, engine=installation.engine, clock=world.clock)  # type: ignore[arg-type]
    assert old.vault.seal("x", b"")[:1] == b"\x01"
    assert old.vault.mac("pairwise-sub", "a") == plain.mac("pairwise-sub", "a")
    assert turn(old).retired == [ROOT]
    assert keys_in_use(world) == {1}
    assert old.vault.open("held-attributes", sealed, context=lan) == b"{}"
    world.tick(days=1)
    assert old.vault.mac("pairwise-sub", "a") == plain.mac("pairwise-sub", "a")
    with pytest.raises(SealBrokenError):
        old.vault.open("held-attributes", sealed, context=lan)


def test_the_secret_can_be_changed(world: World) -> None:
    installation, new = world.installation, secrets.token_bytes(48)
    before = held(world), installation.vault.mac("pairwise-sub", "a")
    assert change_secret(installation, new)
    # A server that runs goes on with the keys it knows.
    world.tick(minutes=1)
    assert held(world) == before[0]
    assert not change_secret(installation, new)
    unchanged = Installation(
        installation.settings, engine=installation.engine, clock=installation.clock
    )
    with pytest.raises(SealBrokenError):
        unchanged.vault.seal("x", b"")
    changed = Installation(
        replace(installation.settings, secret=new),
        engine=installation.engine,
        clock=installation.clock,
    )
    assert changed.vault.mac("pairwise-sub", "a") == before[1]
    with changed.engine.begin() as db:
        found = changed.services(db).subjects.find_for_sign_in("lan")
    assert found == world.subject()
    with pytest.raises(SealBrokenError):
        change_secret(installation, secrets.token_bytes(48))


def test_two_who_rotate_at_once_use_one_key(world: World) -> None:
    other = connect(world.installation.engine.url.render_as_string(hide_password=False))
    try:
        with other.begin() as db:
            assert world.installation.data_keys(db).add() == 2
        assert turn(world.installation).key_id == 2
    finally:
        other.dispose()
