"""Pipecat's serializers as a second implementation of carriers' wires, in both directions."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.sounds import at_rate, correlation, speech

from stapes import RealtimeAgent, RealtimeSession
from stapes.audio import mulaw_decode, mulaw_encode
from stapes.calls import AsgiCall, Dtmf
from stapes.testing import ScriptedServer

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from numpy.typing import NDArray

pytestmark = pytest.mark.far

PIPECAT = "pipecat-ai==1.14.0"
STREAM = "MZ1"
MODEL_RATE = 24_000


@pytest.fixture(scope="module")
def pipecat(cache: Path) -> Path:
    """An interpreter that has Pipecat."""
    folder = cache / "pipecat"
    python = folder / "bin" / "python"
    if not (folder / PIPECAT).exists():
        try:
            subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=120)
            pip = [python, "-m", "pip", "install", "--quiet", "--no-compile", PIPECAT]
            subprocess.run(pip, check=True, timeout=900, capture_output=True)
        except (subprocess.SubprocessError, OSError) as error:
            pytest.skip(f"no Pipecat here: {error}")
        (folder / PIPECAT).touch()
    return python


@dataclass
class Line:
    """A WebSocket of an ASGI app, in memory."""

    sent: list[dict[str, Any]] = field(default_factory=list)
    waiting: asyncio.Queue[dict[str, Any]] = field(default_factory=asyncio.Queue)

    async def accept(self, subprotocol: str | None = None) -> None:
        pass

    async def receive(self) -> MutableMapping[str, Any]:
        return {"type": "websocket.receive", **await self.waiting.get()}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        self.sent.append(dict(message))

    def brings(self, frame: dict[str, Any] | bytes) -> dict[str, Any]:
        """A frame of the carrier's; the same as the peer reads it."""
        if isinstance(frame, bytes):
            self.waiting.put_nowait({"bytes": frame})
            return {"bytes": base64.b64encode(frame).decode()}
        text = json.dumps(frame)
        self.waiting.put_nowait({"text": text})
        return {"text": text}


STARTS: dict[str, dict[str, Any]] = {
    "twilio": {
        "event": "start",
        "sequenceNumber": "1",
        "streamSid": STREAM,
        "start": {
            "streamSid": STREAM,
            "accountSid": "AC1",
            "callSid": "CA1",
            "tracks": ["inbound"],
            "customParameters": {},
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        },
    },
    "telnyx": {
        "event": "start",
        "sequence_number": "1",
        "stream_id": STREAM,
        "start": {
            "call_control_id": "v2:1",
            "media_format": {"encoding": "PCMU", "sample_rate": 8000, "channels": 1},
        },
    },
    "plivo": {
        "event": "start",
        "sequenceNumber": 0,
        "start": {
            "callId": "c1",
            "streamId": STREAM,
            "accountId": "a1",
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000},
        },
    },
    "vonage": {"event": "websocket:connected", "content-type": "audio/l16;rate=16000"},
}

KEYS: dict[str, dict[str, Any]] = {
    "twilio": {"event": "dtmf", "streamSid": STREAM, "dtmf": {"track": "inbound", "digit": "5"}},
    "telnyx": {"event": "dtmf", "stream_id": STREAM, "dtmf": {"digit": "5"}},
    "plivo": {"event": "dtmf", "streamId": STREAM, "dtmf": {"track": "inbound", "digit": "5"}},
    "vonage": {"event": "websocket:dtmf", "digit": "5", "duration": 260},
}


def media(carrier: str, at: int, pcm: NDArray[np.int16]) -> dict[str, Any] | bytes:
    """20 ms of the caller's sound on a carrier's wire."""
    if carrier == "vonage":
        return pcm.tobytes()
    payload = base64.b64encode(mulaw_encode(pcm)).decode()
    told = {"track": "inbound", "chunk": str(at + 1), "timestamp": str(at * 20), "payload": payload}
    stream = {"twilio": "streamSid", "telnyx": "stream_id", "plivo": "streamId"}[carrier]
    return {"event": "media", stream: STREAM, "media": told}


