"""Calls of web pages over WebRTC: by WHIP at the listener, and by any framework's route."""

from __future__ import annotations

import asyncio
import random
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from tests.calls.asgi_server import served
from tests.calls.test_twilio_calls import AGENT, Desk, sound_of, speak, until
from tests.calls.webrtc_page import RATE, WebRTCPage, correlation, request
from tests.webrtc.lossy import LossyNetwork

from stapes import RealtimeSession
from stapes.calls import (
    CallEnded,
    CallError,
    CallInterrupted,
    CallResumed,
    CallServer,
    CallTokens,
    OfferError,
    OriginError,
    TooManyOffersError,
    WebRTCCall,
    WebRTCCallOptions,
)
from stapes.testing import ScriptedServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

SDP = {"Content-Type": "application/sdp"}


def sweep(seconds: float) -> np.ndarray:
    """Sound whose place is known."""
    times = np.arange(int(RATE * seconds)) / RATE
    return (9_000 * np.sin(2 * np.pi * (300 + 200 * times) * times)).astype("<i2")


@asynccontextmanager
async def listening(answer: Any, **options: Any) -> AsyncIterator[str]:
    """A listener that `answer` answers for: the URL."""
    server = CallServer(port=0, max_calls=options.pop("max_calls", None))
    server.browser("/talk", **options)(answer)
    async with server:
        yield f"http://127.0.0.1:{server.port}/talk"


@asynccontextmanager
async def in_an_app(answer: Any, **options: Any) -> AsyncIterator[str]:
    """The same in a route of an ASGI app."""
    talks: set[asyncio.Task[None]] = set()

    async def talk(call: WebRTCCall) -> None:
        async with call:
            await answer(call)

    async def offer(request: Any) -> Response:
        call = WebRTCCall(**options)
        try:
            offered = (await request.body()).decode()
            answered = await call.answer(offered, headers=request.headers)
        except OriginError as error:
            return PlainTextResponse(str(error), 403)
        except OfferError as error:
            return PlainTextResponse(str(error), 422)
        except TooManyOffersError as error:
            return PlainTextResponse(str(error), 503, {"Retry-After": "5"})
        talks.add(asyncio.create_task(talk(call)))
        return Response(answered, 201, {"Location": "/talk/1"}, "application/sdp")

    app = Starlette(routes=[Route("/talk", offer, methods=["POST"])])
    async with served(app) as port:
        yield f"http://127.0.0.1:{port}/talk"
    await asyncio.gather(*talks, return_exceptions=True)


either = pytest.mark.parametrize("serving", [listening, in_an_app])


