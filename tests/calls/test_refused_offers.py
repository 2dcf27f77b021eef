"""Offers of calls over WebRTC that are not answered: at the listener, and in a route of an app."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from tests.calls.test_webrtc_calls import SDP, Waiting, either
from tests.calls.webrtc_page import WebRTCPage, request

from stapes.calls import (
    CallError,
    OfferError,
    TooManyOffersError,
    WebRTCCall,
    WebRTCCallOptions,
)

if TYPE_CHECKING:
    from collections.abc import Callable


async def taken(stack: contextlib.AsyncExitStack, url: str) -> WebRTCPage:
    """A page whose offer is answered: calls that were before may still take places."""
    async with asyncio.timeout(10):
        while True:
            page = await stack.enter_async_context(WebRTCPage(url))
            if (await page.post()).status == 201:
                return page
            await asyncio.sleep(0.05)


@either
async def test_offers_whose_calls_do_not_start_are_bounded(serving: Callable[..., Any]):
    webrtc = WebRTCCallOptions(max_pending=2)
    async with serving(Waiting(), webrtc=webrtc) as url, contextlib.AsyncExitStack() as stack:
        page, _ = [await taken(stack, url) for _ in range(2)]
        refused = await stack.enter_async_context(WebRTCPage(url))
        answer = await refused.post()
        assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
        assert "max_pending" in answer.body
        # One that starts makes room.
        assert page.answer is not None
        await page.accept(page.answer.body)
        page.begin()
        await page.until(lambda: page.messages)
        late = await stack.enter_async_context(WebRTCPage(url))
        assert (await late.post()).status == 201


async def test_an_offer_that_is_refused_for_too_many_is_an_error_of_its_own():
    webrtc = WebRTCCallOptions(max_pending=1, close_timeout=0.0)
    async with WebRTCPage("http://127.0.0.1:1/") as page:
        offer = await page.offer()

        async def answered() -> WebRTCCall:
            """One that gets the place, as soon as it is free."""
            async with asyncio.timeout(10):
                while True:
                    call = WebRTCCall(webrtc=webrtc)
                    with contextlib.suppress(TooManyOffersError):
                        await call.answer(offer)
                        return call
                    await asyncio.sleep(0.05)

        first = await answered()
        late = WebRTCCall(webrtc=webrtc)
        with pytest.raises(TooManyOffersError, match="max_pending") as caught:
            await late.answer(offer)
        assert isinstance(caught.value, CallError)
        assert late.is_over
        # A call that is over before it has begun leaves its place.
        first.hang_up()
        (await answered()).hang_up()


@either
async def test_offers_that_cannot_be_met_say_why(serving: Callable[..., Any]):
    async with serving(Waiting()) as url, WebRTCPage(url) as page:
        offer = await page.offer()
        for change, why in (
            (lambda it: it.replace("a=sendrecv", "a=sendonly"), "sendonly"),
            (lambda it: it.replace("a=sendrecv", "a=inactive"), "inactive"),
            (lambda it: it.replace("opus/48000/2", "opux/48000/2"), "Opus"),
        ):
            refused = await request("POST", url, change(offer), SDP)
            assert refused.status == 422
            assert why in refused.body


@pytest.mark.parametrize("offer", ["", "hello", "v=0", "v=0\r\n", "v=0\r\nm=audio 9 x\r\n"])
async def test_an_offer_that_cannot_be_met_is_an_error_of_its_own(offer: str):
    call = WebRTCCall()
    with pytest.raises(OfferError) as caught:
        await call.answer(offer, headers={"host": "app.example"})
    assert isinstance(caught.value, CallError)
    assert call.is_over


async def test_a_server_without_an_address_to_name_blames_neither_offer_nor_origin():
    call = WebRTCCall(webrtc=WebRTCCallOptions(private_addresses=False))
    async with WebRTCPage("http://127.0.0.1:1/") as page:
        with pytest.raises(CallError, match="public_addresses") as caught:
            await call.answer(await page.offer(), local_address="127.0.0.1")
    assert type(caught.value) is CallError
    assert call.is_over
