"""The picture of a call."""

from __future__ import annotations

from stapes.cli.show.timeline.page import TimelineError, draw_timeline

__all__ = ["TimelineError", "draw_timeline"]
