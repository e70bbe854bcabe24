"""Measure 17 (consent.md 6): whatever leaves, by whichever endpoint, is what its use entry says.

Everything is seen from outside (tests/support/watched.py): the answers' bytes, and the entries that
are committed when an answer leaves. Each route of the application either was seen to release
something here, or stands in ``tests/snapshots/releases_nothing.txt`` and is searched for anybody's values.
"""

import gc
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, cast

import flask
import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from werkzeug.routing import IntegerConverter, Rule

from accounts.applications import ApplicationKind
from accounts.attributes import DICTIONARY, Source
from accounts.mandates import MandateType
from accounts.officers import Role
from connectors.protocol import Answer, Event, EventKind, NotFound, Query, Record
from consent.data_use import PROVIDER, Channel, Use, UseEntry, content_of
from consent.sealing import open_for_oversight
from consent.use_receipts import Evidence
from idp import changes, limits
from idp.door import Door
from idp.ledger import Keeper
from idp.oidc.readings import IDENTIFIED_BY, Readings
from tests.support.browser import Browser
from tests.support.cast import COMPANY, TAX_CODE
from tests.support.relying_party import Tokens
from tests.support.stores import on_one_database
from tests.support.watched import Exchange, Faults, Watched, found_in
from tests.support.world import World

NOTHING = Path(__file__).parents[1] / "snapshots" / "releases_nothing.txt"
OVERSIGHT = X25519PrivateKey.generate()
ROUNDS = 20
BY_PROTOCOL = {"relying_party.token", "relying_party.userinfo", "relying_party.introspect"}
BY_PROTOCOL_CHANNELS = {Channel.ID_TOKEN, Channel.USERINFO, Channel.INTROSPECTION}
RELEASING = BY_PROTOCOL | {
    "desk_accounts.one", "desk_contacts.ask", "desk_contacts.one", "desk_applications.one",
    "desk_contacts.submit", "desk_cases.one", "regulator_cases.one", "desk_accounts.lock",
    "desk_accounts.unlock", "desk_applications.code", "desk_applications.decide",
    "desk_recovery.card", "desk_recovery.phone", "desk_recovery.recover",
    "cases.ask", "download.give", "uses.give_copy", "proof.give",
}  # fmt: skip
"""The endpoints that tell something of a person to others, or all of it at once to herself."""

OF_THE_SIGN_IN = {"iss", "aud", "iat", "exp", "auth_time", "acr", "amr", "sid", "at_hash", "nonce"}
OF_THE_TOKEN = {
    "active", "client_id", "token_type", "scope", "exp", "iss", "aud", "acr", "auth_time",
    "authorization_details",
}  # fmt: skip
OF_THE_MANDATE = {
    "sub", "sub_id_type", "iss", "mandate_id", "mandate_type", "scopes", "constraints"
}  # fmt: skip
SPELLED_OUT = {"id_card", "hi_card", "passport", "residence_card", "address"}


class Registers:
    """All registers: each knows of everybody a value of her own for each claim, and asks itself, on a
    connection of its own, whether the entry by which it is asked says just what it is asked.
    """

    rests = False

    def __init__(self, world: World, source: Source) -> None:
        self._world = world
        self.name = source.value
        self._source = source
        self.records: dict[str, dict[str, Any]] = {}
        self.asked: list[tuple[Query, Use]] = []

    def look_up(self, query: Query, evidence: Evidence, now: datetime) -> Answer:
        with self._world.installation.engine.begin() as db:
            services = self._world.installation.services(db)
            subject = services.subjects.find(query.identifier_type, query.identifier)
            assert subject is not None
            entry = next(
                one for one in services.use_log.of_subject(subject) if one.id == evidence.entry
            )
        assert set(entry.use.attributes) == set(query.attributes)
        self.asked.append((query, entry.use))
        known = self.records.get(query.identifier)
        if known is None:
            return NotFound(self.name)
        return Record(self.name, {n: known[n] for n in query.attributes if n in known}, now)


