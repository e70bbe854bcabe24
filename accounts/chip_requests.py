"""Requests to read a card's chip: a code for the reader app and a nonce for the chip, each good once.

The nonce is what makes a reading ours and of now: a signature made for somebody else, or yesterday, is
over another one. Which request a reading answers is decided by one conditional UPDATE.
"""

import base64
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    ForeignKey,
    LargeBinary,
    String,
    Table,
    and_,
    delete,
    insert,
    select,
    update,
)

from accounts.chip.examination import NONCE_BYTES
from accounts.schema import Chance, Clock, UTCDateTime, metadata, new_id
from accounts.vault import Vault

LIFE = timedelta(minutes=5)
PROOF_LIFE = timedelta(minutes=5)
"""For so long after a good reading the browser that asked for it may go on with it."""
_CODE_BYTES = 10


class Purpose(StrEnum):
    """What a reading is for; the reader app shows it."""

    LEVEL_02 = "account-level-02"
    RECOVERY = "account-recovery"
    SIGN_IN = "authentication"
    PHONE = "phone-enrolment"


chip_request = Table(
    "chip_request",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("purpose", String(16), nullable=False),
    # For an application, or for an account that a browser session is signed in to.
    Column("application_id", String(32), ForeignKey("application.id"), index=True),
    Column("account_id", String(32), ForeignKey("account.id"), index=True),
    Column("session_id", String(32)),
    Column("code_mac", LargeBinary, nullable=False, unique=True),
    Column("nonce", LargeBinary, nullable=False),
    Column("made_at", UTCDateTime, nullable=False),
    Column("expires_at", UTCDateTime, nullable=False, index=True),
    Column("spent_at", UTCDateTime),
    # Why the reading that spent it was refused; empty while nothing is judged, or when it was good.
    Column("refusal", String(32), nullable=False),
    # When the card proved itself and its register called it valid, until the browser takes it up.
    Column("proved_at", UTCDateTime),
    Column("taken_at", UTCDateTime),
)


@dataclass(frozen=True)
class ChipRequest:
    """A request as it stands."""

    id: str
    purpose: Purpose
    application_id: str | None
    account_id: str | None
    session_id: str | None
    nonce: bytes
    expires_at: datetime
    spent_at: datetime | None
    refusal: str


class ChipRequests:
    """All requests."""

    def __init__(self, db: Connection, clock: Clock, chance: Chance, vault: Vault) -> None:
        self._db = db
        self._clock = clock
        self._chance = chance
        self._vault = vault

    def begin(self, application_id: str) -> str:
        """Make a request and return its code, which is kept as a MAC only; it ends the one before."""
        return self._begin(
            chip_request.c.application_id == application_id,
            purpose=Purpose.LEVEL_02.value,
            application_id=application_id,
        )

    def begin_for_account(self, purpose: Purpose, account_id: str, session_id: str) -> str:
        """Make a request for whoever is signed in and return its code, as ``begin`` does."""
        return self._begin(
            _of_account(account_id, purpose),
            purpose=purpose.value,
            account_id=account_id,
            session_id=session_id,
        )

    def _begin(self, before: ColumnElement[bool], **whose: str) -> str:
        now = self._clock()
        self._db.execute(
            update(chip_request)
            .where(before, chip_request.c.spent_at.is_(None))
            .values(spent_at=now)
        )
        code = base64.b32encode(self._chance(_CODE_BYTES)).decode()
        self._db.execute(
            insert(chip_request).values(
                id=new_id(now, self._chance),
                **whose,
                code_mac=self._code_mac(code),
                nonce=self._chance(NONCE_BYTES),
                made_at=now,
                expires_at=now + LIFE,
                refusal="",
            )
        )
        return "-".join(code[i : i + 4] for i in range(0, len(code), 4))

    def find_open(self, code: str) -> ChipRequest | None:
        """Return the request that bears this code, if a reading may still answer it."""
        row = self._db.execute(
            select(chip_request).where(
                chip_request.c.code_mac == self._code_mac(code),
                chip_request.c.spent_at.is_(None),
                chip_request.c.expires_at > self._clock(),
            )
        ).first()
        return _request(row) if row is not None else None

    def spend(self, code: str) -> ChipRequest | None:
        """Take the request for one reading; None when there is none, or another reading took it."""
        found = self.find_open(code)
        if found is None:
            return None
        spent = self._db.execute(
            update(chip_request)
            .where(chip_request.c.id == found.id, chip_request.c.spent_at.is_(None))
            .values(spent_at=self._clock())
        ).rowcount
        return found if spent == 1 else None

    def note_refusal(self, request_id: str, reason: str) -> None:
        """Keep why the reading was refused, for whoever asked for it."""
        self._db.execute(
            update(chip_request).where(chip_request.c.id == request_id).values(refusal=reason)
        )

    def note_proof(self, request_id: str) -> None:
        """Keep that the card proved itself, for the browser session that asked for it."""
        self._db.execute(
            update(chip_request)
            .where(chip_request.c.id == request_id)
            .values(proved_at=self._clock())
        )

    def take_proof(self, purpose: Purpose, account_id: str, session_id: str) -> bool:
        """Use up a proof of the last minutes that this session asked for; False when there is none."""
        now = self._clock()
        return (
            self._db.execute(
                update(chip_request)
                .where(
                    _of_account(account_id, purpose),
                    chip_request.c.session_id == session_id,
                    chip_request.c.proved_at > now - PROOF_LIFE,
                    chip_request.c.taken_at.is_(None),
                )
                .values(taken_at=now)
            ).rowcount
            > 0
        )

    def latest_of(self, application_id: str) -> ChipRequest | None:
        """Return the application's newest request."""
        return self._latest(chip_request.c.application_id == application_id)

    def latest_of_account(self, account_id: str, purpose: Purpose) -> ChipRequest | None:
        """Return the account's newest request for this purpose."""
        return self._latest(_of_account(account_id, purpose))

    def _latest(self, which: ColumnElement[bool]) -> ChipRequest | None:
        row = self._db.execute(
            select(chip_request)
            .where(which)
            .order_by(chip_request.c.made_at.desc(), chip_request.c.id.desc())
            .limit(1)
        ).first()
        return _request(row) if row is not None else None

    def purge(self, expired_before: datetime) -> int:
        """Remove requests that expired before the moment; return how many."""
        return self._db.execute(
            delete(chip_request).where(chip_request.c.expires_at < expired_before)
        ).rowcount

    def _code_mac(self, code: str) -> bytes:
        typed = "".join(code.split()).replace("-", "").upper()
        return self._vault.mac("chip-request", typed)


def _of_account(account_id: str, purpose: Purpose) -> ColumnElement[bool]:
    return and_(chip_request.c.account_id == account_id, chip_request.c.purpose == purpose.value)


def _request(row: Any) -> ChipRequest:
    return ChipRequest(
        row.id,
        Purpose(row.purpose),
        row.application_id,
        row.account_id,
        row.session_id,
        row.nonce,
        row.expires_at,
        row.spent_at,
        row.refusal,
    )
