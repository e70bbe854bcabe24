"""Signing in by QR code: begun in one browser, approved on a phone, redeemed by the browser that began.

::

    created -> shown -> claimed -> approved -> redeemed
                           |-> declined | failed        (and expired, when time is over)

The row is the truth, so any worker goes on after any other and after a restart. Every step is one
conditional UPDATE; what is final never changes again. What each rule answers is told in RFC 10027
(security of cross-device flows): the moving frame a copied picture, the first scan that claims a race,
the number a push into the blue. None of them stops a false page that relays live, so a session that
begins like this may not do everything (docs/decisions/0018).
"""

import base64
import hashlib
import hmac
import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import orjson
from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    and_,
    case,
    delete,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from accounts.phones import Phones
from accounts.schema import Chance, Clock, UTCDateTime, metadata, new_id
from accounts.sessions import BrowserSession
from accounts.vault import Vault, sealed_as
from idp import audit, limits
from idp.limits import Limits
from idp.login.errors import (
    PasskeyAskedError,
    QrElsewhereError,
    QrGoneError,
    QrNumberError,
    QrRefusedError,
    QrTakenError,
    TooManyFailuresError,
)
from idp.login.sign_in import Visitor

SHOWN_FOR = timedelta(seconds=120)
"""For so long frames are drawn; then the person begins anew."""
DECIDE_WITHIN = timedelta(seconds=60)
"""From scan to approval, and from approval to the browser's picking it up."""
_OLDEST_FRAME = timedelta(seconds=5)
_AHEAD = timedelta(seconds=1)
PHONE_IDLE = timedelta(minutes=15)
"""After so long without use the phone's session needs its passkey again."""
_KEPT = timedelta(days=90)
_LONGEST_LIST = 20
_FRAME = re.compile(r"1\.([0-9a-f]{32})\.([0-9]{1,3})\.([A-Za-z0-9_-]{22})", re.ASCII)


class QrState(StrEnum):
    """Where a sign-in stands; ``EXPIRED`` is said of whatever ran out of time."""

    CREATED = "created"
    SHOWN = "shown"
    CLAIMED = "claimed"
    APPROVED = "approved"
    DECLINED = "declined"
    FAILED = "failed"
    REDEEMED = "redeemed"
    EXPIRED = "expired"


_WAITING = (QrState.CREATED, QrState.SHOWN)
_OPEN = (*_WAITING, QrState.CLAIMED, QrState.APPROVED)

qr_sign_in = Table(
    "qr_sign_in",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("browser", LargeBinary, nullable=False),
    Column("sealed", LargeBinary, nullable=False, info=sealed_as("qr-sign-in", "id")),
    Column("client_id", String(255), nullable=False),
    Column("state", String(16), nullable=False),
    Column("same_device", Boolean, nullable=False),
    Column("number", Integer, nullable=False),
    Column("choices", JSON, nullable=False),
    Column("browser_name", String(200), nullable=False),
    Column("address", String(45), nullable=False),
    Column("begun_at", UTCDateTime, nullable=False),
    Column("expires_at", UTCDateTime, nullable=False, index=True),
    Column("claimed_at", UTCDateTime),
    # When somebody else scanned as well.
    Column("disturbed_at", UTCDateTime),
    Column("decided_at", UTCDateTime),
    Column("account_id", String(32), ForeignKey("account.id"), index=True),
    Column("session_id", String(32)),
    Column("phone_id", String(32), ForeignKey("phone.id")),
    Column("signature", LargeBinary),
)
# One at a time: whoever scans a second code gives the first one up.
Index(
    "uq_qr_sign_in_claimed",
    qr_sign_in.c.account_id,
    unique=True,
    sqlite_where=qr_sign_in.c.state == QrState.CLAIMED.value,
    postgresql_where=qr_sign_in.c.state == QrState.CLAIMED.value,
)


@dataclass(frozen=True)
class Wanted:
    """What somebody signs in for: the parked request and what it asks, or a page of her own."""

    client_id: str = ""
    interaction_id: str = ""
    next: str = ""
    scope: tuple[str, ...] = ()
    claims: tuple[str, ...] = ()
    purpose: str = ""
    level: str = ""


