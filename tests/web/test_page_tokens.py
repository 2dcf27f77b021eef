"""The token of a page: from `new VoiceCall({ token })`, and from the fragment of its URL."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from stapes import RealtimeAgent
from stapes._core import calls as core
from stapes.calls import TOKEN_PARAMETER, CallTokens
from stapes.testing import ScriptedServer

sys.path.append(str(Path(__file__).parents[1] / "devserver"))

from chromium import needs_chromium

if TYPE_CHECKING:
    from contextlib import AsyncExitStack

SILENCE = np.zeros(48_000, "<i2")
LINES = [
    pytest.param(
        "webrtc", marks=pytest.mark.skipif(not core.HAS_WEBRTC, reason="a core without WebRTC")
    ),
    "websocket",
]
# The server of some of these tests knows nothing of WebRTC.
PAGE = "?transport=websocket"

pytestmark = [pytest.mark.real_time, needs_chromium]


@pytest.fixture
async def guarded(serve: Any, stack: AsyncExitStack) -> tuple[Any, str, CallTokens]:
    """A listener that wants tokens: its desk, its URL, and what makes them."""
    model = await stack.enter_async_context(ScriptedServer())
    tokens = CallTokens()
    desk, url = await serve(RealtimeAgent(name="Desk", instructions="Hi."), model, tokens=tokens)
    return desk, url, tokens


@pytest.mark.parametrize("token", ["'abc'", "() => 'abc'", "async () => 'abc'"])
async def test_a_token_goes_with_the_first_message_and_in_no_url(call, server, token):
    browser, line = await call(f"{{ token: {token}, parameters: {{ name: 'Ana' }} }}")
    assert line.start["parameters"] == {"name": "Ana", TOKEN_PARAMETER: "abc"}
    assert "/talk" in server.paths
    assert not any("abc" in path for path in server.paths)
    assert browser.problems == []


async def test_a_line_that_is_dialled_again_brings_the_token_that_the_call_has(call, server):
    browser, line = await call(
        "{ token: async () => `token ${(window.minted = (window.minted ?? 0) + 1)}` }"
    )
    await line.socket.close(1011)
    again = await server.next_line()
    assert [it.start["parameters"][TOKEN_PARAMETER] for it in (line, again)] == ["token 1"] * 2
    assert await browser.evaluate("minted") == 1


async def test_a_token_is_asked_for_when_the_visitor_has_allowed_the_microphone(browse, server):
    browser = await browse(server.url + "bare", SILENCE)
    await browser.evaluate("dial({ token: () => { window.had = tracks.length; return 'abc'; } })")
    await server.next_line()
    assert await browser.evaluate("had") == 1


@pytest.mark.parametrize(
    ("token", "says"),
    [
        ("async () => { throw new Error('log in first') }", "log in first"),
        ("() => { throw 'log in first' }", "log in first"),
        ("async () => undefined", "no text"),
        ("async () => ({ secret: 'abc' })", "no text"),
        ("() => ''", "empty"),
        ("''", "empty"),
    ],
)
async def test_without_a_token_no_call_is_made_and_the_microphone_given_back(
    browse, server, token, says
):
    browser = await browse(server.url + "bare", SILENCE)
    failure = await browser.evaluate(f"failure(dial({{ token: {token} }}))")
    assert failure["code"] == "no-token"
    assert says in failure["message"]
    assert "abc" not in failure["message"]
    assert await browser.evaluate("call.state") == "ended"
    assert await browser.evaluate("tracks.every(({ readyState }) => readyState === 'ended')")
    assert server.dials == 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("{ token: 5 }", "of type number"),
        ("{ token: { secret: 'abc' } }", "of type object"),
        ("{ token: 'abc', parameters: { stapes_token: 'abc' } }", "give one of them"),
    ],
)
async def test_what_is_no_token_is_refused_by_name(browse, server, options, says):
    browser = await browse(server.url + "bare", SILENCE)
    told = await browser.evaluate(
        f"(() => {{ try {{ dial({options}) }} catch (error) {{ return `${{error}}` }} }})()"
    )
    assert told.startswith("TypeError: token")
    assert says in told
    assert "abc" not in told


async def test_a_call_may_be_ended_while_its_token_is_waited_for(browse, server):
    browser = await browse(server.url + "bare", SILENCE)
    await browser.evaluate(
        """(() => {
            const given = new Promise((give) => (window.give = give));
            window.made = failure(dial({ token: () => { window.waits = true; return given; } }));
        })()"""
    )
    await browser.until("window.waits")
    failure = await browser.evaluate("(() => { call.end(); give('abc'); return made })()")
    assert failure["code"] == "ended"
    assert await browser.evaluate("tracks.every(({ readyState }) => readyState === 'ended')")
    assert server.dials == 0
    assert browser.problems == []


@pytest.mark.parametrize("transport", LINES)
async def test_a_server_that_wants_tokens_takes_them_over_either_line(guarded, browse, transport):
    desk, url, tokens = guarded
    browser = await browse(url + "bare", SILENCE)
    token = tokens.mint("/talk")
    options = f"{{ transport: '{transport}', token: async () => '{token}' }}"
    await browser.evaluate(f"dial({options})")
    await browser.until("of('agent').length")
    assert await browser.evaluate("call.transport") == transport
    assert desk.calls[0].parameters == {TOKEN_PARAMETER: token}
    await browser.evaluate("call.end()")
    # It is good once.
    await browser.evaluate(f"failure(dial({options}))")
    await browser.until("of('ended').length === 2")
    assert [each.get("code") for each in await browser.evaluate("of('ended')")] == [None, "refused"]
    assert len(desk.calls) == 1


async def test_the_page_brings_the_token_of_its_fragment(browse, server):
    browser = await browse(f"{server.url}{PAGE}&name=Ana#token=abc", SILENCE)
    await browser.until("document.body.dataset.state === 'idle'")
    await browser.click("#call")
    line = await server.next_line()
    assert line.start["parameters"] == {TOKEN_PARAMETER: "abc"}
    assert "name=Ana" in line.socket.request.path
    assert not any("abc" in path for path in server.paths)
    # Another one for another call, without loading the page again.
    await browser.click("#call")
    await browser.until("document.body.dataset.state === 'ended'")
    await browser.evaluate("location.hash = 'token=def'")
    await browser.click("#call")
    again = await server.next_line()
    assert again.start["parameters"] == {TOKEN_PARAMETER: "def"}


@pytest.mark.parametrize("fragment", ["", "#", "#token=", "#top"])
async def test_the_page_calls_without_a_token_where_its_fragment_has_none(browse, server, fragment):
    browser = await browse(server.url + PAGE + fragment, SILENCE)
    await browser.until("document.body.dataset.state === 'idle'")
    await browser.click("#call")
    line = await server.next_line()
    assert line.start["parameters"] == {}


@pytest.mark.parametrize("transport", LINES)
async def test_the_page_calls_a_server_that_wants_tokens(guarded, browse, transport):
    desk, url, tokens = guarded
    token = tokens.mint("/talk")
    browser = await browse(f"{url}?transport={transport}#token={token}", SILENCE)
    await browser.until("document.body.dataset.state === 'idle'")
    await browser.click("#call")
    await browser.until("document.getElementById('title').textContent === 'Desk'")
    await browser.click("#call")
    await browser.until("document.body.dataset.state === 'ended'")
    async with asyncio.timeout(10):
        assert (await desk.calls[0].ended()).by == "caller"
    # The same link does not call twice.
    await browser.click("#call")
    await browser.until("!document.getElementById('problem').hidden")
    assert "token is not allowed" in await browser.evaluate(
        "document.getElementById('problem').textContent"
    )
    assert len(desk.calls) == 1
