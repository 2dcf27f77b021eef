"""Offers of Chromium that have more than a call takes: it takes our answers, and is heard."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.calls.test_twilio_calls import until

from stapes._core import calls as core
from stapes.calls import CallServer
from stapes.web import WebFile

sys.path.append(str(Path(__file__).parents[1] / "devserver"))

from chromium import Chromium, needs_chromium

pytestmark = [
    pytest.mark.real_time,
    needs_chromium,
    pytest.mark.skipif(not core.HAS_WEBRTC, reason="the core was built without WebRTC"),
]

CALL = """(async (bundlePolicy, kinds) => {
    const connection = globalThis.connection = new RTCPeerConnection({ bundlePolicy });
    const context = globalThis.context = new AudioContext();
    const tone = () => {
        const [source, sink] = [context.createOscillator(), context.createMediaStreamDestination()];
        source.connect(sink);
        source.start();
        return sink.stream.getAudioTracks()[0];
    };
    for (const kind of kinds) {
        if (kind === "data") {
            const channel = connection.createDataChannel("stapes");
            const start = { type: "start", call_id: crypto.randomUUID(), parameters: {} };
            channel.onopen = () => channel.send(JSON.stringify(start));
        } else connection.addTransceiver(kind === "audio" ? tone() : kind);
    }
    await connection.setLocalDescription();
    while (connection.iceGatheringState !== "complete")
        await new Promise((resolve) => setTimeout(resolve, 20));
    const offer = connection.localDescription.sdp;
    const headers = { "Content-Type": "application/sdp" };
    const response = await fetch("/talk", { method: "POST", headers, body: offer });
    const answer = await response.text();
    if (response.status !== 201) return { offer, answer };
    await connection.setRemoteDescription({ type: "answer", sdp: answer });
    const until = Date.now() + 10000;
    while (connection.connectionState !== "connected" && Date.now() < until)
        await new Promise((resolve) => setTimeout(resolve, 20));
    return { offer, answer, state: connection.connectionState };
})"""


OFFERS = (
    ["video", "audio", "data"],
    ["audio", "audio", "data"],
    ["data", "video", "audio"],
    ["audio"],
)


@pytest.mark.parametrize("policy", ["balanced", "max-compat", "max-bundle"])
async def test_chromium_takes_the_answer_and_is_heard(
    tmp_path: Path, stack: Any, policy: str
) -> None:
    calls: list[Any] = []

    async def answer(call: Any) -> None:
        calls.append(call)
        await call.ended()

    server = CallServer(port=0)
    server.browser("/talk")(answer)
    server.serve_files({"/": WebFile("text/html", b"<!doctype html><title>bare</title>")})
    await stack.enter_async_context(server)
    browser = await stack.enter_async_context(Chromium(tmp_path / "browser"))
    await browser.open(f"http://127.0.0.1:{server.port}/")
    for kinds in OFFERS:
        calls.clear()
        called = await browser.evaluate(f"{CALL}({json.dumps(policy)}, {json.dumps(kinds)})")
        assert called.get("state") == "connected", called
        await until(lambda: calls)
        await until(lambda: calls[0].sound and calls[0].sound.packets_received > 50)
        assert calls[0].sound.concealed < 0.1
        await browser.evaluate("(connection.close(), context.close(), true)")
