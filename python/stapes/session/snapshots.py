"""A session as JSON, for another process to go on with."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from stapes.items import items_to_dicts
from stapes.session.history import items_as_json

if TYPE_CHECKING:
    from agents import Usage
    from agents.realtime import RealtimeAgent

    from stapes import _core
    from stapes.items import HistoryItem
    from stapes.session.options import SessionOptions

__all__ = ["VERSION", "agent_of", "checked", "restore_into", "snapshot"]

VERSION = 1
"""Of the shape of a snapshot. A newer release reads the snapshots of the one before."""

_COUNTS = ("requests", "input_tokens", "output_tokens", "total_tokens")


def snapshot(
    agent: RealtimeAgent[Any],
    history: Iterable[HistoryItem],
    usage: Usage,
    options: SessionOptions,
    call_id: str | None,
) -> dict[str, Any]:
    """What another process needs to go on: no key, no header, no URL.

    Calls that nobody has answered are the function calls in the history that are in progress, those
    that wait for an approval among them.

    Args:
        agent: the one in charge, which is stored by its name.
        history: as it was heard.
        usage: so far.
        options: the session's, of which model and configuration are stored.
        call_id: of the call that was joined.
    """
    return {
        "version": VERSION,
        "agent": agent.name,
        "model": options.model,
        "config": _without_secrets(options.config),
        "history": items_to_dicts(history),
        "usage": {name: getattr(usage, name) for name in _COUNTS},
        "call_id": call_id,
    }


def _without_secrets(value: Any) -> Any:
    """A configuration without what authenticates: headers and tokens of hosted MCP servers."""
    if isinstance(value, Mapping):
        return {
            key: _without_secrets(inner)
            for key, inner in value.items()
            if key not in {"authorization", "headers", "server_url", "tools", "provider_data"}
        }
    return [_without_secrets(inner) for inner in value] if isinstance(value, list) else value


def checked(stored: Mapping[str, Any] | str) -> Mapping[str, Any]:
    """A snapshot, from JSON text or what `json.loads` made of it.

    Raises:
        ValueError: it is none, or of a version that this release does not read.
    """
    if isinstance(stored, str):
        stored = json.loads(stored)
    if not isinstance(stored, Mapping) or "version" not in stored:
        raise ValueError("snapshot is none: give what session.snapshot() gave")
    if stored["version"] not in range(max(1, VERSION - 1), VERSION + 1):
        raise ValueError(
            f"the snapshot is of version {stored['version']!r}, and this release of stapes reads "
            f"{VERSION}: use the release that made it, or the one after"
        )
    return stored


def agent_of(stored: Mapping[str, Any], agents: Iterable[RealtimeAgent[Any]]) -> RealtimeAgent[Any]:
    """The agent that was in charge.

    Raises:
        ValueError: none of the agents has its name.
    """
    known = list(agents)
    for agent in known:
        if agent.name == stored["agent"]:
            return agent
    names = ", ".join(repr(agent.name) for agent in known)
    raise ValueError(
        f"agents has no {stored['agent']!r}, which was in charge (it has {names}): give all agents "
        "that the session can hand off to"
    )


def restore_into(core: _core.Session, usage: Usage, stored: Mapping[str, Any]) -> None:
    """Has a new session go on with a snapshot."""
    core.restore(items_as_json(stored["history"]))
    for name in _COUNTS:
        setattr(usage, name, stored["usage"].get(name, 0))
