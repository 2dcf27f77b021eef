"""`stapes serve`: calls from browsers and phones, with the built-in model, and the log."""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
import struct
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen
from uuid import uuid4

import pytest
import trustme
from agents import function_tool
from page_caller import PageCaller
from serving import ServedHere
from simulated import voice
from tests.calls.twilio_phone import TwilioPhone
from websockets.exceptions import InvalidStatus

from stapes import RealtimeAgent
from stapes.cli.builtin import texts
from stapes.cli.dev_server import ServerSetupError
from stapes.cli.serve.phones import read_phones
from stapes.cli.serve.reloading import hold_port
from stapes.devserver import Options

if TYPE_CHECKING:
    from pathlib import Path
    from typing import NoReturn

QUESTION = voice(0.6, 24_000)


@function_tool
def opening_hours() -> str:
    """When it is open."""
    return "From nine to five."


@function_tool(needs_approval=True)
def refund() -> str:
    """Give the money back."""
    return "Refunded."


BILLING = RealtimeAgent(name="Billing", handoff_description="Bills.")
AGENT = RealtimeAgent(name="Desk", tools=[opening_hours, refund], handoffs=[BILLING])


@pytest.fixture(autouse=True)
def _built_in_model(monkeypatch: pytest.MonkeyPatch) -> None:
    def make_voice(_name: str) -> NoReturn:
        raise ServerSetupError("there is none")

    monkeypatch.setattr("stapes.cli.offline.make_voice", make_voice)
    # Answers are played as fast as ever, but they come at once.
    monkeypatch.setattr(
        "stapes.cli.serve.model.Options", lambda **limits: Options(pace=None, **limits)
    )


async def test_a_page_is_greeted_answered_and_logged_without_what_was_said() -> None:
    async with ServedHere(AGENT) as server:
        async with PageCaller(server.talk) as caller:
            await caller.until(lambda: texts.GREETING in caller.said("assistant"))
            assert caller.agents == ["Desk"]
            await caller.speak(QUESTION)
            await caller.until(lambda: texts.INSTALL in caller.said("assistant"))
            await caller.speak(QUESTION)
            await caller.until(lambda: texts.CALLED in caller.said("assistant"))
            assert caller.tools == [("opening_hours", "started"), ("opening_hours", "finished")]
        await server.until(lambda: "ended by: caller" in server.text)
    line = server.lines[-1]
    assert f"browser {caller.call_id} | " in line
    assert "agents: Desk | tools: opening_hours | " in line
    assert "seconds of speech" not in server.text
    assert texts.GREETING not in server.text


async def test_a_caller_interrupts_the_greeting() -> None:
    async with ServedHere(AGENT) as server:
        async with PageCaller(server.talk) as caller:
            await caller.until(lambda: len(caller.heard) > 24_000)
            await caller.speak(QUESTION)
            await caller.until(lambda: caller.told("interrupted"))
            await caller.until(lambda: texts.INSTALL in caller.said("assistant"))
        await server.until(lambda: "interruptions: 1" in server.text)
    assert texts.GREETING not in caller.said("assistant")


async def test_the_caller_may_speak_first() -> None:
    async with (
        ServedHere(AGENT, speaks_first="user") as server,
        PageCaller(server.talk) as caller,
    ):
        await caller.until(lambda: caller.agents)
        await caller.speak(QUESTION)
        await caller.until(lambda: texts.INSTALL in caller.said("assistant"))
        assert texts.GREETING not in caller.said("assistant")


async def test_typed_lines_call_tools_and_hand_over() -> None:
    async with ServedHere(AGENT) as server:
        async with PageCaller(server.talk) as caller:
            await caller.until(lambda: texts.GREETING in caller.said("assistant"))
            await caller.write("What are the opening hours?")
            await caller.until(lambda: texts.CALLED in caller.said("assistant"))
            await caller.write("Please connect me with billing.")
            await caller.until(lambda: caller.agents[-1] == "Billing")
            await caller.until(lambda: texts.HANDED_OVER in caller.said("assistant"))
        await server.until(lambda: "agents: Desk > Billing" in server.text)


@pytest.mark.parametrize(("approve", "runs"), [("all", True), ("none", False)])
async def test_nobody_is_asked_for_approval(approve: str, *, runs: bool) -> None:
    async with (
        ServedHere(AGENT, approve=approve) as server,
        PageCaller(server.talk) as caller,
    ):
        await caller.until(lambda: texts.GREETING in caller.said("assistant"))
        await caller.write("I want a refund.")
        await caller.until(lambda: texts.CALLED in caller.said("assistant"))
        assert ("Refunded." in caller.outputs) == runs


