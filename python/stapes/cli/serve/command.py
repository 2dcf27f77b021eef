"""The verb `stapes serve`. What it does is imported when it runs, so that help is quick."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from enum import StrEnum
from pathlib import Path  # noqa: TC003  (typer reads it)
from typing import Annotated

import typer

from stapes.cli.failing import fail, named
from stapes.cli.serve.config_file import read_config

_WHO = "Who may call"
_LIMITS = "Limits"


class ApproveKind(StrEnum):
    """What becomes of tools that need approval where nobody can be asked."""

    ALL = "all"
    NONE = "none"


class TransportKind(StrEnum):
    """How pages may call."""

    AUTO = "auto"
    WEBSOCKET = "websocket"


class Speaker(StrEnum):
    """Who begins a conversation."""

    AGENT = "agent"
    USER = "user"


def serve(
    agent: Annotated[
        str | None,
        typer.Argument(
            metavar="AGENT.py", help="The file with your agent: AGENT.py or AGENT.py:name."
        ),
    ] = None,
    host: Annotated[
        str, typer.Option(help="The address to listen on; 0.0.0.0 for all.")
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(
            help="The port of the page and of all WebSockets; 0 for any free one.", min=0, max=65535
        ),
    ] = 8000,
    page: Annotated[
        bool, typer.Option(help="Let browsers call, and give them a page for that.")
    ] = True,
    public: Annotated[
        bool,
        typer.Option(
            help="Let strangers call: needed where others reach the host, unless each route checks "
            "who calls.",
            rich_help_panel=_WHO,
        ),
    ] = False,
    public_url: Annotated[
        str | None,
        typer.Option(
            help="How the server is reached from outside, such as wss://voice.example.com: where a "
            "proxy is in front of it, and where carriers sign.",
            rich_help_panel=_WHO,
        ),
    ] = None,
    origin: Annotated[
        list[str] | None,
        typer.Option(
            help="Let in pages of this origin, besides the server's own (repeatable).",
            rich_help_panel=_WHO,
        ),
    ] = None,
    transport: Annotated[
        TransportKind,
        typer.Option(
            help="How pages call: over WebRTC, and over a WebSocket where that cannot be had; or "
            "over a WebSocket alone."
        ),
    ] = TransportKind.AUTO,
    public_address: Annotated[
        list[str] | None,
        typer.Option(
            metavar="IP",
            help="The address under which pages reach this machine over UDP (WebRTC), where a "
            "router or a cloud translates its own (repeatable).",
        ),
    ] = None,
    phone: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CARRIER=PATH",
            help="Answer a carrier's calls, such as twilio=/twilio (repeatable). Secrets come from "
            "the environment: TWILIO_AUTH_TOKEN, PLIVO_AUTH_TOKEN, SIGNALWIRE_AUTH_BEARER_TOKEN, "
            "STAPES_CALL_TOKENS_SECRET.",
        ),
    ] = None,
    audiosocket: Annotated[
        int | None,
        typer.Option(
            metavar="PORT", help="Answer Asterisk's AudioSocket on this port.", min=0, max=65535
        ),
    ] = None,
    url: Annotated[str | None, typer.Option(help="WebSocket URL of the model.")] = None,
    model: Annotated[str | None, typer.Option(help="The model to ask for.")] = None,
    dev: Annotated[
        bool,
        typer.Option(help="Use a development server, also where OPENAI_API_KEY is set."),
    ] = False,
    speaks_first: Annotated[
        Speaker, typer.Option(help="Who begins the conversation.")
    ] = Speaker.AGENT,
    approve: Annotated[
        ApproveKind,
        typer.Option(help="What becomes of tools that need approval: nobody is there to be asked."),
    ] = ApproveKind.NONE,
    max_calls: Annotated[
        int,
        typer.Option(help="Calls at once; more are refused.", min=1, rich_help_panel=_LIMITS),
    ] = 100,
    max_call: Annotated[
        float,
        typer.Option(metavar="SECONDS", help="The longest call.", min=1.0, rich_help_panel=_LIMITS),
    ] = 3_600.0,
    drain: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            help="How long calls may go on after SIGTERM or Ctrl-C; the second one ends them.",
            min=0.0,
            rich_help_panel=_LIMITS,
        ),
    ] = 30.0,
    certificate: Annotated[
        Path | None, typer.Option(help="PEM file with the certificate chain: TLS is spoken.")
    ] = None,
    key: Annotated[
        Path | None, typer.Option(help="PEM file with the private key of the certificate.")
    ] = None,
    reload: Annotated[
        bool,
        typer.Option(
            help="Start again when the agent's file, or one beside it, changes: calls are dropped."
        ),
    ] = False,
    ends_with_input: Annotated[bool, typer.Option(hidden=True)] = False,
    config: Annotated[
        Path | None,
        typer.Option(
            help="TOML file with these options by their names; the command line wins.",
            is_eager=True,
            callback=read_config,
        ),
    ] = None,
) -> None:
    """Serve your agent to browsers, with a page to talk to it, and to phones.

    Without OPENAI_API_KEY, or with --dev, a model on this machine answers.
    """
    from stapes.cli.serve.errors import ServeError
    from stapes.cli.serve.options import ServeOptions

    place = named(agent, "serve")
    try:
        if reload:
            _serve_again(place, host, port, config)
            return
        if dev and url is not None:
            raise ServeError(
                "--dev starts a model of its own and --url names one: give one of the two"
            )
        from stapes.cli.serve.phones import read_phones
        from stapes.cli.serve.serving import run_serve

        options = ServeOptions(
            host=host,
            port=port,
            page=page,
            public=public,
            public_url=public_url,
            origins=tuple(origin or ()),
            transport=transport.value,
            public_addresses=tuple(public_address or ()),
            phones=read_phones(phone or (), public_url),
            audiosocket=audiosocket,
            url=url,
            model=model,
            dev=dev,
            speaks_first=speaks_first.value,
            approve=approve.value,
            max_calls=max_calls,
            max_call=max_call,
            drain=drain,
            certificate=certificate,
            key=key,
            ends_with_input=ends_with_input,
        )
        run_serve(place, options, typer.echo)
    except ServeError as error:
        fail(str(error))


def _serve_again(agent: str, host: str, port: int, config: Path | None) -> None:
    """Serve in a child that is replaced when the agent's file changes."""
    from stapes.cli.load_agent import split_place
    from stapes.cli.serve.reloading import Reloader, child_command, hold_port

    file, _ = split_place(agent)
    also = [] if config is None else [config]
    with nullcontext(port) if port else hold_port(host) as chosen:
        command = child_command(sys.argv[1:], chosen)
        Reloader(command, file.resolve().parent, also, typer.echo).run()
