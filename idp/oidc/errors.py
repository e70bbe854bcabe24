"""How the protocol refuses: an answer for the relying party, or a page for the person."""

import re

_FORBIDDEN_IN_DESCRIPTION = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]")


class ProtocolError(Exception):
    """A refusal in OAuth's terms: ``error`` is the wire code, ``description`` plain ASCII."""

    def __init__(self, error: str, description: str = "", *, status: int = 400) -> None:
        super().__init__(f"{error}: {description}")
        self.error = error
        # RFC 6749 §5.2 allows these characters and no others.
        self.description = _FORBIDDEN_IN_DESCRIPTION.sub("?", description)
        self.status = status

    def document(self) -> dict[str, str]:
        """Return the JSON error object of RFC 6749 §5.2."""
        document = {"error": self.error}
        if self.description:
            document["error_description"] = self.description
        return document


class DisplayedError(ProtocolError):
    """An authorization request that must not be answered by redirect: the person sees a page
    (RFC 6749 §4.1.2.1).
    """


class RedirectedError(ProtocolError):
    """An authorization request refused after the relying party and its redirect URI were verified:
    the error goes to that URI.
    """

    def __init__(
        self, error: str, description: str = "", *, redirect_uri: str, state: str | None
    ) -> None:
        super().__init__(error, description)
        self.redirect_uri = redirect_uri
        self.state = state
