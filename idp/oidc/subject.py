"""Pairwise subject identifiers: one person, a different ``sub`` for each sector (OIDC Core §8.1)."""

from functools import lru_cache

from accounts.base64url import base64url
from accounts.vault import Vault


# One sign-in asks three times.
@lru_cache(maxsize=512)
def pairwise_sub(vault: Vault, sector: str, account_id: str) -> str:
    """Return the account's ``sub`` for the sector.

    It comes from the account, never from the personal number, so it stays when that number changes
    and tells nothing about it.
    """
    digest = vault.mac("pairwise-sub", sector, account_id)
    return base64url(digest)


def session_sid(vault: Vault, client_id: str, session_id: str) -> str:
    """Return the ``sid`` by which one relying party knows a browser session; no two share one."""
    digest = vault.mac("session-sid", client_id, session_id)[:16]
    return base64url(digest)
