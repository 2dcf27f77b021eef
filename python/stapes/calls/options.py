"""The options of calls and of their server."""

from __future__ import annotations

from dataclasses import dataclass

from stapes._core import calls as _core
from stapes.config import whole_number

__all__ = ["CallOptions", "ListenOptions"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallOptions:
    """How a call is carried. Times are in seconds.

    Attributes:
        input_batch: how much of the caller's sound goes to the model in one message; 0: each packet
            by itself.
        max_gap: the longest gap in the caller's sound that is filled with silence; of a longer one
            as much as that.
        inactivity_timeout: how long nothing may come while the caller speaks before silence goes
            in, so that the turn can end, more than 0; `None`: for ever.
        start_timeout: how long a stream may take to start.
        resume_timeout: how long a listener waits for a line that broke before the call is over; 0:
            not. In an ASGI app it is over at once: each WebSocket there is a call of its own.
        max_call: the longest call; `None`: no bound.
        max_tokens: of all responses together, after which this side hangs up when the answer has
            been heard; `None`: no bound.
        resume_after: an answer is paused when the caller makes a sound, and interrupted when there
            are words or an answer to it; if there are none for so long after it, the answer goes
            on. It needs transcription, or a model that answers by itself, and a carrier that can
            pause: `browser`, `asterisk`. `None`: a sound interrupts at once.
        idle_timeout: how long both sides may be silent before `CallIdle`, and as long again before
            this side hangs up; `None`: for ever.
        max_ahead: sound that the caller may send faster than in real time; more is dropped.
        max_unsent: sound that may wait to be sent to the caller, beyond what the carrier buffers.
        session_timeout: how long a call stands without its session, once that was lost for good and
            all that it said is heard; `None`: for ever.
        hang_up_timeout: how long `hang_up(after_playback=True)` waits for the end at most.
        max_early: the caller's sound that is kept, the newest of it, until a session takes it.
    """

    input_batch: float = 0.08
    max_gap: float = 10.0
    inactivity_timeout: float | None = 0.75
    start_timeout: float = 10.0
    resume_timeout: float = 5.0
    max_call: float | None = 4 * 60 * 60.0
    max_tokens: int | None = None
    resume_after: float | None = None
    idle_timeout: float | None = None
    max_ahead: float = 15.0
    max_unsent: float = 600.0
    session_timeout: float | None = 10.0
    hang_up_timeout: float = 30.0
    max_early: float = 15.0

    def __post_init__(self) -> None:
        """Refuses what makes no sense.

        Raises:
            ValueError: names the option.
        """
        if self.inactivity_timeout is not None and self.inactivity_timeout <= 0:
            raise ValueError(
                f"inactivity_timeout is {self.inactivity_timeout!r}: give the seconds after which "
                "silence goes in, or None for never"
            )
        if self.max_tokens is not None:
            whole_number(self.max_tokens, "max_tokens", at_least=1)
        if self.resume_after is not None and self.resume_after <= 0:
            raise ValueError(f"resume_after is {self.resume_after!r}: give seconds, or None")

    def check_for(self, carrier: str) -> None:
        """Refuses what a carrier cannot do.

        Raises:
            ValueError: names the option.
        """
        if self.resume_after is not None and carrier not in _core.PAUSING_CARRIERS:
            raise ValueError(
                f"resume_after: {carrier} cannot stop playback and go on; leave it out, or use "
                f"{' or '.join(_core.PAUSING_CARRIERS)}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenOptions:
    """The limits of a listener. Times are in seconds, sizes in bytes.

    Attributes:
        max_connections: connections at once; more wait in the system's queue.
        head_timeout: how long TLS and the head of a request may take.
        max_head: the longest head of a request.
        max_body: the longest body of a request.
        max_message_size: the longest message of a WebSocket.
        ping_interval: the silence of a carrier after which it is pinged; `None`: never.
        ping_timeout: the time that it has then to send anything at all.
    """

    max_connections: int = 10_000
    head_timeout: float = 10.0
    max_head: int = 16 * 1024
    max_body: int = 64 * 1024
    max_message_size: int = 256 * 1024
    ping_interval: float | None = 20.0
    ping_timeout: float = 20.0
