"""Locking one's own account with a code of the card alone, for whoever lost everything else.

It only ever closes: a card in wrong hands can shut its owner out until she unlocks, and open nothing.
Wrong tries count on the same limits as those of a sign-in, known identifiers and unknown ones alike.
"""

from dataclasses import dataclass

from accounts.account import Account, Accounts
from accounts.second_factors import SecondFactors
from accounts.subject import Subjects
from idp import audit, limits
from idp.limits import Limits
from idp.login.errors import CodeRefusedError, TooManyFailuresError
from idp.login.sign_in import Visitor, counted_as


@dataclass(frozen=True)
class FoundCard:
    """Whose card is meant, before the slow comparison; ``hash`` is that of the code with the number."""

    account: Account | None
    position: int
    hash: str | None
    counted: tuple[tuple[limits.Limit, str], ...]


@dataclass(frozen=True)
class CardLock:
    """Judges codes for locking."""

    accounts: Accounts
    subjects: Subjects
    second_factors: SecondFactors
    limits: Limits

    def look_up(self, login: str, position: str, visitor: Visitor) -> FoundCard:
        """Find whom the identifier means; says nothing about whether there is anybody.

        Raises:
            TooManyFailuresError: the limit for this identifier or address is used up.
        """
        subject_id = self.subjects.find_for_sign_in(login)
        account = self.accounts.find_of_subject(subject_id) if subject_id else None
        counted_name = counted_as(account, login)
        counted = (
            (limits.SECOND_FACTOR_ACCOUNT, counted_name),
            (limits.PASSWORD_ACCOUNT, counted_name),
            (limits.PASSWORD_ADDRESS, visitor.address),
        )
        if self.limits.is_exhausted(*counted):
            audit.security_event("lock.throttled", address=visitor.address)
            raise TooManyFailuresError
        number = int(position) if position.isascii() and position.isdigit() else 0
        hashed = self.second_factors.hash_at(account.id, number) if account else None
        return FoundCard(account, number, hashed, counted)

    def judge(self, found: FoundCard, *, fits: bool, visitor: Visitor) -> Account:
        """Use the code up and return the account to be locked.

        Raises:
            CodeRefusedError: no unused code of this account, whoever that may be.
        """
        account = found.account
        if (
            not fits
            or account is None
            or account.closed_at is not None
            or not self.second_factors.spend_at(account.id, found.position)
        ):
            self.limits.count_failure(*found.counted)
            audit.security_event("lock.refused", address=visitor.address)
            raise CodeRefusedError
        return account
