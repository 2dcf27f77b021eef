"""A person of the staff allows a refund, in a web page of theirs, while the guest is on the line.

    pip install stapes fastapi uvicorn
    export OPENAI_API_KEY=... STAFF_KEY=...
    uvicorn --app-dir examples/approval desk:app

The guest talks at http://127.0.0.1:8000/, the staff decide at http://127.0.0.1:8000/staff.
"""

from __future__ import annotations

import asyncio
import hmac
import os
from pathlib import Path
from typing import Any

from agents import function_tool
from fastapi import FastAPI, Response, WebSocket, WebSocketDisconnect

from stapes import RealtimeAgent, RealtimeSession, ToolApproval
from stapes.calls import BrowserCall
from stapes.web import page_files

STAFF_KEY = os.environ["STAFF_KEY"]
PATIENCE = 60.0
"""Seconds after which a request that nobody decided on is turned down."""

STAFF_PAGE = Path(__file__).parent / "staff.html"
app = FastAPI()
pages = page_files()


@function_tool(needs_approval=True)
def refund(booking_id: str, amount: float) -> str:
    """Refund an amount in dollars for a booking."""
    return f"{amount:g} dollars were refunded for booking {booking_id}."


agent: RealtimeAgent[Any] = RealtimeAgent(
    name="Billing",
    instructions=(
        "You are the billing desk of a hotel. Refund a guest when they name the booking and the "
        "amount. A colleague has to agree first: say so before you call the tool."
    ),
    tools=[refund],
)


class Board:
    """The requests that wait for a decision, as all pages of the staff see them."""

    def __init__(self) -> None:
        self._waiting: dict[str, tuple[RealtimeSession[Any], ToolApproval]] = {}
        self._changed = asyncio.Event()

    def ask(self, session: RealtimeSession[Any], approval: ToolApproval) -> None:
        """Put a request on the board; it is turned down if nobody decides in time."""
        self._waiting[approval.call_id] = session, approval
        self._change()
        late = "Nobody could be reached. Ask the guest to write to the hotel."
        loop = asyncio.get_running_loop()
        loop.call_later(PATIENCE, lambda: self.decide(approval.call_id, allow=False, why=late))

    def decide(self, call_id: str, *, allow: bool, why: str | None = None) -> None:
        """Take a request off the board, and tell the guest's session. The second one is late."""
        if (found := self._waiting.pop(call_id, None)) is None:
            return
        session, approval = found
        if allow:
            session.approve(approval)
        else:
            session.reject(approval, message=why or "A colleague has declined it.")
        self._change()

    def forget(self, session: RealtimeSession[Any]) -> None:
        """Take the requests of a guest who has hung up off the board."""
        for call_id in [one for one, (whose, _) in self._waiting.items() if whose is session]:
            del self._waiting[call_id]
        self._change()

    def listed(self) -> list[dict[str, str]]:
        """What the page shows."""
        return [
            {"id": call_id, "tool": approval.tool_name, "arguments": approval.arguments}
            for call_id, (_, approval) in self._waiting.items()
        ]

    async def change(self) -> None:
        """Wait for the next change."""
        await self._changed.wait()

    def _change(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


board = Board()


@app.websocket("/talk")
async def talk(websocket: WebSocket) -> None:
    """Talk to a guest. What needs approval goes on the board; the guest hears the answer to it."""
    async with BrowserCall(websocket) as call:
        session = RealtimeSession(agent, call=call)
        session.on("tool_approval_requested", lambda event: board.ask(session, event.approval))
        try:
            async with session:
                await call.ended()
        finally:
            board.forget(session)


@app.websocket("/staff/requests")
async def requests(websocket: WebSocket) -> None:
    """Show the board to a person who knows the key, and take their decisions."""
    await websocket.accept()
    told = await websocket.receive_json()
    if not hmac.compare_digest(str(told.get("key")).encode(), STAFF_KEY.encode()):
        await websocket.close(4403, "this is not the key")
        return
    showing = asyncio.create_task(show(websocket))
    try:
        while True:
            said = await websocket.receive_json()
            board.decide(str(said["id"]), allow=said["allow"] is True)
    except WebSocketDisconnect:
        pass
    finally:
        showing.cancel()


async def show(websocket: WebSocket) -> None:
    """Send the board now, and after each change."""
    while True:
        await websocket.send_json(board.listed())
        await board.change()


@app.get("/staff")
async def staff() -> Response:
    """Give the page of the staff."""
    return Response(STAFF_PAGE.read_text("utf-8"), media_type="text/html")


@app.get("/{path:path}")
async def page(path: str) -> Response:
    """Give the page that guests talk with, and what belongs to it."""
    if (file := pages.get(f"/{path}")) is None:
        return Response(status_code=404)
    return Response(file.content, media_type=file.content_type)
