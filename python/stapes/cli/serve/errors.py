"""Why `stapes serve` cannot serve."""

from __future__ import annotations


class ServeError(Exception):
    """The agent cannot be served. The message says why and what to do."""
