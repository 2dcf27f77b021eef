"""Writes the seed corpora of the fuzz targets from the recorded conversations.

usage: fuzz_seeds.py SCENARIOS CORPUS
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

# What a call of the user's is as an act of the `event_sequence` target.
ACTS = {
    "sendMessage": "m",
    "addImage": "m",
    "interrupt": "i",
    "approve": "r0",
    "reject": "r0",
    "updateHistory": "u1",
    "close": "x",
    "updateAgent": "h0",
}

# What begins a call, in the order of the carriers' names in the core.
CALLS = (
    '{"event":"start","start":{"streamSid":"s","callSid":"c"}}',
    '{"event":"start","start":{"streamSid":"s","mediaFormat":{"encoding":"L16@24000h"}}}',
    '{"event":"start","stream_id":"s","start":{"media_format":{"encoding":"PCMA","sample_rate":8000}}}',
    '{"event":"start","start":{"streamId":"s","mediaFormat":"audio/x-l16;rate=16000"}}',
    '{"event":"websocket:connected","content-type":"audio/l16;rate=16000"}',
    "b\x01\0\x100123456789abcdef",
    "MEDIA_START connection_id:s channel_id:c format:slin16 optimal_frame_size:640 ptime:20",
    '{"callSid":"c","sampleRate":16000,"mixType":"mono"}',
    '{"type":"start","call_id":"0123456789abcdef","sample_rate":24000}',
)


def lines(step: dict[str, Any]) -> list[str]:
    """The frames and acts of one step, as the fuzz targets read them."""
    match step:
        case {"server_send": event}:
            text = json.dumps(event, ensure_ascii=False)
            # A call is answered as soon as it has come.
            return [text, "a0"] if '"function_call"' in text else [text]
        case {"server_send_raw": text}:
            return [text]
        case {"call": {"method": method}}:
            return [ACTS[method]] if method in ACTS else []
        case {"race": {"server_sends": events}}:
            return [json.dumps(event, ensure_ascii=False) for event in events]
        case {"advance_clock_ms": _}:
            return ["w1"]
        case {"connect": _}:
            return ["o"]
        case {"server_close": _}:
            return ["l"]
        case _:
            return []


def main() -> None:
    """Writes a corpus from the scenarios."""
    scenarios, corpus = map(Path, sys.argv[1:])
    events, sequences = corpus / "server_event", corpus / "event_sequence"
    calls = corpus / "carrier_frame"
    for folder in (events, sequences, calls):
        folder.mkdir(parents=True, exist_ok=True)
    kinds: dict[str, str] = {}
    for path in sorted(scenarios.glob("*.json")):
        steps = json.loads(path.read_text(encoding="utf-8"))["steps"]
        sequence = [line for step in steps for line in lines(step)]
        (sequences / path.stem).write_text("\n".join(sequence), encoding="utf-8")
        for step in steps:
            if isinstance(event := step.get("server_send"), dict):
                kinds.setdefault(str(event.get("type")), json.dumps(event, ensure_ascii=False))
            elif "server_send_raw" in step:
                kinds.setdefault(f"raw_{len(kinds)}", step["server_send_raw"])
    for kind, text in kinds.items():
        (events / kind).write_text(text, encoding="utf-8")
    for number, begin in enumerate(CALLS):
        call = "\n".join([chr(number) + begin, "pz", "w1", "c", "w9", "h1"])
        (calls / str(number)).write_text(call, encoding="utf-8")


if __name__ == "__main__":
    main()
