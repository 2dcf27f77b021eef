"""openai-agents' own Twilio example, as it is: only the model's address is another one.

The example (server.py and twilio_handler.py of examples/realtime/twilio) belongs into the folder
`example` beside this file.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent / "example"))

import agents.realtime
import twilio_handler
import uvicorn
from fastapi import FastAPI

URL = os.environ["REALTIME_URL"]


class Runner(agents.realtime.RealtimeRunner):
    async def run(self, *, context=None, model_config=None):
        return await super().run(context=context, model_config={**(model_config or {}), "url": URL})


twilio_handler.RealtimeRunner = Runner

import server  # noqa: E402  the example's routes

app: FastAPI = server.app

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning")
