"""Grants: what a relying party holds after a code was redeemed, until it is revoked or expires.

Every way to stop a relying party (withdrawal, lock, sign-out, reuse of a code or refresh token)
marks the grant's row, so each release needs to look at this one row only.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, NamedTuple, Protocol

import orjson
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Index,
    Integer,
    String,
    Table,
    Text,
    bindparam,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from accounts.account import AccountState, account, account_lock
from accounts.attributes import HeldAttributes, held_attributes
from accounts.levels import AuthenticationLevel
from accounts.mandates import Mandates
from accounts.schema import Clock, UTCDateTime, metadata
from accounts.sessions import browser_session
from accounts.statements import NeedsTransactionError, Statement, given, stands_alone
from consent.data_use import subject_chain, subject_key
from consent.decisions import Consent, ConsentState, consent
from consent.purposes import is_current
from consent.use_log import CHAIN_COLUMNS, KEY_OF_YEAR, Condition, UseLog, chain_of
from idp.oidc import data_use_requests
from idp.oidc.backchannel import BackChannelLogout
from idp.oidc.codes import AuthorizationCode
from idp.oidc.refusals import Reason
from idp.settings import Lifetimes

oauth_grant = Table(
    "oauth_grant",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("client_id", String(255), nullable=False),
    # No foreign keys: account, session and consent were read under lock by the very transaction
    # that writes the row, and three more look-ups would double its cost.
    Column("account_id", String(32), nullable=False, index=True),
    Column("subject_id", String(32), nullable=False),
    Column("session_id", String(32), nullable=False, index=True),
    Column("consent_id", String(32), nullable=False, index=True),
    Column("acting_for", String(32)),
    Column("mandate_id", String(32)),
    Column("scope", Text, nullable=False),
    Column("attributes", Text, nullable=False),
    Column("userinfo_claims", Text, nullable=False),
    Column("id_token_claims", Text, nullable=False),
    Column("purpose", String(32), nullable=False),
    Column("purpose_version", Integer, nullable=False),
    Column("legal_basis", String(32), nullable=False),
    Column("level", Integer, nullable=False),
    Column("acr", String(40), nullable=False),
    Column("amr", String(64), nullable=False),
    Column("auth_time", BigInteger, nullable=False),
    Column("offline", Boolean, nullable=False),
    Column("created_at", UTCDateTime, nullable=False),
    Column("expires_at", UTCDateTime, nullable=False),
    Column("refresh_counter", Integer, nullable=False),
    Column("refreshed_at", UTCDateTime, nullable=False),
    Column("revoked_at", UTCDateTime),
    # What authorization_details asked (RFC 9396), as JSON; empty when nothing was asked so.
    Column("details", Text),
    # With room beside it, a row that a refresh changes needs no new entries in five indexes.
    postgresql_with={"fillfactor": 70},
)
Index("ix_oauth_grant_expires_at", oauth_grant.c.expires_at)


class Grant(NamedTuple):
    """A grant as it stands, with the account's kind and level."""

    id: str
    client_id: str
    account_id: str
    account_kind: str
    account_level: str
    subject_id: str
    session_id: str
    consent_id: str
    acting_for: str | None
    mandate_id: str | None
    scope: str
    attributes: frozenset[str]
    userinfo_claims: tuple[str, ...]
    id_token_claims: tuple[str, ...]
    purpose: str
    purpose_version: int
    legal_basis: str
    level: int
    acr: str
    amr: tuple[str, ...]
    auth_time: int
    offline: bool
    expires_at: datetime
    refresh_counter: int
    refreshed_at: datetime
    revoked_at: datetime | None
    details: dict[str, Any] | None


class CodeSpentError(Exception):
    """The code was redeemed before; whatever it led to has been revoked."""


class CodeVoidError(Exception):
    """What the code stood on is gone: consent withdrawn, session ended or account locked."""


_STANDS = (
    consent.c.id == bindparam("consent"),
    consent.c.state == ConsentState.ACTIVE.value,
    consent.c.valid_until > bindparam("now", type_=UTCDateTime),
    browser_session.c.ended_at.is_(None),
    account.c.state == AccountState.ACTIVE.value,
    ~select(account_lock.c.account_id).where(account_lock.c.account_id == account.c.id).exists(),
)
"""What a code must still stand on: consent, session and account."""

