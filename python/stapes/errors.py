"""The exceptions of stapes.

All of them are `StapesError`. Where `openai-agents` has an exception for the same thing, users who
catch that one are served too: the session layer raises its `UserError` and `ModelBehaviorError`.
"""

from __future__ import annotations

__all__ = [
    "AuthenticationError",
    "CallError",
    "CertificateError",
    "ConnectError",
    "ConnectTimeoutError",
    "ConnectionLostError",
    "ConsumerTooSlow",
    "HandshakeError",
    "NotConnectedError",
    "NotSupportedError",
    "OfferError",
    "OriginError",
    "ServerError",
    "SignatureError",
    "StapesError",
    "TokenError",
    "TokenExpiredError",
    "TokenForgedError",
    "TokenMalformedError",
    "TokenPathError",
    "TokenUsedError",
    "TooManyOffersError",
    "TooManyTokensError",
    "ToolOutputNotSent",
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


class CallError(StapesError):
    """A call cannot do what was asked for, or was not what it should be."""


class OriginError(CallError):
    """A page may not call, because of its origin; the message names it and says what to do.

    Over HTTP it is answered with 403.
    """


class OfferError(CallError):
    """A page's offer of a call over WebRTC cannot be met; the message says what is wrong with it.

    Over HTTP it is answered with 422 (WHIP, RFC 9725).
    """


class TooManyOffersError(CallError):
    """Too many offers of calls over WebRTC were answered whose calls have not started.

    Over HTTP it is answered with 503, and `Retry-After`. `WebRTCCallOptions.max_pending` is the
    bound.
    """


class NotConnectedError(StapesError, ConnectionError):
    """A command needs a connection and there is none: call `connect()` first."""

    sent: float | None = None
    """Seconds of the sound that were sent before, where `RealtimeSession.stream_audio` failed."""


class NotSupportedError(StapesError, ValueError):
    """The provider cannot do what is asked for. Nothing was sent.

    Args:
        provider: the profile's name, such as `"Qwen"`.
        feature: what it does not have.
        remedy: what to do.

    Attributes:
        provider: see above.
        feature: see above.
    """

    def __init__(self, provider: str, feature: str, remedy: str) -> None:
        super().__init__(f"{provider} does not support {feature}: {remedy}")
        self.provider = provider
        self.feature = feature


class ToolOutputNotSent(NotConnectedError):
    """A tool has ended, but the connection over which the model called it was lost.

    Attributes:
        call_id: the model's id of the call.
        tool: the tool's name.
        output: what the model was to get.
    """

    def __init__(self, call_id: str, tool: str, output: str) -> None:
        super().__init__(
            f"the output of tool {tool} (call {call_id}) was not sent: the connection over which "
            "the model called it was lost. The model of a new connection does not know of the "
            "call: tell it with send_message() what it has to know"
        )
        self.call_id = call_id
        self.tool = tool
        self.output = output


class ConsumerTooSlow(StapesError):
    """Events were not read and the bound on those that must not be lost was reached."""


class ServerError(StapesError):
    """The server reported an error: by an `error` event, or by an event that says what failed.

    Args:
        event: the event.
        failed: what failed, where the event is no `error` event.

    Attributes:
        event: the event as it came.
        code: the provider's code, such as `"conversation_already_has_active_response"`.
        error_type: the provider's type, such as `"invalid_request_error"`.
        param: the parameter that the server complains about, if it names one.
        event_id: the id of the client event that caused it, if the server names one.
    """

    def __init__(self, event: dict[str, object], failed: str | None = None) -> None:
        body = _error_of(event)
        said = _said(body)
        if failed is None:
            super().__init__(said or "the server reported an error")
        else:
            super().__init__(f"{failed}: {said or 'the server gives no reason'}")
        self.event = event
        self.code = _text(body.get("code"))
        self.error_type = _text(body.get("type"))
        self.param = _text(body.get("param"))
        self.event_id = _text(body.get("event_id"))


class SignatureError(StapesError):
    """A request is not accepted as the carrier's. The message says why and what to do.

    Attributes:
        reason: the same in a word, for logs and counters: `"missing"` (no header), `"malformed"`,
            `"mismatch"`, `"body_changed"`, `"body_not_signed"`, `"too_old"`, `"from_the_future"`,
            `"expired"`, `"algorithm"` or `"other_account"`.
    """

    def __init__(self, message: str, reason: str = "mismatch") -> None:
        super().__init__(message)
        self.reason = reason


class TokenError(CallError):
    """A caller's token is not accepted. The message says why and what to do."""


class TokenMalformedError(TokenError):
    """There is no token, or what is there is none of stapes."""


class TokenForgedError(TokenError):
    """The token was made with another secret, or was changed."""


class TokenExpiredError(TokenError):
    """The token was not brought back in time."""


class TokenPathError(TokenError):
    """The token is for another path."""


class TokenUsedError(TokenError):
    """The token was brought before."""


class TooManyTokensError(TokenError):
    """So many tokens were used that another one's second use could not be noticed."""


_PLACES = (
    ("error",),
    ("item", "error"),
    ("response", "status_details", "error"),
    ("response", "status_details"),
)
"""Where events hold what went wrong."""


def _error_of(event: dict[str, object]) -> dict[str, object]:
    """What the server says of the error, wherever in the event it is."""
    for place in _PLACES:
        found: object = event
        for key in place:
            found = found.get(key) if isinstance(found, dict) else None
        if isinstance(found, str) and found:
            return {**_own_fields(event), "message": found}
        if isinstance(found, dict) and found:
            return found
    return _own_fields(event)


def _own_fields(event: dict[str, object]) -> dict[str, object]:
    """The fields of an error that are in the event itself; its `type` is the event's."""
    return {key: event.get(key) for key in ("message", "code", "param", "detail", "reason")}


def _said(body: dict[str, object]) -> str:
    """The server's words: a message, or at least a code."""
    for key in ("message", "detail", "reason"):
        if said := _text(body.get(key)):
            return said
    names = [said for key in ("type", "code") if (said := _text(body.get(key)))]
    return " ".join(names)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
