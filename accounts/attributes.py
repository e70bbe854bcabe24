"""The attribute dictionary, and the values held of a subject with their source and age.

The dictionary is the single place that says what a claim is: its register, sensitivity, the least
levels it needs and its plain name in both languages. The consent page, discovery and the disclosure
gate all read it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple, cast

import orjson
from sqlalchemy import (
    Column,
    Connection,
    ForeignKey,
    LargeBinary,
    String,
    Table,
    insert,
    select,
    update,
)

from accounts.levels import AccountLevel, AuthenticationLevel
from accounts.schema import Clock, UTCDateTime, metadata
from accounts.vault import Vault, sealed_as

Value = Any
"""A JSON value: what a claim carries on the wire."""


class Source(StrEnum):
    """Where a value comes from: a register, the person's own word, or the provider itself."""

    POPULATION = "population"
    IMMIGRATION = "immigration"
    ENTERPRISES = "enterprises"
    IDENTITY_CARDS = "identity_cards"
    SOCIAL_INSURANCE = "social_insurance"
    OFFICIALS = "officials"
    SELF = "self"
    PROVIDER = "provider"


@dataclass(frozen=True)
class Attribute:
    """One row of the dictionary.

    ``sources`` are those that may state it, best first. ``label`` maps a language to plain words.
    """

    claim: str
    sources: tuple[Source, ...]
    label: dict[str, str]
    sensitive: bool = False
    account_level: AccountLevel = AccountLevel.LEVEL_01
    authentication_level: AuthenticationLevel = AuthenticationLevel.LEVEL_1
    editable: bool = False


_REGISTERS = (Source.POPULATION, Source.IMMIGRATION)
_OWN = (Source.SELF,)


def _own(claim: str, vi: str, en: str) -> Attribute:
    return Attribute(claim, _OWN, {"vi": vi, "en": en}, editable=True)


_ROWS = (
    Attribute("name", _REGISTERS, {"vi": "Họ và tên", "en": "Full name"}),
    Attribute("family_name", _REGISTERS, {"vi": "Họ", "en": "Family name"}),
    Attribute("middle_name", _REGISTERS, {"vi": "Tên đệm", "en": "Middle name"}),
    Attribute("given_name", _REGISTERS, {"vi": "Tên", "en": "Given name"}),
    Attribute("birthdate", _REGISTERS, {"vi": "Ngày sinh", "en": "Date of birth"}),
    Attribute("gender", _REGISTERS, {"vi": "Giới tính", "en": "Sex"}),
    Attribute("nationalities", _REGISTERS, {"vi": "Quốc tịch", "en": "Nationality"}),
    Attribute(
        "vn_account_kind", (Source.PROVIDER,), {"vi": "Loại tài khoản", "en": "Kind of account"}
    ),
    Attribute(
        "vn_account_level", (Source.PROVIDER,), {"vi": "Mức độ tài khoản", "en": "Account level"}
    ),
    Attribute(
        "vn_pid",
        (Source.POPULATION,),
        {"vi": "Số định danh cá nhân", "en": "Personal identification number"},
        account_level=AccountLevel.LEVEL_02,
        authentication_level=AuthenticationLevel.LEVEL_2,
    ),
    Attribute(
        "passport",
        (Source.IMMIGRATION,),
        {"vi": "Hộ chiếu", "en": "Passport"},
        account_level=AccountLevel.LEVEL_02,
        authentication_level=AuthenticationLevel.LEVEL_2,
    ),
    Attribute(
        "residence_card",
        (Source.IMMIGRATION,),
        {"vi": "Thẻ cư trú", "en": "Residence card"},
        account_level=AccountLevel.LEVEL_02,
        authentication_level=AuthenticationLevel.LEVEL_2,
    ),
    Attribute(
        "address",
        (*_REGISTERS, Source.SELF),
        {"vi": "Địa chỉ", "en": "Address"},
    ),
    _own("email", "Thư điện tử", "E-mail address"),
    _own("email_verified", "Thư điện tử đã xác minh", "E-mail address is verified"),
    _own("phone_number", "Số điện thoại", "Phone number"),
    _own("phone_number_verified", "Số điện thoại đã xác minh", "Phone number is verified"),
    _own("nickname", "Tên thường gọi", "Nickname"),
    _own("preferred_username", "Tên hiển thị", "Preferred username"),
    _own("profile", "Trang hồ sơ", "Profile page"),
    _own("picture", "Ảnh đại diện", "Picture"),
    _own("website", "Trang web", "Website"),
    _own("zoneinfo", "Múi giờ", "Time zone"),
    _own("locale", "Ngôn ngữ", "Language"),
    Attribute(
        "updated_at", (Source.PROVIDER,), {"vi": "Lần cập nhật cuối", "en": "Time of last update"}
    ),
    Attribute(
        "organization_name",
        (Source.ENTERPRISES,),
        {"vi": "Tên tổ chức", "en": "Name of the organisation"},
    ),
    Attribute("tax_code", (Source.ENTERPRISES,), {"vi": "Mã số thuế", "en": "Tax code"}),
)

