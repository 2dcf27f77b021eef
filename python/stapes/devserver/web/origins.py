"""Which web pages may use the server.

Any page that a browser shows can send requests to this machine, and open WebSockets. So the pages
of this machine are let in, and those of the server itself, and others by name. A page elsewhere can
have its own name point to this machine, too: the name that a request has for the server counts as
well.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from stapes.devserver.session.errors import ProtocolError

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

    from stapes.devserver.options import Options

LOCAL_ORIGINS = r"https?://(localhost|[\w.-]+\.localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?"
"""The origins of pages of this machine, as a regular expression."""

_SHOWN = 200


def refuse_strange_page(connection: HTTPConnection, options: Options) -> None:
    """Refuse a request that a strange page makes.

    Raises:
        ProtocolError: it does; says how to let it in.
    """
    host, origin = connection.headers.get("host", ""), connection.headers.get("origin")
    server = connection.scope.get("server")
    only_here = server is not None and _is_local(server[0] or "")
    if (origin is not None or only_here) and not _is_own_name(_name(host), options):
        raise ProtocolError(
            f"This server does not answer to the name {host[:_SHOWN]!r}: call it by its address or "
            "as localhost, or allow the name with --allow-host or Options(hosts=...).",
            "host_not_allowed",
        )
    if origin is None or origin in options.origins or "*" in options.origins:
        return
    if not _is_local(_name(_authority(origin))) and _authority(origin) != host:
        raise ProtocolError(
            f"Pages of {origin[:_SHOWN]!r} may not use this server: serve yours from localhost, or "
            "allow it with --allow-origin or Options(origins=...).",
            "origin_not_allowed",
        )


def _authority(url: str) -> str:
    """Return host and port of a URL; nothing where there are none."""
    try:
        return urlsplit(url).netloc
    except ValueError:
        return ""


def _name(authority: str) -> str:
    """The host without its port."""
    try:
        return urlsplit(f"//{authority}").hostname or ""
    except ValueError:
        return authority


def _is_own_name(name: str, options: Options) -> bool:
    return not name or _is_local(name) or _is_address(name) or name in options.hosts


def _is_local(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    return _is_address(name) and ip_address(name).is_loopback


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
