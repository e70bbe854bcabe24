"""What the tests of applications share: a register's records, officers, and asking on demand."""

from datetime import datetime
from typing import Any

from accounts.applications import Application, ApplicationKind
from accounts.attributes import Source
from accounts.officers import Officer
from accounts.subject import IdentifierType
from connectors.protocol import Answer, NotFound, Query, Record
from idp.applying.office import Visit
from idp.register_checks import check_all
from idp.services import Services
from tests.support.world import World

NEWCOMER = {"personal_number": "999300000501", "name": "Đỗ Thị Ngó Sen", "birthdate": "2003-01-15"}
CHILD = {"personal_number": "999316000502", "name": "Trần Văn Búp", "birthdate": "2016-08-09"}
FOREIGNER = {
    "country": "FRA",
    "passport": "Y0000009",
    "residence_card": "TC-000009",
    "name": "Amélie Nénuphar",
    "birthdate": "1988-12-24",
}
GOOD_VISIT = Visit(document_valid=True, face_agrees=True, biometrics_on_file=True, confirmed=True)


class OneRegister:
    """A register that a test writes by hand, at the moment of the test's own clock; the six real
    ones' wire is tried in tests/connectors.
    """

    def __init__(self, source: Source) -> None:
        self.name = source.value
        self.records: dict[tuple[IdentifierType, str], dict[str, Any]] = {}

    def look_up(self, query: Query, entry: str, now: datetime) -> Answer:
        assert entry, "asked without a use entry"
        found = self.records.get((query.identifier_type, query.identifier))
        named = found and (found.get("organization_name") or found.get("name"))
        if found is None or named != query.name:
            return NotFound(self.name)
        if query.birthdate is not None and query.birthdate != found.get("birthdate"):
            return NotFound(self.name)
        wanted = {claim: found[claim] for claim in query.attributes if claim in found}
        return Record(self.name, wanted, now)


class Office:
    """The registers and officers around a world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.registers: dict[Source, Any] = {
            source: OneRegister(source)
            for source in (
                Source.POPULATION,
                Source.IMMIGRATION,
                Source.ENTERPRISES,
                Source.IDENTITY_CARDS,
            )
        }
        world.installation.registers = self.registers  # type: ignore[assignment]
        for one in world.cast.people.values():
            if one.number:
                own = {"personal_number": one.number, "name": one.name, "birthdate": one.birthdate}
                self.knows_citizen(own)
        world.secrets += [NEWCOMER["name"], NEWCOMER["personal_number"], CHILD["name"]]

    def register(
        self, source: str, type_: IdentifierType, number: str, values: dict[str, Any]
    ) -> None:
        """Write a record as the register's officers do."""
        self.registers[Source(source)].records[type_, number] = values

    def knows_citizen(self, stated: dict[str, str], **more: Any) -> None:
        values = {
            "vn_pid": stated["personal_number"],
            "name": stated["name"],
            "birthdate": stated["birthdate"],
            "gender": "female",
            **more,
        }
        self.register(
            "population", IdentifierType.PERSONAL_NUMBER, stated["personal_number"], values
        )

    def knows_card(self, stated: dict[str, str], **card: str) -> None:
        self.register(
            "identity_cards",
            IdentifierType.PERSONAL_NUMBER,
            stated["personal_number"],
            {
                "name": stated["name"],
                "birthdate": stated["birthdate"],
                "id_card": {
                    "number": stated["personal_number"],
                    "issue": "2024-02-02",
                    "expiry": "2040-02-02",
                    "state": "valid",
                    **card,
                },
            },
        )

    def knows_foreigner(
        self, passport_expiry: str = "2035-01-01", card_expiry: str = "2034-01-01"
    ) -> None:
        self.register(
            "immigration",
            IdentifierType.PASSPORT,
            FOREIGNER["country"] + FOREIGNER["passport"],
            {
                "name": FOREIGNER["name"],
                "birthdate": FOREIGNER["birthdate"],
                "passport": {"number": FOREIGNER["passport"], "expiry": passport_expiry},
                "residence_card": {"number": FOREIGNER["residence_card"], "expiry": card_expiry},
            },
        )

    def knows_company(self, tax_code: str, name: str, *representatives: str) -> None:
        """State a company; its representatives are people of the cast, by login."""
        people = [self.world.person(login) for login in representatives]
        self.register(
            "enterprises",
            IdentifierType.TAX_CODE,
            tax_code,
            {
                "organization_name": name,
                "tax_code": tax_code,
                "organization_legal_reps": [{"name": one.name} for one in people],
                "legal_representatives": [one.number for one in people],
            },
        )

    def officer(self, login: str = "minh") -> Officer:
        with self.world.transaction() as services:
            subject = self.world.subject_in(services, login)
            return services.officers.serving(subject) or services.officers.appoint(
                subject, "Công an phường Hồ Sen Mẫu"
            )

    def apply(
        self, kind: ApplicationKind, stated: dict[str, str], applicant: str | None = None
    ) -> Application:
        """Apply, and have the register asked."""
        with self.world.transaction() as services:
            subject = self.world.subject_in(services, applicant) if applicant else None
            id_, reference = services.application_office.submit(kind, stated, applicant_id=subject)
        self.world.secrets.append(reference)
        check_all(self.world.installation)
        return self.now(id_)

    def now(self, application_id: str) -> Application:
        with self.world.transaction() as services:
            return services.applications.application(application_id)

    def awaited(self, application_id: str) -> tuple[list[str], list[str]]:
        with self.world.transaction() as services:
            found = services.applications.application(application_id)
            assessed = services.application_office.assess(found)
        return [a.value for a in assessed.awaited], [o.value for o in assessed.obstacles]

    def visit(self, application_id: str, visit: Visit = GOOD_VISIT) -> None:
        officer = self.officer()
        with self.world.transaction() as services:
            services.application_office.receive_visit(application_id, officer, visit)

    def issue(self, application_id: str, login: str = "minh") -> Any:
        officer = self.officer(login)
        with self.world.transaction() as services:
            return services.application_office.issue(application_id, officer, "Đủ điều kiện.")

    def answer(self, application_id: str, login: str, *, agrees: bool = True) -> bool:
        with self.world.transaction() as services:
            return answer(services, self.world, application_id, login, agrees=agrees)


def answer(
    services: Services, world: World, application_id: str, login: str, *, agrees: bool = True
) -> bool:
    """Answer as a representative within a transaction."""
    subject = world.subject_in(services, login)
    office = services.application_office
    asked = [a for a, app in office.asked_to_agree(subject) if app.id == application_id]
    assert asked, f"{login} was not asked"
    return office.answer(asked[0].id, subject, agrees=agrees)
