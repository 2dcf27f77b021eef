"""docs/how-to/providers.md says what the profiles say, and its profile works."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

import pytest

from stapes import NotSupportedError, RealtimeAgent, RealtimeSession
from stapes.providers import (
    XAI,
    Azure,
    AzureVoiceLive,
    ElevenLabs,
    Inworld,
    Local,
    OpenAI,
    Provider,
    Qwen,
    named,
)
from stapes.testing import ScriptedServer, settle

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "providers.md").read_text(encoding="utf-8")
COLUMNS: dict[str, Provider] = {
    "OpenAI": OpenAI(),
    "Azure": Azure(resource="r", deployment="d"),
    "Voice Live": AzureVoiceLive(resource="r", model="m"),
    "xAI": XAI(),
    "Qwen": Qwen(),
    "ElevenLabs": ElevenLabs(),
    "Inworld": Inworld(),
    "local": Local(),
}
ROWS = {
    "truncates an answer at what was heard": "truncates",
    "messages from a client": "messages",
    "images": "images",
    "answers in text alone": "text_output",
    "turns without turn detection": "manual_turns",
    "responses beside the conversation": "out_of_band",
    "settings of one response": "response_settings",
    "another voice when the model has spoken": "changes_voice",
    "hosted MCP servers": "hosted_mcp",
    "stored prompts": "prompts",
    "traces of its own": "traces",
}


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def _rows(beginning: str) -> dict[str, list[str]]:
    """The rows of the table whose head begins so, by their first cell."""
    lines = PAGE[PAGE.index(beginning) :].split("\n\n")[0].splitlines()
    return {cells[0]: cells[1:] for cells in map(_cells, [lines[0], *lines[2:]])}


@pytest.mark.parametrize("row", ROWS)
def test_the_table_says_what_the_profiles_say(row: str):
    table = _rows("| | OpenAI |")
    assert table[""] == list(COLUMNS)
    told = dict(zip(COLUMNS, table[row], strict=True))
    can = {name: getattr(it.capabilities, ROWS[row]) for name, it in COLUMNS.items()}
    assert {name: cell.split()[0] == "yes" for name, cell in told.items()} == can
    for name, cell in told.items():
        assert re.fullmatch("(yes|no) [rdoa]", cell), (name, cell)
        source = COLUMNS[name].source
        assert source is not None
        assert source.recorded or not cell.endswith("r")


def test_the_names_have_their_keys_and_models(monkeypatch: pytest.MonkeyPatch):
    for name in ("AZURE_OPENAI_ENDPOINT", "AZURE_VOICELIVE_ENDPOINT"):
        monkeypatch.setenv(name, "https://contoso.example.com")
    for name in ("AZURE_OPENAI_DEPLOYMENT", "AZURE_VOICELIVE_MODEL"):
        monkeypatch.setenv(name, "m")
    for name, cells in _rows("| name |").items():
        if name == "name":
            continue
        provider = named(name.strip("`"))
        assert cells[0].startswith(f"`{type(provider).__name__}(")
        assert (provider.key_variable or "none") in cells[1]
        if (model := cells[2]).startswith("`"):
            assert model.strip("`") == provider.default_model


async def test_the_profile_of_the_page_works():
    [code] = [
        block for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "Acme" in block
    ]
    assert len(code.splitlines()) <= 33
    made: dict[str, Any] = {"__name__": "acme"}
    exec(compile(code, "docs/how-to/providers.md", "exec", dont_inherit=True), made)
    acme = made["Acme"]()
    assert acme.url("m", kind="websocket") == "wss://eu.acme.example/v1/realtime?model=m"
    assert repr(acme) == "Acme(region='eu')"
    agent = RealtimeAgent(name="Desk", instructions="Be brief.")
    async with ScriptedServer() as server:
        session = RealtimeSession(agent, api_key="k", provider=acme)
        await session.connect(url=server.url)
        session.send_audio(bytes(320))
        with pytest.raises(NotSupportedError, match="Acme does not support images"):
            session.add_image("data:,")
        await settle(session, server)
        await session.close()
    assert server.handshakes[0].headers["x-acme-key"] == "k"
    update, append = server.received
    assert update["session"] == {
        "instructions": "Be brief.",
        "modalities": ["text", "audio"],
        "input_audio_format": "pcm16",
        "output_audio_format": "pcm16",
        "input_audio_transcription": None,
        "input_audio_noise_reduction": None,
        "turn_detection": {"type": "server_vad"},
    }
    assert base64.b64decode(append["audio"]) == bytes(320)
