"""The caller's end. `stapes.calls` is the face of what is here."""

from collections.abc import Callable
from typing import Any, Final, TypeAlias, final

from numpy import float32, int16
from numpy.typing import NDArray
from typing_extensions import Buffer

from stapes._core import Hub
from stapes._core.audio import Recording
from stapes.calls.options import CallOptions, ListenOptions
from stapes.calls.webrtc import WebRTCCallOptions

__all__ = [
    "BROWSER_SUBPROTOCOL",
    "CARRIERS",
    "CHECKED_UPGRADES",
    "HAS_WEBRTC",
    "MAX_AGE",
    "MESSAGES",
    "PAUSING_CARRIERS",
    "TOKEN_LIFETIME",
    "Call",
    "CallServer",
    "CallTokens",
    "Origins",
    "validate_plivo",
    "validate_signalwire",
    "validate_telnyx",
    "validate_twilio",
    "validate_vonage",
]

BROWSER_SUBPROTOCOL: Final[str]
CARRIERS: Final[tuple[str, ...]]
CHECKED_UPGRADES: Final[tuple[str, ...]]
HAS_WEBRTC: Final[bool]
MAX_AGE: Final[float]
MESSAGES: Final[dict[str, dict[str, str]]]
PAUSING_CARRIERS: Final[tuple[str, ...]]
TOKEN_LIFETIME: Final[float]

@final
class CallTokens:
    """One-time tokens: what a carrier brings back proves that its call was answered here.

    A token is made for the path that the carrier is sent to, goes out with the answer to its
    webhook (`twiml_connect` and its like do that), and comes back with the stream. It is good
    once, for that path, for `lifetime` seconds. That it is used twice is noticed by the object
    that accepted it the first time: workers that share a secret do not share that.

    Args:
        secret: At least 16 bytes or characters, the same for all workers that answer the same
            calls. By default a random one that no other process has.
        lifetime: Seconds that a carrier has to connect, 60 by default.

    Raises:
        ValueError: `secret` is too short, or `lifetime` is not above 0.
    """

    def __new__(cls, secret: str | bytes | None = None, lifetime: float = ...) -> CallTokens: ...
    @property
    def lifetime(self) -> float:
        """Seconds that a carrier has to connect."""

    def mint(self, path: str, *, now: float | None = None) -> str:
        """Makes a token of 76 characters that may stand in a URL.

        Args:
            path: The path to which the token will be brought, as the server sees it.
            now: Seconds since the Unix epoch; by default the system's clock.

        Raises:
            ValueError: `now` is negative.
        """

    def check(self, token: str | None, path: str, *, now: float | None = None) -> None:
        """Accepts a token, this once.

        Args:
            token: What the caller brought; `None` is as good as no token.
            path: The path that the caller asked for, as the server sees it.
            now: Seconds since the Unix epoch; by default the system's clock.

        Raises:
            TokenError: The token is not accepted. Its subclasses say why: `TokenMalformedError`,
                `TokenForgedError`, `TokenExpiredError`, `TokenPathError`, `TokenUsedError`,
                `TooManyTokensError` (65,536 were used within two lifetimes).
            ValueError: `now` is negative.
        """

def validate_twilio(
    auth_token: str,
    url: str,
    signature: str | None,
    fields: list[tuple[str, str]] | None,
    body: Buffer | None,
) -> None:
    """Checks that a request is Twilio's."""

def validate_signalwire(
    signing_key: str,
    url: str,
    signature: str | None,
    fields: list[tuple[str, str]] | None,
    body: Buffer | None,
) -> None:
    """Checks that a request is SignalWire's."""

def validate_telnyx(
    public_key: str,
    timestamp: str | None,
    signature: str | None,
    body: Buffer,
    max_age: float,
    now: float | None,
) -> None:
    """Checks that a webhook is Telnyx's."""

def validate_plivo(
    auth_token: str,
    method: str,
    url: str,
    signature: str | None,
    nonce: str | None,
    fields: list[tuple[str, str]] | None,
) -> None:
    """Checks that a request is Plivo's."""

def validate_vonage(
    signature_secret: str,
    authorization: str | None,
    fields: list[tuple[str, str]] | None,
    body: Buffer | None,
    api_key: str | None,
    application_id: str | None,
    max_age: float,
    now: float | None,
) -> None:
    """Checks that a webhook is Vonage's."""

_Sound: TypeAlias = Buffer | NDArray[int16] | NDArray[float32] | Recording

_About: TypeAlias = tuple[str, str, str | None, str | None, str | None, str, str, int]

_Wire: TypeAlias = tuple[tuple[str, int | None] | None, bool]