@pytest.fixture
def watched(world: World) -> Iterator[Watched]:
    """Everybody has something of everything; every exchange is watched."""
    registers = {source: Registers(world, source) for source in IDENTIFIED_BY}
    world.installation.registers = registers  # type: ignore[assignment]
    world.installation.readings = Readings(registers, world.installation.clock)  # type: ignore[arg-type]
    with world.transaction() as services:
        ward, guardian = (world.subject_in(services, one) for one in ("hoa", "lan"))
        services.mandates.grant(MandateType.GUARDIAN, ward, guardian, "population", None)
        members = world.cast.relying_parties["portal"]
        services.registrations.register(
            {**members, "authorization_details_types": ["vn_personal_data_use"]}
        )
        bank = world.cast.relying_parties["bank"]
        services.registrations.register(
            {**bank, "grant_types": ["authorization_code", "client_credentials"]}
        )
        for login in PEOPLE:
            subject = world.subject_in(services, login)
            for one in services.subjects.identifiers_of(subject):
                for source, type_ in IDENTIFIED_BY.items():
                    if type_ is one.type:
                        registers[source].records[one.value] = _known(world, login, source)
    company = {**_values("company", Source.ENTERPRISES), "organization_name": COMPANY}
    company |= {"tax_code": TAX_CODE, "legal_representatives": [world.person("lan").number]}
    registers[Source.ENTERPRISES].records[TAX_CODE] = company
    settings = world.installation.settings
    world.installation.settings = replace(
        settings,
        oversight_key=OVERSIGHT.public_key().public_bytes_raw(),
        sealing_clients=frozenset({"portal", "clinic"}),
    )
    made = Watched(world.app, world.installation)
    world.target = cast("flask.Flask", made)
    yield made
    world.target = made.app
    world.installation.settings = settings


PEOPLE = ("lan", "minh", "hoa", "jean", "nga")


def _known(world: World, login: str, source: Source) -> dict[str, Any]:
    person = world.person(login)
    own = {"name": person.name, "birthdate": person.birthdate, "vn_pid": person.number}
    return {**_values(login, source), **{k: v for k, v in own.items() if v}}


def _values(who: str, source: Source) -> dict[str, Any]:
    """Return a value for each claim that the register states, which nobody else has."""
    found: dict[str, Any] = {}
    for claim, row in DICTIONARY.items():
        if source in row.sources and row.derived_from is None:
            text = f"{claim}/{who}"
            match claim:
                case "id_card" | "residence_card" | "passport":
                    found[claim] = {"number": text, "issue": "2024-02-02", "expiry": "2040-02-02"}
                case "hi_card":
                    found[claim] = {"number": text, "valid_to": "2040-02-02", "facility": text}
                case "address" | "address_permanent" | "address_temporary" | "address_current":
                    found[claim] = {"formatted": text, "country": "VN"}
                case "gender":
                    found[claim] = "female"
                case "nationalities":
                    found[claim] = ["VNM"]
                case _:
                    found[claim] = text
    return found


def spellings(world: World, login: str) -> dict[str, list[str]]:
    """Return how a person's values can stand in an answer; what is no sign of one person is left out."""
    person = world.person(login)
    born = date.fromisoformat(person.birthdate)
    found = {
        "name": [person.name],
        "birthdate": [person.birthdate, f"{born:%d/%m/%Y}", f"{born.day} {born:%B %Y}"],
        **({"vn_pid": [person.number]} if person.number else {}),
    }
    for source in IDENTIFIED_BY:
        for claim in _values(login, source):
            if claim not in {"gender", "nationalities", *found}:
                found[claim] = [f"{claim}/{login}"]
    for claim in ("email", "phone_number"):
        if claim in person.seed:
            found[claim] = [person.seed[claim]]
    return found


# --- What relying parties get.


