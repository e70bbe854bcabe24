"""Unlocking after an authority's order takes two officers: one asks, another confirms."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, LargeBinary, String

from accounts.account import LockReason
from accounts.second_officer import SecondOfficer, request_table
from accounts.vault import sealed_as

unlock_request = request_table(
    "unlock_request",
    Column("reason", String(24), nullable=False),
    Column("ground", LargeBinary, nullable=False, info=sealed_as("unlock-request", "id")),
)


@dataclass(frozen=True)
class UnlockRequest:
    """What one officer asked another to confirm."""

    id: str
    account_id: str
    reason: LockReason
    ground: str
    asked_by: str
    asked_at: datetime


class UnlockRequests(SecondOfficer[UnlockRequest]):
    """All requests to unlock."""

    matter = unlock_request.c.reason
    sealed = unlock_request.c.ground

    def ask(self, account_id: str, reason: LockReason, ground: str, officer_id: str) -> bool:
        """Ask for a second officer; False while another request about this lock is open."""
        return self._ask(account_id, reason.value, ground.encode(), officer_id)

    def _request(self, row: Any, written: bytes) -> UnlockRequest:
        return UnlockRequest(
            row["id"],
            row["account_id"],
            LockReason(row["reason"]),
            written.decode(),
            row["asked_by"],
            row["asked_at"],
        )
