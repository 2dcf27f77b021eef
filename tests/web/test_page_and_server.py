"""The page and stapes.js against the real thing: a listener, a session, the development server."""

from __future__ import annotations

import base64
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

from stapes import RealtimeAgent
from stapes.cli.load_agent import load_agent
from stapes.devserver import Call as ToolCall
from stapes.devserver import ScriptedMind, ToneVoice, Turn

sys.path.append(str(Path(__file__).parents[1] / "devserver"))

from chromium import Chromium, needs_chromium

QUESTIONS = Path(__file__).parents[2] / "examples" / "front_desk" / "questions"
RATE = 16_000
COUNTING = "One two three four five six seven eight nine ten eleven twelve thirteen fourteen."
ROWS = """[...document.querySelectorAll('#log > li')].map(row => [
    row.classList[1],
    (row.querySelector('.heard') ?? row).textContent.trim(),
])"""

pytestmark = [pytest.mark.real_time, needs_chromium]


SILENCE = np.zeros(48_000, "<i2")


def question(name: str) -> np.ndarray:
    """A question as the microphone hears it, at 48 kHz."""
    with wave.open(str(QUESTIONS / name)) as file:
        return np.repeat(np.frombuffer(file.readframes(file.getnframes()), "<i2"), 3)


@pytest.mark.parametrize("codec", ["pcm", "opus"])
async def test_an_interrupted_answer_is_remembered_as_far_as_the_page_had_played_it(
    run, serve, browse, codec
):
    model = await run(ScriptedMind([Turn(say=COUNTING)]), ToneVoice(), pace=8.0)
    desk, url = await serve(RealtimeAgent(name="Counter", instructions="Count."), model)
    browser = await browse(url + "bare", SILENCE)
    await browser.evaluate(f"dial({{ codec: '{codec}', parameters: {{ name: 'Ana' }} }})")
    await browser.until("of('agent').length")
    await browser.evaluate("call.say('Count')")
    await browser.until("call.played > 1.6")
    await browser.evaluate("call.interrupt()")
    await browser.until("of('transcript').some(({ interrupted }) => interrupted)")
    played = await browser.evaluate("call.played")
    [cut] = model.calls[0].sent.of("conversation.item.truncated")
    # What the page had played when it was told to clear.
    assert abs(cut["audio_end_ms"] - played * 1000) <= 60
    assert await browser.evaluate("call.received") == played
    assert await browser.evaluate("call.underruns") == 0
    [said] = await browser.evaluate("of('transcript').filter(({ interrupted }) => interrupted)")
    [item] = [it for it in model.calls[0].call.items if it.get("role") == "assistant"]
    assert said["text"] == item["content"][0]["transcript"]
    assert len(said["text"]) < len(COUNTING)
    assert await browser.evaluate("of('interrupted').length") == 1
    assert desk.calls[0].parameters["name"] == "Ana"
    await browser.evaluate("call.end()")
    assert (await desk.calls[0].ended()).by == "caller"
    assert browser.problems == []
    assert desk.problems == []


@pytest.mark.parametrize("is_speaking", [False, True])
async def test_a_call_goes_on_when_its_line_breaks(run, serve, browse, is_speaking):
    mind = ScriptedMind([Turn(when="Count", say=COUNTING), Turn(say="Good day.")])
    model = await run(mind, ToneVoice(), pace=8.0)
    desk, url = await serve(RealtimeAgent(name="Counter", instructions="Count."), model)
    browser = await browse(url + "bare", SILENCE)
    # The page's own socket, so that it can be broken as a network does.
    await browser.evaluate(
        "(() => { const Usual = WebSocket; window.sockets = [];"
        " window.WebSocket = class extends Usual { constructor(...given) {"
        "   super(...given); sockets.push(this) } } })()"
    )
    await browser.evaluate("dial()")
    await browser.until("of('agent').length")
    if is_speaking:
        await browser.evaluate("call.say('Count')")
        await browser.until("call.played > 1")
    await browser.evaluate("sockets[0].close(4000)")
    await browser.until("of('started').length === 2")
    assert await browser.evaluate("of('started')[1].resumed")
    await browser.evaluate("call.say('Hello')")
    await browser.until("of('transcript').some(({ text, final }) => final && text === 'Good day.')")
    played = await browser.evaluate("call.played")
    await browser.until("call.state === 'listening' && call.played === call.received")
    assert await browser.evaluate("call.played") - played < 3
    assert await browser.evaluate("call.underruns") == 0
    assert len(desk.calls) == 1
    await browser.evaluate("call.end()")
    assert (await desk.calls[0].ended()).by == "caller"
    assert desk.problems == []


