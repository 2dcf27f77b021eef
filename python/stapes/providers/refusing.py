"""What profiles refuse before anything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stapes.errors import NotSupportedError

if TYPE_CHECKING:
    from stapes.providers.base import Provider

__all__ = ["no_call", "no_webrtc", "refusal"]


def refusal(provider: Provider, feature: str, remedy: str) -> NotSupportedError:
    """The exception for what that provider cannot do."""
    return NotSupportedError(type(provider).__name__, feature, remedy)


def no_webrtc(provider: Provider, kind: str) -> None:
    """Refuses a WebRTC call.

    Raises:
        stapes.NotSupportedError: `kind` is `webrtc`.
    """
    if kind == "webrtc":
        raise refusal(provider, "calls over WebRTC", "use transport='websocket'")


def no_call(provider: Provider, call_id: str | None) -> None:
    """Refuses to join a phone call.

    Raises:
        stapes.NotSupportedError: there is a call to join.
    """
    if call_id is not None:
        raise refusal(
            provider,
            "call_id",
            "leave it out; phone calls of a carrier are call=, see docs/phones.md",
        )
