"""Browsers and running installations for the stories; one of each kind for each test worker."""

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.stories.site import Site
from tests.stories.visit import Visit
from tests.support.stores import Servers, Templates

# Without windows, which nobody sees here, it needs half of the time.
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser")
CHROMIUM = next(filter(None, map(shutil.which, BROWSERS)), "/usr/bin/chromium")
CHROMIUM_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class Sites:
    """The installations of this worker, each started when a story first needs it."""

    def __init__(self, folder_of: Callable[[str], Any], servers: Servers) -> None:
        self._folder_of = folder_of
        self._servers = servers
        self._started: dict[str, Site] = {}

    def on(self, kind: str) -> Site:
        """Return the installation on this kind of database."""
        if kind not in self._started:
            made = Site(self._folder_of(kind), self._database_url(kind))
            self._started[kind] = made
            made.start()
        return self._started[kind]

    def stop(self) -> None:
        for site in self._started.values():
            site.stop()

    def _database_url(self, kind: str) -> str | None:
        if kind == "sqlite":
            return None
        return self._servers.postgres.create_database("stories")


@pytest.fixture(scope="session")
def sites(tmp_path_factory: pytest.TempPathFactory, templates: Templates) -> Iterator[Sites]:
    held = Sites(tmp_path_factory.mktemp, templates.server)
    try:
        yield held
    finally:
        held.stop()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_OPTIONS)
        yield browser
        browser.close()


@pytest.fixture
def site(request: pytest.FixtureRequest, sites: Sites) -> Iterator[Site]:
    """The installation; on SQLite unless the story is told on both. It must log no fault."""
    found = sites.on(getattr(request, "param", "sqlite"))
    found.faults()
    yield found
    assert not found.faults()


@pytest.fixture
def language() -> str:
    """The language of the story; in Vietnamese unless it is told in both."""
    return "vi"


@pytest.fixture
def enter(chromium: Browser, site: Site, language: str) -> Iterator[Callable[..., Visit]]:
    """Opens a browser of its own for somebody; no page may upset it."""
    visits: list[Visit] = []

    def open_browser(**options: Any) -> Visit:
        visits.append(Visit(chromium, site, **{"language": language, **options}))
        return visits[-1]

    yield open_browser
    complaints = [complaint for visit in visits for complaint in visit.unforgiven()]
    for visit in visits:
        visit.close()
    assert not complaints, f"the browser complained: {complaints}"


@pytest.fixture
def visit(enter: Callable[..., Visit]) -> Visit:
    """One browser."""
    return enter()