@final
class Call:
    """The caller's end of a call."""

    def __new__(
        cls,
        hub: Hub,
        carrier: str,
        options: CallOptions,
        *,
        wire: _Wire = ...,
        virtual_clock: bool = False,
    ) -> Call: ...
    def answer(self, offer: str, local: str, options: WebRTCCallOptions) -> None:
        """Answers an offer (SDP) from `local`, or the addresses of `options`, a
        `stapes.calls.WebRTCCallOptions`. The message `CallAnswered` has the answer."""
    def sound(
        self,
    ) -> tuple[int, int, int, int, float, float, float, float, int, float, float, int] | None:
        """How its sound fares, as the fields of a `stapes.SoundStatistics`; `None` where the line
        does not tell."""
    @property
    def id(self) -> int:
        """The number that the hub knows it by."""
    def dispatch_to(self, hub: Hub, dispatcher: Callable[[Any], None], listeners: object) -> None:
        """Has `hub` dispatch its messages to `dispatcher`, through `dispatcher.run`."""
    def about(self) -> _About | None:
        """What the carrier told when the stream started; `None` before that."""
    @property
    def carrier(self) -> str:
        """The carrier's name."""
    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
    @property
    def can(self) -> tuple[bool, bool, bool]:
        """`(can pause what the caller hears, can send keys, can hang up by itself)`."""
    def stats(self) -> tuple[int, int, int, int, int]:
        """`(packets, dropped, reordered, milliseconds of silence, frames ignored)`."""
    def play(self, audio: _Sound, sample_rate: int | None) -> None:
        """Plays sound behind all that is played; without `sample_rate` in the call's format."""
    def clear(self) -> None:
        """Stops all that is played."""
    def when_played(self, token: int) -> None:
        """The message `CallPlayed` says with `token` when all that was played so far was heard."""
    def hang_up(self, after_playback: bool) -> None:
        """Ends the call: at once, or when all was heard."""
    def refuse(self, close_code: int, reason: str) -> None:
        """Ends a call that is not taken, and closes its line with that code."""
    def send_dtmf(self, digit: str) -> bool:
        """Sends a key; false where the carrier cannot."""
    def send_message(self, json: str) -> bool:
        """Sends the application at the far end a message, as JSON; false where there is none.

        It fails where the message is longer than the far end takes."""
    def pause_input(self, paused: bool) -> None:
        """Drops the caller's sound, or stops dropping it."""
    def pause_output(self, paused: bool) -> bool:
        """Stops what the caller hears, or lets it go on; false where the carrier cannot."""
    def set_query(self, query: list[tuple[str, str]]) -> None:
        """The URL of the stream brought these parameters."""
    def receive_text(self, frame: str) -> None:
        """A text frame has come."""
    def receive_bytes(self, frame: bytes) -> None:
        """A binary frame has come."""
    def take_outgoing(self) -> list[str | bytes | int]:
        """The frames that are to be sent now: texts, bytes, and a close code to close the line."""
    def line_ended(self, code: int | None, reason: str) -> None:
        """Whoever carries the frames carries no more; `code`: of the close frame, if any."""
    def advance_clock(self, by: float) -> None:
        """Advances a virtual clock, of its session too."""

@final
class Origins:
    """Which web pages may use a server: `allowed` are origins besides its own, `public` is its
    public host and port, `is_local` whether it is reached over loopback only."""

    def __new__(cls, allowed: list[str], public: str | None, is_local: bool) -> Origins: ...
    def refusal(self, host: str | None, origin: str | None) -> str | None:
        """Why a request with these headers is refused; `None`: it is not."""

@final
class CallServer:
    """Paths and ports, and the calls that come to them."""

    def __new__(cls, hub: Hub, max_calls: int | None) -> CallServer: ...
    @property
    def id(self) -> int:
        """The number that the hub knows it by."""
    def dispatch_to(self, hub: Hub, dispatcher: Callable[[Any], None], listeners: object) -> None:
        """Has `hub` dispatch its messages to `dispatcher`, through `dispatcher.run`."""
    def add_route(
        self,
        path: str,
        carrier: str,
        options: CallOptions,
        wire: _Wire,
        upgrades: tuple[str, str] | None,
        origins: Origins | None,
        webrtc: WebRTCCallOptions | None,
    ) -> int:
        """Adds a route; its number. `options` is a `stapes.calls.CallOptions`, `wire` as for a
        `Call`; `upgrades` is `(secret, public URL)` where they are checked, `origins` those of the
        pages that may come. `webrtc` is a `stapes.calls.WebRTCCallOptions` where pages may offer
        calls."""
    def serve_files(self, files: list[tuple[str, str, bytes]], origins: Origins) -> None:
        """Gives browsers files: by path, their type and content. Once."""
    def listen(
        self,
        host: str,
        port: int,
        options: ListenOptions,
        *,
        stream_route: int | None = None,
        tls: tuple[bytes, bytes] | None = None,
    ) -> int:
        """Listens for WebSockets on all routes, or for streams on one. Returns the port.
        `options` is a `stapes.calls.ListenOptions`; `tls` is `(certificate chain, key)` as PEM."""
    def stop(self) -> None:
        """Takes no new call."""
    def take(self, token: int) -> Call | None:
        """The call of an `IncomingCall`; `None` where it is gone."""
    @property
    def standing(self) -> int:
        """How many calls stand."""
    def hang_up(self) -> None:
        """Hangs up all calls."""
