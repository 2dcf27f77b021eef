"""A call to an agent, in a test: a development server, a session, and a caller who speaks to it."""

from __future__ import annotations

import asyncio
import secrets
import time
from contextlib import AsyncExitStack, nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

from stapes.devserver import DevServer, Options, Rudeness
from stapes.playback import PlaybackTracker
from stapes.session import RealtimeSession
from stapes.testing.agent_turn import AgentTurn
from stapes.testing.ear import Ear
from stapes.testing.gate import held_reader
from stapes.testing.lasting_mind import LastingMind
from stapes.testing.settling import settle
from stapes.testing.user_speech import RATE, is_sound, speech
from stapes.testing.witness import Witness
from stapes.testing.written_mind import default_mind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path
    from types import TracebackType

    from agents.realtime import RealtimeAgent

    from stapes.audio import Recording
    from stapes.devserver import ConversationView, Mind, ServedCall, Voice
    from stapes.events import SessionEvent

__all__ = ["AgentCall", "CallFailedError"]

_Event = TypeVar("_Event")
_CALL_HEADER = "x-stapes-call"
_SILENCE_MS = 200
_MOST_SILENCE_MS = 10_000
_LOOK_S = 0.01


class CallFailedError(AssertionError):
    """A turn did not come to its end; the message says how far it came."""

    __module__ = "stapes.testing"