async def test_a_phone_is_answered_by_the_same_server() -> None:
    phones = read_phones(["twilio=/twilio"], None)
    async with ServedHere(AGENT, phones=phones) as server:
        url = f"{server.url.replace('http', 'ws', 1)}twilio"
        assert f"{url} (anyone may call: set TWILIO_AUTH_TOKEN" in server.text
        async with TwilioPhone(url) as phone:
            await phone.start()
            await phone.until(lambda: len(phone.heard) > 8_000)
            await phone.hang_up()
        await server.until(lambda: "twilio CA1 | " in server.text)


async def test_a_carrier_that_signs_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", "secret-of-twilio")
    public = "wss://voice.example.com"
    phones = read_phones(["twilio=/twilio"], public)
    with hold_port("127.0.0.1") as port:
        async with ServedHere(AGENT, port=port, phones=phones, public_url=public) as server:
            assert f"{public}/twilio (signatures are checked)" in server.text
            with pytest.raises(InvalidStatus, match="403"):
                async with TwilioPhone(f"ws://127.0.0.1:{port}/twilio"):
                    pass
    assert "secret" not in server.text


async def test_asterisk_calls_a_port_of_its_own() -> None:
    async with ServedHere(AGENT, audiosocket=0) as server:
        found = re.search(r"audiosocket +127\.0\.0\.1:(\d+)", server.text)
        assert found is not None, server.text
        reader, writer = await asyncio.open_connection("127.0.0.1", int(found[1]))
        call_id = uuid4()
        writer.write(b"\x01\x00\x10" + call_id.bytes)
        kind, size = struct.unpack(">BH", await reader.readexactly(3))
        assert (kind, size) == (0x10, 320)
        writer.close()
        await server.until(lambda: f"audiosocket {call_id} | " in server.text)


async def test_a_certificate_makes_it_https(tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "chain.pem")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    files = {"certificate": tmp_path / "chain.pem", "key": tmp_path / "key.pem"}
    async with ServedHere(AGENT, **files) as server:
        assert server.url.startswith("https://127.0.0.1:")
        page = await asyncio.to_thread(urlopen, server.url, context=context)
        assert b"stapes.js" in page.read()


async def test_a_model_that_cannot_be_had_is_an_apology_and_a_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    url = "ws://127.0.0.1:9/v1?key=secret"
    async with ServedHere(AGENT, dev=False, url=url) as server:
        assert "ws://127.0.0.1:9/v1" in server.text
        async with PageCaller(server.talk) as caller:
            await caller.until(lambda: caller.close_code is not None)
            assert len(caller.heard) > 24_000
        await server.until(lambda: "ended by: us" in server.text)
    assert "the model cannot be had" in caplog.text
    assert "Traceback" not in caplog.text
    assert "secret" not in server.text + caplog.text


async def test_who_hangs_up_at_once_is_a_line_and_no_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    async with ServedHere(AGENT) as server:
        for _ in range(20):
            async with PageCaller(server.talk):
                pass
            async with PageCaller(server.talk) as caller:
                await caller.until(lambda caller=caller: caller.told("state"))
        await server.until(lambda: server.text.count("ended by: caller") == 40)
    assert not caplog.text


async def test_an_agent_that_raises_is_an_apology_and_a_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def instructions(_context: Any, _agent: Any) -> str:
        raise KeyError("instructions")

    agent = RealtimeAgent(name="Broken", instructions=instructions)
    async with ServedHere(agent) as server:
        async with PageCaller(server.talk) as caller:
            await caller.until(lambda: caller.close_code is not None)
            assert len(caller.heard) > 24_000
        await server.until(lambda: "ended by: us" in server.text)
    assert "KeyError" in caplog.text


async def test_more_calls_than_allowed_are_refused() -> None:
    async with ServedHere(AGENT, max_calls=1) as server, PageCaller(server.talk) as first:
        await first.until(lambda: first.heard)
        async with PageCaller(server.talk) as second:
            await second.until(lambda: second.close_code is not None)
            assert second.close_code == 1013
        assert not second.heard


async def test_the_longest_call_is_ended() -> None:
    async with ServedHere(AGENT, max_call=0.5) as server:
        async with PageCaller(server.talk) as caller:
            await caller.until(lambda: caller.close_code is not None)
        await server.until(lambda: "ended by: limit" in server.text)


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ({}, True),
        ({"public": True}, False),
        ({"public_url": "wss://voice.example.com"}, False),
    ],
)
async def test_only_on_one_s_own_machine_the_page_shows_what_tools_give(
    options: dict[str, Any], *, shown: bool
) -> None:
    with hold_port("127.0.0.1") as port:
        origin = f"http://127.0.0.1:{port}"
        if "public_url" in options:
            origin = "https://voice.example.com"
        async with ServedHere(AGENT, port=port, speaks_first="user", **options) as server:
            assert server.url.startswith(origin)
            async with PageCaller(f"ws://127.0.0.1:{port}/talk", origin=origin) as caller:
                await caller.until(lambda: caller.agents)
                await caller.write("What are the opening hours?")
                await caller.until(lambda: ("opening_hours", "finished") in caller.tools)
    assert ("From nine to five." in caller.outputs) == shown
