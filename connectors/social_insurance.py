"""Social insurance: the insurance number, whether contributions are paid, and the health card."""

from accounts.attributes import Source
from accounts.subject import IdentifierType
from connectors.remote import Service, person_by_number
from connectors.wire import Field, day, listed, members, one_of, text

SOCIAL_INSURANCE = Service(
    source=Source.SOCIAL_INSURANCE,
    owner="MOF",
    subsystem="social-insurance",
    identifier_type=IdentifierType.PERSONAL_NUMBER,
    number_field="personal_number",
    named_by=person_by_number,
    fields={
        "si_number": Field("insurance_number", text),
        "si_status": Field("status", one_of("contributing", "paused", "pension", "health-only")),
        "hi_card": Field(
            "health_card",
            members(number=text, valid_from=day, valid_to=day, facility=text),
        ),
        "si_employer": Field("employer", text),
        "si_contribution_history": Field(
            "contributions", listed(members(**{"from": day, "to": day, "employer": text}))
        ),
        "pension_status": Field("pension", one_of("none", "receiving", "suspended")),
    },
)
