"""The listener checks the upgrades of carriers that sign them, or name a token for them."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from stapes.calls import Call, CallServer

SECRET = "0123456789abcdef"
PUBLIC = "wss://voice.example.com"


def of_twilio(url: str) -> dict[str, str]:
    digest = hmac.new(SECRET.encode(), url.encode(), hashlib.sha1).digest()
    return {"X-Twilio-Signature": base64.b64encode(digest).decode()}


def of_plivo(url: str) -> dict[str, str]:
    digest = hmac.new(SECRET.encode(), f"{url}.12345".encode(), hashlib.sha256).digest()
    return {
        "X-Plivo-Signature-V3": base64.b64encode(digest).decode(),
        "X-Plivo-Signature-V3-Nonce": "12345",
    }


def of_signalwire(_: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {SECRET}"}


@pytest.mark.parametrize(
    ("carrier", "headers"),
    [("twilio", of_twilio), ("plivo", of_plivo), ("signalwire", of_signalwire)],
    ids=["twilio", "plivo", "signalwire"],
)
async def test_an_upgrade_has_to_be_the_carriers(carrier, headers):
    server = CallServer(port=0, public_url=PUBLIC)

    @server.route(carrier, "/stream", auth_token=SECRET)
    async def answer(call: Call) -> None:
        await call.ended()

    async with server:
        url = f"ws://127.0.0.1:{server.port}/stream"
        async with connect(url, additional_headers=headers(f"{PUBLIC}/stream")):
            pass
        wrong = headers(f"{PUBLIC}/another")
        if carrier == "signalwire":
            wrong = {"Authorization": "Bearer another"}
        for strange in (wrong, {}):
            with pytest.raises(InvalidStatus) as refused:
                await connect(url, additional_headers=strange)
            assert refused.value.response.status_code == 403


def test_a_carrier_whose_upgrades_show_nothing_needs_tokens():
    server = CallServer(public_url=PUBLIC)
    with pytest.raises(ValueError, match="telnyx does not sign the upgrade: use tokens="):
        server.route("telnyx", "/stream", auth_token=SECRET)
