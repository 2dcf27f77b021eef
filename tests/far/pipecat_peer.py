"""What a serializer of Pipecat makes of a carrier's frames, and of sound. It runs where Pipecat is.

It reads one JSON object from its input, and writes one: see `test_pipecat.py`.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from types import SimpleNamespace
from typing import Any

from pipecat.frames.frames import (
    InputAudioRawFrame,
    InputDTMFFrame,
    InterruptionFrame,
    OutputAudioRawFrame,
)
from pipecat.serializers.plivo import PlivoFrameSerializer
from pipecat.serializers.telnyx import TelnyxFrameSerializer
from pipecat.serializers.twilio import TwilioFrameSerializer
from pipecat.serializers.vonage import VonageFrameSerializer


def serializer(carrier: str, stream: str, rate: int) -> Any:
    """The carrier's."""
    match carrier:
        case "twilio":
            kind = TwilioFrameSerializer
            return kind(stream, params=kind.InputParams(auto_hang_up=False))
        case "telnyx":
            kind = TelnyxFrameSerializer
            return kind(stream, "PCMU", "PCMU", params=kind.InputParams(auto_hang_up=False))
        case "plivo":
            kind = PlivoFrameSerializer
            return kind(stream, params=kind.InputParams(auto_hang_up=False))
        case _:
            kind = VonageFrameSerializer
            return kind(kind.InputParams(vonage_sample_rate=rate))


async def answer(asked: dict[str, Any]) -> dict[str, Any]:
    """What it hears, and what it sends."""
    rate = asked["rate"]
    made = serializer(asked["carrier"], asked["stream"], rate)
    await made.setup(SimpleNamespace(audio_in_sample_rate=rate))
    heard, digits, sent = b"", [], []
    for frame in asked["received"]:
        what = frame["text"] if "text" in frame else base64.b64decode(frame["bytes"])
        match await made.deserialize(what):
            case InputAudioRawFrame() as sound:
                heard += sound.audio
            case InputDTMFFrame() as key:
                digits.append(key.button.value)
    says = base64.b64decode(asked["says"])
    chunk = rate // 50 * 2
    for at in range(0, len(says), chunk):
        frame = OutputAudioRawFrame(says[at : at + chunk], sample_rate=rate, num_channels=1)
        sent.append(await made.serialize(frame))
    sent.append(await made.serialize(InterruptionFrame()))
    written = [
        {"text": it} if isinstance(it, str) else {"bytes": base64.b64encode(it).decode()}
        for it in sent
        if it is not None
    ]
    return {"heard": base64.b64encode(heard).decode(), "digits": digits, "sent": written}


print(json.dumps(asyncio.run(answer(json.load(sys.stdin)))))
