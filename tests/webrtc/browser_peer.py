"""A browser at the other end of a call: it answers our offer with its own WebRTC."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from chromium import Chromium

# The far side of a call, in the page. It keeps what it hears, at 24 kHz, and what it is told.
SCRIPT = r"""
window.far = {
  received: [],
  heard: [],
  async answer(offer) {
    this.context = new AudioContext({ sampleRate: 24000 });
    this.voice = this.context.createMediaStreamDestination();
    // A track that is never silent keeps the encoder running, as a microphone does.
    const hum = this.context.createConstantSource();
    hum.offset.value = 1e-5;
    hum.connect(this.voice);
    hum.start();
    this.connection = new RTCPeerConnection();
    this.connection.addTrack(this.voice.stream.getAudioTracks()[0]);
    this.connection.ondatachannel = ({ channel }) => this.open(channel);
    this.connection.ontrack = ({ track }) => this.listen(track);
    await this.connection.setRemoteDescription({ type: "offer", sdp: offer });
    await this.connection.setLocalDescription();
    if (this.connection.iceGatheringState !== "complete") {
      await new Promise((done) => {
        this.connection.onicegatheringstatechange = () =>
          this.connection.iceGatheringState === "complete" && done();
      });
    }
    return this.connection.localDescription.sdp;
  },
  open(channel) {
    this.channel = channel;
    channel.onmessage = ({ data }) => {
      const event = JSON.parse(data);
      this.received.push(event);
      if (event.type === "session.update") {
        this.send({ type: "session.updated", event_id: "u", session: event.session });
      }
    };
    this.send({ type: "session.created", event_id: "c", session: { type: "realtime" } });
  },
  send(event) {
    this.channel.send(JSON.stringify(event));
  },
  async listen(track) {
    const stream = new MediaStream([track]);
    // Chromium decodes what an element plays.
    this.element = new Audio();
    this.element.srcObject = stream;
    this.element.play();
    const code = `registerProcessor("ear", class extends AudioWorkletProcessor {
      process([[samples]]) {
        if (samples) this.port.postMessage(samples.slice());
        return true;
      }
    })`;
    const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
    await this.context.audioWorklet.addModule(url);
    const ear = new AudioWorkletNode(this.context, "ear");
    ear.port.onmessage = ({ data }) => this.heard.push(data);
    this.context.createMediaStreamSource(stream).connect(ear);
    ear.connect(this.context.destination);
  },
  say(encoded) {
    const bytes = Uint8Array.from(atob(encoded), (letter) => letter.charCodeAt(0));
    const pcm = new Int16Array(bytes.buffer);
    const buffer = this.context.createBuffer(1, pcm.length, 24000);
    buffer.copyToChannel(Float32Array.from(pcm, (sample) => sample / 32768), 0);
    const source = this.context.createBufferSource();
    source.buffer = buffer;
    source.connect(this.voice);
    source.start();
  },
  sound() {
    const all = new Int16Array(this.heard.reduce((sum, piece) => sum + piece.length, 0));
    let at = 0;
    for (const piece of this.heard) {
      for (const sample of piece) all[at++] = Math.round(Math.max(-1, Math.min(1, sample)) * 32767);
    }
    let text = "";
    const bytes = new Uint8Array(all.buffer);
    for (let i = 0; i < bytes.length; i += 32768) {
      text += String.fromCharCode(...bytes.subarray(i, i + 32768));
    }
    return btoa(text);
  },
};
"""


class BrowserPeer:
    """Takes offers over HTTP and lets the page answer them."""

    def __init__(self, browser: Chromium) -> None:
        self._browser = browser

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        await self._browser.open(f"{self.origin}/")
        await self._browser.evaluate(SCRIPT + "; true")

    async def stop(self) -> None:
        self._server.close()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def send(self, type_: str, **fields: Any) -> None:
        event = json.dumps({"type": type_, "event_id": "e", **fields})
        await self._browser.evaluate(f"far.send({event})")

    async def received(self) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = await self._browser.evaluate("far.received")
        return events

    async def say(self, pcm: bytes) -> None:
        await self._browser.evaluate(f"far.say('{base64.b64encode(pcm).decode()}')")

    async def heard(self) -> np.ndarray:
        return np.frombuffer(base64.b64decode(await self._browser.evaluate("far.sound()")), "<i2")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        except asyncio.IncompleteReadError:
            # A browser opens connections in case it needs them.
            writer.close()
            return
        if head.startswith("post"):
            length = int(head.partition("content-length:")[2].split()[0])
            offer = (await reader.readexactly(length)).decode()
            answer = await self._browser.evaluate(f"far.answer({json.dumps(offer)})")
            kind, status = "application/sdp", "201 Created\r\nlocation: /v1/realtime/calls/rtc_1"
        else:
            kind, status, answer = "text/html", "200 OK", "<title>far</title>"
        body = answer.encode()
        writer.write(
            f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode()
        )
        writer.write(body)
        await writer.drain()
        writer.close()
