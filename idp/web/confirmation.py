"""The trust mark: who confirmed the published logs last, and how long ago."""

from typing import Any

from idp import ledger
from idp.web import context


def mark() -> dict[str, Any] | None:
    """Return what the mark tells; None before anything was published."""
    installation = context.installation()
    trusted = ledger.policy(installation)
    standing = ledger.standing(context.services().db, trusted)
    if standing is None:
        return None
    now = int(installation.clock().timestamp())
    return {
        "witnesses": len(standing.witnesses),
        "of_witnesses": len(trusted.witnesses),
        "auditors": len(standing.auditors),
        "of_auditors": len(trusted.auditors),
        "is_quorum": standing.is_quorum and bool(trusted.cosigners),
        "is_watched": bool(trusted.cosigners),
        "seconds": max(0, now - (standing.seconds or now)),
    }
