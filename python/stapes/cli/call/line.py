"""The line between a sound device and a session: every frame of a call passes here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stapes.cli.call.device import frame_bytes
from stapes.cli.call.voice_activity import VoiceActivity

if TYPE_CHECKING:
    from collections.abc import Callable

    from stapes.cli.call.device import SoundDevice
    from stapes.cli.call.loudspeaker import Loudspeaker
    from stapes.cli.call.recording import Recording

_ECHO_S = 0.3
"""How long a room may still sound of the loudspeaker."""


class Line:
    """Passes frames between the two sides, records both, and knows where the call is.

    Args:
        device: gives the rates of the frames.
        loudspeaker: what the agent says, at the device's rate.
        send: takes the caller's frames.
        recording: keeps both sides.
        half_duplex: whether the caller is not heard while the agent is, so that a microphone beside
            a loudspeaker does not interrupt the agent with its own voice.
    """

    def __init__(
        self,
        device: SoundDevice,
        loudspeaker: Loudspeaker,
        send: Callable[[bytes], object],
        *,
        recording: Recording | None = None,
        half_duplex: bool = False,
    ) -> None:
        self.loudspeaker = loudspeaker
        self.caller = VoiceActivity(device.microphone_rate)
        self.agent = VoiceActivity(device.loudspeaker_rate)
        self._heard_bytes = frame_bytes(device.loudspeaker_rate)
        self._send = send
        self._recording = recording
        self._half_duplex = half_duplex
        self._deaf_until = 0.0

    @property
    def now(self) -> float:
        """The second of the call."""
        return self.loudspeaker.now

    @property
    def muted(self) -> bool:
        """Whether the caller is not heard now."""
        return self._half_duplex and self.now < self._deaf_until

    def exchange(self, microphone: bytes) -> bytes:
        """Send a frame of the caller's, and return one of the agent's."""
        playing = self.loudspeaker.playing
        heard = self.loudspeaker.take(self._heard_bytes)
        if playing:
            self._deaf_until = self.now + _ECHO_S
        said = bytes(len(microphone)) if self.muted else microphone
        self._send(said)
        self.caller.hear(said)
        self.agent.hear(heard)
        if self._recording is not None:
            self._recording.add(said, heard)
        return heard
