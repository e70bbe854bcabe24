"""Whom to believe (C2SP tlog-policy): the log's keys, the witnesses, and how many of them it takes.

Our one addition is a meaning of names: members of the group ``auditors`` are map auditors, all others
witnesses.
"""

import hashlib
from dataclasses import dataclass, field

from consent.ledger.note import Kind, Note, NoteError, VerifierKey

_NONE = "none"
AUDITORS = "auditors"


class PolicyError(Exception):
    """The policy cannot be used; the message names the line."""


@dataclass(frozen=True)
class Cosigner:
    """A witness or a map auditor, by its key; the address is where checkpoints are brought."""

    name: str
    key: VerifierKey
    url: str = ""


@dataclass(frozen=True)
class Standing:
    """Who cosigned a checkpoint, each with the seconds of POSIX at which it did."""

    witnesses: dict[str, int]
    auditors: dict[str, int]
    is_quorum: bool

    @property
    def seconds(self) -> int | None:
        """When the last of them did."""
        return max([*self.witnesses.values(), *self.auditors.values()], default=None)


@dataclass(frozen=True)
class Policy:
    """A policy as it was read."""

    text: str
    logs: tuple[VerifierKey, ...]
    cosigners: dict[str, Cosigner]
    groups: dict[str, tuple[int, tuple[str, ...]]] = field(default_factory=dict)
    quorum: str = _NONE

    @property
    def fingerprint(self) -> str:
        """By which two people can tell whether they hold the same policy."""
        digest = hashlib.sha256(self.text.encode()).hexdigest()[:32]
        return " ".join(digest[i : i + 4] for i in range(0, 32, 4))

    @property
    def auditors(self) -> frozenset[str]:
        """The names of the map auditors."""
        return frozenset(self.groups.get(AUDITORS, (0, ()))[1])

    @property
    def witnesses(self) -> frozenset[str]:
        """The names of the witnesses."""
        return frozenset(self.cosigners) - self.auditors

    @classmethod
    def parse(cls, text: str) -> "Policy":
        """Read a policy.

        Raises:
            PolicyError: a line is wrong, or there is not exactly one quorum.
        """
        reader = _Reader()
        for number, line in enumerate(text.split("\n"), 1):
            words = line.split()
            if words and not words[0].startswith("#"):
                try:
                    reader.read(words)
                except (NoteError, ValueError) as error:
                    raise PolicyError(f"line {number}: {error}") from error
        if len(reader.quorums) != 1:
            raise PolicyError("there must be one quorum")
        return cls(text, tuple(reader.logs), reader.cosigners, reader.groups, reader.quorums[0])

    def is_signed(self, note: Note, origin: str) -> bool:
        """True when the log signed the note under this origin.

        A key of the policy may name one log, or what the origins of several have in common.

        Raises:
            NoteError: a line claims to be the log's and is not.
        """
        signed = False
        for key in self.logs:
            if key.name == origin or origin.startswith(f"{key.name}/"):
                signed |= note.verify(key.named(origin))[0]
        return signed

    def standing(self, note: Note) -> Standing:
        """Return who cosigned. A signature that does not verify counts for nothing."""
        found: dict[str, int] = {}
        for name, cosigner in self.cosigners.items():
            try:
                _, seconds = note.verify(cosigner.key)
            except NoteError:
                continue
            if seconds is not None:
                found[name] = seconds
        return Standing(
            {name: found[name] for name in found if name not in self.auditors},
            {name: found[name] for name in found if name in self.auditors},
            self._agrees(self.quorum, found),
        )

    def _agrees(self, name: str, found: dict[str, int]) -> bool:
        if name == _NONE or name in found:
            return True
        count, members = self.groups.get(name, (1, ()))
        return sum(self._agrees(member, found) for member in members) >= count


class _Reader:
    """Takes a policy's lines, each of which may only name what stands above it."""

    def __init__(self) -> None:
        self.logs: list[VerifierKey] = []
        self.cosigners: dict[str, Cosigner] = {}
        self.groups: dict[str, tuple[int, tuple[str, ...]]] = {}
        self.quorums: list[str] = []

    def read(self, words: list[str]) -> None:
        match words:
            case ["log", key] | ["log", key, _]:
                self._add_log(VerifierKey.parse(key))
            case ["witness", name, key, *url] if len(url) < 2:
                self._add_cosigner(Cosigner(name, VerifierKey.parse(key), "".join(url).rstrip("/")))
            case ["group", name, count, *members] if members:
                self._add_group(name, count, members)
            case ["quorum", name] if name == _NONE or self._is_known(name):
                self.quorums.append(name)
            case _:
                raise ValueError("not understood")

    def _is_known(self, name: str) -> bool:
        return name in self.cosigners or name in self.groups

    def _add_log(self, key: VerifierKey) -> None:
        if any(key.public == one.public for one in self.logs):
            raise ValueError("a key stands twice")
        self.logs.append(key)

    def _add_cosigner(self, made: Cosigner) -> None:
        if made.name == _NONE or self._is_known(made.name):
            raise ValueError("a name stands twice")
        if any(made.key.public == one.key.public for one in self.cosigners.values()):
            raise ValueError("a key stands twice")
        if made.key.kind is Kind.ED25519:
            raise ValueError("not the key of a witness")
        self.cosigners[made.name] = made

    def _add_group(self, name: str, count: str, members: list[str]) -> None:
        if name == _NONE or self._is_known(name):
            raise ValueError("a name stands twice")
        taken = {member for _, names in self.groups.values() for member in names}
        if len(set(members)) != len(members) or taken & set(members):
            raise ValueError("a member stands twice")
        if not all(map(self._is_known, members)):
            raise ValueError("a member is not named above")
        needed = {"all": len(members), "any": 1}.get(count) or int(count)
        if not 1 <= needed <= len(members):
            raise ValueError("a group needs one to all of its members")
        self.groups[name] = needed, tuple(members)
