"""The URLs to which carriers stream the sound of calls."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlencode, urlsplit, urlunsplit

from stapes._core import shown_url

if TYPE_CHECKING:
    from collections.abc import Mapping


def checked_stream_url(url: str, *, may_have_query: bool) -> SplitResult:
    """Give the parts of a URL that a carrier can stream to.

    Raises:
        ValueError: it is no `wss://` URL (`ws://` on loopback), or has what the carrier refuses.
    """
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError(f"url is {shown_url(url)!r}: encode what is not printable ASCII (%20)")
    parts = urlsplit(url)
    if parts.scheme not in ("wss", "ws") or not parts.hostname:
        raise ValueError(f"url is {shown_url(url)!r}: give wss:// and the public host and path")
    if parts.scheme == "ws" and not is_loopback(parts.hostname):
        raise ValueError(
            f"url is {shown_url(url)!r}: carriers stream over wss:// only; ws:// is for tests on "
            "this machine"
        )
    if parts.fragment:
        raise ValueError(f"url is {shown_url(url)!r}: a fragment (#) is not sent; leave it out")
    if parts.query and not may_have_query:
        raise ValueError(
            f"url is {shown_url(url)!r}: the carrier allows no query in it; give what it says as "
            "parameters="
        )
    return parts


def path_of(parts: SplitResult) -> str:
    """The path that a server sees if no proxy changes it."""
    return parts.path or "/"


def with_query(parts: SplitResult, parameters: Mapping[str, str]) -> str:
    """Give the URL with parameters added to its query."""
    query = "&".join(part for part in (parts.query, urlencode(parameters)) if part)
    return urlunsplit(parts._replace(query=query))


def is_loopback(host: str) -> bool:
    """Whether a host, by address or name, is this machine alone."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
