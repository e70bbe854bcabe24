"""Refusals of the connectors package."""


class ConnectorError(Exception):
    """Root of every refusal raised by ``connectors``; ``code`` is stable and kebab-case."""

    code = "connector-refused"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or self.code)
        self.detail = detail


class OutboundRefusedError(ConnectorError):
    """The address is not on the allow-list, or its answer broke a limit."""

    code = "outbound-refused"


class RegisterFaultError(ConnectorError):
    """A register gave no answer that may be believed; ``detail`` is the kebab-case reason."""

    code = "register-fault"


class MessageRefusedError(ConnectorError):
    """A message was not taken over; ``is_final`` when another attempt is useless."""

    code = "message-refused"

    def __init__(self, detail: str = "", *, is_final: bool = False) -> None:
        super().__init__(detail)
        self.is_final = is_final
