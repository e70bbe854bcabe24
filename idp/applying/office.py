"""The office: takes applications, weighs what is there for and against them, and decides."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from accounts import legal_clock
from accounts.account import (
    PROVIDER_ITSELF,
    Account,
    AccountKind,
    Accounts,
    Actor,
    ActorKind,
)
from accounts.applications import (
    Agreement,
    Answer,
    Application,
    ApplicationKind,
    Applications,
    ApplicationState,
    Evidence,
    EvidenceSource,
    Outcome,
)
from accounts.attributes import HeldAttributes, Source
from accounts.chip.errors import ChipRefusedError
from accounts.chip.examination import Proof
from accounts.errors import IdentifierTakenError
from accounts.levels import AccountLevel
from accounts.mandates import Mandates, MandateType
from accounts.officers import Officer
from accounts.personal_number import Doubt, doubts
from accounts.phone import e164
from accounts.schema import Clock
from accounts.spelling import composed
from accounts.subject import IdentifierType, SubjectKind, Subjects
from connectors.protocol import Answer as RegisterAnswer
from connectors.protocol import NotFound, Query, Record
from consent.data_use import PROVIDER, Channel, Recorded, SubjectRole, Use
from consent.use_log import UseLog
from idp import audit
from idp.applying.card import asked_of, card_obstacles, is_by_chip, may_be_read_for, word_of
from idp.applying.rules import (
    FOREIGNERS,
    OWN_AGE,
    RULES,
    Awaited,
    BadApplicationError,
    NotEntitledError,
    NotReadyError,
    Obstacle,
    OwnCaseError,
    faults_in,
    is_over,
    number_of,
    numbers_in,
    representatives_in,
    written,
)
from idp.oidc.readings import claims_of

_LEASE = timedelta(minutes=1)
_LONGEST_WAIT = timedelta(minutes=15)
FRESH = timedelta(hours=24)
"""A register's word older than this is asked for again before anything is issued upon it."""
_WARDS = "legal_representative"
GROUND_BY_CHIP = "Đọc chip thẻ căn cước / identity card's chip read"
"""The ground that the account's history keeps."""


@dataclass(frozen=True)
class Visit:
    """What an officer saw and did when the person stood at the desk.

    ``biometrics_on_file``: her face and fingerprints were found in the register and agree; without,
    they are taken anew and the law allows more time (Art. 13).
    """

    document_valid: bool
    face_agrees: bool
    biometrics_on_file: bool
    confirmed: bool


@dataclass(frozen=True)
class RegisterQuestion:
    """A question that a register is to be asked, under a use entry that is committed already."""

    application_id: str
    source: Source
    query: Query
    entry: Recorded


@dataclass(frozen=True)
class Assessment:
    """Where an application stands in the eyes of the law. ``doubts`` warn an officer, no more."""

    awaited: tuple[Awaited, ...]
    obstacles: tuple[Obstacle, ...]
    evidence: tuple[Evidence, ...]
    agreements: tuple[Agreement, ...]
    source: Source
    doubts: tuple[Doubt, ...] = ()

    @property
    def can_be_issued(self) -> bool:
        """True when everything is there and nothing stands against it."""
        return not self.awaited and not self.obstacles

    def register_says(self) -> Evidence | None:
        """Return the register's latest answer that says something, however old."""
        return word_of(self.source, self.evidence)

    @property
    def is_by_chip(self) -> bool:
        """True when the card's chip takes the place of a visit."""
        return is_by_chip(self.evidence)

    def is_stale(self, now: datetime) -> bool:
        """True when a register's word is too old to issue anything upon it."""
        words = [word_of(source, self.evidence) for source in asked_of(self.source, self.evidence)]
        return any(said is not None and now - said.received_at > FRESH for said in words)


