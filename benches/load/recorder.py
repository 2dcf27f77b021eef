"""Results on their way to a file: a line of JSON each."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Recorder", "rounded"]


class Recorder:
    """Adds results to their file, with the time at which this began."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.run = int(time.time())
        file.parent.mkdir(parents=True, exist_ok=True)

    def add(self, row: dict[str, Any]) -> None:
        with self.file.open("a") as file:
            file.write(json.dumps({"run": self.run} | rounded(row)) + "\n")


def rounded(value: Any) -> Any:
    """The same with 5 digits behind each point."""
    match value:
        case float():
            return round(value, 5)
        case dict():
            return {key: rounded(one) for key, one in value.items()}
        case list():
            return [rounded(one) for one in value]
        case _:
            return value
