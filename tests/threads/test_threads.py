"""Several threads at once: each its own loop, and what all of them may use.

Without a GIL they run in parallel. With one they take turns, as often as can be.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from agents import function_tool

from stapes import AgentHandoff, AgentToolEnd, Error, RealtimeAgent
from stapes.audio import (
    OpusDecoder,
    OpusEncoder,
    Resampler,
    alaw_decode,
    alaw_encode,
    base64_decode,
    base64_encode,
    level,
    mulaw_decode,
    mulaw_encode,
)
from stapes.devserver import Call, ScriptedMind, Turn
from stapes.testing import AgentCall

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

THREADS = 6
PATIENCE = 60.0
RATE = 24_000
TONE = np.rint(8_000 * np.sin(np.arange(RATE // 10) * 0.1)).astype(np.int16)


@pytest.fixture(autouse=True)
def _turns_are_short() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)
    yield
    sys.setswitchinterval(before)


def in_threads(work: Callable[[int], Any], threads: int = THREADS) -> list[Any]:
    """What each of so many threads made, all begun at once; raises what one of them raised."""
    gate = threading.Barrier(threads)

    def begun(number: int) -> Any:
        gate.wait(PATIENCE)
        return work(number)

    with ThreadPoolExecutor(threads) as pool:
        return [done.result(PATIENCE) for done in [pool.submit(begun, n) for n in range(threads)]]


class Beside:
    """Threads that do something again and again until the block ends; raises what they raised."""

    def __init__(self, *works: Callable[[], object]) -> None:
        self._works = works
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor(len(works))
        self.rounds = 0

    def _repeat(self, work: Callable[[], object]) -> None:
        while not self._over.is_set():
            work()
            self.rounds += 1

    def __enter__(self) -> Beside:
        self._running = [self._pool.submit(self._repeat, work) for work in self._works]
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for running in self._running:
            running.result(PATIENCE)
        self._pool.shutdown()


@function_tool
def opening_hours(place: str) -> str:
    """When a place is open."""
    return f"The {place} is open from seven to nine."


MIND = ScriptedMind(
    [
        Turn(when="pool", call=Call("opening_hours", {"place": "pool"})),
        Turn(after="opening_hours", say="{output}"),
        Turn(when="bill", call=Call("transfer_to_Billing", {})),
        Turn(after="transfer_to_Billing", say="This is the billing desk. " * 5),
    ]
)


async def talk(number: int) -> dict[str, int]:
    """Holds a conversation in this thread's loop; other threads speak and read what was said."""
    billing: RealtimeAgent[Any] = RealtimeAgent(name="Billing", tools=[opening_hours])
    agent = RealtimeAgent(name="Front desk", tools=[opening_hours], handoffs=[billing])
    versions: list[Any] = [()]

    def look() -> None:
        history = versions[-1]
        assert [item.item_id for item in history] == [item.item_id for item in history]
        repr(history)
        time.sleep(0.001)

    async with asyncio.timeout(PATIENCE), AgentCall(agent, mind=MIND, patience=PATIENCE) as call:
        call.session.on("history_updated", lambda event: versions.append(event.history))

        def speak() -> None:
            call.session.send_audio(bytes(960), sample_rate=RATE)
            time.sleep(0.01)

        with Beside(look, speak, speak) as beside:
            turn = await call.say(f"When does the pool open, caller {number}?")
            turn.expect_tool("opening_hours", place="pool")
            assert "seven to nine" in turn.heard
            turn = await call.say("I have a question about my bill.")
            assert turn.agent == "Billing", call.story
        assert beside.rounds
        assert "billing desk" in turn.heard
        return {kind.type: len(call.seen(kind)) for kind in (AgentToolEnd, AgentHandoff, Error)}


def test_a_loop_in_each_thread_holds_its_own_conversation():
    for seen in in_threads(lambda number: asyncio.run(talk(number))):
        assert seen == {"agent_tool_end": 1, "agent_handoff": 1, "error": 0}


def test_one_session_is_spoken_to_from_many_threads_and_loses_no_sample():
    async def main() -> None:
        agent: RealtimeAgent[Any] = RealtimeAgent(name="Ear")
        async with asyncio.timeout(PATIENCE), AgentCall(agent, mind=ScriptedMind()) as call:
            session = call.session

            def speak(_: int) -> None:
                for _ in range(50):
                    session.send_audio(TONE, sample_rate=RATE)

            await asyncio.to_thread(in_threads, speak)
            await session.send_audio(b"", sample_rate=RATE, commit=True)
            await call.served.received.wait_for("input_audio_buffer.commit")
            appended = call.served.received.of("input_audio_buffer.append")
            sound = b"".join(base64_decode(event["audio"]) for event in appended)
            assert sound == THREADS * 50 * TONE.tobytes()

    asyncio.run(main())


def test_what_converts_sound_may_be_used_by_all_threads():
    sound = TONE.tobytes()

    def convert(_: int) -> list[Any]:
        made: list[Any] = []
        for _ in range(50):
            coded = mulaw_encode(sound)
            made += [coded, mulaw_decode(coded), alaw_decode(alaw_encode(sound))]
            made += [level(TONE), base64_decode(base64_encode(sound))]
        return made

    first, *others = in_threads(convert)
    assert all(other == first for other in others)


def test_coders_of_a_stream_serve_threads_one_after_the_other():
    encoder, decoder, resampler = OpusEncoder(RATE), OpusDecoder(RATE), Resampler(RATE, 8_000)
    frame = TONE[: RATE // 50]

    def code(_: int) -> tuple[int, int]:
        decoded = resampled = 0
        for _ in range(100):
            decoded += len(decoder.decode(encoder.encode(frame)))
            resampled += len(resampler.process(frame))
        return decoded, resampled

    decoded, resampled = map(sum, zip(*in_threads(code), strict=True))
    frames = THREADS * 100
    assert decoded == frames * len(frame) * 2
    assert resampled + len(resampler.flush()) == frames * len(frame) * 2 // 3
