"""The attribute dictionary: the one place that says what each claim is.

The consent page, discovery, the page `/attributes`, `docs/attributes.md`, the connectors' questions
and the disclosure gate all read these rows. Classes follow Decree 356/2025/ND-CP (basic and sensitive
personal data); least levels are Decree 69/2024's two scales.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from accounts.levels import AccountLevel, AuthenticationLevel

Words = dict[str, str]
"""One text in each language, by language code."""


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


class Shape(StrEnum):
    """What a claim's value looks like in JSON."""

    TEXT = "text"
    CODE = "code"
    DATE = "date"
    """YYYY-MM-DD; of a birth date also YYYY alone (OpenID Connect Core §5.1)."""
    BOOLEAN = "boolean"
    NUMBER = "number"
    LIST = "list"
    OBJECT = "object"
    ADDRESS = "address"
    """The members of OpenID Connect Core §5.1.1."""
    IMAGE = "image"
    """A data URL."""


@dataclass(frozen=True)
class Attribute:
    """One row of the dictionary.

    ``sources`` are those that may state it, best first. ``scope`` is the scope that allows asking for
    it; ``by_name`` ones come only when the ``claims`` parameter names them too. ``derived_from`` is the
    claim of which it is computed. ``law_listed`` ones are only for bodies that Decree 70/2024 Art. 9
    lists. ``third_persons`` ones tell of other people, of whom nothing but name and relation is kept or
    given. What is not ``released`` leaves to nobody.
    """

    claim: str
    shape: Shape
    sources: tuple[Source, ...]
    label: Words
    scope: str
    sensitive: bool = False
    account_level: AccountLevel = AccountLevel.LEVEL_01
    authentication_level: AuthenticationLevel = AuthenticationLevel.LEVEL_1
    editable: bool = False
    by_name: bool = False
    derived_from: str | None = None
    law_listed: bool = False
    third_persons: bool = False
    released: bool = True

    @property
    def stated_as(self) -> str:
        """The claim that a register states and of which this one is made: mostly itself."""
        return self.derived_from or self.claim

    @property
    def on_demand(self) -> bool:
        """True for what a register is asked for only when somebody may see it, never in advance."""
        return (
            self.sensitive
            or self.third_persons
            or self.authentication_level >= AuthenticationLevel.LEVEL_3
        )


_POPULATION = (Source.POPULATION,)
_PERSONS = (Source.POPULATION, Source.IMMIGRATION)
_IMMIGRATION = (Source.IMMIGRATION,)
_CARDS = (Source.IDENTITY_CARDS,)
_INSURANCE = (Source.SOCIAL_INSURANCE,)
_OFFICIALS = (Source.OFFICIALS,)
_ENTERPRISES = (Source.ENTERPRISES,)
_PROVIDER = (Source.PROVIDER,)
_SELF = (Source.SELF,)
_OF_AGE = "age_over_"


def _row(
    scope: str,
    claim: str,
    shape: Shape,
    sources: tuple[Source, ...],
    vi: str,
    en: str,
    needs: str = "01/1",
    **marks: bool,
) -> Attribute:
    """Return a row; ``needs`` is the least account level and authentication level, as in "02/3"."""
    account, _, authentication = needs.partition("/")
    plain = Attribute(
        claim=claim,
        shape=shape,
        sources=sources,
        label={"vi": vi, "en": en},
        scope=scope,
        account_level=AccountLevel(account),
        authentication_level=AuthenticationLevel(int(authentication)),
    )
    return replace(plain, **marks)  # type: ignore[arg-type]


def _own(scope: str, claim: str, shape: Shape, vi: str, en: str) -> Attribute:
    return _row(scope, claim, shape, _SELF, vi, en, editable=True)


def _age(years: int) -> Attribute:
    """A yes or no about an age, which tells less than the date it is computed from."""
    row = _row(
        "birth",
        f"{_OF_AGE}{years}",
        Shape.BOOLEAN,
        _PERSONS,
        f"Đã đủ {years} tuổi",
        f"Is {years} years old or older",
        by_name=True,
    )
    return replace(row, derived_from="birthdate")


