"""The page of `stapes serve`, with a server that says what it is told to."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[1] / "devserver"))

from chromium import needs_chromium

RATE = 24_000
ROWS = """[...document.querySelectorAll('#log > li')].filter(row => !row.hidden).map(row => [
    row.classList[1], (row.querySelector('.said') ?? row).textContent.trim() ])"""
SILENCE = np.zeros(48_000, "<i2")
# The server of these tests knows nothing of WebRTC.
PAGE = "?transport=websocket"

pytestmark = [pytest.mark.real_time, needs_chromium]


@pytest.fixture
def page(browse, server):
    """Open the page and call; return the browser and the line."""

    async def start(query: str = "") -> Any:
        browser = await browse(server.url + PAGE + query, SILENCE)
        await browser.until("document.body.dataset.state === 'idle'")
        await browser.click("#call")
        return browser, await server.next_line()

    return start


def said(role: str, item: str, text: str, **more: Any) -> dict[str, Any]:
    return {"role": role, "item_id": item, "text": text, "final": False} | more


async def shows(browser: Any, rows: list[list[str]]) -> None:
    expected = json.dumps(json.dumps(rows, ensure_ascii=False, separators=(",", ":")))
    await browser.until(f"JSON.stringify({ROWS}) === {expected}", 8)


async def test_what_a_caller_said_stands_before_the_answer_to_it_though_it_is_known_later(page):
    browser, line = await page()
    await line.event("agent", name="Desk")
    await line.event("tool", call_id="c", name="weather", status="started")
    await line.event("transcript", **said("assistant", "a", "It is sunny"))
    await line.play(np.full(3 * RATE, 50))
    await line.event("transcript", **said("user", "u", "What is"))
    await line.event("transcript", **said("user", "u", "What is the weather?", final=True))
    await line.event("tool", call_id="c", name="weather", status="finished")
    await shows(
        browser,
        [["you", "What is the weather?"], ["tool", "⚙ weather✓"], ["agent", "It is sunny"]],
    )
    # What is said after the answer stands after it.
    await line.event("transcript", **said("assistant", "a", "It is sunny.", final=True))
    await browser.until("!document.getElementById('stop').disabled")
    await browser.until("document.getElementById('stop').disabled")
    await line.event("transcript", **said("user", "v", "Thanks.", final=True))
    await browser.until("document.querySelectorAll('.turn.you').length === 2")
    assert (await browser.evaluate(ROWS))[-1] == ["you", "Thanks."]


async def test_words_are_black_when_they_were_heard_and_struck_when_they_were_cut(page):
    browser, line = await page()
    answer = "One two three four five six seven eight nine ten eleven twelve."
    await line.event("transcript", **said("assistant", "a", answer))
    await line.play(np.full(4 * RATE, 50))
    await line.event("transcript", **said("assistant", "a", answer, final=True))
    await browser.until("document.querySelector('.heard')?.textContent.length > 10")
    assert await browser.evaluate("document.querySelector('.unheard').textContent.length") > 10
    await line.tell("clear", generation=1)
    await line.event("interrupted")
    cut = said("assistant", "a", "One two three", final=True, interrupted=True)
    await line.event("transcript", **cut)
    await browser.until("document.querySelector('.turn.cut')")
    assert (
        await browser.evaluate("document.querySelector('.heard').textContent") == "One two three "
    )
    struck = "four five six seven eight nine ten eleven …"
    assert await browser.evaluate("document.querySelector('.unheard').textContent") == struck
    # A page that came back is told again, and what comes late changes nothing.
    await line.event("transcript", **cut)
    await line.event("transcript", **said("assistant", "a", answer))
    await line.event("guardrail")
    await browser.until("document.querySelector('.chip.alert')")
    assert await browser.evaluate("document.querySelectorAll('.scissors').length") == 1
    assert (
        await browser.evaluate("document.querySelector('.heard').textContent") == "One two three "
    )


async def test_an_answer_without_a_voice_is_shown_as_it_is(page):
    browser, line = await page()
    await line.event("transcript", **said("assistant", "a", "In writing.", final=True))
    await browser.until("document.querySelector('.heard')?.textContent === 'In writing.'")


async def test_what_the_caller_writes_is_shown_once(page):
    browser, line = await page()
    await browser.until("!document.getElementById('words').disabled")
    await browser.evaluate("document.getElementById('words').focus()")
    await browser.command("Input.insertText", text="Hello there")
    await browser.click("#write button")
    await line.until(lambda: line.of("say"), "the line")
    assert line.of("say") == [{"type": "say", "text": "Hello there"}]
    await line.event("transcript", **said("user", "u", "Hello there", final=True))
    await line.event("transcript", **said("assistant", "a", "Good day."))
    await shows(browser, [["you", "Hello there"], ["agent", "Good day."]])


async def test_a_caller_who_is_heard_has_a_line_until_it_is_known_that_nothing_was_said(page):
    browser, line = await page()
    await line.event("state", state="hearing")
    await browser.until("document.querySelector('.turn.you .dots')")
    await line.event("transcript", **said("user", "u", "", final=True))
    await browser.until("!document.querySelector('.turn')")


async def test_handoffs_tools_that_wait_or_fail_and_errors_are_lines_of_their_own(page):
    browser, line = await page()
    await line.event("agent", name="Front desk")
    await line.event("agent", name="Billing")
    arguments = {"amount": 40}
    tool = {"call_id": "c", "name": "refund", "arguments": arguments}
    await line.event("tool", **tool, status="waiting")
    await line.event("tool", call_id="d", name="weather", status="started")
    await line.event("tool", call_id="d", name="weather", status="failed")
    await line.event("error", message="The agent cannot be reached.")
    await shows(
        browser,
        [
            ["handoff", "Billing takes over"],
            ["tool", "⚙ refund(amount=40)waits for an approval"],
            ["tool", "⚙ weatherfailed"],
            ["alert", "The agent cannot be reached."],
        ],
    )
    assert await browser.evaluate("document.getElementById('title').textContent") == "Billing"


async def test_the_buttons_and_the_keyboard_do_what_they_say(page):
    browser, line = await page()
    await line.event("state", state="speaking")
    await browser.until("!document.getElementById('stop').disabled")
    await browser.click("#stop")
    await line.until(lambda: line.of("interrupt"), "the button")
    for kind in ("keyDown", "keyUp"):
        await browser.command("Input.dispatchKeyEvent", type=kind, key="Escape", code="Escape")
    await line.until(lambda: len(line.of("interrupt")) == 2, "the key")
    await browser.click("#mute")
    await browser.until("document.getElementById('mute').ariaPressed === 'true'")
    await line.play(np.full(RATE, 50))
    await line.until(lambda: not line.frames[-1].sound, "a report")
    await browser.click("#mute")
    await line.until(lambda: line.frames[-1].sound, "sound")
    await browser.click("#call")
    await line.until(lambda: line.of("end"), "the end")
    await browser.until("document.body.dataset.state === 'ended'")
    # And again.
    await browser.click("#call")
    await browser.until("document.body.dataset.state === 'listening'")
    assert browser.problems == []


async def test_what_the_address_asks_for_goes_along(page):
    browser, line = await page("&name=Ana&codec=opus")
    assert line.start["codec"] == "opus"
    assert line.socket.request.path == f"/talk{PAGE}&name=Ana&codec=opus"
    assert browser.problems == []


async def test_the_page_says_what_went_wrong_and_calls_again(browse, server):
    browser = await browse(server.url + PAGE, SILENCE)
    await browser.until("document.body.dataset.state === 'idle'")
    server.refusals = [1013]
    await browser.click("#call")
    await browser.until("document.body.dataset.state === 'failed'")
    assert "busy" in await browser.evaluate("document.getElementById('problem').textContent")
    await browser.click("#call")
    line = await server.next_line()
    await browser.until("document.body.dataset.state === 'listening'")
    assert await browser.evaluate("document.getElementById('problem').hidden")
    server.refusals = [4403]
    line.socket.transport.abort()
    await browser.until("document.body.dataset.state === 'lost'")
    assert "refuses" in await browser.evaluate("document.getElementById('problem').textContent")


async def test_a_broken_line_is_seen_and_taken_up_again(page, server):
    browser, line = await page()
    await line.event("agent", name="Desk")
    await line.event("transcript", **said("assistant", "a", "Good day.", final=True))
    server.refusals = [1011]
    line.socket.transport.abort()
    await browser.until("document.body.dataset.state === 'reconnecting'")
    again = await server.next_line()
    await again.event("agent", name="Desk")
    await again.event("transcript", **said("assistant", "a", "Good day.", final=True))
    await browser.until("document.body.dataset.state === 'listening'")
    await shows(browser, [["agent", "Good day."]])
    assert browser.problems == [] or all("WebSocket" in each for each in browser.problems)


@pytest.mark.parametrize(
    ("width", "height"), [(390, 844), (320, 568), (768, 1024), (1280, 800), (844, 390)]
)
async def test_everything_is_there_at_each_size(page, width, height):
    browser, line = await page()
    await browser.command(
        "Emulation.setDeviceMetricsOverride",
        width=width,
        height=height,
        deviceScaleFactor=1,
        mobile=width < 900,
    )
    await line.event("agent", name="The reception of a hotel with a name that is rather long")
    for number in range(12):
        text = "words " * 30 + "and_one_that_is_longer_than_a_line_of_a_small_telephone_is"
        await line.event("transcript", **said("user", f"u{number}", text, final=True))
    await browser.until("document.querySelectorAll('.turn').length === 12")
    assert await browser.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for selector in ("#call", "#mute", "#stop", "#words", "#log", "#title", "#clock"):
        box = await browser.evaluate(
            f"(({{ left, right, width, height }}) => [left, right, width, height])"
            f"(document.querySelector('{selector}').getBoundingClientRect())"
        )
        assert box[0] >= 0, selector
        assert box[1] <= width, selector
        assert min(box[2:]) > 15, selector
    if height != 320:
        assert await browser.evaluate("document.documentElement.scrollHeight <= innerHeight")


async def test_the_last_line_is_in_sight_when_the_window_changes(page):
    browser, line = await page()
    for number in range(12):
        await line.event("transcript", **said("user", f"u{number}", "words " * 30, final=True))
    await browser.until("document.querySelectorAll('.turn').length === 12")
    for width, height in ((390, 844), (844, 390), (1280, 800)):
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 900}
        await browser.command("Emulation.setDeviceMetricsOverride", **size)
        last = "[...document.querySelectorAll('.turn')].at(-1).getBoundingClientRect().bottom"
        await browser.until(f"innerWidth === {width}")
        await browser.until(
            f"{last} <= document.getElementById('log').getBoundingClientRect().bottom"
        )


async def test_controls_have_names_and_the_page_is_silent_while_the_agent_speaks(page):
    browser, line = await page()
    await browser.until("document.body.dataset.state === 'listening'")
    tree = await browser.command("Accessibility.getFullAXTree")
    named = [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in tree["nodes"]
        if node.get("role", {}).get("value") in ("button", "textbox", "meter", "log", "timer")
    ]
    assert all(name for _, name in named), named
    assert ("button", "Hang up") in named
    assert ("textbox", "Write instead of speaking") in named
    await line.event("state", state="speaking")
    await browser.until("document.getElementById('state').textContent.trim() === 'speaking'")
    live = "document.getElementById('announced').textContent"
    assert await browser.evaluate(live) == "connected"
    assert await browser.evaluate("document.getElementById('log').ariaLive") == "off"
