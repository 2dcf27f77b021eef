"""How a command ends that cannot do what it was asked for."""

from __future__ import annotations

import os
from typing import Final, NoReturn

import typer

from stapes.errors import (
    AuthenticationError,
    CertificateError,
    ConnectError,
    ConnectTimeoutError,
    HandshakeError,
)

_PROXIES: Final = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
_ANSWERED: Final = (AuthenticationError, CertificateError, HandshakeError)
_FIRST_AGENT: Final = """\
name the file with your agent: stapes {verb} AGENT.py. The smallest one is

    from stapes import RealtimeAgent
    agent = RealtimeAgent(name="Guide", instructions="You help travellers.")
"""


def fail(message: str) -> NoReturn:
    """Say why, and end with exit code 1."""
    typer.echo(f"stapes: {message}", err=True)
    raise typer.Exit(1)


def named(agent: str | None, verb: str) -> str:
    """Return the place of the agent; without one, say what it is and end with exit code 1."""
    if agent is None:
        fail(_FIRST_AGENT.format(verb=verb).rstrip())
    return agent


def why_unreachable(error: BaseException) -> str:
    """Return an error's text; of a model that cannot be reached, with what else may help."""
    text = str(error)
    if not isinstance(error, ConnectError) or isinstance(error, _ANSWERED):
        return text
    if "proxy" in text or any(map(os.environ.get, _PROXIES)):
        return f"{text} (--dev needs no network)"
    if isinstance(error, ConnectTimeoutError) or "no address found" in text:
        text += "; where a network lets programs out by a proxy only, set HTTPS_PROXY"
    return f"{text} (--dev needs no network)"
