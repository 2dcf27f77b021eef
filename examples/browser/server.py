"""A page of your own that calls an agent: `index.html` and `app.js`, built on `stapes.js`.

export OPENAI_API_KEY=...
python examples/browser/server.py          # http://127.0.0.1:8000/
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from agents import RunContextWrapper, function_tool

from stapes import RealtimeAgent, RealtimeSession
from stapes.calls import Call, CallMessage, CallServer
from stapes.web import WebFile, client_files

HERE = Path(__file__).parent


@function_tool
def add_to_order(caller: RunContextWrapper[Call], dish: str, count: int = 1) -> str:
    """Put a dish on the order. The page shows it."""
    caller.context.send_message({"dish": dish, "count": count})
    return f"{count} {dish} on the order."


agent: RealtimeAgent[Any] = RealtimeAgent(
    name="Waiter",
    instructions="You take orders in a noodle bar. Be brief and friendly.",
    tools=[add_to_order],
)
calls = CallServer(port=int(os.environ.get("PORT", "8000")))
calls.serve_files(
    {
        "/": WebFile.read(HERE / "index.html"),
        "/app.js": WebFile.read(HERE / "app.js"),
        "/style.css": WebFile.read(HERE / "style.css"),
        **client_files(),
    }
)


@calls.browser("/talk")
async def answer(call: Call) -> None:
    """Talk to whoever opened the page; tools reach the call as their context."""
    session = RealtimeSession(agent, call=call, context=call, speaks_first="agent")

    def page_says(message: CallMessage) -> None:
        # It comes from a stranger's browser: look at it before you use it.
        if message.data == {"pay": True}:
            session.send_message("I want to pay.")

    call.on(CallMessage, page_says)
    async with session:
        await call.ended()


if __name__ == "__main__":
    calls.run()
