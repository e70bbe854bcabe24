"""What happens at once when a person says "this was not me", and how it is settled again.

It takes a notice of her own, on her pages or by the link that the message to her address carries; so
nobody can shut others out by it. It ends what may be somebody else's and takes no way to sign in
away: with a passkey, or password and code, she is back at once. Only a password alone opens nothing
until the incident is settled, because that is what others come to know.
"""

import base64
import binascii
import hmac
from dataclasses import dataclass
from datetime import timedelta

from accounts.account import HOLDER, Accounts, Actor
from accounts.errors import AccountsError
from accounts.incidents import Incident, Incidents
from accounts.notices import Notice, NoticeKind, Notices
from accounts.phone_invitations import PhoneInvitations
from accounts.recoveries import Recoveries
from accounts.schema import Clock
from accounts.sessions import BrowserSessions
from accounts.vault import Vault
from consent.data_use import UseEntry
from consent.decisions import Consents
from idp import audit
from idp.oidc.grants import Grants

DISAVOWABLE = frozenset(
    {
        NoticeKind.SIGN_IN,
        NoticeKind.NEW_PLACE,
        NoticeKind.QR_APPROVED,
        NoticeKind.UNLOCKED,
        NoticeKind.RECOVERY_BEGUN,
        NoticeKind.RECOVERED,
        NoticeKind.SIGN_IN_CHANGED,
        NoticeKind.CONTACT_CHANGED,
        NoticeKind.DATA_COPIED,
    }
)
"""The notices of acts that could have been somebody else's."""
ABOUT_A_USE = "use"
LINK_LIFETIME = timedelta(days=30)
_ID_BYTES = 16
_MAC_BYTES = 24


class NoSuchLinkError(AccountsError):
    """The link is not one of ours, or too old."""

    code = "not-found"


def link_token(vault: Vault, notice_id: str) -> str:
    """Return what the link in a notice's message ends in: its id under a MAC, kept nowhere."""
    data = bytes.fromhex(notice_id)
    return base64.urlsafe_b64encode(data + _mac(vault, notice_id)).decode()


@dataclass(frozen=True)
class Alarm:
    """Raises and settles incidents within one transaction."""

    accounts: Accounts
    notices: Notices
    incidents: Incidents
    sessions: BrowserSessions
    grants: Grants
    consents: Consents
    recoveries: Recoveries
    phone_invitations: PhoneInvitations
    vault: Vault
    clock: Clock

    def find(self, token: str) -> Notice:
        """Return the notice that the link belongs to; looking changes nothing, for mail is opened by
        machines too.

        Raises:
            NoSuchLinkError: not a link of ours, too old, or of a notice that cannot be disavowed.
        """
        try:
            data = base64.urlsafe_b64decode(token)
        except (binascii.Error, ValueError) as error:
            raise NoSuchLinkError from error
        notice_id, mac = data[:_ID_BYTES].hex(), data[_ID_BYTES:]
        if not hmac.compare_digest(mac, _mac(self.vault, notice_id)):
            raise NoSuchLinkError
        found = self.notices.find(notice_id)
        if (
            found is None
            or found.kind not in DISAVOWABLE
            or self.clock() - found.made_at > LINK_LIFETIME
        ):
            raise NoSuchLinkError
        return found

    def raise_for(self, notice: Notice) -> Incident:
        """Raise the alarm for what a notice told of; a second time it is the same incident.

        Raises:
            NoSuchLinkError: she has no account any more.
        """
        return self.raise_about(notice.subject_id, notice.id, notice.kind.value)

    def raise_for_use(self, entry: UseEntry) -> Incident:
        """Raise the alarm for a use of her data that came from no sign-in of hers.

        Raises:
            NoSuchLinkError: she has no account any more.
        """
        return self.raise_about(entry.use.subject_id, entry.id, ABOUT_A_USE)

    def raise_about(self, subject_id: str, what_id: str, about: str) -> Incident:
        """End every session, grant and recovery of the person, pause her consents, and open an
        incident about what has this id; a second time it is the same incident and ends nothing.

        Raises:
            NoSuchLinkError: she has no account any more.
        """
        account = self.accounts.find_of_subject(subject_id)
        if account is None or account.closed_at is not None:
            raise NoSuchLinkError
        opened, is_new = self.incidents.open(account.id, what_id, about)
        if is_new:
            if self.recoveries.cancel(account.id):
                self.accounts.spend_activation_code(account.id)
            self.phone_invitations.end_all(account.id)
            self.sessions.end_all(account.id)
            self.grants.revoke_of_account(account.id)
            self.consents.pause(account.subject_id)
            audit.security_event("incident.opened", account=account.id, incident=opened.id)
        return opened

    def settle(
        self, incident_id: str, account_id: str, by: Actor = HOLDER, *, finding: str = ""
    ) -> bool:
        """Close the account's incident; with the last one, paused consents count again. False when
        it is closed already, or not the account's.
        """
        if incident_id not in {one.id for one in self.incidents.of_account(account_id)}:
            return False
        if not self.incidents.close(incident_id, by, finding=finding):
            return False
        if not self.incidents.has_open(account_id):
            self.consents.resume(self.accounts.account(account_id).subject_id)
        audit.security_event(
            "incident.closed", account=account_id, incident=incident_id, actor=by.kind.value
        )
        return True


def _mac(vault: Vault, notice_id: str) -> bytes:
    return vault.mac("not-me", notice_id)[:_MAC_BYTES]
