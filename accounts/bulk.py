"""Many new accounts in a few statements: the same rows that ``Subjects``, ``Accounts`` and
``HeldAttributes`` write one by one, for people who come from another system.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from accounts.account import (
    ACTIVATION_CODE_LIFETIME,
    OPERATOR,
    AccountKind,
    AccountState,
    EventKind,
    account,
    account_event,
    activation,
    code_mac,
    new_code,
)
from accounts.attributes import Held, Source, held_attributes, sealed_document
from accounts.levels import AccountLevel
from accounts.schema import Chance, Clock, new_id
from accounts.statements import insert_many
from accounts.subject import IdentifierType, SubjectKind, canonical, identifier, subject
from accounts.vault import Vault


@dataclass(frozen=True)
class NewPerson:
    """A person with her account. Of ``identifiers`` the first is the one she is known by; ``held`` is
    what is known of her, by source.
    """

    kind: AccountKind
    level: AccountLevel
    identifiers: tuple[tuple[IdentifierType, str], ...]
    identifier_source: Source
    held: tuple[Held, ...]


@dataclass(frozen=True)
class Issued:
    """What was made of a new person."""

    subject_id: str
    account_id: str
    code: str


class BulkAccounts:
    """Issues many accounts within one transaction."""

    def __init__(self, db: Connection, clock: Clock, chance: Chance, vault: Vault) -> None:
        self._db = db
        self._clock = clock
        self._chance = chance
        self._vault = vault

    def index(self, type_: IdentifierType, value: str) -> bytes:
        """Return the blind index of an identifier."""
        return self._vault.blind_index(type_.value, canonical(type_, value))

    def owners(self, indexes: Iterable[bytes]) -> dict[bytes, str]:
        """Return who bears which of these identifiers now."""
        rows = self._db.execute(
            select(identifier.c.blind_index, identifier.c.subject_id).where(
                identifier.c.blind_index.in_(list(indexes)), identifier.c.valid_to.is_(None)
            )
        )
        return {row.blind_index: row.subject_id for row in rows}

    def issue(self, people: Sequence[NewPerson], *, ground: str, with_codes: bool) -> list[Issued]:
        """Issue an account to each; nobody of them may have one.

        A unique index refuses the whole of it when an identifier is somebody's already.
        """
        now = self._clock()
        rows: dict[Any, list[dict[str, Any]]] = {
            table: []
            for table in (subject, identifier, account, account_event, held_attributes, activation)
        }
        issued = [self._add(rows, person, now, ground, with_codes=with_codes) for person in people]
        for table, values in rows.items():
            if values:
                insert_many(self._db, table, values)
        return issued

    def _add(
        self,
        rows: dict[Any, list[dict[str, Any]]],
        person: NewPerson,
        now: datetime,
        ground: str,
        *,
        with_codes: bool,
    ) -> Issued:
        subject_id, account_id = new_id(now, self._chance), new_id(now, self._chance)
        rows[subject].append(
            {"id": subject_id, "kind": SubjectKind.PERSON.value, "created_at": now}
        )
        for type_, value in person.identifiers:
            text = canonical(type_, value)
            rows[identifier].append(
                {
                    "id": new_id(now, self._chance),
                    "subject_id": subject_id,
                    "type": type_.value,
                    "sealed": self._vault.seal("identifier", text.encode(), context=subject_id),
                    "blind_index": self._vault.blind_index(type_.value, text),
                    "source": person.identifier_source.value,
                    "valid_from": now,
                }
            )
        rows[account].append(
            {
                "id": account_id,
                "subject_id": subject_id,
                "kind": person.kind.value,
                "level": person.level.value,
                "state": AccountState.ISSUED.value,
                "user_handle": self._chance(32),
                "issued_at": now,
            }
        )
        event_id = new_id(now, self._chance)
        rows[account_event].append(
            {
                "id": event_id,
                "account_id": account_id,
                "kind": EventKind.ISSUED.value,
                "reason": person.level.value,
                "actor": OPERATOR.kind.value,
                "ground": self._vault.seal("account-event", ground.encode(), context=event_id),
                "at": now,
            }
        )
        rows[held_attributes].append(
            {
                "subject_id": subject_id,
                "sealed": sealed_document(self._vault, subject_id, person.held),
                "updated_at": now,
            }
        )
        code = new_code(self._chance) if with_codes else ""
        if code:
            rows[activation].append(
                {
                    "account_id": account_id,
                    "code_mac": code_mac(self._vault, account_id, code),
                    "expires_at": now + ACTIVATION_CODE_LIFETIME,
                }
            )
        return Issued(subject_id, account_id, code)
