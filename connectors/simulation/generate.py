"""Invents a population from a seed: households, cards, insurance, officials, foreigners, enterprises.

The same seed, size and day always give the same file. Rows are streamed into SQLite household by
household, so memory does not grow with the population. Personal numbers have serials from 900000
and tax codes serials from 9900000, far from those of real people and enterprises.
"""

import json
import random
import sqlite3
import zlib
from collections import deque
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

from connectors.simulation.geography import COMMUNES_OF, PRESENT_CODE, PROVINCES, street
from connectors.simulation.mrz import td3
from connectors.simulation.store import INDEXES, SCHEMA, name_key

Progress = Callable[[int], None]
"""Called with how many people are done."""

_BATCH = 5_000
_YEAR = 365.2425
_CHANGE_OF_CODES = date(2025, 7, 1).toordinal()
_FAMILY_NAMES = (
    ("Nguyễn", 31), ("Trần", 11), ("Lê", 10), ("Phạm", 7), ("Hoàng", 5), ("Huỳnh", 5), ("Phan", 5),
    ("Vũ", 4), ("Võ", 4), ("Đặng", 2), ("Bùi", 2), ("Đỗ", 2), ("Hồ", 1), ("Ngô", 1), ("Dương", 1),
    ("Lý", 1), ("Đinh", 1), ("Mai", 1), ("Trịnh", 1), ("Đoàn", 1), ("Cao", 1), ("Lương", 1),
)  # fmt: skip
_MIDDLE = {
    "M": ("Văn", "Hữu", "Đức", "Công", "Quang", "Minh", "Xuân", "Thanh", "Ngọc", "Quốc", "Đình"),
    "F": ("Thị", "Thị Thanh", "Thị Ngọc", "Thu", "Ngọc", "Thị Hồng", "Phương", "Thùy", "Mỹ", "Bích"),
}  # fmt: skip
_GIVEN = {
    "M": ("An", "Bảo", "Cường", "Dũng", "Đạt", "Giang", "Hải", "Hiếu", "Hoàng", "Hùng", "Huy", "Khải",
          "Khoa", "Lâm", "Long", "Minh", "Nam", "Nghĩa", "Phong", "Phúc", "Quân", "Sơn", "Tài", "Thắng",
          "Thành", "Thịnh", "Toàn", "Trung", "Tuấn", "Việt", "Vinh"),
    "F": ("An", "Anh", "Bình", "Chi", "Diệp", "Dung", "Giang", "Hà", "Hạnh", "Hằng", "Hoa", "Hương",
          "Lan", "Liên", "Linh", "Loan", "Mai", "My", "Nga", "Ngân", "Nhung", "Oanh", "Phương", "Quyên",
          "Sen", "Thảo", "Thu", "Trang", "Tuyết", "Uyên", "Vân", "Yến"),
}  # fmt: skip
_FOREIGN = {
    "KOR": (("KIM", "LEE", "PARK", "CHOI"), ("MINJUN", "SEOYEON", "JIHOON", "SUJIN")),
    "JPN": (("SATO", "SUZUKI", "TANAKA", "ITO"), ("HARUTO", "YUI", "KENJI", "AOI")),
    "CHN": (("WANG", "LI", "ZHANG", "CHEN"), ("WEI", "FANG", "JUN", "MEI")),
    "FRA": (("MARTIN", "DUBOIS", "MOREAU", "LEFÈVRE"), ("CAMILLE", "LOUIS", "CHLOÉ", "HUGO")),
    "USA": (("SMITH", "JOHNSON", "MILLER", "DAVIS"), ("EMMA", "NOAH", "OLIVIA", "JAMES")),
    "IND": (("SHARMA", "PATEL", "SINGH", "KUMAR"), ("AARAV", "ANANYA", "ROHAN", "PRIYA")),
    "AUS": (("WILSON", "TAYLOR", "BROWN", "WALKER"), ("CHARLOTTE", "OLIVER", "GRACE", "JACK")),
    "PHL": (("SANTOS", "REYES", "CRUZ", "GARCIA"), ("MARIA", "JOSE", "ANGELA", "MIGUEL")),
}  # fmt: skip
_FORMS = (
    ("Công ty TNHH", "limited-liability"),
    ("Công ty Cổ phần", "joint-stock"),
    ("Doanh nghiệp tư nhân", "private"),
)
_TRADES = (
    "Thương mại",
    "Xây dựng",
    "Vận tải",
    "Nông sản",
    "Dệt may",
    "Phần mềm",
    "Thủy sản",
    "In ấn",
)
_WORDS = (
    "Sen Hồng",
    "Đại Lộc",
    "Tân Phú",
    "An Khang",
    "Hưng Thịnh",
    "Minh Tâm",
    "Phú Quý",
    "Lạc Việt",
)
_TAX_PREFIXES = ("01", "03", "02", "04", "36", "37", "11", "18")
_TAX_WEIGHTS = (31, 29, 23, 19, 17, 13, 7, 5, 3)
_AGENCIES = ("Ủy ban nhân dân", "Sở Nội vụ", "Sở Y tế", "Sở Giáo dục và Đào tạo", "Sở Tư pháp")
_POSITIONS = (
    ("Chuyên viên", "01.003"),
    ("Chuyên viên chính", "01.002"),
    ("Trưởng phòng", "01.002"),
)
_FACILITIES = ("Trạm Y tế", "Trung tâm Y tế", "Bệnh viện Đa khoa")
# Cards are renewed at these ages (Law 26/2023 Art. 21).
_RENEWALS = (14, 25, 40, 60)


