"""What all tests share: every database twice, a clock that is a dial, and logs that are searched.

Random order and parallel workers are fine: each test has a database of its own.
"""

import copy
import faulthandler
import io
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import flask
import pytest
import structlog
from jinja2 import FileSystemBytecodeCache

from idp import audit
from idp.app import create_app
from idp.collector import collect_seldom
from idp.door import Door
from idp.services import Installation, Services
from tests.support import cast as people
from tests.support.clock import Clock
from tests.support.once import keep_what_is_always_the_same
from tests.support.stores import KINDS, Engines, Servers, Templates, settings_for
from tests.support.world import World

LONGEST = ("test_demo_command.py", "test_every_page.py", "test_applying.py")
"""Stories of twenty seconds and more are in these files."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Stories first, and the longest of them before the others: one worker keeps to them, with one
    browser and one site of each kind, while the others take from the end, so that nothing long is
    left for last (``--dist worksteal``).
    """
    items.sort(key=lambda item: ("stories" not in item.path.parts, item.path.name not in LONGEST))


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Look for garbage as seldom as servers do: going through all that was imported and collected,
    which stays to the end, takes a tenth of the tests' time.
    """
    collect_seldom()


@pytest.fixture(autouse=True)
def watchdog(request: pytest.FixtureRequest) -> Iterator[None]:
    """End a worker whose test hangs, with every thread's stack; a hung test tells nobody anything."""
    is_story = "stories" in request.path.parts
    faulthandler.dump_traceback_later(600 if is_story else 90, exit=True, file=sys.__stderr__)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Templates]:
    """The prepared databases of this worker."""
    servers = Servers()
    yield Templates(tmp_path_factory.mktemp("stores"), servers, Clock(), people.make())
    servers.stop()


@pytest.fixture(scope="session")
def bytecode(tmp_path_factory: pytest.TempPathFactory) -> FileSystemBytecodeCache:
    """Compiled page templates, so that each application does not compile them again."""
    return FileSystemBytecodeCache(str(tmp_path_factory.mktemp("bytecode")))


@pytest.fixture(scope="session", autouse=True)
def _made_once() -> Iterator[None]:
    """Keep what is dear to make and the same in every test: the routes' code and opened keys."""
    with pytest.MonkeyPatch.context() as patch:
        keep_what_is_always_the_same(patch)
        yield


@pytest.fixture(scope="session")
def engines() -> Iterator[Engines]:
    """The worker's engines, which remember the SQL that they have spelled."""
    held = Engines()
    yield held
    held.dispose()


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """The kind of database; every test that stores anything runs on each."""
    return str(request.param)


@pytest.fixture
def clock() -> Clock:
    """The dial, standing at this very moment: what has no dial of its own (a simulated register, a
    relying party's assertion) agrees with it, however long ago the cast was seeded.
    """
    return Clock()


@pytest.fixture
def database_url(templates: Templates, kind: str) -> Iterator[str]:
    """A seeded database of this test's own."""
    with templates.copy(kind) as url:
        yield url


@pytest.fixture
def empty_database_url(templates: Templates, kind: str) -> Iterator[str]:
    """A database without any table."""
    with templates.copy(kind, empty=True) as url:
        yield url


@pytest.fixture
def installation(
    database_url: str, engines: Engines, clock: Clock, tmp_path: Path
) -> Iterator[Installation]:
    """What a server process holds."""
    settings = settings_for(database_url, tmp_path)
    made = Installation(settings, engine=engines.of(database_url), clock=clock)
    yield made
    engines.rest(database_url)


@pytest.fixture
def services(installation: Installation) -> Iterator[Services]:
    """The objects of one transaction, committed when the test is over."""
    with installation.engine.begin() as db:
        yield installation.services(db, correlation="test")


@pytest.fixture
def app(installation: Installation, bytecode: FileSystemBytecodeCache) -> Iterator[flask.Flask]:
    """The application."""
    made = create_app(installation=installation)
    made.jinja_env.bytecode_cache = bytecode
    yield made
    # A server's threads keep these for as long as it runs.
    door = made.wsgi_app
    assert isinstance(door, Door)
    door.close()


@pytest.fixture
def world(
    app: flask.Flask,
    installation: Installation,
    templates: Templates,
    clock: Clock,
    log: io.StringIO,
) -> Iterator[World]:
    """Everybody and everything; afterwards no secret of theirs may stand in the log (LG01)."""
    made = World(installation, app, copy.copy(_fresh(templates.cast)), clock)
    yield made
    made.close()
    text = log.getvalue()
    leaked = [secret for secret in made.every_secret() if secret in text]
    assert not leaked, f"in the log: {leaked}"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Everything logged during the test, as the product writes it."""
    written = io.StringIO()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            audit.place_of_exception,
            audit.redact,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        # Said, because a command that ran before may have left the level of its own.
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=written),
        cache_logger_on_first_use=False,
    )
    yield written
    structlog.reset_defaults()


def _fresh(cast: people.Cast) -> people.Cast:
    """Return the cast with phones whose counters nobody else moves."""
    persons = {}
    for login, person in cast.people.items():
        own = copy.copy(person)
        own.phone = person.phone.copy() if person.phone else None
        persons[login] = own
    return people.Cast(cast.issuer, persons, cast.relying_parties, cast.keys)
