"""The national population database (Law 26/2023 Art. 9; asked by Decree 70/2024 Art. 10)."""

from accounts.attributes import Source
from accounts.subject import IdentifierType
from connectors.remote import Service, person_by_number
from connectors.wire import Field, address, day, listed, members, one_of, sex, text, texts

_RELATIVES = listed(members(name=text, relation=text, personal_number=text))

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
        "address_temporary": Field("temporary_residence", address),
        "address_current": Field("current_residence", address),
        "other_name": Field("other_name", text),
        "vn_pid_old": Field("former_number", text),
        "place_of_birth": Field("birth_place", text),
        "birth_registration_place": Field("birth_registration_place", text),
        "home_town": Field("home_town", text),
        "ethnicity": Field("ethnicity", text),
        "religion": Field("religion", text),
        "blood_group": Field("blood_group", text),
        "marital_status": Field(
            "marital_status", one_of("single", "married", "divorced", "widowed")
        ),
        "household_relation": Field("household_relation", text),
        # Relatives' numbers are for guardianship: neither held nor released.
        "household_members": Field("household_members", _RELATIVES),
        "parents": Field("parents", _RELATIVES),
        "spouse": Field("spouse", _RELATIVES),
        "children": Field("children", _RELATIVES),
        "legal_representative": Field("legal_representatives", _RELATIVES),
        "death_date": Field("death_date", day),
    },
)