_ROWS = (
    # Names.
    _row("name", "name", Shape.TEXT, _PERSONS, "Họ và tên", "Full name"),
    _row("name", "family_name", Shape.TEXT, _PERSONS, "Họ", "Family name", by_name=True),
    _row("name", "middle_name", Shape.TEXT, _PERSONS, "Tên đệm", "Middle name", by_name=True),
    _row("name", "given_name", Shape.TEXT, _PERSONS, "Tên", "Given name", by_name=True),
    _row("name", "other_name", Shape.TEXT, _POPULATION, "Tên gọi khác", "Other name",
         needs="02/2", by_name=True),
    # Birth.
    _row("birth", "birthdate", Shape.DATE, _PERSONS, "Ngày sinh", "Date of birth"),
    _age(14), _age(16), _age(18), _age(60),
    _row("birth", "gender", Shape.CODE, _PERSONS, "Giới tính", "Sex"),
    _row("birth", "place_of_birth", Shape.TEXT, _POPULATION, "Nơi sinh", "Place of birth",
         needs="02/2", by_name=True),
    _row("birth", "birth_registration_place", Shape.TEXT, _POPULATION,
         "Nơi đăng ký khai sinh", "Place of birth registration", needs="02/2", by_name=True),
    _row("birth", "home_town", Shape.TEXT, _POPULATION, "Quê quán", "Home town",
         needs="02/2", by_name=True),
    _row("foreigner", "nationalities", Shape.LIST, _PERSONS, "Quốc tịch", "Nationality"),
    # The account.
    _row("name", "vn_account_kind", Shape.CODE, _PROVIDER, "Loại tài khoản", "Kind of account"),
    _row("name", "vn_account_level", Shape.CODE, _PROVIDER, "Mức độ tài khoản", "Account level"),
    # Numbers and papers.
    _row("pid", "vn_pid", Shape.CODE, _POPULATION,
         "Số định danh cá nhân", "Personal identification number", needs="02/2", law_listed=True),
    _row("pid", "vn_pid_old", Shape.CODE, _POPULATION,
         "Số chứng minh nhân dân 9 số", "Former nine-digit number", needs="02/2",
         by_name=True, law_listed=True),
    _row("documents", "id_card", Shape.OBJECT, _CARDS, "Thẻ căn cước", "Identity card",
         needs="02/2", law_listed=True),
    _row("documents", "portrait", Shape.IMAGE, _CARDS, "Ảnh chân dung trên thẻ",
         "Portrait on the card", needs="02/3", by_name=True),
    _row("foreigner", "foreigner_id", Shape.CODE, _IMMIGRATION,
         "Số định danh người nước ngoài", "Foreigner's identification number",
         needs="02/2", by_name=True),
    _row("foreigner", "passport", Shape.OBJECT, _IMMIGRATION, "Hộ chiếu", "Passport", needs="02/2"),
    _row("foreigner", "residence_card", Shape.OBJECT, _IMMIGRATION, "Thẻ cư trú", "Residence card",
         needs="02/2"),
    _row("foreigner", "visa_status", Shape.OBJECT, _IMMIGRATION,
         "Tình trạng thị thực", "Visa status", needs="02/3", by_name=True, sensitive=True),
    _row("foreigner", "last_entry", Shape.OBJECT, _IMMIGRATION,
         "Lần nhập cảnh gần nhất", "Last entry into Viet Nam", needs="02/3", by_name=True,
         sensitive=True),
    # Residence.
    _row("residence", "address", Shape.ADDRESS, (*_PERSONS, Source.SELF), "Địa chỉ", "Address"),
    _row("residence", "address_permanent", Shape.ADDRESS, _POPULATION,
         "Nơi thường trú", "Permanent residence", needs="02/2", by_name=True),
    _row("residence", "address_temporary", Shape.ADDRESS, _POPULATION,
         "Nơi tạm trú", "Temporary residence", needs="02/2", by_name=True),
    _row("residence", "address_current", Shape.ADDRESS, _POPULATION,
         "Nơi ở hiện tại", "Present residence", needs="02/2", by_name=True),
    # Family: of others, name and relation only.
    _row("family", "marital_status", Shape.CODE, _POPULATION, "Tình trạng hôn nhân",
         "Marital status", needs="02/2"),
    _row("family", "household_relation", Shape.CODE, _POPULATION, "Quan hệ với chủ hộ",
         "Relation to the head of household", needs="02/3", by_name=True),
    _row("family", "household_members", Shape.LIST, _POPULATION, "Thành viên hộ gia đình",
         "Members of the household", needs="02/3", by_name=True, third_persons=True),
    _row("family", "parents", Shape.LIST, _POPULATION, "Cha, mẹ", "Parents",
         needs="02/3", by_name=True, third_persons=True),
    _row("family", "spouse", Shape.LIST, _POPULATION, "Vợ, chồng", "Spouse",
         needs="02/3", by_name=True, third_persons=True),
    _row("family", "children", Shape.LIST, _POPULATION, "Con", "Children",
         needs="02/3", by_name=True, third_persons=True),
    _row("family", "legal_representative", Shape.LIST, _POPULATION,
         "Người đại diện hoặc giám hộ", "Representative or guardian",
         needs="02/2", by_name=True, third_persons=True),
    # Origin, belief, health: sensitive, always by name.
    _row("origin", "ethnicity", Shape.CODE, _POPULATION, "Dân tộc", "Ethnicity",
         needs="02/3", by_name=True, sensitive=True),
    _row("origin", "religion", Shape.CODE, _POPULATION, "Tôn giáo", "Religion",
         needs="02/3", by_name=True, sensitive=True),
    _row("health", "blood_group", Shape.CODE, _POPULATION, "Nhóm máu", "Blood group",
         needs="02/3", by_name=True, sensitive=True),
    # Social insurance.
    _row("insurance", "hi_card", Shape.OBJECT, _INSURANCE, "Thẻ bảo hiểm y tế",
         "Health-insurance card", needs="02/2", sensitive=True),
    _row("insurance", "si_number", Shape.CODE, _INSURANCE, "Mã số bảo hiểm xã hội",
         "Social-insurance number", needs="02/2"),
    _row("insurance", "si_status", Shape.CODE, _INSURANCE, "Tình trạng tham gia bảo hiểm xã hội",
         "Standing with social insurance", needs="02/2"),
    _row("insurance", "si_contribution_history", Shape.LIST, _INSURANCE,
         "Quá trình đóng bảo hiểm xã hội", "Social-insurance contributions",
         needs="02/3", by_name=True, sensitive=True),
    _row("insurance", "si_employer", Shape.TEXT, _INSURANCE, "Đơn vị đóng bảo hiểm",
         "Employer who pays contributions", needs="02/3", by_name=True, sensitive=True),
    _row("insurance", "pension_status", Shape.CODE, _INSURANCE, "Tình trạng hưởng lương hưu",
         "Pension", needs="02/3", by_name=True, sensitive=True),
    # Officials.
    _row("civil_service", "civil_servant", Shape.OBJECT, _OFFICIALS, "Chức vụ công tác",
         "Public office", needs="02/2"),
    _row("civil_service", "cs_qualifications", Shape.LIST, _OFFICIALS,
         "Trình độ đào tạo của cán bộ, công chức", "Official's qualifications",
         needs="02/3", by_name=True, sensitive=True),
    _row("civil_service", "cs_assessment", Shape.LIST, _OFFICIALS,
         "Kết quả đánh giá cán bộ, công chức", "Official's assessments",
         needs="02/3", by_name=True, sensitive=True),
    _row("civil_service", "cs_discipline", Shape.LIST, _OFFICIALS,
         "Kỷ luật cán bộ, công chức", "Official's disciplinary measures",
         needs="02/3", by_name=True, sensitive=True),
    # Contact, and what only the person herself says (OpenID Connect Core §5.1).
    _own("contact", "email", Shape.TEXT, "Thư điện tử", "E-mail address"),
    _own("contact", "email_verified", Shape.BOOLEAN, "Thư điện tử đã xác minh",
         "E-mail address is verified"),
    _own("contact", "phone_number", Shape.TEXT, "Số điện thoại", "Phone number"),
    _own("contact", "phone_number_verified", Shape.BOOLEAN, "Số điện thoại đã xác minh",
         "Phone number is verified"),
    _own("profile", "nickname", Shape.TEXT, "Tên thường gọi", "Nickname"),
    _own("profile", "preferred_username", Shape.TEXT, "Tên hiển thị", "Preferred username"),
    _own("profile", "profile", Shape.TEXT, "Trang hồ sơ", "Profile page"),
    _own("profile", "picture", Shape.TEXT, "Ảnh đại diện", "Picture"),
    _own("profile", "website", Shape.TEXT, "Trang web", "Website"),
    _own("profile", "zoneinfo", Shape.TEXT, "Múi giờ", "Time zone"),
    _own("profile", "locale", Shape.CODE, "Ngôn ngữ", "Language"),
    _row("profile", "updated_at", Shape.NUMBER, _PROVIDER, "Lần cập nhật cuối",
         "Time of last update"),
    # Organisations: public, except where said.
    _row("organization", "organization_name", Shape.TEXT, _ENTERPRISES, "Tên tổ chức",
         "Name of the organisation"),
    _row("organization", "organization_eid", Shape.CODE, _PROVIDER,
         "Số định danh của tổ chức", "Identification number of the organisation", by_name=True),
    _row("organization", "tax_code", Shape.CODE, _ENTERPRISES, "Mã số thuế", "Tax code"),
    _row("organization", "organization_form", Shape.CODE, _ENTERPRISES, "Loại hình tổ chức",
         "Legal form of the organisation", by_name=True),
    _row("organization", "organization_status", Shape.CODE, _ENTERPRISES,
         "Tình trạng hoạt động của tổ chức", "Standing of the organisation", by_name=True),
    _row("organization", "organization_founded", Shape.DATE, _ENTERPRISES,
         "Ngày thành lập tổ chức", "Founding date of the organisation", by_name=True),
    _row("organization", "organization_address", Shape.ADDRESS, _ENTERPRISES,
         "Trụ sở của tổ chức", "Head office of the organisation", by_name=True),
    _row("organization", "organization_legal_reps", Shape.LIST, _ENTERPRISES,
         "Người đại diện theo pháp luật", "Legal representatives", needs="01/2", by_name=True),
    # Never released.
    _row("", "death_status", Shape.CODE, _POPULATION, "Tình trạng còn sống hay đã chết",
         "Whether the person has died", released=False),
    _row("", "face_template", Shape.IMAGE, _CARDS, "Mẫu khuôn mặt", "Face template",
         needs="02/4", sensitive=True, released=False),
    _row("", "fingerprints", Shape.IMAGE, _CARDS, "Vân tay", "Fingerprints",
         needs="02/4", sensitive=True, released=False),
    _row("", "iris", Shape.IMAGE, _CARDS, "Mống mắt", "Iris",
         needs="02/4", sensitive=True, released=False),
)  # fmt: skip

