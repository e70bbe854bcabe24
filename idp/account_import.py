"""Accounts of an older system, from a CSV file: many rows, bad ones reported, none taken twice.

Nobody asks a register here. What the file says is held with the date on which the old system had it, so
the first relying party that wants it makes us ask the register (``idp.reading``). Everybody imported
still has to activate her account.
"""

import csv
import io
import os
import re
import stat
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import IO, Any

from sqlalchemy import Connection, select
from sqlalchemy.exc import IntegrityError

from accounts.account import AccountKind
from accounts.attributes import Held, Source
from accounts.bulk import BulkAccounts, Issued, NewPerson
from accounts.levels import AccountLevel
from accounts.subject import IdentifierType, canonical
from consent.data_use import PROVIDER, Channel, Use, data_use
from idp import audit
from idp.contact import BadContactError, as_stored
from idp.services import Installation

BATCH = 500
LONGEST_FIELD = 4096
_TRIES = 3
_REQUIRED = ("kind", "level", "name", "birthdate")
_OPTIONAL = (
    "personal_number",
    "gender",
    "passport_country",
    "passport_number",
    "passport_expiry",
    "residence_card",
    "residence_card_expiry",
    "email",
    "phone_number",
)
COLUMNS = (*_REQUIRED, *_OPTIONAL)
"""The columns, in the template's order."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class ImportRefusedError(Exception):
    """The file as a whole cannot be read; the message says what to do."""


class _BadRowError(Exception):
    """One row cannot be taken; the text names the column and never its value."""


@dataclass(frozen=True)
class Refused:
    """A row that was not taken: the line it begins on, and why. No reason holds a value."""

    line: int
    reason: str


@dataclass
class Imported:
    """What became of the rows. ``before`` were taken by an earlier run of this very import."""

    taken: int = 0
    before: int = 0
    refused: int = 0


@dataclass(frozen=True)
class _Row:
    line: int
    person: NewPerson
    indexes: tuple[bytes, ...]


@dataclass
class AccountImport:
    """One import.

    Attributes:
        name: Tells this import from others; a later run under the same name goes on with it.
        as_of: The date on which the old system had what the file says.
        refuse: Called with each row that is not taken.
        codes: Where activation codes are written, if they are wanted.
        progress: Called with the bytes read so far.
    """

    installation: Installation
    name: str
    as_of: date
    refuse: Callable[[Refused], None]
    codes: "CodesFile | None" = None
    progress: Callable[[int], None] = lambda _bytes: None
    _lines: dict[bytes, int] = field(default_factory=dict)

    @property
    def correlation(self) -> str:
        """The mark of this import in the use entries it writes."""
        return f"import/{self.name}"[:64]

    def run(self, file: Path) -> Imported:
        """Import the file.

        Raises:
            ImportRefusedError: it is no such CSV file at all.
        """
        done = Imported()
        with file.open("rb") as raw:
            delimiter = _checked_head(raw.read(64 * 1024))
        with (
            file.open("rb") as raw,
            io.TextIOWrapper(raw, "utf-8-sig", errors="surrogateescape", newline="") as text,
        ):
            batch: list[_Row] = []
            for row in self._rows(text, delimiter, done):
                batch.append(row)
                if len(batch) == BATCH:
                    self._take(batch, done)
                    batch = []
                    self.progress(raw.tell())
            self._take(batch, done)
            self.progress(raw.tell())
        audit.security_event(
            "accounts.imported", taken=done.taken, before=done.before, refused=done.refused
        )
        return done

    def _rows(self, text: IO[str], delimiter: str, done: Imported) -> Iterator[_Row]:
        csv.field_size_limit(LONGEST_FIELD)
        reader = csv.reader(text, delimiter=delimiter, strict=True)
        columns = _columns(next(reader, []))
        vault = self.installation.vault
        while True:
            line = reader.line_num + 1
            try:
                cells = next(reader)
                if not any(cell.strip() for cell in cells):
                    continue
                person = _person(_named(columns, cells), self._moment(), self.installation.clock())
            except StopIteration:
                return
            except csv.Error as error:
                last = reader.line_num
                where = f" (lines {line} to {last} were skipped)" if last > line else ""
                self._refuse(done, line, f"not CSV: {error}{where}; look for an open quote")
                continue
            except _BadRowError as error:
                self._refuse(done, line, str(error))
                continue
            indexes = tuple(
                vault.blind_index(type_.value, canonical(type_, value))
                for type_, value in person.identifiers
                if type_ is not IdentifierType.PASSPORT_NUMBER
            )
            # Half of an index tells two people apart well enough, and costs half the memory.
            earlier = next((self._lines[i[:16]] for i in indexes if i[:16] in self._lines), None)
            if earlier is not None:
                self._refuse(done, line, f"the same identifier stands in line {earlier}")
                continue
            self._lines.update((index[:16], line) for index in indexes)
            yield _Row(line, person, indexes)

    def _take(self, batch: list[_Row], done: Imported) -> None:
        for turn in range(_TRIES):
            try:
                with self.installation.engine.begin() as db:
                    new, before, known = self._sorted(db, batch)
                    issued = self._issue(db, new)
                    if self.codes is not None:
                        # On disk before the commit: a code without an account does no harm, an
                        # account whose code is lost does.
                        self.codes.write(new_codes(new, issued))
                break
            except IntegrityError:
                # Somebody issued one of them at this moment: it is found at the next look.
                if turn == _TRIES - 1:
                    raise
        done.taken += len(issued)
        done.before += before
        for line, reason in known:
            self._refuse(done, line, reason)

    def _sorted(
        self, db: Connection, batch: list[_Row]
    ) -> tuple[list[_Row], int, list[tuple[int, str]]]:
        bulk = self._bulk(db)
        owners = bulk.owners(index for row in batch for index in row.indexes)
        mine = self._mine(db, set(owners.values()))
        new, before, known = [], 0, []
        for row in batch:
            found = {owners[index] for index in row.indexes if index in owners}
            if not found:
                new.append(row)
            elif found <= mine:
                before += 1
            else:
                known.append((row.line, "somebody bears this identifier already"))
        return new, before, known

    def _mine(self, db: Connection, subjects: set[str]) -> set[str]:
        """Return those whom this very import made: their first use entry says so."""
        if not subjects:
            return set()
        rows = db.execute(
            select(data_use.c.subject_id).where(
                data_use.c.subject_id.in_(subjects),
                data_use.c.position == 1,
                data_use.c.correlation == self.correlation,
            )
        )
        return set(rows.scalars())

    def _issue(self, db: Connection, rows: list[_Row]) -> list[Issued]:
        if not rows:
            return []
        issued = self._bulk(db).issue(
            [row.person for row in rows],
            ground=self.correlation,
            with_codes=self.codes is not None,
        )
        self.installation.services(db).use_log.open_with(
            [
                Use(
                    subject_id=one.subject_id,
                    client_id=PROVIDER,
                    channel=Channel.ISSUING,
                    attributes=tuple(claim for part in row.person.held for claim in part.values),
                    purpose="account-issuing",
                    purpose_version=1,
                    legal_basis="statutory-function",
                    correlation=self.correlation,
                )
                for row, one in zip(rows, issued, strict=True)
            ]
        )
        return issued

    def _bulk(self, db: Connection) -> BulkAccounts:
        i = self.installation
        return BulkAccounts(db, i.clock, i.chance, i.vault)

    def _moment(self) -> datetime:
        return datetime(self.as_of.year, self.as_of.month, self.as_of.day, tzinfo=UTC)

    def _refuse(self, done: Imported, line: int, reason: str) -> None:
        done.refused += 1
        self.refuse(Refused(line, reason))


class CodesFile:
    """Activation codes in a file that its owner alone can read; a later run appends to it.

    Raises:
        ImportRefusedError: the file is somebody else's, or others can read it.
    """

    def __init__(self, path: Path) -> None:
        how = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
        try:
            descriptor = os.open(path, how, 0o600)
        except OSError as error:
            raise ImportRefusedError(f"{path} cannot be written ({error.strerror})") from error
        known = os.fstat(descriptor)
        if not stat.S_ISREG(known.st_mode) or known.st_mode & 0o077 or known.st_uid != os.getuid():
            os.close(descriptor)
            raise ImportRefusedError(f"{path} must be your own file that nobody else can read")
        self._file = os.fdopen(descriptor, "a", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file)
        if known.st_size == 0:
            self._writer.writerow(("identifier", "activation_code"))

    def write(self, codes: Sequence[tuple[str, str]]) -> None:
        """Write identifiers with their codes, and wait until they are on the disk."""
        self._writer.writerows(codes)
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def new_codes(rows: list[_Row], issued: list[Issued]) -> list[tuple[str, str]]:
    """Return what each person activates with: her first identifier and her code."""
    return [(row.person.identifiers[0][1], one.code) for row, one in zip(rows, issued, strict=True)]


def template() -> str:
    """Return the head line of such a file."""
    return ",".join(COLUMNS) + "\n"


def _checked_head(head: bytes) -> str:
    """Return the delimiter of a file that begins like this."""
    if head[:2] in {b"\xff\xfe", b"\xfe\xff"} or b"\x00" in head:
        raise ImportRefusedError(
            "the file is not UTF-8 (it looks like UTF-16); save it as CSV UTF-8"
        )
    first = head.removeprefix(b"\xef\xbb\xbf").split(b"\n", 1)[0]
    try:
        text = first.decode()
    except UnicodeDecodeError as error:
        raise ImportRefusedError("the file is not UTF-8; save it as CSV UTF-8") from error
    if text.startswith("PK"):
        raise ImportRefusedError("the file is a workbook; save it as CSV UTF-8")
    # Spreadsheets use a semicolon where the comma is the decimal sign, as in Viet Nam.
    return max(",;\t", key=text.count)


def _columns(cells: list[str]) -> list[str]:
    names = [cell.strip().lower() for cell in cells]
    unknown = sorted(set(names) - set(COLUMNS))
    missing = [name for name in _REQUIRED if name not in names]
    if missing:
        raise ImportRefusedError(
            f"line 1 must name the columns; {missing[0]!r} is missing (see docs/import.md)"
        )
    if unknown or len(set(names)) != len(names):
        raise ImportRefusedError(
            f"line 1: unknown column {unknown[0]!r}" if unknown else "line 1 names a column twice"
        )
    return names


def _named(columns: list[str], cells: list[str]) -> dict[str, str]:
    if len(cells) != len(columns):
        raise _BadRowError(f"{len(cells)} cells where line 1 names {len(columns)} columns")
    named = {}
    for name, cell in zip(columns, cells, strict=True):
        if any("\ud800" <= sign <= "\udfff" for sign in cell):
            raise _BadRowError(f"{name}: not UTF-8")
        text = unicodedata.normalize("NFC", cell.replace("\u00a0", " ")).strip(" ")
        if text and not text.isprintable():
            raise _BadRowError(f"{name}: a control character")
        if text.startswith(_FORMULA) and name != "phone_number":
            raise _BadRowError(f"{name}: begins like a spreadsheet's formula")
        if len(text) > 200:
            raise _BadRowError(f"{name}: longer than 200 characters")
        named[name] = text
    return named


def _person(cells: dict[str, str], as_of: datetime, now: datetime) -> NewPerson:
    kind = _one_of(cells, "kind", "citizen", "foreigner")
    level = AccountLevel(_one_of(cells, "level", "01", "02"))
    name = " ".join(cells["name"].split())
    if not name or name.isnumeric():
        raise _BadRowError("name: missing")
    values: dict[str, Any] = {"name": name, "birthdate": _birthdate(cells, now)}
    if cells.get("gender"):
        values["gender"] = _one_of(cells, "gender", "male", "female")
    names = name.split()
    first, last = (names[0], names[-1]) if kind == "citizen" else (names[-1], names[0])
    values |= {"family_name": first, "given_name": last}
    if len(names) > 2:
        values["middle_name"] = " ".join(names[1:-1])
    source, identifiers = (_citizen if kind == "citizen" else _foreigner)(cells, values)
    held = [Held(source, as_of, values)]
    own = _contacts(cells)
    if own:
        held.append(Held(Source.SELF, as_of, own))
    return NewPerson(AccountKind(kind), level, identifiers, source, tuple(held))


_Identifiers = tuple[tuple[IdentifierType, str], ...]


def _citizen(cells: dict[str, str], values: dict[str, Any]) -> tuple[Source, _Identifiers]:
    number = cells.get("personal_number", "").replace(" ", "")
    if not re.fullmatch(r"[0-9]{12}", number, re.ASCII):
        raise _BadRowError("personal_number: 12 digits (spreadsheets drop leading zeros)")
    values |= {"vn_pid": number, "nationalities": ["VNM"]}
    return Source.POPULATION, ((IdentifierType.PERSONAL_NUMBER, number),)


def _foreigner(cells: dict[str, str], values: dict[str, Any]) -> tuple[Source, _Identifiers]:
    country = _like(cells, "passport_country", r"[A-Z]{3}", "three capital letters")
    number = _like(cells, "passport_number", r"[A-Z0-9]{5,20}", "5 to 20 letters and digits")
    card = _like(cells, "residence_card", r"[A-Z0-9\-]{4,20}", "4 to 20 letters and digits")
    values["nationalities"] = [country]
    values["passport"] = {"country": country, "number": number, **_expiry(cells, "passport_expiry")}
    values["residence_card"] = {"number": card, **_expiry(cells, "residence_card_expiry")}
    return Source.IMMIGRATION, (
        (IdentifierType.PASSPORT, country + number),
        (IdentifierType.PASSPORT_NUMBER, number),
        (IdentifierType.RESIDENCE_CARD, card.replace("-", "")),
    )


def _contacts(cells: dict[str, str]) -> dict[str, Any]:
    own: dict[str, Any] = {}
    for claim in ("email", "phone_number"):
        try:
            text = as_stored(claim, cells.get(claim, ""))
        except BadContactError as error:
            raise _BadRowError(f"{claim}: cannot be one") from error
        if text:
            own |= {claim: text, f"{claim}_verified": False}
    return own


def _one_of(cells: dict[str, str], column: str, *allowed: str) -> str:
    if cells[column] not in allowed:
        raise _BadRowError(f"{column}: must be {' or '.join(allowed)}")
    return cells[column]


def _like(cells: dict[str, str], column: str, pattern: str, told: str) -> str:
    text = cells.get(column, "").upper()
    if not re.fullmatch(pattern, text, re.ASCII):
        raise _BadRowError(f"{column}: {told}")
    return text


def _expiry(cells: dict[str, str], column: str) -> dict[str, str]:
    return {"expiry": _date(cells, column).isoformat()} if cells.get(column) else {}


def _birthdate(cells: dict[str, str], now: datetime) -> str:
    found = _date(cells, "birthdate")
    if not date(1880, 1, 1) <= found <= now.date():
        raise _BadRowError("birthdate: not a possible day")
    return found.isoformat()


def _date(cells: dict[str, str], column: str) -> date:
    text = cells[column]
    figures = re.fullmatch(r"([0-9]{1,2})/([0-9]{1,2})/([0-9]{4})", text, re.ASCII)
    try:
        if figures:
            day, month, year = map(int, figures.groups())
            return date(year, month, day)
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text, re.ASCII):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise _BadRowError(f"{column}: must be 2003-11-22 or 22/11/2003")
