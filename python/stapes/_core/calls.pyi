"""Who may call. `stapes.calls.security` is the face of what is here."""

from typing import Final, final

from typing_extensions import Buffer

__all__ = [
    "MAX_AGE",
    "TOKEN_LIFETIME",
    "CallTokens",
    "validate_plivo",
    "validate_signalwire",
    "validate_telnyx",
    "validate_twilio",
    "validate_vonage",
]

MAX_AGE: Final[float]
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