@dataclass(frozen=True)
class QrSignIn:
    """One sign-in by QR code. ``number`` is what the browser shows, among the phone's ``choices``."""

    id: str
    browser: bytes
    wanted: Wanted
    state: QrState
    same_device: bool
    number: int
    choices: tuple[int, ...]
    browser_name: str
    address: str
    begun_at: datetime
    expires_at: datetime
    is_disturbed: bool
    account_id: str | None
    session_id: str | None
    decided_at: datetime | None

    def statement(self, number: int | str) -> bytes:
        """Return what the phone signs: who is to learn what, in which browser, and her number."""
        data = orjson.dumps(
            {"purpose": self.wanted.purpose, "claims": sorted(self.wanted.claims)},
            option=orjson.OPT_SORT_KEYS,
        )
        seen = f"{self.browser.hex()}\n{self.browser_name}\n{self.address}"
        lines = (
            "Sen ID sign-in approval 1",
            f"transaction {self.id}",
            f"relying-party {self.wanted.client_id or 'none'}",
            f"scope {' '.join(self.wanted.scope)}",
            f"data {hashlib.sha256(data).hexdigest()}",
            f"browser {hashlib.sha256(seen.encode()).hexdigest()}",
            f"number {number}",
        )
        return "\n".join(lines).encode()


