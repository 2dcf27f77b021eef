"""Who is measured: how each client is started, and what it is measured less."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

JAVASCRIPT = Path(__file__).parent / "javascript"


@dataclass(frozen=True, slots=True)
class Peer:
    """A client that can be measured."""

    name: str
    what: str
    null: str | None
    """The client that only ticks, on the same event loop."""
    modules: tuple[str, ...] = ()
    """What it needs of Python's packages."""
    driver: str = ""
    """The name that `drive` knows it by, if it is another."""
    loop: str = "asyncio"
    """The event loop that it runs on."""

    def missing(self, binaries: Path) -> str | None:
        """Why it cannot be measured here, if so."""
        if self.name.endswith("-js"):
            if not (JAVASCRIPT / "node_modules").exists():
                return "run `npm ci` in benches/load/javascript"
        elif self.name in RUST:
            if not (binaries / RUST[self.name][0]).exists():
                return "run `cargo build --release -p stapes-load`"
        else:
            needed = (*self.modules, "uvloop") if self.loop == "uvloop" else self.modules
            absent = [name for name in needed if find_spec(name) is None]
            if absent:
                return f"install {', '.join(absent)}"
        return None

    def command(self, binaries: Path) -> list[str]:
        """What starts it; the flags of the measurement come after."""
        if self.name.endswith("-js"):
            null = ["--null"] if self.null is None else []
            return ["node", str(JAVASCRIPT / "client.mjs"), *null]
        if self.name in RUST:
            program, *always = RUST[self.name]
            return [str(binaries / program), *always]
        driver = self.driver or self.name
        started = [sys.executable, "-m", "benches.load.drive"]
        return [*started, "--client", driver, "--loop", self.loop]


def churn_command(name: str) -> list[str]:
    """What starts a client whose sessions come and go."""
    return [sys.executable, "-m", "benches.load.churn", "--client", name]


RUST: dict[str, list[str]] = {
    "null-rust": ["stapes-load-client", "--null"],
    "bare": ["stapes-load-client"],
    "core": ["stapes-load-core"],
    "core-quiet": ["stapes-load-core", "--quiet"],
}
"""The program, and what it is always told."""

_ALL = [
    Peer("null", "only the microphone's ticking, asyncio", None),
    Peer("null+uvloop", "only the ticking, uvloop", None, driver="null", loop="uvloop"),
    Peer("null-js", "only the ticking, Node", None),
    Peer("null-rust", "only the ticking, tokio", None),
    Peer("bare", "the limit: tokio-tungstenite; reads, drops, sends what is encoded", "null-rust"),
    Peer("core", "stapes without Python: its core, sound in and out in Rust", "null-rust"),
    Peer("core-quiet", "the same, nobody subscribed to audio", "null-rust"),
    Peer("stapes", "the full session, audio delivered to a callback in Python", "null"),
    Peer("stapes-quiet", "the full session, nobody subscribed to audio", "null"),
    Peer("stapes-mic", "the full session, audio delivered, microphones fed in Rust", "null-rust"),
    Peer("stapes-quiet-mic", "the same, nobody subscribed to audio", "null-rust"),
    Peer(
        "stapes.run",
        "the full session on the event loop of `stapes.run`, audio delivered",
        "null",
        driver="stapes",
        loop="stapes",
    ),
    Peer(
        "stapes+uvloop",
        "the full session on uvloop, audio delivered",
        "null+uvloop",
        driver="stapes",
        loop="uvloop",
    ),
    Peer(
        "picows+uvloop",
        "picows, orjson and binascii by hand; no session, no history",
        "null+uvloop",
        ("picows", "orjson"),
        driver="picows",
        loop="uvloop",
    ),
    Peer(
        "websockets",
        "websockets, json and base64 by hand; no session, no history",
        "null",
        ("websockets",),
    ),
    Peer("agents-py", "the full session of openai-agents", "null", ("agents",)),
    Peer(
        "agents-py-stapes",
        "the same session of openai-agents on `StapesRealtimeModel`",
        "null",
        ("agents",),
    ),
    Peer("agents-js", "the full session of @openai/agents-realtime", "null-js"),
]

PEERS = {peer.name: peer for peer in _ALL}