_CONSENTED = consent.join(
    browser_session, browser_session.c.id == bindparam("session", type_=String)
).join(account, account.c.id == browser_session.c.account_id)

_standing_now = (
    select(
        consent.c.attributes,
        consent.c.purpose,
        consent.c.purpose_version,
        consent.c.legal_basis,
        consent.c.valid_until,
        account.c.kind.label("account_kind"),
        account.c.level.label("account_level"),
        held_attributes.c.sealed.label("held"),
        *CHAIN_COLUMNS,
    )
    .select_from(_CONSENTED)
    .join(subject_chain, subject_chain.c.subject_id == account.c.subject_id)
    .outerjoin(subject_key, KEY_OF_YEAR)
    .outerjoin(held_attributes, held_attributes.c.subject_id == account.c.subject_id)
    .where(*_STANDS)
)
# Withdrawal, sign-out and locking wait for us, or we for them: never in between. Everybody locks in
# this order: account, session, consent, grant, chain.
_standing = Statement(
    _standing_now.with_for_update(
        of=[account, browser_session, consent, subject_chain], key_share=True
    )
)
_standing_unlocked = Statement(_standing_now)
_live_now = (
    select(
        oauth_grant,
        account.c.kind.label("account_kind"),
        account.c.level.label("account_level"),
        held_attributes.c.sealed.label("held"),
        *CHAIN_COLUMNS,
    )
    .join(account, account.c.id == oauth_grant.c.account_id)
    .join(subject_chain, subject_chain.c.subject_id == oauth_grant.c.subject_id)
    .outerjoin(subject_key, KEY_OF_YEAR)
    .outerjoin(held_attributes, held_attributes.c.subject_id == oauth_grant.c.subject_id)
    .where(oauth_grant.c.id == bindparam("which"))
)
_live = Statement(_live_now.with_for_update(of=[oauth_grant, subject_chain], key_share=True))
_live_unlocked = Statement(_live_now)
_rotate = Statement(
    update(oauth_grant)
    .where(
        oauth_grant.c.id == bindparam("which"),
        oauth_grant.c.refresh_counter == bindparam("counter"),
        oauth_grant.c.revoked_at.is_(None),
    )
    .values(refresh_counter=bindparam("next"), refreshed_at=bindparam("now", type_=UTCDateTime))
)
_spend = Statement(
    lambda dialect: (
        (postgresql if dialect == "postgresql" else sqlite)
        .insert(oauth_grant)
        .values({column.name: bindparam(column.name) for column in oauth_grant.c})
        .on_conflict_do_nothing()
        .returning(oauth_grant.c.id)
    )
)

# The same on a connection without transactions: judged, and written, with the entry.
_IF_LIVE = Condition(
    select(oauth_grant.c.id)
    .where(oauth_grant.c.id == bindparam("which"), oauth_grant.c.revoked_at.is_(None))
    # Without, a release judged just before a withdrawal could be committed just after it.
    .with_for_update(read=True)
    .cte("holds"),
    writes=False,
)
_IF_ROTATED = Condition(
    update(oauth_grant)
    .where(
        oauth_grant.c.id == bindparam("which"),
        oauth_grant.c.refresh_counter == bindparam("counter"),
        oauth_grant.c.revoked_at.is_(None),
    )
    .values(refresh_counter=bindparam("next"), refreshed_at=bindparam("now", type_=UTCDateTime))
    .returning(oauth_grant.c.id)
    .cte("holds"),
    writes=True,
)
_IF_SPENT = Condition(
    insert(oauth_grant)
    .from_select(
        [column.name for column in oauth_grant.c],
        select(*(given(column) for column in oauth_grant.c))
        .select_from(_CONSENTED)
        .where(*_STANDS)
        .with_for_update(of=[account, browser_session, consent], read=True),
    )
    .returning(oauth_grant.c.id)
    .cte("holds"),
    writes=True,
)


