"""How the entries of one person and month are spelled: compact, and taken apart into the very same.

What differs from entry to entry by chance (identifiers, moments) cannot be compressed and is put down
byte by byte. All else is short JSON, deflated; what many entries say stands in a dictionary that a
file's blocks have in common, and is told by its number there.
"""

import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import orjson

from consent.data_use import Channel, Outcome, SubjectRole, Use, UseEntry, lost

_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
_ID_BYTES = 16
_TAIL_BYTES = 10
_MOMENT_BYTES = 6
_MICROSECOND = timedelta(microseconds=1)
_LONG = 1 << 31
_OWN = 8
"""So many members of a term are nobody's own."""
_GREATEST_DICTIONARY = 24 * 1024
# Of what every file's blocks may hold, in a form that deflating finds; the likeliest stands last.
_SHAPES = (
    b"[0,1,0,1,0,0],[[[1,0,1],[2,2,3],[3,4,5]],[0,1,2]],[[[1,0,1],[2,2,3]],[0,1,0]],"
    b"[[[1,0,1],[2,0,1]],[0,1]],[[[1,0,1],[2,2,3]],[0,1]],[[[1,0,1]],[0,0,0]],"
    b"[[[1,0,1]],[0,0]],[[[1,0,1]],[0]]"
)
"""How short blocks look, where their terms are told by numbers."""
_COMMON = orjson.dumps(
    [
        *(role.value for role in SubjectRole),
        *(channel.value for channel in Channel),
        "phone_number", "email", "address", "gender", "birthdate", "name", "sub",
        ["sen-id", "export", "released", "primary", [], "own-copy", 1, "right-of-access"],
        ["sen-id", "connector_pull", "released", "primary", ["sub"], "public-service", 1, "consent"],
    ]
)  # fmt: skip


def common(entry: UseEntry) -> bytes:
    """Return what an entry has in common with others, as it stands in a block: nothing of a person."""
    return orjson.dumps(_terms(entry.use))[1:-1]


def dictionary(terms: Iterable[bytes]) -> bytes:
    """Return what many entries have in common (``common``, the likeliest first) as a dictionary."""
    kept, size = [], 0
    for one in terms:
        size += len(one)
        if size > _GREATEST_DICTIONARY:
            break
        kept.append(one)
    # What stands last is the nearest, and spelled the shortest.
    return b"\n".join([*reversed(kept), _SHAPES])


@lru_cache(maxsize=8)
def _numbered(known: bytes) -> dict[bytes, int]:
    """Return the numbers of a dictionary's terms, the likeliest first."""
    return {one: number for number, one in enumerate(_lines(known)) if one}


@lru_cache(maxsize=8)
def _terms_of(known: bytes) -> list[list[Any]]:
    return [orjson.loads(b"[%b]" % one) for one in _lines(known)]


def _lines(known: bytes) -> list[bytes]:
    # JSON has no line break in it.
    return known.split(b"\n")[::-1]


def spell(entries: Sequence[UseEntry], begin: datetime, known: bytes = b"") -> bytes:
    """Return the bytes of one person's entries; ``begin`` is the month's first moment, ``known`` the
    dictionary of the file. Of a lost entry nothing but a moment is put down.
    """
    ids = _Ids()
    terms: dict[bytes, int] = {}
    numbers = [
        None if entry.is_lost else terms.setdefault(_spelled_terms(entry, ids, known), len(terms))
        for entry in entries
    ]
    moments, tails, rows = bytearray(), bytearray(), list[Any]()
    for entry, number in zip(entries, numbers, strict=True):
        use, is_short = entry.use, _tells_the_moment(entry.id, entry.at)
        moments += _microseconds(entry.at, begin).to_bytes(_MOMENT_BYTES, "big")
        if number is None:
            rows.append(None)
            continue
        if is_short:
            tails += bytes.fromhex(entry.id)[-_TAIL_BYTES:]
        if is_short and not use.detail and ids.is_next(use.correlation):
            rows.append(number)
            continue
        row = [number, ids.put(use.correlation), None if is_short else ids.put(entry.id)]
        if use.detail:
            row.append({name: ids.put(text) for name, text in use.detail.items()})
        rows.append(row)
    text = _deflated(b"[[%b],%b]" % (b",".join(terms), orjson.dumps(rows)), known)
    return b"".join((_length(len(text)), text, moments, tails, *ids.all))


def read(
    spelled: bytes, subject_id: str, first: int, commitments: Sequence[bytes], begin: datetime,
    known: bytes = b"",
) -> list[UseEntry]:  # fmt: skip
    """Return the entries of a block; ``first`` is the position of the first of them.

    Raises:
        ValueError: the bytes are no block of so many entries.
    """
    try:
        return list(_entries(spelled, subject_id, first, commitments, begin, known))
    except (zlib.error, KeyError, IndexError, TypeError, AttributeError) as error:
        raise ValueError("no block of uses") from error


