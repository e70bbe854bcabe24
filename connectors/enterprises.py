"""The business register: enterprises by tax code, with everybody who represents them by law."""

from accounts.attributes import Source
from accounts.subject import IdentifierType, canonical
from connectors.protocol import Query
from connectors.remote import Service
from connectors.wire import Field, address, day, flag, listed, members, one_of, text, texts


def _by_tax_code(query: Query) -> dict[str, str]:
    return {
        "name": query.name,
        "tax_code": canonical(query.identifier_type, query.identifier),
    }


ENTERPRISES = Service(
    source=Source.ENTERPRISES,
    owner="MOF",
    subsystem="enterprises",
    identifier_type=IdentifierType.TAX_CODE,
    number_field="tax_code",
    named_by=_by_tax_code,
    fields={
        "organization_name": Field("name", text),
        "tax_code": Field("tax_code", text),
        "organization_form": Field("form", text),
        "organization_status": Field("status", one_of("active", "dissolved")),
        "organization_founded": Field("founded", day),
        "organization_address": Field("head_office", address),
        "organization_legal_reps": Field("representatives", listed(members(name=text, role=text))),
        # Personal numbers, from which mandates are made: in no dictionary, so never released.
        "legal_representatives": Field("representative_numbers", texts),
        # Whether they represent only together; said of nothing, each of them does alone.
        "organization_joint": Field("representatives_joint", flag),
    },
)