def told(exchange: Exchange) -> Counter[frozenset[str]]:
    """Return what an answer of the protocol tells, a set of names for each one that it tells of."""
    body = json.loads(exchange.body)
    if exchange.endpoint == "relying_party.token":
        if "id_token" not in body:
            return Counter()
        payload = json.loads(exchange.text.splitlines()[-1])
        names = set(payload) - OF_THE_SIGN_IN
    elif exchange.endpoint == "relying_party.introspect":
        if not body["active"]:
            return Counter()
        payload, names = body, set(body) - OF_THE_TOKEN
        if body["sub"] == body["client_id"]:
            # A system's own name; nobody is told of but whom it acts for.
            return Counter([frozenset(names - {"sub"})])
    else:
        payload, names = body, set(body)
    found = Counter([frozenset(names)])
    represents = payload.get("represents")
    if represents is not None and represents["sub_id_type"].endswith("pairwise"):
        found[frozenset(set(represents) - OF_THE_MANDATE or {"sub"})] += 1
    elif represents is not None:
        of_it = {one for one in names if one.startswith("organization") or one == "tax_code"}
        found[frozenset({"represents", *of_it})] += 1
    return found


def unlogged(world: World, exchanges: list[Exchange]) -> list[Any]:
    """Return what was told and stands in no entry that was committed before it left."""
    known = {login: spellings(world, login) for login in PEOPLE}
    subjects = {login: world.subject(login) for login in PEOPLE}
    found: list[Any] = []
    for exchange in exchanges:
        if exchange.endpoint in BY_PROTOCOL and exchange.status == 200:
            missing = told(exchange) - written(exchange)
            found += [(exchange.path, missing)] if missing else []
        for login in set(PEOPLE) - {exchange.viewer}:
            seen = found_in(exchange.text, known[login]) - names(exchange, subjects[login])
            # Those who are tied to one another know of whom.
            seen -= {"name"} if {login, exchange.viewer} == {"lan", "hoa"} else set()
            found += [(exchange.method, exchange.path, exchange.viewer, seen)] if seen else []
    return found


def uses(exchange: Exchange) -> list[Use]:
    """Return the uses that were committed, sealed ones as the oversight body reads them."""
    return [_opened(one) for one in exchange.released]


def _opened(entry: UseEntry) -> Use:
    if entry.use.channel is not Channel.SEALED:
        return entry.use
    # What stands in clear says of nobody and nothing.
    assert entry.use.attributes == ()
    spelled = content_of(entry.id, entry.position, entry.at, entry.use)
    found = open_for_oversight(OVERSIGHT, spelled)
    return replace(
        entry.use,
        subject_id=found["subject_id"],
        channel=Channel(found["channel"]),
        attributes=tuple(found["attributes"]),
    )


def written(exchange: Exchange) -> Counter[frozenset[str]]:
    return Counter(
        frozenset(one.attributes) for one in uses(exchange) if one.channel in BY_PROTOCOL_CHANNELS
    )


def names(exchange: Exchange, subject: str) -> set[str]:
    return {
        name
        for one in uses(exchange)
        if one.subject_id == subject and one.channel is not Channel.CONNECTOR_PULL
        for name in one.attributes
    }


def judge(world: World, exchanges: list[Exchange]) -> None:
    """What was told stands in entries, and what stands in entries was told."""
    assert not unlogged(world, exchanges)
    lan, known = world.subject("lan"), spellings(world, "lan")
    for exchange in exchanges:
        assert exchange.status < 500, (exchange.method, exchange.path)
        if exchange.endpoint in BY_PROTOCOL:
            was_told = told(exchange) if exchange.status == 200 else Counter()
            assert written(exchange) == was_told, exchange
        if exchange.endpoint.startswith("desk_") and exchange.method == "GET":
            claimed = names(exchange, lan) & set(known)
            assert claimed == found_in(exchange.text, known) & claimed, exchange.path


