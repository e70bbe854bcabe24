"""The composition root: what one process holds, and the typed objects one transaction works with."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection, Engine

from accounts.account import Accounts
from accounts.applications import Applications
from accounts.attributes import HeldAttributes, Source
from accounts.authenticators import Passkeys, RelyingPartyIdentity
from accounts.chip.trust import Trust
from accounts.chip_requests import ChipRequests
from accounts.contact_requests import ContactRequests
from accounts.data_keys import DataKeyRing, DataKeys
from accounts.face_checks import FaceChecks
from accounts.incidents import Incidents
from accounts.levels import AuthenticationMethod, acr_values
from accounts.mandates import Mandates
from accounts.notice_choices import NoticeChoices
from accounts.notices import By, Notices
from accounts.officers import Officer, Officers
from accounts.phone_invitations import PhoneInvitations
from accounts.phones import Phones
from accounts.recoveries import Recoveries
from accounts.schema import Chance, Clock
from accounts.second_factors import SecondFactors
from accounts.secrets import PasswordHashing, Passwords
from accounts.sessions import BrowserSessions, SessionLimits
from accounts.subject import Subjects
from accounts.unlocking import UnlockRequests
from accounts.vault import Vault
from connectors.messages import MailServer, TextGateway
from connectors.outbound import Outbound
from connectors.registry import remote_face_match, remote_registers
from connectors.remote import RemoteRegister
from connectors.xroad import SecurityServer
from consent.archive.store import Archive
from consent.archive.tampered import told_apart
from consent.cases import Cases
from consent.data_use import Recorded, UseEntry
from consent.decisions import Consents
from consent.history import History
from consent.sealing import Sealing
from consent.use_log import UseLog
from consent.use_receipts import Evidence, UseReceipts
from consent.use_reports import UseReports
from consent.use_terms import KnownTerms
from consent.withdrawals import Withdrawals
from idp import clock as system_clock
from idp.alarm import Alarm
from idp.applying.office import ApplicationOffice
from idp.asking import Asking
from idp.contact import ContactBook
from idp.database import connect, for_reading
from idp.desk import Desk
from idp.keys import KeyRing, SigningKeys
from idp.limits import Limits
from idp.log_keys import LogKeys
from idp.login.authorization import Authorization
from idp.login.breached import BreachedPasswords
from idp.login.card_lock import CardLock
from idp.login.interaction import Interactions
from idp.login.qr import QrSignIns
from idp.login.risk import AddressList
from idp.login.sign_in import SignInDesk
from idp.login.ways import WaysToSignIn, steps_offered
from idp.mandating import Mandating
from idp.oidc.backchannel import BackChannelLogout
from idp.oidc.client_auth import ClientAuthentication
from idp.oidc.codes import Codes
from idp.oidc.disclosure import Disclosure
from idp.oidc.events import ConsentEvents
from idp.oidc.grants import Grants
from idp.oidc.key_sets import KeySets
from idp.oidc.logout import LogoutReader
from idp.oidc.machines import Machines
from idp.oidc.provider import Provider
from idp.oidc.readings import Readings
from idp.oidc.refusals import Refusals
from idp.oidc.relying_parties import Registrations, RelyingParties
from idp.oidc.request import RequestReader
from idp.oidc.tokens import Tokens
from idp.outbox import Outbox
from idp.places import read_places
from idp.recovering import Recovering
from idp.settings import Settings
from idp.standing import Standing
from idp.telling import Telling

BRAND = "Sen ID"
Made = TypeVar("Made")


class lazily(Generic[Made]):  # noqa: N801 - reads as the decorator it is
    """Makes a property once, when first asked for.

    ``functools.cached_property`` takes a lock at each making; one transaction's objects belong to
    one thread, and a request makes a dozen.
    """

    def __init__(self, make: Callable[[Any], Made]) -> None:
        self._make = make
        self._name = make.__name__
        self.__doc__ = make.__doc__

    def __get__(self, owner: Any, _kind: type | None = None) -> Made:  # noqa: D105
        made = owner.__dict__[self._name] = self._make(owner)
        return made


class UncommittedEntryError(Exception):
    """A receipt was wanted for an entry that is not in the log."""


class Installation:
    """What a process makes once: engine, keys, caches. Safe to share between threads."""

    def __init__(
        self,
        settings: Settings,
        *,
        engine: Engine | None = None,
        clock: Clock = system_clock.now,
        # What `secrets` asks, too, by two more calls each time.
        chance: Chance = os.urandom,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.chance = chance
        self.engine = engine or connect(settings.database_url)
        self.data_key_ring = DataKeyRing(for_reading(self.engine), clock, settings.secret)
        self.vault = Vault(settings.secret, keys=self.data_key_ring, chance=chance)
        self.keys = KeyRing(self.engine, clock, self.vault)
        self.relying_parties = RelyingParties(self.engine, clock)
        self.hashing = PasswordHashing(self.vault, mib=settings.password_mib)
        self.codes = Codes(self.vault)
        self.tokens = Tokens(self.vault, chance)
        # Trying everything out on one machine is by plain http altogether.
        self.outbound = Outbound(
            settings.outbound_allow,
            settings.extra_ca_file,
            plain_on_loopback=not settings.is_secure,
        )
        server = _security_server(settings, chance)
        self.registers: Mapping[Source, RemoteRegister] = (
            remote_registers(server, clock, settings.xroad_places) if server is not None else {}
        )
        self.face_match = (
            remote_face_match(server, clock, settings.face_match)
            if server is not None and settings.face_match
            else None
        )
        self.messengers = _messengers(settings)
        self.readings = Readings(self.registers, clock)
        self.known_terms = KnownTerms()
        self.archive_folder = settings.archive_folder
        self.card_trust = _card_trust(settings)
        self.data_centres = AddressList.read(settings.data_centres_file)
        self.places = read_places(settings.network_places_file)
        self.breached_passwords = BreachedPasswords(settings.breached_passwords_file)
        self.key_sets = KeySets(self.outbound, clock)
        self.request_reader = RequestReader(self.relying_parties, self.keys, settings.issuer, clock)
        self.logout_reader = LogoutReader(self.relying_parties, self.keys, settings.issuer)

    @property
    def can_read_cards(self) -> bool:
        """True where an identity card can be examined, and its register asked about it."""
        return self.card_trust is not None and Source.IDENTITY_CARDS in self.registers

    @property
    def steps(self) -> frozenset[AuthenticationMethod]:
        """What can be proved here on top of level 2."""
        return steps_offered(face=self.face_match is not None, chip=self.can_read_cards)

    @property
    def acr_values(self) -> tuple[str, ...]:
        """The ``acr`` values that discovery advertises."""
        steps = self.steps
        return acr_values(
            by_face=AuthenticationMethod.FACE in steps,
            by_chip=AuthenticationMethod.CHIP in steps,
            by_key=self.settings.fido_root_file is not None,
        )

    def services(self, db: Connection, *, correlation: str = "", address: str = "") -> "Services":
        """Return the objects that work within the connection's transaction."""
        return Services(self, db, correlation, address)

    @lazily
    def use_receipts(self) -> UseReceipts:
        """What signs use receipts, by a key that signs nothing else."""
        seed = self.vault.mac("use-receipt-key", "ed25519")
        return UseReceipts(self.settings.issuer, Ed25519PrivateKey.from_private_bytes(seed))

    def evidence(self, entry: Recorded) -> Evidence:
        """Return what a register is asked upon.

        Raises:
            UncommittedEntryError: the entry is not in the log, so there is no receipt for it.
        """
        with for_reading(self.engine).begin() as db:
            if not self.services(db).use_log.is_committed(entry):
                raise UncommittedEntryError
        return Evidence(entry, self.use_receipts)

    def ledger_index(self, subject_id: str) -> bytes:
        """Return where in the head map the subject's chain is; the index names nobody."""
        return self.vault.mac("ledger-index", subject_id)

    def data_keys(self, db: Connection) -> DataKeys:
        """Return the stored data keys, within the connection's transaction."""
        return DataKeys(db, self.clock, self.chance, self.settings.secret)


