"""Phone calls with providers of other rates, events that a user wrote, and guardrails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stapes import RealtimeAgent, RealtimeSession, ReconnectPolicy
from stapes.calls import CallServer
from stapes.providers import XAI, AzureVoiceLive, Qwen
from stapes.testing import ScriptedServer
from tests.calls.test_twilio_calls import sound_of, speak, until
from tests.calls.twilio_phone import FRAME, TwilioPhone
from tests.providers import accents

if TYPE_CHECKING:
    from stapes.calls import Call
    from tests.talk import Talks

AGENT = RealtimeAgent(name="desk", instructions="Answer the phone.")


async def test_a_phone_call_is_resampled_to_what_a_provider_takes_and_gives():
    async with ScriptedServer(first_event=accents.QWEN.begins()) as model:
        server = CallServer(port=0)

        @server.twilio("/twilio")
        async def answer(call: Call) -> None:
            session = RealtimeSession(AGENT, call=call, api_key="k", provider=Qwen())
            await session.connect(url=model.url)
            try:
                await call.ended()
            finally:
                await session.close()

        async with server:
            url = f"ws://127.0.0.1:{server.port}/twilio"
            async with TwilioPhone(url) as phone:
                await phone.start()
                await until(lambda: model.received)
                # Half a second at 8 kHz, a byte a sample, is as long at 16 kHz with two.
                await phone.say(bytes([0x55]) * FRAME * 25)
                await until(lambda: len(sound_of(model.received)) >= 15_000)
                assert len(sound_of(model.received)) <= 16_000
                # 200 ms at 24 kHz are 1,600 bytes of mu-law.
                await speak(model, bytes(9600))
                await phone.until(lambda: len(phone.heard) >= 1500)
                assert len(phone.heard) <= 1600
                await phone.hang_up()
        session = model.received[0]["session"]
        assert (session["input_audio_format"], session["output_audio_format"]) == ("pcm", "pcm")


async def test_a_phone_call_passes_undecoded_where_the_provider_has_its_format():
    async with ScriptedServer(first_event=accents.XAI.begins()) as model:
        server = CallServer(port=0)

        @server.twilio("/twilio")
        async def answer(call: Call) -> None:
            session = RealtimeSession(AGENT, call=call, api_key="k", provider=XAI())
            await session.connect(url=model.url)
            try:
                await call.ended()
            finally:
                await session.close()

        async with server, TwilioPhone(f"ws://127.0.0.1:{server.port}/twilio") as phone:
            await phone.start()
            await until(lambda: model.received)
            sound = bytes(range(FRAME))
            await phone.say(sound)
            await until(lambda: sound in sound_of(model.received))
            await phone.hang_up()
        audio = model.received[0]["session"]["audio"]
        assert audio["input"]["format"] == audio["output"]["format"] == {"type": "audio/pcmu"}


async def test_what_a_user_configured_by_hand_holds_on_the_next_connection(talks: Talks):
    live = AzureVoiceLive(resource="r", model="m")
    talk = await talks.begin(provider=live, reconnect=ReconnectPolicy(first_delay=5, go_on=None))
    own = {"voice": "b", "turn_detection": {"type": "azure_semantic_vad"}, "temperature": 0.5}
    talk.session.transport.send_event({"type": "session.update", "session": own})
    await talk.settle()
    assert talk.server.received[-1]["session"] == own
    first = talk.server.received[0]["session"]
    seen = len(talk.server.received)
    talk.server.terminate()
    await talk.settle()
    await talk.after(5)
    again = talk.server.received[seen]["session"]
    assert again == {**first, **own}
