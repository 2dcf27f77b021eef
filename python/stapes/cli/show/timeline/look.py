"""Sizes and colours of the picture."""

from __future__ import annotations

from typing import Final

WIDTH_IN: Final = 16.0
ROW_IN: Final = 2.75
HEAD_IN: Final = 1.15
FOOT_IN: Final = 0.45
LEFT_IN: Final = 0.45
RIGHT_IN: Final = 0.35
DPI: Final = 110

PAPER: Final = "#f6f4ef"
CARD: Final = "#ffffff"
INK: Final = "#24292f"
FAINT: Final = "#8a8f98"
RULE: Final = "#e4e0d8"
GRID: Final = "#f1eee8"
GHOST: Final = "#cfd3d8"
"""What was not heard."""
GHOST_INK: Final = "#aeb4bc"

STEP_S: Final = 0.06
"""A bar of a voice stands for so many seconds."""
TEXT: Final = 9.0
"""Size of the words, in points."""

# Heights in a row, in its own units: 0 is the middle, between the voices.
CALLER_Y: Final = 0.66
AGENT_Y: Final = -0.66
SWING: Final = 0.33
"""Half the height of the loudest bar."""
LANES: Final = (0.14, -0.14)
"""Where tools, handoffs and the like are written."""
TOP: Final = 1.95
BOTTOM: Final = -2.2
LINE: Final = 0.235
"""Height of a line of words."""
