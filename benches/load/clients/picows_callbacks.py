"""picows, orjson and binascii, the best that is written by hand. No session, no history."""

from __future__ import annotations

import os
import ssl
from binascii import a2b_base64, b2a_base64
from typing import Any

import orjson
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from benches.load.clients.client import Client, Sink

TEXT = WSMsgType.TEXT


class _Listener(WSListener):
    def __init__(self, sink: Sink) -> None:
        self.sink = sink

    def on_ws_frame(self, ws: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is not TEXT:
            return
        event: dict[str, Any] = orjson.loads(frame.get_payload_as_memoryview())
        kind = event["type"]
        if kind == "response.output_audio.delta":
            self.sink.on_audio(a2b_base64(event["delta"]))
        elif kind == "conversation.item.added":
            self.sink.on_item()
        elif kind == "response.done":
            self.sink.on_turn()
        elif kind == "error":
            self.sink.on_error(event)


class PicowsCallbacks(Client):
    """Frames are parsed in picows' callback."""

    async def open(self, url: str) -> None:
        context = _tls() if url.startswith("wss:") else None
        self.ws, _ = await ws_connect(lambda: _Listener(self.sink), url, ssl_context=context)

    def start(self) -> None:
        self.ws.send(TEXT, b'{"type":"response.create"}')

    def send_audio(self, pcm: bytes) -> None:
        sound = b2a_base64(pcm, newline=False)
        self.ws.send(TEXT, b'{"type":"input_audio_buffer.append","audio":"%b"}' % sound)

    async def close(self) -> None:
        self.ws.disconnect()
        await self.ws.wait_disconnected()


_contexts: list[ssl.SSLContext] = []


def _tls() -> ssl.SSLContext:
    """One context for all sessions."""
    if not _contexts:
        _contexts.append(ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"]))
    return _contexts[0]
