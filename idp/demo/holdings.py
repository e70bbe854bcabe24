"""What a relying party holds of the record of uses, and what it says of it: each answer's entry, the
signed receipt for it, once a day all that it got, and what it did with the data later
(docs/integrating.md, "Receipts for what you read" and "Reporting later uses").
"""

import json
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import requests
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

_TIMEOUT_SECONDS = 10
_ENTRY = re.compile(r'"([0-9a-f]{32})";c="([A-Za-z0-9_-]{43})"', re.ASCII)
_OF_NOBODY = frozenset({"sub", "vn_withheld"})
_MOST_REPORTS = 1000
_MOST_HELD = 5000
_WAITS_FOR_RECEIPTS = timedelta(minutes=10)
"""So long after midnight the receipts of the day's last answers are there."""


class Holdings:
    """One relying party's own book, a file of JSON lines that is only ever written on at its end."""

    def __init__(self, book: Path, clock: Callable[[], float] = time.time) -> None:
        self._book = book
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: dict[str, dict[str, Any]] = {}
        self._told: set[str] = set()
        self.cursor: str | None = None
        if book.exists():
            for line in book.read_text("utf-8").splitlines():
                self._apply(json.loads(line))

    def note(self, answer: requests.Response, *_: Any, **__: Any) -> None:
        """Note the entries that an answer names, in one press for a hook of ``requests``."""
        found = _ENTRY.findall(answer.headers.get("Use-Entry", ""))
        names: list[str] = []
        # Of an answer about two people it is not said which data is in which entry.
        if len(found) == 1 and answer.request.path_url.partition("?")[0].endswith("/userinfo"):
            names = sorted(set(answer.json()) - _OF_NOBODY)
        now = self._clock()
        self._write(
            {"entry": entry, "commitment": commitment, "at": now, "attributes": names}
            for entry, commitment in found
        )

    def take_receipts(self, receipts: list[dict[str, Any]], cursor: str) -> None:
        """Note the receipts for what is held, and where to go on asking for more."""
        known = (one for one in receipts if one["id"] in self._entries)
        self._write([*({"receipt": one} for one in known), {"cursor": cursor}])

    def days_over(self) -> dict[str, list[str]]:
        """Return the commitments of each day that is over and was not told yet; a day is of UTC, and
        by the receipt, which is the provider's word, where there is one.
        """
        over = datetime.fromtimestamp(self._clock(), UTC) - _WAITS_FOR_RECEIPTS
        days: dict[str, list[str]] = {}
        with self._lock:
            for one in self._entries.values():
                days.setdefault(_day_of(one).isoformat(), []).append(one["commitment"])
            return {
                day: held
                for day, held in sorted(days.items())
                if day not in self._told and date.fromisoformat(day) < over.date()
            }

    def day_told(self, day: str) -> None:
        self._write([{"told": day}])

    def unreported(self) -> list[dict[str, Any]]:
        """Return the entries of data that were used and not reported yet, as far as their receipts came."""
        with self._lock:
            return [
                one
                for one in self._entries.values()
                if one["attributes"] and "receipt" in one and "reported" not in one
            ][:_MOST_REPORTS]

    def reported(self, entry: str, status: str) -> None:
        self._write([{"reported": entry, "status": status}])

    def _write(self, lines: Any) -> None:
        with self._lock, self._book.open("a", encoding="utf-8") as book:
            for line in lines:
                book.write(json.dumps(line) + "\n")
                self._apply(line)

    def _apply(self, line: dict[str, Any]) -> None:
        if "entry" in line:
            self._entries[line["entry"]] = line
        elif "receipt" in line:
            self._entries[line["receipt"]["id"]]["receipt"] = line["receipt"]
        elif "cursor" in line:
            self.cursor = line["cursor"]
        elif "told" in line:
            self._told.add(line["told"])
        elif "reported" in line:
            self._entries[line["reported"]]["reported"] = line["status"]


class Reporter:
    """Tells the provider what is held, by its API for agencies."""

    def __init__(
        self, holdings: Holdings, *, issuer: str, client_id: str, secret: str, purpose: str
    ) -> None:
        self.holdings = holdings
        self._issuer = issuer
        self._auth = (client_id, secret)
        self._purpose = purpose

    def run(self, every_seconds: float) -> None:
        """Go on for ever, in a thread of its own; what fails is tried again the next time."""
        log = logging.getLogger("sen.demo")
        while True:
            time.sleep(every_seconds)
            try:
                self.once()
            except (requests.RequestException, JoseError, ValueError, KeyError) as failure:
                log.warning("not told: %s: %s", type(failure).__name__, failure)

    def once(self) -> None:
        """Fetch receipts, then tell of later uses and of the days that are over."""
        self._fetch_receipts()
        uses = [self._use(one) for one in self.holdings.unreported()]
        if uses:
            for item in self._ask("uses", json={"uses": uses})["uses"]:
                self.holdings.reported(item["id"], item["status"])
        for day, commitments in self.holdings.days_over().items():
            for part in _parts(commitments):
                self._ask("receipts/held", json={"day": day, "commitments": part})
            self.holdings.day_told(day)

    def _fetch_receipts(self) -> None:
        published = requests.get(f"{self._issuer}/ledger/receipt-keys", timeout=_TIMEOUT_SECONDS)
        keys = KeySet.import_key_set(published.json())
        while True:
            after = {"after": self.holdings.cursor} if self.holdings.cursor else {}
            page = self._ask("receipts", data=after)
            if not page["receipts"]:
                return
            found = [one for token in page["receipts"] for one in self._checked(token, keys)]
            self.holdings.take_receipts(found, page["next"])

    def _checked(self, token: str, keys: KeySet) -> list[dict[str, Any]]:
        read = jws.deserialize_compact(token, keys, algorithms=["EdDSA"])
        claims = json.loads(read.payload)
        if (claims["iss"], claims["aud"]) != (self._issuer, self._auth[0]):
            raise ValueError("a receipt of others")
        found: list[dict[str, Any]] = claims["receipts"]
        return found

    def _use(self, held: dict[str, Any]) -> dict[str, Any]:
        """Return the report of what this party does with each answer: it fills its form in."""
        at = datetime.fromtimestamp(held["at"], UTC)
        signed = datetime.fromisoformat(held["receipt"]["at"])
        return {
            "id": held["entry"],
            "receipt": {name: held["receipt"][name] for name in ("id", "log", "leaf")},
            "action": "use",
            "attributes": held["attributes"],
            "purpose": self._purpose,
            "basis": "consent",
            "actor": "forms",
            "at": max(at, signed).isoformat(),
        }

    def _ask(self, call: str, **body: Any) -> dict[str, Any]:
        answer = requests.post(
            f"{self._issuer}/agency/{call}", auth=self._auth, timeout=_TIMEOUT_SECONDS, **body
        )
        answer.raise_for_status()
        told: dict[str, Any] = answer.json()
        return told


def _day_of(held: dict[str, Any]) -> date:
    if "receipt" in held:
        return datetime.fromisoformat(held["receipt"]["at"]).astimezone(UTC).date()
    return datetime.fromtimestamp(held["at"], UTC).date()


def _parts(commitments: list[str]) -> Iterator[list[str]]:
    for begin in range(0, len(commitments), _MOST_HELD):
        yield commitments[begin : begin + _MOST_HELD]
