"""Seed files: relying parties, people and organisations as JSON, taken in all or nothing.

What the file says of people and organisations is held as their register's word as of now, and no
register is asked: those of an installation that has any are read when the values are too old.
Loading the same file again changes nothing.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from accounts.account import Account, AccountKind
from accounts.attributes import EDITABLE, Source
from accounts.authenticators import cose_key, decoded
from accounts.errors import AccountsError, BadPhoneError
from accounts.levels import AccountLevel
from accounts.mandates import MandateType
from accounts.phone import e164
from accounts.subject import IdentifierType, SubjectKind, check_tax_code
from consent.data_use import PROVIDER, Channel, SubjectRole, Use
from idp.oidc.relying_parties import RegistrationError
from idp.services import Services

Progress = Callable[[int, int], None]
"""Called with how many rows are done, and how many there are."""


class SeedError(Exception):
    """The file is refused; the message names line and field."""


def _iso_date(text: str) -> str:
    date.fromisoformat(text)
    return text


IsoDate = Annotated[str, AfterValidator(_iso_date)]


def _phone(text: str) -> str:
    try:
        return e164(text)
    except BadPhoneError as error:
        raise ValueError("is no phone number, like +84912345678 or 0912345678") from error


Text = Annotated[str, Field(min_length=1, max_length=200)]
Phone = Annotated[str, Field(max_length=40), AfterValidator(_phone)]


class _Strict(BaseModel):
    # Built when a file is first read: every `sen` command loads this module, few read one.
    model_config = ConfigDict(extra="forbid", strict=True, defer_build=True)


class _SeedPasskey(_Strict):
    credential_id: str
    user_handle: str
    public_key_jwk: dict[str, str]
    sign_count: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _key_is_usable(self) -> "_SeedPasskey":
        cose_key(
            {k: v for k, v in self.public_key_jwk.items() if k in {"kty", "crv", "x", "y", "d"}}
        )
        if not decoded(self.credential_id) or not 1 <= len(decoded(self.user_handle)) <= 64:
            raise ValueError("credential_id and user_handle must be base64url")
        return self


class _SeedPassport(_Strict):
    country: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    number: Annotated[str, Field(pattern=r"^[A-Za-z0-9]{5,20}$")]
    expiry: IsoDate


class _SeedCard(_Strict):
    number: Annotated[str, Field(pattern=r"^[A-Za-z0-9\-]{4,20}$")]
    expiry: IsoDate


class _SeedPerson(_Strict):
    kind: Literal["citizen", "foreigner"]
    personal_number: Annotated[str, Field(pattern=r"^[0-9]{12}$")] | None = None
    passport: _SeedPassport | None = None
    residence_card: _SeedCard | None = None
    name: Text
    birthdate: IsoDate
    gender: Literal["male", "female"] | None = None
    account_level: Literal["01", "02"]
    login: Annotated[str, Field(pattern=r"^[A-Za-z0-9._@\-]{3,64}$")] | None = None
    password: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    activation_code: Annotated[str, Field(min_length=8, max_length=64)] | None = None
    family_name: Text | None = None
    middle_name: Text | None = None
    given_name: Text | None = None
    nationalities: list[str] | None = None
    address: dict[str, str] | None = None
    email: Text | None = None
    email_verified: bool | None = None
    phone_number: Phone | None = None
    phone_number_verified: bool | None = None
    claims: dict[str, str] = {}
    passkeys: list[_SeedPasskey] = []

    @model_validator(mode="after")
    def _can_be_identified(self) -> "_SeedPerson":
        if self.kind == "citizen" and self.personal_number is None:
            raise ValueError("a citizen needs personal_number")
        if self.kind == "foreigner" and (self.passport is None or self.residence_card is None):
            raise ValueError("a foreigner needs passport and residence_card")
        unknown = set(self.claims) - set(EDITABLE)
        if unknown:
            raise ValueError(f"claims: {sorted(unknown)[0]} is not a self-asserted claim")
        return self


class _SeedOrganisation(_Strict):
    tax_code: str
    name: Text
    legal_representatives: list[str] = []

    @model_validator(mode="after")
    def _tax_code_is_possible(self) -> "_SeedOrganisation":
        try:
            check_tax_code(self.tax_code)
        except AccountsError as error:
            raise ValueError(f"tax_code: {error.detail}") from error
        return self


class _SeedDocument(_Strict):
    relying_parties: list[dict[str, Any]] = []
    people: list[_SeedPerson] = []
    organisations: list[_SeedOrganisation] = []


@dataclass(frozen=True)
class Seeded:
    """How many of each were read."""

    relying_parties: int
    people: int
    organisations: int


@dataclass(frozen=True)
class Seed:
    """A checked seed file, with its passwords already hashed: hashing is slow, and nobody should
    wait for the database meanwhile.
    """

    text: str
    document: _SeedDocument
    hashes: dict[int, str]

    def apply(self, services: Services, progress: Progress) -> Seeded:
        """Write everything within the services' transaction.

        Raises:
            SeedError: something cannot be written; the caller rolls everything back.
        """
        document = self.document
        total = len(document.relying_parties) + len(document.people) + len(document.organisations)
        done = 0
        for path, write in self._steps(services):
            try:
                write()
            except RegistrationError as error:
                raise self._error([*path, error.member], error.problem) from error
            except (AccountsError, ValueError) as error:
                raise self._error(path, str(error)) from error
            done += 1
            progress(done, total)
        return Seeded(
            len(document.relying_parties), len(document.people), len(document.organisations)
        )

    def _steps(self, services: Services) -> Iterator[tuple[list[str | int], Callable[[], None]]]:
        loader = _Loader(services, self.hashes)
        for index, party in enumerate(self.document.relying_parties):
            yield ["relying_parties", index], partial(loader.relying_party, party)
        for index, person in enumerate(self.document.people):
            yield ["people", index], partial(loader.person, index, person)
        for index, one in enumerate(self.document.organisations):
            yield ["organisations", index], partial(loader.organisation, one)

    def _error(self, path: list[str | int], problem: str) -> SeedError:
        return SeedError(_located(self.text, path, problem))


def read_seed(
    text: str, hash_password: Callable[[str], str], known_hash: Callable[[str], str | None]
) -> Seed:
    """Check a seed file.

    ``known_hash`` returns the hash that a login already has if it fits, so that loading a file again
    hashes nothing anew.

    Raises:
        SeedError: the file is not JSON or not of the right shape.
    """
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", 1)
        raise SeedError(f"line {line}: not valid JSON") from error
    try:
        document = _SeedDocument.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        path = [part for part in first["loc"] if not str(part).startswith("function-")]
        raise SeedError(_located(text, path, first["msg"])) from error
    hashes = {
        index: known_hash(person.login or "") or hash_password(person.password)
        for index, person in enumerate(document.people)
        if person.password is not None
    }
    return Seed(text, document, hashes)


class _Loader:
    def __init__(self, services: Services, hashes: dict[int, str]) -> None:
        self._services = services
        self._hashes = hashes

    def relying_party(self, document: dict[str, Any]) -> None:
        self._services.registrations.register(document)

    def person(self, index: int, person: _SeedPerson) -> None:
        source, type_, number = _principal_identifier(person)
        account = self._account(person, source, type_, number)
        self._identify(person, account, source)
        self._hold(account.subject_id, source, _register_values(person))
        self._hold_own_word(person, account)
        self._give_authenticators(index, person, account)

    def organisation(self, one: _SeedOrganisation) -> None:
        services = self._services
        subject_id = services.subjects.find(IdentifierType.TAX_CODE, one.tax_code)
        if subject_id is None:
            subject_id = services.subjects.add(SubjectKind.ORGANISATION)
            services.subjects.identify(
                subject_id, IdentifierType.TAX_CODE, one.tax_code, Source.ENTERPRISES.value
            )
            account = services.accounts.issue(
                subject_id, AccountKind.ORGANISATION, AccountLevel.NONE
            )
            services.accounts.activate(account.id)
        stated = {"organization_name": one.name, "tax_code": one.tax_code}
        self._hold(subject_id, Source.ENTERPRISES, stated)
        agents = {self._person_named(login) for login in one.legal_representatives}
        services.mandates.follow_register(
            MandateType.LEGAL_REP, subject_id, agents, Source.ENTERPRISES.value
        )

    def _hold(self, subject_id: str, source: Source, values: dict[str, Any]) -> None:
        """Hold what the file says, unless it is held already, and record that we did."""
        known = self._services.held.of_subject(subject_id).get(source)
        if known is not None and known.values == values:
            return
        self._services.use_log.record(
            Use(
                subject_id=subject_id,
                client_id=PROVIDER,
                channel=Channel.ISSUING,
                attributes=tuple(values),
                purpose="account-issuing",
                purpose_version=1,
                legal_basis="statutory-function",
                correlation="seed",
                subject_role=SubjectRole.ORGANISATION
                if source is Source.ENTERPRISES
                else SubjectRole.PRIMARY,
            )
        )
        self._services.held.hold(subject_id, source, values)

    def _person_named(self, login: str) -> str:
        found = self._services.subjects.find(IdentifierType.LOGIN, login)
        if found is None:
            raise ValueError(f"legal_representatives: nobody has the login {login!r}")
        return found

    def _account(
        self, person: _SeedPerson, source: Source, type_: IdentifierType, number: str
    ) -> Account:
        services, level = self._services, AccountLevel(person.account_level)
        subject_id = services.subjects.find(type_, number)
        if subject_id is None:
            subject_id = services.subjects.add(SubjectKind.PERSON)
            services.subjects.identify(subject_id, type_, number, source.value)
        known = services.accounts.find_of_subject(subject_id)
        if known is None:
            return services.accounts.issue(subject_id, AccountKind(person.kind), level)
        if known.level is not level:
            services.accounts.set_level(known.id, level)
        return known

    def _identify(self, person: _SeedPerson, account: Account, source: Source) -> None:
        identify, subject_id = self._services.subjects.identify, account.subject_id
        if person.login is not None:
            identify(subject_id, IdentifierType.LOGIN, person.login, Source.PROVIDER.value)
        if person.passport is not None:
            number = person.passport.number
            identify(subject_id, IdentifierType.PASSPORT_NUMBER, number, source.value)
        if person.residence_card is not None:
            card = person.residence_card.number
            identify(subject_id, IdentifierType.RESIDENCE_CARD, card, source.value)

    def _hold_own_word(self, person: _SeedPerson, account: Account) -> None:
        stated: dict[str, Any] = dict(person.claims)
        for claim in ("email", "phone_number"):
            value = getattr(person, claim)
            if value is not None:
                stated[claim] = value
                stated[f"{claim}_verified"] = bool(getattr(person, f"{claim}_verified"))
        if stated:
            self._services.held.hold(account.subject_id, Source.SELF, stated)

    def _give_authenticators(self, index: int, person: _SeedPerson, account: Account) -> None:
        services = self._services
        known = {key.credential_id for key in services.passkeys.of_account(account.id)}
        for key in person.passkeys:
            if decoded(key.credential_id) not in known:
                services.passkeys.keep(
                    account,
                    credential_id=decoded(key.credential_id),
                    user_handle=decoded(key.user_handle),
                    public_key=cose_key(
                        {k: key.public_key_jwk[k] for k in ("kty", "crv", "x", "y")}
                    ),
                    sign_count=key.sign_count,
                )
        if index in self._hashes:
            services.passwords.set(account.id, self._hashes[index])
        if person.passkeys or index in self._hashes:
            services.accounts.activate(account.id)
        elif person.activation_code is not None and account.awaits_activation:
            services.accounts.give_activation_code(account.id, person.activation_code)


def _principal_identifier(person: _SeedPerson) -> tuple[Source, IdentifierType, str]:
    if person.kind == "citizen":
        assert person.personal_number is not None  # noqa: S101 - the model demands it
        return Source.POPULATION, IdentifierType.PERSONAL_NUMBER, person.personal_number
    assert person.passport is not None  # noqa: S101 - the model demands it
    passport = person.passport
    return Source.IMMIGRATION, IdentifierType.PASSPORT, passport.country + passport.number


def _register_values(person: _SeedPerson) -> dict[str, Any]:
    names = person.name.split()
    values: dict[str, Any] = {
        "name": person.name,
        "birthdate": person.birthdate,
        "gender": person.gender,
        "address": person.address,
        "nationalities": person.nationalities,
    }
    if person.kind == "citizen":
        # Vietnamese order: family name first, given name last.
        values["vn_pid"] = person.personal_number
        values["nationalities"] = person.nationalities or ["VNM"]
        values["family_name"] = person.family_name or names[0]
        values["given_name"] = person.given_name or names[-1]
        values["middle_name"] = person.middle_name or " ".join(names[1:-1])
    else:
        values["family_name"] = person.family_name or names[-1]
        values["given_name"] = person.given_name or names[0]
        values["middle_name"] = person.middle_name or " ".join(names[1:-1])
        if person.passport is not None:
            values["passport"] = person.passport.model_dump()
            values["nationalities"] = person.nationalities or [person.passport.country]
        if person.residence_card is not None:
            values["residence_card"] = person.residence_card.model_dump()
    return {claim: value for claim, value in values.items() if value}


def _located(text: str, path: list[Any], problem: str) -> str:
    field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return f"line {_line_of(text, path)}, {field.lstrip('.')}: {problem}"


def _line_of(text: str, path: list[Any]) -> int:
    """Return the line on which the value at the path begins, or its nearest parent's."""
    position = _Scanner(text).find(path)
    return text.count("\n", 0, position) + 1


class _Scanner:
    """Walks JSON text that is known to be valid, to learn where a value stands."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._decoder = json.JSONDecoder()

    def find(self, path: list[Any]) -> int:
        position = self._skip(0)
        for part in path:
            inner = self._child(position, part)
            if inner is None:
                break
            position = inner
        return position

    def _child(self, position: int, wanted: object) -> int | None:
        opening = self._text[position]
        if opening not in "{[":
            return None
        position, index = self._skip(position + 1), 0
        while self._text[position] not in "}]":
            key: object = index
            if opening == "{":
                key, position = self._decoder.raw_decode(self._text, position)
                position = self._skip(self._skip(position) + 1)
            if key == wanted:
                return position
            _, position = self._decoder.raw_decode(self._text, position)
            position = self._skip(position)
            if self._text[position] == ",":
                position = self._skip(position + 1)
            index += 1
        return None

    def _skip(self, position: int) -> int:
        while position < len(self._text) and self._text[position] in " \t\r\n":
            position += 1
        return position
