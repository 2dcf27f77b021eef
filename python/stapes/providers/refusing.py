"""What profiles refuse before anything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stapes.errors import NotSupportedError

if TYPE_CHECKING:
    from stapes.providers.base import Provider

__all__ = ["binary_audio_needs", "refusal", "websocket_alone"]


def refusal(provider: Provider, feature: str, remedy: str) -> NotSupportedError:
    """The exception for what that provider cannot do."""
    return NotSupportedError(type(provider).__name__, feature, remedy)


def binary_audio_needs(provider: Provider, *, websocket: bool) -> None:
    """Refuses sound in binary frames where there are none.

    Raises:
        stapes.NotSupportedError: the profile has it, and the transport is no WebSocket of ours.
    """
    if provider.capabilities.binary_audio and not websocket:
        raise refusal(
            provider,
            "binary_audio over another transport than a WebSocketTransport",
            "use transport='websocket', or leave binary_audio out",
        )


def websocket_alone(provider: Provider, kind: str, call_id: str | None) -> None:
    """Refuses a WebRTC call, and to join a phone call.

    Raises:
        stapes.NotSupportedError: `kind` is `webrtc`, or there is a call to join.
    """
    if kind == "webrtc":
        raise refusal(provider, "calls over WebRTC", "use transport='websocket'")
    if call_id is not None:
        raise refusal(
            provider,
            "call_id",
            "leave it out; phone calls of a carrier are call=, see docs/how-to/phone-calls.md",
        )
