"""What tests of cards share."""

import pytest

from connectors.simulation.cards import CardIssuer
from tests.support.cards import Reader, trusted_issuer
from tests.support.world import World


@pytest.fixture
def issuer(world: World) -> CardIssuer:
    """Who issues the cards that the installation believes."""
    return trusted_issuer(world)


@pytest.fixture
def reader(world: World) -> Reader:
    """A reader app."""
    return Reader(world)
