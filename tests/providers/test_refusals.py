"""What a provider cannot do is refused by name before anything is sent, or done in another way."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from agents import HostedMCPTool, UserError

from stapes import InputImage, NotSupportedError, RealtimeAgent, RealtimeSession, StapesError
from stapes.providers import (
    NAMES,
    XAI,
    Azure,
    AzureOpenAI,
    AzureVoiceLive,
    Capabilities,
    ElevenLabs,
    Inworld,
    Local,
    OpenAI,
    Provider,
    Qwen,
    named,
)
from stapes.testing import ScriptedServer, settle
from tests.providers import accents

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.talk import Talks

AGENT = RealtimeAgent(name="Desk", instructions="x")
PICTURE = [{"type": "input_image", "image_url": "data:image/png;base64,AA=="}]
SHOWN = [
    {
        "type": "message",
        "item_id": "u",
        "role": "user",
        "status": "completed",
        "content": [InputImage("data:image/png;base64,AA==")],
    }
]
TURN_DETECTION: dict[str, Any] = {"audio": {"input": {"turn_detection": {"type": "semantic_vad"}}}}
MCP = HostedMCPTool(tool_config={"type": "mcp", "server_label": "m", "server_url": "https://m"})


@dataclass(frozen=True, kw_only=True)
class ByHand(OpenAI):
    """A provider that must detect turns itself."""

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(manual_turns=False)


async def _connects(provider: Provider, config: Any = None, agent: Any = AGENT) -> list[Any]:
    async with ScriptedServer() as server:
        session = RealtimeSession(agent, api_key="k", provider=provider, config=config)
        try:
            await session.connect(url=server.url)
            await settle(session, server)
        finally:
            await session.close()
        return list(server.received)


@pytest.mark.parametrize(
    ("provider", "config", "agent", "feature"),
    [
        (XAI(), {"output_modalities": ["text"]}, AGENT, "answers in text alone"),
        (XAI(), TURN_DETECTION, AGENT, "turn detection of the type 'semantic_vad'"),
        (XAI(), {"parallel_tool_calls": False}, AGENT, "config.parallel_tool_calls"),
        (XAI(), {"audio": {"output": {"speed": 1.2}}}, AGENT, "config.audio.output.speed"),
        (Qwen(), {"tool_choice": "required"}, AGENT, "config.tool_choice"),
        (
            Qwen(),
            None,
            RealtimeAgent(name="a", tools=[MCP]),
            "hosted MCP servers",
        ),
        (
            AzureVoiceLive(resource="r", model="m"),
            None,
            RealtimeAgent(name="a", prompt={"id": "p"}),
            "stored prompts",
        ),
        (
            ByHand(),
            {"audio": {"input": {"turn_detection": None}}},
            AGENT,
            "turns without turn detection",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_configuration_that_cannot_be_is_refused_before_the_connection(
    provider: Provider, config: Any, agent: Any, feature: str
):
    async with ScriptedServer() as server:
        session = RealtimeSession(agent, api_key="k", provider=provider, config=config)
        with pytest.raises(NotSupportedError) as refused:
            await session.connect(url=server.url)
        assert server.handshakes == []
    name = type(provider).__name__
    assert (refused.value.provider, refused.value.feature) == (name, feature)
    assert str(refused.value).startswith(f"{name} does not support {feature}: ")
    assert isinstance(refused.value, StapesError | ValueError)


@pytest.mark.parametrize(
    ("provider", "ask", "feature"),
    [
        (XAI(), lambda session: session.send_message(PICTURE), "images"),
        (XAI(), lambda session: session.add_image("data:image/png;base64,AA=="), "images"),
        (XAI(), lambda session: session.update_history(SHOWN), "images"),
        (
            XAI(),
            lambda session: session.request_response({"conversation": "none"}),
            "responses beside the conversation",
        ),
        (Qwen(), lambda session: session.send_message("Hello"), "messages from a client"),
        (Qwen(), lambda session: session.update_history([]), "messages from a client"),
        (
            Qwen(),
            lambda session: session.request_response({"instructions": "Be quick."}),
            "settings of one response",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_command_that_cannot_be_is_refused_where_it_is_called(
    talks: Talks, provider: Provider, ask: Callable[[Any], Any], feature: str
):
    talk = await talks.begin(provider=provider)
    before = len(talk.server.received)
    with pytest.raises(NotSupportedError) as refused:
        ask(talk.session)
    assert refused.value.feature == feature
    await talk.settle()
    assert len(talk.server.received) == before


async def test_formats_and_rates_that_a_provider_does_not_take_are_refused():
    for format_, instead in [
        ("pcm16", "PCM at 16000 Hz"),
        ("g711_ulaw", "use audio/pcm"),
    ]:
        config: Any = {"audio": {"input": {"format": format_}}}
        with pytest.raises(NotSupportedError, match=f"Qwen does not support .*{instead}"):
            RealtimeSession(AGENT, api_key="k", provider=Qwen(), config=config)
    session = RealtimeSession(
        AGENT,
        provider=XAI(),
        config={"audio": {"output": {"format": {"type": "audio/pcm", "rate": 48_000}}}},
    )
    assert session.output_sample_rate == 48_000


async def test_what_the_user_insists_on_is_sent_as_provider_data():
    sent = await _connects(XAI(), {"provider_data": {"parallel_tool_calls": False, "voice": "eve"}})
    session = sent[0]["session"]
    assert session["parallel_tool_calls"] is False
    assert session["voice"] == "eve"


async def test_an_event_of_the_users_own_goes_out_as_it_is(talks: Talks):
    talk = await talks.begin(provider=Qwen())
    events: list[Any] = [
        {"type": "session.update", "session": {"audio": {"output": {"voice": "a"}}}},
        {"type": "response.create", "response": {"output_modalities": ["text"]}},
    ]
    for event in events:
        talk.session.transport.send_event(event)
    await talk.settle()
    sent = [{k: v for k, v in m.items() if k != "event_id"} for m in talk.server.received[1:]]
    assert sent == events


async def test_a_voice_that_may_change_does(talks: Talks):
    for provider, voices in [(Inworld(), ["a", "b"]), (OpenAI(), ["a", None])]:
        talk = await talks.begin(
            provider=provider, config={"audio": {"input": {"turn_detection": None}}}
        )
        talk.session.update_agent(RealtimeAgent(name="A", instructions="x", voice="a"))
        await talk.settle()
        await talk.answers("r", "i", "Hello.", ms=100)
        talk.session.update_agent(RealtimeAgent(name="B", instructions="x", voice="b"))
        await talk.settle()
        updates = [m["session"]["audio"]["output"] for m in talk.sent("session.update")[-2:]]
        assert [output.get("voice") for output in updates] == voices
        await talk.session.close()


async def test_a_history_that_cannot_be_told_in_messages_stands_in_the_instructions():
    async with ScriptedServer() as server:
        history: Any = [
            {
                "type": "message",
                "item_id": "u",
                "role": "user",
                "status": "completed",
                "content": [{"type": "input_text", "text": "Is it open?"}],
            }
        ]
        session = RealtimeSession(AGENT, api_key="k", provider=Qwen(), history=history)
        await session.connect(url=server.url)
        await settle(session, server)
        assert [event["type"] for event in server.received] == ["session.update"]
        text = server.received[0]["session"]["instructions"]
        assert text == "x\n\nThe user said: Is it open?"
        assert [item.item_id for item in session.history] == ["u"]
        await session.close()


async def test_images_in_a_history_are_refused_where_the_session_is_made():
    with pytest.raises(ValueError, match="XAI does not support images"):
        RealtimeSession(AGENT, api_key="k", provider=XAI(), history=SHOWN)  # type: ignore[arg-type]


def test_providers_have_names(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "https://contoso.openai.azure.com/")
    monkeypatch.setenv("AZURE_OPENAI_DEPLOYMENT", "voice")
    monkeypatch.setenv("AZURE_VOICELIVE_ENDPOINT", "https://contoso.services.ai.azure.com")
    monkeypatch.setenv("AZURE_VOICELIVE_MODEL", "gpt-realtime")
    made = {name: named(name) for name in NAMES}
    assert made == {
        "azure": Azure(resource="contoso", deployment="voice"),
        "azure-voice-live": AzureVoiceLive(resource="contoso", model="gpt-realtime"),
        "elevenlabs": ElevenLabs(),
        "inworld": Inworld(),
        "local": Local(),
        "openai": OpenAI(),
        "qwen": Qwen(),
        "xai": XAI(),
    }
    assert AzureOpenAI is Azure
    with pytest.raises(ValueError, match=r"'grok': use one of azure, azure-voice-live, .* xai"):
        named("grok")
    monkeypatch.delenv("AZURE_OPENAI_DEPLOYMENT")
    with pytest.raises(UserError, match="AZURE_OPENAI_DEPLOYMENT is not set"):
        named("azure")


@pytest.mark.parametrize(
    ("name", "variable", "url"),
    [
        ("xai", "XAI_API_KEY", "wss://api.x.ai/v1/realtime?model=grok-voice-latest"),
        (
            "qwen",
            "DASHSCOPE_API_KEY",
            "wss://dashscope-intl.aliyuncs.com/api-ws/v1/realtime?model=qwen3.5-omni-flash-realtime",
        ),
        (
            "elevenlabs",
            "ELEVENLABS_API_KEY",
            "wss://api.elevenlabs.io/v1/convai/realtime?model=eleven_realtime_v1_mini",
        ),
        ("inworld", "INWORLD_API_KEY", "wss://api.inworld.ai/api/v1/realtime/session?key="),
        ("local", None, "ws://127.0.0.1:8080/v1/realtime"),
    ],
)
async def test_a_name_says_where_and_with_which_key(
    name: str, variable: str | None, url: str, monkeypatch: pytest.MonkeyPatch
):
    provider = named(name)
    assert provider.key_variable == variable
    assert provider.url(provider.default_model, kind="websocket").startswith(url)
    for wrong in ({"kind": "webrtc"}, {"kind": "websocket", "call_id": "c"}):
        with pytest.raises(NotSupportedError):
            provider.url("m", **wrong)  # type: ignore[arg-type]
    if variable is None:
        assert (await provider.authenticate(None)).headers == {}
        return
    monkeypatch.setenv(variable, "from-there")
    headers = (await provider.authenticate(None)).headers
    assert any("from-there" in value for value in headers.values())


def test_a_profile_that_nobody_has_tried_says_so():
    for provider in (Qwen(), ElevenLabs(), Inworld(), Local()):
        assert provider.source is not None
        assert not provider.source.recorded
        assert "from documentation, not tried" in repr(provider)
        assert "From documentation, not tried" in (type(provider).__doc__ or "")
    tried: list[Provider] = [OpenAI(), XAI(), Azure(resource="r", deployment="d")]
    for provider in (*tried, AzureVoiceLive(resource="r", model="m")):
        assert provider.source is not None
        assert provider.source.recorded
        assert "not tried" not in repr(provider)
    assert "secret" not in repr(Local(base_url="ws://user:secret@h/v1?key=secret"))


def test_arguments_that_cannot_be_are_refused_by_name():
    with pytest.raises(ValueError, match="region is 'eu'"):
        Qwen(region="eu")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="base_url is"):
        Local(base_url="http://h")
    with pytest.raises(ValueError, match="model is empty"):
        AzureVoiceLive(resource="r", model="")
    local = Local(base_url="ws://h/v1/realtime?x=1", model="a b")
    assert local.url("a b", kind="websocket") == "ws://h/v1/realtime?x=1&model=a%20b"


async def test_a_local_server_gets_neither_a_key_nor_a_model_that_it_has_not():
    async with ScriptedServer() as server:
        local = Local(base_url=server.url, capabilities=Capabilities(truncates=False, traces=False))
        session = RealtimeSession(AGENT, provider=local)
        await session.connect()
        await settle(session, server)
        await session.close()
    assert server.handshakes[0].authorization is None
    assert "model" not in server.received[0]["session"]
    assert accents.paths(server.received[0]["session"]) <= accents.GA_KEYS
    assert json.dumps(server.received)


async def test_a_history_from_an_iterator_is_kept_where_its_images_are_looked_for(talks: Talks):
    said: Any = {
        "type": "message",
        "item_id": "u",
        "role": "user",
        "status": "completed",
        "content": [{"type": "input_text", "text": "Is it open?"}],
    }
    talk = await talks.begin(provider=XAI(), history=iter([said]))
    assert [item.item_id for item in talk.session.history] == ["u"]
    await talk.session.update_history(lambda old: (item for item in old))
    await talk.session.update_history(iter(talk.session.history))
    await talk.settle()
    assert talk.sent("conversation.item.delete") == []


@pytest.mark.parametrize("provider", [XAI(), OpenAI()])
@pytest.mark.parametrize("history", [None, "hi", {"type": "message"}])
async def test_what_is_no_history_is_refused_by_name(talks: Talks, provider: Any, history: Any):
    given = type(history).__name__
    with pytest.raises(TypeError, match=f"^history must be a list of items .*, not {given}"):
        await talks.begin(provider=provider, connect=False, history=history)
    talk = await talks.begin(provider=provider)
    with pytest.raises(TypeError, match=f"^history must be a list of items .*, not {given}"):
        talk.session.update_history(history)
    with pytest.raises(TypeError, match=f"what the function for history returns .*, not {given}"):
        talk.session.update_history(lambda _: history)
