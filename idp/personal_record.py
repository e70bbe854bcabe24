"""Everything held about one person, gathered for herself (Law 91/2025/QH15 Art. 4: to view and to
be given one's own data).

Secrets are left out (password hashes, keys of passkeys' copies, cookies), and so is what a register
said of other people. Uses come one by one: five years of them need no memory.
"""

from collections.abc import Iterator
from typing import IO, Any

import orjson
from sqlalchemy import Table, or_, select

from accounts.account import Account, ActorKind, account, account_lock
from accounts.applications import Application, Outcome
from accounts.attributes import DICTIONARY, best_value
from accounts.face_checks import face_check
from accounts.mandates import mandate
from accounts.notice_choices import notice_choice
from accounts.phones import phone
from accounts.secrets import password
from accounts.sessions import browser_session
from accounts.subject import subject
from consent.data_use import (
    BY_OFFICERS,
    PROVIDER,
    Channel,
    SubjectRole,
    Use,
    UseEntry,
    subject_chain,
)
from consent.decisions import consent, notice
from consent.history import Wanted
from consent.seen import seen_use
from consent.withdrawals import withdrawal
from idp.login.qr import qr_sign_in
from idp.oidc.grants import oauth_grant
from idp.services import Services

FORMAT = "sen-id/personal-record/1"
_UNTOLD = {
    "withdrawal": set[str](),
    "account": {"user_handle"},
    "browser_session": {"cookie_hash"},
    "consent": {"asked"},
    "oauth_grant": set[str](),
    "mandate": set[str](),
    "subject_chain": {"subject_id", "oldest_at"},
    "notice_choice": {"subject_id"},
    "seen_use": {"subject_id"},
    "account_lock": set[str](),
    "phone": {"account_id", "public_key"},
    "face_check": {"ticket_hash", "account_id"},
    "qr_sign_in": {"browser", "sealed", "number", "choices", "signature", "account_id"},
}
"""Columns that are secrets, or technical and without meaning for a person."""