def asked(rng: random.Random, party: dict[str, Any]) -> dict[str, str]:
    """Return an authorization request's scope, claims and details, by chance."""
    scopes = [one for one in party["scope"].split() if rng.random() < 0.4]
    changes = {"scope": " ".join(dict.fromkeys(["openid", *scopes]))}
    if rng.random() < 0.6:
        names = rng.sample(sorted(DICTIONARY), rng.randrange(1, 12))
        where = {"id_token": {}, "userinfo": {}}
        for name in names:
            essential = not DICTIONARY[name].sensitive and rng.random() < 0.3
            where[rng.choice(sorted(where))][name] = {"essential": True} if essential else None
        changes["claims"] = json.dumps(where)
    if party["client_id"] == "portal" and rng.random() < 0.4:
        names = rng.sample(["name", "birthdate", "gender", "email", "vn_pid", "hi_card"], 4)
        detail = {"type": "vn_personal_data_use", "purpose": "public-service",
                  "attributes": names[:2], "optional": names[2:], "valid_for": "P30D"}  # fmt: skip
        changes["authorization_details"] = json.dumps([detail])
    return changes


def arrive(world: World, rng: random.Random) -> None:
    """One sign-in of somebody at some service, and whatever that does with what it got."""
    name = rng.choice(["portal", "portal", "basic", "clinic", "bank", "app", "tax", "customs"])
    login = rng.choice(PEOPLE)
    person, party = world.person(login), world.party(name)
    changes = asked(rng, party.registration)
    if name == "app":
        changes["redirect_uri"] = "vn.example.app:/callback"
    how = "passkey" if person.phone and (not person.password or rng.random() < 0.7) else "password"
    acting = rng.choice(["self", *mandates(world, login)])
    attempt = party.begin(**changes)  # type: ignore[arg-type]
    browser = browser_of(world, login)
    page = world.walk(
        browser, browser.visit(attempt.url), person, how=how, acting_for=acting,
        decision="allow" if rng.random() < 0.9 else "deny",
        tick=lambda offered: [one for one in offered if rng.random() < 0.6],
    )  # fmt: skip
    answer = party.answer_from(attempt, page.location)
    if "code" not in answer:
        return
    redeemed = party.try_redeem(attempt, answer["code"])
    if redeemed.status != 200:
        return
    tokens = Tokens(redeemed.body, {}, {})
    for _ in range(7):
        use_tokens(world, rng, party.client_id, tokens, changes["scope"])
    if rng.random() < 0.5:
        # It ends: by the person, or because the code was stolen.
        if rng.random() < 0.5:
            party.try_redeem(attempt, answer["code"])
        else:
            with world.transaction() as services:
                subject = world.subject_in(services, login)
                for consent in services.consents.of_subject(subject):
                    if consent.client_id == name and consent.ended_at is None:
                        services.consents.withdraw(consent.id, subject)
        for _ in range(3):
            use_tokens(world, rng, party.client_id, tokens, changes["scope"])


def use_tokens(
    world: World, rng: random.Random, client_id: str, tokens: Tokens, scope: str
) -> None:
    party, other = world.party(client_id), world.party(rng.choice(["portal", "basic"]))
    header = {"Authorization": f"Bearer {tokens.access}"}
    ways = ["get", "sealed", "post", "form", "asks", "other asks", "refreshes", "asks of refresh"]
    match rng.choice(ways):
        case "sealed":
            read_sealed(world, client_id, tokens, days=rng.randrange(90))
        case "get":
            party.userinfo(tokens.access)
        case "post":
            party.call("/userinfo", {}, header)
        case "form":
            party.call("/userinfo", {"access_token": tokens.access}, {})
        case "asks":
            party.introspect(tokens.access)
        case "other asks":
            other.introspect(tokens.access)
        case "refreshes" if "refresh_token" in tokens.raw:
            narrowed = " ".join(one for one in scope.split() if rng.random() < 0.8)
            more = {"scope": narrowed} if narrowed and rng.random() < 0.5 else {}
            answer = party.refresh(tokens.refresh, **more)
            if answer.status == 200:
                tokens.raw.update(answer.body)
        case "asks of refresh" if "refresh_token" in tokens.raw:
            party.introspect(tokens.refresh)
        case _:
            party.userinfo(f"{tokens.access}x")


