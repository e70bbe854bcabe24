"""The national population database (Law 26/2023 Art. 9; asked by Decree 70/2024 Art. 10)."""

from accounts.attributes import Source
from accounts.subject import IdentifierType
from connectors.remote import Service, person_by_number
from connectors.wire import Field, address, day, sex, text, texts

POPULATION = Service(
    source=Source.POPULATION,
    owner="MPS",
    subsystem="population",
    identifier_type=IdentifierType.PERSONAL_NUMBER,
    number_field="personal_number",
    named_by=person_by_number,
    fields={
        "vn_pid": Field("personal_number", text),
        "name": Field("full_name", text),
        "family_name": Field("surname", text),
        "middle_name": Field("middle_name", text),
        "given_name": Field("given_name", text),
        "birthdate": Field("birth_date", day),
        "gender": Field("sex", sex),
        "nationalities": Field("nationalities", texts),
        "address": Field("permanent_residence", address),
        "address_permanent": Field("permanent_residence", address),
        "marital_status": Field("marital_status", text),
        # Numbers of relatives: for guardianship, never released as they stand.
        "parents": Field("parents", texts),
        "spouse": Field("spouse", text),
        "children": Field("children", texts),
        "death_date": Field("death_date", day),
    },
)
