"""The phone routes of `stapes serve`: `CARRIER=PATH`, and the secrets that check who calls."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from stapes.cli.serve.errors import ServeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SIGNED: Final = {
    "twilio": "TWILIO_AUTH_TOKEN",
    "plivo": "PLIVO_AUTH_TOKEN",
    "signalwire": "SIGNALWIRE_AUTH_BEARER_TOKEN",
}
"""Carriers that sign the upgrade, and the variables with the secrets."""
TOKENS: Final = "STAPES_CALL_TOKENS_SECRET"
"""The variable with the secret of `CallTokens`, which the webhook's app has as well."""
_URL_SIGNED: Final = frozenset({"twilio", "plivo"})


@dataclass(frozen=True, slots=True)
class Phone:
    """A route of a carrier.

    Attributes:
        checked: how it is told who calls, in words.
        checks: the options of `CallServer.route` for that.
    """

    carrier: str
    path: str
    checked: str
    checks: Mapping[str, Any] = field(repr=False)


def read_phones(texts: Iterable[str], public_url: str | None) -> list[Phone]:
    """Read `CARRIER=PATH`s, with their secrets from the environment.

    Raises:
        ServeError: one is wrong, or cannot be checked; says what it may be.
    """
    phones = [_read(text, public_url) for text in texts]
    paths = [phone.path for phone in phones]
    if twice := next((path for path in paths if paths.count(path) > 1), None):
        raise ServeError(f"--phone: two carriers have the path {twice}: give each one of its own")
    return phones


def _read(text: str, public_url: str | None) -> Phone:
    from stapes._core.calls import CARRIERS

    known = [name for name in CARRIERS if name not in ("audiosocket", "browser")]
    carrier, _, path = text.partition("=")
    if carrier == "audiosocket":
        raise ServeError("--phone audiosocket: it has a port of its own: use --audiosocket PORT")
    if carrier not in known or not path.startswith("/"):
        raise ServeError(
            f"--phone {text}: give CARRIER=PATH, such as twilio=/twilio; the carriers are "
            f"{', '.join(known)}"
        )
    variable = SIGNED.get(carrier)
    secret = os.environ.get(variable) if variable is not None else None
    if variable is not None and secret:
        if carrier in _URL_SIGNED and public_url is None:
            raise ServeError(
                f"--phone {text}: the carrier signs the URL that it has (${variable} is set): give "
                "--public-url, such as wss://voice.example.com"
            )
        return Phone(carrier, path, "signatures are checked", {"auth_token": secret})
    if shared := os.environ.get(TOKENS):
        from stapes.calls import CallTokens

        try:
            tokens = CallTokens(shared)
        except ValueError as error:
            raise ServeError(f"${TOKENS}: {error}") from None
        return Phone(carrier, path, "one-time tokens are checked", {"tokens": tokens})
    missing = TOKENS if variable is None else f"{variable} or {TOKENS}"
    return Phone(carrier, path, f"anyone may call: set {missing} to check who does", {})
