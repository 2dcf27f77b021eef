"""The page, in a browser: Chromium speaks a WAV file, and is answered."""

from __future__ import annotations

import wave
from pathlib import Path

import pytest
from chromium import Chromium, needs_chromium, write_wav

from stapes.devserver import Call, ScriptedMind, ToneVoice, Turn

QUESTIONS = Path(__file__).parents[2] / "examples" / "front_desk" / "questions"
RATE = 16_000
TURNS = """[...document.querySelectorAll('#log > li')].map(row => [
    row.classList[1],
    (row.querySelector('.said')?.firstElementChild.textContent ?? row.textContent).trim(),
])"""

pytestmark = [pytest.mark.real_time, needs_chromium]


def question(name: str) -> bytes:
    with wave.open(str(QUESTIONS / name)) as file:
        return file.readframes(file.getnframes())


def silence(seconds: float) -> bytes:
    return bytes(2 * int(seconds * RATE))


def page_of(server) -> str:
    return server.http_url.removesuffix("/v1") + "/"


@pytest.fixture
def browse(tmp_path, stack):
    """Open the page of a server in a browser that hears what is given."""

    async def start(server, heard: bytes) -> Chromium:
        microphone = write_wav(tmp_path / "heard.wav", heard, RATE)
        browser = await stack.enter_async_context(Chromium(tmp_path / "browser", microphone))
        await browser.open(page_of(server))
        return browser

    return start


async def test_a_person_with_nothing_but_a_browser_is_heard_and_answered(run, browse):
    from stapes.devserver.listening import ListeningMind

    mind = ListeningMind()
    await mind.hear(bytes(2 * RATE), instructions="", tools=())
    server = await run(mind, pace=4.0)
    browser = await browse(server, silence(1.0) + question("1-weather.wav") + silence(9.0))
    await browser.click("#call")
    await browser.until("document.body.dataset.state === 'listening'")
    await browser.until("document.querySelector('.turn.agent .meta')")
    await browser.until("document.body.dataset.state === 'listening'")
    assert await browser.evaluate(TURNS) == [
        ["you", "hello what is the weather in paris today"],
        ["tool", '⚙ weather(city="Paris")It is cloudy in Paris, with 17 degrees.'],
        ["agent", "It is cloudy in Paris, with 17 degrees."],
    ]
    await browser.click("#call")
    await browser.until("document.body.dataset.state === 'ended'")
    await server.calls[0].wait_closed()
    assert browser.problems == []


async def test_an_answer_is_interrupted_with_words_or_with_the_button(run, browse):
    mind = ScriptedMind(
        [
            Turn(when="pool", call=Call("opening_hours", {"place": "pool"})),
            Turn(say="One two three four five six seven eight nine ten."),
        ]
    )
    server = await run(mind, ToneVoice(), pace=4.0)
    browser = await browse(server, silence(0.2))
    await browser.click("#call")
    for words in ("Count", "Again"):
        await browser.until("!document.getElementById('words').disabled")
        await browser.evaluate("document.getElementById('words').focus()")
        await browser.command("Input.insertText", text=words)
        await browser.click("#write button")
        await browser.until(
            f"document.querySelectorAll('.turn.you').length === {1 + (words == 'Again')}"
        )
        await browser.until(
            "[...document.querySelectorAll('.heard')].at(-1).textContent.length > 12"
        )
    await browser.click("#stop")
    await browser.until("document.querySelectorAll('.turn.cut').length === 2")
    cuts = server.calls[0].sent.of("conversation.item.truncated")
    remembered = [
        item["content"][0]["transcript"]
        for item in server.calls[0].call.items
        if item["role"] == "assistant"
    ]
    shown = await browser.evaluate(TURNS)
    assert len(cuts) == 2
    assert [text for who, text in shown if who == "agent"] == remembered
    await browser.until("document.body.dataset.state === 'listening'")
    assert browser.problems == []


async def test_the_page_says_what_went_wrong(run, browse):
    server = await run(ScriptedMind(), api_keys=frozenset({"right"}))
    browser = await browse(server, silence(0.2))
    await browser.click("#call")
    await browser.until("!document.getElementById('problem').hidden")
    assert "API key" in await browser.evaluate("document.getElementById('problem').textContent")
    await browser.evaluate("document.getElementById('key').value = 'right'")
    await browser.click("#key-form button")
    await browser.until("document.body.dataset.state === 'listening'")
    await server.calls[0].close()
    await browser.until("document.body.dataset.state === 'lost'")
    # The key is remembered.
    await browser.click("#call")
    await browser.until("document.body.dataset.state === 'listening'")
