"""What is asked for over HTTP: to open a call over WebRTC, to end one, and for an ephemeral key."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from stapes.devserver.session.config import SessionConfig
from stapes.devserver.session.errors import ProtocolError
from stapes.devserver.session.ids import Ids
from stapes.devserver.session.schema import fields, number, one_of
from stapes.devserver.session.shapes import SESSION
from stapes.devserver.web.admission import (
    Refusal,
    admit,
    bad_request,
    require_ga,
    require_model,
    require_room,
)

if TYPE_CHECKING:
    from starlette.types import Message

    from stapes.devserver.web.calls import Calls

_LARGEST_BODY = 1024 * 1024
_DEFAULT_SECONDS = 600
_UNREAD = Response(status_code=400)
"""For a client that left before its request was whole: it goes nowhere."""
_client_secret = fields(
    {},
    {
        "expires_after": fields(
            {},
            {
                "anchor": one_of("created_at"),
                "seconds": number(lowest=10, highest=7_200, whole=True),
            },
        ),
        "session": SESSION,
    },
)


class HttpApi:
    """Answers the requests of the provider's HTTP API that concern realtime calls."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def create_call(self, request: Request) -> Response:
        """Answer an SDP offer, sent alone or in a form beside the session's settings."""
        calls, options = self._calls, self._calls.options
        intercepted = await calls.intercept(request)
        if intercepted is not None:
            return intercepted
        try:
            require_ga(options, "to call over WebRTC")
            admitted = admit(request, options, calls.secrets)
            offer, session = await _offer(request)
            settings = [*admitted.settings, *([] if session is None else [session])]
            named = [request.query_params.get("model"), *(each.get("model") for each in settings)]
            model = next((name for name in reversed(named) if name is not None), None)
            require_model(model, options)
            require_room(options, len(calls.under_way))
            settings = [{**each, "model": model} if "model" in each else each for each in settings]
            served, answer = await _answered(calls, request, offer, model, settings)
        except Refusal as refusal:
            return refusal.response()
        except ClientDisconnect:
            return _UNREAD
        headers = {"location": f"/v1/realtime/calls/{served}"}
        return Response(answer, 201, headers, media_type="application/sdp")

    async def hang_up(self, request: Request) -> Response:
        """End a call."""
        try:
            admit(request, self._calls.options, self._calls.secrets)
            await self._calls.hang_up(request.path_params["call_id"])
        except Refusal as refusal:
            return refusal.response()
        return Response(status_code=200)

    async def create_client_secret(self, request: Request) -> Response:
        """Give out an ephemeral key."""
        calls, options = self._calls, self._calls.options
        try:
            require_ga(options, "to have ephemeral keys")
            if admit(request, options, calls.secrets).ephemeral:
                message = "An ephemeral key cannot be used to make another one."
                raise Refusal(401, 3000, ProtocolError(message, "invalid_api_key"))
            asked = _json(await _body(request) or b"{}", "")
            _checked(_client_secret, asked, "")
            settings = asked.get("session") or {"type": "realtime"}
            require_model(settings.get("model"), options)
            seconds = asked.get("expires_after", {}).get("seconds", _DEFAULT_SECONDS)
            session = _effective(calls, settings)
            key, expires_at = calls.secrets.issue(seconds, settings)
        except Refusal as refusal:
            return refusal.response()
        except ClientDisconnect:
            return _UNREAD
        session["expires_at"] = expires_at
        return JSONResponse({"value": key, "expires_at": expires_at, "session": session})


async def _offer(request: Request) -> tuple[str, dict[str, Any] | None]:
    """Return the offer of a request, and the settings that came with it."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    match kind:
        case "application/sdp":
            return _text(await _body(request), "sdp"), None
        case "multipart/form-data":
            return await _form(request)
        case _:
            message = (
                "Unsupported content type. The offer goes as application/sdp, or as the field "
                "'sdp' of multipart/form-data."
            )
            unsupported = ProtocolError(message, "unsupported_content_type")
            raise Refusal(400, 4000, unsupported)


async def _form(request: Request) -> tuple[str, dict[str, Any] | None]:
    # Read whole first: the parser keeps what it has read, however much that is.
    body = await _body(request)

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    whole = Request(request.scope, receive)
    try:
        async with whole.form(max_files=2, max_fields=2, max_part_size=_LARGEST_BODY) as form:
            parts = {name: await _part(value) for name, value in form.items()}
    except HTTPException as problem:
        raise bad_request("invalid_form", f"Invalid form: {problem.detail}") from None
    if "sdp" not in parts:
        raise bad_request("missing_required_parameter", "Missing required parameter: 'sdp'.", "sdp")
    if "session" not in parts:
        return _text(parts["sdp"], "sdp"), None
    session = _json(parts["session"], "session")
    _checked(SESSION, session, "session")
    return _text(parts["sdp"], "sdp"), session


async def _part(value: str | UploadFile) -> bytes:
    return await value.read() if isinstance(value, UploadFile) else value.encode()


async def _answered(
    calls: Calls,
    request: Request,
    offer: str,
    model: str | None,
    settings: list[dict[str, Any]],
) -> tuple[str, str]:
    """Return the id of a new call, and the answer to its offer."""
    try:
        from stapes.devserver.webrtc.peer import OfferError
    except ImportError as error:
        message = f"Calls over WebRTC need {error.name}: pip install 'stapes[demo]'"
        missing = ProtocolError(message, "webrtc_not_installed", type="server_error")
        raise Refusal(501, 4000, missing) from None
    try:
        served, answer = await calls.answer(request, offer, model, settings)
    except OfferError as problem:
        message = f"Invalid SDP offer. Please try again with a WHIP-compliant offer: {problem}."
        raise bad_request("invalid_offer", message) from None
    except ProtocolError as error:
        raise Refusal(400, 4000, error) from None
    return served.id, answer


def _effective(calls: Calls, settings: dict[str, Any]) -> dict[str, Any]:
    """Return the session that these settings would make."""
    options = calls.options
    config = SessionConfig.initial(
        session_id=f"sess_{Ids().token}",
        model=settings.get("model"),
        voice=options.default_voice,
        default_model=options.default_model or "",
        expires_at=0,
    )
    return dict(config.updated(settings, voice_is_fixed=False).wire)


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > _LARGEST_BODY:
            raise _too_large()
    return bytes(body)


def _too_large() -> Refusal:
    message = f"The request is larger than {_LARGEST_BODY} bytes."
    return Refusal(413, 4000, ProtocolError(message, "request_too_large"))


def _text(data: bytes, param: str) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise bad_request("invalid_value", f"Invalid '{param}': it is not UTF-8.", param) from None


def _json(data: bytes, param: str) -> dict[str, Any]:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        where = f"Invalid '{param}'" if param else "Invalid body"
        raise bad_request("invalid_json", f"{where}: expected a JSON object.", param or None)
    return value


def _checked(check: Any, value: dict[str, Any], path: str) -> None:
    try:
        check(value, path)
    except ProtocolError as error:
        raise Refusal(400, 4000, error) from None
