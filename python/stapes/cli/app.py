"""The verbs of the command line. What they do is imported when they run, so that help is quick."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from stapes.cli.failing import fail, named
from stapes.cli.serve.command import serve

_RUDE = "Simulate failures"
app = typer.Typer(
    help="Realtime voice sessions: serve your agent, talk to it, develop against one.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class TransportName(StrEnum):
    """How a session reaches its model."""

    WEBSOCKET = "websocket"
    WEBRTC = "webrtc"


class MindKind(StrEnum):
    """What a development server thinks with."""

    LISTENING = "listening"
    WRITTEN = "written"
    SCRIPTED = "scripted"


class DialectKind(StrEnum):
    """What a development server speaks."""

    GA = "ga"
    BETA = "beta"
    AZURE = "azure"
    QWEN = "qwen"
    XAI = "xai"


class VoiceKind(StrEnum):
    """What a development server speaks with."""

    NATURAL = "natural"
    ESPEAK = "espeak"
    TONES = "tones"


class ApproveKind(StrEnum):
    """Who decides on tools that need approval."""

    ASK = "ask"
    ALL = "all"
    NONE = "none"


def _say_version(asked: bool) -> None:
    if asked:
        from stapes import __version__

        typer.echo(f"stapes {__version__}")
        raise typer.Exit


@app.callback()
def stapes(
    version: Annotated[
        bool,
        typer.Option("--version", help="Say the version.", is_eager=True, callback=_say_version),
    ] = False,
) -> None:
    """Realtime voice sessions: serve your agent, talk to it, develop against one."""


app.command()(serve)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Directory for the recording and the picture.")] = Path(
        "out/demo"
    ),
    examples: Annotated[
        Path | None,
        typer.Option(help="Directory with an agent.py and a questions.toml of your own."),
    ] = None,
    transport: Annotated[
        TransportName, typer.Option(help="How the session reaches the server.")
    ] = TransportName.WEBSOCKET,
    dialect: Annotated[
        DialectKind,
        typer.Option(help="What the server speaks; the session has the profile of its provider."),
    ] = DialectKind.GA,
    quick: Annotated[bool, typer.Option("--quick", help="Only the first three turns.")] = False,
) -> None:
    """Hold a spoken conversation on this machine: no key, no network, about a minute.

    A caller, an agent and a development server that listens and speaks. It leaves a stereo
    recording, a picture and a transcript, and fails if anything did not happen as it should.
    """
    from stapes.cli.demo.demo import DemoError, run_demo

    try:
        passed = run_demo(
            out, examples, transport=transport.value, dialect=dialect.value, quick=quick
        )
    except DemoError as error:
        fail(str(error))
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    if not passed:
        raise typer.Exit(1)


@app.command()
def talk(
    agent: Annotated[
        str | None,
        typer.Argument(
            metavar="AGENT.py", help="The file with your agent: AGENT.py or AGENT.py:name."
        ),
    ] = None,
    question: Annotated[
        list[Path] | None,
        typer.Option(
            "--in", help="Speak this WAV file instead of using a microphone (repeatable)."
        ),
    ] = None,
    answer: Annotated[
        Path | None, typer.Option("--out", help="Write what the agent says into this WAV file.")
    ] = None,
    record: Annotated[
        Path | None, typer.Option(help="Directory for a recording, a picture and a transcript.")
    ] = None,
    dev: Annotated[
        bool,
        typer.Option("--dev", help="Use a development server, also where OPENAI_API_KEY is set."),
    ] = False,
    url: Annotated[str | None, typer.Option(help="WebSocket URL of the server to call.")] = None,
    model: Annotated[str | None, typer.Option(help="The model to ask for.")] = None,
    headphones: Annotated[
        bool,
        typer.Option(
            "--headphones",
            help="Keep the microphone open while the agent speaks, so that you can interrupt it. "
            "Beside a loudspeaker it would hear itself.",
        ),
    ] = False,
    approve: Annotated[
        ApproveKind, typer.Option(help="Who decides on tools that need approval.")
    ] = ApproveKind.ASK,
    microphone: Annotated[
        str | None, typer.Option(help="Number or part of the name of the input device.")
    ] = None,
    loudspeaker: Annotated[
        str | None, typer.Option(help="Number or part of the name of the output device.")
    ] = None,
    patience: Annotated[
        float, typer.Option(help="With --in: seconds to wait for each answer.", min=0.1)
    ] = 30.0,
) -> None:
    """Talk to your own agent, with microphone and loudspeaker or with WAV files.

    Without OPENAI_API_KEY, or with --dev, a development server on this machine answers.
    """
    from stapes.cli.talk import TalkError, TalkOptions, run_talk

    options = TalkOptions(
        questions=tuple(question or ()),
        answer=answer,
        record=record,
        dev=dev,
        url=url,
        model=model,
        headphones=headphones,
        approve=approve.value,
        microphone=microphone,
        loudspeaker=loudspeaker,
        patience_s=patience,
    )
    try:
        run_talk(named(agent, "talk"), options)
    except TalkError as error:
        fail(str(error))


@app.command("dev-server")
def dev_server(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="The port; 0 for any free one.", min=0, max=65535)
    ] = 8765,
    mind: Annotated[
        MindKind | None,
        typer.Option(
            help="What answers: listening understands speech, written understands only what is "
            "written. Without it the better one that is installed; with --script the scripted one."
        ),
    ] = None,
    script: Annotated[
        Path | None,
        typer.Option(
            help="YAML file of the scripted mind: turns, a list of mappings of when, after, say, "
            "call and times; hears; otherwise. The page 'Use the development server' of the "
            "documentation has an example."
        ),
    ] = None,
    voice: Annotated[VoiceKind, typer.Option(help="What it speaks with.")] = VoiceKind.NATURAL,
    dialect: Annotated[
        DialectKind,
        typer.Option(
            help="What is spoken over WebSocket: see the page 'Use the development server' of "
            "the documentation."
        ),
    ] = DialectKind.GA,
    pace: Annotated[
        float, typer.Option(help="How many times faster than it plays audio is sent.", min=0.1)
    ] = 4.0,
    allow_origin: Annotated[
        list[str] | None,
        typer.Option(
            help="Let in web pages of this origin, besides those of this machine (repeatable; * "
            "for all)."
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(help="Answer to this name, besides localhost and addresses (repeatable)."),
    ] = None,
    session_seconds: Annotated[
        float | None,
        typer.Option(
            help="End each session after so long, as the provider does after an hour; expires_at "
            "says when.",
            rich_help_panel=_RUDE,
        ),
    ] = None,
    drop: Annotated[
        list[str] | None,
        typer.Option(
            metavar="POINT[:WAY[:N]]",
            help="Drop a connection at a point of a turn, the N-th time it is reached (N+: every "
            "time from then on), such as first_delta:reset, deltas:1012:2 or "
            "function_call:stall=3 (repeatable). --drop help lists the points and the ways.",
            rich_help_panel=_RUDE,
        ),
    ] = None,
    refuse: Annotated[
        int, typer.Option(help="Refuse the next so many connections.", rich_help_panel=_RUDE)
    ] = 0,
    refuse_with: Annotated[
        str,
        typer.Option(metavar="STATUS|reset", help="How they are refused.", rich_help_panel=_RUDE),
    ] = "503",
    retry_after: Annotated[
        float | None,
        typer.Option(help="Seconds that a refusal asks the client to wait.", rich_help_panel=_RUDE),
    ] = None,
    slow: Annotated[
        float,
        typer.Option(
            metavar="MILLISECONDS", help="Wait before each message.", rich_help_panel=_RUDE
        ),
    ] = 0.0,
) -> None:
    """Run a development server: the realtime protocol on this machine, for any client, any key.

    It can simulate failures, to see whether a client survives them: see the page 'Use the
    development server' of the documentation.
    """
    from stapes.cli.dev_server import (
        ServerSetupError,
        best_mind,
        best_voice,
        drop_help,
        make_mind,
        make_rudeness,
        run_server,
    )

    def ready(url: str) -> None:
        page = url.replace("ws", "http", 1).removesuffix("v1/realtime")
        mind_is = f"{mind_name} mind"
        if (capacity := getattr(thinks, "capacity", None)) is not None:
            mind_is += f", which hears {capacity} calls that speak at once"
        typer.echo(f"Listening on {url} ({mind_is}). Stop with Ctrl-C.")
        if dialect is DialectKind.GA and find_spec("aiortc") is not None:
            typer.echo(f"Talk to it with a browser: {page}")
        elif dialect is not DialectKind.GA:
            typer.echo(f"It speaks the dialect {dialect.value}.")
        if note is not None:
            typer.echo(note)
        if rudeness.acts:
            typer.echo("Simulated failures:")
        for act in rudeness.acts:
            typer.echo(f"  {act}")

    if drop and "help" in drop:
        typer.echo(drop_help())
        return

    def trouble(what: str) -> None:
        typer.echo(f"{datetime.now():%H:%M:%S}  {what}")

    try:
        rudeness = make_rudeness(
            session_seconds=session_seconds,
            drop=drop or (),
            refuse=refuse,
            refuse_with=refuse_with,
            retry_after=retry_after,
            slow_ms=slow,
        )
        if mind is None and script is None:
            mind_name, thinks, speaks, note = best_mind(voice.value)
        else:
            mind_name, note = (mind or MindKind.SCRIPTED).value, None
            # The voice first: a mind that listens has a process, which nobody would end.
            speaks = best_voice(voice.value)
            thinks = make_mind(mind_name, script)
        run_server(
            thinks,
            speaks,
            host=host,
            port=port,
            dialect=dialect.value,
            pace=pace,
            origins=allow_origin or (),
            hosts=allow_host or (),
            rudeness=rudeness,
            on_ready=ready,
            on_trouble=trouble,
        )
    except ServerSetupError as error:
        fail(str(error))


@app.command()
def devices() -> None:
    """List microphones and loudspeakers."""
    from stapes.cli.call.device import SoundDeviceError
    from stapes.cli.call.sound_card import describe_devices, load_sounddevice

    try:
        typer.echo(describe_devices(load_sounddevice()))
    except SoundDeviceError as error:
        fail(str(error))