class AgentCall:
    """A call to an agent, over a development server in this event loop.

        async with AgentCall(agent) as call:
            turn = await call.say("What is the weather in Paris?")
            turn.expect_tool("weather", city="Paris")
            assert "sunny" in turn.heard

    Answers come, and are heard, as fast as they can be made: no test waits for sound to play.

    Attributes:
        session: the session, with all that it can do.
        server: the development server: `call.server.arm("first_delta", "reset")`.

    Args:
        agent: who is called.
        mind: what answers in place of a model: a `ScriptedMind`, or anything that is a `Mind`. By
            default the rules of the listening mind, which read the agent's tools and handoffs. A
            script goes on where it was when the session connects again.
        voice: what the model speaks with; by default tones, which take no time.
        server: what the server does wrong; or a server that runs already, for several calls.
        server_options: of the server. By default it sends answers at once.
        patience: seconds that a turn may take.
        options: of the session, such as `context`, `config` or `output_guardrails`.

    Raises:
        ValueError: options that contradict each other, or a transport of your own.
    """

    def __init__(
        self,
        agent: RealtimeAgent[Any],
        *,
        mind: Mind | None = None,
        voice: Voice | None = None,
        server: Rudeness | DevServer | None = None,
        server_options: Options | None = None,
        patience: float = 10.0,
        **options: Any,
    ) -> None:
        if isinstance(server, DevServer):
            if not (mind is None and voice is None and server_options is None):
                raise ValueError(
                    "mind, voice and server_options are of a server of the call's own: give them "
                    "to the DevServer"
                )
            self.server = server
        else:
            lasting = LastingMind(mind or default_mind())
            self.server = DevServer(lasting, voice, server_options, rudeness=server)
        self._owns_server = not isinstance(server, DevServer)
        if not isinstance(transport := options.get("transport", "websocket"), str):
            raise ValueError(
                f"transport={transport!r}: an AgentCall connects to its own server, whatever the "
                'URL of a transport; say "websocket" or "webrtc", or make a RealtimeSession'
            )
        tracker = None
        if "playback" not in options and transport != "webrtc":
            options["playback"] = tracker = PlaybackTracker()
        options.setdefault("api_key", "test")
        self.session: RealtimeSession[Any] = RealtimeSession(agent, **options)
        self._ear = Ear(tracker)
        self._witness = Witness(self.session, self._ear, self._sample_bytes)
        self._patience = patience
        self._id = secrets.token_hex(8)
        self._stack = AsyncExitStack()
        self._is_webrtc = transport == "webrtc"

    # Its life

    async def __aenter__(self) -> AgentCall:
        """Call the agent; the session is connected then."""
        try:
            if self._owns_server:
                await self._stack.enter_async_context(self.server)
            self._stack.push_async_callback(self._hang_up)
            url = self.server.calls_url if self._is_webrtc else self.server.url
            await self.session.connect(url=url, headers={_CALL_HEADER: self._id})
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Hang up.

        Raises:
            CallFailedError: a turn has failed that nobody awaited, and the block has not.
        """
        await self.close()
        unnoticed = [problem for turn in self.turns if (problem := turn.unnoticed()) is not None]
        if unnoticed and error is None:
            raise unnoticed[0]

    async def close(self) -> None:
        """Hang up."""
        await self._stack.aclose()

    def __repr__(self) -> str:
        return f"<AgentCall to {self.session.initial_agent.name}, {len(self.turns)} turns>"

    # What a caller does

    def say(
        self,
        what: str | Path | Recording | Any,
        *,
        voice: bool | Voice = False,
        barge_in_at: str | None = None,
    ) -> AgentTurn:
        """Say something. Awaited, the turn is over: the agent waits for the user again.

        Not awaited, the turn is under way; the next `say` waits for its end, or interrupts it.

        Args:
            what: a text, which is written to the model; or sound: a WAV file (a path, or a text
                that ends with `.wav`), a `stapes.audio.Recording`, which is spoken in real time, or
                PCM16 mono at 24,000 Hz, as bytes or an array.
            voice: speak the text: with the best voice that is installed, or with this one.
            barge_in_at: speak when the answer under way has been heard to the end of this word (or
                of these words). What is written interrupts as well.

        Raises:
            ValueError: there is no answer to interrupt at a word, or somebody else plays: over
                WebRTC, or with `playback=`.
        """
        __tracebackhide__ = True
        before = self.turns[-1] if self.turns else None
        near = None
        if barge_in_at is not None:
            if before is None or before.done:
                raise ValueError(
                    f"barge_in_at={barge_in_at!r}: there is no answer under way. Do not await the "
                    'turn that is interrupted: story = call.say("Tell me a story"), then await '
                    "call.say(..., barge_in_at=...)"
                )
            if not self._ear.is_playing:
                raise ValueError(
                    "barge_in_at needs the call's own playback: leave out playback= and WebRTC"
                )
            near = self._ear.stop_at(
                barge_in_at,
                lambda response_id: self._witness.is_of(response_id, before),
                # A server that sends answers at once has sent all of it before it hears anything.
                waits_for_end=self.server.options.pace is None,
            )
        said = "" if is_sound(what) else str(what)
        turn = AgentTurn(said, user_is_heard=not said)
        self.turns.append(turn)
        turn.task = asyncio.create_task(
            self._patiently(turn, lambda: self._take(turn, what, voice, before, barge_in_at, near))
        )
        return turn

    async def approve(self, *, always: bool = False) -> AgentTurn:
        """Allow all waiting calls of the newest turn that has any, and hear what comes of it.

        Raises:
            AssertionError: none waits.
        """
        __tracebackhide__ = True
        return await self._decide(lambda ask: self.session.approve(ask, always=always))

    async def reject(self, message: str | None = None) -> AgentTurn:
        """Refuse all waiting calls of the newest turn that has any, and hear what comes of it.

        Raises:
            AssertionError: none waits.
        """
        __tracebackhide__ = True
        return await self._decide(lambda ask: self.session.reject(ask, message=message))

    # What is known of it

    @property
    def served(self) -> ServedCall:
        """The call as the server has it, over its last connection."""
        return [
            served for served in self.server.calls if served.headers.get(_CALL_HEADER) == self._id
        ][-1]

    @property
    def conversation(self) -> ConversationView:
        """What the server knows of the conversation, over its last connection."""
        return self.served.conversation

    @property
    def turns(self) -> list[AgentTurn]:
        """All turns so far."""
        return self._witness.turns

    @property
    def events(self) -> list[SessionEvent]:
        """What the session said, but for audio and raw events, in order."""
        return self._witness.events

    def seen(self, kind: type[_Event]) -> list[_Event]:
        """Return the events of a class, in order."""
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def story(self) -> str:
        """What happened, a line each."""
        told = [f"call to {self.session.initial_agent.name}", *map(str, self.turns)]
        if (why := self._witness.lost_why) is not None:
            told.append(f"  lost: {why}")
        return "\n".join(told)

    # How it comes about

    async def _take(
        self,
        turn: AgentTurn,
        what: Any,
        voice: bool | Voice,
        before: AgentTurn | None,
        word: str | None,
        near: asyncio.Event | None,
    ) -> None:
        __tracebackhide__ = True
        sound = None
        if voice or is_sound(what):
            sound = await speech(what, voice)
        if before is not None and before.task is not None:
            waiting = [before.task]
            if near is not None:
                waiting.append(asyncio.create_task(_set(near)))
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if near is not None and not near.is_set():
                waiting[-1].cancel()
                raise CallFailedError(
                    f"nobody could barge in: the answer never came to {word!r}{before.story()}"
                )
        with held_reader(self.session) if near is not None else nullcontext():
            if near is not None and before is not None:
                # Nothing more of the answer comes meanwhile: what was heard is a share of it.
                await settle(self.session, patience=self._patience)
                self._ear.reach()
                if sound is None:
                    self.session.interrupt()
                    self._witness.forget(before)
            self._witness.current = turn
            self._witness.begun.clear()
            if sound is None:
                turn.ended_at = time.perf_counter()
                self.session.send_message(what)
        if sound is not None:
            await self._speak(turn, sound)
        await self._over(turn, begins=sound is not None)

    async def _speak(self, turn: AgentTurn, sound: Any) -> None:
        __tracebackhide__ = True
        from stapes.audio import Recording

        session, detects = self.session, self._detects_turns
        self._witness.speech_stopped.clear()
        if isinstance(sound, Recording):
            await session.stream_audio(sound, commit=not detects)
        else:
            await session.send_audio(sound, sample_rate=RATE, commit=not detects)
        if not detects:
            turn.ended_at = time.perf_counter()
            session.request_response()
            return
        silence = bytes(RATE * 2 * _SILENCE_MS // 1000)
        for _ in range(_MOST_SILENCE_MS // _SILENCE_MS):
            await session.send_audio(silence, sample_rate=RATE)
            async for _ in _looks(_LOOK_S * 5):
                if (
                    self._witness.speech_stopped.is_set()
                    or self._witness.begun.is_set()
                    or self._witness.lost
                ):
                    return
        raise CallFailedError(
            "the server has not noticed a turn of the user's: is there speech in the sound, and "
            "does the session's turn detection hear it?"
        )

    async def _over(self, turn: AgentTurn, *, begins: bool) -> None:
        """Wait until the agent waits for the user again."""
        __tracebackhide__ = True
        while begins and not self._witness.begun.is_set() and not self._witness.lost:
            await self._witness.move()
        while True:
            seen = len(self.events)
            await self._first(self.session.played())
            if self._is_gone(turn):
                break
            if self.session.status != "connected":
                await self._witness.move()
                continue
            await settle(self.session, patience=self._patience)
            if self._is_at_work(turn):
                await self._witness.move()
            elif len(self.events) == seen:
                break
        self._witness.note(turn)
        turn.agent = self.session.current_agent.name
        if (why := self._witness.lost_why) is not None:
            raise CallFailedError(f"the call did not survive: {why}{turn.story()}")

    def _is_gone(self, turn: AgentTurn) -> bool:
        """Whether nothing more can come of a turn."""
        return self._witness.lost is not None or (
            turn.interrupted and self._witness.current is not turn
        )

    def _is_at_work(self, turn: AgentTurn) -> bool:
        """Whether a tool of a turn runs, or a handoff is under way."""
        if any(use.output is None for use in turn.tools):
            return True
        return self.session.probe.task_count > len(turn.approvals)

    async def _first(self, waiting: Any) -> None:
        """Wait for something, but no longer than a turn can go on."""
        played = asyncio.ensure_future(_awaited(waiting))
        turn = self._witness.current
        try:
            while not played.done() and not (turn is not None and self._witness.lost):
                moved = asyncio.create_task(self._witness.move())
                await asyncio.wait([played, moved], return_when=asyncio.FIRST_COMPLETED)
                moved.cancel()
        finally:
            played.cancel()

    async def _patiently(self, turn: AgentTurn, work: Callable[[], Awaitable[None]]) -> None:
        __tracebackhide__ = True
        before = len(self.events)
        try:
            async with asyncio.timeout(self._patience):
                await work()
        except TimeoutError:
            self._witness.note(turn)
            kinds = dict.fromkeys(event.type for event in self.events[before:])
            raise CallFailedError(
                f"the turn was not over within {self._patience:g} s (patience=){turn.story()}\n"
                f"  events: {', '.join(kinds) or 'none'}"
            ) from None

    async def _decide(self, decision: Any) -> AgentTurn:
        __tracebackhide__ = True
        turn = next((turn for turn in reversed(self.turns) if turn.approvals), None)
        if turn is None:
            last = self.turns[-1].story() if self.turns else ""
            raise AssertionError(f"no call waits for an approval{last}")
        self._witness.current = turn
        asked, turn.approvals = turn.approvals, []
        for ask in asked:
            decision(ask)
        turn.task = asyncio.create_task(
            self._patiently(turn, lambda: self._over(turn, begins=False))
        )
        return await turn

    async def _hang_up(self) -> None:
        for turn in self.turns:
            if turn.task is not None and not turn.task.done():
                turn.task.cancel()
                await asyncio.wait([turn.task])
        await self.session.close()

    def _sample_bytes(self) -> int:
        """2 for PCM16, 1 where the wire has G.711 and the session does not resample."""
        output = self.conversation.session["audio"]["output"]["format"]["type"]
        resampled = self.session.options["output_sample_rate"] is not None
        return 2 if resampled or output == "audio/pcm" else 1

    @property
    def _detects_turns(self) -> bool:
        audio = self.conversation.session["audio"]
        return audio["input"]["turn_detection"] is not None


async def _set(event: asyncio.Event) -> None:
    await event.wait()


async def _awaited(waiting: Any) -> None:
    await waiting


async def _looks(seconds: float) -> AsyncIterator[None]:
    """Give a few chances to look, spread over some time."""
    for _ in range(5):
        yield
        await asyncio.sleep(seconds / 5)
