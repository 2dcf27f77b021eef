"""The typed face of a session: mypy checks this file, nothing runs it.

`assert_type` says what is inferred; a line that is to be refused carries the code of the refusal,
and mypy complains of an ignore that ignores nothing.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, assert_never, assert_type

import numpy as np

from stapes import (
    AgentEnd,
    AgentHandoff,
    AgentStart,
    AgentToolEnd,
    AgentToolStart,
    Audio,
    AudioInterrupted,
    AudioStart,
    AudioStopped,
    CallPlaybackChanged,
    ConnectionChanged,
    DtmfReceived,
    Error,
    GuardrailTripped,
    HistoryAdded,
    HistoryUpdated,
    IdleTimeoutTriggered,
    Lagging,
    McpToolCallCompleted,
    McpToolsChanged,
    MediaChanged,
    PlaybackEnded,
    RealtimeAgent,
    RealtimeSession,
    ResponseDone,
    SessionRestored,
    ToolApprovalRequested,
    TranscriptDelta,
    TranscriptionFailed,
    TransportEvent,
)

if TYPE_CHECKING:
    from stapes import SessionEvent
    from stapes.audio import Recording


async def readers(session: RealtimeSession[None]) -> None:
    async for one in session.events(AgentEnd):
        assert_type(one, AgentEnd)
    async for two in session.events(Audio, AgentEnd):
        assert_type(two, Audio | AgentEnd)
    async for three in session.events(Audio, AgentEnd, Error):
        assert_type(three, Audio | AgentEnd | Error)
    async for four in session.events(Audio, AgentEnd, Error, TransportEvent):
        assert_type(four, Audio | AgentEnd | Error | TransportEvent)
    async for every in session.events():
        assert_type(every, "SessionEvent")
    async for same in session:
        assert_type(same, "SessionEvent")
    session.events(int)  # type: ignore[type-var]
    session.events("audio")  # type: ignore[call-overload]


async def exhaustive(session: RealtimeSession[None]) -> None:
    async for event in session.events():
        match event:
            case Audio() | AudioStart() | AudioStopped() | AudioInterrupted():
                pass
            case AgentStart() | AgentEnd() | AgentHandoff() | AgentToolStart() | AgentToolEnd():
                pass
            case ConnectionChanged() | SessionRestored() | ResponseDone() | ToolApprovalRequested():
                pass
            case TranscriptDelta() | TranscriptionFailed() | GuardrailTripped():
                pass
            case HistoryAdded() | HistoryUpdated() | McpToolsChanged() | McpToolCallCompleted():
                pass
            case IdleTimeoutTriggered() | DtmfReceived() | CallPlaybackChanged():
                pass
            case PlaybackEnded() | MediaChanged() | Lagging() | Error():
                pass
            case _:
                assert_never(event)


def callbacks(session: RealtimeSession[None], collected: list[SessionEvent]) -> None:
    def take_audio(event: Audio) -> None:
        pass

    async def take_audio_later(event: Audio) -> int:
        return len(event.data)

    def take_anything(event: object) -> None:
        pass

    assert_type(session.on("audio", take_audio), Callable[[Audio], None])
    session.on("audio", take_audio_later, concurrency=2)
    session.on("audio", take_anything)
    session.on("*", take_anything)
    session.on("*", collected.append)
    session.on("agent_end", lambda event: print(event.output))
    session.on("agent_end", take_audio)  # type: ignore[call-overload]
    session.on("agent_ended", take_anything)  # type: ignore[call-overload]
    session.on("agent_end", lambda event: print(event.outputs))  # type: ignore[call-overload]

    @session.on("error")
    def report(event: Error) -> None:
        print(event.error)

    assert_type(report, Callable[[Error], None])

    @session.on("tool_approval_requested", concurrency=4)
    async def decide(event: ToolApprovalRequested) -> None:
        await session.approve(event.approval)

    @session.on("audio")  # type: ignore[arg-type]
    def wrong(event: Error) -> None:
        pass

    session.off("audio", take_audio)


async def sound(session: RealtimeSession[None], pcm: bytes, recording: Recording) -> None:
    await session.send_audio(pcm)
    await session.send_audio(bytearray(pcm))
    await session.send_audio(memoryview(pcm))
    await session.send_audio(array("h", [1, 2]))
    await session.send_audio(np.zeros(480, np.int16), sample_rate=48_000)
    await session.stream_audio(recording)
    assert_type(await session.stream_audio(pcm), float)
    session.send_audio("talk")  # type: ignore[arg-type]
    session.send_audio([1, 2])  # type: ignore[arg-type]
    session.send_audio(None)  # type: ignore[arg-type]


def made(agent: RealtimeAgent[Any]) -> None:
    RealtimeSession(agent, _virtual_clock=True)  # type: ignore[call-arg]