CATALOGUE: tuple[Attribute, ...] = _ROWS
"""Every row, also those that are never released."""

DICTIONARY: dict[str, Attribute] = {row.claim: row for row in _ROWS if row.released}
"""What may be asked for, by claim."""

_OWN_SCOPES = ("name", "birth", "pid", "documents", "contact", "residence", "family", "origin",
               "health", "foreigner", "insurance", "civil_service", "organization")  # fmt: skip

SCOPES: dict[str, tuple[str, ...]] = {
    "openid": (),
    "offline_access": (),
    "represent": (),
    **{
        scope: tuple(row.claim for row in _ROWS if row.scope == scope and not row.by_name)
        for scope in _OWN_SCOPES
    },
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
"""Our small scopes and the standard ones, each with the claims that come with it."""

ALLOWED: dict[str, frozenset[str]] = {
    scope: frozenset(claims).union(claim for claim, row in DICTIONARY.items() if row.scope == scope)
    for scope, claims in SCOPES.items()
}
"""For each scope, every claim that whoever is registered for it may ask for by name."""

SENSITIVE = frozenset(claim for claim, row in DICTIONARY.items() if row.sensitive)
"""Claims that nobody gives together with others: each has a tick of its own (Law 91/2025 Art. 9)."""

LAW_LISTED = frozenset(claim for claim, row in DICTIONARY.items() if row.law_listed)
"""Claims for bodies that Decree 70/2024 Art. 9 lists, and nobody else."""

IMPLIED = frozenset({"email_verified", "phone_number_verified"})
"""Claims that only qualify another; people are told of that other one."""

EDITABLE = tuple(row.claim for row in _ROWS if row.editable and not row.claim.endswith("_verified"))
"""Attributes that no register knows: the person states them herself."""

ORGANISATION_CLAIMS = ALLOWED["organization"]

DERIVED = frozenset(claim for claim, row in DICTIONARY.items() if row.derived_from)
"""Claims that are computed of another one, which itself stays here."""

_AGES = {
    claim: int(claim.removeprefix(_OF_AGE)) for claim in DICTIONARY if claim.startswith(_OF_AGE)
}


def age_in(claim: str) -> int | None:
    """Return how many years a claim such as `age_over_18` asks about; None for any other claim."""
    return _AGES.get(claim)
