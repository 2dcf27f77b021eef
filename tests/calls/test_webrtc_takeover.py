"""Lines of a page over WebRTC that take the place of another, and the URLs of its calls."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
from tests.calls.asgi_server import served
from tests.calls.browser_page import BrowserPage
from tests.calls.test_twilio_calls import until
from tests.calls.test_webrtc_calls import Waiting, listening
from tests.calls.webrtc_page import WebRTCPage, request
from tests.webrtc.lossy import LossyNetwork

from stapes.calls import CallError, CallInterrupted, CallMessage, CallServer, WebRTCCallOptions
from stapes.web import WebFile


async def test_a_line_does_not_go_on_with_a_call_that_is_over():
    waiting = Waiting()
    async with listening(waiting, max_calls=1) as url, WebRTCPage(url) as page:
        await page.start()
        await until(lambda: waiting.calls)
        async with WebRTCPage(url, call_id=page.call_id) as again:
            answered = await again.post()
            await again.accept(answered.body)
            waiting.calls[0].hang_up()
            await waiting.calls[0].ended()
            again.begin()
            await again.until(lambda: again.messages)
            assert again.messages[0] == {"type": "started", "resumed": False}
            await until(lambda: len(waiting.calls) == 2)
            # It has the only place.
            async with WebRTCPage(url) as third:
                await third.start()
                await third.until(lambda: third.messages)
                assert "max_calls" in third.messages[0]["reason"]


@pytest.mark.parametrize("path", ["/", "/talk/", "/talk"])
async def test_a_call_is_hung_up_at_its_url_behind_a_proxy_that_serves_another_path(path: str):
    waiting = Waiting()
    calls = CallServer(port=0)
    calls.browser(path)(waiting)
    async with calls:

        async def forward(asked: Any) -> Response:
            url = f"http://127.0.0.1:{calls.port}/{asked.path_params['rest']}"
            body = (await asked.body()).decode() or None
            kind = {"Content-Type": asked.headers.get("content-type", "")}
            answer = await request(asked.method, url, body, kind)
            location = answer.headers.get("Location")
            headers = {} if location is None else {"Location": location}
            return Response(answer.body, answer.status, headers)

        app = Starlette(routes=[Route("/voice/{rest:path}", forward, methods=["POST", "DELETE"])])
        async with served(app) as port, WebRTCPage(f"http://127.0.0.1:{port}/voice{path}") as page:
            await page.start()
            await until(lambda: waiting.calls)
            assert (await request("DELETE", page.location)).status == 200
            assert (await waiting.calls[0].ended()).by == "caller"


async def test_files_are_served_beside_calls_at_the_root():
    calls = CallServer(port=0)
    calls.browser("/")(Waiting())
    calls.serve_files({"/page.txt": WebFile("text/plain", b"a page")})
    async with calls:
        answer = await request("GET", f"http://127.0.0.1:{calls.port}/page.txt")
        assert (answer.status, answer.body) == (200, "a page")
        assert (await request("GET", f"http://127.0.0.1:{calls.port}/other.txt")).status == 404


async def test_what_the_application_says_to_a_silent_line_is_told_on_the_next_one():
    waiting = Waiting()
    options = WebRTCCallOptions(disconnected_after=0.5, disconnected_grace=30)
    async with (
        listening(waiting, webrtc=options) as url,
        LossyNetwork(url) as network,
        WebRTCPage(network.url) as page,
    ):
        await page.start()
        await until(lambda: waiting.calls)
        network.spoil(loss=1.0, jitter_s=0.0)
        await until(lambda: any(isinstance(it, CallInterrupted) for it in waiting.events))
        waiting.calls[0].send_message({"show": "form"})
        async with WebRTCPage(url, call_id=page.call_id) as again:
            await again.start()
            wanted = {"type": "message", "data": {"show": "form"}}
            await again.until(lambda: wanted in again.messages)
            assert again.messages[0] == {"type": "started", "resumed": True}


async def test_a_message_that_the_pages_browser_does_not_take_is_refused():
    waiting = Waiting()
    async with listening(waiting) as url, WebRTCPage(url) as page:
        await page.start()
        await until(lambda: waiting.calls)
        call = waiting.calls[0]
        with pytest.raises(CallError, match=r"takes 262144: send it in parts"):
            call.send_message("x" * 262_144)
        call.send_message("x" * 200_000)
        await page.until(lambda: any(it["type"] == "message" for it in page.messages))
        # The same page takes it over a WebSocket.
        async with BrowserPage(url.replace("http", "ws"), call_id=page.call_id) as socket:
            await socket.start()
            await socket.until(lambda: socket.messages)
            call.send_message("x" * 262_144)
            await socket.until(lambda: any(it["type"] == "message" for it in socket.messages))


async def test_output_that_was_paused_is_paused_on_the_next_line_and_refused_when_all_is_over():
    waiting = Waiting()
    async with listening(waiting) as url, WebRTCPage(url) as page:
        await page.start()
        await until(lambda: waiting.calls)
        waiting.calls[0].pause_output()
        async with BrowserPage(url.replace("http", "ws"), call_id=page.call_id) as again:
            await again.start()
            await again.until(lambda: {"type": "pause"} in again.messages)
            await again.send({"type": "end"})
            await waiting.calls[0].ended()
            with pytest.raises(CallError, match="the call is over"):
                waiting.calls[0].pause_output(False)


async def test_a_page_may_send_null():
    waiting = Waiting()
    async with listening(waiting) as url, WebRTCPage(url) as page:
        await page.start()
        await until(lambda: waiting.calls)
        page.send({"type": "message", "data": None})
        await until(lambda: CallMessage(None) in waiting.events)
