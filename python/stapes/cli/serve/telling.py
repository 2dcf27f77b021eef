"""What `stapes serve` says of itself when it begins."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stapes.calls import CallServer
    from stapes.cli.serve.model import Model
    from stapes.cli.serve.options import ServeOptions


def lines_about(
    agent: str, calls: CallServer, model: Model, options: ServeOptions
) -> Iterator[str]:
    """Say what is served where: the page first, then the rest in columns."""
    if options.page:
        yield f"Talk to {agent}: {_url('http', calls, options)}/"
    else:
        yield f"{agent} answers the phone"
    for phone in options.phones:
        yield _row(phone.carrier, f"{_url('ws', calls, options)}{phone.path} ({phone.checked})")
    for carrier, port in calls.ports.items():
        yield _row(carrier, f"{options.host}:{port} (a private port: anyone may call)")
    yield _row("model", model.name)
    if model.more is not None:
        yield _row("more", model.more)
    if options.page and not _has_microphones(options):
        yield _row("note", "browsers give a page the microphone over https only: add --certificate")
    yield _row("stop", "Ctrl-C")


def _row(name: str, text: str) -> str:
    return f"  {name:<11} {text}"


def _url(scheme: str, calls: CallServer, options: ServeOptions) -> str:
    """Return the base of the URL by which the server is reached."""
    if options.public_url is not None:
        _, _, rest = options.public_url.partition("://")
        is_secure = options.public_url.startswith(("https:", "wss:"))
        return f"{scheme}{'s' if is_secure else ''}://{rest.rstrip('/')}"
    secure = "s" if options.certificate is not None else ""
    host = f"[{options.host}]" if ":" in options.host else options.host
    if ipaddress.ip_address(options.host).is_unspecified:
        # It is reached by any name of this machine; of these, browsers trust this one.
        host = "localhost"
    return f"{scheme}{secure}://{host}:{calls.port}"


def _has_microphones(options: ServeOptions) -> bool:
    """Whether browsers give the page the microphone: over TLS, or on this machine."""
    if options.certificate is not None or ipaddress.ip_address(options.host).is_loopback:
        return True
    return options.public_url is not None and options.public_url.startswith(("https:", "wss:"))
