"""The base classes of transports, and a session's end of a connection that users carry."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from stapes import _core

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["RealtimeTransport", "Transport", "TransportLine", "TransportRequest"]


# Of the transports that the core carries.
_FIRST_EVENT_TIMEOUT = cast(
    "float", _core.OPTION_DEFAULTS["WebSocketTransport"]["first_event_timeout"]
)


@dataclass(frozen=True, slots=True, repr=False)
class TransportRequest:
    """Where a session connects to, and with which headers."""

    url: str
    """Where to."""
    headers: Mapping[str, str]
    """Authorization included: do not log them."""

    def __repr__(self) -> str:
        return f"TransportRequest({_core.shown_url(self.url)!r})"


class TransportLine:
    """A session's end of a connection that a user's transport carries."""

    def __init__(self, connection: _core.ExternalConnection, opened: Callable[[], bool]) -> None:
        self._connection = connection
        self._opened = opened

    def opened(self) -> bool:
        """Tells the session that the connection stands; false if it was closed meanwhile."""
        return self._opened()

    def receive(self, frame: str) -> None:
        """Takes in a text message of the server's."""
        self._connection.receive(frame)

    def receive_audio(self, audio: bytes) -> None:
        """Takes in the answer's sound, where the transport is `sound_apart`.

        PCM, 16 bit little endian, mono, at the rate of the session's output format. It belongs to
        the response that `output_audio_buffer.started` named, until `.stopped` or `.cleared`.
        """
        self._connection.receive_audio(audio)

    def ended(self, reason: str) -> None:
        """Tells the session that the connection is over; `reason` says why, for a user to read."""
        self._connection.ended(reason)


class Transport:
    """A way to reach a model: the hooks that every transport has besides carrying messages."""

    __slots__ = ()

    @property
    def playback_reports(self) -> bool:
        """Whether the transport reports what was played, by `session.playback_reported`.

        Otherwise the session works it out, or is told by its own `PlaybackTracker`.
        """
        return False

    def configure(self, session: dict[str, Any]) -> dict[str, Any]:
        """May rewrite the session's configuration, each time before it is sent.

        A phone line forces its audio format here.
        """
        return session

    def attach(self, session: Any) -> None:
        """Gives the transport its session, a `stapes.RealtimeSession`, once that has been made.

        The transport may listen here (`session.on("audio", ...)`,
        `session.on("audio_interrupted", ...)`) and keep the session, to send audio and to report
        playback.
        """


class RealtimeTransport(Transport, ABC):
    """The base of users' own transports: it carries the messages, the session does the rest.

    The session calls all methods on its event loop.
    """

    __slots__ = ()

    @property
    def first_event_timeout(self) -> float:
        """How long `connect` waits for the server's first event once the line is open, in seconds.

        0: not at all, for a server that speaks only when spoken to.
        """
        return _FIRST_EVENT_TIMEOUT

    @property
    def sound_apart(self) -> bool:
        """Whether sound travels beside the messages, as over RTP, and not within them.

        The transport then gets the user's sound by `send_audio`, and delivers the answer's to
        `line.receive_audio`.
        """
        return False

    @property
    def server_truncates(self) -> bool:
        """Whether the server knows what was played of an answer, and cuts it by itself.

        The session then stops it by `output_audio_buffer.clear`; otherwise it says where to cut, by
        `conversation.item.truncate`.
        """
        return False

    def send_audio(self, audio: bytes) -> None:
        """Takes the user's sound, where the transport is `sound_apart`.

        PCM, 16 bit little endian, mono, at the rate of the session's input format, as it was given:
        the transport paces it.
        """
        raise NotImplementedError("a transport that is sound_apart takes the user's sound")

    @abstractmethod
    async def connect(self, request: TransportRequest, line: TransportLine) -> None:
        """Connects, calls `line.opened()`, and then delivers to `line` what the server sends.

        Raises:
            stapes.ConnectError: no connection could be made; the session's `connect` raises it too.
        """

    @abstractmethod
    def send(self, message: str) -> None:
        """Takes a text message for the server; they come in order."""

    @abstractmethod
    def close(self, code: int, reason: str) -> None:
        """Closes the connection. Nothing is sent after it, and `line.ended` need not be called."""
