"""What `stapes serve` is told to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from stapes.cli.serve.phones import Phone


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """How to serve; the command line states the defaults. Times are in seconds.

    Attributes:
        host: the address to listen on.
        port: of the page, of browsers and of phones' WebSockets; 0 for any free one.
        page: browsers may call, and get a page for that.
        public: strangers may call, also where nothing checks who does.
        public_url: how the server is reached from outside, where a proxy is in front of it.
        origins: of web pages elsewhere that may call, besides the server's own.
        transport: how pages call: `auto` is over WebRTC, and over a WebSocket where that cannot be
            had.
        public_addresses: those under which pages reach this machine over UDP, where its own are
            translated.
        phones: the carriers that bring calls, and the paths to which.
        audiosocket: the port of Asterisk's AudioSocket; `None`: there is none.
        url: of the model's WebSocket; `None`: the provider's own.
        model: the model to ask for; `None`: the provider's default.
        dev: a development server answers, whatever keys there are.
        speaks_first: who begins.
        approve: what becomes of tools that need approval: nobody is there to be asked.
        max_calls: calls at once; further ones are refused.
        max_call: the longest call.
        drain: how long calls may go on after SIGTERM or Ctrl-C.
        certificate: the PEM file with the certificate chain.
        key: the PEM file with its private key.
        ends_with_input: it stops when its standard input ends, as it does with the process that
            started it.
    """

    host: str
    port: int
    page: bool
    public: bool
    public_url: str | None
    origins: Sequence[str]
    transport: Literal["auto", "websocket"]
    public_addresses: Sequence[str]
    phones: Sequence[Phone]
    audiosocket: int | None
    url: str | None
    model: str | None
    dev: bool
    speaks_first: Literal["agent", "user"]
    approve: Literal["all", "none"]
    max_calls: int
    max_call: float
    drain: float
    certificate: Path | None
    key: Path | None
    ends_with_input: bool
