"""`OPENAI_BASE_URL` says where OpenAI's API is, as it does for OpenAI's own clients."""

from __future__ import annotations

import pytest
from agents import UserError

from stapes import RealtimeAgent, RealtimeSession, RealtimeTranscription
from stapes.providers import OpenAI
from stapes.testing import ScriptedServer, settle

WEBSOCKET = [
    ("https://gate.example/v1", "wss://gate.example/v1/realtime?model=m"),
    ("http://127.0.0.1:8765/v1/", "ws://127.0.0.1:8765/v1/realtime?model=m"),
    ("wss://gate.example/v1", "wss://gate.example/v1/realtime?model=m"),
    (" ", "wss://api.openai.com/v1/realtime?model=m"),
]


@pytest.mark.parametrize(("base", "url"), WEBSOCKET)
def test_the_url_of_a_websocket(monkeypatch: pytest.MonkeyPatch, base: str, url: str):
    monkeypatch.setenv("OPENAI_BASE_URL", base)
    assert OpenAI().url("m", kind="websocket") == url
    joined = OpenAI().url("m", call_id="c d", kind="websocket")
    assert joined == url.replace("model=m", "call_id=c%20d")


def test_the_url_of_a_webrtc_offer(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "ws://127.0.0.1:8765/v1")
    assert OpenAI().url("m", kind="webrtc") == "http://127.0.0.1:8765/v1/realtime/calls?model=m"


@pytest.mark.parametrize(
    "base", ["gate.example/v1", "ftp://gate.example", "https://", "https:///v1"]
)
def test_what_is_no_url_is_refused(monkeypatch: pytest.MonkeyPatch, base: str):
    monkeypatch.setenv("OPENAI_BASE_URL", base)
    with pytest.raises(UserError, match=r"OPENAI_BASE_URL is .*: give the URL of the API"):
        OpenAI().url("m", kind="websocket")


def test_a_password_is_not_shown(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "ftp://ann:s3cret@gate.example/v1")
    with pytest.raises(UserError) as raised:
        OpenAI().url("m", kind="websocket")
    assert "s3cret" not in str(raised.value)


async def test_a_session_goes_there_with_the_key(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    async with ScriptedServer() as server:
        scheme, _, rest = server.url.partition("://")
        monkeypatch.setenv("OPENAI_BASE_URL", f"http://{rest.split('?')[0].rstrip('/')}")
        assert scheme == "ws"
        async with RealtimeSession(RealtimeAgent(name="Desk")) as session:
            await settle(session, server)
        [handshake] = server.handshakes
        assert handshake.headers["authorization"] == "Bearer key"


def test_speech_goes_there_too(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "nonsense")
    with pytest.raises(UserError, match="OPENAI_BASE_URL"):
        RealtimeTranscription(api_key="key")