def read_sealed(world: World, client_id: str, tokens: Tokens, days: int = 30) -> None:
    day = (world.installation.clock() + timedelta(days=days)).date()
    seal = {"Seal-Use": f"class=investigation, case=CA/{days}, until={day}"}
    world.party(client_id).client.get(
        "/userinfo", headers={"Authorization": f"Bearer {tokens.access}", **seal}
    )


def mandates(world: World, login: str) -> list[str]:
    with world.transaction() as services:
        return [one.id for one in services.mandates.held_by(world.subject_in(services, login))]


def test_by_the_protocol_only_what_the_entry_names_is_told(
    world: World, watched: Watched, kind: str
) -> None:
    rng = random.Random(kind)
    for _ in range(ROUNDS):
        arrive(world, rng)
        # So that registers are asked again.
        world.tick(hours=rng.choice([0, 1, 30]))
    # Under a seal, for whom that is allowed and for whom it is not.
    for name in ("portal", "bank"):
        arrival = world.arrive(
            name, "openid name birth offline_access", browser=browser_of(world, "lan")
        )
        read_sealed(world, name, arrival.tokens())
    judge(world, watched.exchanges)
    # The rounds were worth it: each endpoint told something, of each kind of person, and refused too.
    seen = Counter(one.endpoint for one in watched.exchanges if one.released)
    assert seen["relying_party.token"] > 8
    assert min(seen[one] for one in BY_PROTOCOL) > 3
    entries = [one for exchange in watched.exchanges for one in exchange.released]
    assert {"portal"} <= {e.use.client_id for e in entries if e.use.channel is Channel.SEALED}
    pulls = world.installation.registers.values()
    assert sum(len(one.asked) for one in pulls) > 4  # type: ignore[attr-defined]
    assert any(not one.released for one in watched.exchanges if one.endpoint in BY_PROTOCOL)


# --- What pages and the agencies' calls tell.


@on_one_database
def test_no_other_route_tells_anything_of_anybody(world: World, watched: Watched) -> None:
    """Every route, by every method, visited by everybody with lan's ids and numbers in their hands."""
    with world.transaction() as services:
        services.officers.appoint(world.subject_in(services, "minh"), "Công an phường Mẫu")
        services.officers.appoint(
            world.subject_in(services, "nga"), "Cục An toàn dữ liệu Mẫu", Role.INSPECTOR
        )
    known = hers(world)
    takes_all(world, watched, visitor(world, "lan"))
    routes = sorted(world_routes(watched), key=lambda one: (one[0] != "GET", one[1] in LAST))
    # She herself last, because what she may do ends much.
    for login in ("", "minh", "nga", "lan"):
        browser = visitor(world, login)
        csrf = token(browser) if login else ""
        for method, endpoint, path in routes:
            if login == "nga" and not endpoint.startswith(("regulator", "desk")):
                continue
            at = path(known)
            if method == "GET":
                browser.open(at)
                continue
            fields = {**FIELDS, **known}
            answer = browser.post(at, {**fields, "csrf_token": csrf})
            if answer.status == 403 and login and endpoint not in LAST:
                # What was sent before has ended her session, or renewed it.
                browser = visitor(world, login)
                csrf = token(browser)
                browser.post(at, {**fields, "csrf_token": csrf})
    as_agency(world, known, {path(known) for _, _, path in routes})
    judge(world, watched.exchanges)
    named = {one for one in NOTHING.read_text().split() if one}
    everything = {endpoint for _, endpoint, _ in routes}
    released = {one.endpoint for one in watched.exchanges if one.released}
    assert not named & RELEASING
    # A new route is either seen to release here, or said to release nothing, which is tried above.
    assert everything == named | RELEASING
    assert released >= RELEASING
    assert released <= RELEASING


