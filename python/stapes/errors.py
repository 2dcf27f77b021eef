"""The exceptions of stapes.

All of them are `StapesError`. Where `openai-agents` has an exception for the same thing, users who
catch that one are served too: the session layer raises its `UserError` and `ModelBehaviorError`.
"""

from __future__ import annotations

__all__ = [
    "AuthenticationError",
    "CertificateError",
    "ConnectError",
    "ConnectTimeoutError",
    "ConnectionLostError",
    "ConsumerTooSlow",
    "HandshakeError",
    "NotConnectedError",
    "ServerError",
    "StapesError",
]


class StapesError(Exception):
    """What every exception of stapes is."""


class ConnectError(StapesError, ConnectionError):
    """No connection could be made. The message says why and what to do.

    Attributes:
        retryable: whether another attempt, with nothing changed, may succeed.
        retry_after: seconds that the server asks to wait before that (`Retry-After`), if it does.
        code: the provider's error code, such as `"invalid_api_key"`, if it gave one.
    """

    retryable: bool = False
    retry_after: float | None = None
    code: str | None = None


class ConnectTimeoutError(ConnectError, TimeoutError):
    """The server did not answer in time. `connect_timeout` of the transport is the bound."""


class CertificateError(ConnectError):
    """The server's certificate does not verify."""


class HandshakeError(ConnectError):
    """The server answered, but not with a realtime session."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        """The HTTP status of the answer, where there was one."""


class AuthenticationError(HandshakeError):
    """The server refused the API key: by HTTP 401 or 403, or once the connection stood."""


class ConnectionLostError(StapesError, ConnectionError):
    """A connection that stood is over, and this side did not close it.

    Attributes:
        code: the WebSocket close code that the server gave, if it gave one.
        retryable: whether a new connection, made in the same way, may last longer.
    """

    def __init__(self, message: str, code: int | None = None, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.retryable = retryable


class NotConnectedError(StapesError, ConnectionError):
    """A command needs a connection and there is none: call `connect()` first."""


class ConsumerTooSlow(StapesError):
    """Events were not read and the bound on those that must not be lost was reached."""


class ServerError(StapesError):
    """The server sent an `error` event.

    Attributes:
        event: the event as it came.
        code: the provider's code, such as `"conversation_already_has_active_response"`.
        error_type: the provider's type, such as `"invalid_request_error"`.
        param: the parameter that the server complains about, if it names one.
        event_id: the id of the client event that caused it, if the server names one.
    """

    def __init__(self, event: dict[str, object]) -> None:
        error = event.get("error")
        body: dict[str, object] = error if isinstance(error, dict) else {}
        message = body.get("message")
        super().__init__(
            message if isinstance(message, str) and message else "the server reported an error"
        )
        self.event = event
        self.code = _text(body.get("code"))
        self.error_type = _text(body.get("type"))
        self.param = _text(body.get("param"))
        self.event_id = _text(body.get("event_id"))


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
