"""The identity-card database (Law 26/2023): whether a card exists, until when, and in what state."""

from accounts.attributes import Source
from accounts.subject import IdentifierType
from connectors.remote import Service, person_by_number
from connectors.wire import Field, day, image, members, one_of, text

IDENTITY_CARDS = Service(
    source=Source.IDENTITY_CARDS,
    owner="MPS",
    subsystem="identity-cards",
    identifier_type=IdentifierType.PERSONAL_NUMBER,
    number_field="personal_number",
    named_by=person_by_number,
    fields={
        "id_card": Field(
            "card",
            # A card issued from the age of 60 has no expiry.
            members(
                number=text,
                issue=day,
                expiry=day,
                state=one_of("valid", "expired", "withdrawn"),
            ),
        ),
        "portrait": Field("portrait", image),
    },
)
