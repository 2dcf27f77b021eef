"""Sound that the application plays to a caller."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tests.calls.test_call_endings import START
from tests.conformance.far_end import TwilioSocket

from stapes.audio import Recording
from stapes.calls import AsgiCall


@pytest.mark.parametrize("rate", [-8_000, 0, 3_999, 192_001, 2**40])
async def test_a_rate_that_cannot_be_converted_is_refused_by_name(rate: int) -> None:
    socket = TwilioSocket(lambda _: None)
    socket.say(json.dumps(START))
    async with AsgiCall(socket, carrier="twilio") as call:
        with pytest.raises(ValueError, match=r"^sample_rate.* expected 4000 to 192000"):
            call.play(np.zeros(100, np.int16), sample_rate=rate)
        call.hang_up()


async def test_rates_without_a_common_divisor_are_refused_for_a_recording_too() -> None:
    socket = TwilioSocket(lambda _: None)
    socket.say(json.dumps(START))
    async with AsgiCall(socket, carrier="twilio") as call:
        odd = Recording(np.zeros(100, np.int16), sample_rate=47_999)
        with pytest.raises(ValueError, match="from_rate 47999 Hz and to_rate 8000 Hz"):
            call.play(odd)
        call.hang_up()
