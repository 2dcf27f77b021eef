"""The encoder of the user's sound follows what the server reports of the network (RTCP)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from calling import KEY, eventually, spoken
from likeness import Ear, alignment, samples
from lossy import LossyNetwork

from stapes import RealtimeAgent, RealtimeSession, SoundStatistics, WebRTCTransport
from stapes.devserver import DevServer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

pytest.importorskip("aiortc", reason="the far side of these calls is aiortc")

RATE = 24_000
TEXT = "One two three four five six seven eight nine ten, and so it goes on and on and on. "
MANUAL = {"audio": {"input": {"turn_detection": None, "transcription": {"model": "any"}}}}


class Speaker:
    """A session that speaks over a bad network, and what its server hears."""

    def __init__(self, session: Any, network: LossyNetwork, ear: Ear) -> None:
        self.session, self.network, self.ear = session, network, ear

    @property
    def sound(self) -> SoundStatistics:
        sound = self.session.transport.sound
        assert sound is not None
        return sound

    async def say(self, pcm: bytes) -> Any:
        """Say it in real time, and return what the server has heard."""
        before = len(self.ear.heard)
        await self.session.stream_audio(pcm, commit=True)
        await eventually(lambda: len(self.ear.heard) > before)
        return samples(self.ear.heard[-1])


@pytest.fixture
def speaker(stack: Any) -> Callable[..., Awaitable[Speaker]]:
    """Call a development server over a network that can be spoilt."""

    async def start(**transport: Any) -> Speaker:
        ear = Ear(hears=["so it goes"])
        server = await stack.enter_async_context(DevServer(ear))
        network = await stack.enter_async_context(LossyNetwork(server.calls_url, seed=3))
        session: RealtimeSession[Any] = RealtimeSession(
            RealtimeAgent(name="front"),
            transport=WebRTCTransport(url=network.url, **transport),
            api_key=KEY,
            config=MANUAL,
        )
        await stack.enter_async_context(session)
        return Speaker(session, network, ear)

    return start


@pytest.mark.real_time
@pytest.mark.parametrize("queue_s", [0.05, 2.0], ids=["short queue", "long queue"])
async def test_a_narrow_network_is_given_what_it_carries(speaker, queue_s):
    called = await speaker()
    said = await spoken(TEXT)
    called.network.narrow(60_000, queue_s=queue_s)
    await called.say(said * 2)
    assert called.sound.bitrate < 45_000
    assert called.sound.round_trip > 0
    # From now on, what is said is heard. The short queue loses packets whenever a busy machine
    # sends several at once, so that one repetition may have a hole.
    likenesses = []
    while len(likenesses) < 4 and max(likenesses, default=0.0) <= 0.9:
        heard = await called.say(said)
        likenesses.append(alignment(samples(said), heard)[0])
    assert max(likenesses) > 0.9, (likenesses, called.sound)
    called.network.narrow(None, queue_s=0.0)
    bitrate = called.sound.bitrate
    async with asyncio.timeout(60):
        while called.sound.bitrate <= bitrate:
            await called.session.stream_audio(said)


@pytest.mark.real_time
async def test_loss_brings_copies_of_packets_and_their_share_is_known(speaker):
    called = await speaker()
    said = await spoken(TEXT)
    called.network.spoil(loss=0.07, jitter_s=0.0)
    # A report is of its last seconds, which chance may leave without a loss.
    for _ in range(3):
        await called.say(said * 2)
        sound = called.sound
        if sound.reported_loss > 0:
            break
    assert 0 < sound.reported_loss < 0.3
    # The mode that has them takes less.
    assert 16_000 <= sound.bitrate <= 40_000
    called.network.spoil(loss=0.0, jitter_s=0.0)
    heard = await called.say(said)
    assert np.sqrt(np.mean(heard**2)) > 500


@pytest.mark.real_time
async def test_the_bitrate_does_not_fall_below_its_least(speaker):
    called = await speaker(min_bitrate=30_000)
    called.network.spoil(loss=0.5, jitter_s=0.0)
    await called.session.stream_audio((await spoken(TEXT)) * 2)
    assert called.sound.bitrate == 30_000


@pytest.mark.real_time
async def test_the_bitrate_begins_with_the_one_of_the_options(speaker):
    called = await speaker(bitrate=48_000)
    await called.session.stream_audio(bytes(2 * RATE * 2))
    assert called.sound.bitrate == 48_000
