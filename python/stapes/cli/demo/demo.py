"""The demo: it holds the conversation, shows it, keeps it, and judges it."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass, is_dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Console
from rich.text import Text

from stapes.cli.call.approver import Standing
from stapes.cli.call.call import Call, CallEndedError, Endpoint, hold_call
from stapes.cli.call.caller import Caller, NoAnswerError
from stapes.cli.call.entries import AgentSpeech
from stapes.cli.call.recording import Recording
from stapes.cli.call.virtual_device import VirtualDevice
from stapes.cli.demo.expectations import Outcome, judge
from stapes.cli.demo.profiles import profile_of
from stapes.cli.demo.scenes import (
    AGENT,
    RATE,
    Scene,
    ScriptMissingError,
    find_script,
    read_scenes,
)
from stapes.cli.dev_server import ServerSetupError, make_mind, make_server, make_voice
from stapes.cli.load_agent import AgentFileError, load_agent
from stapes.cli.show.keepsakes import KEEPSAKES, keep
from stapes.cli.show.palette import ALERT, APPROVED, QUIET
from stapes.cli.show.story import Story
from stapes.cli.show.terminal import Terminal
from stapes.devserver import Options
from stapes.errors import StapesError
from stapes.items import MessageItem, OutputAudio

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from agents.realtime import RealtimeAgent

    from stapes.devserver import Mind, Voice
    from stapes.devserver.options import DialectName
    from stapes.items import HistoryItem

_TITLE = "A call to the Harbour Hotel, as it was heard"
_LOUDSPEAKER_RATE = 24_000
_PATIENCE_S = 20.0
_DECIDES_S = 1.2
_SLACK_MS = {"websocket": 40.0, "webrtc": 250.0}
"""How far apart the end of a cut answer may be in the history and in the caller's ear: two frames,
and over WebRTC, where the server knows what it has sent, what is on its way."""


class DemoError(Exception):
    """The demo could not be held. The message says why and what to do."""


@dataclass(slots=True)
class _Held:
    """What is left of a conversation."""

    call: Call | None
    began: list[float]
    history: Sequence[HistoryItem]
    failure: str | None


def run_demo(
    out: Path,
    examples: Path | None = None,
    *,
    transport: Literal["websocket", "webrtc"] = "websocket",
    dialect: DialectName = "ga",
    quick: bool = False,
) -> bool:
    """Hold the conversation and leave its files in `out`.

    `dialect` is what the server speaks; the session has the profile of the provider that does so.

    Returns:
        Whether everything happened as it should.

    Raises:
        DemoError: the conversation could not be held at all.
    """
    if dialect != "ga" and transport == "webrtc":
        raise DemoError(
            f"the development server speaks {dialect} over WebSocket alone: leave out --transport "
            "webrtc, or --dialect"
        )
    if find_spec("matplotlib") is None:
        raise DemoError("the picture needs matplotlib: pip install 'stapes[demo]'")
    try:
        folder = find_script(examples)
        scenes = read_scenes(folder, quick=quick)
        agent = load_agent(str(folder / AGENT))
        mind, voice = make_mind("listening"), make_voice("natural")
        out.mkdir(parents=True, exist_ok=True)
    except (ScriptMissingError, AgentFileError, ServerSetupError) as error:
        raise DemoError(str(error)) from error
    except OSError as error:
        raise DemoError(f"{out} cannot be written: {error.strerror or error}") from error
    console = Console(highlight=False)
    recording = Recording(RATE, _LOUDSPEAKER_RATE)
    terminal = Terminal(console)
    held = asyncio.run(_hold(agent, scenes, mind, voice, terminal, recording, transport, dialect))
    if held.call is None:
        raise DemoError(held.failure or "no call was made")
    journal = held.call.journal
    story = Story(_TITLE, journal.entries, recording.stereo(), journal.cuts)
    outcomes = _judge(scenes, held, slack_ms=_SLACK_MS[transport])
    extra = {
        "outcomes": [{"expected": o.text, "failure": o.failure} for o in outcomes],
        "timings": journal.timings,
        "history": [asdict(item) for item in held.history if is_dataclass(item)],
    }
    keep(story, recording, out, extra)
    _report(console, terminal, story, outcomes, out)
    return all(outcome.failure is None for outcome in outcomes)


async def _hold(
    agent: RealtimeAgent[Any],
    scenes: Sequence[Scene],
    mind: Mind,
    voice: Voice,
    terminal: Terminal,
    recording: Recording,
    transport: Literal["websocket", "webrtc"],
    dialect: DialectName,
) -> _Held:
    """Run server, session and caller in this process, until the last answer."""
    device = VirtualDevice(RATE, _LOUDSPEAKER_RATE)
    held = _Held(None, [], (), None)

    async def plot(call: Call) -> None:
        held.call = call
        try:
            await _talk(Caller(call, device, patience_s=_PATIENCE_S), scenes, held.began)
        except NoAnswerError as error:
            held.failure = f"{scenes[len(held.began) - 1].file}: {error}"
        held.history = call.session.history

    async with make_server(mind, voice, Options(dialect=dialect)) as server:
        await _warm_up(mind, agent)
        url = server.calls_url if transport == "webrtc" else server.url
        _greet(terminal, url, agent.name, dialect)
        approver = Standing(approve=True, by="the demo", after_s=_DECIDES_S)
        endpoint = Endpoint(
            "the development server", url, api_key="none-needed", transport=transport
        )
        try:
            with terminal:
                await hold_call(
                    agent,
                    endpoint,
                    device,
                    approver,
                    terminal,
                    plot,
                    recording=recording,
                    provider=profile_of(dialect),
                )
        except (CallEndedError, StapesError) as error:
            held.failure = str(error)
    return held


async def _warm_up(mind: Mind, agent: RealtimeAgent[Any]) -> None:
    """Load the recogniser, with the agent's words: that is no part of an answer's time."""
    from stapes import RealtimeSession

    config = await RealtimeSession(agent).initial_session_config()
    silence = bytes(2 * _LOUDSPEAKER_RATE // 5)
    await mind.hear(
        silence, instructions=config.get("instructions", ""), tools=config.get("tools", ())
    )


async def _talk(caller: Caller, scenes: Sequence[Scene], began: list[float]) -> None:
    for index, scene in enumerate(scenes):
        # A recording ends in silence: a quick answer begins before that is over.
        said = await caller.say(scene.pcm)
        began.append(said)
        over = scenes[index + 1].over if index + 1 < len(scenes) else None
        if over is None:
            await caller.hear_out(said)
        else:
            await caller.hear_for(said, over)


def _judge(scenes: Sequence[Scene], held: _Held, *, slack_ms: float) -> list[Outcome]:
    assert held.call is not None
    entries = held.call.journal.entries
    outcomes = [Outcome("the conversation is held to its end", held.failure)]
    edges = [*held.began[1:], float("inf")]
    turns = []
    for index, scene in enumerate(scenes):
        if index >= len(held.began):
            outcomes.append(Outcome(f'"{scene.text}" is said', "the call did not get there"))
            continue
        start = held.began[index] if index else 0.0
        turns.append(
            (scene.expected, [entry for entry in entries if start <= entry.at < edges[index]])
        )
    outcomes += judge(turns)
    outcomes += [
        _remembered(entry, held.history, slack_ms)
        for entry in entries
        if isinstance(entry, AgentSpeech) and entry.cut == "interrupted"
    ]
    return outcomes


def _remembered(speech: AgentSpeech, history: Sequence[HistoryItem], slack_ms: float) -> Outcome:
    """Compare where the history of a cut answer ends with where its sound ended."""
    heard_ms = 1000 * (speech.end - speech.at)
    text = f"the history of the cut answer ends where its sound did, after {heard_ms / 1000:.2f} s"
    ends = [
        part.audio_end_ms
        for item in history
        if isinstance(item, MessageItem) and item.item_id == speech.item_id
        for part in item.content
        if isinstance(part, OutputAudio)
    ]
    match ends:
        case [int(end)] if abs(end - heard_ms) <= slack_ms:
            return Outcome(text, None)
        case [int(end)]:
            return Outcome(text, f"it ends after {end / 1000:.2f} s")
        case _:
            return Outcome(text, "the history does not say where it was cut")


def _greet(terminal: Terminal, url: str, agent: str, dialect: DialectName) -> None:
    console = terminal.console
    console.print(Text("stapes demo", "bold").append("  a call to an agent of yours", QUIET))
    console.print(Text(f"server  {url}", QUIET))
    console.print(Text("        hears and speaks on this machine: no key, no network", QUIET))
    if dialect != "ga":
        console.print(Text(f"        speaks the dialect {dialect}", QUIET))
    console.print(Text("caller  speaks from recordings, as fast as people do", QUIET))
    console.print(Text(f"agent   {agent}; what needs approval is approved by the demo", QUIET))
    console.print()


def _report(
    console: Console,
    terminal: Terminal,
    story: Story,
    outcomes: Sequence[Outcome],
    out: Path,
) -> None:
    console.print()
    for outcome in outcomes:
        if outcome.failure is None:
            console.print(Text(f" {terminal.glyphs.yes} ", APPROVED).append(outcome.text, QUIET))
        else:
            line = Text(f" {terminal.glyphs.no} {outcome.text}: ", ALERT).append(outcome.failure)
            console.print(line)
    console.print()
    console.print(Text(story.summary))
    for name, what in KEEPSAKES.items():
        console.print(Text(f"{out / name}").append(f"  {what}", QUIET), soft_wrap=True)