def generate(
    path: Path, *, people: int, seed: str, today: date, progress: Progress | None = None
) -> None:
    """Write a population of ``people`` citizens (and one foreigner for each hundred of them, and
    about one enterprise for each hundred) to a new file; an older one is replaced when it is whole.
    """
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    db = sqlite3.connect(fresh)
    try:
        # The file is worthless until it is whole, so nothing is kept for a way back.
        db.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;" + SCHEMA)
        world = _World(db, seed, today)
        done = 0
        while done < people:
            done += world.household(people - done)
            if progress is not None:
                progress(done)
        for _ in range(max(people // 100, 3)):
            world.foreigner()
        world.flush()
        db.executescript(INDEXES)
        db.commit()
    finally:
        db.close()
    fresh.replace(path)


class _Rows:
    """Rows on their way into one table."""

    def __init__(self, db: sqlite3.Connection, table: str, width: int) -> None:
        self._db = db
        self._statement = f"INSERT INTO {table} VALUES ({', '.join('?' * width)})"  # noqa: S608 - our own names
        self._waiting: list[tuple[Any, ...]] = []

    def add(self, row: tuple[Any, ...]) -> None:
        self._waiting.append(row)
        if len(self._waiting) >= _BATCH:
            self.flush()

    def flush(self) -> None:
        self._db.executemany(self._statement, self._waiting)
        self._waiting.clear()


class _Person:
    """Somebody who is being invented."""

    __slots__ = ("born", "children", "father", "mother", "name", "number", "sex", "spouse")

    def __init__(self, name: str, sex: str, born: int, number: str) -> None:
        self.name = name
        self.sex = sex
        self.born = born
        self.number = number
        self.father: str | None = None
        self.mother: str | None = None
        self.spouse: str | None = None
        self.children: list[str] = []


class _World:
    def __init__(self, db: sqlite3.Connection, seed: str, today: date) -> None:
        self._seed = seed
        self._chance = random.Random(seed)  # noqa: S311 - the same seed must give the same people
        self._today = today
        self._now = today.toordinal()
        self._serials: dict[str, int] = {}
        self._offsets: dict[str, int] = {}
        self._tax_serials = dict.fromkeys(_TAX_PREFIXES, 9_900_000)
        self._households = self._insured = self._foreigners = 0
        self._neighbours: deque[str] = deque(maxlen=64)
        self._old_codes = list(PRESENT_CODE)
        self._code_weights = _running(
            [PROVINCES[PRESENT_CODE[code]][1][code] for code in self._old_codes]
        )
        self._family_names = [name for name, _ in _FAMILY_NAMES]
        self._name_weights = _running([weight for _, weight in _FAMILY_NAMES])
        self._person = _Rows(db, "person", 15)
        self._card = _Rows(db, "card", 4)
        self._insurance = _Rows(db, "insurance", 6)
        self._official = _Rows(db, "official", 5)
        self._foreigner = _Rows(db, "foreigner", 18)
        self._enterprise = _Rows(db, "enterprise", 10)
        self._representative = _Rows(db, "representative", 4)

    def flush(self) -> None:
        for rows in (
            self._person,
            self._card,
            self._insurance,
            self._official,
            self._foreigner,
            self._enterprise,
            self._representative,
        ):
            rows.flush()

    def household(self, at_most: int) -> int:
        """Invent a household and return how many people it has."""
        chance = self._chance
        self._households += 1
        old_code = chance.choices(self._old_codes, cum_weights=self._code_weights)[0]
        family = self._family_name()
        age = 22 + chance.random() * 55
        members = [self._new(family, "M", age, old_code)]
        if chance.random() < 0.88:
            members.append(self._wife(members[0], age))
        if len(members) == 2 and age > 24:
            members += self._children(members, family, age)
        if chance.random() < 0.2 and age < 55:
            members += self._grandparents(members[0], family, age, old_code)
        del members[at_most:]
        self._write(members, PRESENT_CODE[old_code])
        return len(members)

    def foreigner(self) -> None:
        """Invent somebody from abroad with a passport and a residence card."""
        chance = self._chance
        self._foreigners += 1
        country = chance.choice(tuple(_FOREIGN))
        surnames, givens = _FOREIGN[country]
        surname, given, sex = chance.choice(surnames), chance.choice(givens), chance.choice("MF")
        born = date.fromordinal(self._now - int((20 + chance.random() * 45) * _YEAR))
        expires = date.fromordinal(self._now + 200 + chance.randrange(3000))
        number = f"{chance.choice('ABCDEGHKLMNPRTX')}{90_000_000 + self._foreigners:08}"
        lines = td3(
            country=country,
            surname=surname,
            given_names=given,
            number=number,
            birth=f"{born:%y%m%d}",
            sex=sex,
            expiry=f"{expires:%y%m%d}",
        )
        is_permanent = chance.random() < 0.15
        until = self._now + 60 + chance.randrange(3600 if is_permanent else 1000)
        province = chance.choice(("01", "79", "48", "31", "75"))
        name = f"{surname} {given}".title()
        self._foreigner.add(
            (
                country + number,
                country,
                number,
                expires.isoformat(),
                "\n".join(lines),
                surname.title(),
                given.title(),
                name,
                name_key(name),
                born.isoformat(),
                sex,
                f"9{self._foreigners:011}",
                f"{'PR' if is_permanent else 'TR'}{9_000_000 + self._foreigners}",
                "permanent" if is_permanent else "temporary",
                # A residence card never outlives the passport.
                date.fromordinal(min(until, expires.toordinal() - 30)).isoformat(),
                province,
                *self._home(province),
            )
        )

    def _wife(self, husband: _Person, age: float) -> _Person:
        own_code = self._chance.choices(self._old_codes, cum_weights=self._code_weights)[0]
        younger = max(age - self._chance.random() * 6, 20)
        wife = self._new(self._family_name(), "F", younger, own_code)
        husband.spouse, wife.spouse = wife.number, husband.number
        return wife

    def _children(self, parents: list[_Person], family: str, age: float) -> list[_Person]:
        chance, made = self._chance, []
        code = chance.choices(self._old_codes, cum_weights=self._code_weights)[0]
        for _ in range(chance.choices((0, 1, 2, 3), cum_weights=(12, 40, 88, 100))[0]):
            child_age = age - 23 - chance.random() * 14
            # Grown-up children live in households of their own.
            if not 0 <= child_age < 26:
                continue
            child = self._new(family, "M" if chance.random() < 0.52 else "F", child_age, code)
            child.father, child.mother = parents[0].number, parents[1].number
            for parent in parents:
                parent.children.append(child.number)
            made.append(child)
        return made

    def _grandparents(self, child: _Person, family: str, age: float, code: str) -> list[_Person]:
        grandfather = self._new(family, "M", age + 22 + self._chance.random() * 12, code)
        grandmother = self._wife(grandfather, age + 22 + self._chance.random() * 8)
        child.father, child.mother = grandfather.number, grandmother.number
        grandfather.children.append(child.number)
        grandmother.children.append(child.number)
        return [grandfather, grandmother]

    def _family_name(self) -> str:
        return self._chance.choices(self._family_names, cum_weights=self._name_weights)[0]

    def _new(self, family: str, sex: str, age: float, old_code: str) -> _Person:
        chance = self._chance
        name = f"{family} {chance.choice(_MIDDLE[sex])} {chance.choice(_GIVEN[sex])}"
        born = self._now - int(age * _YEAR) - 1
        return _Person(name, sex, born, self._number(old_code, sex, born))

    def _number(self, old_code: str, sex: str, born: int) -> str:
        """Return an unused personal number: three digits of the place, one of century and sex, two
        of the year, six of a serial (structure of Circular 59/2021).
        """
        year = date.fromordinal(born).year
        code = old_code if born < _CHANGE_OF_CODES else PRESENT_CODE[old_code]
        century_and_sex = 2 * (year // 100 - 19) + (sex == "F")
        bucket = f"0{code}{century_and_sex}{year % 100:02}"
        count = self._serials.get(bucket, 0)
        if not count:
            self._offsets[bucket] = zlib.crc32(f"{self._seed}/{bucket}".encode())
        self._serials[bucket] = count + 1
        # The factor has no divisor in common with 100,000, so no serial comes twice.
        serial = 900_000 + (self._offsets[bucket] + count * 61_953) % 100_000
        return f"{bucket}{serial}"

    def _home(self, province: str) -> tuple[str, str]:
        chance = self._chance
        line = f"{1 + int(chance.random() * 400)} {street(int(chance.random() * 8))}"
        return chance.choice(COMMUNES_OF[province]), line

    def _write(self, members: list[_Person], home: str) -> None:
        chance = self._chance
        province = home if chance.random() < 0.85 else chance.choice(("01", "79", "75", "48"))
        commune, line = self._home(province)
        known = {person.number for person in members}
        for person in members:
            age = (self._now - person.born) / _YEAR
            spouse = person.spouse if person.spouse in known else None
            self._person.add(
                (
                    person.number,
                    person.name,
                    name_key(person.name),
                    date.fromordinal(person.born).isoformat(),
                    person.sex,
                    province,
                    commune,
                    line,
                    self._households,
                    "married" if spouse else "single",
                    person.father if person.father in known else None,
                    person.mother if person.mother in known else None,
                    spouse,
                    json.dumps([number for number in person.children if number in known]),
                    None,
                )
            )
            self._give_card(person, age)
            self._insure(person, age, province)
            if age >= 22:
                self._employ(person, age, province, commune, line)

    def _give_card(self, person: _Person, age: float) -> None:
        chance = self._chance
        # Below 14 a card is made on request; a few adults have none yet.
        if chance.random() < (0.8 if age < 14 else 0.01) or age < 6:
            return
        next_renewal = next((limit for limit in _RENEWALS if age < limit), None)
        issued_age = max(age - chance.random() * 8, min(age, 6.0))
        expiry = None
        if next_renewal is not None:
            expiry = date.fromordinal(person.born + int(next_renewal * _YEAR)).isoformat()
            if chance.random() < 0.01 and age > 15:
                expiry = date.fromordinal(self._now - 1 - int(chance.random() * 300)).isoformat()
        issued = min(person.born + int(issued_age * _YEAR), self._now - 400)
        issued = max(issued, person.born + 1)
        self._card.add(
            (person.number, date.fromordinal(issued).isoformat(), expiry, chance.random() < 0.002)
        )

    def _insure(self, person: _Person, age: float, province: str) -> None:
        chance = self._chance
        fate = chance.random()
        if age >= 60:
            status = "pension" if fate < 0.35 else "health-only"
        elif age >= 18:
            status = "contributing" if fate < 0.48 else "paused" if fate < 0.58 else "health-only"
        else:
            status = "health-only"
        if fate > 0.97:
            return
        self._insured += 1
        number = f"{province}{self._insured:08}"
        prefix = {"contributing": "DN4", "pension": "HT3"}.get(status, "GD4")
        facility = f"{_FACILITIES[self._insured % 3]} {PROVINCES[province][0]}"
        self._insurance.add(
            (
                person.number,
                number,
                status,
                f"{prefix}{province}{number}",
                f"{self._today.year}-12-31",
                facility,
            )
        )

    def _employ(self, person: _Person, age: float, province: str, commune: str, line: str) -> None:
        chance = self._chance
        fate = chance.random()
        if fate < 0.02 and age < 60:
            agency = f"{_AGENCIES[int(chance.random() * 5)]} {PROVINCES[province][0]}"
            position, rank = _POSITIONS[int(chance.random() ** 2 * 3)]
            since = date.fromordinal(self._now - int(chance.random() * (age - 21) * _YEAR) - 1)
            self._official.add((person.number, agency, position, rank, since.isoformat()))
        elif fate < 0.035 and age < 68:
            self._found_enterprise(person, age, (province, commune, line))
        elif fate < 0.2:
            self._neighbours.append(person.number)

    def _found_enterprise(self, founder: _Person, age: float, home: tuple[str, str, str]) -> None:
        chance = self._chance
        tax_code = self._tax_code()
        kind, form = _FORMS[int(chance.random() ** 2 * 3)]
        name = (
            f"{kind} {chance.choice(_TRADES)} {chance.choice(_WORDS)} {int(tax_code[4:9]) % 10000}"
        )
        founded = date.fromordinal(self._now - 1 - int(chance.random() * (age - 21) * _YEAR))
        status = "active" if chance.random() < 0.95 else "dissolved"
        # A private enterprise has its owner only; companies may have several (Law on Enterprises).
        more = 0 if form == "private" else chance.choices((0, 1, 2), cum_weights=(80, 96, 100))[0]
        representatives = [founder.number]
        for number in list(self._neighbours)[:more]:
            representatives.append(number)
            self._neighbours.remove(number)
        # Of several, a third represent only together, as their charter may say.
        joint = len(representatives) > 1 and int(tax_code[:9]) % 3 == 0
        founded_on = founded.isoformat()
        self._enterprise.add(
            (tax_code, name, name_key(name), form, founded_on, status, *home, joint)
        )
        roles = ("Giám đốc", "Chủ tịch Hội đồng thành viên", "Phó Giám đốc")
        for place, number in enumerate(representatives):
            self._representative.add((tax_code, number, roles[place], place))

    def _tax_code(self) -> str:
        prefix = _TAX_PREFIXES[int(self._chance.random() ** 2 * len(_TAX_PREFIXES))]
        while True:
            self._tax_serials[prefix] += 1
            body = f"{prefix}{self._tax_serials[prefix]:07}"
            weighted = sum(w * int(d) for w, d in zip(_TAX_WEIGHTS, body, strict=True))
            check = 10 - weighted % 11
            # A remainder that would need two digits is never issued.
            if check <= 9:
                return f"{body}{check}"


def _running(weights: list[int]) -> list[int]:
    """Return running sums: choosing by them need not add the weights up each time."""
    total, sums = 0, []
    for weight in weights:
        total += weight
        sums.append(total)
    return sums
