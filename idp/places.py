"""Where networks are, by a file of the operator's: CSV of ``network,latitude,longitude,place``.

Read once and searched in memory: a sorted row of first addresses for each version of IP. Nothing is
asked of anybody; without a file nothing is known, and nobody pretends to.
"""

import csv
import math
from array import array
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address, ip_network
from pathlib import Path

_HEADER = ["network", "latitude", "longitude", "place"]
_LONGEST_NAME = 80
_RADIUS = 6371.0
_ELSEWHERE = 100.0
"""Kilometres from which on a place is another one: nearer ones are often confused by such files."""
_KEPT_BITS = 64
"""Of IPv6 addresses the network's half tells where they are; it fits a machine word."""


@dataclass(frozen=True)
class Place:
    """A place; coordinates in degrees, north and east are positive."""

    latitude: float
    longitude: float
    name: str

    def kilometres_to(self, other: "Place") -> float:
        """Return the shortest way over the ground (haversine formula)."""
        north, other_north = math.radians(self.latitude), math.radians(other.latitude)
        east = math.radians(other.longitude - self.longitude)
        half = (
            math.sin((other_north - north) / 2) ** 2
            + math.cos(north) * math.cos(other_north) * math.sin(east / 2) ** 2
        )
        return 2 * _RADIUS * math.asin(min(1.0, math.sqrt(half)))


class _Rows:
    """The networks of one version of IP, by their first addresses."""

    def __init__(self) -> None:
        self.first, self.last = array("Q"), array("Q")
        self.place, self.line = array("I"), array("I")

    def add(self, first: int, last: int, place: int, line: int) -> None:
        self.first.append(first)
        self.last.append(last)
        self.place.append(place)
        self.line.append(line)

    def settle(self) -> None:
        """Sort, and make sure that no address is in two places.

        Raises:
            ValueError: one is.
        """
        if any(self.first[n] < self.first[n - 1] for n in range(1, len(self.first))):
            order = sorted(range(len(self.first)), key=self.first.__getitem__)
            for name in ("first", "last", "place", "line"):
                row = getattr(self, name)
                setattr(self, name, array(row.typecode, (row[n] for n in order)))
        for n in range(1, len(self.first)):
            if self.first[n] <= self.last[n - 1]:
                lines = sorted((self.line[n - 1], self.line[n]))
                raise ValueError(f"line {lines[1]} tells of addresses that line {lines[0]} has")

    def find(self, number: int) -> int | None:
        n = bisect_right(self.first, number) - 1
        return self.place[n] if n >= 0 and number <= self.last[n] else None


class Places:
    """Where networks are.

    Raises:
        ValueError: a line cannot be read; the message says which and why.
    """

    def __init__(self, lines: Iterable[str] = ()) -> None:
        self._rows = {4: _Rows(), 6: _Rows()}
        self._places: list[Place] = []
        known: dict[tuple[str, ...], int] = {}
        for number, row in enumerate(csv.reader(lines), 1):
            is_header = number == 1 and [part.strip().lower() for part in row] == _HEADER
            if row and not is_header and not row[0].lstrip().startswith("#"):
                self._add(row, number, known)
        for rows in self._rows.values():
            rows.settle()

    def __bool__(self) -> bool:
        """True when anything is known."""
        return bool(self._places)

    def find(self, address: str) -> Place | None:
        """Return where the address is, if the file says so."""
        try:
            found = ip_address(address)
        except ValueError:
            return None
        number = (
            int(found) >> (found.max_prefixlen - _KEPT_BITS) if found.version == 6 else int(found)
        )
        place = self._rows[found.version].find(number)
        return self._places[place] if place is not None else None

    def kilometres(self, one: str, other: str) -> float | None:
        """Return how far two addresses are from each other; None when either is not known."""
        here, there = self.find(one), self.find(other)
        return here.kilometres_to(there) if here is not None and there is not None else None

    def is_new(self, address: str, known: Iterable[str]) -> bool:
        """True when the address is farther than ``_ELSEWHERE`` from every place among the known ones;
        where a place is not known, nothing is new.
        """
        ways = [way for one in known if (way := self.kilometres(address, one)) is not None]
        return bool(ways) and min(ways) > _ELSEWHERE

    def told(self, address: str) -> str:
        """Return the network that an address is of, as coarse as it still tells the person something,
        after the name of its place where that is known.
        """
        network, place = coarse(address), self.find(address)
        return f"{place.name} ({network})" if place is not None else network

    def _add(self, row: list[str], number: int, known: dict[tuple[str, ...], int]) -> None:
        if len(row) != len(_HEADER):
            raise ValueError(f"line {number} has {len(row)} columns instead of four")
        text, *told = (part.strip() for part in row)
        try:
            network = ip_network(text)
        except ValueError as error:
            raise ValueError(f"line {number}: {text!r} is no network") from error
        shift = 0
        if network.version == 6:
            if network.prefixlen > _KEPT_BITS:
                raise ValueError(f"line {number}: an IPv6 network here is /{_KEPT_BITS} at most")
            shift = network.max_prefixlen - _KEPT_BITS
        where = tuple(told)
        if where not in known:
            self._places.append(_place(told, number))
            known[where] = len(self._places) - 1
        first = int(network.network_address) >> shift
        last = int(network.broadcast_address) >> shift
        self._rows[network.version].add(first, last, known[where], number)


def coarse(address: str) -> str:
    """Return the network that an address is of: its first three parts, or its first 48 bits."""
    try:
        found = ip_address(address)
    except ValueError:
        return ""
    return str(ip_network(f"{address}/{24 if found.version == 4 else 48}", strict=False))


@lru_cache(maxsize=2)
def read_places(path: Path | None) -> Places:
    """Return the file's places, read once in a process; without a file nothing is known.

    Raises:
        ValueError: a line cannot be read.
        OSError: the file cannot be.
    """
    if path is None:
        return Places()
    with path.open(encoding="utf-8", newline="") as file:
        return Places(file)


def _place(told: list[str], number: int) -> Place:
    name = told[2]
    try:
        latitude, longitude = float(told[0]), float(told[1])
    except ValueError as error:
        raise ValueError(f"line {number}: latitude and longitude are degrees") from error
    if not (abs(latitude) <= 90 and abs(longitude) <= 180):
        raise ValueError(f"line {number}: latitude and longitude are degrees")
    if not name or len(name) > _LONGEST_NAME or not name.isprintable():
        raise ValueError(f"line {number}: a place has a name of at most {_LONGEST_NAME} signs")
    return Place(latitude, longitude, name)
