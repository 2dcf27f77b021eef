"""The exception for a connection that is over, as users of the SDK catch it."""

from __future__ import annotations

from websockets.exceptions import ConnectionClosedError
from websockets.frames import CLOSE_CODE_EXPLANATIONS, Close

from stapes.errors import ConnectionLostError

__all__ = ["ModelConnectionLostError"]


class ModelConnectionLostError(ConnectionLostError, ConnectionClosedError):
    """A model's connection is over, and this side did not close it.

    It is a `websockets.ConnectionClosedError` as well, which is what the SDK's own model gives.

    Attributes:
        rcvd: the server's close frame, if it sent one that a close frame can be.
        sent: `None`: the core answers close frames by itself.
    """

    # In place of a property of the other base.
    code: int | None = None  # type: ignore[assignment]

    def __init__(self, message: str, code: int | None = None, *, retryable: bool = False) -> None:
        super().__init__(message, code, retryable=retryable)
        self.rcvd = Close(code, "") if code in CLOSE_CODE_EXPLANATIONS else None
        self.sent = None
        self.rcvd_then_sent = None
