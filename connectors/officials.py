"""The database of officials, civil servants and public employees: who serves where, as what."""

from accounts.attributes import Source
from accounts.subject import IdentifierType
from connectors.remote import Service, person_by_number
from connectors.wire import Field, day, listed, members, text

OFFICIALS = Service(
    source=Source.OFFICIALS,
    owner="MOHA",
    subsystem="officials",
    identifier_type=IdentifierType.PERSONAL_NUMBER,
    number_field="personal_number",
    named_by=person_by_number,
    fields={
        "civil_servant": Field(
            "service", members(agency=text, position=text, rank=text, since=day)
        ),
        "cs_qualifications": Field("qualifications", listed(members(degree=text, school=text))),
        "cs_assessment": Field("assessments", listed(members(year=text, rating=text))),
        "cs_discipline": Field("discipline", listed(members(year=text, measure=text))),
    },
)
