"""Profiles of providers: OpenAI's, and one of another shape."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
from agents import UserError
from calling import KEY, SECONDS

from stapes import Error, RealtimeAgent, RealtimeSession
from stapes.providers import (
    AzureOpenAI,
    Credentials,
    Endings,
    OpenAI,
    Provider,
    SessionDefaults,
)
from stapes.testing import ScriptedServer

AGENT = RealtimeAgent(name="front")


@dataclass(frozen=True)
class Deployment(Provider):
    """A resource with deployments, a key in a header of its own, or a token in its place."""

    base: str
    deployment: str
    token: Any = None

    @property
    def default_model(self) -> str:
        return self.deployment

    @property
    def key_variable(self) -> str:
        return "DEPLOYMENT_API_KEY"

    @property
    def defaults(self) -> SessionDefaults:
        return SessionDefaults(transcription=None, turn_detection={"type": "server_vad"})

    def url(self, model: str, *, call_id: str | None = None, kind: Any) -> str:
        return f"{self.base}/openai/v1/realtime?model={model}"

    def headers(self, key: str) -> dict[str, str]:
        return {"api-key": key}

    async def authenticate(self, api_key: Any) -> Credentials:
        if self.token is None:
            return await super().authenticate(api_key)
        token = await self.token()
        return Credentials({"Authorization": f"Bearer {token}"}, (token,))


def test_openai_is_where_it_is():
    url = OpenAI().url
    assert url("a b", kind="websocket") == "wss://api.openai.com/v1/realtime?model=a%20b"
    assert url("m", kind="webrtc") == "https://api.openai.com/v1/realtime/calls?model=m"
    joined = url("m", call_id="rtc/1", kind="websocket")
    assert joined == "wss://api.openai.com/v1/realtime?call_id=rtc%2F1"


async def test_a_provider_of_ones_own_says_where_how_and_with_which_defaults():
    async with ScriptedServer() as server:
        provider = Deployment(f"ws://127.0.0.1:{server.port}", "voice")
        session = RealtimeSession(AGENT, api_key=KEY, provider=provider)
        async with asyncio.timeout(SECONDS), session:
            update = (await server.receive(1))[0]["session"]
        handshake = server.handshakes[0]
    assert handshake.path == "/openai/v1/realtime?model=voice"
    assert handshake.headers["api-key"] == KEY
    assert handshake.authorization is None
    assert update["model"] == "voice"
    assert update["audio"]["input"]["transcription"] is None
    assert update["audio"]["input"]["turn_detection"] == {"type": "server_vad"}


async def test_a_token_in_place_of_a_key_is_masked_as_well():
    async def token() -> str:
        return KEY

    async with ScriptedServer() as server:
        provider = Deployment(f"ws://127.0.0.1:{server.port}", "voice", token)
        session = RealtimeSession(AGENT, provider=provider)
        errors = session.events(Error)
        async with asyncio.timeout(SECONDS), session:
            assert server.handshakes[0].authorization == f"Bearer {KEY}"
            await server.send({"type": "error", "error": {"message": f"{KEY} has expired"}})
            assert str((await anext(errors)).error) == "*** has expired"


async def test_a_missing_key_is_asked_for_by_the_providers_variable(monkeypatch):
    monkeypatch.delenv("DEPLOYMENT_API_KEY", raising=False)
    session = RealtimeSession(AGENT, provider=Deployment("ws://127.0.0.1:9", "voice"))
    with pytest.raises(UserError, match="Set DEPLOYMENT_API_KEY, or give api_key="):
        await session.connect()


async def test_what_is_no_provider_is_refused_by_name():
    with pytest.raises(TypeError, match=r"provider must be a name or a .*Provider, not int"):
        RealtimeSession(AGENT, provider=5)  # type: ignore[arg-type]


def test_a_provider_says_what_the_end_of_a_connection_means():
    endings = OpenAI().endings
    assert endings.loss_close_codes == {1001, 1006, 1011, 1012, 1013}
    assert endings.expiry_codes == {"session_expired"}
    assert {"invalid_api_key", "insufficient_quota"} < endings.refusal_codes
    assert not endings.refusal_codes & endings.expiry_codes
    assert {408, 429, 500, 503} < endings.retry_statuses
    assert not {401, 403, 404} & endings.retry_statuses
    assert "ek_1234".startswith(endings.single_use_key_prefixes)
    assert not "sk-1234".startswith(endings.single_use_key_prefixes)


def test_the_endings_of_a_profile_are_openais_unless_it_has_its_own():
    @dataclass(frozen=True)
    class Strict(Deployment):
        @property
        def endings(self) -> Endings:
            return Endings(refusal_codes=Endings().refusal_codes | {"tenant_suspended"})

    shared = OpenAI().endings
    assert Deployment("wss://d", "m").endings == shared
    assert AzureOpenAI(resource="r", deployment="m").endings == shared
    own = Strict("wss://d", "m").endings
    assert own.refusal_codes == shared.refusal_codes | {"tenant_suspended"}
    assert own.loss_close_codes == shared.loss_close_codes
