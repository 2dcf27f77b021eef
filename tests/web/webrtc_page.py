"""A page that calls an agent over WebRTC, and what a test sees of both."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from tests.calls.test_twilio_calls import sound_of, speak

if TYPE_CHECKING:
    from chromium import Chromium
    from network import Network

    from stapes.testing import ScriptedServer

CLOSED = "connections.every(({ connectionState }) => connectionState === 'closed')"
HOLDS_LINES = """(() => {
    window.channels = [];
    window.holds = window.holdsModules = false;
    window.held = null;
    window.letGo = () => { window.holds = window.holdsModules = false; window.held(); };
    window.isClosed = ({ connectionState }) => connectionState === 'closed';
    const create = RTCPeerConnection.prototype.createDataChannel;
    RTCPeerConnection.prototype.createDataChannel = function (...given) {
        const channel = create.apply(this, given);
        window.channels.push(channel);
        return channel;
    };
    for (const Kind of [RTCDataChannel, WebSocket]) {
        const send = Kind.prototype.send;
        Kind.prototype.send = function (message) {
            const isStart = typeof message === 'string' && JSON.parse(message).type === 'start';
            if (window.holds && isStart) window.held = () => send.call(this, message);
            else send.call(this, message);
        };
    }
    const add = AudioWorklet.prototype.addModule;
    AudioWorklet.prototype.addModule = async function (...given) {
        if (window.holdsModules) await new Promise((go) => (window.held = go));
        return add.apply(this, given);
    };
})()"""
"""Keeps data channels, so that they can be broken; lines are held back before their `start`, or
before the module of a WebSocket's audio thread is loaded."""


@dataclass
class Page:
    """A page that has called, and all that it called."""

    browser: Chromium
    model: ScriptedServer
    desk: Any
    network: Network

    async def played(self) -> np.ndarray:
        """What the browser has played since it was tapped, as PCM16."""
        encoded = await self.browser.evaluate("playedBack()")
        return np.frombuffer(base64.b64decode(encoded), "<f4") * 32_768

    def heard(self) -> np.ndarray:
        """What the model got of the microphone."""
        return np.frombuffer(sound_of(self.model.received), "<i2")

    def is_told(self, text: str) -> bool:
        """Whether the model was told that."""
        return any(text in str(message) for message in self.model.received)

    async def says(self, sound: np.ndarray, **more: Any) -> None:
        """The model answers with that sound."""
        await speak(self.model, sound.astype("<i2").tobytes(), **more)