class QrSignIns:
    """All sign-ins by QR code."""

    def __init__(
        self,
        db: Connection,
        clock: Clock,
        chance: Chance,
        vault: Vault,
        phones: Phones,
        counted: Limits,
        issuer: str,
    ) -> None:
        self._db = db
        self._clock = clock
        self._chance = chance
        self._vault = vault
        self._phones = phones
        self._limits = counted
        self._issuer = issuer

    # The browser that begins.

    def begin(self, wanted: Wanted, visitor: Visitor, *, same_device: bool = False) -> QrSignIn:
        """Begin a sign-in for this browser.

        Raises:
            TooManyFailuresError: the browser began too many, or too many of its were declined.
        """
        started = (limits.QR_STARTS, f"{visitor.address} {visitor.binding.hex()}")
        declined = _declined(visitor.binding, visitor.address)
        if self._limits.is_exhausted(started, *declined):
            audit.security_event("qr.throttled", step="begin", address=visitor.address)
            raise TooManyFailuresError
        self._limits.count_failure(started)
        now = self._clock()
        id_ = new_id(now, self._chance)
        choices = _three_numbers(self._chance)
        values: dict[str, Any] = {
            "id": id_,
            "browser": visitor.binding,
            # The request's id opens it, so it is nobody's but the browser's.
            "sealed": self._vault.seal("qr-sign-in", orjson.dumps(wanted), context=id_),
            "client_id": wanted.client_id,
            "state": QrState.CREATED.value,
            "same_device": same_device,
            "number": choices[self._chance(1)[0] % len(choices)],
            "choices": choices,
            "browser_name": visitor.browser[:200],
            "address": visitor.address[:45],
            "begun_at": now,
            "expires_at": now + SHOWN_FOR,
        }
        self._db.execute(insert(qr_sign_in).values(**values))
        return self._found(id_)

    def of_browser(self, id_: str, binding: bytes) -> QrSignIn:
        """Return the sign-in that this browser began.

        Raises:
            QrGoneError: it began none with this id.
        """
        found = self.find(id_)
        if found is None or not hmac.compare_digest(found.browser, binding):
            raise QrGoneError
        return found

    def frame(self, sign_in: QrSignIn) -> str:
        """Return the present frame: good for five seconds, as long as nobody scanned one."""
        return self._frame(sign_in, int((self._clock() - sign_in.begun_at).total_seconds()))

    def address_of(self, frame: str) -> str:
        """Return the address that the code spells."""
        return f"{self._issuer}/q/{frame}"

    def note_shown(self, sign_in: QrSignIn) -> None:
        """Remember that a frame was drawn."""
        if sign_in.state is QrState.CREATED:
            self._move(sign_in.id, (QrState.CREATED,), QrState.SHOWN)

    def redeem(self, id_: str, visitor: Visitor) -> QrSignIn:
        """Pick the approval up, once, in the browser that began.

        Raises:
            QrGoneError: it is not this browser's, not approved, or was picked up before.
        """
        found = self.of_browser(id_, visitor.binding)
        if not self._move(id_, (QrState.APPROVED,), QrState.REDEEMED):
            raise QrGoneError
        audit.security_event("qr.redeemed", account=found.account_id, address=visitor.address)
        return found

    # The phone.

    def claim(self, text: str, session: BrowserSession, visitor: Visitor) -> QrSignIn:
        """Take the sign-in whose frame the phone read; the first phone to do so has it.

        Raises:
            PasskeyAskedError: the phone's session proves too little.
            TooManyFailuresError: the account scanned too often.
            QrGoneError: no frame of ours, too old, or the sign-in is over.
            QrTakenError: another phone was first.
            QrElsewhereError: a link for the same device, opened in another network.
        """
        self.require_fit(session)
        scans = (limits.QR_SCANS, f"account {session.account_id}")
        if self._limits.is_exhausted(scans):
            audit.security_event("qr.throttled", step="scan", account=session.account_id)
            raise TooManyFailuresError
        self._limits.count_failure(scans)
        found = self._read(text)
        if found.session_id == session.id and found.state is QrState.CLAIMED:
            return found
        if found.same_device and not is_same_network(found.address, visitor.address):
            audit.security_event("qr.refused", reason="network", account=session.account_id)
            raise QrElsewhereError
        if found.state is QrState.CLAIMED:
            self._disturb(found, session)
            raise QrTakenError
        # An earlier code that was scanned and left is given up for this one.
        now = self._clock()
        self._db.execute(
            update(qr_sign_in)
            .where(
                qr_sign_in.c.account_id == session.account_id,
                qr_sign_in.c.state == QrState.CLAIMED.value,
            )
            .values(
                state=case(
                    (qr_sign_in.c.expires_at > now, QrState.FAILED.value),
                    else_=QrState.EXPIRED.value,
                ),
                decided_at=now,
            )
        )
        if not self._take(found.id, session):
            self._disturb(found, session)
            raise QrTakenError
        audit.security_event("qr.claimed", account=session.account_id, address=visitor.address)
        return self._found(found.id)

    def of_phone(self, id_: str, session: BrowserSession) -> QrSignIn:
        """Return the sign-in that the phone's session took.

        Raises:
            QrGoneError: it took none with this id.
        """
        found = self.find(id_)
        if found is None or (found.account_id, found.session_id) != (
            session.account_id,
            session.id,
        ):
            raise QrGoneError
        return found

    def approve(
        self, id_: str, session: BrowserSession, *, thumbprint: str, number: str, signature: bytes
    ) -> QrSignIn:
        """Approve: the phone's key signs what was asked and the number the person saw.

        Raises:
            PasskeyAskedError: the phone's session proves too little by now.
            QrGoneError: too late, or decided already.
            QrRefusedError: not signed by a phone of this account.
            QrNumberError: another number than the browser shows; that was the only try.
        """
        self.require_fit(session)
        found = self.of_phone(id_, session)
        if found.state is not QrState.CLAIMED:
            raise QrGoneError
        phone = self._phones.find(session.account_id, thumbprint)
        if phone is None or not phone.has_signed(found.statement(number), signature):
            audit.security_event("qr.refused", reason="signature", account=session.account_id)
            raise QrRefusedError
        if number != str(found.number):
            self._move(id_, (QrState.CLAIMED,), QrState.FAILED, phone_id=phone.id)
            audit.security_event("qr.refused", reason="number", account=session.account_id)
            raise QrNumberError
        approved = self._move(
            id_,
            (QrState.CLAIMED,),
            QrState.APPROVED,
            phone_id=phone.id,
            signature=signature,
            expires_at=self._clock() + DECIDE_WITHIN,
        )
        if not approved:
            raise QrGoneError
        self._phones.note_use(phone.id)
        audit.security_event("qr.approved", account=session.account_id)
        return self._found(id_)

    def decline(self, id_: str, session: BrowserSession) -> QrSignIn:
        """Decline; whoever began may soon begin no more.

        Raises:
            QrGoneError: too late, or decided already.
        """
        found = self.of_phone(id_, session)
        if not self._move(id_, (QrState.CLAIMED,), QrState.DECLINED):
            raise QrGoneError
        self._limits.count_failure(*_declined(found.browser, found.address))
        audit.security_event("qr.declined", account=session.account_id)
        return self._found(id_)

    def require_fit(self, session: BrowserSession) -> None:
        """Let only a phone approve that was signed in with a passkey and used lately.

        Raises:
            PasskeyAskedError: the passkey is needed again.
        """
        idle = self._clock() - session.last_seen_at
        if not session.strength.phishing_resistant or idle > PHONE_IDLE:
            raise PasskeyAskedError

    # Afterwards.

    def find(self, id_: str) -> QrSignIn | None:
        """Return the sign-in, whoever asks; for pages there are ``of_browser`` and ``of_phone``."""
        row = self._db.execute(select(qr_sign_in).where(qr_sign_in.c.id == id_)).first()
        return None if row is None else self._sign_in(row)

    def of_account(self, account_id: str) -> list[QrSignIn]:
        """Return what the account's phones took, newest first."""
        rows = self._db.execute(
            select(qr_sign_in)
            .where(qr_sign_in.c.account_id == account_id)
            .order_by(qr_sign_in.c.begun_at.desc())
            .limit(_LONGEST_LIST)
        )
        return [self._sign_in(row) for row in rows]

    def purge(self, now: datetime) -> int:
        """Forget what nobody scanned, and after 90 days the rest; return how many."""
        return self._db.execute(
            delete(qr_sign_in).where(
                or_(
                    and_(qr_sign_in.c.account_id.is_(None), qr_sign_in.c.expires_at <= now),
                    qr_sign_in.c.expires_at <= now - _KEPT,
                )
            )
        ).rowcount

    def _read(self, text: str) -> QrSignIn:
        spelled = _FRAME.fullmatch(text.strip().removeprefix(f"{self._issuer}/q/"))
        found = self.find(spelled[1]) if spelled else None
        if spelled is None or found is None:
            raise QrGoneError
        seconds = int(spelled[2])
        if not hmac.compare_digest(self._frame(found, seconds), spelled[0]):
            raise QrGoneError
        drawn_at = found.begun_at + timedelta(seconds=seconds)
        age = self._clock() - drawn_at
        oldest = SHOWN_FOR if found.same_device else _OLDEST_FRAME
        if not -_AHEAD <= age <= oldest:
            audit.security_event("qr.refused", reason="old-frame")
            raise QrGoneError
        if found.state not in {*_WAITING, QrState.CLAIMED}:
            raise QrGoneError
        return found

    def _take(self, id_: str, session: BrowserSession) -> bool:
        now = self._clock()
        try:
            with self._db.begin_nested():
                return self._move(
                    id_,
                    _WAITING,
                    QrState.CLAIMED,
                    decided=False,
                    account_id=session.account_id,
                    session_id=session.id,
                    claimed_at=now,
                    expires_at=now + DECIDE_WITHIN,
                )
        except IntegrityError:
            # The same account took another one in this very moment.
            return False

    def _disturb(self, found: QrSignIn, session: BrowserSession) -> None:
        self._db.execute(
            update(qr_sign_in)
            .where(qr_sign_in.c.id == found.id, qr_sign_in.c.state == QrState.CLAIMED.value)
            .values(disturbed_at=self._clock())
        )
        audit.security_event("qr.refused", reason="second-scan", account=session.account_id)

    def _move(
        self,
        id_: str,
        before: tuple[QrState, ...],
        after: QrState,
        *,
        decided: bool = True,
        **values: object,
    ) -> bool:
        """One UPDATE decides; False when the sign-in is not, or no more, where it has to be."""
        now = self._clock()
        if decided and QrState.CLAIMED in before:
            values["decided_at"] = now
        return (
            self._db.execute(
                update(qr_sign_in)
                .where(
                    qr_sign_in.c.id == id_,
                    qr_sign_in.c.state.in_([state.value for state in before]),
                    qr_sign_in.c.expires_at > now,
                )
                .values(state=after.value, **values)
            ).rowcount
            == 1
        )

    def _frame(self, sign_in: QrSignIn, seconds: int) -> str:
        key = self._vault.mac("qr-frame", sign_in.id, sign_in.browser)
        spoken = f"1|{sign_in.id}|{seconds}|{sign_in.wanted.client_id}"
        mac = hmac.digest(key, spoken.encode(), "sha256")[:16]
        return f"1.{sign_in.id}.{seconds}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"

    def _found(self, id_: str) -> QrSignIn:
        found = self.find(id_)
        if found is None:
            raise QrGoneError
        return found

    def _sign_in(self, row: Any) -> QrSignIn:
        document = orjson.loads(self._vault.open("qr-sign-in", row.sealed, context=row.id))
        lists = {name: tuple(document[name]) for name in ("scope", "claims")}
        state = QrState(row.state)
        return QrSignIn(
            id=row.id,
            browser=row.browser,
            wanted=Wanted(**{**document, **lists}),
            state=QrState.EXPIRED if state in _OPEN and row.expires_at <= self._clock() else state,
            same_device=row.same_device,
            number=row.number,
            choices=tuple(row.choices),
            browser_name=row.browser_name,
            address=row.address,
            begun_at=row.begun_at,
            expires_at=row.expires_at,
            is_disturbed=row.disturbed_at is not None,
            account_id=row.account_id,
            session_id=row.session_id,
            decided_at=row.decided_at,
        )


def _declined(browser: bytes, address: str) -> tuple[tuple[limits.Limit, str], ...]:
    # Many people share an address, so it takes more of them to close it.
    return (
        (limits.QR_DECLINED_BROWSER, browser.hex()),
        (limits.QR_DECLINED_ADDRESS, address),
    )


def is_same_network(one: str, other: str) -> bool:
    """True when both addresses are the same, or for IPv6 in the same /64, as one household's are."""
    return _household(one) == _household(other) != ""


def _household(address: str) -> str:
    """Return what the devices of one household share: the address, or the /64 of an IPv6 one; nothing
    if it is none.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return ""
    mapped = getattr(parsed, "ipv4_mapped", None)
    if parsed.version == 4 or mapped is not None:
        return str(mapped or parsed)
    return str(ipaddress.ip_network((parsed, 64), strict=False))


def _three_numbers(chance: Callable[[int], bytes]) -> list[int]:
    """Return three different numbers of two digits, in no order."""
    found: list[int] = []
    while len(found) < 3:
        number = 10 + int.from_bytes(chance(4), "big") % 90
        if number not in found:
            found.append(number)
    return found