_WHY_ENDED = {
    ConsentState.WITHDRAWN.value: Reason.WITHDRAWN,
    ConsentState.PAUSED.value: Reason.PAUSED,
}


class Seldom(Protocol):
    """What only some grants need, made when it is asked for."""

    @property
    def mandates(self) -> Mandates: ...  # noqa: D102
    @property
    def logout(self) -> BackChannelLogout: ...  # noqa: D102


class Grants:
    """All grants.

    On a connection without transactions nothing is locked: what was read is judged again by the
    statement that writes the release's entry (``UseLog.only_if``), and whatever that cannot do
    raises ``NeedsTransactionError``.
    """

    def __init__(
        self,
        db: Connection,
        clock: Clock,
        lifetimes: Lifetimes,
        use_log: UseLog,
        held: HeldAttributes,
        seldom: Seldom,
    ) -> None:
        self._db = db
        self._clock = clock
        self._lifetimes = lifetimes
        self._use_log = use_log
        self._held = held
        self._seldom = seldom

    def redeem(self, code: AuthorizationCode) -> Grant:
        """Spend the code and return the grant it becomes.

        Raises:
            CodeSpentError: it was spent before; that grant is now revoked (RFC 6749 §4.1.2).
            CodeVoidError: the consent, session or account it stood on no longer stands.
        """
        now = self._clock()
        on = {"consent": code.consent_id, "session": code.session_id, "now": now}
        alone = stands_alone(self._db)
        statement = _standing_unlocked if alone else _standing
        standing = statement.first(self._db, {**on, "year": now.year})
        if alone and (standing is None or code.mandate_id is not None):
            raise NeedsTransactionError
        if standing is None or not self._may_act(
            code.mandate_id, code.subject_id, standing.purpose
        ):
            if self.find(code.grant_id) is not None:
                self.revoke(code.grant_id)
            raise CodeVoidError
        values = self._values(code, standing, now)
        if alone:
            self._use_log.only_if(_IF_SPENT, {**on, **values})
        elif _spend.first(self._db, values) is None:
            self.revoke(code.grant_id)
            raise CodeSpentError
        self._adopt(code.subject_id, standing)
        return _grant(
            SimpleNamespace(
                **values,
                account_kind=standing.account_kind,
                account_level=standing.account_level,
            )
        )

    def find(self, grant_id: str) -> Grant | None:
        """Return the grant, alive or not, locked until the transaction ends.

        What a release will need is read along, so that it costs no further round trip.
        """
        alone = stands_alone(self._db)
        statement = _live_unlocked if alone else _live
        row = statement.first(self._db, {"which": grant_id, "year": self._clock().year})
        if row is None:
            return None
        if alone:
            if row.mandate_id is not None:
                raise NeedsTransactionError
            self._use_log.only_if(_IF_LIVE, {"which": grant_id})
        self._adopt(row.subject_id, row)
        return _grant(row)

    def find_live(self, grant_id: str) -> Grant | None:
        """Return the grant if nothing has ended it."""
        found = self.find(grant_id)
        return found if found is not None and self.is_live(found) else None

    def is_live(self, grant: Grant) -> bool:
        """True while the grant is neither revoked nor expired."""
        return (
            grant.revoked_at is None
            and self._clock() < grant.expires_at
            # What was agreed to is not what the purpose says now.
            and is_current(grant.purpose, grant.purpose_version)
            and self._may_act(grant.mandate_id, grant.subject_id, grant.purpose)
        )

    def why_dead(self, grant: Grant) -> Reason:
        """Return why a grant that is not live is not."""
        if not self._may_act(grant.mandate_id, grant.subject_id, grant.purpose):
            return Reason.MANDATE_ENDED
        ended = Reason.EXPIRED if grant.revoked_at is None else Reason.ENDED
        return self._why_ended(grant.consent_id, grant.account_id) or ended

    def why_void(self, code: AuthorizationCode) -> Reason:
        """Return why a code that was never redeemed can't be any more."""
        return self._why_ended(code.consent_id, code.account_id) or Reason.ENDED

    def _why_ended(self, consent_id: str, account_id: str) -> Reason | None:
        state = self._db.execute(select(consent.c.state).where(consent.c.id == consent_id)).scalar()
        locked = self._db.execute(
            select(account_lock.c.account_id).where(account_lock.c.account_id == account_id)
        )
        if state not in _WHY_ENDED and locked.first() is not None:
            return Reason.LOCKED
        return _WHY_ENDED.get(state or "")

    def may_refresh(self, grant: Grant) -> bool:
        """True while a refresh token of the grant may still be used."""
        return (
            grant.offline
            and self.is_live(grant)
            and self._clock() < grant.refreshed_at + self._lifetimes.refresh_idle
        )

    def rotate(self, grant_id: str, counter: int) -> bool:
        """Count one refresh, if nobody counted it before; one UPDATE decides."""
        values = {
            "which": grant_id,
            "counter": counter,
            "next": counter + 1,
            "now": self._clock(),
        }
        if stands_alone(self._db):
            self._use_log.only_if(_IF_ROTATED, values)
            return True
        return _rotate.change(self._db, values) == 1

    def revoke(self, grant_id: str) -> None:
        """End one grant and every token of it: the relying party's own doing, so it is not told."""
        self._revoke(oauth_grant.c.id == grant_id)

    def revoke_of_consent(self, consent_id: str) -> int:
        """End what was granted upon a consent; return how many grants that was."""
        return self._end(oauth_grant.c.consent_id == consent_id)

    def revoke_of_session(self, session_id: str) -> int:
        """End what lived on a browser session; offline access goes on, but nobody is signed in by it
        any more (Back-Channel Logout 1.0 §2.7).
        """
        of_session = (oauth_grant.c.session_id == session_id, oauth_grant.c.revoked_at.is_(None))
        self._tell(
            self._db.execute(
                select(
                    oauth_grant.c.client_id, oauth_grant.c.account_id, oauth_grant.c.session_id
                ).where(*of_session)
            ).all()
        )
        return self._revoke(*of_session, oauth_grant.c.offline.is_(False))

    def revoke_of_account(self, account_id: str) -> int:
        """End everything granted on behalf of an account."""
        return self._end(oauth_grant.c.account_id == account_id)

    def revoke_of_principal(self, subject_id: str) -> int:
        """End everything in which somebody acts for the subject."""
        return self._end(oauth_grant.c.acting_for == subject_id)

    def revoke_of_mandates(self, mandate_ids: set[str]) -> int:
        """End everything in which somebody acts under one of the mandates."""
        return self._end(oauth_grant.c.mandate_id.in_(mandate_ids))

    def revoke_of_relying_party(self, client_id: str) -> int:
        """End everything a relying party holds."""
        return self._revoke(oauth_grant.c.client_id == client_id)

    def follow_consent(self, old_id: str, new: Consent) -> None:
        """Move grants from a superseded consent to its successor, dropping what it no longer
        permits; they end when it does.
        """
        rows = self._db.execute(
            select(oauth_grant).where(
                oauth_grant.c.consent_id == old_id, oauth_grant.c.revoked_at.is_(None)
            )
        ).all()
        for row in rows:
            kept = sorted(new.attributes.intersection(orjson.loads(row.attributes)))
            lifetime = self._lifetime(row.level, offline=row.offline)
            self._db.execute(
                update(oauth_grant)
                .where(oauth_grant.c.id == row.id)
                .values(
                    consent_id=new.id,
                    attributes=orjson.dumps(kept).decode(),
                    purpose_version=new.purpose_version,
                    expires_at=min(new.valid_until, row.created_at + lifetime),
                )
            )

    def purge(self, before: datetime) -> int:
        """Remove grants that expired before the moment; return how many.

        A grant is also its code's spent mark, so ``before`` must lie further back than any code
        lives.
        """
        return self._db.execute(
            delete(oauth_grant).where(oauth_grant.c.expires_at <= before)
        ).rowcount

    def _may_act(self, mandate_id: str | None, agent_id: str, purpose: str) -> bool:
        """True when the person acts for herself, or by a mandate that is still in force and reaches
        as far.
        """
        if mandate_id is None:
            return True
        found = self._seldom.mandates.find_in_force(mandate_id, agent_id)
        return found is not None and found.terms.permits(purpose)

    def _adopt(self, subject_id: str, row: Any) -> None:
        self._use_log.adopt(subject_id, chain_of(row))
        self._held.adopt(subject_id, row.held)

    def _end(self, *which: ColumnElement[bool]) -> int:
        """Revoke, and tell the relying parties that the person is no longer signed in."""
        ended = self._db.execute(
            update(oauth_grant)
            .where(*which, oauth_grant.c.revoked_at.is_(None))
            .values(revoked_at=self._clock())
            .returning(oauth_grant.c.client_id, oauth_grant.c.account_id, oauth_grant.c.session_id)
        ).all()
        self._tell(ended)
        return len(ended)

    def _tell(self, ended: Sequence[Any]) -> None:
        for client_id, account_id, session_id in sorted({tuple(row) for row in ended}):
            self._seldom.logout.tell(client_id, account_id, session_id)

    def _revoke(self, *which: ColumnElement[bool]) -> int:
        return self._db.execute(
            update(oauth_grant)
            .where(*which, oauth_grant.c.revoked_at.is_(None))
            .values(revoked_at=self._clock())
        ).rowcount

    def _lifetime(self, level: int, *, offline: bool) -> timedelta:
        lives = self._lifetimes
        return (
            lives.refresh_absolute
            if offline
            else lives.session_absolute[AuthenticationLevel(level)]
        )

    def _values(self, code: AuthorizationCode, standing: Any, now: datetime) -> dict[str, Any]:
        lifetime = self._lifetime(code.level, offline=code.offline)
        return {
            "id": code.grant_id,
            "client_id": code.client_id,
            "account_id": code.account_id,
            "subject_id": code.subject_id,
            "session_id": code.session_id,
            "consent_id": code.consent_id,
            "acting_for": code.acting_for,
            "mandate_id": code.mandate_id,
            "scope": code.scope,
            "attributes": orjson.dumps(standing.attributes).decode(),
            "userinfo_claims": " ".join(code.userinfo_claims),
            "id_token_claims": " ".join(code.id_token_claims),
            "purpose": standing.purpose,
            "purpose_version": standing.purpose_version,
            "legal_basis": standing.legal_basis,
            "level": code.level,
            "acr": code.acr,
            "amr": " ".join(code.amr),
            "auth_time": code.auth_time,
            "offline": code.offline,
            "created_at": now,
            "expires_at": min(standing.valid_until, now + lifetime),
            "refresh_counter": 0,
            "refreshed_at": now,
            "revoked_at": None,
            "details": orjson.dumps(code.details).decode() if code.details is not None else None,
        }


