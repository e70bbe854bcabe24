"""Invitations to set a phone up without a passkey on it: an office's code, or the person's own card read.

One is good in one browser session, for one passkey, for a quarter of an hour. Each step is one
conditional UPDATE, so that nobody is second with it.
"""

import base64
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    ForeignKey,
    LargeBinary,
    String,
    Table,
    delete,
    insert,
    select,
    update,
)

from accounts.schema import Chance, Clock, UTCDateTime, metadata, new_id
from accounts.vault import Vault

LIFE = timedelta(minutes=15)
_CODE_BYTES = 10


class InvitedBy(StrEnum):
    """What an invitation rests on."""

    OFFICE = "office"
    """An officer saw the person and her document."""
    CHIP = "chip"
    """A sign-in with the password, and the chip of the person's own identity card."""


phone_invitation = Table(
    "phone_invitation",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("account_id", String(32), ForeignKey("account.id"), nullable=False, index=True),
    Column("way", String(16), nullable=False),
    # Of an office's code; nobody else needs one.
    Column("code_mac", LargeBinary, unique=True),
    # The only browser session in which it is good, once there is one.
    Column("session_id", String(32)),
    Column("made_at", UTCDateTime, nullable=False),
    Column("expires_at", UTCDateTime, nullable=False, index=True),
    Column("used_at", UTCDateTime),
)


class PhoneInvitations:
    """All invitations."""

    def __init__(self, db: Connection, clock: Clock, chance: Chance, vault: Vault) -> None:
        self._db = db
        self._clock = clock
        self._chance = chance
        self._vault = vault

    def by_office(self, account_id: str) -> str:
        """Make an invitation and return its code, which is kept as a MAC only; it ends those before."""
        code = base64.b32encode(self._chance(_CODE_BYTES)).decode()
        self._make(account_id, InvitedBy.OFFICE, code_mac=self._code_mac(code))
        return "-".join(code[i : i + 4] for i in range(0, len(code), 4))

    def by_chip(self, account_id: str, session_id: str) -> None:
        """Make an invitation for the session in which the card was read; it ends those before."""
        self._make(account_id, InvitedBy.CHIP, session_id=session_id)

    def of_code(self, code: str) -> str | None:
        """Return the account that the code is for, while no session has taken it."""
        return self._db.execute(
            select(phone_invitation.c.account_id).where(*self._is_free(code))
        ).scalar()

    def take(self, code: str, session_id: str) -> bool:
        """Make the code good in this session and nowhere else; False when it is not free."""
        return (
            self._db.execute(
                update(phone_invitation).where(*self._is_free(code)).values(session_id=session_id)
            ).rowcount
            == 1
        )

    def is_open(self, account_id: str, session_id: str) -> bool:
        """True while this session may make a passkey by an invitation."""
        found = select(phone_invitation.c.id).where(*self._is_of(account_id, session_id))
        return self._db.execute(found).first() is not None

    def use(self, account_id: str, session_id: str) -> bool:
        """Use the session's invitation up; False when it has none."""
        return (
            self._db.execute(
                update(phone_invitation)
                .where(*self._is_of(account_id, session_id))
                .values(used_at=self._clock())
            ).rowcount
            == 1
        )

    def end_all(self, account_id: str) -> int:
        """End the account's open invitations; return how many."""
        now = self._clock()
        return self._db.execute(
            update(phone_invitation)
            .where(
                phone_invitation.c.account_id == account_id,
                phone_invitation.c.used_at.is_(None),
                phone_invitation.c.expires_at > now,
            )
            .values(expires_at=now)
        ).rowcount

    def purge(self, now: datetime) -> int:
        """Remove invitations that ran out; return how many."""
        return self._db.execute(
            delete(phone_invitation).where(phone_invitation.c.expires_at <= now)
        ).rowcount

    def _make(self, account_id: str, way: InvitedBy, **values: object) -> None:
        self.end_all(account_id)
        now = self._clock()
        self._db.execute(
            insert(phone_invitation).values(
                id=new_id(now, self._chance),
                account_id=account_id,
                way=way.value,
                made_at=now,
                expires_at=now + LIFE,
                **values,
            )
        )

    def _is_free(self, code: str) -> tuple[ColumnElement[bool], ...]:
        return (
            phone_invitation.c.code_mac == self._code_mac(code),
            phone_invitation.c.session_id.is_(None),
            phone_invitation.c.used_at.is_(None),
            phone_invitation.c.expires_at > self._clock(),
        )

    def _is_of(self, account_id: str, session_id: str) -> tuple[ColumnElement[bool], ...]:
        return (
            phone_invitation.c.account_id == account_id,
            phone_invitation.c.session_id == session_id,
            phone_invitation.c.used_at.is_(None),
            phone_invitation.c.expires_at > self._clock(),
        )

    def _code_mac(self, code: str) -> bytes:
        typed = "".join(code.split()).replace("-", "").upper()
        return self._vault.mac("phone-invitation", typed)
