"""Which web pages may call."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from stapes._core import calls as _core
from stapes._core import shown_url

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["core_origins"]


def core_origins(
    allowed: Iterable[str], public_url: str | None, *, is_local: bool
) -> _core.Origins:
    """The core's check of origins.

    Args:
        allowed: origins that may call besides the server's own; `*`: all.
        public_url: how browsers reach the server.
        is_local: it is reached over loopback only.

    Raises:
        TypeError: `allowed` is one text.
        ValueError: an origin is none, or `public_url` has no host.
    """
    if isinstance(allowed, str):
        raise TypeError(f"origins is {allowed!r}: give a list, such as [{allowed!r}]")
    origins = [_origin(origin) for origin in allowed]
    public = None
    if public_url is not None:
        public = _authority(public_url)
        if not public:
            raise ValueError(
                f"public_url is {shown_url(public_url)!r}: give scheme and host, such as "
                "'wss://voice.example.com'"
            )
    return _core.Origins(origins, public, is_local)


def _origin(origin: str) -> str:
    if origin in ("*", "null"):
        return origin
    parts = urlsplit(origin)
    path = parts.path.rstrip("/")
    if parts.scheme not in ("http", "https") or not parts.netloc or path or parts.query:
        raise ValueError(
            f"origins has {shown_url(origin)!r}: an origin is scheme, host and port alone, such as "
            "'https://app.example.com'"
        )
    return f"{parts.scheme}://{_authority(origin)}"


def _authority(url: str) -> str:
    """Host and port; browsers leave out the port that a scheme has anyway."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    usual = ":443" if parts.scheme in ("https", "wss") else ":80"
    return host.removesuffix(usual)
