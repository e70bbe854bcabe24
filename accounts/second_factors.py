"""Second factors beside a password: an authenticator app (TOTP) and a printed card of codes.

Neither needs a smartphone of its own, both prove possession, and neither resists a false page into
which the person types what she is asked; a passkey does.
"""

import hmac
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    ForeignKey,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Row,
    String,
    Table,
    delete,
    func,
    insert,
    select,
    update,
)

from accounts.schema import Chance, Clock, UTCDateTime, metadata, new_id
from accounts.vault import Vault, sealed_as

CARD_CODES: Final = 20
CARD_CODE_DIGITS: Final = 10
TOTP_DIGITS: Final = 6
_STEP_SECONDS: Final = 30
_SECRET_BYTES: Final = 20
_BEGUN_FOR = timedelta(minutes=15)

totp = Table(
    "totp",
    metadata,
    Column("account_id", String(32), ForeignKey("account.id"), nullable=False),
    # An app in use stays in use until a code of the next one confirmed that.
    Column("in_use", Boolean, nullable=False),
    Column("sealed", LargeBinary, nullable=False, info=sealed_as("totp", "account_id")),
    Column("since", UTCDateTime, nullable=False),
    Column("last_step", BigInteger, nullable=False),
    PrimaryKeyConstraint("account_id", "in_use"),
)

code_card = Table(
    "code_card",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("account_id", String(32), ForeignKey("account.id"), nullable=False, unique=True),
    Column("made_at", UTCDateTime, nullable=False),
)

