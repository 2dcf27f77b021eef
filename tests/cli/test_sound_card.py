from __future__ import annotations

import asyncio
import sys
import threading

import pytest
from fake_sounddevice import FakeLibrary, FakeStream, saying

from stapes.cli.call.device import SoundDeviceError
from stapes.cli.call.sound_card import SoundCard, load_sounddevice


async def test_frames_go_to_and_fro_in_the_sound_card_s_thread() -> None:
    library = FakeLibrary()
    frames = [b"\1\0" * 480, b"\2\0" * 480]
    library.microphone = saying(frames)
    heard: list[bytes] = []

    def exchange(frame: bytes) -> bytes:
        heard.append(frame)
        return frame[::-1]

    with pytest.raises(SoundDeviceError, match="stopped"):
        await SoundCard(library=library).run(exchange)

    assert heard == frames
    assert library.stream is not None
    assert library.stream.played == [frame[::-1] for frame in frames]
    assert library.stream.options["blocksize"] == 480


async def test_a_failure_in_its_thread_reaches_the_caller() -> None:
    library = FakeLibrary()
    library.microphone = saying([bytes(960)] * 3)

    def exchange(_frame: bytes) -> bytes:
        raise RuntimeError("lost")

    with pytest.raises(RuntimeError, match="lost"):
        await SoundCard(library=library).run(exchange)


async def test_it_runs_until_it_is_cancelled() -> None:
    library = FakeLibrary()
    begun = asyncio.Event()
    ended = threading.Event()
    loop = asyncio.get_running_loop()

    class Waiting(FakeStream):
        def _run(self) -> None:
            loop.call_soon_threadsafe(begun.set)
            ended.wait()
            self.options["finished_callback"]()

        def __exit__(self, *problem: object) -> None:
            ended.set()
            super().__exit__()

    library.RawStream = lambda **options: Waiting(saying([]), options)  # type: ignore[method-assign]
    running = asyncio.create_task(SoundCard(library=library).run(lambda frame: frame))
    await begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


def test_without_a_device_the_message_says_what_to_do() -> None:
    with pytest.raises(SoundDeviceError, match=r"no microphone on this machine.*--in"):
        SoundCard(library=FakeLibrary(names=()))


def test_an_unknown_device_is_answered_with_those_there_are() -> None:
    library = FakeLibrary(names=("Headset", "Monitor"))
    with pytest.raises(SoundDeviceError, match=r"no loudspeaker like 'Radio'.*1 Monitor"):
        SoundCard("Headset", "Radio", library=library)


async def test_a_device_that_cannot_be_opened_is_named_as_the_cause() -> None:
    card = SoundCard(library=FakeLibrary(opens=False))
    with pytest.raises(SoundDeviceError, match="invalid sample rate"):
        await card.run(lambda frame: frame)


def test_without_the_library_the_message_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(SoundDeviceError, match=r"pip install 'stapes\[audio\]'"):
        load_sounddevice()
