"""Who may connect, and how the others are told."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse

from stapes.devserver.session.errors import ProtocolError

if TYPE_CHECKING:
    from starlette.websockets import WebSocket

    from stapes.devserver.options import Options

_KEY_PROTOCOL = "openai-insecure-api-key."


@dataclass(frozen=True, slots=True)
class Refusal:
    """A connection that is not served: the HTTP status, the close code, and why."""

    status: int
    close_code: int
    error: ProtocolError

    def response(self) -> JSONResponse:
        """Return the answer to a handshake that is refused over HTTP."""
        body = self.error.wire()
        del body["event_id"]
        return JSONResponse({"error": body}, self.status)

    @property
    def close_reason(self) -> str:
        """The reason that goes with the close code."""
        return ".".join(filter(None, (self.error.type, self.error.code)))


def refusal_of(websocket: WebSocket, options: Options, *, calls: int) -> Refusal | None:
    """Return why a connection is not served, or `None` when it is. No key is ever repeated."""
    if "realtime=v1" in websocket.headers.get("openai-beta", ""):
        return _shape(
            "beta_api_shape_disabled",
            "The Realtime Beta API is no longer supported. Please use the GA shape: leave the "
            "OpenAI-Beta header out.",
        )
    key = _key(websocket)
    if key is None:
        missing = ProtocolError("Missing bearer or basic authentication in header")
        return Refusal(401, 3000, missing)
    if options.api_keys is not None and not _known(key, options.api_keys):
        wrong = ProtocolError("Incorrect API key provided.", "invalid_api_key")
        return Refusal(401, 3000, wrong)
    if "call_id" in websocket.query_params:
        unknown = ProtocolError("No session of that call_id is under way.", "call_id_not_found")
        return Refusal(404, 4000, unknown)
    model = websocket.query_params.get("model")
    if model is None and options.default_model is None:
        return _shape(
            "missing_model",
            "You must provide a model parameter, for example /v1/realtime?model=gpt-realtime",
        )
    if model is not None and options.models is not None and model not in options.models:
        return _shape("invalid_model", f'Model "{model}" is not supported in realtime mode.')
    if calls >= options.max_calls:
        busy = ProtocolError(
            f"This server holds {options.max_calls} calls already.", "rate_limit_exceeded"
        )
        return Refusal(429, 4000, busy)
    return None


def _shape(code: str, message: str) -> Refusal:
    return Refusal(400, 4000, ProtocolError(message, code))


def _key(websocket: WebSocket) -> str | None:
    """Return the key of the `Authorization` header, or of a browser's subprotocols."""
    scheme, _, key = websocket.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and key.strip():
        return key.strip()
    for protocol in websocket.scope.get("subprotocols", ()):
        if protocol.startswith(_KEY_PROTOCOL) and protocol != _KEY_PROTOCOL:
            return str(protocol).removeprefix(_KEY_PROTOCOL)
    return None


def _known(key: str, keys: frozenset[str]) -> bool:
    return any(hmac.compare_digest(key.encode(), known.encode()) for known in keys)