FIELDS = {
    "format": "json", "reason": "risk", "ground": "Công văn số 12/CV", "decision": "confirm",
    "right": "explain", "words": "Vì sao?", "claim": "email", "value": "x@example.vn",
}  # fmt: skip


def browser_of(world: World, login: str) -> Browser:
    browser = world.browser()
    browser.client.headers["X-Viewer"] = login
    return browser


LAST = {
    "lock.lock", "phone_home.lock", "own_lock.lock", "passkeys.set_password", "passkeys.remove",
    "cases.raise_alarm", "leaving.leave", "second_factors.make_card",
}  # fmt: skip
"""After these one does not come back so soon."""


def visitor(world: World, login: str) -> Browser:
    browser = browser_of(world, login)
    if login:
        how = "passkey" if world.person(login).phone else "password"
        world.sign_in(login, how=how, browser=browser)
    return browser


def token(browser: Browser) -> str:
    return browser.open("/me/details").form("/me/details").values["csrf_token"]


def hers(world: World) -> dict[str, str]:
    """Let lan do a bit of everything; return what names it in addresses and forms."""
    arrival = world.arrive(
        "portal", "openid name birth pid contact residence documents family offline_access",
        how="passkey", browser=browser_of(world, "lan"),
    )  # fmt: skip
    tokens = arrival.tokens()
    arrival.party.userinfo(tokens.access)
    arrival.party.introspect(tokens.access)
    lan = visitor(world, "lan")
    with world.transaction() as services:
        subject = world.subject_in(services, "lan")
        place = str(services.use_log.of_subject(subject)[0].position)
    page = lan.open(f"/me/cases/ask?right=explain&use={place}")
    lan.submit(page.form("/me/cases/ask"), right="explain")
    own = next(one.position for one in everything_of(world, "lan") if one.use.client_id == PROVIDER)
    page = lan.open(f"/me/cases/ask?right=explain&use={own}")
    lan.submit(page.form("/me/cases/ask"), right="explain")
    office = {"name": "Công ty Gương Sen", "tax_code": "0100233488"}
    officer = visitor(world, "minh")
    with world.transaction() as services:
        made = services.application_office.submit(
            ApplicationKind.ORGANISATION, office, applicant_id=subject
        )
        account = services.accounts.find_of_subject(subject)
        assert account is not None
    page = officer.open(f"/desk/accounts/{account.id}/contact")
    officer.submit(
        page.form(f"/desk/accounts/{account.id}/contact"),
        claim="email", value="moi@example.vn", ground="Đơn ngày 1/6/2027",
    )  # fmt: skip
    mandate = mandates(world, "lan")[0]
    with world.transaction() as services:
        cases = {one.client_id: one for one in services.cases.of_person(subject)}
        return {
            "account_id": account.id,
            "application_id": made[0],
            "reference": cases["portal"].reference,
            "case": cases["portal"].reference,
            "case_id": cases[PROVIDER].id,
            "request_id": services.contact_requests.open()[0].id,
            "consent_id": services.consents.of_subject(subject)[0].id,
            "consent": services.consents.of_subject(subject)[0].id,
            "session_id": services.sessions.of_account(account.id)[0].id,
            "passkey_id": services.passkeys.of_account(account.id)[0].id,
            "mandate_id": mandate,
            "position": place,
            "identifier": world.person("lan").number,
            "token": tokens.access,
            "id_token_hint": tokens.id_token,
            "grant_id": tokens.raw["grant_id"],
            "login": "lan",
            "of": mandate,
        }


def everything_of(world: World, login: str) -> list[UseEntry]:
    with world.transaction() as services:
        return services.use_log.of_subject(world.subject_in(services, login))


