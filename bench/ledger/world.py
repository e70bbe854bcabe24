"""What is measured: an installation on a database of its own, its people, and how figures are told."""

import json
import math
import secrets
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from accounts.levels import AuthenticationMethod
from accounts.subject import IdentifierType
from bench.postgres import Postgres
from bench.subjects import make_seed
from consent import partitions
from idp.database import upgrade
from idp.seed import read_seed
from idp.services import Installation, prepare_keys
from idp.settings import Settings

CITIZENS = 20
"""So many people have accounts, grants and browsers; the others only have records."""
AGENCIES = 12
ISSUER = "https://id.example"
_MEMORY = "2GB"
"""What PostgreSQL's manual advises for the reference machine of 8 GB: a quarter."""
RUNS = 5
"""So often what is quick is measured: the median counts."""


def percentile(took: Sequence[float], share: float) -> float:
    """Return what so large a share of the figures does not exceed."""
    return sorted(took)[max(0, math.ceil(len(took) * share) - 1)]


def milliseconds(act: Callable[[], Any]) -> float:
    """Return how long an act took."""
    begun = time.perf_counter()
    act()
    return (time.perf_counter() - begun) * 1000


def middle(act: Callable[[], Any], times: int = 200) -> float:
    """Return the median of an act's milliseconds."""
    return statistics.median(milliseconds(act) for _ in range(times))


class Report:
    """The figures, told as they come and kept."""

    def __init__(self) -> None:
        self.rows: list[dict[str, str]] = []

    def say(
        self, measure: str, what: str, figure: str, target: str = "", *, met: bool | None = None
    ) -> None:
        """Tell a figure; without ``met`` it has no target."""
        verdict = "" if met is None else "met" if met else "MISSED"
        self.rows.append(
            {
                "measure": measure,
                "what": what,
                "figure": figure,
                "target": target,
                "verdict": verdict,
            }
        )
        print(f"{measure:<4} {what:<62} {figure:>26}  {target:<22} {verdict}", flush=True)

    def times(
        self, measure: str, what: str, took: Sequence[float], limit: float, share: float = 0.99
    ) -> None:
        """Tell the median and a high percentile of milliseconds, which has a limit."""
        self.runs(measure, what, [took], limit, share)

    def runs(
        self,
        measure: str,
        what: str,
        took: Sequence[Sequence[float]],
        limit: float,
        share: float = 0.99,
    ) -> None:
        """Tell the same of several runs: the median of each figure, and how far the latter ranged."""
        highs = [percentile(run, share) for run in took]
        high, name = statistics.median(highs), f"p{share * 100:g}"
        figure = f"p50 {statistics.median(map(statistics.median, took)):.1f}, {name} {high:.1f} ms"
        count = f"{len(took[0])}"
        if len(took) > 1:
            figure += f" ({min(highs):.1f} to {max(highs):.1f})"
            count = f"{len(took)} × {count}"
        self.say(measure, f"{what} ({count})", figure, f"{name} ≤ {limit:g} ms", met=high <= limit)

    def write(self, path: Path, facts: dict[str, Any]) -> None:
        """Keep the figures."""
        path.parent.mkdir(exist_ok=True)
        text = json.dumps({**facts, "measures": self.rows}, indent=1, ensure_ascii=False)
        path.write_text(text + "\n", "utf-8")


@dataclass
class Citizen:
    """A person with an account, and a browser in which she is signed in."""

    subject_id: str
    account_id: str
    session_id: str
    cookie: str


@dataclass
class Place:
    """One installation."""

    installation: Installation
    server: Postgres | None
    citizens: list[Citizen] = field(default_factory=list)
    people: list[str] = field(default_factory=list)
    """Everybody with a record, the one with the long one first."""


def _seed(installation: Installation) -> None:
    document = make_seed(CITIZENS)
    (party,) = document["relying_parties"]
    document["relying_parties"] = [
        {
            **party,
            "client_id": f"agency-{n}",
            "client_name": f"Cơ quan {n}",
            "client_name#en": f"Agency {n}",
        }
        for n in range(AGENCIES)
    ]
    text = json.dumps(document)
    # Nobody signs in by password here, and hashing takes time.
    known = installation.hashing.hash_unchecked(secrets.token_hex(16))
    seed = read_seed(text, lambda _: known, lambda _: None)
    # A year's uses follow, and time never runs backwards in a record.
    before = Installation(installation.settings, clock=lambda: now() - timedelta(days=370))
    with before.engine.begin() as db:
        seed.apply(before.services(db, correlation="seed"), lambda _done, _all: None)
    before.engine.dispose()


def sign_in_citizens(place: Place) -> None:
    """Give everybody with an account a browser session that begins now: loading takes longer than one
    may lie idle.
    """
    place.citizens = _citizens(place.installation)


def _citizens(installation: Installation) -> list[Citizen]:
    found = []
    with installation.engine.begin() as db:
        services = installation.services(db)
        for number in range(1, CITIZENS + 1):
            subject_id = services.subjects.find(IdentifierType.LOGIN, f"bench-{number:04d}")
            assert subject_id is not None
            account = services.accounts.find_of_subject(subject_id)
            assert account is not None
            session, cookie = services.sessions.start(
                account_id=account.id,
                subject_id=subject_id,
                methods=(AuthenticationMethod.PASSKEY,),
                browser="bench",
                address="127.0.0.1",
            )
            found.append(Citizen(subject_id, account.id, session.id, cookie))
    return found


@contextmanager
def placed(
    folder: Path,
    *,
    postgres: bool,
    seed: bool = True,
    issuer: str = ISSUER,
    secret: bytes | None = None,
) -> Iterator[Place]:
    """Make an installation in the folder; everything goes away with it. One that is there, by its
    secret, goes on as it is.
    """
    # A root process starts PostgreSQL as another user, who has to get in.
    folder.chmod(0o755)
    settings = {"track_commit_timestamp": "on", "shared_buffers": _MEMORY}
    server = Postgres(folder / "postgres", (), settings) if postgres else None
    url = f"sqlite:///{folder / 'sen.db'}"
    if server is not None:
        server.start()
        url = server.url()
    chosen = secret or secrets.token_bytes(48)
    installation = Installation(Settings(issuer, url, folder, chosen))
    try:
        upgrade(installation.engine)
        prepare_keys(installation)
        with installation.engine.begin() as db:
            for days in range(0, 370, 28):
                partitions.prepare(db, now() - timedelta(days=days))
        place = Place(installation, server)
        if seed and secret is None:
            _seed(installation)
            sign_in_citizens(place)
            place.people = [one.subject_id for one in place.citizens]
        yield place
    finally:
        installation.engine.dispose()
        if server is not None:
            server.stop()


def now() -> datetime:
    """Return the present moment."""
    return datetime.now(UTC)
