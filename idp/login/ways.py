"""The ways in which an account's holder can sign in, and what they can prove."""

from dataclasses import dataclass

from accounts.authenticators import Passkeys
from accounts.levels import AuthenticationMethod, Strength, strength_of
from accounts.second_factors import SecondFactors
from accounts.secrets import Passwords


@dataclass(frozen=True, slots=True)
class WaysToSignIn:
    """What accounts have to sign in with."""

    passkeys: Passkeys
    passwords: Passwords
    second_factors: SecondFactors

    def strongest(self, account_id: str) -> Strength:
        """Return the most that the holder can prove with what she has."""
        keys = self.passkeys.of_account(account_id)
        if any(self.passkeys.is_hardware(key) for key in keys):
            return strength_of({AuthenticationMethod.PASSKEY, AuthenticationMethod.HARDWARE_KEY})
        if keys:
            return strength_of({AuthenticationMethod.PASSKEY})
        if self.second_factors.held(account_id).any and self.passwords.find(account_id):
            return strength_of({AuthenticationMethod.PASSWORD, AuthenticationMethod.TOTP})
        return strength_of({AuthenticationMethod.PASSWORD})
