"""Offers of pages as other programs write them: each is answered, and its call has sound."""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING

import pytest
from tests.calls.test_twilio_calls import Desk, sound_of, speak, until
from tests.calls.test_webrtc_calls import SDP, Waiting, listening, sweep
from tests.calls.webrtc_page import WebRTCPage, correlation, request

from stapes.calls import CallServer, WebRTCCallOptions
from stapes.testing import ScriptedServer

if TYPE_CHECKING:
    from collections.abc import Callable

VIDEO = (
    "m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:video\r\na=sendrecv\r\n"
    "a=msid:stream camera\r\na=rtcp-mux\r\na=rtpmap:96 VP8/90000\r\n"
)


class ChangedPage(WebRTCPage):
    """A page whose offer is changed on its way.

    Attributes:
        change: how.
    """

    change: Callable[[str], str] = staticmethod(lambda offer: offer)

    async def offer(self) -> str:
        return self.change(await super().offer())

    async def accept(self, answer: str) -> None:
        # aiortc has offered none of what is refused, and has named all that it has.
        sections = re.split(r"(?=^m=)", answer, flags=re.MULTILINE)
        taken = [it for it in sections if not re.match(r"m=\w+ 0 ", it)]
        for number, section in enumerate(taken[1:]):
            if "a=mid:" not in section:
                taken[number + 1] = section + f"a=mid:{number}\r\n"
        await super().accept("".join(taken))


def without(*starts: str) -> Callable[[str], str]:
    """Leaves lines out."""

    def change(offer: str) -> str:
        return "".join(it for it in offer.splitlines(keepends=True) if not it.startswith(starts))

    return change


def second_audio(offer: str) -> str:
    """Adds what a page that shares a tab's sound has: another audio, with a stream of its own."""
    audio = re.search(r"^m=audio.*?(?=^m=|\Z)", offer, re.MULTILINE | re.DOTALL)
    assert audio is not None
    second = re.sub(r"a=mid:\S+", "a=mid:tab", audio[0])
    second = re.sub(r"a=ssrc:\d+", "a=ssrc:77", second)
    second = re.sub(r"a=candidate.*\r\n", "", second)
    return re.sub(r"(a=group:BUNDLE.*)\r\n", r"\1 tab\r\n", offer) + second


def many_candidates(offer: str) -> str:
    """Adds candidates that are of no use, and 500 that lead nowhere."""
    lines = [
        "a=candidate:1 1 ssltcp 2130706431 198.51.100.1 443 typ host",
        "a=candidate:2 1 udp 2130706431 host.example.com 5000 typ host",
        "a=candidate:3 1 udp 2130706431 198.51.100.1 5000 typ unheard-of",
        *(f"a=candidate:9 1 udp {n} 127.1.{n % 2}.{n // 2 + 1} 9 typ host" for n in range(500)),
    ]
    return offer.replace("a=candidate", "\r\n".join([*lines, "a=candidate"]), 1)


CHANGES: dict[str, Callable[[str], str]] = {
    "no direction": without("a=sendrecv"),
    "a hash in capitals": lambda offer: offer.replace(":sha-256", ":SHA-256"),
    "other candidates": many_candidates,
    "formats without a mapping": without("a=rtpmap:0 ", "a=rtpmap:8 "),
    "a camera": lambda offer: re.sub(r"(a=group:BUNDLE.*)\r\n", r"\1 video\r\n", offer) + VIDEO,
    "another audio": second_audio,
    "it begins the handshake": lambda it: it.replace("a=setup:actpass", "a=setup:active"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
async def test_offers_of_other_programs_are_answered(change: Callable[[str], str]):
    async with ScriptedServer() as model:
        desk = Desk(model)
        async with listening(desk) as url, ChangedPage(url) as page:
            page.change = change
            await page.start()
            await until(lambda: desk.session is not None)
            said = sweep(1.0)
            page.microphone.say(said.tobytes())
            answer = sweep(1.0)
            await speak(model, answer.tobytes())
            await page.until(lambda: correlation(answer, page.samples) > 0.9)
            await page.until(lambda: len(sound_of(model.received)) > len(said.tobytes()))


async def test_an_offer_of_one_section_needs_neither_a_group_nor_names():
    waiting = Waiting()
    async with listening(waiting) as url, ChangedPage(url, channel=False) as page:
        page.change = without("a=group", "a=mid")
        await page.start()
        await until(lambda: waiting.calls)
        assert page.answer is not None
        assert "a=group" not in page.answer.body
        assert "a=mid" not in page.answer.body


async def test_what_is_refused_has_its_place_in_the_answer():
    async with listening(Waiting()) as url, WebRTCPage(url) as page:
        offer = await page.offer()
        offer = offer.replace("m=audio", VIDEO + "m=audio")
        for change, media in (
            (offer, ["m=video 0", "m=audio 9", "m=application 9"]),
            # A data channel with a transport of its own.
            (
                re.sub(r"a=group:BUNDLE (\S+) .*", r"a=group:BUNDLE \1", offer),
                ["m=video 0", "m=audio 9", "m=application 0"],
            ),
        ):
            answer = await request("POST", url, change, SDP)
            assert answer.status == 201, answer.body
            assert re.findall(r"^m=\w+ \d+", answer.body, re.MULTILINE) == media


async def test_a_page_that_takes_little_is_sent_little():
    async with ScriptedServer() as model:
        desk = Desk(model)
        async with listening(desk) as url, ChangedPage(url) as page:
            opus = re.compile(r"(a=rtpmap:(\d+) opus/48000/2\r\n)")
            page.change = lambda it: opus.sub(r"\1a=fmtp:\2 maxaveragebitrate=16000\r\n", it)
            await page.start()
            await until(lambda: desk.session is not None)
            answer = sweep(2.0)
            await speak(model, answer.tobytes())
            await page.until(lambda: correlation(answer, page.samples) > 0.8)
            call = desk.call
            assert call is not None
            await until(lambda: call.sound is not None and call.sound.packets_sent > 90)
            assert call.sound is not None
            assert call.sound.bitrate <= 16_000


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no socket has both families here")
async def test_a_server_for_both_families_answers_at_the_address_of_the_pages_own():
    waiting = Waiting()
    server = CallServer(host="::", port=0)
    server.browser("/talk", public=True)(waiting)
    hidden = WebRTCCallOptions(private_addresses=False)
    server.browser("/hidden", webrtc=hidden, public=True)(waiting)
    translated = WebRTCCallOptions(public_addresses=["203.0.113.10"])
    server.browser("/outside", webrtc=translated, public=True)(waiting)
    async with server:
        url = f"http://127.0.0.1:{server.port}"
        async with WebRTCPage(f"{url}/talk") as page:
            await page.start()
            await until(lambda: waiting.calls)
            assert page.answer is not None
            assert " 127.0.0.1 " in page.answer.body
            assert "::ffff" not in page.answer.body
            outside = await request("POST", f"{url}/outside", await page.offer(), SDP)
            assert " 203.0.113.10 " in outside.body
            assert " 127.0.0.1 " not in outside.body
            refused = await request("POST", f"{url}/hidden", await page.offer(), SDP)
            assert refused.status == 500
            assert "private_addresses" in refused.body
