"""Talking to a user's own agent."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from rich.console import Console
from rich.text import Text

from stapes.cli.call.approver import Approver, Standing
from stapes.cli.call.asking import AskOnTerminal
from stapes.cli.call.call import Call, CallEndedError, Endpoint, hold_call
from stapes.cli.call.caller import Caller, NoAnswerError
from stapes.cli.call.device import SoundDevice, SoundDeviceError
from stapes.cli.call.recording import Recording
from stapes.cli.call.speech_file import SpeechFileError, read_speech
from stapes.cli.call.virtual_device import VirtualDevice
from stapes.cli.dev_server import ServerSetupError, make_server
from stapes.cli.failing import why_unreachable
from stapes.cli.load_agent import AgentFileError, load_agent, split_place
from stapes.cli.offline import KEY, best_offline
from stapes.cli.show.keepsakes import keep
from stapes.cli.show.palette import QUIET
from stapes.cli.show.story import Story
from stapes.cli.show.terminal import Terminal
from stapes.cli.show.timeline import TimelineError
from stapes.errors import StapesError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_MICROPHONE_RATE = 16_000
_DEV_KEY = "none-needed"
_TALKING_MOST_S = 3_600.0


class TalkError(Exception):
    """The conversation could not be held, or not to its end. The message says why."""


@dataclass(frozen=True, slots=True)
class TalkOptions:
    """How to talk.

    Attributes:
        questions: WAV files to speak in place of a microphone.
        answer: where to write what the agent says.
        record: where to leave a recording, a picture and a transcript.
        dev: whether a development server answers, whatever keys there are.
        url: what to call; `None` for a development server or the provider's own.
        headphones: whether the agent can be interrupted, since the microphone does not hear it.
        approve: who decides on tools that need approval.
        microphone: the input device.
        loudspeaker: the output device.
        patience_s: how long an answer to a WAV file may take.
    """

    questions: Sequence[Path] = ()
    answer: Path | None = None
    record: Path | None = None
    dev: bool = False
    url: str | None = None
    model: str | None = None
    headphones: bool = False
    approve: Literal["ask", "all", "none"] = "ask"
    microphone: str | None = None
    loudspeaker: str | None = None
    patience_s: float = 30.0


def run_talk(place: str, options: TalkOptions) -> None:
    """Talk to the agent in a file until Ctrl-C, or until all questions are answered.

    Raises:
        TalkError: it could not be done.
    """
    if options.dev and options.url is not None:
        raise TalkError("--dev starts a server of its own and --url names one: give one of the two")
    try:
        questions = [read_speech(path, _MICROPHONE_RATE) for path in options.questions]
        device = _device(options)
        agent = load_agent(place)
    except (AgentFileError, SoundDeviceError, SpeechFileError) as error:
        raise TalkError(str(error)) from error
    recording = None
    if options.answer is not None or options.record is not None:
        recording = Recording(
            device.microphone_rate, device.loudspeaker_rate, longest_s=_TALKING_MOST_S
        )
    terminal = Terminal(Console(highlight=False))
    held: list[Call] = []
    try:
        asyncio.run(_talk(agent, options, device, questions, terminal, recording, held))
    except KeyboardInterrupt:
        pass
    except (
        CallEndedError,
        NoAnswerError,
        ServerSetupError,
        SoundDeviceError,
        StapesError,
    ) as error:
        raise TalkError(why_unreachable(error)) from error
    finally:
        if recording is not None and held:
            _keep(options, recording, held[0], f"A call to {split_place(place)[0].name}")


async def _talk(
    agent: Any,
    options: TalkOptions,
    device: SoundDevice,
    questions: Sequence[bytes],
    terminal: Terminal,
    recording: Recording | None,
    held: list[Call],
) -> None:
    async def plot(call: Call) -> None:
        held.append(call)
        if not isinstance(device, VirtualDevice):
            await asyncio.Event().wait()
            return
        caller = Caller(call, device, patience_s=options.patience_s)
        for question in questions:
            await caller.say(question)
            await caller.hear_out(call.line.now)

    async with AsyncExitStack() as stack:
        endpoint, more = await _endpoint(options, stack)
        for line in (f"{agent.name}; model: {endpoint.name}", more):
            if line is not None:
                terminal.console.print(Text(line, QUIET))
        if not options.questions:
            hint = "speak; Ctrl-C hangs up"
            if not options.headphones:
                hint += "; with --headphones you can interrupt"
            terminal.console.print(Text(hint, QUIET))
        terminal.console.print()
        stack.enter_context(terminal)
        await hold_call(
            agent,
            endpoint,
            device,
            _approver(options, terminal),
            terminal,
            plot,
            recording=recording,
            half_duplex=not (options.headphones or options.questions),
        )


async def _endpoint(options: TalkOptions, stack: AsyncExitStack) -> tuple[Endpoint, str | None]:
    """Return what to call, and what to do for a better model, if there is.

    A development server is started where there is nothing else.
    """
    key = os.environ.get(KEY)
    if options.url is not None:
        return Endpoint(_shown(options.url), options.url, key or _DEV_KEY, options.model), None
    if key and not options.dev:
        return Endpoint("the provider", None, key, options.model), None
    best = best_offline()
    server = make_server(best.mind, best.voice)
    await stack.enter_async_context(server)
    return Endpoint(best.name, server.url, _DEV_KEY, options.model), best.more


def _device(options: TalkOptions) -> SoundDevice:
    if options.questions:
        return VirtualDevice(_MICROPHONE_RATE)
    from stapes.cli.call.sound_card import SoundCard

    return SoundCard(_number(options.microphone), _number(options.loudspeaker))


def _number(device: str | None) -> int | str | None:
    return int(device) if device is not None and device.isdecimal() else device


def _approver(options: TalkOptions, terminal: Terminal) -> Approver:
    match options.approve:
        case "all":
            return Standing(approve=True, by="--approve all")
        case "none":
            return Standing(approve=False, by="--approve none")
        case "ask":
            return AskOnTerminal(terminal)


def _shown(url: str) -> str:
    """A URL without what may be secret in it: credentials and query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "the server of --url"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _keep(options: TalkOptions, recording: Recording, call: Call, title: str) -> None:
    try:
        if options.answer is not None:
            options.answer.parent.mkdir(parents=True, exist_ok=True)
            recording.write_agent(options.answer)
        if options.record is not None:
            options.record.mkdir(parents=True, exist_ok=True)
            journal = call.journal
            story = Story(title, journal.entries, recording.stereo(), journal.cuts)
            keep(story, recording, options.record, {"timings": journal.timings})
    except (OSError, TimelineError) as error:
        raise TalkError(str(error)) from error
