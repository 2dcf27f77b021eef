from __future__ import annotations

from simulated import LOUDSPEAKER_RATE, MICROPHONE_RATE, SimulatedCall, voice


def loud(frame: bytes) -> bool:
    return any(frame)


def test_every_frame_of_the_microphone_is_sent() -> None:
    call = SimulatedCall()
    call.say(voice(1.0, MICROPHONE_RATE))

    assert b"".join(call.sent) == voice(1.0, MICROPHONE_RATE)


def test_the_caller_is_heard_while_the_agent_speaks() -> None:
    call = SimulatedCall()
    call.loudspeaker.put("a", 0, voice(1.0, LOUDSPEAKER_RATE))
    call.say(voice(1.0, MICROPHONE_RATE))

    assert all(loud(frame) for frame in call.sent)


def test_half_duplex_sends_silence_while_the_agent_is_heard_and_its_echo() -> None:
    call = SimulatedCall(half_duplex=True)
    call.loudspeaker.put("a", 0, voice(1.0, LOUDSPEAKER_RATE))
    call.say(voice(2.0, MICROPHONE_RATE))

    heard = [index * 0.02 for index, frame in enumerate(call.sent) if loud(frame)]
    assert len(call.sent) == 100
    assert 1.2 <= heard[0] <= 1.4
    assert not call.line.muted


def test_half_duplex_records_what_was_sent_and_not_what_was_said() -> None:
    call = SimulatedCall(half_duplex=True)
    call.loudspeaker.put("a", 0, voice(1.0, LOUDSPEAKER_RATE))
    call.say(voice(1.0, MICROPHONE_RATE))

    assert not call.recording.stereo()[:, 0].any()
    assert call.recording.stereo()[:, 1].any()