class Waiting:
    """An answer that waits for the end of its calls."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.events: list[Any] = []

    async def __call__(self, call: Any) -> None:
        self.calls.append(call)
        call.on(object, self.events.append)
        await call.ended()


@either
async def test_sound_passes_both_ways(serving: Callable[..., Any]):
    async with ScriptedServer() as model:
        desk = Desk(model)
        async with serving(desk) as url, WebRTCPage(url, room="12") as page:
            await page.start()
            await until(lambda: desk.session is not None)
            call = desk.call
            assert call is not None
            assert (call.id, call.carrier, call.sample_rate) == (page.call_id, "browser", RATE)
            assert call.parameters == {"room": "12"}
            await page.until(lambda: page.messages)
            assert page.messages[0] == {"type": "started", "resumed": False}
            said = sweep(1.0)
            page.microphone.say(said.tobytes())
            await until(
                lambda: (
                    correlation(said, np.frombuffer(sound_of(model.received), dtype="<i2")) > 0.9
                )
            )
            answer = sweep(1.5)
            await speak(model, answer.tobytes())
            await page.until(lambda: correlation(answer, page.samples) > 0.9)
            page.send({"type": "end"})
            assert (await call.ended()).by == "caller"
            assert call.sound is not None
            assert call.sound.packets_sent >= 75


async def test_an_interrupted_answer_is_cut_where_the_page_stops_to_play_it():
    async with ScriptedServer() as model:
        desk = Desk(model)
        async with listening(desk) as url, WebRTCPage(url) as page:
            await page.start()
            await until(lambda: desk.session is not None)
            silence = len(page.samples)
            await speak(model, sweep(10.0).tobytes())
            await page.until(lambda: np.abs(page.samples[silence:]).max(initial=0) > 1000)
            begun = len(page.samples)
            await page.until(lambda: len(page.samples) > begun + RATE)
            page.send({"type": "interrupt"})
            cuts = "conversation.item.truncate"
            await until(lambda: any(it["type"] == cuts for it in model.received))
            cut = next(it for it in model.received if it["type"] == cuts)
            # What is on its way is played, and then nothing more comes.
            quiet = RATE // 20
            await page.until(lambda: np.abs(page.samples[-quiet:]).max() < 100)
            loud = np.flatnonzero(np.abs(page.samples) > 1000)
            played = 1000 * (loud[-1] - loud[0]) / RATE
            assert abs(played - cut["audio_end_ms"]) < 60


async def test_a_page_without_a_data_channel_is_heard_and_hears():
    async with ScriptedServer() as model:
        desk = Desk(model)
        async with listening(desk) as url, WebRTCPage(url, channel=False) as page:
            await page.start()
            await until(lambda: desk.session is not None)
            call = desk.call
            assert call is not None
            with pytest.raises(CallError, match="no messages"):
                call.send_message("hello")
            answer = sweep(1.0)
            await speak(model, answer.tobytes())
            await page.until(lambda: correlation(answer, page.samples) > 0.9)
            deleted = await request("DELETE", page.location)
            assert deleted.status == 200
            assert (await call.ended()).by == "caller"
            assert (await request("DELETE", page.location)).status == 404


async def test_this_side_hangs_up_and_the_page_is_told_why():
    waiting = Waiting()
    async with listening(waiting) as url, WebRTCPage(url) as page:
        await page.start()
        await until(lambda: waiting.calls)
        waiting.calls[0].hang_up()
        await page.until(lambda: page.messages and page.messages[-1]["type"] == "end")
        async with asyncio.timeout(10):
            await page.closed.wait()


async def test_a_page_that_leaves_ends_its_call():
    waiting = Waiting()
    async with listening(waiting) as url:
        async with WebRTCPage(url) as page:
            await page.start()
            await until(lambda: waiting.calls)
        assert (await waiting.calls[0].ended()).by == "caller"


async def test_a_bearer_token_is_checked_and_a_page_without_is_told():
    waiting, tokens = Waiting(), CallTokens()
    async with listening(waiting, tokens=tokens) as url:
        bearer = {"Authorization": f"Bearer {tokens.mint('/talk')}"}
        async with WebRTCPage(url, headers=bearer) as page:
            await page.start()
            await until(lambda: waiting.calls)
        async with WebRTCPage(url) as stranger:
            await stranger.start()
            await stranger.until(
                lambda: stranger.messages and stranger.messages[-1]["type"] == "end"
            )
            assert "token" in stranger.messages[-1]["reason"]
        assert len(waiting.calls) == 1


async def test_a_page_that_finds_no_room_is_told():
    waiting = Waiting()
    async with (
        listening(waiting, max_calls=1) as url,
        WebRTCPage(url) as page,
        WebRTCPage(url) as late,
    ):
        await page.start()
        await until(lambda: waiting.calls)
        await late.start()
        await late.until(lambda: late.messages)
        assert late.messages[-1]["type"] == "end"
        assert "max_calls" in late.messages[-1]["reason"]


@either
async def test_a_page_that_takes_no_messages_loses_its_line(
    serving: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
):
    waiting = Waiting()
    async with serving(waiting) as url, WebRTCPage(url) as page:
        await page.start()
        await page.until(lambda: page.messages)
        await until(lambda: waiting.calls)
        sctp = page.connection.sctp
        assert sctp is not None

        async def acknowledges_nothing(*_: Any) -> None:
            return None

        # It answers ICE's checks as before.
        monkeypatch.setattr(sctp, "_send_sack", acknowledges_nothing)
        [call] = waiting.calls
        lost = (CallInterrupted, CallEnded)
        async with asyncio.timeout(10):
            while not any(isinstance(it, lost) for it in waiting.events):
                for _ in range(50):
                    if not call.is_over:
                        call.send_message("x" * 1_000)
                await asyncio.sleep(0.01)
        reasons = [it.reason for it in waiting.events if isinstance(it, lost)]
        assert any("takes no messages" in reason for reason in reasons), reasons
        call.hang_up()


async def test_the_manners_of_http():
    async with listening(Waiting(), origins=["https://app.example.com"]) as url:
        asked = await request("OPTIONS", url)
        assert (asked.status, asked.headers["Accept-Post"]) == (204, "application/sdp")
        for body, headers, status in (
            ("v=0", {"Content-Type": "text/plain"}, 415),
            ("hello", SDP, 422),
            ("v=0\r\n", SDP, 422),
        ):
            refused = await request("POST", url, body, headers)
            assert refused.status == status, refused.body
            assert refused.body
        assert (await request("PUT", url, "v=0", SDP)).status == 405
        for method in ("GET", "PATCH", "POST"):
            refused = await request(method, f"{url}/{'0' * 32}", "x", SDP)
            assert (refused.status, refused.headers["Allow"]) == (405, "DELETE, OPTIONS")
        assert (await request("DELETE", f"{url}/{'0' * 32}")).status == 404
        for origin, status in (
            ("https://app.example.com", 204),
            ("https://evil.example", 403),
        ):
            asked = await request("OPTIONS", url, headers={"Origin": origin})
            assert asked.status == status
            allowed = asked.headers["Access-Control-Allow-Origin"]
            assert allowed == (origin if status == 204 else None)
        async with WebRTCPage(url, headers={"Origin": "https://app.example.com"}) as page:
            answer = await page.post()
            assert answer.headers["Access-Control-Expose-Headers"] == "location"
            assert answer.headers["Content-Type"] == "application/sdp"


async def test_a_server_without_webrtc_says_that_the_path_is_a_websocket():
    async with listening(Waiting(), webrtc=None) as url, WebRTCPage(url) as page:
        assert (await page.post()).status == 426


@either
async def test_pages_of_other_origins_are_refused_unless_they_are_allowed(
    serving: Callable[..., Any],
):
    origin = "https://app.example.com"
    for origins, status in (((), 403), ([origin], 201)):
        async with (
            serving(Waiting(), origins=origins) as url,
            WebRTCPage(url, headers={"Origin": origin}) as page,
        ):
            assert (await page.post()).status == status


async def test_addresses_of_private_networks_are_named_only_where_that_is_allowed():
    closed = WebRTCCallOptions(private_addresses=False)
    async with listening(Waiting(), webrtc=closed) as url, WebRTCPage(url) as page:
        refused = await page.post()
        assert refused.status == 500
        assert "public_addresses" in refused.body
    known = WebRTCCallOptions(private_addresses=False, public_addresses=["203.0.113.7"])
    async with listening(Waiting(), webrtc=known) as url, WebRTCPage(url) as page:
        answer = (await page.post()).body
        candidates = [line.split(" ")[4] for line in answer.split("\r\n") if "a=candidate" in line]
        # Each section names it.
        assert set(candidates) == {"203.0.113.7"}


async def test_another_line_of_the_page_goes_on_with_its_call():
    async with ScriptedServer() as model:
        desk = Desk(model)
        async with listening(desk) as url, WebRTCPage(url) as page:
            await page.start()
            await until(lambda: desk.session is not None)
            # The page's network is gone, and it knows that sooner than we.
            async with WebRTCPage(url, call_id=page.call_id) as again:
                await again.start()
                await again.until(lambda: again.messages)
                assert again.messages[0] == {"type": "started", "resumed": True}
                await until(lambda: any(isinstance(it, CallResumed) for it in desk.events))
                answer = sweep(1.0)
                await speak(model, answer.tobytes())
                await again.until(lambda: correlation(answer, again.samples) > 0.9)
                again.send({"type": "end"})
                assert desk.call is not None
                assert (await desk.call.ended()).by == "caller"


async def test_what_is_played_stands_still_in_a_blackout_and_goes_on_after_it():
    webrtc = WebRTCCallOptions(disconnected_after=0.5)
    async with ScriptedServer() as model:
        desk = Desk(model)
        async with (
            listening(desk, webrtc=webrtc) as url,
            LossyNetwork(url) as network,
            WebRTCPage(network.url) as page,
        ):
            await page.start()
            await until(lambda: desk.session is not None)
            answer = sweep(6.0)
            await speak(model, answer.tobytes())
            await page.until(lambda: np.abs(page.samples).max(initial=0) > 1000)
            network.spoil(loss=1.0, jitter_s=0.0)
            await until(lambda: any(isinstance(it, CallInterrupted) for it in desk.events))
            await asyncio.sleep(1.0)
            network.spoil(loss=0.0, jitter_s=0.0)
            await until(lambda: any(isinstance(it, CallResumed) for it in desk.events))
            # Its last second is heard, for nothing was played to nobody.
            await page.until(lambda: correlation(answer[-RATE:], page.samples) > 0.8)
            said = next(it for it in desk.events if isinstance(it, CallInterrupted))
            assert "nothing has come" in said.reason
            assert desk.call is not None
            assert not desk.call.is_over


async def test_garbage_and_packets_of_strangers_leave_a_call_as_it_is():
    async with ScriptedServer() as model:
        desk = Desk(model)
        async with listening(desk) as url, WebRTCPage(url) as page:
            await page.start()
            await until(lambda: desk.session is not None)
            assert page.answer is not None
            candidate = next(it for it in page.answer.body.split("\r\n") if "a=candidate" in it)
            address = (candidate.split(" ")[4], int(candidate.split(" ")[5]))
            chance = random.Random(1)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
                for first in (0, 1, 20, 22, 64, 128, 144, 200, 255):
                    for length in (1, 12, 20, 200, 1400):
                        stranger.sendto(bytes([first]) + chance.randbytes(length), address)
            answer = sweep(1.0)
            await speak(model, answer.tobytes())
            await page.until(lambda: correlation(answer, page.samples) > 0.9)


async def test_a_call_is_answered_once_and_entered_after_that():
    call = WebRTCCall()
    with pytest.raises(RuntimeError, match="answer"):
        await call.__aenter__()
    with pytest.raises(OfferError, match="session description"):
        await call.answer("hello")
    with pytest.raises(RuntimeError, match="each offer"):
        await call.answer("hello")
    assert call.is_over


@pytest.mark.parametrize(
    ("origins", "headers", "refused"),
    [
        ((), {"Host": "app.example", "Origin": "https://evil.example"}, "evil.example"),
        ((), {"HOST": "app.example", "ORIGIN": "null"}, "null"),
        ((), {"host": "app.example", "origin": "https://app.example"}, None),
        ((), {"host": "app.example"}, None),
        (["https://other.example"], {"host": "a", "origin": "https://other.example"}, None),
        (["*"], {"host": "app.example", "origin": "https://evil.example"}, None),
        ((), None, None),
    ],
)
async def test_pages_of_other_origins_are_refused_where_the_headers_are_given(
    origins: Any, headers: Any, refused: str | None
):
    call = WebRTCCall(origins=origins)
    async with WebRTCPage("http://127.0.0.1:1/") as page:
        offer = await page.offer()
        if refused is None:
            assert (await call.answer(offer, headers=headers)).startswith("v=0")
            call.hang_up()
            return
        with pytest.raises(OriginError, match=refused) as caught:
            await call.answer(offer, headers=headers)
        assert isinstance(caught.value, CallError)
        assert call.is_over


async def test_a_call_that_nobody_connects_ends_by_itself():
    from stapes.calls import CallOptions

    call = WebRTCCall(options=CallOptions(start_timeout=0.3))
    async with WebRTCPage("http://127.0.0.1:1/") as page:
        assert (await call.answer(await page.offer())).startswith("v=0")
        with pytest.raises(CallError, match="start_timeout"):
            await call.__aenter__()


async def test_a_session_over_a_call_in_a_route_ends_with_it():
    async with ScriptedServer() as model:
        ended = asyncio.Event()

        async def answer(call: Any) -> None:
            async with asyncio.timeout(20):
                session = RealtimeSession(AGENT, call=call, api_key="test")
                await session.connect(url=model.url)
                await call.ended()
                await session.close()
                ended.set()

        async with in_an_app(answer) as url, WebRTCPage(url) as page:
            await page.start()
            await model.receive(1)
            page.send({"type": "end"})
            async with asyncio.timeout(10):
                await ended.wait()