class PersonalRecord:
    """What is held about one person, read within one transaction."""

    def __init__(self, services: Services, subject_id: str) -> None:
        self._services = services
        self._subject_id = subject_id

    def claims(self) -> tuple[str, ...]:
        """Return the names of the attributes held."""
        held = self._services.held.of_subject(self._subject_id)
        return tuple(sorted({claim for part in held.values() for claim in part.values}))

    def note_copy(self) -> None:
        """Write the use entry by which the person sees that a copy was made."""
        self._services.use_log.record(
            Use(
                subject_id=self._subject_id,
                client_id=PROVIDER,
                channel=Channel.EXPORT,
                attributes=self.claims(),
                purpose="own-copy",
                purpose_version=1,
                legal_basis="right-of-access",
                correlation=self._services.correlation,
            )
        )

    def facts(self) -> dict[str, Any]:
        """Return all but the uses: JSON values, and moments as ``datetime``."""
        db, services = self._services.db, self._services
        made = db.execute(select(subject).where(subject.c.id == self._subject_id)).one()
        accounts = [
            services.accounts.account(account_id)
            for account_id in db.execute(
                select(account.c.id)
                .where(account.c.subject_id == self._subject_id)
                .order_by(account.c.issued_at)
            ).scalars()
        ]
        return {
            "format": FORMAT,
            "issuer": services.installation.settings.issuer,
            "made_at": services.installation.clock(),
            "subject": {"id": made.id, "kind": made.kind, "created_at": made.created_at},
            "accounts": [self._account(one) for one in accounts],
            "identifiers": [
                {
                    "type": one.type.value,
                    "value": one.value,
                    "source": one.source,
                    "valid_from": one.valid_from,
                    "valid_to": one.valid_to,
                }
                for one in services.subjects.identifiers_of(self._subject_id)
            ],
            "attributes": [
                {"claim": claim, "value": value, "source": source.value, "as_of": part.as_of}
                for source, part in services.held.of_subject(self._subject_id).items()
                for claim, value in part.values.items()
            ],
            "chain_of_uses": self._chain(),
            "mandates": self._mandates(),
            "consents": self._rows(consent, consent.c.subject_id == self._subject_id),
            "withdrawals": self._rows(
                withdrawal,
                withdrawal.c.consent_id.in_(
                    select(consent.c.id).where(consent.c.subject_id == self._subject_id)
                ),
            ),
            "notices": self._consent_notices(),
            "told": [
                {
                    "kind": one.kind.value,
                    **_told(one.facts),
                    "made_at": one.made_at,
                    "read_at": one.read_at,
                }
                for one in services.notices.of_subject(self._subject_id)
            ],
            "notice_choices": self._rows(
                notice_choice, notice_choice.c.subject_id == self._subject_id
            ),
            "agencies_seen": self._rows(seen_use, seen_use.c.subject_id == self._subject_id),
            "incidents": [
                {
                    "number": one.number,
                    "about": one.about,
                    "opened_at": one.opened_at,
                    "closed_at": one.closed_at,
                    "office": self._officer(one.officer_id),
                    "finding": one.finding or None,
                }
                for found in accounts
                for one in services.incidents.of_account(found.id)
            ],
            "requests": [
                {
                    "number": one.reference,
                    "right": one.right.value,
                    "relying_party": one.client_id,
                    "about_use": one.position or None,
                    "words": one.words,
                    "state": one.state.value,
                    "opened_at": one.opened_at,
                    "acknowledged_at": one.acknowledged_at,
                    "answer_by": one.answer_by,
                    "extension_reason": one.extension_reason or None,
                    "answered_at": one.answered_at,
                    "finding": one.finding.value if one.finding else None,
                    "answer": one.answer or None,
                    "escalated_at": one.escalated_at,
                    "office": self._officer(one.ruled_by),
                    "ruling": one.ruling or None,
                    "closed_at": one.closed_at,
                }
                for one in services.cases.of_person(self._subject_id)
            ],
            "grants": self._rows(oauth_grant, oauth_grant.c.subject_id == self._subject_id),
            "browser_sessions": self._rows(
                browser_session, browser_session.c.subject_id == self._subject_id
            ),
            "applications": [
                self._application(one)
                for one in services.applications.of_applicant(self._subject_id)
            ],
        }

    def entries(self) -> Iterator[tuple[UseEntry, bool]]:
        """Yield the uses, newest first, read page by page, each with whether it was altered."""
        entries = self._services.history(self._subject_id).all(Wanted())
        return self._services.told_apart(self._subject_id, entries)

    def write_json(self, file: IO[bytes]) -> None:
        """Write everything as one JSON document."""
        facts = orjson.dumps(self.facts(), option=orjson.OPT_INDENT_2)
        file.write(facts.rstrip()[:-1].rstrip() + b',\n  "uses": [')
        file.writelines(
            (b",\n    " if number else b"\n    ")
            + orjson.dumps({**self._use(entry), "altered": altered})
            for number, (entry, altered) in enumerate(self.entries())
        )
        file.write(b"\n  ]\n}\n")

    def _account(self, found: Account) -> dict[str, Any]:
        services = self._services
        changed_at = services.db.execute(
            select(password.c.changed_at).where(password.c.account_id == found.id)
        ).scalar()
        return {
            **self._rows(account, account.c.id == found.id)[0],
            "locks": self._rows(account_lock, account_lock.c.account_id == found.id),
            "history": [
                {
                    "kind": event.kind.value,
                    "reason": event.reason,
                    "by": event.actor.kind.value,
                    "office": self._officer(event.actor.id)
                    if event.actor.kind is ActorKind.OFFICER
                    else None,
                    "ground": event.ground or None,
                    "at": event.at,
                }
                for event in services.accounts.history(found.id)
            ],
            "password_changed_at": changed_at,
            "passkeys": [
                {
                    "name": key.name,
                    "created_at": key.created_at,
                    "last_used_at": key.last_used_at,
                    "synced": key.backed_up,
                }
                for key in services.passkeys.of_account(found.id)
            ],
            "phones": self._rows(phone, phone.c.account_id == found.id),
            "face_checks": self._rows(face_check, face_check.c.account_id == found.id),
            "sign_ins_by_code": self._rows(qr_sign_in, qr_sign_in.c.account_id == found.id),
        }

    def _chain(self) -> dict[str, Any]:
        found = self._rows(subject_chain, subject_chain.c.subject_id == self._subject_id)
        return found[0] if found else {}

    def _mandates(self) -> list[dict[str, Any]]:
        mine = or_(
            mandate.c.principal_id == self._subject_id, mandate.c.agent_id == self._subject_id
        )
        told = []
        for row in self._rows(mandate, mine):
            is_agent = row["agent_id"] == self._subject_id
            other = row["principal_id"] if is_agent else row["agent_id"]
            told.append(
                {**row, "role": "agent" if is_agent else "principal", "other": self._name(other)}
            )
        return told

    def _consent_notices(self) -> dict[str, Any]:
        rows = self._services.db.execute(
            select(notice)
            .join(consent, consent.c.notice_hash == notice.c.hash)
            .where(consent.c.subject_id == self._subject_id)
            .distinct()
        )
        return {row.hash.hex(): {"language": row.language, "text": row.text} for row in rows}

    def _application(self, found: Application) -> dict[str, Any]:
        services = self._services
        is_own = found.subject_id == self._subject_id
        return {
            "id": found.id,
            "kind": found.kind.value,
            "state": found.state.value,
            "stated": found.stated,
            "submitted_at": found.submitted_at,
            "due_at": found.due_at,
            "decided_at": found.decided_at,
            "decided_by": self._officer(found.decided_by),
            "decision": found.decision or None,
            "evidence": [
                {
                    "source": one.source.value,
                    "outcome": one.outcome.value,
                    "as_of": one.as_of,
                    "values": {
                        claim: value
                        for claim, value in one.values.items()
                        if is_own and (claim in DICTIONARY or one.outcome is Outcome.SHOWN)
                    },
                }
                for one in services.applications.evidence_of(found.id)
            ],
            "agreements": [
                {"name": one.name, "answer": one.answer.value, "answered_at": one.answered_at}
                for one in services.applications.agreements_of(found.id)
            ],
        }

    def _use(self, entry: UseEntry) -> dict[str, Any]:
        use = entry.use
        is_staff = use.channel in BY_OFFICERS
        other = use.other_party
        return {
            "id": entry.id,
            "position": entry.position,
            "at": entry.at,
            "relying_party": use.client_id,
            "channel": use.channel.value,
            "outcome": use.outcome.value,
            "attributes": list(use.attributes),
            "purpose": use.purpose,
            "purpose_version": use.purpose_version,
            "legal_basis": use.legal_basis,
            "consent_id": use.consent_id,
            "grant_id": use.grant_id,
            "office": self._officer(other) if is_staff else None,
            "acting_for": self._name(other)
            if other and not is_staff and use.subject_role is SubjectRole.PRIMARY
            else None,
            "correlation": use.correlation,
            "detail": dict(use.detail),
            "commitment": entry.commitment.hex(),
        }

    def _officer(self, officer_id: str | None) -> str | None:
        """Return office and sign: nobody is told an officer's name (docs/accounts.md)."""
        found = self._services.officers.find(officer_id) if officer_id else None
        return f"{found.office} · {found.sign}" if found else None

    def _name(self, subject_id: str) -> str:
        held = self._services.held.of_subject(subject_id)
        return str(best_value(held, "name") or best_value(held, "organization_name") or "")

    def _rows(self, table: Table, condition: Any) -> list[dict[str, Any]]:
        columns = [column for column in table.c if column.name not in _UNTOLD[table.name]]
        rows = self._services.db.execute(
            select(*columns).where(condition).order_by(*table.primary_key.columns)
        ).mappings()
        return [{str(name): _plain(value) for name, value in row.items()} for row in rows]


def _told(facts: dict[str, str]) -> dict[str, str]:
    return {name: text for name, text in facts.items() if name != "officer"}


def _plain(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value
