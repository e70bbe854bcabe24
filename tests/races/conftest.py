"""A real server with four workers, once for each kind of database."""

from collections.abc import Iterator

import pytest

from idp.services import Installation
from tests.support import cast as people
from tests.support.server import Server, free_port, serving
from tests.support.stores import KINDS, Templates, prepare, settings_for
from tests.support.world import World


@pytest.fixture(scope="module", params=KINDS)
def server(
    request: pytest.FixtureRequest,
    templates: Templates,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Server, people.Cast]]:
    """The server, and the cast that it was seeded with."""
    folder, port = tmp_path_factory.mktemp("server"), free_port()
    cast = people.make(f"http://localhost:{port}")
    with templates.copy(request.param, empty=True) as url:
        prepare(url, folder, cast)
        with serving(folder, url, port) as running:
            yield running, cast


@pytest.fixture
def live(server: tuple[Server, people.Cast]) -> Iterator[World]:
    """Everybody, talking to the server over real connections."""
    running, cast = server
    settings = settings_for(running.database_url, running.folder, running.issuer)
    installation = Installation(settings)
    world = World(installation, running.issuer, cast)
    yield world
    world.close()
    installation.engine.dispose()
    text = running.log
    assert not [secret for secret in world.every_secret() if secret in text]
    before, failed, after = text.partition("Traceback")
    assert not failed, f"{before[-300:]}{failed}{after[:8000]}"
