"""The whole system in one process, with everybody who uses it."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import flask
import httpx
from sqlalchemy import Connection

from idp.services import Installation, Services
from tests.support.browser import Browser, Page, as_json, connect
from tests.support.cast import Cast, Person
from tests.support.clock import Clock
from tests.support.relying_party import Attempt, RelyingPartyClient, Tokens

Ticked = tuple[str, ...] | Callable[[list[str]], list[str]]
"""What she ticks of the optional data, or how she chooses from what is offered."""


@dataclass
class Arrival:
    """A relying party's sign-in that came back with an answer."""

    party: RelyingPartyClient
    browser: Browser
    attempt: Attempt
    location: str
    redeemed: Tokens | None = None

    @property
    def code(self) -> str:
        return self.party.code_from(self.attempt, self.location)

    @property
    def error(self) -> str:
        return self.party.error_from(self.attempt, self.location)

    def tokens(self) -> Tokens:
        """Redeem the code, once, and return what it gave."""
        if self.redeemed is None:
            self.redeemed = self.party.redeem(self.attempt, self.code)
        return self.redeemed


@dataclass
class World:
    """An installation, its application, the cast, and the clock they live by."""

    installation: Installation
    target: flask.Flask | str
    cast: Cast
    clock: Clock | None = None
    clients: list[httpx.Client] = field(default_factory=list)
    parties: dict[str, RelyingPartyClient] = field(default_factory=dict)
    secrets: list[str] = field(default_factory=list)

    @property
    def issuer(self) -> str:
        return self.installation.settings.issuer

    @property
    def app(self) -> flask.Flask:
        assert isinstance(self.target, flask.Flask)
        return self.target

    def client(self, address: str = "127.0.0.1") -> httpx.Client:
        made = connect(self.target, self.issuer, address)
        self.clients.append(made)
        return made

    def browser(self, address: str = "127.0.0.1") -> Browser:
        return Browser(self.client(address), self.issuer)

    def party(self, client_id: str = "portal") -> RelyingPartyClient:
        if client_id not in self.parties:
            self.parties[client_id] = RelyingPartyClient(
                self.client(),
                self.issuer,
                self.cast.relying_parties[client_id],
                self.cast.keys.get(client_id),
                self.clock,
            )
        return self.parties[client_id]

    def person(self, login: str = "lan") -> Person:
        return self.cast.people[login]

    def tick(self, **amount: float) -> None:
        """Let time pass: a second, unless told otherwise."""
        assert self.clock is not None
        self.clock.advance(**(amount or {"seconds": 1}))

    def transaction(self) -> "Transaction":
        """Open the installation's own objects, as an operator's command does."""
        return Transaction(self.installation)

    def arrive(
        self,
        party: str = "portal",
        scope: str = "openid name",
        *,
        person: str = "lan",
        browser: Browser | None = None,
        how: str = "password",
        decision: str = "allow",
        tick: Ticked = (),
        acting_for: str | None = None,
        **changes: str | None,
    ) -> Arrival:
        """Let a relying party send a person here, who does whatever the pages ask of her."""
        client, visitor = self.party(party), browser or self.browser()
        attempt = client.begin(scope, **changes)
        page = self.walk(
            visitor,
            visitor.visit(attempt.url),
            self.person(person),
            how=how,
            decision=decision,
            tick=tick,
            acting_for=acting_for,
        )
        return Arrival(client, visitor, attempt, page.location)

    def walk(
        self,
        browser: Browser,
        page: Page,
        person: Person,
        *,
        how: str = "password",
        decision: str = "allow",
        tick: Ticked = (),
        acting_for: str | None = None,
    ) -> Page:
        """Go through the pages until one leads away; return that redirect."""
        for _ in range(6):
            if page.status == 303:
                assert not browser.is_local(page.location)
                return page
            assert page.status == 200, f"{page.status} {page.text[:400]}"
            if page.has_form("/sign-in/password"):
                page = self.sign_in_on(browser, page, person, how)
            elif page.has_form("/acting-for"):
                page = browser.submit(page.form("/acting-for"), acting_for=acting_for or "self")
            elif page.has_form("/consent"):
                form = page.form("/consent")
                chosen = tick(form.choices.get("optional", [])) if callable(tick) else list(tick)
                page = browser.submit(form, f"consent-{decision}", optional=chosen)
            else:
                raise AssertionError(f"no way on from {page.path}: {page.text[:300]}")
            page = browser.follow(page)
        raise AssertionError("too many pages")

    def sign_in_on(self, browser: Browser, page: Page, person: Person, how: str) -> Page:
        form = page.form("/sign-in/password")
        if how == "password":
            self.secrets.append(person.password)
            return browser.submit(form, login=person.login, password=person.password)
        answer = browser.use_passkey(
            person.passkey, form.values["interaction"], form.values.get("next", "")
        )
        assert answer.status == 200, answer.html
        return browser.open(as_json(answer)["location"])

    def sign_in(
        self, person: str = "lan", how: str = "password", browser: Browser | None = None
    ) -> Browser:
        """Sign a person in on her own pages."""
        visitor = browser or self.browser()
        page = visitor.open("/sign-in")
        page = visitor.follow(self.sign_in_on(visitor, page, self.person(person), how))
        assert page.status == 200, page.text
        assert page.path == "/me"
        return visitor

    def subject(self, login: str = "lan") -> str:
        with self.transaction() as services:
            found = services.subjects.find_for_sign_in(login)
        assert found is not None
        return found

    def account(self, login: str = "lan") -> str:
        with self.transaction() as services:
            found = services.accounts.find_of_subject(self.subject_in(services, login))
        assert found is not None
        return found.id

    @staticmethod
    def subject_in(services: Services, login: str) -> str:
        found = services.subjects.find_for_sign_in(login)
        assert found is not None
        return found

    def close(self) -> None:
        for client in self.clients:
            client.close()

    def every_secret(self) -> set[str]:
        """Return all that went over the wire and must not be in any log."""
        seen = {secret for party in self.parties.values() for secret in party.seen}
        for client in self.clients:
            seen.update(
                cookie.value or ""
                for cookie in client.cookies.jar
                if cookie.name.endswith(("session", "browser"))
            )
        people = self.cast.people.values()
        personal = (
            {p.number for p in people} | {p.password for p in people} | {p.name for p in people}
        )
        return {value for value in seen | personal | set(self.secrets) if len(value) >= 8}


class Transaction(AbstractContextManager[Services]):
    """One transaction with the installation's objects in it."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._begun: AbstractContextManager[Connection] | None = None

    def __enter__(self) -> Services:
        self._begun = self._installation.engine.begin()
        return self._installation.services(self._begun.__enter__(), correlation="test")

    def __exit__(self, *failure: object) -> None:
        assert self._begun is not None
        self._begun.__exit__(*failure)  # type: ignore[arg-type]
        self._installation.relying_parties.forget()


def path_of(url: str) -> str:
    return urlsplit(url).path
