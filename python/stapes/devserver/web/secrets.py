"""Ephemeral keys: given out for a short time, each with the settings of the sessions it opens."""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_PREFIX = "ek_"
_MOST = 10_000
"""Keys that are remembered; the oldest are forgotten first."""


@dataclass(frozen=True, slots=True)
class _Secret:
    expires_at: float
    settings: dict[str, Any]


class ClientSecrets:
    """The ephemeral keys of one server. It keeps their digests, not the keys."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._secrets: dict[bytes, _Secret] = {}

    def issue(self, seconds: int, settings: dict[str, Any]) -> tuple[str, int]:
        """Return a new key, and the time at which it expires."""
        key = _PREFIX + secrets.token_hex(16)
        expires_at = int(self._clock()) + seconds
        while len(self._secrets) >= _MOST:
            del self._secrets[next(iter(self._secrets))]
        self._secrets[_digest(key)] = _Secret(expires_at, settings)
        return key, expires_at

    def settings_of(self, key: str) -> dict[str, Any] | None:
        """Return the settings of a key that was given out and is still good."""
        secret = self._secrets.get(_digest(key))
        return None if secret is None or self._over(secret) else secret.settings

    def has_expired(self, key: str) -> bool:
        """Whether a key was given out here and is no longer good."""
        secret = self._secrets.get(_digest(key))
        return secret is not None and self._over(secret)

    def _over(self, secret: _Secret) -> bool:
        return self._clock() >= secret.expires_at


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
