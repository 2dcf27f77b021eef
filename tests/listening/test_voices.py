from __future__ import annotations

import asyncio
import importlib.util
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from stapes.devserver.resampling import resample
from stapes.devserver.voices import espeak_ng, offline_voice
from stapes.devserver.voices.espeak import TIMBRES, EspeakVoice, timbre_of
from stapes.devserver.voices.hibari import TONES, HibariVoice
from stapes.devserver.voices.sound import VoiceUnavailableError

if TYPE_CHECKING:
    from stapes.devserver.mind import Voice

TEXT = "The weather in Paris is fine."


@pytest.fixture(scope="module", params=[EspeakVoice, HibariVoice])
def voice(request: pytest.FixtureRequest) -> Voice:
    made: Voice = request.param()
    return made


async def pcm(voice: Voice, text: str = TEXT, name: str = "marin", speed: float = 1.0) -> bytes:
    return (await voice.speak(text, voice=name, speed=speed)).pcm


def seconds(pcm: bytes) -> float:
    return len(pcm) / 48_000


async def test_speech_is_whole_samples_of_a_plausible_length(voice: Voice) -> None:
    speech = await pcm(voice)
    assert len(speech) % 2 == 0
    assert 1.0 < seconds(speech) < 4.0


async def test_the_same_text_is_the_same_sound() -> None:
    voice = HibariVoice()
    first = await pcm(voice)
    await pcm(voice, "Something else.", "cedar")
    assert await pcm(voice) == first


async def test_every_named_voice_has_a_sound_of_its_own(voice: Voice) -> None:
    sounds = [await pcm(voice, name=name) for name in TONES]
    assert TONES.keys() == TIMBRES.keys()
    assert len(set(sounds)) == len(sounds)


async def test_an_unknown_name_is_always_the_same_voice() -> None:
    voice = HibariVoice()
    assert await pcm(voice, name="nobody") == await pcm(voice, name="nobody")
    assert timbre_of("nobody") == timbre_of("nobody")


async def test_voices_are_equally_loud_and_do_not_clip(voice: Voice) -> None:
    for name in TONES:
        sound = np.frombuffer(await pcm(voice, name=name), "<i2") / 32_768
        rms = np.sqrt(np.mean(np.square(sound[np.abs(sound) > 0.01])))
        assert 0.05 < rms < 0.12
        assert np.max(np.abs(sound)) < 0.95


async def test_speed_is_the_pace(voice: Voice) -> None:
    usual = seconds(await pcm(voice))
    assert seconds(await pcm(voice, speed=1.5)) < 0.8 * usual
    assert seconds(await pcm(voice, speed=0.7)) > 1.2 * usual


@pytest.mark.parametrize("text", ["", "   ", "\0"])
async def test_nothing_to_say_is_no_sound(voice: Voice, text: str) -> None:
    assert await pcm(voice, text) == b""


@pytest.mark.parametrize("text", ["日本語, 24 °C & 50 %", "<speak>&amp;</speak>", "a\ud800b", "…"])
async def test_any_text_can_be_spoken(voice: Voice, text: str) -> None:
    assert len(await pcm(voice, text)) % 2 == 0


async def test_speakers_at_the_same_time_do_not_mix(voice: Voice) -> None:
    texts = [" ".join(["One more word."] * count) for count in range(1, 7)]
    alone = [seconds(await pcm(voice, text)) for text in texts]
    together = await asyncio.gather(*(pcm(voice, text) for text in texts))
    assert [seconds(one) for one in together] == pytest.approx(alone, rel=0.02)


async def test_a_text_that_is_too_long_is_cut() -> None:
    assert seconds(await pcm(EspeakVoice(longest_s=1.0), TEXT * 20)) == pytest.approx(1.0, abs=0.01)
    short = HibariVoice(longest=len(TEXT))
    assert await pcm(short, TEXT * 20) == await pcm(short)


def test_without_any_synthesiser_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    monkeypatch.setattr("stapes.devserver.voices.find_spec", lambda _name: None)
    monkeypatch.setitem(__import__("sys").modules, "espeakng_loader", None)
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    espeak_ng.find_synthesiser.cache_clear()
    with pytest.raises(VoiceUnavailableError, match=r"stapes\[speech\]"):
        offline_voice()


def test_a_library_that_is_none_is_an_error(tmp_path: Any) -> None:
    with pytest.raises(VoiceUnavailableError, match="cannot load"):
        espeak_ng.Library(str(tmp_path / "no.so"), str(tmp_path))


@pytest.mark.parametrize(
    ("source", "target"), [(22_050, 24_000), (24_000, 16_000), (19_680, 24_000)]
)
def test_a_tone_keeps_its_pitch_and_strength_when_resampled(source: int, target: int) -> None:
    time = np.arange(source) / source
    tone = np.sin(2 * np.pi * 1_000 * time).astype(np.float32)
    made = resample(tone, source, target)
    expected = np.sin(2 * np.pi * 1_000 * np.arange(target) / target)
    inside = slice(200, -200)
    assert len(made) == target
    assert np.max(np.abs(made[inside] - expected[inside])) < 1e-3
