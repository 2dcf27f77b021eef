"""The caller's end. `stapes.calls` is the face of what is here."""

from collections.abc import Callable
from typing import Any, Final, TypeAlias, final

from numpy import float32, int16
from numpy.typing import NDArray
from typing_extensions import Buffer

from stapes._core import Hub
from stapes._core.audio import Recording
from stapes.calls.options import CallOptions, ListenOptions

__all__ = [
    "CARRIERS",
    "MAX_AGE",
    "MESSAGES",
    "TOKEN_LIFETIME",
    "Call",
    "CallServer",
    "CallTokens",
    "validate_plivo",
    "validate_signalwire",
    "validate_telnyx",
    "validate_twilio",
    "validate_vonage",
]

CARRIERS: Final[tuple[str, ...]]
MAX_AGE: Final[float]
MESSAGES: Final[dict[str, dict[str, str]]]
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
    @property
    def id(self) -> int: ...
    def dispatch_to(
        self, hub: Hub, dispatcher: Callable[[Any], None], listeners: object
    ) -> None: ...
    def about(self) -> _About | None: ...
    @property
    def carrier(self) -> str: ...
    @property
    def is_over(self) -> bool: ...
    @property
    def can(self) -> tuple[bool, bool, bool]: ...
    def stats(self) -> tuple[int, int, int, int, int]: ...
    def play(self, audio: _Sound, sample_rate: int | None) -> None: ...
    def clear(self) -> None: ...
    def when_played(self, token: int) -> None: ...
    def hang_up(self, after_playback: bool) -> None: ...
    def send_dtmf(self, digit: str) -> bool: ...
    def pause_input(self, paused: bool) -> None: ...
    def pause_output(self, paused: bool) -> bool: ...
    def receive_text(self, frame: str) -> None: ...
    def receive_bytes(self, frame: bytes) -> None: ...
    def take_outgoing(self) -> list[str | bytes | None]: ...
    def line_ended(self, code: int | None, reason: str) -> None: ...
    def advance_clock(self, by: float) -> None: ...

@final
class CallServer:
    """Paths and ports, and the calls that come to them."""

    def __new__(cls, hub: Hub) -> CallServer: ...
    @property
    def id(self) -> int: ...
    def dispatch_to(
        self, hub: Hub, dispatcher: Callable[[Any], None], listeners: object
    ) -> None: ...
    def add_route(
        self,
        path: str,
        carrier: str,
        options: CallOptions,
        wire: _Wire,
        signed: tuple[str, str] | None,
    ) -> int: ...
    def listen(
        self,
        host: str,
        port: int,
        options: ListenOptions,
        *,
        stream_route: int | None = None,
        tls: tuple[bytes, bytes] | None = None,
    ) -> int: ...
    def stop(self) -> None: ...
    def take(self, token: int) -> Call | None: ...
    @property
    def standing(self) -> int: ...
    def hang_up(self) -> None: ...
