"""Changing a person's contact at the desk takes two officers: one asks, another confirms.

Whoever controls e-mail address and phone number receives what an account is warned by, so no single
officer moves them.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Column, LargeBinary, String

from accounts.second_officer import SecondOfficer, request_table
from accounts.vault import sealed_as

contact_request = request_table(
    "contact_request",
    Column("claim", String(16), nullable=False),
    Column("sealed", LargeBinary, nullable=False, info=sealed_as("contact-request", "id")),
)


@dataclass(frozen=True)
class ContactRequest:
    """What one officer asked another to confirm: the claim's new value (empty removes it), and why."""

    id: str
    account_id: str
    claim: str
    value: str
    ground: str
    asked_by: str
    asked_at: datetime


class ContactRequests(SecondOfficer[ContactRequest]):
    """All requests to change a contact."""

    matter = contact_request.c.claim
    sealed = contact_request.c.sealed

    def ask(self, account_id: str, claim: str, value: str, ground: str, officer_id: str) -> bool:
        """Ask for a second officer; False while another request for this claim is open."""
        document = orjson.dumps({"value": value, "ground": ground})
        return self._ask(account_id, claim, document, officer_id)

    def _request(self, row: Any, written: bytes) -> ContactRequest:
        document = orjson.loads(written)
        return ContactRequest(
            row["id"],
            row["account_id"],
            row["claim"],
            document["value"],
            document["ground"],
            row["asked_by"],
            row["asked_at"],
        )
