"""Measures 6 to 9 and 16: writing releases, taking them into the logs, and stopping them."""

import random
import secrets
import statistics
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from sqlalchemy import text

from bench import meter
from bench.ledger.load import uses
from bench.ledger.world import ISSUER, RUNS, Citizen, Place, Report, milliseconds, percentile
from consent.data_use import Use
from consent.decisions import Asked
from consent.sequencer import waiting
from idp import ledger
from idp.app import create_app
from idp.door import Door
from idp.oidc.codes import AuthorizationCode
from idp.services import Services

CLIENTS = 8
ATTRIBUTES = ("name", "birthdate")
# Made once: to make it is not what is measured.
_A_USE = uses()[0]


def consented(services: Services, one: Citizen, party: str) -> str:
    """Let a person agree; return the consent's id."""
    asked = Asked(one.subject_id, party, "public-service", ATTRIBUTES)
    return services.consents.give(
        asked, chosen=(), notice_text="notice", language="en", authentication_level=2
    ).id


def code(one: Citizen, party: str, consent_id: str) -> AuthorizationCode:
    """Return a code as the authorization endpoint seals it."""
    return AuthorizationCode(
        grant_id=secrets.token_hex(16), client_id=party, redirect_uri="http://127.0.0.1:9000/cb",
        account_id=one.account_id, subject_id=one.subject_id, session_id=one.session_id,
        consent_id=consent_id, acting_for=None, mandate_id=None, scope="openid name birth",
        nonce=None, code_challenge=None, userinfo_claims=ATTRIBUTES, id_token_claims=(),
        level=2, acr="", amr=("pwd",), auth_time=int(time.time()), offline=False,
        expires_at=int(time.time()) + 60,
    )  # fmt: skip


def granted(place: Place, one: Citizen, party: str) -> tuple[str, str, str]:
    """Let a person agree and the relying party redeem its code; return consent, grant, access token."""
    with place.installation.engine.begin() as db:
        services = place.installation.services(db)
        consent_id = consented(services, one, party)
        grant = services.grants.redeem(code(one, party, consent_id))
    token = place.installation.tokens.access(grant.id, grant.expires_at)
    return consent_id, grant.id, token


def _use(one: Citizen, party: str, consent_id: str, grant_id: str) -> Use:
    return replace(_A_USE, subject_id=one.subject_id, client_id=party, attributes=ATTRIBUTES,
                   consent_id=consent_id, grant_id=grant_id)  # fmt: skip


def measure_overhead(place: Place, report: Report, times: int) -> None:
    """Measure a login's transaction, the code's redemption, with and without its entry, in turn."""
    one, party = place.citizens[2], "agency-1"
    with place.installation.engine.begin() as db:
        consent_id = consented(place.installation.services(db), one, party)

    def redeem(*, is_logged: bool) -> None:
        with place.installation.engine.begin() as db:
            services = place.installation.services(db)
            grant = services.grants.redeem(code(one, party, consent_id))
            if is_logged:
                services.use_log.record(_use(one, party, consent_id, grant.id))

    for _ in range(20):
        redeem(is_logged=True)
    bare, logged = [], []
    for _ in range(times):
        bare.append(milliseconds(lambda: redeem(is_logged=False)))
        logged.append(milliseconds(lambda: redeem(is_logged=True)))
    more = statistics.median(logged) - statistics.median(bare)
    report.say("6", f"code redeemed with its entry − without, p50 ({times})", f"{more:+.2f} ms",
               "≤ 1 ms", met=more <= 1)  # fmt: skip
    more = percentile(logged, 0.99) - percentile(bare, 0.99)
    report.say("6", "the same, p99", f"{more:+.2f} ms", "≤ 5 ms", met=more <= 5)
    share = 1 - sum(bare) / sum(logged)
    report.say("6", "share of this transaction (not of a whole login)", f"{share * 100:.0f} %")


def measure_releases(place: Place, report: Report, seconds: float) -> None:
    """Measure durable releases that hold a grant and write one entry: as userinfo makes them, and by a
    transaction of several statements each, which is the way where that one does not do.
    """
    installation = place.installation
    granteds = [(one, *granted(place, one, "agency-2")) for one in place.citizens[3 : 3 + CLIENTS]]
    app = create_app(installation=installation)

    def answer(number: int) -> None:
        environ = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": "/userinfo",
            "HTTP_AUTHORIZATION": f"Bearer {granteds[number][3]}",
        }
        statuses: list[str] = []
        app.wsgi_app(environ, lambda status, _headers: statuses.append(status))
        assert statuses == ["200 OK"], statuses

    def transact(number: int) -> None:
        one, consent_id, grant_id, _ = granteds[number]
        with installation.engine.begin() as db:
            services = installation.services(db)
            assert services.grants.find_live(grant_id) is not None
            services.use_log.record(_use(one, "agency-2", consent_id, grant_id))

    roots = [place.server.pid] if place.server else []
    for what, act, target in (
        ("at userinfo, without the network", answer, 1200),
        ("a transaction each", transact, None),
    ):
        _for_seconds(0.5, act)
        begun, cpu = time.perf_counter(), meter.cpu_seconds(roots) + time.process_time()
        done = _for_seconds(seconds, act)
        took = time.perf_counter() - begun
        rate = done / (meter.cpu_seconds(roots) + time.process_time() - cpu)
        report.say("7", f"releases {what}, 8 threads; by CPU time with the database's",
                   f"{done / took:,.0f}/s; {rate:,.0f}/core s", "≥ 1,200/s per core" if target else "",
                   met=rate >= target if target else None)  # fmt: skip
    door = app.wsgi_app
    assert isinstance(door, Door)
    door.close()


