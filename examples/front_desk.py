"""The agent of `front_desk/`, at the path that it had before each example had a folder."""

from __future__ import annotations

from pathlib import Path

from stapes.cli.load_agent import load_agent

agent = load_agent(str(Path(__file__).parent / "front_desk" / "agent.py"))