def world_routes(watched: Watched) -> list[tuple[str, str, Callable[[dict[str, str]], str]]]:
    """Return each method and route of the application; the door's are among them."""
    app = watched.app
    found = [
        (method, rule.endpoint, partial(_path, app, rule))
        for rule in app.url_map.iter_rules()
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
    ]
    door = app.wsgi_app
    assert isinstance(door, Door)
    at_door = {(method, name) for (method, _), (name, _) in door._endpoints.items()}
    assert at_door <= {(method, endpoint) for method, endpoint, _ in found}
    return found


def _path(app: flask.Flask, rule: Rule, known: dict[str, str]) -> str:
    values: dict[str, Any] = {}
    for name in rule.arguments:
        items = getattr(rule._converters[name], "items", None)
        values[name] = known.get(name) or (sorted(items)[0] if items else "f" * 32)
        if isinstance(rule._converters[name], IntegerConverter):
            values[name] = int(known[name])
    path = app.url_map.bind("id.example").build(rule.endpoint, values)
    # Pages about a record are asked for another's by the mandate that lan has.
    return f"{path}?of={known['of']}" if path.startswith(("/me/uses", "/me/months")) else path


def takes_all(world: World, watched: Watched, lan: Browser) -> None:
    """Let her take away all there is: each file holds what its entry says, and no more."""
    keeper = Keeper()
    keeper(world.installation)
    known = spellings(world, "lan")
    for kind in ("json", "pdf"):
        page = lan.submit(lan.open("/me/download").form("/me/download"), f"download-{kind}")
        assert page.status == 200
        exchange = watched.exchanges[-1]
        (entry,) = exchange.released
        assert entry.use.channel is Channel.EXPORT
        # Names of people stand in it also where they are no attribute; all else is exact.
        seen = found_in(exchange.text, known) & set(entry.use.attributes)
        assert seen == set(known) & set(entry.use.attributes)
        assert found_in(exchange.text, known) <= set(entry.use.attributes)
        for login in PEOPLE[1:]:
            assert found_in(exchange.text, spellings(world, login)) <= {"name"}
    for of in ("", *mandates(world, "lan")):
        for path in ("/me/uses/copy", "/me/uses/proof"):
            shown = lan.open(f"{path}?of={of}")
            if shown.status == 200 and shown.has_form(path):
                assert lan.submit(shown.form(path)).status == 200
                # What was used how is no attribute: names of data, and no value of any.
                exchange = watched.exchanges[-1]
                assert {one.use.attributes for one in exchange.released} == {()}
                assert len(exchange.released) == (2 if of else 1)
                for login in PEOPLE:
                    assert found_in(exchange.text, spellings(world, login)) <= {"name"}
    keeper.close()


def as_agency(world: World, known: dict[str, str], paths: set[str]) -> None:
    party = world.party("portal")
    header, _ = party.authentication()
    for path in sorted(path for path in paths if path.startswith("/agency/")):
        party.client.post(path, data=known, headers=header)
    party.client.post("/agency/uses", headers=header, json={"uses": []})
    party.client.post("/agency/receipts/held", headers=header, json={"day": "x", "commitments": []})


# --- What registers tell by themselves.


