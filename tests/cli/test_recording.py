from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from simulated import LOUDSPEAKER_RATE, MICROPHONE_RATE, SimulatedCall, voice

from stapes.audio import read_wav
from stapes.cli.call.recording import RATE, Recording

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def loud_from_to(samples: NDArray[np.int16]) -> tuple[float, float]:
    """The seconds of the first and the last loud sample."""
    loud = np.flatnonzero(np.abs(samples.astype(int)) > 2000)
    return float(loud[0]) / RATE, float(loud[-1]) / RATE


def test_both_voices_stand_where_they_were_heard() -> None:
    call = SimulatedCall()
    call.wait(1.0)
    call.ask(voice(1.0, MICROPHONE_RATE), "hello")
    call.answer(voice(2.0, LOUDSPEAKER_RATE), "hello to you", after=0.5)
    call.hear_out()

    stereo = call.recording.stereo()

    np.testing.assert_allclose(loud_from_to(stereo[:, 0]), (1.0, 2.0), atol=0.03)
    np.testing.assert_allclose(loud_from_to(stereo[:, 1]), (3.0, 5.0), atol=0.03)


def test_an_interrupted_answer_ends_in_the_recording_where_it_was_cut() -> None:
    call = SimulatedCall()
    call.answer(voice(5.0, LOUDSPEAKER_RATE), "a long answer", after=0.0)
    call.wait(2.0)
    call.interrupt()
    call.wait(2.0)

    _, end = loud_from_to(call.recording.stereo()[:, 1])

    np.testing.assert_allclose(end, 2.0, atol=0.02)


def test_an_interrupted_answer_has_played_as_long_as_was_told() -> None:
    call = SimulatedCall()
    call.answer(voice(5.0, LOUDSPEAKER_RATE), "a long answer", after=0.0)
    call.wait(1.5)
    call.interrupt()
    call.wait(0.5)

    _, end = loud_from_to(call.recording.stereo()[:, 1])

    np.testing.assert_allclose(call.played[-1][2] / 1000, end, atol=0.02)


def test_a_recording_ends_where_its_limit_is() -> None:
    recording = Recording(RATE, RATE, longest_s=0.5)
    for _ in range(10):
        recording.add(bytes(RATE // 5), bytes(RATE // 5))

    assert len(recording.stereo()) == RATE // 2


def test_it_is_written_as_stereo_with_the_caller_on_the_left(tmp_path: Path) -> None:
    recording = Recording(RATE, RATE)
    recording.add(b"\1\0" * 480, b"\2\0" * 480)
    recording.write(tmp_path / "call.wav")

    samples, rate = read_wav(tmp_path / "call.wav")

    assert rate == RATE
    assert samples.shape == (480, 2)
    assert (samples == [1, 2]).all()