class _Ids:
    """The identifiers of a block, each put down once."""

    def __init__(self) -> None:
        self.all: dict[bytes, int] = {}

    def put(self, text: str | None) -> Any:
        """Return what stands for an identifier: its number, where it is one as we make them."""
        if text is None or not _ID.fullmatch(text):
            return text
        return self.all.setdefault(bytes.fromhex(text), len(self.all))

    def is_next(self, text: str) -> bool:
        """Put an identifier down that there was not yet; False if it is no such one."""
        if not _ID.fullmatch(text) or bytes.fromhex(text) in self.all:
            return False
        self.put(text)
        return True


def _entries(
    spelled: bytes, subject_id: str, first: int, commitments: Sequence[bytes], begin: datetime,
    known: bytes,
) -> Iterator[UseEntry]:  # fmt: skip
    size, start = _read_length(spelled)
    moments = start + size
    body = zlib.decompressobj(-15, zdict=_COMMON + known).decompress(spelled[start:moments])
    own_terms, rows = orjson.loads(body)
    terms: Any = [
        [*_terms_of(known)[term[0]], *term[1:]] if isinstance(term[0], int) else term
        for term in own_terms
    ]
    if len(rows) != len(commitments):
        raise ValueError("another number of entries")
    tails = moments + _MOMENT_BYTES * len(rows)
    ids = tails + _TAIL_BYTES * sum(_is_short(row) for row in rows)
    following = 1 + max(
        (one for term in terms for one in term[_OWN:] if type(one) is int), default=-1
    )

    def get(one: Any) -> Any:
        if type(one) is not int:
            return one
        found = spelled[ids + _ID_BYTES * one :][:_ID_BYTES]
        if len(found) != _ID_BYTES:
            raise ValueError("an identifier is missing")
        return found.hex()

    for number, found in enumerate(rows):
        at_place = moments + _MOMENT_BYTES * number
        at = begin + _MICROSECOND * int.from_bytes(spelled[at_place:][:_MOMENT_BYTES], "big")
        if found is None:
            yield lost(subject_id, first + number, at, commitments[number])
            continue
        row = [found, following, None] if isinstance(found, int) else found
        following = max(following, *(1 + one for one in _numbers(row)))
        if row[2] is None:
            own_id = f"{_milliseconds(at):012x}{spelled[tails:][:_TAIL_BYTES].hex()}"
            tails += _TAIL_BYTES
        else:
            own_id = get(row[2])
        client_id, channel, outcome, role, attributes, purpose, version, basis, *own = terms[row[0]]
        consent_id, grant_id, other_party = (get(one) for one in (*own, None)[:3])
        use = Use(
            subject_id=subject_id,
            client_id=client_id,
            channel=Channel(channel),
            attributes=tuple(attributes),
            purpose=purpose,
            purpose_version=version,
            legal_basis=basis,
            correlation=get(row[1]),
            outcome=Outcome(outcome),
            subject_role=SubjectRole(role),
            consent_id=consent_id,
            grant_id=grant_id,
            other_party=other_party,
            detail={name: get(text) for name, text in (*row, {})[3].items()},
        )
        yield UseEntry(own_id, first + number, at, use, commitments[number])


def _is_short(row: Any) -> bool:
    """True when the entry's id is put down without its moment."""
    return row is not None and (isinstance(row, int) or row[2] is None)


def _numbers(row: Sequence[Any]) -> Iterator[int]:
    yield -1
    for one in (*row[1:3], *(row[3].values() if len(row) > 3 else ())):
        if type(one) is int:
            yield one


def _spelled_terms(entry: UseEntry, ids: _Ids, known: bytes) -> bytes:
    """Return what several entries of a person have in common: what many people's have, and ids."""
    use, number = entry.use, _numbered(known).get(common(entry))
    own = [ids.put(use.consent_id), ids.put(use.grant_id)]
    if use.other_party is not None:
        own.append(ids.put(use.other_party))
    return orjson.dumps((_terms(use) if number is None else [number]) + own)


def _length(size: int) -> bytes:
    """Spell a length in two bytes, or in four (at 32 KiB and above)."""
    if size < _LONG >> 16:
        return size.to_bytes(2, "big")
    return (size | _LONG).to_bytes(4, "big")


def _read_length(spelled: bytes) -> tuple[int, int]:
    """Return a length, and where what has it begins."""
    if not spelled[0] & 0x80:
        return int.from_bytes(spelled[:2], "big"), 2
    return int.from_bytes(spelled[:4], "big") & ~_LONG, 4


def _terms(use: Use) -> list[Any]:
    return [
        use.client_id, use.channel.value, use.outcome.value, use.subject_role.value,
        list(use.attributes), use.purpose, use.purpose_version, use.legal_basis,
    ]  # fmt: skip


def _deflated(body: bytes, known: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15, 9, zlib.Z_DEFAULT_STRATEGY, _COMMON + known)
    return packer.compress(body) + packer.flush()


def _microseconds(at: datetime, begin: datetime) -> int:
    return (at.astimezone(UTC) - begin) // _MICROSECOND


def _milliseconds(at: datetime) -> int:
    # As ``accounts.schema.new_id`` counts them.
    return int(at.timestamp() * 1000)


def _tells_the_moment(entry_id: str, at: datetime) -> bool:
    """True when an id begins with the entry's own moment, as all do that a clock never ran back for."""
    return bool(_ID.fullmatch(entry_id)) and int(entry_id[:12], 16) == _milliseconds(at)