@on_one_database
@pytest.mark.parametrize(
    ("source", "kind_of_news", "number", "told_of"),
    [
        (Source.POPULATION, EventKind.NUMBER_CHANGED, "999190000001", "vn_pid"),
        (Source.IDENTITY_CARDS, EventKind.CARD_EXPIRED, "999190000001", "id_card"),
        (Source.IDENTITY_CARDS, EventKind.CARD_WITHDRAWN, "999190000001", "id_card"),
        (Source.IMMIGRATION, EventKind.RESIDENCE_ENDED, "FRAX0000001", "residence_card"),
        (Source.ENTERPRISES, EventKind.COMPANY_DISSOLVED, TAX_CODE, "organization_status"),
        (Source.ENTERPRISES, EventKind.REPRESENTATIVES_CHANGED, TAX_CODE, "organization_legal_reps"),
        # That somebody died is no attribute.
        (Source.POPULATION, EventKind.DEATH, "999190000001", None),
    ],
)  # fmt: skip
def test_what_a_register_tells_by_itself_stands_in_its_entry(
    world: World,
    watched: Watched,
    source: Source,
    kind_of_news: EventKind,
    number: str,
    told_of: str,
) -> None:
    watched.committed()
    detail = {"number": "999190000077", "representatives": []}
    event = Event(1, kind_of_news.value, number, world.installation.clock(), detail)
    assert changes.apply(world.installation, source, event)
    pushed = [e for e in watched.committed() if e.use.channel is Channel.CONNECTOR_PUSH]
    assert [one.use.attributes for one in pushed] == [(told_of,) if told_of else ()]


# --- Faults.


@pytest.fixture
def faults(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> Iterator[Faults]:
    engine = watched.installation.engine
    watched.faults = Faults(monkeypatch, engine)
    yield watched.faults
    watched.faults.forget(engine)


def test_a_fault_at_any_step_leaves_nothing_told_that_is_not_written(
    world: World, watched: Watched, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "DOWNLOAD", replace(limits.DOWNLOAD, failures=1000))
    with world.transaction() as services:
        services.officers.appoint(world.subject_in(services, "minh"), "Công an phường Mẫu")
    lan, minh = visitor(world, "lan"), visitor(world, "minh")
    account, scope = world.account("lan"), "openid name birth offline_access"
    first = world.arrive("portal", scope, browser=lan, how="passkey").tokens()
    portal = world.party("portal")
    sent, _ = portal.authentication()
    files = {path: lan.open(path).form(path) for path in ("/me/download", "/me/uses/copy")}

    def post(path: str, form: dict[str, str]) -> Callable[[], object]:
        return lambda: portal.client.post(path, data=form, headers=sent)

    def code() -> Callable[[], object]:
        attempt = portal.begin(scope)
        found = portal.code_from(attempt, lan.open(attempt.url).location)
        return post("/token", {
            "grant_type": "authorization_code", "code": found,
            "redirect_uri": portal.redirect_uri, "code_verifier": attempt.verifier,
        })  # fmt: skip

    def refresh() -> Callable[[], object]:
        given = cast("httpx.Response", code()()).json()
        form = {"grant_type": "refresh_token", "refresh_token": given["refresh_token"]}
        return post("/token", form)

    bearer = {"Authorization": f"Bearer {first.access}"}
    cases: dict[str, Callable[[], Callable[[], object]]] = {
        "a code": code,
        "a refresh": refresh,
        "userinfo": lambda: lambda: portal.client.get("/userinfo", headers=bearer),
        "introspection": lambda: post("/introspect", {"token": first.access}),
        "an officer": lambda: lambda: minh.open(f"/desk/accounts/{account}"),
        "a copy": lambda: lambda: lan.submit(files["/me/download"]),
        "a table": lambda: lambda: lan.submit(files["/me/uses/copy"]),
    }
    for name, prepared in cases.items():
        # The first of a kind also adds its terms; the steps counted are those of all others.
        prepared()()
        outcomes, at = set(), 0
        while not at or faults.steps >= at:
            act = prepared()
            faults.at = at = at + 1
            act()
            faults.at = 0
            exchange = watched.exchanges[-1]
            outcomes.add((exchange.status < 400, bool(exchange.released)))
            assert at < 200, name
        # It failed with nothing written, failed when it was written, and in the end did not fail.
        assert outcomes == {(False, False), (False, True), (True, True)}, (name, outcomes)
    # Now, and not in the midst of another test.
    gc.collect()
    assert not unlogged(world, watched.exchanges)
    with world.transaction() as services:
        assert services.use_log.is_intact(world.subject_in(services, "lan"))
