from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stapes.devserver.audio import g711
from stapes.devserver.audio.formats import FORMATS, RATE
from stapes.devserver.audio.vad import VoiceActivity
from stapes.devserver.resampling import Resampler, resample
from stapes.devserver.session.speaking import steps

ALL = np.arange(-32_768, 32_768, dtype=np.int16)
LAWS = {
    "mu": (g711.encode_mu_law, g711.decode_mu_law),
    "a": (g711.encode_a_law, g711.decode_a_law),
}


@pytest.mark.parametrize("law", LAWS)
def test_every_code_word_survives_the_round_trip(law):
    encode, decode = LAWS[law]
    words = bytes(range(256))
    again = encode(decode(words))
    same = [word for word in range(256) if again[word] == word]
    # mu-law has two words for zero, 0x7F and 0xFF; only the second is sent.
    assert len(same) >= 255
    assert np.array_equal(decode(again), decode(words))


@pytest.mark.parametrize(("law", "step"), [("mu", 2 / 33), ("a", 2 / 33)])
def test_every_sample_is_kept_within_half_a_step(law, step):
    encode, decode = LAWS[law]
    error = np.abs(decode(encode(ALL)).astype(int) - ALL)
    assert np.all(error <= np.maximum(16, np.abs(ALL.astype(int)) * step) + (ALL == -32_768) * 700)


def test_known_words_of_the_recommendation():
    samples = np.array([0, 32_767, -32_768, 1_000, -1_000], dtype=np.int16)
    assert g711.encode_mu_law(samples).hex() == "ff8000ce4e"
    assert g711.encode_a_law(samples).hex() == "d5aa2afa7a"


def test_a_phone_tone_keeps_its_pitch_and_level_on_the_way_out():
    time = np.arange(RATE) / RATE
    tone = (np.sin(2 * np.pi * 440 * time) * 8_000).astype("<i2").tobytes()
    samples = g711.decode_mu_law(FORMATS["audio/pcmu"].encode(tone)).astype(float)
    assert len(samples) == 8_000
    spectrum = np.abs(np.fft.rfft(samples)) / 4_000
    assert int(np.argmax(spectrum)) == 440
    assert abs(spectrum[440] - 8_000) < 200


@given(
    st.lists(st.integers(1, 3_000), min_size=1, max_size=12),
    st.integers(0, 2**32 - 1),
)
def test_voice_activity_does_not_depend_on_how_sound_is_cut(cuts, seed):
    rng = np.random.default_rng(seed)
    loud = rng.integers(0, 2, 30).repeat(2_400)
    samples = (rng.standard_normal(len(loud)) * (30 + 6_000 * loud)).clip(-32_768, 32_767)
    sound = samples.astype(np.int16)

    def decisions(pieces):
        activity = VoiceActivity(rate=24_000, silence_duration_ms=200)
        return [decision for piece in pieces for decision in activity.feed(piece)]

    places = np.cumsum(cuts)
    assert decisions(np.split(sound, places[places < len(sound)])) == decisions([sound])


@given(
    st.lists(st.text("abc", min_size=1, max_size=9), min_size=1, max_size=20),
    st.integers(0, 20_000),
    st.sampled_from(sorted(FORMATS)),
    st.integers(10, 200),
)
def test_all_words_and_all_sound_of_a_speech_go_out(words, samples, name, chunk_ms):
    pcm = bytes(2 * samples)
    audio = FORMATS[name]
    made = list(steps(words, pcm, audio, chunk_ms=chunk_ms))
    assert [word for step in made for word, _ in step.words] == words
    assert b"".join(step.pcm for step in made) == pcm
    assert b"".join(step.encoded for step in made) == audio.encode(pcm)
    assert sum(step.audio_ms for step in made) == pytest.approx(samples / 24)
    spoken = [said for step in made for _, said in step.words]
    assert spoken == sorted(spoken)
    assert spoken[-1] == pytest.approx(samples / 24)


RATES = (8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000)


@given(
    st.sampled_from(RATES),
    st.booleans(),
    st.lists(st.integers(0, 900), min_size=1, max_size=20),
    st.integers(0, 2**32 - 1),
)
def test_a_stream_is_resampled_as_the_whole_is(rate, outwards, cuts, seed):
    source, target = (RATE, rate) if outwards else (rate, RATE)
    rng = np.random.default_rng(seed)
    sound = rng.integers(-20_000, 20_000, sum(cuts)).astype(np.int16)
    stream = Resampler(source, target)
    for _ in range(2):  # `flush` begins anew
        pieces = [stream.feed(piece) for piece in np.split(sound, np.cumsum(cuts)[:-1])]
        got = np.concatenate([*pieces, stream.flush()]).astype(int)
        whole = np.clip(np.rint(resample(sound.astype(np.float32), source, target)), -(2**15), None)
        assert len(got) == len(whole)
        assert np.all(np.abs(got - np.minimum(whole, 2**15 - 1)) <= 1)
