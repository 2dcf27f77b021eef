"""The typed face of calls, sound, providers and transcription: checked, and run by nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

from stapes import (
    RealtimeAgent,
    RealtimeSession,
    RealtimeTranscription,
    RealtimeTranslation,
    ReconnectPolicy,
    SessionConfig,
    SessionRestored,
    SessionStats,
    Transcript,
    TranscriptDelta,
    WebRTCTransport,
    WebSocketTransport,
    run,
)
from stapes.agents_sdk import StapesRealtimeModel
from stapes.audio import Recording, Resampler, mulaw_decode, mulaw_encode, read_wav
from stapes.calls import (
    Call,
    CallEnded,
    CallOptions,
    CallServer,
    CallSummary,
    CallTokens,
    Dtmf,
    PageEvents,
    twiml_connect,
)
from stapes.items import HistoryItem, items_from_dicts, items_to_dicts
from stapes.providers import Azure, Local, Provider, named
from stapes.web import WebFile, page_files

agent: RealtimeAgent[str] = RealtimeAgent(name="Desk", instructions="Be brief.")
tokens = CallTokens()
calls = CallServer(port=8080, max_calls=10)
calls.serve_files(page_files())


@calls.twilio("/phone", tokens=tokens, options=CallOptions(max_call=60, idle_timeout=10))
@calls.browser("/talk", tokens=tokens, events=PageEvents(transcripts=False))
async def answer(call: Call) -> None:
    """What users write for each call."""

    def pressed(key: Dtmf) -> None:
        assert_type(key.digit, str)

    call.on(Dtmf, pressed)
    call.off(Dtmf, pressed)
    session = RealtimeSession(agent, call=call, context="Ann", speaks_first="agent")
    assert_type(session, RealtimeSession[str])
    summary = CallSummary(call, session)
    async with session:
        assert_type(await call.ended(), CallEnded)
    assert_type(summary.tokens, int)
    assert_type(call.caller, str | None)


def answered() -> str:
    """What a webhook is answered with."""
    return twiml_connect("wss://calls.example.com/phone", {"caller": "Ann"}, tokens)


async def kept(session: RealtimeSession[str]) -> list[HistoryItem]:
    """What users write to keep a conversation."""
    assert_type(session.stats(), SessionStats)
    assert_type(session.snapshot(), dict[str, Any])
    assert_type(await session.played(), bool)

    @session.on("session_restored")
    def restored(event: SessionRestored) -> None:
        assert_type(event.gap, float)

    restored_session = RealtimeSession.restore(session.snapshot(), agents=[agent])
    assert_type(restored_session, RealtimeSession[Any])
    return items_from_dicts(items_to_dicts(session.history))


async def written(path: str) -> None:
    """What users write to transcribe."""
    samples, rate = read_wav(path)
    async with RealtimeTranscription(language="en") as transcription:
        transcription.send_audio(samples, sample_rate=rate)
        async for event in transcription.events(TranscriptDelta, Transcript):
            match event:
                case TranscriptDelta(delta=words):
                    assert_type(words, str)
                case Transcript(text=text):
                    assert_type(text, str)
                case _:
                    pass
    async with RealtimeTranslation("es") as translation:
        translation.send_audio(samples, sample_rate=rate)


def sound(pcm: NDArray[np.int16]) -> None:
    """What users write with sound."""
    assert_type(mulaw_encode(pcm), bytes)
    assert_type(mulaw_decode(b"", output="int16"), NDArray[np.int16])
    assert_type(Resampler(8_000, 24_000).process(pcm), bytes)
    assert_type(Recording(pcm, sample_rate=8_000).duration, float)


def reached() -> None:
    """How users say where the provider is."""
    azure: Provider = Azure(resource="contoso", deployment="voice")
    assert_type(named("xai"), Provider)
    config: SessionConfig = {"audio": {"output": {"voice": "marin"}}}
    RealtimeSession(agent, provider=azure, config=config, reconnect=ReconnectPolicy(attempts=2))
    RealtimeSession(agent, provider=Local(base_url="ws://127.0.0.1:8000/v1/realtime"))
    RealtimeSession(agent, transport=WebSocketTransport(proxy=None, ca_file="company.pem"))
    RealtimeSession(agent, transport=WebRTCTransport(fec=True))
    StapesRealtimeModel(provider="xai", input_sample_rate=48_000)
    assert_type(page_files(), Mapping[str, WebFile])


async def main() -> int:
    """A whole program."""
    async with calls:
        await calls.until_stopped(drain=10, signals=True)
    return 0


assert_type(run(main()), int)