def prepare_keys(installation: Installation) -> None:
    """Make the keys that are missing; an installation without any account gets data keys first.

    Raises:
        SealBrokenError: the secret is not the one that these keys were made with.
    """
    with installation.engine.begin() as db:
        services = installation.services(db)
        if not services.signing_keys.exist() and not installation.data_keys(db).all():
            installation.data_keys(db).begin()
    installation.data_key_ring.forget()
    with installation.engine.begin() as db:
        services = installation.services(db)
        services.signing_keys.ensure()
        services.signing_keys.all()
        services.log_keys.ensure()


def _security_server(settings: Settings, chance: Chance) -> SecurityServer | None:
    """Return the way to the registers; without one nothing is asked."""
    if settings.registers_url is None:
        return None
    address = urlsplit(settings.registers_url)
    # A way out of its own: what relying parties register can never lead to the security server.
    outbound = Outbound(frozenset({address.netloc}), settings.extra_ca_file, plain_on_loopback=True)
    return SecurityServer(settings.registers_url, settings.xroad_client, outbound, chance)


def _card_trust(settings: Settings) -> Trust | None:
    """Return whose signatures on identity cards are believed; without any, no card is read."""
    if settings.csca_file is None:
        return None
    return Trust.read(settings.csca_file, settings.csca_crl_file)


