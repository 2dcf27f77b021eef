"""One call with a development server that drops the connection, and what came of it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agents import GuardrailFunctionOutput, OutputGuardrail, function_tool

from stapes import (
    AgentHandoff,
    AgentStart,
    Audio,
    ConnectionChanged,
    Error,
    GuardrailTripped,
    RealtimeAgent,
    RealtimeSession,
    ReconnectPolicy,
    ToolApprovalRequested,
    WebSocketTransport,
)
from stapes.devserver import Call, DevServer, Options, ScriptedMind, ToneVoice, Turn
from tests.whole import differs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["POINTS", "WAYS", "play"]

WAYS = ("reset", "fin", "half_open", "1001", "1011", "1012", "expired", "stall=10")

PATIENCE = 25.0
"""Seconds until a cell has to be as it should be."""

LONG = " ".join(f"word{n}" for n in range(60))
IMAGE = "data:image/png;base64," + "A" * 120_000


def mind() -> ScriptedMind:
    return ScriptedMind(
        [
            Turn(when="weather", call=Call("weather", {"city": "Paris, the one in France"})),
            Turn(after="weather", say="It is {output} there."),
            Turn(when="book", call=Call("book", {"city": "Paris"})),
            Turn(after="book", say="It is {output} now."),
            Turn(when="other desk", call=Call("transfer_to_Other", {})),
            Turn(after="transfer_to_Other", say="You speak to the other desk."),
            Turn(when="secret", say="This is forbidden and nobody may hear it.", times=1),
            Turn(when="story", say=LONG),
        ],
        hears=["hello there from the caller"] * 4,
        otherwise="Good day to you.",
    )


@function_tool
async def weather(city: str) -> str:
    await asyncio.sleep(0.05)
    return f"sunny in {city[:5]}"


@function_tool(needs_approval=True)
async def book(city: str) -> str:
    await asyncio.sleep(0.3)
    return f"booked for {city}"


async def no_forbidden_words(context: Any, agent: Any, output: str) -> GuardrailFunctionOutput:
    return GuardrailFunctionOutput({}, tripwire_triggered="forbidden" in output)


@dataclass
class Scene:
    """A session in a call with its server."""

    server: DevServer
    session: RealtimeSession[Any]
    events: list[Any]

    def seen(self, kind: type) -> list[Any]:
        return [event for event in self.events if type(event) is kind]

    async def until(self, true: Callable[[], object], seconds: float = PATIENCE) -> None:
        async with asyncio.timeout(seconds):
            while not true():
                await asyncio.sleep(0.005)

    async def lost_or_stalled(self) -> None:
        """The connection has been lost, or will not be: a server that stalls goes on."""

        def is_lost() -> bool:
            return any(it.status == "reconnecting" for it in self.seen(ConnectionChanged))

        with suppress(TimeoutError):
            await self.until(is_lost, 11)

    async def says(self, text: str) -> None:
        await self.session.send_message(text)

    async def speaks(self, *, streamed: bool = False) -> None:
        tone = await _speech()
        if streamed:
            await self.session.stream_audio(tone + bytes(48_000), interval=0.05)
        else:
            await self.session.send_audio(tone)
            for _ in range(12):
                await self.session.send_audio(bytes(4_800))
                await asyncio.sleep(0.02)


async def _speech() -> bytes:
    """A second of sound that turn detection takes for speech: PCM at 24 kHz."""
    pcm = (await ToneVoice().speak("hello there you all", voice="caller", speed=1.0)).pcm
    return pcm[:48_000]


# What is done at each point. The drop is armed before.


async def tells(scene: Scene, text: str) -> None:
    await scene.says(text)


async def hears_and_interrupts(scene: Scene) -> None:
    await scene.says("Tell me a story.")
    await scene.until(lambda: scene.seen(Audio))
    await asyncio.sleep(0.3)
    await scene.session.interrupt()


async def approves(scene: Scene, *, at_once: bool) -> None:
    await scene.says("Please book it.")
    await scene.until(lambda: scene.seen(ToolApprovalRequested))
    if not at_once:
        await scene.lost_or_stalled()
    await scene.session.approve(scene.seen(ToolApprovalRequested)[-1].approval)


async def trips(scene: Scene) -> None:
    await scene.says("Tell me a secret.")
    await scene.until(lambda: scene.seen(GuardrailTripped))


async def forgets(scene: Scene) -> None:
    await scene.session.update_history(lambda items: items[2:])
    await scene.says("And now?")


async def shows(scene: Scene) -> None:
    await scene.session.add_image(IMAGE)


async def hands_off(scene: Scene) -> None:
    await scene.says("To the other desk, please.")
    await scene.until(lambda: scene.seen(AgentHandoff))


async def closes(scene: Scene) -> None:
    await scene.says("Tell me a story.")
    await scene.until(lambda: scene.seen(AgentStart))
    await scene.session.close()


async def rolls_over(scene: Scene) -> None:
    await scene.until(lambda: scene.session.stats().rollovers > 0)


POINTS: dict[str, tuple[str, Callable[[Scene], Awaitable[None]]]] = {
    "while connecting": ("connecting", lambda scene: tells(scene, "hello")),
    "after session.created": ("session_created", lambda scene: tells(scene, "hello")),
    "in the caller's sound": ("user_audio", lambda scene: scene.speaks()),
    "between speech_stopped and the answer": ("speech_stopped", lambda scene: scene.speaks()),
    "at the first delta": ("first_delta", lambda scene: tells(scene, "Tell me a story.")),
    "amid the deltas": ("deltas::5", lambda scene: tells(scene, "Tell me a story.")),
    "amid a call's arguments": ("function_arguments", lambda scene: tells(scene, "The weather?")),
    "a tool at work": ("function_call", lambda scene: tells(scene, "The weather?")),
    "a tool's output sent": ("function_output", lambda scene: tells(scene, "The weather?")),
    "an approval waits": ("function_call", lambda scene: approves(scene, at_once=False)),
    "an approved tool at work": ("response_done", lambda scene: approves(scene, at_once=True)),
    "amid a handoff": ("session_update", hands_off),
    "after a handoff": ("response_create::2", hands_off),
    "a guardrail tripped": ("truncate", trips),
    "a truncation sent": ("truncate", hears_and_interrupts),
    "a rewriting half confirmed": ("item_delete::2", forgets),
    "amid stream_audio": ("user_audio::8", lambda scene: scene.speaks(streamed=True)),
    "amid an image": ("mid_message", shows),
    "during a rollover": ("session_created", rolls_over),
    "during close": ("deltas", closes),
}
"""Where the drop happens on the wire, and what is done to get there."""


async def play(point: str, way: str) -> str | None:
    """Plays one cell; gives what is wrong afterwards, or nothing."""
    where, act = POINTS[point]
    policy = ReconnectPolicy(base_delay=0.05)
    if point == "during a rollover":
        policy = ReconnectPolicy(base_delay=0.05, max_session_duration=2.5, rollover_margin=2)
    async with DevServer(mind(), None, Options(pace=None)) as server:
        transport = WebSocketTransport(
            url=server.url,
            ping_interval=0.4,
            ping_timeout=0.4,
            connect_timeout=2,
            first_event_timeout=2,
        )
        other = RealtimeAgent(name="Other", instructions="Be other.")
        agent = RealtimeAgent(
            name="Desk", instructions="Answer.", tools=[weather, book], handoffs=[other]
        )
        session = RealtimeSession(
            agent,
            api_key="sk-test-0123456789",
            transport=transport,
            reconnect=policy,
            output_guardrails=[OutputGuardrail(no_forbidden_words)],
        )
        scene = Scene(server, session, [])
        session.on("*", scene.events.append)
        session.on("audio", lambda _: None)
        try:
            return await asyncio.wait_for(_play(scene, where, way, act, point), 2 * PATIENCE)
        except TimeoutError:
            return f"it did not come to the point, or to an end: {scene.events[-6:]}"
        finally:
            await session.close()


async def _play(
    scene: Scene, where: str, way: str, act: Callable[[Scene], Awaitable[None]], point: str
) -> str | None:
    session = scene.session
    await session.connect()
    await scene.says("hello")
    await scene.until(lambda: len(session.history) >= 2 and _answered(scene))
    name, _, rest = where.partition(":")
    given, _, nth = rest.partition(":")
    armed = scene.server.arm(":".join([name, given or way, *([nth] if nth else [])]).rstrip(":"))
    if point in ("while connecting", "after session.created"):
        # The connection is lost, and the attempt after it comes to the point.
        lost = scene.server.arm("item_create", "reset")
        await act(scene)
        await lost.wait()
    else:
        await act(scene)
    if point == "during close":
        return None if session.status == "disconnected" else f"it is {session.status}"
    await asyncio.wait_for(armed.wait(), PATIENCE)
    if point != "during a rollover":
        await asyncio.sleep(0.05)
    await scene.until(lambda: session.status == "connected")
    with suppress(TimeoutError):
        # Where the turn goes on by itself, it is to end: a message in between stands elsewhere in
        # the server's order, with and without a loss.
        await scene.until(lambda: _is_answered(scene), 3)
    before = len(scene.seen(AgentStart))
    await scene.says("And goodbye.")
    await scene.until(lambda: len(scene.seen(AgentStart)) > before)
    wrong: str | None = "nothing was judged"
    try:
        async with asyncio.timeout(PATIENCE):
            while (wrong := await _judged(scene)) is not None:
                await asyncio.sleep(0.05)
    except TimeoutError:
        pass
    return wrong


def _is_answered(scene: Scene) -> bool:
    if not scene.session.history:
        return False
    last = scene.session.history[-1]
    return last.type == "message" and last.role == "assistant" and last.status == "completed"


def _answered(scene: Scene) -> bool:
    return len(scene.seen(AgentStart)) > 0 and scene.session.history[-1].type == "message"


async def _judged(scene: Scene) -> str | None:
    """What differs between the server's conversation and the session's history."""
    if scene.session.status != "connected":
        return f"it is {scene.session.status}"
    wrong = differs(scene.server.calls[-1].conversation, scene.session.history)
    if wrong is not None:
        return wrong
    failures = [event for event in scene.seen(Error) if not _expected(event)]
    return f"errors: {failures}" if failures else None


def _expected(error: Error) -> bool:
    # A request that met the server's own answer is asked again, and a cancellation may meet the end
    # of the answer: both happen without a loss as well.
    known = ("maximum duration", "already has an active response", "no active response found")
    return any(words in str(error.error) for words in known)
