from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stapes.cli.call.loudspeaker import Loudspeaker

RATE = 24_000
SECOND = 2 * RATE


def test_sound_is_heard_at_once_and_then_there_is_silence() -> None:
    loudspeaker = Loudspeaker(RATE)
    begins = loudspeaker.put("a", 0, b"\1\0" * 3)

    assert begins == 0.0
    assert loudspeaker.take(10) == b"\1\0" * 3 + bytes(4)
    assert not loudspeaker.playing


def test_what_is_put_later_begins_where_the_queue_ends() -> None:
    loudspeaker = Loudspeaker(RATE)
    loudspeaker.take(SECOND)
    loudspeaker.put("a", 0, bytes(SECOND // 2))

    assert loudspeaker.put("b", 0, bytes(SECOND)) == 1.5
    assert loudspeaker.end == 2.5
    assert loudspeaker.now == 1.0


def test_what_was_played_is_told_in_milliseconds_since_the_beginning_of_its_part() -> None:
    told: list[tuple[str, int, float]] = []
    loudspeaker = Loudspeaker(RATE, lambda *report: told.append(report))
    loudspeaker.put("a", 0, bytes(SECOND // 10))
    loudspeaker.put("a", 1, bytes(SECOND // 10))

    for _ in range(3):
        loudspeaker.take(SECOND * 6 // 100)

    assert told == [("a", 0, 60.0), ("a", 0, 100.0), ("a", 1, 20.0), ("a", 1, 80.0)]


def test_sound_that_comes_as_it_plays_waits_until_there_is_a_little_of_it() -> None:
    frame = b"\1\0" * (RATE // 50)
    loudspeaker = Loudspeaker(RATE, lead_s=0.05)
    loudspeaker.take(SECOND)

    assert loudspeaker.put("a", 0, frame) == 1.05
    assert loudspeaker.end == 1.07
    assert loudspeaker.take(len(frame)) == bytes(len(frame))
    assert loudspeaker.put("a", 0, frame) == 1.07
    assert loudspeaker.take(len(frame)) == bytes(len(frame))
    heard = loudspeaker.take(len(frame))
    assert heard == bytes(len(frame) // 2) + frame[: len(frame) // 2]
    # What is left is played even if no more comes.
    assert loudspeaker.take(2 * len(frame)).startswith(frame + frame[: len(frame) // 2])
    assert not loudspeaker.playing


def test_a_cut_gives_back_what_was_not_played_and_leaves_silence() -> None:
    loudspeaker = Loudspeaker(RATE)
    loudspeaker.put("a", 0, b"\1\0\2\0")
    loudspeaker.put("a", 0, b"\3\0")
    loudspeaker.take(2)

    cut = loudspeaker.clear()

    assert cut is not None
    assert cut.pcm == b"\2\0\3\0"
    assert cut.at == pytest.approx(1 / RATE)
    assert loudspeaker.take(4) == bytes(4)
    assert loudspeaker.clear() is None


@given(
    pieces=st.lists(st.binary(max_size=40).filter(lambda piece: len(piece) % 2 == 0), max_size=8),
    takes=st.lists(st.integers(0, 30).map(lambda samples: 2 * samples), max_size=12),
)
def test_all_sound_comes_out_once_and_in_order(pieces: list[bytes], takes: list[int]) -> None:
    loudspeaker = Loudspeaker(RATE)
    for piece in pieces:
        loudspeaker.put("a", 0, piece)
    whole = b"".join(pieces)

    heard = b"".join(loudspeaker.take(size) for size in takes)

    assert heard == whole[: len(heard)].ljust(sum(takes), b"\0")
    rest = loudspeaker.clear()
    assert (rest.pcm if rest else b"") == whole[sum(takes) :]