def sound_of(frames: list[dict[str, Any]]) -> NDArray[np.int16]:
    """The sound in what was sent to a carrier."""
    sound = b""
    for frame in frames:
        if "bytes" in frame:
            raw = frame["bytes"]
            sound += raw if isinstance(raw, bytes) else base64.b64decode(raw)
        elif "payload" in (told := json.loads(frame.get("text", "{}")).get("media", {})):
            sound += mulaw_decode(base64.b64decode(told["payload"]))
    return np.frombuffer(sound, np.int16)


def texts(frames: list[dict[str, Any]], *events: str) -> list[dict[str, Any]]:
    """The JSON frames of these kinds, without their sound."""
    found = [json.loads(frame["text"]) for frame in frames if frame.get("text")]
    kinds = [it for it in found if (it.get("event") or it.get("action")) in events]
    for it in kinds:
        it.get("media", {}).pop("payload", None)
    return kinds


def answer_of(pipecat: Path, asked: dict[str, Any]) -> dict[str, Any]:
    """What Pipecat made of it."""
    peer = Path(__file__).with_name("pipecat_peer.py")
    run = subprocess.run(
        [pipecat, peer], input=json.dumps(asked), capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr[-2000:]
    answer: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return answer


async def until(condition: Any) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("carrier", list(STARTS))
async def test_both_read_and_write_a_carriers_wire_alike(pipecat: Path, carrier: str) -> None:
    rate = 16_000 if carrier == "vonage" else 8000
    said, answer = speech(1, rate, 1), speech(1, rate, 2)
    line, frame = Line(), rate // 50
    line.brings(STARTS[carrier])
    keys: list[str] = []
    agent = RealtimeAgent(name="Desk", instructions="Answer.")
    async with ScriptedServer() as model, AsgiCall(line, carrier=carrier) as call:
        call.on(Dtmf, lambda key: keys.append(key.digit))
        session = RealtimeSession(agent, call=call, api_key="test")
        await session.connect(url=model.url)
        received = [
            line.brings(media(carrier, at // frame, said[at : at + frame]))
            for at in range(0, len(said), frame)
        ]
        received.append(line.brings(KEYS[carrier]))
        await until(lambda: keys)
        call.play(answer, sample_rate=rate)
        await until(lambda: len(sound_of(line.sent)) >= len(answer))
        call.clear()
        await until(lambda: texts(line.sent, "clear", "clearAudio"))
        heard = [m["audio"] for m in model.received if m["type"] == "input_audio_buffer.append"]
        ours = b"".join(map(base64.b64decode, heard))
        await session.close()
        call.hang_up()
    asked = {
        "carrier": carrier,
        "stream": STREAM,
        "rate": rate,
        "received": received,
        "says": base64.b64encode(answer.tobytes()).decode(),
    }
    theirs = answer_of(pipecat, asked)
    their_caller = np.frombuffer(base64.b64decode(theirs["heard"]), np.int16)
    if carrier == "vonage":
        our_caller = at_rate(np.frombuffer(ours, np.int16), MODEL_RATE, rate)
        assert correlation(our_caller[: len(said) - rate // 5], their_caller) > 0.99
    else:
        our_caller = np.frombuffer(mulaw_decode(ours), np.int16)
        assert np.array_equal(our_caller[: len(their_caller)], their_caller[: len(our_caller)])
        assert len(our_caller) >= len(said) - rate // 10
    assert theirs["digits"] == keys == ["5"]
    assert correlation(sound_of(theirs["sent"]), sound_of(line.sent)) > 0.999
    events = ("media", "playAudio", "clear", "clearAudio")
    first, ours_first = texts(theirs["sent"], *events)[0], texts(line.sent, *events)[0]
    if carrier == "plivo":
        # Its documentation has none in playAudio.
        del first["streamId"]
    assert first == ours_first
    assert texts(theirs["sent"], *events)[-1] == texts(line.sent, *events)[-1]