DICTIONARY: dict[str, Attribute] = {row.claim: row for row in _ROWS}

SCOPES: dict[str, tuple[str, ...]] = {
    "openid": (),
    "offline_access": (),
    "represent": (),
    "name": ("name", "vn_account_kind", "vn_account_level"),
    "birth": ("birthdate", "gender"),
    "pid": ("vn_pid",),
    "contact": ("email", "email_verified", "phone_number", "phone_number_verified"),
    "residence": ("address",),
    "foreigner": ("nationalities", "passport", "residence_card"),
    "organization": ("organization_name", "tax_code"),
    # OpenID Connect Core §5.4: what client libraries ask for by habit.
    "profile": (
        "name",
        "family_name",
        "given_name",
        "middle_name",
        "nickname",
        "preferred_username",
        "profile",
        "picture",
        "website",
        "gender",
        "birthdate",
        "zoneinfo",
        "locale",
        "updated_at",
    ),
    "email": ("email", "email_verified"),
    "address": ("address",),
    "phone": ("phone_number", "phone_number_verified"),
}
"""Our small scopes and the standard ones, each with the claims it asks for."""

IMPLIED = frozenset({"email_verified", "phone_number_verified"})
"""Claims that only qualify another; people are told of that other one."""

EDITABLE = tuple(row.claim for row in _ROWS if row.editable and not row.claim.endswith("_verified"))
"""Attributes that no register knows: the person states them herself."""

ORGANISATION_CLAIMS = frozenset(SCOPES["organization"])


held_attributes = Table(
    "held_attributes",
    metadata,
    Column("subject_id", String(32), ForeignKey("subject.id"), primary_key=True),
    Column("sealed", LargeBinary, nullable=False, info=sealed_as("held-attributes", "subject_id")),
    Column("updated_at", UTCDateTime, nullable=False),
)


class Held(NamedTuple):
    """The values one source stated of a subject, and when."""

    source: Source
    as_of: datetime
    values: dict[str, Value]


_SOURCES = {source.value: source for source in Source}


class HeldAttributes:
    """What is held of each subject, sealed as one document a subject."""

    def __init__(self, db: Connection, clock: Clock, vault: Vault) -> None:
        self._db = db
        self._clock = clock
        self._vault = vault
        self._read: dict[str, bytes | None] = {}

    def adopt(self, subject_id: str, sealed: bytes | None) -> None:
        """Take a sealed document that was read in this transaction together with other rows."""
        self._read[subject_id] = sealed

    def of_subject(self, subject_id: str) -> dict[Source, Held]:
        """Return everything held, by source."""
        if subject_id not in self._read:
            self._read[subject_id] = self._db.execute(
                select(held_attributes.c.sealed).where(held_attributes.c.subject_id == subject_id)
            ).scalar()
        sealed = self._read[subject_id]
        return {} if sealed is None else self._opened(subject_id, sealed)

    def forget(self, subject_id: str, source: Source) -> None:
        """Drop what a source stated, before its corrected word is asked for."""
        if source in self.of_subject(subject_id):
            self.hold(subject_id, source, {})

    def _opened(self, subject_id: str, sealed: bytes) -> dict[Source, Held]:
        plain = self._vault.open("held-attributes", sealed, context=subject_id)
        document = cast("dict[str, dict[str, Any]]", orjson.loads(plain))
        return {
            (source := _SOURCES[name]): Held(
                source, datetime.fromtimestamp(part["as_of"], UTC), part["values"]
            )
            for name, part in document.items()
        }

    def hold(self, subject_id: str, source: Source, values: dict[str, Value]) -> None:
        """Replace what is held from one source."""
        now = self._clock()
        held = self.of_subject(subject_id)
        known = bool(held)
        held[source] = Held(source, now, values)
        sealed = sealed_document(self._vault, subject_id, held.values())
        self._read[subject_id] = sealed
        if known:
            self._db.execute(
                update(held_attributes)
                .where(held_attributes.c.subject_id == subject_id)
                .values(sealed=sealed, updated_at=now)
            )
        else:
            self._db.execute(
                insert(held_attributes).values(subject_id=subject_id, sealed=sealed, updated_at=now)
            )


def sealed_document(
    vault: Vault, subject_id: str, parts: Iterable[tuple[Source, datetime, dict[str, Value]]]
) -> bytes:
    """Return what is held of a subject, source by source, as it is stored."""
    document = {
        source.value: {"as_of": int(as_of.timestamp()), "values": values}
        for source, as_of, values in parts
    }
    return vault.seal("held-attributes", orjson.dumps(document), context=subject_id)


def best_value(held: dict[Source, Held], claim: str) -> Value | None:
    """Return the claim's value from the best source that states it, or None."""
    for source in DICTIONARY[claim].sources:
        part = held.get(source)
        if part is not None and part.values.get(claim) is not None:
            return part.values[claim]
    return None
