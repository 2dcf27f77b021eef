from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from stapes.devserver.listening import Recogniser, RecognitionError
from stapes.devserver.voices.espeak import EspeakVoice
from stapes.devserver.voices.hibari import HibariVoice

if TYPE_CHECKING:
    from stapes.devserver.listening import ListeningMind

pytest.importorskip("pocketsphinx")
NOBODY: dict[str, Any] = {"instructions": "", "tools": []}
SECOND = bytes(48_000)


async def spoken(text: str) -> bytes:
    speech = await HibariVoice().speak(text, voice="marin", speed=1.0)
    return bytes(12_000) + speech.pcm + bytes(24_000)


def function(name: str, description: str, **properties: Any) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return {"type": "function", "name": name, "description": description, "parameters": schema}


@pytest.mark.parametrize("sound", [b"", b"\0", bytes(200), SECOND])
async def test_silence_is_no_words(mind: ListeningMind, sound: bytes) -> None:
    assert await mind.hear(sound, **NOBODY) == ""


async def test_noise_is_no_words(mind: ListeningMind) -> None:
    noise = np.random.default_rng(1).normal(0.0, 40.0, 48_000).astype("<i2").tobytes()
    assert await mind.hear(noise, **NOBODY) == ""


async def test_words_beyond_the_agents_vocabulary_are_heard(mind: ListeningMind) -> None:
    heard = await mind.hear(await spoken("What is the capital of France?"), **NOBODY)
    assert heard == "what is the capital of france"


async def test_a_brand_that_is_in_no_dictionary_is_heard(mind: ListeningMind) -> None:
    agent = {"instructions": "You help customers of Zephyrix.", "tools": []}
    heard = await mind.hear(await spoken("What is Zephyrix?"), **agent)
    assert "zephyrix" in heard.split()


async def test_the_tools_words_decide_between_words_that_sound_alike(mind: ListeningMind) -> None:
    sound = await spoken("Please refund my order number four five seven.")
    order_id = {"type": "string"}
    shop = {
        "instructions": "",
        "tools": [function("refund", "Refund an order.", order_id=order_id)],
    }
    assert await mind.hear(sound, **shop) == "please refund my order number four five seven"


async def test_the_loop_runs_while_speech_is_recognised(mind: ListeningMind) -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    await mind.hear(await spoken("What is the capital of France?"), **NOBODY)
    counting.cancel()
    assert turns > 100


async def test_more_utterances_than_may_wait_are_refused() -> None:
    recogniser = Recogniser(waiting=1)
    hearing = [asyncio.create_task(recogniser.transcribe(SECOND, **NOBODY)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(RecognitionError, match="too many utterances"):
        await recogniser.transcribe(SECOND, **NOBODY)
    assert await asyncio.gather(*hearing) == ["", ""]


async def test_a_process_that_does_not_answer_is_replaced() -> None:
    recogniser = Recogniser(timeout_s=0.0)
    with pytest.raises(RecognitionError, match="process ended"):
        await recogniser.transcribe(SECOND, **NOBODY)


async def test_a_process_that_died_is_started_again() -> None:
    recogniser = Recogniser()
    process = recogniser._free.get()
    process.start().kill()
    recogniser._free.put(process)
    with pytest.raises(RecognitionError, match="process ended"):
        await recogniser.transcribe(SECOND, **NOBODY)
    assert await recogniser.transcribe(SECOND, **NOBODY) == ""


async def test_only_the_beginning_of_a_very_long_utterance_is_heard() -> None:
    recogniser = Recogniser(longest_s=2.0)
    sound = await spoken("Hello.")
    later = await spoken("What is the weather in Paris?")
    heard = await recogniser.transcribe(sound + SECOND + SECOND + later, **NOBODY)
    assert heard == "hello"


async def test_the_robotic_voice_is_understood_as_well(mind: ListeningMind) -> None:
    speech = await EspeakVoice().speak("What is the weather in Paris?", voice="echo", speed=1.0)
    weather = function("weather", "The weather in a city.", city={"type": "string"})
    heard = await mind.hear(speech.pcm, instructions="", tools=[weather])
    assert {"weather", "paris"} <= set(heard.split())
