"""Refusals are entries too: who asked for a person's data and did not get it, and why (consent.md 5.3,
invariant 11).

Only what names somebody can be hers: a token that is forged, or so old that its grant is forgotten, is
nobody's entry. An access token that merely ran out while its grant goes on is none either: software
meets that every ten minutes and renews it, nobody was denied anything. A relying party that asks
again and again makes one entry a day for each grant and reason, and a few in all.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from consent.data_use import Outcome, Use
from consent.use_log import UseLog
from idp import audit, limits
from idp.limits import Limits


class Reason(StrEnum):
    """Why data was refused; what stands in an entry's ``detail``."""

    WITHDRAWN = "withdrawn"
    PAUSED = "paused"
    EXPIRED = "expired"
    MANDATE_ENDED = "mandate-ended"
    LOCKED = "locked"
    ENDED = "ended"
    """The sign-in ended, or the relying party gave its tokens back."""
    NOT_THEIRS = "not-theirs"
    """Another relying party's token was shown."""
    USED_TWICE = "used-twice"
    """What is good once was used again: a copy in somebody else's hands, or a fault."""
    LEVEL = "level"
    """She agreed, but her account's or sign-in's level does not suffice."""
    DECLINED = "declined"
    """She was asked and said no."""


@dataclass(slots=True)
class Refusals:
    """Writes refusals into people's chains, within one transaction."""

    use_log: UseLog
    limits: Limits

    def note(self, use: Use, reason: Reason) -> None:
        """Write the refusal of what would have been this use, unless today's entry stands already.

        Raises:
            NeedsTransactionError: the connection has no transactions.
        """
        party = (limits.REFUSALS, f"{use.subject_id}|{use.client_id}")
        same = (limits.REFUSAL, f"{party[1]}|{use.grant_id or ''}|{reason.value}")
        if self.limits.is_exhausted(same) or self.limits.is_exhausted(party):
            return
        self.limits.count_failure(same, party)
        if self.limits.is_exhausted(party):
            audit.security_event("refusals.many", party=use.client_id)
        detail = {**use.detail, "reason": reason.value}
        self.use_log.record(replace(use, outcome=Outcome.REFUSED, detail=detail))