@pytest.mark.parametrize("query", ["", "?transport=websocket"])
async def test_the_page_shows_a_conversation_with_an_interruption(run, serve, browse, query):
    from agents import function_tool

    @function_tool
    def weather(city: str) -> str:
        """The weather in a city."""
        return f"It is sunny in {city}."

    mind = ScriptedMind(
        [
            Turn(when="weather", call=ToolCall("weather", {"city": "Paris"})),
            Turn(after="weather", say="{output}"),
            Turn(say=COUNTING),
        ]
    )
    model = await run(mind, ToneVoice(), pace=8.0)
    agent = RealtimeAgent(name="Front desk", instructions="Be brief.", tools=[weather])
    desk, url = await serve(agent, model)
    browser = await browse(url + query, SILENCE)
    await browser.until("document.body.dataset.state === 'idle'")
    await browser.click("#call")
    await browser.until("document.getElementById('title').textContent === 'Front desk'")
    await write(browser, "What is the weather?")
    await browser.until("document.querySelector('.turn.agent .unheard')?.textContent === ''")
    await browser.until("document.body.dataset.state === 'listening'")
    await write(browser, "Count")
    await browser.until("document.querySelectorAll('.heard')[3]?.textContent.length > 12")
    await browser.click("#stop")
    await browser.until("document.querySelector('.turn.cut .scissors')")
    rows = await browser.evaluate(ROWS)
    items = [item for item in model.calls[0].call.items if item.get("role") == "assistant"]
    assert rows == [
        ["you", "What is the weather?"],
        ["tool", '⚙ weather(city="Paris")It is sunny in Paris.'],
        ["agent", "It is sunny in Paris."],
        ["you", "Count"],
        ["agent", items[-1]["content"][0]["transcript"].strip()],
    ]
    await browser.until("document.body.dataset.state === 'listening'")
    await browser.click("#call")
    await browser.until("document.body.dataset.state === 'ended'")
    assert (await desk.calls[0].ended()).by == "caller"
    assert browser.problems == []


async def write(browser: Chromium, words: str) -> None:
    await browser.until("!document.getElementById('words').disabled")
    await browser.evaluate("document.getElementById('words').focus()")
    await browser.command("Input.insertText", text=words)
    await browser.click("#write button")


@pytest.mark.parametrize("query", ["", "?transport=websocket"])
async def test_a_person_with_a_microphone_is_heard_and_answered(run, serve, browse, query):
    from stapes.devserver.listening import ListeningMind

    mind = ListeningMind()
    await mind.hear(bytes(2 * RATE), instructions="", tools=())
    model = await run(mind, pace=8.0)
    heard = np.concatenate([SILENCE, question("1-weather.wav"), np.tile(SILENCE, 9)])
    _, url = await serve(load_agent(str(QUESTIONS.parent / "agent.py")), model)
    browser = await browse(url + query, heard)
    await browser.until("document.body.dataset.state === 'idle'")
    await browser.click("#call")
    await browser.until(
        "document.querySelector('.turn.agent .heard')?.textContent.includes('degrees')"
    )
    assert await browser.evaluate(ROWS) == [
        ["you", "hello what is the weather in paris today"],
        ["tool", '⚙ weather(city="Paris")It is cloudy in Paris, with 17 degrees.'],
        ["agent", "It is cloudy in Paris, with 17 degrees."],
    ]
    assert browser.problems == []


async def test_a_voice_interrupts_and_the_cut_is_where_the_page_was(run, serve, browse):
    from stapes.devserver.listening import ListeningMind

    mind = ListeningMind()
    await mind.hear(bytes(2 * RATE), instructions="", tools=())
    model = await run(mind, pace=8.0)
    heard = [SILENCE, question("2-history.wav"), np.tile(SILENCE, 5), question("3-interrupt.wav")]
    desk, url = await serve(load_agent(str(QUESTIONS.parent / "agent.py")), model)
    browser = await browse(url + "bare", np.concatenate([*heard, np.tile(SILENCE, 9)]))
    await browser.evaluate("dial()")
    # The next answer does not begin before the caller has ended.
    await browser.until("of('interrupted').length")
    played = await browser.evaluate("call.played")
    await browser.until("of('transcript').some(({ interrupted }) => interrupted)")
    [cut] = model.calls[0].sent.of("conversation.item.truncated")
    assert cut["audio_end_ms"] > 1_000
    assert abs(cut["audio_end_ms"] - played * 1000) <= 60
    await browser.until("of('transcript').some(({ final, text }) => final && /Lisbon/.test(text))")
    await browser.until("call.played === call.received")
    assert await browser.evaluate("call.underruns") == 0
    assert desk.problems == []


async def test_what_is_played_is_what_the_model_said(run, serve, browse):
    said = "One two three four."
    voice = ToneVoice()
    model = await run(ScriptedMind([Turn(say=said)]), voice, pace=8.0)
    _, url = await serve(RealtimeAgent(name="Counter", instructions="Count."), model)
    browser = await browse(url + "bare", SILENCE)
    await browser.evaluate("dial()")
    await browser.until("of('agent').length")
    await browser.evaluate("tap()")
    await browser.evaluate("call.say('Count')")
    await browser.until("of('transcript').some(({ role, final }) => final && role === 'assistant')")
    await browser.until("call.played > 0.5 && call.played === call.received")
    sound = np.frombuffer(base64.b64decode(await browser.evaluate("playedBack()")), "<f4")
    loud = np.flatnonzero(np.abs(sound) > 1e-4)
    played = sound[loud[0] : loud[-1] + 1]
    # As long as what was counted, without a gap.
    counted = await browser.evaluate("call.played")
    assert counted * 24_000 >= len(played)
    assert await browser.evaluate("call.underruns") == 0
    silent = np.abs(played) < 1e-5
    runs = np.diff(np.flatnonzero(np.concatenate([[True], ~silent, [True]]))).max()
    assert runs < 0.3 * 24_000
