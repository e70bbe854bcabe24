"""Handing messages over to the outside: e-mail by SMTP (RFC 5321), text messages by an HTTP gateway.

Both carry notices only, never a code: neither an inbox nor a telephone number proves anything here.
"""

import re
import smtplib
import ssl
from dataclasses import dataclass, field
from datetime import datetime
from email.errors import MessageError
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path

import orjson

from connectors.errors import MessageRefusedError, OutboundRefusedError
from connectors.outbound import Outbound

_SECONDS = 10.0
_TAKEN = range(200, 300)
_WORTH_ANOTHER_TRY = frozenset({408, 425, 429})


@dataclass(frozen=True)
class Message:
    """One message. ``id`` stays the same at every attempt, so that a copy can be told from another."""

    id: str
    to: str
    subject: str
    text: str
    made_at: datetime


@dataclass(frozen=True)
class MailServer:
    """An SMTP server that relays for us: TLS from the start (``is_tls``), or STARTTLS, which is left out
    towards this very machine only (``is_plain``).
    """

    host: str
    port: int
    sender: str
    is_tls: bool = False
    is_plain: bool = False
    user: str = ""
    password: str = field(default="", repr=False)
    extra_ca_file: Path | None = None

    def send(self, message: Message) -> None:
        """Hand the message over.

        Raises:
            MessageRefusedError: it was not taken; ``is_final`` when it never will be.
        """
        try:
            letter = self._letter(message)
        except (MessageError, ValueError, UnicodeError) as error:
            raise MessageRefusedError("address", is_final=True) from error
        try:
            server = self._connected()
        except (smtplib.SMTPException, OSError) as error:
            raise MessageRefusedError(type(error).__name__) from error
        try:
            with server:
                server.send_message(letter, self.sender, [message.to])
        except smtplib.SMTPRecipientsRefused as error:
            status = next(iter(error.recipients.values()))[0]
            raise MessageRefusedError("recipient", is_final=500 <= status < 600) from error
        except smtplib.SMTPNotSupportedError as error:
            # The address needs SMTPUTF8 (RFC 6531), which this server does not speak.
            raise MessageRefusedError("not-supported", is_final=True) from error
        except (smtplib.SMTPException, OSError) as error:
            raise MessageRefusedError(type(error).__name__) from error

    def _letter(self, message: Message) -> EmailMessage:
        letter = EmailMessage(policy=SMTP)
        letter["From"] = self.sender
        letter["To"] = message.to
        letter["Subject"] = message.subject
        letter["Date"] = format_datetime(message.made_at)
        letter["Message-ID"] = f"<{message.id}@{self.sender.rpartition('@')[2]}>"
        # No vacation note or bounce loop may answer a machine (RFC 3834 §5).
        letter["Auto-Submitted"] = "auto-generated"
        letter.set_content(message.text)
        return letter

    def _connected(self) -> smtplib.SMTP:
        trust = ssl.create_default_context()
        if self.extra_ca_file is not None:
            trust.load_verify_locations(cafile=self.extra_ca_file)
        name = self.sender.rpartition("@")[2]
        server: smtplib.SMTP
        if self.is_tls:
            server = smtplib.SMTP_SSL(self.host, self.port, name, timeout=_SECONDS, context=trust)
        else:
            server = smtplib.SMTP(self.host, self.port, name, timeout=_SECONDS)
        try:
            if not self.is_tls and not self.is_plain:
                server.starttls(context=trust)
            if self.user:
                server.login(self.user, self.password)
        except BaseException:
            server.close()
            raise
        return server


@dataclass(frozen=True)
class TextGateway:
    """A gateway for text messages: ``POST {"id", "to", "text"}`` as JSON, with a bearer token. Every 2xx
    means that it was taken; the gateway drops an ``id`` that it has taken before.
    """

    url: str
    outbound: Outbound
    token: str = field(default="", repr=False)

    def send(self, message: Message) -> None:
        """Hand the message over.

        Raises:
            MessageRefusedError: it was not taken; ``is_final`` when it never will be.
        """
        headers = {"Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        body = orjson.dumps({"id": message.id, "to": message.to, "text": message.text})
        headers["Content-Length"] = str(len(body))
        try:
            reply = self.outbound.exchange(
                "POST", self.url, headers=headers, body=body, seconds=_SECONDS
            )
        except OutboundRefusedError as error:
            raise MessageRefusedError(error.detail) from error
        if reply.status not in _TAKEN:
            is_final = 400 <= reply.status < 500 and reply.status not in _WORTH_ANOTHER_TRY
            # A wrong token is ours to mend, not the message's fault.
            is_final = is_final and reply.status not in {401, 403, 404}
            raise MessageRefusedError(f"status-{reply.status}", is_final=is_final)


def is_address(text: str) -> bool:
    """True for what can stand as a sender."""
    return re.fullmatch(r"[^@\s<>\"]{1,64}@[A-Za-z0-9.\-]+", text, re.ASCII) is not None