def _for_seconds(seconds: float, act: Callable[[int], None]) -> int:
    """Let each thread do it again and again; return how often it was done."""
    end = time.perf_counter() + seconds

    def work(number: int) -> int:
        done = 0
        while time.perf_counter() < end:
            act(number)
            done += 1
        return done

    with ThreadPoolExecutor(CLIENTS) as pool:
        return sum(pool.map(work, range(CLIENTS)))


def measure_bulk(place: Place, report: Report, rows: int = 30_000, rounds: int = RUNS) -> None:
    """Measure uses of many people appended at once, durable."""
    kinds, installation = uses(), place.installation
    for each, name in ((1, "one"), (10, "ten")):
        rates = []
        for number in range(rounds):
            chosen = random.Random(number).choices(place.people, k=rows // each)
            batch = [
                replace(kinds[n % len(kinds)], subject_id=one)
                for n, one in enumerate(one for one in chosen for _ in range(each))
            ]
            begun = time.perf_counter()
            with installation.engine.begin() as db:
                installation.services(db).use_log.record_many(batch)
            rates.append(len(batch) / (time.perf_counter() - begun))
        rate = statistics.median(rates)
        report.say("8", f"{rows:,} uses appended at once, {name} a person, of {rounds} runs",
                   f"{rate:,.0f} ({min(rates):,.0f} to {max(rates):,.0f})/s",
                   "≥ 30,000 rows/s", met=rate >= 30_000)  # fmt: skip


def measure_sequencer(place: Place, report: Report, seconds: float) -> None:
    """Measure how fast the logs take all there is, and what came since, for so long at most."""
    taker = ledger.sequencer(place.installation)
    begun, taken, slowest = time.perf_counter(), 0, 0.0
    while time.perf_counter() - begun < seconds:
        start = time.perf_counter()
        done = taker.run_once()
        slowest = max(slowest, time.perf_counter() - start)
        taken += done.entries
        assert not done.broken
        if not done.entries and not done.is_full:
            break
    took = time.perf_counter() - begun
    with place.installation.engine.connect() as db:
        left = waiting(db)
    rate = taken / took
    report.say("9", f"sequencer with map, {taken:,} entries in {took:,.0f} s",
               f"{rate:,.0f}/s", "≥ 10,000/s", met=rate >= 10_000)  # fmt: skip
    report.say("9", "records that wait at the end", f"{left:,}", "0", met=left == 0)
    report.say("9", "the longest epoch", f"{slowest:.1f} s")


def measure_race(place: Place, report: Report, trials: int) -> None:
    """Let seven clients read at userinfo while the eighth withdraws; count what the database committed
    after the withdrawal.
    """
    installation = place.installation
    if place.server is None:
        report.say("16", "revoke-to-stop race", "not measured on SQLite")
        return
    app = create_app(installation=installation)
    late = after = reads = 0
    stopped: list[float] = []
    pool = ThreadPoolExecutor(CLIENTS - 1)
    try:
        for number in range(trials):
            one, party = place.citizens[11 + number % 8], f"agency-{3 + number % 8}"
            consent_id, _, token = granted(place, one, party)
            is_over = threading.Event()
            ended: deque[float] = deque()

            def read(
                token: str = token, is_over: threading.Event = is_over
            ) -> list[tuple[float, int]]:
                client, seen = app.test_client(), []
                while True:
                    begun, was_over = time.perf_counter(), is_over.is_set()
                    answer = client.get("/userinfo", base_url=ISSUER,
                                        headers={"Authorization": f"Bearer {token}"})  # fmt: skip
                    seen.append((begun, answer.status_code))
                    if answer.status_code != 200 or was_over:
                        return seen

            readers = [pool.submit(read) for _ in range(CLIENTS - 1)]
            time.sleep(random.uniform(0, 0.03))
            with installation.engine.begin() as db:
                services = installation.services(db)
                assert services.consents.withdraw(consent_id, one.subject_id) is not None
                services.grants.revoke_of_consent(consent_id)
            ended.append(time.perf_counter())
            is_over.set()
            for reader in readers:
                for begun, status in reader.result():
                    reads += 1
                    assert status in (200, 401), status
                    late += status == 200 and begun > ended[0]
            stopped.append((time.perf_counter() - ended[0]) * 1000)
            with installation.engine.connect() as db:
                after += db.execute(
                    text(_AFTER), {"consent": consent_id, "whose": one.subject_id}
                ).scalar_one()
                db.rollback()
    finally:
        pool.shutdown()
        door = app.wsgi_app
        assert isinstance(door, Door)
        door.close()
    report.say("16", f"withdrawals while 7 clients read, {trials:,} trials, {reads:,} reads", "")
    report.say("16", "releases committed after the withdrawal (commit timestamps)", f"{after}", "0",
               met=after == 0)  # fmt: skip
    report.say("16", "answers with data to requests begun after it", f"{late}", "0", met=late == 0)
    report.times("16", "until all seven were refused", stopped, 1000)


# Refusals are entries too, and come after.
_AFTER = """
SELECT count(*) FROM consent c, data_use u JOIN use_terms t ON t.id = u.terms
WHERE c.id = :consent AND u.subject_id = CAST(:whose AS uuid) AND u.consent_id = CAST(c.id AS uuid)
  AND t.outcome = 'released'
  AND pg_xact_commit_timestamp(u.xmin) > pg_xact_commit_timestamp(c.xmin)
"""