card_code = Table(
    "card_code",
    metadata,
    Column("card_id", String(32), ForeignKey("code_card.id", ondelete="CASCADE"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("hash", String(255), nullable=False),
    Column("used_at", UTCDateTime),
    PrimaryKeyConstraint("card_id", "position"),
)


@dataclass(frozen=True)
class Card:
    """A printed card of one-time codes; ``next_position`` (from 1) is None when all are used."""

    id: str
    made_at: datetime
    left: int
    next_position: int | None


@dataclass(frozen=True)
class Held:
    """The second factors that an account has and that can be used now."""

    totp_since: datetime | None
    card: Card | None

    @property
    def any(self) -> bool:
        """True when there is one to ask for."""
        return self.totp_since is not None or self.asked_position is not None

    @property
    def asked_position(self) -> int | None:
        """The number of the code that is asked for from the card."""
        return self.card.next_position if self.card else None


class SecondFactors:
    """All second factors."""

    def __init__(self, db: Connection, clock: Clock, chance: Chance, vault: Vault) -> None:
        self._db = db
        self._clock = clock
        self._chance = chance
        self._vault = vault

    def held(self, account_id: str) -> Held:
        """Return what the account has; an app that was never confirmed does not count."""
        since: datetime | None = self._db.execute(
            select(totp.c.since).where(totp.c.account_id == account_id, totp.c.in_use)
        ).scalar()
        return Held(since, self._card(account_id))

    def begin_totp(self, account_id: str) -> None:
        """Make a new secret for the account's app; it counts once a code confirmed it."""
        self._forget_totp(account_id, in_use=False)
        self._db.execute(
            insert(totp).values(
                account_id=account_id,
                in_use=False,
                sealed=self._vault.seal("totp", self._chance(_SECRET_BYTES), context=account_id),
                since=self._clock(),
                last_step=0,
            )
        )

    def begun_totp(self, account_id: str) -> bytes | None:
        """Return the secret that waits for its first code, for 15 minutes."""
        begun = self._totp(account_id, in_use=False)
        if begun is None or self._clock() - begun.since >= _BEGUN_FOR:
            return None
        return self._secret(begun)

    def confirm_totp(self, account_id: str, code: str) -> bool:
        """Take the app into use if the code is its own, in place of the one before."""
        begun = self._totp(account_id, in_use=False)
        if begun is None or self._clock() - begun.since >= _BEGUN_FOR:
            return False
        if not self._spend_totp(begun, code):
            return False
        self._forget_totp(account_id, in_use=True)
        self._db.execute(
            update(totp)
            .where(totp.c.account_id == account_id, ~totp.c.in_use)
            .values(in_use=True, since=self._clock())
        )
        return True

    def remove_totp(self, account_id: str) -> bool:
        """Forget the app; False when there was none in use."""
        self._forget_totp(account_id, in_use=False)
        return self._forget_totp(account_id, in_use=True)

    def spend_totp(self, account_id: str, code: str) -> bool:
        """True when the code is the app's of now, or of 30 seconds before or after, and was not
        used before (RFC 6238 §5.2); it is used then.
        """
        found = self._totp(account_id, in_use=True)
        return found is not None and self._spend_totp(found, code)

    def make_card(self, account_id: str, hashes: list[str]) -> None:
        """Keep the hashes of a new card's codes, in the card's order; the card before is void."""
        self.remove_card(account_id)
        now = self._clock()
        card_id = new_id(now, self._chance)
        self._db.execute(insert(code_card).values(id=card_id, account_id=account_id, made_at=now))
        self._db.execute(
            insert(card_code),
            [
                {"card_id": card_id, "position": position, "hash": hashed}
                for position, hashed in enumerate(hashes, 1)
            ],
        )

    def remove_card(self, account_id: str) -> bool:
        """Make the card void; False when there was none."""
        card = self._db.execute(
            select(code_card.c.id).where(code_card.c.account_id == account_id)
        ).scalar()
        self._db.execute(delete(card_code).where(card_code.c.card_id == card))
        return self._db.execute(delete(code_card).where(code_card.c.id == card)).rowcount == 1

    def hash_of_next(self, card: Card) -> str | None:
        """Return the hash of the code that is asked for next."""
        found: str | None = self._db.execute(
            select(card_code.c.hash).where(
                card_code.c.card_id == card.id,
                card_code.c.position == card.next_position,
                card_code.c.used_at.is_(None),
            )
        ).scalar()
        return found

    def spend_card_code(self, card: Card) -> bool:
        """Use the code that was asked for up; False when somebody else did so meanwhile."""
        return (
            self._db.execute(
                update(card_code)
                .where(
                    card_code.c.card_id == card.id,
                    card_code.c.position == card.next_position,
                    card_code.c.used_at.is_(None),
                )
                .values(used_at=self._clock())
            ).rowcount
            == 1
        )

    def hash_at(self, account_id: str, position: int) -> str | None:
        """Return the hash of the card's code with this number, if it is unused."""
        found: str | None = self._db.execute(
            select(card_code.c.hash)
            .join(code_card, code_card.c.id == card_code.c.card_id)
            .where(
                code_card.c.account_id == account_id,
                card_code.c.position == position,
                card_code.c.used_at.is_(None),
            )
        ).scalar()
        return found

    def spend_at(self, account_id: str, position: int) -> bool:
        """Use the code with this number up; False when somebody else did so meanwhile."""
        card = select(code_card.c.id).where(code_card.c.account_id == account_id)
        return (
            self._db.execute(
                update(card_code)
                .where(
                    card_code.c.card_id == card.scalar_subquery(),
                    card_code.c.position == position,
                    card_code.c.used_at.is_(None),
                )
                .values(used_at=self._clock())
            ).rowcount
            == 1
        )

    def purge(self, now: datetime) -> int:
        """Forget apps that were never confirmed; return how many."""
        return self._db.execute(
            delete(totp).where(~totp.c.in_use, totp.c.since <= now - _BEGUN_FOR)
        ).rowcount

    def _card(self, account_id: str) -> Card | None:
        row = self._db.execute(
            select(
                code_card.c.id,
                code_card.c.made_at,
                func.count(card_code.c.position).label("left"),
                func.min(card_code.c.position).label("next"),
            )
            .outerjoin_from(
                code_card,
                card_code,
                (card_code.c.card_id == code_card.c.id) & card_code.c.used_at.is_(None),
            )
            .where(code_card.c.account_id == account_id)
            .group_by(code_card.c.id, code_card.c.made_at)
        ).first()
        return None if row is None else Card(row.id, row.made_at, row.left, row.next)

    def _totp(self, account_id: str, *, in_use: bool) -> Row[Any] | None:
        return self._db.execute(
            select(totp).where(totp.c.account_id == account_id, totp.c.in_use.is_(in_use))
        ).first()

    def _forget_totp(self, account_id: str, *, in_use: bool) -> bool:
        return (
            self._db.execute(
                delete(totp).where(totp.c.account_id == account_id, totp.c.in_use.is_(in_use))
            ).rowcount
            == 1
        )

    def _secret(self, row: Row[Any]) -> bytes:
        return self._vault.open("totp", row.sealed, context=row.account_id)

    def _spend_totp(self, row: Row[Any], code: str) -> bool:
        digits = re.sub(r"\s", "", code)
        if not re.fullmatch(rf"[0-9]{{{TOTP_DIGITS}}}", digits, re.ASCII):
            return False
        step = self._step_of(self._secret(row), digits)
        if step is None:
            return False
        # One UPDATE decides who spends the code, however many bring it at once.
        return (
            self._db.execute(
                update(totp)
                .where(
                    totp.c.account_id == row.account_id,
                    totp.c.in_use.is_(row.in_use),
                    totp.c.last_step < step,
                )
                .values(last_step=step)
            ).rowcount
            == 1
        )

    def _step_of(self, secret: bytes, digits: str) -> int | None:
        now = int(self._clock().timestamp()) // _STEP_SECONDS
        app = _app(secret)
        right = None
        for step in (now - 1, now, now + 1):
            if hmac.compare_digest(app.generate(step * _STEP_SECONDS), digits.encode()):
                right = step
        return right


def new_card_codes(chance: Chance) -> list[str]:
    """Return the codes of a new card."""
    return [
        str(int.from_bytes(chance(16), "big") % 10**CARD_CODE_DIGITS).zfill(CARD_CODE_DIGITS)
        for _ in range(CARD_CODES)
    ]


def spaced(code: str) -> str:
    """Return a card's code as people read it."""
    middle = CARD_CODE_DIGITS // 2
    return f"{code[:middle]} {code[middle:]}"


def otpauth_uri(secret: bytes, *, issuer: str, login: str) -> str:
    """Return the address by which authenticator apps take a secret over."""
    return _app(secret).get_provisioning_uri(login, issuer)


def _app(secret: bytes) -> TOTP:
    # SHA-1, six digits, 30 seconds: what every authenticator app can do. Its weakness against
    # collisions does not touch HMAC (RFC 6238 §1.2).
    return TOTP(secret, TOTP_DIGITS, SHA1(), _STEP_SECONDS)  # noqa: S303 - see above
