from __future__ import annotations

import json

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from wire_client import check, dial

KEYS = frozenset({"right-key-7391"})


async def refusal(url, headers=None, **options):
    with pytest.raises(InvalidStatus) as refused:
        await connect(url, additional_headers=headers or {}, **options)
    response = refused.value.response
    return response.status_code, json.loads(response.body)["error"]


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, None),
        ({"Authorization": "Bearer "}, None),
        ({"Authorization": "Basic right-key-7391"}, None),
        ({"Authorization": "Bearer wrong-key-5527"}, "invalid_api_key"),
    ],
)
async def test_a_missing_or_wrong_key_is_refused_and_never_repeated(run, headers, code):
    server = await run(api_keys=KEYS)
    status, error = await refusal(server.url, headers)
    assert status == 401
    assert error["type"] == "invalid_request_error"
    assert error["code"] == code
    assert "key-" not in json.dumps(error)
    assert server.calls == []


async def test_the_right_key_is_served_in_header_or_subprotocol(run):
    server = await run(api_keys=KEYS)
    by_header = await dial(server, additional_headers={"Authorization": "Bearer right-key-7391"})
    await by_header.socket.close()
    protocols = ["realtime", "openai-insecure-api-key.right-key-7391"]
    by_protocol = await dial(server, additional_headers={}, subprotocols=protocols)
    assert by_protocol.socket.subprotocol == "realtime"
    await by_protocol.socket.close()
    for call in server.calls:
        assert "key-7391" not in json.dumps([call.headers, call.query])


async def test_keys_are_not_in_the_representation_of_options(run):
    from stapes.devserver import Options

    assert "key-7391" not in repr(Options(api_keys=KEYS))


@pytest.mark.parametrize(
    ("options", "path", "headers", "status", "code"),
    [
        ({"default_model": None}, "", {}, 400, "missing_model"),
        ({"models": frozenset({"a"})}, "?model=b", {}, 400, "invalid_model"),
        ({}, "?call_id=rtc_1", {}, 404, "call_id_not_found"),
        ({}, "", {"OpenAI-Beta": "realtime=v1"}, 400, "beta_api_shape_disabled"),
    ],
)
async def test_a_connection_of_the_wrong_shape_is_refused(
    run, options, path, headers, status, code
):
    server = await run(**options)
    got, error = await refusal(server.url + path, {"Authorization": "Bearer k", **headers})
    assert (got, error["code"]) == (status, code)


@pytest.mark.parametrize(
    ("headers", "code", "reason"),
    [
        ({}, 3000, "invalid_request_error"),
        (
            {"Authorization": "Bearer k", "OpenAI-Beta": "realtime=v1"},
            4000,
            "invalid_request_error.beta_api_shape_disabled",
        ),
    ],
)
async def test_a_refusal_may_come_after_the_handshake_as_the_provider_does_it(
    run, headers, code, reason
):
    server = await run(refusal="close")
    async with connect(server.url, additional_headers=headers) as socket:
        error = check(await socket.recv())
        assert error["type"] == "error"
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (code, reason)


async def test_calls_are_bounded(run):
    server = await run(max_calls=1)
    first = await dial(server)
    status, error = await refusal(server.url, {"Authorization": "Bearer k"})
    assert (status, error["code"]) == (429, "rate_limit_exceeded")
    await first.socket.close()
    await server.calls[0].wait_closed()
    second = await dial(server)
    await second.socket.close()


async def test_a_session_ends_when_its_time_is_over(run):
    server = await run(max_session_seconds=0.05)
    client = await dial(server)
    error = await client.until("error")
    assert error["error"]["code"] == "session_expired"
    with pytest.raises(ConnectionClosed) as closed:
        await client.socket.recv()
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1001, "session_expired")