@dataclass(frozen=True)
class ApplicationOffice:
    """Takes, weighs and decides applications within one transaction."""

    db: Connection
    clock: Clock
    applications: Applications
    accounts: Accounts
    subjects: Subjects
    held: HeldAttributes
    mandates: Mandates
    use_log: UseLog
    correlation: str

    def submit(
        self, kind: ApplicationKind, stated: dict[str, str], *, applicant_id: str | None = None
    ) -> tuple[str, str]:
        """Take an application; return its id and the reference by which it is followed.

        ``stated`` has `name` and, of people, `birthdate`; `personal_number` of citizens; `country`,
        `passport` and `residence_card` of foreigners; `tax_code` of organisations; `tie` (parent or
        guardian) for a minor or ward. What it says of whether there is an account already is
        nothing: everybody's application is taken alike.

        Raises:
            BadApplicationError: something stated cannot be.
            NotEntitledError: this kind needs an applicant with an open account of level 02.
        """
        rules = RULES[kind]
        today = legal_clock.today(self.clock())
        stated = {field: composed(text) for field, text in stated.items()}
        faults = faults_in(kind, stated, today)
        if faults:
            raise BadApplicationError(**faults)
        if rules.by_holder and not self._is_level_02(applicant_id):
            raise NotEntitledError
        subject_id = self.subjects.find(rules.identifier, number_of(kind, stated))
        if subject_id is None:
            is_person = rules.account is not AccountKind.ORGANISATION
            subject_id = self.subjects.add(
                SubjectKind.PERSON if is_person else SubjectKind.ORGANISATION
            )
        now = self.clock()
        application_id, reference = self.applications.submit(
            kind,
            stated,
            subject_id=subject_id,
            applicant_id=applicant_id,
            due_at=rules.limit.ends(now) if rules.limit else None,
        )
        audit.security_event("application.submitted", application=application_id, wanted=kind.value)
        return application_id, reference

    def begin_check(self, application_id: str) -> RegisterQuestion | None:
        """Take the turn at asking the register and write the use entry; None if it is not due."""
        if not self.applications.claim_check(application_id, self.clock() + _LEASE):
            return None
        found = self.applications.application(application_id)
        rules = RULES[found.kind]
        source = self._source_to_ask(found)
        besides = rules.asked_besides if source is rules.source else ()
        claims = tuple(dict.fromkeys([*claims_of(source), *besides]))
        is_organisation = rules.account is AccountKind.ORGANISATION
        entry = self.use_log.record(
            Use(
                subject_id=found.subject_id,
                client_id=PROVIDER,
                channel=Channel.CONNECTOR_PULL,
                attributes=claims,
                purpose="account-issuing",
                purpose_version=1,
                legal_basis="statutory-function",
                correlation=self.correlation,
                subject_role=SubjectRole.ORGANISATION if is_organisation else SubjectRole.PRIMARY,
                detail={"register": source.value},
            )
        )
        query = Query(
            rules.identifier,
            number_of(found.kind, found.stated),
            found.stated["name"],
            None if is_organisation else found.stated["birthdate"],
            claims,
        )
        return RegisterQuestion(application_id, source, query, entry)

    def finish_check(self, question: RegisterQuestion, answer: RegisterAnswer) -> None:
        """Keep the register's answer; while it is unavailable it will be asked again."""
        found = self.applications.hold(question.application_id)
        if not found.state.is_open:
            return
        source, now = EvidenceSource(question.source.value), self.clock()
        outcome, values, as_of = Outcome.UNAVAILABLE, {}, now
        if isinstance(answer, Record):
            outcome, values, as_of = Outcome.FOUND, answer.values, answer.as_of
        elif isinstance(answer, NotFound):
            outcome = Outcome.NOT_FOUND
        self.applications.add_evidence(
            found.id, source, outcome, values, as_of=as_of, entry_id=question.entry.id
        )
        if outcome is Outcome.UNAVAILABLE:
            wait = min(timedelta(seconds=15 * 2 ** min(found.checks, 10)), _LONGEST_WAIT)
            self.applications.check_again(found.id, now + wait)
        else:
            is_last = self._unasked(found) is None
            self.applications.check_again(found.id, None if is_last else now)
            if question.source is RULES[found.kind].source:
                self._after_answer(found, outcome, values)
        self._settle(found.id)
        self._issue_by_chip(found.id)

    def assess(self, found: Application) -> Assessment:
        """Weigh what there is."""
        evidence = tuple(self.applications.evidence_of(found.id))
        agreements = tuple(self.applications.agreements_of(found.id))
        assessed = Assessment((), (), evidence, agreements, RULES[found.kind].source)
        said = assessed.register_says()
        values = said.values if said is not None and said.outcome is Outcome.FOUND else None
        obstacles = () if said is None else tuple(self._obstacles(found, values, agreements))
        obstacles = (*obstacles, *card_obstacles(evidence))
        awaited = tuple(_awaited(found, values, said, evidence, agreements, self._tie_is_stated))
        if found.state.is_open and assessed.is_stale(self.clock()):
            awaited = (Awaited.REGISTER, *awaited)
        return replace(
            assessed, awaited=awaited, obstacles=obstacles, doubts=_doubts(found, values)
        )

    def renew(self, application_id: str) -> bool:
        """Have the register asked again if its word has grown old; True when it is to be asked."""
        found = self.applications.hold(application_id)
        if not found.state.is_open or not self.assess(found).is_stale(self.clock()):
            return False
        if found.next_check_at is None:
            self.applications.check_again(found.id, self.clock())
        return True

    def receive_visit(self, application_id: str, officer: Officer, visit: Visit) -> None:
        """Record that the person stood at the desk; now the file is complete and the clock runs.

        Raises:
            NotReadyError: this application needs no visit, or had it.
            BadApplicationError: face or identity were not confirmed, so there is no proof.
            OwnCaseError: the officer is the person.
        """
        found = self._held_for(application_id, officer)
        if Awaited.VISIT not in self.assess(found).awaited:
            raise NotReadyError
        if not (visit.face_agrees and visit.confirmed):
            raise BadApplicationError(visit="not-confirmed")
        now = self.clock()
        if found.kind is ApplicationKind.FOREIGNER_02:
            usual, longer = legal_clock.FOREIGNER_LEVEL_02, legal_clock.FOREIGNER_NEW_BIOMETRICS
            is_usual = visit.biometrics_on_file
        else:
            usual, longer = legal_clock.CITIZEN_LEVEL_02, legal_clock.CITIZEN_WITHOUT_CARD
            is_usual = visit.document_valid
        self.applications.set_due(found.id, (usual if is_usual else longer).ends(now))
        self.applications.add_evidence(
            found.id,
            EvidenceSource.VISIT,
            Outcome.SHOWN,
            {
                "document_valid": visit.document_valid,
                "face_agrees": visit.face_agrees,
                "biometrics_on_file": visit.biometrics_on_file,
                "office": officer.office,
            },
            as_of=now,
            officer_id=officer.id,
        )
        self._settle(found.id)

    def receive_document(self, application_id: str, officer: Officer, what: str) -> None:
        """Record a document that proves the tie between guardian and child.

        Raises:
            NotReadyError: no document is awaited.
            ReasonMissingError: the document is not named.
            OwnCaseError: the officer is a party.
        """
        found = self._held_for(application_id, officer)
        if Awaited.DOCUMENT not in self.assess(found).awaited:
            raise NotReadyError
        self.applications.add_evidence(
            found.id,
            EvidenceSource.DOCUMENT,
            Outcome.SHOWN,
            {"document": written(what), "office": officer.office},
            as_of=self.clock(),
            officer_id=officer.id,
        )
        self._settle(found.id)

    def receive_agreement(
        self, application_id: str, agreement_id: str, officer: Officer, what: str
    ) -> None:
        """Record a representative's agreement on paper (form TK02): not all can give it here.

        Raises:
            NotReadyError: she was not asked, or answered before.
            ReasonMissingError: the document is not named.
            OwnCaseError: the officer is a party.
        """
        found = self._held_for(application_id, officer)
        asked = {one.id for one in self.applications.agreements_of(found.id)}
        text = written(what)
        if (
            agreement_id not in asked
            or not found.state.is_open
            or not self.applications.answer(agreement_id, Answer.AGREED, officer.id)
        ):
            raise NotReadyError
        self.applications.add_evidence(
            found.id,
            EvidenceSource.DOCUMENT,
            Outcome.SHOWN,
            {"document": text, "office": officer.office},
            as_of=self.clock(),
            officer_id=officer.id,
        )
        self._settle(found.id)

    def asked_to_agree(self, subject_id: str) -> list[tuple[Agreement, Application]]:
        """Return what the person was asked to agree to as a legal representative."""
        number = self.subjects.bears(subject_id, IdentifierType.PERSONAL_NUMBER)
        asked = self.applications.asked_of(number) if number else []
        return [(one, self.applications.application(one.application_id)) for one in asked]

    def answer(self, agreement_id: str, subject_id: str, *, agrees: bool) -> bool:
        """Agree or decline as a legal representative; False when she answered before.

        Raises:
            NotReadyError: she was not asked, or the application was decided meanwhile.
            NotEntitledError: she has no open account of level 02.
        """
        asked = {one.id: one for one, _application in self.asked_to_agree(subject_id)}
        if agreement_id not in asked:
            raise NotReadyError
        if not self._is_level_02(subject_id):
            raise NotEntitledError
        found = self.applications.hold(asked[agreement_id].application_id)
        if not found.state.is_open:
            raise NotReadyError
        answer = Answer.AGREED if agrees else Answer.DECLINED
        answered = self.applications.answer(agreement_id, answer, subject_id)
        if answered:
            audit.security_event("application.answered", application=found.id, answer=answer.value)
            self._settle(found.id)
        return answered

    def issue(self, application_id: str, officer: Officer, reason: str) -> Account:
        """Issue what was applied for.

        Raises:
            NotReadyError: something is awaited or stands against it, or it was decided before.
            OwnCaseError: the officer is a party.
        """
        found = self._held_for(application_id, officer)
        assessed = self.assess(found)
        said = assessed.register_says()
        if found.state is not ApplicationState.READY or not assessed.can_be_issued or said is None:
            raise NotReadyError
        actor = Actor(ActorKind.OFFICER, officer.id)
        return self._decide_to_issue(found, assessed, actor, officer.id, reason.strip()[:2000])

    def _decide_to_issue(
        self, found: Application, assessed: Assessment, actor: Actor, by: str, reason: str
    ) -> Account:
        said = assessed.register_says()
        assert said is not None  # noqa: S101 - nothing can be issued before the register has spoken
        try:
            # Two applications for one person decided at once: the second finds the first's account,
            # and whatever it had begun is taken back.
            with self.db.begin_nested():
                account = self._issue(found, said.values, actor, reason)
                self._hold_card(account.subject_id, assessed)
                if not self.applications.decide(
                    found.id,
                    ApplicationState.ISSUED,
                    officer_id=by,
                    reason=reason,
                    account_id=account.id,
                ):
                    raise NotReadyError
        except (IntegrityError, IdentifierTakenError) as error:
            raise NotReadyError from error
        audit.security_event("application.issued", application=found.id, account=account.id)
        return account

    def receive_chip(self, application_id: str, proof: Proof) -> None:
        """Record that the person's own card was read and proved itself over our nonce; it stands in
        for the visit. Of the files nothing is kept but hashes, and the dates by which the card
        register's word is compared. The file is complete now and the clock runs.

        Raises:
            NotReadyError: no proof is awaited.
            ChipRefusedError: the card is somebody else's, or the person is too young to apply so.
        """
        found = self.applications.hold(application_id)
        if not may_be_read_for(found, self.assess(found).awaited):
            raise NotReadyError
        now, holder = self.clock(), proof.holder
        same = (
            holder.personal_number == found.stated["personal_number"]
            and holder.name.casefold() == " ".join(found.stated["name"].split()).casefold()
            and holder.birthdate.isoformat() == found.stated["birthdate"]
        )
        if not same:
            raise ChipRefusedError("other-person")
        if legal_clock.age(holder.birthdate, legal_clock.today(now)) < OWN_AGE:
            raise ChipRefusedError("too-young")
        dates = {
            "issued": holder.issued.isoformat(),
            "expiry": holder.expiry.isoformat() if holder.expiry else "",
        }
        self.applications.add_evidence(
            found.id,
            EvidenceSource.CHIP,
            Outcome.SHOWN,
            {**proof.evidence, **dates},
            as_of=now,
        )
        self.applications.set_due(found.id, legal_clock.CITIZEN_LEVEL_02.ends(now))
        self.applications.check_again(found.id, now)
        audit.security_event("application.chip_read", application=found.id)
        self._settle(found.id)

    def _issue_by_chip(self, application_id: str) -> None:
        """Raise an account of level 01 whose holder read her own card, without an officer: what signs
        in to the account and what the chip proves are two factors in one hand. Anybody without an
        account waits for an officer.
        """
        found = self.applications.application(application_id)
        if found.state is not ApplicationState.READY or found.applicant_id != found.subject_id:
            return
        assessed, known = self.assess(found), self._known_account(found)
        if assessed.is_by_chip and assessed.can_be_issued and known is not None and known.is_open:
            self._decide_to_issue(found, assessed, PROVIDER_ITSELF, PROVIDER, GROUND_BY_CHIP)

    def _hold_card(self, subject_id: str, assessed: Assessment) -> None:
        card = word_of(Source.IDENTITY_CARDS, assessed.evidence)
        if assessed.is_by_chip and card is not None:
            asked = frozenset(claims_of(Source.IDENTITY_CARDS))
            self.held.hold(subject_id, Source.IDENTITY_CARDS, card.values, asked=asked)

    def _unasked(self, found: Application) -> Source | None:
        """Return the register whose word is still needed, or needed anew; None when all have spoken."""
        evidence, now = self.applications.evidence_of(found.id), self.clock()
        for source in asked_of(RULES[found.kind].source, evidence):
            said = word_of(source, evidence)
            if said is None or now - said.received_at > FRESH:
                return source
        return None

    def _source_to_ask(self, found: Application) -> Source:
        return self._unasked(found) or RULES[found.kind].source

    def refuse(self, application_id: str, officer: Officer, reason: str) -> None:
        """Refuse, in writing.

        Raises:
            NotReadyError: it is not ready, or was decided before.
            ReasonMissingError: the reason is too short to be one.
            OwnCaseError: the officer is a party.
        """
        found = self._held_for(application_id, officer)
        text = written(reason)
        if not self.applications.decide(
            found.id, ApplicationState.REFUSED, officer_id=officer.id, reason=text
        ):
            raise NotReadyError
        audit.security_event("application.refused", application=found.id)

    def activation_code(self, found: Application) -> str | None:
        """Make the code that opens what was issued, or None when it needs none.

        A code made again ends the one before; once the account is active there is none.
        """
        if found.state is not ApplicationState.ISSUED or found.account_id is None:
            return None
        if not self.accounts.account(found.account_id).awaits_activation:
            return None
        return self.accounts.new_activation_code(found.account_id)

    def _held_for(self, application_id: str, officer: Officer) -> Application:
        found = self.applications.hold(application_id)
        if officer.subject_id in {found.subject_id, found.applicant_id}:
            raise OwnCaseError
        return found

    def _after_answer(self, found: Application, outcome: Outcome, values: dict[str, Any]) -> None:
        if found.kind is not ApplicationKind.ORGANISATION:
            return
        if outcome is Outcome.NOT_FOUND:
            later = legal_clock.ORGANISATION_ELSEWHERE.ends(found.submitted_at)
            self.applications.set_due(found.id, later)
            return
        own = self._personal_number(found.applicant_id)
        for number, name in representatives_in(values):
            if number != own or own is None:
                self.applications.ask_to_agree(found.id, number, name)

    def _settle(self, application_id: str) -> None:
        found = self.applications.application(application_id)
        assessed = self.assess(found)
        is_ready = bool(assessed.obstacles) or not assessed.awaited
        state = ApplicationState.READY if is_ready else ApplicationState.CHECKING
        if state is not found.state:
            self.applications.move(application_id, state)

    def _obstacles(
        self,
        found: Application,
        values: dict[str, Any] | None,
        agreements: tuple[Agreement, ...],
    ) -> Iterator[Obstacle]:
        if values is None:
            yield Obstacle.UNKNOWN_TO_REGISTER
            return
        today = legal_clock.today(self.clock())
        if found.kind in FOREIGNERS:
            if is_over(values.get("passport"), today):
                yield Obstacle.PASSPORT_EXPIRED
            if is_over(values.get("residence_card"), today):
                yield Obstacle.RESIDENCE_ENDED
        if found.kind is ApplicationKind.ORGANISATION:
            own = self._personal_number(found.applicant_id)
            if own is None or own not in {number for number, _name in representatives_in(values)}:
                yield Obstacle.NOT_REPRESENTATIVE
            if any(one.answer is Answer.DECLINED for one in agreements):
                yield Obstacle.DECLINED
        if found.state.is_open:
            yield from self._standing_obstacles(found)

    def _standing_obstacles(self, found: Application) -> Iterator[Obstacle]:
        """Find what stands in the accounts we keep against it."""
        if RULES[found.kind].by_holder and not self._is_level_02(found.applicant_id):
            yield Obstacle.APPLICANT_BARRED
        known = self._known_account(found)
        if known is not None and known.level.rank >= RULES[found.kind].level.rank:
            yield Obstacle.HAS_ACCOUNT
        if known is None and self._is_child(found):
            yield Obstacle.GUARDIAN_FIRST

    def _known_account(self, found: Application) -> Account | None:
        rules = RULES[found.kind]
        subject_id = self.subjects.find(rules.identifier, number_of(found.kind, found.stated))
        known = self.accounts.find_of_subject(subject_id) if subject_id else None
        return known if known is not None and known.closed_at is None else None

    def _is_child(self, found: Application) -> bool:
        """True for a citizen below 14 whom no guardian has applied for yet (Art. 7)."""
        if found.kind is not ApplicationKind.CITIZEN_02:
            return False
        born = date.fromisoformat(found.stated["birthdate"])
        return legal_clock.age(born, legal_clock.today(self.clock())) < OWN_AGE

    def _tie_is_stated(self, found: Application, values: dict[str, Any]) -> bool:
        own = self._personal_number(found.applicant_id)
        told = values.get("parents" if found.stated.get("tie") == "parent" else _WARDS)
        return own is not None and own in set(numbers_in(told))

    def _issue(
        self, found: Application, values: dict[str, Any], actor: Actor, reason: str
    ) -> Account:
        rules = RULES[found.kind]
        number = number_of(found.kind, found.stated)
        subject_id = self.subjects.find(rules.identifier, number) or found.subject_id
        identify, source = self.subjects.identify, rules.source.value
        identify(subject_id, rules.identifier, number, source)
        if found.kind in FOREIGNERS:
            passport, card = found.stated["passport"], found.stated.get("residence_card")
            identify(subject_id, IdentifierType.PASSPORT_NUMBER, passport, source)
            if card is not None:
                identify(subject_id, IdentifierType.RESIDENCE_CARD, card, source)
        account = self.accounts.find_of_subject(subject_id)
        if account is None or account.closed_at is not None:
            account = self.accounts.issue(
                subject_id, rules.account, rules.level, actor=actor, ground=reason
            )
        elif account.level.rank >= rules.level.rank or not self.accounts.set_level(
            account.id, rules.level, actor=actor, ground=reason
        ):
            # Another application of hers was decided since this one was weighed.
            raise NotReadyError
        asked = frozenset(claims_of(rules.source))
        kept = {claim: value for claim, value in values.items() if claim in asked}
        self.held.hold(subject_id, rules.source, kept, asked=asked)
        self._hold_contact(found, subject_id)
        if found.kind is ApplicationKind.MINOR:
            self._give_to_guardian(found, subject_id, values)
        if found.kind is ApplicationKind.ORGANISATION:
            self._give_to_representatives(subject_id, values)
            self.accounts.activate(account.id, actor=actor)
        return self.accounts.account(account.id)

    def _hold_contact(self, found: Application, subject_id: str) -> None:
        """Keep the contact that was stated, unless she has one: nobody has proved it yet."""
        known = self.held.of_subject(subject_id).get(Source.SELF)
        values = dict(known.values) if known is not None else {}
        for claim in ("email", "phone_number"):
            text = found.stated.get(claim)
            if text and claim not in values:
                values[claim] = e164(text) if claim == "phone_number" else text
                values[f"{claim}_verified"] = False
        if values and (known is None or values != known.values):
            self.held.hold(subject_id, Source.SELF, values)

    def _give_to_guardian(self, found: Application, child_id: str, values: dict[str, Any]) -> None:
        assert found.applicant_id is not None  # noqa: S101 - this kind is submitted by a holder
        is_parent = found.stated.get("tie") == "parent"
        is_stated = self._tie_is_stated(found, values)
        self.mandates.grant(
            MandateType.PARENT if is_parent else MandateType.GUARDIAN,
            child_id,
            found.applicant_id,
            Source.POPULATION.value if is_stated else EvidenceSource.DOCUMENT.value,
            legal_clock.comes_of_age(found.stated["birthdate"]) if is_parent else None,
        )

    def _give_to_representatives(self, organisation_id: str, values: dict[str, Any]) -> None:
        people = {
            subject_id
            for number, _name in representatives_in(values)
            if number and (subject_id := self.subjects.find(IdentifierType.PERSONAL_NUMBER, number))
        }
        self.mandates.follow_register(
            MandateType.LEGAL_REP,
            organisation_id,
            people,
            Source.ENTERPRISES.value,
            joint=values.get("organization_joint") is True,
            named=len(representatives_in(values)),
        )

    def _personal_number(self, subject_id: str | None) -> str | None:
        if subject_id is None:
            return None
        return self.subjects.bears(subject_id, IdentifierType.PERSONAL_NUMBER)

    def _is_level_02(self, subject_id: str | None) -> bool:
        known = self.accounts.find_of_subject(subject_id) if subject_id else None
        return known is not None and known.is_open and known.level is AccountLevel.LEVEL_02


