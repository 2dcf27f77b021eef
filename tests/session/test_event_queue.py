"""What a reader has not read yet is bounded, whatever comes in whatever order."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from stapes import Audio, ConnectionChanged, Lagging, SessionEvent, TranscriptDelta, TransportEvent
from stapes._core import EventQueue

MOST_EVENTS, MOST_BYTES = 8, 100

words = st.text("abc", min_size=1, max_size=30)
EVENTS = st.one_of(
    st.builds(TranscriptDelta, st.just("assistant"), words, st.sampled_from(["i1", "i2"])),
    st.builds(Audio, st.binary(min_size=1, max_size=40), st.just("r"), st.just("i"), st.just(0)),
    st.builds(TransportEvent, st.just({}), st.integers(1, 40)),
    st.builds(ConnectionChanged, st.just("connected"), words),
)


def bytes_of(event: SessionEvent) -> int:
    match event:
        case Audio(data=sound):
            return len(sound)
        case TransportEvent(size=size):
            return size
        case TranscriptDelta(delta=delta):
            return len(delta)
    return 0


def next_of(queue: EventQueue) -> SessionEvent:
    event = queue.get()
    assert event is not None
    return event


@given(st.lists(st.one_of(EVENTS, st.none()), max_size=60))
def test_what_waits_is_bounded_and_what_is_lost_is_told(steps: list[SessionEvent | None]) -> None:
    queue = EventQueue(MOST_EVENTS, MOST_BYTES, lossy=True)
    given_in: list[SessionEvent] = []
    read: list[SessionEvent] = []
    for step in steps:
        # Nothing stands for a reader that reads one.
        if step is not None:
            queue.put(step)
            given_in.append(step)
        elif len(queue):
            read.append(next_of(queue))
        assert len(queue.waiting()) <= MOST_EVENTS
        assert sum(map(bytes_of, queue.waiting())) <= MOST_BYTES
    while len(queue):
        read.append(next_of(queue))
    told = [event for event in read if isinstance(event, Lagging)]
    for kind, lost in (
        (Audio, sum(event.audio for event in told)),
        (TransportEvent, sum(event.transport_events for event in told)),
    ):
        came = [event for event in given_in if isinstance(event, kind)]
        kept = [event for event in read if isinstance(event, kind)]
        assert len(kept) + lost == len(came)
        # Those that are left are in order.
        rest = iter(came)
        assert all(any(event is one for one in rest) for event in kept)


@given(st.lists(EVENTS, max_size=60))
def test_no_words_are_lost_while_there_are_later_ones_of_their_part(
    events: list[SessionEvent],
) -> None:
    queue = EventQueue(MOST_EVENTS, 1 << 20)
    said, heard = defaultdict[str, str](str), defaultdict[str, str](str)
    for event in events:
        if isinstance(event, TranscriptDelta):
            said[event.item_id] += event.delta
        queue.put(event)
    lost = False
    while len(queue) and not queue.overflown:
        match queue.get():
            case TranscriptDelta(item_id=item_id, delta=delta):
                heard[item_id] += delta
            case Lagging(transcript_deltas=count):
                lost = count > 0
    if not queue.overflown and not lost:
        assert heard == said
    for item_id, text in heard.items():
        assert said[item_id].endswith(text)
