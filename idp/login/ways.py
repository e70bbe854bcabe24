"""The ways in which an account's holder can sign in, and what they can prove."""

from dataclasses import dataclass

from accounts.account import Account, AccountKind
from accounts.authenticators import Passkeys
from accounts.levels import (
    STEPS,
    AccountLevel,
    AuthenticationLevel,
    AuthenticationMethod,
    Strength,
    strength_of,
)
from accounts.second_factors import SecondFactors
from accounts.secrets import Passwords


@dataclass(frozen=True, slots=True)
class WaysToSignIn:
    """What accounts have to sign in with. ``offered`` are the steps beyond level 2 that can be taken
    in this installation.
    """

    passkeys: Passkeys
    passwords: Passwords
    second_factors: SecondFactors
    offered: frozenset[AuthenticationMethod] = frozenset()

    def strongest(self, account_id: str) -> Strength:
        """Return the most that the holder can prove with what she has."""
        return strength_of(self._best(account_id))

    def steps(self, account: Account) -> frozenset[AuthenticationMethod]:
        """Return what the holder can prove on top of level 2: face and chip are compared with the
        identity-card register, which knows citizens only, and whom only level 02 ties to the account.
        """
        if account.kind is not AccountKind.CITIZEN or account.level is not AccountLevel.LEVEL_02:
            return frozenset()
        has_password = self.passwords.find(account.id) is not None
        return self.offered if has_password else self.offered - {AuthenticationMethod.KNOWN_SECRET}

    def reachable(self, account: Account) -> Strength:
        """Return the most that the holder can prove with what she has and the steps she can take."""
        own = self._best(account.id)
        if strength_of(own).level < AuthenticationLevel.LEVEL_2:
            return strength_of(own)
        return strength_of({*own, *self.steps(account)})

    def _best(self, account_id: str) -> set[AuthenticationMethod]:
        keys = self.passkeys.of_account(account_id)
        if keys:
            # Several keys do not add up: the one that proves most.
            return set(max((self.passkeys.proves(key) for key in keys), key=strength_of))
        if self.second_factors.held(account_id).any and self.passwords.find(account_id):
            return {AuthenticationMethod.PASSWORD, AuthenticationMethod.TOTP}
        return {AuthenticationMethod.PASSWORD}


def steps_offered(*, face: bool, chip: bool) -> frozenset[AuthenticationMethod]:
    """Return the steps of an installation that has a service to compare faces, and one where cards
    can be examined as well.
    """
    if not face:
        return frozenset()
    return STEPS if chip else STEPS - {AuthenticationMethod.CHIP}
