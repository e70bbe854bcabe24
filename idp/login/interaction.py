"""Interactions: authorization requests parked while the person signs in, chooses and decides.

An interaction belongs to the browser that first opened it and is answered exactly once. It lives in
the database, so it survives restarts and is the same on every worker.
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    Column,
    Connection,
    LargeBinary,
    String,
    Table,
    delete,
    insert,
    select,
    update,
)

from accounts.schema import Chance, Clock, UTCDateTime, metadata
from accounts.vault import Vault, sealed_as
from idp.login.errors import InteractionGoneError
from idp.oidc.request import AuthorizationRequest
from idp.settings import Lifetimes

_ID = re.compile(r"[0-9a-f]{48}", re.ASCII)
SELF = "self"
"""The acting-for choice of a person who acts in her own name."""

interaction = Table(
    "interaction",
    metadata,
    Column("id_hash", LargeBinary, primary_key=True),
    Column("browser", LargeBinary),
    Column("sealed", LargeBinary, nullable=False, info=sealed_as("interaction", "id_hash")),
    Column("started_at", UTCDateTime, nullable=False),
    Column("expires_at", UTCDateTime, nullable=False, index=True),
    Column("step_up_at", UTCDateTime),
    Column("step_ended_at", UTCDateTime),
    Column("acting_for", String(32)),
    Column("consent_id", String(32)),
    Column("answered_at", UTCDateTime),
)


@dataclass(frozen=True)
class Interaction:
    """A parked request and how far it has come.

    ``is_step_ended`` when the person declined to prove more, or cannot; ``acting_for`` is a mandate's
    id or ``SELF``; ``consent_id`` the consent decided in it.
    """

    id: str
    request: AuthorizationRequest
    started_at: datetime
    step_up_at: datetime | None
    is_step_ended: bool
    acting_for: str | None
    consent_id: str | None


class Interactions:
    """All interactions."""

    def __init__(
        self, db: Connection, clock: Clock, chance: Chance, vault: Vault, lifetimes: Lifetimes
    ) -> None:
        self._db = db
        self._clock = clock
        self._chance = chance
        self._vault = vault
        self._lifetimes = lifetimes

    def park(self, request: AuthorizationRequest, browser: bytes | None) -> str:
        """Keep the request and return the interaction's id; ``browser`` is None when the request
        came by cross-site POST, which carries no cookie of ours.
        """
        now = self._clock()
        interaction_id = self._chance(24).hex()
        digest = _hash(interaction_id)
        self._db.execute(
            insert(interaction).values(
                id_hash=digest,
                browser=browser,
                # A login hint is personal, so the request is sealed.
                sealed=self._vault.seal(
                    "interaction", request.to_json().encode(), context=digest.hex()
                ),
                started_at=now,
                expires_at=now + self._lifetimes.interaction,
            )
        )
        return interaction_id

    def take_up(self, interaction_id: str, browser: bytes) -> Interaction:
        """Return the interaction for its browser; the first browser to ask becomes that.

        Raises:
            InteractionGoneError: there is none for this browser, or it is over.
        """
        if not _ID.fullmatch(interaction_id):
            raise InteractionGoneError
        digest = _hash(interaction_id)
        row = self._db.execute(
            select(interaction).where(
                interaction.c.id_hash == digest,
                interaction.c.expires_at > self._clock(),
                interaction.c.answered_at.is_(None),
            )
        ).first()
        if row is None:
            raise InteractionGoneError
        if row.browser is None:
            self._db.execute(
                update(interaction)
                .where(interaction.c.id_hash == digest, interaction.c.browser.is_(None))
                .values(browser=browser)
            )
        elif row.browser != browser:
            raise InteractionGoneError
        plain = self._vault.open("interaction", row.sealed, context=digest.hex())
        return Interaction(
            interaction_id,
            AuthorizationRequest.from_json(plain.decode()),
            row.started_at,
            row.step_up_at,
            row.step_ended_at is not None,
            row.acting_for,
            row.consent_id,
        )

    def note_step_up(self, interaction_id: str) -> None:
        """Remember that a stronger sign-in was asked for, so that it is asked once."""
        self._change(interaction_id, step_up_at=self._clock())

    def end_step(self, interaction_id: str) -> None:
        """Remember that no further proof is to be had, so that the flow goes on without."""
        self._change(interaction_id, step_ended_at=self._clock())

    def choose_acting(self, interaction_id: str, choice: str) -> None:
        """Remember in whose name the person acts."""
        self._change(interaction_id, acting_for=choice)

    def note_consent(self, interaction_id: str, consent_id: str) -> None:
        """Remember the consent decided here."""
        self._change(interaction_id, consent_id=consent_id)

    def claim_decision(self, interaction_id: str) -> bool:
        """Claim the right to record the consent decision; one UPDATE decides among equals."""
        return (
            self._db.execute(
                update(interaction)
                .where(
                    interaction.c.id_hash == _hash(interaction_id),
                    interaction.c.consent_id.is_(None),
                    interaction.c.answered_at.is_(None),
                )
                .values(consent_id="")
            ).rowcount
            == 1
        )

    def finish(self, interaction_id: str) -> None:
        """Answer the interaction.

        Raises:
            InteractionGoneError: it was answered before.
        """
        finished = self._db.execute(
            update(interaction)
            .where(
                interaction.c.id_hash == _hash(interaction_id),
                interaction.c.answered_at.is_(None),
            )
            .values(answered_at=self._clock())
        ).rowcount
        if finished != 1:
            raise InteractionGoneError

    def purge(self, now: datetime) -> int:
        """Forget interactions that are over; return how many."""
        return self._db.execute(delete(interaction).where(interaction.c.expires_at <= now)).rowcount

    def _change(self, interaction_id: str, **values: object) -> None:
        self._db.execute(
            update(interaction)
            .where(interaction.c.id_hash == _hash(interaction_id))
            .values(**values)
        )


def _hash(interaction_id: str) -> bytes:
    return hashlib.sha256(interaction_id.encode()).digest()
