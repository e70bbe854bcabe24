"""The immigration database: foreigners by passport, with the residence card that they hold."""

from accounts.attributes import Source
from accounts.subject import IdentifierType, canonical
from connectors.protocol import Query
from connectors.remote import Service
from connectors.wire import Field, address, day, members, one_of, sex, text, texts, zone


def _by_passport(query: Query) -> dict[str, str]:
    passport = canonical(query.identifier_type, query.identifier)
    return {
        "full_name": query.name,
        "birth_date": query.birthdate or "",
        # The issuing country's three letters, and the number.
        "passport": passport,
    }


IMMIGRATION = Service(
    source=Source.IMMIGRATION,
    owner="MPS",
    subsystem="immigration",
    identifier_type=IdentifierType.PASSPORT,
    number_field="passport",
    named_by=_by_passport,
    fields={
        "name": Field("full_name", text),
        "family_name": Field("surname", text),
        "given_name": Field("given_names", text),
        "birthdate": Field("birth_date", day),
        "gender": Field("sex", sex),
        "nationalities": Field("nationalities", texts),
        "address": Field("residence", address),
        "passport": Field("travel_document", members(country=text, number=text, expiry=day)),
        "passport_mrz": Field("mrz", zone),
        "foreigner_id": Field("foreigner_number", text),
        "residence_card": Field(
            "residence_card",
            members(number=text, kind=one_of("permanent", "temporary"), expiry=day),
        ),
        "visa_status": Field("visa", members(kind=text, valid_to=day)),
        "last_entry": Field("last_entry", members(date=day, gate=text)),
    },
)
