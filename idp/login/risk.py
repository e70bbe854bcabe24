"""Risk rules: from what is known of a sign-in's surroundings to allow, step-up or refuse.

The table is all there is: the first rule that fits decides, and who reads it knows what the product
does. A passkey is never hindered: what the rules guard against cannot be done to it. Where in the
world a browser is, and so whether a journey is possible, is known where the operator gave a file of
places (``idp.places``); without it no rule pretends to.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from ipaddress import ip_address, ip_network
from pathlib import Path

from accounts.levels import AuthenticationLevel, Strength
from idp import audit

_LEAST_JOURNEY = 500.0
"""Kilometres; below, files of places are often wrong."""
_FASTEST = 1000.0
"""Kilometres an hour."""


class Decision(StrEnum):
    """What becomes of a sign-in whose proofs were right."""

    ALLOW = "allow"
    STEP_UP = "step-up"
    REFUSE = "refuse"


@dataclass(frozen=True)
class Surroundings:
    """What the rules look at: what was proved, and where and how it was asked."""

    strength: Strength
    is_new_browser: bool
    has_incident: bool
    is_data_centre: bool
    has_many_failures: bool
    is_impossible_journey: bool = False

    @property
    def is_one_factor(self) -> bool:
        """True when nothing but a password, or a code, was proved."""
        return self.strength.level < AuthenticationLevel.LEVEL_2


@dataclass(frozen=True)
class Rule:
    """One line of the table; ``reason`` is the code of the words the person reads."""

    reason: str
    fits: Callable[[Surroundings], bool]
    decision: Decision


RULES = (
    Rule("passkey", lambda s: s.strength.phishing_resistant, Decision.ALLOW),
    Rule("stronger-needed", lambda s: s.has_incident and s.is_one_factor, Decision.STEP_UP),
    Rule("known-browser", lambda s: not s.is_new_browser, Decision.ALLOW),
    Rule(
        "risk-attack",
        lambda s: s.is_data_centre and s.has_many_failures,
        Decision.REFUSE,
    ),
    Rule("risk-journey", lambda s: s.is_impossible_journey and s.is_one_factor, Decision.STEP_UP),
    Rule("risk-journey-refused", lambda s: s.is_impossible_journey, Decision.REFUSE),
    Rule("risk-data-centre", lambda s: s.is_data_centre and s.is_one_factor, Decision.STEP_UP),
    Rule("risk-failures", lambda s: s.has_many_failures and s.is_one_factor, Decision.STEP_UP),
    Rule("nothing-unusual", lambda _s: True, Decision.ALLOW),
)


def is_impossible(kilometres: float, since: timedelta) -> bool:
    """True for a journey that no airliner makes: longer than 500 km, and faster than 1,000 km/h."""
    hours = max(since.total_seconds(), 0) / 3600
    return kilometres > _LEAST_JOURNEY and kilometres > _FASTEST * hours


def judge(surroundings: Surroundings) -> Rule:
    """Return the rule that decides, and log it: which rule, nothing of the person."""
    rule = next(rule for rule in RULES if rule.fits(surroundings))
    log = audit.note if rule.decision is Decision.ALLOW else audit.security_event
    log("risk.decided", rule=rule.reason, decision=rule.decision.value)
    return rule


class AddressList:
    """Networks, as an operator's file lists them: one a line, ``#`` begins a remark.

    Raises:
        ValueError: a line is no network; the message says which.
    """

    def __init__(self, lines: Iterable[str] = ()) -> None:
        self._networks: dict[tuple[int, int], set[int]] = {}
        for number, line in enumerate(lines, 1):
            text = line.partition("#")[0].strip()
            if not text:
                continue
            try:
                network = ip_network(text, strict=False)
            except ValueError as error:
                raise ValueError(f"line {number} is no network") from error
            kind = (network.version, network.prefixlen)
            self._networks.setdefault(kind, set()).add(int(network.network_address))

    @classmethod
    def read(cls, path: Path | None) -> "AddressList":
        """Return the file's list; without a file an empty one."""
        return cls(path.read_text("utf-8").splitlines() if path else ())

    def __contains__(self, address: str) -> bool:
        """True when one of the networks holds the address."""
        try:
            found = ip_address(address)
        except ValueError:
            return False
        number, bits = int(found), found.max_prefixlen
        return any(
            number >> (bits - length) << (bits - length) in networks
            for (version, length), networks in self._networks.items()
            if version == found.version
        )
