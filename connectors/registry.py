"""Which registers there are, and where in this installation each is reached."""

from collections.abc import Mapping

from accounts.attributes import Source
from accounts.schema import Clock
from connectors.breaker import Breaker
from connectors.enterprises import ENTERPRISES
from connectors.face_match import FaceMatch
from connectors.identity_cards import IDENTITY_CARDS
from connectors.immigration import IMMIGRATION
from connectors.officials import OFFICIALS
from connectors.population import POPULATION
from connectors.remote import RemoteRegister, Service
from connectors.social_insurance import SOCIAL_INSURANCE
from connectors.xroad import SecurityServer

SERVICES: tuple[Service, ...] = (
    POPULATION,
    IDENTITY_CARDS,
    IMMIGRATION,
    ENTERPRISES,
    SOCIAL_INSURANCE,
    OFFICIALS,
)


def remote_registers(
    server: SecurityServer, clock: Clock, places: Mapping[str, str] | None = None
) -> dict[Source, RemoteRegister]:
    """Return the registers by source.

    ``places`` names the subsystem of those that are not at their usual place in our instance.
    """
    instance = server.client.partition("/")[0]
    found = places or {}
    return {
        service.source: RemoteRegister(
            service,
            found.get(service.source.value, service.place(instance)),
            server,
            Breaker(clock),
        )
        for service in SERVICES
    }


def remote_face_match(server: SecurityServer, clock: Clock, place: str) -> FaceMatch:
    """Return the service at this subsystem that compares faces."""
    return FaceMatch(place, server, Breaker(clock))