def _messengers(settings: Settings) -> Mapping[By, MailServer | TextGateway]:
    """Return by what notices reach addresses; without any they stand on people's own pages."""
    found: dict[By, MailServer | TextGateway] = {}
    if settings.mail is not None:
        found[By.EMAIL] = settings.mail
    if settings.texts_url is not None:
        parts = urlsplit(settings.texts_url)
        allowed = frozenset({parts.netloc, f"{parts.hostname}"})
        outbound = Outbound(allowed, settings.extra_ca_file, plain_on_loopback=True)
        found[By.TEXT_MESSAGE] = TextGateway(settings.texts_url, outbound, settings.texts_token)
    return found


@dataclass(frozen=True)
class Services:
    """The objects of one transaction, each made when first asked for."""

    installation: Installation
    db: Connection
    correlation: str
    address: str

    @lazily
    def subjects(self) -> Subjects:
        """Subjects and identifiers."""
        i = self.installation
        return Subjects(self.db, i.clock, i.chance, i.vault)

    @lazily
    def accounts(self) -> Accounts:
        """Accounts."""
        i = self.installation
        return Accounts(self.db, i.clock, i.chance, i.vault)

    @lazily
    def passwords(self) -> Passwords:
        """Password hashes."""
        return Passwords(self.db, self.installation.clock)

    @lazily
    def passkeys(self) -> Passkeys:
        """Passkeys."""
        i = self.installation
        identity = RelyingPartyIdentity(i.settings.host, i.settings.issuer, BRAND)
        return Passkeys(self.db, i.clock, i.chance, identity)

    @lazily
    def second_factors(self) -> SecondFactors:
        """Authenticator apps and code cards."""
        i = self.installation
        return SecondFactors(self.db, i.clock, i.chance, i.vault)

    @lazily
    def phones(self) -> Phones:
        """Phones enrolled with the app."""
        i = self.installation
        return Phones(self.db, i.clock, i.chance)

    @lazily
    def phone_invitations(self) -> PhoneInvitations:
        """Invitations to set a phone up."""
        i = self.installation
        return PhoneInvitations(self.db, i.clock, i.chance, i.vault)

    @lazily
    def qr_sign_ins(self) -> QrSignIns:
        """Sign-ins by QR code."""
        i = self.installation
        return QrSignIns(
            self.db, i.clock, i.chance, i.vault, self.phones, self.limits, i.settings.issuer
        )

    @lazily
    def ways(self) -> WaysToSignIn:
        """What accounts have to sign in with."""
        steps = self.installation.steps
        return WaysToSignIn(self.passkeys, self.passwords, self.second_factors, steps)

    @lazily
    def face_checks(self) -> FaceChecks:
        """Comparisons of faces as they were answered."""
        return FaceChecks(self.db, self.installation.clock, self.installation.chance)

    @lazily
    def sessions(self) -> BrowserSessions:
        """Browser sessions."""
        i = self.installation
        life = i.settings.lifetimes
        limits = SessionLimits(
            life.session_idle,
            life.session_absolute,
            life.own_pages_idle,
            life.session_touch,
        )
        return BrowserSessions(self.db, i.clock, i.chance, limits)

    @lazily
    def mandates(self) -> Mandates:
        """Mandates."""
        i = self.installation
        return Mandates(self.db, i.clock, i.chance, i.vault)

    @lazily
    def held(self) -> HeldAttributes:
        """Attribute values held."""
        i = self.installation
        return HeldAttributes(self.db, i.clock, i.vault)

    @lazily
    def consents(self) -> Consents:
        """Consents."""
        i = self.installation
        return Consents(self.db, i.clock, i.chance)

    @lazily
    def archive(self) -> Archive:
        """Uses that were moved out of the database."""
        i = self.installation
        return Archive(self.db, i.vault, i.archive_folder, i.ledger_index)

    def history(self, subject_id: str, *, without: frozenset[str] = frozenset()) -> History:
        """Return a subject's record of uses as people read it."""
        return History(self.db, subject_id, self.archive, without=without)

    def told_apart(
        self, subject_id: str, entries: Iterable[UseEntry]
    ) -> Iterator[tuple[UseEntry, bool]]:
        """Yield a subject's entries, each with whether it is not what was recorded."""
        return told_apart(self.db, self.installation.vault, subject_id, entries)

    @lazily
    def use_log(self) -> UseLog:
        """The log of uses."""
        i = self.installation
        return UseLog(self.db, i.clock, i.chance, i.vault, i.known_terms, self.archive)

    @lazily
    def limits(self) -> Limits:
        """Limits on guessing."""
        i = self.installation
        return Limits(self.db, i.clock, i.vault)

    @lazily
    def outbox(self) -> Outbox:
        """Messages to relying parties."""
        i = self.installation
        return Outbox(self.db, i.clock, i.chance, i.vault)

    @lazily
    def logout(self) -> BackChannelLogout:
        """Telling relying parties that somebody is signed out."""
        i = self.installation
        return BackChannelLogout(self.outbox, i.relying_parties, i.vault)

    @lazily
    def grants(self) -> Grants:
        """Grants."""
        i = self.installation
        return Grants(
            self.db,
            i.clock,
            i.settings.lifetimes,
            self.use_log,
            self.held,
            self,
        )

    @lazily
    def standing(self) -> Standing:
        """Changes of accounts' standing."""
        return Standing(
            self.accounts,
            self.subjects,
            self.held,
            self.mandates,
            self.sessions,
            self.grants,
            self.installation.clock,
        )

    @lazily
    def mandating(self) -> Mandating:
        """Giving, answering and ending mandates."""
        return Mandating(
            self.mandates,
            self.accounts,
            self.subjects,
            self.held,
            self.grants,
            self.limits,
            self.installation.clock,
        )

    @lazily
    def officers(self) -> Officers:
        """Officers."""
        i = self.installation
        return Officers(self.db, i.clock, i.chance)

    @lazily
    def applications(self) -> Applications:
        """Applications as they are kept."""
        i = self.installation
        return Applications(self.db, i.clock, i.chance, i.vault)

    @lazily
    def chip_requests(self) -> ChipRequests:
        """Requests to read a card's chip."""
        i = self.installation
        return ChipRequests(self.db, i.clock, i.chance, i.vault)

    @lazily
    def application_office(self) -> ApplicationOffice:
        """Taking, weighing and deciding applications."""
        return ApplicationOffice(
            db=self.db,
            clock=self.installation.clock,
            applications=self.applications,
            accounts=self.accounts,
            subjects=self.subjects,
            held=self.held,
            mandates=self.mandates,
            use_log=self.use_log,
            correlation=self.correlation,
        )

    @lazily
    def unlock_requests(self) -> UnlockRequests:
        """Requests to unlock that wait for a second officer."""
        i = self.installation
        return UnlockRequests(self.db, i.clock, i.chance, i.vault)

    @lazily
    def notices(self) -> Notices:
        """What people are told about their accounts."""
        i = self.installation
        return Notices(self.db, i.clock, i.chance, i.vault)

    @lazily
    def card_lock(self) -> CardLock:
        """Locking by a code of the card."""
        return CardLock(self.accounts, self.subjects, self.second_factors, self.limits)

    @lazily
    def incidents(self) -> Incidents:
        """Incidents that people reported."""
        i = self.installation
        return Incidents(self.db, i.clock, i.chance, i.vault)

    @lazily
    def alarm(self) -> Alarm:
        """What happens when somebody says that it was not her."""
        return Alarm(
            self.accounts,
            self.notices,
            self.incidents,
            self.sessions,
            self.grants,
            self.consents,
            self.recoveries,
            self.phone_invitations,
            self.installation.vault,
            self.installation.clock,
        )

    @lazily
    def recoveries(self) -> Recoveries:
        """Recoveries as they are kept."""
        return Recoveries(self.db, self.installation.clock, self.installation.chance)

    @lazily
    def recovering(self) -> Recovering:
        """Coming back after ways to sign in were lost."""
        return Recovering(
            self.accounts,
            self.subjects,
            self.held,
            self.passkeys,
            self.passwords,
            self.second_factors,
            self.phones,
            self.phone_invitations,
            self.sessions,
            self.grants,
            self.recoveries,
            self.contact_book.tell_everywhere,
            self.installation.clock,
        )

    @lazily
    def contact_book(self) -> ContactBook:
        """People's contact data."""
        return ContactBook(self.held, self.notices, self.accounts)

    @lazily
    def notice_choices(self) -> NoticeChoices:
        """What people want to be told, and where."""
        return NoticeChoices(self.db, self.installation.clock)

    @lazily
    def telling(self) -> Telling:
        """Telling people about uses of their data."""
        return Telling(
            self.notices,
            self.contact_book,
            self.notice_choices,
            self.mandates,
            self.accounts,
            self.held,
            self.installation.clock,
        )

    @lazily
    def contact_requests(self) -> ContactRequests:
        """Requests to change a contact that wait for a second officer."""
        i = self.installation
        return ContactRequests(self.db, i.clock, i.chance, i.vault)

    @lazily
    def withdrawals(self) -> Withdrawals:
        """What agencies do after withdrawals."""
        return Withdrawals(self.db, self.installation.clock)

    @lazily
    def consent_events(self) -> ConsentEvents:
        """Telling relying parties what became of consents."""
        i = self.installation
        return ConsentEvents(self.outbox, i.relying_parties, i.vault, i.settings.issuer)

    @lazily
    def sealing(self) -> Sealing:
        """Sealed uses."""
        i = self.installation
        return Sealing(self.db, i.clock, i.chance, i.vault, self.use_log)

    @lazily
    def use_reports(self) -> UseReports:
        """What agencies say they did later with data."""
        i = self.installation
        return UseReports(self.db, i.clock, self.use_log, i.settings.report_within)

    @lazily
    def cases(self) -> Cases:
        """What people ask of agencies."""
        i = self.installation
        return Cases(self.db, i.clock, i.chance, i.vault)

    @lazily
    def asking(self) -> Asking:
        """Asking agencies, and what they answer."""
        return Asking(self.cases, self.use_log, self.contact_book, self.limits, self.correlation)

    def desk_of(self, officer: Officer) -> Desk:
        """Return the desk at which the officer works."""
        return Desk(
            officer=officer,
            accounts=self.accounts,
            subjects=self.subjects,
            standing=self.standing,
            unlock_requests=self.unlock_requests,
            contact_requests=self.contact_requests,
            contact_book=self.contact_book,
            notices=self.notices,
            use_log=self.use_log,
            limits=self.limits,
            correlation=self.correlation,
        )

    @lazily
    def registrations(self) -> Registrations:
        """Relying parties' registrations."""
        return Registrations(self.db, self.installation.clock)

    @lazily
    def signing_keys(self) -> SigningKeys:
        """Stored signing keys."""
        i = self.installation
        return SigningKeys(self.db, i.clock, i.vault)

    @lazily
    def log_keys(self) -> LogKeys:
        """The keys of the published logs."""
        i = self.installation
        return LogKeys(self.db, i.clock, i.chance, i.vault)

    @lazily
    def interactions(self) -> Interactions:
        """Parked authorization requests."""
        i = self.installation
        return Interactions(self.db, i.clock, i.chance, i.vault, i.settings.lifetimes)

    @lazily
    def refusals(self) -> Refusals:
        """Refusals, which are entries too."""
        return Refusals(self.use_log, self.limits)

    @lazily
    def disclosure(self) -> Disclosure:
        """The gate through which attributes leave."""
        i = self.installation
        return Disclosure(
            vault=i.vault,
            clock=i.clock,
            issuer=i.settings.issuer,
            held=self.held,
            readings=i.readings,
            use_log=self.use_log,
            seldom=self,
            oversight_key=i.settings.oversight_key,
            correlation=self.correlation,
        )

    @lazily
    def machines(self) -> Machines:
        """Keys that act for organisations."""
        i = self.installation
        return Machines(
            self.db, i.clock, self.mandates, i.relying_parties, i.registers, self.disclosure
        )

    @lazily
    def provider(self) -> Provider:
        """The protocol endpoints' collaborators."""
        i = self.installation
        return Provider(
            issuer=i.settings.issuer,
            lifetimes=i.settings.lifetimes,
            db=self.db,
            clock=i.clock,
            chance=i.chance,
            vault=i.vault,
            keys=i.keys,
            relying_parties=i.relying_parties,
            grants=self.grants,
            codes=i.codes,
            tokens=i.tokens,
            disclosure=self.disclosure,
            sealing_clients=i.settings.sealing_clients,
            seldom=self,
            client_authentication=ClientAuthentication(
                db=self.db,
                clock=i.clock,
                vault=i.vault,
                relying_parties=i.relying_parties,
                limits=self.limits,
                key_sets=i.key_sets,
                issuer=i.settings.issuer,
                lifetimes=i.settings.lifetimes,
                address=self.address,
            ),
        )

    @lazily
    def authorization(self) -> Authorization:
        """The journey's decisions."""
        i = self.installation
        return Authorization(
            issuer=i.settings.issuer,
            lifetimes=i.settings.lifetimes,
            clock=i.clock,
            chance=i.chance,
            vault=i.vault,
            interactions=self.interactions,
            consents=self.consents,
            mandates=self.mandates,
            accounts=self.accounts,
            ways=self.ways,
            codes=i.codes,
        )

    @lazily
    def sign_in(self) -> SignInDesk:
        """Signing in and out."""
        return SignInDesk(
            accounts=self.accounts,
            subjects=self.subjects,
            passwords=self.passwords,
            passkeys=self.passkeys,
            second_factors=self.second_factors,
            sessions=self.sessions,
            grants=self.grants,
            limits=self.limits,
            incidents=self.incidents,
            recoveries=self.recoveries,
            phone_invitations=self.phone_invitations,
            tell=self.contact_book.tell,
            data_centres=self.installation.data_centres,
            places=self.installation.places,
            vault=self.installation.vault,
            clock=self.installation.clock,
        )