def details_of(grant: Grant) -> list[dict[str, Any]]:
    """Return the grant's ``authorization_details`` as they stand now (RFC 9396 §7)."""
    return data_use_requests.granted(
        grant.details,
        purpose=grant.purpose,
        legal_basis=grant.legal_basis,
        given=grant.attributes,
    )


def _grant(row: Any) -> Grant:
    return Grant(
        id=row.id,
        client_id=row.client_id,
        account_id=row.account_id,
        account_kind=row.account_kind,
        account_level=row.account_level,
        subject_id=row.subject_id,
        session_id=row.session_id,
        consent_id=row.consent_id,
        acting_for=row.acting_for,
        mandate_id=row.mandate_id,
        scope=row.scope,
        attributes=frozenset(orjson.loads(row.attributes)),
        userinfo_claims=tuple(row.userinfo_claims.split()),
        id_token_claims=tuple(row.id_token_claims.split()),
        purpose=row.purpose,
        purpose_version=row.purpose_version,
        legal_basis=row.legal_basis,
        level=row.level,
        acr=row.acr,
        amr=tuple(row.amr.split()),
        auth_time=row.auth_time,
        offline=row.offline,
        expires_at=row.expires_at,
        refresh_counter=row.refresh_counter,
        refreshed_at=row.refreshed_at,
        revoked_at=row.revoked_at,
        details=orjson.loads(row.details) if row.details is not None else None,
    )
