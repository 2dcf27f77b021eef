"""`streamdouble`, a Twilio Media Streams simulator of somebody else's, calls an agent.

The model is the development server; the agent is behind the listener, and behind an ASGI app. All
of it takes as long as the call does.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from starlette.websockets import WebSocket  # noqa: TC002 - Starlette reads annotations
from streamdouble import api
from streamdouble.scenario import parse
from streamdouble.session import SessionConfig
from tests.calls.test_asgi_calls import app
from tests.calls.test_twilio_calls import answered, until, url_of

from stapes import RealtimeAgent, RealtimeSession
from stapes.audio import write_wav
from stapes.calls import Call, CallEnded, CallOptions, Dtmf, TwilioCall
from stapes.devserver import DevServer, Options, ScriptedMind, ToneVoice, Turn
from stapes.devserver.resampling import resample

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from stapes.items import HistoryItem

pytestmark = pytest.mark.real_time

GREETING = "Good morning, this is the front desk, and I have a great deal to say about our rooms."
CONFIG = {
    "audio": {
        "input": {"turn_detection": {"type": "server_vad", "silence_duration_ms": 200}},
    }
}
PATIENCE = SessionConfig(response_timeout_s=5.0, quiet_period_s=0.3)


class FrontDesk:
    """Greets each caller, and remembers what came of it."""

    def __init__(self, model: DevServer) -> None:
        self._model = model
        self.events: list[Any] = []
        self.ended: CallEnded | None = None
        self.history: tuple[HistoryItem, ...] = ()
        self.was_played: bool | None = None

    async def __call__(self, call: Call) -> None:
        call.on(object, self.events.append)
        agent = RealtimeAgent(name="desk", instructions="Answer the phone.")
        session = RealtimeSession(agent, call=call, api_key="test", config=CONFIG)
        await session.connect(url=self._model.url)
        session.send_message("Greet the caller.")
        try:
            self.ended = await call.ended()
        finally:
            self.history = tuple(session.history)
            await session.close()


@asynccontextmanager
async def front_desk(door: str, mind: ScriptedMind) -> AsyncIterator[tuple[str, FrontDesk]]:
    """A desk behind a door, and the URL of it."""
    options = CallOptions(resume_timeout=0.0)
    async with DevServer(mind, ToneVoice(), Options(pace=8.0)) as model:
        desk = FrontDesk(model)
        if door == "listener":
            async with answered(desk, options=options) as server:
                yield url_of(server), desk
            return

        async def route(websocket: WebSocket) -> None:
            async with TwilioCall(websocket, options=options) as call:
                await desk(call)

        async with app(route) as url:
            yield url, desk


@pytest.fixture(params=["listener", "asgi"])
def door(request: pytest.FixtureRequest) -> str:
    """Either way in."""
    return str(request.param)


@pytest.fixture
async def question(tmp_path: Path) -> Path:
    """What a caller says, 8 kHz."""
    spoken = await ToneVoice().speak("And the breakfast?", voice="marin", speed=1.5)
    samples = np.frombuffer(spoken.pcm, "<i2").astype(np.float32)
    narrow = np.clip(np.rint(resample(samples, 24_000, 8_000)), -32_768, 32_767)
    path = tmp_path / "question.wav"
    write_wav(path, narrow.astype("<i2").tobytes(), 8_000)
    return path


def scripted(*steps: Any) -> Any:
    """A scenario of the simulator's."""
    return parse({"steps": list(steps)})


async def test_a_call_keeps_to_the_protocol_and_is_heard_to_its_end(door: str) -> None:
    mind = ScriptedMind([Turn(say="Good morning.")])
    async with front_desk(door, mind) as (url, desk):
        report = await api.run_scenario(
            url, scripted({"wait_for": "mark"}, {"wait_for": "quiet"}), config=PATIENCE
        )
        await until(lambda: desk.ended)
    assert report.violations == []
    assert report.exit_code == 0
    assert report.result.unknown_events == []
    assert report.spoke
    assert report.result.marks_received == report.result.marks_echoed
    assert desk.ended is not None
    assert desk.ended.by == "caller"


async def interrupted(door: str, question: Path, after: float, *expected: Any) -> tuple[Any, Any]:
    """A caller who asks for breakfast amid the greeting: the simulator's result, and the desk."""
    mind = ScriptedMind(
        [Turn(when="breakfast", say="At eight."), Turn(say=GREETING, times=1)],
        hears=["And the breakfast?"],
    )
    async with front_desk(door, mind) as (url, desk):
        report = await api.run_scenario(
            url,
            scripted(
                {"wait_for": "audio"},
                {"wait": after},
                {"say": str(question)},
                {"wait_for": {"event": "clear", "timeout": 3}},
                *expected,
                {"wait": 0.5},
                {"wait_for": "quiet"},
            ),
            config=PATIENCE,
        )
        await until(lambda: desk.ended)
    return report.result, desk


async def test_a_caller_who_interrupts_clears_the_phone_and_gets_an_answer(
    door: str, question: Path
) -> None:
    expected = ({"expect": "clear"}, {"expect": "no_violations"})
    result, desk = await interrupted(door, question, 0.6, *expected)
    assert result.failed_expectations == []
    assert result.clears_received == 1
    first, cleared = result.first_audio_at, result.events_of("clear_received")[0].at
    assert first is not None
    played_ms = (cleared - first) * 1000
    greeting = next(item for item in desk.history if item.role == "assistant")
    heard_ms = greeting.content[0].audio_end_ms
    assert abs(heard_ms - played_ms) < 80
    spoken_after = [e for e in result.events_of("media_received") if e.at > cleared]
    assert spoken_after, "the question was not answered"


async def test_marks_that_the_simulator_drops_on_a_clear_do_not_matter(
    door: str, question: Path
) -> None:
    """Twilio returns the marks whose sound a clear drops; `streamdouble` never does.

    Were they waited for, what is played later would never count as heard.
    """
    result, desk = await interrupted(door, question, 0.3)
    (cleared,) = result.events_of("clear_received")
    dropped = cleared.detail["dropped_marks"]
    assert dropped, "no mark was on its way"
    assert not {*dropped} & {*result.marks_echoed}
    answer = [item for item in desk.history if item.role == "assistant"][-1]
    assert answer.status == "completed"
    assert answer.content[0].audio_end_ms is None


async def test_keys_are_told_and_a_caller_who_is_gone_ends_the_call(door: str) -> None:
    async with front_desk(door, ScriptedMind([Turn(say="Good morning.")])) as (url, desk):
        await api.run_scenario(
            url, scripted({"wait_for": "audio"}, {"dtmf": "7#"}, "hangup"), config=PATIENCE
        )
        await until(lambda: desk.ended)
    keys = [event.digit for event in desk.events if isinstance(event, Dtmf)]
    assert keys == ["7", "#"]
