"""The one HTTP client by which anything leaves this machine.

Only addresses on the operator's allow-list are ever contacted, so no relying party's metadata can
point us at an inner service (SSRF). No redirects, short time limits, small answers.
"""

import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from connectors.errors import OutboundRefusedError

_TIMEOUT_SECONDS = 3.0
_GREATEST_ANSWER = 256 * 1024


@dataclass(frozen=True)
class Outbound:
    """Fetches documents from allowed hosts.

    ``allowed`` holds ``host`` or ``host:port`` entries; a bare host means the scheme's usual port.
    """

    allowed: frozenset[str] = frozenset()
    extra_ca_file: Path | None = None

    def permits(self, url: str) -> bool:
        """True when the URL's scheme is https and its host and port are on the list."""
        try:
            parts = urlsplit(url)
            port = parts.port or 443
        except ValueError:
            return False
        if parts.scheme != "https" or not parts.hostname or parts.username or parts.password:
            return False
        names = {f"{parts.hostname}:{port}"} | ({parts.hostname} if port == 443 else set())
        return bool(names & self.allowed)

    def get(self, url: str) -> bytes:
        """Return the body of a 200 answer.

        Raises:
            OutboundRefusedError: not allowed, not reachable, not 200, too slow or too large.
        """
        if not self.permits(url):
            raise OutboundRefusedError("address-not-allowed")
        deadline = time.monotonic() + _TIMEOUT_SECONDS
        try:
            with (
                httpx.Client(
                    timeout=_TIMEOUT_SECONDS,
                    follow_redirects=False,
                    trust_env=False,
                    verify=self._trust(),
                ) as client,
                client.stream("GET", url) as response,
            ):
                if response.status_code != httpx.codes.OK:
                    raise OutboundRefusedError("unexpected-status")
                body = b""
                for chunk in response.iter_bytes():
                    body += chunk
                    # The client's own limit is for each read: an answer that drips meets it.
                    if time.monotonic() > deadline:
                        raise OutboundRefusedError("answer-too-slow")
                    if len(body) > _GREATEST_ANSWER:
                        raise OutboundRefusedError("answer-too-large")
                return body
        except httpx.HTTPError as error:
            raise OutboundRefusedError(type(error).__name__) from error

    def _trust(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        if self.extra_ca_file is not None:
            context.load_verify_locations(cafile=self.extra_ca_file)
        return context