def _doubts(found: Application, values: dict[str, Any] | None) -> tuple[Doubt, ...]:
    """Return what in the personal number does not fit; it stands against nothing (Decree 70/2024)."""
    told = found.stated | (values or {})
    return doubts(
        found.stated.get("personal_number", ""),
        str(told.get("birthdate", "")),
        str(told.get("gender", "")),
    )


def _awaited(
    found: Application,
    values: dict[str, Any] | None,
    said: Evidence | None,
    evidence: tuple[Evidence, ...],
    agreements: tuple[Agreement, ...],
    tie_is_stated: Any,
) -> Iterator[Awaited]:
    sources = {one.source for one in evidence}
    if said is None or (is_by_chip(evidence) and word_of(Source.IDENTITY_CARDS, evidence) is None):
        yield Awaited.REGISTER
    if RULES[found.kind].visit and not {EvidenceSource.VISIT, EvidenceSource.CHIP} & sources:
        yield Awaited.VISIT
    if (
        found.kind is ApplicationKind.MINOR
        and values is not None
        and EvidenceSource.DOCUMENT not in sources
        and not tie_is_stated(found, values)
    ):
        yield Awaited.DOCUMENT
    if any(one.answer is Answer.ASKED for one in agreements):
        yield Awaited.AGREEMENT
