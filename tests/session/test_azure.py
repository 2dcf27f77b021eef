"""Azure OpenAI: where a session connects to, how it authenticates, and what it asks for."""

from __future__ import annotations

from typing import Any

import pytest
from agents import UserError

from stapes import AuthenticationError, RealtimeAgent, RealtimeSession
from stapes.providers import AzureOpenAI
from stapes.testing import ScriptedServer, settle

AZURE = AzureOpenAI(resource="contoso", deployment="my realtime")


async def greeted(provider: AzureOpenAI, **options: Any) -> tuple[dict[str, str], dict[str, Any]]:
    """Connect to a scripted server; give the headers of the handshake and the session asked for."""
    async with ScriptedServer(path="/openai/v1/realtime?model=my%20realtime") as server:
        session = RealtimeSession(RealtimeAgent(name="Front desk"), provider=provider, **options)
        await session.connect(url=server.url)
        await settle(session, server)
        await session.close()
        [update, *_] = [event for event in server.received if event["type"] == "session.update"]
        return dict(server.handshakes[0].headers), update["session"]


def test_the_url_names_resource_and_deployment():
    url = AZURE.url(AZURE.default_model, kind="websocket")
    assert url == "wss://contoso.openai.azure.com/openai/v1/realtime?model=my%20realtime"
    joined = AZURE.url(AZURE.default_model, call_id="rtc_1", kind="websocket")
    assert joined == "wss://contoso.openai.azure.com/openai/v1/realtime?call_id=rtc_1"


async def test_a_key_goes_into_its_own_header_and_the_deployment_is_the_model():
    headers, session = await greeted(AZURE, api_key="azure-key")
    assert headers["api-key"] == "azure-key"
    assert "authorization" not in headers
    assert session["model"] == "my realtime"


async def test_the_key_of_the_environment_is_azures(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", "openai-key")
    with pytest.raises(UserError, match="AZURE_OPENAI_API_KEY"):
        await greeted(AZURE)
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "azure-key")
    headers, _ = await greeted(AZURE)
    assert headers["api-key"] == "azure-key"


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_token_is_asked_for_each_connection_and_sent_as_bearer(is_async: bool):
    asked = 0

    def token() -> str:
        nonlocal asked
        asked += 1
        return f"token-{asked}"

    async def later() -> str:
        return token()

    azure = AzureOpenAI(resource="contoso", deployment="d", token=later if is_async else token)
    assert "token" not in repr(azure)
    for number in (1, 2):
        headers, _ = await greeted(azure)
        assert headers["authorization"] == f"Bearer token-{number}"
        assert "api-key" not in headers


async def test_nothing_is_transcribed_unless_a_deployment_is_named_for_it():
    _, session = await greeted(AZURE, api_key="k")
    assert session["audio"]["input"]["transcription"] is None
    azure = AzureOpenAI(resource="contoso", deployment="d", transcription_deployment="whisper")
    _, session = await greeted(azure, api_key="k")
    assert session["audio"]["input"]["transcription"] == {"model": "whisper"}


async def test_a_refused_key_is_not_quoted():
    async with ScriptedServer(reject_status=401) as server:
        session = RealtimeSession(
            RealtimeAgent(name="Front desk"), provider=AZURE, api_key="azure-key"
        )
        with pytest.raises(AuthenticationError) as refused:
            await session.connect(url=server.url)
    assert "azure-key" not in str(refused.value)


async def test_webrtc_is_refused_by_name():
    session = RealtimeSession(
        RealtimeAgent(name="Front desk"), provider=AZURE, api_key="k", transport="webrtc"
    )
    with pytest.raises(UserError, match="WebRTC"):
        await session.connect()


@pytest.mark.parametrize("resource", ["", "https://contoso.openai.azure.com", "a.b", "-a", "a/b"])
def test_a_resource_that_is_no_name_is_refused(resource: str):
    with pytest.raises(ValueError, match="resource is"):
        AzureOpenAI(resource=resource, deployment="d")
