"""The files of the card: the zone (DG1), the face (DG2), the citizen's data (DG13), keys (DG14, DG15).

DG13 is a list of the issuing authority's own, of which no specification is published: (number, text)
pairs, as public readers of the card understand it.
"""

from dataclasses import dataclass
from datetime import date, datetime

from accounts import mrz
from accounts.chip import der
from accounts.chip.errors import ChipRefusedError
from accounts.errors import BadMrzError
from accounts.spelling import composed

NEEDED = (1, 2, 13, 14, 15)
"""The data groups that a reading must hold; fingerprints (DG3) are never asked for."""
TAGS = {1: 0x61, 2: 0x75, 13: 0x6D, 14: 0x6E, 15: 0x6F}
"""The outer tag of each (Doc 9303 part 10 §4.7)."""
ZONE_TAG = 0x5F1F
_ZONE_LINE = 30
NUMBER, NAME, BIRTH, SEX, ISSUED, EXPIRY = 1, 2, 3, 4, 11, 12
"""The fields of DG13 that are compared."""
_SEXES = {"Nam": "male", "Nữ": "female"}
NO_EXPIRY = "Không thời hạn"
"""What stands in DG13 in place of a date on a card that does not expire; 991231 in the zone."""
_NO_EXPIRY_IN_ZONE = "991231"
_ACTIVE_AUTHENTICATION = bytes.fromhex("678108010105")
"""id-icao-mrtd-security-aaProtocolObject, 2.23.136.1.1.5."""


@dataclass(frozen=True)
class Holder:
    """Whose card it is, as zone and citizen's data agree. ``expiry`` is None on a card without."""

    personal_number: str
    name: str
    birthdate: date
    sex: str
    issued: date
    expiry: date | None


def holder(zone_file: bytes, citizen_file: bytes) -> Holder:
    """Read DG1 and DG13 and have them agree.

    Raises:
        ChipRefusedError: one cannot be read, a check digit is wrong, or they contradict each other.
    """
    zone, fields = _zone(zone_file), _fields(citizen_file)
    try:
        expiry_text = fields[EXPIRY]
        told = Holder(
            personal_number=fields[NUMBER],
            name=composed(" ".join(fields[NAME].split())),
            birthdate=_day(fields[BIRTH]),
            sex=_SEXES[fields[SEX]],
            issued=_day(fields[ISSUED]),
            expiry=None if expiry_text == NO_EXPIRY else _day(expiry_text),
        )
    except (KeyError, ValueError) as error:
        raise ChipRefusedError("unreadable") from error
    expiry = _NO_EXPIRY_IN_ZONE if told.expiry is None else f"{told.expiry:%y%m%d}"
    same = (
        zone.country == "VNM"
        and zone.optional[:12] == told.personal_number
        and zone.number == told.personal_number[3:]
        and zone.birth == f"{told.birthdate:%y%m%d}"
        and zone.expiry == expiry
        and zone.sex == told.sex
        and zone_name(told.name).startswith(zone.names)
    )
    if not same or not zone.names:
        raise ChipRefusedError("files-contradict")
    return told


def zone_name(name: str) -> str:
    """Return a name as a zone's reader sees it: surname first, in capitals, without marks."""
    return " ".join(mrz.latin(name).replace("<", " ").split())


def public_key(key_file: bytes) -> bytes:
    """Return the SubjectPublicKeyInfo of DG15."""
    return der.only(key_file, TAGS[15]).value


def active_authentication_algorithm(security_file: bytes) -> bytes:
    """Return the signature algorithm's object identifier that DG14 states for active authentication
    (Doc 9303 part 11 §9.2.4).

    Raises:
        ChipRefusedError: it states none.
    """
    for info in _one_child(security_file, TAGS[14], der.SET).children():
        parts = info.children()
        if (
            len(parts) >= 3
            and parts[0] == (der.OBJECT_ID, _ACTIVE_AUTHENTICATION)
            and parts[2].tag == der.OBJECT_ID
        ):
            return parts[2].value
    raise ChipRefusedError("algorithm-unsuitable")


def _zone(data: bytes) -> mrz.Zone:
    inner = _one_child(data, TAGS[1], ZONE_TAG).value
    try:
        text = inner.decode("ascii")
        if len(text) != 3 * _ZONE_LINE:
            raise ChipRefusedError("zone-wrong")
        return mrz.read([text[i : i + _ZONE_LINE] for i in range(0, len(text), _ZONE_LINE)])
    except (UnicodeDecodeError, BadMrzError) as error:
        raise ChipRefusedError("zone-wrong") from error


def _fields(data: bytes) -> dict[int, str]:
    found: dict[int, str] = {}
    for entry in _one_child(data, TAGS[13], der.SEQUENCE).children():
        parts = entry.children() if entry.tag == der.SEQUENCE else ()
        if len(parts) < 2 or parts[0].tag != der.INTEGER or parts[1].tag not in der.STRINGS:
            continue
        number = int.from_bytes(parts[0].value, "big")
        if number in found:
            raise ChipRefusedError("files-contradict")
        try:
            found[number] = parts[1].value.decode("utf-8").strip()
        except UnicodeDecodeError as error:
            raise ChipRefusedError("unreadable") from error
    return found


def _one_child(data: bytes, tag: int, inner: int) -> der.Element:
    children = der.only(data, tag).children()
    if len(children) != 1 or children[0].tag != inner:
        raise ChipRefusedError("unreadable")
    return children[0]


def _day(text: str) -> date:
    return datetime.strptime(text, "%d/%m/%Y").date()  # noqa: DTZ007 - a day has no zone
